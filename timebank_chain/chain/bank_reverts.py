"""Every refusal of TimeBank, CreditLending and CreditLease by its name, with the way out."""

from __future__ import annotations

from typing import Any

from timebank_chain.chain.revert import Revert

# ---------------------------------------------------------------- TimeBank


class DepositTooSmall(Revert):
    """A deposit has a smallest size."""

    SIGNATURE = "DepositTooSmall(uint256 amount, uint256 minimum)"
    SENTENCE = "a deposit of {amount:credits} credits is too small, at least {minimum:credits} are needed"
    HINT = "deposit more"


class NoSuchTerm(Revert):
    """There is no such term."""

    SIGNATURE = "NoSuchTerm(uint256 termId, uint256 terms)"
    SENTENCE = "there is no term {termId}: the bank has {terms}, numbered from 0"
    HINT = "see them: timebank deposit terms"


class TermClosed(Revert):
    """A term takes no new deposits."""

    SIGNATURE = "TermClosed(uint256 termId)"
    SENTENCE = "term {termId} takes no new deposits"
    HINT = "choose another: timebank deposit terms"


class NotReceiptHolder(Revert):
    """Only who holds a receipt disposes of its deposit."""

    SIGNATURE = "NotReceiptHolder(uint256 id, address caller)"
    SENTENCE = "{caller} neither holds receipt {id} nor is approved for it"
    HINT = "a pledged receipt is held by its creditor: repay first"


class NotMature(Revert):
    """A term deposit is bound until it matures."""

    SIGNATURE = "NotMature(uint256 id, uint256 maturesAt, uint256 current)"
    SENTENCE = "deposit {id} matures at {maturesAt:s}, it is {current:s}"
    HINT = "wait until it matures"


class AlreadyMature(Revert):
    """A mature deposit is closed without a penalty."""

    SIGNATURE = "AlreadyMature(uint256 id, uint256 maturesAt)"
    SENTENCE = "deposit {id} is mature since {maturesAt:s}: closing it costs no penalty"
    HINT = "close it: timebank deposit close {id}"


class NothingToLapse(Revert):
    """A demand deposit is never bound."""

    SIGNATURE = "NothingToLapse(uint256 id)"
    SENTENCE = "deposit {id} is a demand deposit already"


class NoIncome(Revert):
    """A deposit has earned nothing since it was last settled."""

    SIGNATURE = "NoIncome(uint256 id)"
    SENTENCE = "deposit {id} has earned nothing that is not paid yet"
    HINT = "income comes from fees and interest really paid: timebank deposit list shows what is earned"


class UnaskedReceipt(Revert):
    """The lending pool and the lease take only receipts that they fetch themselves."""

    SIGNATURE = "UnaskedReceipt(address room, address caller)"
    SENTENCE = "a receipt sent to {room} could never leave it again"
    HINT = "pledge it (timebank loan open --receipt) or secure a lease (timebank lease open --receipt)"


class NotClaimsDistributor(Revert):
    """Only the distributor books claimed credits."""

    SIGNATURE = "NotClaimsDistributor(address caller, address distributor)"
    SENTENCE = "{caller} is not the distributor {distributor}"


class BadTerm(Revert):
    """A term has bounds."""

    SIGNATURE = "BadTerm(uint256 duration, uint256 multiplierMilli, uint256 penaltyBps)"
    SENTENCE = (
        "no term can have duration {duration} s, multiplier {multiplierMilli} and penalty {penaltyBps} bps"
    )
    HINT = "multiplier 1 to 10000, penalty 0 to 2000, none for a demand term"


class IncomeFeeTooHigh(Revert):
    """The fee on income is limited."""

    SIGNATURE = "IncomeFeeTooHigh(uint256 feeBps, uint256 maxBps)"
    SENTENCE = "a fee on income of {feeBps} basis points; at most {maxBps} are allowed"


class BadReleaseTime(Revert):
    """The release time is limited."""

    SIGNATURE = "BadReleaseTime(uint256 releaseSeconds, uint256 maxSeconds)"
    SENTENCE = "a release time of {releaseSeconds} s; 1 to {maxSeconds} are allowed"


# ---------------------------------------------------------------- CreditLending


class BorrowingPaused(Revert):
    """The guardian has stopped new borrowing."""

    SIGNATURE = "BorrowingPaused()"
    SENTENCE = "borrowing is paused"
    HINT = "wait for the governor to resume it; repayments and withdrawals go on meanwhile"


class NotEnoughCash(Revert):
    """The pool pays out what it has."""

    SIGNATURE = "NotEnoughCash(uint256 amount, uint256 cash)"
    SENTENCE = "the pool has {cash:credits} credits of cash, {amount:credits} were asked for"
    HINT = "ask for less, or wait for repayments: timebank loan pool"


class NotBorrower(Revert):
    """Only the borrower disposes of a pledge."""

    SIGNATURE = "NotBorrower(uint256 receiptId, address caller, address borrower)"
    SENTENCE = "receipt {receiptId} was pledged by {borrower}, not by {caller}"
    HINT = "see what you have pledged: timebank loan list"

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        if int(values["borrower"], 16) == 0:
            self.message = f"receipt {values['receiptId']} is not pledged to the pool"
            self.args = (self.message,)


