// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAttentionCredit} from "./IAttentionCredit.sol";
import {IFeePool} from "./IFeePool.sol";
import {IPausing} from "./IPausing.sol";

/// @notice Who wrote a listing: who does the work, or who wants it done. A redemption catalogue is an organisation's
/// offers, each with its stock.
enum ListingKind {
    Offer,
    Request
}

/// @notice Where an order stands; the drawing is at `IServiceEscrow`.
enum Stage {
    None,
    AskedProvider,
    AskedBuyer,
    Accepted,
    Delivered,
    Contested,
    Disputed,
    Settled,
    Cancelled
}

/// @notice Why an order was settled as it was: what somebody did, or what nobody did in time.
enum Outcome {
    Approved,
    Refunded,
    Conceded,
    Ruled,
    NotDelivered,
    NotReviewed,
    NotAnswered,
    NotRuled
}

/// @notice How long each side has, in seconds, each from `MIN_PERIOD` to `MAX_PERIOD`.
/// @param response For the answer to an order or a counter-offer.
/// @param review For the buyer, after a delivery.
/// @param answer For the provider, when the buyer contests.
/// @param ruling For the arbiter, after a dispute.
struct Periods {
    uint32 response;
    uint32 review;
    uint32 answer;
    uint32 ruling;
}

/// @notice What the two sides bargain about.
/// @param price Micro-credits, fee included.
/// @param delivery Seconds from acceptance within which to deliver, from `MIN_PERIOD` to `MAX_PERIOD`.
/// @param arbiter Who rules if they quarrel; neither of them.
/// @param contentHash keccak-256 of the text that says what is to be done; the text is kept off chain.
struct Proposal {
    uint64 price;
    uint32 delivery;
    address arbiter;
    bytes32 contentHash;
}

/// @notice An offer or a request. Only `stock` ever changes.
/// @param owner The provider of an offer, the buyer of a request.
/// @param expiresAt Unix time in seconds until which orders can be placed.
/// @param stock Orders that can still be accepted; 0 ends the listing.
/// @param defaultBps The provider's part, in hundredths of a percent, of a dispute no arbiter rules on.
/// @param proposal What an order is for, unless it proposes something else.
struct Listing {
    address owner;
    uint40 expiresAt;
    ListingKind kind;
    uint32 stock;
    uint16 defaultBps;
    Periods periods;
    Proposal proposal;
}

/// @notice An order.
/// @param deadline Unix time in seconds: until then the sides act, after it anybody moves the order on. 0 once it is over.
/// @param revision Number of the proposal that stands; the first is 1.
/// @param feeBps Fee on what the provider gets, in hundredths of a percent, as it was when the order was placed.
/// @param starsByBuyer The buyer's rating of the provider, 1 to 5; 0 for none.
/// @param starsByProvider The provider's rating of the buyer, 1 to 5; 0 for none.
/// @param held Micro-credits in escrow.
/// @param part Micro-credits the buyer who contests would pay; once settled, what the provider got, fee included.
struct Order {
    address buyer;
    uint40 deadline;
    Stage stage;
    uint16 revision;
    uint16 feeBps;
    uint8 starsByBuyer;
    uint8 starsByProvider;
    address provider;
    uint32 listingId;
    uint64 held;
    uint64 part;
    Proposal proposal;
}

