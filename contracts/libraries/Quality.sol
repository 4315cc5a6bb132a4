// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Knot} from "./Policy.sol";

/// @title Quality: from recorded indicators to the value of one act
/// @notice indicator -> rank (piecewise linear) -> quality (product of three ranks) -> incentive bands -> value (times
/// the decay weight). Ranks are thousandths, everything later is millionths.
/// @dev Every division rounds toward minus infinity, as `//` does in the Python specification.
library Quality {
    /// @notice Rank of a raw indicator, rounded toward minus infinity between knots.
    /// @dev Below the first knot the first rank holds, above the last knot the last one. Falling segments are allowed.
    /// @param knots At least one, ascending by `rawMilli`.
    /// @param rawMilli Recorded indicator in thousandths.
    /// @return Rank in thousandths.
    function rankDown(Knot[] memory knots, uint32 rawMilli) internal pure returns (uint256) {
        if (rawMilli <= knots[0].rawMilli) return knots[0].rankMilli;
        for (uint256 i = 1; i < knots.length; ++i) {
            if (rawMilli < knots[i].rawMilli) return _betweenDown(knots[i - 1], knots[i], rawMilli);
        }
        return knots[knots.length - 1].rankMilli;
    }

    /// @notice Quality S of three ranks, rounded down.
    /// @return Micro-value, at most 1e9 for ranks of at most 10 000.
    function qualityDown(uint256 interactionRank, uint256 originalityScore, uint256 engagementLevel)
        internal
        pure
        returns (uint256)
    {
        return interactionRank * originalityScore * engagementLevel / 1000;
    }

    /// @notice Quality after the incentive bands.
    /// @dev The bonus rounds down, and so does the size of the penalty: both keep the result nearer to zero.
    /// @param quality Micro-value.
    /// @param low Below this the act costs its author; 0 for no penalty.
    /// @param high From this on the act earns the bonus; 0 for no bonus.
    /// @return Micro-value, negative for a penalty.
    function incentiveTowardZero(uint256 quality, uint32 low, uint32 high, uint16 bonusMilli, uint16 penaltyMilli)
        internal
        pure
        returns (int256)
    {
        // Safe casts because a quality and its factors are far below 2^255.
        // forge-lint: disable-next-line(unsafe-typecast)
        if (high > 0 && quality >= high) return int256(quality * bonusMilli / 1000);
        // forge-lint: disable-next-line(unsafe-typecast)
        if (quality < low) return -int256((low - quality) * penaltyMilli / 1000);
        // forge-lint: disable-next-line(unsafe-typecast)
        return int256(quality);
    }

    /// @notice Value of the act at the epoch's end, rounded toward minus infinity.
    /// @param effectiveQuality Quality after the incentive bands, micro-value.
    /// @param weightQ31 Decay weight, 2^31 = 1.0.
    /// @return Micro-value.
    function valueDown(int256 effectiveQuality, uint256 weightQ31) internal pure returns (int256) {
        // The right shift of a signed integer is arithmetic: it rounds toward minus infinity. A weight is at most 2^31.
        // forge-lint: disable-next-line(unsafe-typecast)
        return (effectiveQuality * int256(weightQ31)) >> 31;
    }

    /// @dev Linear interpolation on a segment, floored also when it falls.
    function _betweenDown(Knot memory from, Knot memory to, uint32 rawMilli) private pure returns (uint256) {
        uint256 step = rawMilli - from.rawMilli;
        uint256 width = to.rawMilli - from.rawMilli;
        if (to.rankMilli >= from.rankMilli) {
            return from.rankMilli + step * (to.rankMilli - from.rankMilli) / width;
        }
        // Subtracting the rounded-up fall is the floor of the falling line.
        uint256 fall = step * (from.rankMilli - to.rankMilli);
        return from.rankMilli - (fall + width - 1) / width;
    }
}
