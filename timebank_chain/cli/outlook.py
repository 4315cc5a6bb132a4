"""``timebank wallet outlook``: what an account is worth today and will be later, and which standing fades."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timebank_chain.cli.loan_warnings import read_warnings, say_warnings
from timebank_chain.cli.options import (
    DEFAULT_RPC_URL,
    Account,
    AsJson,
    DeploymentFile,
    EpochsFolder,
    FromAddress,
    Keystore,
    RpcUrl,
    account_of,
    open_system,
)
from timebank_chain.cli.outlook_chart import draw
from timebank_chain.cli.output import out, print_json, print_table, say
from timebank_chain.cli.pictures import check_place, write_picture
from timebank_chain.errors import UsageError
from timebank_chain.units import format_duration, format_micro, format_time

if TYPE_CHECKING:
    from timebank_chain.chain.outlook import CalendarEntry, Outlook, OutlookRow, StandingOutlook

DAY = 86_400
DEFAULT_DAYS = (7, 30, 90)
#: Further than the contracts' longest lease or loan nothing is known.
MAX_DAYS = 1_460
#: Points of the chart beside the dates themselves.
CHART_STEPS = 60
_SHOWN_EPOCHS = 12


def command(
    account: Account = None,
    days: Annotated[
        list[int] | None,
        typer.Option("--days", metavar="N", help="Look so many days ahead; repeat it (default: 7, 30, 90)."),
    ] = None,
    epochs: EpochsFolder = None,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Also draw it as a chart.")
    ] = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    sender: FromAddress = None,
    as_json: AsJson = False,
) -> None:
    """Say what an account is worth today and in 7, 30 and 90 days, what falls due, which standing fades.

    What is marked ~ is an estimate: pending income is released as the bank does it, to the deposits there
    are today, and the pool's rate stays what it is. Standing and claimable credits need --epochs. Loans that
    are overdue, failed or not covered any more are warned of, with the command that puts it right.

    Example: timebank wallet outlook 0x... --epochs epochs --svg outlook.svg
    """
    from timebank_chain.chain.outlook import read_outlook

    ahead = sorted(set(days or DEFAULT_DAYS))
    if ahead[0] < 1 or ahead[-1] > MAX_DAYS:
        raise UsageError(f"--days: {ahead[0]} to {ahead[-1]}", hint=f"1 to {MAX_DAYS} days ahead")
    if svg is not None:
        check_place(svg)
    whose = account_of(account, keystore, sender)
    timebank = open_system(rpc_url, deployment)
    basis = read_outlook(timebank, whose, epochs=epochs)
    warnings = read_warnings(timebank, basis.portfolio)
    now = basis.portfolio.time
    seen = basis.at([now, *(now + number * DAY for number in ahead)])
    if svg is not None:
        horizon = ahead[-1] * DAY
        curve = sorted({now + horizon * step // CHART_STEPS for step in range(CHART_STEPS + 1)})
        # A deposit's worth jumps when it matures: a point on either side draws the step as a step.
        jumps = {moment for entry in seen.calendar for moment in (entry.time - 1, entry.time)}
        curve = sorted({*curve, *(moment for moment in jumps if now <= moment <= now + horizon)})
        write_picture(svg, draw(basis.at(curve), ahead).encode())
    if as_json:
        rest = {"warnings": [one.to_json() for one in warnings], "svg": str(svg) if svg else None}
        print_json("timebank.wallet.outlook/1", {**_document(seen), **rest})
        return
    _print(seen, ["today", *(f"in {_days(number)}" for number in ahead)])
    if epochs is None:
        say("standing and claimable credits: add --epochs DIR")
    if svg is not None:
        say(f"chart: {svg}")
    say_warnings(warnings)


def _days(number: int) -> str:
    return "1 day" if number == 1 else f"{number} days"


def _print(seen: Outlook, columns: list[str]) -> None:
    right = [f">{name}" for name in columns]
    rows: list[list[object]] = [[_name(row), *_cells(row)] for row in seen.rows]
    rows.append(["owed", *(format_micro(amount) for amount in seen.total(owed=True))])
    rows.append(["worth, less what is owed", *(format_micro(amount) for amount in seen.net)])
    print_table(f"{seen.account}, block {seen.block}, credits", ["", *right], rows)
    if seen.calendar:
        print_table(
            "What falls due",
            ["when", "in", "what", ">credits"],
            [_due(seen, entry) for entry in seen.calendar],
        )
    for standing in seen.standings:
        _print_standing(standing, right)
    if not all(exact for row in seen.rows for exact in row.exact):
        out().print("~ estimated: pending income by the bank's formula, the pool's rate as today")


def _name(row: OutlookRow) -> str:
    name = {"claimable": "to be claimed", "supply": "pool shares"}.get(row.kind, row.kind)
    return f"{'- ' if row.owed else ''}{name}" + (f" {row.number}" if row.number else "")


def _cells(row: OutlookRow) -> list[str]:
    return [
        ("" if exact else "~") + format_micro(amount)
        for amount, exact in zip(row.amounts, row.exact, strict=True)
    ]


def _due(seen: Outlook, entry: CalendarEntry) -> tuple[str, str, str, str]:
    seconds = entry.time - seen.dates[0]
    ahead = f"{seconds // DAY} d" if seconds >= DAY else format_duration(seconds * 1000)
    number = f" {entry.number}" if entry.number else ""
    return (
        format_time(entry.time * 1000),
        ahead if seconds > 0 else "now",
        f"{entry.kind}{number}",
        format_micro(entry.amount),
    )


def _print_standing(standing: StandingOutlook, columns: list[str]) -> None:
    rows: list[list[object]] = [
        ["standing", "", *(format_micro(left) for left in standing.left)],
        ["can be owed on it", "", *(format_micro(limit) for limit in standing.limits)],
    ]
    for part in standing.parts[:_SHOWN_EPOCHS]:
        name = "earlier, and rounding" if part.epoch is None else f"of epoch {part.epoch}"
        rows.append([name, format_micro(part.earned), *(format_micro(left) for left in part.left)])
    rest = standing.parts[_SHOWN_EPOCHS:]
    if rest:
        sums = zip(*(part.left for part in rest), strict=True)
        rows.append([f"of {len(rest)} more epochs", "", *(format_micro(sum(left)) for left in sums)])
    print_table(
        f"Standing of {standing.account}, epoch {standing.epoch}; what fades most first",
        ["", ">earned", *columns],
        rows,
    )


def _document(seen: Outlook) -> dict[str, Any]:
    return {
        "account": seen.account,
        "block": seen.block,
        "dates": list(seen.dates),
        "rows": [
            {
                "kind": row.kind,
                "number": row.number,
                "owed": row.owed,
                "amounts_micro": list(row.amounts),
                "estimated": [not exact for exact in row.exact],
            }
            for row in seen.rows
        ],
        "assets_micro": list(seen.total(owed=False)),
        "owed_micro": list(seen.total(owed=True)),
        "net_micro": list(seen.net),
        "calendar": [
            {
                "time": entry.time,
                "kind": entry.kind,
                "number": entry.number,
                "amount_micro": entry.amount,
            }
            for entry in seen.calendar
        ],
        "standings": [
            {
                "account": one.account,
                "epoch": one.epoch,
                "end_ms": one.end_ms,
                "standing_micro": one.standing,
                "left_micro": list(one.left),
                "limits_micro": list(one.limits),
                "epochs": [
                    {"epoch": part.epoch, "earned_micro": part.earned, "left_micro": list(part.left)}
                    for part in one.parts
                ],
            }
            for one in seen.standings
        ],
    }
