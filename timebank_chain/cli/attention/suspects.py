"""``timebank attention suspects``: whose engagement looks bought or automated, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timebank_chain.cli.attention.forecast import duration
from timebank_chain.cli.epoch_holds import DEFAULT_RATE, PraiseFile
from timebank_chain.cli.options import AsJson
from timebank_chain.cli.output import out, print_json, print_table
from timebank_chain.errors import UsageError
from timebank_chain.units import format_time, parse_time

if TYPE_CHECKING:
    from timebank_chain.attention.monitor.suspicion import Verdict


def command(
    activity: Annotated[
        Path, typer.Argument(metavar="ACTIVITY", help="Activity table (Parquet, from timebank ingest).")
    ],
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="T", help="End of the span (default: when the last act settles)."),
    ] = None,
    span: Annotated[
        str, typer.Option("--span", metavar="TIME", help="Its length: as long as an epoch.")
    ] = "28d",
    praise: PraiseFile = None,
    offers: Annotated[
        Path | None,
        typer.Option("--offers", metavar="FILE", help="Judge offers instead of members (CSV: id,offer)."),
    ] = None,
    rate: Annotated[
        float, typer.Option("--rate", metavar="SHARE", help="Share of honest members that may be held.")
    ] = DEFAULT_RATE,
    min_acts: Annotated[
        int, typer.Option("--min-acts", metavar="N", min=3, help="Who has fewer acts is not scored.")
    ] = 5,
    top: Annotated[int, typer.Option("--top", metavar="N", min=0, help="How many to show.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Compare reported with expected engagement, member by member or offer by offer: who stands out, and why.

    Looks at pauses between acts, the minute and hour they fall on, engagement against that of peers' like
    acts, how evenly it comes, how many acts there are and, with --praise, who gives praise back to whom.
    Nothing is held by looking: `timebank epoch build --hold-suspicious` does that.

    Example: timebank attention suspects activity.parquet --span 28d --praise praise.csv
    """
    from timebank_chain.activity import read_activity
    from timebank_chain.attention.monitor.spans import (
        Praise,
        last_settled_ms,
        read_pairs,
        read_praise,
        spans_of,
    )
    from timebank_chain.attention.monitor.suspicion import SuspicionSettings, suspects

    settings = SuspicionSettings(rate=rate, min_acts=min_acts)
    table = read_activity(activity)
    if not len(table):
        raise UsageError("the activity table has no act", hint="ingest some first")
    end_ms = last_settled_ms(table) if until is None else _time(until)
    given = Praise.none() if praise is None else read_praise(praise)
    who = None if offers is None else {row[0]: row[1] for row in read_pairs(offers, ("id", "offer"))}
    start_ms = end_ms - duration(span, "--span")
    now, earlier = spans_of(table, given, start_ms=start_ms, end_ms=end_ms, who=who)
    found = suspects(now, earlier, settings)
    what = "member" if offers is None else "offer"
    if as_json:
        body = {
            "startMs": start_ms,
            "endMs": end_ms,
            "judged": what,
            "threshold": found.threshold,
            "rate": found.rate,
            "reference": found.reference,
            "unscored": found.unscored,
            "held": len(found.held),
            "found": [one.to_json() for one in found.found[:top]],
        }
        print_json("timebank.attention.suspects/1", body)
        return
    _show(found, what, start_ms, end_ms, top)


def _show(found: Verdict, what: str, start_ms: int, end_ms: int, top: int) -> None:
    print_table(
        f"Acts that settled from {format_time(start_ms)} to {format_time(end_ms)}",
        [what, ">acts", ">engagement", ">expected", ">score", "", "why"],
        [
            (
                one.who,
                one.acts,
                f"{one.reported:.2f}",
                f"{one.expected:.2f}",
                f"{one.score:.2f}",
                "would be held" if one.held else "",
                "; ".join(reason.text for reason in one.reasons) if one.held else one.reasons[0].measure,
            )
            for one in found.found[:top]
        ],
    )
    against = (
        f"{found.reference} earlier scores"
        if found.reference
        else "the present ones, for lack of earlier: at most that share is held, whoever they are"
    )
    out().print(
        f"{len(found.held)} of {len(found.found)} {what}s are beyond {found.threshold:.2f}, where at most "
        f"{found.rate:.1%} of honest ones are, judged by {against}; {found.unscored} have too few acts",
        markup=False,
    )


def _time(text: str) -> int:
    try:
        return int(parse_time(text))
    except ValueError as error:
        raise UsageError(f"--until: {error}", hint="write 2026-01-31T12:00:00Z") from None
