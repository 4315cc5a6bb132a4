// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Decay: how much an act of some age still weighs
/// @notice The weight is `exp(-age / tau)`, computed as `2^-x` with integers only, so that every machine gets the same
/// number. `x` is the age in half-lives as a Q24 fixed-point number: `n` whole half-lives and 24 fraction bits.
/// The fraction is a product of at most 24 constants, one per set bit; whole half-lives are a shift.
/// @dev Rounds down at every multiplication. The order of the multiplications is part of the definition: the upper
/// twelve bits are multiplied from the most significant one down, then the lower twelve, then both halves together.
library Decay {
    /// @notice The weight of a fresh act: 1.0 in Q31.
    uint256 internal constant ONE_Q31 = 2 ** 31;

    /// @dev From this product of age and decay constant on (2^30 in Q24: 64 half-lives) the weight is zero.
    uint256 internal constant PRODUCT_END = 2 ** 62;

    /// @dev `round(2^31 * 2^(-2^-k))` for k = 1 .. 12, four bytes each: the factor for bit 12 - k of the upper half.
    bytes internal constant UPPER_FACTORS =
        hex"5a82799a6ba27e65756063747a92be8b7d41d96e7e9f06067f4f08ae7fa765ad7fd3ab297fe9d3a97ff4e9597ffa748e";

    /// @dev `round(2^31 * 2^(-2^-k))` for k = 13 .. 24, four bytes each: the factor for bit 24 - k of the lower half.
    bytes internal constant LOWER_FACTORS =
        hex"7ffd3a3f7ffe9d1e7fff4e8e7fffa7477fffd3a47fffe9d27ffff4e97ffffa747ffffd3a7ffffe9d7fffff4f7fffffa7";

    /// @notice Weight of an act, rounded down.
    /// @param ageMs Age in milliseconds.
    /// @param decayK The policy's decay constant: `round(2^56 / (tauMs * ln 2))`.
    /// @return Weight in Q31: 2^31 is 1.0, the weight of age 0.
    function weightDown(uint48 ageMs, uint64 decayK) internal pure returns (uint256) {
        uint256 product = uint256(ageMs) * decayK;
        if (product >= PRODUCT_END) return 0;

        uint256 halfLivesQ24 = product >> 32;
        uint256 upper = _productDown(UPPER_FACTORS, (halfLivesQ24 >> 12) & 4095);
        uint256 lower = _productDown(LOWER_FACTORS, halfLivesQ24 & 4095);
        return ((upper * lower) >> 31) >> (halfLivesQ24 >> 24);
    }

    /// @dev Product of the factors whose bit is set, most significant bit first.
    function _productDown(bytes memory factors, uint256 bits) private pure returns (uint256 product) {
        product = ONE_Q31;
        for (uint256 i; i < 12; ++i) {
            // forge-lint: disable-next-line(incorrect-shift)
            if (bits & (2048 >> i) != 0) product = (product * _factor(factors, i)) >> 31;
        }
    }

    /// @dev The i-th four-byte number.
    function _factor(bytes memory factors, uint256 i) private pure returns (uint256) {
        uint256 at = 4 * i;
        return (uint256(uint8(factors[at])) << 24) | (uint256(uint8(factors[at + 1])) << 16)
            | (uint256(uint8(factors[at + 2])) << 8) | uint256(uint8(factors[at + 3]));
    }
}
