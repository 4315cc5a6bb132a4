// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Vm: the part of forge's cheat codes our tests use
/// @dev Written here because no package with forge's own library compiles from npm.
interface Vm {
    /// @notice One emitted event.
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    /// @notice Sets the block's Unix time in seconds.
    function warp(uint256 timestamp) external;

    /// @notice Sets the block's number.
    function roll(uint256 number) external;

    /// @notice The block's number; see `getBlockTimestamp`.
    function getBlockNumber() external view returns (uint256);

    /// @notice Sets the chain's id.
    function chainId(uint256 id) external;

    /// @notice The block's Unix time in seconds. After `warp` in the same function only this is sure: the compiler may
    /// take `block.timestamp` for a constant.
    function getBlockTimestamp() external view returns (uint256);

    /// @notice Makes the next call come from an address.
    function prank(address caller) external;

    /// @notice Sets an address's wei.
    function deal(address account, uint256 balance) external;

    /// @notice Sets an address's code.
    function etch(address account, bytes calldata code) external;

    /// @notice The next call must revert with exactly this data.
    function expectRevert(bytes calldata data) external;

    /// @notice The next call must revert with this selector.
    function expectPartialRevert(bytes4 selector) external;

    /// @notice The next call must emit the event that follows, topics and data.
    function expectEmit() external;

    /// @notice Keeps the events from here on.
    function recordLogs() external;

    /// @notice The events kept, which are then forgotten.
    function getRecordedLogs() external returns (Log[] memory);

    /// @notice Creation code in an artifact's file.
    function getCode(string calldata path) external view returns (bytes memory);

    /// @notice Text at a key of a JSON document.
    function parseJsonString(string calldata json, string calldata key) external pure returns (string memory);

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

    /// @dev Creates a contract from its shipped artifact. So these tests run the code that is deployed, and can themselves be
    /// compiled the quick way; what the artifacts are made of is compared elsewhere.
    function ship(string memory name, bytes memory arguments) internal returns (address created) {
        bytes memory code = vm.getCode(string.concat("../timebank_chain/artifacts/", name, ".json"));
        code = abi.encodePacked(code, arguments);
        assembly ("memory-safe") {
            created := create(0, add(code, 0x20), mload(code))
            if iszero(created) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }

    /// @dev Folds a fuzzed number into a range, both ends included.
    function within(uint256 number, uint256 low, uint256 high) internal pure returns (uint256) {
        return low + number % (high - low + 1);
    }
}
