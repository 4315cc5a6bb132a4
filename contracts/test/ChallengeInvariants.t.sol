// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Tree} from "../interfaces/IEvidence.sol";
import {AccountLeaf} from "../libraries/EpochTree.sol";
import {ChallengeSystem, Dice} from "./ChallengeSystem.sol";
import {EpochMaker, Made} from "./EpochMaker.sol";

/// @title Watcher: proposes right and wrong epochs, asks, answers and proves at random, and keeps its own books
/// @dev What must happen is foretold at every step: a step that may fail only for a reason says so.
contract Watcher is ChallengeSystem {
    struct Asked {
        bytes32 headerHash;
        uint48 ends;
        Tree tree;
        uint32 index;
        uint256 deposit;
    }

    uint256 public deposits;
    uint256 public posted;
    uint256 public burned;
    uint256 public withdrawn;
    uint256 public finals;

    Asked[] private _asked;
    bytes private _made;
    bytes private _last;
    bool private _wrong;
    uint256 private _wrongIndex;
    /// @dev Unix seconds of the last answer to the pending proposal; 0 for none.
    uint256 private _answeredAt;

    constructor() {
        deployChallenge();
        Made memory none;
        _last = abi.encode(none);
    }

    /* STEPS */

    function proposeEpoch(uint256 seed, bool wrong) external {
        if (oracle.pending().epoch != 0) return;
        Dice memory dice = Dice(seed);
        Made memory made;
        made.header = frame(0);
        if (vm.getBlockTimestamp() * 1000 < made.header.endMs) vm.warp(made.header.endMs / 1000 + 1);
        Made memory last = abi.decode(_last, (Made));
        uint256 count = throwDice(dice, wrong ? 1 : 0, 5);
        EpochMaker.fill(made, drawActs(dice, made.header, count), last.accounts, epochPolicy());
        if (wrong) {
            _wrongIndex = throwDice(dice, 0, count - 1);
            ++made.activities[_wrongIndex].value;
        }
        seal(made);
        propose(made.header);
        (_wrong, _answeredAt, _made) = (wrong, 0, abi.encode(made));
        posted += BOND;
    }

    function finaliseEpoch() external {
        if (oracle.pending().epoch == 0) return;
        uint256 ends = oracle.pending().challengeEndsAt;
        if (vm.getBlockTimestamp() < ends) vm.warp(ends);
        uint256 now_ = vm.getBlockTimestamp();
        bool held = _openNow() != 0 || (_answeredAt != 0 && now_ < _answeredAt + ANSWER_TIME);
        Made memory made = abi.decode(_made, (Made));
        try oracle.finalise(made.header) {
            isTrue(!held, "an epoch that is held became final");
            _last = _made;
            ++finals;
        } catch {
            isTrue(held, "only a request or a fresh answer keeps an epoch from being final");
        }
    }

    function prove() external {
        if (oracle.pending().epoch == 0) return;
        Made memory made = abi.decode(_made, (Made));
        if (made.activities.length == 0) return;
        uint256 i = _wrong ? _wrongIndex : 0;
        // A failed attempt keeps its commitment: another salt every time.
        bytes32 salt = bytes32(vm.getBlockNumber());
        (bool done,) = attempt(
            abi.encodeCall(
                challenge.proveValue, (salt, made.header, rulesOf(made.activities[i].domain), activities(made, i, 1))
            )
        );
        isTrue(done == _wrong, "a wrong epoch ends by its proof, a right one by none");
        if (done) burned += BOND / 2;
    }

    function ask(uint256 seed) external {
        if (oracle.pending().epoch == 0 || vm.getBlockTimestamp() >= oracle.pending().challengeEndsAt) return;
        Made memory made = abi.decode(_made, (Made));
        Tree tree = seed % 2 == 0 ? Tree.Activity : Tree.Account;
        uint256 count = seed % 2 == 0 ? made.activities.length : made.accounts.length;
        if (count == 0) return;
        uint256 price = requests.requestPrice(requester);
        // Safe cast because trees are small.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint32 index = uint32((seed / 2) % count);
        vm.prank(requester);
        try requests.requestLeaf{value: price}(made.header, tree, index) {
            bytes32 headerHash = oracle.pending().headerHash;
            _asked.push(Asked(headerHash, oracle.pending().challengeEndsAt, tree, index, price));
            deposits += price;
        } catch {}
    }

    function answer(uint256 seed) external {
        if (_asked.length == 0) return;
        uint256 at = seed % _asked.length;
        Asked memory asked = _asked[at];
        if (!_isPending(asked)) return;
        Made memory made = abi.decode(_made, (Made));
        vm.prank(responder);
        if (asked.tree == Tree.Activity) requests.answerActivity(made.header, activities(made, asked.index, 1));
        else requests.answerAccount(made.header, accounts(made, asked.index, 1));
        _answeredAt = vm.getBlockTimestamp();
        _drop(at);
    }

    function voidUnanswered(uint256 seed) external {
        if (_asked.length == 0) return;
        Asked memory asked = _asked[seed % _asked.length];
        if (!_isPending(asked)) return;
        uint256 until = requests.requestOf(asked.headerHash, asked.ends, asked.tree, asked.index).answerUntil;
        if (vm.getBlockTimestamp() < until) vm.warp(until);
        requests.voidUnanswered(abi.decode(_made, (Made)).header, asked.tree, asked.index);
        burned += BOND / 2;
    }

    function reclaim(uint256 seed) external {
        if (_asked.length == 0) return;
        uint256 at = seed % _asked.length;
        Asked memory asked = _asked[at];
        bool early = _isPending(asked);
        try requests.reclaimDeposit(asked.headerHash, asked.ends, asked.tree, asked.index) {
            isTrue(!early, "a deposit came back while the proposal was pending");
            _drop(at);
        } catch {
            isTrue(early, "a deposit must come back once the proposal is gone");
        }
    }

    function withdrawBond(uint256 who) external {
        address owner = who % 3 == 0 ? proposer : who % 3 == 1 ? challenger : requester;
        uint256 amount = oracle.withdrawableBond(owner);
        if (amount == 0) return;
        vm.prank(owner);
        oracle.withdrawBond(payable(owner));
        withdrawn += amount;
    }

    function wait(uint16 time) external {
        vm.warp(vm.getBlockTimestamp() + time);
    }

    function _isPending(Asked memory asked) private view returns (bool) {
        return oracle.pending().headerHash == asked.headerHash && oracle.pending().challengeEndsAt == asked.ends;
    }

    function _openNow() private view returns (uint256 open) {
        for (uint256 i; i < _asked.length; ++i) {
            if (_isPending(_asked[i])) ++open;
        }
    }

    function _drop(uint256 at) private {
        deposits -= _asked[at].deposit;
        _asked[at] = _asked[_asked.length - 1];
        _asked.pop();
    }

    /* CHECKS */

    function checkDeposits() external view {
        equal(address(requests).balance, deposits, "wei held = deposits of open requests");
        bytes32 headerHash = oracle.pending().headerHash;
        uint48 ends = oracle.pending().challengeEndsAt;
        if (headerHash == 0) return;
        equal(requests.openRequests(headerHash, ends), _openNow(), "open requests");
        equal(requests.openRequestsOf(headerHash, ends, requester), _openNow(), "all are the requester's");
        equal(requests.requestPrice(requester), DEPOSIT * (1 + _openNow()) ** 2, "price");
    }

    function checkBonds() external view {
        uint256 owed = oracle.pending().bond + oracle.withdrawableBond(proposer) + oracle.withdrawableBond(challenger)
            + oracle.withdrawableBond(requester);
        equal(address(oracle).balance, owed, "wei held = bonds owed");
        equal(address(oracle).balance, posted - burned - withdrawn, "wei held = posted - burned - withdrawn");
    }

    function checkEpochs() external view {
        equal(oracle.latestEpoch(), finals, "what was voided left no trace");
        AccountLeaf[] memory accounts_ = abi.decode(_last, (Made)).accounts;
        bytes32 root = distributor.accountRoot();
        if (finals == 0) return;
        bytes32[] memory hashes = new bytes32[](accounts_.length);
        for (uint256 i; i < hashes.length; ++i) {
            hashes[i] = EpochMaker.hashAccount(accounts_[i]);
        }
        equal(root, rootOf(levelsOf(hashes)), "claims are against the last final epoch");
    }
}

/// @title ChallengeInvariantsTest: what must hold after any sequence of steps
contract ChallengeInvariantsTest {
    bool public constant IS_TEST = true;

    Watcher private _watcher;

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function setUp() public {
        _watcher = new Watcher();
    }

    /// @notice forge calls only the watcher's steps.
    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory steps = new bytes4[](9);
        steps[0] = Watcher.proposeEpoch.selector;
        steps[1] = Watcher.finaliseEpoch.selector;
        steps[2] = Watcher.prove.selector;
        steps[3] = Watcher.ask.selector;
        steps[4] = Watcher.answer.selector;
        steps[5] = Watcher.voidUnanswered.selector;
        steps[6] = Watcher.reclaim.selector;
        steps[7] = Watcher.withdrawBond.selector;
        steps[8] = Watcher.wait.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(_watcher), steps);
    }

    /// @notice forge calls only the watcher.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_watcher);
    }

    function invariant_RequestsHoldTheDepositsTheyOwe() external view {
        _watcher.checkDeposits();
    }

    function invariant_OracleHoldsTheBondsOfChallenges() external view {
        _watcher.checkBonds();
    }

    function invariant_OnlyFinalEpochsCount() external view {
        _watcher.checkEpochs();
    }
}
