"""Policies on chain: registered whole before they came into force, in bounds, as published beside epochs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.evidence import Event
from timebank_chain.audit.files import policy_path
from timebank_chain.audit.report import Check, Tally
from timebank_chain.spec import policy_registry as spec
from timebank_chain.spec.revert import Reverted
from timebank_chain.valuation import policy_call


def check_registered(case: AuditCase) -> Check:
    """Check that every policy in force was registered before, and that its file says the same."""
    tally = Tally("A48", "policies were registered before they came into force, in bounds, as published")
    registered = case.ledger.registered
    for difference in case.ledger.anomalies_of("policies"):
        tally.add(difference)
    for digest, event in registered.items():
        _check_content(tally, digest, event)
        tally.equal(
            f"PolicyRegistry.isRegistered(0x{digest.hex()})",
            True,
            case.evidence.call("PolicyRegistry", "isRegistered", digest),
            "the registry forgot a policy without an event",
        )
    for place, digest in case.ledger.policy.values:
        known = registered.get(digest)
        tally.require(
            known is not None and known.position < place,
            f"block {place[0]}, log {place[1]}, RateOracle.PolicySet",
            f"0x{digest.hex()} registered before",
            "never registered" if known is None else known.where,
            "rules came into force that nobody could read on chain",
        )
    for digest, policy in {
        epoch.header.policy_hash: epoch.policy for epoch in case.epochs if epoch.header is not None
    }.items():
        known = registered.get(digest)
        if policy is None or known is None:
            continue  # reported by A26, or above
        path = policy_path(case.epochs_folder, digest)
        for where, ours, theirs in _compared(tuple(known.args["policy"].items()), policy_call(policy)):
            tally.equal(
                f"{path}, {where}", ours, theirs, "the published rules are not those registered on chain"
            )
    tally.evidence["registered"] = {
        f"0x{digest.hex()}": _text(event.args["policy"]["name"]) for digest, event in registered.items()
    }
    return tally.done(f"{len(registered)} registered, {len(case.ledger.policy.values)} times one set")


def _check_content(tally: Tally, digest: bytes, event: Event) -> None:
    """Compare a registered policy with its hash and its bounds."""
    try:
        found = spec.PolicyRegistry().register(spec.Policy(*_tuples(event.args["policy"])))
    except Reverted as broken:
        tally.fail(
            event.where, "a policy within its bounds", str(broken), "the registry let a bound be broken"
        )
        return
    tally.equal(event.where, digest, found, "the policy beside the hash is not the one it stands for")


def _tuples(value: Any) -> Any:
    """Give decoded structs the shape of the call: tuples in the order of the fields."""
    if isinstance(value, dict):
        return tuple(_tuples(item) for item in value.values())
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _compared(ours: tuple[tuple[str, Any], ...], theirs: tuple[Any, ...]) -> Iterator[tuple[str, Any, Any]]:
    """Yield every plain value of a decoded struct with its place, beside the call's."""
    for (name, value), other in zip(ours, theirs, strict=True):
        if not isinstance(value, list):
            yield name, value, other
            continue
        yield f"{name}, count", len(value), len(other)
        for index, (item, its) in enumerate(zip(value, other, strict=False)):
            for where, left, right in _compared(tuple(item.items()), its):
                yield f"{name}[{index}].{where}", left, right


def _text(name: bytes) -> str:
    return name.rstrip(b"\0").decode("utf-8", errors="replace")
