"""``timebank fairness``: how equally a system shares out what its members earn, hold, receive and pay."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timebank_chain.cli.options import (
    DEFAULT_RPC_URL,
    AsJson,
    DeploymentFile,
    EpochsFolder,
    RpcUrl,
    open_system,
    progress,
    require_epochs,
)
from timebank_chain.cli.output import out, print_json, print_table, say
from timebank_chain.cli.pictures import check_place, write_picture
from timebank_chain.units import format_micro, format_time

if TYPE_CHECKING:
    from timebank_chain.chain.distribution import EpochFairness, FairnessReport
    from timebank_chain.valuation.inequality import Inequality, Mobility

app = typer.Typer(
    help="How equally is shared out what members earn, hold, receive and pay.\n\n"
    "Example: timebank fairness report --epochs epochs",
    no_args_is_help=True,
)

_TITLES = {"earned": "earned, value", "held": "held", "received": "received", "fees": "fees paid"}
_NONE = "-"


@app.callback()
def _noun() -> None:
    """How equally is shared out what members earn, hold, receive and pay."""


@app.command("report")
def report(
    first: Annotated[
        int, typer.Option("--from", metavar="EPOCH", help="First epoch that earnings are counted over.")
    ] = 1,
    last: Annotated[
        int | None, typer.Option("--to", metavar="EPOCH", help="Last one (default: the newest final epoch).")
    ] = None,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Also draw it as a picture.")
    ] = None,
    epochs: EpochsFolder = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    as_json: AsJson = False,
) -> None:
    """Report how unequal earnings, credits held and received, and fees are; newcomers; who moves in rank.

    From chain data alone: account leaves of final epochs, checked against the roots on chain, and the events
    of the credit, payments and the bank. Gini, Jain, Lorenz, top shares and medians are exact; Theil is split
    into what lies within the domains and what between them.

    Example: timebank fairness report --epochs epochs --svg fairness.svg

    Example: timebank fairness report --from 2 --to 4 --json
    """
    from timebank_chain.chain.distribution import fairness_report, read_distribution
    from timebank_chain.cli.fairness_chart import draw

    folder = require_epochs(epochs)
    if svg is not None:
        check_place(svg)
    timebank = open_system(rpc_url, deployment)
    seen = read_distribution(timebank, folder, first=first, last=last, progress=progress)
    found = fairness_report(seen)
    if as_json:
        if svg is not None:
            write_picture(svg, draw(found).encode())
        print_json("timebank.fairness.report/1", {**report_document(found), "svg": str(svg) if svg else None})
        return
    # The report first: a disk that has filled up meanwhile costs the picture alone.
    _print(found)
    if svg is not None:
        write_picture(svg, draw(found).encode())
        say(f"picture: {svg}")


def report_document(found: FairnessReport) -> dict[str, Any]:
    """Return a report as JSON values; exact numbers as fractions beside their decimal value."""
    return {
        "block": found.block,
        "people": found.people,
        "never_credited": found.never_credited,
        "unclaimed_micro": found.unclaimed,
        "measures": {
            name: None if one is None else _measure_document(one) for name, one in found.measures.items()
        },
        "epochs": [_epoch_document(one) for one in found.epochs],
    }


def _exact(number: Fraction | None) -> dict[str, Any] | None:
    return None if number is None else {"exact": str(number), "value": float(number)}


def _measure_document(one: Inequality) -> dict[str, Any]:
    return {
        "people": one.people,
        "holders": one.holders,
        "total_micro": one.total,
        "mean_micro": _exact(one.mean),
        "median_micro": _exact(one.median),
        "gini": _exact(one.gini),
        "jain": _exact(one.jain),
        "theil": one.theil,
        "theil_within": one.theil_within,
        "theil_between": one.theil_between,
        "top_1_percent": _exact(one.top_1_percent),
        "top_10_percent": _exact(one.top_10_percent),
        "lorenz": [list(point) for point in one.lorenz],
        "domains": [
            {"name": group.name, "people": group.people, "amount_micro": group.amount, "theil": group.theil}
            for group in one.groups
        ],
    }


def _epoch_document(one: EpochFairness) -> dict[str, Any]:
    return {
        "epoch": one.epoch,
        "end_ms": one.end_ms,
        "people": one.people,
        "active": one.active,
        "gini": _exact(one.gini),
        "gini_active": _exact(one.gini_active),
        "newcomers": one.newcomers,
        "newcomers_median_micro": _exact(one.newcomers_median),
        "others_median_micro": _exact(one.others_median),
        "mobility": None if one.mobility is None else _mobility_document(one.mobility),
    }


def _mobility_document(one: Mobility) -> dict[str, Any]:
    return {
        "people": one.people,
        "rank_correlation": one.correlation,
        "mean_shift": _exact(one.mean_shift),
        "stayed_in_fifth": _exact(one.stayed),
        "moves": [list(row) for row in one.moves],
    }


def _print(found: FairnessReport) -> None:
    columns = list(found.measures.values())

    def row(name: str, show: Any) -> list[str]:
        return [name, *(_NONE if one is None else show(one) for one in columns)]

    print_table(
        f"{found.people:,} people at block {found.block}",
        ["", *(f">{_TITLES[name]}" for name in found.measures)],
        [
            row("people with more than nothing", lambda one: f"{one.holders:,}"),
            row("total", lambda one: format_micro(one.total)),
            row("mean", lambda one: _micro(one.mean)),
            row("median", lambda one: _micro(one.median)),
            row("Gini (0 equal, 1 one has all)", lambda one: _part(one.gini)),
            row("Theil (0 equal)", lambda one: f"{one.theil:.6f}"),
            row("  within domains", lambda one: f"{one.theil_within:.6f}"),
            row("  between domains", lambda one: f"{one.theil_between:.6f}"),
            row("Jain (1 equal)", lambda one: _part(one.jain)),
            row("top 1 % have", lambda one: _percent(one.top_1_percent)),
            row("top 10 % have", lambda one: _percent(one.top_10_percent)),
        ],
    )
    earned = found.measures["earned"]
    if earned is not None:
        print_table(
            "By domain: where most of what a person earned comes from",
            ["domain", ">people", ">earned, value", ">of all", ">Theil inside"],
            [
                (
                    group.name,
                    f"{group.people:,}",
                    format_micro(group.amount),
                    _percent(Fraction(group.amount, earned.total)),
                    f"{group.theil:.6f}",
                )
                for group in earned.groups
            ],
        )
    print_table(
        "Epoch by epoch",
        [
            "epoch",
            "until",
            ">people",
            ">earned",
            ">Gini",
            ">of who earned",
            ">new",
            ">first credit, median",
            ">of the others",
            ">rank correlation",
            ">stayed in their fifth",
        ],
        [
            (
                one.epoch,
                format_time(one.end_ms),
                f"{one.people:,}",
                f"{one.active:,}",
                _NONE if one.gini is None else _part(one.gini),
                _NONE if one.gini_active is None else _part(one.gini_active),
                f"{one.newcomers:,}",
                _NONE if one.newcomers_median is None else _micro(one.newcomers_median),
                _NONE if one.others_median is None else _micro(one.others_median),
                _NONE
                if one.mobility is None or one.mobility.correlation is None
                else f"{one.mobility.correlation:.3f}",
                _NONE if one.mobility is None else _percent(one.mobility.stayed),
            )
            for one in found.epochs
        ],
    )
    out().print(
        f"{found.never_credited:,} people never had a credit from these epochs; "
        f"{format_micro(found.unclaimed)} credits wait to be claimed",
        markup=False,
    )


def _micro(number: Fraction) -> str:
    return format_micro(round(number))


def _part(number: Fraction) -> str:
    return f"{float(number):.6f}"


def _percent(number: Fraction) -> str:
    return f"{float(number * 100):.2f} %"
