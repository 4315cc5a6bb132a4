"""Every refusal of our contracts by its name: one exception per custom error of the shipped ABIs.

A custom error reaches a client as four bytes of selector and its encoded values; :func:`decode` gives
the exception that says in words what it means and what to do. Those that OpenZeppelin's contracts
bring along are in ``openzeppelin_reverts``; a test holds both lists against the ABIs.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from eth_abi.abi import decode as abi_decode
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

import timebank_chain.chain.bank_reverts
import timebank_chain.chain.challenge_reverts
import timebank_chain.chain.exchange_reverts
import timebank_chain.chain.float_reverts
import timebank_chain.chain.openzeppelin_reverts
import timebank_chain.chain.policy_reverts
import timebank_chain.chain.service_reverts  # noqa: F401 - its classes are found as subclasses of Revert
from timebank_chain.chain.revert import Revert
from timebank_chain.errors import ContractError


class UnknownRevert(ContractError):
    """A contract refused with a custom error that is none of ours."""


class Panicked(ContractError):
    """A contract hit one of Solidity's own checks (overflow, bad index, ...): a bug, not a refusal."""


class ProposalsPaused(Revert):
    """The guardian has stopped new proposals."""

    SIGNATURE = "ProposalsPaused()"
    SENTENCE = "proposals are paused"
    HINT = "wait for the governor to resume them; claims and withdrawals go on meanwhile"


class WrongPause(Revert):
    """A pause is ended by its number."""

    SIGNATURE = "WrongPause(uint256 pause, uint256 current)"
    SENTENCE = "pause {pause} was meant, but the latest is {current}"
    HINT = "if that one is to end, schedule it anew: timebank chain resume"


class EpochPending(Revert):
    """Another proposal is in its challenge window."""

    SIGNATURE = "EpochPending(uint32 epoch, bytes32 headerHash)"
    SENTENCE = "epoch {epoch} is proposed already (header {headerHash}) and waits for its challenge window"
    HINT = "finalise it first: timebank oracle finalise"


class NothingPending(Revert):
    """There is no proposal to finalise or void."""

    SIGNATURE = "NothingPending()"
    SENTENCE = "no epoch is proposed"
    HINT = "propose one: timebank oracle propose"


class ProposalNotPending(Revert):
    """The proposal to void was closed, and another one is pending."""

    SIGNATURE = "ProposalNotPending(bytes32 headerHash, bytes32 pendingHash)"
    SENTENCE = "header {headerHash} is not the proposed one, that is {pendingHash}: nothing is voided"
    HINT = "a scheduled void meets only its own header; look at the proposed one before voiding that too"


class HeaderMismatch(Revert):
    """The header is another than the proposed one."""

    SIGNATURE = "HeaderMismatch(bytes32 headerHash, bytes32 pendingHash)"
    SENTENCE = "the header hashes to {headerHash}, proposed is {pendingHash}"
    HINT = "finalise with the header that was proposed (event EpochProposed)"


class UnexpectedEpoch(Revert):
    """Epochs are proposed one after the other."""

    SIGNATURE = "UnexpectedEpoch(uint32 epoch, uint256 expected)"
    SENTENCE = "epoch {epoch} was given, {expected} comes next"
    HINT = "build and propose epoch {expected}"


class StartNotPreviousEnd(Revert):
    """An epoch starts where the last one ended."""

    SIGNATURE = "StartNotPreviousEnd(uint48 startMs, uint48 previousEndMs)"
    SENTENCE = "the epoch starts at {startMs:ms}, the previous one ended at {previousEndMs:ms}"
    HINT = "rebuild it with --start {previousEndMs}"


class EndNotAfterStart(Revert):
    """An epoch has a positive length."""

    SIGNATURE = "EndNotAfterStart(uint48 startMs, uint48 endMs)"
    SENTENCE = "the epoch ends at {endMs:ms}, not after its start {startMs:ms}"
    HINT = "rebuild it with a later --end"


