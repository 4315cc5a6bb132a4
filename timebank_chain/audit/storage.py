"""Storage, whole: every slot of every contract that holds value is explained by an event.

Balances, claims, links, fee accounts, parameters, epochs and bonds are laid out slot by slot as the
events leave them; where a node gives a storage root (or lists the slots), nothing else can be there. Only
the AccessManager is left out: its roles hold no credits and mint none.
"""

from __future__ import annotations

from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.report import Check, Tally
from timebank_chain.audit.storage_root import keccak, mapping_slot, storage_root, string_slots

#: Contract -> variable -> slot, as the compiler lays them out; a test compares with the compiler.
LAYOUTS = {
    "AttentionCredit": {
        "_balances": 0,
        "_allowances": 1,
        "_totalSupply": 2,
        "_name": 3,
        "_symbol": 4,
        "_nameFallback": 5,
        "_versionFallback": 6,
        "_nonces": 7,
        "contractURI": 8,
    },
    "CreditDistributor": {"accountRoot": 0, "_latest": 1, "claimed": 2},
    "MemberRegistry": {"_authority": 0, "_consumingSchedule": 0, "walletOf": 1, "_requests": 2},
    "FeePool": {"_authority": 0, "_consumingSchedule": 0, "_books": 1},
    "CreditPayments": {"_authority": 0, "_consumingSchedule": 0, "feeBps": 1},
    "RateOracle": {
        "_authority": 0,
        "_consumingSchedule": 0,
        "_nameFallback": 1,
        "_versionFallback": 2,
        "_state": 3,
        "_pendingHeaderHash": 4,
        "_proposer": 5,
        "_pendingBond": 5,
        "policyHash": 6,
        "bond": 7,
        "isSigner": 8,
        "headerHashOf": 9,
        "withdrawableBond": 10,
        "_signers": 11,
    },
}

#: Slot -> the value it must have, and what it is.
Slots = dict[bytes, tuple[int, str]]


def check_storage(case: AuditCase) -> Check:
    """Check that no contract holds a storage slot that no event explains."""
    tally = Tally("A9", "no hidden state: all storage of six contracts follows from the events")
    count = 0
    for contract, slots in expected_storage(case).items():
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
            "a slot was written past the contract: a balance, claim or link of an address no event names, or "
            "something another check shows",
        )
        tally.evidence[contract] = {"storage_root": "0x" + found.hex(), "slots": len(values)}
    case.storage_is_whole = tally.clean
    return tally.done(f"{count:,} storage slots in {len(LAYOUTS)} contracts")


def expected_storage(case: AuditCase) -> dict[str, Slots]:
    """Return the storage of each contract as the events leave it."""
    return {
        "AttentionCredit": _credit(case),
        "CreditDistributor": _distributor(case),
        "MemberRegistry": _registry(case),
        "FeePool": _fee_pool(case),
        "CreditPayments": {
            **_authority(case, "CreditPayments"),
            _slot("CreditPayments", "feeBps"): (case.ledger.fee_bps.last or 0, "feeBps"),
        },
        "RateOracle": _oracle(case),
    }


def latest_slot(epoch: int, account_root: bytes) -> int:
    """Return the slot that claims are checked against: the epoch, and the first 28 bytes of its root."""
    return int.from_bytes(account_root[:28], "big") << 32 | epoch


def _compare_slots(tally: Tally, contract: str, slots: Slots, listed: dict[bytes, int]) -> None:
    for slot in sorted(set(slots) | set(listed)):
        value, what = slots.get(slot, (0, "explained by no event"))
        tally.equal(
            f"{contract}, slot 0x{slot.hex()} ({what})",
            value,
            listed.get(slot, 0),
            "the slot was written past the contract"
            if slot in slots
            else "somebody holds, has claimed or rules what no event shows",
        )


def _slot(contract: str, variable: str) -> bytes:
    return LAYOUTS[contract][variable].to_bytes(32, "big")


def _entry(contract: str, variable: str, key: bytes) -> bytes:
    return mapping_slot(key, LAYOUTS[contract][variable])


def _raw(address: str) -> bytes:
    return bytes.fromhex(address[2:])


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _authority(case: AuditCase, contract: str) -> Slots:
    line = case.ledger.authority.get(contract)
    manager = "" if line is None else line.last or ""
    return {_slot(contract, "_authority"): (int(manager or "0x0", 16), "authority")}


