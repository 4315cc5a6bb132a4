// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {LowLevelCall} from "@openzeppelin/contracts/utils/LowLevelCall.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {Pausing} from "../governance/Pausing.sol";
import {IAttentionCredit} from "../interfaces/IAttentionCredit.sol";
import {FillTerms, ICreditExchange, OrderStatus, TradeOrder} from "../interfaces/ICreditExchange.sol";
import {IFeePool} from "../interfaces/IFeePool.sol";
import {ShareMath} from "../libraries/ShareMath.sol";

/// @title CreditExchange
contract CreditExchange is ICreditExchange, AccessManaged, Pausing, EIP712, ReentrancyGuardTransient {
    using SafeERC20 for IAttentionCredit;
    using SafeERC20 for IERC20;

    /// @dev What every fill reads, in one slot.
    struct Settings {
        uint16 feeBps;
        bool paused;
    }

    /// @dev What became of an order, in one slot.
    struct OrderState {
        uint64 filled;
        bool cancelled;
    }

    /// @dev EIP-712 type of an order.
    bytes32 private constant ORDER_TYPEHASH = keccak256(
        "TradeOrder(address maker,address taker,address token,bool sellsCredits,uint64 credits,uint128 amount,"
        "uint16 maxFeeBps,uint40 expiresAt,uint64 series,uint256 salt)"
    );

    /// @dev One whole, in hundredths of a percent.
    uint256 private constant ONE_BPS = 10_000;

    /// @dev Stands for the chain's own coin.
    address private constant COIN = address(0);

    /// @inheritdoc ICreditExchange
    uint256 public constant MAX_TRADE_FEE_BPS = 500;

    /// @inheritdoc ICreditExchange
    IAttentionCredit public immutable credit;

    /// @inheritdoc ICreditExchange
    IFeePool public immutable feePool;

    Settings private _settings;

    mapping(bytes32 orderHash => OrderState) private _orders;

    /// @inheritdoc ICreditExchange
    mapping(address maker => uint64) public seriesOf;

    constructor(address manager, IAttentionCredit tradedCredit, IFeePool pool, uint16 initialFeeBps)
        AccessManaged(manager)
        EIP712("timebank CreditExchange", "1")
    {
        credit = tradedCredit;
        feePool = pool;
        _setTradeFee(initialFeeBps);
    }

    /* FILLING */

    /// @inheritdoc ICreditExchange
    function fill(TradeOrder calldata order, bytes calldata signature, FillTerms calldata terms)
        external
        payable
        nonReentrant
        returns (uint256 credits, uint256 amount)
    {
        bytes32 orderHash;
        (orderHash, credits) = _requireOpen(order, terms);
        uint256 fee;
        (amount, fee) = quote(order, credits);
        require(amount != 0 && credits > fee, NothingTraded(credits, fee, amount));
        _requireLimit(order.sellsCredits, terms, credits, amount);
        uint256 coin = order.token == COIN ? amount : 0;
        require(coin == 0 ? msg.value == 0 : msg.value >= coin, WrongCoin(msg.value, coin));
        // The signature comes last: a contract wallet is asked only about what could be filled.
        require(
            SignatureChecker.isValidSignatureNowCalldata(order.maker, orderHash, signature),
            BadOrderSignature(order.maker, orderHash)
        );

        // Safe unchecked cast because it is at most what is left of a uint64.
        // forge-lint: disable-next-line(unsafe-typecast)
        _orders[orderHash].filled += uint64(credits);
        emit TradeFilled(orderHash, order.maker, msg.sender, order, credits, amount, fee);

        (address seller, address buyer) = order.sellsCredits ? (order.maker, msg.sender) : (msg.sender, order.maker);
        credit.safeTransferFrom(seller, buyer, credits - fee);
        if (fee != 0) credit.safeTransferFrom(seller, address(feePool), fee);
        feePool.recordSpending(credits - fee);
        if (coin == 0) {
            _moveToken(IERC20(order.token), buyer, seller, amount);
        } else {
            _payCoin(seller, coin);
            if (msg.value != coin) _payCoin(msg.sender, msg.value - coin);
        }
    }

    /* ORDERS */

    /// @inheritdoc ICreditExchange
    function cancel(TradeOrder calldata order) external {
        require(msg.sender == order.maker, NotOrderMaker(msg.sender, order.maker));
        bytes32 orderHash = hashOrder(order);
        _orders[orderHash].cancelled = true;
        emit TradeOrderCancelled(msg.sender, orderHash);
    }

    /// @inheritdoc ICreditExchange
    function cancelAll() external returns (uint64 newSeries) {
        newSeries = ++seriesOf[msg.sender];
        emit TradeSeriesEnded(msg.sender, newSeries);
    }

    /* SETTINGS */

    /// @inheritdoc ICreditExchange
    function setTradeFee(uint16 newFeeBps) external restricted {
        _setTradeFee(newFeeBps);
    }

    /// @inheritdoc ICreditExchange
    function pauseTrading() external restricted {
        _settings.paused = true;
        emit TradingPausedSet(true, _nextPause());
    }

    /// @inheritdoc ICreditExchange
    function resumeTrading(uint256 pause) external restricted {
        _requireLatest(pause);
        _settings.paused = false;
        emit TradingPausedSet(false, pause);
    }

    /* VIEWS */

    /// @inheritdoc ICreditExchange
    function quote(TradeOrder calldata order, uint256 credits) public view returns (uint256 amount, uint256 fee) {
        amount = order.sellsCredits ? _amountUp(order, credits) : _amountDown(order, credits);
        fee = _feeUp(credits);
    }

    /// @inheritdoc ICreditExchange
    function inspect(TradeOrder[] calldata orders, bytes[] calldata signatures)
        external
        view
        returns (OrderStatus[] memory statuses)
    {
        require(orders.length == signatures.length, UnequalLengths(orders.length, signatures.length));
        statuses = new OrderStatus[](orders.length);
        for (uint256 i; i < orders.length; ++i) {
            TradeOrder calldata order = orders[i];
            OrderStatus memory status = statuses[i];
            status.orderHash = hashOrder(order);
            OrderState memory state = _orders[status.orderHash];
            status.filled = state.filled;
            status.cancelled = state.cancelled;
            status.series = seriesOf[order.maker];
            status.signatureValid =
                SignatureChecker.isValidSignatureNowCalldata(order.maker, status.orderHash, signatures[i]);
            address given = order.sellsCredits ? address(credit) : order.token;
            status.balance = _ask(given, abi.encodeCall(IERC20.balanceOf, (order.maker)));
            status.allowance = _ask(given, abi.encodeCall(IERC20.allowance, (order.maker, address(this))));
        }
    }

    /// @inheritdoc ICreditExchange
    function hashOrder(TradeOrder calldata order) public view returns (bytes32) {
        // All members are words, so the encoded struct is what EIP-712 asks for.
        return _hashTypedDataV4(keccak256(abi.encode(ORDER_TYPEHASH, order)));
    }

    /// @inheritdoc ICreditExchange
    function filledOf(bytes32 orderHash) external view returns (uint256) {
        return _orders[orderHash].filled;
    }

    /// @inheritdoc ICreditExchange
    function isCancelled(bytes32 orderHash) external view returns (bool) {
        return _orders[orderHash].cancelled;
    }

    /// @inheritdoc ICreditExchange
    function tradeFeeBps() external view returns (uint256) {
        return _settings.feeBps;
    }

    /// @inheritdoc ICreditExchange
    function tradingPaused() external view returns (bool) {
        return _settings.paused;
    }

    /* INSIDE */

    /// @dev Everything about an order but its price and signature, in the order the interface lists.
    function _requireOpen(TradeOrder calldata order, FillTerms calldata terms)
        private
        view
        returns (bytes32 orderHash, uint256 credits)
    {
        Settings memory settings = _settings;
        require(!settings.paused, TradingPaused());
        require(order.credits != 0 && order.amount != 0, NoPrice(order.credits, order.amount));
        require(order.token != address(credit), TokenIsCredit(order.token));
        require(order.sellsCredits || order.token != COIN, CoinCannotBeSigned(order.maker));
        require(block.timestamp <= order.expiresAt, TradeOrderExpired(order.expiresAt, block.timestamp));
        uint256 series = seriesOf[order.maker];
        require(order.series == series, TradeSeriesIsOver(order.series, series));
        orderHash = hashOrder(order);
        OrderState memory state = _orders[orderHash];
        require(!state.cancelled, TradeOrderIsCancelled(orderHash));
        require(order.taker == address(0) || order.taker == msg.sender, NotTradeTaker(order.taker, msg.sender));
        require(order.maker != msg.sender, MakerIsTaker(order.maker));
        require(settings.feeBps <= order.maxFeeBps, TradeFeeAboveOrder(settings.feeBps, order.maxFeeBps));
        require(settings.feeBps <= terms.maxFeeBps, TradeFeeAboveTerms(settings.feeBps, terms.maxFeeBps));
        uint256 left = order.credits - state.filled;
        credits = terms.most < left ? terms.most : left;
        require(credits != 0 && credits >= terms.least, BadFill(terms.most, terms.least, left));
    }

    /// @dev The taker's price, rounded as the order's own is: so what was a fair limit for the whole is one for every part.
    function _requireLimit(bool sellsCredits, FillTerms calldata terms, uint256 credits, uint256 amount) private pure {
        uint256 limit = sellsCredits
            ? ShareMath.mulDivUp(terms.limit, credits, terms.most)
            : ShareMath.mulDivDown(terms.limit, credits, terms.most);
        require(sellsCredits ? amount <= limit : amount >= limit, LimitNotMet(amount, limit));
    }

    /// @dev What the maker gets for credits it sells: rounded up, in its favour.
    function _amountUp(TradeOrder calldata order, uint256 credits) private pure returns (uint256) {
        return ShareMath.mulDivUp(order.amount, credits, order.credits);
    }

    /// @dev What the maker gives for credits it buys: rounded down, in its favour.
    function _amountDown(TradeOrder calldata order, uint256 credits) private pure returns (uint256) {
        return ShareMath.mulDivDown(order.amount, credits, order.credits);
    }

    /// @dev Rounded up, in the pool's favour: otherwise many small fills would be free.
    function _feeUp(uint256 credits) private view returns (uint256) {
        return ShareMath.mulDivUp(credits, _settings.feeBps, ONE_BPS);
    }

    /// @dev What the receiver answers is not read: a long answer would cost the taker gas.
    function _payCoin(address receiver, uint256 amount) private {
        require(LowLevelCall.callNoReturn(receiver, amount, ""), CoinRefused(receiver, amount));
    }

    /// @dev What arrives is measured, because only this side of the trade is somebody else's code.
    function _moveToken(IERC20 token, address sender, address receiver, uint256 amount) private {
        uint256 before = _ask(address(token), abi.encodeCall(IERC20.balanceOf, (receiver)));
        require(
            token.trySafeTransferFrom(sender, receiver, amount), TokenNotMoved(address(token), sender, receiver, amount)
        );
        uint256 afterwards = _ask(address(token), abi.encodeCall(IERC20.balanceOf, (receiver)));
        uint256 arrived = afterwards > before ? afterwards - before : 0;
        require(arrived == amount, TokenMovedOtherwise(address(token), arrived, amount));
    }

    /// @dev A number from a contract nobody vouches for; 0 when it gives none.
    function _ask(address target, bytes memory question) private view returns (uint256) {
        if (target.code.length == 0) return 0;
        (bool answered, bytes32 number,) = LowLevelCall.staticcallReturn64Bytes(target, question);
        return answered && LowLevelCall.returnDataSize() >= 32 ? uint256(number) : 0;
    }

    function _setTradeFee(uint16 newFeeBps) private {
        require(newFeeBps <= MAX_TRADE_FEE_BPS, TradeFeeTooHigh(newFeeBps, MAX_TRADE_FEE_BPS));
        emit TradeFeeSet(_settings.feeBps, newFeeBps);
        _settings.feeBps = newFeeBps;
    }
}