/// @title IServiceEscrow: offers and requests, and the credits between order and settlement
/// @notice The heart of a time bank: somebody offers a service, or asks for one; credits wait here until the work is done.
///
/// An order and who moves it. In brackets: the credits. Every stage but the last two has a deadline. Until then the sides
/// act; once it has passed nothing but `move` works, which anybody may call: `time` in the drawing.
///
///     offer: the buyer's placeOrder [price in]          request: the provider's placeOrder [nothing in yet]
///                 v                                                      v
///           AskedProvider <───────── counter, by the side asked ─────> AskedBuyer
///                 │            [a buyer's counter brings its price]      │
///                 ├── cancel by either side, time ──> Cancelled <────────┤
///                 │                    [all that is held to the buyer]   │
///                 └── accept by the provider ──> Accepted <── accept by the buyer [price in]
///                                                    │
///                                                    ├── approve by the buyer ────> Settled [all to the provider]
///                                                    ├── refund by the provider, time ──> Settled [all to the buyer]
///                        deliver by the provider     v
///                                                Delivered
///                                                    ├── approve by the buyer, time ──> Settled [all to the provider]
///                                                    ├── refund by the provider ──> Settled [all to the buyer]
///                        contest by the buyer        v
///                                                Contested
///                                                    ├── approve, refund: as before
///                                                    ├── concede by the provider, time ──> Settled [the named part]
///                        dispute by the provider     v
///                                                Disputed
///                                                    ├── approve, refund, concede: as before
///                                                    ├── rule by the arbiter ──> Settled [the ruled part]
///                                                    └── time ──> Settled [the listing's default part]
///
/// A part goes to the provider, the rest to the buyer. Once settled, each side may rate the other, once.
///
/// To reject is to contest with a part of 0; to accept in part is to contest with a part above it. A part never changes
/// once named, so conceding means what it meant when it was signed; accepting names the proposal's revision for the same
/// reason. A side that acts alone can only give: `approve` pays the provider in full, `refund` the buyer.
///
/// The fee is taken from what the provider gets, at settlement, rounded up, at the rate of the day the order was placed.
/// @dev The credits held are the sum of all orders' `held`. Stock is counted when an order is accepted, not when it is placed:
/// nobody can empty a listing by orders that come to nothing.
/// Credits are paid out directly: the credit has no hooks, and no holder can refuse it.
/// Nobody can pause anything but placing, countering and accepting.
/// Warning: an arbiter is whoever the two sides agreed on. That it is not the other side in disguise, no contract can know.
/// Warning: silence counts. A buyer who does not look at a delivery in time pays it; a provider who does not answer a
/// rejection in time is not paid.
/// Warning: credits sent here by a plain transfer are lost: nobody can take them out.
interface IServiceEscrow is IPausing {
    /* EVENTS */

    /// @notice Somebody offers a service or asks for one.
    event ServiceListed(uint256 indexed listingId, address indexed owner, Listing listing);

    /// @notice The owner changed how many orders can still be accepted.
    event ServiceStockSet(uint256 indexed listingId, uint256 previous, uint256 stock);

    /// @notice An order was placed: by the buyer of an offer, or by who would serve a request.
    /// @param held Micro-credits that came in from the buyer.
    /// @param feeBps The fee it will be settled with, in hundredths of a percent.
    /// @param deadline Unix time in seconds for the other side's answer.
    event ServiceOrdered(
        uint256 indexed orderId,
        address indexed buyer,
        address indexed provider,
        uint256 listingId,
        Stage stage,
        Proposal proposal,
        uint256 held,
        uint256 feeBps,
        uint256 deadline
    );

    /// @notice The side that was asked proposed something else.
    /// @param held Micro-credits in escrow for the order from now on; the difference came from the buyer or went back.
    event ServiceCountered(
        uint256 indexed orderId,
        address indexed caller,
        uint256 revision,
        Stage stage,
        Proposal proposal,
        uint256 held,
        uint256 deadline
    );

    /// @notice The two sides agree.
    /// @param held Micro-credits in escrow from now on: the price.
    /// @param stock Orders of the listing that can still be accepted.
    /// @param deadline Unix time in seconds for the delivery.
    event ServiceAccepted(
        uint256 indexed orderId, address indexed caller, uint256 held, uint256 stock, uint256 deadline
    );

    /// @notice An order ended before the two sides agreed; all that was held went back to the buyer.
    /// @param lapsed Whether it was time that ended it.
    event ServiceCancelled(uint256 indexed orderId, address indexed caller, uint256 refunded, bool lapsed);

