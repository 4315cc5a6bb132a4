"""``timebank value``: what recorded activity is worth at a time, without any chain."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timebank_chain import config
from timebank_chain.cli.options import AsJson
from timebank_chain.cli.output import out, print_json, print_table, say
from timebank_chain.cli.policy import decay_facts, show_duration
from timebank_chain.errors import ActivityError, UsageError
from timebank_chain.units import Milliseconds, format_micro, format_time, parse_duration, parse_time

if TYPE_CHECKING:
    from timebank_chain.activity import ActivityTable, Reject
    from timebank_chain.valuation import Activities, EpochValuation, Policy

_SHOWN_REJECTS = 10
_JSON_REJECTS = 1_000
_PARQUET_MAGIC = b"PAR1"


@dataclass(frozen=True)
class _Input:
    """What was read: the kept rows, and what was turned away."""

    table: ActivityTable
    rejects: Sequence[Reject]


@dataclass(frozen=True)
class _Valued:
    """A valued file, with what is needed to name its rows and accounts again."""

    policy: Policy
    table: ActivityTable
    acts: Activities
    at_ms: int
    not_settled: int
    valuation: EpochValuation

    def member_of(self, account_row: int) -> str:
        return self.table.member[int(self.valuation.activities.source_row[self.rows_of(account_row).start])]

    def rows_of(self, account_row: int) -> range:
        ends = self.valuation.accounts.activity_end
        return range(int(ends[account_row - 1]) if account_row else 0, int(ends[account_row]))


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Activity: CSV, JSON lines or Parquet.")],
    policy: Annotated[
        str, typer.Option("--policy", metavar="P", help="A shipped policy (timebank policy list) or a file.")
    ],
    tau: Annotated[
        str | None,
        typer.Option("--tau", metavar="TIME", help="Mean lifetime instead of the policy's: 100s, 30d."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="T",
            help="Value as of this time, with a zone (default: when the last act settles).",
        ),
    ] = None,
    members: Annotated[
        Path | None, typer.Option("--members", metavar="CSV", help="Members file: member,address.")
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option("--mapping", metavar="TOML", help="What the columns of a foreign file mean."),
    ] = None,
    salt_key: Annotated[
        Path | None,
        typer.Option(
            "--salt-key", metavar="FILE", envvar=config.ENV_SALT_KEY, help="Key of the record ids (receipts)."
        ),
    ] = None,
    why: Annotated[
        str | None,
        typer.Option("--why", metavar="MEMBER", help="Show this member's receipt, act by act."),
    ] = None,
    skip_rejected: Annotated[
        bool, typer.Option("--skip-rejected", help="Value the good rows although others were rejected.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what activity is worth: who earned what, under which policy, and why.

    Everything in FILE that has settled at T counts as one epoch; amounts are exact.

    Example: timebank value feed.csv --policy git --at 2026-01-31T00:00:00Z

    Example: timebank value "$(timebank examples worked_example.csv)" --policy identity --tau 100s
    --at 2026-01-01T00:00:10Z
    """
    rules = _policy(policy, tau)
    at_ms = None if at is None else _time(at)
    read = _read(file, mapping, rules, salt_key)
    _answer_for_rejects(file, read.rejects, skip=skip_rejected)
    valued = _value(read.table, rules, at_ms, members)
    receipt = None if why is None else _receipt(valued, why)
    if as_json:
        print_json("timebank.value/1", _document(valued, read.rejects, receipt))
        return
    _print_summary(valued, read.rejects)
    if receipt is not None:
        _print_receipt(receipt)


def _policy(name: str, tau: str | None) -> Policy:
    from timebank_chain.valuation import load_policy, policy_with

    rules = load_policy(name)
    if tau is None:
        return rules
    try:
        return policy_with(rules, tau_ms=parse_duration(tau))
    except ValueError as problem:
        raise UsageError(f"--tau: {problem}", hint="write --tau 100s, --tau 36h or --tau 180d") from None


def _time(text: str) -> Milliseconds:
    try:
        return parse_time(text)
    except ValueError as problem:
        raise UsageError(f"--at: {problem}", hint="write --at 2026-01-31T12:00:00Z") from None


def _read(file: Path, mapping: Path | None, policy: Policy, salt_key: Path | None) -> _Input:
    from timebank_chain.activity import clean, load_salt_key, read_activity
    from timebank_chain.activity.mapping_file import load_mapping
    from timebank_chain.activity.sources import csv_rows, jsonl_rows, parquet_rows

    try:
        with file.open("rb") as opened:
            start = opened.read(len(_PARQUET_MAGIC))
    except OSError as problem:
        raise ActivityError(
            f"cannot read the file: {problem.strerror}",
            where=str(file),
            hint="name a CSV, JSON lines or Parquet file",
        ) from None
    name = file.name.removesuffix(".gz").lower()
    is_parquet = start == _PARQUET_MAGIC or name.endswith(".parquet")
    rules = None if mapping is None else load_mapping(mapping)
    if is_parquet and rules is None and _is_our_table(file):
        return _Input(read_activity(file), ())
    rows = parquet_rows if is_parquet else jsonl_rows if name.endswith((".jsonl", ".ndjson")) else csv_rows
    result = clean(
        rows(file, rules),
        now_ms=time.time_ns() // 1_000_000,
        salt_key=load_salt_key(salt_key),
        windows={domain.name: domain.window_ms for domain in policy.domains},
        domains=policy.domain_names(),
    )
    return _Input(result.table, result.rejects)


