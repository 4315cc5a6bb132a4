// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IPausing} from "../interfaces/IPausing.sol";

/// @title Pausing: see `IPausing`
abstract contract Pausing is IPausing {
    /// @dev Shares a slot with the manager's address, where this is inherited right after `AccessManaged`.
    uint64 private _pauses;

    /// @inheritdoc IPausing
    function pauses() external view returns (uint256) {
        return _pauses;
    }

    /// @dev Counts a pause and returns its number.
    function _nextPause() internal returns (uint256) {
        return ++_pauses;
    }

    /// @dev Reverts with `WrongPause` unless it is the latest one's number.
    function _requireLatest(uint256 pause) internal view {
        require(pause == _pauses, WrongPause(pause, _pauses));
    }
}
