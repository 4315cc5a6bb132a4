"""Supply and balances: nothing came into being but by a claim, and nobody holds what no event gave."""

from __future__ import annotations

from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.replay import ZERO_ADDRESS
from timebank_chain.audit.report import Check, Tally
from timebank_chain.audit.storage_root import mapping_slot, storage_root, string_slots
from timebank_chain.units import format_micro

#: Where OpenZeppelin's ERC20, EIP712, Nonces and our contractURI keep their state in AttentionCredit;
#: a test compares this with the compiler's own storage layout.
CREDIT_SLOTS = {
    "_balances": 0,
    "_allowances": 1,
    "_totalSupply": 2,
    "_name": 3,
    "_symbol": 4,
    "_nameFallback": 5,
    "_versionFallback": 6,
    "_nonces": 7,
    "contractURI": 8,
}
#: The same for CreditDistributor.
DISTRIBUTOR_SLOTS = {"accountRoot": 0, "_latest": 1, "claimed": 2}

_SILENT = "the contract's storage was changed without an event"


def check_supply(case: AuditCase) -> Check:
    """Check totalSupply = everything minted less everything burned, by the Transfer events."""
    tally = Tally("A7", "supply identity: totalSupply = claimed mints - burns")
    supply = case.evidence.call("AttentionCredit", "totalSupply")
    tally.equal("AttentionCredit.totalSupply", case.ledger.supply, supply, _SILENT)
    claimed = sum(claim.amount for claim in case.ledger.claims)
    tally.equal(
        "sum of Claimed amounts",
        case.ledger.minted,
        claimed,
        "credits came into being that no claim accounts for",
    )
    for difference in case.ledger.anomalies_of("supply"):
        tally.add(difference)
    tally.evidence.update(
        total_supply=supply, minted=case.ledger.minted, claimed=claimed, burned=case.ledger.burned
    )
    return tally.done(
        f"{format_micro(case.ledger.minted)} minted - {format_micro(case.ledger.burned)} burned"
        f" = {format_micro(case.ledger.supply)} credits"
    )


def check_balances(case: AuditCase) -> Check:
    """Check every known address's balance, and that together they are the whole supply."""
    tally = Tally("A8", "balances: balanceOf every known address = its transfers; their sum = totalSupply")
    addresses = set(case.ledger.balances)
    # Forged balances like to sit where people look least: everybody the ledger knows is asked, not
    # only who once received something.
    addresses |= {claim.account for claim in case.ledger.claims} | set(case.evidence.addresses.values())
    addresses |= {link.wallet for link in case.ledger.links.values()}
    addresses |= {proposal.proposer for proposal in case.ledger.proposals}
    addresses |= {address for pair in case.ledger.allowance_pairs for address in pair}
    for epoch in case.epochs[-1:]:
        addresses |= {case.checksum(account) for account in epoch.account_rows}
    addresses.discard(ZERO_ADDRESS)
    total = 0
    for index, address in enumerate(sorted(addresses)):
        if index % 500 == 0:
            case.progress(f"balances: {index:,} of {len(addresses):,}")
        balance = case.evidence.call("AttentionCredit", "balanceOf", address)
        total += balance
        tally.equal(
            f"AttentionCredit.balanceOf({address})",
            case.ledger.balances.get(address, 0),
            balance,
            "this address holds what no transfer gave it: the balance was forged past the contract",
        )
    supply = case.evidence.call("AttentionCredit", "totalSupply")
    tally.equal("sum of all balances", supply, total, "credits are held by nobody, or held without existing")
    tally.evidence.update(addresses=len(addresses), sum=total, total_supply=supply)
    return tally.done(f"{len(addresses):,} addresses, {format_micro(total)} credits")


#: Slot -> the value it must have, and what it is.
Slots = dict[bytes, tuple[int, str]]


def check_storage(case: AuditCase) -> Check:
    """Check that the token and the distributor hold no storage slot that no event explains."""
    tally = Tally("A9", "no hidden state: all storage of credit and distributor follows from the events")
    count = 0
    for contract, slots in (
        ("AttentionCredit", _credit_slots(case)),
        ("CreditDistributor", _distributor_slots(case)),
    ):
        values = {slot: value for slot, (value, _) in slots.items() if value}
        count += len(values)
        listed = case.evidence.storage_slots(contract)
        if listed is not None:
            _compare_slots(tally, contract, slots, listed)
            tally.evidence[contract] = {"slots": len(listed), "how": "every slot listed"}
            continue
        found = case.evidence.storage_hash(contract)
        if found is None:
            return tally.not_checked("this node gives no storage roots for this block (eth_getProof)")
        tally.equal(
            f"{contract}, storage root",
            storage_root(values),
            found,
            "a slot was written past the contract: a balance or claim of an address no event names, or one "
            "that A7, A8 or A12 shows",
        )
        tally.evidence[contract] = {"storage_root": "0x" + found.hex(), "slots": len(values)}
    return tally.done(f"{count:,} storage slots in 2 contracts")


