// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {CreditParameters} from "../interfaces/IAttentionCredit.sol";
import {FeeSplit} from "../interfaces/IFeePool.sol";
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
import {ServiceEscrow} from "../market/ServiceEscrow.sol";
import {AttentionCredit} from "../token/AttentionCredit.sol";
import {FeePool} from "../token/FeePool.sol";
import {Checks} from "./Vm.sol";

/// @title ServiceStage: the escrow, a credit this contract mints, and members with credits and allowances
abstract contract ServiceStage is Checks {
    uint64 internal constant GOVERNOR = 1;
    uint64 internal constant GUARDIAN = 2;
    uint256 internal constant START = 1_800_000_000;
    uint256 internal constant FUNDS = 1e12;
    uint64 internal constant PRICE = 101;
    uint16 internal constant FEE_BPS = 500;
    /// @dev ceil(101 * 5 %).
    uint256 internal constant FEE = 6;
    bytes32 internal constant TEXT = keccak256("text");

    address internal buyer = address(0xb1);
    address internal provider = address(0xb2);
    address internal arbiter = address(0xa4);
    address internal stranger = address(0x57);
    address internal governor = address(0x60);
    address internal guardian = address(0x6a);

    AttentionCredit internal credit;
    FeePool internal feePool;
    ServiceEscrow internal escrow;

    function deployEscrow() internal {
        vm.warp(START);
        AccessManager manager = AccessManager(ship("AccessManager", abi.encode(address(this))));
        credit = AttentionCredit(ship("AttentionCredit", abi.encode(CreditParameters("Attention Credit", "ATT", ""))));
        feePool = FeePool(
            ship("FeePool", abi.encode(address(manager), credit, address(this), FeeSplit(5_000, 3_000, 2_000)))
        );
        escrow = ServiceEscrow(ship("ServiceEscrow", abi.encode(address(manager), feePool, FEE_BPS)));
        address[] memory spenders = new address[](1);
        spenders[0] = address(escrow);
        feePool.setSpenders(spenders);
        manager.grantRole(GOVERNOR, governor, 0);
        manager.grantRole(GUARDIAN, guardian, 0);
        bytes4[] memory selectors = new bytes4[](2);
        selectors[0] = escrow.setServiceFee.selector;
        selectors[1] = escrow.resumeOrdering.selector;
        manager.setTargetFunctionRole(address(escrow), selectors, GOVERNOR);
        selectors = new bytes4[](1);
        selectors[0] = escrow.pauseOrdering.selector;
        manager.setTargetFunctionRole(address(escrow), selectors, GUARDIAN);
        fund(buyer);
        fund(provider);
        fund(stranger);
    }

    function fund(address member) internal {
        credit.mint(member, FUNDS);
        vm.prank(member);
        credit.approve(address(escrow), type(uint256).max);
    }

    function proposalAt(uint64 price) internal view returns (Proposal memory) {
        return Proposal({price: price, delivery: 4 days, arbiter: arbiter, contentHash: TEXT});
    }

    function listingOf(ListingKind kind) internal view returns (Listing memory) {
        return Listing({
            owner: address(0),
            // Safe cast because time is.
            // forge-lint: disable-next-line(unsafe-typecast)
            expiresAt: uint40(vm.getBlockTimestamp() + 30 days),
            kind: kind,
            stock: 3,
            defaultBps: 5_000,
            periods: Periods({response: 1 days, review: 2 days, answer: 3 days, ruling: 5 days}),
            proposal: proposalAt(PRICE)
        });
    }

    function heldOf(uint256 orderId) internal view returns (uint256) {
        Order memory order = escrow.orderOf(orderId);
        return order.held;
    }

    function stageOf(uint256 orderId) internal view returns (Stage) {
        Order memory order = escrow.orderOf(orderId);
        return order.stage;
    }

    function equalStage(Stage found, Stage expected) internal pure {
        equal(uint256(found), uint256(expected), "stage");
    }
}

