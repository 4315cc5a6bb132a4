// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Decay} from "../libraries/Decay.sol";
import {AccountLeaf, ActivityLeaf, EpochTree} from "../libraries/EpochTree.sol";
import {Fairness} from "../libraries/Fairness.sol";
import {Bracket, Knot, Policy} from "../libraries/Policy.sol";
import {Quality} from "../libraries/Quality.sol";

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
        return keccak256(abi.encode(policy));
    }
}
