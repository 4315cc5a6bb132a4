// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";

import {IAttentionCredit} from "./IAttentionCredit.sol";
import {IClaimCreditor} from "./IClaimCreditor.sol";
import {ICreditDistributor} from "./ICreditDistributor.sol";
import {IFeePool} from "./IFeePool.sol";
import {IRateOracle} from "./IRateOracle.sol";
import {ITimeBank} from "./ITimeBank.sol";
import {AccountLeaf} from "../libraries/EpochTree.sol";
import {PolicyHead} from "../libraries/Policy.sol";
import {IPausing} from "./IPausing.sol";

/// @notice What governance may set. Shares of a whole are in hundredths of a percent.
/// @param maxLtvBps Most debt a new borrowing may leave on a pledge, as a part of its exit value.
/// @param liquidationLtvBps From more debt than this part of the exit value on, anybody may liquidate.
/// @param incentiveBps Part of the exit value that goes to who liquidates.
/// @param standingBps Limit without collateral, as a part of what the borrower's standing is worth at today's rate.
/// @param unsecuredCapBps Most that may be lent without collateral, as a part of `capBase`: of assets that have stayed.
/// @param feeBps Part of the interest that goes to the fee pool.
/// @param standingTerm Seconds after which a debt on standing is due.
/// @param grace Seconds after the due day before it can be written off.
/// @param minLoan Smallest debt a borrowing may leave, in micro-credits.
struct RiskSettings {
    uint16 maxLtvBps;
    uint16 liquidationLtvBps;
    uint16 incentiveBps;
    uint16 standingBps;
    uint16 unsecuredCapBps;
    uint16 feeBps;
    uint32 standingTerm;
    uint32 grace;
    uint64 minLoan;
}

/// @notice The pool's books.
/// @dev Invariants: `cash + debt == totalAssets() + feesOwed` once interest is accrued; `cash <= balanceOf(pool)`.
/// @param debt Micro-credits all borrowers owe, as of `accruedAt`; below 2^64, as is `cash`.
/// @param cash Micro-credits the pool can pay out. Credits sent here by a plain transfer are not in it.
/// @param debtShares Sum of the loans' shares of `debt`; below 2^96.
/// @param feesOwed Micro-credits of interest that belong to the fee pool; at most `cash + debt`.
/// @param capBase Micro-credits the cap on loans on standing is a part of; at most `totalAssets()`.
/// @param rateAtTarget Interest per second at the target utilisation, scaled by 1e18.
/// @param accruedAt Unix time in seconds up to which interest is in `debt`.
/// @param feeBps `RiskSettings.feeBps`, at hand where interest is accrued.
/// @param paused Whether new borrowing is stopped.
struct PoolBooks {
    uint256 debt;
    uint256 cash;
    uint256 debtShares;
    uint256 feesOwed;
    uint256 capBase;
    uint256 rateAtTarget;
    uint256 accruedAt;
    uint256 feeBps;
    bool paused;
}

/// @notice A loan against a receipt.
/// @param borrower Who pledged the receipt and gets it back.
/// @param debtShares Its shares of the pool's debt.
struct PledgedLoan {
    address borrower;
    uint96 debtShares;
}

/// @notice A loan on standing, one a borrower.
/// @param account The account whose leaf was proved: the borrower itself, or a placeholder linked to it.
/// @param debtShares Its shares of the pool's debt; 0 once written off.
/// @param principal Micro-credits lent less those repaid, at least 0; 0 once written off.
/// @param dueAt Unix time in seconds from which claims repay it; 0 when there is no loan.
/// @param lostByPool Written off against the suppliers and not recovered yet, micro-credits.
/// @param lostByReserve Written off against the fee pool's reserve and not recovered yet, micro-credits.
struct StandingLoan {
    address account;
    uint256 debtShares;
    uint256 principal;
    uint256 dueAt;
    uint256 lostByPool;
    uint256 lostByReserve;
}

