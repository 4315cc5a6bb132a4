// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAttentionCredit} from "./IAttentionCredit.sol";
import {IClaimCreditor} from "./IClaimCreditor.sol";
import {ICreditDistributor} from "./ICreditDistributor.sol";
import {ICreditLending} from "./ICreditLending.sol";
import {IFeePool} from "./IFeePool.sol";
import {ITimeBank} from "./ITimeBank.sol";
import {AccountLeaf} from "../libraries/EpochTree.sol";
import {IPausing} from "./IPausing.sol";

/// @notice What a lender signs (EIP-712, domain "timebank CreditLease", version "1").
/// @param lender Who lends; a contract wallet signs by ERC-1271.
/// @param lessee Who may take it; the zero address means anybody.
/// @param amount Micro-credits offered in all.
/// @param minTake Smallest part that can be taken; the last part may be smaller.
/// @param rent Micro-credits for the whole amount and the whole term; a part pays its share, rounded up.
/// @param term Seconds from taking to the due day.
/// @param onStanding Whether standing is enough as security; a receipt always is.
/// @param expiresAt Unix time in seconds until which it can be taken.
/// @param series The lender's series at the time of signing, the first is 0: `cancelAll` ends a series.
/// @param salt Makes offers with equal terms different.
struct LeaseOffer {
    address lender;
    address lessee;
    uint64 amount;
    uint64 minTake;
    uint64 rent;
    uint32 term;
    bool onStanding;
    uint40 expiresAt;
    uint64 series;
    uint256 salt;
}

/// @notice A lease that runs.
/// @param lender Who gets principal and rent.
/// @param lessee Who owes them.
/// @param dueAt Unix time in seconds until which it can be repaid undisturbed.
/// @param principal Micro-credits lent.
/// @param rent Micro-credits of rent for the whole term; does not grow when overdue and does not shrink when early.
/// @param receiptId The receipt in custody; 0 when standing is the security.
/// @param account For a lease on standing, the account whose leaf was proved; else zero.
/// @param repaid Micro-credits of principal and rent that have come in; only leases on standing are repaid in parts.
/// @param feeBps Fee on the rent when it was taken, in hundredths of a percent.
struct Lease {
    address lender;
    uint40 dueAt;
    uint32 receiptId;
    uint16 feeBps;
    address lessee;
    uint64 principal;
    address account;
    uint64 rent;
    uint64 repaid;
}

/// @title ICreditLease: a fixed sum for a fixed time at a fixed rent, between two members
/// @notice The lender signs an offer and approves this contract for the sum; whoever takes it, whole or in part, gets the
/// credits at once. Security is a TimeBank receipt whose exit value covers principal and rent, held in custody, or, where
/// the offer allows it, the taker's standing: then the taker's claims are pledged, and once the lease is overdue they
/// repay it first.
///
/// The due day. Until `dueAt` only the repayment matters. After it, a lease on a receipt can be settled by anybody: the
/// deposit is closed, the lender gets principal and rent, the rest goes to the lessee. A lease on standing stays owed,
/// without growing, until claims or the lessee have paid it, or the lender forgives it: the lender chose that risk.
///
/// The fee is a part of the rent, paid by the lender when the rent comes in. Money comes in for the principal first, then
/// for the rent. When `r` of the rent has come in, all fees so far are `ceil(r * feeBps / 10 000)`; a payment pays the
/// growth of that number. So the fee on the whole rent is the same in however many parts it is paid.
/// @dev Offers are limited by what was taken of them (`takenOf`), by `cancel`, by `cancelAll`, by `expiresAt`. Whether the
/// lender's balance and allowance cover an offer is known only when it is taken: if not, that reverts with the credit's
/// error (`ERC20InsufficientAllowance`, `ERC20InsufficientBalance`).
/// Nobody can pause repayment, settling, forgiving or cancelling.
/// Warning: an exit value never falls by itself, but governance can raise the bank's fee on income. A receipt whose
/// income is part of its security can then bring less than is owed when it is settled: the lender gets what there is.
/// Warning: a lender that is a contract is asked by ERC-1271 each time, so what it says can change.
/// Warning: the fee is the one in force when an offer is taken, not when it was signed.
/// Warning: credits sent here by a plain transfer are lost: nobody can take them out. A receipt cannot be sent here.
interface ICreditLease is IClaimCreditor, IPausing {
    /* EVENTS */

