// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {CreditParameters, IAttentionCredit} from "./IAttentionCredit.sol";
import {ICreditDistributor} from "./ICreditDistributor.sol";
import {IEpochChallenge} from "./IEpochChallenge.sol";
import {FeeSplit, IFeePool} from "./IFeePool.sol";
import {ILeafRequests} from "./ILeafRequests.sol";
import {IMemberRegistry} from "./IMemberRegistry.sol";
import {IPolicyRegistry} from "./IPolicyRegistry.sol";
import {IRateFloat} from "./IRateFloat.sol";
import {IPausing} from "./IPausing.sol";

/// @notice Everything an epoch says. On chain only its hash is kept; the event of its proposal carries it whole.
/// @param epoch Number, from 1.
/// @param startMs Unix milliseconds; acts settled after this belong to the epoch.
/// @param endMs Unix milliseconds; acts settled at or before this belong to it.
/// @param policyHash Identity of the policy it was valued under.
/// @param activityRoot Root of the activity tree.
/// @param activityCount Leaves of the activity tree.
/// @param accountRoot Root of the account tree.
/// @param accountCount Leaves of the account tree.
/// @param activeCount Accounts that earned something.
/// @param totalEarned Micro-value of all accounts.
/// @param totalMint Micro-credits granted to all accounts.
/// @param rateQ24 Micro-credits per micro-value, 2^24 = 1.0.
/// @param pot Micro-credits of fees handed to active members.
/// @param previousHeaderHash Hash of the header before; zero for the first.
/// @param dataHash SHA-256 of the published manifest.
/// @param dataURI Where the published files are: ASCII of at most 512 bytes; may be empty.
struct EpochHeader {
    uint32 epoch;
    uint48 startMs;
    uint48 endMs;
    bytes32 policyHash;
    bytes32 activityRoot;
    uint32 activityCount;
    bytes32 accountRoot;
    uint32 accountCount;
    uint32 activeCount;
    uint64 totalEarned;
    uint64 totalMint;
    uint64 rateQ24;
    uint64 pot;
    bytes32 previousHeaderHash;
    bytes32 dataHash;
    string dataURI;
}

/// @notice A proposal in its challenge window; all zero when there is none.
/// @param epoch Number of the proposed epoch.
/// @param headerHash Hash of its header.
/// @param proposer Who sent it and posted the bond.
/// @param bond Wei.
/// @param challengeEndsAt Unix time in seconds from which it can be finalised.
struct Proposal {
    uint32 epoch;
    bytes32 headerHash;
    address proposer;
    uint96 bond;
    uint48 challengeEndsAt;
}

/// @notice What the oracle starts with.
/// @param policyHash Identity of the first policy.
/// @param policyURI Where its document is; only emitted.
/// @param rateQ24 First rate, micro-credits per micro-value, 2^24 = 1.0.
/// @param signers Quorum, 1 to 32 different addresses.
/// @param threshold Signatures a proposal needs.
/// @param bond Wei a proposer posts.
/// @param challengeWindow Seconds between proposal and finalisation.
/// @param challengerShareBps Part of a voided proposal's bond that the challenger gets, in hundredths of a percent.
/// @param credit Name, symbol and document of the credit.
/// @param feeSplit First division of fees.
struct InitialParameters {
    bytes32 policyHash;
    string policyURI;
    uint64 rateQ24;
    address[] signers;
    uint8 threshold;
    uint96 bond;
    uint32 challengeWindow;
    uint16 challengerShareBps;
    CreditParameters credit;
    FeeSplit feeSplit;
}

/// @title IRateOracle: says what each epoch was worth
/// @notice A quorum signs an epoch's header (EIP-712); anybody proposes it with a bond; after the challenge window
/// anybody finalises it, and the distributor pays out against it. Governance can void a proposal that is wrong.
/// @dev Creating the oracle creates the distributor, the credit and the fee pool: nobody can ever put another minter
/// in between. One proposal at a time. Setters act on later proposals: one that is pending keeps its terms. The rate is
/// what governance set, moved after each epoch if `IRateFloat` lets it float. Warning: a block's time stands for the end
/// of an epoch; a node whose clock is behind refuses proposals as too early.
interface IRateOracle is IPausing {
    /// @notice An epoch was proposed.
    /// @param signers Who signed, ascending.
    /// @param bond Wei.
    /// @param challengeEndsAt Unix time in seconds from which it can be finalised.
    event EpochProposed(
        uint32 indexed epoch,
        bytes32 indexed headerHash,
        address indexed proposer,
        EpochHeader header,
        address[] signers,
        uint256 bond,
        uint48 challengeEndsAt
    );

