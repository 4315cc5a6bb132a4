// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAttentionCredit} from "./IAttentionCredit.sol";

/// @notice How fees are divided, in hundredths of a percent; together 10 000.
/// @param depositorsBps For those who deposit credits.
/// @param bonusBps For the bonus pots of later epochs.
/// @param reserveBps For losses; also gets what rounding leaves over.
struct FeeSplit {
    uint16 depositorsBps;
    uint16 bonusBps;
    uint16 reserveBps;
}

/// @title IFeePool: every fee, divided between depositors, the bonus pot and the reserve
/// @notice Credits that arrive by any way count as fees at the next `sync`. The bonus account leaves the pool by being
/// burned: the epoch that uses it as its pot grants the same amount to active members through their leaves.
/// @dev After `sync` the three accounts together are the pool's balance. Nobody can withdraw from the pool.
interface IFeePool {
    /// @notice Fees were booked; the three parts together are `amount`.
    event FeesCollected(uint256 amount, uint256 toDepositors, uint256 toBonus, uint256 toReserve);

    /// @notice The pot of an epoch was burned.
    event PotBurned(uint32 indexed epoch, uint256 amount);

    /// @notice Later fees are divided this way.
    event SplitSet(uint256 depositorsBps, uint256 bonusBps, uint256 reserveBps);

    /// @notice Somebody other than the distributor tried to burn.
    error NotDistributor(address caller, address distributor);

    /// @notice An epoch's pot is larger than the bonus account, in micro-credits.
    error InsufficientBonus(uint256 pot, uint256 bonus);

    /// @notice The parts of a split are not 10 000 together.
    error SplitNotWhole(uint256 sumBps);

    /// @notice Books whatever has arrived since the last time. Anybody may call it; without news it does nothing.
    /// @dev The depositors' and the bonus part round down, the rest goes to the reserve. Emits `FeesCollected`.
    /// @return collected Micro-credits booked.
    function sync() external returns (uint256 collected);

    /// @notice Burns an epoch's pot from the bonus account.
    /// @dev Requirements: the caller is the distributor (`NotDistributor`), the bonus covers it (`InsufficientBonus`).
    /// Emits `PotBurned`; a pot of 0 does nothing.
    /// @param epoch Number of the epoch.
    /// @param amount Micro-credits.
    function burnPot(uint32 epoch, uint256 amount) external;

    /// @notice Changes how later fees are divided. What has arrived so far is booked under the old split first.
    /// @dev Requirements: the caller's role (`AccessManagedUnauthorized`), parts of 10 000 together
    /// (`SplitNotWhole`). Emits `SplitSet`.
    function setSplit(FeeSplit calldata newSplit) external;

    /// @notice How fees are divided.
    function split() external view returns (FeeSplit memory);

    /// @notice Micro-credits booked for depositors.
    function depositors() external view returns (uint256);

    /// @notice Micro-credits booked for bonus pots: the most an epoch's pot can be.
    function bonus() external view returns (uint256);

    /// @notice Micro-credits booked for losses.
    function reserve() external view returns (uint256);

    /// @notice The credit the fees are paid in.
    function credit() external view returns (IAttentionCredit);

    /// @notice The only address that can burn a pot.
    function distributor() external view returns (address);
}
