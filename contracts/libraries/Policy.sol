// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @notice One point of a published scoring function.
/// @param rawMilli The recorded indicator, in thousandths.
/// @param rankMilli The rank it earns, in thousandths: 0 .. 10 000.
struct Knot {
    uint32 rawMilli;
    uint16 rankMilli;
}

/// @notice How acts of one domain are valued.
/// @param name UTF-8, right-padded with zeros.
/// @param windowMs Observation window: how long after the act its indicators are counted, in milliseconds.
/// @param low Qualities below this (micro-value) are penalised; 0 means no penalty.
/// @param high Qualities from this on (micro-value) earn the bonus; 0 means no bonus.
/// @param bonusMilli Factor for high quality, in thousandths.
/// @param penaltyMilli Factor for what is missing to `low`, in thousandths.
/// @param interaction Knots of the interaction rank, ascending by `rawMilli`.
/// @param originality Knots of the originality score, ascending by `rawMilli`.
/// @param engagement Knots of the engagement level, ascending by `rawMilli`.
struct DomainPolicy {
    bytes32 name;
    uint48 windowMs;
    uint32 low;
    uint32 high;
    uint16 bonusMilli;
    uint16 penaltyMilli;
    Knot[] interaction;
    Knot[] originality;
    Knot[] engagement;
}

/// @notice One step of the progressive fairness schedule.
/// @param fromMultipleMilli Where the step begins, in thousandths of the epoch's mean earned value.
/// @param slopeMilli Share of the value inside the step that counts, in thousandths.
struct Bracket {
    uint32 fromMultipleMilli;
    uint16 slopeMilli;
}

/// @notice A whole policy. `keccak256(abi.encode(policy))` is its identity on chain.
/// @param name UTF-8, right-padded with zeros.
/// @param version Counts up with every change.
/// @param decayK Decay constant, see the library Decay.
/// @param epochMs Length of an epoch in milliseconds; 0 leaves it free.
/// @param initialRateQ24 First rate, micro-credits per micro-value, 2^24 = 1.0.
/// @param brackets Fairness steps, ascending.
/// @param domains In order: an activity names its domain by position.
struct Policy {
    bytes32 name;
    uint32 version;
    uint64 decayK;
    uint64 epochMs;
    uint64 initialRateQ24;
    Bracket[] brackets;
    DomainPolicy[] domains;
}
