// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAttentionCredit} from "./IAttentionCredit.sol";
import {IFeePool} from "./IFeePool.sol";
import {IPausing} from "./IPausing.sol";

/// @notice What a maker signs (EIP-712, domain "timebank CreditExchange", version "1").
/// @param maker Who offers; a contract wallet signs by ERC-1271.
/// @param taker Who may fill it; the zero address means anybody.
/// @param token What credits are exchanged for: an ERC-20, or the zero address for the chain's own coin.
/// @param sellsCredits Whether the maker gives credits for the token (true), or the token for credits (false).
/// @param credits Micro-credits in all, fee included.
/// @param amount Smallest units of the token for all credits: the price is `amount / credits`.
/// @param maxFeeBps Highest fee at which it can be filled, in hundredths of a percent.
/// @param expiresAt Unix time in seconds until which it can be filled.
/// @param series The maker's series at the time of signing, the first is 0: `cancelAll` ends a series.
/// @param salt Makes orders with equal terms different.
struct TradeOrder {
    address maker;
    address taker;
    address token;
    bool sellsCredits;
    uint64 credits;
    uint128 amount;
    uint16 maxFeeBps;
    uint40 expiresAt;
    uint64 series;
    uint256 salt;
}

/// @notice What a taker asks for, and its own bounds; see `fill`.
/// @param most Micro-credits to exchange at the most, fee included: when less is left of the order, what is left.
/// @param least Micro-credits below which nothing is to happen: `most` for all or nothing, 0 or 1 for whatever is left.
/// @param maxFeeBps Highest fee at which the taker trades, in hundredths of a percent.
/// @param limit Smallest units of the token for `most` micro-credits: the most the taker pays when the order sells credits,
/// the least it gets when the order buys them. For fewer credits it is the share of it, rounded as the price is.
struct FillTerms {
    uint64 most;
    uint64 least;
    uint16 maxFeeBps;
    uint128 limit;
}

/// @notice What stands behind an order now; see `inspect`.
/// @param orderHash `hashOrder` of the order.
/// @param filled Micro-credits of it that were exchanged.
/// @param cancelled Whether it was cancelled by itself.
/// @param signatureValid Whether the signature is the maker's.
/// @param series The series the maker's orders must be signed under.
/// @param balance What the maker has of what it gives: micro-credits, or units of the token; 0 when the token does not say.
/// @param allowance What of it this contract may move.
struct OrderStatus {
    bytes32 orderHash;
    uint64 filled;
    bool cancelled;
    bool signatureValid;
    uint64 series;
    uint256 balance;
    uint256 allowance;
}

/// @title ICreditExchange: credits against any ERC-20 or the chain's own coin, by signed orders
/// @notice A maker signs an order, at no cost, and approves this contract for what it gives. Whoever fills it, whole or in
/// part, gives the other side in the same transaction. This contract holds nothing at any time: both sides move directly
/// between maker and taker, by allowance, or not at all.
///
/// The price. For `credits` of the order, the token's side is `amount * credits / order.credits`, rounded in the maker's
/// favour: up where the maker sells credits, down where it buys them. So in cross-multiplication no fill is worse for the
/// maker than its order: `paid * order.credits >= order.amount * credits` when it sells, `<=` when it buys.
///
/// The fee is a part of the credits, `ceil(credits * feeBps / 10 000)`, and goes to the fee pool; whoever gets the credits
/// gets the rest. An order names the highest fee at which it can be filled, and so does whoever fills it: a later fee takes
/// no more than the maker signed and the taker said.
///
/// Up to. Anybody can fill a grain of an order just before somebody else's fill. So a fill asks for credits up to a number:
/// it takes what is left, however little, unless the taker names a least; and its limit is a price, not a sum.
/// @dev A maker cannot sign away the chain's own coin, because nothing can pull it: an order that buys credits names a
/// token, for the coin a wrapped one.
/// Of the token it is assumed that `transferFrom` moves what it says, and this is checked: the receiver's balance must grow
/// by exactly the amount. Tokens with a fee on transfers are refused therefore; tokens that return nothing work; tokens
/// that return false or revert are refused by name.
/// Whether the maker's balance and allowance cover an order is known only when it is filled.
/// Nobody can pause cancelling.
/// Warning: a maker that is a contract is asked by ERC-1271 each time, so what it says can change; it may also refuse coin.
/// Warning: a token can be written by anybody and do anything with its own balances. Look at its address, not at its name.
/// Warning: an order can be filled until it expires, however its price has moved. Cancelling takes a transaction.
interface ICreditExchange is IPausing {
    /* EVENTS */

