"""Every refusal of the floating value by its name, with the way out; ``NotOracle`` is in ``reverts``."""

from __future__ import annotations

from timebank_chain.chain.revert import Revert


class NotSpender(Revert):
    """Only contracts that were named once record spending."""

    SIGNATURE = "NotSpender(address caller)"
    SENTENCE = "{caller} is none of the contracts whose spending counts"
    HINT = "they are named once, when the system is deployed: `timebank chain verify` shows the deployment"


class SpendersFixed(Revert):
    """Whose spending counts is set once."""

    SIGNATURE = "SpendersFixed(uint256 count)"
    SENTENCE = "set already, or none: {count} spenders given"


class StepTooSmall(Revert):
    """A rate that floats with so small a step would never move."""

    SIGNATURE = "StepTooSmall(uint256 step, uint256 minStep)"
    SENTENCE = "with a step of {step:credits} credits the rate never moves; the least is {minStep:credits}"
    HINT = "choose at least what an epoch mints: timebank chain set-float CREDITS; 0 fixes the rate"


class RateFloatFixed(Revert):
    """What moves the rate is set once."""

    SIGNATURE = "RateFloatFixed(address rateFloat)"
    SENTENCE = "set already, or would be zero: rate float {rateFloat}"
