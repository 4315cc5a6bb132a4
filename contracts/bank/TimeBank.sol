// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {IERC721Metadata} from "@openzeppelin/contracts/token/ERC721/extensions/IERC721Metadata.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IAttentionCredit} from "../interfaces/IAttentionCredit.sol";
import {ICreditDistributor} from "../interfaces/ICreditDistributor.sol";
import {IFeePool} from "../interfaces/IFeePool.sol";
import {BankBooks, ITimeBank, Position, Term} from "../interfaces/ITimeBank.sol";
import {Receipt, ReceiptMetadata} from "./ReceiptMetadata.sol";

/// @title TimeBank
/// @notice Receipts are ERC-721 tokens named after the credit.
contract TimeBank is ITimeBank, ERC721, AccessManaged {
    using SafeCast for uint256;
    using SafeERC20 for IAttentionCredit;

    /// @dev `BankBooks` and the two settings in two slots. What every deposit changes stands in the first, what income
    /// changes in the second: while nothing is due, a deposit writes one slot only. 80 bits hold the weight of 2^64
    /// micro-credits at the highest multiplier.
    struct Ledger {
        uint80 totalWeight;
        uint64 principal;
        uint40 accruedAt;
        uint32 nextId;
        uint24 releaseSeconds;
        uint16 incomeFeeBps;
        uint120 incomeIndex;
        uint64 owed;
        uint64 pending;
    }

    /// @dev `Position` and the multiplier of its term, which can never change, in one slot: income is paid out without
    /// reading the term.
    struct Deposit {
        uint64 principal;
        uint40 maturesAt;
        uint16 termId;
        uint16 multiplierMilli;
        uint120 incomeIndex;
    }

    /// @inheritdoc ITimeBank
    uint256 public constant MIN_DEPOSIT = 1_000;

    /// @inheritdoc ITimeBank
    uint256 public constant MAX_MULTIPLIER_MILLI = 10_000;

    /// @inheritdoc ITimeBank
    uint256 public constant MAX_PENALTY_BPS = 2_000;

    /// @inheritdoc ITimeBank
    uint256 public constant MAX_INCOME_FEE_BPS = 2_000;

    /// @inheritdoc ITimeBank
    uint256 public constant MAX_RELEASE_SECONDS = 90 days;

    /// @dev One whole, in hundredths of a percent.
    uint256 private constant ONE_BPS = 10_000;

    /// @dev One micro-credit per weight, as the index counts it.
    uint256 private constant INDEX_ONE = 2 ** 64;

    /// @dev Where a claim goes whose term is gone, and where term deposits lapse to.
    uint16 private constant DEMAND = 0;

    /// @inheritdoc ITimeBank
    IAttentionCredit public immutable credit;

    /// @inheritdoc ITimeBank
    IFeePool public immutable feePool;

    /// @inheritdoc ITimeBank
    address public immutable distributor;

    ReceiptMetadata private immutable _metadata;

    Ledger private _ledger;

    mapping(uint256 id => Deposit) private _deposits;

    /// @dev A mapping, not a list: a list would read its length for every deposit. A term that is not there has the
    /// multiplier 0.
    mapping(uint256 termId => Term) private _terms;

    /// @inheritdoc ITimeBank
    uint256 public termCount;

    constructor(
        address manager,
        ICreditDistributor creditDistributor,
        Term[] memory terms,
        uint16 initialFeeBps,
        uint24 initialReleaseSeconds
    )
        ERC721(
            string.concat("Deposited ", creditDistributor.credit().name()),
            string.concat("d", creditDistributor.credit().symbol())
        )
        AccessManaged(manager)
    {
        distributor = address(creditDistributor);
        credit = creditDistributor.credit();
        feePool = creditDistributor.feePool();
        _metadata = new ReceiptMetadata();
        require(terms.length != 0, NoSuchTerm(DEMAND, 0));
        // Deposits lapse to the first term: it must bind nobody.
        require(terms[0].duration == 0, BadTerm(terms[0].duration, terms[0].multiplierMilli, terms[0].penaltyBps));
        for (uint256 i; i < terms.length; ++i) {
            _addTerm(terms[i]);
            if (!terms[i].open) emit TermOpenSet(i, false);
        }
        _ledger.nextId = 1;
        _setIncomeFee(initialFeeBps);
        _setReleaseTime(initialReleaseSeconds);
    }

    /* DEPOSITS */

    /// @inheritdoc ITimeBank
    function deposit(uint256 amount, uint16 termId, address owner) external returns (uint256 id) {
        return _deposit(amount, termId, owner);
    }

    /// @inheritdoc ITimeBank
    function depositWithPermit(
        uint256 amount,
        uint16 termId,
        address owner,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 id) {
        // Whoever sees the permit can submit it first; the allowance it gave then serves as well.
        if (credit.allowance(msg.sender, address(this)) < amount) {
            credit.permit(msg.sender, address(this), amount, deadline, v, r, s);
        }
        return _deposit(amount, termId, owner);
    }

    /// @inheritdoc ITimeBank
    function depositClaim(address owner, uint256 amount, uint16 termId) external returns (uint256 id) {
        require(msg.sender == distributor, NotClaimsDistributor(msg.sender, distributor));
        Term memory term = _terms[termId];
        if (!term.open) {
            termId = DEMAND;
            term = _terms[DEMAND];
        }
        return _open(amount, termId, term, owner);
    }

    /// @inheritdoc ITimeBank
    function withdraw(uint256 id, address to) external returns (uint256 paid) {
        address owner = _ownerForCaller(id);
        Deposit memory held = _deposits[id];
        _requireMature(id, held);
        return _withdraw(id, held, owner, to);
    }

    /// @inheritdoc ITimeBank
    function exitEarly(uint256 id, address to) external returns (uint256 paid) {
        address owner = _ownerForCaller(id);
        Deposit memory held = _deposits[id];
        require(!_isMature(held), AlreadyMature(id, held.maturesAt));
        return _exitEarly(id, held, owner, to);
    }

    /// @inheritdoc ITimeBank
    function close(uint256 id, address to) external returns (uint256 paid) {
        address owner = _ownerForCaller(id);
        Deposit memory held = _deposits[id];
        return _isMature(held) ? _withdraw(id, held, owner, to) : _exitEarly(id, held, owner, to);
    }

    /// @inheritdoc ITimeBank
    function collectIncome(uint256 id, address to) external returns (uint256 paid) {
        _ownerForCaller(id);
        Deposit memory held = _deposits[id];
        _requireMature(id, held);

        Ledger memory ledger = _ledger;
        _release(ledger);
        uint256 income = _incomeDown(held, ledger.incomeIndex);
        require(income != 0, NoIncome(id));
        uint256 fee = _feeUp(income, ledger.incomeFeeBps);
        paid = income - fee;

        _subtractOwed(ledger, income);
        _ledger = ledger;
        _deposits[id].incomeIndex = ledger.incomeIndex;
        emit IncomeCollected(id, to, income, fee);

        credit.safeTransfer(to, paid);
        _payFee(fee);
    }

    /// @inheritdoc ITimeBank
    function rollOver(uint256 id, uint16 termId) external {
        _ownerForCaller(id);
        Deposit memory held = _deposits[id];
        _requireMature(id, held);
        _renew(id, held, termId, _openTerm(termId), false);
    }

    /// @inheritdoc ITimeBank
    function lapse(uint256 id) external {
        _requireOwned(id);
        Deposit memory held = _deposits[id];
        require(_terms[held.termId].duration != 0, NothingToLapse(id));
        _requireMature(id, held);
        _renew(id, held, DEMAND, _terms[DEMAND], true);
    }

    function _deposit(uint256 amount, uint16 termId, address owner) private returns (uint256 id) {
        require(amount >= MIN_DEPOSIT, DepositTooSmall(amount, MIN_DEPOSIT));
        _requireAsked(owner);
        id = _open(amount, termId, _openTerm(termId), owner);
        credit.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @dev Books a new deposit; its credits have come already or come right after.
    function _open(uint256 amount, uint16 termId, Term memory term, address owner) private returns (uint256 id) {
        Ledger memory ledger = _ledger;
        _release(ledger);
        // No time before the first depositor is paid for.
        if (ledger.totalWeight == 0) ledger.accruedAt = _now();
        id = ledger.nextId;
        uint40 maturesAt = _now() + term.duration;

        ledger.nextId = (id + 1).toUint32();
        ledger.totalWeight = (ledger.totalWeight + amount * term.multiplierMilli).toUint80();
        ledger.principal = (ledger.principal + amount).toUint64();
        _ledger = ledger;
        _deposits[id] = Deposit(amount.toUint64(), maturesAt, termId, term.multiplierMilli, ledger.incomeIndex);
        _mint(owner, id);
        emit Deposited(id, owner, msg.sender, amount, termId, maturesAt);
    }

    function _withdraw(uint256 id, Deposit memory held, address owner, address to) private returns (uint256 paid) {
        Ledger memory ledger = _ledger;
        _release(ledger);
        uint256 income = _incomeDown(held, ledger.incomeIndex);
        uint256 fee = _feeUp(income, ledger.incomeFeeBps);
        paid = held.principal + income - fee;

        _subtractOwed(ledger, income);
        _remove(id, held, ledger);
        emit Withdrawn(id, owner, to, held.principal, income, fee);

        credit.safeTransfer(to, paid);
        _payFee(fee);
    }

    function _exitEarly(uint256 id, Deposit memory held, address owner, address to) private returns (uint256 paid) {
        Ledger memory ledger = _ledger;
        _release(ledger);
        uint256 income = _incomeDown(held, ledger.incomeIndex);
        uint256 penalty = _penaltyUp(held.principal, _terms[held.termId].penaltyBps);
        paid = held.principal - penalty;

        _subtractOwed(ledger, income);
        _addPending(ledger, penalty + income);
        _remove(id, held, ledger);
        emit ExitedEarly(id, owner, to, held.principal, penalty, income);

        credit.safeTransfer(to, paid);
    }

    /// @dev Takes a deposit out of the books and writes them.
    function _remove(uint256 id, Deposit memory held, Ledger memory ledger) private {
        ledger.totalWeight = (ledger.totalWeight - _weightOf(held)).toUint80();
        ledger.principal -= held.principal;
        if (ledger.totalWeight == 0) {
            // Nobody is left whom the remainders of rounding could be owed to.
            uint256 rest = ledger.owed;
            ledger.owed = 0;
            _addPending(ledger, rest);
        }
        _ledger = ledger;
        delete _deposits[id];
        _burn(id);
    }

    /// @dev Starts a deposit anew with its income added.
    function _renew(uint256 id, Deposit memory held, uint16 termId, Term memory term, bool lapsed) private {
        Ledger memory ledger = _ledger;
        _release(ledger);
        uint256 income = _incomeDown(held, ledger.incomeIndex);
        uint256 fee = _feeUp(income, ledger.incomeFeeBps);
        uint256 principal = held.principal + income - fee;
        uint40 maturesAt = _now() + term.duration;

        _subtractOwed(ledger, income);
        ledger.totalWeight = (ledger.totalWeight - _weightOf(held) + principal * term.multiplierMilli).toUint80();
        ledger.principal = (ledger.principal + income - fee).toUint64();
        _ledger = ledger;
        _deposits[id] = Deposit(principal.toUint64(), maturesAt, termId, term.multiplierMilli, ledger.incomeIndex);
        emit RolledOver(id, termId, income, fee, principal, maturesAt, lapsed);

        _payFee(fee);
    }

    /* RECEIPTS */

    /// @inheritdoc IERC721
    function transferFrom(address from, address to, uint256 id) public override(ERC721, IERC721) {
        _requireAsked(to);
        super.transferFrom(from, to, id);
    }

    /// @dev Refuses the lending pool and the lease as receivers unless they fetch the receipt themselves. Whoever has no code
    /// is neither of them: asking that first spares most transfers two reads elsewhere. A claim has no need of it: neither
    /// can give a standing order.
    function _requireAsked(address to) private view {
        if (to == msg.sender || to.code.length == 0) return;
        ICreditDistributor rooms = ICreditDistributor(distributor);
        require(to != rooms.lending() && to != rooms.lease(), UnaskedReceipt(to, msg.sender));
    }

    /* INCOME */

    /// @inheritdoc ITimeBank
    function collect() external returns (uint256 fromFees, uint256 gifts) {
        fromFees = feePool.payDepositors();
        Ledger memory ledger = _ledger;
        _release(ledger);
        uint256 booked = uint256(ledger.principal) + ledger.pending + ledger.owed;
        gifts = credit.balanceOf(address(this)) - booked - fromFees;

        _addPending(ledger, fromFees + gifts);
        _ledger = ledger;
        if (fromFees + gifts != 0) emit IncomeReceived(fromFees, gifts);
    }

    /// @dev Releases in memory what is due and says so; the caller writes the books.
    function _release(Ledger memory ledger) private {
        uint256 amount = _releaseDue(ledger);
        if (amount != 0) emit IncomeReleased(amount, ledger.incomeIndex, ledger.totalWeight);
    }

    /// @dev Of what the time allows only as much is released as the index, rounded down, can express; rounded up, so
    /// that `owed` covers every deposit. When that is nothing the time keeps counting.
    function _releaseDue(Ledger memory ledger) private view returns (uint256 amount) {
        uint256 totalWeight = ledger.totalWeight;
        if (totalWeight == 0) return 0;
        uint256 elapsed = block.timestamp - ledger.accruedAt;
        uint256 due = ledger.pending * elapsed / (elapsed + ledger.releaseSeconds);
        uint256 delta = due * INDEX_ONE / totalWeight;
        if (delta == 0) return 0;

        // Not above `due`, because delta is rounded down.
        amount = Math.ceilDiv(delta * totalWeight, INDEX_ONE);
        ledger.incomeIndex = (ledger.incomeIndex + delta).toUint120();
        ledger.owed = (ledger.owed + amount).toUint64();
        ledger.pending = (ledger.pending - amount).toUint64();
        ledger.accruedAt = _now();
    }

    /// @dev What is due was released before: no time before is paid for out of what comes now.
    function _addPending(Ledger memory ledger, uint256 amount) private view {
        if (amount == 0) return;
        ledger.pending = (ledger.pending + amount).toUint64();
        ledger.accruedAt = _now();
    }

    function _subtractOwed(Ledger memory ledger, uint256 income) private pure {
        ledger.owed = (ledger.owed - income).toUint64();
    }

    /// @dev The fee pool books it at its next sync: doing that here would cost every member 11,000 gas more.
    function _payFee(uint256 fee) private {
        if (fee != 0) credit.safeTransfer(address(feePool), fee);
    }

    /* SETTINGS */

    /// @inheritdoc ITimeBank
    function addTerm(uint32 duration, uint16 multiplierMilli, uint16 penaltyBps)
        external
        restricted
        returns (uint256 termId)
    {
        return _addTerm(Term(duration, multiplierMilli, penaltyBps, true));
    }

    /// @inheritdoc ITimeBank
    function setTermOpen(uint16 termId, bool open) external restricted {
        _requireTerm(_terms[termId], termId);
        _terms[termId].open = open;
        emit TermOpenSet(termId, open);
    }

    /// @inheritdoc ITimeBank
    function setIncomeFee(uint16 newFeeBps) external restricted {
        _setIncomeFee(newFeeBps);
    }

    /// @inheritdoc ITimeBank
    function setReleaseTime(uint24 newReleaseSeconds) external restricted {
        Ledger memory ledger = _ledger;
        _release(ledger);
        _ledger = ledger;
        _setReleaseTime(newReleaseSeconds);
    }

    function _addTerm(Term memory term) private returns (uint256 termId) {
        bool possible = term.multiplierMilli != 0 && term.multiplierMilli <= MAX_MULTIPLIER_MILLI
            && term.penaltyBps <= MAX_PENALTY_BPS && (term.duration != 0 || term.penaltyBps == 0);
        require(possible, BadTerm(term.duration, term.multiplierMilli, term.penaltyBps));

        termId = termCount++;
        _terms[termId] = term;
        emit TermAdded(termId, term.duration, term.multiplierMilli, term.penaltyBps);
    }

    function _setIncomeFee(uint16 newFeeBps) private {
        require(newFeeBps <= MAX_INCOME_FEE_BPS, IncomeFeeTooHigh(newFeeBps, MAX_INCOME_FEE_BPS));
        emit IncomeFeeSet(_ledger.incomeFeeBps, newFeeBps);
        _ledger.incomeFeeBps = newFeeBps;
    }

    function _setReleaseTime(uint24 newReleaseSeconds) private {
        require(
            newReleaseSeconds != 0 && newReleaseSeconds <= MAX_RELEASE_SECONDS,
            BadReleaseTime(newReleaseSeconds, MAX_RELEASE_SECONDS)
        );
        emit ReleaseTimeSet(_ledger.releaseSeconds, newReleaseSeconds);
        _ledger.releaseSeconds = newReleaseSeconds;
    }

    /* VIEWS */

    /// @inheritdoc ITimeBank
    function books() external view returns (BankBooks memory) {
        Ledger memory ledger = _ledger;
        return BankBooks({
            incomeIndex: ledger.incomeIndex,
            accruedAt: ledger.accruedAt,
            owed: ledger.owed,
            nextId: ledger.nextId,
            totalWeight: ledger.totalWeight,
            principal: ledger.principal,
            pending: ledger.pending
        });
    }

    /// @inheritdoc ITimeBank
    function positionOf(uint256 id) public view returns (Position memory) {
        _requireOwned(id);
        Deposit memory held = _deposits[id];
        return Position(held.principal, held.maturesAt, held.termId, held.incomeIndex);
    }

    /// @inheritdoc ITimeBank
    function incomeOf(uint256 id) public view returns (uint256) {
        _requireOwned(id);
        Ledger memory ledger = _ledger;
        _releaseDue(ledger);
        return _incomeDown(_deposits[id], ledger.incomeIndex);
    }

    /// @inheritdoc ITimeBank
    function exitValueOf(uint256 id) public view returns (uint256) {
        Deposit memory held = _deposits[id];
        // No deposit is of nothing: its owner is looked up only to refuse a receipt that is not there.
        if (held.principal == 0) _requireOwned(id);
        // Before maturity income counts for nothing, and a creditor that asks is spared the books.
        if (!_isMature(held)) return held.principal - _penaltyUp(held.principal, _terms[held.termId].penaltyBps);
        Ledger memory ledger = _ledger;
        _releaseDue(ledger);
        uint256 income = _incomeDown(held, ledger.incomeIndex);
        return held.principal + income - _feeUp(income, ledger.incomeFeeBps);
    }

    /// @inheritdoc ITimeBank
    function termOf(uint256 termId) external view returns (Term memory term) {
        term = _terms[termId];
        _requireTerm(term, termId);
    }

    /// @inheritdoc ITimeBank
    function incomeFeeBps() external view returns (uint256) {
        return _ledger.incomeFeeBps;
    }

    /// @inheritdoc ITimeBank
    function releaseSeconds() external view returns (uint256) {
        return _ledger.releaseSeconds;
    }

    /// @inheritdoc IERC721Metadata
    function tokenURI(uint256 id) public view override(ERC721, IERC721Metadata) returns (string memory) {
        _requireOwned(id);
        Deposit memory held = _deposits[id];
        return _metadata.uri(
            Receipt({
                id: id,
                symbol: credit.symbol(),
                principal: held.principal,
                duration: _terms[held.termId].duration,
                maturesAt: held.maturesAt,
                earned: incomeOf(id),
                worth: exitValueOf(id)
            })
        );
    }

    /// @dev The owner of a receipt the caller may dispose of.
    function _ownerForCaller(uint256 id) private view returns (address owner) {
        owner = _requireOwned(id);
        require(_isAuthorized(owner, msg.sender, id), NotReceiptHolder(id, msg.sender));
    }

    function _requireMature(uint256 id, Deposit memory held) private view {
        require(_isMature(held), NotMature(id, held.maturesAt, block.timestamp));
    }

    function _isMature(Deposit memory held) private view returns (bool) {
        return block.timestamp >= held.maturesAt;
    }

    function _openTerm(uint256 termId) private view returns (Term memory term) {
        term = _terms[termId];
        _requireTerm(term, termId);
        require(term.open, TermClosed(termId));
    }

    function _requireTerm(Term memory term, uint256 termId) private view {
        // Not require(): it would read the storage for its message also when all is well.
        if (term.multiplierMilli == 0) revert NoSuchTerm(termId, termCount);
    }

    function _weightOf(Deposit memory held) private pure returns (uint256) {
        return uint256(held.principal) * held.multiplierMilli;
    }

    /// @dev Rounded down: the positions' incomes are together never above `owed`.
    function _incomeDown(Deposit memory held, uint256 incomeIndex) private pure returns (uint256) {
        return (incomeIndex - held.incomeIndex) * _weightOf(held) / INDEX_ONE;
    }

    /// @dev Rounded up, in the pool's favour: otherwise small incomes would pay nothing.
    function _feeUp(uint256 income, uint256 feeBps) private pure returns (uint256) {
        return Math.ceilDiv(income * feeBps, ONE_BPS);
    }

    /// @dev Rounded up, in favour of those who stay.
    function _penaltyUp(uint256 principal, uint256 penaltyBps) private pure returns (uint256) {
        return Math.ceilDiv(principal * penaltyBps, ONE_BPS);
    }

    function _now() private view returns (uint40) {
        // Safe unchecked cast because 2^40 seconds are 34,000 years.
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint40(block.timestamp);
    }
}
