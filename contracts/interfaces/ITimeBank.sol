// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC721Metadata} from "@openzeppelin/contracts/token/ERC721/extensions/IERC721Metadata.sol";

import {IAttentionCredit} from "./IAttentionCredit.sol";
import {IFeePool} from "./IFeePool.sol";

/// @notice A kind of deposit. Once added, only `open` can change: a deposit keeps what it was made under.
/// @param duration Seconds until maturity; 0 for a demand deposit.
/// @param multiplierMilli Weight of a credit in the income, in thousandths: 1000 counts a credit once.
/// @param penaltyBps Part of the principal an early exit costs, in hundredths of a percent, rounded up.
/// @param open Whether new deposits may use it.
struct Term {
    uint32 duration;
    uint16 multiplierMilli;
    uint16 penaltyBps;
    bool open;
}

/// @notice One deposit.
/// @param principal Micro-credits.
/// @param maturesAt Unix time in seconds from which it can be withdrawn whole.
/// @param termId Position in the list of terms.
/// @param incomeIndex Value of `incomeIndex()` up to which its income is settled.
struct Position {
    uint64 principal;
    uint40 maturesAt;
    uint16 termId;
    uint120 incomeIndex;
}

/// @notice The bank's books, in micro-credits where not said otherwise.
/// @dev Invariant: `principal + pending + owed <= credit.balanceOf(bank)`; equal after `collect`.
/// @param incomeIndex Income per unit of weight since the first deposit, times 2^64, rounded down.
/// @param accruedAt Unix time in seconds of the last release of income.
/// @param owed Income that was released to positions and not paid out yet.
/// @param nextId Number of the next receipt; the first is 1.
/// @param totalWeight Sum over positions of `principal * multiplierMilli`.
/// @param principal Sum of the principals.
/// @param pending Income that has arrived and is not released yet.
struct BankBooks {
    uint120 incomeIndex;
    uint40 accruedAt;
    uint64 owed;
    uint32 nextId;
    uint88 totalWeight;
    uint64 principal;
    uint64 pending;
}

/// @title ITimeBank: deposits that earn what was really paid in
/// @notice Demand, day, week and month deposits, each an ERC-721 receipt. Income is the depositors' part of the fees
/// (lending interest pays such a fee), penalties of early exits, and gifts. No interest is promised: what nobody pays,
/// nobody earns.
///
/// How income reaches depositors. What arrives goes to `pending`. After `dt` seconds with at least one depositor
/// `pending * dt / (dt + releaseTime)` of it, rounded down, is released to all positions in proportion to
/// `principal * multiplierMilli`. So a gift of dust puts next to nothing off, nobody gains by depositing for one block, and
/// time without depositors releases nothing. What the index's rounding leaves over stays in `pending`. When a release
/// would be nothing, `accruedAt` stays where it is, so that frequent calls strand nothing; whenever `pending` grows, and
/// when the first depositor comes, `accruedAt` becomes the present, so that no time before is paid for. When the last
/// depositor leaves, what rounding left in `owed` goes back to `pending`.
///
/// A term deposit earns with its term's multiplier until it is settled. From maturity on anybody may `lapse` it: it goes
/// on as a demand deposit (term 0), its income added to its principal.
/// @dev Receipts are minted without asking the receiver (`_mint`): no call leaves the bank but to the credit and the
/// fee pool, whose code is known. Who holds or is approved for a receipt disposes of the deposit (ERC-721 rules).
/// Nobody can pause withdrawals, rolling over or transfers. The lending pool and the lease take a receipt only when they
/// fetch it (`pledge`, `take`): one that is sent or deposited to them could never leave again, and is refused
/// (`UnaskedReceipt`, by `transferFrom` and both `safeTransferFrom` before anything else).
/// Warning: the fee on income rounds up, so income of one micro-credit is all fee.
interface ITimeBank is IERC721Metadata {
    /* EVENTS */

    /// @notice A deposit was made.
    /// @param depositor Who paid; for a claim with a standing order, the distributor.
    event Deposited(
        uint256 indexed id,
        address indexed owner,
        address indexed depositor,
        uint256 amount,
        uint256 termId,
        uint256 maturesAt
    );

    /// @notice A mature (or demand) deposit was closed: `principal + income - fee` was paid to `to`.
    event Withdrawn(
        uint256 indexed id, address indexed owner, address indexed to, uint256 principal, uint256 income, uint256 fee
    );

    /// @notice A deposit was closed before maturity: `principal - penalty` was paid to `to`; penalty and forfeited income
    /// went to `pending`, for those who stay.
    event ExitedEarly(
        uint256 indexed id,
        address indexed owner,
        address indexed to,
        uint256 principal,
        uint256 penalty,
        uint256 forfeited
    );

    /// @notice Income of a mature (or demand) deposit was paid out, `income - fee` to `to`; the deposit goes on.
    event IncomeCollected(uint256 indexed id, address indexed to, uint256 income, uint256 fee);

