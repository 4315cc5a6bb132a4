"""CreditLending: the pool, its shares and its loans. Amounts are micro-credits, times Unix seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address
from web3.types import BlockIdentifier

from timebank_chain.chain.bank_plan import RiskPlan
from timebank_chain.chain.pausing import Pausing
from timebank_chain.chain.transactions import Call
from timebank_chain.epoch.leaves import AccountLeaf
from timebank_chain.units import MicroCredit

SECONDS_PER_YEAR = 31_536_000
WAD = 10**18


@dataclass(frozen=True)
class PoolBooks:
    """The pool's books; see ICreditLending. ``rate_at_target`` is per second, scaled by 1e18.

    ``cap_base`` is what the cap on loans on standing is a part of: assets that have stayed for a day.
    """

    debt: MicroCredit
    cash: MicroCredit
    debt_shares: int
    fees_owed: MicroCredit
    cap_base: MicroCredit
    rate_at_target: int
    accrued_at: int
    fee_bps: int
    paused: bool

    @property
    def total_assets(self) -> MicroCredit:
        """What belongs to the suppliers."""
        return MicroCredit(self.cash + self.debt - self.fees_owed)


@dataclass(frozen=True)
class PledgedLoan:
    """A loan against a receipt; ``borrower`` is the zero address when there is none."""

    borrower: ChecksumAddress
    debt_shares: int


@dataclass(frozen=True)
class StandingLoan:
    """A loan on standing; ``due_at`` is 0 when there is none. ``principal``: lent and not repaid."""

    account: ChecksumAddress
    debt_shares: int
    principal: MicroCredit
    due_at: int
    lost_by_pool: MicroCredit
    lost_by_reserve: MicroCredit


class CreditLending(Pausing):
    """Lends credits against receipts, or on proven standing; suppliers hold ERC-4626 shares."""

    NAME: ClassVar[str] = "CreditLending"

    def books(self, *, block: BlockIdentifier = "latest") -> PoolBooks:
        """Return the books as stored."""
        return _books(self._read("books", block=block))

    def accrued_books(self, *, block: BlockIdentifier = "latest") -> PoolBooks:
        """Return the books with interest up to the block."""
        return _books(self._read("accruedBooks", block=block))

    def risk(self, *, block: BlockIdentifier = "latest") -> RiskPlan:
        """Return the settings in force."""
        return RiskPlan(*(int(value) for value in self._read("risk", block=block)))

    def pledged_loan(self, receipt_id: int, *, block: BlockIdentifier = "latest") -> PledgedLoan:
        """Return the loan against a receipt."""
        borrower, shares = self._read("pledgedLoan", receipt_id, block=block)
        return PledgedLoan(to_checksum_address(borrower), int(shares))

    def standing_loan(self, borrower: str, *, block: BlockIdentifier = "latest") -> StandingLoan:
        """Return a borrower's loan on standing."""
        account, shares, principal, due_at, pool, reserve = self._read("standingLoan", borrower, block=block)
        return StandingLoan(
            account=to_checksum_address(account),
            debt_shares=int(shares),
            principal=MicroCredit(principal),
            due_at=int(due_at),
            lost_by_pool=MicroCredit(pool),
            lost_by_reserve=MicroCredit(reserve),
        )

    def unsecured_shares(self, *, block: BlockIdentifier = "latest") -> int:
        """Return the debt shares of all loans on standing."""
        return int(self._read("unsecuredShares", block=block))

    def debt_of(self, receipt_id: int, *, block: BlockIdentifier = "latest") -> MicroCredit:
        """Return what is owed on a receipt."""
        return MicroCredit(self._read("debtOf", receipt_id, block=block))

    def standing_debt_of(self, borrower: str, *, block: BlockIdentifier = "latest") -> MicroCredit:
        """Return what a borrower owes on standing, written-off amounts included."""
        return MicroCredit(self._read("standingDebtOf", borrower, block=block))

    def standing_limit(self, standing: int, *, block: BlockIdentifier = "latest") -> MicroCredit:
        """Return what a standing (micro-value in the latest final epoch) allows now."""
        return MicroCredit(self._read("standingLimit", standing, block=block))

    def borrow_rate(self, *, block: BlockIdentifier = "latest") -> int:
        """Return the interest per second, scaled by 1e18."""
        return int(self._read("borrowRate", block=block))

    def accepted_policy(self, *, block: BlockIdentifier = "latest") -> tuple[bytes, int]:
        """Return the policy hash whose decay constant is known, and that constant."""
        policy_hash, decay_k = self._read("acceptedPolicy", block=block)
        return bytes(policy_hash), int(decay_k)

    def due_from_claims(self, borrower: str, *, block: BlockIdentifier = "latest") -> MicroCredit:
        """Return what of the borrower's next claims goes to the debt."""
        return MicroCredit(self._read("dueFromClaims", borrower, block=block))

    def payable_fees(self, *, block: BlockIdentifier = "latest") -> MicroCredit:
        """Return what ``payFees`` would pass on now, stray credits included; nothing is sent."""
        return MicroCredit(self._read("payFees", block=block))

    def name(self) -> str:
        """Return the share's name."""
        return str(self._read("name"))

    def symbol(self) -> str:
        """Return the share's symbol."""
        return str(self._read("symbol"))

    def total_assets(self, *, block: BlockIdentifier = "latest") -> MicroCredit:
        """Return what belongs to the suppliers, interest up to the block included."""
        return MicroCredit(self._read("totalAssets", block=block))

    def total_supply(self, *, block: BlockIdentifier = "latest") -> int:
        """Return all shares."""
        return int(self._read("totalSupply", block=block))

    def balance_of(self, owner: str, *, block: BlockIdentifier = "latest") -> int:
        """Return an owner's shares."""
        return int(self._read("balanceOf", owner, block=block))

    def convert_to_assets(self, shares: int, *, block: BlockIdentifier = "latest") -> MicroCredit:
        """Return what shares are worth."""
        return MicroCredit(self._read("convertToAssets", shares, block=block))

    def preview_deposit(self, assets: int, *, block: BlockIdentifier = "latest") -> int:
        """Return the shares a supply of ``assets`` gives."""
        return int(self._read("previewDeposit", assets, block=block))

    def preview_redeem(self, shares: int, *, block: BlockIdentifier = "latest") -> MicroCredit:
        """Return the credits that redeeming ``shares`` gives."""
        return MicroCredit(self._read("previewRedeem", shares, block=block))

    def max_withdraw(self, owner: str, *, block: BlockIdentifier = "latest") -> MicroCredit:
        """Return what an owner can withdraw now: limited by the pool's cash."""
        return MicroCredit(self._read("maxWithdraw", owner, block=block))

    def max_redeem(self, owner: str, *, block: BlockIdentifier = "latest") -> int:
        """Return the shares an owner can redeem now: limited by the pool's cash."""
        return int(self._read("maxRedeem", owner, block=block))

    def deposit(self, assets: int, receiver: str) -> Call:
        """Propose supplying credits; the sender has approved this contract before."""
        return self._write("deposit", assets=assets, receiver=receiver)

    def withdraw(self, assets: int, receiver: str, owner: str) -> Call:
        """Propose taking out an amount of credits."""
        return self._write("withdraw", assets=assets, receiver=receiver, owner=owner)

    def redeem(self, shares: int, receiver: str, owner: str) -> Call:
        """Propose taking out all that some shares are worth."""
        return self._write("redeem", shares=shares, receiver=receiver, owner=owner)

    def pledge(self, receipt_id: int) -> Call:
        """Propose handing a receipt into custody; approved for this contract before."""
        return self._write("pledge", receiptId=receipt_id)

    def borrow(self, receipt_id: int, amount: int, receiver: str) -> Call:
        """Propose borrowing against a pledged receipt."""
        return self._write("borrow", receiptId=receipt_id, amount=amount, receiver=receiver)

    def pledge_and_borrow(self, receipt_id: int, amount: int, receiver: str) -> Call:
        """Propose pledging and borrowing at once."""
        return self._write("pledgeAndBorrow", receiptId=receipt_id, amount=amount, receiver=receiver)

    def repay(self, receipt_id: int, amount: int) -> Call:
        """Propose repaying a loan against a receipt; more than is owed takes what is owed."""
        return self._write("repay", receiptId=receipt_id, amount=amount)

    def release(self, receipt_id: int) -> Call:
        """Propose taking a receipt without debt back."""
        return self._write("release", receiptId=receipt_id)

    def liquidate(self, receipt_id: int) -> Call:
        """Propose closing a pledge that no longer covers its debt; anybody may."""
        return self._write("liquidate", receiptId=receipt_id)

    def borrow_on_standing(
        self, leaf: AccountLeaf, proof: Sequence[bytes], amount: int, receiver: str
    ) -> Call:
        """Propose borrowing on a leaf of the newest final epoch."""
        return self._write(
            "borrowOnStanding", leaf=leaf.as_call(), proof=list(proof), amount=amount, receiver=receiver
        )

    def repay_standing(self, borrower: str, amount: int) -> Call:
        """Propose repaying a loan on standing; more than is owed takes what is owed."""
        return self._write("repayStanding", borrower=borrower, amount=amount)

    def write_off(self, borrower: str) -> Call:
        """Propose writing off a loan on standing whose grace is over; anybody may."""
        return self._write("writeOff", borrower=borrower)

    def accept_policy(self, head: tuple[object, ...]) -> Call:
        """Propose taking over the decay constant of the policy in force; anybody may.

        Parameters
        ----------
        head
            The policy as the struct ``PolicyHead`` (``valuation.policy_head_call``).
        """
        return self._write("acceptPolicy", head=head)

    def accrue(self) -> Call:
        """Propose adding the interest so far to the debt; anybody may."""
        return self._write("accrue")

    def pay_fees(self) -> Call:
        """Propose passing fees and stray credits on to the fee pool; anybody may."""
        return self._write("payFees")

    def set_risk(self, risk: RiskPlan) -> Call:
        """Propose other settings (governance)."""
        return self._write("setRisk", newSettings=risk.as_call())

    def pause_borrowing(self) -> Call:
        """Propose stopping borrowing (guardian)."""
        return self._write("pauseBorrowing")

    def resume_borrowing(self, pause: int) -> Call:
        """Propose allowing borrowing again, by ending the pause of this number (governor)."""
        return self._write("resumeBorrowing", pause=pause)


def yearly_bps(rate_per_second: int) -> int:
    """Return a rate per second (scaled by 1e18) as basis points a year, without compounding."""
    return rate_per_second * SECONDS_PER_YEAR * 10_000 // WAD


def _books(values: Sequence[int]) -> PoolBooks:
    debt, cash, debt_shares, fees_owed, cap_base, rate_at_target, accrued_at, fee_bps, paused = values
    return PoolBooks(
        debt=MicroCredit(debt),
        cash=MicroCredit(cash),
        debt_shares=int(debt_shares),
        fees_owed=MicroCredit(fees_owed),
        cap_base=MicroCredit(cap_base),
        rate_at_target=int(rate_at_target),
        accrued_at=int(accrued_at),
        fee_bps=int(fee_bps),
        paused=bool(paused),
    )
