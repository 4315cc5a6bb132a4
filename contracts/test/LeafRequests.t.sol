// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Errors} from "@openzeppelin/contracts/utils/Errors.sol";

import {AccountEvidence, ActivityEvidence, IEvidence, Tree} from "../interfaces/IEvidence.sol";
import {ILeafRequests, LeafRequest} from "../interfaces/ILeafRequests.sol";
import {EpochHeader, IRateOracle} from "../interfaces/IRateOracle.sol";
import {LeafRequests} from "../oracle/LeafRequests.sol";
import {ChallengeSystem, Dice} from "./ChallengeSystem.sol";
import {EpochMaker, Made} from "./EpochMaker.sol";

/// @title RejectingRequester
/// @notice Asks for leaves and takes no wei back.
contract RejectingRequester {
    function ask(LeafRequests requests, EpochHeader calldata header, Tree tree, uint32 index) external payable {
        requests.requestLeaf{value: msg.value}(header, tree, index);
    }
}

/// @title GreedyResponder
/// @notice Answers the same request again while it is being paid.
contract GreedyResponder {
    LeafRequests private immutable _REQUESTS;
    bytes private _answer;

    constructor(LeafRequests requests, bytes memory answer) {
        _REQUESTS = requests;
        _answer = answer;
    }

    function respond() public {
        (bool done, bytes memory reason) = address(_REQUESTS).call(_answer);
        if (done) return;
        assembly ("memory-safe") {
            revert(add(reason, 0x20), mload(reason))
        }
    }

    receive() external payable {
        respond();
    }
}

