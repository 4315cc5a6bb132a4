// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ShareMath} from "./ShareMath.sol";

/// @title AdaptiveRate: what borrowing costs, and how that price finds its level
/// @notice The rate follows the pool's utilisation `u` along two straight lines: `rateAtTarget / 4` at u = 0,
/// `rateAtTarget` at the target of 90 %, `4 * rateAtTarget` at 100 %. The rate at target itself moves: how far u is from
/// the target, as a part of the way to the end on its side, is the error, in [-1, 1]; over `dt` seconds the rate at
/// target is multiplied by `exp(50 / year * error * dt)`. At full error it doubles or halves in five days.
///
/// All numbers are unsigned and scaled by 1e18 (WAD), rates are per second; the side of the target is a branch.
/// @dev What is approximated, and how far it can be off:
/// - `expDown(x)` is never above `e^x` and short of it by less than 0.062 % (and 1e-17).
/// - The rate at target is rounded toward where it was, so that short steps do not push it to one side. A falling rate
///   divides by `expDown`: it ends at most 0.062 % above the exact one.
/// - The mean over a period weighs start, middle and end as 1 : 2 : 1. The exponential is convex: the mean is above the
///   exact one, for exponents up to 1 (a week at full error) by less than 2.2 %, for longer silence by more, yet never
///   above the larger of start and end.
/// - `growthDown(x)` is never above `e^x - 1` and short of it by less than `x^4 / 24 * e^x` (and 3e-18) up to the cap.
library AdaptiveRate {
    using ShareMath for uint256;

    /// @notice 1.0.
    uint256 internal constant WAD = 1e18;

    /// @notice The utilisation the rate steers to: 90 %.
    uint256 internal constant TARGET = 0.9e18;

    /// @notice Rate at full utilisation over rate at target, and rate at target over rate of an idle pool.
    uint256 internal constant STEEPNESS = 4;

    /// @notice Exponent a second adds at full error: 50 per year.
    uint256 internal constant ADAPTATION_PER_SECOND = 50e18 / uint256(365 days);

    /// @notice Lowest rate at target: 0.1 % a year.
    uint256 internal constant MIN_RATE_AT_TARGET = 0.001e18 / uint256(365 days);

    /// @notice Highest rate at target: 200 % a year.
    uint256 internal constant MAX_RATE_AT_TARGET = 2e18 / uint256(365 days);

    /// @notice Exponents are cut here. For adapting nothing is lost: e^8 is more than the highest rate at target over the
    /// lowest. For growth it is a year at the highest rate there can be (4 * 200 %): who leaves a pool alone for longer is
    /// not charged for the rest. Without a cap a clock that jumps far would overflow and lock the pool.
    uint256 internal constant MAX_EXPONENT = 8e18;

    /// @dev ln 2 rounded up, so that dividing by it rounds down.
    uint256 private constant LN_2_UP = 693147180559945310;

    /// @dev The cubic `1 + A f + B f^2 + C f^3` that meets `2^f` in value and slope at f = 0 and at f = 1: A = ln 2,
    /// B = 3 - 4 ln 2, C = 3 ln 2 - 2. Between, `2^f` is above it by `f^2 (1 - f)^2 / 24` times its fourth derivative.
    uint256 private constant A = 693147180559945309;
    uint256 private constant B = 3e18 - 4 * A;
    uint256 private constant C = 3 * A - 2e18;

    /// @notice Part of the pool that is lent out, rounded down; 0 for an empty pool.
    function utilisationDown(uint256 debt, uint256 cash) internal pure returns (uint256) {
        return debt == 0 ? 0 : debt.mulDivDown(WAD, debt + cash);
    }

    /// @notice Interest per second, rounded down.
    /// @param rateAtTarget Per second.
    /// @param utilisation At most WAD.
    function borrowRateDown(uint256 rateAtTarget, uint256 utilisation) internal pure returns (uint256) {
        (bool above, uint256 err) = _errorDown(utilisation);
        if (above) return rateAtTarget + (rateAtTarget * (STEEPNESS - 1)).mulDivDown(err, WAD);
        return rateAtTarget - (rateAtTarget * (STEEPNESS - 1)).mulDivUp(err, STEEPNESS * WAD);
    }

    /// @notice Moves the rate at target over a period of constant utilisation.
    /// @param rateAtTarget At its start, within the bounds.
    /// @param utilisation At most WAD.
    /// @param dt Seconds, below 2^64.
    /// @return mean Its mean over the period, rounded down.
    /// @return end At its end.
    function adapt(uint256 rateAtTarget, uint256 utilisation, uint256 dt)
        internal
        pure
        returns (uint256 mean, uint256 end)
    {
        (bool above, uint256 err) = _errorDown(utilisation);
        uint256 exponent = ADAPTATION_PER_SECOND.mulDivDown(err * dt, WAD);
        if (exponent > MAX_EXPONENT) exponent = MAX_EXPONENT;
        uint256 middle = _moved(rateAtTarget, above, exponent / 2);
        end = _moved(rateAtTarget, above, exponent);
        // Safe unchecked: all three are within the bounds.
        unchecked {
            mean = (rateAtTarget + 2 * middle + end) / 4;
        }
    }

    /// @notice What a debt of 1 grows by at a rate over a period: `x + x^2 / 2 + x^3 / 6` of `x = rate * dt`, at most
    /// `MAX_EXPONENT`, each term rounded down.
    /// @param rate Per second.
    /// @param dt Seconds.
    function growthDown(uint256 rate, uint256 dt) internal pure returns (uint256) {
        uint256 x = rate * dt;
        if (x > MAX_EXPONENT) x = MAX_EXPONENT;
        // Safe unchecked: x^3 is below 2^190.
        unchecked {
            return x + x * x / (2 * WAD) + x * x * x / (6 * WAD * WAD);
        }
    }

    /// @notice `e^x`, rounded down: `2^(x / ln 2)`, whole powers by a shift, the fraction by a cubic.
    /// @param x At most 100 WAD.
    function expDown(uint256 x) internal pure returns (uint256) {
        // Safe unchecked: x is below 2^67 and f below WAD.
        unchecked {
            uint256 power = x * WAD / LN_2_UP;
            uint256 f = power % WAD;
            uint256 cubic = WAD + f * (A + f * (B + f * C / WAD) / WAD) / WAD;
            return cubic << (power / WAD);
        }
    }

    /// @dev How far the utilisation is from the target, as a part of the way to the end on its side, rounded down.
    function _errorDown(uint256 utilisation) private pure returns (bool above, uint256 err) {
        above = utilisation > TARGET;
        err = above
            ? (utilisation - TARGET).mulDivDown(WAD, WAD - TARGET)
            : (TARGET - utilisation).mulDivDown(WAD, TARGET);
    }

    /// @dev A rate at target after an exponent, rounded toward where it was, within the bounds.
    function _moved(uint256 rateAtTarget, bool above, uint256 exponent) private pure returns (uint256 moved) {
        if (above) {
            moved = rateAtTarget.mulDivDown(expDown(exponent), WAD);
            if (moved > MAX_RATE_AT_TARGET) moved = MAX_RATE_AT_TARGET;
        } else {
            moved = rateAtTarget.mulDivUp(WAD, expDown(exponent));
            if (moved < MIN_RATE_AT_TARGET) moved = MIN_RATE_AT_TARGET;
        }
    }
}