/// @title ICreditLending: a pool that lends credits against receipts, or on proven standing
/// @notice Suppliers hold ERC-4626 shares. Borrowers pledge a TimeBank receipt (the same asset: its exit value needs no
/// price feed, and nothing but a higher fee on income lowers it), or borrow up to a limit proved from their standing in the latest finalised epoch.
///
/// Interest. The rate follows utilisation `u = debt / (debt + cash)`: `rateAtTarget / 4` at u = 0, `rateAtTarget` at the
/// target 90 %, four times that at 100 %, linear between. `rateAtTarget` itself rises while u is above the target and
/// falls below it, within bounds (library AdaptiveRate states how exactly). A pool with cash and no debt has u = 0: its
/// rate falls. A pool with neither tells nothing: its rate stays. Interest compounds as `x + x^2/2 + x^3/6` of
/// `x = rate * dt`: never above `e^x - 1`, short of it by less than `x^4/24 * e^x`; x is cut at 8, a year at the highest
/// rate there can be. What it makes of the debt is rounded up, by less than a micro-credit for the whole pool; the fee on it
/// is rounded down. Debt stops growing at 2^64 - 1 micro-credits: there are not that many to repay it with.
///
/// Loans on standing. The limit is the leaf's standing, decayed from the epoch's end to now as the policy says, times the
/// rate, times `standingBps`. The borrower's claims are pledged at the distributor: once the loan is overdue they repay it
/// first. What is unpaid `grace` seconds after the due day anybody may write off: against the fee pool's reserve, then
/// against the suppliers, in one step with an event. Claims stay pledged, and what they bring in later goes to the reserve,
/// for the next loss; a debt written off does not grow. (Into the pool a recovery would go to whoever supplies in the moment
/// before it, and anybody can choose that moment.)
///
/// The cap. All loans on standing together stay within `unsecuredCapBps` of `capBase`, at every borrowing. Whenever time is
/// accounted for, `capBase` rises by `totalAssets() * elapsed / 1 day`, rounded up, interest up to then included, but not
/// above `totalAssets()`; and when an operation leaves fewer assets than that, it falls to them at once. So supply counts
/// not at all in the second it comes, in part while the day goes on, and in full after a day at the latest, however often
/// anybody accrues; gains count the same way. An empty pool's base is 0; a day after the first supply it is all of it.
///
/// Losses. The reserve pays for what was lent and is lost, never for interest: interest that nobody paid was nobody's money.
/// Repayments count against the principal of a loan on standing first, so that the reserve pays at most what left the pool
/// and did not come back: were they interest first, the reserve would make the suppliers a profit on a loan that failed.
/// A receipt carried the whole debt each time something was lent on it, and its exit value does not fall: what a liquidation
/// leaves unpaid is interest, and the reserve pays nothing. (Settings changed since, a higher incentive or fee on income, are
/// the exception; suppliers bear it.) Fees owed bear `feeBps` of the interest lost, as far as they go, and should the
/// suppliers own less than they lose, the rest: they are never above `cash + debt`.
///
/// Rounding. Debt and debt shares round up against the borrower on what is owed, down on what a repayment of assets
/// retires; ERC-4626 rounds against whoever calls. A supplier's share is never worth less for a rounding.
/// Loans together can owe a unit each more than `debt` (whoever repays pays it), or, because one micro-credit of debt is
/// counted for nobody, what interest has made of that one less: whoever has the only loan owes all of `debt`.
/// @dev Donations do not count as cash: `payFees` passes them on to the fee pool. Virtual shares: decimals offset 6.
/// The credit, the time bank, the fee pool and the distributor are known code without hooks; receipts and shares are
/// moved without asking the receiver. So nobody is called in the middle of anything.
/// Cash stays below 2^64 and shares below 2^160 (what suppliers who lost everything keep is worth nothing, but counts):
/// `maxDeposit` and `maxMint` say what still fits.
/// Zero: ERC-4626 operations of 0 do nothing, borrowing and repaying 0 is refused (`ZeroAmount`).
/// Warning: `maxWithdraw` and `maxRedeem` are limited by cash; with everything lent out suppliers wait for repayments,
/// which the rising rate brings.
/// Warning: until a loan that will fail is written off, suppliers can leave at a price that does not know of it. The part
/// of the pool that can be lent on standing is capped for that reason. The cap looks at the moment of borrowing: suppliers
/// who leave later make the part larger. And a supplier who leaves and comes back lowers the cap for up to a day.
/// Warning: credits sent here by a plain transfer are a gift. A receipt cannot be sent here: only `pledge` takes one.
interface ICreditLending is IERC4626, IClaimCreditor, IPausing {
    /* EVENTS: beside ERC-4626's Deposit and Withdraw */

    /// @notice Time was accounted for: interest was added to the debt, the rate was adapted. Precedes whatever else a call
    /// does; not emitted when no time has passed.
    /// @param interest Micro-credits, the fee included.
    /// @param fee Micro-credits of it that belong to the fee pool.
    /// @param rateAtTarget After adapting, per second, scaled by 1e18.
    event InterestAccrued(uint256 interest, uint256 fee, uint256 rateAtTarget);

    /// @notice A receipt was pledged.
    event Pledged(uint256 indexed receiptId, address indexed borrower);

