// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";

import {DomainEvidence, IEpochChallenge} from "../interfaces/IEpochChallenge.sol";
import {AccountEvidence, ActivityEvidence, Tree} from "../interfaces/IEvidence.sol";
import {EpochHeader, IRateOracle} from "../interfaces/IRateOracle.sol";
import {Decay} from "../libraries/Decay.sol";
import {AccountLeaf, ActivityLeaf, EpochTree} from "../libraries/EpochTree.sol";
import {Evidence} from "../libraries/Evidence.sol";
import {Fairness} from "../libraries/Fairness.sol";
import {Header} from "../libraries/Header.sol";
import {Bracket, DomainPolicy, PolicyHash, PolicyHead} from "../libraries/Policy.sol";
import {Quality} from "../libraries/Quality.sol";

/// @title EpochChallenge
contract EpochChallenge is IEpochChallenge {
    uint8 private constant VALUE = 1;
    uint8 private constant SUM = 2;
    uint8 private constant ORDER = 3;
    uint8 private constant SETTLEMENT = 4;
    uint8 private constant RANGE = 5;
    uint8 private constant STANDING = 6;
    uint8 private constant MINT = 7;
    uint8 private constant EXISTENCE = 8;
    uint8 private constant TOTALS = 9;

    /// @inheritdoc IEpochChallenge
    IRateOracle public immutable oracle;

    /// @inheritdoc IEpochChallenge
    mapping(bytes32 commitment => uint256 blockNumber) public committedAt;

    constructor(IRateOracle rateOracle) {
        oracle = rateOracle;
    }

    /* COMMITTING */

    /// @inheritdoc IEpochChallenge
    function commit(bytes32 commitment) external {
        require(committedAt[commitment] == 0, AlreadyCommitted(commitment, committedAt[commitment]));

        committedAt[commitment] = block.number;
        emit Committed(commitment, msg.sender);
    }

    /// @inheritdoc IEpochChallenge
    function commitmentOf(address challenger, bytes calldata data) external pure returns (bytes32) {
        return _commitment(challenger, keccak256(data));
    }

    /* FAULTS OF ACTIVITIES */

    /// @inheritdoc IEpochChallenge
    function proveValue(
        bytes32,
        EpochHeader calldata header,
        DomainEvidence calldata rules,
        ActivityEvidence calldata activity
    ) external {
        bytes32 headerHash = _begin(header);
        ActivityLeaf memory leaf = Evidence.activity(header, activity);
        (bool known, DomainPolicy memory domain) = _domain(header, rules, leaf.domain);
        require(!known || leaf.occurredMs <= header.endMs, NotAFault(VALUE));
        _conclude(
            header,
            headerHash,
            VALUE,
            Tree.Activity,
            leaf.index,
            !known || leaf.value != _valueDown(leaf, domain, header.endMs, rules.head.decayK)
        );
    }

    /// @inheritdoc IEpochChallenge
    function proveActivitySum(bytes32, EpochHeader calldata header, ActivityEvidence calldata activities) external {
        bytes32 headerHash = _begin(header);
        (ActivityLeaf memory before, ActivityLeaf memory leaf) = Evidence.neighbourActivities(header, activities);
        bool broken = int256(before.running) + leaf.value != leaf.running;
        _conclude(header, headerHash, SUM, Tree.Activity, leaf.index, broken);
    }

    /// @inheritdoc IEpochChallenge
    function proveActivityPosition(
        bytes32,
        EpochHeader calldata header,
        ActivityLeaf calldata leaf,
        uint256 position,
        bytes32[] calldata siblings
    ) external {
        bytes32 headerHash = _begin(header);
        uint256 count = header.activityCount;
        bytes32 leafHash = EpochTree.hashActivity(leaf);
        bool stands = siblings.length == Evidence.depth(count)
            && EpochTree.verify(leafHash, position, siblings, header.activityRoot);
        require(stands, NotInTree(Tree.Activity, position, count));
        _conclude(
            header, headerHash, SUM, Tree.Activity, position, Evidence.misplaced(leaf.index, position, count, siblings)
        );
    }

    /// @inheritdoc IEpochChallenge
    function proveActivityOrder(bytes32, EpochHeader calldata header, ActivityEvidence calldata activities) external {
        bytes32 headerHash = _begin(header);
        require(activities.leaves.length == 2, NotNeighbours(Tree.Activity, activities.leaves.length, 0));
        (ActivityLeaf memory before, ActivityLeaf memory leaf) = Evidence.neighbourActivities(header, activities);
        bool ascends =
            before.account < leaf.account || (before.account == leaf.account && before.recordId < leaf.recordId);
        _conclude(header, headerHash, ORDER, Tree.Activity, leaf.index, !ascends);
    }

    /// @inheritdoc IEpochChallenge
    function proveDuplicate(
        bytes32,
        EpochHeader calldata header,
        ActivityEvidence calldata one,
        ActivityEvidence calldata other
    ) external {
        bytes32 headerHash = _begin(header);
        ActivityLeaf memory first = Evidence.activity(header, one);
        ActivityLeaf memory second = Evidence.activity(header, other);
        bool twice = first.recordId == second.recordId && first.index != second.index;
        _conclude(header, headerHash, ORDER, Tree.Activity, second.index, twice);
    }

    /// @inheritdoc IEpochChallenge
    function proveSettlement(
        bytes32,
        EpochHeader calldata header,
        DomainEvidence calldata rules,
        ActivityEvidence calldata activity
    ) external {
        bytes32 headerHash = _begin(header);
        ActivityLeaf memory leaf = Evidence.activity(header, activity);
        (bool known, DomainPolicy memory domain) = _domain(header, rules, leaf.domain);
        // Without a domain there is no window: that is class 1.
        require(known, NotAFault(SETTLEMENT));
        uint256 settledMs = uint256(leaf.occurredMs) + domain.windowMs;
        bool outside = settledMs <= header.startMs || settledMs > header.endMs;
        _conclude(header, headerHash, SETTLEMENT, Tree.Activity, leaf.index, outside);
    }

    /* FAULTS OF ACCOUNTS */

    /// @inheritdoc IEpochChallenge
    function proveAccountSum(bytes32, EpochHeader calldata header, AccountEvidence calldata accounts) external {
        bytes32 headerHash = _begin(header);
        (AccountLeaf memory before, AccountLeaf memory leaf) = Evidence.neighbourAccounts(header, accounts);
        bool earnedBroken = uint256(before.runningEarned) + leaf.earned != leaf.runningEarned
            || uint256(before.runningActive) + (leaf.earned > 0 ? 1 : 0) != leaf.runningActive;
        bool mintBroken = uint256(before.runningMint) + leaf.mint != leaf.runningMint;
        uint8 faultClass = earnedBroken ? SUM : MINT;
        _conclude(header, headerHash, faultClass, Tree.Account, leaf.index, earnedBroken || mintBroken);
    }

    /// @inheritdoc IEpochChallenge
    function proveAccountPosition(
        bytes32,
        EpochHeader calldata header,
        AccountLeaf calldata leaf,
        uint256 position,
        bytes32[] calldata siblings
    ) external {
        bytes32 headerHash = _begin(header);
        uint256 count = header.accountCount;
        bytes32 leafHash = EpochTree.hashAccount(leaf);
        bool stands = siblings.length == Evidence.depth(count)
            && EpochTree.verify(leafHash, position, siblings, header.accountRoot);
        require(stands, NotInTree(Tree.Account, position, count));
        _conclude(
            header, headerHash, SUM, Tree.Account, position, Evidence.misplaced(leaf.index, position, count, siblings)
        );
    }

    /// @inheritdoc IEpochChallenge
    function proveAccountOrder(bytes32, EpochHeader calldata header, AccountEvidence calldata accounts) external {
        bytes32 headerHash = _begin(header);
        require(accounts.leaves.length == 2, NotNeighbours(Tree.Account, accounts.leaves.length, 0));
        (AccountLeaf memory before, AccountLeaf memory leaf) = Evidence.neighbourAccounts(header, accounts);
        _conclude(header, headerHash, ORDER, Tree.Account, leaf.index, before.account >= leaf.account);
    }

    /// @inheritdoc IEpochChallenge
    function proveRange(
        bytes32,
        EpochHeader calldata header,
        AccountEvidence calldata accounts,
        ActivityEvidence calldata activity
    ) external {
        bytes32 headerHash = _begin(header);
        (AccountLeaf memory before, AccountLeaf memory leaf) = Evidence.neighbourAccounts(header, accounts);
        ActivityLeaf memory act = Evidence.activity(header, activity);
        bool inside = before.activityEnd <= act.index && act.index < leaf.activityEnd;
        _conclude(header, headerHash, RANGE, Tree.Account, leaf.index, inside != (act.account == leaf.account));
    }

    /// @inheritdoc IEpochChallenge
    function proveRangeEnd(bytes32, EpochHeader calldata header, AccountEvidence calldata accounts) external {
        bytes32 headerHash = _begin(header);
        (AccountLeaf memory before, AccountLeaf memory leaf) = Evidence.neighbourAccounts(header, accounts);
        bool isLast = uint256(leaf.index) + 1 == header.accountCount;
        bool broken = leaf.activityEnd < before.activityEnd || leaf.activityEnd > header.activityCount
            || (isLast && leaf.activityEnd != header.activityCount);
        _conclude(header, headerHash, RANGE, Tree.Account, leaf.index, broken);
    }

    /// @inheritdoc IEpochChallenge
    function proveEarned(
        bytes32,
        EpochHeader calldata header,
        AccountEvidence calldata accounts,
        ActivityEvidence calldata before,
        ActivityEvidence calldata last
    ) external {
        bytes32 headerHash = _begin(header);
        (AccountLeaf memory previous, AccountLeaf memory leaf) = Evidence.neighbourAccounts(header, accounts);
        int256 sum;
        uint256 start = previous.activityEnd;
        uint256 end = leaf.activityEnd;
        if (start < end) {
            sum = _runningAt(header, last, end - 1);
            if (start != 0) sum -= _runningAt(header, before, start - 1);
        }
        // Safe cast because it is not negative.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint256 earned = sum > 0 ? uint256(sum) : 0;
        _conclude(header, headerHash, RANGE, Tree.Account, leaf.index, leaf.earned != earned);
    }

    /// @inheritdoc IEpochChallenge
    function proveStanding(
        bytes32,
        EpochHeader calldata header,
        EpochHeader calldata previousHeader,
        PolicyHead calldata head,
        AccountEvidence calldata account,
        AccountEvidence calldata previous
    ) external {
        bytes32 headerHash = _begin(header);
        _requireHead(header, head);
        AccountLeaf memory leaf = Evidence.account(header.accountRoot, header.accountCount, account);
        // What an account without a leaf in the epoch before had is nothing: an empty leaf.
        (, AccountLeaf memory had) = _previously(header, previousHeader, previous, leaf.account);
        uint256 kept = had.standing * Decay.weightDown(header.endMs - header.startMs, head.decayK) >> 31;
        bool broken =
            kept + leaf.earned != leaf.standing || uint256(had.cumulativeMint) + leaf.mint != leaf.cumulativeMint;
        _conclude(header, headerHash, STANDING, Tree.Account, leaf.index, broken);
    }

    /// @inheritdoc IEpochChallenge
    function proveMint(
        bytes32,
        EpochHeader calldata header,
        PolicyHead calldata head,
        Bracket[] calldata brackets,
        AccountEvidence calldata account
    ) external {
        bytes32 headerHash = _begin(header);
        _requireHead(header, head);
        _requireSame(PolicyHash.hashBrackets(brackets), head.bracketsHash);
        AccountLeaf memory leaf = Evidence.account(header.accountRoot, header.accountCount, account);
        uint256 mean = Fairness.meanDown(header.totalEarned, header.activeCount);
        uint256 counted = Fairness.phiDown(leaf.earned, mean, brackets);
        uint256 mint = Fairness.mintDown(counted, header.rateQ24, leaf.earned, header.pot, header.totalEarned);
        _conclude(header, headerHash, MINT, Tree.Account, leaf.index, leaf.mint != mint);
    }

    /// @inheritdoc IEpochChallenge
    function proveDropped(
        bytes32,
        EpochHeader calldata header,
        EpochHeader calldata previousHeader,
        AccountEvidence calldata previous,
        AccountEvidence calldata absence
    ) external {
        bytes32 headerHash = _begin(header);
        _requirePrevious(header, previousHeader);
        AccountLeaf memory had = Evidence.account(previousHeader.accountRoot, previousHeader.accountCount, previous);
        (bool present,) = Evidence.find(header.accountRoot, header.accountCount, absence, had.account);
        _conclude(header, headerHash, EXISTENCE, Tree.Account, had.index, !present);
    }

    /// @inheritdoc IEpochChallenge
    function proveInvented(
        bytes32,
        EpochHeader calldata header,
        EpochHeader calldata previousHeader,
        AccountEvidence calldata accounts,
        AccountEvidence calldata absence
    ) external {
        bytes32 headerHash = _begin(header);
        (AccountLeaf memory before, AccountLeaf memory leaf) = Evidence.neighbourAccounts(header, accounts);
        (bool present,) = _previously(header, previousHeader, absence, leaf.account);
        bool invented = !present && before.activityEnd == leaf.activityEnd;
        _conclude(header, headerHash, EXISTENCE, Tree.Account, leaf.index, invented);
    }

    /* FAULTS OF THE HEADER */

    /// @inheritdoc IEpochChallenge
    function proveTotals(bytes32, EpochHeader calldata header, AccountEvidence calldata last) external {
        bytes32 headerHash = _begin(header);
        bool noActivities = header.activityCount == 0;
        bool noAccounts = header.accountCount == 0;
        bool broken = noActivities != (header.activityRoot == 0) || noAccounts != (header.accountRoot == 0)
            || (noAccounts && !noActivities);
        if (!broken) {
            // Without accounts the totals are those of an empty leaf.
            AccountLeaf memory leaf;
            if (!noAccounts) {
                leaf = Evidence.account(header.accountRoot, header.accountCount, last);
                require(uint256(leaf.index) + 1 == header.accountCount, NotAFault(TOTALS));
            }
            broken = leaf.runningEarned != header.totalEarned || leaf.runningActive != header.activeCount
                || leaf.runningMint != header.totalMint;
        }
        _conclude(header, headerHash, TOTALS, Tree.Account, 0, broken);
    }

    /// @inheritdoc IEpochChallenge
    function proveLength(bytes32, EpochHeader calldata header, PolicyHead calldata head) external {
        bytes32 headerHash = _begin(header);
        _requireHead(header, head);
        bool broken = head.epochMs != 0 && header.endMs - header.startMs != head.epochMs;
        _conclude(header, headerHash, TOTALS, Tree.Activity, 0, broken);
    }

    /* BEGIN AND END OF A PROOF */

    /// @dev The caller has committed to this very call before, and the header is the pending one.
    function _begin(EpochHeader calldata header) private returns (bytes32 headerHash) {
        bytes32 commitment = _commitment(msg.sender, keccak256(msg.data));
        uint256 blockNumber = committedAt[commitment];
        require(blockNumber != 0, NotCommitted(commitment));
        require(blockNumber < block.number, CommittedInThisBlock(commitment, blockNumber));
        delete committedAt[commitment];
        (headerHash,) = Evidence.pending(oracle, header);
    }

    /// @dev Voids the proposal if there is a fault.
    function _conclude(
        EpochHeader calldata header,
        bytes32 headerHash,
        uint8 faultClass,
        Tree tree,
        uint256 index,
        bool isFault
    ) private {
        require(isFault, NotAFault(faultClass));
        _void(header, headerHash, msg.sender, faultClass, tree, index);
    }

    function _void(
        EpochHeader calldata header,
        bytes32 headerHash,
        address challenger,
        uint8 faultClass,
        Tree tree,
        uint256 index
    ) private {
        emit FaultProved(header.epoch, headerHash, challenger, faultClass, tree, index);
        oracle.voidByProof(
            headerHash, challenger, string.concat("fault class ", Strings.toString(faultClass), ": proved")
        );
    }

    /* WHAT A HEADER NAMES */

    function _requirePrevious(EpochHeader calldata header, EpochHeader calldata previousHeader) private pure {
        bytes32 given = Header.hash(previousHeader);
        require(given == header.previousHeaderHash, PreviousHeaderMismatch(given, header.previousHeaderHash));
    }

    function _requireHead(EpochHeader calldata header, PolicyHead calldata head) private pure {
        _requireSame(PolicyHash.hashHead(head), header.policyHash);
    }

    function _requireSame(bytes32 given, bytes32 expected) private pure {
        require(given == expected, PolicyMismatch(given, expected));
    }

    /// @dev The rules of a domain, if the policy has it.
    function _domain(EpochHeader calldata header, DomainEvidence calldata rules, uint256 index)
        private
        pure
        returns (bool known, DomainPolicy memory domain)
    {
        _requireHead(header, rules.head);
        _requireSame(PolicyHash.hashDomains(rules.domainHashes), rules.head.domainsHash);
        known = index < rules.domainHashes.length;
        if (known) {
            domain = rules.domain;
            _requireSame(PolicyHash.hashDomain(domain), rules.domainHashes[index]);
        }
    }

    /// @dev The account's leaf in the epoch before, if it had one.
    function _previously(
        EpochHeader calldata header,
        EpochHeader calldata previousHeader,
        AccountEvidence calldata evidence,
        address account
    ) private pure returns (bool present, AccountLeaf memory leaf) {
        // Before the first epoch there were no accounts.
        if (header.previousHeaderHash == 0) return (false, leaf);
        _requirePrevious(header, previousHeader);
        return Evidence.find(previousHeader.accountRoot, previousHeader.accountCount, evidence, account);
    }

    /// @dev The running sum of the activity at an index.
    function _runningAt(EpochHeader calldata header, ActivityEvidence calldata evidence, uint256 index)
        private
        pure
        returns (int256)
    {
        ActivityLeaf memory leaf = Evidence.activity(header, evidence);
        require(leaf.index == index, NotNeighbours(Tree.Activity, 1, leaf.index));
        return leaf.running;
    }

    /* ARITHMETIC */

    /// @dev Value of an act by its domain's rules; the act is not later than the end.
    function _valueDown(ActivityLeaf memory leaf, DomainPolicy memory domain, uint48 endMs, uint64 decayK)
        private
        pure
        returns (int256)
    {
        uint256 quality = Quality.qualityDown(
            Quality.rankDown(domain.interaction, leaf.interactionMilli),
            Quality.rankDown(domain.originality, leaf.originalityMilli),
            Quality.rankDown(domain.engagement, leaf.engagementMilli)
        );
        int256 effective =
            Quality.incentiveTowardZero(quality, domain.low, domain.high, domain.bonusMilli, domain.penaltyMilli);
        return Quality.valueDown(effective, Decay.weightDown(endMs - leaf.occurredMs, decayK));
    }

    function _commitment(address challenger, bytes32 dataHash) private pure returns (bytes32) {
        return keccak256(abi.encode(challenger, dataHash));
    }
}
