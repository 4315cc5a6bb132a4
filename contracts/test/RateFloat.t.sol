// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

import {ICreditPayments} from "../interfaces/ICreditPayments.sol";
import {IFeePool} from "../interfaces/IFeePool.sol";
import {Floating, IRateFloat} from "../interfaces/IRateFloat.sol";
import {EpochHeader, IRateOracle} from "../interfaces/IRateOracle.sol";
import {FloatingRate} from "../libraries/FloatingRate.sol";
import {RateOracle} from "../oracle/RateOracle.sol";
import {CreditPayments} from "../token/CreditPayments.sol";
import {System} from "./System.sol";

/// @title RateFloatTest: what counts as spent, and how the rate follows it
contract RateFloatTest is System {
    uint64 private constant MINT = 10_000_000;
    uint64 private constant STEP = 100_000_000;
    address private constant MEMBER = address(0x3e3);

    function setUp() public {
        deploySystem();
    }

    /* WHAT COUNTS AS SPENT */

    function test_APaymentCountsWholeInItsTwoParts() public {
        _fund(MEMBER, 1_000_000);
        vm.prank(MEMBER);
        require(credit.approve(address(payments), 1_000_000));
        vm.expectEmit();
        emit ICreditPayments.Paid(MEMBER, stranger, bytes32(0), 1_000_000, 5_000);
        vm.expectEmit();
        emit IFeePool.FeesCollected(5_000, 2_500, 1_500, 1_000);
        vm.expectEmit();
        emit IFeePool.Spent(address(payments), 995_000);
        vm.prank(MEMBER);
        payments.pay(stranger, 1_000_000, bytes32(0));
        equal(feePool.spent(), 1_000_000, "spent");
    }

    function test_APaymentWithoutAFeeCountsToo() public {
        vm.prank(governor);
        payments.setFee(0);
        _fund(MEMBER, 700);
        _pay(MEMBER, stranger, 700);
        equal(feePool.spent(), 700, "spent");
        equal(feePool.depositors() + feePool.bonus() + feePool.reserve(), 0, "no fee");
    }

    function test_FeesCountWhateverBringsThem() public {
        _fund(address(feePool), 1_234);
        equal(feePool.sync(), 1_234, "booked");
        equal(feePool.sync(), 0, "booked once");
        equal(feePool.spent(), 1_234, "spent");
    }

    function test_APlainTransferDoesNotCount() public {
        _fund(MEMBER, 700);
        vm.prank(MEMBER);
        require(credit.transfer(stranger, 700));
        equal(feePool.sync(), 0, "booked");
        equal(feePool.spent(), 0, "spent");
    }

    function testFuzz_RevertWhen_SomebodyElseRecordsSpending(address caller, uint256 amount) public {
        if (caller == address(payments)) return;
        vm.expectRevert(abi.encodeWithSelector(IFeePool.NotSpender.selector, caller));
        vm.prank(caller);
        feePool.recordSpending(amount);
    }

    function test_RevertWhen_TheSpendersAreSetAgain() public {
        address[] memory spenders = new address[](2);
        vm.expectRevert(abi.encodeWithSelector(IFeePool.SpendersFixed.selector, 2));
        feePool.setSpenders(spenders);
        isTrue(feePool.isSpender(address(payments)) && !feePool.isSpender(address(0)), "the first ones stand");
    }

    function test_SpendersAreSetOnceAndAreSome() public {
        IFeePool fresh = IFeePool(_freshOracle().feePool());
        address[] memory spenders = new address[](0);
        vm.expectRevert(abi.encodeWithSelector(IFeePool.SpendersFixed.selector, 0));
        fresh.setSpenders(spenders);
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, governor));
        vm.prank(governor);
        fresh.setSpenders(spenders);
        spenders = new address[](2);
        (spenders[0], spenders[1]) = (address(payments), stranger);
        vm.expectEmit();
        emit IFeePool.SpendersSet(spenders);
        fresh.setSpenders(spenders);
        isTrue(fresh.isSpender(address(payments)) && fresh.isSpender(stranger), "both");
        vm.prank(stranger);
        equal(fresh.recordSpending(5), 0, "nothing booked");
        equal(fresh.spent(), 5, "spent");
    }

    function test_RevertWhen_NobodyToldThePoolOfThePayments() public {
        IRateOracle fresh = _freshOracle();
        CreditPayments unknown =
            CreditPayments(ship("CreditPayments", abi.encode(address(manager), credit, fresh.feePool(), 0)));
        _fund(MEMBER, 700);
        vm.prank(MEMBER);
        require(credit.approve(address(unknown), 700));
        vm.expectRevert(abi.encodeWithSelector(IFeePool.NotSpender.selector, address(unknown)));
        vm.prank(MEMBER);
        unknown.pay(stranger, 700, bytes32(0));
    }

    /* A FIXED RATE */

    function test_WithoutAFloatTheRateStays() public {
        _fund(MEMBER, 50_000_000);
        _pay(MEMBER, stranger, 50_000_000);
        _epoch(MINT);
        equal(oracle.rateQ24(), RATE_ONE, "rate");
        Floating memory floating = rateFloat.floating();
        equal(floating.step, 0, "step");
        equal(floating.baseRateQ24, RATE_ONE, "base");
        equal(floating.rateQ24, RATE_ONE, "rate shown");
    }

    function test_AnOracleThatWasNotToldOfAFloatFinalises() public {
        oracle = RateOracle(address(_freshOracle()));
        _epoch(MINT);
        equal(oracle.rateQ24(), RATE_ONE, "rate");
        equal(oracle.latestEpoch(), 1, "epoch");
    }

    /* FLOATING */

    function test_TheRateFollowsWithAnEventOfAllItsInputs() public {
        _float(STEP);
        _fund(MEMBER, 15_000_000);
        _pay(MEMBER, stranger, 15_000_000);
        EpochHeader memory header = nextHeader(keccak256("accounts"), 3, MINT, 0);
        propose(header);
        vm.warp(vm.getBlockTimestamp() + WINDOW);
        uint64 expected = FloatingRate.rateDown(RATE_ONE, 5_000_000, STEP);
        vm.expectEmit();
        emit IRateFloat.RateMoved(1, 15_000_000, MINT, 0, 5_000_000, expected);
        oracle.finalise(header);
        equal(oracle.rateQ24(), expected, "rate");
        isTrue(expected > RATE_ONE, "more was spent than minted");
        Floating memory floating = rateFloat.floating();
        equal(floating.baseRateQ24, RATE_ONE, "base");
        isTrue(floating.excess == 5_000_000, "excess");
        equal(floating.spentAtLast, 15_000_000, "counted");
    }

    function test_HeadersAreCheckedAgainstTheRateThatStands() public {
        _float(STEP);
        EpochHeader memory stale = nextHeader(keccak256("accounts"), 3, MINT, 0);
        _epoch(MINT);
        uint64 rate = oracle.rateQ24();
        isTrue(rate < RATE_ONE, "nothing was spent");
        stale.epoch = 2;
        stale.startMs = oracle.latestEndMs();
        // forge-lint: disable-next-line(unsafe-typecast)
        stale.endMs = uint48(vm.getBlockTimestamp() * 1000);
        stale.previousHeaderHash = oracle.latestHeaderHash();
        bytes[] memory signatures = signaturesOf(stale, 0, 3);
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.RateMismatch.selector, RATE_ONE, rate));
        vm.prank(proposer);
        oracle.propose{value: BOND}(stale, signatures);
    }

    function test_WhatWasSpentBeforeTheFloatCountsForNothing() public {
        _fund(MEMBER, 50_000_000);
        _pay(MEMBER, stranger, 50_000_000);
        _float(STEP);
        _epoch(MINT);
        isTrue(rateFloat.floating().excess == -int256(uint256(MINT)), "only the supply");
    }

    function test_AVoidedEpochMovesNothing() public {
        _float(STEP);
        EpochHeader memory header = nextHeader(keccak256("accounts"), 3, MINT, 0);
        propose(header);
        bytes32 headerHash = oracle.hashHeader(header);
        vm.prank(governor);
        oracle.voidProposal(headerHash, address(0), "wrong");
        equal(oracle.rateQ24(), RATE_ONE, "rate");
        isTrue(rateFloat.floating().excess == 0, "excess");
    }

    function test_ARateSetMeanwhileIsTheNewBase() public {
        _float(STEP);
        _epoch(MINT);
        vm.prank(governor);
        oracle.setRate(3 * RATE_ONE);
        Floating memory floating = rateFloat.floating();
        equal(floating.baseRateQ24, 3 * RATE_ONE, "base, before the next epoch");
        isTrue(floating.excess == 0, "excess, before the next epoch");
        _fund(MEMBER, 12_000_000);
        _pay(MEMBER, stranger, 12_000_000);
        _epoch(MINT);
        floating = rateFloat.floating();
        isTrue(floating.excess == 2_000_000, "from an excess of 0");
        equal(oracle.rateQ24(), FloatingRate.rateDown(3 * RATE_ONE, 2_000_000, STEP), "from the new base");
        equal(floating.step, STEP, "it goes on floating");
    }

    function test_AFloatSetAnewStartsFromTheRateThatStands() public {
        _float(STEP);
        _epoch(MINT);
        uint64 rate = oracle.rateQ24();
        vm.expectEmit();
        emit IRateFloat.FloatSet(STEP, 0, rate, 0);
        _float(0);
        _epoch(MINT);
        equal(oracle.rateQ24(), rate, "fixed where it stood");
        _float(2 * STEP);
        Floating memory floating = rateFloat.floating();
        equal(floating.baseRateQ24, rate, "base");
        isTrue(floating.excess == 0, "excess");
        equal(floating.step, 2 * STEP, "step");
    }

    /// @dev Whatever is spent in whatever step, an epoch becomes final, and the rate moves by at most an eighth.
    function testFuzz_AnyEpochBecomesFinal(uint64 step, uint64 rate, uint64 mint, uint96 spent) public {
        if (step < FloatingRate.MIN_STEP) step = 0;
        vm.prank(governor);
        oracle.setRate(rate);
        _float(step);
        vm.prank(address(payments));
        feePool.recordSpending(spent);
        EpochHeader memory header = nextHeader(keccak256("accounts"), 3, 0, 0);
        header.totalMint = rate == 0 ? 0 : mint;
        header.totalEarned = type(uint64).max;
        // The most the rate allows.
        uint256 limit = (uint256(header.totalEarned) * rate) >> 24;
        // forge-lint: disable-next-line(unsafe-typecast)
        if (header.totalMint > limit) header.totalMint = uint64(limit);
        proposeAndFinalise(header);
        uint256 moved = oracle.rateQ24();
        if (step == 0) equal(moved, rate, "fixed");
        atMost(8 * moved, 9 * uint256(rate), "up");
        atMost(7 * uint256(rate), 8 * moved, "down");
    }

    /// @dev 15 * (9/8)^3 is 21.36, but from 18 an eighth is 2 units; below 8 it is none.
    function test_ASmallRateMovesByAtMostAnEighth() public {
        uint64[3] memory expected = [16, 18, uint64(20)];
        vm.prank(governor);
        oracle.setRate(15);
        _float(STEP);
        for (uint256 i; i < 3; ++i) {
            _spendOrMint(STEP, 0);
            equal(oracle.rateQ24(), expected[i], "an eighth up, in whole units");
        }
        _spendOrMint(0, 0);
        equal(oracle.rateQ24(), 21, "what was cut off is made up for");
        vm.prank(governor);
        oracle.setRate(1);
        for (uint256 i; i < 8; ++i) {
            _spendOrMint(STEP, 0);
        }
        equal(oracle.rateQ24(), 1, "stays");
    }

    function test_ARateRisesAgainFromTheLeast() public {
        vm.prank(governor);
        oracle.setRate(100);
        _float(STEP);
        for (uint256 epochs; epochs < 30; ++epochs) {
            _spendOrMint(0, STEP);
        }
        equal(oracle.rateQ24(), 8, "the least, not a sixteenth of its base");
        for (uint256 epochs; epochs < 70; ++epochs) {
            _spendOrMint(STEP, 0);
        }
        equal(oracle.rateQ24(), 1600, "sixteen times its base");
    }

    /* ROLES AND WIRING */

    function test_RevertWhen_SomebodyElseReportsAnEpoch() public {
        vm.expectRevert(abi.encodeWithSelector(IRateFloat.NotOracle.selector, governor, address(oracle)));
        vm.prank(governor);
        rateFloat.follow(1, RATE_ONE, 0);
    }

    function test_RevertWhen_AStrangerSetsTheFloat() public {
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, stranger));
        vm.prank(stranger);
        rateFloat.setFloat(1);
    }

    function testFuzz_RevertWhen_TheRateCouldNeverMove(uint64 step) public {
        step = 1 + step % 5;
        vm.expectRevert(abi.encodeWithSelector(IRateFloat.StepTooSmall.selector, step, 6));
        _float(step);
        _float(6);
        equal(rateFloat.floating().step, 6, "the least step");
    }

    function test_WhatMovesTheRateIsSetOnce() public {
        IRateOracle fresh = _freshOracle();
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.RateFloatFixed.selector, address(0)));
        fresh.setRateFloat(IRateFloat(address(0)));
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, governor));
        vm.prank(governor);
        fresh.setRateFloat(rateFloat);
        vm.expectEmit();
        emit IRateOracle.RateFloatSet(address(rateFloat));
        fresh.setRateFloat(rateFloat);
        equal(address(fresh.rateFloat()), address(rateFloat), "set");
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.RateFloatFixed.selector, address(rateFloat)));
        fresh.setRateFloat(IRateFloat(stranger));
        equal(address(rateFloat.oracle()), address(oracle), "its oracle");
        equal(address(rateFloat.feePool()), address(feePool), "where spending is counted");
    }

    /* HELP */

    function _freshOracle() private returns (IRateOracle) {
        return IRateOracle(ship("RateOracle", abi.encode(address(manager), registry, policies, initialParameters())));
    }

    function _float(uint64 step) private {
        vm.prank(governor);
        rateFloat.setFloat(step);
    }

    function _fund(address member, uint256 amount) private {
        vm.prank(address(distributor));
        credit.mint(member, amount);
    }

    function _pay(address payer, address payee, uint256 amount) private {
        vm.prank(payer);
        require(credit.approve(address(payments), amount));
        vm.prank(payer);
        payments.pay(payee, amount, bytes32(0));
    }

    /// @dev An epoch after this was spent, that mints so much at however small a rate.
    function _spendOrMint(uint256 spent, uint64 mint) private {
        vm.prank(address(payments));
        feePool.recordSpending(spent);
        vm.warp(vm.getBlockTimestamp() + 1);
        EpochHeader memory header = nextHeader(keccak256("accounts"), 3, mint, 0);
        header.totalEarned = type(uint64).max;
        proposeAndFinalise(header);
    }

    /// @dev An epoch that mints so much; it earned four times that, so that any rate near one allows it.
    function _epoch(uint64 mint) private {
        vm.warp(vm.getBlockTimestamp() + 1);
        EpochHeader memory header = nextHeader(keccak256("accounts"), 3, mint, 0);
        header.totalEarned = 4 * mint;
        proposeAndFinalise(header);
    }
}
