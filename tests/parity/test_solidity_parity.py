"""Python and Solidity give the same integer for every input: at least 100,000 random inputs per function.

solidity parity
├── decay: weights, edges and random                      spec, valuation == Decay.sol
├── quality: ranks, quality, bands, value                 spec, valuation == Quality.sol
├── fairness: counted value and mint                      spec, valuation == Fairness.sol
├── rates: utilisation, adaptation, rate, growth          spec == AdaptiveRate.sol
├── floats: rate, excess after an epoch, rate there, move  spec == FloatingRate.sol
├── shares: both ways, both roundings                     spec == ShareMath.sol
├── leaves: both kinds, maxima and random                 spec, epoch == EpochTree.sol
├── proofs: honest, and with one bit flipped              spec, epoch == EpochTree.sol
├── ranges: honest, and with one bit flipped              spec, epoch == EpochTree.sol
└── policy hash: every shipped policy                     valuation == PolicyHash (Policy.sol)

The libraries run on a real anvil, compiled from contracts/test/ParityHarness.sol by the pinned compiler.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import requests
from eth_abi.abi import encode
from eth_utils import function_signature_to_4byte_selector

from scripts.build_contracts import collect_sources, compile_sources
from tests.chain_fixtures import start_anvil, stop
from tests.parity.abi_words import (
    address_words,
    array_call,
    dynamic_array_call,
    read_hashes,
    read_rows,
    rows,
    word,
    words,
)
from timebank_chain.epoch import leaves as epoch_leaves
from timebank_chain.epoch import tree as epoch_tree
from timebank_chain.spec import adaptive_rate, decay, fairness, floating_rate, quality, share_math
from timebank_chain.spec import epoch_tree as spec_tree
from timebank_chain.valuation import decay as fast_decay
from timebank_chain.valuation import fairness as fast_fairness
from timebank_chain.valuation import quality as fast_quality
from timebank_chain.valuation.policy import Bracket, DomainPolicy, Knot, load_policy, policy_hash

INPUTS = 100_000
HARNESS = "contracts/test/ParityHarness.sol"
ADDRESS = "0x00000000000000000000000000000000000bA217"
Call = Callable[[bytes], bytes]

pytestmark = pytest.mark.anvil


@pytest.fixture(scope="module")
def call() -> Iterator[Call]:
    """Run calldata against the harness on a chain of its own, without gas limits that matter."""
    output = compile_sources(collect_sources([HARNESS]), ["evm.deployedBytecode.object"])
    code = output[HARNESS]["ParityHarness"]["evm"]["deployedBytecode"]["object"]
    process, url = start_anvil(
        "--gas-limit",
        str(10**12),
        "--no-request-size-limit",
        "--hardfork",
        "cancun",
        "--memory-limit",
        str(2**32),
    )
    session = requests.Session()

    def request(method: str, *params: object) -> str:
        reply = session.post(
            url, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, timeout=300
        )
        answer = reply.json()
        assert "error" not in answer, answer["error"]
        return str(answer["result"])

    def run(data: bytes) -> bytes:
        transaction = {"to": ADDRESS, "data": "0x" + data.hex(), "gas": hex(10**12), "gasPrice": "0x0"}
        return bytes.fromhex(request("eth_call", transaction, "latest")[2:])

    try:
        request("anvil_setCode", ADDRESS, "0x" + code)
        yield run
    finally:
        session.close()
        stop(process)


def test_decay(call: Call) -> None:
    generator = random.Random(1)
    ages = [0, 1, 2**48 - 1, 2**31, 2**31 - 1, 2**28, 0]
    ks = [2**64 - 1, 1, 2**64 - 1, 2**31, 2**31, 2**28, 0]
    constants = [fast_decay.decay_constant(tau) for tau in (1, 100_000, 86_400_000, 180 * 86_400_000, 10**11)]
    while len(ages) < INPUTS:
        k = generator.choice(constants) if generator.random() < 0.7 else generator.getrandbits(64)
        # Most ages below the end of the decay, where the weight is not simply zero.
        ages.append(min(2**48 - 1, int((2**62 // max(k, 1)) * generator.random() ** 3 * 1.1)))
        ks.append(k)
    found: list[int] = []
    for at in range(0, INPUTS, 10_000):
        part, part_k = ages[at : at + 10_000], ks[at : at + 10_000]
        data = function_signature_to_4byte_selector("weights(uint48[],uint64[])")
        data += word(64) + word(64 + 32 * (len(part) + 1))
        data += word(len(part)) + rows(words(np.array(part, dtype=np.uint64)))
        data += word(len(part)) + rows(words(np.array(part_k, dtype=np.uint64)))
        found += [row[0] for row in read_rows(call(data), 1)]
    assert found == [decay.weight(age, k) for age, k in zip(ages, ks, strict=True)]
    assert 0 in found
    assert 2**31 in found
    for k in constants:
        same = [i for i, other in enumerate(ks) if other == k]
        vector = fast_decay.weights(np.array([ages[i] for i in same], dtype=np.int64), k)
        assert vector.tolist() == [found[i] for i in same]


def _random_domain(generator: random.Random) -> DomainPolicy:
    def knots() -> tuple[Knot, ...]:
        top = generator.choice([50, 10_000, 2**32 - 1])
        raws = sorted(generator.sample(range(top + 1), generator.randint(1, 16)))
        return tuple(Knot(raw, generator.randint(0, 10_000)) for raw in raws)

    high = generator.choice([0, generator.randint(1, 10**9), 10**9])
    low = generator.randint(0, high) if high else 0
    return DomainPolicy(
        name="code",
        window_ms=0,
        low=low,
        high=high,
        bonus_milli=generator.choice([1000, 4000, generator.randint(1000, 4000)]),
        penalty_milli=generator.choice([0, 4000, generator.randint(0, 4000)]),
        interaction=knots(),
        originality=knots(),
        engagement=knots(),
    )


def test_quality(call: Call) -> None:
    generator = random.Random(2)
    batch, seen = 2_000, 0
    kinds = set()
    while seen < INPUTS:
        domain = _random_domain(generator)
        k = generator.choice([fast_decay.decay_constant(86_400_000), generator.getrandbits(40)])
        dimensions = (domain.interaction, domain.originality, domain.engagement)
        columns = []
        for points in dimensions:
            near = [max(0, min(2**32 - 1, p.raw_milli + d)) for p in points for d in (-1, 0, 1)]
            near += [0, 2**32 - 1]
            top = points[-1].raw_milli + 1
            columns.append(
                [
                    generator.choice(near) if generator.random() < 0.3 else generator.randint(0, top)
                    for _ in range(batch)
                ]
            )
        ages = [int(generator.random() ** 3 * 2**40) for _ in range(batch)]
        knot_tuples = [[(p.raw_milli, p.rank_milli) for p in points] for points in dimensions]
        rules = encode(
            ["((uint32,uint16)[][3],uint32,uint32,uint16,uint16,uint64)"],
            [(knot_tuples, domain.low, domain.high, domain.bonus_milli, domain.penalty_milli, k)],
        )[32:]
        data = function_signature_to_4byte_selector(
            "worths(((uint32,uint16)[][3],uint32,uint32,uint16,uint16,uint64),(uint32[3],uint48)[])"
        )
        data += word(64) + word(64 + len(rules)) + rules + word(batch)
        data += rows(*(words(np.array(column, dtype=np.uint64)) for column in [*columns, ages]))
        found = read_rows(call(data), 7)

        expected = []
        for row, age in zip(zip(*columns, strict=True), ages, strict=True):
            three = [quality.rank(raw, points) for raw, points in zip(row, knot_tuples, strict=True)]
            s = quality.quality(*three)
            effective = quality.incentive(
                s, domain.low, domain.high, domain.bonus_milli, domain.penalty_milli
            )
            weight = decay.weight(age, k)
            expected.append((*three, s, effective, weight, quality.value(effective, weight)))
            kinds.add((s >= domain.high > 0, s < domain.low))
        assert found == expected

        vectors = [
            fast_quality.ranks(np.array(column, dtype=np.uint32), points)
            for column, points in zip(columns, dimensions, strict=True)
        ]
        s_vector = fast_quality.quality(*vectors)
        banded = fast_quality.incentive(s_vector.copy(), domain)
        assert banded.tolist() == [row[4] for row in found]
        seen += batch
    assert kinds == {(True, False), (False, True), (False, False)}


def test_fairness(call: Call) -> None:
    generator = random.Random(3)
    batch, seen = 2_000, 0
    while seen < INPUTS:
        steps = sorted(generator.sample(range(1, 20_000), generator.randint(0, 7)))
        slopes = sorted((generator.randint(0, 1000) for _ in range(len(steps) + 1)), reverse=True)
        brackets = list(zip([0, *steps], slopes, strict=True))
        top = generator.choice([1, 10**6, 10**12, 2**49])
        earned = [0, top, *(int(top * generator.random() ** 4) for _ in range(batch - 2))]
        total, active = sum(earned), sum(1 for e in earned if e)
        if seen == 0:
            earned, total, active = [0] * batch, 0, 0
        rate = generator.choice([0, 2**24, 2**64 - 1, generator.getrandbits(30)])
        pot = generator.choice([0, generator.getrandbits(40), 2**63 - 1])
        data = function_signature_to_4byte_selector(
            "mints((uint32,uint16)[],uint64[],uint256,uint256,uint256,uint256)"
        ) + encode(
            ["(uint32,uint16)[]", "uint64[]", "uint256", "uint256", "uint256", "uint256"],
            [brackets, earned, total, active, rate, pot],
        )
        found = read_rows(call(data), 2)

        mean = fairness.mean(total, active)
        counted = [fairness.phi(e, mean, brackets) for e in earned]
        minted = [fairness.mint(c, rate, e, pot, total) for c, e in zip(counted, earned, strict=True)]
        assert found == list(zip(counted, minted, strict=True))
        vector = fast_fairness.phi(
            np.array(earned, dtype=np.int64), mean, [Bracket(start, slope) for start, slope in brackets]
        )
        assert vector.tolist() == counted
        seen += batch


def test_rates(call: Call) -> None:
    generator = np.random.default_rng(6)
    debt, cash, dt = (_column(generator, bits) for bits in (64, 64, 40))
    # A third of the periods around a day, where nothing is capped yet.
    dt[2::3] %= 100_000
    lowest, highest = adaptive_rate.MIN_RATE_AT_TARGET, adaptive_rate.MAX_RATE_AT_TARGET
    rate = generator.integers(lowest, highest, INPUTS, endpoint=True)
    rate[0], rate[1] = lowest, highest
    found: list[tuple[int, ...]] = []
    for at in range(0, INPUTS, 5_000):
        part = [words(column[at : at + 5_000]) for column in (debt, cash, rate, dt)]
        data = array_call("rates((uint64,uint64,uint48,uint40)[])", 5_000, rows(*part))
        found += read_rows(call(data), 5)
    expected = []
    for one in zip(debt.tolist(), cash.tolist(), rate.tolist(), dt.tolist(), strict=True):
        used = adaptive_rate.utilisation(one[0], one[1])
        mean, end = adaptive_rate.adapt(one[2], used, one[3])
        cost = adaptive_rate.borrow_rate(mean, used)
        expected.append((used, mean, end, cost, adaptive_rate.growth(cost, one[3])))
    assert found == expected
    assert {lowest, highest} < {row[2] for row in found}


def test_floats(call: Call) -> None:
    generator = np.random.default_rng(8)
    step, base, demand, supply = (_column(generator, 64).astype(np.uint64) for _ in range(4))
    step = np.maximum(step, np.uint64(1))
    place = generator.integers(0, 2**64 - 1, INPUTS, dtype=np.uint64, endpoint=True)
    # A third at whole steps, where the power changes its doubling; a third of the epochs near their step.
    place[1::3] &= np.uint64(7 << 61)
    demand[2::3] %= step[2::3]
    supply[2::3] %= step[2::3]
    found: list[tuple[int, ...]] = []
    for at in range(0, INPUTS, 5_000):
        part = [words(column[at : at + 5_000]) for column in (step, base, place, demand, supply)]
        data = array_call("floats((uint64,uint64,uint64,uint64,uint64)[])", 5_000, rows(*part))
        found += read_rows(call(data), 4)
    expected = []
    for one, start, at, spent, minted in zip(
        *(column.tolist() for column in (step, base, place, demand, supply)), strict=True
    ):
        excess = (8 * one * at >> 64) - 4 * one
        after = floating_rate.excess_after(excess, one, spent, minted)
        now, target = (floating_rate.rate(start, where, one) for where in (excess, after))
        expected.append((now, after + 4 * one, target, floating_rate.bounded_move(now, target)))
    assert found == expected
    assert {floating_rate.MIN_RATE_Q24, floating_rate.MAX_RATE_Q24} <= {row[0] for row in found}
    cut_off = [row for row in found if row[2] != row[3]]
    assert {row[2] > row[0] for row in cut_off} == {True, False}, "both ways the eighth cuts something off"


def test_shares(call: Call) -> None:
    generator = np.random.default_rng(7)
    columns = [_column(generator, 63) for _ in range(3)]
    found: list[tuple[int, ...]] = []
    for at in range(0, INPUTS, 5_000):
        part = [words(column[at : at + 5_000]) for column in columns]
        data = array_call("conversions((uint64,uint64,uint64)[])", 5_000, rows(*part))
        found += read_rows(call(data), 4)
    functions = (
        share_math.to_shares_down,
        share_math.to_shares_up,
        share_math.to_assets_down,
        share_math.to_assets_up,
    )
    cases = zip(*(column.tolist() for column in columns), strict=True)
    assert found == [tuple(convert(*case) for convert in functions) for case in cases]


def _column(generator: np.random.Generator, bits: int, *, signed: bool = False) -> np.ndarray:
    """Random numbers of all magnitudes; the first row 0, the second the maximum, the third the minimum."""
    low, high = (-(2**63), 2**63 - 1) if signed else (0, 2 ** min(bits, 63) - 1)
    column = generator.integers(low, high, INPUTS, dtype=np.int64, endpoint=True)
    column >>= generator.integers(0, min(bits, 63), INPUTS)
    column[0], column[1], column[2] = 0, high, low
    return column


def test_leaf_hashes(call: Call) -> None:
    generator = np.random.default_rng(4)
    index = np.arange(INPUTS)
    account = generator.integers(0, 256, (INPUTS, 20), dtype=np.uint8)
    record_id = generator.integers(0, 256, (INPUTS, 32), dtype=np.uint8)
    activity = {
        "domain": _column(generator, 16),
        "occurred_ms": _column(generator, 48),
        "interaction_milli": _column(generator, 32),
        "originality_milli": _column(generator, 32),
        "engagement_milli": _column(generator, 32),
        "value": _column(generator, 64, signed=True),
        "running": _column(generator, 64, signed=True),
    }
    totals = {
        "activity_end": _column(generator, 32),
        "earned": _column(generator, 64),
        "running_earned": _column(generator, 64),
        "running_active": _column(generator, 32),
        "standing": _column(generator, 64),
        "mint": _column(generator, 64),
        "running_mint": _column(generator, 64),
        "cumulative_mint": _column(generator, 64),
    }
    kinds = (
        (
            "activityHashes((uint32,bytes32,address,uint16,uint48,uint32,uint32,uint32,int64,int64)[])",
            [words(index), record_id, address_words(account), *(words(c) for c in activity.values())],
            epoch_leaves.hash_activity_leaves({"record_id": record_id, "account": account, **activity}),
            lambda i: spec_tree.hash_activity_leaf(
                spec_tree.ActivityLeaf(
                    i, record_id[i].tobytes(), account[i].tobytes(), *(int(c[i]) for c in activity.values())
                )
            ),
        ),
        (
            "accountHashes((uint32,address,uint32,uint64,uint64,uint32,uint64,uint64,uint64,uint64)[])",
            [words(index), address_words(account), *(words(c) for c in totals.values())],
            epoch_leaves.hash_account_leaves({"account": account, **totals}),
            lambda i: spec_tree.hash_account_leaf(
                spec_tree.AccountLeaf(i, account[i].tobytes(), *(int(c[i]) for c in totals.values()))
            ),
        ),
    )
    for signature, columns, fast, spec in kinds:
        found: list[bytes] = []
        for at in range(0, INPUTS, 5_000):
            part = [column[at : at + 5_000] for column in columns]
            found += read_hashes(call(array_call(signature, 5_000, rows(*part))))
        assert found == [spec(i) for i in range(INPUTS)]
        assert b"".join(found) == fast.tobytes()


def test_proofs(call: Call) -> None:
    generator = random.Random(5)
    batch, seen, held = 5_000, 0, 0
    while seen < INPUTS:
        depth = generator.choice([0, 1, 2, 7, 12, 20])
        cases = []
        for _ in range(batch):
            leaf, index = generator.randbytes(32), generator.getrandbits(depth) if depth else 0
            proof = [generator.randbytes(32) for _ in range(depth)]
            node = leaf
            for level, sibling in enumerate(proof):
                pair = (sibling, node) if index >> level & 1 else (node, sibling)
                node = spec_tree.hash_pair(*pair)
            cases.append(_flip(generator, leaf, index, proof, node))
        bodies = np.frombuffer(
            b"".join(
                leaf + word(index) + word(128) + root + word(depth) + b"".join(proof)
                for leaf, index, proof, root in cases
            ),
            dtype=np.uint8,
        ).reshape(batch, 5 + depth, 32)
        data = dynamic_array_call("verifies((bytes32,uint256,bytes32[],bytes32)[])", bodies)
        found = [bool(row[0]) for row in read_rows(call(data), 1)]
        assert found == [spec_tree.verify(*case) for case in cases]
        assert found == [epoch_tree.verify_leaf(*case) for case in cases]
        held += sum(found)
        seen += batch
    assert INPUTS // 4 < held < INPUTS * 3 // 4


def _flip(
    generator: random.Random, leaf: bytes, index: int, proof: list[bytes], root: bytes
) -> tuple[bytes, int, list[bytes], bytes]:
    """Leave half of the proofs as they are; in the others flip one bit of leaf, index, proof or root."""

    def flipped(data: bytes) -> bytes:
        return (int.from_bytes(data, "big") ^ 1 << generator.randrange(256)).to_bytes(32, "big")

    what = generator.choice(["leaf", "index", "proof", "root", "none", "none", "none", "none"])
    if what == "leaf":
        return flipped(leaf), index, proof, root
    if what == "index":
        return leaf, index ^ 1 << generator.randrange(32), proof, root
    if what == "proof" and proof:
        at = generator.randrange(len(proof))
        return leaf, index, [*proof[:at], flipped(proof[at]), *proof[at + 1 :]], root
    if what == "root":
        return leaf, index, proof, flipped(root)
    return leaf, index, proof, root


def test_ranges(call: Call) -> None:
    generator = random.Random(6)
    signature = "verifiesRanges((bytes32[],uint256,bytes32[],uint256,bytes32)[])"
    held = 0
    for _ in range(60):
        count = generator.randint(1, 40)
        tree = epoch_tree.MerkleTree(
            np.frombuffer(generator.randbytes(32 * count), dtype=np.uint8).reshape(count, 32).copy()
        )
        leaves = [tree.leaf_hash(i) for i in range(count)]
        depth = epoch_tree.tree_depth(count)
        cases = []
        for _ in range(100):
            first = generator.randrange(count)
            taken = generator.randint(1, count - first)
            hashes, proof = leaves[first : first + taken], list(tree.range_proof(first, taken))
            what = generator.choice(
                ["leaf", "first", "proof", "short", "long", "depth", "root", *["none"] * 7]
            )
            at = generator.randrange(taken)
            root, claimed_depth = tree.root, depth
            if what == "leaf":
                hashes[at] = generator.randbytes(32)
            elif what == "first":
                first ^= 1 << generator.randrange(6)
            elif what == "proof" and proof:
                proof[at % len(proof)] = generator.randbytes(32)
            elif what == "short":
                proof = proof[:-1]
            elif what == "long":
                proof.append(generator.randbytes(32))
            elif what == "depth":
                claimed_depth = generator.choice([0, depth + 1, 33])
            elif what == "root":
                root = generator.randbytes(32)
            cases.append((hashes, first, proof, claimed_depth, root))
        data = function_signature_to_4byte_selector(signature) + encode(
            ["(bytes32[],uint256,bytes32[],uint256,bytes32)[]"], [cases]
        )
        found = [bool(row[0]) for row in read_rows(call(data), 1)]
        assert found == [spec_tree.verify_range(*case) for case in cases]
        assert found == [epoch_tree.verify_range(*case) for case in cases]
        held += sum(found)
    assert 2_000 < held < 5_000


KNOTS = "(uint32,uint16)[]"
DOMAIN = f"(bytes32,uint48,uint32,uint32,uint16,uint16,{KNOTS},{KNOTS},{KNOTS})"
POLICY = f"(bytes32,uint32,uint64,uint64,uint64,{KNOTS},{DOMAIN}[])"


@pytest.mark.parametrize("name", ["identity", "git", "stackexchange"])
def test_policy_hash(call: Call, name: str) -> None:
    policy = load_policy(name)
    domains = [
        (
            domain.name.encode(),
            domain.window_ms,
            domain.low,
            domain.high,
            domain.bonus_milli,
            domain.penalty_milli,
            *(
                [(knot.raw_milli, knot.rank_milli) for knot in knots]
                for knots in (domain.interaction, domain.originality, domain.engagement)
            ),
        )
        for domain in policy.domains
    ]
    value = (
        policy.name.encode(),
        policy.version,
        policy.decay_k,
        policy.epoch_ms,
        policy.initial_rate_q24,
        [(bracket.from_multiple_milli, bracket.slope_milli) for bracket in policy.brackets],
        domains,
    )
    data = function_signature_to_4byte_selector(f"policyHash({POLICY})") + encode([POLICY], [value])
    assert call(data) == policy_hash(policy)
