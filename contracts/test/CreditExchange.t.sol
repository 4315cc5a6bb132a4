// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {CreditParameters} from "../interfaces/IAttentionCredit.sol";
import {FillTerms, ICreditExchange, OrderStatus, TradeOrder} from "../interfaces/ICreditExchange.sol";
import {FeeSplit} from "../interfaces/IFeePool.sol";
import {CreditExchange} from "../market/CreditExchange.sol";
import {AttentionCredit} from "../token/AttentionCredit.sol";
import {FeePool} from "../token/FeePool.sol";
import {OddToken, TradingWallet} from "./OddTokens.sol";
import {PlainERC20} from "./PlainERC20.sol";
import {Checks} from "./Vm.sol";

/// @title CreditExchangeTest: orders, fills and everything that is refused
/// @dev The test is the credit's minter: the exchange needs nothing else of the system.
contract CreditExchangeTest is Checks {
    uint256 private constant MAKER_KEY = uint256(keccak256("maker"));
    /// @dev Order of secp256k1.
    uint256 private constant CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    uint256 private constant START = 1_800_000_000;
    uint40 private constant EXPIRY = 1_800_086_400;
    uint16 private constant FEE_BPS = 30;
    uint64 private constant CREDITS = 10_000_000;
    uint128 private constant AMOUNT = 3 ether;
    address private constant COIN = address(0);

    address private _maker = vm.addr(MAKER_KEY);
    address private _taker = address(0x7a6e4);
    address private _stranger = address(0x57);
    address private _guardian = address(0x6a);

    AccessManager private _manager;
    AttentionCredit private _credit;
    FeePool private _pool;
    ICreditExchange private _exchange;
    PlainERC20 private _token;

    function setUp() public {
        vm.warp(START);
        _manager = AccessManager(ship("AccessManager", abi.encode(address(this))));
        _credit = AttentionCredit(ship("AttentionCredit", abi.encode(CreditParameters("Attention Credit", "ATC", ""))));
        _pool = FeePool(
            ship("FeePool", abi.encode(address(_manager), _credit, address(this), FeeSplit(5_000, 3_000, 2_000)))
        );
        _exchange = CreditExchange(ship("CreditExchange", abi.encode(address(_manager), _credit, _pool, FEE_BPS)));
        address[] memory spenders = new address[](1);
        spenders[0] = address(_exchange);
        _pool.setSpenders(spenders);
        _token = new PlainERC20();
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = ICreditExchange.pauseTrading.selector;
        _manager.setTargetFunctionRole(address(_exchange), selectors, 2);
        _manager.grantRole(2, _guardian, 0);
        _fund(_maker);
        _fund(_taker);
    }

    function _fund(address who) private {
        _credit.mint(who, 1e15);
        _token.mint(who, type(uint160).max);
        vm.deal(who, type(uint160).max);
        vm.prank(who);
        _credit.approve(address(_exchange), type(uint256).max);
        vm.prank(who);
        _token.approve(address(_exchange), type(uint256).max);
    }

    function _order(bool sells, address token) private view returns (TradeOrder memory order) {
        order.maker = _maker;
        order.token = token;
        order.sellsCredits = sells;
        order.credits = CREDITS;
        order.amount = AMOUNT;
        order.maxFeeBps = FEE_BPS;
        order.expiresAt = EXPIRY;
    }

    function _signature(TradeOrder memory order) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(MAKER_KEY, _exchange.hashOrder(order));
        return abi.encodePacked(r, s, v);
    }

    /// @dev All of `credits` or nothing, at any price and fee.
    function _any(TradeOrder memory order, uint256 credits) private pure returns (FillTerms memory) {
        // Safe casts because no order of these tests has more than 1e14 credits.
        // forge-lint: disable-next-line(unsafe-typecast)
        return FillTerms(uint64(credits), uint64(credits), 500, order.sellsCredits ? type(uint128).max : 0);
    }

    /// @dev Up to `most` credits, for at worst `limit` units were it all.
    function _upTo(uint64 most, uint128 limit) private pure returns (FillTerms memory) {
        return FillTerms(most, 1, FEE_BPS, limit);
    }

    /// @dev Fills as the taker, without a limit of its own.
    function _fill(TradeOrder memory order, uint256 credits) private returns (uint256 amount) {
        bytes memory signature = _signature(order);
        uint256 coin;
        if (order.token == COIN && order.credits != 0) (coin,) = _exchange.quote(order, credits);
        vm.prank(_taker);
        (, amount) = _exchange.fill{value: coin}(order, signature, _any(order, credits));
    }

    function _refusedOn(TradeOrder memory order, FillTerms memory terms, uint256 coin, bytes memory why) private {
        bytes memory signature = _signature(order);
        vm.expectRevert(why);
        vm.prank(_taker);
        _exchange.fill{value: coin}(order, signature, terms);
    }

    function _refused(TradeOrder memory order, uint256 credits, bytes memory why) private {
        uint256 coin;
        if (order.token == COIN && order.credits != 0) (coin,) = _exchange.quote(order, credits);
        _refusedOn(order, _any(order, credits), coin, why);
    }

    /// @dev Nothing stays in the exchange, and the pool has booked every fee.
    function _holdsNothing() private view {
        equal(_credit.balanceOf(address(_exchange)), 0, "credits held");
        equal(_token.balanceOf(address(_exchange)), 0, "tokens held");
        equal(address(_exchange).balance, 0, "coin held");
    }

    /* FILLING */

    function test_SellsCreditsForAToken() public {
        TradeOrder memory order = _order(true, address(_token));
        bytes32 orderHash = _exchange.hashOrder(order);
        uint256 before = _token.balanceOf(_maker);
        bytes memory signature = _signature(order);
        vm.expectEmit();
        emit ICreditExchange.TradeFilled(orderHash, _maker, _taker, order, 4_000_001, 1_200_000_300_000_000_000, 12_001);
        vm.prank(_taker);
        (uint256 credits, uint256 amount) =
            _exchange.fill(order, signature, FillTerms(4_000_001, 4_000_001, FEE_BPS, 1_200_000_300_000_000_000));
        equal(credits, 4_000_001, "credits");
        equal(amount, 1_200_000_300_000_000_000, "amount");
        equal(_credit.balanceOf(_maker), 1e15 - 4_000_001, "maker's credits");
        equal(_credit.balanceOf(_taker), 1e15 + 3_988_000, "taker's credits");
        equal(_credit.balanceOf(address(_pool)), 12_001, "fee");
        equal(_pool.reserve() + _pool.bonus() + _pool.depositors(), 12_001, "booked fee");
        equal(_token.balanceOf(_maker) - before, 1_200_000_300_000_000_000, "price");
        equal(_exchange.filledOf(orderHash), 4_000_001, "filled");
        _holdsNothing();
    }

    function test_BuysCreditsForAToken() public {
        TradeOrder memory order = _order(false, address(_token));
        uint256 before = _token.balanceOf(_taker);
        equal(_fill(order, CREDITS), AMOUNT, "amount");
        equal(_credit.balanceOf(_maker), 1e15 + CREDITS - 30_000, "maker's credits");
        equal(_credit.balanceOf(_taker), 1e15 - CREDITS, "taker's credits");
        equal(_token.balanceOf(_taker) - before, AMOUNT, "price");
        _holdsNothing();
    }

    function test_SellsCreditsForCoin() public {
        uint256 before = _maker.balance;
        equal(_fill(_order(true, COIN), CREDITS), AMOUNT, "amount");
        equal(_maker.balance - before, AMOUNT, "coin");
        equal(_credit.balanceOf(_taker), 1e15 + CREDITS - 30_000, "credits");
        _holdsNothing();
    }

    /// @dev By cross-multiplication no fill is worse for the maker than its order, parts together neither, and less than a
    /// unit a fill is lost to the taker.
    function testFuzz_RoundingNeverAgainstTheMaker(
        bool sells,
        uint64 credits,
        uint128 amount,
        uint256[4] calldata parts
    ) public {
        TradeOrder memory order = _order(sells, address(_token));
        order.credits = uint64(within(credits, 1, 1e14));
        order.amount = uint128(within(amount, 1, type(uint128).max));
        uint256 left = order.credits;
        uint256 paidInAll;
        for (uint256 i; i < 4 && left != 0; ++i) {
            uint256 part = within(parts[i], 1, left);
            (uint256 quoted, uint256 fee) = _exchange.quote(order, part);
            if (quoted == 0 || fee >= part) {
                _refused(order, part, abi.encodeWithSelector(ICreditExchange.NothingTraded.selector, part, fee, quoted));
                continue;
            }
            uint256 paid = _fill(order, part);
            equal(paid, quoted, "as quoted");
            uint256 exact = uint256(order.amount) * part;
            if (sells) {
                isTrue(paid * order.credits >= exact, "maker sells for less");
                isTrue((paid - 1) * order.credits < exact, "taker pays a whole unit more");
            } else {
                isTrue(paid * order.credits <= exact, "maker pays more");
                isTrue((paid + 1) * order.credits > exact, "taker gets a whole unit less");
            }
            paidInAll += paid;
            left -= part;
        }
        uint256 filled = order.credits - left;
        equal(_exchange.filledOf(_exchange.hashOrder(order)), filled, "filled");
        if (sells) isTrue(paidInAll * order.credits >= uint256(order.amount) * filled, "all parts");
        else isTrue(paidInAll <= order.amount, "more than the order");
        _refused(order, left + 1, abi.encodeWithSelector(ICreditExchange.BadFill.selector, left + 1, left + 1, left));
        equal(_credit.totalSupply(), 2e15, "credits moved, none made");
        _holdsNothing();
    }

    function test_RevertWhen_LessIsLeftThanTheLeastOrNothing() public {
        TradeOrder memory order = _order(true, address(_token));
        _fill(order, 6_000_000);
        bytes4 bad = ICreditExchange.BadFill.selector;
        _refused(order, 4_000_001, abi.encodeWithSelector(bad, 4_000_001, 4_000_001, 4_000_000));
        _refused(order, 0, abi.encodeWithSelector(bad, 0, 0, 4_000_000));
        FillTerms memory terms = FillTerms(3_000_000, 3_000_001, FEE_BPS, type(uint128).max);
        _refusedOn(order, terms, 0, abi.encodeWithSelector(bad, 3_000_000, 3_000_001, 4_000_000));
        _fill(order, 4_000_000);
        _refused(order, 1, abi.encodeWithSelector(bad, 1, 1, 0));
        terms = FillTerms(CREDITS, 0, FEE_BPS, type(uint128).max);
        _refusedOn(order, terms, 0, abi.encodeWithSelector(bad, CREDITS, 0, 0));
    }

    function test_AGrainFilledBeforeDoesNotStopAFillUpTo() public {
        TradeOrder memory order = _order(true, address(_token));
        FillTerms memory whole = FillTerms(CREDITS, CREDITS, FEE_BPS, AMOUNT);
        bytes memory signature = _signature(order);
        _fund(_stranger);
        vm.prank(_stranger);
        _exchange.fill(order, signature, _any(order, 7));
        _refusedOn(
            order, whole, 0, abi.encodeWithSelector(ICreditExchange.BadFill.selector, CREDITS, CREDITS, CREDITS - 7)
        );
        whole.least = 1;
        vm.prank(_taker);
        (uint256 credits, uint256 amount) = _exchange.fill(order, signature, whole);
        equal(credits, CREDITS - 7, "what was left");
        equal(amount, AMOUNT - 2_100_000_000_000, "its price");
        equal(_exchange.filledOf(_exchange.hashOrder(order)), CREDITS, "all");
        _holdsNothing();
    }

    /// @dev Whatever was filled before, and however the price rounds: a limit that is fair for what the taker asked fits what
    /// it gets, by cross-multiplication, and one that is a unit too strict for the whole does not.
    function testFuzz_ALimitForTheWholeFitsEveryPart(
        bool sells,
        uint64 credits,
        uint128 amount,
        uint64 grain,
        uint64 most
    ) public {
        TradeOrder memory order = _order(sells, address(_token));
        order.credits = uint64(within(credits, 2, 1e14));
        order.amount = uint128(within(amount, 1, type(uint128).max));
        grain = uint64(within(grain, 1, order.credits - 1));
        most = uint64(within(most, 1, order.credits));
        (uint256 quoted, uint256 fee) = _exchange.quote(order, grain);
        if (quoted == 0 || fee >= grain) return;
        _fill(order, grain);
        uint256 left = order.credits - grain;
        uint256 expected = most < left ? most : left;
        (uint256 whole,) = _exchange.quote(order, most);
        // Safe cast because a part costs at most the whole order, a uint128.
        // forge-lint: disable-next-line(unsafe-typecast)
        FillTerms memory terms = _upTo(most, uint128(whole));
        (quoted, fee) = _exchange.quote(order, expected);
        if (quoted == 0 || fee >= expected) {
            _refusedOn(
                order, terms, 0, abi.encodeWithSelector(ICreditExchange.NothingTraded.selector, expected, fee, quoted)
            );
            return;
        }
        bytes memory signature = _signature(order);
        vm.prank(_taker);
        (uint256 got, uint256 paid) = _exchange.fill(order, signature, terms);
        equal(got, expected, "what is left, up to the most");
        equal(paid, quoted, "as quoted");
        if (sells) {
            isTrue(paid * order.credits >= uint256(order.amount) * got, "maker sells for less");
            isTrue((paid - 1) * most < whole * got, "taker pays a whole unit more than its limit");
        } else {
            isTrue(paid * order.credits <= uint256(order.amount) * got, "maker pays more");
            isTrue((paid + 1) * most > whole * got, "taker gets a whole unit less than its limit");
        }
        _holdsNothing();
    }

    function test_TheCoinThatIsNotNeededGoesBack() public {
        TradeOrder memory order = _order(true, COIN);
        bytes memory signature = _signature(order);
        _fill(order, 1_000_000);
        uint256 before = _taker.balance;
        vm.prank(_taker);
        (uint256 credits, uint256 amount) = _exchange.fill{value: AMOUNT}(order, signature, _upTo(CREDITS, AMOUNT));
        equal(credits, 9_000_000, "credits");
        equal(amount, 2.7 ether, "amount");
        equal(before - _taker.balance, 2.7 ether, "paid");
        _holdsNothing();
    }

    function test_RevertWhen_TheTakerDoesNotTakeItsCoinBack() public {
        TradingWallet wallet = new TradingWallet();
        vm.deal(address(wallet), AMOUNT);
        TradeOrder memory order = _order(true, COIN);
        bytes memory signature = _signature(order);
        _fill(order, 1_000_000);
        vm.expectRevert(abi.encodeWithSelector(ICreditExchange.CoinRefused.selector, address(wallet), 0.3 ether));
        vm.prank(address(wallet));
        _exchange.fill{value: AMOUNT}(order, signature, _upTo(CREDITS, AMOUNT));
        // It takes it, and in doing so fills another order in vain.
        TradeOrder memory inner = _order(true, address(_token));
        wallet.takeCoin(
            true, abi.encodeCall(ICreditExchange.fill, (inner, _signature(inner), _upTo(1_000, type(uint128).max)))
        );
        vm.prank(address(wallet));
        _exchange.fill{value: AMOUNT}(order, signature, _upTo(CREDITS, AMOUNT));
        equal(address(wallet).balance, 0.3 ether, "back");
        _holdsNothing();
    }

    function test_RevertWhen_APartRoundsToNothing() public {
        TradeOrder memory order = _order(false, address(_token));
        order.amount = 3;
        _refused(order, 3_000_000, abi.encodeWithSelector(ICreditExchange.NothingTraded.selector, 3_000_000, 9_000, 0));
        // A fee of a whole micro-credit leaves nothing of one.
        _refused(
            _order(true, address(_token)), 1, abi.encodeWithSelector(ICreditExchange.NothingTraded.selector, 1, 1, 3e11)
        );
    }

    function test_RevertWhen_TheTakersLimitIsNotMet() public {
        bytes4 missed = ICreditExchange.LimitNotMet.selector;
        TradeOrder memory order = _order(true, address(_token));
        _refusedOn(order, _upTo(CREDITS, AMOUNT - 1), 0, abi.encodeWithSelector(missed, AMOUNT, AMOUNT - 1));
        TradeOrder memory purchase = _order(false, address(_token));
        _refusedOn(purchase, _upTo(CREDITS, AMOUNT + 1), 0, abi.encodeWithSelector(missed, AMOUNT, AMOUNT + 1));
        // A part is measured by its share of the limit, not by the limit.
        _fill(order, 5_000_000);
        uint256 half = AMOUNT / 2;
        _refusedOn(order, _upTo(CREDITS, AMOUNT - 2), 0, abi.encodeWithSelector(missed, half, half - 1));
        _fill(purchase, 5_000_000);
        _refusedOn(purchase, _upTo(CREDITS, AMOUNT + 2), 0, abi.encodeWithSelector(missed, half, half + 1));
    }

    function test_RevertWhen_TheFeeIsAboveTheTakersBound() public {
        TradeOrder memory order = _order(false, address(_token));
        order.maxFeeBps = 500;
        FillTerms memory terms = _upTo(CREDITS, 0);
        _exchange.setTradeFee(FEE_BPS + 1);
        _refusedOn(
            order, terms, 0, abi.encodeWithSelector(ICreditExchange.TradeFeeAboveTerms.selector, FEE_BPS + 1, FEE_BPS)
        );
        terms.maxFeeBps = FEE_BPS + 1;
        bytes memory signature = _signature(order);
        vm.prank(_taker);
        _exchange.fill(order, signature, terms);
    }

    function testFuzz_RevertWhen_TooLittleCoinComesAlongOrAnyForAToken(bool coinOrder, uint128 sent) public {
        TradeOrder memory order = _order(true, coinOrder ? COIN : address(_token));
        if (coinOrder) sent %= AMOUNT;
        else if (sent == 0) return;
        uint256 due = coinOrder ? AMOUNT : 0;
        FillTerms memory terms = _any(order, CREDITS);
        _refusedOn(order, terms, sent, abi.encodeWithSelector(ICreditExchange.WrongCoin.selector, sent, due));
    }

    /* ORDERS THAT CANNOT BE FILLED */

    function test_RevertWhen_TheOrderCannotBe() public {
        TradeOrder memory order = _order(true, address(_token));
        order.amount = 0;
        _refused(order, 1_000, abi.encodeWithSelector(ICreditExchange.NoPrice.selector, CREDITS, 0));
        order = _order(true, address(_token));
        order.credits = 0;
        _refused(order, 1_000, abi.encodeWithSelector(ICreditExchange.NoPrice.selector, 0, AMOUNT));
        _refused(
            _order(true, address(_credit)),
            1_000,
            abi.encodeWithSelector(ICreditExchange.TokenIsCredit.selector, address(_credit))
        );
        order = _order(false, COIN);
        _refusedOn(
            order, _any(order, 1_000), 0, abi.encodeWithSelector(ICreditExchange.CoinCannotBeSigned.selector, _maker)
        );
    }

    function test_RevertWhen_Expired() public {
        TradeOrder memory order = _order(true, address(_token));
        vm.warp(EXPIRY);
        _fill(order, 1_000);
        vm.warp(EXPIRY + 1);
        _refused(order, 1_000, abi.encodeWithSelector(ICreditExchange.TradeOrderExpired.selector, EXPIRY, EXPIRY + 1));
    }

    function test_RevertWhen_Cancelled() public {
        TradeOrder memory order = _order(true, address(_token));
        _fill(order, 1_000);
        vm.expectEmit();
        emit ICreditExchange.TradeOrderCancelled(_maker, _exchange.hashOrder(order));
        vm.prank(_maker);
        _exchange.cancel(order);
        isTrue(_exchange.isCancelled(_exchange.hashOrder(order)), "cancelled");
        _refused(
            order,
            1_000,
            abi.encodeWithSelector(ICreditExchange.TradeOrderIsCancelled.selector, _exchange.hashOrder(order))
        );
        order.salt = 1;
        _fill(order, 1_000);
        vm.expectRevert(abi.encodeWithSelector(ICreditExchange.NotOrderMaker.selector, _stranger, _maker));
        vm.prank(_stranger);
        _exchange.cancel(order);
    }

    function test_RevertWhen_TheSeriesIsOver() public {
        TradeOrder memory order = _order(true, address(_token));
        vm.expectEmit();
        emit ICreditExchange.TradeSeriesEnded(_maker, 1);
        vm.prank(_maker);
        equal(_exchange.cancelAll(), 1, "series");
        _refused(order, 1_000, abi.encodeWithSelector(ICreditExchange.TradeSeriesIsOver.selector, 0, 1));
        order.series = 2;
        _refused(order, 1_000, abi.encodeWithSelector(ICreditExchange.TradeSeriesIsOver.selector, 2, 1));
        order.series = 1;
        _fill(order, 1_000);
    }

    function test_RevertWhen_ForSomebodyElseOrOneself() public {
        TradeOrder memory order = _order(true, address(_token));
        order.taker = _stranger;
        _refused(order, 1_000, abi.encodeWithSelector(ICreditExchange.NotTradeTaker.selector, _stranger, _taker));
        order.taker = _taker;
        _fill(order, 1_000);
        order.taker = address(0);
        bytes memory signature = _signature(order);
        vm.expectRevert(abi.encodeWithSelector(ICreditExchange.MakerIsTaker.selector, _maker));
        vm.prank(_maker);
        _exchange.fill(order, signature, _any(order, 1_000));
    }

    function test_ALaterFeeDoesNotBiteTheMaker() public {
        TradeOrder memory order = _order(false, address(_token));
        _exchange.setTradeFee(FEE_BPS + 1);
        _refused(
            order, 1_000, abi.encodeWithSelector(ICreditExchange.TradeFeeAboveOrder.selector, FEE_BPS + 1, FEE_BPS)
        );
        _exchange.setTradeFee(0);
        _fill(order, 1_000_000);
        equal(_credit.balanceOf(address(_pool)), 0, "no fee");
    }

    /* SIGNATURES */

    function test_RevertWhen_TheSignatureIsMalleable() public {
        TradeOrder memory order = _order(true, address(_token));
        bytes32 orderHash = _exchange.hashOrder(order);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(MAKER_KEY, orderHash);
        bytes32 high = bytes32(CURVE_ORDER - uint256(s));
        // The curve accepts it: the same signer over the same order.
        equal(ecrecover(orderHash, v == 27 ? 28 : 27, r, high), _maker, "twin");
        _badSignature(order, abi.encodePacked(r, high, v == 27 ? uint8(28) : uint8(27)));
        _badSignature(order, abi.encodePacked(r, s));
        _badSignature(order, "");
    }

    function testFuzz_RevertWhen_ABitOfTheSignatureIsFlipped(uint16 bit) public {
        TradeOrder memory order = _order(true, address(_token));
        bytes memory signature = _signature(order);
        bit = bit % 520;
        signature[bit / 8] ^= bytes1(uint8(2 ** (bit % 8)));
        _badSignature(order, signature);
    }

    function testFuzz_RevertWhen_AnyFieldOfTheOrderDiffers(uint8 field) public {
        TradeOrder memory order = _order(true, address(_token));
        bytes memory signature = _signature(order);
        field %= 8;
        if (field == 0) order.maker = _stranger;
        else if (field == 1) order.taker = _taker;
        else if (field == 2) order.token = address(_pool);
        else if (field == 3) order.sellsCredits = false;
        else if (field == 4) order.credits += 1;
        else if (field == 5) order.amount -= 1;
        else if (field == 6) order.maxFeeBps += 1;
        else if (field == 7) order.salt += 1;
        _badSignature(order, signature);
    }

    function test_RevertWhen_ReplayedOnAnotherChainOrContract() public {
        TradeOrder memory order = _order(true, address(_token));
        bytes memory signature = _signature(order);
        ICreditExchange other =
            CreditExchange(ship("CreditExchange", abi.encode(address(_manager), _credit, _pool, FEE_BPS)));
        bytes32 there = other.hashOrder(order);
        isTrue(there != _exchange.hashOrder(order), "domain");
        vm.expectRevert(abi.encodeWithSelector(ICreditExchange.BadOrderSignature.selector, _maker, there));
        vm.prank(_taker);
        other.fill(order, signature, _any(order, 1_000));
        vm.chainId(999);
        _badSignature(order, signature);
    }

    function test_AContractWalletSellsForCoin() public {
        TradingWallet wallet = new TradingWallet();
        _credit.mint(address(wallet), CREDITS);
        wallet.execute(address(_credit), abi.encodeCall(_credit.approve, (address(_exchange), type(uint256).max)));
        TradeOrder memory order = _order(true, COIN);
        order.maker = address(wallet);
        _badSignature(order, "");
        wallet.sign(_exchange.hashOrder(order));
        vm.expectRevert(abi.encodeWithSelector(ICreditExchange.CoinRefused.selector, address(wallet), AMOUNT));
        vm.prank(_taker);
        _exchange.fill{value: AMOUNT}(order, "", _any(order, CREDITS));
        // It takes coin, and in doing so fills another order in vain.
        TradeOrder memory inner = _order(true, address(_token));
        wallet.takeCoin(true, abi.encodeCall(ICreditExchange.fill, (inner, _signature(inner), _any(inner, 1_000))));
        vm.prank(_taker);
        _exchange.fill{value: AMOUNT}(order, "", _any(order, CREDITS));
        equal(address(wallet).balance, AMOUNT, "coin");
        _holdsNothing();
    }

    function _badSignature(TradeOrder memory order, bytes memory signature) private {
        uint256 coin = order.token == COIN ? order.amount : 0;
        bytes memory why =
            abi.encodeWithSelector(ICreditExchange.BadOrderSignature.selector, order.maker, _exchange.hashOrder(order));
        vm.expectRevert(why);
        vm.prank(_taker);
        _exchange.fill{value: coin}(order, signature, _any(order, CREDITS));
    }

    /* TOKENS AND ALLOWANCES */

    function test_TokensThatReturnNothingWork() public {
        OddToken odd = new OddToken(OddToken.Manner.ReturnsNothing);
        odd.mint(_taker, AMOUNT);
        _fill(_order(true, address(odd)), CREDITS);
        equal(odd.balanceOf(_maker), AMOUNT, "moved");
    }

    function test_RevertWhen_TheTokenMovesOtherwise() public {
        _odd(OddToken.Manner.KeepsAPart, AMOUNT - 1);
        _odd(OddToken.Manner.AddsAPart, AMOUNT + 1);
        _odd(OddToken.Manner.MovesNothing, 0);
        _odd(OddToken.Manner.AnswersNothing, 0);
    }

    function test_RevertWhen_TheTokenDoesNotMove() public {
        _still(address(new OddToken(OddToken.Manner.ReturnsFalse)));
        _still(address(new OddToken(OddToken.Manner.Reverts)));
        // Without a balance, as with every token.
        _still(address(new OddToken(OddToken.Manner.Plain)));
        // An address without code.
        _still(address(0xdead));
    }

    function test_ATokenCannotEnterAgain() public {
        OddToken odd = new OddToken(OddToken.Manner.Reenters);
        odd.mint(_taker, AMOUNT);
        TradeOrder memory inner = _order(true, address(_token));
        odd.setCall(abi.encodeCall(ICreditExchange.fill, (inner, _signature(inner), _any(inner, 1_000))));
        _fill(_order(true, address(odd)), CREDITS);
        equal(
            keccak256(odd.answer()),
            keccak256(abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)),
            "refused"
        );
        equal(odd.balanceOf(_maker), AMOUNT, "the outer fill goes on");
    }

    function test_RevertWhen_CreditsAreNotThere() public {
        TradeOrder memory order = _order(true, address(_token));
        vm.prank(_maker);
        _credit.approve(address(_exchange), 999);
        bytes memory signature = _signature(order);
        vm.expectRevert(
            abi.encodeWithSelector(
                IERC20Errors.ERC20InsufficientAllowance.selector, address(_exchange), 999, CREDITS - 30_000
            )
        );
        vm.prank(_taker);
        _exchange.fill(order, signature, _any(order, CREDITS));
    }

    function _odd(OddToken.Manner manner, uint256 arrived) private {
        OddToken odd = new OddToken(manner);
        odd.mint(_taker, AMOUNT);
        _refused(
            _order(true, address(odd)),
            CREDITS,
            abi.encodeWithSelector(ICreditExchange.TokenMovedOtherwise.selector, address(odd), arrived, AMOUNT)
        );
    }

    function _still(address token) private {
        _refused(
            _order(true, token),
            CREDITS,
            abi.encodeWithSelector(ICreditExchange.TokenNotMoved.selector, token, _taker, _maker, AMOUNT)
        );
    }

    /* SETTINGS */

    function test_TheGuardianPausesFillingButNotCancelling() public {
        TradeOrder memory order = _order(true, address(_token));
        vm.expectEmit();
        emit ICreditExchange.TradingPausedSet(true, 1);
        vm.prank(_guardian);
        _exchange.pauseTrading();
        _refused(order, 1_000, abi.encodeWithSelector(ICreditExchange.TradingPaused.selector));
        vm.prank(_maker);
        _exchange.cancel(order);
        vm.prank(_maker);
        _exchange.cancelAll();
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, _guardian));
        vm.prank(_guardian);
        _exchange.resumeTrading(1);
        vm.expectEmit();
        emit ICreditExchange.TradingPausedSet(false, 1);
        _exchange.resumeTrading(1);
        order.series = 1;
        _fill(order, 1_000);
    }

    function test_RevertWhen_ASettingIsNotAllowed() public {
        vm.expectEmit();
        emit ICreditExchange.TradeFeeSet(FEE_BPS, 500);
        _exchange.setTradeFee(500);
        equal(_exchange.tradeFeeBps(), 500, "fee");
        vm.expectRevert(abi.encodeWithSelector(ICreditExchange.TradeFeeTooHigh.selector, 501, 500));
        _exchange.setTradeFee(501);
        bytes memory unauthorized = abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, _stranger);
        vm.expectRevert(unauthorized);
        vm.prank(_stranger);
        _exchange.setTradeFee(1);
        vm.expectRevert(unauthorized);
        vm.prank(_stranger);
        _exchange.pauseTrading();
    }

    /* VIEWS */

    function test_InspectsManyOrdersAtOnce() public {
        TradeOrder[] memory orders = new TradeOrder[](4);
        bytes[] memory signatures = new bytes[](4);
        orders[0] = _order(true, address(_token));
        orders[1] = _order(false, address(_token));
        orders[2] = _order(false, address(new OddToken(OddToken.Manner.AnswersNothing)));
        orders[3] = _order(false, address(0xdead));
        for (uint256 i; i < 3; ++i) {
            signatures[i] = _signature(orders[i]);
        }
        _fill(orders[0], 1_000_000);
        vm.prank(_maker);
        _exchange.cancel(orders[1]);
        OrderStatus[] memory found = _exchange.inspect(orders, signatures);
        equal(found[0].orderHash, _exchange.hashOrder(orders[0]), "hash");
        equal(found[0].filled, 1_000_000, "filled");
        isTrue(!found[0].cancelled && found[0].signatureValid, "open");
        equal(found[0].balance, 1e15 - 1_000_000, "credits");
        equal(found[0].allowance, type(uint256).max, "allowance");
        isTrue(found[1].cancelled, "cancelled");
        equal(found[1].balance, _token.balanceOf(_maker), "tokens");
        equal(found[2].balance, 0, "no answer");
        equal(found[2].allowance, type(uint256).max, "an answer");
        isTrue(!found[3].signatureValid, "not signed");
        equal(found[3].balance, 0, "no contract");
        vm.expectRevert(abi.encodeWithSelector(ICreditExchange.UnequalLengths.selector, 4, 0));
        _exchange.inspect(orders, new bytes[](0));
    }
}