    /// @notice An epoch is final. Amounts in micro-credits.
    event EpochFinalised(
        uint32 indexed epoch, bytes32 indexed headerHash, bytes32 accountRoot, uint256 totalMint, uint256 pot
    );

    /// @notice A proposal was voided; its number can be proposed again.
    /// @param reward Wei credited to the challenger.
    /// @param burned Wei sent to the zero address.
    event EpochVoided(
        uint32 indexed epoch,
        bytes32 indexed headerHash,
        address indexed challenger,
        uint256 reward,
        uint256 burned,
        string reason
    );

    /// @notice Wei from bonds were paid out.
    event BondWithdrawn(address indexed owner, address indexed receiver, uint256 amount);

    /// @notice Later epochs are valued under this policy.
    event PolicySet(bytes32 indexed policyHash, string policyURI);

    /// @notice Later epochs mint at this rate, in micro-credits per micro-value, 2^24 = 1.0.
    event RateSet(uint64 previousRateQ24, uint64 rateQ24);

    /// @notice Later proposals need this many signatures of these signers.
    event QuorumSet(address[] signers, uint256 threshold);

    /// @notice Later proposals need this bond, in wei.
    event BondSet(uint256 previousBond, uint256 bond);

    /// @notice Later proposals wait this long, in seconds.
    event ChallengeWindowSet(uint256 previousWindow, uint256 challengeWindow);

    /// @notice Where faults are proved and leaves asked for was set, for good.
    event ChallengeSet(address challenge, address leafRequests);

    /// @notice What moves the rate after each epoch was set, for good.
    event RateFloatSet(address rateFloat);

    /// @notice Proposals were stopped, or allowed again: the pause of this number began, or ended.
    event ProposalsPausedSet(bool paused, uint256 pause);

    /// @notice Proposals are paused.
    error ProposalsPaused();

    /// @notice A proposal is in its challenge window already.
    error EpochPending(uint32 epoch, bytes32 headerHash);

    /// @notice No proposal is pending.
    error NothingPending();

    /// @notice The proposal to void is not the pending one: it was voided or finalised, and another was made since.
    error ProposalNotPending(bytes32 headerHash, bytes32 pendingHash);

    /// @notice The header given is not the one proposed.
    error HeaderMismatch(bytes32 headerHash, bytes32 pendingHash);

    /// @notice Epochs are numbered without a gap.
    error UnexpectedEpoch(uint32 epoch, uint256 expected);

    /// @notice An epoch starts where the one before ends. Unix milliseconds.
    error StartNotPreviousEnd(uint48 startMs, uint48 previousEndMs);

    /// @notice An epoch ends after it starts. Unix milliseconds.
    error EndNotAfterStart(uint48 startMs, uint48 endMs);

    /// @notice The epoch has not ended. Unix milliseconds.
    error EndInFuture(uint48 endMs, uint256 currentMs);

    /// @notice The address of the published files has more bytes than a header may hold.
    error DataURITooLong(uint256 length, uint256 max);

    /// @notice The address of the published files is not ASCII, in the 32 bytes from this position on.
    error DataURINotAscii(uint256 position);

    /// @notice The header does not continue the chain of headers.
    error PreviousHeaderMismatch(bytes32 previousHeaderHash, bytes32 expected);

    /// @notice Nobody has registered a policy of this identity: its rules are not known on chain.
    error PolicyNotRegistered(bytes32 policyHash);

    /// @notice The epoch was valued under another policy.
    error PolicyMismatch(bytes32 policyHash, bytes32 expected);

    /// @notice The epoch was minted at another rate.
    error RateMismatch(uint64 rateQ24, uint64 expected);

    /// @notice The pot is larger than the fee pool's bonus account. Micro-credits.
    error PotTooLarge(uint64 pot, uint256 bonus);

    /// @notice More is granted than the rate and the pot allow. Micro-credits.
    error MintTooLarge(uint64 totalMint, uint256 limit);

    /// @notice The value sent is not the bond. Wei.
    error WrongBond(uint256 sent, uint256 bond);

    /// @notice Fewer signatures than the threshold.
    error TooFewSignatures(uint256 given, uint256 threshold);

    /// @notice Signatures are repeated or not ordered by their signers' addresses.
    error SignersNotAscending(address previous, address signer);

    /// @notice A valid signature of somebody outside the quorum, or of another header.
    error NotASigner(address signer);

    /// @notice The challenge window is open. Unix seconds.
    error ChallengeWindowOpen(uint48 endsAt, uint256 current);

    /// @notice A leaf of the epoch is being asked for, or was shown so late that there must be time to look at it. Unix
    /// seconds; the largest number while nobody has answered.
    error EpochHeld(uint256 heldUntil, uint256 current);

