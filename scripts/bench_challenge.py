"""Gas of ending a wrong epoch: every proof there is, and what goes with it, from receipts.

Usage: .venv/bin/python scripts/bench_challenge.py [--json] [--small]

An epoch of 2**20 activities and 2**17 accounts, built, valued and hashed as any other, follows one as large;
one leaf of it is made wrong before the tree is built, the epoch proposed with 3 of 5 signatures, and the
fault proved. Figures are whole transactions, calldata included, with a policy as people write them and with
the dearest one the PolicyRegistry takes: 64 domains, 16 knots a dimension hit on the last, falling segment,
a penalty under a bonus, 8 brackets, and an age whose every fraction bit is set; with it every header has
the longest data URI the RateOracle takes, because a proof carries one header or two. Evidence is the longest
there is: neighbours that stand in the two halves of their tree, absence by such neighbours, and padding that
is empty up to the last level. Each challenger has never won before, which costs one storage slot more.

Everything runs on the embedded chain; gas does not depend on the machine. ``--small`` takes 2**10 activities
to try the command.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from eth_utils.crypto import keccak
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_gas import THRESHOLD, Bench

from timebank_chain.chain import Call, LocalSigner
from timebank_chain.chain.addresses import address_bytes
from timebank_chain.chain.transactions import Receipt
from timebank_chain.epoch import (
    AccountRows,
    EpochHeader,
    Evidence,
    Fault,
    MerkleTree,
    PublishedEpoch,
    evidence_of,
)
from timebank_chain.epoch.build import value_and_commit
from timebank_chain.epoch.evidence import AccountEvidence, ActivityEvidence, HeadEvidence
from timebank_chain.epoch.faults import CommittedLeaf, TreeName
from timebank_chain.epoch.header import MAX_DATA_URI_BYTES
from timebank_chain.epoch.leaves import hash_account_leaves, hash_activity_leaves
from timebank_chain.oracle.funds import COMMIT_GAS, PROOF_GAS, REQUEST_GAS
from timebank_chain.units import Q24
from timebank_chain.valuation import (
    Activities,
    Bracket,
    DomainPolicy,
    Knot,
    Policy,
    load_policy,
    policy_with,
)
from timebank_chain.valuation.policy import (
    MAX_BRACKETS,
    MAX_DOMAINS,
    MAX_FACTOR_MILLI,
    MAX_KNOTS,
    MAX_QUALITY,
    policy_call,
)

ACTIVITY_LEVELS, ACCOUNT_LEVELS = 20, 17
EPOCH_MS = 7 * 86_400_000
#: An address as content-addressed stores have them.
DATA_URI = "ipfs://bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi/"
#: What the project set itself, and what the nearest systems need for one challenge (quoted, not run here).
AIM_PROOF, AIM_PROPOSE = 400_000, 150_000
NEAREST = (1_400_000, 7_600_000)
#: A block's coinbase is warm, and on the embedded chain it is the zero address, which bonds are burned to:
#: elsewhere the burning costs so much more, which is added here.
COLD_ACCOUNT = 2_500


@dataclass(frozen=True)
class Row:
    """One operation: gas with usual and with the dearest policy and headers, and the latter's calldata."""

    operation: str
    kind: str
    gas: int
    gas_dearest: int
    calldata: int


@dataclass(frozen=True)
class Measure:
    """Gas and calldata of one transaction."""

    gas: int
    calldata: int


Measures = dict[tuple[str, str], Measure]


# Epochs.


def dearest_policy() -> Policy:
    """Return the policy whose proofs cost most: every list as long as it may be, every name full."""
    usual = load_policy("identity")

    def knots(last: int) -> tuple[Knot, ...]:
        return (*(Knot(n * 1_000 + 1, 7_000 + n) for n in range(MAX_KNOTS - 1)), Knot(4_000_000_000, last))

    def domain(number: int) -> DomainPolicy:
        penal = number == MAX_DOMAINS - 1
        return DomainPolicy(
            name=f"a domain with a rather long name {number:02d}"[-32:],
            window_ms=EPOCH_MS,
            low=MAX_QUALITY if penal else 0,
            high=MAX_QUALITY if penal else 0,
            bonus_milli=MAX_FACTOR_MILLI - 1,
            penalty_milli=MAX_FACTOR_MILLI - 1,
            interaction=knots(3),
            originality=knots(3),
            engagement=knots(3),
        )

    return replace(
        usual,
        name="the policy that costs the most!!",
        version=0x7FFFFFFF,
        # The age of an act at the epoch's start: all 24 fraction bits set.
        decay_k=((1 << 56) - 1) // EPOCH_MS,
        epoch_ms=EPOCH_MS,
        initial_rate_q24=Q24,
        brackets=tuple(Bracket(n, 1_000 - n) for n in range(MAX_BRACKETS)),
        domains=tuple(domain(number) for number in range(MAX_DOMAINS)),
    )


