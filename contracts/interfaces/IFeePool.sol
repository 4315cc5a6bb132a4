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
/// burned: the epoch that uses it as its pot grants the same amount to active members through their leaves. The
/// depositors' account is paid out to the time bank; the reserve pays for the lending pool's losses and nothing else.
///
/// The pool also counts what members spend, because whatever takes a fee passes here: `spent` is the demand the floating
/// rate follows (`IRateFloat`). Payments, orders and trades end with `recordSpending`, which does what `sync`
/// does and counts the amount as well.
/// @dev After `sync` the three accounts together are the pool's balance. Who may draw on them and whose spending counts
/// is set once, when the system is deployed, and can never be changed. Warning: spending is no proof of a purchase. Two
/// accounts of one person can send the same credits back and forth, a borrowed sum included; each time they pay the fee
/// and nothing else. What this costs them is stated with the rate it moves, in `IRateFloat`.
interface IFeePool {
    /// @notice Fees were booked; the three parts together are `amount`.
    event FeesCollected(uint256 amount, uint256 toDepositors, uint256 toBonus, uint256 toReserve);

    /// @notice The pot of an epoch was burned.
    event PotBurned(uint32 indexed epoch, uint256 amount);

    /// @notice The depositors' account was paid to the time bank.
    event DepositorsPaid(uint256 amount);

    /// @notice The reserve paid for a loss of the lending pool; `paid` is less than `loss` when it is empty.
    event LossCovered(uint256 loss, uint256 paid);

    /// @notice A recovered loss went back into the reserve.
    event ReserveRestored(uint256 amount);

    /// @notice Who may draw on the accounts was set, for ever.
    event PayeesSet(address indexed timeBank, address indexed lending);

    /// @notice Whose spending counts was set, for ever.
    event SpendersSet(address[] spenders);

    /// @notice Members spent `amount` micro-credits through a spender, its fee not included: that is in `FeesCollected`.
    event Spent(address indexed spender, uint256 amount);

    /// @notice Later fees are divided this way.
    event SplitSet(uint256 depositorsBps, uint256 bonusBps, uint256 reserveBps);

    /// @notice Somebody other than the distributor tried to burn.
    error NotDistributor(address caller, address distributor);

    /// @notice Somebody other than the payee drew on its account.
    error NotPayee(address caller, address payee);

    /// @notice The payees are set already (it names them), or one of the new ones is the zero address (it names those).
    error PayeesFixed(address timeBank, address lending);

    /// @notice Somebody who is no spender recorded spending.
    error NotSpender(address caller);

    /// @notice The spenders are set already, or these would be none.
    error SpendersFixed(uint256 count);

    /// @notice More was announced as restored than has arrived, in micro-credits.
    error NothingRestored(uint256 amount, uint256 arrived);

    /// @notice An epoch's pot is larger than the bonus account, in micro-credits.
    error InsufficientBonus(uint256 pot, uint256 bonus);

    /// @notice The parts of a split are not 10 000 together.
    error SplitNotWhole(uint256 sumBps);

    /// @notice Books whatever has arrived since the last time. Anybody may call it; without news it does nothing.
    /// @dev The depositors' and the bonus part round down, the rest goes to the reserve. Emits `FeesCollected`.
    /// @return collected Micro-credits booked.
    function sync() external returns (uint256 collected);

    /// @notice Counts what a member has just spent, and books the fee of it that has arrived: the last call of every
    /// payment, order and trade, instead of `sync`.
    /// @dev Requirements: the caller is a spender (`NotSpender`). Emits `Spent`, and `FeesCollected` as `sync` does.
    /// @param amount Micro-credits that reached the other side, the fee not included: fees count when they are booked.
    /// @return collected Micro-credits booked.
    function recordSpending(uint256 amount) external returns (uint256 collected);

    /// @notice Burns an epoch's pot from the bonus account.
    /// @dev Requirements: the caller is the distributor (`NotDistributor`), the bonus covers it (`InsufficientBonus`).
    /// Emits `PotBurned`; a pot of 0 does nothing.
    /// @param epoch Number of the epoch.
    /// @param amount Micro-credits.
    function burnPot(uint32 epoch, uint256 amount) external;

    /// @notice Pays the depositors' account, synced first, to the time bank.
    /// @dev Requirements: the caller is the time bank (`NotPayee`). Emits `DepositorsPaid`, unless there is nothing.
    /// @return amount Micro-credits.
    function payDepositors() external returns (uint256 amount);

    /// @notice Pays a loss of the lending pool out of the reserve, synced first, as far as it goes.
    /// @param loss Micro-credits: the pool asks for principal only.
    /// @dev Requirements: the caller is the lending pool (`NotPayee`). Emits `LossCovered`, also when it paid nothing.
    /// @return paid Micro-credits that reached the lending pool.
    function coverLoss(uint256 loss) external returns (uint256 paid);

    /// @notice Books credits the lending pool has just sent as the reserve's.
    /// @dev Requirements: the caller is the lending pool (`NotPayee`), so much has arrived unbooked (`NothingRestored`).
    /// Emits `ReserveRestored`.
    function restoreReserve(uint256 amount) external;

    /// @notice Sets who may draw on the accounts, once.
    /// @dev Requirements: the caller's role, not set before and no zero address (`PayeesFixed`). Emits `PayeesSet`.
    function setPayees(address newTimeBank, address newLending) external;

    /// @notice Sets whose spending counts, once: the contracts through which members buy, which call `recordSpending`.
    /// @dev Requirements: the caller's role, not set before and at least one (`SpendersFixed`). Emits `SpendersSet`.
    /// Until then none of them can be used.
    function setSpenders(address[] calldata newSpenders) external;

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

    /// @notice Micro-credits ever spent: all `Spent` and all `FeesCollected` together. Never falls.
    function spent() external view returns (uint256);

    /// @notice Whether an address may record spending; nobody until `setSpenders`.
    function isSpender(address account) external view returns (bool);

    /// @notice The credit the fees are paid in.
    function credit() external view returns (IAttentionCredit);

    /// @notice The only address the depositors' account is paid to; zero until `setPayees`.
    function timeBank() external view returns (address);

    /// @notice The only address the reserve pays losses of; zero until `setPayees`.
    function lending() external view returns (address);

    /// @notice The only address that can burn a pot.
    function distributor() external view returns (address);
}