    /// @notice A mature (or demand) deposit began anew under a term: `income - fee` was added to its principal.
    /// @param lapsed Whether somebody else than the owner moved it to demand after maturity.
    event RolledOver(
        uint256 indexed id,
        uint256 termId,
        uint256 income,
        uint256 fee,
        uint256 principal,
        uint256 maturesAt,
        bool lapsed
    );

    /// @notice Income was added to `pending`: `fromFees` by the fee pool, `gifts` from anybody else.
    event IncomeReceived(uint256 fromFees, uint256 gifts);

    /// @notice Income was released to all positions.
    /// @param amount Micro-credits that went from `pending` to `owed`.
    /// @param incomeIndex The index after it.
    /// @param totalWeight The weight it was divided by.
    event IncomeReleased(uint256 amount, uint256 incomeIndex, uint256 totalWeight);

    /// @notice A term was added.
    event TermAdded(uint256 indexed termId, uint256 duration, uint256 multiplierMilli, uint256 penaltyBps);

    /// @notice A term was opened or closed for new deposits.
    event TermOpenSet(uint256 indexed termId, bool open);

    /// @notice The fee on income changed, in hundredths of a percent.
    event IncomeFeeSet(uint256 previousBps, uint256 feeBps);

    /// @notice The time that governs releases changed, in seconds.
    event ReleaseTimeSet(uint256 previousSeconds, uint256 releaseSeconds);

    /* ERRORS */

    /// @notice Less than the smallest deposit, in micro-credits.
    error DepositTooSmall(uint256 amount, uint256 minimum);

    /// @notice There is no such term.
    error NoSuchTerm(uint256 termId, uint256 terms);

    /// @notice The term takes no new deposits.
    error TermClosed(uint256 termId);

    /// @notice The caller neither holds the receipt nor is approved for it. A receipt that does not exist reverts with
    /// `ERC721NonexistentToken`.
    error NotReceiptHolder(uint256 id, address caller);

    /// @notice The lending pool or the lease would get a receipt that it did not fetch itself.
    error UnaskedReceipt(address room, address caller);

    /// @notice The deposit has not matured: `exitEarly` closes it at a price.
    error NotMature(uint256 id, uint256 maturesAt, uint256 current);

    /// @notice The deposit is mature (or a demand deposit): `withdraw` closes it without a penalty.
    error AlreadyMature(uint256 id, uint256 maturesAt);

    /// @notice A demand deposit has nothing to lapse to.
    error NothingToLapse(uint256 id);

    /// @notice The deposit has earned nothing since it was last settled.
    error NoIncome(uint256 id);

    /// @notice Somebody other than the distributor tried to deposit claimed credits.
    error NotClaimsDistributor(address caller, address distributor);

    /// @notice A term that cannot be: multiplier of 0 or above `MAX_MULTIPLIER_MILLI`, penalty above
    /// `MAX_PENALTY_BPS`, a demand term (duration 0) with a penalty, or a first term that is not demand.
    error BadTerm(uint256 duration, uint256 multiplierMilli, uint256 penaltyBps);

    /// @notice A fee on income above `MAX_INCOME_FEE_BPS`.
    error IncomeFeeTooHigh(uint256 feeBps, uint256 maxBps);

    /// @notice A release time of 0 or above `MAX_RELEASE_SECONDS`.
    error BadReleaseTime(uint256 releaseSeconds, uint256 maxSeconds);

    /* DEPOSITS */

    /// @notice Deposits the caller's credits out of its allowance for this contract.
    /// @dev Requirements: at least `MIN_DEPOSIT` (`DepositTooSmall`), the term exists (`NoSuchTerm`) and is open
    /// (`TermClosed`), `owner` is not zero (`ERC721InvalidReceiver`), nor the lending pool or the lease unless these are the
    /// caller (`UnaskedReceipt`, before the term is looked at). Releases income, then emits `Deposited`.
    /// @param amount Micro-credits.
    /// @param termId Position in the list of terms.
    /// @param owner Who gets the receipt.
    /// @return id Number of the receipt.
    function deposit(uint256 amount, uint16 termId, address owner) external returns (uint256 id);

    /// @notice As `deposit`, with a signed ERC-2612 permit of the caller instead of an earlier approval; the permit is
    /// used only while the allowance is below `amount`.
    function depositWithPermit(
        uint256 amount,
        uint16 termId,
        address owner,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 id);

    /// @notice Books claimed credits, which the distributor has minted to the bank just before, as a deposit.
    /// @dev Requirements: the caller is the distributor (`NotClaimsDistributor`). A term that does not exist or is closed
    /// by now becomes term 0, and any amount above 0 is taken, so that a claim never fails here.
    function depositClaim(address owner, uint256 amount, uint16 termId) external returns (uint256 id);

    /// @notice Closes a mature or demand deposit and pays principal and income less the fee on income.
    /// @dev Requirements: the caller holds or is approved for the receipt (`NotReceiptHolder`), it is mature
    /// (`NotMature`). Burns the receipt, pays the fee to the fee pool, which books it at its next sync.
    /// Emits `Withdrawn`.
    /// @return paid Micro-credits that reached `to`.
    function withdraw(uint256 id, address to) external returns (uint256 paid);

