// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccountLeaf, ActivityLeaf} from "../libraries/EpochTree.sol";
import {Bracket, DomainPolicy, PolicyHead} from "../libraries/Policy.sol";
import {AccountEvidence, ActivityEvidence, IEvidence, Tree} from "./IEvidence.sol";
import {EpochHeader, IRateOracle} from "./IRateOracle.sol";

/// @notice One domain's rules and what ties them to a policy's hash.
/// @param head What the policy's hash is the hash of.
/// @param domainHashes Hashes of all its domains, in order.
/// @param domain The rules of the activity's domain; not looked at where the policy has no such domain.
struct DomainEvidence {
    PolicyHead head;
    bytes32[] domainHashes;
    DomainPolicy domain;
}

/// @title IEpochChallenge: ends an epoch that is wrong
/// @notice Whoever recomputes a proposed epoch and finds an arithmetic fault proves it here with the leaves concerned.
/// The contract computes what the rule says, and if the leaf differs, the proposal is void: part of the proposer's bond
/// goes to the challenger, the rest is burned. What to do about leaves nobody shows: `ILeafRequests`.
/// @dev Nobody is trusted and nobody has a role: what decides is the header's hash, which the `RateOracle` stores, and the
/// roots, counts and policy hash in it. A correct epoch can't be voided, because each function recomputes the same rule
/// the epoch was built by (libraries `Quality`, `Decay`, `Fairness`) and refuses what agrees (`NotAFault`). That is meant
/// for the proposal itself: an epoch built on a wrong, final predecessor is judged by what the predecessor says.
///
/// Fault classes: 1 value, 2 sums and positions, 3 order and duplicates, 4 settlement time, 5 account range and earned,
/// 6 standing and cumulative mint, 7 fairness, mint and its sum, 8 dropped or invented accounts, 9 totals and length.
///
/// Common to all `prove` functions. Requirements: the caller has committed to exactly this call in an earlier block
/// (`NotCommitted`, `CommittedInThisBlock`); the header is the pending one (`HeaderNotPending`); leaves stand side by side
/// under its roots, with as many siblings as the tree is deep (`NotInTree`, `NotNeighbours`); policy and previous header
/// are those the header names (`PolicyMismatch`, `PreviousHeaderMismatch`); and there is a fault (`NotAFault`). They work
/// until the epoch is final, also after the challenge window. Emits `FaultProved`. `salt` makes a commitment unguessable.
///
/// "Neighbours" are the leaf in question and the one before it, or the leaf alone if it is the first. A leaf that says
/// another index than its position can be shown only by `proveActivityPosition` and `proveAccountPosition`.
interface IEpochChallenge is IEvidence {
    /// @notice Somebody will prove something; what is not said yet.
    event Committed(bytes32 indexed commitment, address indexed sender);

    /// @notice A fault was proved and the proposal voided.
    /// @param faultClass 1 to 9, see above.
    /// @param index Index of the leaf in question; 0 where the header itself is.
    event FaultProved(
        uint32 indexed epoch,
        bytes32 indexed headerHash,
        address indexed challenger,
        uint8 faultClass,
        Tree tree,
        uint256 index
    );

    /// @notice Nothing is wrong with what was shown.
    error NotAFault(uint8 faultClass);

    /// @notice This call was not committed to by its sender.
    error NotCommitted(bytes32 commitment);

    /// @notice A commitment counts from the next block on.
    error CommittedInThisBlock(bytes32 commitment, uint256 blockNumber);

    /// @notice The commitment was made before.
    error AlreadyCommitted(bytes32 commitment, uint256 blockNumber);

    /// @notice The previous header is not the one the header names.
    error PreviousHeaderMismatch(bytes32 previousHeaderHash, bytes32 expected);

    /// @notice The policy, its brackets or its domains are not those the header names.
    error PolicyMismatch(bytes32 given, bytes32 expected);

    /* COMMITTING */

    /// @notice Announces a proof without showing it, so that nobody who sees the proof can be faster with it.
    /// @dev Requirements: not committed before (`AlreadyCommitted`). Emits `Committed`.
    /// @param commitment `commitmentOf(challenger, data)`, with the whole calldata of the later `prove` call as data.
    function commit(bytes32 commitment) external;

    /// @notice What a challenger commits to.
    /// @param challenger Who will send the proof.
    /// @param data Calldata of the `prove` call, selector and salt included.
    function commitmentOf(address challenger, bytes calldata data) external pure returns (bytes32);

    /// @notice Block in which a commitment was made; 0 if it was not, or has been used.
    function committedAt(bytes32 commitment) external view returns (uint256);

    /* FAULTS OF ACTIVITIES */

    /// @notice Class 1: an activity's value is not what the policy gives for its indicators and age, or the policy has no
    /// such domain.
    /// @dev An act later than the epoch's end has no age: that is class 4.
    function proveValue(
        bytes32 salt,
        EpochHeader calldata header,
        DomainEvidence calldata rules,
        ActivityEvidence calldata activity
    ) external;

    /// @notice Class 2: an activity's running sum is not the one before plus its value.
    /// @param activities Neighbours.
    function proveActivitySum(bytes32 salt, EpochHeader calldata header, ActivityEvidence calldata activities) external;