class EndInFuture(Revert):
    """An epoch is proposed after it ended."""

    SIGNATURE = "EndInFuture(uint48 endMs, uint256 currentMs)"
    SENTENCE = "the epoch ends at {endMs:ms}, the chain's clock says {currentMs:ms}"
    HINT = "wait until the epoch is over"


class DataURITooLong(Revert):
    """The address of an epoch's files is short: every proof of a fault carries it."""

    SIGNATURE = "DataURITooLong(uint256 length, uint256 max)"
    SENTENCE = "the address of the epoch's files has {length} bytes, at most {max} are allowed"
    HINT = "publish the files under a shorter address"


class DataURINotAscii(Revert):
    """The address of an epoch's files is ASCII, so that everybody can read the header."""

    SIGNATURE = "DataURINotAscii(uint256 position)"
    SENTENCE = "the address of the epoch's files is not ASCII after its first {position} bytes"
    HINT = "write other characters as % and two hex digits"


class PreviousHeaderMismatch(Revert):
    """A header names its predecessor."""

    SIGNATURE = "PreviousHeaderMismatch(bytes32 previousHeaderHash, bytes32 expected)"
    SENTENCE = "the epoch before was given as {previousHeaderHash}, expected is {expected}"
    HINT = "build an epoch on the finalised one, prove a fault with the one that its header names"


class PolicyMismatch(Revert):
    """An epoch follows the policy on chain, a proof the one its header names."""

    SIGNATURE = "PolicyMismatch(bytes32 policyHash, bytes32 expected)"
    SENTENCE = "the policy given is {policyHash}, expected is {expected}"
    HINT = "build the epoch with the policy in force (timebank chain set-policy changes it)"


class RateMismatch(Revert):
    """An epoch mints at the rate on chain."""

    SIGNATURE = "RateMismatch(uint64 rateQ24, uint64 expected)"
    SENTENCE = "the header's rate is {rateQ24}, in force is {expected}"
    HINT = "rebuild the epoch with --rate {expected}"


class PotTooLarge(Revert):
    """The bonus pot is limited by what fees brought in."""

    SIGNATURE = "PotTooLarge(uint64 pot, uint256 bonus)"
    SENTENCE = "the header spends a pot of {pot:credits}, the fee pool holds {bonus:credits}"
    HINT = "rebuild the epoch with a smaller --pot"


class MintTooLarge(Revert):
    """An epoch mints at most what its total earned is worth."""

    SIGNATURE = "MintTooLarge(uint64 totalMint, uint256 limit)"
    SENTENCE = "the header mints {totalMint:credits}, at most {limit:credits} is earned"
    HINT = "rebuild the epoch: the header is wrong"


class WrongBond(Revert):
    """A proposal brings exactly the bond."""

    SIGNATURE = "WrongBond(uint256 sent, uint256 bond)"
    SENTENCE = "{sent} wei were sent as bond, {bond} wei are asked"
    HINT = "send exactly the bond"


class TooFewSignatures(Revert):
    """The quorum is not reached."""

    SIGNATURE = "TooFewSignatures(uint256 given, uint256 threshold)"
    SENTENCE = "{given} signatures, {threshold} are needed"
    HINT = "collect more: timebank oracle sign"


class SignersNotAscending(Revert):
    """Signatures are ordered by signer, each once."""

    SIGNATURE = "SignersNotAscending(address previous, address signer)"
    SENTENCE = "the signature of {signer} follows that of {previous}: signers must ascend and none may repeat"
    HINT = "order the signatures by signer and drop repeated ones"


class NotASigner(Revert):
    """A signature is of nobody in the quorum."""

    SIGNATURE = "NotASigner(address signer)"
    SENTENCE = "{signer} signed but is not in the quorum (or the header was changed after signing)"
    HINT = "check the signatures: timebank epoch inspect"


class ChallengeWindowOpen(Revert):
    """The challenge window is still open."""

    SIGNATURE = "ChallengeWindowOpen(uint48 endsAt, uint256 current)"
    SENTENCE = "the challenge window is open until {endsAt:s}, the chain's clock says {current:s}"
    HINT = "finalise after that"


