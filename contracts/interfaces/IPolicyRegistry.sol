// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Policy} from "../libraries/Policy.sol";

/// @title IPolicyRegistry: whole policies, checked and readable on chain
/// @notice The oracle holds only the hash of the policy in force. This registry ties that hash to its content: who
/// registers a policy shows all of it, every bound is checked, and the event keeps it for everybody to read. So no epoch is
/// ever valued by rules that nobody saw, and no formula over registered rules can divide by zero or overflow.
/// @dev Anybody may register any policy, for ever; being registered gives it no force. Two things are not checked, because
/// they change no value: whether a name is printable UTF-8 padded with zeros, and whether versions count up.
interface IPolicyRegistry {
    /// @notice A policy was registered. Once for each hash.
    event PolicyRegistered(bytes32 indexed policyHash, Policy policy);

    /// @notice The policy has no name.
    error PolicyWithoutName();

    /// @notice Versions count from 1.
    error VersionIsZero();

    /// @notice The decay constant is 0 or belongs to a mean lifetime below a millisecond.
    error DecayOutOfRange(uint64 decayK, uint64 most);

    /// @notice The epochs' length is beyond every time a leaf can hold.
    /// @param epochMs Milliseconds.
    /// @param most Milliseconds.
    error EpochTooLong(uint64 epochMs, uint64 most);

    /// @notice At a first rate of 0 nothing would be minted.
    error InitialRateIsZero();

    /// @notice No brackets, or more than `most`.
    error BadBracketCount(uint256 count, uint256 most);

    /// @notice The first bracket does not begin at 0.
    error FirstBracketNotAtZero(uint32 fromMultipleMilli);

    /// @notice A bracket does not begin above the one before.
    /// @param bracket Its position.
    error BracketsNotAscending(uint256 bracket, uint32 fromMultipleMilli, uint32 previous);

    /// @notice A slope is above one whole, or steeper than the bracket's before.
    /// @param bracket Its position.
    /// @param most The slope before, in thousandths; 1000 for the first bracket.
    error SlopeTooSteep(uint256 bracket, uint16 slopeMilli, uint16 most);

    /// @notice No domains, or more than `most`.
    error BadDomainCount(uint256 count, uint256 most);

    /// @notice A domain has no name.
    /// @param domain Its position.
    error DomainWithoutName(uint256 domain);

    /// @notice Two domains have one name.
    /// @param domain Position of the second.
    /// @param first Position of the first.
    error DomainNamedTwice(uint256 domain, uint256 first, bytes32 name);

    /// @notice An incentive band lies above every possible quality.
    /// @param domain Its position.
    /// @param band `low` or `high`, micro-value.
    error BandTooHigh(uint256 domain, uint32 band, uint32 most);

    /// @notice The penalty's band reaches above the bonus's: an act could earn both.
    /// @param domain Its position.
    error LowAboveHigh(uint256 domain, uint32 low, uint32 high);

    /// @notice A bonus would shrink what it rewards, or is too large. In thousandths.
    /// @param domain Its position.
    error BonusOutOfRange(uint256 domain, uint16 bonusMilli, uint16 least, uint16 most);

    /// @notice A penalty is too large. In thousandths.
    /// @param domain Its position.
    error PenaltyTooLarge(uint256 domain, uint16 penaltyMilli, uint16 most);

    /// @notice A scoring function has no knots, or more than `most`.
    /// @param domain Its domain's position.
    /// @param dimension 0 interaction, 1 originality, 2 engagement.
    error BadKnotCount(uint256 domain, uint256 dimension, uint256 count, uint256 most);

    /// @notice A knot does not lie above the one before.
    /// @param domain Its domain's position.
    /// @param dimension 0 interaction, 1 originality, 2 engagement.
    /// @param knot Its position.
    error KnotsNotAscending(uint256 domain, uint256 dimension, uint256 knot, uint32 rawMilli, uint32 previous);

    /// @notice A knot's rank is too high. In thousandths.
    /// @param domain Its domain's position.
    /// @param dimension 0 interaction, 1 originality, 2 engagement.
    /// @param knot Its position.
    error RankTooHigh(uint256 domain, uint256 dimension, uint256 knot, uint16 rankMilli, uint16 most);

    /// @notice Checks and publishes a policy. Anybody may call it.
    /// @dev A policy that is registered already is no error, so that two who register it do not race: its hash is returned
    /// and nothing else happens. Requirements, in this order:
    ///
    /// - a name (`PolicyWithoutName`), a version (`VersionIsZero`), `decayK` from 1 to what a mean lifetime of one
    ///   millisecond gives (`DecayOutOfRange`), `epochMs` below 2^48 (`EpochTooLong`), a first rate (`InitialRateIsZero`);
    /// - 1 to 8 brackets (`BadBracketCount`), the first from 0 (`FirstBracketNotAtZero`), each from above the one before
    ///   (`BracketsNotAscending`), slopes of at most 1000 that never rise (`SlopeTooSteep`);
    /// - 1 to 64 domains (`BadDomainCount`), each with a name (`DomainWithoutName`) of its own (`DomainNamedTwice`), bands of
    ///   at most 1e9 (`BandTooHigh`), `low` not above `high` unless that is 0 (`LowAboveHigh`), a bonus of 1000 to 4000
    ///   (`BonusOutOfRange`), a penalty of at most 4000 (`PenaltyTooLarge`);
    /// - in each domain three times 1 to 16 knots (`BadKnotCount`), ascending (`KnotsNotAscending`), ranks of at most 10 000
    ///   (`RankTooHigh`).
    ///
    /// Emits `PolicyRegistered` the first time.
    /// @return policyHash The policy's identity, see the library PolicyHash.
    function register(Policy calldata policy) external returns (bytes32 policyHash);

    /// @notice Whether a policy of this identity was registered.
    function isRegistered(bytes32 policyHash) external view returns (bool);
}
