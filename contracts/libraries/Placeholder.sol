// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Placeholder: addresses of members who have no wallet yet
/// @notice A placeholder is the eight ASCII bytes "timebank" followed by twelve bytes of a hash of the member's outside
/// id. Nobody holds its key: finding one for a chosen prefix of 64 bits does not give the twelve hashed bytes.
library Placeholder {
    /// @dev "timebank" in ASCII.
    bytes8 internal constant PREFIX = 0x74696d6562616e6b;

    /// @notice Whether an address is a placeholder, by its prefix alone.
    function isPlaceholder(address account) internal pure returns (bool) {
        return bytes8(bytes20(account)) == PREFIX;
    }
}