    /// @notice An order was filled, whole or in part. With the order, anyone can redo the hash, the price and the fee.
    /// @param orderHash `hashOrder` of the order.
    /// @param credits Micro-credits that left their seller, fee included.
    /// @param amount Units of the token that went from the buyer of credits to the seller.
    /// @param fee Micro-credits of `credits` that went to the fee pool.
    event TradeFilled(
        bytes32 indexed orderHash,
        address indexed maker,
        address indexed taker,
        TradeOrder order,
        uint256 credits,
        uint256 amount,
        uint256 fee
    );

    /// @notice An order was cancelled.
    event TradeOrderCancelled(address indexed maker, bytes32 indexed orderHash);

    /// @notice All orders a maker signed under earlier series are void.
    event TradeSeriesEnded(address indexed maker, uint256 newSeries);

    /// @notice The fee of later fills changed, in hundredths of a percent.
    event TradeFeeSet(uint256 previousBps, uint256 feeBps);

    /// @notice The guardian stopped filling, or the governor allowed it again: the pause of this number began, or ended.
    event TradingPausedSet(bool paused, uint256 pause);

    /* ERRORS */

    /// @notice Orders cannot be filled at present.
    error TradingPaused();

    /// @notice An order over no credits, or for nothing.
    error NoPrice(uint256 credits, uint256 amount);

    /// @notice Credits against credits.
    error TokenIsCredit(address token);

    /// @notice An order that buys credits with the chain's own coin, which nobody can take by a signature.
    error CoinCannotBeSigned(address maker);

    /// @notice It could be filled until `expiresAt`.
    error TradeOrderExpired(uint256 expiresAt, uint256 current);

    /// @notice The order was signed under another series than the maker's current one.
    error TradeSeriesIsOver(uint256 series, uint256 current);

    /// @notice The maker cancelled the order.
    error TradeOrderIsCancelled(bytes32 orderHash);

    /// @notice The order is for somebody else.
    error NotTradeTaker(address taker, address caller);

    /// @notice A maker cannot fill its own order.
    error MakerIsTaker(address maker);

    /// @notice The fee is above what the order allows, in hundredths of a percent.
    error TradeFeeAboveOrder(uint256 feeBps, uint256 maxFeeBps);

    /// @notice The fee is above what the taker allows, in hundredths of a percent.
    error TradeFeeAboveTerms(uint256 feeBps, uint256 maxFeeBps);

    /// @notice Of `left` micro-credits nothing can be filled between `least` and `most`: nothing is left, less than the taker
    /// wants at the least, or it wants nothing.
    error BadFill(uint256 most, uint256 least, uint256 left);

    /// @notice The signature is not the maker's over this order on this chain and contract.
    error BadOrderSignature(address maker, bytes32 orderHash);

    /// @notice So small a part that the token's side, or what the fee leaves of the credits, would be nothing.
    error NothingTraded(uint256 credits, uint256 fee, uint256 amount);

    /// @notice The taker would pay more than its limit, or get less; `limit` is the share of it for the credits filled.
    error LimitNotMet(uint256 amount, uint256 limit);

    /// @notice Less coin came with the call than the fill costs, in wei; or any for an order against a token.
    error WrongCoin(uint256 sent, uint256 expected);

    /// @notice The seller of credits does not take the coin, or the taker not what it sent too much.
    error CoinRefused(address receiver, uint256 amount);

    /// @notice The token did not move: it reverted, returned false, or is no contract.
    error TokenNotMoved(address token, address sender, address receiver, uint256 amount);

    /// @notice The receiver's balance did not grow by the amount: the token keeps a part, or adds one.
    error TokenMovedOtherwise(address token, uint256 arrived, uint256 amount);

    /// @notice The caller is not the order's maker.
    error NotOrderMaker(address caller, address maker);

    /// @notice A fee above `MAX_TRADE_FEE_BPS`.
    error TradeFeeTooHigh(uint256 feeBps, uint256 maxBps);

    /// @notice Not one signature for each order.
    error UnequalLengths(uint256 orders, uint256 signatures);

    /* FILLING */

