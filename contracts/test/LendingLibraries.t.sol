// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AdaptiveRate} from "../libraries/AdaptiveRate.sol";
import {ShareMath} from "../libraries/ShareMath.sol";
import {Checks} from "./Vm.sol";

/// @title LendingLibrariesTest: properties of the pool's arithmetic, for any input
/// @dev How far the approximations are from the exact numbers is measured in tests/spec/test_adaptive_rate.py, and that
/// Python and Solidity agree in tests/parity.
contract LendingLibrariesTest is Checks {
    uint256 private constant WAD = 1e18;
    uint256 private constant YEAR = 365 days;

    /* SHARES */

    function testFuzz_RoundingGoesWhereTheNameSays(uint64 assets, uint80 total, uint96 shares) public pure {
        uint256 down = ShareMath.toSharesDown(assets, total, shares);
        uint256 up = ShareMath.toSharesUp(assets, total, shares);
        atMost(down, up, "shares rounded down");
        atMost(up, down + 1, "shares rounded up");
        atMost(ShareMath.toAssetsDown(down, total, shares), assets, "assets of shares rounded down");
        atMost(assets, ShareMath.toAssetsUp(up, total, shares), "assets of shares rounded up");
        atMost(
            ShareMath.toAssetsDown(up, total, shares), ShareMath.toAssetsUp(up, total, shares), "assets rounded down"
        );
    }

    function testFuzz_AShareOfADebtNeverOwesNothing(uint96 owned, uint80 total, uint96 shares) public pure {
        if (owned != 0) atMost(1, ShareMath.toAssetsUp(owned, total, shares), "owed");
    }

    function testFuzz_APartOfADebtNeverRetiresAllShares(uint96 owned, uint96 others, uint80 total, uint80 part)
        public
        pure
    {
        if (owned == 0) return;
        uint256 shares = uint256(owned) + others;
        uint256 debt = ShareMath.toAssetsUp(owned, total, shares);
        if (debt < 2) return;
        part = uint80(within(part, 1, debt - 1 < type(uint80).max ? debt - 1 : type(uint80).max));
        atMost(ShareMath.toSharesDown(part, total, shares) + 1, owned, "shares retired by a part");
    }

    function test_TheFirstShareIsAMillionthOfAMicroCredit() public pure {
        equal(ShareMath.toSharesUp(7, 0, 0), 7e6, "shares of the first debt");
        equal(ShareMath.toAssetsUp(7e6, 7, 7e6), 7, "owed");
    }

    /* THE CURVE */

    function testFuzz_TheCurvePassesThroughItsThreePoints(uint64 rate) public pure {
        uint256 atTarget = _rate(rate);
        equal(AdaptiveRate.borrowRateDown(atTarget, AdaptiveRate.TARGET), atTarget, "rate at target");
        equal(AdaptiveRate.borrowRateDown(atTarget, WAD), 4 * atTarget, "rate at full utilisation");
        equal(AdaptiveRate.borrowRateDown(atTarget, 0), atTarget / 4, "rate of an idle pool");
    }

    function testFuzz_MoreUtilisationNeverCostsLess(uint64 rate, uint64 u, uint64 v) public pure {
        (uint256 low, uint256 high) = _ordered(u % (WAD + 1), v % (WAD + 1));
        uint256 atTarget = _rate(rate);
        uint256 cheap = AdaptiveRate.borrowRateDown(atTarget, low);
        atMost(cheap, AdaptiveRate.borrowRateDown(atTarget, high), "rate at less utilisation");
        atMost(atTarget / 4, cheap, "a quarter of the rate at target");
    }

    function testFuzz_UtilisationIsAPart(uint80 debt, uint80 cash) public pure {
        uint256 u = AdaptiveRate.utilisationDown(debt, cash);
        atMost(u, WAD, "utilisation");
        if (debt == 0) equal(u, 0, "utilisation without debt");
        else if (cash == 0) equal(u, WAD, "utilisation without cash");
    }

    /* ADAPTATION */

    function testFuzz_AdaptingStaysBetweenItsEndsAndBounds(uint64 rate, uint64 u, uint64 dt) public pure {
        uint256 start = _rate(rate);
        uint256 used = u % (WAD + 1);
        (uint256 mean, uint256 end) = AdaptiveRate.adapt(start, used, dt);
        atMost(AdaptiveRate.MIN_RATE_AT_TARGET, end, "lowest rate");
        atMost(end, AdaptiveRate.MAX_RATE_AT_TARGET, "rate at the end");
        if (used > AdaptiveRate.TARGET) atMost(start, end, "start of a rise");
        else atMost(end, start, "end of a fall");
        (uint256 low, uint256 high) = _ordered(start, end);
        atMost(low, mean + 1, "lower end");
        atMost(mean, high, "mean");
    }

    function testFuzz_LongerMovesFurther(uint64 rate, uint64 u, uint32 a, uint32 b) public pure {
        (uint256 short, uint256 long) = _ordered(a, b);
        uint256 start = _rate(rate);
        uint256 used = u % (WAD + 1);
        (, uint256 near) = AdaptiveRate.adapt(start, used, short);
        (, uint256 far) = AdaptiveRate.adapt(start, used, long);
        if (used > AdaptiveRate.TARGET) atMost(near, far, "rise in less time");
        else atMost(far, near, "fall in more time");
    }

    function testFuzz_NothingMovesAtTheTargetOrInNoTime(uint64 rate, uint64 u, uint32 dt) public pure {
        uint256 start = _rate(rate);
        (uint256 mean, uint256 end) = AdaptiveRate.adapt(start, AdaptiveRate.TARGET, dt);
        equal(end, start, "rate at the target");
        equal(mean, start, "mean at the target");
        (mean, end) = AdaptiveRate.adapt(start, u % (WAD + 1), 0);
        equal(end, start, "rate after no time");
        equal(mean, start, "mean of no time");
    }

    function test_FiveDaysDoubleAndHalve() public pure {
        uint256 start = 0.04e18 / YEAR;
        (, uint256 end) = AdaptiveRate.adapt(start, WAD, 5 days);
        atMost(19 * start / 10, end, "1.9 times");
        atMost(end, 2 * start, "twice");
        (, end) = AdaptiveRate.adapt(start, 0, 5 days);
        atMost(start / 2, end, "half");
        atMost(end, 11 * start / 20, "0.55 times");
    }

    /* EXPONENTIAL AND GROWTH */

    function testFuzz_TheExponentialNeverFalls(uint64 x, uint64 y) public pure {
        (uint256 low, uint256 high) = _ordered(x, y);
        atMost(AdaptiveRate.expDown(low), AdaptiveRate.expDown(high), "e to the smaller");
        // The tangent at 0 is below the exponential by more than the stated error once x is above 0.04.
        if (low > 0.04e18) atMost(WAD + low, AdaptiveRate.expDown(low), "1 + x");
    }

    function test_TheExponentialAtWholePowersOfTwo() public pure {
        equal(AdaptiveRate.expDown(0), WAD, "e^0");
        for (uint256 power = 1; power < 12; ++power) {
            // 2^power, one unit before and one after the seam of two pieces.
            uint256 x = power * 693147180559945309;
            uint256 exact = WAD * 2 ** power;
            atMost(AdaptiveRate.expDown(x), exact, "before the seam");
            atMost(exact, AdaptiveRate.expDown(x + power), "after the seam");
        }
    }

    function testFuzz_GrowthStaysBelowTheExponential(uint40 rate, uint32 dt) public pure {
        uint256 x = uint256(rate) * dt;
        if (x > AdaptiveRate.MAX_EXPONENT) x = AdaptiveRate.MAX_EXPONENT;
        uint256 growth = AdaptiveRate.growthDown(rate, dt);
        atMost(x, growth, "simple interest");
        // What expDown may be short of, added back.
        uint256 above = AdaptiveRate.expDown(x);
        atMost(growth + WAD, above + above * 62 / 100_000 + 20, "1 + growth");
    }

    function testFuzz_GrowthNeverFallsAndIsCapped(uint40 rate, uint64 a, uint64 b) public pure {
        (uint256 short, uint256 long) = _ordered(a, b);
        atMost(AdaptiveRate.growthDown(rate, short), AdaptiveRate.growthDown(rate, long), "growth in less time");
        atMost(AdaptiveRate.growthDown(rate, long), AdaptiveRate.growthDown(8e18, 1), "growth");
    }

    function test_AYearAtTheHighestRateIsJustNotCapped() public pure {
        uint256 rate = AdaptiveRate.borrowRateDown(AdaptiveRate.MAX_RATE_AT_TARGET, WAD);
        uint256 year = AdaptiveRate.growthDown(rate, YEAR);
        atMost(year, AdaptiveRate.growthDown(8e18, 1), "a year's growth");
        atMost(AdaptiveRate.growthDown(rate, YEAR - 1), year - 1, "growth in a second less");
        equal(AdaptiveRate.growthDown(rate, 100 * YEAR), AdaptiveRate.growthDown(8e18, 1), "a century's growth");
    }

    function _rate(uint64 seed) private pure returns (uint256) {
        return within(seed, AdaptiveRate.MIN_RATE_AT_TARGET, AdaptiveRate.MAX_RATE_AT_TARGET);
    }

    function _ordered(uint256 a, uint256 b) private pure returns (uint256 low, uint256 high) {
        return a < b ? (a, b) : (b, a);
    }
}