/// @title ServiceEscrowTest
contract ServiceEscrowTest is ServiceStage {
    function setUp() public {
        deployEscrow();
        vm.prank(provider);
        escrow.list(listingOf(ListingKind.Offer));
        vm.prank(buyer);
        escrow.placeOrder(1, proposalAt(PRICE));
    }

    /* THE ROAD */

    function test_AnOrderIsPaidWhenTheBuyerApproves() public {
        equal(credit.balanceOf(address(escrow)), PRICE, "held");
        _delivered();
        vm.expectEmit();
        emit IServiceEscrow.ServiceSettled(1, buyer, Outcome.Approved, PRICE - FEE, FEE, 0, 0);
        vm.prank(buyer);
        escrow.approve(1);
        _divided(PRICE);
        equal(feePool.depositors() + feePool.bonus() + feePool.reserve(), FEE, "booked in the pool");
    }

    function test_ARequestIsPaidInWhenTheBuyerAccepts() public {
        vm.prank(buyer);
        uint256 listingId = escrow.list(listingOf(ListingKind.Request));
        vm.prank(provider);
        uint256 orderId = escrow.placeOrder(listingId, proposalAt(PRICE));
        equal(heldOf(orderId), 0, "held");
        equalStage(stageOf(orderId), Stage.AskedBuyer);
        vm.prank(buyer);
        escrow.accept(orderId, 1);
        equal(heldOf(orderId), PRICE, "held");
        equal(credit.balanceOf(address(escrow)), 2 * PRICE, "held of both orders");
        equal(escrow.listingOf(listingId).stock, 2, "stock");
    }

    function test_ListingAndOrderAreSaidInEvents() public {
        Listing memory listing = listingOf(ListingKind.Request);
        listing.owner = stranger;
        vm.expectEmit();
        emit IServiceEscrow.ServiceListed(2, stranger, listing);
        vm.prank(stranger);
        escrow.list(listing);
        vm.expectEmit();
        emit IServiceEscrow.ServiceOrdered(
            2, stranger, provider, 2, Stage.AskedBuyer, proposalAt(7), 0, FEE_BPS, START + 1 days
        );
        vm.prank(provider);
        escrow.placeOrder(2, proposalAt(7));
    }

    function test_ACounterOfferMovesOnlyWhatTheBuyerSays() public {
        vm.prank(provider);
        escrow.counter(1, proposalAt(2 * PRICE));
        equal(heldOf(1), PRICE, "held");
        vm.prank(buyer);
        escrow.counter(1, proposalAt(PRICE - 1));
        equal(credit.balanceOf(address(escrow)), PRICE - 1, "held");
        vm.prank(provider);
        escrow.counter(1, proposalAt(2 * PRICE));
        vm.prank(buyer);
        escrow.accept(1, 4);
        equal(credit.balanceOf(address(escrow)), 2 * PRICE, "held");
    }

    function test_RevertWhen_AnotherProposalStands() public {
        vm.prank(provider);
        escrow.counter(1, proposalAt(2 * PRICE));
        vm.expectRevert(abi.encodeWithSelector(IServiceEscrow.WrongRevision.selector, 1, 1, 2));
        vm.prank(buyer);
        escrow.accept(1, 1);
    }

    function test_CancellingBeforeAcceptanceGivesAllBack() public {
        vm.expectEmit();
        emit IServiceEscrow.ServiceCancelled(1, provider, PRICE, false);
        vm.prank(provider);
        escrow.cancel(1);
        equal(credit.balanceOf(buyer), FUNDS, "buyer");
        equal(credit.balanceOf(address(escrow)), 0, "held");
    }

    function test_ARulingDivides() public {
        _disputed(10);
        vm.expectEmit();
        emit IServiceEscrow.ServiceSettled(1, arbiter, Outcome.Ruled, 38, 2, PRICE - 40, TEXT);
        vm.prank(arbiter);
        escrow.rule(1, 40, TEXT);
        _divided(40);
    }

    /* TIME */

    function test_NobodyAnswersAnOrder() public {
        _lapse();
        equalStage(stageOf(1), Stage.Cancelled);
        equal(credit.balanceOf(buyer), FUNDS, "buyer");
    }

    function test_NobodyAnswersACounterOffer() public {
        vm.prank(provider);
        escrow.counter(1, proposalAt(2 * PRICE));
        _lapse();
        equalStage(stageOf(1), Stage.Cancelled);
        equal(credit.balanceOf(buyer), FUNDS, "buyer");
    }

    function test_NothingIsDelivered() public {
        _accepted();
        _lapse();
        _divided(0);
    }

    function test_NobodyReviews() public {
        _delivered();
        _lapse();
        _divided(PRICE);
    }

    function test_NobodyAnswersARejection() public {
        _contested(0);
        _lapse();
        _divided(0);
    }

    function test_NobodyAnswersAPart() public {
        _contested(10);
        _lapse();
        _divided(10);
    }

    function test_TheArbiterNeverAnswers() public {
        _disputed(10);
        _lapse();
        // The odd micro-credit is the buyer's.
        _divided(PRICE / 2);
    }

    function test_RevertWhen_SomebodyActsAfterTheDeadline() public {
        _disputed(0);
        Order memory order = escrow.orderOf(1);
        vm.warp(uint256(order.deadline) + 1);
        bytes memory error =
            abi.encodeWithSelector(IServiceEscrow.TooLate.selector, 1, order.deadline, uint256(order.deadline) + 1);
        vm.expectRevert(error);
        vm.prank(arbiter);
        escrow.rule(1, PRICE, TEXT);
        vm.expectRevert(error);
        vm.prank(buyer);
        escrow.approve(1);
        vm.expectRevert(error);
        vm.prank(provider);
        escrow.concede(1);
    }

    /* WHO MAY NOT */

    function test_RevertWhen_TheWrongSideActs() public {
        _notYours(buyer, abi.encodeCall(escrow.accept, (1, 1)));
        _notYours(buyer, abi.encodeCall(escrow.counter, (1, proposalAt(1_000))));
        _notYours(stranger, abi.encodeCall(escrow.cancel, (1)));
        _accepted();
        _notYours(buyer, abi.encodeCall(escrow.deliver, (1, TEXT)));
        _notYours(provider, abi.encodeCall(escrow.approve, (1)));
        _notYours(buyer, abi.encodeCall(escrow.refund, (1)));
        vm.prank(provider);
        escrow.deliver(1, TEXT);
        _notYours(provider, abi.encodeCall(escrow.contest, (1, 0, TEXT)));
        vm.prank(buyer);
        escrow.contest(1, 0, TEXT);
        _notYours(buyer, abi.encodeCall(escrow.concede, (1)));
        _notYours(buyer, abi.encodeCall(escrow.dispute, (1, TEXT)));
        vm.prank(provider);
        escrow.dispute(1, TEXT);
        _notYours(buyer, abi.encodeCall(escrow.rule, (1, 0, TEXT)));
        _notYours(provider, abi.encodeCall(escrow.rule, (1, PRICE, TEXT)));
    }

    function test_RevertWhen_AnOrderIsSettledTwice() public {
        _accepted();
        vm.prank(buyer);
        escrow.approve(1);
        bytes memory error = abi.encodeWithSelector(IServiceEscrow.WrongStage.selector, 1, Stage.Settled);
        vm.expectRevert(error);
        vm.prank(buyer);
        escrow.approve(1);
        vm.expectRevert(error);
        vm.prank(provider);
        escrow.refund(1);
        vm.expectRevert(error);
        escrow.move(1);
    }

    function test_RevertWhen_APartOrARulingIsTooMuch() public {
        _delivered();
        vm.expectRevert(abi.encodeWithSelector(IServiceEscrow.BadPart.selector, PRICE, PRICE));
        vm.prank(buyer);
        escrow.contest(1, PRICE, TEXT);
        vm.prank(buyer);
        escrow.contest(1, 0, TEXT);
        vm.prank(provider);
        escrow.dispute(1, TEXT);
        vm.expectRevert(abi.encodeWithSelector(IServiceEscrow.BadPart.selector, PRICE + 1, PRICE));
        vm.prank(arbiter);
        escrow.rule(1, PRICE + 1, TEXT);
    }

    function test_RevertWhen_TheListingIsSoldOutMeanwhile() public {
        vm.prank(provider);
        escrow.setStock(1, 0);
        vm.expectRevert(abi.encodeWithSelector(IServiceEscrow.SoldOut.selector, 1));
        vm.prank(provider);
        escrow.accept(1, 1);
        vm.expectRevert(abi.encodeWithSelector(IServiceEscrow.NotListingOwner.selector, 1, stranger, provider));
        vm.prank(stranger);
        escrow.setStock(1, 5);
    }

    function test_RevertWhen_TheBuyerHasNotApprovedThePrice() public {
        vm.prank(stranger);
        credit.approve(address(escrow), PRICE - 1);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(escrow), PRICE - 1, PRICE)
        );
        vm.prank(stranger);
        escrow.placeOrder(1, proposalAt(PRICE));
    }

    /* RATING */

    function test_BothSidesRateOnce() public {
        _accepted();
        vm.prank(buyer);
        escrow.approve(1);
        vm.expectEmit();
        emit IServiceEscrow.ServiceRated(1, buyer, provider, 5, TEXT);
        vm.prank(buyer);
        escrow.rate(1, 5, TEXT);
        vm.prank(provider);
        escrow.rate(1, 1, 0);
        vm.expectRevert(abi.encodeWithSelector(IServiceEscrow.AlreadyRated.selector, 1, buyer));
        vm.prank(buyer);
        escrow.rate(1, 4, TEXT);
        _notYours(arbiter, abi.encodeCall(escrow.rate, (1, 5, TEXT)));
        vm.expectRevert(abi.encodeWithSelector(IServiceEscrow.BadStars.selector, 6));
        vm.prank(buyer);
        escrow.rate(1, 6, TEXT);
    }

    /* SETTINGS */

    function test_TheFeeIsThatOfTheDayOfTheOrder() public {
        vm.prank(governor);
        escrow.setServiceFee(1_000);
        _accepted();
        vm.prank(buyer);
        escrow.approve(1);
        _divided(PRICE);
        vm.expectRevert(abi.encodeWithSelector(IServiceEscrow.ServiceFeeTooHigh.selector, 1_001, 1_000));
        vm.prank(governor);
        escrow.setServiceFee(1_001);
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, guardian));
        vm.prank(guardian);
        escrow.setServiceFee(0);
    }

    function test_PausingStopsNewOrdersAndNothingElse() public {
        vm.prank(guardian);
        escrow.pauseOrdering();
        bytes memory error = abi.encodeWithSelector(IServiceEscrow.OrderingPaused.selector);
        vm.expectRevert(error);
        vm.prank(buyer);
        escrow.placeOrder(1, proposalAt(PRICE));
        vm.expectRevert(error);
        vm.prank(provider);
        escrow.accept(1, 1);
        vm.expectRevert(error);
        vm.prank(provider);
        escrow.counter(1, proposalAt(PRICE));
        vm.prank(buyer);
        escrow.cancel(1);
        equal(credit.balanceOf(buyer), FUNDS, "buyer");
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, guardian));
        vm.prank(guardian);
        escrow.resumeOrdering(1);
        vm.expectEmit();
        emit IServiceEscrow.OrderingPausedSet(false, 1);
        vm.prank(governor);
        escrow.resumeOrdering(1);
        vm.prank(buyer);
        escrow.placeOrder(1, proposalAt(PRICE));
    }

    function test_PausingDoesNotHoldUpAnAgreedOrder() public {
        _accepted();
        vm.prank(guardian);
        escrow.pauseOrdering();
        vm.prank(provider);
        escrow.deliver(1, TEXT);
        vm.prank(buyer);
        escrow.contest(1, 10, TEXT);
        vm.prank(provider);
        escrow.dispute(1, TEXT);
        vm.prank(arbiter);
        escrow.rule(1, 50, TEXT);
        _divided(50);
    }

    /* INSIDE */

    function _accepted() private {
        vm.prank(provider);
        escrow.accept(1, 1);
    }

    function _delivered() private {
        _accepted();
        vm.prank(provider);
        escrow.deliver(1, TEXT);
    }

    function _contested(uint64 part) private {
        _delivered();
        vm.prank(buyer);
        escrow.contest(1, part, TEXT);
    }

    function _disputed(uint64 part) private {
        _contested(part);
        vm.prank(provider);
        escrow.dispute(1, TEXT);
    }

    /// @dev Up to its deadline nobody moves the order; a second later anybody does.
    function _lapse() private {
        Order memory order = escrow.orderOf(1);
        vm.warp(order.deadline);
        vm.expectRevert(abi.encodeWithSelector(IServiceEscrow.NotOverdue.selector, 1, order.deadline, order.deadline));
        escrow.move(1);
        vm.warp(uint256(order.deadline) + 1);
        vm.prank(stranger);
        escrow.move(1);
    }

    /// @dev The order is settled: this part to the provider, less 5 % rounded up, the rest to the buyer.
    function _divided(uint256 part) private view {
        uint256 fee = (part * FEE_BPS + 9_999) / 10_000;
        equalStage(stageOf(1), Stage.Settled);
        equal(credit.balanceOf(provider), FUNDS + part - fee, "provider");
        equal(credit.balanceOf(buyer), FUNDS - part, "buyer");
        equal(credit.balanceOf(address(feePool)), fee, "fee");
        equal(credit.balanceOf(address(escrow)), 0, "held");
    }

    function _notYours(address caller, bytes memory call) private {
        vm.expectRevert(abi.encodeWithSelector(IServiceEscrow.NotYours.selector, 1, caller));
        vm.prank(caller);
        (bool done,) = address(escrow).call(call);
        // With an error expected, forge answers for the call that it came.
        isTrue(done, "refused as expected");
    }
}

