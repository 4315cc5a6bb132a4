"""Storage, whole: every slot of every contract that holds value is explained by an event.

Balances, claims, links, fee accounts, parameters, epochs and bonds are laid out slot by slot as the
events leave them; where a node gives a storage root (or lists the slots), nothing else can be there. Only
the AccessManager is left out: its roles hold no credits and mint none.
"""

from __future__ import annotations

from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.challenge_book import TREES
from timebank_chain.audit.replay import ZERO_ADDRESS, pauses_of
from timebank_chain.audit.report import Check, Tally
from timebank_chain.audit.storage_root import keccak, mapping_slot, storage_root, string_slots
from timebank_chain.spec.epoch_challenge import commitment_of
from timebank_chain.spec.service_escrow import Proposal

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
    "CreditDistributor": {
        "accountRoot": 0,
        "_latest": 1,
        "_records": 2,
        "timeBank": 3,
        "lending": 4,
        "lease": 5,
    },
    "MemberRegistry": {"_authority": 0, "_consumingSchedule": 0, "walletOf": 1, "_requests": 2},
    "PolicyRegistry": {"isRegistered": 0},
    "FeePool": {
        "_authority": 0,
        "_consumingSchedule": 0,
        "_books": 1,
        "timeBank": 2,
        "lending": 3,
        "spent": 4,
        "isSpender": 5,
    },
    "CreditPayments": {"_authority": 0, "_consumingSchedule": 0, "feeBps": 1},
    "RateOracle": {
        "_authority": 0,
        "_consumingSchedule": 0,
        "_pauses": 0,
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
        "challenge": 11,
        "leafRequests": 12,
        "rateFloat": 13,
        "_signers": 14,
    },
    "RateFloat": {"_authority": 0, "_consumingSchedule": 0, "_floating": 1},
    "EpochChallenge": {"committedAt": 0},
    "LeafRequests": {"_inquiries": 0},
    "TimeBank": {
        "_name": 0,
        "_symbol": 1,
        "_owners": 2,
        "_balances": 3,
        "_tokenApprovals": 4,
        "_operatorApprovals": 5,
        "_authority": 6,
        "_consumingSchedule": 6,
        "_ledger": 7,
        "_deposits": 9,
        "_terms": 10,
        "termCount": 11,
    },
    "CreditLending": {
        "_balances": 0,
        "_allowances": 1,
        "_totalSupply": 2,
        "_name": 3,
        "_symbol": 4,
        "_authority": 5,
        "_consumingSchedule": 5,
        "_pauses": 5,
        "_ledger": 6,
        "_risk": 8,
        "_policyHash": 9,
        "_decayK": 10,
        "unsecuredShares": 10,
        "_pledges": 11,
        "_standing": 12,
    },
    "CreditLease": {
        "_authority": 0,
        "_consumingSchedule": 0,
        "_pauses": 0,
        "_nameFallback": 1,
        "_versionFallback": 2,
        "_settings": 3,
        "_leases": 4,
        "_offers": 5,
        "standingLeaseOf": 6,
        "seriesOf": 7,
    },
    "CreditExchange": {
        "_authority": 0,
        "_consumingSchedule": 0,
        "_pauses": 0,
        "_nameFallback": 1,
        "_versionFallback": 2,
        "_settings": 3,
        "_orders": 4,
        "seriesOf": 5,
    },
    "ServiceEscrow": {
        "_authority": 0,
        "_consumingSchedule": 0,
        "_pauses": 0,
        "_settings": 1,
        "_listings": 2,
        "_orders": 3,
    },
}

#: Slot -> the value it must have, and what it is.
Slots = dict[bytes, tuple[int, str]]


