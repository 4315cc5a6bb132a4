"""Who acts on which system: reads what a step is about, sends it, and says where the order stands then."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from timebank_chain.cli.options import open_signer, open_system
from timebank_chain.cli.output import out
from timebank_chain.cli.service import view
from timebank_chain.cli.writes import perform_all

if TYPE_CHECKING:
    from timebank_chain.chain.signer import LocalSigner
    from timebank_chain.chain.system import Timebank
    from timebank_chain.chain.transactions import Call, Receipt
    from timebank_chain.cli.service.texts import Note
    from timebank_chain.spec.service_escrow import Listing, Order, Proposal, ServiceEscrow


@dataclass(frozen=True)
class Session:
    """Who acts on which system, and how it is shown."""

    timebank: Timebank
    signer: LocalSigner
    yes: bool
    dry_run: bool
    as_json: bool

    @classmethod
    def open(
        cls,
        rpc_url: str,
        deployment: Path | None,
        keystore: Path | None,
        password_file: Path | None,
        sender: str | None,
        *,
        yes: bool,
        dry_run: bool,
        as_json: bool,
    ) -> Self:
        """Connect and unlock the wallet that signs."""
        timebank = open_system(rpc_url, deployment)
        return cls(timebank, open_signer(keystore, sender, password_file), yes, dry_run, as_json)

    def order(self, order_id: int) -> Order:
        """Read an order.

        Raises
        ------
        WrongStage
            If there is none of this number.
        """
        from timebank_chain.chain.service_reverts import WrongStage
        from timebank_chain.spec.service_escrow import Stage

        at = self.timebank.connection.simulation_block
        order = self.timebank.service_escrow.order_of(order_id, block=at)
        if order is None:
            raise WrongStage({"orderId": order_id, "stage": Stage.NONE})
        return order

    def listing(self, listing_id: int) -> Listing:
        """Read a listing, or refuse its number."""
        return listing_of(self.timebank, listing_id)

    def check(
        self, step: Callable[[ServiceEscrow, int], object], listing_id: int, order_id: int | None = None
    ) -> None:
        """Refuse what the contract would refuse, before an approval is sent for it."""
        from timebank_chain.chain.service_check import check_step

        at = self.timebank.connection.simulation_block
        check_step(self.timebank, step, listing_id=listing_id, order_id=order_id, block=at)

    def pay_in(self, amount: int) -> list[Call]:
        """Return the approval missing for so many more micro-credits in escrow, if any.

        Raises
        ------
        ERC20InsufficientBalance
            If they are not there.
        """
        from timebank_chain.chain.openzeppelin_reverts import ERC20InsufficientBalance

        credit, escrow = self.timebank.attention_credit, self.timebank.service_escrow
        at, me = self.timebank.connection.simulation_block, self.signer.address
        balance = credit.balance_of(me, block=at)
        if balance < amount:
            raise ERC20InsufficientBalance({"sender": me, "balance": balance, "needed": amount})
        if amount > 0 and credit.allowance(me, escrow.address, block=at) < amount:
            return [credit.approve(escrow.address, amount)]
        return []

    def show_terms(self, proposal: Proposal, listing: Listing, fee_bps: int) -> None:
        """Show what somebody is about to agree to, unless nobody looks (``--json``, ``--yes``)."""
        if not self.as_json and (self.dry_run or not self.yes):
            view.print_terms(proposal, listing, fee_bps)

    def perform(
        self,
        verb: str,
        calls: Sequence[Call],
        question: str,
        facts: Mapping[str, Any],
        learn: Callable[[Receipt], Mapping[str, Any]] | None = None,
        note: Note | None = None,
    ) -> Receipt | None:
        """Ask, and send ``calls`` in turn; ``note`` is kept once nothing but sending is left to do.

        A text is stored after the simulation of the call that carries its hash: what is refused leaves no
        file behind, and no hash is on chain without its text. If sending fails then, it is said where the
        text lies: the transaction may still be mined.
        """

        def send(before_last: Callable[[], None] | None) -> Receipt | None:
            return perform_all(
                self.timebank,
                self.signer,
                calls,
                question=question,
                schema=f"timebank.service.{verb}/1",
                facts=facts,
                yes=self.yes,
                dry_run=self.dry_run,
                as_json=self.as_json,
                learn=learn,
                before_last=before_last,
            )

        if note is None:
            return send(None)
        with note.kept_by() as keep:
            sent = send(keep)
        if sent is not None and not self.as_json:
            note.say_hand_over()
        return sent

    def step(
        self,
        verb: str,
        order_id: int,
        calls: Sequence[Call],
        question: str,
        facts: Mapping[str, Any] | None = None,
        note: Note | None = None,
    ) -> None:
        """Move an order one step, and say where it stands then."""

        def learn(_receipt: Receipt) -> Mapping[str, Any]:
            order = self.timebank.service_escrow.order_of(order_id)
            if order is None:
                return {}
            return {"stage": order.stage.name.lower(), "deadline": order.deadline or None}

        known = {
            "order_id": order_id,
            "stage": None,
            "deadline": None,
            **(facts or {}),
            **({} if note is None else note.facts),
        }
        sent = self.perform(verb, calls, question, known, learn, note)
        if sent is not None and not self.as_json:
            self.say_next(order_id)

    def say_next(self, order_id: int) -> None:
        """Say whose turn it is now, and until when."""
        order = self.timebank.service_escrow.order_of(order_id)
        if order is not None:
            listing = self.listing(order.listing_id)
            now = self.timebank.connection.timestamp()
            out().print(view.next_line(order_id, order, listing, now))


def listing_of(timebank: Timebank, listing_id: int) -> Listing:
    """Read a listing.

    Raises
    ------
    NoSuchListing
        If there is none of this number.
    """
    from timebank_chain.chain.service_reverts import NoSuchListing

    listing = timebank.service_escrow.listing_of(listing_id, block=timebank.connection.simulation_block)
    if listing is None:
        raise NoSuchListing({"listingId": listing_id})
    return listing
