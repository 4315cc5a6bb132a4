// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {AccountEvidence, ActivityEvidence, Tree} from "../interfaces/IEvidence.sol";
import {ILeafRequests, LeafRequest} from "../interfaces/ILeafRequests.sol";
import {EpochHeader, IRateOracle, Proposal} from "../interfaces/IRateOracle.sol";
import {AccountLeaf, ActivityLeaf} from "../libraries/EpochTree.sol";
import {Evidence} from "../libraries/Evidence.sol";

/// @title LeafRequests
contract LeafRequests is ILeafRequests {
    /// @dev What is asked of one proposal.
    struct Inquiry {
        uint32 open;
        /// Unix seconds; 0 before the first answer.
        uint48 heldUntil;
        mapping(address requester => uint256 open) openOf;
        mapping(Tree tree => mapping(uint32 index => LeafRequest request)) requests;
    }

    /// @dev What became of an answered request.
    struct Paid {
        bytes32 headerHash;
        uint256 deposit;
        uint48 heldUntil;
    }

    /// @inheritdoc ILeafRequests
    uint256 public constant MAX_OPEN_PER_REQUESTER = 16;

    /// @inheritdoc ILeafRequests
    IRateOracle public immutable oracle;

    /// @inheritdoc ILeafRequests
    uint48 public immutable answerTime;

    /// @inheritdoc ILeafRequests
    uint96 public immutable requestDeposit;

    /// @dev By `_proposalKey`.
    mapping(bytes32 proposal => Inquiry inquiry) private _inquiries;

    constructor(IRateOracle rateOracle, uint48 answerSeconds, uint96 deposit) {
        require(answerSeconds != 0 && deposit != 0, BadParameters(answerSeconds, deposit));
        oracle = rateOracle;
        answerTime = answerSeconds;
        requestDeposit = deposit;
    }

    /* ASKING AND ANSWERING */

    /// @inheritdoc ILeafRequests
    function requestLeaf(EpochHeader calldata header, Tree tree, uint32 index) external payable {
        (bytes32 headerHash, uint48 challengeEndsAt) = Evidence.pending(oracle, header);
        require(block.timestamp < challengeEndsAt, RequestsClosed(challengeEndsAt, block.timestamp));
        uint256 count = tree == Tree.Activity ? header.activityCount : header.accountCount;
        require(index < count, NoSuchLeaf(tree, index, count));
        Inquiry storage inquiry = _inquiries[_proposalKey(headerHash, challengeEndsAt)];
        uint256 open = inquiry.openOf[msg.sender];
        require(open < MAX_OPEN_PER_REQUESTER, TooManyRequests(open, MAX_OPEN_PER_REQUESTER));
        uint256 price = _price(open);
        require(msg.value == price, WrongDeposit(msg.value, price));
        LeafRequest storage request = inquiry.requests[tree][index];
        require(request.answerUntil == 0, AlreadyRequested(tree, index));

        uint48 answerUntil = uint48(block.timestamp) + answerTime;
        request.requester = msg.sender;
        // Safe unchecked cast because the value sent is wei somebody owned, and there are fewer than 2^96.
        // forge-lint: disable-next-line(unsafe-typecast)
        request.deposit = uint96(price);
        request.answerUntil = answerUntil;
        ++inquiry.open;
        inquiry.openOf[msg.sender] = open + 1;
        emit LeafRequested(headerHash, msg.sender, tree, index, price, answerUntil);
    }

    /// @inheritdoc ILeafRequests
    function answerActivity(EpochHeader calldata header, ActivityEvidence calldata activity) external {
        ActivityLeaf memory leaf = Evidence.activity(header, activity);
        Paid memory paid = _book(header, Tree.Activity, leaf.index, header.activityCount, activity.siblings);
        emit ActivityAnswered(paid.headerHash, msg.sender, leaf.index, activity, paid.deposit, paid.heldUntil);

        Address.sendValue(payable(msg.sender), paid.deposit);
    }

    /// @inheritdoc ILeafRequests
    function answerAccount(EpochHeader calldata header, AccountEvidence calldata account) external {
        AccountLeaf memory leaf = Evidence.account(header.accountRoot, header.accountCount, account);
        Paid memory paid = _book(header, Tree.Account, leaf.index, header.accountCount, account.siblings);
        emit AccountAnswered(paid.headerHash, msg.sender, leaf.index, account, paid.deposit, paid.heldUntil);

        Address.sendValue(payable(msg.sender), paid.deposit);
    }

    /// @inheritdoc ILeafRequests
    function answerMany(
        EpochHeader calldata header,
        ActivityEvidence[] calldata activities,
        AccountEvidence[] calldata accounts
    ) external returns (uint256 shown) {
        uint256 deposits;
        for (uint256 i; i < activities.length; ++i) {
            ActivityLeaf memory leaf = Evidence.activity(header, activities[i]);
            if (!_isAsked(header, Tree.Activity, leaf.index)) continue;
            Paid memory paid = _book(header, Tree.Activity, leaf.index, header.activityCount, activities[i].siblings);
            emit ActivityAnswered(paid.headerHash, msg.sender, leaf.index, activities[i], paid.deposit, paid.heldUntil);
            deposits += paid.deposit;
            ++shown;
        }
        for (uint256 i; i < accounts.length; ++i) {
            AccountLeaf memory leaf = Evidence.account(header.accountRoot, header.accountCount, accounts[i]);
            if (!_isAsked(header, Tree.Account, leaf.index)) continue;
            Paid memory paid = _book(header, Tree.Account, leaf.index, header.accountCount, accounts[i].siblings);
            emit AccountAnswered(paid.headerHash, msg.sender, leaf.index, accounts[i], paid.deposit, paid.heldUntil);
            deposits += paid.deposit;
            ++shown;
        }
        require(shown != 0, NoneRequested());

        Address.sendValue(payable(msg.sender), deposits);
    }

    /// @inheritdoc ILeafRequests
    function voidUnanswered(EpochHeader calldata header, Tree tree, uint32 index) external {
        (bytes32 headerHash, uint48 challengeEndsAt) = Evidence.pending(oracle, header);
        LeafRequest memory request = _inquiries[_proposalKey(headerHash, challengeEndsAt)].requests[tree][index];
        require(request.requester != address(0), NotRequested(tree, index));
        require(block.timestamp >= request.answerUntil, AnswerTimeOpen(request.answerUntil, block.timestamp));
        emit LeafWithheld(header.epoch, headerHash, request.requester, tree, index);
        oracle.voidByProof(headerHash, request.requester, "fault class 10: a leaf was withheld");
    }

    /// @inheritdoc ILeafRequests
    function reclaimDeposit(bytes32 headerHash, uint48 challengeEndsAt, Tree tree, uint32 index) external {
        Proposal memory pending = oracle.pending();
        require(
            pending.headerHash != headerHash || pending.challengeEndsAt != challengeEndsAt,
            ProposalStillPending(headerHash)
        );
        Inquiry storage inquiry = _inquiries[_proposalKey(headerHash, challengeEndsAt)];
        LeafRequest memory request = inquiry.requests[tree][index];
        address requester = request.requester;
        require(requester != address(0), NotRequested(tree, index));

        // Nothing stays behind: the same header proposed again within the second is this proposal again, and a leaf that was
        // not shown must not pass for one that was.
        delete inquiry.requests[tree][index];
        --inquiry.open;
        --inquiry.openOf[requester];
        emit DepositReturned(headerHash, requester, tree, index, request.deposit);

        Address.sendValue(payable(requester), request.deposit);
    }

    /* VIEWS */

    /// @inheritdoc ILeafRequests
    function requestPrice(address requester) external view returns (uint256) {
        Proposal memory pending = oracle.pending();
        return _price(_inquiries[_proposalKey(pending.headerHash, pending.challengeEndsAt)].openOf[requester]);
    }

    /// @inheritdoc ILeafRequests
    function heldUntil(bytes32 headerHash, uint48 challengeEndsAt) external view returns (uint256) {
        Inquiry storage inquiry = _inquiries[_proposalKey(headerHash, challengeEndsAt)];
        if (inquiry.open != 0) return type(uint256).max;
        return Math.max(challengeEndsAt, inquiry.heldUntil);
    }

    /// @inheritdoc ILeafRequests
    function openRequests(bytes32 headerHash, uint48 challengeEndsAt) external view returns (uint256) {
        return _inquiries[_proposalKey(headerHash, challengeEndsAt)].open;
    }

    /// @inheritdoc ILeafRequests
    function openRequestsOf(bytes32 headerHash, uint48 challengeEndsAt, address requester)
        external
        view
        returns (uint256)
    {
        return _inquiries[_proposalKey(headerHash, challengeEndsAt)].openOf[requester];
    }

    /// @inheritdoc ILeafRequests
    function requestOf(bytes32 headerHash, uint48 challengeEndsAt, Tree tree, uint32 index)
        external
        view
        returns (LeafRequest memory)
    {
        return _inquiries[_proposalKey(headerHash, challengeEndsAt)].requests[tree][index];
    }

    /* SHARED */

    /// @dev Whether a leaf of the pending header is being asked for.
    function _isAsked(EpochHeader calldata header, Tree tree, uint32 index) private view returns (bool) {
        (bytes32 headerHash, uint48 challengeEndsAt) = Evidence.pending(oracle, header);
        return _inquiries[_proposalKey(headerHash, challengeEndsAt)].requests[tree][index].requester != address(0);
    }

    /// @dev Books an answer: the request is over, the epoch held so that there is time to look at the leaf.
    function _book(EpochHeader calldata header, Tree tree, uint32 index, uint256 count, bytes32[] calldata siblings)
        private
        returns (Paid memory paid)
    {
        (bytes32 headerHash, uint48 challengeEndsAt) = Evidence.pending(oracle, header);
        Inquiry storage inquiry = _inquiries[_proposalKey(headerHash, challengeEndsAt)];
        LeafRequest storage request = inquiry.requests[tree][index];
        address requester = request.requester;
        require(requester != address(0), NotRequested(tree, index));
        if (uint256(index) + 1 == count) {
            (bool padded, uint256 level) = Evidence.paddedRight(index, siblings);
            require(padded, NotLastLeaf(tree, index, level));
        }

        paid = Paid(headerHash, request.deposit, uint48(block.timestamp) + answerTime);
        // The time stays: what was shown once need not be shown again.
        request.requester = address(0);
        request.deposit = 0;
        --inquiry.open;
        --inquiry.openOf[requester];
        inquiry.heldUntil = paid.heldUntil;
    }

    /// @dev Wei of a request to one who has so many open.
    function _price(uint256 open) private view returns (uint256) {
        return requestDeposit * (1 + open) ** 2;
    }

    /// @dev Tells a proposal from another of the same header, made after the first was voided.
    function _proposalKey(bytes32 headerHash, uint48 challengeEndsAt) private pure returns (bytes32) {
        return keccak256(abi.encode(headerHash, challengeEndsAt));
    }
}