    /// @notice An offer was taken, whole or in part.
    /// @param offerHash `hashOffer` of the offer.
    /// @param principal Micro-credits that went from the lender to the lessee.
    /// @param rent Micro-credits of rent for the whole term.
    /// @param dueAt Unix time in seconds.
    /// @param receiptId The receipt in custody; 0 for a lease on standing.
    /// @param account For a lease on standing, the account whose leaf was proved; else zero.
    /// @param feeBps Fee on the rent, in hundredths of a percent.
    event LeaseTaken(
        uint256 indexed leaseId,
        bytes32 indexed offerHash,
        address indexed lessee,
        address lender,
        uint256 principal,
        uint256 rent,
        uint256 dueAt,
        uint256 receiptId,
        address account,
        uint256 feeBps
    );

    /// @notice Money came in: `amount - fee` went to the lender, `fee` to the fee pool.
    /// @param payer Who paid; for a claim, the lessee.
    /// @param fromClaim Whether it came out of a claim.
    event LeaseRepaid(uint256 indexed leaseId, address indexed payer, uint256 amount, uint256 fee, bool fromClaim);

    /// @notice A lease is over; its receipt went back to the lessee (unless it was settled), or its claims are free again.
    event LeaseClosed(uint256 indexed leaseId);

    /// @notice An overdue lease on a receipt was settled from its deposit: `proceeds` = toLender + fee + returned.
    /// @param returned Micro-credits that went to the lessee.
    event LeaseSettled(
        uint256 indexed leaseId,
        address indexed caller,
        uint256 proceeds,
        uint256 toLender,
        uint256 fee,
        uint256 returned
    );

    /// @notice The lender gave up what was left, in micro-credits.
    event LeaseForgiven(uint256 indexed leaseId, uint256 amount);

    /// @notice An offer was cancelled. Leases taken of it before go on.
    event OfferCancelled(address indexed lender, bytes32 indexed offerHash);

    /// @notice All offers a lender signed under earlier series are void. Leases taken of them before go on.
    event SeriesEnded(address indexed lender, uint256 newSeries);

    /// @notice The fee of later leases changed, in hundredths of a percent.
    event LeaseFeeSet(uint256 previousBps, uint256 feeBps);

    /// @notice The guardian stopped taking, or the governor allowed it again: the pause of this number began, or ended.
    event LeasingPausedSet(bool paused, uint256 pause);

    /* ERRORS */

    /// @notice Offers cannot be taken at present.
    error LeasingPaused();

    /// @notice An offer that cannot be: `minTake` of 0 or above `amount`, a term of 0 or above `MAX_LEASE_TERM`, or amount
    /// and rent together beyond 64 bits.
    error BadOffer();

    /// @notice It could be taken until `expiresAt`.
    error OfferExpired(uint256 expiresAt, uint256 current);

    /// @notice The offer was signed under another series than the lender's current one.
    error SeriesIsOver(uint256 series, uint256 current);

    /// @notice The lender cancelled the offer.
    error OfferIsCancelled(bytes32 offerHash);

    /// @notice The offer is for somebody else.
    error NotForCaller(address lessee, address caller);

    /// @notice A lender cannot take its own offer.
    error LenderIsLessee(address lender);

    /// @notice Less than `minTake` (and less than what is left), or more than what is left, or nothing.
    error BadTake(uint256 amount, uint256 minTake, uint256 left);

    /// @notice The signature is not the lender's over this offer on this chain and contract.
    error BadOfferSignature(address lender, bytes32 offerHash);

    /// @notice The caller does not own the receipt.
    error NotReceiptOwner(uint256 receiptId, address caller);

    /// @notice The receipt's exit value does not cover principal and rent.
    error ReceiptTooSmall(uint256 receiptId, uint256 exitValue, uint256 owed);

    /// @notice The lender wants a receipt.
    error StandingNotAccepted(bytes32 offerHash);

    /// @notice The lessee has a lease on standing already.
    error StandingLeaseRuns(address lessee, uint256 leaseId);