class PledgeTooSmall(Revert):
    """A pledge carries a part of its exit value."""

    SIGNATURE = "PledgeTooSmall(uint256 receiptId, uint256 debt, uint256 limit)"
    SENTENCE = "receipt {receiptId} carries {limit:credits} credits of debt, {debt:credits} would be owed"
    HINT = "borrow less: timebank loan quote"


class PledgeCovers(Revert):
    """A pledge that covers its debt cannot be liquidated."""

    SIGNATURE = "PledgeCovers(uint256 receiptId, uint256 debt, uint256 threshold)"
    SENTENCE = "receipt {receiptId} covers its debt: {debt:credits} of at most {threshold:credits} credits"


class NoDebt(Revert):
    """There is nothing to repay."""

    SIGNATURE = "NoDebt()"
    SENTENCE = "nothing is owed"
    HINT = "see what is: timebank loan list"


class DebtLeft(Revert):
    """A receipt is free when its debt is repaid."""

    SIGNATURE = "DebtLeft(uint256 receiptId, uint256 debt)"
    SENTENCE = "{debt:credits} credits are still owed on receipt {receiptId}"
    HINT = "repay them first: timebank loan close {receiptId}"


class LoanTooSmall(Revert):
    """A loan has a smallest size."""

    SIGNATURE = "LoanTooSmall(uint256 debt, uint256 minLoan)"
    SENTENCE = "a debt of {debt:credits} credits is too small, at least {minLoan:credits} are needed"
    HINT = "borrow more"


class StandingNotProven(Revert):
    """Standing is proved in the newest final epoch."""

    SIGNATURE = "StandingNotProven(uint32 index, bytes32 root)"
    SENTENCE = "leaf {index} does not stand under the newest final account root {root}"
    HINT = "prove it from the newest final epoch: an older leaf, or one of another tree, counts for nothing"


class PolicyNotAccepted(Revert):
    """The pool must know how standing decays."""

    SIGNATURE = "PolicyNotAccepted(bytes32 policyHash, bytes32 accepted)"
    SENTENCE = "policy {policyHash} is in force, the pool knows {accepted}"
    HINT = "anybody may tell it: timebank loan accept-policy"


class NotPolicyInForce(Revert):
    """Only the policy in force is taken over."""

    SIGNATURE = "NotPolicyInForce(bytes32 policyHash, bytes32 expected)"
    SENTENCE = "the document hashes to {policyHash}, in force is {expected}"
    HINT = "give the policy in force: timebank chain status shows its hash"


class StandingTooLow(Revert):
    """Standing limits what is lent on it."""

    SIGNATURE = "StandingTooLow(uint256 debt, uint256 limit)"
    SENTENCE = "standing allows {limit:credits} credits of debt, {debt:credits} would be owed"
    HINT = "borrow less, or pledge a receipt"


class UnsecuredCapReached(Revert):
    """The pool lends only a part without collateral."""

    SIGNATURE = "UnsecuredCapReached(uint256 unsecured, uint256 cap)"
    SENTENCE = "{unsecured:credits} credits would be lent on standing, the pool allows {cap:credits}"
    HINT = "borrow less, pledge a receipt, or wait: for repayments, or until new supply has stayed for a day"


class LoanOverdue(Revert):
    """An overdue loan is repaid before it grows."""

    SIGNATURE = "LoanOverdue(address borrower, uint256 dueAt)"
    SENTENCE = "{borrower} has a loan that was due at {dueAt:s}"
    HINT = "repay it first: timebank loan close --standing"


class OtherAccount(Revert):
    """One loan, one account."""

    SIGNATURE = "OtherAccount(address account, address loanAccount)"
    SENTENCE = "the loan was made on the standing of {loanAccount}, not of {account}"
    HINT = "borrow more on that account, or repay first: timebank loan close --standing"


class NotYetFailed(Revert):
    """A loan fails when due day and grace are over."""

    SIGNATURE = "NotYetFailed(address borrower, uint256 failsAt, uint256 current)"
    SENTENCE = "the loan of {borrower} can be written off from {failsAt:s} on, it is {current:s}"


class BadRiskSettings(Revert):
    """Settings of the pool must fit together."""

    SIGNATURE = "BadRiskSettings()"
    SENTENCE = "the settings contradict each other or exceed their bounds"
    HINT = "borrowing limit below liquidation threshold, and that with the incentive at most 10000"


# ---------------------------------------------------------------- CreditLease


class LeasingPaused(Revert):
    """The guardian has stopped new leases."""

    SIGNATURE = "LeasingPaused()"
    SENTENCE = "leasing is paused"
    HINT = "wait for the governor to resume it; repayments and settlements go on meanwhile"


class OfferExpired(Revert):
    """An offer ends."""

    SIGNATURE = "OfferExpired(uint256 expiresAt, uint256 current)"
    SENTENCE = "the offer ended at {expiresAt:s}, it is {current:s}"
    HINT = "ask the lender for a new one"