    /// @notice Class 2: a leaf stands where it should not: at a position that is not its index, beyond the activities the
    /// header counts, or it is the last one and there is something to its right.
    /// @param position Where the siblings say it stands.
    /// @param siblings Hashes from the leaf up.
    function proveActivityPosition(
        bytes32 salt,
        EpochHeader calldata header,
        ActivityLeaf calldata leaf,
        uint256 position,
        bytes32[] calldata siblings
    ) external;

    /// @notice Class 3: activities do not ascend by account, then record id.
    /// @param activities Two neighbours.
    function proveActivityOrder(bytes32 salt, EpochHeader calldata header, ActivityEvidence calldata activities)
        external;

    /// @notice Class 3: one record stands at two places.
    function proveDuplicate(
        bytes32 salt,
        EpochHeader calldata header,
        ActivityEvidence calldata one,
        ActivityEvidence calldata other
    ) external;

    /// @notice Class 4: an activity does not settle in the epoch: not `start < occurred + window <= end`.
    function proveSettlement(
        bytes32 salt,
        EpochHeader calldata header,
        DomainEvidence calldata rules,
        ActivityEvidence calldata activity
    ) external;

    /* FAULTS OF ACCOUNTS */

    /// @notice Class 2: running sum of earned or count of active accounts broken; class 7: running sum of mints broken.
    /// @param accounts Neighbours.
    function proveAccountSum(bytes32 salt, EpochHeader calldata header, AccountEvidence calldata accounts) external;

    /// @notice Class 2: as `proveActivityPosition`, in the account tree.
    function proveAccountPosition(
        bytes32 salt,
        EpochHeader calldata header,
        AccountLeaf calldata leaf,
        uint256 position,
        bytes32[] calldata siblings
    ) external;

    /// @notice Class 3: accounts do not ascend.
    /// @param accounts Two neighbours.
    function proveAccountOrder(bytes32 salt, EpochHeader calldata header, AccountEvidence calldata accounts) external;

    /// @notice Class 5: an activity of the account stands outside its range, or one of somebody else inside.
    /// @param accounts Neighbours.
    function proveRange(
        bytes32 salt,
        EpochHeader calldata header,
        AccountEvidence calldata accounts,
        ActivityEvidence calldata activity
    ) external;

    /// @notice Class 5: a range ends before it starts or beyond the activities, or the last one not at their end.
    /// @param accounts Neighbours.
    function proveRangeEnd(bytes32 salt, EpochHeader calldata header, AccountEvidence calldata accounts) external;

    /// @notice Class 5: earned is not the sum of the values in the account's range, or 0 where that is negative.
    /// @param accounts Neighbours; a range that is in order, else see `proveRangeEnd`.
    /// @param before The activity before the range; not looked at where the range starts at 0 or is empty.
    /// @param last The last activity of the range; not looked at where the range is empty.
    function proveEarned(
        bytes32 salt,
        EpochHeader calldata header,
        AccountEvidence calldata accounts,
        ActivityEvidence calldata before,
        ActivityEvidence calldata last
    ) external;

    /// @notice Class 6: standing or cumulative mint does not follow from the account's leaf in the epoch before.
    /// @param previousHeader Header of the epoch before; not looked at for the first epoch.
    /// @param head Of the policy, for its decay.
    /// @param account The account.
    /// @param previous Its leaf in the epoch before, or what proves that it had none.
    function proveStanding(
        bytes32 salt,
        EpochHeader calldata header,
        EpochHeader calldata previousHeader,
        PolicyHead calldata head,
        AccountEvidence calldata account,
        AccountEvidence calldata previous
    ) external;

    /// @notice Class 7: a mint is not what brackets, rate and pot give for what was earned.
    /// @dev By the header's totals; whether those are right is class 9.
    function proveMint(
        bytes32 salt,
        EpochHeader calldata header,
        PolicyHead calldata head,
        Bracket[] calldata brackets,
        AccountEvidence calldata account
    ) external;

    /// @notice Class 8: an account of the epoch before is missing.
    /// @param previous Its leaf in the epoch before.
    /// @param absence What proves that it has none in this one.
    function proveDropped(
        bytes32 salt,
        EpochHeader calldata header,
        EpochHeader calldata previousHeader,
        AccountEvidence calldata previous,
        AccountEvidence calldata absence
    ) external;

    /// @notice Class 8: an account has neither an activity in this epoch nor a leaf in the one before.
    /// @param accounts Neighbours.
    /// @param absence What proves that it had no leaf in the epoch before.
    function proveInvented(
        bytes32 salt,
        EpochHeader calldata header,
        EpochHeader calldata previousHeader,
        AccountEvidence calldata accounts,
        AccountEvidence calldata absence
    ) external;

    /* FAULTS OF THE HEADER */

    /// @notice Class 9: totals are not the running sums of the last account; or a tree without leaves has a root, one with
    /// leaves has none, or there are activities without accounts.
    /// @param last The last account; not looked at where the header counts none, or is wrong by itself.
    function proveTotals(bytes32 salt, EpochHeader calldata header, AccountEvidence calldata last) external;

    /// @notice Class 9: the epoch is not as long as its policy says.
    function proveLength(bytes32 salt, EpochHeader calldata header, PolicyHead calldata head) external;

    /* VIEWS */

    /// @notice Whose proposals are challenged.
    function oracle() external view returns (IRateOracle);
}
