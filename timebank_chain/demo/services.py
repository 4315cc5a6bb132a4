"""The market's chapter: a service is ordered, delivered and paid; a quarrel ends by time; credits are sold.

It runs at the end, when members hold what they earned. Texts stay off chain, in the demo's folder; the
contracts hold their hashes. A step that this history is too small for is left out, and said so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from eth_typing import ChecksumAddress

from timebank_chain.chain.credit_exchange import COIN, TradeOrder
from timebank_chain.chain.events import decode_logs
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.service_events import ServiceSettled
from timebank_chain.chain.signer import LocalSigner
from timebank_chain.chain.system import Timebank
from timebank_chain.chain.transactions import Call, Receipt
from timebank_chain.content import ContentStore
from timebank_chain.demo.story import BankScene
from timebank_chain.spec.service_escrow import Listing, ListingKind, Periods, Proposal
from timebank_chain.units import MicroCredit, format_micro

HOUR = 3_600
DAY = 24 * HOUR
#: A buyer with less than this has nothing to spend.
ENOUGH = 100_000
HALF_BPS = 5_000
#: The price asked for credits: a thousandth of a coin each.
WEI_PER_MICRO = 10**9


@dataclass
class ServiceChapter:
    """The chapter as it goes on; ``scenes`` are in the order they happened.

    Attributes
    ----------
    wallets
        Members with wallets; keys sign.
    arbiter
        Who is to rule; never does.
    anybody
        Who moves on what is overdue.
    advance
        Lets so many seconds pass, or is ``None`` where time cannot be moved.
    """

    timebank: Timebank
    content: ContentStore
    wallets: dict[str, LocalSigner]
    arbiter: ChecksumAddress
    anybody: LocalSigner
    advance: Callable[[int], object] | None
    tell: Callable[[str], None]
    scenes: list[BankScene] = field(default_factory=list)

    def act(self) -> None:
        """Offer, order, deliver, pay and rate; quarrel, and let time decide; sell credits for coin."""
        ranked = sorted(self.wallets, key=lambda member: (-self._balance(member), member))
        if len(ranked) < 2 or self._balance(ranked[0]) < ENOUGH:
            self.tell("The market: nobody holds enough credits to buy anything")
            return
        buyer, provider = ranked[:2]
        price = self._balance(buyer) // 10
        self.tell("The market opens")
        escrow = self.timebank.service_escrow
        proposal = Proposal(price, DAY, self.arbiter, self.content.put("An hour of help with your code"))
        now = self.timebank.connection.pending_timestamp()
        periods = Periods(DAY, DAY, DAY, DAY)
        listing = Listing(ZERO_ADDRESS, now + 30 * DAY, ListingKind.OFFER, 2, HALF_BPS, periods, proposal)
        self._scene("offer", provider, escrow.list_service(listing), price, "two times, hash on chain")
        number = escrow.listing_count()
        self._send(buyer, self.timebank.attention_credit.approve(escrow.address, 2 * price))

        first = self._ordered(buyer, provider, number, proposal)
        self._settled("approved", buyer, escrow.approve(first))
        self._scene(
            "rated", buyer, escrow.rate(first, 5, self.content.put("Patient and clear")), 0, "5 stars"
        )
        self._scene("rated", provider, escrow.rate(first, 5, bytes(32)), 0, "5 stars")

        second = self._ordered(buyer, provider, number, proposal)
        reasons = self.content.put("It was half an hour")
        self._scene(
            "partial", buyer, escrow.contest(second, price // 3, reasons), price // 3, "a third offered"
        )
        self._scene("dispute", provider, escrow.dispute(second, bytes(32)), 0, "the arbiter is asked")
        if self.advance is None:
            self.tell("  time cannot be moved here: the order stays with its arbiter")
        else:
            self.advance(DAY + 60)
            self._settled("no ruling in time", None, escrow.move(second))
        self._trade(provider, buyer)

    def _trade(self, seller: str, buyer: str) -> None:
        """The seller signs an order; a half of it is bought, the rest taken back."""
        exchange, signer = self.timebank.credit_exchange, self.wallets[seller]
        micro = MicroCredit(self._balance(seller) // 2)
        order = TradeOrder(
            maker=signer.address,
            taker=COIN,
            token=COIN,
            sells_credits=True,
            credits=micro,
            amount=micro * WEI_PER_MICRO,
            max_fee_bps=exchange.trade_fee_bps(),
            expires_at=self.timebank.connection.pending_timestamp() + DAY,
            series=exchange.series_of(signer.address),
            salt=1,
        )
        signature = order.sign(signer, self.timebank.connection.chain_id, exchange.address)
        self._scene(
            "sell order",
            seller,
            self.timebank.attention_credit.approve(exchange.address, micro),
            micro,
            "signed, a thousandth of a coin each",
        )
        part = micro // 2
        price = order.amount_for(part)
        fill = exchange.fill(order, signature, part, price)
        self._scene("bought", buyer, fill, part, f"for {price:,} wei")
        self._scene("cancelled", seller, exchange.cancel(order), micro - part, "the rest is taken back")

    def _ordered(self, buyer: str, provider: str, listing: int, proposal: Proposal) -> int:
        """An order that is delivered."""
        escrow = self.timebank.service_escrow
        self._scene("order", buyer, escrow.place_order(listing, proposal), proposal.price, "into escrow")
        number = escrow.order_count()
        self._send(provider, escrow.accept(number, 1))
        self._scene("deliver", provider, escrow.deliver(number, bytes(32)), 0, f"order {number}")
        return number

    def _settled(self, what: str, member: str | None, call: Call) -> None:
        done = self._send(member, call)
        for event in decode_logs(done.logs, (ServiceSettled,)):
            if isinstance(event, ServiceSettled):
                parts = (
                    f"{format_micro(event.to_provider)} to the provider, {format_micro(event.fee)} fee, "
                    f"{format_micro(event.to_buyer)} back"
                )
                self._note(what, member, event.to_provider + event.fee, parts, done)

    def _balance(self, member: str) -> MicroCredit:
        return self.timebank.attention_credit.balance_of(self.wallets[member].address)

    def _send(self, member: str | None, call: Call) -> Receipt:
        return self.timebank.send(self.anybody if member is None else self.wallets[member], call)

    def _scene(self, what: str, member: str, call: Call, amount: int, note: str) -> None:
        self._note(what, member, amount, note, self._send(member, call))

    def _note(self, what: str, member: str | None, amount: int, note: str, done: Receipt) -> None:
        self.scenes.append(BankScene(what, member or "anybody", amount, note, done.gas_used))
        self.tell(f"  {what}: {member or 'anybody'}, {format_micro(amount)} credits, {note}")
