// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {Pausing} from "../governance/Pausing.sol";
import {IAttentionCredit} from "../interfaces/IAttentionCredit.sol";
import {ICreditDistributor} from "../interfaces/ICreditDistributor.sol";
import {IEpochChallenge} from "../interfaces/IEpochChallenge.sol";
import {IFeePool} from "../interfaces/IFeePool.sol";
import {ILeafRequests} from "../interfaces/ILeafRequests.sol";
import {IMemberRegistry} from "../interfaces/IMemberRegistry.sol";
import {IPolicyRegistry} from "../interfaces/IPolicyRegistry.sol";
import {IRateFloat} from "../interfaces/IRateFloat.sol";
import {EpochHeader, InitialParameters, IRateOracle, Proposal} from "../interfaces/IRateOracle.sol";
import {Header} from "../libraries/Header.sol";
import {CreditDistributor} from "../token/CreditDistributor.sol";

/// @title RateOracle
/// @notice Creates the distributor, and through it the credit and the fee pool.
contract RateOracle is IRateOracle, AccessManaged, Pausing, EIP712 {
    using SafeCast for uint256;

    /// @dev Everything a proposal is checked against that fits one slot.
    struct State {
        uint32 latestEpoch;
        uint48 latestEndMs;
        /// Unix seconds; 0 when no proposal is pending. The slots below then hold what the last proposal left there:
        /// overwriting is cheaper than clearing and writing anew, 34,000 gas for every proposal after the first.
        uint48 pendingUntil;
        uint32 challengeWindow;
        uint64 rateQ24;
        uint8 threshold;
        bool paused;
    }

    /// @dev One whole, in hundredths of a percent.
    uint256 private constant ONE_BPS = 10_000;

    /// @dev Keeps the cost of replacing a quorum within one transaction.
    uint256 private constant MAX_SIGNERS = 32;

    /// @dev Every proof of a fault carries the header, some the one before as well: this bounds what they cost.
    uint256 private constant MAX_DATA_URI_BYTES = 512;

    /// @dev Bits that no ASCII character has, in a word of 32.
    bytes32 private constant NOT_ASCII = 0x8080808080808080808080808080808080808080808080808080808080808080;

    /// @inheritdoc IRateOracle
    IMemberRegistry public immutable registry;

    /// @inheritdoc IRateOracle
    IPolicyRegistry public immutable policies;

    /// @inheritdoc IRateOracle
    ICreditDistributor public immutable distributor;

    /// @inheritdoc IRateOracle
    IAttentionCredit public immutable credit;

    /// @inheritdoc IRateOracle
    IFeePool public immutable feePool;

    /// @inheritdoc IRateOracle
    uint16 public immutable challengerShareBps;

    State private _state;

    /// @dev Of the pending proposal, valid while `_state.pendingUntil` is not 0.
    bytes32 private _pendingHeaderHash;

    /// @dev Of the pending proposal, valid while `_state.pendingUntil` is not 0; one slot with the bond.
    address private _proposer;

    /// @dev Wei the pending proposal holds.
    uint96 private _pendingBond;

    /// @inheritdoc IRateOracle
    bytes32 public policyHash;

    /// @inheritdoc IRateOracle
    uint96 public bond;

    /// @inheritdoc IRateOracle
    mapping(address account => bool) public isSigner;

    /// @inheritdoc IRateOracle
    mapping(uint32 epoch => bytes32) public headerHashOf;

    /// @inheritdoc IRateOracle
    mapping(address owner => uint256) public withdrawableBond;

    /// @inheritdoc IRateOracle
    IEpochChallenge public challenge;

    /// @inheritdoc IRateOracle
    ILeafRequests public leafRequests;

    /// @inheritdoc IRateOracle
    IRateFloat public rateFloat;

    address[] private _signers;

    constructor(
        address manager,
        IMemberRegistry memberRegistry,
        IPolicyRegistry policyRegistry,
        InitialParameters memory initial
    ) AccessManaged(manager) EIP712("timebank RateOracle", "1") {
        require(initial.challengerShareBps <= ONE_BPS, ShareTooHigh(initial.challengerShareBps));
        challengerShareBps = initial.challengerShareBps;
        registry = memberRegistry;
        policies = policyRegistry;

        CreditDistributor created = new CreditDistributor(manager, memberRegistry, initial.credit, initial.feeSplit);
        distributor = created;
        credit = created.credit();
        feePool = created.feePool();

        _setPolicy(initial.policyHash, initial.policyURI);
        _setRate(initial.rateQ24);
        _setQuorum(initial.signers, initial.threshold);
        _setBond(initial.bond);
        _setChallengeWindow(initial.challengeWindow);
    }

    /* EPOCHS */

    /// @inheritdoc IRateOracle
    function propose(EpochHeader calldata header, bytes[] calldata signatures) external payable {
        State memory state = _state;
        require(!state.paused, ProposalsPaused());
        require(state.pendingUntil == 0, EpochPending(state.latestEpoch + 1, _pendingHeaderHash));
        uint256 due = bond;
        require(msg.value == due, WrongBond(msg.value, due));
        _requireContinues(header, state);
        _requireAddress(bytes(header.dataURI));

        bytes32 headerHash = hashHeader(header);
        address[] memory signedBy = _requireQuorum(_hashTypedDataV4(headerHash), signatures, state.threshold);

        uint48 challengeEndsAt = (block.timestamp + state.challengeWindow).toUint48();
        _state.pendingUntil = challengeEndsAt;
        _pendingHeaderHash = headerHash;
        _proposer = msg.sender;
        // Safe unchecked cast because the value equals the bond, which is a uint96.
        _pendingBond = uint96(msg.value);
        emit EpochProposed(header.epoch, headerHash, msg.sender, header, signedBy, msg.value, challengeEndsAt);
    }

    /// @inheritdoc IRateOracle
    function finalise(EpochHeader calldata header) external {
        uint48 pendingUntil = _state.pendingUntil;
        require(pendingUntil != 0, NothingPending());
        bytes32 headerHash = hashHeader(header);
        require(headerHash == _pendingHeaderHash, HeaderMismatch(headerHash, _pendingHeaderHash));
        require(block.timestamp >= pendingUntil, ChallengeWindowOpen(pendingUntil, block.timestamp));
        if (address(leafRequests) != address(0)) {
            uint256 heldUntil = leafRequests.heldUntil(headerHash, pendingUntil);
            require(block.timestamp >= heldUntil, EpochHeld(heldUntil, block.timestamp));
        }

        _state.pendingUntil = 0;
        _state.latestEpoch = header.epoch;
        _state.latestEndMs = header.endMs;
        headerHashOf[header.epoch] = headerHash;
        withdrawableBond[_proposer] += _pendingBond;
        emit EpochFinalised(header.epoch, headerHash, header.accountRoot, header.totalMint, header.pot);

        distributor.acceptRoot(header.epoch, header.accountRoot, header.totalMint, header.pot);
        IRateFloat float = rateFloat;
        if (address(float) != address(0)) {
            _state.rateQ24 = float.follow(header.epoch, _state.rateQ24, header.totalMint);
        }
    }

    /// @inheritdoc IRateOracle
    function voidProposal(bytes32 headerHash, address challenger, string calldata reason) external restricted {
        _void(headerHash, challenger, reason);
    }

    /// @inheritdoc IRateOracle
    function voidByProof(bytes32 headerHash, address challenger, string calldata reason) external {
        require(msg.sender == address(challenge) || msg.sender == address(leafRequests), NotChallenge(msg.sender));
        _void(headerHash, challenger, reason);
    }

    /// @inheritdoc IRateOracle
    function withdrawBond(address payable receiver) external returns (uint256 amount) {
        amount = withdrawableBond[msg.sender];
        require(amount != 0, NoBondToWithdraw(msg.sender));

        withdrawableBond[msg.sender] = 0;
        emit BondWithdrawn(msg.sender, receiver, amount);

        Address.sendValue(receiver, amount);
    }

    /* SETTINGS */

    /// @inheritdoc IRateOracle
    function setPolicy(bytes32 newPolicyHash, string calldata policyURI) external restricted {
        _setPolicy(newPolicyHash, policyURI);
    }

    /// @inheritdoc IRateOracle
    function setRate(uint64 newRateQ24) external restricted {
        _setRate(newRateQ24);
    }

    /// @inheritdoc IRateOracle
    function setQuorum(address[] calldata newSigners, uint8 newThreshold) external restricted {
        _setQuorum(newSigners, newThreshold);
    }

    /// @inheritdoc IRateOracle
    function setBond(uint96 newBond) external restricted {
        _setBond(newBond);
    }

    /// @inheritdoc IRateOracle
    function setChallengeWindow(uint32 newWindow) external restricted {
        _setChallengeWindow(newWindow);
    }

    /// @inheritdoc IRateOracle
    function pauseProposals() external restricted {
        _state.paused = true;
        emit ProposalsPausedSet(true, _nextPause());
    }

    /// @inheritdoc IRateOracle
    function resumeProposals(uint256 pause) external restricted {
        _requireLatest(pause);
        _state.paused = false;
        emit ProposalsPausedSet(false, pause);
    }

    /// @inheritdoc IRateOracle
    function setChallenge(IEpochChallenge newChallenge, ILeafRequests newRequests) external restricted {
        require(address(challenge) == address(0), ChallengeFixed(address(challenge), address(leafRequests)));
        require(
            address(newChallenge) != address(0) && address(newRequests) != address(0),
            ChallengeFixed(address(newChallenge), address(newRequests))
        );
        challenge = newChallenge;
        leafRequests = newRequests;
        emit ChallengeSet(address(newChallenge), address(newRequests));
    }

    /// @inheritdoc IRateOracle
    function setRateFloat(IRateFloat newFloat) external restricted {
        require(address(rateFloat) == address(0) && address(newFloat) != address(0), RateFloatFixed(address(rateFloat)));
        rateFloat = newFloat;
        emit RateFloatSet(address(newFloat));
    }

    /* VIEWS */

    /// @inheritdoc IRateOracle
    function hashHeader(EpochHeader calldata header) public pure returns (bytes32) {
        return Header.hash(header);
    }

    /// @inheritdoc IRateOracle
    function signingDigest(EpochHeader calldata header) external view returns (bytes32) {
        return _hashTypedDataV4(hashHeader(header));
    }

    /// @inheritdoc IRateOracle
    function latestEpoch() external view returns (uint32) {
        return _state.latestEpoch;
    }

    /// @inheritdoc IRateOracle
    function latestHeaderHash() external view returns (bytes32) {
        return headerHashOf[_state.latestEpoch];
    }

    /// @inheritdoc IRateOracle
    function latestEndMs() external view returns (uint48) {
        return _state.latestEndMs;
    }

    /// @inheritdoc IRateOracle
    function pending() external view returns (Proposal memory proposal) {
        State memory state = _state;
        if (state.pendingUntil == 0) return proposal;
        return Proposal({
            epoch: state.latestEpoch + 1,
            headerHash: _pendingHeaderHash,
            proposer: _proposer,
            bond: _pendingBond,
            challengeEndsAt: state.pendingUntil
        });
    }

    /// @inheritdoc IRateOracle
    function rateQ24() external view returns (uint64) {
        return _state.rateQ24;
    }

    /// @inheritdoc IRateOracle
    function signers() external view returns (address[] memory) {
        return _signers;
    }

    /// @inheritdoc IRateOracle
    function threshold() external view returns (uint8) {
        return _state.threshold;
    }

    /// @inheritdoc IRateOracle
    function challengeWindow() external view returns (uint32) {
        return _state.challengeWindow;
    }

    /// @inheritdoc IRateOracle
    function proposalsPaused() external view returns (bool) {
        return _state.paused;
    }

    /* VOIDING */

    /// @dev Ends the pending proposal: a part of its bond for the challenger, the rest burned.
    function _void(bytes32 headerHash, address challenger, string calldata reason) private {
        require(_state.pendingUntil != 0, NothingPending());
        bytes32 pendingHash = _pendingHeaderHash;
        require(headerHash == pendingHash, ProposalNotPending(headerHash, pendingHash));

        // Rounded down against the challenger: the difference is burned.
        uint256 held = _pendingBond;
        uint256 reward = challenger == address(0) ? 0 : held * challengerShareBps / ONE_BPS;
        uint256 burned = held - reward;

        _state.pendingUntil = 0;
        withdrawableBond[challenger] += reward;
        emit EpochVoided(_state.latestEpoch + 1, headerHash, challenger, reward, burned, reason);

        Address.sendValue(payable(address(0)), burned);
    }

    /* CHECKS */

    /// @dev The header is the next one, under the policy and the rate that stand, and grants no more than they allow.
    function _requireContinues(EpochHeader calldata header, State memory state) private view {
        uint256 expected = uint256(state.latestEpoch) + 1;
        require(header.epoch == expected, UnexpectedEpoch(header.epoch, expected));
        require(
            state.latestEpoch == 0 || header.startMs == state.latestEndMs,
            StartNotPreviousEnd(header.startMs, state.latestEndMs)
        );
        require(header.endMs > header.startMs, EndNotAfterStart(header.startMs, header.endMs));
        require(header.endMs <= block.timestamp * 1000, EndInFuture(header.endMs, block.timestamp * 1000));
        bytes32 previous = headerHashOf[state.latestEpoch];
        require(header.previousHeaderHash == previous, PreviousHeaderMismatch(header.previousHeaderHash, previous));
        bytes32 policy = policyHash;
        require(header.policyHash == policy, PolicyMismatch(header.policyHash, policy));
        require(header.rateQ24 == state.rateQ24, RateMismatch(header.rateQ24, state.rateQ24));

        // The pool is asked only when there is something to ask for.
        if (header.pot != 0) {
            uint256 available = feePool.bonus();
            require(header.pot <= available, PotTooLarge(header.pot, available));
        }
        uint256 limit = ((uint256(header.totalEarned) * header.rateQ24) >> 24) + header.pot;
        require(header.totalMint <= limit, MintTooLarge(header.totalMint, limit));
    }

    /// @dev Whoever follows the chain must be able to read the header and to prove it wrong: the address is short, and
    /// ASCII, as addresses are. Other bytes might be no text at all, which decoders refuse together with the event.
    function _requireAddress(bytes calldata dataURI) private pure {
        uint256 length = dataURI.length;
        require(length <= MAX_DATA_URI_BYTES, DataURITooLong(length, MAX_DATA_URI_BYTES));
        for (uint256 at; at < length; at += 32) {
            // What is missing to a whole word counts as zeros.
            require(bytes32(dataURI[at:]) & NOT_ASCII == 0, DataURINotAscii(at));
        }
    }

    /// @dev Enough different quorum members signed. Ascending order makes "different" one comparison.
    function _requireQuorum(bytes32 digest, bytes[] calldata signatures, uint256 needed)
        private
        view
        returns (address[] memory signedBy)
    {
        require(signatures.length >= needed, TooFewSignatures(signatures.length, needed));
        signedBy = new address[](signatures.length);
        address previous;
        for (uint256 i; i < signatures.length; ++i) {
            address signer = ECDSA.recoverCalldata(digest, signatures[i]);
            require(signer > previous, SignersNotAscending(previous, signer));
            require(isSigner[signer], NotASigner(signer));
            signedBy[i] = signer;
            previous = signer;
        }
    }

    /* INTERNAL SETTERS: shared with the constructor */

    function _setPolicy(bytes32 newPolicyHash, string memory policyURI) private {
        require(policies.isRegistered(newPolicyHash), PolicyNotRegistered(newPolicyHash));
        policyHash = newPolicyHash;
        emit PolicySet(newPolicyHash, policyURI);
    }

    function _setRate(uint64 newRateQ24) private {
        emit RateSet(_state.rateQ24, newRateQ24);
        _state.rateQ24 = newRateQ24;
    }

    function _setQuorum(address[] memory newSigners, uint8 newThreshold) private {
        require(
            newSigners.length != 0 && newSigners.length <= MAX_SIGNERS, BadSignerCount(newSigners.length, MAX_SIGNERS)
        );
        require(newThreshold != 0 && newThreshold <= newSigners.length, BadThreshold(newThreshold, newSigners.length));

        for (uint256 i; i < _signers.length; ++i) {
            isSigner[_signers[i]] = false;
        }
        for (uint256 i; i < newSigners.length; ++i) {
            address signer = newSigners[i];
            require(signer != address(0) && !isSigner[signer], BadSigner(signer));
            isSigner[signer] = true;
        }
        _signers = newSigners;
        _state.threshold = newThreshold;
        emit QuorumSet(newSigners, newThreshold);
    }

    function _setBond(uint96 newBond) private {
        emit BondSet(bond, newBond);
        bond = newBond;
    }

    function _setChallengeWindow(uint32 newWindow) private {
        emit ChallengeWindowSet(_state.challengeWindow, newWindow);
        _state.challengeWindow = newWindow;
    }
}