def _is_our_table(file: Path) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return b"timebank.schema" in (pq.read_schema(file).metadata or {})
    except (pa.ArrowException, OSError):
        return True  # damaged: let the reader of our tables say how


def _answer_for_rejects(file: Path, rejects: Sequence[Reject], *, skip: bool) -> None:
    if not rejects:
        return
    for reject in rejects[:_SHOWN_REJECTS]:
        say(f"rejected {_place(reject)}: {reject.reason}")
    if len(rejects) > _SHOWN_REJECTS:
        say(f"... and {len(rejects) - _SHOWN_REJECTS:,} more; timebank ingest writes them all to a file")
    if skip:
        return
    first = rejects[0]
    count = "1 row was" if len(rejects) == 1 else f"{len(rejects):,} rows were"
    raise ActivityError(
        f"{count} rejected, the first because of {first.reason}",
        where=_place(first),
        hint=f"correct {file.name}, or add --skip-rejected to value the other rows",
    )


def _place(reject: Reject) -> str:
    return f"{reject.source}:{reject.line}" + (f", field '{reject.field}'" if reject.field else "")


def _value(table: ActivityTable, policy: Policy, at_ms: int | None, members: Path | None) -> _Valued:
    from timebank_chain.activity import Members, load_members
    from timebank_chain.valuation import (
        PreviousAccounts,
        activities_of,
        settled_ms,
        settles_in,
        value_epoch,
    )

    known = Members() if members is None else load_members(members)
    everything = activities_of(table, known, policy)
    if at_ms is None:
        at_ms = max(1, int(settled_ms(everything, policy).max())) if len(table) else 1
    elif at_ms == 0:
        raise UsageError("--at: nothing can have settled by 1970-01-01", hint="choose a later time")
    # One epoch from the beginning of time: all that has settled by then counts.
    chosen = settles_in(everything, policy, start_ms=0, end_ms=at_ms).nonzero()[0]
    acts = everything.take(chosen)
    valuation = value_epoch(
        acts,
        PreviousAccounts.none(),
        policy,
        start_ms=0,
        end_ms=at_ms,
        rate_q24=policy.initial_rate_q24,
        pot=0,
    )
    return _Valued(policy, table.take(chosen), acts, at_ms, len(table) - len(chosen), valuation)


def _accounts(valued: _Valued) -> list[dict[str, Any]]:
    from timebank_chain.activity import checksum_address, is_placeholder

    accounts = valued.valuation.accounts
    listed = []
    for row in range(len(accounts)):
        account = accounts.account[row].tobytes()
        listed.append(
            {
                "account": checksum_address(account),
                "member": valued.member_of(row),
                "placeholder": is_placeholder(account),
                "activities": len(valued.rows_of(row)),
                "earned_micro": int(accounts.earned[row]),
                "phi_micro": int(accounts.phi[row]),
                "standing_micro": int(accounts.standing[row]),
                "mint_micro": int(accounts.mint[row]),
            }
        )
    # Most earned first; the account decides between equals, so that the order is always the same.
    return sorted(listed, key=lambda entry: (-entry["earned_micro"], entry["account"].lower()))


def _document(valued: _Valued, rejects: Sequence[Reject], receipt: dict[str, Any] | None) -> dict[str, Any]:
    from timebank_chain.valuation import policy_hash

    totals = valued.valuation.totals
    document = {
        "policy": valued.policy.name,
        "policy_version": valued.policy.version,
        "policy_hash": f"0x{policy_hash(valued.policy).hex()}",
        **decay_facts(valued.policy),
        "at_ms": valued.at_ms,
        "at": format_time(valued.at_ms),
        "rate_q24": valued.policy.initial_rate_q24,
        "activities": len(valued.table),
        "not_settled": valued.not_settled,
        "rejected": len(rejects),
        "rejects": [
            {
                "source": reject.source,
                "line": reject.line,
                "id": reject.id,
                "field": reject.field,
                "reason": reject.reason,
            }
            for reject in rejects[:_JSON_REJECTS]
        ],
        "total_micro": totals.total_earned,
        "total_mint_micro": totals.total_mint,
        "active_accounts": totals.active_count,
        "mean_micro": totals.mean_earned,
        "accounts": _accounts(valued),
    }
    if receipt is not None:
        document["receipt"] = receipt
    return document


