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

    function test_NeverZeroAndNeverTooLarge() public pure {
        equal(FloatingRate.rateDown(0, 0, 1), 1, "of nothing");
        equal(FloatingRate.rateDown(1, -4, 1), 1, "the smallest, at the lower end");
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
        uint256 before = FloatingRate.rateDown(base, excess, step);
        uint256 afterwards = FloatingRate.rateDown(base, FloatingRate.excessAfter(excess, step, demand, supply), step);
        // One unit more because the rate is a whole number: it shows only where the rate is small.
        atMost(8 * afterwards, 9 * before + 9, "up");
        atMost(8 * before, 9 * afterwards + 9, "down");
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
        atMost(rate, upper == 0 ? 1 : upper, "rate");
        atMost(uint256(base) / 16, rate, "sixteenth");
        atMost(1, rate, "one");
    }

    /// @dev Any step but 0, and any excess within four of it.
    function _state(uint64 step, int256 excess) private pure returns (uint64, int256) {
        if (step == 0) step = 1;
        int256 bound = 4 * int256(uint256(step));
        return (step, excess % (bound + 1));
    }
}
