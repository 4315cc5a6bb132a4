// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IPolicyRegistry} from "../interfaces/IPolicyRegistry.sol";
import {Bracket, DomainPolicy, Knot, Policy, PolicyHash} from "../libraries/Policy.sol";

/// @title PolicyRegistry
/// @notice Its bounds are those of a policy's document. They keep every later proof about a domain within a block's gas.
contract PolicyRegistry is IPolicyRegistry {
    /// @dev `round(2^56 / ln 2)`: a mean lifetime of one millisecond.
    uint64 private constant MAX_DECAY_K = 103_957_133_576_908_769;

    /// @dev Times in leaves have 48 bits.
    uint64 private constant MAX_TIME_MS = type(uint48).max;

    uint256 private constant MAX_BRACKETS = 8;
    uint256 private constant MAX_DOMAINS = 64;
    uint256 private constant MAX_KNOTS = 16;

    /// @dev One whole, in thousandths.
    uint16 private constant ONE_MILLI = 1_000;

    /// @dev Of a bonus or a penalty, in thousandths.
    uint16 private constant MAX_FACTOR_MILLI = 4 * ONE_MILLI;

    /// @dev In thousandths.
    uint16 private constant MAX_RANK_MILLI = 10 * ONE_MILLI;

    /// @dev Micro-value: three ranks of ten multiplied.
    uint32 private constant MAX_QUALITY = 1_000_000_000;

    /// @inheritdoc IPolicyRegistry
    mapping(bytes32 policyHash => bool) public isRegistered;

    /// @inheritdoc IPolicyRegistry
    function register(Policy calldata policy) external returns (bytes32 policyHash) {
        Policy memory held = policy;
        _requireHead(held);
        _requireBrackets(held.brackets);
        _requireDomains(held.domains);

        policyHash = PolicyHash.hashPolicy(held);
        if (isRegistered[policyHash]) return policyHash;
        isRegistered[policyHash] = true;
        emit PolicyRegistered(policyHash, held);
    }

    /* BOUNDS */

    function _requireHead(Policy memory policy) private pure {
        require(policy.name != 0, PolicyWithoutName());
        require(policy.version != 0, VersionIsZero());
        require(policy.decayK != 0 && policy.decayK <= MAX_DECAY_K, DecayOutOfRange(policy.decayK, MAX_DECAY_K));
        require(policy.epochMs <= MAX_TIME_MS, EpochTooLong(policy.epochMs, MAX_TIME_MS));
        require(policy.initialRateQ24 != 0, InitialRateIsZero());
    }

    function _requireBrackets(Bracket[] memory brackets) private pure {
        uint256 count = brackets.length;
        require(count != 0 && count <= MAX_BRACKETS, BadBracketCount(count, MAX_BRACKETS));
        uint32 from = brackets[0].fromMultipleMilli;
        require(from == 0, FirstBracketNotAtZero(from));
        uint16 steepest = ONE_MILLI;
        for (uint256 i; i < count; ++i) {
            uint32 next = brackets[i].fromMultipleMilli;
            require(i == 0 || next > from, BracketsNotAscending(i, next, from));
            uint16 slope = brackets[i].slopeMilli;
            require(slope <= steepest, SlopeTooSteep(i, slope, steepest));
            (from, steepest) = (next, slope);
        }
    }

    function _requireDomains(DomainPolicy[] memory domains) private pure {
        uint256 count = domains.length;
        require(count != 0 && count <= MAX_DOMAINS, BadDomainCount(count, MAX_DOMAINS));
        for (uint256 i; i < count; ++i) {
            bytes32 name = domains[i].name;
            require(name != 0, DomainWithoutName(i));
            for (uint256 j; j < i; ++j) {
                require(name != domains[j].name, DomainNamedTwice(i, j, name));
            }
            _requireDomain(i, domains[i]);
        }
    }

    function _requireDomain(uint256 i, DomainPolicy memory domain) private pure {
        (uint32 low, uint32 high) = (domain.low, domain.high);
        require(low <= MAX_QUALITY, BandTooHigh(i, low, MAX_QUALITY));
        require(high <= MAX_QUALITY, BandTooHigh(i, high, MAX_QUALITY));
        require(high == 0 || low <= high, LowAboveHigh(i, low, high));
        uint16 bonus = domain.bonusMilli;
        require(bonus >= ONE_MILLI && bonus <= MAX_FACTOR_MILLI, BonusOutOfRange(i, bonus, ONE_MILLI, MAX_FACTOR_MILLI));
        require(domain.penaltyMilli <= MAX_FACTOR_MILLI, PenaltyTooLarge(i, domain.penaltyMilli, MAX_FACTOR_MILLI));
        _requireKnots(i, 0, domain.interaction);
        _requireKnots(i, 1, domain.originality);
        _requireKnots(i, 2, domain.engagement);
    }

    function _requireKnots(uint256 domain, uint256 dimension, Knot[] memory knots) private pure {
        uint256 count = knots.length;
        require(count != 0 && count <= MAX_KNOTS, BadKnotCount(domain, dimension, count, MAX_KNOTS));
        uint32 previous;
        for (uint256 i; i < count; ++i) {
            uint32 raw = knots[i].rawMilli;
            require(i == 0 || raw > previous, KnotsNotAscending(domain, dimension, i, raw, previous));
            uint16 rank = knots[i].rankMilli;
            require(rank <= MAX_RANK_MILLI, RankTooHigh(domain, dimension, i, rank, MAX_RANK_MILLI));
            previous = raw;
        }
    }
}
