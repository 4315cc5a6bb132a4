"""TimeBank: deposits and their receipts (ERC-721). Amounts are micro-credits, times Unix seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address
from web3.types import BlockIdentifier

from timebank_chain.chain.attention_credit import Permit
from timebank_chain.chain.contract import ContractClient
from timebank_chain.chain.transactions import Call
from timebank_chain.units import MicroCredit, format_duration


@dataclass(frozen=True)
class Term:
    """A kind of deposit: seconds (0: demand), weight in thousandths, penalty in basis points."""

    term_id: int
    duration: int
    multiplier_milli: int
    penalty_bps: int
    open: bool

    @property
    def name(self) -> str:
        """``demand``, ``day``, ``week``, ``month``, or the duration."""
        known = {0: "demand", 86_400: "day", 604_800: "week", 2_592_000: "month"}
        return known.get(self.duration) or format_duration(self.duration * 1_000)


@dataclass(frozen=True)
class Position:
    """One deposit as stored; ``income_index`` is the index up to which its income is settled."""

    principal: MicroCredit
    matures_at: int
    term_id: int
    income_index: int


@dataclass(frozen=True)
class BankBooks:
    """The bank's books as stored; see ITimeBank."""

    income_index: int
    accrued_at: int
    owed: MicroCredit
    next_id: int
    total_weight: int
    principal: MicroCredit
    pending: MicroCredit