    /// @notice The provider says it is done.
    /// @param contentHash keccak-256 of what was delivered, or of the text that says where it is.
    /// @param deadline Unix time in seconds for the buyer's review.
    event ServiceDelivered(uint256 indexed orderId, bytes32 contentHash, uint256 deadline);

    /// @notice The buyer would pay a part only, or nothing.
    /// @param contentHash keccak-256 of the buyer's reasons.
    /// @param deadline Unix time in seconds for the provider's answer.
    event ServiceContested(uint256 indexed orderId, uint256 part, bytes32 contentHash, uint256 deadline);

    /// @notice The provider asks the arbiter.
    /// @param contentHash keccak-256 of the provider's reasons.
    /// @param deadline Unix time in seconds for the ruling.
    event ServiceDisputed(uint256 indexed orderId, address indexed arbiter, bytes32 contentHash, uint256 deadline);

    /// @notice The credits were divided: `toProvider` + `fee` + `toBuyer` were held.
    /// @param caller Who settled it, or moved it after its deadline.
    /// @param contentHash For a ruling, keccak-256 of its reasons; else zero.
    event ServiceSettled(
        uint256 indexed orderId,
        address indexed caller,
        Outcome outcome,
        uint256 toProvider,
        uint256 fee,
        uint256 toBuyer,
        bytes32 contentHash
    );

    /// @notice One side of a settled order rated the other.
    /// @param contentHash keccak-256 of the review's text; zero for none.
    event ServiceRated(
        uint256 indexed orderId, address indexed rater, address indexed rated, uint256 stars, bytes32 contentHash
    );

    /// @notice The fee of later orders changed, in hundredths of a percent.
    event ServiceFeeSet(uint256 previousBps, uint256 feeBps);

    /// @notice The guardian stopped new orders, or the governor allowed them again: the pause of this number began, or ended.
    event OrderingPausedSet(bool paused, uint256 pause);

    /* ERRORS */

    /// @notice Orders cannot be placed, countered or accepted at present.
    error OrderingPaused();

    /// @notice A price that leaves the provider nothing after the fee.
    error BadPrice(uint256 price, uint256 fee);

    /// @notice A period outside the bounds, in seconds.
    error BadPeriod(uint256 period, uint256 min, uint256 max);

    /// @notice The arbiter would be nobody, or one of the two sides.
    error BadArbiter(address arbiter);

    /// @notice A default part above the whole, in hundredths of a percent.
    error BadDefault(uint256 defaultBps);

    /// @notice There is no such listing.
    error NoSuchListing(uint256 listingId);

    /// @notice Orders could be placed until `expiresAt`.
    error ListingExpired(uint256 listingId, uint256 expiresAt, uint256 current);

    /// @notice Nothing is left of the listing, or it would begin with nothing (its number is then 0).
    error SoldOut(uint256 listingId);

    /// @notice The caller does not own the listing.
    error NotListingOwner(uint256 listingId, address caller, address owner);

    /// @notice The owner of a listing cannot be both sides.
    error OwnListing(uint256 listingId, address owner);

    /// @notice There is no such order, or it is in another stage.
    error WrongStage(uint256 orderId, Stage stage);

    /// @notice The caller is not the one to do this in this stage.
    error NotYours(uint256 orderId, address caller);

    /// @notice The deadline has passed: only `move` works.
    error TooLate(uint256 orderId, uint256 deadline, uint256 current);

    /// @notice The deadline has not passed.
    error NotOverdue(uint256 orderId, uint256 deadline, uint256 current);

    /// @notice Another proposal stands than the one that was meant.
    error WrongRevision(uint256 orderId, uint256 revision, uint256 current);

    /// @notice A part that is not below the price, or a ruling above it, in micro-credits.
    error BadPart(uint256 part, uint256 price);

    /// @notice Stars outside 1 to 5.
    error BadStars(uint256 stars);

    /// @notice The caller has rated this order.
    error AlreadyRated(uint256 orderId, address caller);