def _credit(case: AuditCase) -> Slots:
    ledger, call = case.ledger, case.evidence.call
    name = "AttentionCredit"
    slots: Slots = {_slot(name, "_totalSupply"): (ledger.supply, "totalSupply")}
    for address, balance in ledger.balances.items():
        slots[_entry(name, "_balances", _raw(address))] = (max(balance, 0), f"balance of {address}")
    for owner, spender in ledger.allowance_pairs:
        inner = _entry(name, "_allowances", _raw(owner))
        # Spending an allowance emits no event (ERC-20): what is left of it is the chain's word.
        left = call(name, "allowance", owner, spender)
        slots[mapping_slot(_raw(spender), inner)] = (left, f"allowance of {owner} to {spender}")
    for owner in {owner for owner, _ in ledger.allowance_pairs}:
        slots[_entry(name, "_nonces", _raw(owner))] = (call(name, "nonces", owner), f"nonce of {owner}")
    texts = {view: call(name, view).encode() for view in ("name", "symbol", "contractURI")}
    places = [("_name", texts["name"]), ("_symbol", texts["symbol"]), ("contractURI", texts["contractURI"])]
    if len(texts["name"]) > 31:  # EIP712 keeps long names in storage, short ones in the code
        places.append(("_nameFallback", texts["name"]))
    for place, text in places:
        for slot, word in string_slots(LAYOUTS[name][place], text).items():
            slots[slot] = (word, place.lstrip("_"))
    return slots


def _distributor(case: AuditCase) -> Slots:
    name, finalised = "CreditDistributor", case.ledger.finalised
    slots: Slots = {
        _entry(name, "claimed", _raw(account)): (amount, f"claimed by {account}")
        for account, amount in case.ledger.claimed.items()
    }
    if finalised:
        root = finalised[-1].header["accountRoot"]
        slots[_slot(name, "accountRoot")] = (_number(root), "accountRoot")
        latest = latest_slot(finalised[-1].epoch, root)
        slots[_slot(name, "_latest")] = (latest, "epoch and head of its root")
    return slots


def _registry(case: AuditCase) -> Slots:
    name = "MemberRegistry"
    slots = _authority(case, name)
    for placeholder, link in case.ledger.links.items():
        wallet = int(link.wallet, 16)
        if link.confirmed is not None:
            slots[_entry(name, "walletOf", _raw(placeholder))] = (wallet, f"wallet of {placeholder}")
        else:
            request = link.effective_at << 160 | wallet
            slots[_entry(name, "_requests", _raw(placeholder))] = (request, f"request of {placeholder}")
    return slots


def _fee_pool(case: AuditCase) -> Slots:
    fees = case.ledger.fees
    depositors_bps, bonus_bps = case.ledger.split.last or (0, 0)
    books = (
        fees.depositors | fees.bonus << 72 | fees.reserve << 144 | depositors_bps << 216 | bonus_bps << 232
    )
    return {
        **_authority(case, "FeePool"),
        _slot("FeePool", "_books"): (books, "depositors, bonus, reserve and split"),
    }


def _oracle(case: AuditCase) -> Slots:
    name, ledger = "RateOracle", case.ledger
    last = ledger.proposals[-1] if ledger.proposals else None
    final = ledger.finalised[-1] if ledger.finalised else None
    members, threshold = ledger.quorum.last or ((), 0)
    waits_until = last.challenge_ends_at if last is not None and last.outcome == "pending" else 0
    state = (
        (final.epoch if final else 0)
        | (int(final.header["endMs"]) if final else 0) << 32
        | waits_until << 80
        | (ledger.window.last or 0) << 128
        | (ledger.rate.last or 0) << 160
        | threshold << 224
        | int(bool(ledger.paused.last)) << 232
    )
    slots = {
        **_authority(case, name),
        _slot(name, "_state"): (
            state,
            "latest epoch, its end, pending until, window, rate, threshold, paused",
        ),
        _slot(name, "policyHash"): (_number(ledger.policy.last or b""), "policyHash"),
        _slot(name, "bond"): (ledger.bond.last or 0, "bond"),
        _slot(name, "_signers"): (len(members), "number of signers"),
    }
    if last is not None:  # what the last proposal left there, pending or not
        slots[_slot(name, "_pendingHeaderHash")] = (_number(last.header_hash), "last proposed header")
        slots[_slot(name, "_proposer")] = (
            last.bond << 160 | int(last.proposer, 16),
            "last proposer and bond",
        )
    first = _number(keccak(_slot(name, "_signers")))
    for index, member in enumerate(members):
        slots[(first + index).to_bytes(32, "big")] = (int(member, 16), f"signer {index}")
        slots[_entry(name, "isSigner", _raw(member))] = (1, f"isSigner {member}")
    for proposal in ledger.finalised:
        key = proposal.epoch.to_bytes(32, "big")
        slots[_entry(name, "headerHashOf", key)] = (
            _number(proposal.header_hash),
            f"header hash of epoch {proposal.epoch}",
        )
    for owner, amount in ledger.withdrawable.items():
        slots[_entry(name, "withdrawableBond", _raw(owner))] = (amount, f"bond of {owner}")
    return slots
