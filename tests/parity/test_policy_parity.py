"""The registry on chain and its specification accept and refuse the same policies, in the same words.

policy parity
├── honest policies: accepted, with one hash              spec, valuation == PolicyRegistry.sol
├── broken policies: refused, error and values            spec == PolicyRegistry.sol
├── the largest policy: accepted                          spec == PolicyRegistry.sol
└── values too wide for their field: refused on decoding  PolicyRegistry.sol

The shipped artifact runs on a real anvil.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import requests

from tests.chain_fixtures import start_anvil, stop
from tests.policy_cases import UINT32, honest, spoiled, text32
from timebank_chain.artifacts import load_artifact
from timebank_chain.chain import reverts
from timebank_chain.chain.contract import encode
from timebank_chain.chain.revert import Revert
from timebank_chain.spec.policy_registry import DomainPolicy, Policy, PolicyRegistry
from timebank_chain.spec.revert import Reverted
from timebank_chain.valuation import load_policy, policy_call, policy_hash

ADDRESS = "0x00000000000000000000000000000000000bA218"
Outcome = tuple[str, tuple[object, ...]]
Register = Callable[[bytes], tuple[bool, bytes]]

pytestmark = pytest.mark.anvil


@pytest.fixture(scope="module")
def register() -> Iterator[Register]:
    """Call the registry with calldata; tell whether it answered, and what it answered or refused with."""
    process, url = start_anvil("--hardfork", "cancun", "--no-request-size-limit")
    session = requests.Session()

    def request(method: str, *params: object) -> dict[str, object]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return dict(session.post(url, json=body, timeout=60).json())

    def run(data: bytes) -> tuple[bool, bytes]:
        answer = request("eth_call", {"to": ADDRESS, "data": "0x" + data.hex()}, "latest")
        error = answer.get("error")
        found = answer["result"] if error is None else error.get("data", "0x")  # type: ignore[attr-defined]  # as JSON-RPC has it
        return error is None, bytes.fromhex(str(found)[2:])

    try:
        code = load_artifact("PolicyRegistry").deployed_bytecode
        assert "error" not in request("anvil_setCode", ADDRESS, "0x" + code.hex())
        yield run
    finally:
        session.close()
        stop(process)


def on_chain(register: Register, policy: Policy) -> Outcome:
    answered, data = register(encode("PolicyRegistry", "register", policy))
    if answered:
        return "", (data,)
    error = reverts.decode(data)
    assert isinstance(error, Revert), error
    return type(error).__name__, tuple(error.values.values())


def in_the_specification(policy: Policy) -> Outcome:
    try:
        return "", (PolicyRegistry().register(policy),)
    except Reverted as refused:
        return refused.name, refused.values


def test_honest_policies_are_accepted_with_one_hash(register: Register) -> None:
    draw = random.Random(7)
    for _ in range(500):
        policy = honest(draw)
        outcome = on_chain(register, policy)
        assert outcome == in_the_specification(policy)
        assert outcome[0] == ""


@pytest.mark.parametrize("name", ["identity", "git", "stackexchange"])
def test_shipped_policies_have_the_valuations_hash(register: Register, name: str) -> None:
    policy = load_policy(name)
    call = Policy(*policy_call(policy))  # type: ignore[arg-type]  # the fields of the struct
    assert on_chain(register, call) == ("", (policy_hash(policy),))


def test_broken_policies_are_refused_in_the_same_words(register: Register) -> None:
    draw = random.Random(8)
    seen: Counter[str] = Counter()
    for _ in range(3_000):
        policy = spoiled(draw)
        outcome = on_chain(register, policy)
        assert outcome == in_the_specification(policy), policy
        seen[outcome[0]] += 1
    declared = {entry["name"] for entry in load_artifact("PolicyRegistry").abi if entry["type"] == "error"}
    assert set(seen) == {"", *declared}
    assert all(count >= 5 for count in seen.values()), seen


def test_the_largest_policy_is_accepted(register: Register) -> None:
    knots = tuple((UINT32 - 15 + n, 10_000) for n in range(16))
    numbers = ((1 << 48) - 1, 10**9, 10**9, 4_000, 4_000)
    policy = Policy(
        b"\xff" * 32,
        UINT32,
        103_957_133_576_908_769,
        (1 << 48) - 1,
        (1 << 64) - 1,
        tuple((n * 1_000, 1_000) for n in range(8)),
        tuple(DomainPolicy(text32(f"domain {n}"), *numbers, knots, knots, knots) for n in range(64)),
    )
    outcome = on_chain(register, policy)
    assert outcome == in_the_specification(policy)
    assert outcome[0] == ""


@pytest.mark.parametrize("word", [1, 2, 3, 4])
def test_values_too_wide_for_their_field_are_refused(register: Register, word: int) -> None:
    """Fields of the head: what stands beyond their width would not be in the hash."""
    data = bytearray(encode("PolicyRegistry", "register", Policy(*policy_call(load_policy("git")))))  # type: ignore[arg-type]  # as above
    assert register(bytes(data))[0]
    data[4 + 32 + 32 * word] = 1
    assert register(bytes(data)) == (False, b"")
