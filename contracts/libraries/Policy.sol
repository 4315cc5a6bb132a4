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

/// @notice A whole policy. The hash of its head is its identity on chain, see the library PolicyHash.
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

/// @notice A policy with its lists replaced by their hashes: a proof about one domain carries this and that domain only.
/// @param name UTF-8, right-padded with zeros.
/// @param version Counts up with every change.
/// @param decayK Decay constant, see the library Decay.
/// @param epochMs Length of an epoch in milliseconds; 0 leaves it free.
/// @param initialRateQ24 First rate, micro-credits per micro-value, 2^24 = 1.0.
/// @param bracketsHash `PolicyHash.hashBrackets` of the fairness steps.
/// @param domainsHash `PolicyHash.hashDomains` of the domains' hashes in order.
struct PolicyHead {
    bytes32 name;
    uint32 version;
    uint64 decayK;
    uint64 epochMs;
    uint64 initialRateQ24;
    bytes32 bracketsHash;
    bytes32 domainsHash;
}

/// @title PolicyHash: what stands for a policy on chain
/// @notice A tree of three levels: every domain has its hash, the domains together have one, and the head holds that and
/// the hash of the brackets. So the decay constant is shown with the head alone, and one domain with the head, the list
/// of hashes and the domain.
library PolicyHash {
    /// @notice Identity of a policy, by its head.
    function hashHead(PolicyHead memory head) internal pure returns (bytes32) {
        return keccak256(abi.encode(head));
    }

    /// @notice Hash of the fairness steps.
    function hashBrackets(Bracket[] memory brackets) internal pure returns (bytes32) {
        return keccak256(abi.encode(brackets));
    }

    /// @notice Hash of one domain's rules.
    function hashDomain(DomainPolicy memory domain) internal pure returns (bytes32) {
        return keccak256(abi.encode(domain));
    }

    /// @notice Hash of all domains.
    /// @param domainHashes `hashDomain` of each, in order.
    function hashDomains(bytes32[] memory domainHashes) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(domainHashes));
    }

    /// @notice The head of a whole policy.
    function headOf(Policy memory policy) internal pure returns (PolicyHead memory) {
        bytes32[] memory domainHashes = new bytes32[](policy.domains.length);
        for (uint256 i; i < domainHashes.length; ++i) {
            domainHashes[i] = hashDomain(policy.domains[i]);
        }
        return PolicyHead({
            name: policy.name,
            version: policy.version,
            decayK: policy.decayK,
            epochMs: policy.epochMs,
            initialRateQ24: policy.initialRateQ24,
            bracketsHash: hashBrackets(policy.brackets),
            domainsHash: hashDomains(domainHashes)
        });
    }

    /// @notice Identity of a whole policy.
    function hashPolicy(Policy memory policy) internal pure returns (bytes32) {
        return hashHead(headOf(policy));
    }
}
