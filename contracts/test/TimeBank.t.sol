// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IERC20Errors, IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {IERC721Metadata} from "@openzeppelin/contracts/token/ERC721/extensions/IERC721Metadata.sol";
import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {ReceiptMetadata} from "../bank/ReceiptMetadata.sol";
import {TimeBank} from "../bank/TimeBank.sol";
import {BankBooks, ITimeBank, Position, Term} from "../interfaces/ITimeBank.sol";
import {EpochHeader} from "../interfaces/IRateOracle.sol";
import {AccountLeaf} from "../libraries/EpochTree.sol";
import {System} from "./System.sol";

/// @title Reentrant: tries to close its deposit whenever somebody asks it anything
contract Reentrant {
    ITimeBank private immutable _bank;
    bool public called;

    constructor(ITimeBank bank) {
        _bank = bank;
    }

    fallback() external {
        called = true;
        _bank.close(1, address(this));
    }
}

/// @title TimeBankTest: every promise of ITimeBank, and every bad input
///
/// TimeBank
/// |- deposit
/// |  |- books, receipt, event; for somebody else; by permit; numbers go up
/// |  `- refuses dust, nothing, no such term, a closed term, nobody as owner, no allowance, no balance, 2^64
/// |- claims: a standing order becomes a deposit; a term gone becomes demand; dust; only the distributor
/// |- closing
/// |  |- withdraw: demand at once, a term when mature, by owner, approved or operator, to somebody else
/// |  |- exitEarly: penalty and income go to those who stay
/// |  |- close pays what exitValueOf said (fuzz)
/// |  `- refuses: too early, too late, twice, a stranger, no such receipt, nobody as receiver
/// |- going on
/// |  |- collectIncome pays income less fee, once
/// |  |- rollOver adds income and binds anew; refuses closed terms and none
/// |  `- lapse by anybody: value unchanged, weight of demand; refuses demand, immature, none
/// |- income
/// |  |- from fees, gifts, both, neither
/// |  |- released as the formula says (fuzz), shared by weight (fuzz)
/// |  |- nobody gains within a block (fuzz)
/// |  |- dust every block puts nothing off; collecting every block strands nothing
/// |  |- time without depositors pays nobody and strands nothing
/// |  |- a jump of a year
/// |  |- what rounding left goes back when the last one leaves
/// |  `- an exit value never falls (fuzz over steps and time)
/// |- settings: role, bounds, events, terms only open and close; the constructor's bounds
/// `- receipts: ERC-165, ERC-721 transfers, approvals end, nobody is called back, metadata; no room gets one unasked
contract TimeBankTest is System {
    uint64 private constant GRANT = 1_000_000e6;
    uint256 private constant PERMIT_KEY = 7;

    address private constant SAVER = address(0x5a);
    address private constant NEIGHBOUR = address(0x5b);
    address private constant GIVER = address(0x5c);
    address private constant LENDING = address(0x1e9d);
    address private constant LEASE = address(0x1ea5);

    AccountLeaf[] private _leaves;
    bytes32[][] private _levels;

    function setUp() public {
        deploySystem();
        setRooms(address(timeBank), LENDING, LEASE);
        // Rooms have code.
        vm.etch(LENDING, hex"00");
        vm.etch(LEASE, hex"00");
        _grantEpoch(1);
        for (uint256 i; i < 4; ++i) {
            distributor.claim(_leaves[i], proofOf(_levels, i));
        }
        address[3] memory savers = [SAVER, NEIGHBOUR, GIVER];
        for (uint256 i; i < 3; ++i) {
            vm.prank(savers[i]);
            credit.approve(address(timeBank), type(uint256).max);
        }
    }

    /* DEPOSIT */

    function test_DepositIsBookedAndReceipted() public {
        uint256 maturesAt = _now() + 7 days;
        vm.expectEmit();
        emit IERC721.Transfer(address(0), SAVER, 1);
        vm.expectEmit();
        emit ITimeBank.Deposited(1, SAVER, SAVER, 5e6, WEEK, maturesAt);
        equal(_deposit(SAVER, 5e6, WEEK), 1, "number of the receipt");

        equal(timeBank.ownerOf(1), SAVER, "owner");
        equal(credit.balanceOf(address(timeBank)), 5e6, "holdings");
        Position memory position = timeBank.positionOf(1);
        equal(position.principal, 5e6, "principal");
        equal(position.maturesAt, maturesAt, "matures");
        equal(position.termId, WEEK, "term");
        equal(position.incomeIndex, 0, "index");
        BankBooks memory books = timeBank.books();
        equal(books.nextId, 2, "next number");
        equal(books.principal, 5e6, "sum of principals");
        equal(books.totalWeight, 5e6 * 1_500, "sum of weights");
        equal(books.accruedAt, _now(), "first depositor's time");
        equal(books.pending + books.owed, 0, "no income");
    }

    function test_DepositForSomebodyElse() public {
        vm.expectEmit();
        emit ITimeBank.Deposited(1, NEIGHBOUR, SAVER, 1_000, DEMAND, _now());
        vm.prank(SAVER);
        timeBank.deposit(1_000, DEMAND, NEIGHBOUR);
        equal(timeBank.balanceOf(NEIGHBOUR), 1, "receipts");
        _refusedWithdrawal(SAVER, 1, abi.encodeWithSelector(ITimeBank.NotReceiptHolder.selector, 1, SAVER));
    }

    function test_DepositWithPermitAlsoWhenSomebodySubmittedIt() public {
        address signer = vm.addr(PERMIT_KEY);
        (uint8 v, bytes32 r, bytes32 s) = _permit(5e6);
        vm.prank(signer);
        timeBank.depositWithPermit(5e6, DAY, signer, _now(), v, r, s);
        (v, r, s) = _permit(6e6);
        credit.permit(signer, address(timeBank), 6e6, _now(), v, r, s);
        vm.prank(signer);
        timeBank.depositWithPermit(6e6, DAY, signer, _now(), v, r, s);
        equal(timeBank.books().principal, 11e6, "principals");
        equal(credit.allowance(signer, address(timeBank)), 0, "allowance left");
    }

    function testFuzz_RevertWhen_TheDepositIsDust(uint256 amount) public {
        amount = within(amount, 0, 999);
        _refusedDeposit(
            amount, DEMAND, SAVER, abi.encodeWithSelector(ITimeBank.DepositTooSmall.selector, amount, 1_000)
        );
    }

    function testFuzz_RevertWhen_TheTermDoesNotExist(uint16 termId) public {
        if (termId < 4) termId += 4;
        _refusedDeposit(5e6, termId, SAVER, abi.encodeWithSelector(ITimeBank.NoSuchTerm.selector, termId, 4));
    }

    function test_RevertWhen_TheTermIsClosed() public {
        _setTermOpen(WEEK, false);
        _refusedDeposit(5e6, WEEK, SAVER, abi.encodeWithSelector(ITimeBank.TermClosed.selector, WEEK));
        _setTermOpen(WEEK, true);
        _deposit(SAVER, 5e6, WEEK);
    }

    function test_RevertWhen_TheReceiptIsForNobody() public {
        _refusedDeposit(
            5e6, WEEK, address(0), abi.encodeWithSelector(IERC721Errors.ERC721InvalidReceiver.selector, address(0))
        );
    }

    function test_RevertWhen_TheDepositorCannotPay() public {
        address bank = address(timeBank);
        vm.prank(SAVER);
        credit.approve(bank, 999);
        _refusedDeposit(
            1_000,
            DEMAND,
            SAVER,
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, bank, 999, 1_000)
        );
        vm.prank(SAVER);
        credit.approve(bank, type(uint256).max);
        _refusedDeposit(
            GRANT + 1,
            DEMAND,
            SAVER,
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, SAVER, GRANT, GRANT + 1)
        );
    }

    function test_RevertWhen_TheAmountIsBeyondAllCredits() public {
        _refusedDeposit(
            2 ** 64,
            DEMAND,
            SAVER,
            abi.encodeWithSelector(SafeCast.SafeCastOverflowedUintDowncast.selector, 64, 2 ** 64)
        );
    }

    /* CLAIMS */

    function test_ClaimWithAStandingOrderBecomesADeposit() public {
        vm.prank(SAVER);
        distributor.setStandingOrder(SAVER, WEEK);
        _grantEpoch(2);
        vm.expectEmit();
        emit ITimeBank.Deposited(1, SAVER, address(distributor), GRANT, WEEK, _now() + 7 days);
        vm.prank(stranger);
        distributor.claim(_leaves[0], proofOf(_levels, 0));
        equal(timeBank.ownerOf(1), SAVER, "owner");
        equal(credit.balanceOf(address(timeBank)), GRANT, "holdings");
        (uint256 fromFees, uint256 gifts) = timeBank.collect();
        equal(fromFees + gifts, 0, "a claim is no gift");
    }

    function test_ClaimForATermThatIsGoneBecomesDemand() public {
        vm.prank(SAVER);
        distributor.setStandingOrder(SAVER, WEEK);
        _setTermOpen(WEEK, false);
        _setTermOpen(DEMAND, false);
        _grantEpoch(2);
        distributor.claim(_leaves[0], proofOf(_levels, 0));
        equal(timeBank.positionOf(1).termId, DEMAND, "term");
        equal(timeBank.positionOf(1).maturesAt, _now(), "matures");

        vm.prank(address(distributor));
        credit.mint(address(timeBank), 1);
        vm.prank(address(distributor));
        equal(timeBank.depositClaim(SAVER, 1, type(uint16).max), 2, "dust under a term that never was");
        equal(timeBank.positionOf(2).termId, DEMAND, "term");
        _close(SAVER, 2);
    }

    function test_RevertWhen_SomebodyElseBooksAClaim() public {
        vm.expectRevert(abi.encodeWithSelector(ITimeBank.NotClaimsDistributor.selector, stranger, address(distributor)));
        vm.prank(stranger);
        timeBank.depositClaim(stranger, 5e6, DEMAND);
    }

    /* CLOSING */

    function test_DemandIsWithdrawnAtOnce() public {
        _deposit(SAVER, 5e6, DEMAND);
        vm.expectEmit();
        emit IERC721.Transfer(SAVER, address(0), 1);
        vm.expectEmit();
        emit ITimeBank.Withdrawn(1, SAVER, stranger, 5e6, 0, 0);
        vm.prank(SAVER);
        equal(timeBank.withdraw(1, stranger), 5e6, "paid");
        equal(credit.balanceOf(stranger), 5e6, "receiver");
        equal(credit.balanceOf(address(timeBank)), 0, "holdings");
        equal(timeBank.balanceOf(SAVER), 0, "receipts");
        equal(timeBank.books().totalWeight + timeBank.books().principal, 0, "books");
    }

    function test_MatureTermIsWithdrawnWithIncomeLessTheFee() public {
        _deposit(SAVER, 5e6, WEEK);
        _gift(1_000_001);
        _pass(7 days);
        // Half of what was pending after the release time; the index rounds it down. A twentieth is the fee, rounded up.
        equal(timeBank.incomeOf(1), 499_999, "income");
        vm.expectEmit();
        emit ITimeBank.IncomeReleased(500_000, uint256(500_000) * 2 ** 64 / (5e6 * 1_500), 5e6 * 1_500);
        vm.expectEmit();
        emit ITimeBank.Withdrawn(1, SAVER, SAVER, 5e6, 499_999, 25_000);
        uint256 before = credit.balanceOf(SAVER);
        vm.prank(SAVER);
        uint256 paid = timeBank.withdraw(1, SAVER);
        equal(paid, 5e6 + 499_999 - 25_000, "paid");
        equal(credit.balanceOf(SAVER), before + paid, "receiver");
        equal(credit.balanceOf(address(feePool)), 25_000, "fee");
        equal(feePool.sync(), 25_000, "fee booked at the next sync");
        // The index's rounding left one of those owed.
        equal(timeBank.books().owed, 0, "owed to nobody");
        equal(timeBank.books().pending, 500_002, "pending");
    }

    function test_ApprovedAndOperatorsDispose() public {
        _deposit(SAVER, 5e6, DEMAND);
        _deposit(SAVER, 6e6, DEMAND);
        vm.prank(SAVER);
        timeBank.approve(stranger, 1);
        vm.prank(stranger);
        equal(timeBank.withdraw(1, stranger), 5e6, "paid to who is approved");
        _refusedWithdrawal(stranger, 2, abi.encodeWithSelector(ITimeBank.NotReceiptHolder.selector, 2, stranger));
        vm.prank(SAVER);
        timeBank.setApprovalForAll(stranger, true);
        vm.prank(stranger);
        equal(timeBank.close(2, stranger), 6e6, "paid to the operator");
    }

    function test_EarlyExitPaysThoseWhoStay() public {
        _deposit(SAVER, 10e6 + 1, MONTH);
        _deposit(NEIGHBOUR, 25e6, DEMAND);
        _gift(2e6);
        _pass(7 days);
        uint256 income = timeBank.incomeOf(1);
        equal(income, 500_000, "half of what was released");
        vm.expectEmit();
        emit ITimeBank.ExitedEarly(1, SAVER, SAVER, 10e6 + 1, 200_001, income);
        vm.prank(SAVER);
        equal(timeBank.exitEarly(1, SAVER), 10e6 + 1 - 200_001, "paid");
        equal(credit.balanceOf(address(feePool)), 0, "no fee");
        BankBooks memory books = timeBank.books();
        equal(books.pending, 1e6 + 200_001 + income, "pending");
        equal(books.accruedAt, _now(), "no time before is paid for");
        equal(timeBank.incomeOf(2), 499_999, "the neighbour's so far");
        _pass(3650 days);
        atMost(books.pending * 99 / 100, timeBank.incomeOf(2), "the neighbour's in the end");
    }

    function testFuzz_ClosePaysTheExitValue(uint256 amount, uint256 term, uint256 gift, uint256 elapsed) public {
        amount = within(amount, 1_000, GRANT);
        _deposit(SAVER, amount, _anyTerm(term));
        _deposit(NEIGHBOUR, 1e6, DEMAND);
        _gift(within(gift, 1, GRANT));
        _pass(within(elapsed, 0, 60 days));
        uint256 expected = timeBank.exitValueOf(1);
        uint256 before = credit.balanceOf(SAVER);
        equal(_close(SAVER, 1), expected, "paid");
        equal(credit.balanceOf(SAVER), before + expected, "balance");
    }

    function test_CloseGoesEitherWay() public {
        _deposit(SAVER, 10e6, DAY);
        _deposit(SAVER, 10e6, DAY);
        _pass(1 days - 1);
        equal(_close(SAVER, 1), 10e6 - 50_000, "a second before maturity");
        _pass(1);
        equal(_close(SAVER, 2), 10e6, "at maturity");
    }

    function test_RevertWhen_ClosedTooEarlyOrTooLate() public {
        _deposit(SAVER, 10e6, DAY);
        uint256 maturesAt = _now() + 1 days;
        vm.warp(maturesAt - 1);
        _refusedWithdrawal(SAVER, 1, abi.encodeWithSelector(ITimeBank.NotMature.selector, 1, maturesAt, maturesAt - 1));
        vm.warp(maturesAt);
        vm.expectRevert(abi.encodeWithSelector(ITimeBank.AlreadyMature.selector, 1, maturesAt));
        vm.prank(SAVER);
        timeBank.exitEarly(1, SAVER);
    }

    function test_RevertWhen_ClosedTwice() public {
        _deposit(SAVER, 10e6, DEMAND);
        _deposit(SAVER, 10e6, WEEK);
        _close(SAVER, 1);
        _close(SAVER, 2);
        bytes memory gone = abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 1);
        _refusedWithdrawal(SAVER, 1, gone);
        vm.expectRevert(gone);
        vm.prank(SAVER);
        timeBank.close(1, SAVER);
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 2));
        vm.prank(SAVER);
        timeBank.exitEarly(2, SAVER);
    }

    function test_RevertWhen_AStrangerDisposes() public {
        _deposit(SAVER, 10e6, DEMAND);
        _deposit(SAVER, 10e6, WEEK);
        bytes memory reason = abi.encodeWithSelector(ITimeBank.NotReceiptHolder.selector, 1, stranger);
        _refusedWithdrawal(stranger, 1, reason);
        vm.expectRevert(reason);
        vm.prank(stranger);
        timeBank.close(1, stranger);
        vm.expectRevert(reason);
        vm.prank(stranger);
        timeBank.collectIncome(1, stranger);
        vm.expectRevert(reason);
        vm.prank(stranger);
        timeBank.rollOver(1, WEEK);
        vm.expectRevert(abi.encodeWithSelector(ITimeBank.NotReceiptHolder.selector, 2, stranger));
        vm.prank(stranger);
        timeBank.exitEarly(2, stranger);
    }

    function test_RevertWhen_PaidToNobody() public {
        _deposit(SAVER, 10e6, DEMAND);
        _deposit(SAVER, 10e6, WEEK);
        bytes memory reason = abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, address(0));
        for (uint256 id = 1; id <= 2; ++id) {
            vm.expectRevert(reason);
            vm.prank(SAVER);
            timeBank.close(id, address(0));
        }
    }

    function test_RevertWhen_ThereIsNoReceipt() public {
        bytes memory reason = abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 9);
        vm.expectRevert(reason);
        timeBank.positionOf(9);
        vm.expectRevert(reason);
        timeBank.incomeOf(9);
        vm.expectRevert(reason);
        timeBank.exitValueOf(9);
        vm.expectRevert(reason);
        timeBank.tokenURI(9);
        vm.expectRevert(reason);
        timeBank.collectIncome(9, SAVER);
        vm.expectRevert(reason);
        timeBank.rollOver(9, WEEK);
        vm.expectRevert(reason);
        timeBank.lapse(9);
    }

    /* GOING ON */

    function test_IncomeIsCollectedOnce() public {
        _deposit(SAVER, 8e6, DEMAND);
        _gift(2e6);
        _pass(7 days);
        uint256 income = timeBank.incomeOf(1);
        vm.expectEmit();
        emit ITimeBank.IncomeCollected(1, stranger, income, (income + 19) / 20);
        vm.prank(SAVER);
        uint256 paid = timeBank.collectIncome(1, stranger);
        equal(paid, income - (income + 19) / 20, "paid");
        equal(credit.balanceOf(stranger), paid, "receiver");
        equal(timeBank.positionOf(1).principal, 8e6, "the deposit goes on");
        vm.expectRevert(abi.encodeWithSelector(ITimeBank.NoIncome.selector, 1));
        vm.prank(SAVER);
        timeBank.collectIncome(1, stranger);
        _pass(7 days);
        equal(timeBank.incomeOf(1), 499_999, "half of what was left");
    }

    function test_RevertWhen_IncomeIsCollectedBeforeMaturity() public {
        _deposit(SAVER, 8e6, WEEK);
        _gift(2e6);
        _pass(6 days);
        vm.expectRevert(abi.encodeWithSelector(ITimeBank.NotMature.selector, 1, _now() + 1 days, _now()));
        vm.prank(SAVER);
        timeBank.collectIncome(1, SAVER);
    }

    function test_IncomeOfOneIsAllFee() public {
        _deposit(SAVER, 8e6, DEMAND);
        _gift(4);
        _pass(7 days);
        equal(timeBank.incomeOf(1), 1, "income");
        equal(timeBank.exitValueOf(1), 8e6, "exit value");
        vm.prank(SAVER);
        equal(timeBank.collectIncome(1, SAVER), 0, "paid");
        equal(credit.balanceOf(address(feePool)), 1, "fee");
    }

    function test_RollOverAddsIncomeAndBindsAnew() public {
        _deposit(SAVER, 8e6, DAY);
        _deposit(NEIGHBOUR, 1e6, DEMAND);
        _gift(2e6);
        _pass(7 days);
        uint256 income = timeBank.incomeOf(1);
        uint256 fee = (income + 19) / 20;
        uint256 principal = 8e6 + income - fee;
        uint256 maturesAt = _now() + 30 days;
        vm.expectEmit();
        emit ITimeBank.RolledOver(1, MONTH, income, fee, principal, maturesAt, false);
        vm.prank(SAVER);
        timeBank.rollOver(1, MONTH);
        Position memory position = timeBank.positionOf(1);
        equal(position.principal, principal, "principal");
        equal(position.termId, MONTH, "term");
        equal(position.maturesAt, maturesAt, "matures");
        equal(timeBank.incomeOf(1), 0, "income begins anew");
        equal(timeBank.books().totalWeight, principal * 2_500 + 1e6 * 1_000, "weights");
        equal(timeBank.books().principal, principal + 1e6, "principals");
        equal(timeBank.ownerOf(1), SAVER, "the receipt stays");
        equal(credit.balanceOf(address(feePool)), fee, "fee");
    }

    function test_RevertWhen_TheRollOverIsBad() public {
        _deposit(SAVER, 8e6, DAY);
        _refusedRollOver(WEEK, abi.encodeWithSelector(ITimeBank.NotMature.selector, 1, _now() + 1 days, _now()));
        _pass(1 days);
        _refusedRollOver(4, abi.encodeWithSelector(ITimeBank.NoSuchTerm.selector, 4, 4));
        _setTermOpen(WEEK, false);
        _refusedRollOver(WEEK, abi.encodeWithSelector(ITimeBank.TermClosed.selector, WEEK));
    }

    function test_AnybodyMovesAMatureDepositToDemand() public {
        _deposit(SAVER, 8e6, MONTH);
        _deposit(NEIGHBOUR, 1e6, DEMAND);
        _gift(2e6);
        _pass(30 days);
        _setTermOpen(DEMAND, false);
        uint256 value = timeBank.exitValueOf(1);
        uint256 income = timeBank.incomeOf(1);
        vm.expectEmit();
        emit ITimeBank.RolledOver(1, DEMAND, income, (income + 19) / 20, value, _now(), true);
        vm.prank(stranger);
        timeBank.lapse(1);
        equal(timeBank.exitValueOf(1), value, "worth the same");
        equal(timeBank.books().totalWeight, (value + 1e6) * 1_000, "weighs as demand");
        equal(timeBank.ownerOf(1), SAVER, "owner");
        equal(_close(SAVER, 1), value, "paid");
    }

    function test_RevertWhen_ThereIsNothingToLapse() public {
        _deposit(SAVER, 8e6, DEMAND);
        _deposit(SAVER, 8e6, DAY);
        vm.expectRevert(abi.encodeWithSelector(ITimeBank.NothingToLapse.selector, 1));
        timeBank.lapse(1);
        vm.expectRevert(abi.encodeWithSelector(ITimeBank.NotMature.selector, 2, _now() + 1 days, _now()));
        timeBank.lapse(2);
    }

    /* INCOME */

    function test_FeesAndGiftsAreCollected() public {
        _deposit(SAVER, 8e6, DEMAND);
        vm.prank(GIVER);
        credit.approve(address(payments), type(uint256).max);
        vm.prank(GIVER);
        payments.pay(stranger, 1_000e6, "fees of 5 credits");
        // Credits sent to the pool directly count as fees, too: half of both is the depositors'.
        vm.prank(GIVER);
        require(credit.transfer(address(feePool), 1e6));
        vm.prank(GIVER);
        require(credit.transfer(address(timeBank), 777));
        vm.expectEmit();
        emit ITimeBank.IncomeReceived(3e6, 777);
        vm.prank(stranger);
        (uint256 fromFees, uint256 gifts) = timeBank.collect();
        equal(fromFees, 3e6, "from fees");
        equal(gifts, 777, "gifts");
        equal(timeBank.books().pending, 3e6 + 777, "pending");
        equal(timeBank.books().accruedAt, _now(), "time begins");
        equal(credit.balanceOf(address(timeBank)), 8e6 + 3e6 + 777, "holdings");
        (fromFees, gifts) = timeBank.collect();
        equal(fromFees + gifts, 0, "no news");
    }

    function testFuzz_IncomeIsReleasedByTheFormula(uint256 pending, uint256 elapsed, uint256 principal) public {
        pending = within(pending, 1, GRANT);
        elapsed = within(elapsed, 0, 400 days);
        _deposit(SAVER, within(principal, 1_000, GRANT), WEEK);
        _gift(pending);
        _pass(elapsed);
        uint256 due = pending * elapsed / (elapsed + 7 days);
        uint256 income = timeBank.incomeOf(1);
        atMost(income, due, "income");
        atMost(due, income + 1, "due");
        timeBank.collect();
        equal(timeBank.incomeOf(1), income, "the view counted what was due");
        BankBooks memory books = timeBank.books();
        equal(books.pending + books.owed, pending, "nothing appears or vanishes");
    }

    function testFuzz_IncomeIsSharedByWeight(uint256 one, uint256 other, uint256 gift) public {
        one = within(one, 1_000, GRANT);
        other = within(other, 1_000, GRANT);
        _deposit(SAVER, one, MONTH);
        _deposit(NEIGHBOUR, other, DAY);
        _gift(within(gift, 1, GRANT));
        _pass(7 days);
        timeBank.collect();
        uint256 owed = timeBank.books().owed;
        uint256 weights = one * 2_500 + other * 1_100;
        uint256 share = owed * one * 2_500 / weights;
        atMost(timeBank.incomeOf(1), share, "one's income");
        atMost(share, timeBank.incomeOf(1) + 1, "one's share");
        atMost(timeBank.incomeOf(1) + timeBank.incomeOf(2), owed, "both incomes");
        atMost(owed, timeBank.incomeOf(1) + timeBank.incomeOf(2) + 2, "owed");
    }

    function testFuzz_NobodyGainsWithinABlock(uint256 amount, uint256 gift, uint256 elapsed) public {
        _deposit(NEIGHBOUR, 1_000, DEMAND);
        _gift(within(gift, 1, GRANT / 2));
        _pass(within(elapsed, 0, 30 days));
        vm.prank(GIVER);
        require(credit.transfer(address(timeBank), within(gift, 1, GRANT / 4)));
        amount = within(amount, 1_000, GRANT);
        _deposit(SAVER, amount, DEMAND);
        timeBank.collect();
        equal(timeBank.incomeOf(2), 0, "income");
        equal(_close(SAVER, 2), amount, "paid");
        _deposit(SAVER, amount, MONTH);
        timeBank.collect();
        atMost(_close(SAVER, 3), amount, "paid early");
    }

    function test_DustEveryBlockPutsNothingOff() public {
        _deposit(SAVER, 50e6, DEMAND);
        _gift(100e6);
        uint256 started = _now();
        for (uint256 i; i < 600; ++i) {
            _pass(12);
            _gift(1);
        }
        uint256 elapsed = _now() - started;
        atMost(100e6 * elapsed / (elapsed + 7 days), timeBank.incomeOf(1), "without the dust");
    }

    function test_CollectingEveryBlockStrandsNothing() public {
        _deposit(SAVER, 50e6, DEMAND);
        _gift(1_000);
        uint256 started = _now();
        for (uint256 i; i < 600; ++i) {
            _pass(60);
            timeBank.collect();
        }
        uint256 elapsed = _now() - started;
        // Each release begins the time anew and drops less than one micro-credit: of a stream of single ones less than half.
        uint256 due = 1_000 * elapsed / (elapsed + 7 days);
        atMost(due / 2, timeBank.incomeOf(1), "half of what it is without the calls");
        atMost(timeBank.incomeOf(1), due, "income");
    }

    function test_TimeWithoutDepositorsPaysNobodyAndStrandsNothing() public {
        _gift(4e6);
        _pass(365 days);
        timeBank.collect();
        equal(timeBank.books().pending, 4e6, "still pending");
        _deposit(SAVER, 5e6, DEMAND);
        equal(timeBank.incomeOf(1), 0, "nothing for the time before");
        _pass(7 days);
        atMost(2e6 - 1, timeBank.incomeOf(1), "half after the release time");
        _close(SAVER, 1);
        _pass(365 days);
        uint256 pending = timeBank.books().pending;
        _deposit(NEIGHBOUR, 5e6, DEMAND);
        equal(timeBank.incomeOf(2), 0, "nothing for the time between");
        equal(timeBank.books().pending, pending, "pending");
        _pass(21 days);
        atMost(pending * 3 / 4 - 2, timeBank.incomeOf(2), "three quarters after three times");
    }

    function test_AClockMayJumpAYear() public {
        _deposit(SAVER, 5e6, MONTH);
        _deposit(NEIGHBOUR, 5e6, DEMAND);
        _gift(10e6);
        _pass(365 days);
        BankBooks memory books = timeBank.books();
        uint256 due = uint256(books.pending) * 365 / (365 + 7);
        atMost(timeBank.incomeOf(1) + timeBank.incomeOf(2), due, "incomes");
        atMost(due, timeBank.incomeOf(1) + timeBank.incomeOf(2) + 2, "due");
        _close(SAVER, 1);
        _close(NEIGHBOUR, 2);
        equal(credit.balanceOf(address(timeBank)), timeBank.books().pending, "the rest waits for others");
    }

    function test_WhatRoundingLeftGoesBackWhenTheLastOneLeaves() public {
        _deposit(SAVER, 3_001, DEMAND);
        _deposit(NEIGHBOUR, 7_003, DEMAND);
        _gift(11);
        _pass(30 days);
        _close(SAVER, 1);
        atMost(1, timeBank.books().owed, "owed before");
        _pass(1);
        _close(NEIGHBOUR, 2);
        equal(timeBank.books().owed, 0, "owed");
        equal(timeBank.books().pending, credit.balanceOf(address(timeBank)), "all of it pending");
        equal(timeBank.books().accruedAt, _now(), "time begins");
    }

    function testFuzz_AnExitValueNeverFalls(uint256[12] calldata steps, uint256 amount, uint256 term) public {
        _deposit(SAVER, within(amount, 1_000, GRANT), _anyTerm(term));
        uint256 value = timeBank.exitValueOf(1);
        for (uint256 i; i < steps.length; ++i) {
            _step(steps[i]);
            uint256 next = timeBank.exitValueOf(1);
            atMost(value, next, "exit value before");
            value = next;
        }
        equal(_close(SAVER, 1), value, "paid");
    }

    /// @dev Something that others can do, or time.
    function _step(uint256 seed) private {
        uint256 number = seed >> 8;
        seed %= 7;
        uint256 latest = timeBank.books().nextId - 1;
        if (seed == 0) _pass(within(number, 0, 20 days));
        else if (seed == 1) _gift(within(number, 1, GRANT / 100));
        else if (seed == 2) _deposit(NEIGHBOUR, within(number, 1_000, GRANT / 100), _anyTerm(number));
        else if (seed == 3 && latest > 1 && timeBank.balanceOf(NEIGHBOUR) != 0) _closeAnyOf(NEIGHBOUR, number);
        else if (seed == 4) timeBank.collect();
        else if (seed == 5 && _canLapse(1)) timeBank.lapse(1);
        else if (seed == 6) _pass(within(number, 1, 15));
    }

    function _anyTerm(uint256 number) private pure returns (uint16) {
        // Safe cast because there are four terms.
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint16(number % 4);
    }

    function _canLapse(uint256 id) private view returns (bool) {
        Position memory position = timeBank.positionOf(id);
        return position.termId != DEMAND && position.maturesAt <= _now();
    }

    function _closeAnyOf(address owner, uint256 number) private {
        uint256 count = timeBank.books().nextId - 1;
        for (uint256 i; i < count; ++i) {
            uint256 id = 1 + (number + i) % count;
            try timeBank.ownerOf(id) returns (address found) {
                if (found == owner) {
                    _close(owner, id);
                    return;
                }
            } catch {
                continue;
            }
        }
    }

    /* SETTINGS */

    function test_TermsAreAddedAndOnlyOpenAndClose() public {
        vm.expectEmit();
        emit ITimeBank.TermAdded(4, 365 days, 10_000, 2_000);
        vm.prank(governor);
        equal(timeBank.addTerm(365 days, 10_000, 2_000), 4, "number of the term");
        equal(timeBank.termCount(), 5, "terms");
        _deposit(SAVER, 1e6, 4);
        vm.expectEmit();
        emit ITimeBank.TermOpenSet(4, false);
        _setTermOpen(4, false);
        Term memory term = timeBank.termOf(4);
        equal(term.duration, 365 days, "duration");
        equal(term.multiplierMilli, 10_000, "multiplier");
        equal(term.penaltyBps, 2_000, "penalty");
        isTrue(!term.open, "closed");
        _pass(365 days);
        equal(_close(SAVER, 1), 1e6, "a deposit under a closed term is paid");
        vm.expectRevert(abi.encodeWithSelector(ITimeBank.NoSuchTerm.selector, 5, 5));
        timeBank.termOf(5);
        vm.expectRevert(abi.encodeWithSelector(ITimeBank.NoSuchTerm.selector, 5, 5));
        _setTermOpen(5, true);
    }

    function test_RevertWhen_TheTermCannotBe() public {
        _refusedTerm(1 days, 0, 0);
        _refusedTerm(1 days, 10_001, 0);
        _refusedTerm(1 days, 1_000, 2_001);
        _refusedTerm(0, 1_000, 1);
    }

    function test_FeeAndReleaseTimeHaveBounds() public {
        vm.expectEmit();
        emit ITimeBank.IncomeFeeSet(500, 2_000);
        vm.prank(governor);
        timeBank.setIncomeFee(2_000);
        equal(timeBank.incomeFeeBps(), 2_000, "fee");
        vm.expectRevert(abi.encodeWithSelector(ITimeBank.IncomeFeeTooHigh.selector, 2_001, 2_000));
        vm.prank(governor);
        timeBank.setIncomeFee(2_001);

        vm.expectEmit();
        emit ITimeBank.ReleaseTimeSet(7 days, 90 days);
        vm.prank(governor);
        timeBank.setReleaseTime(90 days);
        equal(timeBank.releaseSeconds(), 90 days, "release time");
        uint24[2] memory bad = [0, uint24(90 days + 1)];
        for (uint256 i; i < 2; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ITimeBank.BadReleaseTime.selector, bad[i], 90 days));
            vm.prank(governor);
            timeBank.setReleaseTime(bad[i]);
        }
    }

    function test_ANewReleaseTimeCountsFromNow() public {
        _deposit(SAVER, 5e6, DEMAND);
        _gift(4e6);
        _pass(7 days);
        uint256 income = timeBank.incomeOf(1);
        vm.prank(governor);
        timeBank.setReleaseTime(1);
        equal(timeBank.incomeOf(1), income, "released under the old one");
        _pass(1);
        atMost(income + 1e6 - 1, timeBank.incomeOf(1), "and then under the new one");
    }

    function test_RevertWhen_TheCallerHasNoRole() public {
        bytes memory reason = abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, stranger);
        vm.expectRevert(reason);
        vm.prank(stranger);
        timeBank.addTerm(1 days, 1_000, 0);
        vm.expectRevert(reason);
        vm.prank(stranger);
        timeBank.setTermOpen(DEMAND, false);
        vm.expectRevert(reason);
        vm.prank(stranger);
        timeBank.setIncomeFee(0);
        vm.expectRevert(reason);
        vm.prank(stranger);
        timeBank.setReleaseTime(1);
    }

    function test_RevertWhen_DeployedWithBadTerms() public {
        Term[] memory terms = new Term[](0);
        vm.expectRevert(abi.encodeWithSelector(ITimeBank.NoSuchTerm.selector, 0, 0));
        ship("TimeBank", abi.encode(address(manager), distributor, terms, INCOME_FEE_BPS, RELEASE_SECONDS));
        terms = initialTerms();
        terms[0].duration = 1;
        vm.expectRevert(abi.encodeWithSelector(ITimeBank.BadTerm.selector, 1, 1_000, 0));
        ship("TimeBank", abi.encode(address(manager), distributor, terms, INCOME_FEE_BPS, RELEASE_SECONDS));
    }

    function test_DeployedWithAClosedTerm() public {
        Term[] memory terms = initialTerms();
        terms[MONTH].open = false;
        ITimeBank bank = TimeBank(
            ship("TimeBank", abi.encode(address(manager), distributor, terms, INCOME_FEE_BPS, RELEASE_SECONDS))
        );
        isTrue(!bank.termOf(MONTH).open, "closed from the start");
        isTrue(bank.termOf(WEEK).open, "open");
    }

    /* RECEIPTS */

    function test_ReceiptsSayWhatTheyAre() public view {
        equal(keccak256(bytes(timeBank.name())), keccak256("Deposited Attention Credit"), "name");
        equal(keccak256(bytes(timeBank.symbol())), keccak256("dATT"), "symbol");
        isTrue(timeBank.supportsInterface(type(IERC165).interfaceId), "ERC-165");
        isTrue(timeBank.supportsInterface(type(IERC721).interfaceId), "ERC-721");
        isTrue(timeBank.supportsInterface(type(IERC721Metadata).interfaceId), "ERC-721 metadata");
        isTrue(!timeBank.supportsInterface(0xffffffff), "not the invalid one");
        equal(address(timeBank.credit()), address(credit), "credit");
        equal(address(timeBank.feePool()), address(feePool), "fee pool");
        equal(timeBank.distributor(), address(distributor), "distributor");
    }

    function test_AReceiptTakesTheDepositAlong() public {
        _deposit(SAVER, 5e6, DEMAND);
        vm.prank(SAVER);
        timeBank.approve(stranger, 1);
        vm.prank(SAVER);
        timeBank.transferFrom(SAVER, NEIGHBOUR, 1);
        _refusedWithdrawal(SAVER, 1, abi.encodeWithSelector(ITimeBank.NotReceiptHolder.selector, 1, SAVER));
        _refusedWithdrawal(stranger, 1, abi.encodeWithSelector(ITimeBank.NotReceiptHolder.selector, 1, stranger));
        equal(_close(NEIGHBOUR, 1), 5e6, "paid to the new holder");
    }

    function test_RevertWhen_ARoomGetsAReceiptItDidNotFetch() public {
        _deposit(SAVER, 5e6, DEMAND);
        vm.prank(SAVER);
        timeBank.setApprovalForAll(GIVER, true);
        address[2] memory rooms = [LENDING, LEASE];
        for (uint256 i; i < 2; ++i) {
            bytes memory unasked = abi.encodeWithSelector(ITimeBank.UnaskedReceipt.selector, rooms[i], SAVER);
            vm.expectRevert(unasked);
            vm.prank(SAVER);
            timeBank.transferFrom(SAVER, rooms[i], 1);
            vm.expectRevert(unasked);
            vm.prank(SAVER);
            timeBank.safeTransferFrom(SAVER, rooms[i], 1);
            vm.expectRevert(unasked);
            vm.prank(SAVER);
            timeBank.safeTransferFrom(SAVER, rooms[i], 1, "");
            vm.expectRevert(unasked);
            vm.prank(SAVER);
            timeBank.deposit(1_000, DEMAND, rooms[i]);
            vm.expectRevert(abi.encodeWithSelector(ITimeBank.UnaskedReceipt.selector, rooms[i], GIVER));
            vm.prank(GIVER);
            timeBank.transferFrom(SAVER, rooms[i], 1);
            vm.expectRevert(abi.encodeWithSelector(ITimeBank.UnaskedReceipt.selector, rooms[i], rooms[1 - i]));
            vm.prank(rooms[1 - i]);
            timeBank.transferFrom(SAVER, rooms[i], 1);

            vm.prank(SAVER);
            timeBank.approve(rooms[i], 1);
            vm.prank(rooms[i]);
            timeBank.transferFrom(SAVER, rooms[i], 1);
            equal(timeBank.ownerOf(1), rooms[i], "fetched");
            vm.prank(rooms[i]);
            timeBank.transferFrom(rooms[i], SAVER, 1);
        }
        equal(timeBank.ownerOf(1), SAVER, "given back");
    }

    function test_ReceiversAreNeverCalled() public {
        Reentrant receiver = new Reentrant(timeBank);
        vm.prank(SAVER);
        timeBank.deposit(5e6, DEMAND, address(receiver));
        _gift(4e6);
        _pass(7 days);
        vm.prank(address(receiver));
        timeBank.collectIncome(1, address(receiver));
        vm.prank(address(receiver));
        timeBank.rollOver(1, DAY);
        vm.prank(address(receiver));
        timeBank.exitEarly(1, address(receiver));
        isTrue(!receiver.called(), "nobody asked the receiver");
        isTrue(credit.balanceOf(address(receiver)) > 5e6, "and it was paid");
    }

    function test_AWalletShowsTheReceipt() public {
        _deposit(SAVER, 12_500_000, WEEK);
        _deposit(SAVER, 234_567_890_123, DEMAND);
        string memory json = _document(timeBank.tokenURI(1));
        _says(json, ".name", "Deposit #1: 12.500000 ATT, 7 days");
        _says(json, ".attributes[0].trait_type", "Amount");
        _says(json, ".attributes[0].value", "12.500000 ATT");
        _says(json, ".attributes[1].value", "7 days");
        _says(json, ".attributes[2].value", "2027-01-23T08:00:00Z");
        _says(json, ".attributes[3].value", "0.000000 ATT");
        _says(json, ".attributes[4].value", "12.375000 ATT");
        isTrue(bytes(vm.parseJsonString(json, ".description")).length != 0, "a description");
        json = _document(timeBank.tokenURI(2));
        _says(json, ".name", "Deposit #2: 234567.890123 ATT, demand");
        _says(json, ".attributes[2].value", "any time");
        _says(json, ".attributes[4].value", "234567.890123 ATT");
        string memory image = vm.parseJsonString(json, ".image");
        string memory svg = string(_decoded(image, "data:image/svg+xml;base64,"));
        isTrue(_contains(svg, "<svg xmlns='http://www.w3.org/2000/svg'"), "a picture");
        isTrue(_contains(svg, ">234567.890123 ATT</text>"), "with the amount");
        isTrue(_contains(svg, "</svg>"), "that ends");
    }

    function test_MetadataWordsAndNumbers() public {
        ReceiptMetadata metadata = new ReceiptMetadata();
        _same(metadata.termName(0), "demand");
        _same(metadata.termName(1), "1 second");
        _same(metadata.termName(90), "90 seconds");
        _same(metadata.termName(36 hours), "36 hours");
        _same(metadata.termName(1 days), "1 day");
        _same(metadata.termName(30 days), "30 days");
        _same(metadata.decimal(0), "0.000000");
        _same(metadata.decimal(269108441), "269.108441");
        _same(metadata.isoTime(0), "1970-01-01T00:00:00Z");
        _same(metadata.isoTime(951_782_399), "2000-02-28T23:59:59Z");
        _same(metadata.isoTime(951_782_400), "2000-02-29T00:00:00Z");
        _same(metadata.isoTime(4_107_542_400), "2100-03-01T00:00:00Z");
        _same(metadata.isoTime(253_402_300_799), "9999-12-31T23:59:59Z");
    }

    /* STEPS */

    /// @dev One more epoch that grants each account the same.
    function _grantEpoch(uint64 number) private {
        address[] memory accounts = new address[](4);
        uint64[] memory minted = new uint64[](4);
        uint64[] memory cumulative = new uint64[](4);
        (accounts[0], accounts[1], accounts[2], accounts[3]) = (SAVER, NEIGHBOUR, GIVER, vm.addr(PERMIT_KEY));
        for (uint256 i; i < 4; ++i) {
            minted[i] = GRANT;
            cumulative[i] = GRANT * number;
        }
        AccountLeaf[] memory leaves = leavesOf(accounts, minted, cumulative);
        delete _leaves;
        for (uint256 i; i < 4; ++i) {
            _leaves.push(leaves[i]);
        }
        _levels = levelsOf(hashesOf(leaves));
        EpochHeader memory header = nextHeader(rootOf(_levels), 4, leaves[3].runningMint, 0);
        proposeAndFinalise(header);
    }

    function _deposit(address depositor, uint256 amount, uint16 termId) private returns (uint256) {
        vm.prank(depositor);
        return timeBank.deposit(amount, termId, depositor);
    }

    function _close(address owner, uint256 id) private returns (uint256) {
        vm.prank(owner);
        return timeBank.close(id, owner);
    }

    function _gift(uint256 amount) private {
        vm.prank(GIVER);
        require(credit.transfer(address(timeBank), amount));
        timeBank.collect();
    }

    function _pass(uint256 elapsed) private {
        vm.warp(_now() + elapsed);
    }

    function _now() private view returns (uint256) {
        return vm.getBlockTimestamp();
    }

    function _setTermOpen(uint16 termId, bool open) private {
        vm.prank(governor);
        timeBank.setTermOpen(termId, open);
    }

    function _permit(uint256 amount) private view returns (uint8, bytes32, bytes32) {
        address owner = vm.addr(PERMIT_KEY);
        bytes32 permit = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                owner,
                address(timeBank),
                amount,
                credit.nonces(owner),
                _now()
            )
        );
        return vm.sign(PERMIT_KEY, keccak256(abi.encodePacked(hex"1901", credit.DOMAIN_SEPARATOR(), permit)));
    }

    /* REFUSALS */

    function _refusedDeposit(uint256 amount, uint16 termId, address owner, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(SAVER);
        timeBank.deposit(amount, termId, owner);
    }

    function _refusedWithdrawal(address caller, uint256 id, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(caller);
        timeBank.withdraw(id, caller);
    }

    function _refusedRollOver(uint16 termId, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(SAVER);
        timeBank.rollOver(1, termId);
    }

    function _refusedTerm(uint32 duration, uint16 multiplierMilli, uint16 penaltyBps) private {
        vm.expectRevert(abi.encodeWithSelector(ITimeBank.BadTerm.selector, duration, multiplierMilli, penaltyBps));
        vm.prank(governor);
        timeBank.addTerm(duration, multiplierMilli, penaltyBps);
    }

    /* TEXT */

    function _document(string memory uri) private pure returns (string memory) {
        return string(_decoded(uri, "data:application/json;base64,"));
    }

    function _decoded(string memory uri, string memory prefix) private pure returns (bytes memory) {
        bytes memory whole = bytes(uri);
        uint256 start = bytes(prefix).length;
        bytes memory head = new bytes(start);
        bytes memory rest = new bytes(whole.length - start);
        for (uint256 i; i < whole.length; ++i) {
            if (i < start) head[i] = whole[i];
            else rest[i - start] = whole[i];
        }
        _same(string(head), prefix);
        return Base64.decode(string(rest));
    }

    function _says(string memory json, string memory key, string memory expected) private pure {
        _same(vm.parseJsonString(json, key), expected);
    }

    function _same(string memory found, string memory expected) private pure {
        isTrue(keccak256(bytes(found)) == keccak256(bytes(expected)), string.concat(found, " is not ", expected));
    }

    function _contains(string memory text, string memory part) private pure returns (bool) {
        bytes memory hay = bytes(text);
        bytes memory needle = bytes(part);
        for (uint256 i; i + needle.length <= hay.length; ++i) {
            uint256 j;
            while (j < needle.length && hay[i + j] == needle[j]) ++j;
            if (j == needle.length) return true;
        }
        return false;
    }
}