    /// @notice Closes a deposit before maturity: the penalty, rounded up, and all accrued income go to those who stay.
    /// @dev Requirements: as `withdraw`, but not yet mature (`AlreadyMature`). Emits `ExitedEarly`.
    /// @return paid Micro-credits that reached `to`.
    function exitEarly(uint256 id, address to) external returns (uint256 paid);

    /// @notice Closes a deposit whichever way its age asks for: `withdraw` or `exitEarly`.
    /// @return paid Micro-credits that reached `to`: `exitValueOf` just before.
    function close(uint256 id, address to) external returns (uint256 paid);

    /// @notice Pays the income of a mature or demand deposit, less the fee, and lets the deposit go on.
    /// @dev Requirements: holder or approved (`NotReceiptHolder`), mature (`NotMature`), some income (`NoIncome`).
    /// @return paid Micro-credits that reached `to`.
    function collectIncome(uint256 id, address to) external returns (uint256 paid);

    /// @notice Starts a mature or demand deposit anew under a term, its income (less the fee) added to the principal.
    /// @dev Requirements: holder or approved (`NotReceiptHolder`), mature (`NotMature`), the term exists (`NoSuchTerm`)
    /// and is open (`TermClosed`). Emits `RolledOver`.
    function rollOver(uint256 id, uint16 termId) external;

    /// @notice Moves a mature term deposit to demand, its income (less the fee) added to the principal. Anybody may call
    /// it: otherwise it would earn with its term's multiplier without being bound.
    /// @dev Requirements: the receipt exists (`ERC721NonexistentToken`), not a demand deposit (`NothingToLapse`), mature
    /// (`NotMature`). Emits `RolledOver` with `lapsed` true.
    function lapse(uint256 id) external;

    /* INCOME */

    /// @notice Takes in the depositors' account of the fee pool and whatever else has arrived, and releases what is due.
    /// Anybody may call it; without news it only releases.
    /// @return fromFees Micro-credits from the fee pool.
    /// @return gifts Micro-credits that arrived by any other way.
    function collect() external returns (uint256 fromFees, uint256 gifts);

    /* SETTINGS */

    /// @notice Adds a term, open for deposits. Requirements: the caller's role, a possible term (`BadTerm`).
    function addTerm(uint32 duration, uint16 multiplierMilli, uint16 penaltyBps) external returns (uint256 termId);

    /// @notice Opens or closes a term for new deposits; deposits made under it are untouched. Requirements: the caller's
    /// role, the term exists (`NoSuchTerm`).
    function setTermOpen(uint16 termId, bool open) external;

    /// @notice Changes the fee on income for later payments. Requirements: role, at most `MAX_INCOME_FEE_BPS`.
    function setIncomeFee(uint16 newFeeBps) external;

    /// @notice Changes the release time; releases under the old one first. Requirements: role, `BadReleaseTime`.
    function setReleaseTime(uint24 newReleaseSeconds) external;

    /* VIEWS */

    /// @notice The books as stored: income due since `accruedAt` is not released in them.
    function books() external view returns (BankBooks memory);

    /// @notice A deposit. Reverts with `ERC721NonexistentToken` when there is none.
    function positionOf(uint256 id) external view returns (Position memory);

    /// @notice Income a deposit has earned up to now and has not been paid, before the fee; releases due are counted.
    function incomeOf(uint256 id) external view returns (uint256);

    /// @notice What `close` would pay now.
    /// @dev Never falls while nobody closes, collects or moves the deposit: what secures a debt by it cannot lose value.
    /// Only `setIncomeFee` can lower it, by at most `MAX_INCOME_FEE_BPS` of the income not paid yet.
    function exitValueOf(uint256 id) external view returns (uint256);

    /// @notice A term. Reverts with `NoSuchTerm`.
    function termOf(uint256 termId) external view returns (Term memory);

    /// @notice How many terms there are: their numbers are 0 up to one less.
    function termCount() external view returns (uint256);

    /// @notice Fee on income in hundredths of a percent.
    function incomeFeeBps() external view returns (uint256);

    /// @notice Seconds after which half of what is pending has been released.
    function releaseSeconds() external view returns (uint256);

    /// @notice The smallest deposit, in micro-credits.
    function MIN_DEPOSIT() external view returns (uint256);

    /// @notice No multiplier can be above this: 10 000, ten times.
    function MAX_MULTIPLIER_MILLI() external view returns (uint256);

    /// @notice No penalty can be above this: 2000, twenty percent.
    function MAX_PENALTY_BPS() external view returns (uint256);

    /// @notice No fee on income can be above this: 2000, twenty percent.
    function MAX_INCOME_FEE_BPS() external view returns (uint256);

    /// @notice No release time can be longer than this, in seconds: 7 776 000, ninety days.
    function MAX_RELEASE_SECONDS() external view returns (uint256);

    /// @notice The credit that is deposited.
    function credit() external view returns (IAttentionCredit);

    /// @notice Where income comes from and fees go.
    function feePool() external view returns (IFeePool);

    /// @notice The only address that may deposit claimed credits.
    function distributor() external view returns (address);
}
