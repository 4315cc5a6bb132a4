// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {DomainEvidence} from "../interfaces/IEpochChallenge.sol";
import {AccountEvidence, ActivityEvidence} from "../interfaces/IEvidence.sol";
import {EpochHeader} from "../interfaces/IRateOracle.sol";
import {AccountLeaf, ActivityLeaf, EpochTree} from "../libraries/EpochTree.sol";
import {Bracket, DomainPolicy, Knot, Policy, PolicyHash, PolicyHead} from "../libraries/Policy.sol";
import {EpochChallenge} from "../oracle/EpochChallenge.sol";
import {LeafRequests} from "../oracle/LeafRequests.sol";
import {Act, EpochMaker, Made} from "./EpochMaker.sol";
import {System} from "./System.sol";

/// @notice Random numbers from a seed.
struct Dice {
    uint256 seed;
}

/// @title ChallengeSystem
/// @notice The system with both challenge contracts, honest epochs drawn from a seed, and the evidence of any leaf.
abstract contract ChallengeSystem is System {
    uint48 internal constant EPOCH_MS = 7 days * 1000;
    uint48 internal constant ANSWER_TIME = 1 hours;
    uint96 internal constant DEPOSIT = 0.0025 ether;
    bytes32 internal constant SALT = keccak256("salt");

    address internal challenger = address(0xc4a1);
    address internal requester = address(0x4e9);
    address internal responder = address(0x4e5);

    EpochChallenge internal challenge;
    LeafRequests internal requests;

    function deployChallenge() internal {
        deploySystem();
        challenge = EpochChallenge(ship("EpochChallenge", abi.encode(oracle)));
        requests = LeafRequests(ship("LeafRequests", abi.encode(oracle, ANSWER_TIME, DEPOSIT)));
        oracle.setChallenge(challenge, requests);
        setPolicy(epochPolicy());
        vm.deal(requester, 1_000_000 ether);
    }

    /* EPOCHS */

    /// @dev Two domains: one with bands and knots that rise and fall, one plain.
    function epochPolicy() internal pure returns (Policy memory policy) {
        // A mean lifetime of 30 days: 2^56 / (tau * ln 2).
        policy = policyOf("challenged", 1, 40_106_919);
        policy.epochMs = EPOCH_MS;
        policy.brackets = new Bracket[](3);
        policy.brackets[0] = Bracket(0, 1000);
        policy.brackets[1] = Bracket(1500, 500);
        policy.brackets[2] = Bracket(2500, 250);
        DomainPolicy[] memory domains = new DomainPolicy[](2);
        Knot[] memory rising = new Knot[](3);
        (rising[0], rising[1], rising[2]) = (Knot(0, 100), Knot(1_000, 1_000), Knot(9_000, 4_001));
        Knot[] memory falling = new Knot[](3);
        (falling[0], falling[1], falling[2]) = (Knot(10, 500), Knot(500, 2_000), Knot(900, 333));
        (domains[0].name, domains[0].windowMs) = ("code", 1 days * 1000);
        (domains[0].low, domains[0].high) = (600_000, 4_000_000);
        (domains[0].bonusMilli, domains[0].penaltyMilli) = (1_500, 2_000);
        (domains[0].interaction, domains[0].originality, domains[0].engagement) = (rising, falling, rising);
        domains[1] = policy.domains[0];
        (domains[1].name, domains[1].windowMs, domains[1].high) = ("talk", 3 days * 1000, 0);
        policy.domains = domains;
    }

    /// @dev Makes, proposes and finalises a first epoch, then makes a second one; everything follows from the seed.
    /// @param least Fewest acts of the second epoch; both have up to six more.
    function drawn(Dice memory dice, uint256 least) internal returns (Made memory first, Made memory second) {
        first = drawnFirst(dice);
        uint64 pot = _fillPool(dice, first);
        second.header = frame(pot);
        uint256 count = throwDice(dice, least, least + 6);
        EpochMaker.fill(second, drawActs(dice, second.header, count), first.accounts, epochPolicy());
        seal(second);
    }

    function drawnFirst(Dice memory dice) internal returns (Made memory first) {
        first.header = frame(0);
        uint256 count = throwDice(dice, 0, 6);
        EpochMaker.fill(first, drawActs(dice, first.header, count), new AccountLeaf[](0), epochPolicy());
        seal(first);
        proposeAndFinalise(first.header);
    }

    /// @dev Header of the next epoch but for leaves and totals. The first two have ended when the tests start.
    function frame(uint64 pot) internal view returns (EpochHeader memory header) {
        header = nextHeader(0, 0, pot, pot);
        // The tests' clock stays far below 2^48 milliseconds.
        // forge-lint: disable-next-line(unsafe-typecast)
        if (header.epoch == 1) header.startMs = uint48(START * 1000) - 2 * EPOCH_MS;
        header.endMs = header.startMs + EPOCH_MS;
    }

    function drawActs(Dice memory dice, EpochHeader memory header, uint256 count)
        internal
        pure
        returns (Act[] memory acts)
    {
        DomainPolicy[] memory domains = epochPolicy().domains;
        acts = new Act[](count);
        for (uint256 i; i < count; ++i) {
            Act memory act = acts[i];
            act.account = member(throwDice(dice, 0, 4));
            act.recordId = keccak256(abi.encode("record", throwDice(dice, 0, type(uint256).max - 1)));
            act.domain = uint16(throwDice(dice, 0, 1));
            uint256 settled = throwDice(dice, header.startMs + 1, header.endMs);
            // As above.
            // forge-lint: disable-next-line(unsafe-typecast)
            act.occurredMs = uint48(settled - domains[act.domain].windowMs);
            act.interactionMilli = uint32(throwDice(dice, 0, 10_000));
            act.originalityMilli = uint32(throwDice(dice, 0, 1_000));
            act.engagementMilli = uint32(throwDice(dice, 0, 10_000));
        }
    }

    function member(uint256 i) internal pure returns (address) {
        // Safe cast because there are few members.
        // forge-lint: disable-next-line(unsafe-typecast)
        return address(uint160(0x3000 + 0x10 * i));
    }

    /// @dev The next random number in a range, both ends included.
    function throwDice(Dice memory dice, uint256 low, uint256 high) internal pure returns (uint256) {
        dice.seed = uint256(keccak256(abi.encode(dice.seed)));
        return within(dice.seed, low, high);
    }

    /// @dev Claims for somebody and gives it to the fee pool, so that there can be a pot.
    function _fillPool(Dice memory dice, Made memory made) private returns (uint64) {
        for (uint256 i; i < made.accounts.length; ++i) {
            AccountLeaf memory leaf = made.accounts[i];
            if (leaf.mint == 0) continue;
            distributor.claim(leaf, proofOf(levelsOf(accountHashes(made)), i));
            vm.prank(leaf.account);
            require(credit.transfer(address(feePool), leaf.mint));
            feePool.sync();
            return uint64(throwDice(dice, 0, feePool.bonus()));
        }
        return 0;
    }

    /* TREES */

    /// @dev Writes counts and roots of the leaves as they are into the header.
    function seal(Made memory made) internal pure {
        made.header.activityCount = uint32(made.activities.length);
        made.header.activityRoot = rootOf(levelsOf(activityHashes(made)));
        made.header.accountCount = uint32(made.accounts.length);
        made.header.accountRoot = rootOf(levelsOf(accountHashes(made)));
    }

    function activityHashes(Made memory made) internal pure returns (bytes32[] memory hashes) {
        hashes = new bytes32[](made.activities.length);
        for (uint256 i; i < hashes.length; ++i) {
            hashes[i] = EpochTree.hashActivity(made.activities[i]);
        }
    }

    function accountHashes(Made memory made) internal pure returns (bytes32[] memory hashes) {
        hashes = new bytes32[](made.accounts.length);
        for (uint256 i; i < hashes.length; ++i) {
            hashes[i] = EpochMaker.hashAccount(made.accounts[i]);
        }
    }

    /// @dev With a leaf more than is counted, in the padding.
    function withHidden(bytes32[] memory hashes, bytes32 hidden) internal pure returns (bytes32[][] memory levels) {
        bytes32[] memory more = new bytes32[](hashes.length + 1);
        for (uint256 i; i < hashes.length; ++i) {
            more[i] = hashes[i];
        }
        more[hashes.length] = hidden;
        levels = levelsOf(more);
    }

    /* EVIDENCE */

    function activityProof(Made memory made, uint256 index) internal pure returns (bytes32[] memory) {
        return proofOf(levelsOf(activityHashes(made)), index);
    }

    function accountProof(Made memory made, uint256 index) internal pure returns (bytes32[] memory) {
        return proofOf(levelsOf(accountHashes(made)), index);
    }

    function activities(Made memory made, uint256 first, uint256 count)
        internal
        pure
        returns (ActivityEvidence memory evidence)
    {
        evidence.leaves = new ActivityLeaf[](count);
        for (uint256 i; i < count; ++i) {
            evidence.leaves[i] = made.activities[first + i];
        }
        evidence.siblings = rangeProofOf(levelsOf(activityHashes(made)), first, count);
    }

    function accounts(Made memory made, uint256 first, uint256 count)
        internal
        pure
        returns (AccountEvidence memory evidence)
    {
        evidence.leaves = new AccountLeaf[](count);
        for (uint256 i; i < count; ++i) {
            evidence.leaves[i] = made.accounts[first + i];
        }
        evidence.siblings = rangeProofOf(levelsOf(accountHashes(made)), first, count);
    }

    /// @dev The activity and the one before it, if there is one.
    function activityNeighbours(Made memory made, uint256 index) internal pure returns (ActivityEvidence memory) {
        return index == 0 ? activities(made, 0, 1) : activities(made, index - 1, 2);
    }

    /// @dev The account and the one before it, if there is one.
    function accountNeighbours(Made memory made, uint256 index) internal pure returns (AccountEvidence memory) {
        return index == 0 ? accounts(made, 0, 1) : accounts(made, index - 1, 2);
    }

    /// @dev The account's leaf, or what proves that it has none.
    function membership(Made memory made, address account) internal pure returns (AccountEvidence memory evidence) {
        uint256 count = made.accounts.length;
        if (count == 0) return evidence;
        for (uint256 i; i < count; ++i) {
            if (made.accounts[i].account == account) return accounts(made, i, 1);
            if (account < made.accounts[i].account) return accountNeighbours(made, i);
        }
        return accounts(made, count - 1, 1);
    }

    /// @dev Evidence of what `proveEarned` needs of the activities.
    function rangeEnds(Made memory made, uint256 account)
        internal
        pure
        returns (ActivityEvidence memory before, ActivityEvidence memory last)
    {
        uint256 start = account == 0 ? 0 : made.accounts[account - 1].activityEnd;
        uint256 end = made.accounts[account].activityEnd;
        if (start >= end) return (before, last);
        if (start != 0) before = activities(made, start - 1, 1);
        last = activities(made, end - 1, 1);
    }

    function headOf() internal pure returns (PolicyHead memory) {
        return PolicyHash.headOf(epochPolicy());
    }

    /// @dev Rules of a domain; of the first where the policy has none of this number.
    function rulesOf(uint256 domain) internal pure returns (DomainEvidence memory rules) {
        DomainPolicy[] memory domains = epochPolicy().domains;
        rules.head = headOf();
        rules.domainHashes = new bytes32[](domains.length);
        for (uint256 i; i < domains.length; ++i) {
            rules.domainHashes[i] = PolicyHash.hashDomain(domains[i]);
        }
        rules.domain = domains[domain < domains.length ? domain : 0];
    }

    /* PROVING */

    /// @dev Commits to a call and makes it in the next block.
    function attempt(bytes memory data) internal returns (bool done, bytes memory result) {
        commitTo(data);
        vm.prank(challenger);
        // The outcome is what is asked for.
        // forge-lint: disable-next-line(unchecked-call)
        (done, result) = address(challenge).call(data);
    }

    function commitTo(bytes memory data) internal {
        bytes32 commitment = challenge.commitmentOf(challenger, data);
        vm.prank(challenger);
        challenge.commit(commitment);
        vm.roll(vm.getBlockNumber() + 1);
    }
}