    /// @notice The leaf does not stand in the latest finalised epoch: another epoch's, another tree's, or changed.
    error StandingNotProven(uint32 index, bytes32 root);

    /// @notice The caller neither is the leaf's account nor the wallet its placeholder is linked to.
    error NotAccountHolder(address account, address caller);

    /// @notice Principal and rent are more than the standing allows, in micro-credits.
    error StandingTooLow(uint256 debt, uint256 limit);

    /// @notice There is no such lease, or it is over.
    error NoSuchLease(uint256 leaseId);

    /// @notice A repayment of nothing.
    error ZeroAmount();

    /// @notice A lease on a receipt is repaid whole: a part would free nothing.
    error PartialRepayment(uint256 leaseId, uint256 owed, uint256 amount);

    /// @notice A lease on standing is not settled from a receipt.
    error NotOnReceipt(uint256 leaseId);

    /// @notice Only once `dueAt` has passed.
    error NotDue(uint256 leaseId, uint256 dueAt, uint256 current);

    /// @notice The caller is not the lease's lender.
    error NotLender(uint256 leaseId, address caller, address lender);

    /// @notice The caller is not the offer's lender.
    error NotOfferLender(address caller, address lender);

    /// @notice Somebody other than the distributor booked a repayment from a claim.
    error NotClaimsDistributor(address caller, address distributor);

    /// @notice A fee on rent above `MAX_LEASE_FEE_BPS`.
    error LeaseFeeTooHigh(uint256 feeBps, uint256 maxBps);

    /* TAKING */

    /// @notice Takes an offer, whole or in part, against a receipt of the caller, who has approved this contract for it.
    /// @dev Requirements, in this order: not paused (`LeasingPaused`), a possible offer (`BadOffer`), not expired
    /// (`OfferExpired`), of the lender's current series (`SeriesIsOver`), not cancelled (`OfferIsCancelled`), for the caller
    /// or anybody (`NotForCaller`), not the caller's own (`LenderIsLessee`), a possible part (`BadTake`), signed
    /// (`BadOfferSignature`); then the caller owns the receipt (`ERC721NonexistentToken`, `NotReceiptOwner`) and its exit
    /// value covers principal and rent (`ReceiptTooSmall`); then custody (`ERC721InsufficientApproval`), then the lender's
    /// allowance and balance (`ERC20InsufficientAllowance`, `ERC20InsufficientBalance`). Emits `LeaseTaken`.
    /// @param signature 65 bytes `r, s, v`, or whatever the lender's contract wants.
    /// @param amount Micro-credits to take.
    /// @return leaseId Number of the lease; the first is 1.
    function take(LeaseOffer calldata offer, bytes calldata signature, uint256 amount, uint256 receiptId)
        external
        returns (uint256 leaseId);

    /// @notice Takes an offer on standing: principal and rent within `CreditLending.standingLimit` of the proven leaf, and
    /// no other creditor holds the caller's claims.
    /// @dev Requirements: those of `take` up to the signature; then the offer allows it (`StandingNotAccepted`), the caller
    /// has no other lease on standing (`StandingLeaseRuns`), the leaf stands under the latest finalised account root
    /// (`StandingNotProven`), the caller is its account or that placeholder's wallet (`NotAccountHolder`), the limit
    /// (`StandingTooLow`, and what `standingLimit` reverts with); then the claims are free (`ClaimsPledged` of the
    /// distributor), then the lender's allowance and balance. Emits `LeaseTaken`.
    /// @param leaf The account's leaf in the latest finalised epoch.
    /// @param proof Sibling hashes, from the leaf up.
    function takeOnStanding(
        LeaseOffer calldata offer,
        bytes calldata signature,
        uint256 amount,
        AccountLeaf calldata leaf,
        bytes32[] calldata proof
    ) external returns (uint256 leaseId);

    /* REPAYING */

    /// @notice Repays out of the caller's allowance; anybody may, at any time before the lease is over. A lease on a receipt
    /// is repaid whole, one on standing also in parts. Takes no more than is owed.
    /// @dev Requirements: the lease runs (`NoSuchLease`), something is paid (`ZeroAmount`), on a receipt at least what is owed
    /// (`PartialRepayment`). Pays the lender, then the fee pool. With the last of it the receipt goes back to the lessee, or
    /// the claims are freed. Emits `LeaseRepaid`, and `LeaseClosed` when it is over.
    /// @param amount Micro-credits, at most.
    /// @return paid Micro-credits taken from the caller.
    function repay(uint256 leaseId, uint256 amount) external returns (uint256 paid);