class BadOfferSignature(Revert):
    """An offer is signed by its lender for this contract on this chain."""

    SIGNATURE = "BadOfferSignature(address lender, bytes32 offerHash)"
    SENTENCE = "the signature is not the one of {lender} over offer {offerHash}"
    HINT = "the file was changed, or signed for another chain or deployment: ask the lender for a new one"


class OfferIsCancelled(Revert):
    """The lender took the offer back."""

    SIGNATURE = "OfferIsCancelled(bytes32 offerHash)"
    SENTENCE = "offer {offerHash} was cancelled"
    HINT = "ask the lender for a new one"


class SeriesIsOver(Revert):
    """The lender took all offers of a series back."""

    SIGNATURE = "SeriesIsOver(uint256 series, uint256 current)"
    SENTENCE = "the offer is of series {series}, the lender is at {current}"
    HINT = "ask the lender for a new one"


class NotForCaller(Revert):
    """An offer may name who can take it."""

    SIGNATURE = "NotForCaller(address lessee, address caller)"
    SENTENCE = "the offer is for {lessee}, not for {caller}"


class LenderIsLessee(Revert):
    """Nobody rents from oneself."""

    SIGNATURE = "LenderIsLessee(address lender)"
    SENTENCE = "{lender} cannot take an offer of its own"


class BadTake(Revert):
    """A part of an offer has bounds."""

    SIGNATURE = "BadTake(uint256 amount, uint256 minTake, uint256 left)"
    SENTENCE = "{amount:credits} credits cannot be taken: at least {minTake:credits}, {left:credits} are left"
    HINT = "take a part between the two, or all that is left"


class BadOffer(Revert):
    """An offer must make sense."""

    SIGNATURE = "BadOffer()"
    SENTENCE = "the offer is of no credits, no time, or of a smallest part above the whole"


class StandingNotAccepted(Revert):
    """A lender may insist on a receipt."""

    SIGNATURE = "StandingNotAccepted(bytes32 offerHash)"
    SENTENCE = "offer {offerHash} asks for a receipt as security"
    HINT = "take it with --receipt ID"


class StandingLeaseRuns(Revert):
    """One lease on standing a member."""

    SIGNATURE = "StandingLeaseRuns(address lessee, uint256 leaseId)"
    SENTENCE = "{lessee} has lease {leaseId} on standing already"
    HINT = "repay it first (timebank lease close {leaseId}), or give a receipt with --receipt ID"


class PartialRepayment(Revert):
    """A part would free no receipt."""

    SIGNATURE = "PartialRepayment(uint256 leaseId, uint256 owed, uint256 amount)"
    SENTENCE = "lease {leaseId} is on a receipt: all of {owed:credits} credits is due, {amount:credits} given"
    HINT = "leave the amount out to repay all of it"


class ReceiptTooSmall(Revert):
    """A receipt covers principal and rent."""

    SIGNATURE = "ReceiptTooSmall(uint256 receiptId, uint256 exitValue, uint256 owed)"
    SENTENCE = "receipt {receiptId} is worth {exitValue:credits} credits, {owed:credits} would be owed"
    HINT = "take less, or give a larger receipt"


class NotReceiptOwner(Revert):
    """Only one's own receipt is security."""

    SIGNATURE = "NotReceiptOwner(uint256 receiptId, address caller)"
    SENTENCE = "{caller} does not own receipt {receiptId}"
    HINT = "see yours: timebank deposit list"


class NoSuchLease(Revert):
    """There is no such lease, or it is over."""

    SIGNATURE = "NoSuchLease(uint256 leaseId)"
    SENTENCE = "there is no lease {leaseId}, or it is over"
    HINT = "see yours: timebank lease list"


class NotDue(Revert):
    """Until the due day only repayment matters."""

    SIGNATURE = "NotDue(uint256 leaseId, uint256 dueAt, uint256 current)"
    SENTENCE = "lease {leaseId} is due at {dueAt:s}, it is {current:s}"
    HINT = "wait until then"


class NotOnReceipt(Revert):
    """A lease on standing has no receipt to settle from."""

    SIGNATURE = "NotOnReceipt(uint256 leaseId)"
    SENTENCE = "lease {leaseId} is on standing: it is repaid from claims"


class NotLender(Revert):
    """Only the lender forgives."""

    SIGNATURE = "NotLender(uint256 leaseId, address caller, address lender)"
    SENTENCE = "lease {leaseId} is owed to {lender}, not to {caller}"


class NotOfferLender(Revert):
    """Only the lender cancels an offer."""

    SIGNATURE = "NotOfferLender(address caller, address lender)"
    SENTENCE = "the offer is {lender}'s, not {caller}'s"


class LeaseFeeTooHigh(Revert):
    """The fee on rent is limited."""

    SIGNATURE = "LeaseFeeTooHigh(uint256 feeBps, uint256 maxBps)"
    SENTENCE = "a fee of {feeBps} basis points; at most {maxBps} are allowed"
