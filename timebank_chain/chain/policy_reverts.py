"""Refusals of the policy registry: each bound of a policy by its name.

Positions count from 0, as in the document; dimension 0 is interaction, 1 originality, 2 engagement.
"""

from __future__ import annotations

from timebank_chain.chain.revert import Revert

_SEE = "timebank policy check names the same fault in the document"


class PolicyNotRegistered(Revert):
    """The rules must be readable on chain before they come into force."""

    SIGNATURE = "PolicyNotRegistered(bytes32 policyHash)"
    SENTENCE = "no policy of the hash {policyHash} is registered on chain"
    HINT = "timebank chain set-policy registers it first"


class PolicyWithoutName(Revert):
    """A policy has a name."""

    SIGNATURE = "PolicyWithoutName()"
    SENTENCE = "the policy has no name"
    HINT = _SEE


class VersionIsZero(Revert):
    """Versions count from 1."""

    SIGNATURE = "VersionIsZero()"
    SENTENCE = "the policy's version is 0"
    HINT = "count versions from 1"


class DecayOutOfRange(Revert):
    """Value fades, and takes at least a millisecond to."""

    SIGNATURE = "DecayOutOfRange(uint64 decayK, uint64 most)"
    SENTENCE = "a decay constant of {decayK} is not between 1 and {most}"
    HINT = _SEE


class EpochTooLong(Revert):
    """Times have 48 bits."""

    SIGNATURE = "EpochTooLong(uint64 epochMs, uint64 most)"
    SENTENCE = "an epoch of {epochMs} ms is longer than {most} ms"
    HINT = _SEE


class InitialRateIsZero(Revert):
    """A rate of 0 mints nothing."""

    SIGNATURE = "InitialRateIsZero()"
    SENTENCE = "the policy's first rate is 0"
    HINT = _SEE


class BadBracketCount(Revert):
    """Fairness has some steps, and not many."""

    SIGNATURE = "BadBracketCount(uint256 count, uint256 most)"
    SENTENCE = "{count} brackets; there must be 1 to {most}"
    HINT = _SEE


class FirstBracketNotAtZero(Revert):
    """Brackets cover everything that is earned."""

    SIGNATURE = "FirstBracketNotAtZero(uint32 fromMultipleMilli)"
    SENTENCE = "the first bracket starts at {fromMultipleMilli}, not at 0"
    HINT = _SEE


class BracketsNotAscending(Revert):
    """Brackets stand in order."""

    SIGNATURE = "BracketsNotAscending(uint256 bracket, uint32 fromMultipleMilli, uint32 previous)"
    SENTENCE = "bracket {bracket} starts at {fromMultipleMilli}, not above the one before ({previous})"
    HINT = _SEE


class SlopeTooSteep(Revert):
    """Who earned more keeps a smaller part of the surplus."""

    SIGNATURE = "SlopeTooSteep(uint256 bracket, uint16 slopeMilli, uint16 most)"
    SENTENCE = "bracket {bracket} has slope {slopeMilli}, at most {most} may follow"
    HINT = _SEE


class BadDomainCount(Revert):
    """A policy values some domains, and not too many."""

    SIGNATURE = "BadDomainCount(uint256 count, uint256 most)"
    SENTENCE = "{count} domains; there must be 1 to {most}"
    HINT = _SEE


class DomainWithoutName(Revert):
    """A domain has a name."""

    SIGNATURE = "DomainWithoutName(uint256 domain)"
    SENTENCE = "domain {domain} has no name"
    HINT = _SEE


class DomainNamedTwice(Revert):
    """Names of domains are unique."""

    SIGNATURE = "DomainNamedTwice(uint256 domain, uint256 first, bytes32 name)"
    SENTENCE = "domains {first} and {domain} have one name ({name})"
    HINT = "keep one of them"


class BandTooHigh(Revert):
    """Qualities end at 1000."""

    SIGNATURE = "BandTooHigh(uint256 domain, uint32 band, uint32 most)"
    SENTENCE = "domain {domain} has a band of {band}, the best quality is {most}"
    HINT = _SEE


class LowAboveHigh(Revert):
    """No act is punished and rewarded at once."""

    SIGNATURE = "LowAboveHigh(uint256 domain, uint32 low, uint32 high)"
    SENTENCE = "domain {domain} has low ({low}) above high ({high})"
    HINT = "choose low <= high, or high 0 for no bonus"


class BonusOutOfRange(Revert):
    """A bonus enlarges, within reason."""

    SIGNATURE = "BonusOutOfRange(uint256 domain, uint16 bonusMilli, uint16 least, uint16 most)"
    SENTENCE = "domain {domain} has a bonus factor of {bonusMilli} thousandths, not {least} to {most}"
    HINT = _SEE


class PenaltyTooLarge(Revert):
    """A penalty stays within reason."""

    SIGNATURE = "PenaltyTooLarge(uint256 domain, uint16 penaltyMilli, uint16 most)"
    SENTENCE = "domain {domain} has a penalty factor of {penaltyMilli} thousandths, more than {most}"
    HINT = _SEE


class BadKnotCount(Revert):
    """A scoring function has some knots, and not many."""

    SIGNATURE = "BadKnotCount(uint256 domain, uint256 dimension, uint256 count, uint256 most)"
    SENTENCE = "domain {domain}, dimension {dimension}: {count} knots; there must be 1 to {most}"
    HINT = _SEE


class KnotsNotAscending(Revert):
    """Knots stand in order."""

    SIGNATURE = (
        "KnotsNotAscending(uint256 domain, uint256 dimension, uint256 knot, uint32 rawMilli, uint32 previous)"
    )
    SENTENCE = (
        "domain {domain}, dimension {dimension}: knot {knot} at {rawMilli} is not above the one before "
        "({previous})"
    )
    HINT = _SEE


class RankTooHigh(Revert):
    """Ranks end at 10."""

    SIGNATURE = "RankTooHigh(uint256 domain, uint256 dimension, uint256 knot, uint16 rankMilli, uint16 most)"
    SENTENCE = "domain {domain}, dimension {dimension}: knot {knot} has rank {rankMilli}, at most {most}"
    HINT = _SEE
