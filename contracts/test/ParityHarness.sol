// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AdaptiveRate} from "../libraries/AdaptiveRate.sol";
import {Decay} from "../libraries/Decay.sol";
import {AccountLeaf, ActivityLeaf, EpochTree} from "../libraries/EpochTree.sol";
import {Fairness} from "../libraries/Fairness.sol";
import {FloatingRate} from "../libraries/FloatingRate.sol";
import {Bracket, Knot, Policy, PolicyHash} from "../libraries/Policy.sol";
import {Quality} from "../libraries/Quality.sol";
import {ShareMath} from "../libraries/ShareMath.sol";

/// @title ParityHarness
/// @notice The libraries over arrays, so that one call compares thousands of inputs with the Python specification.
contract ParityHarness {
    /// @notice One act with everything its value depends on.
    struct Act {
        uint32[3] rawMilli;
        uint48 ageMs;
    }

    /// @notice Everything that depends on an act's domain.
    struct Rules {
        Knot[][3] knots;
        uint32 low;
        uint32 high;
        uint16 bonusMilli;
        uint16 penaltyMilli;
        uint64 decayK;
    }

    /// @notice All steps from the indicators to the value.
    struct Worth {
        uint256[3] ranks;
        uint256 quality;
        int256 effective;
        uint256 weight;
        int256 value;
    }

    /// @notice One proof to check.
    struct ProofCase {
        bytes32 leafHash;
        uint256 index;
        bytes32[] proof;
        bytes32 root;
    }

    /// @notice One proof of neighbours to check.
    struct RangeCase {
        bytes32[] hashes;
        uint256 first;
        bytes32[] proof;
        uint256 depth;
        bytes32 root;
    }

    /// @notice Decay weights.
    function weights(uint48[] calldata agesMs, uint64[] calldata decayKs) external pure returns (uint32[] memory out) {
        out = new uint32[](agesMs.length);
        for (uint256 i; i < agesMs.length; ++i) {
            uint256 weight = Decay.weightDown(agesMs[i], decayKs[i]);
            assert(weight <= type(uint32).max);
            // forge-lint: disable-next-line(unsafe-typecast)
            out[i] = uint32(weight);
        }
    }

    /// @notice Values of acts under one domain's rules, with every step in between.
    function worths(Rules calldata rules, Act[] calldata acts) external pure returns (Worth[] memory out) {
        Rules memory held = rules;
        out = new Worth[](acts.length);
        for (uint256 i; i < acts.length; ++i) {
            Worth memory worth = out[i];
            for (uint256 d; d < 3; ++d) {
                worth.ranks[d] = Quality.rankDown(held.knots[d], acts[i].rawMilli[d]);
            }
            worth.quality = Quality.qualityDown(worth.ranks[0], worth.ranks[1], worth.ranks[2]);
            worth.effective =
                Quality.incentiveTowardZero(worth.quality, held.low, held.high, held.bonusMilli, held.penaltyMilli);
            worth.weight = Decay.weightDown(acts[i].ageMs, held.decayK);
            worth.value = Quality.valueDown(worth.effective, worth.weight);
        }
    }

    /// @notice Counted value and mint of accounts in one epoch.
    function mints(
        Bracket[] calldata brackets,
        uint64[] calldata earned,
        uint256 totalEarned,
        uint256 activeCount,
        uint256 rateQ24,
        uint256 pot
    ) external pure returns (uint256[2][] memory out) {
        Bracket[] memory held = brackets;
        uint256 mean = Fairness.meanDown(totalEarned, activeCount);
        out = new uint256[2][](earned.length);
        for (uint256 i; i < earned.length; ++i) {
            out[i][0] = Fairness.phiDown(earned[i], mean, held);
            out[i][1] = Fairness.mintDown(out[i][0], rateQ24, earned[i], pot, totalEarned);
        }
    }

    /// @notice Debt and cash, a rate at target and a period.
    struct RateCase {
        uint64 debt;
        uint64 cash;
        uint48 rateAtTarget;
        uint40 dt;
    }

    /// @notice Utilisation, mean and end of the rate at target, rate and growth over the period.
    function rates(RateCase[] calldata cases) external pure returns (uint256[5][] memory out) {
        out = new uint256[5][](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            uint256 used = AdaptiveRate.utilisationDown(cases[i].debt, cases[i].cash);
            (uint256 mean, uint256 end) = AdaptiveRate.adapt(cases[i].rateAtTarget, used, cases[i].dt);
            uint256 rate = AdaptiveRate.borrowRateDown(mean, used);
            out[i] = [used, mean, end, rate, AdaptiveRate.growthDown(rate, cases[i].dt)];
        }
    }

    /// @notice A float's step and base, where in its eight steps the excess is (2^64: at the upper end), an epoch.
    struct FloatCase {
        uint64 step;
        uint64 baseRateQ24;
        uint64 place;
        uint64 demand;
        uint64 supply;
    }

    /// @notice The rate, then the excess after the epoch, counted from its lower bound, the rate there,
    /// and how far toward it the epoch moves the first.
    function floats(FloatCase[] calldata cases) external pure returns (uint256[4][] memory out) {
        out = new uint256[4][](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            FloatCase calldata one = cases[i];
            // Safe casts because eight steps are below 2^67.
            // forge-lint: disable-start(unsafe-typecast)
            int256 bound = int256(uint256(one.step) * 4);
            int256 excess = int256((8 * uint256(one.step) * one.place) >> 64) - bound;
            int256 afterwards = FloatingRate.excessAfter(excess, one.step, one.demand, one.supply);
            uint64 rate = FloatingRate.rateDown(one.baseRateQ24, excess, one.step);
            uint64 target = FloatingRate.rateDown(one.baseRateQ24, afterwards, one.step);
            out[i] = [uint256(rate), uint256(afterwards + bound), target, FloatingRate.boundedMove(rate, target)];
            // forge-lint: disable-end(unsafe-typecast)
        }
    }

    /// @notice An amount (or as many shares) of a total.
    struct ShareCase {
        uint64 amount;
        uint64 totalAssets;
        uint64 totalShares;
    }

    /// @notice Shares rounded down and up, assets rounded down and up.
    function conversions(ShareCase[] calldata cases) external pure returns (uint256[4][] memory out) {
        out = new uint256[4][](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            (uint256 amount, uint256 assets, uint256 shares) =
                (cases[i].amount, cases[i].totalAssets, cases[i].totalShares);
            out[i] = [
                ShareMath.toSharesDown(amount, assets, shares),
                ShareMath.toSharesUp(amount, assets, shares),
                ShareMath.toAssetsDown(amount, assets, shares),
                ShareMath.toAssetsUp(amount, assets, shares)
            ];
        }
    }

    /// @notice Hashes of activity leaves.
    function activityHashes(ActivityLeaf[] calldata leaves) external pure returns (bytes32[] memory out) {
        out = new bytes32[](leaves.length);
        for (uint256 i; i < leaves.length; ++i) {
            out[i] = EpochTree.hashActivity(leaves[i]);
        }
    }

    /// @notice Hashes of account leaves.
    function accountHashes(AccountLeaf[] calldata leaves) external pure returns (bytes32[] memory out) {
        out = new bytes32[](leaves.length);
        for (uint256 i; i < leaves.length; ++i) {
            out[i] = EpochTree.hashAccount(leaves[i]);
        }
    }

    /// @notice Whether proofs hold.
    function verifies(ProofCase[] calldata cases) external pure returns (bool[] memory out) {
        out = new bool[](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            out[i] = EpochTree.verify(cases[i].leafHash, cases[i].index, cases[i].proof, cases[i].root);
        }
    }

    /// @notice Whether proofs of neighbours hold.
    function verifiesRanges(RangeCase[] calldata cases) external pure returns (bool[] memory out) {
        out = new bool[](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            RangeCase calldata one = cases[i];
            out[i] = EpochTree.verifyRange(one.hashes, one.first, one.proof, one.depth, one.root);
        }
    }

    /// @notice Identity of a policy.
    function policyHash(Policy calldata policy) external pure returns (bytes32) {
        return PolicyHash.hashPolicy(policy);
    }
}