def _receipt(valued: _Valued, member: str) -> dict[str, Any]:
    from timebank_chain.activity import checksum_address
    from timebank_chain.valuation import explain

    accounts = valued.valuation.accounts
    for row in range(len(accounts)):
        if valued.member_of(row) == member:
            break
    else:
        raise UsageError(
            f"member {member!r} has no act that settled by {format_time(valued.at_ms)}",
            hint="leave --why out to see the members, or choose a later --at",
        )
    leaves = valued.valuation.activities
    steps = explain(leaves, valued.policy, end_ms=valued.at_ms)
    acts = [
        {
            "id": valued.table.id[int(leaves.source_row[leaf])],
            "record_id": f"0x{leaves.record_id[leaf].tobytes().hex()}",
            "domain": valued.policy.domains[int(leaves.domain[leaf])].name,
            "occurred_ms": int(leaves.occurred_ms[leaf]),
            "age_ms": int(steps.age_ms[leaf]),
            "interaction_milli": int(leaves.interaction[leaf]),
            "originality_milli": int(leaves.originality[leaf]),
            "engagement_milli": int(leaves.engagement[leaf]),
            "interaction_rank_milli": int(steps.interaction_rank[leaf]),
            "originality_rank_milli": int(steps.originality_rank[leaf]),
            "engagement_rank_milli": int(steps.engagement_rank[leaf]),
            "quality_micro": int(steps.quality[leaf]),
            "incentive_micro": int(steps.incentive[leaf]),
            "weight_q31": int(steps.weight[leaf]),
            "value_micro": int(steps.value[leaf]),
        }
        for leaf in valued.rows_of(row)
    ]
    acts.sort(key=lambda act: (act["occurred_ms"], act["id"]))
    return {
        "member": member,
        "account": checksum_address(accounts.account[row].tobytes()),
        "activities": acts,
        "sum_micro": sum(act["value_micro"] for act in acts),
        "earned_micro": int(accounts.earned[row]),
        "mean_micro": valued.valuation.totals.mean_earned,
        "phi_micro": int(accounts.phi[row]),
        "rate_q24": valued.policy.initial_rate_q24,
        "mint_micro": int(accounts.mint[row]),
    }


def _print_summary(valued: _Valued, rejects: Sequence[Reject]) -> None:
    from timebank_chain.valuation import policy_hash

    facts = decay_facts(valued.policy)
    totals = valued.valuation.totals
    console = out()
    console.print(
        f"{len(valued.table):,} activities valued at {format_time(valued.at_ms)} under policy "
        f"'{valued.policy.name}' version {valued.policy.version}",
        markup=False,
    )
    console.print(f"policy hash 0x{policy_hash(valued.policy).hex()}", markup=False)
    console.print(f"mean lifetime (tau) {facts['tau']}, half-life {facts['half_life']}", markup=False)
    if valued.not_settled:
        console.print(
            f"{valued.not_settled:,} more have not settled yet (occurred + observation window is later)",
            markup=False,
        )
    if rejects:
        console.print(f"{len(rejects):,} rejected rows left out", markup=False)
    console.print()
    print_table(
        "Accounts",
        ["member", "account", ">acts", ">earned", ">standing", ">counts (phi)", ">mint"],
        [
            (
                entry["member"],
                f"{entry['account'][:10]}...{entry['account'][-6:]}",
                entry["activities"],
                format_micro(entry["earned_micro"]),
                format_micro(entry["standing_micro"]),
                format_micro(entry["phi_micro"]),
                format_micro(entry["mint_micro"]),
            )
            for entry in _accounts(valued)
        ],
    )
    console.print()
    console.print(f"total earned {format_micro(totals.total_earned)}", markup=False)
    console.print(f"total mint   {format_micro(totals.total_mint)} credits at the first rate", markup=False)


def _print_receipt(receipt: dict[str, Any]) -> None:
    console = out()
    console.print()
    print_table(
        f"Receipt of {receipt['member']}: recorded -> ranks -> quality -> weight -> value",
        ["activity", "domain", ">age", "recorded", "ranks", ">quality", ">weight", ">value"],
        [
            (
                act["id"],
                act["domain"],
                show_duration(act["age_ms"]),
                " ".join(_milli(act[f"{name}_milli"]) for name in _DIMENSIONS),
                " ".join(_milli(act[f"{name}_rank_milli"]) for name in _DIMENSIONS),
                _quality(act),
                # Six decimals of a Q31 number, rounded down.
                format_micro(act["weight_q31"] * 1_000_000 >> 31),
                format_micro(act["value_micro"]),
            )
            for act in receipt["activities"]
        ],
    )
    for label, amount in (
        ("sum of values", receipt["sum_micro"]),
        ("earned (never below 0)", receipt["earned_micro"]),
        ("mean of active accounts", receipt["mean_micro"]),
        ("counts after fairness brackets", receipt["phi_micro"]),
        ("mint at the first rate", receipt["mint_micro"]),
    ):
        console.print(f"{label:<32}{format_micro(amount):>20}", markup=False)


_DIMENSIONS = ("interaction", "originality", "engagement")


def _quality(act: dict[str, Any]) -> str:
    quality = format_micro(act["quality_micro"])
    if act["incentive_micro"] == act["quality_micro"]:
        return quality
    return f"{quality} -> {format_micro(act['incentive_micro'])}"


def _milli(thousandths: int) -> str:
    return f"{thousandths // 1_000}.{thousandths % 1_000:03d}".rstrip("0").rstrip(".")
