"""The bank's chapter: deposit a claim, borrow against it, lease, fall due, repay, default, recover.

It runs between the epochs. After the first, a member's standing order and the pool's first supplier; after
the last but one, everything that needs receipts and standing, and time passing; after the last, what a later
claim brings back. Every step is a transaction of the clients everybody uses; a step that this history is too
small for is left out, and said so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from eth_typing import ChecksumAddress

from timebank_chain.chain.addresses import address_bytes
from timebank_chain.chain.bank_events import Deposited, IncomeReceived, LeaseTaken, Recovered, WrittenOff
from timebank_chain.chain.credit_lease import LeaseOffer
from timebank_chain.chain.events import ClaimRouted, decode_logs
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.signer import LocalSigner
from timebank_chain.chain.system import Timebank
from timebank_chain.chain.transactions import Call, Receipt
from timebank_chain.demo.story import BankScene
from timebank_chain.epoch import PublishedEpoch, account_proof
from timebank_chain.errors import EpochError
from timebank_chain.units import MicroCredit, format_micro
from timebank_chain.valuation import Policy, policy_head_call

DAY = 86_400
DAY_TERM, WEEK_TERM = 1, 2
LEASE_TERM = DAY
#: A member with less than this has nothing to show in the bank.
ENOUGH = 100_000
ONE_BPS = 10_000


@dataclass
class BankChapter:
    """The chapter as it goes on.

    Attributes
    ----------
    wallets
        Members with wallets; keys sign.
    anybody
        Who sends what anybody may send.
    advance
        Lets so many seconds pass, or is ``None`` where time cannot be moved.
    scenes
        What happened so far.
    """

    timebank: Timebank
    policy: Policy
    wallets: dict[str, LocalSigner]
    anybody: LocalSigner
    advance: Callable[[int], object] | None
    tell: Callable[[str], None]
    scenes: list[BankScene] = field(default_factory=list)
    saver: str | None = None
    supplier: str | None = None
    debtor: str | None = None
    receipt_id: int = 0

    def open(self, busy_later: list[str]) -> None:
        """After the first epoch: a standing order, and the pool's first supply.

        Parameters
        ----------
        busy_later
            Members who earn in later epochs, the busiest first.
        """
        by_balance = self._by_balance()
        self.saver = next((member for member in busy_later if member in self.wallets), None)
        self.supplier = next((member for member in by_balance if member != self.saver), None)
        if self.supplier is None or self._balance(self.supplier) < ENOUGH:
            self.tell("The bank: nobody holds enough credits to open it with")
            self.supplier = None
            return
        self.tell("The bank opens")
        if self.saver is not None:
            saver = self.wallets[self.saver]
            order = self.timebank.credit_distributor.set_standing_order(saver.address, WEEK_TERM)
            self._scene("standing order", self.saver, order, 0, "later claims become week deposits")
        amount = self._balance(self.supplier) // 2
        supplier = self.wallets[self.supplier]
        pool = self.timebank.credit_lending
        self._approve(supplier, pool.address, amount)
        self._scene("lend", self.supplier, pool.deposit(amount, supplier.address), amount, "to the pool")

    def claimed(self, receipt: Receipt) -> None:
        """Look at pushed claims: what became a deposit by itself, what repaid a debt."""
        events = decode_logs(receipt.logs, (Deposited, ClaimRouted, Recovered))
        recovered = any(isinstance(event, Recovered) for event in events)
        for event in events:
            if isinstance(event, Deposited) and self._is(self.saver, event.owner):
                self.receipt_id = event.receipt_id
                self._note(
                    "claim deposited",
                    self.saver,
                    event.amount,
                    f"receipt {event.receipt_id}, by order",
                    receipt,
                )
            elif isinstance(event, ClaimRouted) and event.to_creditor and not recovered:
                what = "out of the later claim"
                self._note("debt repaid by a claim", self.debtor, event.to_creditor, what, receipt)
            elif isinstance(event, Recovered):
                amount = event.of_pool + event.of_reserve
                self._note("recovered", self.debtor, amount, "out of the claim, into the reserve", receipt)

    def act(self, published: PublishedEpoch, busy_next: list[str]) -> None:
        """After the last epoch but one: borrow, lease; time passes; repay, settle, default.

        Parameters
        ----------
        published
            The newest final epoch, in which standing is proved.
        busy_next
            Members who earn in the last epoch, the busiest first.
        """
        if self.supplier is None:
            return
        if self.advance is not None:
            self.advance(DAY)  # what was supplied counts for loans on standing as it stays
        self._income()
        self._borrow_on_receipt()
        lease_id = self._lease()
        self._borrow_on_standing(published, busy_next)
        if self.advance is None:
            self.tell("  time cannot be moved here: due days, default and recovery are left out")
            return
        self.advance(LEASE_TERM + 60)
        if lease_id:
            self._scene(
                "settled on the due day",
                None,
                self.timebank.credit_lease.settle(lease_id),
                0,
                f"lease {lease_id}, from its receipt, by anybody",
            )
        self.advance(7 * DAY)
        self._repay_and_withdraw()
        self._default()

    def _income(self) -> None:
        done = self.timebank.send(self.anybody, self.timebank.time_bank.collect())
        arrived = sum(
            event.from_fees + event.gifts
            for event in decode_logs(done.logs, (IncomeReceived,))
            if isinstance(event, IncomeReceived)
        )
        self._note("income arrives", None, arrived, "depositors' part of the fees", done)

    def _borrow_on_receipt(self) -> None:
        bank, pool = self.timebank.time_bank, self.timebank.credit_lending
        if self.saver is None:
            return
        saver = self.wallets[self.saver]
        if not self.receipt_id:
            amount = self._balance(self.saver) // 2
            if amount < ENOUGH:
                self.tell("  nobody has a receipt to borrow against")
                return
            self._approve(saver, bank.address, amount)
            call = bank.deposit(amount, WEEK_TERM, saver.address)
            done = self._scene("deposit", self.saver, call, amount, "for a week")
            self.receipt_id = _receipt_made(done)
        worth = bank.exit_value(self.receipt_id)
        amount = min(worth // 2, pool.accrued_books().cash // 3)
        if amount < pool.risk().min_loan:
            self.tell("  the receipt or the pool is too small to borrow")
            self.receipt_id = 0
            return
        self.timebank.send(saver, bank.approve(pool.address, self.receipt_id))
        call = pool.pledge_and_borrow(self.receipt_id, amount, saver.address)
        self._scene("borrow", self.saver, call, amount, f"against receipt {self.receipt_id}")

    def _lease(self) -> int:
        """One member rents from another, on a day deposit; return the lease's number, 0 for none."""
        bank, lease = self.timebank.time_bank, self.timebank.credit_lease
        others = [member for member in self._by_balance() if member not in (self.saver, self.supplier)]
        lessee_name = others[0] if others else self.saver
        assert self.supplier is not None  # noqa: S101 - checked by act
        if lessee_name is None or self._balance(lessee_name) < ENOUGH:
            self.tell("  nobody else holds enough to lease")
            return 0
        lender, lessee = self.wallets[self.supplier], self.wallets[lessee_name]
        deposit = self._balance(lessee_name) // 2
        amount = min(self._balance(self.supplier), deposit // 2)
        self._approve(lessee, bank.address, deposit)
        opened = bank.deposit(deposit, DAY_TERM, lessee.address)
        receipt_id = _receipt_made(self._scene("deposit", lessee_name, opened, deposit, "for a day"))
        offer = LeaseOffer(
            lender=lender.address,
            lessee=ZERO_ADDRESS,
            amount=MicroCredit(amount),
            min_take=MicroCredit(1),
            rent=MicroCredit(amount // 50),
            term=LEASE_TERM,
            on_standing=False,
            expires_at=self.timebank.connection.pending_timestamp() + DAY,
            series=lease.series_of(lender.address),
            salt=1,
        )
        signature = offer.sign(lender, self.timebank.connection.chain_id, lease.address)
        self._approve(lender, lease.address, amount)
        self.timebank.send(lessee, bank.approve(lease.address, receipt_id))
        rent = format_micro(amount // 50)
        taken = lease.take(offer, signature, amount, receipt_id)
        done = self._scene("lease", lessee_name, taken, amount, f"from {self.supplier}, rent {rent}")
        return next(
            event.lease_id for event in decode_logs(done.logs, (LeaseTaken,)) if isinstance(event, LeaseTaken)
        )

    def _borrow_on_standing(self, published: PublishedEpoch, busy_next: list[str]) -> None:
        pool = self.timebank.credit_lending
        if pool.accepted_policy()[0] != self.timebank.rate_oracle.policy_hash():
            self.timebank.send(self.anybody, pool.accept_policy(policy_head_call(self.policy)))
        risk, books = pool.risk(), pool.accrued_books()
        cap = books.cap_base * risk.unsecured_cap_bps // ONE_BPS
        for member in busy_next:
            signer = self.wallets[member]
            try:
                proof = account_proof(published, address_bytes(signer.address))
            except EpochError:
                continue
            amount = min(pool.standing_limit(proof.leaf.standing), cap, books.cash) // 2
            if amount >= risk.min_loan:
                call = pool.borrow_on_standing(proof.leaf, proof.siblings, amount, signer.address)
                self._scene("borrow on standing", member, call, amount, "no collateral; claims are pledged")
                self.debtor = member
                return
        self.tell("  nobody's standing carries a loan that the pool would make")

    def _repay_and_withdraw(self) -> None:
        bank, pool = self.timebank.time_bank, self.timebank.credit_lending
        if self.saver is None or not self.receipt_id:
            return
        saver = self.wallets[self.saver]
        # A minute more of interest than at this moment: the transaction is mined a little later.
        owed = pool.debt_of(self.receipt_id)
        limit = owed + owed // 1_000 + 1_000
        self._approve(saver, pool.address, limit)
        if self._balance(self.saver) < limit:
            self.tell(f"  {self.saver} has spent what was borrowed and cannot repay yet")
            return
        self._scene("repay", self.saver, pool.repay(self.receipt_id, limit), owed, "principal and interest")
        self.timebank.send(saver, pool.release(self.receipt_id))
        self._income()
        worth = bank.exit_value(self.receipt_id)
        call = bank.withdraw(self.receipt_id, saver.address)
        self._scene("withdraw", self.saver, call, worth, f"receipt {self.receipt_id} matured, income paid")

    def _default(self) -> None:
        assert self.advance is not None  # noqa: S101 - checked by act
        if self.debtor is None:
            return
        pool = self.timebank.credit_lending
        borrower = self.wallets[self.debtor].address
        risk, loan = pool.risk(), pool.standing_loan(borrower)
        self.advance(max(0, loan.due_at + risk.grace - self.timebank.connection.timestamp()) + 60)
        owed = pool.standing_debt_of(borrower)
        done = self._scene(
            "default", self.debtor, pool.write_off(borrower), owed, "due day and grace are over, by anybody"
        )
        for event in decode_logs(done.logs, (WrittenOff,)):
            if isinstance(event, WrittenOff):
                parts = (
                    f"{format_micro(event.from_reserve)} by the reserve, "
                    f"{format_micro(event.from_pool)} by the suppliers"
                )
                self._note("written off", self.debtor, event.from_reserve + event.from_pool, parts, done)

    # ------------------------------------------------------------------ small things

    def _by_balance(self) -> list[str]:
        balances = {member: self._balance(member) for member in self.wallets}
        return sorted(balances, key=lambda member: (-balances[member], member))

    def _balance(self, member: str) -> MicroCredit:
        return self.timebank.attention_credit.balance_of(self.wallets[member].address)

    def _is(self, member: str | None, address: ChecksumAddress) -> bool:
        return member is not None and self.wallets[member].address == address

    def _approve(self, signer: LocalSigner, spender: str, amount: int) -> None:
        self.timebank.send(signer, self.timebank.attention_credit.approve(spender, amount))

    def _scene(self, what: str, member: str | None, call: Call, amount: int, note: str) -> Receipt:
        signer = self.anybody if member is None or what == "default" else self.wallets[member]
        done = self.timebank.send(signer, call)
        self._note(what, member, amount, note, done)
        return done

    def _note(self, what: str, member: str | None, amount: int, note: str, done: Receipt) -> None:
        self.scenes.append(BankScene(what, member or "anybody", amount, note, done.gas_used))
        self.tell(f"  {what}: {member or 'anybody'}, {format_micro(amount)} credits, {note}")


def _receipt_made(done: Receipt) -> int:
    return next(
        event.receipt_id for event in decode_logs(done.logs, (Deposited,)) if isinstance(event, Deposited)
    )