    /// @notice A fee above `MAX_SERVICE_FEE_BPS`.
    error ServiceFeeTooHigh(uint256 feeBps, uint256 maxBps);

    /* LISTINGS */

    /// @notice Offers a service, or asks for one. Neither moves credits.
    /// @dev Requirements, in this order: not expired already (`ListingExpired`), some stock (`SoldOut`), a default of at most the
    /// whole (`BadDefault`), periods within bounds (`BadPeriod`), a possible proposal (`BadPrice`, `BadPeriod`,
    /// `BadArbiter`). Emits `ServiceListed`.
    /// @param listing Its `owner` is ignored: the caller is.
    /// @return listingId Number of the listing; the first is 1.
    function list(Listing calldata listing) external returns (uint256 listingId);

    /// @notice Changes how many orders can still be accepted; 0 ends the listing. Orders accepted before go on.
    /// @dev Requirements: the listing exists (`NoSuchListing`), is the caller's (`NotListingOwner`). Emits `ServiceStockSet`.
    function setStock(uint256 listingId, uint32 stock) external;

    /* AGREEING */

    /// @notice Places an order. On an offer the caller is the buyer, and the price goes into escrow out of its allowance; on
    /// a request the caller is the provider, and credits come in when the buyer accepts.
    /// @dev Requirements, in this order: not paused (`OrderingPaused`), the listing exists (`NoSuchListing`), not expired
    /// (`ListingExpired`), something is left (`SoldOut`), not the caller's own (`OwnListing`), a possible proposal
    /// (`BadPrice`, `BadPeriod`, `BadArbiter`), the buyer's allowance and balance (ERC-6093 errors).
    /// Emits `ServiceOrdered`.
    /// @param proposal The listing's own, or another.
    /// @return orderId Number of the order; the first is 1.
    function placeOrder(uint256 listingId, Proposal calldata proposal) external returns (uint256 orderId);

    /// @notice Proposes something else; the other side is asked. A buyer's price is in escrow from then on.
    /// @dev Requirements, in this order: not paused (`OrderingPaused`), one side is asked (`WrongStage`), in time (`TooLate`), it
    /// is the caller (`NotYours`), a possible proposal, allowance and balance as in `placeOrder`. Emits `ServiceCountered`.
    function counter(uint256 orderId, Proposal calldata proposal) external;

    /// @notice Accepts the proposal that stands. Time for the delivery begins.
    /// @dev Requirements: as for `counter` up to the caller, then this revision stands (`WrongRevision`), something is left of
    /// the listing (`SoldOut`), for the buyer allowance and balance. Emits `ServiceAccepted`.
    function accept(uint256 orderId, uint256 revision) external;

    /// @notice Takes an order back, or declines it, before it is accepted; the buyer gets back what is held.
    /// @dev Requirements: one side is asked (`WrongStage`), in time (`TooLate`), the caller is a side (`NotYours`).
    /// Emits `ServiceCancelled`.
    function cancel(uint256 orderId) external;

    /* DELIVERING */

    /// @notice Says that it is done. Time for the buyer's review begins.
    /// @dev Requirements: accepted (`WrongStage`), in time (`TooLate`), the caller is the provider (`NotYours`).
    /// Emits `ServiceDelivered`.
    function deliver(uint256 orderId, bytes32 contentHash) external;

    /// @notice Pays the provider in full.
    /// @dev Requirements: accepted, delivered, contested or disputed (`WrongStage`), in time (`TooLate`), the caller is the
    /// buyer (`NotYours`). Emits `ServiceSettled`.
    function approve(uint256 orderId) external;

    /// @notice Gives everything back to the buyer, without a fee.
    /// @dev Requirements: as for `approve`, but the caller is the provider. Emits `ServiceSettled`.
    function refund(uint256 orderId) external;

    /* QUARRELLING */