    /// @notice Only the challenge contract and the leaf requests void by proof.
    error NotChallenge(address caller);

    /// @notice Where faults are proved and leaves asked for is set already, or would be nowhere.
    error ChallengeFixed(address challenge, address leafRequests);

    /// @notice What moves the rate is set already (it names it), or would be nothing.
    error RateFloatFixed(address rateFloat);

    /// @notice No bond is waiting for the caller.
    error NoBondToWithdraw(address owner);

    /// @notice A quorum of nobody, or of more than 32.
    error BadSignerCount(uint256 count, uint256 max);

    /// @notice The threshold is 0 or above the number of signers.
    error BadThreshold(uint256 threshold, uint256 signers);

    /// @notice A signer is given twice, or is the zero address.
    error BadSigner(address signer);

    /// @notice A share above 10 000, in hundredths of a percent.
    error ShareTooHigh(uint256 shareBps);

    /// @notice Proposes the next epoch.
    /// @dev Requirements: proposals are not paused (`ProposalsPaused`); none is pending (`EpochPending`); the value is
    /// the bond (`WrongBond`); the number, start, end, previous header, policy, rate, pot and total mint continue from
    /// what stands (`UnexpectedEpoch`, `StartNotPreviousEnd`, `EndNotAfterStart`, `EndInFuture`,
    /// `PreviousHeaderMismatch`, `PolicyMismatch`, `RateMismatch`, `PotTooLarge`, `MintTooLarge`); the data's address is
    /// ASCII of at most 512 bytes (`DataURINotAscii`, `DataURITooLong`); at least threshold
    /// signatures (`TooFewSignatures`), all by quorum signers (`NotASigner`), ascending by signer
    /// (`SignersNotAscending`), well formed and not malleable (`ECDSAInvalidSignature...`). The first epoch may start
    /// anywhere. Emits `EpochProposed`. Surprise: a signature over another header or another chain recovers to a
    /// random address and is refused as `NotASigner` or `SignersNotAscending`.
    /// @param header The epoch.
    /// @param signatures 65 bytes each (r, s, v) over the header's EIP-712 digest.
    function propose(EpochHeader calldata header, bytes[] calldata signatures) external payable;

    /// @notice Makes the pending epoch final after its challenge window. Anybody may call it.
    /// @dev Requirements: one is pending (`NothingPending`), this one (`HeaderMismatch`), and the window is over
    /// (`ChallengeWindowOpen`), and no leaf of it is being asked for (`EpochHeld`). The distributor takes over the root and burns the pot; the bond can be withdrawn by
    /// its proposer. Emits `EpochFinalised`, and `IRateFloat.RateMoved` if the rate floats.
    /// @param header The proposed header.
    function finalise(EpochHeader calldata header) external;

    /// @notice Voids the pending epoch. Part of the bond goes to the challenger, the rest is burned, so that a
    /// proposer gains nothing by challenging itself.
    /// @dev Works until the epoch is finalised, also after the window. Requirements: the caller's role
    /// (`AccessManagedUnauthorized`), one is pending (`NothingPending`), this one (`ProposalNotPending`).
    /// Emits `EpochVoided`. Named by its hash, because a void is scheduled long before it is executed: another proposal
    /// of the same number, made in between, is refused. Surprise: the same header proposed again is the same proposal.
    /// @param headerHash Hash of the pending header.
    /// @param challenger Who found the fault; zero burns the whole bond.
    /// @param reason One sentence for the record.
    function voidProposal(bytes32 headerHash, address challenger, string calldata reason) external;

    /// @notice Voids the pending epoch because a fault of it was proved; as `voidProposal` otherwise.
    /// @dev Requirements: the caller is `challenge` or `leafRequests` (`NotChallenge`), the header is pending (`NothingPending`,
    /// `ProposalNotPending`). Emits `EpochVoided`.
    function voidByProof(bytes32 headerHash, address challenger, string calldata reason) external;

    /// @notice Pays out bonds and rewards that wait for the caller.
    /// @dev Requirements: something waits (`NoBondToWithdraw`); the receiver accepts it (`FailedCall` or its own
    /// error). Emits `BondWithdrawn`.
    /// @param receiver Who gets the wei.
    /// @return amount Wei.
    function withdrawBond(address payable receiver) external returns (uint256 amount);

    /// @notice Sets the policy for later epochs. Restricted. Emits `PolicySet`.
    /// @dev Requirements: it is registered in `policies` (`PolicyNotRegistered`).
    function setPolicy(bytes32 newPolicyHash, string calldata policyURI) external;

