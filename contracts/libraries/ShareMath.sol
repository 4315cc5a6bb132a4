// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title ShareMath: between an amount and its shares of a total, with the direction of rounding in the name
/// @notice The total is counted as if one more micro-credit and one million more shares belonged to nobody. So the first
/// share has a price too, the price cannot be driven away from it by who holds few shares, and a share starts at a
/// millionth of a micro-credit: rounding costs little.
/// @dev Inputs are below 2^128 and a total number of shares below 2^127: products fit 256 bits without a check of their
/// own (Solidity reverts beyond).
library ShareMath {
    /// @notice Shares that belong to nobody.
    uint256 internal constant VIRTUAL_SHARES = 1e6;

    /// @notice Micro-credits that belong to nobody.
    uint256 internal constant VIRTUAL_ASSETS = 1;

    /// @notice `a * b / divisor`, rounded down.
    function mulDivDown(uint256 a, uint256 b, uint256 divisor) internal pure returns (uint256) {
        return a * b / divisor;
    }

    /// @notice `a * b / divisor`, rounded up.
    function mulDivUp(uint256 a, uint256 b, uint256 divisor) internal pure returns (uint256) {
        return (a * b + (divisor - 1)) / divisor;
    }

    /// @notice Shares for an amount, rounded down: what a repayment retires.
    function toSharesDown(uint256 assets, uint256 totalAssets, uint256 totalShares) internal pure returns (uint256) {
        return mulDivDown(assets, totalShares + VIRTUAL_SHARES, totalAssets + VIRTUAL_ASSETS);
    }

    /// @notice Shares for an amount, rounded up: what a borrowing owes.
    function toSharesUp(uint256 assets, uint256 totalAssets, uint256 totalShares) internal pure returns (uint256) {
        return mulDivUp(assets, totalShares + VIRTUAL_SHARES, totalAssets + VIRTUAL_ASSETS);
    }

    /// @notice Amount for shares, rounded down: what shares are worth at least.
    function toAssetsDown(uint256 shares, uint256 totalAssets, uint256 totalShares) internal pure returns (uint256) {
        return mulDivDown(shares, totalAssets + VIRTUAL_ASSETS, totalShares + VIRTUAL_SHARES);
    }

    /// @notice Amount for shares, rounded up: what shares of a debt owe. Never 0 for a share: nothing is forgiven.
    function toAssetsUp(uint256 shares, uint256 totalAssets, uint256 totalShares) internal pure returns (uint256) {
        return mulDivUp(shares, totalAssets + VIRTUAL_ASSETS, totalShares + VIRTUAL_SHARES);
    }
}
