// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {Pausing} from "../governance/Pausing.sol";
import {IAttentionCredit} from "../interfaces/IAttentionCredit.sol";
import {IClaimCreditor} from "../interfaces/IClaimCreditor.sol";
import {ICreditDistributor} from "../interfaces/ICreditDistributor.sol";
import {ICreditLending, PledgedLoan, PoolBooks, RiskSettings, StandingLoan} from "../interfaces/ICreditLending.sol";
import {IFeePool} from "../interfaces/IFeePool.sol";
import {IRateOracle} from "../interfaces/IRateOracle.sol";
import {ITimeBank} from "../interfaces/ITimeBank.sol";
import {AdaptiveRate} from "../libraries/AdaptiveRate.sol";
import {Decay} from "../libraries/Decay.sol";
import {AccountLeaf} from "../libraries/EpochTree.sol";
import {PolicyHash, PolicyHead} from "../libraries/Policy.sol";
import {ShareMath} from "../libraries/ShareMath.sol";

/// @title CreditLending
/// @notice Every function loads the books into memory with interest up to now, changes them there and writes them once.
contract CreditLending is ICreditLending, ERC4626, AccessManaged, Pausing {
    using SafeCast for uint256;
    using SafeERC20 for IAttentionCredit;
    using ShareMath for uint256;

    /// @dev `PoolBooks` as stored: what suppliers and borrowers change in the first slot, what time changes in the second.
    struct Ledger {
        uint64 debt;
        uint64 cash;
        uint96 debtShares;
        uint16 feeBps;
        bool paused;
        uint40 accruedAt;
        uint48 rateAtTarget;
        uint72 feesOwed;
        uint72 capBase;
    }

    /// @dev `StandingLoan` as stored.
    struct StandingRecord {
        address account;
        uint96 debtShares;
        uint40 dueAt;
        uint64 lostByPool;
        uint64 lostByReserve;
        uint64 principal;
    }

    /// @dev One whole, in hundredths of a percent.
    uint256 private constant ONE_BPS = 10_000;

    /// @dev Cash and debt each stay within this many micro-credits.
    uint256 private constant MAX_AMOUNT = type(uint64).max;

    /// @dev No more shares than this. Suppliers who lose everything keep shares that are worth nothing; the next ones then
    /// get shares for next to nothing, again and again, and without a bound they would outgrow 256 bits one day.
    uint256 private constant MAX_SHARES = type(uint160).max;

    uint256 private constant MIN_LIQUIDATION_LTV_BPS = 5_000;
    uint256 private constant MAX_INCENTIVE_BPS = 1_000;
    uint256 private constant MAX_UNSECURED_CAP_BPS = 5_000;
    uint256 private constant MAX_FEE_BPS = 2_500;
    uint256 private constant MIN_STANDING_TERM = 1 days;
    uint256 private constant MAX_STANDING_TERM = 730 days;
    uint256 private constant MAX_GRACE = 365 days;

    /// @dev Seconds in which `capBase` rises by all the assets.
    uint256 private constant CAP_RISE_TIME = 1 days;

    /// @inheritdoc ICreditLending
    IAttentionCredit public immutable credit;

    /// @inheritdoc ICreditLending
    ITimeBank public immutable timeBank;

    /// @inheritdoc ICreditLending
    IFeePool public immutable feePool;

    /// @inheritdoc ICreditLending
    ICreditDistributor public immutable distributor;

    /// @inheritdoc ICreditLending
    IRateOracle public immutable oracle;

    Ledger private _ledger;

    RiskSettings private _risk;

    bytes32 private _policyHash;

    uint64 private _decayK;

    /// @inheritdoc ICreditLending
    /// @dev Beside `_decayK`, which borrowing on standing reads anyway: nobody else pays for it.
    uint96 public unsecuredShares;

    mapping(uint256 receiptId => PledgedLoan) private _pledges;

    mapping(address borrower => StandingRecord) private _standing;

    constructor(
        address manager,
        IRateOracle rateOracle,
        ITimeBank bank,
        RiskSettings memory settings,
        uint48 initialRateAtTarget
    )
        ERC20(string.concat("Lent ", rateOracle.credit().name()), string.concat("l", rateOracle.credit().symbol()))
        ERC4626(rateOracle.credit())
        AccessManaged(manager)
    {
        require(
            initialRateAtTarget >= AdaptiveRate.MIN_RATE_AT_TARGET
                && initialRateAtTarget <= AdaptiveRate.MAX_RATE_AT_TARGET,
            BadRiskSettings()
        );
        oracle = rateOracle;
        timeBank = bank;
        credit = rateOracle.credit();
        feePool = rateOracle.feePool();
        distributor = rateOracle.distributor();
        // Safe unchecked cast because 2^40 seconds are 34,000 years.
        // forge-lint: disable-next-line(unsafe-typecast)
        _ledger.accruedAt = uint40(block.timestamp);
        _ledger.rateAtTarget = initialRateAtTarget;
        _setRisk(settings);
    }

    /* SUPPLY: ERC-4626 */

    /// @inheritdoc IERC4626
    function deposit(uint256 assets, address receiver) public override(ERC4626, IERC4626) returns (uint256 shares) {
        PoolBooks memory pool = _accrue();
        uint256 most = _roomOf(pool);
        require(assets <= most, ERC4626ExceededMaxDeposit(receiver, assets, most));
        shares = _toShares(assets, pool, Math.Rounding.Floor);
        _supply(pool, receiver, assets, shares);
    }

    /// @inheritdoc IERC4626
    function mint(uint256 shares, address receiver) public override(ERC4626, IERC4626) returns (uint256 assets) {
        PoolBooks memory pool = _accrue();
        uint256 most = _toShares(_roomOf(pool), pool, Math.Rounding.Floor);
        require(shares <= most, ERC4626ExceededMaxMint(receiver, shares, most));
        assets = _toAssets(shares, pool, Math.Rounding.Ceil);
        _supply(pool, receiver, assets, shares);
    }

    /// @inheritdoc IERC4626
    function withdraw(uint256 assets, address receiver, address owner)
        public
        override(ERC4626, IERC4626)
        returns (uint256 shares)
    {
        PoolBooks memory pool = _accrue();
        uint256 most = _maxWithdraw(pool, owner);
        require(assets <= most, ERC4626ExceededMaxWithdraw(owner, assets, most));
        shares = _toShares(assets, pool, Math.Rounding.Ceil);
        _payOut(pool, receiver, owner, assets, shares);
    }

    /// @inheritdoc IERC4626
    function redeem(uint256 shares, address receiver, address owner)
        public
        override(ERC4626, IERC4626)
        returns (uint256 assets)
    {
        PoolBooks memory pool = _accrue();
        uint256 most = _maxRedeem(pool, owner);
        require(shares <= most, ERC4626ExceededMaxRedeem(owner, shares, most));
        assets = _toAssets(shares, pool, Math.Rounding.Floor);
        _payOut(pool, receiver, owner, assets, shares);
    }

    function _supply(PoolBooks memory pool, address receiver, uint256 assets, uint256 shares) private {
        pool.cash += assets;
        _write(pool);
        _mint(receiver, shares);
        emit Deposit(msg.sender, receiver, assets, shares);

        _pull(assets);
    }

    function _payOut(PoolBooks memory pool, address receiver, address owner, uint256 assets, uint256 shares) private {
        if (msg.sender != owner) _spendAllowance(owner, msg.sender, shares);
        pool.cash -= assets;
        _write(pool);
        _burn(owner, shares);
        emit Withdraw(msg.sender, receiver, owner, assets, shares);

        _pay(receiver, assets);
    }

    /* LENDING AGAINST A RECEIPT */

    /// @inheritdoc ICreditLending
    function pledge(uint256 receiptId) public {
        _pledges[receiptId] = PledgedLoan(msg.sender, 0);
        emit Pledged(receiptId, msg.sender);

        // Refuses whoever is not the owner: a receipt in custody is the pool's own.
        _handOver(msg.sender, address(this), receiptId);
    }

    /// @inheritdoc ICreditLending
    function borrow(uint256 receiptId, uint256 amount, address receiver) public returns (uint256 shares) {
        require(amount != 0, ZeroAmount());
        PledgedLoan memory loan = _loanOfCaller(receiptId);
        PoolBooks memory pool = _accrue();
        require(!pool.paused, BorrowingPaused());

        uint256 debt;
        (shares, debt) = _lend(pool, loan.debtShares, amount);
        uint256 limit = _partOfExitValue(receiptId, _risk.maxLtvBps);
        require(debt <= limit, PledgeTooSmall(receiptId, debt, limit));

        _write(pool);
        _pledges[receiptId].debtShares = (loan.debtShares + shares).toUint96();
        emit Borrowed(receiptId, msg.sender, receiver, amount, shares);

        _pay(receiver, amount);
    }

    /// @inheritdoc ICreditLending
    function pledgeAndBorrow(uint256 receiptId, uint256 amount, address receiver) external returns (uint256 shares) {
        pledge(receiptId);
        return borrow(receiptId, amount, receiver);
    }

    /// @inheritdoc ICreditLending
    function repay(uint256 receiptId, uint256 amount) external returns (uint256 paid) {
        require(amount != 0, ZeroAmount());
        uint256 owned = _pledges[receiptId].debtShares;
        require(owned != 0, NoDebt());
        PoolBooks memory pool = _accrue();
        uint256 shares;
        (paid, shares) = _takeIn(pool, owned, amount);

        _write(pool);
        _pledges[receiptId].debtShares = (owned - shares).toUint96();
        emit Repaid(receiptId, msg.sender, paid, shares);

        _pull(paid);
    }

    /// @inheritdoc ICreditLending
    function release(uint256 receiptId) external {
        PledgedLoan memory loan = _loanOfCaller(receiptId);
        if (loan.debtShares != 0) revert DebtLeft(receiptId, debtOf(receiptId));

        delete _pledges[receiptId];
        emit Released(receiptId, msg.sender);

        _handOver(address(this), msg.sender, receiptId);
    }

    /// @inheritdoc ICreditLending
    function liquidate(uint256 receiptId) external returns (uint256 incentive) {
        PledgedLoan memory loan = _pledges[receiptId];
        require(loan.debtShares != 0, NoDebt());
        PoolBooks memory pool = _accrue();
        uint256 debt = _owedUp(pool, loan.debtShares);
        uint256 threshold = _partOfExitValue(receiptId, _risk.liquidationLtvBps);
        require(debt > threshold, PledgeCovers(receiptId, debt, threshold));

        delete _pledges[receiptId];
        uint256 proceeds = timeBank.close(receiptId, address(this));
        incentive = proceeds.mulDivDown(_risk.incentiveBps, ONE_BPS);
        uint256 repaid = Math.min(debt, proceeds - incentive);
        uint256 returned = proceeds - incentive - repaid;

        pool.cash += repaid;
        _retire(pool, debt, loan.debtShares);
        emit Liquidated(receiptId, loan.borrower, msg.sender, proceeds, incentive, debt, repaid, returned);
        if (repaid < debt) {
            // All of it interest: whenever something was lent on the pledge, the pledge covered the whole debt.
            _loseInterest(pool, debt - repaid);
            emit WrittenOff(loan.borrower, receiptId, 0, debt - repaid, debt - repaid);
        }
        _write(pool);

        _pay(msg.sender, incentive);
        if (returned != 0) _pay(loan.borrower, returned);
    }

    /// @dev One function, as the next two: each would be long in the code of every caller.
    function _loanOfCaller(uint256 receiptId) private view returns (PledgedLoan memory loan) {
        loan = _pledges[receiptId];
        require(loan.borrower == msg.sender, NotBorrower(receiptId, msg.sender, loan.borrower));
    }

    function _partOfExitValue(uint256 receiptId, uint256 bps) private view returns (uint256) {
        return timeBank.exitValueOf(receiptId).mulDivDown(bps, ONE_BPS);
    }

    function _handOver(address from, address to, uint256 receiptId) private {
        timeBank.transferFrom(from, to, receiptId);
    }

    /* LENDING ON STANDING */

    /// @inheritdoc ICreditLending
    function borrowOnStanding(AccountLeaf calldata leaf, bytes32[] calldata proof, uint256 amount, address receiver)
        external
        returns (uint256 shares)
    {
        require(amount != 0, ZeroAmount());
        PoolBooks memory pool = _accrue();
        require(!pool.paused, BorrowingPaused());
        StandingLoan memory loan = standingLoan(msg.sender);
        bool isNew = loan.dueAt == 0;
        require(isNew || block.timestamp < loan.dueAt, LoanOverdue(msg.sender, loan.dueAt));
        require(isNew || leaf.account == loan.account, OtherAccount(leaf.account, loan.account));
        require(distributor.receiverOf(leaf.account) == msg.sender, NotAccountHolder(leaf.account, msg.sender));
        // Not require(): it would ask for the root also when all is well.
        if (!distributor.isLatestLeaf(leaf, proof)) revert StandingNotProven(leaf.index, distributor.accountRoot());
        uint256 limit = standingLimit(leaf.standing);

        uint256 debt;
        (shares, debt) = _lend(pool, loan.debtShares, amount);
        require(debt <= limit, StandingTooLow(debt, limit));
        _addUnsecured(pool, shares);

        if (isNew) {
            loan.account = leaf.account;
            loan.dueAt = block.timestamp + _risk.standingTerm;
        }
        loan.debtShares += shares;
        loan.principal += amount;
        _write(pool);
        _writeStanding(msg.sender, loan);
        emit BorrowedOnStanding(msg.sender, leaf.account, receiver, amount, shares, limit, loan.dueAt);

        if (isNew) distributor.pledgeClaims(leaf.account, msg.sender);
        _pay(receiver, amount);
    }

    /// @inheritdoc ICreditLending
    function repayStanding(address borrower, uint256 amount) external returns (uint256 paid) {
        require(amount != 0, ZeroAmount());
        StandingLoan memory loan = standingLoan(borrower);
        require(loan.dueAt != 0, NoDebt());
        uint256 toReserve;
        (paid, toReserve) = _bookStandingRepayment(loan, borrower, amount);

        _pull(paid);
        _settleStanding(loan, borrower, toReserve);
    }

    /// @inheritdoc IClaimCreditor
    function repayFromClaim(address borrower, uint256 amount) external {
        require(msg.sender == address(distributor), NotClaimsDistributor(msg.sender, address(distributor)));
        StandingLoan memory loan = standingLoan(borrower);
        (, uint256 toReserve) = _bookStandingRepayment(loan, borrower, amount);

        _settleStanding(loan, borrower, toReserve);
    }

    /// @inheritdoc ICreditLending
    function writeOff(address borrower) external {
        StandingLoan memory loan = standingLoan(borrower);
        require(loan.debtShares != 0, NoDebt());
        uint256 failsAt = loan.dueAt + _risk.grace;
        require(block.timestamp >= failsAt, NotYetFailed(borrower, failsAt, block.timestamp));
        PoolBooks memory pool = _accrue();
        uint256 debt = _owedUp(pool, loan.debtShares);
        // Other loans' rounding can leave a unit less than was lent.
        uint256 interest = debt - Math.min(debt, loan.principal);

        _retire(pool, debt, loan.debtShares);
        _subtractUnsecured(loan.debtShares);
        uint256 fromReserve = feePool.coverLoss(debt - interest);
        pool.cash += fromReserve;
        _loseInterest(pool, interest);
        _write(pool);
        loan.debtShares = 0;
        loan.principal = 0;
        loan.lostByReserve = fromReserve;
        loan.lostByPool = debt - fromReserve;
        _writeStanding(borrower, loan);
        emit WrittenOff(borrower, 0, fromReserve, debt - fromReserve, interest);
    }

    /// @inheritdoc ICreditLending
    function acceptPolicy(PolicyHead calldata head) external {
        bytes32 given = PolicyHash.hashHead(head);
        bytes32 inForce = oracle.policyHash();
        require(given == inForce, NotPolicyInForce(given, inForce));

        _policyHash = given;
        _decayK = head.decayK;
        emit PolicyAccepted(given, head.decayK);
    }

    /// @dev Books a payment on a loan on standing: on its debt, or on what was written off of it, never on both, because
    /// nobody borrows before the written-off part is repaid.
    /// @return paid Micro-credits, at most what is owed.
    /// @return toReserve Part of it that goes back to the fee pool's reserve.
    function _bookStandingRepayment(StandingLoan memory loan, address borrower, uint256 amount)
        private
        returns (uint256 paid, uint256 toReserve)
    {
        PoolBooks memory pool = _accrue();
        if (loan.debtShares != 0) {
            uint256 shares;
            (paid, shares) = _takeIn(pool, loan.debtShares, amount);
            loan.debtShares -= shares;
            loan.principal = Math.saturatingSub(loan.principal, paid);
            _subtractUnsecured(shares);
            emit StandingRepaid(borrower, msg.sender, paid, shares, msg.sender == address(distributor));
        } else {
            // All of it to the reserve: into the pool it would go to whoever supplies in the moment before.
            uint256 ofPool = Math.min(amount, loan.lostByPool);
            uint256 ofReserve = Math.min(amount - ofPool, loan.lostByReserve);
            paid = ofPool + ofReserve;
            toReserve = paid;
            loan.lostByPool -= ofPool;
            loan.lostByReserve -= ofReserve;
            emit Recovered(borrower, msg.sender, ofPool, ofReserve);
        }
        _write(pool);
        StandingLoan memory none;
        _writeStanding(borrower, _isRepaid(loan) ? none : loan);
    }

    function _writeStanding(address borrower, StandingLoan memory loan) private {
        // Safe unchecked casts because shares and parts of the debt fit where the whole does, times fit 40 bits, and no
        // more than 2^64 - 1 was ever lent.
        // forge-lint: disable-start(unsafe-typecast)
        _standing[borrower] = StandingRecord(
            loan.account,
            uint96(loan.debtShares),
            uint40(loan.dueAt),
            uint64(loan.lostByPool),
            uint64(loan.lostByReserve),
            uint64(loan.principal)
        );
        // forge-lint: disable-end(unsafe-typecast)
    }

    /// @dev What follows once the payment is here: the reserve's part, and free claims.
    function _settleStanding(StandingLoan memory loan, address borrower, uint256 toReserve) private {
        if (toReserve != 0) {
            _pay(address(feePool), toReserve);
            feePool.restoreReserve(toReserve);
        }
        if (_isRepaid(loan)) distributor.releaseClaims(loan.account, borrower);
    }

    function _isRepaid(StandingLoan memory loan) private pure returns (bool) {
        return loan.debtShares == 0 && loan.lostByPool == 0 && loan.lostByReserve == 0;
    }

    /// @dev Counts new shares of the debt as lent on standing, within the cap.
    function _addUnsecured(PoolBooks memory pool, uint256 shares) private {
        shares += unsecuredShares;
        uint256 unsecured = _owedUp(pool, shares);
        uint256 cap = pool.capBase.mulDivDown(_risk.unsecuredCapBps, ONE_BPS);
        require(unsecured <= cap, UnsecuredCapReached(unsecured, cap));

        // Safe unchecked cast because they are a part of all shares, which are checked where they are written.
        // forge-lint: disable-next-line(unsafe-typecast)
        unsecuredShares = uint96(shares);
    }

    function _subtractUnsecured(uint256 shares) private {
        // Safe unchecked cast because they are a part of these.
        // forge-lint: disable-next-line(unsafe-typecast)
        unsecuredShares -= uint96(shares);
    }

    /* UPKEEP AND SETTINGS */

    /// @inheritdoc ICreditLending
    function accrue() external {
        _write(_accrue());
    }

    /// @inheritdoc ICreditLending
    function payFees() external returns (uint256 paid) {
        PoolBooks memory pool = _accrue();
        uint256 strays = credit.balanceOf(address(this)) - pool.cash;
        uint256 fees = Math.min(pool.feesOwed, pool.cash);
        paid = fees + strays;

        pool.feesOwed -= fees;
        pool.cash -= fees;
        _write(pool);
        if (paid == 0) return 0;
        emit FeesPaid(fees, strays);

        _pay(address(feePool), paid);
        feePool.sync();
    }

    /// @inheritdoc ICreditLending
    function setRisk(RiskSettings calldata newSettings) external restricted {
        _write(_accrue());
        _setRisk(newSettings);
    }

    /// @inheritdoc ICreditLending
    function pauseBorrowing() external restricted {
        _ledger.paused = true;
        emit BorrowingPausedSet(true, _nextPause());
    }

    /// @inheritdoc ICreditLending
    function resumeBorrowing(uint256 pause) external restricted {
        _requireLatest(pause);
        _ledger.paused = false;
        emit BorrowingPausedSet(false, pause);
    }

    function _setRisk(RiskSettings memory settings) private {
        // The threshold and the incentive hold for loans that run: neither may take a pledge that is far from failing.
        bool sane = settings.maxLtvBps < settings.liquidationLtvBps
            && settings.liquidationLtvBps >= MIN_LIQUIDATION_LTV_BPS && settings.incentiveBps <= MAX_INCENTIVE_BPS
            && uint256(settings.liquidationLtvBps) + settings.incentiveBps <= ONE_BPS && settings.standingBps <= ONE_BPS
            && settings.unsecuredCapBps <= MAX_UNSECURED_CAP_BPS && settings.feeBps <= MAX_FEE_BPS
            && settings.standingTerm >= MIN_STANDING_TERM && settings.standingTerm <= MAX_STANDING_TERM
            && settings.grace <= MAX_GRACE;
        require(sane, BadRiskSettings());

        _risk = settings;
        _ledger.feeBps = settings.feeBps;
        emit RiskSet(settings);
    }

    /* BOOKS */

    /// @dev The books with interest up to now, in memory: the caller writes them.
    function _accrue() private returns (PoolBooks memory pool) {
        uint256 elapsed;
        uint256 interest;
        uint256 fee;
        (pool, elapsed, interest, fee) = _accrued();
        if (elapsed != 0) emit InterestAccrued(interest, fee, pool.rateAtTarget);
    }

    /// @dev One function, because the optimiser would copy the packing of the books to every place that writes them.
    function _write(PoolBooks memory pool) private {
        // Unchecked casts are safe: fees owed and assets are at most cash and debt together.
        // forge-lint: disable-start(unsafe-typecast)
        _ledger = Ledger({
            debt: pool.debt.toUint64(),
            cash: pool.cash.toUint64(),
            debtShares: pool.debtShares.toUint96(),
            feeBps: uint16(pool.feeBps),
            paused: pool.paused,
            accruedAt: uint40(pool.accruedAt),
            rateAtTarget: uint48(pool.rateAtTarget),
            feesOwed: uint72(pool.feesOwed),
            capBase: uint72(Math.min(pool.capBase, _assetsOf(pool)))
        });
        // forge-lint: disable-end(unsafe-typecast)
    }

    function _read() private view returns (PoolBooks memory) {
        Ledger memory ledger = _ledger;
        return PoolBooks({
            debt: ledger.debt,
            cash: ledger.cash,
            debtShares: ledger.debtShares,
            feesOwed: ledger.feesOwed,
            capBase: ledger.capBase,
            rateAtTarget: ledger.rateAtTarget,
            accruedAt: ledger.accruedAt,
            feeBps: ledger.feeBps,
            paused: ledger.paused
        });
    }

    function _accrued() private view returns (PoolBooks memory pool, uint256 elapsed, uint256 interest, uint256 fee) {
        pool = _read();
        elapsed = block.timestamp - pool.accruedAt;
        if (elapsed == 0) return (pool, 0, 0, 0);
        pool.accruedAt = block.timestamp;
        // A pool with neither tells nothing about what borrowing should cost.
        if (pool.debt == 0 && pool.cash == 0) return (pool, elapsed, 0, 0);

        uint256 used = AdaptiveRate.utilisationDown(pool.debt, pool.cash);
        (uint256 mean, uint256 end) = AdaptiveRate.adapt(pool.rateAtTarget, used, elapsed);
        uint256 growth = AdaptiveRate.growthDown(AdaptiveRate.borrowRateDown(mean, used), elapsed);
        // Up: rounded down, a pool that is looked after every block would earn nothing.
        interest = Math.min(growth.mulDivUp(pool.debt, AdaptiveRate.WAD), MAX_AMOUNT - pool.debt);
        fee = interest.mulDivDown(pool.feeBps, ONE_BPS);

        pool.debt += interest;
        pool.feesOwed += fee;
        pool.rateAtTarget = end;

        // Up: rounded down, the base of a small pool that is looked after every block would stand still.
        uint256 assets = _assetsOf(pool);
        pool.capBase = Math.min(assets, pool.capBase + assets.mulDivUp(elapsed, CAP_RISE_TIME));
    }

    /// @dev Books a borrowing of a loan that has `owned` shares so far.
    /// @return shares New debt shares.
    /// @return debt All the loan owes after it.
    function _lend(PoolBooks memory pool, uint256 owned, uint256 amount)
        private
        view
        returns (uint256 shares, uint256 debt)
    {
        // Checked first: no amount beyond the cash enters the arithmetic.
        require(amount <= pool.cash, NotEnoughCash(amount, pool.cash));
        shares = amount.toSharesUp(pool.debt, pool.debtShares);
        pool.cash -= amount;
        pool.debt += amount;
        pool.debtShares += shares;
        debt = _owedUp(pool, owned + shares);
        uint256 minLoan = _risk.minLoan;
        require(debt >= minLoan, LoanTooSmall(debt, minLoan));
    }

    /// @dev Books a repayment of a loan that has `owned` shares. A part of the debt leaves at least one of them: without the
    /// minimum it would not where the loan owes the whole.
    function _takeIn(PoolBooks memory pool, uint256 owned, uint256 amount)
        private
        pure
        returns (uint256 paid, uint256 shares)
    {
        uint256 debt = _owedUp(pool, owned);
        (paid, shares) = amount >= debt
            ? (debt, owned)
            : (amount, Math.min(amount.toSharesDown(pool.debt, pool.debtShares), owned - 1));
        pool.cash += paid;
        _retire(pool, paid, shares);
    }

    /// @dev Takes a debt out of the books. Every loan's debt is rounded up: together they can owe more than the pool counts.
    function _retire(PoolBooks memory pool, uint256 debt, uint256 shares) private pure {
        pool.debt -= Math.min(debt, pool.debt);
        pool.debtShares -= shares;
    }

    /// @dev Books what a loss does to the fees owed once its debt is out of the books: those on the interest in it are lost
    /// with it, and what the suppliers do not have any more, fees cannot claim from them.
    function _loseInterest(PoolBooks memory pool, uint256 interest) private pure {
        uint256 feesLeft = Math.saturatingSub(pool.feesOwed, interest.mulDivDown(pool.feeBps, ONE_BPS));
        pool.feesOwed = Math.min(feesLeft, pool.cash + pool.debt);
    }

    /// @dev What shares of the debt owe, rounded up. Whoever has all of them owes all of it, also what interest has made of
    /// the micro-credit that is counted for nobody: no debt is left that nobody owes.
    function _owedUp(PoolBooks memory pool, uint256 shares) private pure returns (uint256 owed) {
        owed = shares.toAssetsUp(pool.debt, pool.debtShares);
        if (shares == pool.debtShares) owed = Math.max(owed, pool.debt);
    }

    /// @dev What belongs to the suppliers.
    function _assetsOf(PoolBooks memory pool) private pure returns (uint256) {
        return pool.cash + pool.debt - pool.feesOwed;
    }

    /// @dev What the pool can take in.
    function _roomOf(PoolBooks memory pool) private view returns (uint256) {
        return Math.min(MAX_AMOUNT - pool.cash, _toAssets(MAX_SHARES - totalSupply(), pool, Math.Rounding.Floor));
    }

    function _maxWithdraw(PoolBooks memory pool, address owner) private view returns (uint256) {
        return Math.min(_toAssets(balanceOf(owner), pool, Math.Rounding.Floor), pool.cash);
    }

    function _maxRedeem(PoolBooks memory pool, address owner) private view returns (uint256) {
        uint256 shares = balanceOf(owner);
        if (_toAssets(shares, pool, Math.Rounding.Floor) <= pool.cash) return shares;
        return _toShares(pool.cash, pool, Math.Rounding.Floor);
    }

    function _toShares(uint256 assets, PoolBooks memory pool, Math.Rounding rounding) private view returns (uint256) {
        return rounding == Math.Rounding.Floor
            ? assets.toSharesDown(_assetsOf(pool), totalSupply())
            : assets.toSharesUp(_assetsOf(pool), totalSupply());
    }

    function _toAssets(uint256 shares, PoolBooks memory pool, Math.Rounding rounding) private view returns (uint256) {
        return rounding == Math.Rounding.Floor
            ? shares.toAssetsDown(_assetsOf(pool), totalSupply())
            : shares.toAssetsUp(_assetsOf(pool), totalSupply());
    }

    function _pull(uint256 amount) private {
        credit.safeTransferFrom(msg.sender, address(this), amount);
    }

    function _pay(address to, uint256 amount) private {
        credit.safeTransfer(to, amount);
    }

    /* VIEWS: ERC-4626 */

    /// @inheritdoc IERC4626
    function totalAssets() public view override(ERC4626, IERC4626) returns (uint256) {
        return _assetsOf(accruedBooks());
    }

    /// @inheritdoc IERC4626
    function maxDeposit(address) public view override(ERC4626, IERC4626) returns (uint256) {
        return _roomOf(accruedBooks());
    }

    /// @inheritdoc IERC4626
    function maxMint(address) public view override(ERC4626, IERC4626) returns (uint256) {
        PoolBooks memory pool = accruedBooks();
        return _toShares(_roomOf(pool), pool, Math.Rounding.Floor);
    }

    /// @inheritdoc IERC4626
    function maxWithdraw(address owner) public view override(ERC4626, IERC4626) returns (uint256) {
        return _maxWithdraw(accruedBooks(), owner);
    }

    /// @inheritdoc IERC4626
    function maxRedeem(address owner) public view override(ERC4626, IERC4626) returns (uint256) {
        return _maxRedeem(accruedBooks(), owner);
    }

    /// @dev Serves the previews and conversions.
    function _convertToShares(uint256 assets, Math.Rounding rounding) internal view override returns (uint256) {
        return _toShares(assets, accruedBooks(), rounding);
    }

    /// @dev Serves the previews and conversions.
    function _convertToAssets(uint256 shares, Math.Rounding rounding) internal view override returns (uint256) {
        return _toAssets(shares, accruedBooks(), rounding);
    }

    function _decimalsOffset() internal pure override returns (uint8) {
        return 6;
    }

    /* VIEWS */

    /// @inheritdoc ICreditLending
    function books() external view returns (PoolBooks memory) {
        return _read();
    }

    /// @inheritdoc ICreditLending
    function accruedBooks() public view returns (PoolBooks memory pool) {
        (pool,,,) = _accrued();
    }

    /// @inheritdoc ICreditLending
    function pledgedLoan(uint256 receiptId) external view returns (PledgedLoan memory) {
        return _pledges[receiptId];
    }

    /// @inheritdoc ICreditLending
    function standingLoan(address borrower) public view returns (StandingLoan memory) {
        StandingRecord memory record = _standing[borrower];
        return StandingLoan({
            account: record.account,
            debtShares: record.debtShares,
            principal: record.principal,
            dueAt: record.dueAt,
            lostByPool: record.lostByPool,
            lostByReserve: record.lostByReserve
        });
    }

    /// @inheritdoc ICreditLending
    function debtOf(uint256 receiptId) public view returns (uint256) {
        return _owedUp(accruedBooks(), _pledges[receiptId].debtShares);
    }

    /// @inheritdoc ICreditLending
    function standingDebtOf(address borrower) public view returns (uint256) {
        StandingLoan memory loan = standingLoan(borrower);
        return _owedUp(accruedBooks(), loan.debtShares) + loan.lostByPool + loan.lostByReserve;
    }

    /// @inheritdoc IClaimCreditor
    function dueFromClaims(address borrower) external view returns (uint256) {
        uint256 dueAt = _standing[borrower].dueAt;
        return dueAt == 0 || block.timestamp < dueAt ? 0 : standingDebtOf(borrower);
    }

    /// @inheritdoc ICreditLending
    function standingLimit(uint64 standing) public view returns (uint256) {
        bytes32 inForce = oracle.policyHash();
        bytes32 accepted = _policyHash;
        require(inForce == accepted, PolicyNotAccepted(inForce, accepted));
        uint256 ageMs = block.timestamp * 1000 - oracle.latestEndMs();
        uint256 decayed = (standing * Decay.weightDown(ageMs.toUint48(), _decayK)) >> 31;
        return ((decayed * oracle.rateQ24()) >> 24).mulDivDown(_risk.standingBps, ONE_BPS);
    }

    /// @inheritdoc ICreditLending
    function borrowRate() external view returns (uint256) {
        PoolBooks memory pool = accruedBooks();
        return AdaptiveRate.borrowRateDown(pool.rateAtTarget, AdaptiveRate.utilisationDown(pool.debt, pool.cash));
    }

    /// @inheritdoc ICreditLending
    function risk() external view returns (RiskSettings memory) {
        return _risk;
    }

    /// @inheritdoc ICreditLending
    function acceptedPolicy() external view returns (bytes32 policyHash, uint64 decayK) {
        return (_policyHash, _decayK);
    }
}
