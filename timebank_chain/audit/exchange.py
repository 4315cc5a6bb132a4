"""The exchange: every fill is within its maker's signed order, and moved what it says, by way of nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from eth_abi.abi import encode

from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.epochs import recover
from timebank_chain.audit.exchange_book import Fill
from timebank_chain.audit.report import Check, Tally
from timebank_chain.audit.storage_root import keccak
from timebank_chain.units import format_micro

_NAME = "CreditExchange"
_SILENT = "the exchange's storage was changed without an event"
_DOMAIN = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_ORDER = (
    b"TradeOrder(address maker,address taker,address token,bool sellsCredits,uint64 credits,uint128 amount,"
    b"uint16 maxFeeBps,uint40 expiresAt,uint64 series,uint256 salt)"
)
_ORDER_TYPES = [part.split()[0] for part in _ORDER.decode()[len("TradeOrder(") : -1].split(",")]


def check_exchange(case: AuditCase) -> Check:
    """Check every fill against its order, the fee's rate and the transfers of its transaction."""
    tally = Tally("A52", "every trade is within its signed order, pays the fee, and moved what it says")
    book, call = case.exchange, case.evidence.call
    for group, difference in book.anomalies:
        if group == "exchange":
            tally.add(difference)
    for order_hash in sorted(set(book.filled) | set(book.cancelled)):
        name = f"0x{order_hash.hex()}"
        found = call(_NAME, "filledOf", order_hash)
        tally.equal(f"{_NAME}.filledOf({name})", book.filled.get(order_hash, 0), found, _SILENT)
        found = call(_NAME, "isCancelled", order_hash)
        tally.equal(f"{_NAME}.isCancelled({name})", order_hash in book.cancelled, found, _SILENT)
    for maker in sorted(book.makers):
        expected = book.series.get(maker, 0)
        tally.equal(f"{_NAME}.seriesOf({maker})", expected, call(_NAME, "seriesOf", maker), _SILENT)
    moved = Counter(
        (event.transaction, event.args["from"], event.args["to"], int(event.args["value"]))
        for event in case.ledger.transfers
    )
    pool, unseen = case.evidence.address("FeePool"), 0
    for fill in book.fills:
        digest = order_digest(fill.order, case.chain_id, case.evidence.address(_NAME))
        tally.equal(f"{fill.event.where}, orderHash", digest, fill.order_hash, "the fill is of another order")
        _check_moved(tally, fill, moved, pool)
        unseen += not _check_signature(case, tally, fill, digest)
    if unseen:
        tally.note(f"{unseen:,} fills went through another contract: their signatures are not in the call")
    _check_holdings(case, tally)
    traded, fees = sum(fill.credits for fill in book.fills), sum(fill.fee for fill in book.fills)
    tally.evidence.update(
        fills=len(book.fills), traded=traded, fees=fees, cancelled=len(book.cancelled), unseen=unseen
    )
    return tally.done(
        f"{len(book.fills):,} fills of {len(book.filled):,} orders, {format_micro(traded)} credits, "
        f"{format_micro(fees)} of them fees"
    )


def order_digest(order: Mapping[str, Any], chain_id: int, contract: str) -> bytes:
    """Return the EIP-712 digest of an order: what its maker signed."""
    domain = encode(
        ["bytes32", "bytes32", "bytes32", "uint256", "address"],
        [keccak(_DOMAIN), keccak(b"timebank CreditExchange"), keccak(b"1"), chain_id, contract],
    )
    struct = encode(["bytes32", *_ORDER_TYPES], [keccak(_ORDER), *order.values()])
    return keccak(b"\x19\x01" + keccak(domain) + keccak(struct))


def _check_moved(tally: Tally, fill: Fill, moved: Counter[tuple[bytes, str, str, int]], pool: str) -> None:
    """Check that credits went from seller to buyer, and the fee to the pool, in the fill's transaction."""
    parts = [(fill.buyer, fill.credits - fill.fee)] + ([(pool, fill.fee)] if fill.fee else [])
    for receiver, part in parts:
        key = (fill.event.transaction, fill.seller, receiver, part)
        if moved[key]:
            moved[key] -= 1
        else:
            tally.fail(
                fill.event.where,
                f"a transfer of {part} from {fill.seller} to {receiver} in the same transaction",
                "none",
                "a trade was recorded that did not take place as recorded",
            )


def _check_signature(case: AuditCase, tally: Tally, fill: Fill, digest: bytes) -> bool:
    """Check the maker's signature in the call that filled; ``False`` when another contract made that call."""
    transaction = case.evidence.transaction(fill.event.transaction)
    if str(transaction.get("to") or "").lower() != case.evidence.address(_NAME).lower():
        return False
    call = case.evidence.decode_input(_NAME, "fill", bytes(transaction["input"]))
    if call is None:
        return False
    where = fill.event.where
    if fill.order["token"] == "0x" + "0" * 40:
        paid = int(transaction["value"])
        tally.equal(f"{where}, coin", fill.amount, paid, "other coin came along than the fill says")
    signer = recover(digest, bytes(call["signature"]))
    if signer != fill.maker and case.evidence.code_at(fill.maker):
        tally.note(f"{where}: the maker is a contract; what it signed is its own word (ERC-1271)")
        return True
    tally.equal(f"{where}, signature", fill.maker, signer, "the maker did not sign this order")
    return True


def _check_holdings(case: AuditCase, tally: Tally) -> None:
    """Check that the exchange holds nothing but what was sent there in error."""
    here = case.evidence.address(_NAME)
    sent = sum(
        int(event.args["value"]) * ((event.args["to"] == here) - (event.args["from"] == here))
        for event in case.ledger.transfers
    )
    held = case.evidence.call("AttentionCredit", "balanceOf", here)
    tally.equal(f"{_NAME}, balance", sent, held, "its credits are not what the transfers say")
    tally.require(
        not any(event.args["from"] == here for event in case.ledger.transfers),
        f"{_NAME}, transfers",
        "none from the exchange itself",
        "some",
        "the exchange moves credits by allowance only, never its own",
    )
    if held:
        tally.note(f"{format_micro(held)} credits were sent to the exchange by a plain transfer: lost")
    coin = case.evidence.ether(_NAME)
    if coin:
        tally.note(f"{coin} wei were forced into the exchange; nobody can use them")
