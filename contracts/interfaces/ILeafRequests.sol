// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccountEvidence, ActivityEvidence, IEvidence, Tree} from "./IEvidence.sol";
import {EpochHeader, IRateOracle} from "./IRateOracle.sol";

/// @notice A request that a leaf be shown.
/// @param requester Who asked, and gets the reward if nobody answers.
/// @param deposit Wei; goes to whoever answers, back to the requester otherwise.
/// @param answerUntil Unix seconds until which an answer counts; from then on the epoch can be voided.
struct LeafRequest {
    address requester;
    uint96 deposit;
    uint48 answerUntil;
}

/// @title ILeafRequests: ends an epoch whose data is withheld
/// @notice Who cannot get a leaf of a proposed epoch asks for it here, for a deposit. Anybody who has it shows it on
/// chain and gets the deposit; if nobody does in time, the proposal is void: part of the proposer's bond goes to who asked,
/// the rest is burned (fault class 10).
/// @dev An answer shows the leaf and the siblings up to the root. Whose own tree differs can tell from the siblings in
/// which half, and asks there next: as many rounds as the tree is deep lead to the leaf that differs, to be proved
/// wrong in `EpochChallenge`. No epoch becomes final while a request is open, nor within `answerTime` after an answer.
interface ILeafRequests is IEvidence {
    /// @notice A leaf was asked for.
    event LeafRequested(
        bytes32 indexed headerHash,
        address indexed requester,
        Tree indexed tree,
        uint32 index,
        uint256 deposit,
        uint48 answerUntil
    );

    /// @notice An activity that had been asked for was shown. The event carries it whole: whoever asked can read it also if
    /// it was shown through another contract.
    /// @param heldUntil Unix seconds until which the epoch cannot become final.
    event ActivityAnswered(
        bytes32 indexed headerHash,
        address indexed responder,
        uint32 indexed index,
        ActivityEvidence activity,
        uint256 deposit,
        uint48 heldUntil
    );

    /// @notice An account that had been asked for was shown; otherwise as `ActivityAnswered`.
    event AccountAnswered(
        bytes32 indexed headerHash,
        address indexed responder,
        uint32 indexed index,
        AccountEvidence account,
        uint256 deposit,
        uint48 heldUntil
    );

    /// @notice A deposit was given back, because the proposal was voided.
    event DepositReturned(
        bytes32 indexed headerHash, address indexed requester, Tree indexed tree, uint32 index, uint256 deposit
    );

    /// @notice A leaf was not shown in time, and the proposal voided for it.
    event LeafWithheld(
        uint32 indexed epoch, bytes32 indexed headerHash, address indexed challenger, Tree tree, uint32 index
    );

    /// @notice Leaves can be asked for only while the challenge window is open. Unix seconds.
    error RequestsClosed(uint48 challengeEndsAt, uint256 current);

    /// @notice The tree has no leaf of this index.
    error NoSuchLeaf(Tree tree, uint256 index, uint256 count);

    /// @notice This leaf is being asked for already, or has been shown.
    error AlreadyRequested(Tree tree, uint256 index);

    /// @notice The requester has as many requests open as it can have.
    error TooManyRequests(uint256 open, uint256 max);

    /// @notice The value sent is not the price of a request to this requester. Wei.
    error WrongDeposit(uint256 sent, uint256 price);

    /// @notice This leaf is not being asked for.
    error NotRequested(Tree tree, uint256 index);

    /// @notice None of these leaves is being asked for.
    error NoneRequested();

    /// @notice The last leaf must be shown with nothing but padding to its right.
    error NotLastLeaf(Tree tree, uint256 index, uint256 level);

    /// @notice There is time left to answer. Unix seconds.
    error AnswerTimeOpen(uint48 answerUntil, uint256 current);

    /// @notice The proposal is pending: its requests are answered, or it is voided for them.
    error ProposalStillPending(bytes32 headerHash);

    /// @notice No answer time, or no deposit.
    error BadParameters(uint48 answerTime, uint96 requestDeposit);

    /* ASKING AND ANSWERING */

