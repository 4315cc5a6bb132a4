"""What ``timebank market sell`` and ``buy`` do: approve what an order gives, sign it, add it to a book."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timebank_chain.cli import market_sweep, market_view
from timebank_chain.cli.options import amount_micro, confirm, open_signer, open_system, until_seconds
from timebank_chain.cli.output import print_json, say
from timebank_chain.cli.writes import perform_all
from timebank_chain.errors import UsageError
from timebank_chain.units import format_micro

if TYPE_CHECKING:
    from timebank_chain.chain.transactions import Call, Receipt


def make_order(
    *,
    sells: bool,
    amount: str,
    price: str,
    token: str,
    to: str | None,
    expires: str,
    max_fee_bps: int | None,
    output: Path,
    no_approve: bool,
    allow: str | None,
    system: tuple[str, Path | None],
    signing: tuple[Path | None, str | None, Path | None],
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Approve what the order gives where that is missing, then sign it and add it to the book."""
    from timebank_chain.chain.addresses import parse_address
    from timebank_chain.chain.credit_exchange import TradeOrder, trade_fee
    from timebank_chain.chain.foreign_token import ForeignToken
    from timebank_chain.chain.member_registry import ZERO_ADDRESS
    from timebank_chain.chain.order_book import SignedOrder, append_order, require_book, sign_order

    # Whatever needs no chain is looked at first.
    micro = amount_micro(amount)
    market_sweep.require_fee_bound(max_fee_bps)
    market_view.require_amount(price, "--for")
    if allow is not None:
        market_view.require_amount(allow, "--allow")
        if no_approve:
            raise UsageError("--allow and --no-approve at once", hint="give one of them")
    other = market_view.parse_token(token)
    taker = ZERO_ADDRESS if to is None else parse_address(to, what="--to")
    if not output.parent.is_dir():
        raise UsageError(f"there is no folder {output.parent}", hint="make it, or choose another with -o")
    require_book(output)
    timebank = open_system(*system)
    exchange, credit = timebank.credit_exchange, timebank.attention_credit
    at, now = timebank.connection.simulation_block, timebank.connection.pending_timestamp()
    until = until_seconds(expires, "--expires", now=now)
    named = market_view.open_token(timebank, other)
    units = named.parse(price, "--for")
    given = allowed = micro if sells else units
    if allow is not None:
        allowed = amount_micro(allow) if sells else named.parse(allow, "--allow")
        if allowed < given:
            raise UsageError(f"--allow {allow} is less than the order gives")
    fee_bps = exchange.trade_fee_bps(block=at)
    if trade_fee(micro, fee_bps) >= micro:
        raise UsageError(f"{amount} credits are all fee: nobody could fill this order", hint="offer more")
    signer = open_signer(*signing)
    if taker == signer.address:
        raise UsageError(
            "--to is your own address: nobody could fill this order",
            hint="name somebody else, or leave it out for anybody",
        )
    made = TradeOrder(
        maker=signer.address,
        taker=taker,
        token=named.address,
        sells_credits=sells,
        credits=micro,
        amount=units,
        max_fee_bps=fee_bps if max_fee_bps is None else max_fee_bps,
        expires_at=until,
        series=exchange.series_of(signer.address, block=at),
        salt=secrets.randbits(256),
    )
    if fee_bps > made.max_fee_bps:
        say(f"the fee is {fee_bps} basis points: while it is, nobody can fill this order")
    foreign = ForeignToken(timebank.connection, named.address)
    approvals: list[Call] = []
    if sells:
        balance = credit.balance_of(signer.address, block=at)
        standing = credit.allowance(signer.address, exchange.address, block=at)
        if standing < allowed:
            approvals = [credit.approve(exchange.address, allowed)]
        if standing and allow is None:
            say(
                f"your open orders share one allowance, of {format_micro(max(standing, allowed))} credits: "
                "--allow with their sum lets each be filled"
            )
        if balance < micro:
            say(f"{signer.address} has {format_micro(balance)} credits: no more can be sold at present")
    else:
        held = foreign.balance_of(signer.address, block=at)
        approvals = foreign.approvals(signer.address, exchange.address, allowed, block=at)
        if held < units:
            say(f"{signer.address} has {named.write(held)} {named.name}: no more can be paid at present")
    unsigned = SignedOrder(made, timebank.connection.chain_id, exchange.address, b"")
    facts: dict[str, Any] = {
        "order_hash": "0x" + unsigned.order_hash.hex(),
        "book": str(output),
        "order": {name: value for name, value in unsigned.to_json().items() if name != "signature"},
    }
    verb = "sell" if sells else "buy"
    question = (
        f"offer {'anybody' if to is None else taker} to {verb} {format_micro(micro)} credits for "
        f"{named.write(units)} {named.name}, until {market_view.moment(until)}?"
    )

    def keep(_receipt: Receipt | None = None) -> Mapping[str, Any]:
        signed = sign_order(made, signer, unsigned.chain_id, unsigned.contract)
        append_order(output, signed)
        return {"order": signed.to_json()}

    schema = f"timebank.market.{verb}/1"
    if approvals and not no_approve:
        # Approved first: an order in the open that nobody can fill is worth nothing.
        sent = perform_all(
            timebank,
            signer,
            approvals,
            question=question,
            schema=schema,
            facts=facts,
            yes=yes,
            dry_run=dry_run,
            as_json=as_json,
            learn=_once(keep),
        )
        if sent is not None and not as_json:
            say(f"signed order 0x{unsigned.order_hash.hex()}, added to {output}")
        return
    if not dry_run:
        confirm(question, yes=yes)
        facts |= keep()
    if as_json:
        print_json(schema, {**facts, "sent": False, "transactions": []})
    elif dry_run:
        say("dry run: nothing was signed")
    else:
        say(f"signed order 0x{unsigned.order_hash.hex()}, added to {output}")


def _once(keep: Any) -> Any:
    """Several approvals are learnt from in turn; the order is signed and kept with the first."""
    kept: dict[str, Any] = {}

    def learn(receipt: Receipt) -> Mapping[str, Any]:
        if not kept:
            kept.update(keep(receipt))
        return kept

    return learn
