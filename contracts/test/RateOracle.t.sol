// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Errors} from "@openzeppelin/contracts/utils/Errors.sol";

import {ICreditDistributor} from "../interfaces/ICreditDistributor.sol";
import {IAttentionCredit} from "../interfaces/IAttentionCredit.sol";
import {IPausing} from "../interfaces/IPausing.sol";
import {EpochHeader, InitialParameters, IRateOracle, Proposal} from "../interfaces/IRateOracle.sol";
import {IFeePool} from "../interfaces/IFeePool.sol";
import {RateOracle} from "../oracle/RateOracle.sol";
import {System} from "./System.sol";

/// @title GreedyProposer
/// @notice Tries to withdraw its bond again while it is being paid.
contract GreedyProposer {
    RateOracle private immutable _ORACLE;

    constructor(RateOracle oracle) {
        _ORACLE = oracle;
    }

    function propose(EpochHeader calldata header, bytes[] calldata signatures) external payable {
        _ORACLE.propose{value: msg.value}(header, signatures);
    }

    function withdraw() external {
        _ORACLE.withdrawBond(payable(address(this)));
    }

    receive() external payable {
        _ORACLE.withdrawBond(payable(address(this)));
    }
}

/// @title RateOracleTest: every way a proposal can be refused, and what becomes of its bond
contract RateOracleTest is System {
    function setUp() public {
        deploySystem();
    }

    /* PROPOSE */

    function test_AcceptedProposalIsPending() public {
        EpochHeader memory header = _header();
        propose(header);
        Proposal memory pending = oracle.pending();
        equal(pending.epoch, 1, "epoch");
        equal(pending.headerHash, oracle.hashHeader(header), "header hash");
        equal(pending.proposer, proposer, "proposer");
        equal(pending.bond, BOND, "bond");
        equal(pending.challengeEndsAt, block.timestamp + WINDOW, "challenge end");
    }

    function test_HeaderHashIsTheEip712StructHash() public view {
        EpochHeader memory h = _header();
        bytes memory words = bytes.concat(
            keccak256(
                "EpochHeader(uint32 epoch,uint48 startMs,uint48 endMs,bytes32 policyHash,bytes32 activityRoot,uint32 activityCount,bytes32 accountRoot,uint32 accountCount,uint32 activeCount,uint64 totalEarned,uint64 totalMint,uint64 rateQ24,uint64 pot,bytes32 previousHeaderHash,bytes32 dataHash,string dataURI)"
            ),
            abi.encode(h.epoch, h.startMs, h.endMs, h.policyHash, h.activityRoot, h.activityCount, h.accountRoot),
            abi.encode(h.accountCount, h.activeCount, h.totalEarned, h.totalMint, h.rateQ24, h.pot),
            abi.encode(h.previousHeaderHash, h.dataHash, keccak256(bytes(h.dataURI)))
        );
        equal(oracle.hashHeader(h), keccak256(words), "struct hash");
    }

    function test_RevertWhen_Paused() public {
        EpochHeader memory header = _header();
        vm.prank(guardian);
        oracle.pauseProposals();
        _refused(header, abi.encodeWithSelector(IRateOracle.ProposalsPaused.selector));
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, guardian));
        vm.prank(guardian);
        oracle.resumeProposals(1);
        vm.expectEmit();
        emit IRateOracle.ProposalsPausedSet(false, 1);
        vm.prank(governor);
        oracle.resumeProposals(1);
        propose(header);
    }

    function test_AResumptionKeptBackDoesNotEndTheNextPause() public {
        for (uint256 pause = 1; pause <= 2; ++pause) {
            vm.prank(guardian);
            oracle.pauseProposals();
            equal(oracle.pauses(), pause, "number");
        }
        vm.expectRevert(abi.encodeWithSelector(IPausing.WrongPause.selector, 1, 2));
        vm.prank(governor);
        oracle.resumeProposals(1);
        vm.expectRevert(abi.encodeWithSelector(IPausing.WrongPause.selector, 3, 2));
        vm.prank(governor);
        oracle.resumeProposals(3);
        isTrue(oracle.proposalsPaused(), "still paused");
        vm.prank(governor);
        oracle.resumeProposals(2);
        isTrue(!oracle.proposalsPaused(), "resumed");
    }

    function test_RevertWhen_AnotherIsPending() public {
        EpochHeader memory header = _header();
        propose(header);
        bytes32 headerHash = oracle.hashHeader(header);
        _refused(header, abi.encodeWithSelector(IRateOracle.EpochPending.selector, 1, headerHash));
    }

    function testFuzz_RevertWhen_BondIsWrong(uint96 sent) public {
        if (sent == BOND) ++sent;
        EpochHeader memory header = _header();
        bytes[] memory signatures = signaturesOf(header, 0, 3);
        vm.deal(proposer, sent);
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.WrongBond.selector, sent, BOND));
        vm.prank(proposer);
        oracle.propose{value: sent}(header, signatures);
    }

    function testFuzz_RevertWhen_NumberIsNotNext(uint32 epoch) public {
        if (epoch == 1) ++epoch;
        EpochHeader memory header = _header();
        header.epoch = epoch;
        _refused(header, abi.encodeWithSelector(IRateOracle.UnexpectedEpoch.selector, epoch, 1));
    }

    function test_RevertWhen_StartIsNotThePreviousEnd() public {
        proposeAndFinalise(_header());
        EpochHeader memory header = _header();
        uint48 previousEnd = header.startMs++;
        _refused(header, abi.encodeWithSelector(IRateOracle.StartNotPreviousEnd.selector, header.startMs, previousEnd));
    }

    function test_RevertWhen_EndIsNotAfterStart() public {
        EpochHeader memory header = _header();
        header.startMs = header.endMs;
        _refused(header, abi.encodeWithSelector(IRateOracle.EndNotAfterStart.selector, header.endMs, header.endMs));
    }

    function test_RevertWhen_EndIsInTheFuture() public {
        EpochHeader memory header = _header();
        ++header.endMs;
        _refused(header, abi.encodeWithSelector(IRateOracle.EndInFuture.selector, header.endMs, block.timestamp * 1000));
    }

    function test_RevertWhen_PreviousHeaderDiffers() public {
        proposeAndFinalise(_header());
        EpochHeader memory header = _header();
        bytes32 expected = header.previousHeaderHash;
        header.previousHeaderHash = keccak256("another");
        _refused(
            header,
            abi.encodeWithSelector(IRateOracle.PreviousHeaderMismatch.selector, header.previousHeaderHash, expected)
        );
    }

    function test_RevertWhen_PolicyDiffers() public {
        EpochHeader memory header = _header();
        bytes32 inForce = header.policyHash;
        header.policyHash = keccak256("another");
        _refused(header, abi.encodeWithSelector(IRateOracle.PolicyMismatch.selector, header.policyHash, inForce));
    }

    function test_RevertWhen_RateDiffers() public {
        EpochHeader memory header = _header();
        header.rateQ24 = 1;
        _refused(header, abi.encodeWithSelector(IRateOracle.RateMismatch.selector, 1, RATE_ONE));
    }

    function test_RevertWhen_PotExceedsTheBonus() public {
        EpochHeader memory header = _header();
        header.pot = 1;
        _refused(header, abi.encodeWithSelector(IRateOracle.PotTooLarge.selector, 1, 0));
    }

    function testFuzz_RevertWhen_MintExceedsTheRate(uint64 earned, uint64 above) public {
        earned /= 2;
        EpochHeader memory header = _header();
        header.totalEarned = earned;
        header.totalMint = earned + 1 + above / 2;
        _refused(header, abi.encodeWithSelector(IRateOracle.MintTooLarge.selector, header.totalMint, earned));
    }

    /// @dev Every proof of a fault carries the header: a long address would make proofs dear, or too large to be sent.
    function testFuzz_RevertWhen_TheDataAddressIsTooLong(uint16 more) public {
        EpochHeader memory header = _header();
        header.dataURI = string(_text(513 + uint256(more) % 2_000));
        uint256 length = bytes(header.dataURI).length;
        _refused(header, abi.encodeWithSelector(IRateOracle.DataURITooLong.selector, length, 512));
        header.dataURI = string(_text(512));
        propose(header);
    }

    /// @dev Bytes that are no text would keep followers of the chain from reading the event.
    function testFuzz_RevertWhen_TheDataAddressIsNotAscii(uint16 length, uint16 at, uint8 character) public {
        bytes memory text = _text(1 + length % 512);
        at = uint16(at % text.length);
        text[at] = bytes1(character | 0x80);
        EpochHeader memory header = _header();
        header.dataURI = string(text);
        _refused(header, abi.encodeWithSelector(IRateOracle.DataURINotAscii.selector, at / 32 * 32));
        text[at] = bytes1(character & 0x7f);
        header.dataURI = string(text);
        propose(header);
    }

    function test_RevertWhen_SignaturesAreTooFew() public {
        EpochHeader memory header = _header();
        _refusedWith(
            header, signaturesOf(header, 0, 2), abi.encodeWithSelector(IRateOracle.TooFewSignatures.selector, 2, 3)
        );
    }

    function test_RevertWhen_ASignatureIsRepeated() public {
        EpochHeader memory header = _header();
        bytes[] memory signatures = signaturesOf(header, 0, 3);
        signatures[2] = signatures[1];
        address signer = vm.addr(signerKeys[1]);
        _refusedWith(
            header, signatures, abi.encodeWithSelector(IRateOracle.SignersNotAscending.selector, signer, signer)
        );
    }

    function test_RevertWhen_SignersDescend() public {
        EpochHeader memory header = _header();
        bytes[] memory signatures = signaturesOf(header, 0, 3);
        (signatures[0], signatures[1]) = (signatures[1], signatures[0]);
        _refusedWith(
            header,
            signatures,
            abi.encodeWithSelector(
                IRateOracle.SignersNotAscending.selector, vm.addr(signerKeys[1]), vm.addr(signerKeys[0])
            )
        );
    }

    function test_RevertWhen_AStrangerSigned() public {
        EpochHeader memory header = _header();
        bytes[] memory signatures = signaturesOf(header, 0, 3);
        uint256 key = 1;
        while (vm.addr(key) > vm.addr(signerKeys[1])) ++key;
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, oracle.signingDigest(header));
        signatures[0] = abi.encodePacked(r, s, v);
        _refusedWith(header, signatures, abi.encodeWithSelector(IRateOracle.NotASigner.selector, vm.addr(key)));
    }

    function test_RevertWhen_ASignatureIsMalleable() public {
        EpochHeader memory header = _header();
        bytes[] memory signatures = signaturesOf(header, 0, 3);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signerKeys[0], oracle.signingDigest(header));
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        bytes32 high = bytes32(order - uint256(s));
        signatures[0] = abi.encodePacked(r, high, v == 27 ? uint8(28) : uint8(27));
        _refusedWith(header, signatures, abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureS.selector, high));
    }

    function test_RevertWhen_ASignatureIsTooShort() public {
        EpochHeader memory header = _header();
        bytes[] memory signatures = signaturesOf(header, 0, 3);
        signatures[1] = hex"1234";
        _refusedWith(header, signatures, abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureLength.selector, 2));
    }

    /// @dev A signature over one header serves no other, whatever differs.
    function testFuzz_SignaturesBindTheWholeHeader(uint8 field) public {
        EpochHeader memory header = _header();
        bytes[] memory signatures = signaturesOf(header, 0, 3);
        if (field % 6 == 0) header.activityRoot = keccak256("another");
        else if (field % 6 == 1) header.accountRoot = keccak256("another");
        else if (field % 6 == 2) ++header.accountCount;
        else if (field % 6 == 3) --header.totalMint;
        else if (field % 6 == 4) header.dataHash = keccak256("another");
        else header.dataURI = "elsewhere";
        vm.prank(proposer);
        try oracle.propose{value: BOND}(header, signatures) {
            revert NotTrue("a changed header must be refused");
        } catch (bytes memory reason) {
            // The signatures recover to addresses nobody knows: in or out of order is chance.
            // forge-lint: disable-next-line(unsafe-typecast)
            bytes4 selector = bytes4(reason);
            isTrue(
                selector == IRateOracle.NotASigner.selector || selector == IRateOracle.SignersNotAscending.selector,
                "refused for its signatures"
            );
        }
    }

    /* FINALISE */

    function test_FinalisedEpochStandsAndReturnsItsBond() public {
        EpochHeader memory header = _header();
        proposeAndFinalise(header);
        equal(oracle.latestEpoch(), 1, "latest epoch");
        equal(oracle.latestEndMs(), header.endMs, "latest end");
        equal(oracle.latestHeaderHash(), oracle.hashHeader(header), "latest header");
        equal(distributor.accountRoot(), header.accountRoot, "accepted root");
        equal(oracle.pending().headerHash, bytes32(0), "nothing pending");
        equal(oracle.withdrawableBond(proposer), BOND, "bond to withdraw");
        vm.prank(proposer);
        oracle.withdrawBond(payable(stranger));
        equal(stranger.balance, BOND, "bond paid");
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.NoBondToWithdraw.selector, proposer));
        vm.prank(proposer);
        oracle.withdrawBond(payable(proposer));
    }

    function test_RevertWhen_NothingIsPending() public {
        EpochHeader memory header = _header();
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.NothingPending.selector));
        oracle.finalise(header);
        proposeAndFinalise(header);
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.NothingPending.selector));
        oracle.finalise(header);
    }

    function testFuzz_RevertWhen_TheWindowIsOpen(uint32 elapsed) public {
        elapsed %= WINDOW;
        EpochHeader memory header = _header();
        propose(header);
        uint256 endsAt = block.timestamp + WINDOW;
        vm.warp(block.timestamp + elapsed);
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.ChallengeWindowOpen.selector, endsAt, block.timestamp));
        oracle.finalise(header);
    }

    function test_RevertWhen_AnotherHeaderIsFinalised() public {
        EpochHeader memory header = _header();
        propose(header);
        bytes32 pendingHash = oracle.hashHeader(header);
        vm.warp(block.timestamp + WINDOW);
        header.accountRoot = keccak256("another");
        bytes32 headerHash = oracle.hashHeader(header);
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.HeaderMismatch.selector, headerHash, pendingHash));
        oracle.finalise(header);
    }

    /* VOID */

    function test_VoidedEpochRewardsTheChallengerAndBurnsTheRest() public {
        EpochHeader memory header = _header();
        propose(header);
        bytes32 headerHash = oracle.hashHeader(header);
        uint256 burnedBefore = address(0).balance;
        vm.expectEmit();
        emit IRateOracle.EpochVoided(1, headerHash, stranger, BOND / 2, BOND / 2, "leaf 3 has another value");
        vm.prank(governor);
        oracle.voidProposal(headerHash, stranger, "leaf 3 has another value");
        equal(oracle.withdrawableBond(stranger), BOND / 2, "reward");
        equal(oracle.withdrawableBond(proposer), 0, "the proposer's bond");
        equal(address(0).balance - burnedBefore, BOND / 2, "burned");
        equal(address(oracle).balance, BOND / 2, "held");
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.NothingPending.selector));
        oracle.finalise(header);
        proposeAndFinalise(header);
        equal(oracle.latestEpoch(), 1, "the number can be proposed again");
    }

    function test_VoidingForNobodyBurnsTheWholeBond() public {
        EpochHeader memory header = _header();
        propose(header);
        bytes32 headerHash = oracle.hashHeader(header);
        vm.prank(governor);
        oracle.voidProposal(headerHash, address(0), "nobody found it");
        equal(address(oracle).balance, 0, "held");
    }

    function testFuzz_RevertWhen_AnotherHeaderIsVoided(bytes32 other) public {
        EpochHeader memory header = _header();
        propose(header);
        bytes32 headerHash = oracle.hashHeader(header);
        if (other == headerHash) other = 0;
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.ProposalNotPending.selector, other, headerHash));
        vm.prank(governor);
        oracle.voidProposal(other, stranger, "another header");
    }

    /// @dev What the last proposal left in storage is not a proposal.
    function test_RevertWhen_AHeaderNoLongerPendingIsVoided() public {
        EpochHeader memory header = _header();
        bytes32 headerHash = oracle.hashHeader(header);
        proposeAndFinalise(header);
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.NothingPending.selector));
        vm.prank(governor);
        oracle.voidProposal(headerHash, stranger, "too late");
    }

    /// @dev The governor waits; meanwhile the proposal is voided otherwise and an honest one takes its number.
    function test_ScheduledVoidMeetsNoOtherProposal() public {
        manager.grantRole(GOVERNOR, address(this), 0);
        manager.grantRole(GOVERNOR, governor, 1 hours);
        EpochHeader memory header = _header();
        propose(header);
        bytes32 headerHash = oracle.hashHeader(header);
        bytes memory call = abi.encodeCall(oracle.voidProposal, (headerHash, stranger, "leaf 3 has another value"));
        vm.prank(governor);
        manager.schedule(address(oracle), call, 0);
        oracle.voidProposal(headerHash, stranger, "leaf 3 has another value");

        EpochHeader memory honest = _header();
        honest.accountRoot = keccak256("corrected");
        propose(honest);
        bytes32 honestHash = oracle.hashHeader(honest);
        vm.warp(block.timestamp + 1 hours);
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.ProposalNotPending.selector, headerHash, honestHash));
        vm.prank(governor);
        manager.execute(address(oracle), call);
        equal(oracle.pending().headerHash, honestHash, "the honest proposal is pending still");
        equal(address(oracle).balance, BOND + BOND / 2, "its bond is held whole");
    }

    function test_RevertWhen_ABondIsWithdrawnTwiceInOne() public {
        GreedyProposer greedy = new GreedyProposer(oracle);
        EpochHeader memory header = _header();
        bytes[] memory signatures = signaturesOf(header, 0, 3);
        greedy.propose{value: BOND}(header, signatures);
        vm.warp(block.timestamp + WINDOW);
        oracle.finalise(header);
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.NoBondToWithdraw.selector, address(greedy)));
        greedy.withdraw();
    }

    /* SETTINGS */

    function testFuzz_RevertWhen_AStrangerGoverns(uint8 which) public {
        address[] memory signers = new address[](1);
        signers[0] = stranger;
        bytes memory refusal = abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, stranger);
        vm.expectRevert(refusal);
        vm.prank(stranger);
        if (which % 8 == 0) oracle.setPolicy(keccak256("mine"), "");
        else if (which % 8 == 1) oracle.setRate(1);
        else if (which % 8 == 2) oracle.setQuorum(signers, 1);
        else if (which % 8 == 3) oracle.setBond(0);
        else if (which % 8 == 4) oracle.setChallengeWindow(0);
        else if (which % 8 == 5) oracle.pauseProposals();
        else if (which % 8 == 6) oracle.resumeProposals(1);
        else oracle.voidProposal(keccak256("theirs"), stranger, "");
    }

    function test_ARegisteredPolicyIsPutInForce() public {
        bytes32 policyHash = policies.register(policyOf("second", 2, 1));
        vm.expectEmit();
        emit IRateOracle.PolicySet(policyHash, "second.json");
        vm.prank(governor);
        oracle.setPolicy(policyHash, "second.json");
        equal(oracle.policyHash(), policyHash, "in force");
        equal(address(oracle.policies()), address(policies), "where it is registered");
    }

    function testFuzz_RevertWhen_ThePolicyIsNotRegistered(bytes32 policyHash) public {
        if (policies.isRegistered(policyHash)) return;
        bytes memory refusal = abi.encodeWithSelector(IRateOracle.PolicyNotRegistered.selector, policyHash);
        vm.expectRevert(refusal);
        vm.prank(governor);
        oracle.setPolicy(policyHash, "policy.json");

        InitialParameters memory initial = initialParameters();
        initial.policyHash = policyHash;
        vm.expectRevert(refusal);
        ship("RateOracle", abi.encode(address(manager), registry, policies, initial));
    }

    function test_ReplacedQuorumNoLongerCounts() public {
        EpochHeader memory header = _header();
        address[] memory signers = new address[](1);
        signers[0] = vm.addr(signerKeys[4]);
        vm.prank(governor);
        oracle.setQuorum(signers, 1);
        _refusedWith(
            header,
            signaturesOf(header, 0, 1),
            abi.encodeWithSelector(IRateOracle.NotASigner.selector, vm.addr(signerKeys[0]))
        );
        bytes[] memory signatures = signaturesOf(header, 4, 1);
        vm.prank(proposer);
        oracle.propose{value: BOND}(header, signatures);
    }

    function test_RevertWhen_TheQuorumIsBad() public {
        address[] memory signers = new address[](2);
        signers[0] = stranger;
        signers[1] = stranger;
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.BadSigner.selector, stranger));
        vm.prank(governor);
        oracle.setQuorum(signers, 1);
        signers[1] = address(0);
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.BadSigner.selector, address(0)));
        vm.prank(governor);
        oracle.setQuorum(signers, 1);
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.BadThreshold.selector, 3, 2));
        vm.prank(governor);
        oracle.setQuorum(signers, 3);
        vm.expectRevert(abi.encodeWithSelector(IRateOracle.BadSignerCount.selector, 33, 32));
        vm.prank(governor);
        oracle.setQuorum(new address[](33), 1);
    }

    /* WIRING */

    function test_NobodyElseCanMintBurnOrSetARoot() public {
        vm.expectRevert(
            abi.encodeWithSelector(IAttentionCredit.NotMinter.selector, address(this), address(distributor))
        );
        credit.mint(address(this), 1);
        vm.expectRevert(abi.encodeWithSelector(IFeePool.NotDistributor.selector, address(this), address(distributor)));
        feePool.burnPot(1, 1);
        vm.expectRevert(abi.encodeWithSelector(ICreditDistributor.NotOracle.selector, address(this), address(oracle)));
        distributor.acceptRoot(1, bytes32(0), 0, 0);
    }

    function test_RevertWhen_TheReceiverRefusesTheBond() public {
        proposeAndFinalise(_header());
        vm.expectRevert(abi.encodeWithSelector(Errors.FailedCall.selector));
        vm.prank(proposer);
        oracle.withdrawBond(payable(address(credit)));
    }

    function _header() private view returns (EpochHeader memory) {
        return nextHeader(keccak256("accounts"), 3, 1_000_000, 0);
    }

    function _text(uint256 length) private pure returns (bytes memory text) {
        text = new bytes(length);
        for (uint256 i; i < length; ++i) {
            text[i] = "~";
        }
    }

    function _refused(EpochHeader memory header, bytes memory reason) private {
        _refusedWith(header, signaturesOf(header, 0, 3), reason);
    }

    function _refusedWith(EpochHeader memory header, bytes[] memory signatures, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(proposer);
        oracle.propose{value: BOND}(header, signatures);
    }
}