class TimeBank(ContractClient):
    """Demand and term deposits that earn what was really paid in."""

    NAME: ClassVar[str] = "TimeBank"

    def books(self, *, block: BlockIdentifier = "latest") -> BankBooks:
        """Return the books."""
        index, at, owed, next_id, weight, principal, pending = self._read("books", block=block)
        return BankBooks(
            index, at, MicroCredit(owed), next_id, weight, MicroCredit(principal), MicroCredit(pending)
        )

    def terms(self, *, block: BlockIdentifier = "latest") -> list[Term]:
        """Return all terms by number."""
        return [self.term(number, block=block) for number in range(self._read("termCount", block=block))]

    def term(self, term_id: int, *, block: BlockIdentifier = "latest") -> Term:
        """Return a term; ``NoSuchTerm`` when there is none."""
        duration, multiplier, penalty, is_open = self._read("termOf", term_id, block=block)
        return Term(term_id, int(duration), int(multiplier), int(penalty), bool(is_open))

    def position(self, receipt_id: int, *, block: BlockIdentifier = "latest") -> Position:
        """Return a deposit; ``ERC721NonexistentToken`` when there is none."""
        principal, matures_at, term_id, index = self._read("positionOf", receipt_id, block=block)
        return Position(MicroCredit(principal), int(matures_at), int(term_id), int(index))

    def income(self, receipt_id: int, *, block: BlockIdentifier = "latest") -> MicroCredit:
        """Return what a deposit has earned and not been paid, before the fee."""
        return MicroCredit(self._read("incomeOf", receipt_id, block=block))

    def exit_value(self, receipt_id: int, *, block: BlockIdentifier = "latest") -> MicroCredit:
        """Return what closing a deposit would pay now."""
        return MicroCredit(self._read("exitValueOf", receipt_id, block=block))

    def collectable(self, *, block: BlockIdentifier = "latest") -> MicroCredit:
        """Return what ``collect`` would take in now, from fees and gifts together; nothing is sent."""
        from_fees, gifts = self._read("collect", block=block)
        return MicroCredit(from_fees + gifts)

    def owner_of(self, receipt_id: int, *, block: BlockIdentifier = "latest") -> ChecksumAddress:
        """Return who holds a receipt."""
        return to_checksum_address(self._read("ownerOf", receipt_id, block=block))

    def balance_of(self, owner: str, *, block: BlockIdentifier = "latest") -> int:
        """Return how many receipts an owner holds."""
        return int(self._read("balanceOf", owner, block=block))

    def approved(self, receipt_id: int) -> ChecksumAddress:
        """Return who is approved for a receipt besides its holder."""
        return to_checksum_address(self._read("getApproved", receipt_id))

    def is_approved_for_all(self, owner: str, operator: str) -> bool:
        """Return whether ``operator`` may move every receipt of ``owner``."""
        return bool(self._read("isApprovedForAll", owner, operator))

    def token_uri(self, receipt_id: int, *, block: BlockIdentifier = "latest") -> str:
        """Return the receipt's on-chain metadata (a data URI)."""
        return str(self._read("tokenURI", receipt_id, block=block))

    def income_fee_bps(self, *, block: BlockIdentifier = "latest") -> int:
        """Return the fee on income, basis points."""
        return int(self._read("incomeFeeBps", block=block))

    def release_seconds(self, *, block: BlockIdentifier = "latest") -> int:
        """Return the seconds after which half of the pending income is released."""
        return int(self._read("releaseSeconds", block=block))

    def min_deposit(self) -> MicroCredit:
        """Return the smallest deposit."""
        return MicroCredit(self._read("MIN_DEPOSIT"))

    def deposit(self, amount: int, term_id: int, owner: str) -> Call:
        """Propose a deposit; the sender has approved this contract for ``amount`` before."""
        return self._write("deposit", amount=amount, termId=term_id, owner=owner)

    def deposit_with_permit(self, amount: int, term_id: int, owner: str, permit: Permit) -> Call:
        """Propose a deposit that brings its own approval."""
        return self._write(
            "depositWithPermit",
            amount=amount,
            termId=term_id,
            owner=owner,
            deadline=permit.deadline,
            v=permit.v,
            r=permit.r,
            s=permit.s,
        )

    def withdraw(self, receipt_id: int, to: str) -> Call:
        """Propose closing a mature deposit."""
        return self._write("withdraw", id=receipt_id, to=to)

    def exit_early(self, receipt_id: int, to: str) -> Call:
        """Propose closing a deposit before maturity, at its penalty."""
        return self._write("exitEarly", id=receipt_id, to=to)

    def collect_income(self, receipt_id: int, to: str) -> Call:
        """Propose paying out a mature deposit's income."""
        return self._write("collectIncome", id=receipt_id, to=to)

    def roll_over(self, receipt_id: int, term_id: int) -> Call:
        """Propose starting a mature deposit anew under a term."""
        return self._write("rollOver", id=receipt_id, termId=term_id)

    def lapse(self, receipt_id: int) -> Call:
        """Propose moving a mature term deposit to demand; anybody may."""
        return self._write("lapse", id=receipt_id)

    def collect(self) -> Call:
        """Propose taking in fees and gifts, and releasing what is due; anybody may."""
        return self._write("collect")

    def approve(self, to: str, receipt_id: int) -> Call:
        """Propose letting ``to`` move one receipt."""
        return self._write("approve", to=to, tokenId=receipt_id)

    def transfer_from(self, owner: str, to: str, receipt_id: int) -> Call:
        """Propose handing a receipt over."""
        return self._write("transferFrom", owner=owner, to=to, tokenId=receipt_id)

    def add_term(self, duration: int, multiplier_milli: int, penalty_bps: int) -> Call:
        """Propose a further term (governance)."""
        return self._write(
            "addTerm", duration=duration, multiplierMilli=multiplier_milli, penaltyBps=penalty_bps
        )

    def set_term_open(self, term_id: int, is_open: bool) -> Call:
        """Propose opening or closing a term for new deposits (governance)."""
        return self._write("setTermOpen", termId=term_id, open=is_open)

    def set_income_fee(self, fee_bps: int) -> Call:
        """Propose another fee on income (governance)."""
        return self._write("setIncomeFee", newFeeBps=fee_bps)

    def set_release_time(self, seconds: int) -> Call:
        """Propose another release time (governance)."""
        return self._write("setReleaseTime", newReleaseSeconds=seconds)
