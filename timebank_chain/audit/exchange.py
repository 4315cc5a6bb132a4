"""The exchange: every fill is within its maker's signed order, and moved what it says, by way of nobody.

What credits are exchanged for is somebody else's token. Where it logs its transfers as ERC-20 asks, the logs
of a fill's transaction are laid beside the fill. A log that is missing or other is said and fails nothing: a
token writes its own logs, so whoever deploys one could turn any audit red by trading a grain of it. What such
a fill moved was measured by the exchange itself, whose code is another check's matter.
"""

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
from timebank_chain.units import format_micro, mul_div_down, mul_div_up

_NAME = "CreditExchange"
_SILENT = "the exchange's storage was changed without an event"
_DOMAIN = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_ORDER = (
    b"TradeOrder(address maker,address taker,address token,bool sellsCredits,uint64 credits,uint128 amount,"
    b"uint16 maxFeeBps,uint40 expiresAt,uint64 series,uint256 salt)"
)
_TRANSFER = keccak(b"Transfer(address,address,uint256)")
_COIN = "0x" + "0" * 40
_ORDER_TYPES = [part.split()[0] for part in _ORDER.decode()[len("TradeOrder(") : -1].split(",")]


def check_exchange(case: AuditCase) -> Check:
    """Check every fill against its order, its taker's terms, the fee's rate and the transfers beside it."""
    tally = Tally(
        "A52",
        "every trade is within its signed order and its taker's bounds, pays the fee, and moved what it "
        "says, by the token's own logs too where it writes them",
    )
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
    _compare_token_logs(case, tally)
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


def _compare_token_logs(case: AuditCase, tally: Tally) -> None:
    """Lay the tokens' own logs beside the fills; why that fails nothing stands at the top of the module."""
    logged: dict[bytes, Counter[tuple[str, str, str, int]]] = {}
    silent: Counter[str] = Counter()
    compared = 0
    for fill in case.exchange.fills:
        token = str(fill.order["token"])
        if token == _COIN:
            continue
        if fill.event.transaction not in logged:
            logged[fill.event.transaction] = _transfers_of(case, fill.event.transaction)
        transfers = logged[fill.event.transaction]
        # Of two fills in one transaction each needs a log of its own.
        key = (token.lower(), fill.buyer.lower(), fill.seller.lower(), fill.amount)
        if transfers[key]:
            transfers[key] -= 1
            compared += 1
        else:
            silent[token] += 1
    for token, count in sorted(silent.items()):
        tally.note(
            f"token {token} logs no such transfer for {count:,} of its fills: what it says is its own word, "
            "look at its code before you trade it"
        )
    tally.evidence.update(token_logged=compared, token_silent=sum(silent.values()))


def _transfers_of(case: AuditCase, transaction: bytes) -> Counter[tuple[str, str, str, int]]:
    """Count the ERC-20 transfers a transaction logged: (token, from, to, value), addresses in lower case."""
    found: Counter[tuple[str, str, str, int]] = Counter()
    for log in case.evidence.receipt(transaction)["logs"]:
        topics, data = [bytes(topic) for topic in log["topics"]], bytes(log["data"])
        # An ERC-721 has the same topic, but its third value is indexed too.
        if len(topics) == 3 and topics[0] == _TRANSFER and len(data) == 32:
            sender, receiver = (f"0x{topic[-20:].hex()}" for topic in topics[1:])
            found[str(log["address"]).lower(), sender, receiver, int.from_bytes(data, "big")] += 1
    return found


def _check_terms(tally: Tally, fill: Fill, terms: Mapping[str, Any]) -> None:
    """Check that a fill is within what its taker asked for."""
    most, limit = int(terms["most"]), int(terms["limit"])
    divide = mul_div_up if fill.order["sellsCredits"] else mul_div_down
    bound = divide(limit, fill.credits, most) if most else 0
    within = (
        int(terms["least"]) <= fill.credits <= most
        and fill.fee_bps <= int(terms["maxFeeBps"])
        and (fill.amount <= bound if fill.order["sellsCredits"] else fill.amount >= bound)
    )
    tally.require(
        within,
        f"{fill.event.where}, terms",
        f"{terms['least']} to {most} credits, at most {terms['maxFeeBps']} basis points, limit {bound}",
        f"{fill.credits} credits at {fill.fee_bps} basis points for {fill.amount}",
        "a taker got what it did not ask for",
    )


def _check_signature(case: AuditCase, tally: Tally, fill: Fill, digest: bytes) -> bool:
    """Check the call that filled: signature, terms and coin; ``False`` when another contract made it."""
    transaction = case.evidence.transaction(fill.event.transaction)
    if str(transaction.get("to") or "").lower() != case.evidence.address(_NAME).lower():
        return False
    call = case.evidence.decode_input(_NAME, "fill", bytes(transaction["input"]))
    if call is None:
        return False
    where = fill.event.where
    _check_terms(tally, fill, call["terms"])
    paid = int(transaction["value"])
    if fill.order["token"] == _COIN:
        # What is too much goes back; that the exchange keeps none of it shows in what it holds.
        enough, expected = paid >= fill.amount, f"at least {fill.amount}"
    else:
        enough, expected = paid == 0, "0"
    tally.require(enough, f"{where}, coin", expected, paid, "other coin came along than the fill says")
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