@dataclass(frozen=True)
class Sizes:
    """How large both trees are."""

    activities: int
    accounts: int

    @property
    def middle_activity(self) -> int:
        """The first activity of the tree's right half."""
        return self.activities // 2

    @property
    def middle_account(self) -> int:
        """The first account of the tree's right half."""
        return self.accounts // 2


def published(
    number: int,
    sizes: Sizes,
    policy: Policy,
    accounts: NDArray[np.uint8],
    previous: PublishedEpoch | None,
    start_ms: int,
    data_uri: str,
) -> PublishedEpoch:
    """Value an epoch in which every account has as many acts as any other."""
    random = np.random.default_rng(number)
    owners = np.arange(sizes.activities) * len(accounts) // sizes.activities
    domain = np.arange(sizes.activities) % max(1, len(policy.domains) - 1)
    raw = [
        random.integers(20_000, 30_000, sizes.activities).astype(np.uint32)
        for _ in ("interaction", "originality", "engagement")
    ]
    # One account is penalised, the next one earns more than others.
    middle = sizes.middle_account
    domain[owners == middle - 1] = len(policy.domains) - 1
    occurred = start_ms + EPOCH_MS - np.array([one.window_ms for one in policy.domains])[domain] - 1_000
    if len(policy.domains) == MAX_DOMAINS:
        occurred[owners == middle - 1] = start_ms
        # With a window as long as the epoch, an act at the start settles at the end.
    valued = value_and_commit(
        Activities(
            record_id=random.integers(0, 256, (sizes.activities, 32), dtype=np.uint8),
            account=accounts[owners],
            domain=domain.astype(np.uint16),
            occurred_ms=occurred.astype(np.int64),
            interaction=raw[0],
            originality=raw[1],
            engagement=raw[2],
        ),
        policy,
        previous,
        start_ms=start_ms,
        end_ms=start_ms + EPOCH_MS,
        rate_q24=Q24,
        data_hash=keccak(text=f"data {number}"),
        data_uri=data_uri,
    )
    return PublishedEpoch(Path(), valued.header, valued.activities, valued.accounts)


def with_cell(rows: Any, name: str, row: int, value: object) -> Any:
    """Return rows of either kind with one cell replaced."""
    column = getattr(rows, name).copy()
    column[row] = value
    return replace(rows, **{name: column})


def without(rows: AccountRows, gone: Sequence[int]) -> AccountRows:
    """Return the accounts without some."""
    return AccountRows(
        **{field.name: np.delete(getattr(rows, field.name), gone, axis=0) for field in fields(rows)}
    )


def rebuilt(epoch: PublishedEpoch, **changes: Any) -> PublishedEpoch:
    """Return an epoch with other rows or header fields, and roots and counts that follow from the rows."""
    rows: dict[str, Any] = {
        name: changes.pop(name, getattr(epoch, name)) for name in ("activities", "accounts")
    }
    header = replace(
        epoch.header,
        activity_root=rows["activities"].tree.root,
        activity_count=len(rows["activities"]),
        account_root=rows["accounts"].tree.root,
        account_count=len(rows["accounts"]),
    )
    return PublishedEpoch(Path(), replace(header, **changes), **rows)


# What is wrong in each case: a maker of the wrong epoch and of the fault to prove in it.

Case = tuple[PublishedEpoch, Fault]


def fault(function: str, kind: int, tree: TreeName, index: int, **more: Any) -> Fault:
    """Return a fault as ``find_faults`` names it."""
    return Fault(kind, function, tree, index, more.pop("field", ""), "", **more)


