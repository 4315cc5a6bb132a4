// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFeePool} from "./IFeePool.sol";
import {IRateOracle} from "./IRateOracle.sol";

/// @notice How the rate floats.
/// @param step Micro-credits of excess that double the rate; 0 while it is fixed.
/// @param baseRateQ24 The rate at an excess of 0: the one governance set last, or that stood when the float was set.
/// @param rateQ24 The rate as it stands; micro-credits per micro-value, 2^24 = 1.0.
/// @param excess Micro-credits spent beyond what was minted, within four steps of 0.
/// @param spentAtLast What the fee pool had counted when the rate last moved or the float was set.
struct Floating {
    uint64 step;
    uint64 baseRateQ24;
    uint64 rateQ24;
    int128 excess;
    uint128 spentAtLast;
}

/// @title IRateFloat: lets the rate follow what members spend and what epochs mint
/// @notice With each epoch that becomes final, the excess grows by what was spent since the last one (payments, orders,
/// trades, and all fees, as `IFeePool.spent` counts them) and shrinks by what the epoch minted; the rate is
/// `base * 2^(excess / step)`, moved by at most an eighth of what it was. Both numbers are the contracts' own: nobody's word is taken for them. The bounds, and why
/// it settles, are in `libraries/FloatingRate.sol`. Each move is an event with all its inputs, so that anybody redoes it.
///
/// What it costs to move the rate. Spending proves no purchase: two accounts of one person can pay the same credits back
/// and forth, a borrowed sum within one transaction included. But each time the fee is gone: a credit of excess costs
/// `fee` (0.5 % by default) however large the sum at hand, and what goes beyond `0.17 * step` in one epoch has no effect
/// at all. Since epochs come to mint what is spent, a credit paid in a circle ends as one
/// credit more minted, to all earners alike: who earns a part `s` of everything gets `s` of it for `fee`. Counted in
/// credits that pays whoever earns more than the fee's part; counted in what credits buy it pays only who also holds a
/// smaller part of all credits than he earns, less the fee.
/// @dev Warning: without a fee moving the rate costs nothing but gas, and with a step far below what an epoch mints it
/// swings. Let a rate float only with a fee, and with a step of at least what an epoch mints. Warning: whoever finalises
/// chooses the moment; what is spent after it counts in the next epoch, so nothing is lost, only bounded.
interface IRateFloat {
    /// @notice The rate floats from the one that stands, with this many micro-credits of excess per doubling; 0: it is
    /// fixed.
    event FloatSet(uint64 previousStep, uint64 step, uint64 baseRateQ24, uint256 spent);

    /// @notice The rate followed an epoch: `excess` is `excessBefore + demand - supply` within its bounds, and `rateQ24`
    /// is `base * 2^(excess / step)`, at most an eighth from the rate before, by `libraries/FloatingRate.sol`. Amounts in
    /// micro-credits.
    /// @param demand Spent since the last epoch: the fee pool's `Spent` and `FeesCollected`.
    /// @param supply Minted by this epoch: its `totalMint`.
    /// @param excessBefore 0 in the first epoch after governance set another rate: that one is the new base.
    /// @param rateQ24 For later epochs, micro-credits per micro-value, 2^24 = 1.0.
    event RateMoved(
        uint32 indexed epoch, uint256 demand, uint256 supply, int256 excessBefore, int256 excess, uint64 rateQ24
    );

    /// @notice Somebody other than the oracle reported an epoch.
    error NotOracle(address caller, address oracle);

    /// @notice With so small a step the rate would float and never move. Micro-credits.
    error StepTooSmall(uint256 step, uint256 minStep);

    /// @notice Moves the rate after an epoch. Without a float it stays as it is.
    /// @dev Requirements: the caller is the oracle (`NotOracle`). Emits `RateMoved`, unless the rate is fixed. Never
    /// reverts otherwise: an epoch can always become final.
    /// @param epoch Number of the epoch that became final.
    /// @param rateQ24 The rate that stands; another than was last given means that governance has set it since.
    /// @param supply Micro-credits the epoch mints.
    /// @return The rate of later epochs.
    function follow(uint32 epoch, uint64 rateQ24, uint256 supply) external returns (uint64);

    /// @notice Lets the rate float from where it stands, with an excess of 0, or fixes it there. Restricted. Emits
    /// `FloatSet`.
    /// @dev Requirements: a step of 0, or of at least 6 micro-credits (`StepTooSmall`). What was spent before counts for
    /// nothing. Warning: the lending pool's limits on standing follow the rate. Warning: a rate below 8 (2^24 = 1.0) stays
    /// as it is in whatever step; governance can set such a rate also while it floats.
    /// @param newStep Micro-credits of excess that double the rate; 0 to fix it.
    function setFloat(uint64 newStep) external;

    /// @notice How the rate floats, as it stands: a rate that governance has set meanwhile is the base already.
    function floating() external view returns (Floating memory);

    /// @notice Whose rate it is.
    function oracle() external view returns (IRateOracle);

    /// @notice Where spending is counted.
    function feePool() external view returns (IFeePool);
}