    /* AFTER THE DUE DAY, OR NEVER */

    /// @notice Settles an overdue lease on a receipt. Anybody may call it.
    /// @dev Requirements: the lease runs (`NoSuchLease`), on a receipt (`NotOnReceipt`), `dueAt` has passed (`NotDue`).
    /// Closes the deposit, early if it must. Emits `LeaseSettled` and `LeaseClosed`.
    function settle(uint256 leaseId) external;

    /// @notice The lender gives up what is left; receipt and claims are free.
    /// @dev Requirements: the lease runs (`NoSuchLease`), the caller is its lender (`NotLender`). Emits `LeaseForgiven` and
    /// `LeaseClosed`.
    function forgive(uint256 leaseId) external;

    /* OFFERS */

    /// @notice Cancels one offer, whether it was ever signed or not. Cancelling it again changes nothing.
    /// @dev Requirements: the caller is its lender (`NotOfferLender`). Emits `OfferCancelled`.
    function cancel(LeaseOffer calldata offer) external;

    /// @notice Ends the caller's series: every offer signed under it is void. Emits `SeriesEnded`.
    function cancelAll() external returns (uint64 newSeries);

    /* SETTINGS */

    /// @notice Changes the fee on the rent of later leases. Requirements: the caller's role, at most `MAX_LEASE_FEE_BPS`.
    function setLeaseFee(uint16 newFeeBps) external;

    /// @notice Stops taking (role). Repaying, settling, forgiving and cancelling always work. Emits `LeasingPausedSet`.
    function pauseLeasing() external;

    /// @notice Ends the latest pause of taking: another role's than the one that stops it. Requirements: `pause` is its
    /// number (`WrongPause`). Emits `LeasingPausedSet`.
    function resumeLeasing(uint256 pause) external;

    /* VIEWS */

    /// @notice A lease as stored; zeros when there is none or it is over.
    function leaseOf(uint256 leaseId) external view returns (Lease memory);

    /// @notice Owed in all: principal and rent less what came in; 0 when there is no lease.
    function owedOn(uint256 leaseId) external view returns (uint256);

    /// @notice The one lease on standing of a lessee; 0 when there is none.
    function standingLeaseOf(address lessee) external view returns (uint256);

    /// @notice The EIP-712 digest of an offer on this chain and contract: what its lender signs, and its name here.
    function hashOffer(LeaseOffer calldata offer) external view returns (bytes32);

    /// @notice Micro-credits taken of an offer so far.
    function takenOf(bytes32 offerHash) external view returns (uint256);

    /// @notice Whether an offer was cancelled by itself; `cancelAll` does not show here.
    function isCancelled(bytes32 offerHash) external view returns (bool);

    /// @notice The series a lender's offers must be signed under now.
    function seriesOf(address lender) external view returns (uint64);

    /// @notice How many leases there were; also the number of the newest.
    function leaseCount() external view returns (uint256);

    /// @notice Fee on the rent of new leases, in hundredths of a percent.
    function leaseFeeBps() external view returns (uint256);

    /// @notice Whether the guardian has stopped taking.
    function leasingPaused() external view returns (bool);

    /// @notice No fee on rent can be above this: 2000, twenty percent.
    function MAX_LEASE_FEE_BPS() external view returns (uint256);

    /// @notice No term can be longer than this, in seconds: four years.
    function MAX_LEASE_TERM() external view returns (uint256);

    /// @notice The credit that is lent.
    function credit() external view returns (IAttentionCredit);

    /// @notice The bank whose receipts it takes.
    function timeBank() external view returns (ITimeBank);

    /// @notice The pool that says how much a standing allows.
    function lending() external view returns (ICreditLending);

    /// @notice Where fees go.
    function feePool() external view returns (IFeePool);

    /// @notice Where claims are pledged, and the only address that may book a repayment from a claim.
    function distributor() external view returns (ICreditDistributor);
}