    /// @notice Asks that a leaf of the pending epoch be shown on chain.
    /// @dev Requirements: the header is pending (`HeaderNotPending`), its challenge window open (`RequestsClosed`), the
    /// leaf counted (`NoSuchLeaf`) and not asked for before (`AlreadyRequested`), fewer than `MAX_OPEN_PER_REQUESTER` of the
    /// caller's open (`TooManyRequests`), and the value is the caller's `requestPrice` (`WrongDeposit`). Emits
    /// `LeafRequested`. Price and cap are the requester's own: whatever others ask, nobody is priced or crowded out. Who asks
    /// under many names pays the deposit for each leaf to whoever shows it (`answerMany`), who is never out of pocket. No epoch becomes
    /// final while a request is open, nor within `answerTime` after an answer: together at most twice that beyond the window.
    function requestLeaf(EpochHeader calldata header, Tree tree, uint32 index) external payable;

    /// @notice Shows an activity that was asked for; anybody may, and gets the deposit.
    /// @dev Requirements: the header is pending (`HeaderNotPending`), the leaf asked for (`NotRequested`), it alone is
    /// shown (`NotNeighbours`) and stands in the tree (`NotInTree`); the last leaf with nothing but padding to its right
    /// (`NotLastLeaf`). Counts until the epoch is voided, also after the answer time. Emits `ActivityAnswered`.
    function answerActivity(EpochHeader calldata header, ActivityEvidence calldata activity) external;

    /// @notice Shows an account that was asked for; otherwise as `answerActivity`. Emits `AccountAnswered`.
    function answerAccount(EpochHeader calldata header, AccountEvidence calldata account) external;

    /// @notice Shows many leaves at once; anybody may, and gets the deposits of those that were asked for.
    /// @dev As `answerActivity` and `answerAccount`, but what is not asked for, or not any more, is passed over: nobody can
    /// spoil an answer by giving a part of it first. Requirements: one at least is asked for (`NoneRequested`). An answer
    /// takes less gas than its request: who floods a proposal with requests, under however many names, needs more of every
    /// block than who answers, and pays the deposits besides.
    /// @return shown How many were asked for.
    function answerMany(
        EpochHeader calldata header,
        ActivityEvidence[] calldata activities,
        AccountEvidence[] calldata accounts
    ) external returns (uint256 shown);

    /// @notice Class 10: voids the pending epoch because a leaf that was asked for was not shown in time. Anybody may; the
    /// challenger's part goes to who asked.
    /// @dev Requirements: the header is pending (`HeaderNotPending`), the leaf asked for (`NotRequested`), the time to
    /// answer over (`AnswerTimeOpen`). Emits `LeafWithheld`. The deposit waits for `reclaimDeposit`: a requester that
    /// refuses it must not keep the epoch from being voided.
    function voidUnanswered(EpochHeader calldata header, Tree tree, uint32 index) external;

    /// @notice Gives a deposit back to who asked, because the proposal was voided.
    /// @dev Requirements: asked for (`NotRequested`), the proposal not pending any more (`ProposalStillPending`).
    /// Emits `DepositReturned`.
    /// @param challengeEndsAt End of the proposal's challenge window, which tells it from another of the same header.
    function reclaimDeposit(bytes32 headerHash, uint48 challengeEndsAt, Tree tree, uint32 index) external;

    /* VIEWS */

    /// @notice Wei the next request for a leaf of the pending proposal costs a requester with `open` of its own open:
    /// `requestDeposit * (1 + open)^2`.
    function requestPrice(address requester) external view returns (uint256);

    /// @notice Unix seconds from which a proposal can become final; the largest number while a leaf is asked for.
    function heldUntil(bytes32 headerHash, uint48 challengeEndsAt) external view returns (uint256);

    /// @notice Requests of a proposal that are neither answered nor given back.
    function openRequests(bytes32 headerHash, uint48 challengeEndsAt) external view returns (uint256);

    /// @notice Those of them that are a requester's.
    function openRequestsOf(bytes32 headerHash, uint48 challengeEndsAt, address requester)
        external
        view
        returns (uint256);

    /// @notice A request; all zero when there is none.
    function requestOf(bytes32 headerHash, uint48 challengeEndsAt, Tree tree, uint32 index)
        external
        view
        returns (LeafRequest memory);

    /// @notice Requests of one requester that can be open at once.
    function MAX_OPEN_PER_REQUESTER() external view returns (uint256);

    /// @notice Seconds to answer a request, and from an answer on to prove what it shows wrong. Fixed at creation.
    function answerTime() external view returns (uint48);

    /// @notice Wei a requester's first open request costs. Fixed at creation.
    function requestDeposit() external view returns (uint96);

    /// @notice Whose proposals are challenged.
    function oracle() external view returns (IRateOracle);
}