def hidden(epoch: PublishedEpoch, tree: TreeName) -> Case:
    """Hide a leaf behind padding that is empty up to the last level: the longest look for it."""
    rows = epoch.activities if tree == "activity" else epoch.accounts
    hashes = (hash_activity_leaves if tree == "activity" else hash_account_leaves)(rows.columns())
    count = len(rows) // 2 + 1
    hashes = hashes[: count + len(rows) // 4].copy()
    hashes[count:-1] = 0
    grown = MerkleTree(hashes)
    shown = CommittedLeaf(tree, count - 1, rows.leaf(count - 1), tuple(grown.proof(count - 1)))
    changes: dict[str, Any] = {f"{tree}_root": grown.root, f"{tree}_count": count}
    header = replace(epoch.header, **changes)
    name = "proveActivityPosition" if tree == "activity" else "proveAccountPosition"
    return replace(epoch, header=header), fault(name, 2, tree, count - 1, committed=shown)


def cases(epoch: PublishedEpoch, sizes: Sizes) -> dict[str, Callable[[], Case]]:
    """Return every function of ``EpochChallenge`` with an epoch in which it has something to prove."""
    acts, accounts, header = epoch.activities, epoch.accounts, epoch.header
    act, account = sizes.middle_activity, sizes.middle_account

    def in_act(name: str, row: int, value: object, found: Fault) -> Callable[[], Case]:
        return lambda: (rebuilt(epoch, activities=with_cell(acts, name, row, value)), found)

    def in_account(name: str, value: object, found: Fault) -> Callable[[], Case]:
        return lambda: (rebuilt(epoch, accounts=with_cell(accounts, name, account, value)), found)

    def in_header(field: str, value: object, found: Fault) -> Callable[[], Case]:
        return lambda: (rebuilt(epoch, **{field: value}), found)

    def repeated() -> Case:
        rows = with_cell(acts, "record_id", act, acts.record_id[act - 1])
        rows = with_cell(rows, "account", act, acts.account[act - 1])
        return rebuilt(epoch, activities=rows), fault("proveActivityOrder", 3, "activity", act)

    def dropped() -> Case:
        # Two are dropped, so that the neighbours of the second stand in different halves again.
        left = without(accounts, (0, account + 1))
        return rebuilt(epoch, accounts=left), fault("proveDropped", 8, "account", account)

    def of_act(function: str, kind: int, index: int, other: int | None = None) -> Fault:
        return fault(function, kind, "activity", index, other=other)

    def of_account(function: str, kind: int, other: int | None = None) -> Fault:
        return fault(function, kind, "account", account, other=other)

    before, taken = acts.record_id[act - 1], accounts.activity_end[account - 1]
    return {
        "proveValue": in_act("value", act - 1, acts.value[act - 1] + 1, of_act("proveValue", 1, act - 1)),
        "proveActivitySum": in_act("running", act, acts.running[act] + 1, of_act("proveActivitySum", 2, act)),
        "proveActivityPosition": lambda: hidden(epoch, "activity"),
        "proveActivityOrder": repeated,
        "proveDuplicate": in_act("record_id", act, before, of_act("proveDuplicate", 3, act - 1, act)),
        "proveSettlement": in_act(
            "occurred_ms", act - 1, header.end_ms, of_act("proveSettlement", 4, act - 1)
        ),
        "proveAccountSum": in_account(
            "running_earned", accounts.running_earned[account] + 1, of_account("proveAccountSum", 2)
        ),
        "proveAccountPosition": lambda: hidden(epoch, "account"),
        "proveAccountOrder": in_account(
            "account", accounts.account[account - 1], of_account("proveAccountOrder", 3)
        ),
        "proveRange": in_act("account", act + 3, acts.account[act - 1], of_account("proveRange", 5, act + 3)),
        "proveRangeEnd": in_account("activity_end", taken - 1, of_account("proveRangeEnd", 5)),
        "proveEarned": in_account("earned", accounts.earned[account] + 1, of_account("proveEarned", 5)),
        "proveStanding": in_account(
            "standing", accounts.standing[account] + 1, of_account("proveStanding", 6)
        ),
        "proveMint": in_account("mint", accounts.mint[account] - 1, of_account("proveMint", 7)),
        "proveDropped": dropped,
        "proveInvented": in_account("activity_end", taken, of_account("proveInvented", 8)),
        "proveTotals": in_header(
            "total_earned",
            header.total_earned + 1,
            fault("proveTotals", 9, "account", 0, field="total_earned"),
        ),
        "proveLength": in_header(
            "end_ms", header.end_ms - 1, fault("proveLength", 9, "activity", 0, field="end_ms")
        ),
    }


# The chain.


class ChallengeBench(Bench):
    """A deployed system, a proposer, and a challenger who has not won before."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.policy = policy
        self.challenger = self.holder

    def propose(self, header: EpochHeader) -> Measure:
        """Propose with just enough signatures."""
        oracle = self.timebank.rate_oracle
        digest = header.digest(self.connection.chain_id, address_bytes(oracle.address))
        signatures = [one.sign_digest(digest) for one in self.quorum[:THRESHOLD]]
        return measure(self.send(self.proposer, oracle.propose(header, signatures, oracle.bond_wei())))

    def prove(self, evidence: Evidence) -> tuple[Measure, Measure]:
        """Commit to a proof and prove; return what both took."""
        challenge, oracle = self.timebank.epoch_challenge, self.timebank.rate_oracle
        proof = challenge.prove(evidence, keccak(evidence.header.hash()))
        commitment = challenge.commitment_of(self.challenger.address, proof.data)
        committed = measure(self.send(self.challenger, challenge.commit(commitment)))
        self.connection.advance_time(1)  # a commitment counts from the next block on
        proved = measure(self.send(self.challenger, proof), burns=True)
        # The next challenger has not won before, either.
        self.send(self.challenger, oracle.withdraw_bond(self.challenger.address))
        return committed, proved


def measure(receipt: Receipt, *, burns: bool = False) -> Measure:
    """Return what a transaction took; ``burns`` where it sends a bond's part to the zero address."""
    return Measure(receipt.gas_used + COLD_ACCOUNT * burns, len(receipt.prepared.call.data))


def measure_policy(policy: Policy, sizes: Sizes, data_uri: str) -> Measures:
    """Run everything under one policy; return the measures by (operation, kind)."""
    print(f"  {policy.name}: two epochs of {sizes.activities:,} activities", file=sys.stderr)
    bench = ChallengeBench(policy)
    connection, oracle = bench.connection, bench.timebank.rate_oracle
    random = np.random.default_rng(0)
    accounts = np.unique(random.integers(0, 256, (sizes.accounts, 20), dtype=np.uint8), axis=0)
    start = connection.timestamp() * 1_000 - 2 * EPOCH_MS
    # The account in the middle is new in the second epoch: its absence is proved by those around it.
    others = np.delete(accounts, sizes.middle_account, axis=0)
    before = published(1, sizes, policy, others, None, start, data_uri)
    epoch = published(2, sizes, policy, accounts, before, start + EPOCH_MS, data_uri)

    register = bench.timebank.policy_registry.register(
        policy_call(replace(policy, version=policy.version + 1))
    )
    found: Measures = {("register the policy", "register"): measure(bench.send(bench.payer, register))}
    found["propose, the very first", "propose"] = bench.propose(before.header)
    connection.advance_time(oracle.challenge_window() + 1)
    bench.send(bench.proposer, oracle.finalise(before.header))
    for count, words in ((10, "10"), (10_000_000, "10,000,000")):
        # Too short by a millisecond, so that it can be ended again.
        short = replace(epoch.header, activity_count=count, end_ms=epoch.header.end_ms - 1)
        found[f"propose, an epoch of {words} activities", "propose"] = bench.propose(short)
        bench.prove(Evidence("proveLength", short, (HeadEvidence(policy),)))

    commits: list[Measure] = []
    for name, make in cases(epoch, sizes).items():
        wrong, at = make()
        bench.propose(wrong.header)
        committed, proved = bench.prove(evidence_of(at, wrong, before, policy))
        commits.append(committed)
        found[name, "prove"] = proved
    found["commit", "commit"] = max(commits, key=lambda one: one.gas)
    measure_requests(bench, epoch, found)
    return found


def measure_requests(bench: ChallengeBench, epoch: PublishedEpoch, found: Measures) -> None:
    """Ask for leaves of an honest epoch, show them, and void it for one that is not shown."""
    requests, header = bench.timebank.leaf_requests, epoch.header
    bench.propose(header)
    pending = bench.timebank.rate_oracle.pending()
    ends = pending.challenge_ends_at if pending else 0
    last_act, last_account = header.activity_count - 1, header.account_count - 1

    def gas(signer: LocalSigner, call: Call, *, burns: bool = False) -> Measure:
        return measure(bench.send(signer, call), burns=burns)

    def ask(tree: TreeName, index: int) -> Measure:
        price = requests.request_price(bench.challenger.address)
        return gas(bench.challenger, requests.request_leaf(header, tree, index, price))

    found["requestLeaf, the first of a proposal", "request"] = ask("activity", last_act)
    found["requestLeaf, a later one", "request"] = ask("account", last_account)
    activities, accounts = epoch.activities, epoch.accounts
    act = ActivityEvidence((activities.leaf(last_act),), tuple(activities.tree.proof(last_act)))
    account = AccountEvidence((accounts.leaf(last_account),), tuple(accounts.tree.proof(last_account)))
    answers = (requests.answer_activity(header, act), requests.answer_account(header, account))
    found["answerActivity, the last leaf", "answer"] = gas(bench.proposer, answers[0])
    found["answerAccount, the last leaf", "answer"] = gas(bench.proposer, answers[1])
    ask("activity", 0)
    bench.connection.advance_time(requests.answer_time() + 1)
    void = requests.void_unanswered(header, "activity", 0)
    found["voidUnanswered", "void"] = gas(bench.proposer, void, burns=True)
    reclaim = requests.reclaim_deposit(header.hash(), ends, "activity", 0)
    found["reclaimDeposit", "void"] = gas(bench.proposer, reclaim)


def measure_all(sizes: Sizes) -> list[Row]:
    """Run everything under both policies and return the table."""
    usual = policy_with(load_policy("stackexchange"), epoch_ms=EPOCH_MS)
    usually = measure_policy(usual, sizes, DATA_URI)
    dearest = measure_policy(dearest_policy(), sizes, "~" * MAX_DATA_URI_BYTES)
    return [
        Row(name, kind, usually[name, kind].gas, one.gas, one.calldata)
        for (name, kind), one in dearest.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and return the exit code: 1 if an aim is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--small", action="store_true", help="2**10 activities and 2**7 accounts")
    options = parser.parse_args(arguments)
    less = 10 if options.small else 0
    sizes = Sizes(1 << ACTIVITY_LEVELS - less, 1 << ACCOUNT_LEVELS - less)
    print("gas of challenges from receipts on the embedded chain", file=sys.stderr)
    rows = measure_all(sizes)
    proof = max((row for row in rows if row.kind == "prove"), key=lambda row: row.gas_dearest)
    proposal = max((row for row in rows if row.kind == "propose"), key=lambda row: row.gas_dearest)
    if options.json:
        body = {
            "schema": "timebank.bench.challenge/1",
            "activities": sizes.activities,
            "accounts": sizes.accounts,
            "rows": [vars(row) for row in rows],
            "dearest": {"prove": proof.operation, "gas": proof.gas_dearest},
            "aims": {"prove": AIM_PROOF, "propose": AIM_PROPOSE},
            "nearest": list(NEAREST),
        }
        print(json.dumps(body, indent=2))
    else:
        table = Table(title=f"{sizes.activities:,} activities, {sizes.accounts:,} accounts", box=None)
        for name in ("operation", "usual", "dearest", "calldata"):
            table.add_column(name, justify="left" if name == "operation" else "right")
        for row in rows:
            table.add_row(row.operation, f"{row.gas:,}", f"{row.gas_dearest:,}", f"{row.calldata:,}")
        Console(width=110).print(table)
        least, most = NEAREST
        print(f"dearest proof: {proof.operation}, {proof.gas_dearest:,} gas (aim: below {AIM_PROOF:,};")
        print(f"the nearest systems need {least:,} to {most:,}, quoted, not run here)")
        print(f"dearest proposal: {proposal.gas_dearest:,} gas (aim: below {AIM_PROPOSE:,});")
        print("small epochs and large ones differ in the header's numbers only")
    asked = max(row.gas_dearest for row in rows if row.kind == "request")
    committed = max(row.gas_dearest for row in rows if row.kind == "commit")
    if proof.gas_dearest > PROOF_GAS or asked > REQUEST_GAS or committed > COMMIT_GAS:
        raise AssertionError("dearer than a watchtower is told to hold: see timebank_chain/oracle/funds.py")
    met = proof.gas_dearest < AIM_PROOF and proposal.gas_dearest < AIM_PROPOSE
    if not met:
        print("error: an aim is missed", file=sys.stderr)
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