    /// @notice Sets the rate for later epochs, micro-credits per micro-value, 2^24 = 1.0. Restricted. Emits `RateSet`.
    /// @dev A rate that floats goes on floating, from this one as its base with an excess of 0.
    function setRate(uint64 newRateQ24) external;

    /// @notice Replaces the quorum. Restricted. Emits `QuorumSet`.
    /// @dev Requirements: 1 to 32 signers (`BadSignerCount`), all different and not zero (`BadSigner`), threshold
    /// between 1 and their number (`BadThreshold`).
    function setQuorum(address[] calldata newSigners, uint8 newThreshold) external;

    /// @notice Sets the bond of later proposals in wei. Restricted. Emits `BondSet`.
    function setBond(uint96 newBond) external;

    /// @notice Sets the challenge window of later proposals in seconds. Restricted. Emits `ChallengeWindowSet`.
    function setChallengeWindow(uint32 newWindow) external;

    /// @notice Says where faults are proved and leaves asked for, once: nobody can take that away later. Restricted. Emits
    /// `ChallengeSet`.
    /// @dev Requirements: not set before, and none zero (`ChallengeFixed`).
    function setChallenge(IEpochChallenge newChallenge, ILeafRequests newRequests) external;

    /// @notice Says what moves the rate after each epoch, once: nobody can take that away later. Restricted. Emits
    /// `RateFloatSet`. Until then the rate is only what governance sets.
    /// @dev Requirements: not set before, and not zero (`RateFloatFixed`).
    function setRateFloat(IRateFloat newFloat) external;

    /// @notice Stops proposals. Claims, finalising and withdrawing are never stopped. Restricted. Emits `ProposalsPausedSet`.
    function pauseProposals() external;

    /// @notice Ends the latest pause of proposals: another role's than the one that stops them. Restricted.
    /// Requirements: `pause` is its number (`WrongPause`). Emits `ProposalsPausedSet`.
    function resumeProposals(uint256 pause) external;

    /// @notice EIP-712 struct hash of a header: its identity.
    function hashHeader(EpochHeader calldata header) external pure returns (bytes32);

    /// @notice What a quorum signer signs: the header's hash in this oracle's EIP-712 domain.
    function signingDigest(EpochHeader calldata header) external view returns (bytes32);

    /// @notice Number of the latest finalised epoch; 0 before the first.
    function latestEpoch() external view returns (uint32);

    /// @notice Header hash of the latest finalised epoch; zero before the first.
    function latestHeaderHash() external view returns (bytes32);

    /// @notice End of the latest finalised epoch in Unix milliseconds; 0 before the first.
    function latestEndMs() external view returns (uint48);

    /// @notice Header hash of a finalised epoch; zero when it is not final.
    function headerHashOf(uint32 epoch) external view returns (bytes32);

    /// @notice The proposal in its challenge window; all zero when there is none.
    function pending() external view returns (Proposal memory);

    /// @notice Policy later epochs are valued under.
    function policyHash() external view returns (bytes32);

    /// @notice Rate later epochs mint at: micro-credits per micro-value, 2^24 = 1.0.
    function rateQ24() external view returns (uint64);

    /// @notice The quorum, in the order it was set.
    function signers() external view returns (address[] memory);

    /// @notice Whether an address is in the quorum.
    function isSigner(address account) external view returns (bool);

    /// @notice Signatures a proposal needs.
    function threshold() external view returns (uint8);

    /// @notice Wei a proposer posts.
    function bond() external view returns (uint96);

    /// @notice Seconds between proposal and finalisation.
    function challengeWindow() external view returns (uint32);

    /// @notice Part of a voided bond that goes to the challenger, in hundredths of a percent. Fixed at creation.
    function challengerShareBps() external view returns (uint16);

    /// @notice Whether proposals are stopped.
    function proposalsPaused() external view returns (bool);

    /// @notice Wei an address can withdraw.
    function withdrawableBond(address owner) external view returns (uint256);

    /// @notice Where faults are proved; zero until `setChallenge`.
    function challenge() external view returns (IEpochChallenge);

    /// @notice Where leaves are asked for; zero until `setChallenge`.
    function leafRequests() external view returns (ILeafRequests);

    /// @notice What moves the rate after each epoch; zero until `setRateFloat`.
    function rateFloat() external view returns (IRateFloat);

    /// @notice The distributor this oracle created.
    function distributor() external view returns (ICreditDistributor);

    /// @notice The credit the distributor created.
    function credit() external view returns (IAttentionCredit);

    /// @notice The fee pool the distributor created.
    function feePool() external view returns (IFeePool);

    /// @notice Where placeholders are linked to wallets.
    function registry() external view returns (IMemberRegistry);

    /// @notice Where policies are registered before they can be set.
    function policies() external view returns (IPolicyRegistry);
}
