// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IERC20Errors, IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";

import {ICreditDistributor} from "../interfaces/ICreditDistributor.sol";
import {ICreditLending, PoolBooks, RiskSettings, StandingLoan} from "../interfaces/ICreditLending.sol";
import {IFeePool} from "../interfaces/IFeePool.sol";
import {CreditLending} from "../lending/CreditLending.sol";
import {AdaptiveRate} from "../libraries/AdaptiveRate.sol";
import {Decay} from "../libraries/Decay.sol";
import {AccountLeaf} from "../libraries/EpochTree.sol";
import {PolicyHash, PolicyHead} from "../libraries/Policy.sol";
import {LendingSystem} from "./LendingSystem.sol";

/// @title Reenterer: a member that is a contract and would call back whenever somebody calls it
contract Reenterer {
    ICreditLending private immutable _lending;
    uint256 public calls;

    constructor(ICreditLending lending) {
        _lending = lending;
    }

    fallback() external {
        ++calls;
        _lending.withdraw(1, address(this), address(this));
    }

    function act(address target, bytes calldata data) external returns (bytes memory) {
        (bool done, bytes memory result) = target.call(data);
        require(done, string(result));
        return result;
    }
}

/// @title CreditLendingTest
/// @dev
/// lending
/// ├── pledging and releasing receipts
/// ├── borrowing against a receipt, up to the last unit of cash
/// ├── repaying
/// ├── interest, fees, and clocks that jump
/// ├── liquidation, with and without a shortfall
/// ├── borrowing on standing: the limit, the proof, the cap and what has stayed long enough for it, the due day
/// ├── repaying on standing, from allowances and from claims
/// ├── write-off and recovery: what was lent is the reserve's, interest the suppliers' and the fees'
/// ├── policies and settings
/// └── members that re-enter
contract CreditLendingTest is LendingSystem {
    address private constant PLACEHOLDER = 0x74696D6562616E6B000000000000000000000001;

    uint64 private constant STANDING = 1e9;

    function setUp() public {
        deployLending();
    }

    /* PLEDGING */

    function test_PledgingTakesTheReceiptIntoCustody() public {
        uint256 id = receiptOf(borrower, 1e6, WEEK);
        vm.expectEmit();
        emit ICreditLending.Pledged(id, borrower);
        _pledge(borrower, id);
        equal(timeBank.ownerOf(id), address(lending), "owner");
        equal(lending.pledgedLoan(id).borrower, borrower, "borrower");
        equal(lending.debtOf(id), 0, "debt");
    }

    function test_RevertWhen_TheReceiptIsNotTheCallers() public {
        uint256 id = receiptOf(borrower, 1e6, WEEK);
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721IncorrectOwner.selector, stranger, id, borrower));
        _pledge(stranger, id);
        vm.prank(borrower);
        timeBank.approve(address(0), id);
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721InsufficientApproval.selector, address(lending), id));
        _pledge(borrower, id);
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, id + 1));
        _pledge(borrower, id + 1);
    }

    function test_RevertWhen_PledgedTwiceOrMovedWhilePledged() public {
        uint256 id = receiptOf(borrower, 1e6, DEMAND);
        _pledge(borrower, id);
        vm.expectRevert(
            abi.encodeWithSelector(IERC721Errors.ERC721IncorrectOwner.selector, borrower, id, address(lending))
        );
        _pledge(borrower, id);
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721InsufficientApproval.selector, borrower, id));
        vm.prank(borrower);
        timeBank.transferFrom(address(lending), stranger, id);
        equal(lending.pledgedLoan(id).borrower, borrower, "borrower");
    }

    function test_AReceiptWithoutDebtGoesBack() public {
        uint256 id = receiptOf(borrower, 1e6, WEEK);
        _pledge(borrower, id);
        vm.expectEmit();
        emit ICreditLending.Released(id, borrower);
        vm.prank(borrower);
        lending.release(id);
        equal(timeBank.ownerOf(id), borrower, "owner");
        equal(lending.pledgedLoan(id).borrower, address(0), "borrower");
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.NotBorrower.selector, id, borrower, address(0)));
        vm.prank(borrower);
        lending.release(id);
    }

    function test_RevertWhen_ReleasedByAnotherOrWithDebt() public {
        supply(1e9);
        uint256 id = loanOf(1e6, 50_000);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.NotBorrower.selector, id, stranger, borrower));
        vm.prank(stranger);
        lending.release(id);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.DebtLeft.selector, id, 50_000));
        vm.prank(borrower);
        lending.release(id);
        _repay(id, 49_999);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.DebtLeft.selector, id, 1));
        vm.prank(borrower);
        lending.release(id);
    }

    /* BORROWING */

    function test_BorrowingPaysTheReceiverAndIsBooked() public {
        supply(1e9);
        uint256 id = receiptOf(borrower, 1e6, DEMAND);
        _pledge(borrower, id);
        vm.expectEmit();
        emit ICreditLending.Borrowed(id, borrower, stranger, 500_000, 500_000e6);
        vm.prank(borrower);
        equal(lending.borrow(id, 500_000, stranger), 500_000e6, "shares");
        equal(credit.balanceOf(stranger), 500_000, "received");
        equal(lending.debtOf(id), 500_000, "owed");
        PoolBooks memory books = lending.books();
        equal(books.debt, 500_000, "debt");
        equal(books.cash, 1e9 - 500_000, "cash");
        equal(books.debtShares, 500_000e6, "debt shares");
        equal(lending.unsecuredShares(), 0, "unsecured shares");
        equal(lending.totalAssets(), 1e9, "assets");
    }

    function testFuzz_TheLimitIsAPartOfTheExitValue(uint64 value, uint8 term) public {
        supply(1e15);
        uint256 id = receiptOf(borrower, within(value, 100_000, 1e14), term % 4);
        uint256 limit = timeBank.exitValueOf(id) * 9_000 / 10_000;
        _pledge(borrower, id);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.PledgeTooSmall.selector, id, limit + 1, limit));
        _borrow(id, limit + 1);
        _borrow(id, limit - 10_000);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.PledgeTooSmall.selector, id, limit + 1, limit));
        _borrow(id, 10_001);
        _borrow(id, 10_000);
        equal(lending.debtOf(id), limit, "owed");
    }

    function test_RevertWhen_TheBorrowingIsNotAllowed() public {
        supply(1e6);
        uint256 id = receiptOf(borrower, 1e8, DEMAND);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.NotBorrower.selector, id, borrower, address(0)));
        _borrow(id, 50_000);
        _pledge(borrower, id);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.ZeroAmount.selector));
        _borrow(id, 0);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.NotBorrower.selector, id, stranger, borrower));
        vm.prank(stranger);
        lending.borrow(id, 50_000, stranger);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.LoanTooSmall.selector, 9_999, 10_000));
        _borrow(id, 9_999);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.NotEnoughCash.selector, 1e6 + 1, 1e6));
        _borrow(id, 1e6 + 1);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.NotEnoughCash.selector, type(uint256).max, 1e6));
        _borrow(id, type(uint256).max);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, address(0)));
        vm.prank(borrower);
        lending.borrow(id, 50_000, address(0));
    }

    function test_PausingStopsBorrowingAndNothingElse() public {
        supply(1e9);
        uint256 id = loanOf(1e8, 50_000);
        finaliseStanding(STANDING, 0);
        vm.expectEmit();
        emit ICreditLending.BorrowingPausedSet(true, 1);
        vm.prank(guardian);
        lending.pauseBorrowing();
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.BorrowingPaused.selector));
        _borrow(id, 50_000);
        AccountLeaf memory leaf = leaves[0];
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.BorrowingPaused.selector));
        vm.prank(borrower);
        lending.borrowOnStanding(leaf, new bytes32[](1), 50_000, borrower);

        supply(1_000);
        fund(borrower, 1_000);
        _repay(id, type(uint256).max);
        vm.prank(borrower);
        lending.release(id);
        uint256 all = lending.maxRedeem(supplier);
        vm.prank(supplier);
        lending.redeem(all, supplier, supplier);

        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, guardian));
        vm.prank(guardian);
        lending.resumeBorrowing(1);
        vm.expectEmit();
        emit ICreditLending.BorrowingPausedSet(false, 1);
        vm.prank(governor);
        lending.resumeBorrowing(1);
        isTrue(!lending.books().paused, "borrowing goes on");
    }

    function test_ThePoolCanBeDrainedToTheLastUnitAndFilledAgain() public {
        supply(1e9);
        uint256 id = loanOf(1e10, 1e9 - 1);
        _borrow(id, 1);
        equal(bookedCash(), 0, "cash");
        equal(credit.balanceOf(address(lending)), 0, "balance");
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.NotEnoughCash.selector, 1, 0));
        _borrow(id, 1);
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxWithdraw.selector, supplier, 1, 0));
        vm.prank(supplier);
        lending.withdraw(1, supplier, supplier);

        wait(30 days);
        fund(borrower, 1e9);
        _repay(id, type(uint256).max);
        uint256 all = lending.maxRedeem(supplier);
        equal(all, lending.balanceOf(supplier), "everything can be redeemed");
        vm.prank(supplier);
        atMost(1e9, lending.redeem(all, supplier, supplier), "what was supplied");
        lending.payFees();
        equal(credit.balanceOf(address(lending)), bookedCash(), "balance");
        atMost(bookedCash(), 1, "a rounding is left");
    }

    /* REPAYING */

    function test_APartRetiresAPart() public {
        supply(1e9);
        uint256 id = loanOf(1e6, 500_000);
        vm.expectEmit();
        emit ICreditLending.Repaid(id, borrower, 200_000, 200_000e6);
        equal(_repay(id, 200_000), 200_000, "paid");
        equal(lending.debtOf(id), 300_000, "owed");
        equal(lending.books().debt, 300_000, "debt");
    }

    function testFuzz_MoreThanIsOwedPaysWhatIsOwed(uint64 more, uint32 waited) public {
        supply(1e9);
        uint256 id = loanOf(1e9, 5e8);
        wait(waited % 365 days);
        uint256 owed = lending.debtOf(id);
        fund(stranger, owed);
        uint256 before = credit.balanceOf(stranger);
        vm.prank(stranger);
        equal(lending.repay(id, owed + more), owed, "paid");
        equal(credit.balanceOf(stranger), before - owed, "balance of who paid");
        equal(lending.debtOf(id), 0, "owed");
        equal(lending.books().debtShares, 0, "debt shares");
    }

    function testFuzz_PartsNeverPayLessThanTheWhole(uint64 first, uint64 second, uint32 waited) public {
        supply(1e9);
        uint256 id = loanOf(1e9, 5e8);
        wait(waited % 365 days);
        uint256 owed = lending.debtOf(id);
        fund(borrower, 2 * owed);
        uint256 paid = _repay(id, within(first, 1, owed));
        if (paid < owed) paid += _repay(id, within(second, 1, owed));
        uint256 left = lending.debtOf(id);
        if (left != 0) paid += _repay(id, left);
        atMost(owed, paid, "owed at first");
        atMost(paid, owed + 2, "paid");
        equal(lending.debtOf(id), 0, "owed");
    }

    function test_WhoeverHasTheOnlyLoanOwesAllOfTheDebt() public {
        supply(3e6);
        uint256 first = loanOf(2e6, 1e6);
        uint256 last = loanOf(4e6, 2e6);
        for (uint256 year; year < 3; ++year) {
            wait(365 days);
            lending.accrue();
        }
        fund(borrower, 1e15);
        atMost(lending.debtOf(first) + lending.debtOf(last) + 2, lending.books().debt, "owed by both");
        _repay(first, type(uint256).max);
        uint256 debt = lending.books().debt;
        equal(lending.debtOf(last), debt, "owed by the last");
        equal(_repay(last, debt - 1), debt - 1, "paid");
        equal(lending.debtOf(last), 1, "left");
        _repay(last, 1);
        equal(lending.books().debt, 0, "debt");
        equal(lending.books().debtShares, 0, "debt shares");
        uint256 assets = lending.totalAssets();
        wait(365 days);
        equal(lending.totalAssets(), assets, "assets after a year without debt");
    }

    function test_RevertWhen_ThereIsNothingToRepay() public {
        supply(1e9);
        uint256 id = receiptOf(borrower, 1e6, DEMAND);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.NoDebt.selector));
        _repay(id, 1);
        _pledge(borrower, id);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.NoDebt.selector));
        _repay(id, 1);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.ZeroAmount.selector));
        _repay(id, 0);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.NoDebt.selector));
        vm.prank(borrower);
        lending.repayStanding(borrower, 1);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.ZeroAmount.selector));
        vm.prank(borrower);
        lending.repayStanding(borrower, 0);
    }

    function test_RevertWhen_TheRepaymentIsNotThere() public {
        supply(1e9);
        uint256 id = loanOf(1e6, 500_000);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(lending), 0, 500_000)
        );
        vm.prank(stranger);
        lending.repay(id, 500_000);
        equal(lending.debtOf(id), 500_000, "owed");
    }

    /* INTEREST */

    function testFuzz_InterestIsWhatTheLibrarySays(uint64 lent, uint32 waited) public {
        supply(1e12);
        uint256 debt = within(lent, 10_000, 1e12);
        uint256 id = loanOf(2e12, debt);
        uint256 elapsed = within(waited, 1, 365 days);
        wait(elapsed);

        uint256 used = AdaptiveRate.utilisationDown(debt, 1e12 - debt);
        (uint256 mean, uint256 end) = AdaptiveRate.adapt(INITIAL_RATE_AT_TARGET, used, elapsed);
        uint256 growth = AdaptiveRate.growthDown(AdaptiveRate.borrowRateDown(mean, used), elapsed);
        uint256 interest = (debt * growth + 1e18 - 1) / 1e18;
        equal(lending.accruedBooks().debt, debt + interest, "debt seen");
        equal(lending.totalAssets(), 1e12 + interest - interest / 10, "assets seen");
        atMost(lending.debtOf(id), debt + interest, "owed");
        vm.expectEmit();
        emit ICreditLending.InterestAccrued(interest, interest / 10, end);
        lending.accrue();
        PoolBooks memory books = lending.books();
        equal(books.debt, debt + interest, "debt");
        equal(books.feesOwed, interest / 10, "fees owed");
        equal(books.rateAtTarget, end, "rate at target");
        equal(books.accruedAt, vm.getBlockTimestamp(), "time");
        used = AdaptiveRate.utilisationDown(books.debt, books.cash);
        equal(lending.borrowRate(), AdaptiveRate.borrowRateDown(end, used), "rate");
    }

    function test_TheRateRisesWhileTooMuchIsLentAndFallsWhileTooLittle() public {
        supply(1e9);
        uint256 id = loanOf(1e10, 1e9);
        wait(1 days);
        uint256 high = lending.accruedBooks().rateAtTarget;
        atMost(INITIAL_RATE_AT_TARGET + 1, high, "rate of a full pool");
        _repay(id, 9e8);
        wait(1 days);
        atMost(lending.accruedBooks().rateAtTarget, high - 1, "rate of an idle pool");
    }

    function test_AnEmptyPoolKeepsItsRateAndAnIdleOneLowersIt() public {
        wait(365 days);
        vm.expectEmit();
        emit ICreditLending.InterestAccrued(0, 0, INITIAL_RATE_AT_TARGET);
        lending.accrue();
        equal(lending.books().rateAtTarget, INITIAL_RATE_AT_TARGET, "rate of an empty pool");
        supply(1e9);
        wait(365 days);
        lending.accrue();
        equal(lending.books().rateAtTarget, AdaptiveRate.MIN_RATE_AT_TARGET, "rate of an idle pool");
        equal(lending.totalAssets(), 1e9, "assets");
    }

    function test_AClockThatJumpsAYearChargesAtMostTheCap() public {
        supply(1e9);
        uint256 id = loanOf(2e9, 1e9);
        wait(365 days);
        lending.accrue();
        uint256 owed = lending.debtOf(id);
        atMost(owed, 1e9 + 1e9 * AdaptiveRate.growthDown(8e18, 1) / 1e18 + 1, "owed after a year");
        wait(100 * 365 days);
        atMost(lending.debtOf(id), owed + owed * AdaptiveRate.growthDown(8e18, 1) / 1e18 + 1, "owed after a century");
        fund(borrower, 1e14);
        _repay(id, type(uint256).max);
        uint256 all = lending.balanceOf(supplier);
        vm.prank(supplier);
        lending.redeem(all, supplier, supplier);
    }

    function test_DebtStopsGrowingBeforeItOverflows() public {
        supply(4e18);
        loanOf(5e18, 4e18);
        for (uint256 i; i < 3; ++i) {
            wait(365 days);
            lending.accrue();
        }
        PoolBooks memory books = lending.books();
        equal(books.debt, type(uint64).max, "debt");
        atMost(books.feesOwed, books.cash + books.debt, "fees owed");
        wait(365 days);
        lending.accrue();
        equal(lending.books().debt, type(uint64).max, "debt");
        lending.liquidate(1);
        equal(lending.books().debtShares, 0, "debt shares");
    }

    function test_SecondsWithoutTimeChangeNothing() public {
        supply(1e9);
        loanOf(1e9, 5e8);
        wait(1 days);
        lending.accrue();
        bytes32 before = keccak256(abi.encode(lending.books()));
        lending.accrue();
        equal(keccak256(abi.encode(lending.books())), before, "books");
    }

    /* FEES */

    function test_FeesAndStraysGoToTheFeePool() public {
        supply(1e9);
        loanOf(1e10, 9e8);
        wait(30 days);
        fund(stranger, 777);
        vm.prank(stranger);
        require(credit.transfer(address(lending), 777));
        uint256 fees = lending.accruedBooks().feesOwed;
        atMost(1, fees, "fees");
        uint256 assets = lending.totalAssets();
        lending.accrue();
        vm.expectEmit();
        emit ICreditLending.FeesPaid(fees, 777);
        equal(lending.payFees(), fees + 777, "paid");
        equal(credit.balanceOf(address(feePool)), fees + 777, "fee pool");
        equal(feePool.depositors() + feePool.bonus() + feePool.reserve(), fees + 777, "booked there");
        equal(lending.books().feesOwed, 0, "fees owed");
        equal(lending.totalAssets(), assets, "assets");
        equal(lending.payFees(), 0, "paid again");
    }

    function test_FeesAreOnlyPaidAsFarAsThereIsCash() public {
        supply(1e9);
        uint256 id = loanOf(1e10, 1e9);
        wait(30 days);
        uint256 fees = lending.accruedBooks().feesOwed;
        equal(lending.payFees(), 0, "paid without cash");
        _repay(id, fees - 1);
        equal(lending.payFees(), fees - 1, "paid");
        equal(lending.books().feesOwed, 1, "fees owed");
    }

    /* LIQUIDATION */

    function test_RevertWhen_ThePledgeCoversItsDebt() public {
        supply(1e9);
        uint256 id = loanOf(1e6, 900_000);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.PledgeCovers.selector, id, 900_000, 950_000));
        _liquidate(id);
        _repay(id, 900_000);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.NoDebt.selector));
        _liquidate(id);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.NoDebt.selector));
        _liquidate(id + 1);
    }

    function test_AtTheThresholdThePledgeStillCovers() public {
        RiskSettings memory settings = initialRisk();
        settings.maxLtvBps = 9_499;
        settings.minLoan = 0;
        vm.prank(governor);
        lending.setRisk(settings);
        supply(1_000);
        uint256 id = loanOf(1_001, 950);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.PledgeCovers.selector, id, 950, 950));
        _liquidate(id);
        // Interest is rounded up: a second is enough for the next unit.
        wait(1);
        equal(lending.debtOf(id), 951, "owed");
        equal(_liquidate(id), 20, "incentive");
    }

    function test_LiquidationPaysIncentiveDebtAndTheRestBack() public {
        supply(900_000);
        uint256 id = loanOf(1e6, 900_000);
        while (lending.debtOf(id) <= 950_000) wait(1 days);
        lending.accrue();
        uint256 debt = lending.debtOf(id);
        uint256 before = credit.balanceOf(borrower);
        vm.expectEmit();
        emit ICreditLending.Liquidated(id, borrower, liquidator, 1e6, 20_000, debt, debt, 980_000 - debt);
        equal(_liquidate(id), 20_000, "incentive");
        equal(credit.balanceOf(liquidator), 20_000, "the liquidator's balance");
        equal(credit.balanceOf(borrower), before + 980_000 - debt, "the borrower's balance");
        equal(bookedCash(), debt, "cash");
        equal(lending.books().debt, 0, "debt");
        equal(lending.pledgedLoan(id).borrower, address(0), "pledge");
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, id));
        timeBank.ownerOf(id);
    }

    function test_AShortfallIsTakenFromThePoolAndItsFeesNotFromTheReserve() public {
        supply(900_000);
        uint256 id = loanOf(1e6, 900_000);
        _fillReserve(30_000);
        while (lending.debtOf(id) < 1_030_000) wait(1 days);
        lending.accrue();
        uint256 debt = lending.debtOf(id);
        uint256 assets = lending.totalAssets();
        uint256 fees = lending.books().feesOwed;
        uint256 lost = debt - 980_000;
        vm.expectEmit();
        emit ICreditLending.Liquidated(id, borrower, liquidator, 1e6, 20_000, debt, 980_000, 0);
        vm.expectEmit();
        emit ICreditLending.WrittenOff(borrower, id, 0, lost, lost);
        _liquidate(id);
        equal(feePool.reserve(), 30_000, "reserve");
        equal(lending.books().feesOwed, fees - lost / 10, "fees owed");
        equal(lending.totalAssets(), assets - lost + lost / 10, "assets");
        equal(credit.balanceOf(address(lending)), bookedCash(), "balance");
    }

    function test_WhoBorrowsFromThemselvesGetsNoInterestOutOfTheReserve() public {
        _fillReserve(1_275_000);
        uint256 id = receiptOf(borrower, 10e6, DEMAND);
        fund(borrower, 8_900_001);
        vm.prank(borrower);
        lending.deposit(8_900_001, borrower);
        vm.prank(borrower);
        lending.pledgeAndBorrow(id, 8_900_000, borrower);
        wait(45 days);
        atMost(10e6, lending.debtOf(id), "the receipt's worth");
        vm.prank(borrower);
        lending.liquidate(id);
        uint256 all = lending.maxRedeem(borrower);
        vm.prank(borrower);
        lending.redeem(all, borrower, borrower);
        atMost(credit.balanceOf(borrower), 10e6 + 8_900_001, "what the member had");
        equal(feePool.reserve(), 1_275_000, "reserve");
    }

    function test_ALossBeyondWhatSuppliersOwnFallsOnFeesOwed() public {
        supply(1e6);
        uint256 id = loanOf(1_200_000, 1e6);
        for (uint256 i; i < 3; ++i) {
            wait(365 days);
            lending.accrue();
        }
        atMost(1_200_000, lending.books().feesOwed, "fees owed before");
        // Fees of a time when they were higher: their part of the loss is none now.
        RiskSettings memory settings = initialRisk();
        settings.feeBps = 0;
        vm.prank(governor);
        lending.setRisk(settings);
        _liquidate(id);
        PoolBooks memory books = lending.books();
        equal(books.cash, 1_176_000, "cash");
        equal(books.feesOwed, 1_176_000, "fees owed");
        equal(lending.totalAssets(), 0, "assets");
        equal(lending.payFees(), 1_176_000, "fees paid");
        supply(1e6);
        atMost(1e6 - 2, lending.maxWithdraw(supplier), "a new supplier's");
    }

    /* BORROWING ON STANDING */

    function test_StandingIsEnoughToBorrow() public {
        supply(1e10);
        finaliseStanding(STANDING, 0);
        uint256 limit = lending.standingLimit(STANDING);
        uint256 dueAt = vm.getBlockTimestamp() + 30 days;
        lending.accrue();
        vm.expectEmit();
        emit ICreditLending.BorrowedOnStanding(borrower, borrower, borrower, 1e8, 1e14, limit, dueAt);
        vm.expectEmit();
        emit ICreditDistributor.ClaimsPledgeSet(borrower, borrower, address(lending));
        equal(borrowOnStanding(1e8), 1e14, "shares");
        equal(credit.balanceOf(borrower), 1e8, "received");
        StandingLoan memory loan = standingOf(borrower);
        equal(loan.account, borrower, "account");
        equal(loan.debtShares, 1e14, "shares");
        equal(loan.principal, 1e8, "principal");
        equal(loan.dueAt, dueAt, "due day");
        equal(lending.unsecuredShares(), 1e14, "unsecured shares");
        equal(lending.standingDebtOf(borrower), 1e8, "owed");
        equal(lending.dueFromClaims(borrower), 0, "due");
    }

    function testFuzz_TheLimitFadesAsStandingDoes(uint64 standing, uint32 waited, uint64 rateSeed) public {
        finaliseStanding(STANDING, 0);
        uint256 rate = within(rateSeed, 1, 2 ** 40);
        vm.prank(governor);
        // Safe cast because the rate is folded below 2^41.
        // forge-lint: disable-next-line(unsafe-typecast)
        oracle.setRate(uint64(rate));
        uint256 fresh = lending.standingLimit(standing);
        wait(waited);
        uint256 age = vm.getBlockTimestamp() * 1000 - oracle.latestEndMs();
        // Safe cast because the tests' clock stays far below 2^48 milliseconds.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint256 worth = (((standing * Decay.weightDown(uint48(age), DECAY_K)) >> 31) * rate) >> 24;
        equal(lending.standingLimit(standing), worth / 2, "limit");
        atMost(lending.standingLimit(standing), fresh, "limit later");
    }

    function test_MoreCanBeBorrowedBeforeTheDueDayUpToTheLimit() public {
        supply(1e10);
        finaliseStanding(STANDING, 0);
        borrowOnStanding(1e8);
        uint256 dueAt = standingOf(borrower).dueAt;
        wait(1 hours);
        uint256 owed = lending.standingDebtOf(borrower);
        uint256 limit = lending.standingLimit(STANDING);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.StandingTooLow.selector, limit + 1, limit));
        this.tryBorrowOnStanding(limit - owed + 1);
        borrowOnStanding(limit - owed);
        equal(lending.standingDebtOf(borrower), limit, "owed");
        equal(standingOf(borrower).dueAt, dueAt, "due day");
    }

    function test_RevertWhen_TheProofIsOfAnotherEpoch() public {
        supply(1e10);
        finaliseStanding(STANDING, 0);
        AccountLeaf memory leaf = leaves[0];
        bytes32[] memory proof = proofOf(levels, 0);
        finaliseStanding(STANDING + 1, 0);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.StandingNotProven.selector, 0, distributor.accountRoot()));
        vm.prank(borrower);
        lending.borrowOnStanding(leaf, proof, 1e8, borrower);
    }

    function testFuzz_RevertWhen_TheLeafIsChanged(uint64 flip, uint8 bit, bool inProof) public {
        supply(1e10);
        finaliseStanding(STANDING, 0);
        AccountLeaf memory leaf = leaves[0];
        bytes32[] memory proof = proofOf(levels, 0);
        if (inProof) proof[0] ^= bytes32(2 ** uint256(bit));
        else leaf.standing ^= flip == 0 ? 1 : flip;
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.StandingNotProven.selector, 0, distributor.accountRoot()));
        vm.prank(borrower);
        lending.borrowOnStanding(leaf, proof, 1e8, borrower);
    }

    function test_RevertWhen_TheStandingIsAnothers() public {
        supply(1e10);
        finaliseStanding(STANDING, 0);
        AccountLeaf memory leaf = leaves[1];
        bytes32[] memory proof = proofOf(levels, 1);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.NotAccountHolder.selector, supplier, borrower));
        vm.prank(borrower);
        lending.borrowOnStanding(leaf, proof, 1e8, borrower);
    }

    function test_RevertWhen_NoEpochIsFinalised() public {
        supply(1e10);
        AccountLeaf memory leaf;
        leaf.account = borrower;
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.StandingNotProven.selector, 0, bytes32(0)));
        vm.prank(borrower);
        lending.borrowOnStanding(leaf, new bytes32[](0), 1e8, borrower);
    }

    function test_RevertWhen_ThePolicyInForceIsNotAccepted() public {
        supply(1e10);
        finaliseStanding(STANDING, 0);
        putPolicyInForce(2);
        bytes memory refused = abi.encodeWithSelector(
            ICreditLending.PolicyNotAccepted.selector,
            PolicyHash.hashPolicy(policy(2)),
            PolicyHash.hashPolicy(policy(1))
        );
        vm.expectRevert(refused);
        this.tryBorrowOnStanding(1e8);
        vm.expectRevert(refused);
        lending.standingLimit(STANDING);
        lending.acceptPolicy(PolicyHash.headOf(policy(2)));
        borrowOnStanding(1e8);
    }

    function test_RevertWhen_TooLittleOrMoreThanTheCash() public {
        supply(1e6);
        finaliseStanding(STANDING, 0);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.ZeroAmount.selector));
        this.tryBorrowOnStanding(0);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.LoanTooSmall.selector, 9_999, 10_000));
        this.tryBorrowOnStanding(9_999);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.NotEnoughCash.selector, 1e6 + 1, 1e6));
        this.tryBorrowOnStanding(1e6 + 1);
        AccountLeaf memory leaf = leaves[0];
        bytes32[] memory proof = proofOf(levels, 0);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, address(0)));
        vm.prank(borrower);
        lending.borrowOnStanding(leaf, proof, 20_000, address(0));
    }

    function test_RevertWhen_TooMuchOfThePoolIsUnsecured() public {
        supply(1e8);
        finaliseStanding(STANDING, 0);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.UnsecuredCapReached.selector, 2e7 + 1, 2e7));
        this.tryBorrowOnStanding(2e7 + 1);
        borrowOnStanding(2e7);
        AccountLeaf memory leaf = leaves[1];
        bytes32[] memory proof = proofOf(levels, 1);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.UnsecuredCapReached.selector, 2e7 + 10_000, 2e7));
        vm.prank(supplier);
        lending.borrowOnStanding(leaf, proof, 10_000, supplier);
    }

    function test_RevertWhen_TheCapIsRaisedBySupplyThatHasJustCome() public {
        supply(5e6);
        finaliseStanding(STANDING, 0);
        fund(borrower, 20e6);
        vm.prank(borrower);
        lending.deposit(20e6, borrower);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.UnsecuredCapReached.selector, 4_900_000, 1e6));
        this.tryBorrowOnStanding(4_900_000);
        wait(12);
        // 12 seconds of a day, of 25e6: 3 472.2, rounded up.
        equal(lending.accruedBooks().capBase, 5_003_473, "base");
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.UnsecuredCapReached.selector, 4_900_000, 1_000_694));
        this.tryBorrowOnStanding(4_900_000);
        wait(1 days);
        equal(lending.accruedBooks().capBase, 25e6, "base");
        borrowOnStanding(4_900_000);
    }

    function test_TheCapFallsAtOnceWithTheAssets() public {
        supply(1e8);
        finaliseStanding(STANDING, 0);
        lending.accrue();
        equal(lending.books().capBase, 1e8, "base");
        vm.prank(supplier);
        lending.withdraw(1e8 - 1_000_000, supplier, supplier);
        equal(lending.books().capBase, 1_000_000, "base");
        fund(supplier, 0);
        vm.prank(supplier);
        lending.deposit(1e8 - 1_000_000, supplier);
        equal(lending.books().capBase, 1_000_000, "base");
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.UnsecuredCapReached.selector, 200_001, 200_000));
        this.tryBorrowOnStanding(200_001);
    }

    /// @dev Whoever accrues, and however often, neither slows the base nor speeds it by more than a unit each time.
    function testFuzz_AFreshPoolsBaseIsAllOfItAfterADay(uint64 amount, uint16[8] calldata pauses) public {
        amount = uint64(within(amount, 1, 1e15));
        supply(amount);
        equal(lending.books().capBase, 0, "base of a fresh pool");
        uint256 elapsed;
        for (uint256 i; i < pauses.length; ++i) {
            wait(pauses[i]);
            elapsed += pauses[i];
            lending.accrue();
            uint256 straight = elapsed >= 1 days ? amount : uint256(amount) * elapsed / 1 days;
            atMost(straight, lending.books().capBase, "not slowed");
            atMost(lending.books().capBase, straight + i + 1, "not sped up");
        }
        if (elapsed < 1 days) wait(1 days - elapsed);
        equal(lending.accruedBooks().capBase, amount, "base after a day");
    }

    function test_InterestRaisesTheBaseLikeSupply() public {
        supply(1e9);
        loanOf(1e10, 9e8);
        wait(1 days);
        lending.accrue();
        uint256 base = lending.books().capBase;
        atMost(1e9 + 1, base, "a day's interest");
        equal(base, lending.totalAssets(), "base");
        atMost(1, lending.payFees(), "fees");
        equal(lending.books().capBase, base, "base after fees");
    }

    function test_RevertWhen_TheClaimsArePledgedToAnother() public {
        supply(1e10);
        finaliseStanding(STANDING, 0);
        vm.prank(OTHER_CREDITOR);
        distributor.pledgeClaims(borrower, borrower);
        vm.expectRevert(abi.encodeWithSelector(ICreditDistributor.ClaimsPledged.selector, borrower, OTHER_CREDITOR));
        this.tryBorrowOnStanding(1e8);
        equal(lending.books().debt, 0, "debt");
    }

    function test_AWalletBorrowsOnItsPlaceholdersStandingAndOnOneAccountOnly() public {
        supply(1e10);
        _link(PLACEHOLDER, borrower);
        address[] memory accounts = new address[](2);
        (accounts[0], accounts[1]) = (borrower, PLACEHOLDER);
        uint64[] memory standings = new uint64[](2);
        (standings[0], standings[1]) = (STANDING, STANDING);
        finaliseStandings(accounts, standings, 0);
        AccountLeaf memory leaf = leaves[1];
        bytes32[] memory proof = proofOf(levels, 1);
        vm.prank(borrower);
        lending.borrowOnStanding(leaf, proof, 1e8, borrower);
        equal(standingOf(borrower).account, PLACEHOLDER, "account");
        equal(distributor.creditorOf(PLACEHOLDER), address(lending), "the placeholder's creditor");
        equal(distributor.creditorOf(borrower), address(lending), "the wallet's creditor");

        vm.expectRevert(abi.encodeWithSelector(ICreditLending.OtherAccount.selector, borrower, PLACEHOLDER));
        this.tryBorrowOnStanding(1e8);
        fund(borrower, 1e8);
        _repayStanding(type(uint256).max);
        equal(distributor.creditorOf(PLACEHOLDER), address(0), "the placeholder's creditor");
        borrowOnStanding(1e8);
        equal(standingOf(borrower).account, borrower, "account");
    }

    function test_RevertWhen_APlaceholderHasNoWalletYet() public {
        supply(1e10);
        address[] memory accounts = new address[](1);
        accounts[0] = PLACEHOLDER;
        uint64[] memory standings = new uint64[](1);
        standings[0] = STANDING;
        finaliseStandings(accounts, standings, 0);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.NotAccountHolder.selector, PLACEHOLDER, borrower));
        this.tryBorrowOnStanding(1e8);
    }

    function test_RevertWhen_TheLoanIsOverdue() public {
        supply(1e10);
        finaliseStanding(STANDING, 0);
        borrowOnStanding(1e8);
        uint256 dueAt = standingOf(borrower).dueAt;
        vm.warp(dueAt - 1);
        equal(lending.dueFromClaims(borrower), 0, "due before the day");
        vm.warp(dueAt);
        equal(lending.dueFromClaims(borrower), lending.standingDebtOf(borrower), "due on the day");
        finaliseStanding(STANDING, 0);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.LoanOverdue.selector, borrower, dueAt));
        this.tryBorrowOnStanding(1e8);
    }

    /* REPAYING ON STANDING */

    function testFuzz_AnybodyRepaysAndTheLastUnitFreesTheClaims(uint64 seed, uint32 waited) public {
        supply(1e10);
        finaliseStanding(STANDING, 0);
        borrowOnStanding(1e8);
        wait(waited % 365 days);
        uint256 owed = lending.standingDebtOf(borrower);
        uint256 part = within(seed, 1, owed - 1);
        fund(stranger, 2 * owed);
        vm.prank(stranger);
        equal(lending.repayStanding(borrower, part), part, "part paid");
        equal(distributor.creditorOf(borrower), address(lending), "creditor");
        uint256 left = lending.standingDebtOf(borrower);
        atMost(owed - part, left, "left");
        atMost(left, owed - part + 1, "left");
        vm.prank(stranger);
        equal(lending.repayStanding(borrower, type(uint256).max), left, "rest paid");
        equal(distributor.creditorOf(borrower), address(0), "creditor");
        equal(standingOf(borrower).dueAt, 0, "due day");
        equal(lending.unsecuredShares(), 0, "unsecured shares");
    }

    function test_ClaimsAreTheMembersUntilTheDueDayThenRepayFirst() public {
        supply(1e10);
        finaliseStanding(STANDING, 3e7);
        borrowOnStanding(1e8);
        claimOf(0);
        equal(credit.balanceOf(borrower), 1e8 + 3e7, "the borrower's balance");

        vm.warp(standingOf(borrower).dueAt);
        finaliseStanding(STANDING, 3e7);
        uint256 owed = lending.standingDebtOf(borrower);
        uint256 cash = bookedCash();
        lending.accrue();
        claimOf(0);
        equal(credit.balanceOf(borrower), 1e8 + 3e7, "the borrower's balance");
        equal(bookedCash(), cash + 3e7, "cash");
        atMost(owed - 3e7, lending.standingDebtOf(borrower), "owed");
        atMost(lending.standingDebtOf(borrower), owed - 3e7 + 1, "owed");
    }

    function test_TheClaimThatPaysTheLastUnitFreesTheClaims() public {
        supply(1e10);
        finaliseStanding(STANDING, 0);
        borrowOnStanding(1e8);
        vm.warp(standingOf(borrower).dueAt);
        finaliseStanding(STANDING, 2e8);
        lending.accrue();
        uint256 owed = lending.standingDebtOf(borrower);
        uint256 shares = standingOf(borrower).debtShares;
        vm.expectEmit();
        emit ICreditLending.StandingRepaid(borrower, address(distributor), owed, shares, true);
        vm.expectEmit();
        emit ICreditDistributor.ClaimsPledgeSet(borrower, borrower, address(0));
        vm.expectEmit();
        emit ICreditDistributor.ClaimRouted(borrower, address(lending), owed, 0, 0);
        equal(claimOf(0), 2e8, "minted");
        equal(credit.balanceOf(borrower), 1e8 + 2e8 - owed, "the borrower's balance");
        equal(standingOf(borrower).dueAt, 0, "due day");
        equal(credit.balanceOf(address(lending)), bookedCash(), "balance");
    }

    function test_RevertWhen_SomebodyElseBooksAClaim() public {
        vm.expectRevert(
            abi.encodeWithSelector(ICreditLending.NotClaimsDistributor.selector, stranger, address(distributor))
        );
        vm.prank(stranger);
        lending.repayFromClaim(borrower, 1);
    }

    /* WRITE-OFF AND RECOVERY */

    function test_RevertWhen_TheLoanHasNotFailed() public {
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.NoDebt.selector));
        lending.writeOff(borrower);
        supply(1e10);
        finaliseStanding(STANDING, 0);
        borrowOnStanding(1e8);
        uint256 failsAt = standingOf(borrower).dueAt + 7 days;
        vm.warp(failsAt - 1);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.NotYetFailed.selector, borrower, failsAt, failsAt - 1));
        lending.writeOff(borrower);
        vm.warp(failsAt);
        lending.writeOff(borrower);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.NoDebt.selector));
        lending.writeOff(borrower);
    }

    function test_AFailedLoanIsWrittenOffAgainstTheReserveThenThePool() public {
        uint256 debt = _fail(3e7);
        uint256 assets = lending.totalAssets();
        lending.accrue();
        uint256 fees = lending.books().feesOwed;
        equal(fees, (debt - 1e8) / 10, "fees owed are their part of the interest");
        vm.expectEmit();
        emit IFeePool.LossCovered(1e8, 3e7);
        vm.expectEmit();
        emit ICreditLending.WrittenOff(borrower, 0, 3e7, debt - 3e7, debt - 1e8);
        vm.prank(stranger);
        lending.writeOff(borrower);
        equal(lending.books().feesOwed, 0, "fees owed");
        equal(lending.totalAssets(), assets - (debt - 3e7) + fees, "assets");
        equal(feePool.reserve(), 0, "reserve");
        StandingLoan memory loan = standingOf(borrower);
        equal(loan.debtShares, 0, "shares");
        equal(loan.principal, 0, "principal");
        equal(loan.lostByReserve, 3e7, "lost by the reserve");
        equal(loan.lostByPool, debt - 3e7, "lost by the pool");
        equal(lending.unsecuredShares(), 0, "unsecured shares");
        equal(lending.standingDebtOf(borrower), debt, "owed");
        equal(lending.dueFromClaims(borrower), debt, "due");
        equal(distributor.creditorOf(borrower), address(lending), "creditor");
    }

    function test_AReserveThatSufficesSparesTheSuppliersAllButTheInterest() public {
        uint256 debt = _fail(1e9);
        uint256 cash = bookedCash();
        lending.writeOff(borrower);
        equal(bookedCash(), cash + 1e8, "cash");
        equal(lending.totalAssets(), 1e10, "assets");
        equal(lending.books().feesOwed, 0, "fees owed");
        equal(feePool.reserve(), 1e9 - 1e8, "reserve");
        equal(standingOf(borrower).lostByPool, debt - 1e8, "lost by the pool");
    }

    function test_FeesOwedBearTheirPartOfTheInterestNotOfWhatWasLent() public {
        supply(2e10);
        loanOf(2e10, 1.3e10);
        finaliseStanding(STANDING, 0);
        borrowOnStanding(3e8);
        vm.warp(standingOf(borrower).dueAt + 7 days);
        lending.accrue();
        uint256 interest = lending.standingDebtOf(borrower) - 3e8;
        (uint256 fees, uint256 assets) = (lending.books().feesOwed, lending.totalAssets());
        vm.expectEmit();
        emit ICreditLending.WrittenOff(borrower, 0, 0, 3e8 + interest, interest);
        lending.writeOff(borrower);
        equal(lending.books().feesOwed, fees - interest / 10, "fees owed");
        equal(lending.totalAssets(), assets - 3e8 - interest + interest / 10, "assets");
    }

    function testFuzz_RepaymentsCountAgainstThePrincipalFirst(uint64 seed, uint32 waited) public {
        supply(1e10);
        finaliseStanding(STANDING, 0);
        borrowOnStanding(1e8);
        wait(waited % 30 days);
        uint256 paid = within(seed, 1, lending.standingDebtOf(borrower) - 1);
        fund(stranger, paid);
        vm.prank(stranger);
        lending.repayStanding(borrower, paid);
        uint256 principal = paid < 1e8 ? 1e8 - paid : 0;
        equal(standingOf(borrower).principal, principal, "principal");

        vm.warp(standingOf(borrower).dueAt + 7 days);
        _fillReserve(1e9);
        uint256 debt = lending.standingDebtOf(borrower);
        atMost(principal, debt, "debt");
        vm.expectEmit();
        emit IFeePool.LossCovered(principal, principal);
        lending.writeOff(borrower);
        equal(standingOf(borrower).lostByReserve, principal, "lost by the reserve");
        equal(standingOf(borrower).lostByPool, debt - principal, "lost by the pool");
    }

    function test_WhatClaimsRecoverGoesToTheReserve() public {
        uint256 debt = _fail(3e7);
        lending.writeOff(borrower);
        uint256 lost = debt - 3e7;
        finaliseStanding(STANDING, 5e7);
        lending.accrue();
        uint256 assets = lending.totalAssets();
        vm.expectEmit();
        emit ICreditLending.Recovered(borrower, address(distributor), 5e7, 0);
        vm.expectEmit();
        emit IFeePool.ReserveRestored(5e7);
        claimOf(0);
        equal(lending.dueFromClaims(borrower), debt - 5e7, "due");

        finaliseStanding(STANDING, 2e8);
        lending.accrue();
        vm.expectEmit();
        emit ICreditLending.Recovered(borrower, address(distributor), lost - 5e7, 3e7);
        vm.expectEmit();
        emit IFeePool.ReserveRestored(debt - 5e7);
        vm.expectEmit();
        emit ICreditDistributor.ClaimsPledgeSet(borrower, borrower, address(0));
        uint256 before = credit.balanceOf(borrower);
        claimOf(0);
        equal(credit.balanceOf(borrower), before + 2e8 - (debt - 5e7), "the borrower's balance");
        equal(feePool.reserve(), debt, "reserve");
        equal(lending.totalAssets(), assets, "assets");
        equal(standingOf(borrower).dueAt, 0, "due day");
        equal(credit.balanceOf(address(lending)), bookedCash(), "balance");
        borrowOnStanding(1e8);
    }

    function testFuzz_TheMemberRecoversInParts(uint64 first) public {
        uint256 debt = _fail(3e7);
        lending.writeOff(borrower);
        uint256 assets = lending.totalAssets();
        fund(borrower, debt);
        uint256 part = within(first, 1, debt - 1);
        equal(_repayStanding(part), part, "part paid");
        equal(lending.standingDebtOf(borrower), debt - part, "owed");
        equal(_repayStanding(type(uint256).max), debt - part, "rest paid");
        equal(feePool.reserve(), debt, "reserve");
        equal(lending.totalAssets(), assets, "assets");
        equal(distributor.creditorOf(borrower), address(0), "creditor");
    }

    function test_RevertWhen_AWrittenOffBorrowerBorrowsAgain() public {
        _fail(0);
        lending.writeOff(borrower);
        uint256 dueAt = standingOf(borrower).dueAt;
        finaliseStanding(STANDING, 0);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.LoanOverdue.selector, borrower, dueAt));
        this.tryBorrowOnStanding(1e8);
    }

    function test_AWrittenOffDebtDoesNotGrow() public {
        uint256 debt = _fail(0);
        lending.writeOff(borrower);
        wait(365 days);
        equal(lending.standingDebtOf(borrower), debt, "owed");
    }

    /* POLICIES */

    function test_AnybodyAcceptsThePolicyInForce() public {
        putPolicyInForce(2);
        bytes32 hash = PolicyHash.hashPolicy(policy(2));
        vm.expectEmit();
        emit ICreditLending.PolicyAccepted(hash, DECAY_K);
        vm.prank(stranger);
        lending.acceptPolicy(PolicyHash.headOf(policy(2)));
        (bytes32 accepted, uint64 decayK) = lending.acceptedPolicy();
        equal(accepted, hash, "hash");
        equal(decayK, DECAY_K, "decay constant");
    }

    function testFuzz_RevertWhen_ThePolicyIsAnother(PolicyHead calldata head) public {
        bytes32 inForce = PolicyHash.hashPolicy(policy(1));
        bytes32 given = PolicyHash.hashHead(head);
        if (given == inForce) return;
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.NotPolicyInForce.selector, given, inForce));
        lending.acceptPolicy(head);
    }

    function testFuzz_RevertWhen_OneFieldOfThePolicyIsAnother(uint8 which, uint32 other) public {
        PolicyHead memory head = PolicyHash.headOf(policy(1));
        if (which % 7 == 0) head.name = bytes32(uint256(other));
        else if (which % 7 == 1) head.version = other == 1 ? 2 : other;
        else if (which % 7 == 2) head.decayK = DECAY_K + 1 + other;
        else if (which % 7 == 3) head.epochMs = uint64(other) + 1;
        else if (which % 7 == 4) head.initialRateQ24 = RATE_ONE + 1 + other;
        else if (which % 7 == 5) head.bracketsHash = bytes32(uint256(other));
        else head.domainsHash = bytes32(uint256(other));
        vm.expectRevert(
            abi.encodeWithSelector(
                ICreditLending.NotPolicyInForce.selector, PolicyHash.hashHead(head), PolicyHash.hashPolicy(policy(1))
            )
        );
        lending.acceptPolicy(head);
    }

    function test_WhatFollowsTheHeadChangesNothing() public {
        putPolicyInForce(2);
        bytes memory padded = bytes.concat(abi.encode(PolicyHash.headOf(policy(2))), bytes32(uint256(7)));
        (bool done,) = address(lending).call(bytes.concat(ICreditLending.acceptPolicy.selector, padded));
        isTrue(done, "accepted");
        (bytes32 accepted, uint64 decayK) = lending.acceptedPolicy();
        equal(accepted, PolicyHash.hashPolicy(policy(2)), "hash");
        equal(decayK, DECAY_K, "decay constant");
    }

    function testFuzz_RevertWhen_AFieldsWordHoldsMoreThanTheField(uint8 which, uint8 position, uint8 bits) public {
        uint256[4] memory widths = [uint256(4), 8, 8, 8];
        uint256 field = within(which, 0, 3);
        bytes memory encoded = abi.encode(PolicyHash.headOf(policy(1)));
        uint256 at = within(position, 0, 31 - widths[field]);
        encoded[32 * (field + 1) + at] = bytes1(bits == 0 ? 1 : bits);
        (bool done, bytes memory result) =
            address(lending).call(bytes.concat(ICreditLending.acceptPolicy.selector, encoded));
        isTrue(!done, "refused");
        equal(result.length, 0, "by the decoder");
    }

    /* SETTINGS */

    function test_SettingsChangeAfterInterestIsAccruedUnderTheOldOnes() public {
        supply(1e9);
        loanOf(1e10, 9e8);
        wait(30 days);
        uint256 fees = lending.accruedBooks().feesOwed;
        RiskSettings memory settings = initialRisk();
        settings.feeBps = 0;
        settings.minLoan = 5;
        vm.expectEmit();
        emit ICreditLending.RiskSet(settings);
        vm.prank(governor);
        lending.setRisk(settings);
        equal(keccak256(abi.encode(lending.risk())), keccak256(abi.encode(settings)), "settings");
        equal(lending.books().feesOwed, fees, "fees owed");
        equal(lending.books().feeBps, 0, "fee");
        wait(30 days);
        equal(lending.accruedBooks().feesOwed, fees, "fees owed later");
    }

    function test_SettingsMayGoToTheirBounds() public {
        RiskSettings memory settings = RiskSettings({
            maxLtvBps: 9_999,
            liquidationLtvBps: 10_000,
            incentiveBps: 0,
            standingBps: 10_000,
            unsecuredCapBps: 5_000,
            feeBps: 2_500,
            standingTerm: 730 days,
            grace: 365 days,
            minLoan: 0
        });
        vm.prank(governor);
        lending.setRisk(settings);
        settings.standingTerm = 1 days;
        vm.prank(governor);
        lending.setRisk(settings);
    }

    function testFuzz_RevertWhen_SettingsAreBeyondTheirBounds(uint8 which) public {
        RiskSettings memory settings = initialRisk();
        which %= 10;
        if (which == 0) {
            settings.maxLtvBps = settings.liquidationLtvBps;
        } else if (which == 1) {
            settings.liquidationLtvBps = 9_801;
        } else if (which == 2) {
            settings.incentiveBps = type(uint16).max;
        } else if (which == 3) {
            settings.standingBps = 10_001;
        } else if (which == 4) {
            settings.unsecuredCapBps = 5_001;
        } else if (which == 5) {
            settings.feeBps = 2_501;
        } else if (which == 6) {
            settings.standingTerm = 1 days - 1;
        } else if (which == 7) {
            settings.standingTerm = 730 days + 1;
        } else if (which == 8) {
            (settings.maxLtvBps, settings.liquidationLtvBps, settings.incentiveBps) = (8_000, 8_999, 1_001);
        } else {
            settings.grace = 365 days + 1;
        }
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.BadRiskSettings.selector));
        vm.prank(governor);
        lending.setRisk(settings);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.BadRiskSettings.selector));
        ship("CreditLending", abi.encode(address(manager), oracle, timeBank, settings, INITIAL_RATE_AT_TARGET));
    }

    function test_RevertWhen_TheLiquidationThresholdIsUnderItsFloor() public {
        RiskSettings memory settings = initialRisk();
        (settings.maxLtvBps, settings.liquidationLtvBps) = (4_000, 4_999);
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.BadRiskSettings.selector));
        vm.prank(governor);
        lending.setRisk(settings);
        settings.liquidationLtvBps = 5_000;
        vm.prank(governor);
        lending.setRisk(settings);
    }

    function test_RevertWhen_TheFirstRateIsBeyondItsBounds() public {
        uint48 low = uint48(AdaptiveRate.MIN_RATE_AT_TARGET) - 1;
        uint48 high = uint48(AdaptiveRate.MAX_RATE_AT_TARGET) + 1;
        RiskSettings memory settings = initialRisk();
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.BadRiskSettings.selector));
        ship("CreditLending", abi.encode(address(manager), oracle, timeBank, settings, low));
        vm.expectRevert(abi.encodeWithSelector(ICreditLending.BadRiskSettings.selector));
        ship("CreditLending", abi.encode(address(manager), oracle, timeBank, settings, high));
    }

    function test_RevertWhen_TheCallerHasNotTheRole() public {
        RiskSettings memory settings = initialRisk();
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, guardian));
        vm.prank(guardian);
        lending.setRisk(settings);
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, governor));
        vm.prank(governor);
        lending.pauseBorrowing();
    }

    function test_ItKnowsItsNeighbours() public view {
        equal(address(lending.credit()), address(credit), "credit");
        equal(address(lending.timeBank()), address(timeBank), "time bank");
        equal(address(lending.feePool()), address(feePool), "fee pool");
        equal(address(lending.distributor()), address(distributor), "distributor");
        equal(address(lending.oracle()), address(oracle), "oracle");
    }

    /* MEMBERS THAT RE-ENTER */

    function test_AMemberThatWouldReenterIsNeverCalled() public {
        Reenterer member = new Reenterer(lending);
        uint256 id = receiptOf(address(member), 1e9, DEMAND);
        fund(address(member), 1e10);
        address pool = address(lending);
        member.act(pool, abi.encodeCall(lending.deposit, (1e9, address(member))));
        member.act(pool, abi.encodeCall(lending.pledgeAndBorrow, (id, 1e8, address(member))));
        member.act(pool, abi.encodeCall(lending.repay, (id, type(uint256).max)));
        member.act(pool, abi.encodeCall(lending.release, (id)));
        member.act(address(timeBank), abi.encodeCall(timeBank.approve, (pool, id)));
        member.act(pool, abi.encodeCall(lending.pledgeAndBorrow, (id, 9e8, address(member))));
        member.act(pool, abi.encodeCall(lending.withdraw, (1e8, address(member), address(member))));
        while (lending.debtOf(id) <= 9.5e8) wait(1 days);
        member.act(pool, abi.encodeCall(lending.liquidate, (id)));
        member.act(pool, abi.encodeCall(lending.redeem, (1e12, address(member), address(member))));
        equal(member.calls(), 0, "calls");
        equal(credit.balanceOf(pool), bookedCash(), "balance");
    }

    /* STEPS */

    /// @dev Outside calls, so that an expected revert meets the pool's and not the proof's making.
    function tryBorrowOnStanding(uint256 amount) external {
        borrowOnStanding(amount);
    }

    function _pledge(address member, uint256 id) private {
        vm.prank(member);
        lending.pledge(id);
    }

    function _borrow(uint256 id, uint256 amount) private {
        vm.prank(borrower);
        lending.borrow(id, amount, borrower);
    }

    function _repay(uint256 id, uint256 amount) private returns (uint256 paid) {
        vm.prank(borrower);
        return lending.repay(id, amount);
    }

    function _repayStanding(uint256 amount) private returns (uint256 paid) {
        vm.prank(borrower);
        return lending.repayStanding(borrower, amount);
    }

    function _liquidate(uint256 id) private returns (uint256 incentive) {
        vm.prank(liquidator);
        return lending.liquidate(id);
    }

    function _fillReserve(uint256 amount) private {
        // Two parts of ten of what the fee pool gets are the reserve's.
        vm.prank(address(distributor));
        credit.mint(address(feePool), amount * 5);
        feePool.sync();
        equal(feePool.reserve(), amount, "reserve");
    }

    /// @dev A loan on standing that has failed, and a reserve. The debt.
    function _fail(uint256 reserve) private returns (uint256 debt) {
        supply(1e10);
        finaliseStanding(STANDING, 0);
        borrowOnStanding(1e8);
        vm.warp(standingOf(borrower).dueAt + 7 days);
        if (reserve != 0) _fillReserve(reserve);
        return lending.standingDebtOf(borrower);
    }

    function _link(address placeholder, address wallet) private {
        vm.prank(registrar);
        registry.requestLink(placeholder, wallet);
        wait(LINK_DELAY);
        registry.confirmLink(placeholder);
    }
}
