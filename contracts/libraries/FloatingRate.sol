// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Decay} from "./Decay.sol";

/// @title FloatingRate: what a unit of value mints, when spending decides it
/// @notice One number of state, the excess: by how many micro-credits more was spent than minted since the float was
/// set. The rate is `base * 2^(excess / step)`. While members spend more than epochs mint, the rate rises and epochs mint
/// more; while they spend less, it falls. Under a constant demand it settles where an epoch mints what is spent; under a
/// demand that equals the supply the excess does not change by one unit, so the rate has no drift of its own.
///
/// Two bounds, whatever the demand: one epoch moves the rate by at most an eighth of what it was, in whole units of 2^-24,
/// and the rate stays within four doublings and four halvings of its base. Of the excess, what a bound cuts off is
/// forgotten, not owed. Where the rate is so small that a unit is much of it, it lags behind its power by the units that
/// the eighth cut off, and comes up with it in later epochs. A rate below 8 has no whole unit in its eighth: it stays as it
/// is, and no other rate falls below 8.
/// @dev With the decay's own power of two, so the same integers everywhere. The settling is stable while an epoch's
/// demand is below `2 / ln 2 = 2.9` steps; above, the rate goes up and down by less than one bounded move.
library FloatingRate {
    /// @notice The rate stays within this many doublings, and halvings, of its base: between 1/16 and 16 times.
    uint256 internal constant MAX_DOUBLINGS = 4;

    /// @notice The part of a step an excess moves by at most, in Q24: `log2(9/8) = 0.169925`, so that the rate moves by
    /// at most 12.5 %. Eight units below `floor(2^24 * log2(9/8)) = 2850868`: they outweigh all roundings of the power,
    /// except that of the rate to a whole number, which `boundedMove` cuts off.
    uint256 internal constant MAX_MOVE_Q24 = 2_850_860;

    /// @notice The least step at which an excess can move: `ceil(2^24 / MAX_MOVE_Q24)` micro-credits. Of a smaller one the
    /// bound of a move rounds down to nothing, however much is spent.
    uint64 internal constant MIN_STEP = 6;

    /// @notice No rate falls below this: the least of which an eighth is a whole unit, so that it can rise again.
    uint64 internal constant MIN_RATE_Q24 = 8;

    /// @dev `2^-x` as a decay: with this constant an age counts units of 2^-24 half-lives.
    uint64 private constant UNIT_DECAY_K = 2 ** 32;

    /// @notice The excess after an epoch. The bounds round toward no change.
    /// @param excess Micro-credits, within four steps of 0.
    /// @param step Micro-credits of excess that double the rate; not 0.
    /// @param demand Micro-credits spent since the last epoch; below 2^128.
    /// @param supply Micro-credits minted by this epoch; below 2^128.
    function excessAfter(int256 excess, uint64 step, uint256 demand, uint256 supply) internal pure returns (int256) {
        // Safe unchecked casts and sums because no term reaches 2^130.
        // forge-lint: disable-start(unsafe-typecast)
        unchecked {
            int256 move = _clamp(int256(demand) - int256(supply), int256((step * MAX_MOVE_Q24) >> 24));
            return _clamp(excess + move, int256(MAX_DOUBLINGS * step));
        }
        // forge-lint: disable-end(unsafe-typecast)
    }

    /// @notice `base * 2^(excess / step)`, rounded down, but at least `MIN_RATE_Q24` and at most what fits.
    /// @param baseRateQ24 The rate at an excess of 0, micro-credits per micro-value, 2^24 = 1.0.
    /// @param excess Micro-credits, within four steps of 0.
    /// @param step Micro-credits of excess that double the rate; not 0.
    function rateDown(uint64 baseRateQ24, int256 excess, uint64 step) internal pure returns (uint64) {
        // Safe unchecked casts and sums: with the four steps it can be below 0 the excess is 0 to eight steps, less than
        // 2^67, so that the division rounds down; x is 0 to 1 in Q24, and the product is less than 2^96.
        // forge-lint: disable-start(unsafe-typecast)
        unchecked {
            uint256 above = uint256(excess) + MAX_DOUBLINGS * step;
            // 2^(above / step) = 2^doublings * 2^-x.
            uint256 doublings = (above + step - 1) / step;
            uint256 x = (doublings << 24) - (above << 24) / step;
            uint256 weightQ31 = Decay.weightDown(uint48(x), UNIT_DECAY_K);
            uint256 rate = (baseRateQ24 * weightQ31) >> (31 + MAX_DOUBLINGS - doublings);
            if (rate < MIN_RATE_Q24) return MIN_RATE_Q24;
            return rate > type(uint64).max ? type(uint64).max : uint64(rate);
        }
        // forge-lint: disable-end(unsafe-typecast)
    }

    /// @notice The rate after an epoch: as far toward `targetQ24` as an eighth of the rate before it reaches. Rounds toward
    /// no change.
    /// @param rateQ24 The rate before the epoch.
    /// @param targetQ24 What `rateDown` says after it.
    function boundedMove(uint64 rateQ24, uint64 targetQ24) internal pure returns (uint64) {
        uint64 eighth = rateQ24 / 8;
        // Safe unchecked: each difference and sum is between the two rates.
        unchecked {
            if (targetQ24 > rateQ24) return targetQ24 - rateQ24 > eighth ? rateQ24 + eighth : targetQ24;
            return rateQ24 - targetQ24 > eighth ? rateQ24 - eighth : targetQ24;
        }
    }

    /// @dev Within `limit` of 0.
    function _clamp(int256 number, int256 limit) private pure returns (int256) {
        if (number > limit) return limit;
        return number < -limit ? -limit : number;
    }
}