def _compare_slots(tally: Tally, contract: str, slots: Slots, listed: dict[bytes, int]) -> None:
    for slot in sorted(set(slots) | set(listed)):
        value, what = slots.get(slot, (0, "explained by no event"))
        tally.equal(
            f"{contract}, slot 0x{slot.hex()} ({what})",
            value,
            listed.get(slot, 0),
            "the slot was written past the contract"
            if slot in slots
            else "somebody holds or has claimed what no event shows",
        )


def _credit_slots(case: AuditCase) -> Slots:
    ledger, call = case.ledger, case.evidence.call
    slots: Slots = {
        CREDIT_SLOTS["_totalSupply"].to_bytes(32, "big"): (ledger.supply, "totalSupply"),
    }
    for address, balance in ledger.balances.items():
        slot = mapping_slot(_raw(address), CREDIT_SLOTS["_balances"])
        slots[slot] = (max(balance, 0), f"balance of {address}")
    for owner, spender in ledger.allowance_pairs:
        inner = mapping_slot(_raw(owner), CREDIT_SLOTS["_allowances"])
        # Spending an allowance emits no event (ERC-20): what is left of it is the chain's word.
        left = call("AttentionCredit", "allowance", owner, spender)
        slots[mapping_slot(_raw(spender), inner)] = (left, f"allowance of {owner} to {spender}")
    for owner in {owner for owner, _ in ledger.allowance_pairs}:
        nonce = call("AttentionCredit", "nonces", owner)
        slots[mapping_slot(_raw(owner), CREDIT_SLOTS["_nonces"])] = (nonce, f"nonce of {owner}")
    texts = {view: call("AttentionCredit", view).encode() for view in ("name", "symbol", "contractURI")}
    places = [("_name", texts["name"]), ("_symbol", texts["symbol"]), ("contractURI", texts["contractURI"])]
    if len(texts["name"]) > 31:  # EIP712 keeps long names in storage, short ones in the code
        places.append(("_nameFallback", texts["name"]))
    for place, text in places:
        for slot, word in string_slots(CREDIT_SLOTS[place], text).items():
            slots[slot] = (word, place.lstrip("_"))
    return slots


def _distributor_slots(case: AuditCase) -> Slots:
    finalised = case.ledger.finalised
    slots: Slots = {
        mapping_slot(_raw(account), DISTRIBUTOR_SLOTS["claimed"]): (amount, f"claimed by {account}")
        for account, amount in case.ledger.claimed.items()
    }
    if finalised:
        root = int.from_bytes(finalised[-1].header["accountRoot"], "big")
        slots[DISTRIBUTOR_SLOTS["accountRoot"].to_bytes(32, "big")] = (root, "accountRoot")
        latest = latest_slot(finalised[-1].epoch, finalised[-1].header["accountRoot"])
        slots[DISTRIBUTOR_SLOTS["_latest"].to_bytes(32, "big")] = (latest, "epoch and head of its root")
    return slots


def latest_slot(epoch: int, account_root: bytes) -> int:
    """Return the slot that claims are checked against: the epoch, and the first 28 bytes of its root."""
    return int.from_bytes(account_root[:28], "big") << 32 | epoch


def _raw(address: str) -> bytes:
    return bytes.fromhex(address[2:])


def check_mints(case: AuditCase) -> Check:
    """Check that every mint is the other half of a claim: same transaction, receiver and amount."""
    tally = Tally("A10", "every mint belongs to one claim, with its receiver and amount")
    waiting = {
        (claim.event.transaction, claim.receiver, claim.amount, index): claim
        for index, claim in enumerate(case.ledger.claims)
    }
    by_value: dict[tuple[bytes, str, int], int] = {}
    for transaction, receiver, amount, _ in waiting:
        key = (transaction, receiver, amount)
        by_value[key] = by_value.get(key, 0) + 1
    for mint in case.ledger.mints:
        key = (mint.event.transaction, mint.receiver, mint.amount)
        if by_value.get(key, 0) > 0:
            by_value[key] -= 1
        else:
            tally.fail(
                mint.event.where,
                f"a claim of {mint.amount} for {mint.receiver} in the same transaction",
                "none",
                "credits came into being without having been earned",
            )
    for (_, receiver, amount), left in by_value.items():
        if left:
            tally.fail(
                f"claims for {receiver}", f"a mint of {amount}", "none", "a claim was recorded and never paid"
            )
    return tally.done(f"{len(case.ledger.mints):,} mints")
