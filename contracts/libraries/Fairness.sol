// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Bracket} from "./Policy.sol";

/// @title Fairness: from the value an account earned to the credits it may claim
/// @notice What lies far above the epoch's mean counts for less: progressive brackets, like an income tax.
/// @dev Rounds down in every bracket and in both terms of the mint, so that the sum of all mints never exceeds
/// `(totalEarned * rate >> 24) + pot`.
library Fairness {
    /// @notice Mean earned value of the active accounts, rounded down; 0 when nobody earned.
    function meanDown(uint256 totalEarned, uint256 activeCount) internal pure returns (uint256) {
        return activeCount == 0 ? 0 : totalEarned / activeCount;
    }

    /// @notice Value that counts, rounded down per bracket.
    /// @param earned Micro-value.
    /// @param mean Mean earned value of the epoch's active accounts, micro-value.
    /// @param brackets Ascending, the first from 0.
    /// @return counted Micro-value, at most `earned` for slopes of at most 1000.
    function phiDown(uint256 earned, uint256 mean, Bracket[] memory brackets) internal pure returns (uint256 counted) {
        for (uint256 k; k < brackets.length; ++k) {
            uint256 lower = mean * brackets[k].fromMultipleMilli / 1000;
            if (earned <= lower) break;
            uint256 upper = earned;
            if (k + 1 < brackets.length) {
                uint256 next = mean * brackets[k + 1].fromMultipleMilli / 1000;
                if (next < upper) upper = next;
            }
            counted += (upper - lower) * brackets[k].slopeMilli / 1000;
        }
    }

    /// @notice Credits an account may claim for an epoch, both terms rounded down.
    /// @param counted Result of `phiDown`, micro-value.
    /// @param rateQ24 Micro-credits per micro-value, 2^24 = 1.0.
    /// @param earned Micro-value of the account.
    /// @param pot Bonus pot of the epoch, micro-credits.
    /// @param totalEarned Micro-value of all accounts.
    /// @return Micro-credits.
    function mintDown(uint256 counted, uint256 rateQ24, uint256 earned, uint256 pot, uint256 totalEarned)
        internal
        pure
        returns (uint256)
    {
        uint256 share = totalEarned == 0 ? 0 : earned * pot / totalEarned;
        return ((counted * rateQ24) >> 24) + share;
    }
}