    /// @notice Rejects a delivery, or accepts a part of it: the buyer would pay `part`.
    /// @dev Requirements: delivered (`WrongStage`), in time (`TooLate`), the caller is the buyer (`NotYours`), less than the
    /// price (`BadPart`). Emits `ServiceContested`.
    function contest(uint256 orderId, uint64 part, bytes32 contentHash) external;

    /// @notice Agrees to the buyer's part.
    /// @dev Requirements: contested or disputed (`WrongStage`), in time (`TooLate`), the caller is the provider (`NotYours`).
    /// Emits `ServiceSettled`.
    function concede(uint256 orderId) external;

    /// @notice Asks the arbiter.
    /// @dev Requirements: contested (`WrongStage`), in time (`TooLate`), the caller is the provider (`NotYours`).
    /// Emits `ServiceDisputed`.
    function dispute(uint256 orderId, bytes32 contentHash) external;

    /// @notice Divides the credits.
    /// @dev Requirements: disputed (`WrongStage`), in time (`TooLate`), the caller is the order's arbiter (`NotYours`), at most
    /// the price (`BadPart`). Emits `ServiceSettled`.
    /// @param toProvider Micro-credits for the provider, fee included; the rest is the buyer's.
    /// @param contentHash keccak-256 of the reasons.
    function rule(uint256 orderId, uint64 toProvider, bytes32 contentHash) external;

    /* TIME */

    /// @notice Ends an order whose deadline has passed, in the one way the drawing gives. Anybody may.
    /// @dev Requirements: not over (`WrongStage`), the deadline has passed (`NotOverdue`). Emits `ServiceCancelled` or
    /// `ServiceSettled`.
    function move(uint256 orderId) external;

    /* RATING */

    /// @notice Rates the other side of a settled order, once.
    /// @dev Requirements, in this order: settled (`WrongStage`), the caller is a side (`NotYours`), 1 to 5 (`BadStars`), not
    /// rated yet (`AlreadyRated`). Emits `ServiceRated`.
    /// @param contentHash keccak-256 of the review's text; zero for none.
    function rate(uint256 orderId, uint8 stars, bytes32 contentHash) external;

    /* SETTINGS */

    /// @notice Changes the fee of later orders. Requirements: the caller's role, at most `MAX_SERVICE_FEE_BPS`.
    function setServiceFee(uint16 newFeeBps) external;

    /// @notice Stops placing, countering and accepting (role). All else always works. Emits `OrderingPausedSet`.
    function pauseOrdering() external;

    /// @notice Ends the latest pause of them: another role's than the one that stops them. Requirements: `pause` is its
    /// number (`WrongPause`). Emits `OrderingPausedSet`.
    function resumeOrdering(uint256 pause) external;

    /* VIEWS */

    /// @notice A listing as stored; zeros when there is none.
    function listingOf(uint256 listingId) external view returns (Listing memory);

    /// @notice An order as stored; zeros when there is none.
    function orderOf(uint256 orderId) external view returns (Order memory);

    /// @notice How many listings there have ever been: their numbers run from 1 to this.
    function listingCount() external view returns (uint256);

    /// @notice How many orders there have ever been: their numbers run from 1 to this.
    function orderCount() external view returns (uint256);

    /// @notice Fee on what providers get, in hundredths of a percent, for later orders.
    function serviceFeeBps() external view returns (uint256);

    /// @notice Whether new orders are stopped.
    function orderingPaused() external view returns (bool);

    /// @notice No fee can be set above this: 1000, ten percent.
    function MAX_SERVICE_FEE_BPS() external view returns (uint256);

    /// @notice No side can have less time, in seconds: one hour.
    function MIN_PERIOD() external view returns (uint256);

    /// @notice No side can have more time, in seconds: 365 days.
    function MAX_PERIOD() external view returns (uint256);

    /// @notice The credit services are paid in.
    function credit() external view returns (IAttentionCredit);

    /// @notice Where fees go.
    function feePool() external view returns (IFeePool);
}