    /// @notice A receipt went back to its borrower.
    event Released(uint256 indexed receiptId, address indexed borrower);

    /// @notice Credits were borrowed against a receipt.
    event Borrowed(
        uint256 indexed receiptId, address indexed borrower, address indexed receiver, uint256 amount, uint256 shares
    );

    /// @notice A loan against a receipt was repaid, in part or whole.
    event Repaid(uint256 indexed receiptId, address indexed payer, uint256 amount, uint256 shares);

    /// @notice A pledge was liquidated: its deposit was closed for `proceeds` = incentive + repaid + returned.
    /// @param debt What was owed; what of it `repaid` does not cover was written off.
    event Liquidated(
        uint256 indexed receiptId,
        address indexed borrower,
        address indexed liquidator,
        uint256 proceeds,
        uint256 incentive,
        uint256 debt,
        uint256 repaid,
        uint256 returned
    );

    /// @notice Credits were borrowed on standing.
    /// @param limit Most that was allowed, in micro-credits, debt so far included.
    event BorrowedOnStanding(
        address indexed borrower,
        address indexed account,
        address indexed receiver,
        uint256 amount,
        uint256 shares,
        uint256 limit,
        uint256 dueAt
    );

    /// @notice A loan on standing was repaid, in part or whole.
    /// @param fromClaim Whether the payment is the distributor's, out of a claim.
    event StandingRepaid(
        address indexed borrower, address indexed payer, uint256 amount, uint256 shares, bool fromClaim
    );

    /// @notice A debt was written off.
    /// @param borrower Of the loan.
    /// @param receiptId Of a liquidated pledge; 0 for a loan on standing.
    /// @param fromReserve Micro-credits the fee pool's reserve paid; 0 for a pledge.
    /// @param fromPool Micro-credits the suppliers lost.
    /// @param interest Micro-credits of both together that were interest; fees owed bear `feeBps` of it.
    event WrittenOff(
        address indexed borrower, uint256 indexed receiptId, uint256 fromReserve, uint256 fromPool, uint256 interest
    );

    /// @notice Part of a written-off debt came in and went to the fee pool's reserve.
    /// @param ofPool Part of what was written off against the suppliers.
    /// @param ofReserve Part of what was written off against the reserve, once the suppliers' part is paid.
    event Recovered(address indexed borrower, address indexed payer, uint256 ofPool, uint256 ofReserve);

    /// @notice Fees and stray credits were passed on to the fee pool.
    event FeesPaid(uint256 fees, uint256 strays);

    /// @notice The decay constant of the policy in force was taken over.
    event PolicyAccepted(bytes32 indexed policyHash, uint256 decayK);

    /// @notice The settings changed.
    event RiskSet(RiskSettings settings);

    /// @notice The guardian stopped borrowing, or the governor allowed it again: the pause of this number began, or ended.
    event BorrowingPausedSet(bool paused, uint256 pause);

    /* ERRORS */

    /// @notice Nothing to borrow or to repay with.
    error ZeroAmount();
    /// @notice The guardian has stopped new borrowing.
    error BorrowingPaused();
    /// @notice The pool has less cash than asked for.
    error NotEnoughCash(uint256 amount, uint256 cash);
    /// @notice The caller is not the borrower of this pledge (nor anybody else when there is none).
    error NotBorrower(uint256 receiptId, address caller, address borrower);
    /// @notice More debt than the pledge carries, in micro-credits.
    error PledgeTooSmall(uint256 receiptId, uint256 debt, uint256 limit);
    /// @notice The pledge still covers its debt.
    error PledgeCovers(uint256 receiptId, uint256 debt, uint256 threshold);
    /// @notice There is nothing to repay.
    error NoDebt();
    /// @notice A receipt with debt on it cannot be released.
    error DebtLeft(uint256 receiptId, uint256 debt);
    /// @notice A borrowing that would leave less debt than `minLoan`.
    error LoanTooSmall(uint256 debt, uint256 minLoan);
    /// @notice The caller neither is the leaf's account nor the wallet its placeholder is linked to.
    error NotAccountHolder(address account, address caller);
    /// @notice The borrower's loan was made on another account's leaf: one loan, one account.
    error OtherAccount(address account, address loanAccount);
    /// @notice The leaf does not stand in the latest finalised epoch: another epoch's, another tree's, or changed.
    error StandingNotProven(uint32 index, bytes32 root);
    /// @notice The policy in force is not the one whose decay constant is known: call `acceptPolicy` first.
    error PolicyNotAccepted(bytes32 policyHash, bytes32 accepted);
    /// @notice The head is not that of the policy in force.
    error NotPolicyInForce(bytes32 policyHash, bytes32 expected);
    /// @notice More debt than the standing allows, in micro-credits.
    error StandingTooLow(uint256 debt, uint256 limit);
    /// @notice More lent on standing than `unsecuredCapBps` of `capBase`, in micro-credits.
    error UnsecuredCapReached(uint256 unsecured, uint256 cap);
    /// @notice The loan is overdue (or was written off): repay it before borrowing more.
    error LoanOverdue(address borrower, uint256 dueAt);
    /// @notice The loan cannot be written off before due day and grace.
    error NotYetFailed(address borrower, uint256 failsAt, uint256 current);
    /// @notice Somebody other than the distributor booked a repayment from a claim.
    error NotClaimsDistributor(address caller, address distributor);
    /// @notice Settings that contradict each other or exceed their bounds.
    error BadRiskSettings();