class EpochHeld(Revert):
    """Leaves that were asked for keep the epoch from becoming final."""

    SIGNATURE = "EpochHeld(uint256 heldUntil, uint256 current)"
    SENTENCE = "requests for leaves hold the epoch until {heldUntil:s}, the chain's clock says {current:s}"
    HINT = "answer what is asked for, and finalise once the answer time after the last answer is over"


class NotChallenge(Revert):
    """Only a proof or a withheld leaf voids a proposal without governance."""

    SIGNATURE = "NotChallenge(address caller)"
    SENTENCE = "{caller} is neither EpochChallenge nor LeafRequests"
    HINT = "prove the fault there"


class ChallengeFixed(Revert):
    """Who voids by proof is set once."""

    SIGNATURE = "ChallengeFixed(address challenge, address leafRequests)"
    SENTENCE = "set already, or one is zero: challenge {challenge}, leaf requests {leafRequests}"


class NoBondToWithdraw(Revert):
    """No bond is waiting."""

    SIGNATURE = "NoBondToWithdraw(address owner)"
    SENTENCE = "nothing is waiting for {owner}"


class BadSignerCount(Revert):
    """A quorum has a bounded size."""

    SIGNATURE = "BadSignerCount(uint256 count, uint256 max)"
    SENTENCE = "a quorum of {count}, allowed are 1 to {max}"


class BadThreshold(Revert):
    """The threshold lies within the quorum."""

    SIGNATURE = "BadThreshold(uint256 threshold, uint256 signers)"
    SENTENCE = "a threshold of {threshold} with {signers} signers"


class BadSigner(Revert):
    """A quorum names each member once, ascending."""

    SIGNATURE = "BadSigner(address signer)"
    SENTENCE = "{signer} is no valid quorum member here: zero, repeated or out of order"
    HINT = "name each signer once, ordered by address"


class ShareTooHigh(Revert):
    """A share is at most the whole."""

    SIGNATURE = "ShareTooHigh(uint256 shareBps)"
    SENTENCE = "a share of {shareBps} basis points is more than the whole"


class NotOracle(Revert):
    """Only the oracle has roots accepted and the rate moved."""

    SIGNATURE = "NotOracle(address caller, address oracle)"
    SENTENCE = "{caller} is not the oracle {oracle}"


class NoEpochFinalised(Revert):
    """There is nothing to claim from yet."""

    SIGNATURE = "NoEpochFinalised()"
    SENTENCE = "no epoch is finalised yet"
    HINT = "wait for the first epoch: timebank chain status"


class LeafNotInRoot(Revert):
    """The leaf or its proof is wrong, or of another epoch."""

    SIGNATURE = "LeafNotInRoot(uint32 index, bytes32 root)"
    SENTENCE = "leaf {index} with this proof is not under the finalised root {root}"
    HINT = "take leaf and proof from the newest finalised epoch's files"


class NothingToClaim(Revert):
    """Everything was claimed before."""

    SIGNATURE = "NothingToClaim(address account, uint256 claimed)"
    SENTENCE = "nothing to claim for {account}: all {claimed:credits} credits are claimed"
    HINT = "come back after the next epoch"


class NotLinked(Revert):
    """A placeholder has no wallet yet."""

    SIGNATURE = "NotLinked(address placeholder)"
    SENTENCE = "{placeholder} is a placeholder without a wallet"
    HINT = "let the registrar link it: timebank wallet link request"


class NoLeaves(Revert):
    """A common claim names nobody."""

    SIGNATURE = "NoLeaves()"
    SENTENCE = "no leaves were given"


class LeavesNotContiguous(Revert):
    """A common claim is for neighbours."""

    SIGNATURE = "LeavesNotContiguous(uint32 index, uint256 expected)"
    SENTENCE = "leaf {index} was given where {expected} was expected"
    HINT = "give neighbouring leaves in order"


