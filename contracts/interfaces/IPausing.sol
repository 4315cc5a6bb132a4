// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title IPausing: pauses have numbers
/// @notice Whoever resumes says which pause it means. So what was scheduled to end one pause, and kept back, does not end
/// the next: its number is another.
interface IPausing {
    /// @notice The pause that should end is not the latest one.
    error WrongPause(uint256 pause, uint256 current);

    /// @notice How many pauses there have been, each counted that was begun while another lasted: the latest one's number.
    function pauses() external view returns (uint256);
}
