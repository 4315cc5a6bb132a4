// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {FloatingRate} from "../libraries/FloatingRate.sol";
import {Checks} from "./Vm.sol";

/// @title FloatingRateTest: properties of the floating rate's arithmetic, for any input
/// @dev That Python and Solidity agree is compared in tests/parity, how the rate settles in tests/spec.
contract FloatingRateTest is Checks {
    uint64 private constant ONE = 2 ** 24;
    uint64 private constant STEP = 1_000_000_000;

    function test_WholeStepsDoubleAndHalve() public pure {
        uint64[9] memory expected = [ONE / 16, ONE / 8, ONE / 4, ONE / 2, ONE, 2 * ONE, 4 * ONE, 8 * ONE, 16 * ONE];
        for (uint256 i; i < 9; ++i) {
            // forge-lint: disable-next-line(unsafe-typecast)
            int256 excess = (int256(i) - 4) * int256(uint256(STEP));
            equal(FloatingRate.rateDown(ONE, excess, STEP), expected[i], "rate at a whole step");
        }
    }

    function test_RatesOfATable() public pure {
        // floor(2^24 * 2^(excess / step)), by hand: 2^0.5 = 1.41421356, 2^-0.5 = 0.70710678, 2^0.25 = 1.18920711.
        equal(FloatingRate.rateDown(ONE, 500_000_000, STEP), 23_726_566, "half a step up");
        equal(FloatingRate.rateDown(ONE, -500_000_000, STEP), 11_863_283, "half a step down");
        equal(FloatingRate.rateDown(ONE, 250_000_000, STEP), 19_951_584, "a quarter up");
        equal(FloatingRate.rateDown(ONE, 1, STEP), ONE, "one micro-credit up is less than the rate can show");
        equal(FloatingRate.rateDown(ONE, -1, STEP), ONE - 1, "one down rounds down");
    }

    function test_NeverBelowEightAndNeverTooLarge() public pure {
        equal(FloatingRate.rateDown(0, 0, 1), 8, "of nothing");
        equal(FloatingRate.rateDown(128, -4, 1), 8, "an eighth of it is a unit, at the lower end");
        equal(FloatingRate.rateDown(127, -4, 1), 8, "the smallest, at the lower end");
        equal(FloatingRate.rateDown(type(uint64).max, 4, 1), type(uint64).max, "the largest, at the upper end");
        uint64 largest = type(uint64).max;
        equal(FloatingRate.rateDown(largest, 4 * int256(uint256(largest)), largest), largest, "with the largest step");
    }

    function test_OneMoveIsBoundedBothWays() public pure {
        int256 bound = int256(uint256(STEP)) * 2_850_860 / 2 ** 24;
        isTrue(FloatingRate.excessAfter(0, STEP, type(uint64).max, 0) == bound, "up");
        isTrue(FloatingRate.excessAfter(0, STEP, 0, type(uint64).max) == -bound, "down");
        equal(FloatingRate.rateDown(ONE, bound, STEP), 18_874_360, "12.5 % up would be 18 874 368");
        equal(FloatingRate.rateDown(ONE, -bound, STEP), 14_913_086, "11.1 % down would be 14 913 080");
    }

    /// @dev floor(9 / 8) and ceil(7 / 8) of a rate, by hand.
    function test_AMoveStopsAtAnEighth() public pure {
        equal(FloatingRate.boundedMove(1000, 1126), 1125, "up");
        equal(FloatingRate.boundedMove(1000, 1125), 1125, "all the way up");
        equal(FloatingRate.boundedMove(1000, 874), 875, "down");
        equal(FloatingRate.boundedMove(1000, 875), 875, "all the way down");
        equal(FloatingRate.boundedMove(1000, 1000), 1000, "stays");
        equal(FloatingRate.boundedMove(15, 17), 16, "an eighth of 15 is 1 and a part");
        equal(FloatingRate.boundedMove(8, 9), 9, "the least rate moves up");
        equal(FloatingRate.boundedMove(1, 2), 1, "a smaller one does not move");
        equal(FloatingRate.boundedMove(0, 8), 0, "nothing neither");
        equal(FloatingRate.boundedMove(type(uint64).max - 1, type(uint64).max), type(uint64).max, "the largest");
    }

    /// @dev The least step is the first whose bound of a move is a whole micro-credit.
    function test_TheLeastStepMoves() public pure {
        uint64 least = FloatingRate.MIN_STEP;
        isTrue(FloatingRate.excessAfter(0, least, type(uint64).max, 0) == 1, "the least step");
        isTrue(FloatingRate.excessAfter(0, least - 1, type(uint64).max, 0) == 0, "one below it");
    }

    function testFuzz_NoDriftWhereDemandIsSupply(int256 excess, uint64 step, uint128 both) public pure {
        (step, excess) = _state(step, excess);
        isTrue(FloatingRate.excessAfter(excess, step, both, both) == excess, "the excess stays");
    }

    function testFuzz_TheExcessStaysWithinItsBounds(int256 excess, uint64 step, uint128 demand, uint128 supply)
        public
        pure
    {
        (step, excess) = _state(step, excess);
        int256 afterwards = FloatingRate.excessAfter(excess, step, demand, supply);
        int256 bound = 4 * int256(uint256(step));
        isTrue(afterwards >= -bound && afterwards <= bound, "within four steps");
        isTrue(demand < supply || afterwards >= excess, "more demand never lowers it");
        isTrue(demand > supply || afterwards <= excess, "more supply never raises it");
    }

    function testFuzz_OneMoveIsAtMostAnEighth(int256 excess, uint64 step, uint64 base, uint128 demand, uint128 supply)
        public
        pure
    {
        (step, excess) = _state(step, excess);
        uint64 before = FloatingRate.rateDown(base, excess, step);
        uint64 target = FloatingRate.rateDown(base, FloatingRate.excessAfter(excess, step, demand, supply), step);
        uint256 afterwards = FloatingRate.boundedMove(before, target);
        atMost(8 * afterwards, 9 * uint256(before), "up");
        atMost(7 * uint256(before), 8 * afterwards, "down");
        // Where a unit is little, the bound on the excess is the bound on the rate: nothing is left to cut off.
        if (before >= 2 ** 23 && target >= 2 ** 23) equal(afterwards, target, "cut off");
    }

    function testFuzz_MoreExcessNeverLowersTheRate(int256 a, int256 b, uint64 step, uint64 base) public pure {
        (step, a) = _state(step, a);
        (, b) = _state(step, b);
        (int256 low, int256 high) = a < b ? (a, b) : (b, a);
        atMost(FloatingRate.rateDown(base, low, step), FloatingRate.rateDown(base, high, step), "rate");
    }

    function testFuzz_TheRateStaysWithinSixteenTimes(int256 excess, uint64 step, uint64 base) public pure {
        (step, excess) = _state(step, excess);
        uint256 rate = FloatingRate.rateDown(base, excess, step);
        uint256 upper = 16 * uint256(base);
        atMost(rate, upper < 8 ? 8 : upper, "rate");
        atMost(uint256(base) / 16, rate, "sixteenth");
        atMost(8, rate, "the least");
    }

    /// @dev Any step but 0, and any excess within four of it.
    function _state(uint64 step, int256 excess) private pure returns (uint64, int256) {
        if (step == 0) step = 1;
        int256 bound = 4 * int256(uint256(step));
        return (step, excess % (bound + 1));
    }
}