def check_storage(case: AuditCase) -> Check:
    """Check that no contract holds a storage slot that no event explains."""
    tally = Tally("A9", f"no hidden state: all storage of {len(LAYOUTS)} contracts follows from the events")
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
        "PolicyRegistry": {
            _entry("PolicyRegistry", "isRegistered", digest): (1, f"registered policy 0x{digest.hex()}")
            for digest in case.ledger.registered
        },
        "FeePool": _fee_pool(case),
        "CreditPayments": {
            **_authority(case, "CreditPayments"),
            _slot("CreditPayments", "feeBps"): (case.ledger.fee_bps.last or 0, "feeBps"),
        },
        "RateOracle": _oracle(case),
        "RateFloat": _rate_float(case),
        "EpochChallenge": _challenge(case),
        "LeafRequests": _requests(case),
        "TimeBank": _time_bank(case),
        "CreditLending": _lending(case),
        "CreditLease": _lease(case),
        "CreditExchange": _exchange(case),
        "ServiceEscrow": _escrow(case),
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


def packed(*fields: tuple[int, int]) -> int:
    """Return the slot that holds unsigned fields, given as (value, bits) in the order they are declared."""
    word = at = 0
    for value, bits in fields:
        word |= value << at
        at += bits
    return word


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
    # Contracts that can be paused keep the number of their pauses beside it, after the manager's flag.
    pauses = max((number for _, number in pauses_of(case.evidence.events, contract)), default=0)
    word = int(manager or "0x0", 16) | pauses << 168
    return {_slot(contract, "_authority"): (word, "authority, number of pauses" if pauses else "authority")}


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


def claim_record(claimed: int, creditor: int, term_id: int | None) -> int:
    """Return the slot of an account's claims.

    Parameters
    ----------
    claimed
        Micro-credits minted for it so far.
    creditor
        Who its claims are pledged to: 0 nobody, 1 the lending pool, 2 the lease.
    term_id
        Term of its standing order, ``None`` without one.
    """
    return packed((claimed, 64), (creditor, 8), (int(term_id is not None), 8), (term_id or 0, 16))


