// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {Pausing} from "../governance/Pausing.sol";
import {IAttentionCredit} from "../interfaces/IAttentionCredit.sol";
import {IFeePool} from "../interfaces/IFeePool.sol";
import {
    IServiceEscrow,
    Listing,
    ListingKind,
    Order,
    Outcome,
    Periods,
    Proposal,
    Stage
} from "../interfaces/IServiceEscrow.sol";

/// @title ServiceEscrow
contract ServiceEscrow is IServiceEscrow, AccessManaged, Pausing {
    using SafeCast for uint256;
    using SafeERC20 for IAttentionCredit;

    /// @dev What every order reads and writes, in one slot.
    struct Settings {
        uint32 listingCount;
        uint64 orderCount;
        uint16 feeBps;
        bool paused;
    }

    /// @dev One whole, in hundredths of a percent.
    uint256 private constant ONE_BPS = 10_000;

    /// @dev The best rating.
    uint256 private constant MAX_STARS = 5;

    /// @inheritdoc IServiceEscrow
    uint256 public constant MAX_SERVICE_FEE_BPS = 1_000;

    /// @inheritdoc IServiceEscrow
    uint256 public constant MIN_PERIOD = 1 hours;

    /// @inheritdoc IServiceEscrow
    uint256 public constant MAX_PERIOD = 365 days;

    /// @inheritdoc IServiceEscrow
    IAttentionCredit public immutable credit;

    /// @inheritdoc IServiceEscrow
    IFeePool public immutable feePool;

    Settings private _settings;

    mapping(uint256 listingId => Listing) private _listings;

    mapping(uint256 orderId => Order) private _orders;

    constructor(address manager, IFeePool pool, uint16 initialFeeBps) AccessManaged(manager) {
        feePool = pool;
        credit = pool.credit();
        _setServiceFee(initialFeeBps);
    }

    /* LISTINGS */

    /// @inheritdoc IServiceEscrow
    function list(Listing calldata listing) external returns (uint256 listingId) {
        require(block.timestamp <= listing.expiresAt, ListingExpired(0, listing.expiresAt, block.timestamp));
        require(listing.stock != 0, SoldOut(0));
        require(listing.defaultBps <= ONE_BPS, BadDefault(listing.defaultBps));
        _requirePeriod(listing.periods.response);
        _requirePeriod(listing.periods.review);
        _requirePeriod(listing.periods.answer);
        _requirePeriod(listing.periods.ruling);
        _requirePossible(listing.proposal, _settings.feeBps, msg.sender, msg.sender);

        listingId = ++_settings.listingCount;
        Listing memory written = listing;
        written.owner = msg.sender;
        _listings[listingId] = written;
        emit ServiceListed(listingId, msg.sender, written);
    }

    /// @inheritdoc IServiceEscrow
    function setStock(uint256 listingId, uint32 stock) external {
        Listing storage listing = _requireListing(listingId);
        require(listing.owner == msg.sender, NotListingOwner(listingId, msg.sender, listing.owner));
        emit ServiceStockSet(listingId, listing.stock, stock);
        listing.stock = stock;
    }

    /* AGREEING */

    /// @inheritdoc IServiceEscrow
    function placeOrder(uint256 listingId, Proposal calldata proposal) external returns (uint256 orderId) {
        Settings memory settings = _settings;
        require(!settings.paused, OrderingPaused());
        Listing storage listing = _requireListing(listingId);
        require(block.timestamp <= listing.expiresAt, ListingExpired(listingId, listing.expiresAt, block.timestamp));
        require(listing.stock != 0, SoldOut(listingId));
        address owner = listing.owner;
        require(owner != msg.sender, OwnListing(listingId, owner));
        _requirePossible(proposal, settings.feeBps, owner, msg.sender);

        orderId = ++settings.orderCount;
        _settings.orderCount = settings.orderCount;
        bool byBuyer = listing.kind == ListingKind.Offer;
        Order storage order = _orders[orderId];
        (order.buyer, order.provider) = byBuyer ? (msg.sender, owner) : (owner, msg.sender);
        order.feeBps = settings.feeBps;
        // Safe unchecked cast because listings are counted in 32 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        order.listingId = uint32(listingId);
        uint256 deadline = _propose(order, proposal, byBuyer, listing.periods.response);
        emit ServiceOrdered(
            orderId,
            order.buyer,
            order.provider,
            listingId,
            order.stage,
            proposal,
            order.held,
            settings.feeBps,
            deadline
        );

        if (byBuyer) credit.safeTransferFrom(msg.sender, address(this), proposal.price);
    }

    /// @inheritdoc IServiceEscrow
    function counter(uint256 orderId, Proposal calldata proposal) external {
        (Order storage order, bool byBuyer) = _requireAsked(orderId);
        _requirePossible(proposal, order.feeBps, order.buyer, order.provider);

        uint256 before = order.held;
        uint256 deadline = _propose(order, proposal, byBuyer, _listings[order.listingId].periods.response);
        emit ServiceCountered(orderId, msg.sender, order.revision, order.stage, proposal, order.held, deadline);

        _moveHeld(order.buyer, before, order.held);
    }

    /// @inheritdoc IServiceEscrow
    function accept(uint256 orderId, uint256 revision) external {
        (Order storage order,) = _requireAsked(orderId);
        require(order.revision == revision, WrongRevision(orderId, revision, order.revision));
        Listing storage listing = _listings[order.listingId];
        uint32 stock = listing.stock;
        require(stock != 0, SoldOut(order.listingId));

        listing.stock = --stock;
        (uint256 before, uint64 price) = (order.held, order.proposal.price);
        order.held = price;
        uint256 deadline = _enter(order, Stage.Accepted, order.proposal.delivery);
        emit ServiceAccepted(orderId, msg.sender, price, stock, deadline);

        _moveHeld(order.buyer, before, price);
    }

    /// @inheritdoc IServiceEscrow
    function cancel(uint256 orderId) external {
        Order storage order = _orders[orderId];
        require(_isAsked(order.stage), WrongStage(orderId, order.stage));
        _requireInTime(orderId, order);
        require(msg.sender == order.buyer || msg.sender == order.provider, NotYours(orderId, msg.sender));

        _cancel(orderId, order, false);
    }

    /* DELIVERING */

    /// @inheritdoc IServiceEscrow
    function deliver(uint256 orderId, bytes32 contentHash) external {
        Order storage order = _requireStage(orderId, Stage.Accepted, Stage.Accepted);
        require(msg.sender == order.provider, NotYours(orderId, msg.sender));

        uint256 deadline = _enter(order, Stage.Delivered, _listings[order.listingId].periods.review);
        emit ServiceDelivered(orderId, contentHash, deadline);
    }

    /// @inheritdoc IServiceEscrow
    function approve(uint256 orderId) external {
        Order storage order = _requireStage(orderId, Stage.Accepted, Stage.Disputed);
        require(msg.sender == order.buyer, NotYours(orderId, msg.sender));

        _settle(orderId, order, Outcome.Approved, order.held, 0);
    }

    /// @inheritdoc IServiceEscrow
    function refund(uint256 orderId) external {
        Order storage order = _requireStage(orderId, Stage.Accepted, Stage.Disputed);
        require(msg.sender == order.provider, NotYours(orderId, msg.sender));

        _settle(orderId, order, Outcome.Refunded, 0, 0);
    }

    /* QUARRELLING */

    /// @inheritdoc IServiceEscrow
    function contest(uint256 orderId, uint64 part, bytes32 contentHash) external {
        Order storage order = _requireStage(orderId, Stage.Delivered, Stage.Delivered);
        require(msg.sender == order.buyer, NotYours(orderId, msg.sender));
        require(part < order.held, BadPart(part, order.held));

        order.part = part;
        uint256 deadline = _enter(order, Stage.Contested, _listings[order.listingId].periods.answer);
        emit ServiceContested(orderId, part, contentHash, deadline);
    }

    /// @inheritdoc IServiceEscrow
    function concede(uint256 orderId) external {
        Order storage order = _requireStage(orderId, Stage.Contested, Stage.Disputed);
        require(msg.sender == order.provider, NotYours(orderId, msg.sender));

        _settle(orderId, order, Outcome.Conceded, order.part, 0);
    }

    /// @inheritdoc IServiceEscrow
    function dispute(uint256 orderId, bytes32 contentHash) external {
        Order storage order = _requireStage(orderId, Stage.Contested, Stage.Contested);
        require(msg.sender == order.provider, NotYours(orderId, msg.sender));

        uint256 deadline = _enter(order, Stage.Disputed, _listings[order.listingId].periods.ruling);
        emit ServiceDisputed(orderId, order.proposal.arbiter, contentHash, deadline);
    }

    /// @inheritdoc IServiceEscrow
    function rule(uint256 orderId, uint64 toProvider, bytes32 contentHash) external {
        Order storage order = _requireStage(orderId, Stage.Disputed, Stage.Disputed);
        require(msg.sender == order.proposal.arbiter, NotYours(orderId, msg.sender));
        require(toProvider <= order.held, BadPart(toProvider, order.held));

        _settle(orderId, order, Outcome.Ruled, toProvider, contentHash);
    }

    /* TIME */

    /// @inheritdoc IServiceEscrow
    function move(uint256 orderId) external {
        Order storage order = _orders[orderId];
        Stage stage = order.stage;
        require(_isAsked(stage) || _isAgreed(stage), WrongStage(orderId, stage));
        require(block.timestamp > order.deadline, NotOverdue(orderId, order.deadline, block.timestamp));

        uint256 held = order.held;
        if (stage == Stage.Accepted) _settle(orderId, order, Outcome.NotDelivered, 0, 0);
        else if (stage == Stage.Delivered) _settle(orderId, order, Outcome.NotReviewed, held, 0);
        else if (stage == Stage.Contested) _settle(orderId, order, Outcome.NotAnswered, order.part, 0);
        else if (stage == Stage.Disputed) _settle(orderId, order, Outcome.NotRuled, _defaultPartDown(order), 0);
        else _cancel(orderId, order, true);
    }

    /* RATING */

    /// @inheritdoc IServiceEscrow
    function rate(uint256 orderId, uint8 stars, bytes32 contentHash) external {
        Order storage order = _orders[orderId];
        require(order.stage == Stage.Settled, WrongStage(orderId, order.stage));
        bool byBuyer = msg.sender == order.buyer;
        require(byBuyer || msg.sender == order.provider, NotYours(orderId, msg.sender));
        require(stars != 0 && stars <= MAX_STARS, BadStars(stars));
        uint256 earlier = byBuyer ? order.starsByBuyer : order.starsByProvider;
        require(earlier == 0, AlreadyRated(orderId, msg.sender));

        if (byBuyer) order.starsByBuyer = stars;
        else order.starsByProvider = stars;
        emit ServiceRated(orderId, msg.sender, byBuyer ? order.provider : order.buyer, stars, contentHash);
    }

    /* SETTINGS */

    /// @inheritdoc IServiceEscrow
    function setServiceFee(uint16 newFeeBps) external restricted {
        _setServiceFee(newFeeBps);
    }

    /// @inheritdoc IServiceEscrow
    function pauseOrdering() external restricted {
        _settings.paused = true;
        emit OrderingPausedSet(true, _nextPause());
    }

    /// @inheritdoc IServiceEscrow
    function resumeOrdering(uint256 pause) external restricted {
        _requireLatest(pause);
        _settings.paused = false;
        emit OrderingPausedSet(false, pause);
    }

    /* VIEWS */

    /// @inheritdoc IServiceEscrow
    function listingOf(uint256 listingId) external view returns (Listing memory) {
        return _listings[listingId];
    }

    /// @inheritdoc IServiceEscrow
    function orderOf(uint256 orderId) external view returns (Order memory) {
        return _orders[orderId];
    }

    /// @inheritdoc IServiceEscrow
    function listingCount() external view returns (uint256) {
        return _settings.listingCount;
    }

    /// @inheritdoc IServiceEscrow
    function orderCount() external view returns (uint256) {
        return _settings.orderCount;
    }

    /// @inheritdoc IServiceEscrow
    function serviceFeeBps() external view returns (uint256) {
        return _settings.feeBps;
    }

    /// @inheritdoc IServiceEscrow
    function orderingPaused() external view returns (bool) {
        return _settings.paused;
    }

    /* INSIDE */

    /// @dev The caller is the side that is asked, in time.
    function _requireAsked(uint256 orderId) private view returns (Order storage order, bool byBuyer) {
        require(!_settings.paused, OrderingPaused());
        order = _orders[orderId];
        require(_isAsked(order.stage), WrongStage(orderId, order.stage));
        _requireInTime(orderId, order);
        byBuyer = order.stage == Stage.AskedBuyer;
        require(msg.sender == (byBuyer ? order.buyer : order.provider), NotYours(orderId, msg.sender));
    }

    /// @dev An order from one stage to another, both included, in time.
    function _requireStage(uint256 orderId, Stage from, Stage to) private view returns (Order storage order) {
        order = _orders[orderId];
        require(order.stage >= from && order.stage <= to, WrongStage(orderId, order.stage));
        _requireInTime(orderId, order);
    }

    function _requireInTime(uint256 orderId, Order storage order) private view {
        require(block.timestamp <= order.deadline, TooLate(orderId, order.deadline, block.timestamp));
    }

    function _requireListing(uint256 listingId) private view returns (Listing storage listing) {
        listing = _listings[listingId];
        // Nobody can send from the zero address.
        require(listing.owner != address(0), NoSuchListing(listingId));
    }

    /// @dev One side may stand for both: a listing has no other side yet.
    function _requirePossible(Proposal calldata proposal, uint256 feeBps, address oneSide, address otherSide)
        private
        pure
    {
        uint256 fee = _feeUp(proposal.price, feeBps);
        require(proposal.price > fee, BadPrice(proposal.price, fee));
        _requirePeriod(proposal.delivery);
        address arbiter = proposal.arbiter;
        require(arbiter != address(0) && arbiter != oneSide && arbiter != otherSide, BadArbiter(arbiter));
    }

    function _requirePeriod(uint256 period) private pure {
        require(period >= MIN_PERIOD && period <= MAX_PERIOD, BadPeriod(period, MIN_PERIOD, MAX_PERIOD));
    }

    /// @dev Writes what one side proposes and asks the other. Only a buyer's proposal changes what is held.
    function _propose(Order storage order, Proposal calldata proposal, bool byBuyer, uint256 response)
        private
        returns (uint256 deadline)
    {
        order.proposal = proposal;
        ++order.revision;
        if (byBuyer) order.held = proposal.price;
        return _enter(order, byBuyer ? Stage.AskedProvider : Stage.AskedBuyer, response);
    }

    function _enter(Order storage order, Stage stage, uint256 period) private returns (uint256 deadline) {
        deadline = block.timestamp + period;
        order.stage = stage;
        order.deadline = deadline.toUint40();
    }

    /// @dev Takes from the buyer what is missing, or gives back what is too much.
    function _moveHeld(address buyer, uint256 before, uint256 held) private {
        if (held > before) credit.safeTransferFrom(buyer, address(this), held - before);
        else if (held < before) credit.safeTransfer(buyer, before - held);
    }

    function _cancel(uint256 orderId, Order storage order, bool lapsed) private {
        uint256 held = order.held;
        (order.stage, order.deadline, order.held) = (Stage.Cancelled, 0, 0);
        emit ServiceCancelled(orderId, msg.sender, held, lapsed);

        if (held != 0) credit.safeTransfer(order.buyer, held);
    }

    /// @dev Divides what is held: `part` to the provider, less the fee, and the rest to the buyer.
    function _settle(uint256 orderId, Order storage order, Outcome outcome, uint256 part, bytes32 contentHash) private {
        uint256 fee = _feeUp(part, order.feeBps);
        uint256 toBuyer = order.held - part;
        (order.stage, order.deadline, order.held) = (Stage.Settled, 0, 0);
        // Safe unchecked cast because no part is above what was held.
        // forge-lint: disable-next-line(unsafe-typecast)
        order.part = uint64(part);
        emit ServiceSettled(orderId, msg.sender, outcome, part - fee, fee, toBuyer, contentHash);

        if (part != fee) credit.safeTransfer(order.provider, part - fee);
        if (toBuyer != 0) credit.safeTransfer(order.buyer, toBuyer);
        if (fee != 0) credit.safeTransfer(address(feePool), fee);
        if (part != 0) feePool.recordSpending(part - fee);
    }

    function _setServiceFee(uint16 newFeeBps) private {
        require(newFeeBps <= MAX_SERVICE_FEE_BPS, ServiceFeeTooHigh(newFeeBps, MAX_SERVICE_FEE_BPS));
        emit ServiceFeeSet(_settings.feeBps, newFeeBps);
        _settings.feeBps = newFeeBps;
    }

    /// @dev Rounded down: the odd micro-credit is the buyer's, whose credits they were.
    function _defaultPartDown(Order storage order) private view returns (uint256) {
        return Math.mulDiv(order.held, _listings[order.listingId].defaultBps, ONE_BPS);
    }

    /// @dev Rounded up, in the pool's favour: otherwise many small orders would be free.
    function _feeUp(uint256 amount, uint256 feeBps) private pure returns (uint256) {
        return Math.mulDiv(amount, feeBps, ONE_BPS, Math.Rounding.Ceil);
    }

    function _isAsked(Stage stage) private pure returns (bool) {
        return stage == Stage.AskedProvider || stage == Stage.AskedBuyer;
    }

    function _isAgreed(Stage stage) private pure returns (bool) {
        return stage >= Stage.Accepted && stage <= Stage.Disputed;
    }
}