class NotAccountHolder(Revert):
    """Only the account itself, or the wallet its placeholder is linked to, disposes of its claims."""

    SIGNATURE = "NotAccountHolder(address account, address caller)"
    SENTENCE = "{caller} neither is {account} nor the wallet it is linked to"
    HINT = "sign with the account's own wallet; a placeholder must be linked first"


class NotCreditor(Revert):
    """Claims are pledged and freed by the creditor alone."""

    SIGNATURE = "NotCreditor(address caller)"
    SENTENCE = "{caller} is neither the lending pool nor the lease"


class ClaimsPledged(Revert):
    """Claims secure one creditor at a time."""

    SIGNATURE = "ClaimsPledged(address account, address creditor)"
    SENTENCE = "the claims of {account} are pledged to {creditor} already"
    HINT = "repay what is owed on standing there first, or give a receipt as security"


class RoomsNotSet(Revert):
    """A standing order needs a bank."""

    SIGNATURE = "RoomsNotSet()"
    SENTENCE = "the distributor knows no time bank yet"
    HINT = "finish the deployment: timebank chain deploy"


class RoomsFixed(Revert):
    """The rooms of the bank are set once."""

    SIGNATURE = "RoomsFixed(address timeBank, address lending, address lease)"
    SENTENCE = "set already, or one is zero: time bank {timeBank}, lending {lending}, lease {lease}"


class NotAdministrator(Revert):
    """The administrator of the access manager sets the rooms."""

    SIGNATURE = "NotAdministrator(address caller)"
    SENTENCE = "{caller} may not set the rooms"


class ZeroAmount(Revert):
    """Nothing is paid."""

    SIGNATURE = "ZeroAmount()"
    SENTENCE = "the amount is zero"
    HINT = "pay at least 0.000001"


class NothingReceived(Revert):
    """The fee eats the payment."""

    SIGNATURE = "NothingReceived(uint256 amount, uint256 fee)"
    SENTENCE = "of {amount:credits} the fee is {fee:credits}: nothing would arrive"
    HINT = "pay more"


class PayeeIsPayer(Revert):
    """One cannot pay oneself."""

    SIGNATURE = "PayeeIsPayer(address payer)"
    SENTENCE = "{payer} would pay itself"
    HINT = "give another address"


class FeeTooHigh(Revert):
    """The fee is bounded."""

    SIGNATURE = "FeeTooHigh(uint256 feeBps, uint256 maxBps)"
    SENTENCE = "a fee of {feeBps} basis points, at most {maxBps} are allowed"


class NotDistributor(Revert):
    """Only the distributor burns pots."""

    SIGNATURE = "NotDistributor(address caller, address distributor)"
    SENTENCE = "{caller} is not the distributor {distributor}"


class NotPayee(Revert):
    """Each account of the fee pool has one payee."""

    SIGNATURE = "NotPayee(address caller, address payee)"
    SENTENCE = "{caller} is not {payee}, who alone draws on this account"


class PayeesFixed(Revert):
    """The payees of the fee pool are set once."""

    SIGNATURE = "PayeesFixed(address timeBank, address lending)"
    SENTENCE = "set already, or one is zero: time bank {timeBank}, lending {lending}"


class NothingRestored(Revert):
    """What goes back into the reserve has arrived first."""

    SIGNATURE = "NothingRestored(uint256 amount, uint256 arrived)"
    SENTENCE = "{amount:credits} would be restored, {arrived:credits} have arrived"


class InsufficientBonus(Revert):
    """The bonus pot holds less."""

    SIGNATURE = "InsufficientBonus(uint256 pot, uint256 bonus)"
    SENTENCE = "a pot of {pot:credits}, the pool holds {bonus:credits}"


class SplitNotWhole(Revert):
    """The shares add up to the whole."""

    SIGNATURE = "SplitNotWhole(uint256 sumBps)"
    SENTENCE = "the shares add up to {sumBps} basis points, not 10000"
    HINT = "write three shares that add up: 4000/4000/2000"


