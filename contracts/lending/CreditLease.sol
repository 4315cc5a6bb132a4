// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {Pausing} from "../governance/Pausing.sol";
import {IAttentionCredit} from "../interfaces/IAttentionCredit.sol";
import {IClaimCreditor} from "../interfaces/IClaimCreditor.sol";
import {ICreditDistributor} from "../interfaces/ICreditDistributor.sol";
import {ICreditLease, Lease, LeaseOffer} from "../interfaces/ICreditLease.sol";
import {ICreditLending} from "../interfaces/ICreditLending.sol";
import {IFeePool} from "../interfaces/IFeePool.sol";
import {ITimeBank} from "../interfaces/ITimeBank.sol";
import {AccountLeaf} from "../libraries/EpochTree.sol";

/// @title CreditLease
contract CreditLease is ICreditLease, AccessManaged, Pausing, EIP712 {
    using SafeCast for uint256;
    using SafeERC20 for IAttentionCredit;

    /// @dev What every taking reads and writes, in one slot.
    struct Settings {
        uint64 leaseCount;
        uint16 feeBps;
        bool paused;
    }

    /// @dev What became of an offer, in one slot.
    struct OfferState {
        uint64 taken;
        bool cancelled;
    }

    /// @dev EIP-712 type of an offer.
    bytes32 private constant OFFER_TYPEHASH = keccak256(
        "LeaseOffer(address lender,address lessee,uint64 amount,uint64 minTake,uint64 rent,uint32 term,"
        "bool onStanding,uint40 expiresAt,uint64 series,uint256 salt)"
    );

    /// @dev One whole, in hundredths of a percent.
    uint256 private constant ONE_BPS = 10_000;

    /// @inheritdoc ICreditLease
    uint256 public constant MAX_LEASE_FEE_BPS = 2_000;

    /// @inheritdoc ICreditLease
    uint256 public constant MAX_LEASE_TERM = 4 * 365 days;

    /// @inheritdoc ICreditLease
    IAttentionCredit public immutable credit;

    /// @inheritdoc ICreditLease
    ITimeBank public immutable timeBank;

    /// @inheritdoc ICreditLease
    ICreditLending public immutable lending;

    /// @inheritdoc ICreditLease
    IFeePool public immutable feePool;

    /// @inheritdoc ICreditLease
    ICreditDistributor public immutable distributor;

    Settings private _settings;

    mapping(uint256 leaseId => Lease) private _leases;

    mapping(bytes32 offerHash => OfferState) private _offers;

    /// @inheritdoc ICreditLease
    mapping(address lessee => uint256) public standingLeaseOf;

    /// @inheritdoc ICreditLease
    mapping(address lender => uint64) public seriesOf;

    constructor(address manager, ICreditLending pool, uint16 initialFeeBps)
        AccessManaged(manager)
        EIP712("timebank CreditLease", "1")
    {
        lending = pool;
        credit = pool.credit();
        timeBank = pool.timeBank();
        feePool = pool.feePool();
        distributor = pool.distributor();
        _setLeaseFee(initialFeeBps);
    }

    /* TAKING */

    /// @inheritdoc ICreditLease
    function take(LeaseOffer calldata offer, bytes calldata signature, uint256 amount, uint256 receiptId)
        external
        returns (uint256 leaseId)
    {
        (bytes32 offerHash, uint256 rent) = _requireTakable(offer, signature, amount);
        require(timeBank.ownerOf(receiptId) == msg.sender, NotReceiptOwner(receiptId, msg.sender));
        uint256 exitValue = timeBank.exitValueOf(receiptId);
        require(exitValue >= amount + rent, ReceiptTooSmall(receiptId, exitValue, amount + rent));

        leaseId = _open(offer, offerHash, amount, rent, receiptId, address(0));

        // Custody is why a receipt cannot be pledged twice or moved while pledged.
        timeBank.transferFrom(msg.sender, address(this), receiptId);
        credit.safeTransferFrom(offer.lender, msg.sender, amount);
    }

    /// @inheritdoc ICreditLease
    function takeOnStanding(
        LeaseOffer calldata offer,
        bytes calldata signature,
        uint256 amount,
        AccountLeaf calldata leaf,
        bytes32[] calldata proof
    ) external returns (uint256 leaseId) {
        (bytes32 offerHash, uint256 rent) = _requireTakable(offer, signature, amount);
        require(offer.onStanding, StandingNotAccepted(offerHash));
        uint256 running = standingLeaseOf[msg.sender];
        require(running == 0, StandingLeaseRuns(msg.sender, running));
        if (!distributor.isLatestLeaf(leaf, proof)) revert StandingNotProven(leaf.index, distributor.accountRoot());
        require(distributor.receiverOf(leaf.account) == msg.sender, NotAccountHolder(leaf.account, msg.sender));
        uint256 limit = lending.standingLimit(leaf.standing);
        require(amount + rent <= limit, StandingTooLow(amount + rent, limit));

        leaseId = _open(offer, offerHash, amount, rent, 0, leaf.account);
        standingLeaseOf[msg.sender] = leaseId;

        distributor.pledgeClaims(leaf.account, msg.sender);
        credit.safeTransferFrom(offer.lender, msg.sender, amount);
    }

    /* REPAYING */

    /// @inheritdoc ICreditLease
    function repay(uint256 leaseId, uint256 amount) external returns (uint256 paid) {
        Lease memory lease = _requireLease(leaseId);
        require(amount != 0, ZeroAmount());
        uint256 owed = _owed(lease);
        require(amount >= owed || lease.receiptId == 0, PartialRepayment(leaseId, owed, amount));

        paid = Math.min(amount, owed);
        uint256 fee = _book(leaseId, lease, paid, msg.sender, false);

        credit.safeTransferFrom(msg.sender, lease.lender, paid - fee);
        if (fee != 0) {
            credit.safeTransferFrom(msg.sender, address(feePool), fee);
            feePool.sync();
        }
        if (paid == owed) _release(lease);
    }

    /// @inheritdoc IClaimCreditor
    function repayFromClaim(address borrower, uint256 amount) external {
        require(msg.sender == address(distributor), NotClaimsDistributor(msg.sender, address(distributor)));
        uint256 leaseId = standingLeaseOf[borrower];
        Lease memory lease = _leases[leaseId];
        uint256 owed = _owed(lease);

        uint256 fee = _book(leaseId, lease, amount, borrower, true);

        credit.safeTransfer(lease.lender, amount - fee);
        _payFee(fee);
        if (amount == owed) _release(lease);
    }

    /* AFTER THE DUE DAY, OR NEVER */

    /// @inheritdoc ICreditLease
    function settle(uint256 leaseId) external {
        Lease memory lease = _requireLease(leaseId);
        require(lease.receiptId != 0, NotOnReceipt(leaseId));
        require(block.timestamp > lease.dueAt, NotDue(leaseId, lease.dueAt, block.timestamp));

        delete _leases[leaseId];
        uint256 proceeds = timeBank.close(lease.receiptId, address(this));
        // The receipt covered what is owed when it was taken. Only a fee on income that governance raised since could
        // have made it worth less; the lender then gets what there is.
        uint256 paid = Math.min(proceeds, _owed(lease));
        uint256 fee = _feeUp(lease, paid);
        emit LeaseSettled(leaseId, msg.sender, proceeds, paid - fee, fee, proceeds - paid);
        emit LeaseClosed(leaseId);

        credit.safeTransfer(lease.lender, paid - fee);
        _payFee(fee);
        if (proceeds != paid) credit.safeTransfer(lease.lessee, proceeds - paid);
    }

    /// @inheritdoc ICreditLease
    function forgive(uint256 leaseId) external {
        Lease memory lease = _requireLease(leaseId);
        require(msg.sender == lease.lender, NotLender(leaseId, msg.sender, lease.lender));

        _close(leaseId, lease);
        emit LeaseForgiven(leaseId, _owed(lease));
        emit LeaseClosed(leaseId);

        _release(lease);
    }

    /* OFFERS */

    /// @inheritdoc ICreditLease
    function cancel(LeaseOffer calldata offer) external {
        require(msg.sender == offer.lender, NotOfferLender(msg.sender, offer.lender));
        bytes32 offerHash = hashOffer(offer);
        _offers[offerHash].cancelled = true;
        emit OfferCancelled(msg.sender, offerHash);
    }

    /// @inheritdoc ICreditLease
    function cancelAll() external returns (uint64 newSeries) {
        newSeries = ++seriesOf[msg.sender];
        emit SeriesEnded(msg.sender, newSeries);
    }

    /// @inheritdoc ICreditLease
    function hashOffer(LeaseOffer calldata offer) public view returns (bytes32) {
        // All members are words, so the encoded struct is what EIP-712 asks for.
        return _hashTypedDataV4(keccak256(abi.encode(OFFER_TYPEHASH, offer)));
    }

    /* SETTINGS */

    /// @inheritdoc ICreditLease
    function setLeaseFee(uint16 newFeeBps) external restricted {
        _setLeaseFee(newFeeBps);
    }

    /// @inheritdoc ICreditLease
    function pauseLeasing() external restricted {
        _settings.paused = true;
        emit LeasingPausedSet(true, _nextPause());
    }

    /// @inheritdoc ICreditLease
    function resumeLeasing(uint256 pause) external restricted {
        _requireLatest(pause);
        _settings.paused = false;
        emit LeasingPausedSet(false, pause);
    }

    /* VIEWS */

    /// @inheritdoc ICreditLease
    function leaseOf(uint256 leaseId) external view returns (Lease memory) {
        return _leases[leaseId];
    }

    /// @inheritdoc ICreditLease
    function owedOn(uint256 leaseId) external view returns (uint256) {
        return _owed(_leases[leaseId]);
    }

    /// @inheritdoc IClaimCreditor
    function dueFromClaims(address borrower) external view returns (uint256) {
        Lease memory lease = _leases[standingLeaseOf[borrower]];
        return block.timestamp > lease.dueAt ? _owed(lease) : 0;
    }

    /// @inheritdoc ICreditLease
    function takenOf(bytes32 offerHash) external view returns (uint256) {
        return _offers[offerHash].taken;
    }

    /// @inheritdoc ICreditLease
    function isCancelled(bytes32 offerHash) external view returns (bool) {
        return _offers[offerHash].cancelled;
    }

    /// @inheritdoc ICreditLease
    function leaseCount() external view returns (uint256) {
        return _settings.leaseCount;
    }

    /// @inheritdoc ICreditLease
    function leaseFeeBps() external view returns (uint256) {
        return _settings.feeBps;
    }

    /// @inheritdoc ICreditLease
    function leasingPaused() external view returns (bool) {
        return _settings.paused;
    }

    /* INSIDE */

    /// @dev Everything about an offer that does not depend on the security, in the order the interface lists. The
    /// signature comes last: a contract wallet is asked only about what could be taken.
    function _requireTakable(LeaseOffer calldata offer, bytes calldata signature, uint256 amount)
        private
        view
        returns (bytes32 offerHash, uint256 rent)
    {
        require(!_settings.paused, LeasingPaused());
        require(
            offer.minTake != 0 && offer.minTake <= offer.amount && offer.term != 0 && offer.term <= MAX_LEASE_TERM
                && uint256(offer.amount) + offer.rent <= type(uint64).max,
            BadOffer()
        );
        require(block.timestamp <= offer.expiresAt, OfferExpired(offer.expiresAt, block.timestamp));
        uint256 series = seriesOf[offer.lender];
        require(offer.series == series, SeriesIsOver(offer.series, series));
        offerHash = hashOffer(offer);
        OfferState memory state = _offers[offerHash];
        require(!state.cancelled, OfferIsCancelled(offerHash));
        require(offer.lessee == address(0) || offer.lessee == msg.sender, NotForCaller(offer.lessee, msg.sender));
        require(offer.lender != msg.sender, LenderIsLessee(offer.lender));
        uint256 left = offer.amount - state.taken;
        // What is left may be less than the smallest part: then it goes as a whole.
        require(
            amount != 0 && amount <= left && (amount >= offer.minTake || amount == left),
            BadTake(amount, offer.minTake, left)
        );
        require(
            SignatureChecker.isValidSignatureNowCalldata(offer.lender, offerHash, signature),
            BadOfferSignature(offer.lender, offerHash)
        );
        // Rounded up, in the lender's favour: otherwise a part could be so small that its rent is nothing.
        rent = Math.mulDiv(offer.rent, amount, offer.amount, Math.Rounding.Ceil);
    }

    function _open(
        LeaseOffer calldata offer,
        bytes32 offerHash,
        uint256 amount,
        uint256 rent,
        uint256 receiptId,
        address account
    ) private returns (uint256 leaseId) {
        Settings memory settings = _settings;
        leaseId = ++settings.leaseCount;
        uint256 dueAt = block.timestamp + offer.term;

        _settings.leaseCount = settings.leaseCount;
        // Safe unchecked casts because amount and rent are parts of the offer's, which are uint64.
        // forge-lint: disable-start(unsafe-typecast)
        _offers[offerHash].taken += uint64(amount);
        Lease storage lease = _leases[leaseId];
        lease.lender = offer.lender;
        lease.dueAt = dueAt.toUint40();
        lease.receiptId = receiptId.toUint32();
        lease.feeBps = settings.feeBps;
        lease.lessee = msg.sender;
        lease.principal = uint64(amount);
        lease.account = account;
        lease.rent = uint64(rent);
        // forge-lint: disable-end(unsafe-typecast)
        emit LeaseTaken(
            leaseId, offerHash, msg.sender, offer.lender, amount, rent, dueAt, receiptId, account, settings.feeBps
        );
    }

    /// @dev Books `paid`, at most what is owed, and ends the lease with the last of it.
    function _book(uint256 leaseId, Lease memory lease, uint256 paid, address payer, bool fromClaim)
        private
        returns (uint256 fee)
    {
        uint256 repaid = lease.repaid + paid;
        // The fee on all rent so far less the fee on the rent before: however the rent is split, the sum is the same.
        fee = _feeUp(lease, repaid) - _feeUp(lease, lease.repaid);
        bool over = paid == _owed(lease);

        if (over) _close(leaseId, lease);
        // Safe unchecked cast because an offer's amount and rent together fit.
        // forge-lint: disable-next-line(unsafe-typecast)
        else _leases[leaseId].repaid = uint64(repaid);
        emit LeaseRepaid(leaseId, payer, paid, fee, fromClaim);
        if (over) emit LeaseClosed(leaseId);
    }

    function _close(uint256 leaseId, Lease memory lease) private {
        delete _leases[leaseId];
        if (lease.receiptId == 0) delete standingLeaseOf[lease.lessee];
    }

    /// @dev Gives the security back.
    function _release(Lease memory lease) private {
        if (lease.receiptId != 0) timeBank.transferFrom(address(this), lease.lessee, lease.receiptId);
        else distributor.releaseClaims(lease.account, lease.lessee);
    }

    /// @dev Out of what this contract holds.
    function _payFee(uint256 fee) private {
        if (fee == 0) return;
        credit.safeTransfer(address(feePool), fee);
        feePool.sync();
    }

    function _setLeaseFee(uint16 newFeeBps) private {
        require(newFeeBps <= MAX_LEASE_FEE_BPS, LeaseFeeTooHigh(newFeeBps, MAX_LEASE_FEE_BPS));
        emit LeaseFeeSet(_settings.feeBps, newFeeBps);
        _settings.feeBps = newFeeBps;
    }

    function _requireLease(uint256 leaseId) private view returns (Lease memory lease) {
        lease = _leases[leaseId];
        // Nobody can sign for the zero address.
        require(lease.lender != address(0), NoSuchLease(leaseId));
    }

    function _owed(Lease memory lease) private pure returns (uint256) {
        return uint256(lease.principal) + lease.rent - lease.repaid;
    }

    /// @dev The fee once `repaid` has come in: on what of it is rent, since the principal comes first. Rounded up, in the
    /// fee pool's favour.
    function _feeUp(Lease memory lease, uint256 repaid) private pure returns (uint256) {
        uint256 rentPaid = Math.saturatingSub(repaid, lease.principal);
        return Math.mulDiv(rentPaid, lease.feeBps, ONE_BPS, Math.Rounding.Ceil);
    }
}