    /* LENDING AGAINST A RECEIPT */

    /// @notice Takes a receipt of the caller into custody. The caller has approved this contract for it before.
    /// @dev Custody is why a receipt cannot be pledged twice or moved while pledged. Requirements: the receipt exists
    /// (`ERC721NonexistentToken` of the time bank, as the next two), this contract is approved for it
    /// (`ERC721InsufficientApproval`), the caller owns it (`ERC721IncorrectOwner`). Emits `Pledged`.
    function pledge(uint256 receiptId) external;

    /// @notice Borrows against a pledged receipt, up to `maxLtvBps` of its exit value, debt so far included.
    /// @dev Requirements, in this order: some amount (`ZeroAmount`), the caller is the pledge's borrower (`NotBorrower`), not
    /// paused (`BorrowingPaused`), enough cash (`NotEnoughCash`), not too little (`LoanTooSmall`), not too much for the pledge
    /// (`PledgeTooSmall`), a receiver (`ERC20InvalidReceiver`). Accrues. Emits `Borrowed`.
    /// @return shares Debt shares, rounded up.
    function borrow(uint256 receiptId, uint256 amount, address receiver) external returns (uint256 shares);

    /// @notice `pledge` and `borrow` in one transaction.
    function pledgeAndBorrow(uint256 receiptId, uint256 amount, address receiver) external returns (uint256 shares);

    /// @notice Repays a loan against a receipt out of the caller's allowance; anybody may. More than is owed pays only
    /// what is owed.
    /// @dev Requirements: some amount (`ZeroAmount`), a debt (`NoDebt`), allowance and balance. Accrues. Emits `Repaid`.
    /// @return paid Micro-credits taken from the caller.
    function repay(uint256 receiptId, uint256 amount) external returns (uint256 paid);

    /// @notice Gives a receipt without debt back to its borrower.
    /// @dev Requirements: the caller is the pledge's borrower (`NotBorrower`), no debt (`DebtLeft`). Emits `Released`.
    function release(uint256 receiptId) external;

    /// @notice Closes a pledge that no longer covers its debt; the caller gets the incentive, the borrower what is left.
    /// @dev Requirements: a debt (`NoDebt`), above `liquidationLtvBps` of the exit value (`PledgeCovers`). Accrues. Emits
    /// `Liquidated` and, when the proceeds fall short, `WrittenOff`.
    /// @return incentive Micro-credits.
    function liquidate(uint256 receiptId) external returns (uint256 incentive);

    /* LENDING ON STANDING */

    /// @notice Borrows without collateral on proven standing. A second borrowing before the due day adds to the loan and
    /// keeps its due day.
    /// @dev Requirements, in this order: some amount (`ZeroAmount`), not paused (`BorrowingPaused`), no loan that is due or
    /// written off (`LoanOverdue`), nor one on another account (`OtherAccount`), the caller is the leaf's account or that
    /// placeholder's wallet (`NotAccountHolder`), the leaf stands under the latest finalised account root
    /// (`StandingNotProven`), the policy in force is accepted (`PolicyNotAccepted`), enough cash (`NotEnoughCash`), not too
    /// little (`LoanTooSmall`), debt and amount within the limit (`StandingTooLow`) and all such debts within the cap
    /// (`UnsecuredCapReached`), no other creditor of the caller's claims (`ClaimsPledged` of the distributor), a receiver
    /// (`ERC20InvalidReceiver`). Accrues. Emits `BorrowedOnStanding`.
    function borrowOnStanding(AccountLeaf calldata leaf, bytes32[] calldata proof, uint256 amount, address receiver)
        external
        returns (uint256 shares);

