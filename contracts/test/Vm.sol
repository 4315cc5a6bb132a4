// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Vm: the part of forge's cheat codes our tests use
/// @dev Written here because no package with forge's own library compiles from npm.
interface Vm {
    /// @notice Sets the block's Unix time in seconds.
    function warp(uint256 timestamp) external;

    /// @notice Makes the next call come from an address.
    function prank(address caller) external;

    /// @notice Sets an address's wei.
    function deal(address account, uint256 balance) external;

    /// @notice The next call must revert with exactly this data.
    function expectRevert(bytes calldata data) external;

    /// @notice The next call must revert with this selector.
    function expectPartialRevert(bytes4 selector) external;

    /// @notice The next call must emit the event that follows, topics and data.
    function expectEmit() external;

    /// @notice Signs a digest.
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);

    /// @notice Address of a key.
    function addr(uint256 key) external pure returns (address);
}

/// @title Checks: assertions that say both values
abstract contract Checks {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @notice forge looks for this flag.
    bool public constant IS_TEST = true;

    error NotEqual(string what, uint256 found, uint256 expected);
    error NotAtMost(string what, uint256 found, uint256 limit);
    error NotTrue(string what);

    function equal(uint256 found, uint256 expected, string memory what) internal pure {
        require(found == expected, NotEqual(what, found, expected));
    }

    function equal(address found, address expected, string memory what) internal pure {
        equal(uint160(found), uint160(expected), what);
    }

    function equal(bytes32 found, bytes32 expected, string memory what) internal pure {
        equal(uint256(found), uint256(expected), what);
    }

    function atMost(uint256 found, uint256 limit, string memory what) internal pure {
        require(found <= limit, NotAtMost(what, found, limit));
    }

    function isTrue(bool condition, string memory what) internal pure {
        require(condition, NotTrue(what));
    }

    /// @dev Folds a fuzzed number into a range, both ends included.
    function within(uint256 number, uint256 low, uint256 high) internal pure returns (uint256) {
        return low + number % (high - low + 1);
    }
}