def _distributor(case: AuditCase) -> Slots:
    name, finalised = "CreditDistributor", case.ledger.finalised
    claimed, claims, rooms = case.ledger.claimed, case.bank.claims, case.ledger.rooms
    creditors = {rooms.get("lending"): 1, rooms.get("lease"): 2}
    slots: Slots = {
        _entry(name, "_records", _raw(account)): (
            claim_record(
                claimed.get(account, 0),
                creditors.get(claims.pledged.get(account, ZERO_ADDRESS), 0),
                claims.orders.get(account),
            ),
            f"claimed by {account}, its creditor and its standing order",
        )
        for account in {*claimed, *claims.pledged, *claims.orders}
    }
    slots |= {_slot(name, view): (int(room, 16), view) for view, room in rooms.items()}
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
        fees.depositors
        | fees.bonus << 72
        | fees.reserve << 144
        | depositors_bps << 216
        | bonus_bps << 232
        | int(case.ledger.spenders is not None) << 248
    )
    spenders = {
        _entry("FeePool", "isSpender", _raw(spender)): (1, f"isSpender {spender}")
        for spender in case.ledger.spenders or ()
    }
    return {
        **_authority(case, "FeePool"),
        _slot("FeePool", "_books"): (books, "depositors, bonus, reserve and split"),
        _slot("FeePool", "spent"): (case.ledger.spent, "spent"),
        **spenders,
        **{_slot("FeePool", view): (int(payee, 16), view) for view, payee in case.ledger.payees.items()},
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
    slots |= {_slot(name, view): (int(address, 16), view) for view, address in ledger.challenge.items()}
    return slots


def _rate_float(case: AuditCase) -> Slots:
    name, floating = "RateFloat", case.ledger.floating
    first = LAYOUTS[name]["_floating"]
    rates = packed((floating.step, 64), (floating.base_rate_q24, 64), (floating.rate_q24, 64))
    sums = packed((floating.excess % (1 << 128), 128), (floating.spent_at_last, 128))
    return {
        **_authority(case, name),
        first.to_bytes(32, "big"): (rates, "step, base and rate given last"),
        (first + 1).to_bytes(32, "big"): (sums, "excess, and spent at the last move"),
    }


def _challenge(case: AuditCase) -> Slots:
    """Every commitment, until its proof uses it."""
    name, evidence = "EpochChallenge", case.evidence
    used, unread = set(), False
    for event in evidence.named(name, "FaultProved"):
        transaction = evidence.transaction(event.transaction)
        if str(transaction.get("to") or "").lower() == evidence.address(name).lower():
            used.add(commitment_of(str(transaction["from"]), bytes(transaction["input"])))
        else:
            unread = True
    slots: Slots = {}
    for commitment, event in case.challenges.committed.items():
        if commitment in used:
            value = 0
        elif unread:
            # Some proof came through another contract: whether it used this one is the chain's word.
            value = evidence.call(name, "committedAt", commitment)
        else:
            value = event.block
        slots[_entry(name, "committedAt", commitment)] = (value, f"block of commitment 0x{commitment.hex()}")
    return slots


def _requests(case: AuditCase) -> Slots:
    name = "LeafRequests"
    slots: Slots = {}
    for (header_hash, ends_at), inquiry in case.challenges.inquiries.items():
        proposal = keccak(header_hash + ends_at.to_bytes(32, "big"))
        first = _entry(name, "_inquiries", proposal)
        what = f"0x{header_hash.hex()}"
        value = packed((len(inquiry.open), 32), (inquiry.held_until, 48))
        slots[first] = (value, f"open requests of {what}, held until")
        for requester in {request.requester for request in inquiry.requests.values()}:
            slot = mapping_slot(_raw(requester), _after(first, 1))
            slots[slot] = (inquiry.open_of(requester), f"open requests of {what} by {requester}")
        for (tree, index), request in inquiry.requests.items():
            slot = mapping_slot(index.to_bytes(4, "big"), mapping_slot(bytes([tree]), _after(first, 2)))
            waiting = request.state == "open"
            who = int(request.requester, 16) if waiting else 0
            leaf = f"{TREES[tree]} {index} of {what}"
            slots[slot] = (
                packed((who, 160), (request.deposit if waiting else 0, 96)),
                f"who asks for {leaf}, deposit",
            )
            slots[_after(slot, 1)] = (request.answer_until, f"time to show {leaf}")
    return slots


def _names(case: AuditCase, name: str) -> Slots:
    """A token's name and symbol, which the constructor wrote: read from the views."""
    return {
        slot: (word, view)
        for view in ("name", "symbol")
        for slot, word in string_slots(
            LAYOUTS[name][f"_{view}"], case.evidence.call(name, view).encode()
        ).items()
    }


def _after(slot: bytes, count: int) -> bytes:
    return (_number(slot) + count).to_bytes(32, "big")


def _time_bank(case: AuditCase) -> Slots:
    name, book = "TimeBank", case.bank.deposits
    first = _slot(name, "_ledger")
    settings = packed(
        (book.total_weight, 80),
        (book.principal, 64),
        (book.accrued_at, 40),
        (book.next_id, 32),
        (book.release_seconds, 24),
        (book.income_fee_bps, 16),
    )
    income = packed((book.income_index, 120), (book.owed, 64), (book.pending, 64))
    slots = {
        **_authority(case, name),
        **_names(case, name),
        first: (settings, "weight, principal, last release, next receipt, release time, fee"),
        _after(first, 1): (income, "income index, owed, pending"),
        _slot(name, "termCount"): (len(book.terms), "termCount"),
    }
    for term_id, term in enumerate(book.terms):
        value = packed(
            (term.duration, 32), (term.multiplier_milli, 16), (term.penalty_bps, 16), (int(term.open), 8)
        )
        slots[_entry(name, "_terms", term_id.to_bytes(32, "big"))] = (value, f"term {term_id}")
    for receipt, deposit in book.deposits.items():
        value = packed(
            (deposit.principal, 64),
            (deposit.matures_at, 40),
            (deposit.term_id, 16),
            (book.multiplier(deposit), 16),
            (deposit.income_index, 120),
        )
        slots[_entry(name, "_deposits", receipt.to_bytes(32, "big"))] = (value, f"deposit {receipt}")
    for receipt, owner in book.owners.items():
        slots[_entry(name, "_owners", receipt.to_bytes(32, "big"))] = (
            int(owner, 16),
            f"holder of receipt {receipt}",
        )
    for holder, count in book.receipts_of.items():
        slots[_entry(name, "_balances", _raw(holder))] = (count, f"number of receipts of {holder}")
    for receipt, spender in book.approved.items():
        slots[_entry(name, "_tokenApprovals", receipt.to_bytes(32, "big"))] = (
            int(spender, 16),
            f"approved for receipt {receipt}",
        )
    for (owner, operator), approved in book.operators.items():
        inner = _entry(name, "_operatorApprovals", _raw(owner))
        what = f"whether {operator} may move all receipts of {owner}"
        slots[mapping_slot(_raw(operator), inner)] = (int(approved), what)
    return slots


def _lending(case: AuditCase) -> Slots:
    name, pool = "CreditLending", case.bank.pool
    first, risk = _slot(name, "_ledger"), pool.risk.last or {}
    policy_hash, decay_k = pool.policy.last or (b"", 0)
    books = packed(
        (pool.debt, 64),
        (pool.cash, 64),
        (pool.debt_shares, 96),
        (risk.get("feeBps", 0), 16),
        (int(pool.paused), 8),
    )
    time = packed((pool.accrued_at, 40), (pool.rate_at_target, 48), (pool.fees_owed, 72), (pool.cap_base, 72))
    sizes = (16, 16, 16, 16, 16, 16, 32, 32, 64)
    slots = {
        **_authority(case, name),
        **_names(case, name),
        _slot(name, "_totalSupply"): (pool.supply, "totalSupply"),
        first: (books, "debt, cash, debt shares, fee, paused"),
        _after(first, 1): (time, "last accrual, rate at target, fees owed, base of the cap"),
        _slot(name, "_risk"): (packed(*zip(risk.values(), sizes, strict=False)), "risk settings"),
        _slot(name, "_policyHash"): (_number(policy_hash), "accepted policy"),
        _slot(name, "_decayK"): (
            packed((decay_k, 64), (pool.unsecured_shares, 96)),
            "its decay constant; shares lent on standing",
        ),
    }
    for holder, amount in pool.shares.items():
        slots[_entry(name, "_balances", _raw(holder))] = (max(amount, 0), f"shares of {holder}")
    for owner, spender in pool.allowance_pairs:
        inner = _entry(name, "_allowances", _raw(owner))
        # Spending an allowance emits no event (ERC-20): what is left of it is the chain's word.
        left = case.evidence.call(name, "allowance", owner, spender)
        slots[mapping_slot(_raw(spender), inner)] = (left, f"allowance of {owner} to {spender}")
    for receipt, pledge in pool.pledges.items():
        value = packed((int(pledge.borrower, 16), 160), (pledge.shares, 96))
        slots[_entry(name, "_pledges", receipt.to_bytes(32, "big"))] = (value, f"loan on receipt {receipt}")
    for borrower, loan in pool.standing.items():
        slot = _entry(name, "_standing", _raw(borrower))
        value = packed((int(loan.account, 16), 160), (loan.shares, 96))
        slots[slot] = (value, f"account and debt shares of {borrower}'s loan on standing")
        value = packed(
            (loan.due_at, 40), (loan.lost_by_pool, 64), (loan.lost_by_reserve, 64), (loan.principal, 64)
        )
        slots[_after(slot, 1)] = (value, f"due day, losses and principal of {borrower}'s loan on standing")
    return slots


def _lease(case: AuditCase) -> Slots:
    name, book = "CreditLease", case.bank.leases
    settings = packed((len(book.leases), 64), (book.fee_bps, 16), (int(book.paused), 8))
    slots = {**_authority(case, name), _slot(name, "_settings"): (settings, "number of leases, fee, paused")}
    for number, lease in book.running.items():
        first = _entry(name, "_leases", number.to_bytes(32, "big"))
        words = (
            packed(
                (int(lease.lender, 16), 160), (lease.due_at, 40), (lease.receipt, 32), (lease.fee_bps, 16)
            ),
            packed((int(lease.lessee, 16), 160), (lease.principal, 64)),
            packed((int(lease.account, 16), 160), (lease.rent, 64)),
            lease.repaid,
        )
        for at, word in enumerate(words):
            slots[_after(first, at)] = (word, f"lease {number}, word {at}")
    for offer in set(book.taken) | set(book.cancelled):
        value = packed((book.taken.get(offer, 0), 64), (int(offer in book.cancelled), 8))
        slots[_entry(name, "_offers", offer)] = (value, f"offer 0x{offer.hex()}")
    for lessee, number in book.standing_of.items():
        slots[_entry(name, "standingLeaseOf", _raw(lessee))] = (number, f"lease on standing of {lessee}")
    for lender, series in book.series.items():
        slots[_entry(name, "seriesOf", _raw(lender))] = (series, f"series of {lender}")
    return slots


def _exchange(case: AuditCase) -> Slots:
    name, book = "CreditExchange", case.exchange
    settings = packed((book.fee_bps, 16), (int(book.paused), 8))
    slots = {**_authority(case, name), _slot(name, "_settings"): (settings, "fee, paused")}
    for order in set(book.filled) | set(book.cancelled):
        value = packed((book.filled.get(order, 0), 64), (int(order in book.cancelled), 8))
        slots[_entry(name, "_orders", order)] = (value, f"order 0x{order.hex()}")
    for maker, series in book.series.items():
        slots[_entry(name, "seriesOf", _raw(maker))] = (series, f"series of {maker}")
    return slots


def _escrow(case: AuditCase) -> Slots:
    name, spec = "ServiceEscrow", case.services.spec
    settings = packed(
        (len(spec.listings), 32),
        (len(spec.orders), 64),
        (spec.service_fee_bps, 16),
        (int(spec.ordering_paused), 8),
    )
    what = "numbers of listings and orders, fee, paused"
    slots = {**_authority(case, name), _slot(name, "_settings"): (settings, what)}
    words: tuple[int, ...]
    for number, listing in spec.listings.items():
        periods = listing.periods
        words = (
            packed(
                (int(listing.owner, 16), 160),
                (listing.expires_at, 40),
                (listing.kind, 8),
                (listing.stock, 32),
                (listing.default_bps, 16),
            ),
            packed((periods.response, 32), (periods.review, 32), (periods.answer, 32), (periods.ruling, 32)),
            *_proposal(listing.proposal),
        )
        first = _entry(name, "_listings", number.to_bytes(32, "big"))
        slots |= {_after(first, at): (word, f"listing {number}, word {at}") for at, word in enumerate(words)}
    for number, order in spec.orders.items():
        words = (
            packed(
                (int(order.buyer, 16), 160),
                (order.deadline, 40),
                (order.stage, 8),
                (order.revision, 16),
                (order.fee_bps, 16),
                (order.stars_by_buyer, 8),
                (order.stars_by_provider, 8),
            ),
            packed((int(order.provider, 16), 160), (order.listing_id, 32), (order.held, 64)),
            order.part,
            *_proposal(order.proposal),
        )
        first = _entry(name, "_orders", number.to_bytes(32, "big"))
        slots |= {_after(first, at): (word, f"order {number}, word {at}") for at, word in enumerate(words)}
    return slots


def _proposal(proposal: Proposal) -> tuple[int, int]:
    head = packed((proposal.price, 64), (proposal.delivery, 32), (int(proposal.arbiter, 16), 160))
    return head, _number(proposal.content_hash)