/// @title LeafRequestsTest: leaves are shown in time, or the epoch ends
/// forge-config: default.fuzz.runs = 128
contract LeafRequestsTest is ChallengeSystem {
    function setUp() public {
        deployChallenge();
    }

    /* ASKING */

    function test_ARequestHoldsItsDepositAndTheEpoch() public {
        Made memory made = _pending(5);
        uint48 ends = oracle.pending().challengeEndsAt;
        bytes32 headerHash = oracle.hashHeader(made.header);
        equal(requests.heldUntil(headerHash, ends), ends, "held by the window alone");
        uint48 until = uint48(vm.getBlockTimestamp()) + ANSWER_TIME;
        vm.expectEmit();
        emit ILeafRequests.LeafRequested(headerHash, requester, Tree.Activity, 3, DEPOSIT, until);
        _ask(made, Tree.Activity, 3);
        LeafRequest memory request = requests.requestOf(headerHash, ends, Tree.Activity, 3);
        equal(request.requester, requester, "requester");
        equal(request.deposit, DEPOSIT, "deposit");
        equal(request.answerUntil, until, "time to answer");
        equal(requests.openRequests(headerHash, ends), 1, "open");
        equal(requests.heldUntil(headerHash, ends), type(uint256).max, "held");
        equal(address(requests).balance, DEPOSIT, "balance");
    }

    /// @dev The price is that of so many open, and falls again with every answer.
    function testFuzz_PriceGrowsWithTheSquareOfWhatIsOpen(uint8 asked, uint8 answered) public {
        Made memory made = _pending(8);
        uint256 count = asked % 9;
        uint256 total;
        for (uint32 i; i < count; ++i) {
            uint256 price = requests.requestPrice(requester);
            equal(price, DEPOSIT * (1 + uint256(i)) ** 2, "price");
            _refusedToAsk(
                made, i, price - 1, abi.encodeWithSelector(ILeafRequests.WrongDeposit.selector, price - 1, price)
            );
            _refusedToAsk(
                made, i, price + 1, abi.encodeWithSelector(ILeafRequests.WrongDeposit.selector, price + 1, price)
            );
            _ask(made, Tree.Activity, i);
            total += price;
        }
        equal(address(requests).balance, total, "deposits");
        uint32 less = uint32(answered % (count + 1));
        for (uint32 i; i < less; ++i) {
            _answer(made, i);
            total -= DEPOSIT * (1 + uint256(i)) ** 2;
        }
        equal(requests.requestPrice(requester), DEPOSIT * (1 + count - less) ** 2, "price after answers");
        equal(address(requests).balance, total, "deposits of what is open");
        equal(responder.balance + total, _sumOfSquares(count) * DEPOSIT, "answers are paid");
    }

    function test_RevertWhen_ARequesterHasAsManyOpenAsItCan() public {
        // Numbers alone: a count of leaves is what a request is checked against.
        EpochHeader memory header = frame(0);
        header.activityCount = 300;
        propose(header);
        for (uint32 i; i < 16; ++i) {
            uint256 price = requests.requestPrice(requester);
            vm.prank(requester);
            requests.requestLeaf{value: price}(header, Tree.Activity, i);
        }
        equal(address(requests).balance, _sumOfSquares(16) * DEPOSIT, "deposits");
        uint256 next = requests.requestPrice(requester);
        vm.expectRevert(abi.encodeWithSelector(ILeafRequests.TooManyRequests.selector, 16, 16));
        vm.prank(requester);
        requests.requestLeaf{value: next}(header, Tree.Activity, 16);
    }

    /// @dev Else a proposer that asks itself, and answers itself, could keep others from asking.
    function testFuzz_WhatOthersAskChangesNoPrice(uint8 asked) public {
        Made memory made = _pending(8);
        bytes32 headerHash = oracle.hashHeader(made.header);
        uint48 ends = oracle.pending().challengeEndsAt;
        uint32 count = asked % 8;
        for (uint32 i; i < count; ++i) {
            _ask(made, Tree.Activity, i);
        }
        equal(requests.requestPrice(stranger), DEPOSIT, "a stranger's first");
        vm.deal(stranger, DEPOSIT);
        vm.prank(stranger);
        requests.requestLeaf{value: DEPOSIT}(made.header, Tree.Activity, 7);
        equal(requests.openRequestsOf(headerHash, ends, requester), count, "the requester's");
        equal(requests.openRequestsOf(headerHash, ends, stranger), 1, "the stranger's");
        equal(requests.openRequests(headerHash, ends), uint256(count) + 1, "all");
        _answer(made, 7);
        equal(requests.openRequestsOf(headerHash, ends, stranger), 0, "answered");
        equal(requests.requestPrice(requester), DEPOSIT * (1 + uint256(count)) ** 2, "the requester's price");
    }

    function test_RevertWhen_TheWindowIsClosed() public {
        Made memory made = _pending(3);
        uint256 ends = oracle.pending().challengeEndsAt;
        vm.warp(ends - 1);
        _ask(made, Tree.Activity, 0);
        vm.warp(ends);
        _refusedToAsk(
            made,
            1,
            requests.requestPrice(requester),
            abi.encodeWithSelector(ILeafRequests.RequestsClosed.selector, ends, ends)
        );
    }

    function testFuzz_RevertWhen_ThereIsNoSuchLeaf(uint32 index, bool ofAccounts) public {
        Made memory made = _pending(3);
        uint32 count = ofAccounts ? made.header.accountCount : made.header.activityCount;
        if (index < count) index += count;
        Tree tree = ofAccounts ? Tree.Account : Tree.Activity;
        vm.expectRevert(abi.encodeWithSelector(ILeafRequests.NoSuchLeaf.selector, tree, index, count));
        vm.prank(requester);
        requests.requestLeaf{value: DEPOSIT}(made.header, tree, index);
    }

    function test_RevertWhen_ALeafIsAskedForTwice() public {
        Made memory made = _pending(3);
        bytes memory refusal = abi.encodeWithSelector(ILeafRequests.AlreadyRequested.selector, Tree.Activity, 1);
        _ask(made, Tree.Activity, 1);
        _refusedToAsk(made, 1, requests.requestPrice(requester), refusal);
        // The same index of the other tree is another leaf.
        _ask(made, Tree.Account, 0);
        _answer(made, 1);
        _refusedToAsk(made, 1, requests.requestPrice(requester), refusal);
    }

    function test_RevertWhen_AnotherHeaderIsPending() public {
        Made memory made = _pending(3);
        bytes32 pendingHash = oracle.hashHeader(made.header);
        ++made.header.totalEarned;
        bytes memory refusal =
            abi.encodeWithSelector(IEvidence.HeaderNotPending.selector, oracle.hashHeader(made.header), pendingHash);
        _refusedToAsk(made, 0, DEPOSIT, refusal);
        vm.expectRevert(refusal);
        requests.voidUnanswered(made.header, Tree.Activity, 0);
        ActivityEvidence memory shown = activities(made, 0, 1);
        vm.expectRevert(refusal);
        requests.answerActivity(made.header, shown);
    }

    /* ANSWERING */

    function testFuzz_WhoAnswersGetsTheDeposit(uint256 seed, bool ofAccounts) public {
        (, Made memory made) = drawn(Dice(seed), 1);
        propose(made.header);
        uint48 ends = oracle.pending().challengeEndsAt;
        bytes32 headerHash = oracle.hashHeader(made.header);
        // Safe cast because trees are small.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint32 i = uint32(seed % (ofAccounts ? made.accounts.length : made.activities.length));
        _ask(made, ofAccounts ? Tree.Account : Tree.Activity, i);
        uint48 held = uint48(vm.getBlockTimestamp()) + ANSWER_TIME;
        if (ofAccounts) {
            AccountEvidence memory shown = accounts(made, i, 1);
            vm.expectEmit();
            emit ILeafRequests.AccountAnswered(headerHash, responder, i, shown, DEPOSIT, held);
            vm.prank(responder);
            requests.answerAccount(made.header, shown);
        } else {
            ActivityEvidence memory shown = activities(made, i, 1);
            vm.expectEmit();
            emit ILeafRequests.ActivityAnswered(headerHash, responder, i, shown, DEPOSIT, held);
            vm.prank(responder);
            requests.answerActivity(made.header, shown);
        }
        equal(responder.balance, DEPOSIT, "paid");
        equal(address(requests).balance, 0, "nothing kept");
        equal(requests.openRequests(headerHash, ends), 0, "open");
        equal(requests.heldUntil(headerHash, ends), ends, "the window is longer");
        vm.warp(ends);
        oracle.finalise(made.header);
    }

    /// @dev What is asked for of both trees in one call; what is not, or not any more, is passed over.
    function testFuzz_ManyAreShownAtOnce(uint8 asked, uint8 shownBefore) public {
        Made memory made = _pending(6);
        uint256 total;
        for (uint32 i; i < 6; ++i) {
            if ((asked >> i) & 1 == 0) continue;
            total += requests.requestPrice(requester);
            _ask(made, Tree.Activity, i);
        }
        bool withAccount = asked & 64 != 0;
        if (withAccount) {
            total += requests.requestPrice(requester);
            _ask(made, Tree.Account, 0);
        }
        uint256 left = (asked & 63) | (withAccount ? 64 : 0);
        // Somebody shows one of them first.
        uint32 first = shownBefore % 6;
        if ((left >> first) & 1 != 0) {
            _answer(made, first);
            left &= ~(uint256(1) << first);
        }
        ActivityEvidence[] memory acts = new ActivityEvidence[](6);
        for (uint256 i; i < 6; ++i) {
            acts[i] = activities(made, i, 1);
        }
        AccountEvidence[] memory holders = new AccountEvidence[](1);
        holders[0] = accounts(made, 0, 1);
        if (left == 0) vm.expectRevert(abi.encodeWithSelector(ILeafRequests.NoneRequested.selector));
        vm.prank(responder);
        uint256 shown = requests.answerMany(made.header, acts, holders);
        if (left == 0) return;
        uint256 count;
        for (uint256 i; i < 7; ++i) {
            if ((left >> i) & 1 != 0) ++count;
        }
        equal(shown, count, "shown");
        equal(responder.balance, total, "paid");
        equal(address(requests).balance, 0, "nothing kept");
        equal(requests.openRequests(oracle.hashHeader(made.header), oracle.pending().challengeEndsAt), 0, "open");
        equal(requests.requestPrice(requester), DEPOSIT, "the price is the first again");
    }

    /// @dev Every answer gives time to look at the leaf.
    function test_AnAnswerAfterTheWindowHoldsTheEpoch() public {
        Made memory made = _pending(3);
        uint256 ends = oracle.pending().challengeEndsAt;
        vm.warp(ends - 1);
        _ask(made, Tree.Activity, 1);
        vm.warp(ends);
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.EpochHeld.selector, type(uint256).max, ends));
        oracle.finalise(made.header);
        // Later than the time to answer: it counts until somebody voids.
        uint256 late = ends + 2 * ANSWER_TIME;
        vm.warp(late);
        _answer(made, 1);
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.EpochHeld.selector, late + ANSWER_TIME, late));
        oracle.finalise(made.header);
        vm.warp(late + ANSWER_TIME - 1);
        vm.expectRevert(
            abi.encodeWithSelector(IRateOracle.EpochHeld.selector, late + ANSWER_TIME, late + ANSWER_TIME - 1)
        );
        oracle.finalise(made.header);
        vm.warp(late + ANSWER_TIME);
        oracle.finalise(made.header);
    }

    function test_RevertWhen_NobodyAskedForTheLeaf() public {
        Made memory made = _pending(3);
        _ask(made, Tree.Activity, 1);
        bytes memory refusal = abi.encodeWithSelector(ILeafRequests.NotRequested.selector, Tree.Activity, 0);
        ActivityEvidence memory shown = activities(made, 0, 1);
        vm.expectRevert(refusal);
        requests.answerActivity(made.header, shown);
        vm.expectRevert(refusal);
        requests.voidUnanswered(made.header, Tree.Activity, 0);
        _answer(made, 1);
        shown = activities(made, 1, 1);
        vm.expectRevert(abi.encodeWithSelector(ILeafRequests.NotRequested.selector, Tree.Activity, 1));
        requests.answerActivity(made.header, shown);
    }

    function test_RevertWhen_TheAnswerIsNoLeafOfTheTree() public {
        Made memory made = _pending(5);
        _ask(made, Tree.Activity, 1);
        ActivityEvidence memory shown = activities(made, 0, 2);
        vm.expectRevert(abi.encodeWithSelector(IEvidence.NotNeighbours.selector, Tree.Activity, 2, 0));
        requests.answerActivity(made.header, shown);
        shown = activities(made, 1, 1);
        ++shown.leaves[0].value;
        vm.expectRevert(
            abi.encodeWithSelector(IEvidence.NotInTree.selector, Tree.Activity, 1, made.header.activityCount)
        );
        requests.answerActivity(made.header, shown);
    }

    /// @dev Else a request for the last leaf would never show that more stands behind it.
    function test_RevertWhen_SomethingHidesBehindTheLastLeaf() public {
        (, Made memory made) = _three(Dice(4));
        bytes32[][] memory levels = withHidden(activityHashes(made), keccak256("hidden"));
        made.header.activityRoot = rootOf(levels);
        propose(made.header);
        _ask(made, Tree.Activity, 2);
        ActivityEvidence memory shown = activities(made, 2, 1);
        shown.siblings = proofOf(levels, 2);
        vm.expectRevert(abi.encodeWithSelector(ILeafRequests.NotLastLeaf.selector, Tree.Activity, 2, 0));
        requests.answerActivity(made.header, shown);
        // So the epoch ends.
        vm.warp(vm.getBlockTimestamp() + ANSWER_TIME);
        requests.voidUnanswered(made.header, Tree.Activity, 2);
        equal(oracle.pending().epoch, 0, "void");
    }

    function test_RevertWhen_AnAnswerIsPaidTwiceInOne() public {
        Made memory made = _pending(3);
        _ask(made, Tree.Activity, 1);
        _ask(made, Tree.Activity, 2);
        bytes memory answer = abi.encodeCall(requests.answerActivity, (made.header, activities(made, 1, 1)));
        GreedyResponder greedy = new GreedyResponder(requests, answer);
        vm.expectRevert(abi.encodeWithSelector(ILeafRequests.NotRequested.selector, Tree.Activity, 1));
        greedy.respond();
        equal(address(greedy).balance, 0, "nothing paid");
        equal(address(requests).balance, DEPOSIT + 4 * DEPOSIT, "nothing lost");
    }

    /* VOIDING */

    function testFuzz_AWithheldLeafEndsTheEpoch(uint32 waited) public {
        Made memory made = _pending(3);
        bytes32 headerHash = oracle.hashHeader(made.header);
        uint48 ends = oracle.pending().challengeEndsAt;
        uint256 until = vm.getBlockTimestamp() + ANSWER_TIME;
        _ask(made, Tree.Activity, 1);
        vm.warp(until - 1 - waited % ANSWER_TIME);
        vm.expectRevert(abi.encodeWithSelector(ILeafRequests.AnswerTimeOpen.selector, until, vm.getBlockTimestamp()));
        requests.voidUnanswered(made.header, Tree.Activity, 1);

        vm.warp(until + waited);
        uint256 burnedBefore = address(0).balance;
        vm.expectEmit();
        emit ILeafRequests.LeafWithheld(made.header.epoch, headerHash, requester, Tree.Activity, 1);
        // Anybody may; the reward is the requester's.
        vm.prank(stranger);
        requests.voidUnanswered(made.header, Tree.Activity, 1);
        equal(oracle.withdrawableBond(requester), BOND / 2, "reward");
        equal(address(0).balance - burnedBefore, BOND - BOND / 2, "burned");
        equal(oracle.pending().epoch, 0, "void");

        uint256 had = requester.balance;
        vm.expectEmit();
        emit ILeafRequests.DepositReturned(headerHash, requester, Tree.Activity, 1, DEPOSIT);
        vm.prank(stranger);
        requests.reclaimDeposit(headerHash, ends, Tree.Activity, 1);
        equal(requester.balance - had, DEPOSIT, "deposit");
        equal(address(requests).balance, 0, "nothing kept");
        vm.expectRevert(abi.encodeWithSelector(ILeafRequests.NotRequested.selector, Tree.Activity, 1));
        requests.reclaimDeposit(headerHash, ends, Tree.Activity, 1);
    }

    function test_ARequesterThatTakesNoWeiStillEndsTheEpoch() public {
        Made memory made = _pending(3);
        bytes32 headerHash = oracle.hashHeader(made.header);
        uint48 ends = oracle.pending().challengeEndsAt;
        RejectingRequester rejecting = new RejectingRequester();
        vm.prank(requester);
        rejecting.ask{value: DEPOSIT}(requests, made.header, Tree.Account, 0);
        vm.warp(vm.getBlockTimestamp() + ANSWER_TIME);
        requests.voidUnanswered(made.header, Tree.Account, 0);
        equal(oracle.pending().epoch, 0, "void");
        equal(oracle.withdrawableBond(address(rejecting)), BOND / 2, "reward");
        vm.expectRevert(abi.encodeWithSelector(Errors.FailedCall.selector));
        requests.reclaimDeposit(headerHash, ends, Tree.Account, 0);
        equal(address(requests).balance, DEPOSIT, "its deposit waits");
    }

    /// @dev Nor does its deposit keep a leaf from being shown: that pays somebody else.
    function test_ARequesterThatTakesNoWeiIsAnswered() public {
        Made memory made = _pending(3);
        RejectingRequester rejecting = new RejectingRequester();
        vm.prank(requester);
        rejecting.ask{value: DEPOSIT}(requests, made.header, Tree.Activity, 0);
        _answer(made, 0);
        equal(responder.balance, DEPOSIT, "paid");
    }

    /* WHAT COMES BACK */

    /// @dev Voided for another fault, deposits of open requests come back, those of answered ones do not.
    function test_DepositsComeBackWhenTheEpochEndsOtherwise() public {
        (, Made memory made) = _three(Dice(4));
        --made.header.endMs;
        propose(made.header);
        bytes32 headerHash = oracle.hashHeader(made.header);
        uint48 ends = oracle.pending().challengeEndsAt;
        for (uint32 i; i < 3; ++i) {
            _ask(made, Tree.Activity, i);
        }
        _answer(made, 1);
        vm.expectRevert(abi.encodeWithSelector(ILeafRequests.ProposalStillPending.selector, headerHash));
        requests.reclaimDeposit(headerHash, ends, Tree.Activity, 0);
        (bool done,) = attempt(abi.encodeCall(challenge.proveLength, (SALT, made.header, headOf())));
        isTrue(done, "proved");
        uint256 had = requester.balance;
        requests.reclaimDeposit(headerHash, ends, Tree.Activity, 0);
        requests.reclaimDeposit(headerHash, ends, Tree.Activity, 2);
        equal(requester.balance - had, DEPOSIT + 9 * DEPOSIT, "deposits of open requests");
        vm.expectRevert(abi.encodeWithSelector(ILeafRequests.NotRequested.selector, Tree.Activity, 1));
        requests.reclaimDeposit(headerHash, ends, Tree.Activity, 1);
        equal(address(requests).balance, 0, "nothing kept");
    }

    /// @dev Proposed again later, the same header is another proposal: leaves are asked for anew, old deposits come back.
    function test_TheSameHeaderProposedLaterStartsAnew() public {
        Made memory made = _pending(3);
        bytes32 headerHash = oracle.hashHeader(made.header);
        uint48 ends = oracle.pending().challengeEndsAt;
        _ask(made, Tree.Activity, 0);
        _void(headerHash);
        vm.warp(vm.getBlockTimestamp() + 1);
        propose(made.header);
        equal(requests.requestPrice(requester), DEPOSIT, "nothing is open");
        _ask(made, Tree.Activity, 0);
        equal(address(requests).balance, 2 * DEPOSIT, "both deposits");
        requests.reclaimDeposit(headerHash, ends, Tree.Activity, 0);
        equal(address(requests).balance, DEPOSIT, "the old one came back");
        _answer(made, 0);
        equal(address(requests).balance, 0, "nothing kept");
    }

    /// @dev A proposer must not make its leaf unaskable by asking for it, voiding its own proposal, taking the deposit
    /// back and proposing the same header again, all in one second.
    function test_ALeafIsAskedForAgainAfterItsDepositCameBack() public {
        Made memory made = _pending(3);
        bytes32 headerHash = oracle.hashHeader(made.header);
        uint48 ends = oracle.pending().challengeEndsAt;
        _ask(made, Tree.Activity, 0);
        _ask(made, Tree.Activity, 1);
        _void(headerHash);
        requests.reclaimDeposit(headerHash, ends, Tree.Activity, 0);
        propose(made.header);
        equal(oracle.pending().challengeEndsAt, ends, "the same proposal again");
        equal(requests.openRequests(headerHash, ends), 1, "what is open stays open");
        _ask(made, Tree.Activity, 0);
        vm.warp(vm.getBlockTimestamp() + ANSWER_TIME);
        requests.voidUnanswered(made.header, Tree.Activity, 0);
        equal(oracle.pending().epoch, 0, "void");
    }

    /* SETTING UP */

    function test_RevertWhen_TimeOrDepositIsZero() public {
        vm.expectRevert(abi.encodeWithSelector(ILeafRequests.BadParameters.selector, 0, DEPOSIT));
        ship("LeafRequests", abi.encode(oracle, 0, DEPOSIT));
        vm.expectRevert(abi.encodeWithSelector(ILeafRequests.BadParameters.selector, ANSWER_TIME, 0));
        ship("LeafRequests", abi.encode(oracle, ANSWER_TIME, 0));
    }

    /// @dev A second pair of contracts, not the oracle's, cannot end anything.
    function test_RevertWhen_RequestsAreNotTheOracles() public {
        Made memory made = _pending(3);
        LeafRequests other = LeafRequests(ship("LeafRequests", abi.encode(oracle, ANSWER_TIME, DEPOSIT)));
        vm.prank(requester);
        other.requestLeaf{value: DEPOSIT}(made.header, Tree.Activity, 0);
        vm.warp(vm.getBlockTimestamp() + ANSWER_TIME);
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.NotChallenge.selector, address(other)));
        other.voidUnanswered(made.header, Tree.Activity, 0);
    }

    /* HELP */

    /// @dev Proposes an honest second epoch of at least so many activities.
    function _pending(uint256 least) private returns (Made memory made) {
        (, made) = drawn(Dice(7), least);
        propose(made.header);
    }

    /// @dev A second epoch of exactly three activities, not proposed yet.
    function _three(Dice memory dice) private returns (Made memory first, Made memory made) {
        (first, made) = drawn(dice, 3);
        EpochMaker.fill(made, drawActs(dice, made.header, 3), first.accounts, epochPolicy());
        seal(made);
    }

    function _ask(Made memory made, Tree tree, uint32 index) private {
        uint256 price = requests.requestPrice(requester);
        vm.prank(requester);
        requests.requestLeaf{value: price}(made.header, tree, index);
    }

    function _refusedToAsk(Made memory made, uint32 index, uint256 value, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(requester);
        requests.requestLeaf{value: value}(made.header, Tree.Activity, index);
    }

    /// @dev Shows an activity.
    function _answer(Made memory made, uint32 index) private {
        ActivityEvidence memory shown = activities(made, index, 1);
        vm.prank(responder);
        requests.answerActivity(made.header, shown);
    }

    function _void(bytes32 headerHash) private {
        vm.prank(governor);
        oracle.voidProposal(headerHash, address(0), "for another reason");
    }

    function _sumOfSquares(uint256 count) private pure returns (uint256) {
        return count * (count + 1) * (2 * count + 1) / 6;
    }
}
