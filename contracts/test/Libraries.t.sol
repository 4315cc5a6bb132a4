// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Decay} from "../libraries/Decay.sol";
import {AccountLeaf, ActivityLeaf, EpochTree} from "../libraries/EpochTree.sol";
import {Fairness} from "../libraries/Fairness.sol";
import {Bracket, Knot} from "../libraries/Policy.sol";
import {Quality} from "../libraries/Quality.sol";
import {System} from "./System.sol";

/// @title LibrariesTest: properties of the pure libraries, for any input
contract LibrariesTest is System {
    /* DECAY */

    function test_FreshActWeighsOne() public pure {
        equal(Decay.weightDown(0, type(uint64).max), 2 ** 31, "weight at age 0");
    }

    function test_WeightIsZeroFromSixtyFourHalfLivesOn() public pure {
        equal(Decay.weightDown(2 ** 31, 2 ** 31), 0, "weight at the end");
        equal(Decay.weightDown(type(uint48).max, type(uint64).max), 0, "weight at the maxima");
    }

    function test_OneHalfLifeHalves() public pure {
        // age * K = 2^56 is one half-life.
        equal(Decay.weightDown(2 ** 28, 2 ** 28), 2 ** 30, "weight after one half-life");
    }

    function testFuzz_OlderNeverWeighsMore(uint48 age, uint48 other, uint64 decayK) public pure {
        (uint48 younger, uint48 older) = age < other ? (age, other) : (other, age);
        atMost(Decay.weightDown(older, decayK), Decay.weightDown(younger, decayK), "older weight");
        atMost(Decay.weightDown(younger, decayK), 2 ** 31, "weight");
    }

    /* QUALITY */

    function testFuzz_RankStaysBetweenItsKnots(uint32 a, uint32 b, uint16 rankA, uint16 rankB, uint32 raw) public pure {
        if (a == b) return;
        (a, b) = a < b ? (a, b) : (b, a);
        Knot[] memory knots = new Knot[](2);
        knots[0] = Knot(a, rankA % 10_001);
        knots[1] = Knot(b, rankB % 10_001);
        uint256 low = knots[0].rankMilli < knots[1].rankMilli ? knots[0].rankMilli : knots[1].rankMilli;
        uint256 high = knots[0].rankMilli + knots[1].rankMilli - low;
        uint256 rank = Quality.rankDown(knots, raw);
        atMost(low, rank, "lower rank");
        atMost(rank, high, "rank");
        if (raw <= a) equal(rank, knots[0].rankMilli, "rank below the first knot");
        if (raw >= b) equal(rank, knots[1].rankMilli, "rank above the last knot");
    }

    function test_FallingSegmentRoundsDown() public pure {
        Knot[] memory knots = new Knot[](2);
        knots[0] = Knot(0, 10);
        knots[1] = Knot(3, 0);
        // 10 - 10/3 = 6.67: the floor is 6, cutting the fall to 3 would give 7.
        equal(Quality.rankDown(knots, 1), 6, "rank on a falling segment");
    }

    function testFuzz_BandsOnlyMoveOutward(uint32 quality, uint32 low, uint32 high, uint16 bonus, uint16 penalty)
        public
        pure
    {
        quality %= 1_000_000_001;
        high %= 1_000_000_001;
        low = high == 0 ? low % 1_000_000_001 : low % (high + 1);
        bonus = 1000 + bonus % 3001;
        int256 effective = Quality.incentiveTowardZero(quality, low, high, bonus, penalty % 4001);
        if (high > 0 && quality >= high) isTrue(effective >= int256(uint256(quality)), "a bonus is no loss");
        else if (quality < low) isTrue(effective <= 0, "a penalty is no gain");
        else isTrue(effective == int256(uint256(quality)), "between the bands nothing changes");
    }

    function test_NegativeValueRoundsDown() public pure {
        isTrue(Quality.valueDown(-1, 1) == -1, "a small negative value rounds to -1");
        isTrue(Quality.valueDown(-5, 2 ** 31) == -5, "weight one keeps the value");
    }

    /* FAIRNESS */

    function testFuzz_MintsNeverExceedRateAndPot(
        uint64[8] memory earned,
        uint64 rate,
        uint64 pot,
        uint16[3] memory slopes
    ) public pure {
        Bracket[] memory brackets = new Bracket[](3);
        brackets[0] = Bracket(0, slopes[0] % 1001);
        brackets[1] = Bracket(2_000, slopes[1] % 1001);
        brackets[2] = Bracket(5_000, slopes[2] % 1001);
        uint256 total;
        uint256 active;
        for (uint256 i; i < 8; ++i) {
            total += earned[i];
            if (earned[i] > 0) ++active;
        }
        uint256 mean = Fairness.meanDown(total, active);
        uint256 minted;
        for (uint256 i; i < 8; ++i) {
            uint256 counted = Fairness.phiDown(earned[i], mean, brackets);
            atMost(counted, earned[i], "counted value");
            minted += Fairness.mintDown(counted, rate, earned[i], pot, total);
        }
        atMost(minted, ((total * rate) >> 24) + pot, "minted");
    }

    /* EPOCH TREE */

    function testFuzz_EveryLeafProvesItsPlaceAndNoOther(uint8 size, uint8 at, uint8 elsewhere, uint256 seed)
        public
        view
    {
        uint256 count = within(size, 1, 33);
        bytes32[] memory hashes = _randomHashes(count, seed);
        bytes32[][] memory levels = levelsOf(hashes);
        uint256 index = at % count;
        bytes32[] memory proof = proofOf(levels, index);
        bytes32 root = rootOf(levels);
        isTrue(this.verify(hashes[index], index, proof, root), "an honest proof");
        // forge-lint: disable-next-line(unsafe-typecast)
        isTrue(this.verifyHead(hashes[index], index, proof, bytes28(root)), "an honest proof of the root's head");

        uint256 wrong = elsewhere % levels[0].length;
        if (wrong != index) isTrue(!this.verify(hashes[index], wrong, proof, root), "another index must fail");
        isTrue(!this.verify(hashes[index], index + levels[0].length, proof, root), "an index beyond the tree must fail");
        isTrue(!this.verify(hashes[index], index, proof, root ^ bytes32(uint256(1))), "a flipped root must fail");
        isTrue(
            // forge-lint: disable-next-line(unsafe-typecast)
            !this.verifyHead(hashes[index], index, proof, bytes28(root) ^ bytes28(uint224(1))),
            "a flipped root head must fail"
        );
        if (proof.length > 0) {
            uint256 level = seed % proof.length;
            proof[level] ^= bytes32(2 ** ((seed >> 8) % 256));
            isTrue(!this.verify(hashes[index], index, proof, root), "a flipped sibling must fail");
        }
    }

    function testFuzz_NeighboursProveTheirPlace(uint8 size, uint8 from, uint8 length, uint256 seed) public view {
        uint256 count = within(size, 1, 33);
        uint256 first = from % count;
        uint256 taken = within(length, 1, count - first);
        bytes32[] memory all = _randomHashes(count, seed);
        bytes32[][] memory levels = levelsOf(all);
        bytes32[] memory hashes = new bytes32[](taken);
        for (uint256 i; i < taken; ++i) {
            hashes[i] = all[first + i];
        }
        bytes32[] memory proof = rangeProofOf(levels, first, taken);
        bytes32 root = rootOf(levels);
        uint256 depth = levels.length - 1;
        isTrue(this.verifyRange(hashes, first, proof, depth, root), "an honest range");
        isTrue(!this.verifyRange(hashes, first + 1, proof, depth, root), "a shifted range must fail");
        isTrue(!this.verifyRange(hashes, first, proof, depth + 1, root), "a deeper tree must fail");
        if (depth > 0) isTrue(!this.verifyRange(hashes, first, proof, depth - 1, root), "a flatter tree must fail");

        bytes32[] memory longer = new bytes32[](proof.length + 1);
        for (uint256 i; i < proof.length; ++i) {
            longer[i] = proof[i];
        }
        isTrue(!this.verifyRange(hashes, first, longer, depth, root), "an unused sibling must fail");
        hashes[seed % taken] ^= bytes32(uint256(1));
        isTrue(!this.verifyRange(hashes, first, proof, depth, root), "a flipped leaf must fail");
    }

    function test_EmptyRangeFails() public view {
        isTrue(!this.verifyRange(new bytes32[](0), 0, new bytes32[](0), 0, bytes32(0)), "no leaves prove nothing");
    }

    function verify(bytes32 leafHash, uint256 index, bytes32[] calldata proof, bytes32 root)
        external
        pure
        returns (bool)
    {
        return EpochTree.verify(leafHash, index, proof, root);
    }

    function verifyHead(bytes32 leafHash, uint256 index, bytes32[] calldata proof, bytes28 rootHead)
        external
        pure
        returns (bool)
    {
        return EpochTree.verifyHead(leafHash, index, proof, rootHead);
    }

    function verifyRange(bytes32[] memory hashes, uint256 first, bytes32[] calldata proof, uint256 depth, bytes32 root)
        external
        pure
        returns (bool)
    {
        return EpochTree.verifyRange(hashes, first, proof, depth, root);
    }

    function _randomHashes(uint256 count, uint256 seed) private pure returns (bytes32[] memory hashes) {
        hashes = new bytes32[](count);
        for (uint256 i; i < count; ++i) {
            hashes[i] = keccak256(abi.encode(seed, i));
        }
    }
}