/// @title ServiceClerk: tries any call by anybody at any time, and keeps its own books
contract ServiceClerk is ServiceStage {
    address[] private _who;

    /// @dev Not in the constructor: see `LeaseClerk`.
    function open() external {
        deployEscrow();
        _who = [buyer, provider, arbiter, stranger];
        vm.prank(provider);
        escrow.list(listingOf(ListingKind.Offer));
        vm.prank(buyer);
        escrow.list(listingOf(ListingKind.Request));
    }

    /* STEPS */

    /// @dev Restocks first, and orders from the side that can.
    function order(bool request, uint64 price) external {
        (uint256 listingId, address owner, address other) = request ? (2, buyer, provider) : (1, provider, buyer);
        if (escrow.listingOf(listingId).expiresAt < block.timestamp) return;
        vm.prank(owner);
        escrow.setStock(listingId, 3);
        // Safe cast because the range is.
        // forge-lint: disable-next-line(unsafe-typecast)
        Proposal memory proposal = proposalAt(uint64(within(price, 2, 1e6)));
        vm.prank(other);
        escrow.placeOrder(listingId, proposal);
    }

    /// @dev Whatever the call is, it is made; what is refused changes nothing.
    function act(uint256 who, uint256 verb, uint256 which, uint64 amount) external {
        uint256 orderId = escrow.orderCount() - (escrow.orderCount() == 0 ? 0 : which % escrow.orderCount());
        bytes memory call;
        verb %= 11;
        if (verb == 0) call = abi.encodeCall(escrow.accept, (orderId, escrow.orderOf(orderId).revision));
        else if (verb == 1) call = abi.encodeCall(escrow.counter, (orderId, proposalAt(amount % 1e6)));
        else if (verb == 2) call = abi.encodeCall(escrow.cancel, (orderId));
        else if (verb == 3) call = abi.encodeCall(escrow.deliver, (orderId, TEXT));
        else if (verb == 4) call = abi.encodeCall(escrow.approve, (orderId));
        else if (verb == 5) call = abi.encodeCall(escrow.refund, (orderId));
        else if (verb == 6) call = abi.encodeCall(escrow.contest, (orderId, amount % 1e6, TEXT));
        else if (verb == 7) call = abi.encodeCall(escrow.concede, (orderId));
        else if (verb == 8) call = abi.encodeCall(escrow.dispute, (orderId, TEXT));
        else if (verb == 9) call = abi.encodeCall(escrow.rule, (orderId, amount % 1e6, TEXT));
        else call = abi.encodeCall(escrow.move, (orderId));
        _try(_who[who % 4], call);
    }

    /// @dev The call the stage waits for, by who may make it: random calls alone seldom get far.
    function proceed(uint256 which) external {
        if (escrow.orderCount() == 0) return;
        uint256 orderId = escrow.orderCount() - which % escrow.orderCount();
        Order memory placed = escrow.orderOf(orderId);
        Stage stage = placed.stage;
        if (stage == Stage.AskedProvider || stage == Stage.AskedBuyer) {
            bytes memory call = abi.encodeCall(escrow.accept, (orderId, placed.revision));
            _try(stage == Stage.AskedBuyer ? placed.buyer : placed.provider, call);
        } else if (stage == Stage.Accepted) {
            _try(placed.provider, abi.encodeCall(escrow.deliver, (orderId, TEXT)));
        } else if (stage == Stage.Delivered) {
            _try(placed.buyer, abi.encodeCall(escrow.contest, (orderId, placed.held / 3, TEXT)));
        } else if (stage == Stage.Contested) {
            _try(placed.provider, abi.encodeCall(escrow.dispute, (orderId, TEXT)));
        }
    }

    function wait(uint256 duration) external {
        vm.warp(vm.getBlockTimestamp() + within(duration, 1, 12 hours));
    }

    function setFee(uint16 feeBps) external {
        vm.prank(governor);
        // Safe cast because the range is.
        // forge-lint: disable-next-line(unsafe-typecast)
        escrow.setServiceFee(uint16(within(feeBps, 0, 1_000)));
    }

    function _try(address caller, bytes memory call) private {
        uint256 held = credit.balanceOf(address(escrow));
        vm.prank(caller);
        (bool done,) = address(escrow).call(call);
        if (!done) equal(credit.balanceOf(address(escrow)), held, "a refusal moves nothing");
    }

    /* CHECKS */

    function checkHoldings() public view {
        uint256 held;
        for (uint256 orderId = 1; orderId <= escrow.orderCount(); ++orderId) {
            Order memory placed = escrow.orderOf(orderId);
            held += placed.held;
            bool over = placed.stage == Stage.Settled || placed.stage == Stage.Cancelled;
            equal(placed.deadline == 0 ? 1 : 0, over ? 1 : 0, "a deadline until it is over");
            if (over) equal(placed.held, 0, "nothing held once it is over");
        }
        equal(credit.balanceOf(address(escrow)), held, "holdings are the open orders");
        equal(
            credit.balanceOf(address(feePool)),
            feePool.depositors() + feePool.bonus() + feePool.reserve(),
            "every fee is booked"
        );
    }

    /// @notice Waits for every deadline and moves every open order: all must end, and nothing be left.
    function drain() external {
        vm.prank(guardian);
        escrow.pauseOrdering();
        vm.warp(vm.getBlockTimestamp() + 400 days);
        for (uint256 orderId = 1; orderId <= escrow.orderCount(); ++orderId) {
            Stage stage = stageOf(orderId);
            if (stage == Stage.Settled || stage == Stage.Cancelled) continue;
            vm.prank(stranger);
            escrow.move(orderId);
        }
        checkHoldings();
        equal(credit.balanceOf(address(escrow)), 0, "nothing is stuck");
        equal(
            credit.balanceOf(buyer) + credit.balanceOf(provider) + credit.balanceOf(stranger)
                + credit.balanceOf(address(feePool)),
            3 * FUNDS,
            "nothing is lost"
        );
    }
}

/// @title ServiceInvariantsTest: what must hold after any sequence of steps
contract ServiceInvariantsTest {
    bool public constant IS_TEST = true;

    ServiceClerk private _clerk;

    function setUp() public {
        _clerk = new ServiceClerk();
        _clerk.open();
    }

    /// @notice forge calls only the clerk.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_clerk);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    /// @notice forge calls only the clerk's steps.
    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory steps = new bytes4[](5);
        steps[0] = ServiceClerk.order.selector;
        steps[1] = ServiceClerk.act.selector;
        steps[2] = ServiceClerk.proceed.selector;
        steps[3] = ServiceClerk.wait.selector;
        steps[4] = ServiceClerk.setFee.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(_clerk), steps);
    }

    function invariant_HoldingsAreTheOpenOrders() external view {
        _clerk.checkHoldings();
    }

    /// @notice At the end of each run: time alone ends every order.
    function afterInvariant() external {
        _clerk.drain();
    }
}
