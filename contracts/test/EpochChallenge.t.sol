// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

import {DomainEvidence, IEpochChallenge} from "../interfaces/IEpochChallenge.sol";
import {AccountEvidence, ActivityEvidence, IEvidence, Tree} from "../interfaces/IEvidence.sol";
import {EpochHeader, IRateOracle} from "../interfaces/IRateOracle.sol";
import {AccountLeaf, ActivityLeaf} from "../libraries/EpochTree.sol";
import {PolicyHead} from "../libraries/Policy.sol";
import {ChallengeSystem, Dice} from "./ChallengeSystem.sol";
import {Act, EpochMaker, Made} from "./EpochMaker.sol";

/// @title EpochChallengeTest: a wrong epoch ends, whatever is wrong with it, and a right one never
/// @dev Epochs are drawn from the fuzzed seed, two in a row, and made by the rules themselves; see `EpochMaker`.
/// forge-config: default.fuzz.runs = 128
contract EpochChallengeTest is ChallengeSystem {
    function setUp() public {
        deployChallenge();
    }

    /* HONEST EPOCHS */

    /// @dev Everything that can be shown of an honest epoch, to every function: each says that it is not a fault.
    /// forge-config: default.fuzz.runs = 48
    function testFuzz_HonestEpochHasNoFault(uint256 seed) public {
        Dice memory dice = Dice(seed);
        (Made memory first, Made memory made) = drawn(dice, 0);
        propose(made.header);
        for (uint256 i; i < made.activities.length; ++i) {
            _honestActivity(made, i, throwDice(dice, 0, made.activities.length - 1));
        }
        for (uint256 i; i < made.accounts.length; ++i) {
            _honestAccount(dice, first, made, i);
        }
        EpochHeader memory h = made.header;
        for (uint256 i; i < first.accounts.length; ++i) {
            AccountEvidence memory absence = membership(made, first.accounts[i].account);
            _notAFault(
                abi.encodeCall(challenge.proveDropped, (SALT, h, first.header, accounts(first, i, 1), absence)), 8
            );
        }
        uint256 count = made.accounts.length;
        AccountEvidence memory last;
        if (count != 0) last = accounts(made, count - 1, 1);
        _notAFault(abi.encodeCall(challenge.proveTotals, (SALT, h, last)), 9);
        _notAFault(abi.encodeCall(challenge.proveLength, (SALT, h, headOf())), 9);
        vm.warp(vm.getBlockTimestamp() + WINDOW);
        oracle.finalise(h);
    }

    /// @dev The same for an epoch that follows none.
    /// forge-config: default.fuzz.runs = 48
    function testFuzz_HonestFirstEpochHasNoFault(uint256 seed) public {
        Dice memory dice = Dice(seed);
        Made memory made;
        made.header = frame(0);
        Act[] memory acts = drawActs(dice, made.header, throwDice(dice, 0, 6));
        EpochMaker.fill(made, acts, new AccountLeaf[](0), epochPolicy());
        seal(made);
        propose(made.header);
        Made memory none;
        for (uint256 i; i < made.accounts.length; ++i) {
            _honestAccount(dice, none, made, i);
        }
        equal(oracle.pending().epoch, 1, "pending");
    }

    /// @dev Sound evidence with one byte changed, of an honest epoch: refused, whatever the byte meant.
    function testFuzz_HonestEpochSurvivesGarbledEvidence(uint256 seed, uint8 which, uint256 at, uint8 flip) public {
        if (flip == 0) flip = 1;
        Dice memory dice = Dice(seed);
        (Made memory first, Made memory made) = drawn(dice, 1);
        propose(made.header);
        bytes memory data = _anyCall(dice, first, made, which);
        at %= data.length;
        data[at] = bytes1(uint8(data[at]) ^ flip);
        (bool done,) = attempt(data);
        isTrue(!done, "refused");
        equal(oracle.pending().epoch, 2, "pending");
    }

    /// @dev Two leaves shown as neighbours, a leaf of the other epoch, siblings of another leaf: refused.
    function testFuzz_HonestEpochSurvivesEvidencePutTogetherWrongly(uint256 seed) public {
        Dice memory dice = Dice(seed);
        (Made memory first, Made memory made) = drawn(dice, 3);
        propose(made.header);
        uint256 count = made.activities.length;
        uint256 a = throwDice(dice, 0, count - 1);
        uint256 b = throwDice(dice, 0, count - 1);
        ActivityEvidence memory mixed = activityNeighbours(made, a);
        mixed.leaves[mixed.leaves.length - 1] = made.activities[b];
        (bool done,) = attempt(abi.encodeCall(challenge.proveActivitySum, (SALT, made.header, mixed)));
        isTrue(!done, "another leaf");
        mixed.siblings = activityNeighbours(made, b).siblings;
        (done,) = attempt(abi.encodeCall(challenge.proveActivityOrder, (SALT, made.header, mixed)));
        isTrue(!done, "another leaf's siblings");
        if (first.accounts.length != 0) {
            a = throwDice(dice, 0, first.accounts.length - 1);
            (done,) =
                attempt(abi.encodeCall(challenge.proveAccountSum, (SALT, made.header, accountNeighbours(first, a))));
            isTrue(!done || _sameTree(first, made), "another epoch");
        }
    }

    /* CLASS 1: VALUE */

    function testFuzz_ProvesAWrongValue(uint256 seed, int32 delta) public {
        if (delta == 0) delta = 1;
        (, Made memory made) = drawn(Dice(seed), 1);
        uint256 i = seed % made.activities.length;
        made.activities[i].value += delta;
        seal(made);
        _proves(
            made,
            abi.encodeCall(
                challenge.proveValue, (SALT, made.header, rulesOf(made.activities[i].domain), activities(made, i, 1))
            ),
            1,
            Tree.Activity,
            i
        );
    }

    function testFuzz_ProvesAnUnknownDomain(uint256 seed, uint16 domain) public {
        if (domain < 2) domain += 2;
        (, Made memory made) = drawn(Dice(seed), 1);
        uint256 i = seed % made.activities.length;
        made.activities[i].domain = domain;
        seal(made);
        bytes memory data =
            abi.encodeCall(challenge.proveValue, (SALT, made.header, rulesOf(domain), activities(made, i, 1)));
        _proves(made, data, 1, Tree.Activity, i);
    }

    /* CLASS 2: SUMS AND POSITIONS */

    function testFuzz_ProvesAWrongRunningValue(uint256 seed, int32 delta) public {
        if (delta == 0) delta = 1;
        (, Made memory made) = drawn(Dice(seed), 1);
        uint256 i = seed % made.activities.length;
        made.activities[i].running += delta;
        seal(made);
        bytes memory data = abi.encodeCall(challenge.proveActivitySum, (SALT, made.header, activityNeighbours(made, i)));
        _proves(made, data, 2, Tree.Activity, i);
    }

    function testFuzz_ProvesAWrongRunningSumOfAccounts(uint256 seed, uint32 delta, uint8 which) public {
        if (delta == 0) delta = 1;
        (, Made memory made) = drawn(Dice(seed), 1);
        uint256 i = seed % made.accounts.length;
        if (which % 3 == 0) made.accounts[i].runningEarned += delta;
        else if (which % 3 == 1) made.accounts[i].runningActive += delta % 1_000 + 1;
        else made.accounts[i].runningMint += delta;
        seal(made);
        bytes memory data = abi.encodeCall(challenge.proveAccountSum, (SALT, made.header, accountNeighbours(made, i)));
        _proves(made, data, which % 3 == 2 ? 7 : 2, Tree.Account, i);
    }

    function testFuzz_ProvesALeafWithAnotherIndex(uint256 seed, uint32 index, bool ofAccounts) public {
        (, Made memory made) = drawn(Dice(seed), 1);
        uint256 i = seed % (ofAccounts ? made.accounts.length : made.activities.length);
        if (index == i) ++index;
        if (ofAccounts) made.accounts[i].index = index;
        else made.activities[i].index = index;
        seal(made);
        bytes memory data = ofAccounts
            ? abi.encodeCall(
                challenge.proveAccountPosition, (SALT, made.header, made.accounts[i], i, accountProof(made, i))
            )
            : abi.encodeCall(
                challenge.proveActivityPosition, (SALT, made.header, made.activities[i], i, activityProof(made, i))
            );
        _proves(made, data, 2, ofAccounts ? Tree.Account : Tree.Activity, i);
    }

    /// @dev Shown by the hidden leaf itself, or by the last one that is counted.
    function testFuzz_ProvesALeafHiddenInThePadding(uint256 seed, bool ofAccounts, bool byLast) public {
        (, Made memory made) = drawn(Dice(seed), 3);
        bytes32[] memory hashes = ofAccounts ? accountHashes(made) : activityHashes(made);
        uint256 count = hashes.length;
        // A full tree has no padding.
        if (count & (count - 1) == 0) return;
        bytes32[][] memory levels = withHidden(hashes, hashes[0]);
        uint256 at = byLast ? count - 1 : count;
        bytes memory data;
        if (ofAccounts) {
            made.header.accountRoot = rootOf(levels);
            AccountLeaf memory leaf = made.accounts[byLast ? at : 0];
            data = abi.encodeCall(challenge.proveAccountPosition, (SALT, made.header, leaf, at, proofOf(levels, at)));
        } else {
            made.header.activityRoot = rootOf(levels);
            ActivityLeaf memory leaf = made.activities[byLast ? at : 0];
            data = abi.encodeCall(challenge.proveActivityPosition, (SALT, made.header, leaf, at, proofOf(levels, at)));
        }
        _proves(made, data, 2, ofAccounts ? Tree.Account : Tree.Activity, at);
    }

    /* CLASS 3: ORDER AND DUPLICATES */

    function testFuzz_ProvesActivitiesOutOfOrder(uint256 seed, bool same) public {
        (, Made memory made) = drawn(Dice(seed), 2);
        // Safe cast because trees are small.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint32 i = uint32(1 + seed % (made.activities.length - 1));
        ActivityLeaf[] memory acts = made.activities;
        if (same) (acts[i].account, acts[i].recordId) = (acts[i - 1].account, acts[i - 1].recordId);
        else (acts[i - 1], acts[i]) = (acts[i], acts[i - 1]);
        (acts[i - 1].index, acts[i].index) = (i - 1, i);
        seal(made);
        bytes memory data =
            abi.encodeCall(challenge.proveActivityOrder, (SALT, made.header, activityNeighbours(made, i)));
        _proves(made, data, 3, Tree.Activity, i);
    }

    function testFuzz_ProvesAccountsOutOfOrder(uint256 seed, bool same) public {
        (, Made memory made) = drawn(Dice(seed), 6);
        AccountLeaf[] memory all = made.accounts;
        if (all.length < 2) return;
        // Safe cast because trees are small.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint32 i = uint32(1 + seed % (all.length - 1));
        if (same) all[i].account = all[i - 1].account;
        else (all[i - 1], all[i]) = (all[i], all[i - 1]);
        (all[i - 1].index, all[i].index) = (i - 1, i);
        seal(made);
        bytes memory data = abi.encodeCall(challenge.proveAccountOrder, (SALT, made.header, accountNeighbours(made, i)));
        _proves(made, data, 3, Tree.Account, i);
    }

    function testFuzz_ProvesARecordThatStandsTwice(uint256 seed, uint256 shift) public {
        (, Made memory made) = drawn(Dice(seed), 2);
        uint256 count = made.activities.length;
        uint256 i = seed % count;
        uint256 j = (i + 1 + shift % (count - 1)) % count;
        made.activities[j].recordId = made.activities[i].recordId;
        seal(made);
        bytes memory data = abi.encodeCall(
            challenge.proveDuplicate, (SALT, made.header, activities(made, i, 1), activities(made, j, 1))
        );
        _proves(made, data, 3, Tree.Activity, j);
    }

    /* CLASS 4: SETTLEMENT */

    function testFuzz_ProvesAnActThatSettlesOutside(uint256 seed, uint32 by, bool late) public {
        (, Made memory made) = drawn(Dice(seed), 1);
        uint256 i = seed % made.activities.length;
        ActivityLeaf memory act = made.activities[i];
        uint48 window = epochPolicy().domains[act.domain].windowMs;
        act.occurredMs = late ? made.header.endMs - window + 1 + by : made.header.startMs - window - by;
        seal(made);
        bytes memory data =
            abi.encodeCall(challenge.proveSettlement, (SALT, made.header, rulesOf(act.domain), activities(made, i, 1)));
        _proves(made, data, 4, Tree.Activity, i);
    }

    /* CLASS 5: RANGES */

    /// @dev An act of somebody else inside, or one of the account outside.
    function testFuzz_ProvesAnActOutsideItsRange(uint256 seed, bool inside) public {
        (, Made memory made) = drawn(Dice(seed), 1);
        uint256 i = seed % made.activities.length;
        uint256 owner;
        while (made.accounts[owner].activityEnd <= i) ++owner;
        uint256 other = (owner + 1) % made.accounts.length;
        if (other == owner) return;
        made.activities[i].account = made.accounts[other].account;
        seal(made);
        uint256 j = inside ? owner : other;
        bytes memory data = abi.encodeCall(
            challenge.proveRange, (SALT, made.header, accountNeighbours(made, j), activities(made, i, 1))
        );
        _proves(made, data, 5, Tree.Account, j);
    }

    function testFuzz_ProvesARangeThatEndsWrongly(uint256 seed, uint32 end) public {
        (, Made memory made) = drawn(Dice(seed), 1);
        uint256 j = seed % made.accounts.length;
        uint32 start = j == 0 ? 0 : made.accounts[j - 1].activityEnd;
        uint32 count = made.header.activityCount;
        if (j + 1 == made.accounts.length) {
            if (end == count) ++end;
        } else if (end >= start && end <= count) {
            end = start == 0 ? count + 1 : start - 1;
        }
        made.accounts[j].activityEnd = end;
        seal(made);
        bytes memory data = abi.encodeCall(challenge.proveRangeEnd, (SALT, made.header, accountNeighbours(made, j)));
        _proves(made, data, 5, Tree.Account, j);
    }

    function testFuzz_ProvesWhatWasNotEarned(uint256 seed, uint32 delta) public {
        if (delta == 0) delta = 1;
        (, Made memory made) = drawn(Dice(seed), 1);
        uint256 j = seed % made.accounts.length;
        AccountLeaf memory leaf = made.accounts[j];
        leaf.earned = delta % 2 == 0 && leaf.earned != 0 ? leaf.earned - 1 : leaf.earned + delta;
        seal(made);
        (ActivityEvidence memory before, ActivityEvidence memory last) = rangeEnds(made, j);
        bytes memory data =
            abi.encodeCall(challenge.proveEarned, (SALT, made.header, accountNeighbours(made, j), before, last));
        _proves(made, data, 5, Tree.Account, j);
    }

    /* CLASS 6: STANDING */

    function testFuzz_ProvesAWrongStanding(uint256 seed, uint32 delta, bool ofMints) public {
        if (delta == 0) delta = 1;
        (Made memory first, Made memory made) = drawn(Dice(seed), 1);
        uint256 j = seed % made.accounts.length;
        AccountLeaf memory leaf = made.accounts[j];
        if (ofMints) leaf.cumulativeMint += delta;
        else leaf.standing += delta;
        seal(made);
        AccountEvidence memory had = membership(first, leaf.account);
        bytes memory data = abi.encodeCall(
            challenge.proveStanding, (SALT, made.header, first.header, headOf(), accounts(made, j, 1), had)
        );
        _proves(made, data, 6, Tree.Account, j);
    }

    /* CLASS 7: MINT */

    function testFuzz_ProvesAWrongMint(uint256 seed, uint32 delta) public {
        if (delta == 0) delta = 1;
        (, Made memory made) = drawn(Dice(seed), 1);
        uint256 j = seed % made.accounts.length;
        AccountLeaf memory leaf = made.accounts[j];
        leaf.mint = delta % 2 == 0 && leaf.mint != 0 ? leaf.mint - 1 : leaf.mint + delta;
        seal(made);
        bytes memory data = abi.encodeCall(
            challenge.proveMint, (SALT, made.header, headOf(), epochPolicy().brackets, accounts(made, j, 1))
        );
        _proves(made, data, 7, Tree.Account, j);
    }

    /* CLASS 8: DROPPED AND INVENTED ACCOUNTS */

    /// @dev The rest is made as if the account had never been.
    function testFuzz_ProvesAnAccountThatWasDropped(uint256 seed) public {
        Dice memory dice = Dice(seed);
        (Made memory first, Made memory made) = drawn(dice, 0);
        uint256 count = first.accounts.length;
        if (count == 0) return;
        uint256 gone = seed % count;
        AccountLeaf[] memory left = new AccountLeaf[](count - 1);
        for (uint256 i; i < left.length; ++i) {
            left[i] = first.accounts[i < gone ? i : i + 1];
        }
        Act[] memory acts = drawActs(dice, made.header, throwDice(dice, 0, 4));
        for (uint256 i; i < acts.length; ++i) {
            if (acts[i].account == first.accounts[gone].account) acts[i].account = member(5);
        }
        EpochMaker.fill(made, acts, left, epochPolicy());
        seal(made);
        AccountEvidence memory absence = membership(made, first.accounts[gone].account);
        bytes memory data = abi.encodeCall(
            challenge.proveDropped, (SALT, made.header, first.header, accounts(first, gone, 1), absence)
        );
        _proves(made, data, 8, Tree.Account, gone);
    }

    /// @dev Made as if somebody nobody knows had been there before.
    function testFuzz_ProvesAnAccountThatWasInvented(uint256 seed, uint64 standing) public {
        Dice memory dice = Dice(seed);
        (Made memory first, Made memory made) = drawn(dice, 0);
        AccountLeaf[] memory more = new AccountLeaf[](first.accounts.length + 1);
        address invented = address(uint160(member(throwDice(dice, 0, 5))) - 8);
        uint256 at;
        for (uint256 i; i < first.accounts.length; ++i) {
            if (first.accounts[i].account < invented) at = i + 1;
        }
        for (uint256 i; i < more.length; ++i) {
            if (i == at) (more[i].account, more[i].standing) = (invented, standing);
            else more[i] = first.accounts[i < at ? i : i - 1];
        }
        Act[] memory acts = drawActs(dice, made.header, throwDice(dice, 0, 4));
        EpochMaker.fill(made, acts, more, epochPolicy());
        seal(made);
        uint256 j;
        while (made.accounts[j].account != invented) ++j;
        bytes memory data = abi.encodeCall(
            challenge.proveInvented,
            (SALT, made.header, first.header, accountNeighbours(made, j), membership(first, invented))
        );
        _proves(made, data, 8, Tree.Account, j);
    }

    /* CLASS 9: THE HEADER */

    function testFuzz_ProvesWrongTotals(uint256 seed, uint32 delta, uint8 which) public {
        if (delta == 0) delta = 1;
        (, Made memory made) = drawn(Dice(seed), 1);
        EpochHeader memory header = made.header;
        if (which % 3 == 0) header.totalEarned += delta;
        else if (which % 3 == 1) header.activeCount += delta % 1_000 + 1;
        else if (header.totalMint != 0) --header.totalMint;
        else header.totalEarned += delta;
        AccountEvidence memory last = accounts(made, made.accounts.length - 1, 1);
        _proves(made, abi.encodeCall(challenge.proveTotals, (SALT, header, last)), 9, Tree.Account, 0);
    }

    /// @dev Roots without leaves, leaves without roots, activities without accounts.
    function testFuzz_ProvesCountsAndRootsThatDoNotFit(uint256 seed, uint8 which) public {
        (, Made memory made) = drawn(Dice(seed), 1);
        EpochHeader memory header = made.header;
        if (which % 5 == 0) header.accountCount = 0;
        else if (which % 5 == 1) header.accountRoot = 0;
        else if (which % 5 == 2) header.activityCount = 0;
        else if (which % 5 == 3) header.activityRoot = 0;
        else (header.accountCount, header.accountRoot) = (0, 0);
        AccountEvidence memory none;
        _proves(made, abi.encodeCall(challenge.proveTotals, (SALT, header, none)), 9, Tree.Account, 0);
    }

    function testFuzz_ProvesAWrongLength(uint256 seed, uint32 by) public {
        (, Made memory made) = drawn(Dice(seed), 0);
        made.header.endMs -= 1 + by % (EPOCH_MS - 1);
        bytes memory data = abi.encodeCall(challenge.proveLength, (SALT, made.header, headOf()));
        _proves(made, data, 9, Tree.Activity, 0);
    }

    /* COMMITTING */

    function test_RevertWhen_NotCommitted() public {
        bytes memory data = _wrongLength();
        vm.expectRevert(_notCommitted(challenger, data));
        _send(challenger, data);
    }

    /// @dev Whoever sees a proof cannot use it: the commitment names its sender.
    function test_RevertWhen_SomebodyElseSendsTheProof() public {
        bytes memory data = _wrongLength();
        commitTo(data);
        vm.expectRevert(_notCommitted(stranger, data));
        _send(stranger, data);
    }

    /// @dev Nor with a commitment to another call: not one bit may differ.
    function testFuzz_RevertWhen_AnotherCallWasCommittedTo(uint8 bit) public {
        bytes memory data = _wrongLength();
        commitTo(data);
        // In the salt: the proof itself stays sound.
        data[4 + bit % 32] ^= 0x01;
        vm.expectRevert(_notCommitted(challenger, data));
        _send(challenger, data);
    }

    function test_RevertWhen_CommittedInTheSameBlock() public {
        bytes memory data = _wrongLength();
        bytes32 commitment = challenge.commitmentOf(challenger, data);
        vm.prank(challenger);
        challenge.commit(commitment);
        vm.expectRevert(
            abi.encodeWithSelector(IEpochChallenge.CommittedInThisBlock.selector, commitment, vm.getBlockNumber())
        );
        _send(challenger, data);
        vm.roll(vm.getBlockNumber() + 1);
        (bool done,) = _send(challenger, data);
        isTrue(done, "in the next block");
    }

    function test_RevertWhen_CommittedTwice() public {
        bytes32 commitment = challenge.commitmentOf(challenger, "anything");
        uint256 committedIn = vm.getBlockNumber();
        vm.expectEmit();
        emit IEpochChallenge.Committed(commitment, stranger);
        // Who commits does not matter: the commitment says who proves.
        vm.prank(stranger);
        challenge.commit(commitment);
        equal(challenge.committedAt(commitment), committedIn, "block");
        vm.roll(committedIn + 5);
        vm.expectRevert(abi.encodeWithSelector(IEpochChallenge.AlreadyCommitted.selector, commitment, committedIn));
        vm.prank(challenger);
        challenge.commit(commitment);
    }

    function test_ACommitmentIsUsedUpByAProofAndNotByAFailure() public {
        (, Made memory made) = drawn(Dice(1), 1);
        propose(made.header);
        bytes memory data = abi.encodeCall(challenge.proveLength, (SALT, made.header, headOf()));
        bytes32 commitment = challenge.commitmentOf(challenger, data);
        _notAFault(data, 9);
        equal(challenge.committedAt(commitment), vm.getBlockNumber() - 1, "kept");

        bytes32 headerHash = oracle.hashHeader(made.header);
        vm.prank(governor);
        oracle.voidProposal(headerHash, address(0), "again");
        data = _wrongLength();
        (bool done,) = attempt(data);
        isTrue(done, "proved");
        equal(challenge.committedAt(challenge.commitmentOf(challenger, data)), 0, "used");
        vm.expectRevert(_notCommitted(challenger, data));
        _send(challenger, data);
    }

    /* WHAT A PROOF IS HELD AGAINST */

    function test_RevertWhen_TheHeaderIsNotPending() public {
        (, Made memory made) = drawn(Dice(2), 1);
        bytes32 headerHash = oracle.hashHeader(made.header);
        bytes memory data = abi.encodeCall(challenge.proveLength, (SALT, made.header, headOf()));
        _refused(data, abi.encodeWithSelector(IEvidence.HeaderNotPending.selector, headerHash, bytes32(0)));
        propose(made.header);
        EpochHeader memory other = made.header;
        ++other.totalEarned;
        data = abi.encodeCall(challenge.proveLength, (SALT, other, headOf()));
        _refused(
            data, abi.encodeWithSelector(IEvidence.HeaderNotPending.selector, oracle.hashHeader(other), headerHash)
        );
        vm.warp(vm.getBlockTimestamp() + WINDOW);
        --other.totalEarned;
        oracle.finalise(made.header);
        data = abi.encodeCall(challenge.proveLength, (keccak256("again"), made.header, headOf()));
        _refused(data, abi.encodeWithSelector(IEvidence.HeaderNotPending.selector, headerHash, bytes32(0)));
    }

    function test_RevertWhen_ThePolicyIsAnother() public {
        (, Made memory made) = drawn(Dice(3), 1);
        propose(made.header);
        PolicyHead memory head = headOf();
        head.epochMs = 1;
        bytes memory data = abi.encodeCall(challenge.proveLength, (SALT, made.header, head));
        _refused(
            data,
            abi.encodeWithSelector(
                IEpochChallenge.PolicyMismatch.selector, keccak256(abi.encode(head)), made.header.policyHash
            )
        );
        DomainEvidence memory rules = rulesOf(made.activities[0].domain);
        ++rules.domain.windowMs;
        data = abi.encodeCall(challenge.proveSettlement, (SALT, made.header, rules, activities(made, 0, 1)));
        _refusedAs(data, IEpochChallenge.PolicyMismatch.selector);
        --rules.domain.windowMs;
        rules.domainHashes = new bytes32[](0);
        data = abi.encodeCall(challenge.proveValue, (SALT, made.header, rules, activities(made, 0, 1)));
        _refusedAs(data, IEpochChallenge.PolicyMismatch.selector);
        data = abi.encodeCall(
            challenge.proveMint, (SALT, made.header, headOf(), policyOf("x", 1, 1).brackets, accounts(made, 0, 1))
        );
        _refusedAs(data, IEpochChallenge.PolicyMismatch.selector);
    }

    function test_RevertWhen_ThePreviousHeaderIsAnother() public {
        (Made memory first, Made memory made) = drawn(Dice(3), 1);
        propose(made.header);
        ++first.header.totalEarned;
        bytes memory data = abi.encodeCall(
            challenge.proveStanding,
            (
                SALT,
                made.header,
                first.header,
                headOf(),
                accounts(made, 0, 1),
                membership(first, made.accounts[0].account)
            )
        );
        _refused(
            data,
            abi.encodeWithSelector(
                IEpochChallenge.PreviousHeaderMismatch.selector,
                oracle.hashHeader(first.header),
                made.header.previousHeaderHash
            )
        );
    }

    /// @dev Siblings are as many as the tree is deep, leaves are counted, neighbours stand side by side.
    function test_RevertWhen_LeavesAreNotWhereTheySay() public {
        (, Made memory made) = drawn(Dice(5), 5);
        propose(made.header);
        uint256 count = made.activities.length;
        ActivityEvidence memory evidence = activities(made, 1, 1);
        _refused(_sumOf(made, evidence), _notNeighbours(1, 1));
        evidence.leaves = new ActivityLeaf[](0);
        _refused(_sumOf(made, evidence), _notNeighbours(0, 0));
        _refused(_sumOf(made, activities(made, 0, 3)), _notNeighbours(3, 0));
        evidence = activities(made, 0, 2);
        evidence.leaves[1] = made.activities[2];
        _refused(_sumOf(made, evidence), _notNeighbours(2, 2));
        evidence = activities(made, 0, 1);
        bytes memory refusal = abi.encodeWithSelector(IEvidence.NotInTree.selector, Tree.Activity, 0, count);
        bytes32[] memory more = new bytes32[](evidence.siblings.length + 1);
        evidence.siblings = more;
        _refused(_sumOf(made, evidence), refusal);
        evidence.siblings = new bytes32[](0);
        _refused(_sumOf(made, evidence), refusal);
        // A leaf beyond those that are counted is in no tree.
        evidence = activities(made, 0, 1);
        // Safe cast because trees are small.
        // forge-lint: disable-next-line(unsafe-typecast)
        evidence.leaves[0].index = uint32(count);
        _refused(
            _sumOf(made, evidence), abi.encodeWithSelector(IEvidence.NotInTree.selector, Tree.Activity, count, count)
        );
    }

    /// @dev Leaves far from an account say nothing of it.
    function test_RevertWhen_LeavesSayNothingOfTheAccount() public {
        // The first number thrown is the first epoch's acts: a seed with several.
        uint256 seed;
        while (throwDice(Dice(seed), 0, 6) < 5) ++seed;
        (Made memory first, Made memory made) = drawn(Dice(seed), 6);
        propose(made.header);
        address wanted = first.accounts[0].account;
        uint256 j;
        while (made.accounts[j].account == wanted) ++j;
        // Neither the first nor the last, and not around it.
        AccountEvidence memory beside = accounts(made, j, 1);
        bytes memory data =
            abi.encodeCall(challenge.proveDropped, (SALT, made.header, first.header, accounts(first, 0, 1), beside));
        _refused(data, abi.encodeWithSelector(IEvidence.NothingSaidOf.selector, wanted));
    }

    /* WHAT BECOMES OF THE BOND */

    function testFuzz_BondIsSharedToTheWei(uint96 bond) public {
        vm.prank(governor);
        oracle.setBond(bond);
        Made memory made = _shortEpoch();
        vm.deal(proposer, bond);
        bytes[] memory signatures = signaturesOf(made.header, 0, 3);
        vm.prank(proposer);
        oracle.propose{value: bond}(made.header, signatures);
        uint256 burnedBefore = address(0).balance;
        uint256 held = address(oracle).balance;
        bytes32 headerHash = oracle.hashHeader(made.header);
        uint256 reward = uint256(bond) * CHALLENGER_SHARE_BPS / 10_000;
        bytes memory data = abi.encodeCall(challenge.proveLength, (SALT, made.header, headOf()));
        commitTo(data);
        vm.expectEmit();
        emit IEpochChallenge.FaultProved(1, headerHash, challenger, 9, Tree.Activity, 0);
        vm.expectEmit();
        emit IRateOracle.EpochVoided(1, headerHash, challenger, reward, bond - reward, "fault class 9: proved");
        (bool done,) = _send(challenger, data);
        isTrue(done, "proved");
        equal(oracle.withdrawableBond(challenger), reward, "reward");
        equal(oracle.withdrawableBond(proposer), 0, "nothing comes back");
        equal(address(0).balance - burnedBefore, bond - reward, "burned");
        equal(held - address(oracle).balance, bond - reward, "gone from the oracle");
        if (reward == 0) return;
        vm.prank(challenger);
        oracle.withdrawBond(payable(stranger));
        equal(stranger.balance, reward, "withdrawn");
        equal(address(oracle).balance, held - bond, "the oracle keeps nothing of it");
    }

    /// @dev The number is free again in the same block, and what epochs before granted can be claimed throughout.
    function test_AnotherEpochIsProposedAtOnceAndEarlierClaimsStand() public {
        (Made memory first, Made memory made) = drawn(Dice(1_001), 1);
        bytes32 root = distributor.accountRoot();
        EpochHeader memory wrong = _copy(made.header);
        --wrong.endMs;
        propose(wrong);
        (bool done,) = attempt(abi.encodeCall(challenge.proveLength, (SALT, wrong, headOf())));
        isTrue(done, "proved");
        equal(oracle.latestEpoch(), 1, "the epoch before stands");
        equal(distributor.accountRoot(), root, "and its accounts");
        propose(made.header);
        for (uint256 i; i < first.accounts.length; ++i) {
            AccountLeaf memory leaf = first.accounts[i];
            if (distributor.claimed(leaf.account) == leaf.cumulativeMint) continue;
            distributor.claim(leaf, accountProof(first, i));
            equal(credit.balanceOf(leaf.account), leaf.mint, "claimed");
        }
        vm.warp(vm.getBlockTimestamp() + WINDOW);
        oracle.finalise(made.header);
        equal(oracle.latestEpoch(), 2, "final");
    }

    /// @dev Between the window's end and finalisation nothing is final.
    function test_ProvesAfterTheWindowUntilTheEpochIsFinal() public {
        Made memory made = _shortEpoch();
        propose(made.header);
        vm.warp(vm.getBlockTimestamp() + 10 * WINDOW);
        (bool done,) = attempt(abi.encodeCall(challenge.proveLength, (SALT, made.header, headOf())));
        isTrue(done, "proved");
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.NothingPending.selector));
        oracle.finalise(made.header);
    }

    /* WHO MAY VOID */

    function testFuzz_RevertWhen_SomebodyElseVoidsByProof(address caller) public {
        if (caller == address(challenge) || caller == address(requests)) return;
        Made memory made = _shortEpoch();
        propose(made.header);
        bytes32 headerHash = oracle.hashHeader(made.header);
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.NotChallenge.selector, caller));
        vm.prank(caller);
        oracle.voidByProof(headerHash, caller, "mine");
    }

    function test_RevertWhen_TheChallengeIsSetAgain() public {
        bytes memory refusal =
            abi.encodeWithSelector(IRateOracle.ChallengeFixed.selector, address(challenge), address(requests));
        vm.expectRevert(refusal);
        oracle.setChallenge(challenge, requests);
    }

    function test_RevertWhen_AStrangerSetsTheChallenge() public {
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, stranger));
        vm.prank(stranger);
        oracle.setChallenge(challenge, requests);
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, governor));
        vm.prank(governor);
        oracle.setChallenge(challenge, requests);
    }

    /* HELP */

    function _honestActivity(Made memory made, uint256 i, uint256 other) private {
        EpochHeader memory h = made.header;
        ActivityLeaf memory leaf = made.activities[i];
        ActivityEvidence memory alone = activities(made, i, 1);
        ActivityEvidence memory both = activityNeighbours(made, i);
        DomainEvidence memory rules = rulesOf(leaf.domain);
        _notAFault(abi.encodeCall(challenge.proveValue, (SALT, h, rules, alone)), 1);
        _notAFault(abi.encodeCall(challenge.proveSettlement, (SALT, h, rules, alone)), 4);
        _notAFault(abi.encodeCall(challenge.proveActivitySum, (SALT, h, both)), 2);
        _notAFault(abi.encodeCall(challenge.proveActivityPosition, (SALT, h, leaf, i, activityProof(made, i))), 2);
        _notAFault(abi.encodeCall(challenge.proveDuplicate, (SALT, h, alone, activities(made, other, 1))), 3);
        if (i != 0) _notAFault(abi.encodeCall(challenge.proveActivityOrder, (SALT, h, both)), 3);
    }

    function _honestAccount(Dice memory dice, Made memory first, Made memory made, uint256 i) private {
        EpochHeader memory h = made.header;
        AccountLeaf memory leaf = made.accounts[i];
        AccountEvidence memory alone = accounts(made, i, 1);
        AccountEvidence memory both = accountNeighbours(made, i);
        AccountEvidence memory had = membership(first, leaf.account);
        // Both sums are looked at, the one of mints last.
        _notAFault(abi.encodeCall(challenge.proveAccountSum, (SALT, h, both)), 7);
        _notAFault(abi.encodeCall(challenge.proveAccountPosition, (SALT, h, leaf, i, accountProof(made, i))), 2);
        if (i != 0) _notAFault(abi.encodeCall(challenge.proveAccountOrder, (SALT, h, both)), 3);
        if (h.activityCount != 0) {
            ActivityEvidence memory any = activities(made, throwDice(dice, 0, h.activityCount - 1), 1);
            _notAFault(abi.encodeCall(challenge.proveRange, (SALT, h, both, any)), 5);
        }
        _notAFault(abi.encodeCall(challenge.proveRangeEnd, (SALT, h, both)), 5);
        (ActivityEvidence memory before, ActivityEvidence memory last) = rangeEnds(made, i);
        _notAFault(abi.encodeCall(challenge.proveEarned, (SALT, h, both, before, last)), 5);
        _notAFault(abi.encodeCall(challenge.proveStanding, (SALT, h, first.header, headOf(), alone, had)), 6);
        _notAFault(abi.encodeCall(challenge.proveMint, (SALT, h, headOf(), epochPolicy().brackets, alone)), 7);
        _notAFault(abi.encodeCall(challenge.proveInvented, (SALT, h, first.header, both, had)), 8);
    }

    /// @dev One of all functions, with sound evidence of an epoch that has activities.
    function _anyCall(Dice memory dice, Made memory first, Made memory made, uint8 which)
        private
        view
        returns (bytes memory)
    {
        EpochHeader memory h = made.header;
        uint256 i = throwDice(dice, 0, made.activities.length - 1);
        uint256 j = throwDice(dice, 0, made.accounts.length - 1);
        ActivityEvidence memory act = activities(made, i, 1);
        AccountEvidence memory both = accountNeighbours(made, j);
        AccountEvidence memory had = membership(first, made.accounts[j].account);
        DomainEvidence memory rules = rulesOf(made.activities[i].domain);
        which %= 12;
        if (which == 0) return abi.encodeCall(challenge.proveValue, (SALT, h, rules, act));
        if (which == 1) return abi.encodeCall(challenge.proveSettlement, (SALT, h, rules, act));
        if (which == 2) return abi.encodeCall(challenge.proveActivitySum, (SALT, h, activityNeighbours(made, i)));
        if (which == 3) return abi.encodeCall(challenge.proveDuplicate, (SALT, h, act, act));
        if (which == 4) return abi.encodeCall(challenge.proveAccountSum, (SALT, h, both));
        if (which == 5) return abi.encodeCall(challenge.proveRange, (SALT, h, both, act));
        if (which == 6) return abi.encodeCall(challenge.proveRangeEnd, (SALT, h, both));
        if (which == 7) {
            (ActivityEvidence memory before, ActivityEvidence memory last) = rangeEnds(made, j);
            return abi.encodeCall(challenge.proveEarned, (SALT, h, both, before, last));
        }
        AccountEvidence memory alone = accounts(made, j, 1);
        if (which == 8) {
            return abi.encodeCall(challenge.proveStanding, (SALT, h, first.header, headOf(), alone, had));
        }
        if (which == 9) return abi.encodeCall(challenge.proveInvented, (SALT, h, first.header, both, had));
        if (which == 10) {
            return abi.encodeCall(challenge.proveMint, (SALT, h, headOf(), epochPolicy().brackets, alone));
        }
        alone = accounts(made, made.accounts.length - 1, 1);
        return abi.encodeCall(challenge.proveTotals, (SALT, h, alone));
    }

    function _sameTree(Made memory one, Made memory other) private pure returns (bool) {
        return one.header.accountRoot == other.header.accountRoot;
    }

    /// @dev Proposes, proves, and looks at what is left.
    function _proves(Made memory made, bytes memory data, uint8 faultClass, Tree tree, uint256 index) private {
        propose(made.header);
        bytes32 headerHash = oracle.hashHeader(made.header);
        uint256 burnedBefore = address(0).balance;
        commitTo(data);
        vm.expectEmit();
        emit IEpochChallenge.FaultProved(made.header.epoch, headerHash, challenger, faultClass, tree, index);
        (bool done,) = _send(challenger, data);
        isTrue(done, "proved");
        equal(oracle.pending().headerHash, bytes32(0), "void");
        equal(oracle.withdrawableBond(challenger), BOND / 2, "reward");
        equal(address(0).balance - burnedBefore, BOND / 2, "burned");
    }

    function _notAFault(bytes memory data, uint8 faultClass) private {
        _refused(data, abi.encodeWithSelector(IEpochChallenge.NotAFault.selector, faultClass));
    }

    function _refused(bytes memory data, bytes memory reason) private {
        (bool done, bytes memory found) = attempt(data);
        isTrue(!done, "refused");
        equal(keccak256(found), keccak256(reason), "reason");
    }

    function _refusedAs(bytes memory data, bytes4 selector) private {
        (bool done, bytes memory found) = attempt(data);
        isTrue(!done, "refused");
        // The selector is what is compared.
        // forge-lint: disable-next-line(unsafe-typecast)
        equal(bytes32(bytes4(found)), bytes32(selector), "reason");
    }

    function _send(address sender, bytes memory data) private returns (bool done, bytes memory result) {
        vm.prank(sender);
        // The outcome is what is asked for.
        // forge-lint: disable-next-line(unchecked-call)
        (done, result) = address(challenge).call(data);
    }

    /// @dev A first epoch one millisecond too short, not proposed yet.
    function _shortEpoch() private view returns (Made memory made) {
        made.header = frame(0);
        --made.header.endMs;
    }

    /// @dev Proposes such an epoch, or one after the last; returns its proof.
    function _wrongLength() private returns (bytes memory) {
        EpochHeader memory header = frame(0);
        --header.endMs;
        propose(header);
        return abi.encodeCall(challenge.proveLength, (SALT, header, headOf()));
    }

    function _sumOf(Made memory made, ActivityEvidence memory evidence) private view returns (bytes memory) {
        return abi.encodeCall(challenge.proveActivitySum, (SALT, made.header, evidence));
    }

    function _notNeighbours(uint256 leaves, uint256 index) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IEvidence.NotNeighbours.selector, Tree.Activity, leaves, index);
    }

    function _notCommitted(address sender, bytes memory data) private view returns (bytes memory) {
        return abi.encodeWithSelector(IEpochChallenge.NotCommitted.selector, challenge.commitmentOf(sender, data));
    }

    function _copy(EpochHeader memory header) private pure returns (EpochHeader memory) {
        return abi.decode(abi.encode(header), (EpochHeader));
    }
}