    /// @notice Repays a loan on standing, or what was written off of it; anybody may. Claims are free again when nothing is
    /// left. More than is owed pays only what is owed.
    /// @dev Requirements: some amount (`ZeroAmount`), a loan (`NoDebt`), allowance and balance. Accrues. Emits
    /// `StandingRepaid` or, after a write-off, `Recovered`.
    function repayStanding(address borrower, uint256 amount) external returns (uint256 paid);

    /// @notice Writes off a loan on standing that is unpaid `grace` seconds after its due day. Anybody may call it.
    /// @dev Requirements: a debt not written off yet (`NoDebt`), due day and grace are over (`NotYetFailed`). Accrues. Emits
    /// `WrittenOff`.
    function writeOff(address borrower) external;

    /// @notice Takes over the decay constant of the policy in force. Anybody may call it with the policy's head.
    /// @dev Requirements: its hash is the oracle's (`NotPolicyInForce`). Emits `PolicyAccepted`.
    function acceptPolicy(PolicyHead calldata head) external;

    /* UPKEEP AND SETTINGS */

    /// @notice Adds the interest up to now to the debt and adapts the rate. Anybody may call it.
    function accrue() external;

    /// @notice Pays the fees owed, as far as there is cash, and all stray credits to the fee pool. Anybody may call it.
    /// @dev Accrues. Emits `FeesPaid` unless there is nothing.
    /// @return paid Micro-credits, both together.
    function payFees() external returns (uint256 paid);

    /// @notice Changes the settings; accrues under the old ones first.
    /// @dev Requirements: the caller's role (`AccessManagedUnauthorized`); `BadRiskSettings` unless `maxLtvBps` is below
    /// `liquidationLtvBps`, that at least 5 000 and with `incentiveBps` at most 10 000, `incentiveBps` at most 1 000,
    /// `standingBps` at most 10 000, `unsecuredCapBps` at most 5 000, `feeBps` at most 2 500, `standingTerm` between 1 and
    /// 730 days, `grace` at most 365 days. Emits `RiskSet`.
    function setRisk(RiskSettings calldata newSettings) external;

    /// @notice Stops new borrowing. Repayments, withdrawals and liquidations always work.
    /// @dev Requirements: the caller's role (`AccessManagedUnauthorized`). Emits `BorrowingPausedSet`.
    function pauseBorrowing() external;

    /// @notice Ends the latest pause of borrowing: another role's than the one that stops it.
    /// @dev Requirements: the caller's role (`AccessManagedUnauthorized`), `pause` is its number (`WrongPause`).
    /// Emits `BorrowingPausedSet`.
    function resumeBorrowing(uint256 pause) external;

    /* VIEWS */

    /// @notice The books as stored.
    function books() external view returns (PoolBooks memory);

    /// @notice The books with interest up to now.
    function accruedBooks() external view returns (PoolBooks memory);

    /// @notice Debt shares of all loans on standing.
    function unsecuredShares() external view returns (uint96);

    /// @notice Loan against a receipt as stored; zeros when there is none.
    function pledgedLoan(uint256 receiptId) external view returns (PledgedLoan memory);

    /// @notice Loan on standing as stored; zeros when there is none.
    function standingLoan(address borrower) external view returns (StandingLoan memory);

    /// @notice Owed on a receipt now, rounded up.
    function debtOf(uint256 receiptId) external view returns (uint256);

    /// @notice Owed on standing now, rounded up, written-off amounts included.
    function standingDebtOf(address borrower) external view returns (uint256);

    /// @notice Most that a standing of `standing` micro-value in the latest finalised epoch allows now, micro-credits,
    /// rounded down at every step. Reverts with `PolicyNotAccepted` while the policy in force is not accepted.
    function standingLimit(uint64 standing) external view returns (uint256);

    /// @notice Interest per second now, scaled by 1e18.
    function borrowRate() external view returns (uint256);

    /// @notice The settings.
    function risk() external view returns (RiskSettings memory);

    /// @notice The policy whose decay constant is known, and that constant; zeros before the first `acceptPolicy`.
    function acceptedPolicy() external view returns (bytes32 policyHash, uint64 decayK);

    /// @notice The credit that is lent: the same as `asset()`.
    function credit() external view returns (IAttentionCredit);

    /// @notice Whose receipts are pledged.
    function timeBank() external view returns (ITimeBank);

    /// @notice Where fees go, and whose reserve covers losses.
    function feePool() external view returns (IFeePool);

    /// @notice Where standing is proved and claims are pledged.
    function distributor() external view returns (ICreditDistributor);

    /// @notice Whose rate and policy value standing.
    function oracle() external view returns (IRateOracle);
}
