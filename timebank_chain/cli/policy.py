"""``timebank policy``: list, show, check, hash and rehearse valuation policies."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from timebank_chain.cli import policy_rehearse
from timebank_chain.cli.options import AsJson
from timebank_chain.cli.output import out, print_json, print_table
from timebank_chain.policies import preset_names
from timebank_chain.units import format_duration, format_micro
from timebank_chain.valuation.decay import half_life_of, tau_of
from timebank_chain.valuation.policy import (
    DomainPolicy,
    Knot,
    Policy,
    load_policy,
    policy_document,
    policy_hash,
    policy_to_json,
)

app = typer.Typer(
    help="List, show, check, hash and rehearse valuation policies.\n\nExample: timebank policy show git",
    no_args_is_help=True,
)
app.command("rehearse")(policy_rehearse.command)

PolicyName = Annotated[
    str,
    typer.Argument(metavar="NAME|FILE", help="A shipped policy's name, or a JSON file.", show_default=False),
]

_DAY_MS = 86_400_000


@app.command("list")
def list_policies(as_json: AsJson = False) -> None:
    """List the shipped policies.

    Example: timebank policy list --json
    """
    policies = [load_policy(name) for name in preset_names()]
    if as_json:
        print_json("timebank.policy.list/1", {"policies": [_summary(policy) for policy in policies]})
        return
    print_table(
        "Shipped policies",
        ["name", ">version", "tau", "half-life", "domains", "title"],
        [
            (
                policy.name,
                policy.version,
                show_duration(tau_of(policy.decay_k)),
                show_duration(half_life_of(policy.decay_k)),
                ", ".join(policy.domain_names()),
                policy.title,
            )
            for policy in policies
        ],
    )


@app.command("show")
def show(
    policy: PolicyName,
    document: Annotated[
        bool, typer.Option("--document", help="Print the policy document alone, ready to be edited.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show a policy's rules, with its mean lifetime and half-life.

    Example: timebank policy show stackexchange

    Example: timebank policy show identity --document > my-policy.json
    """
    rules = load_policy(policy)
    if document:
        typer.echo(policy_to_json(rules), nl=False)
        return
    if as_json:
        print_json("timebank.policy.show/1", {**_summary(rules), "policy": policy_document(rules)})
        return
    _print_policy(rules)


@app.command("check")
def check(policy: PolicyName, as_json: AsJson = False) -> None:
    """Check a policy document; ends with 0 if it can be used.

    Example: timebank policy check my-policy.json
    """
    rules = load_policy(policy)
    if as_json:
        print_json("timebank.policy.check/1", {"ok": True, **_summary(rules)})
        return
    out().print(
        f"{rules.name} version {rules.version} is a valid policy with {len(rules.domains)} domains "
        f"({', '.join(rules.domain_names())})",
        markup=False,
    )
    out().print(f"hash 0x{policy_hash(rules).hex()}", markup=False)


@app.command("hash")
def hash_of(policy: PolicyName, as_json: AsJson = False) -> None:
    """Print the hash that stands for a policy on chain: keccak256(abi.encode(PolicyHead)).

    Example: timebank policy hash git
    """
    rules = load_policy(policy)
    digest = f"0x{policy_hash(rules).hex()}"
    if as_json:
        print_json("timebank.policy.hash/1", {"name": rules.name, "policy_hash": digest})
        return
    out().print(digest, markup=False)


def show_duration(ms: int) -> str:
    """Write a duration for people: whole units if it is one, else to a thousandth of the largest unit."""
    exact = format_duration(ms)
    if not exact.endswith("ms") and len(exact) <= 6:
        return exact
    for unit, size in (("d", _DAY_MS), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)):
        if ms >= 2 * size:
            thousandths = (ms * 1_000 + size // 2) // size
            text = f"{thousandths // 1_000}.{thousandths % 1_000:03d}".rstrip("0").rstrip(".")
            return f"{text}{unit}"
    return f"{ms}ms"


def decay_facts(policy: Policy) -> dict[str, Any]:
    """Return decay for a JSON document: the constant that is exact, and what it stands for."""
    tau_ms = tau_of(policy.decay_k)
    half_life_ms = half_life_of(policy.decay_k)
    return {
        "decay_k": policy.decay_k,
        "tau_ms": tau_ms,
        "tau": show_duration(tau_ms),
        "half_life_ms": half_life_ms,
        "half_life": show_duration(half_life_ms),
    }


def _summary(policy: Policy) -> dict[str, Any]:
    return {
        "name": policy.name,
        "version": policy.version,
        "title": policy.title,
        "policy_hash": f"0x{policy_hash(policy).hex()}",
        **decay_facts(policy),
        "epoch_ms": policy.epoch_ms,
        "initial_rate_q24": policy.initial_rate_q24,
        "domains": list(policy.domain_names()),
    }


def _print_policy(policy: Policy) -> None:
    print_table(
        f"{policy.name}, version {policy.version}: {policy.title}",
        ["what", "is"],
        [
            ("mean lifetime (tau)", show_duration(tau_of(policy.decay_k))),
            ("half-life", f"{show_duration(half_life_of(policy.decay_k))} = tau * ln 2"),
            ("decay constant K", policy.decay_k),
            ("epoch", format_duration(policy.epoch_ms) if policy.epoch_ms else "any length"),
            ("first rate", f"{format_micro(policy.initial_rate_q24 * 1_000_000 >> 24)} credits per value"),
        ],
    )
    out().print(f"hash 0x{policy_hash(policy).hex()}", markup=False)
    out().print()
    print_table(
        "Fairness: of what an account earned",
        [">above (x mean)", ">counts"],
        [
            (_milli(bracket.from_multiple_milli), f"{_milli(bracket.slope_milli * 100)} %")
            for bracket in policy.brackets
        ],
    )
    for domain in policy.domains:
        out().print()
        _print_domain(domain)
    out().print()
    out().print(f"Why: {policy.sources}", markup=False)


def _print_domain(domain: DomainPolicy) -> None:
    window = (
        f"seen for {format_duration(domain.window_ms)}" if domain.window_ms else "indicators given directly"
    )
    rows: list[tuple[str, str]] = [
        (dimension, _line(knots))
        for dimension, knots in (
            ("interaction", domain.interaction),
            ("originality", domain.originality),
            ("engagement", domain.engagement),
        )
    ]
    if domain.high and domain.bonus_milli != 1_000:
        rows.append(
            ("bonus", f"worth {format_micro(domain.high)} or more counts x {_milli(domain.bonus_milli)}")
        )
    if domain.low and domain.penalty_milli:
        factor = _milli(domain.penalty_milli)
        rows.append(("penalty", f"worth under {format_micro(domain.low)} costs the difference x {factor}"))
    print_table(f"Domain {domain.name} ({window})", ["dimension", "recorded -> rank"], rows)


def _line(knots: tuple[Knot, ...]) -> str:
    return ", ".join(f"{_milli(knot.raw_milli)} -> {_milli(knot.rank_milli)}" for knot in knots)


def _milli(thousandths: int) -> str:
    return f"{thousandths // 1_000:,}.{thousandths % 1_000:03d}".rstrip("0").rstrip(".")