    /// @notice Fills an order, whole or in part: up to `terms.most` credits of what is left of it. Credits go by allowance for
    /// this contract, as does the token; coin comes with the call, and what the fill does not cost goes back to the caller.
    /// @dev Requirements, in this order: not paused (`TradingPaused`), a possible order (`NoPrice`, `TokenIsCredit`,
    /// `CoinCannotBeSigned`), not expired (`TradeOrderExpired`), of the maker's current series (`TradeSeriesIsOver`), not
    /// cancelled (`TradeOrderIsCancelled`), for the caller or anybody (`NotTradeTaker`), not the caller's own
    /// (`MakerIsTaker`), a fee the order allows (`TradeFeeAboveOrder`) and the caller too (`TradeFeeAboveTerms`), a possible
    /// part (`BadFill`) that is not nothing (`NothingTraded`), within the caller's limit (`LimitNotMet`), enough coin and none
    /// for a token (`WrongCoin`), signed (`BadOrderSignature`); then the seller's allowance and balance of credits
    /// (`ERC20InsufficientAllowance`, `ERC20InsufficientBalance`), then the token (`TokenNotMoved`, `TokenMovedOtherwise`) or
    /// the coin, first the seller's, then the caller's (`CoinRefused`).
    /// Cannot be entered again while it runs (`ReentrancyGuardReentrantCall`). Emits `TradeFilled`.
    /// The limit, by cross-multiplication: with `credits` filled for `amount`, `(amount - 1) * most < limit * credits` when the
    /// order sells credits, `(amount + 1) * most > limit * credits` when it buys them. So a limit that fits the whole fits
    /// every part: the unit is the one by which a price is rounded.
    /// Warning: what is left of the order is what counts, not what its maker still has: where the maker's balance or allowance
    /// went into another order, the fill reverts.
    /// Warning: of a token with a coarse unit, a small rest can cost a whole unit; name a least where that matters.
    /// @param signature 65 bytes `r, s, v`, or whatever the maker's contract wants.
    /// @return credits Micro-credits that left their seller, fee included.
    /// @return amount Units of the token that moved.
    function fill(TradeOrder calldata order, bytes calldata signature, FillTerms calldata terms)
        external
        payable
        returns (uint256 credits, uint256 amount);

    /* ORDERS */

    /// @notice Cancels one order, whether it was ever signed or not. Cancelling it again changes nothing.
    /// @dev Requirements: the caller is its maker (`NotOrderMaker`). Emits `TradeOrderCancelled`.
    function cancel(TradeOrder calldata order) external;

    /// @notice Ends the caller's series: every order signed under it is void. Emits `TradeSeriesEnded`.
    function cancelAll() external returns (uint64 newSeries);

    /* SETTINGS */

    /// @notice Changes the fee of later fills. Requirements: the caller's role, at most `MAX_TRADE_FEE_BPS`
    /// (`TradeFeeTooHigh`). Emits `TradeFeeSet`.
    function setTradeFee(uint16 newFeeBps) external;

    /// @notice Stops filling (role). Cancelling always works. Emits `TradingPausedSet`.
    function pauseTrading() external;

    /// @notice Ends the latest pause of filling: another role's than the one that stops it. Requirements: `pause` is its
    /// number (`WrongPause`). Emits `TradingPausedSet`.
    function resumeTrading(uint256 pause) external;

    /* VIEWS */

    /// @notice What a part of an order costs now: `fee` micro-credits of `credits`, and `amount` units of the token. Says
    /// nothing about whether the order can be filled.
    /// @dev Panics on an order over no credits.
    function quote(TradeOrder calldata order, uint256 credits) external view returns (uint256 amount, uint256 fee);

    /// @notice What stands behind many orders at once. A token that does not answer counts as balance 0.
    /// @dev Requirements: one signature for each order (`UnequalLengths`).
    /// Warning: it asks tokens and contract wallets that the orders name; one of them can spend all its gas.
    function inspect(TradeOrder[] calldata orders, bytes[] calldata signatures)
        external
        view
        returns (OrderStatus[] memory);

    /// @notice The EIP-712 digest of an order on this chain and contract: what its maker signs, and its name here.
    function hashOrder(TradeOrder calldata order) external view returns (bytes32);

    /// @notice Micro-credits of an order that were exchanged so far.
    function filledOf(bytes32 orderHash) external view returns (uint256);

    /// @notice Whether an order was cancelled by itself; `cancelAll` does not show here.
    function isCancelled(bytes32 orderHash) external view returns (bool);

    /// @notice The series a maker's orders must be signed under now.
    function seriesOf(address maker) external view returns (uint64);

    /// @notice Fee of fills, in hundredths of a percent of the credits.
    function tradeFeeBps() external view returns (uint256);

    /// @notice Whether the guardian has stopped filling.
    function tradingPaused() external view returns (bool);

    /// @notice No fee can be above this: 500, five percent.
    function MAX_TRADE_FEE_BPS() external view returns (uint256);

    /// @notice The credit that is exchanged.
    function credit() external view returns (IAttentionCredit);

    /// @notice Where fees go.
    function feePool() external view returns (IFeePool);
}