class NotPlaceholder(Revert):
    """The address is an ordinary one."""

    SIGNATURE = "NotPlaceholder(address account)"
    SENTENCE = "{account} is not a placeholder"
    HINT = "see a member's placeholder with timebank wallet link show --member ID"


class NotWallet(Revert):
    """A link ends at an ordinary address."""

    SIGNATURE = "NotWallet(address wallet)"
    SENTENCE = "{wallet} cannot be linked: it is zero or a placeholder itself"
    HINT = "give the member's wallet"


class AlreadyLinked(Revert):
    """A link is for ever."""

    SIGNATURE = "AlreadyLinked(address placeholder, address wallet)"
    SENTENCE = "{placeholder} is linked to {wallet} already"
    HINT = "links are made once, for ever"


class AlreadyRequested(Revert):
    """A link waits for its delay."""

    SIGNATURE = "AlreadyRequested(address placeholder, address wallet)"
    SENTENCE = "a link of {placeholder} to {wallet} is requested already"
    HINT = "confirm or reject it first"


class NotRequested(Revert):
    """No link was requested."""

    SIGNATURE = "NotRequested(address placeholder)"
    SENTENCE = "no link is requested for {placeholder}"
    HINT = "request one: timebank wallet link request"


class TooEarly(Revert):
    """The member may still object."""

    SIGNATURE = "TooEarly(address placeholder, uint48 effectiveAt, uint256 current)"
    SENTENCE = (
        "the link of {placeholder} may be confirmed from {effectiveAt:s} on, the chain's clock says "
        "{current:s}"
    )
    HINT = "confirm it after that"


class NotMinter(Revert):
    """Only the distributor mints."""

    SIGNATURE = "NotMinter(address caller, address minter)"
    SENTENCE = "{caller} cannot mint, only {minter} can"


_REASON_SELECTOR = keccak(text="Error(string)")[:4]
_PANIC_SELECTOR = keccak(text="Panic(uint256)")[:4]


class RequireFailed(ContractError):
    """A contract refused with a text (``require(condition, "text")``), as foreign contracts do."""


def reverts() -> Iterator[type[Revert]]:
    """Give every named exception, ours and OpenZeppelin's."""
    yield from Revert.__subclasses__()


def decode(data: bytes) -> ContractError:
    """Return the exception for what a contract reverted with (selector and encoded values)."""
    selector, encoded = data[:4], data[4:]
    kind = _by_selector().get(selector)
    try:
        if kind is not None:
            names, types = parameters(kind)
            values = abi_decode(types, encoded)
            typed = (_typed(one, value) for one, value in zip(types, values, strict=True))
            return kind(dict(zip(names, typed, strict=True)))
        if selector == _REASON_SELECTOR:
            return RequireFailed(f"the contract refused: {abi_decode(['string'], encoded)[0]}")
        if selector == _PANIC_SELECTOR:
            return Panicked(f"the contract panicked with code {abi_decode(['uint256'], encoded)[0]:#04x}")
    except DecodingError:
        pass
    return UnknownRevert(
        f"the contract refused with the unknown error 0x{data.hex()}",
        hint="is the address another contract's? timebank chain verify tells",
    )


def parameters(kind: type[Revert]) -> tuple[list[str], list[str]]:
    """Return the names and types of an error's values."""
    inside = kind.SIGNATURE[kind.SIGNATURE.index("(") + 1 : -1]
    pairs = [part.strip().split(" ") for part in inside.split(",")] if inside else []
    return [name for _, name in pairs], [type_ for type_, _ in pairs]


def selector_of(kind: type[Revert]) -> bytes:
    """Return an error's selector."""
    return keccak(text=f"{kind.__name__}({','.join(parameters(kind)[1])})")[:4]


@cache
def _by_selector() -> dict[bytes, type[Revert]]:
    return {selector_of(kind): kind for kind in reverts()}


def _typed(type_: str, value: Any) -> Any:
    return to_checksum_address(value) if type_ == "address" else value
