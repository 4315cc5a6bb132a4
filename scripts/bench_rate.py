"""How the floating rate settles under a constant demand, what an adversary can do to it, and what it costs.

Usage: .venv/bin/python scripts/bench_rate.py [--epochs N] [--svg FILE] [--json]

Each epoch earns the same value; what it mints is that value times the rate, and what is spent in it is the
scenario's. The rate is the specification's (``timebank_chain/spec/floating_rate.py``), which is the
contract's integer by integer (``tests/parity``). One demand is random, of a fixed seed.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from html import escape
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.table import Table

from timebank_chain.spec.floating_rate import MAX_DOUBLINGS, bounded_move, excess_after, max_move, rate
from timebank_chain.units import MICRO, Q24

#: Micro-credits honest members spend in an epoch.
DEMAND = 1_000_000 * MICRO
#: Of payments, in hundredths of a percent: the usual one.
FEE_BPS = 50
ONE_BPS = 10_000
#: More than any bound lets through.
FLOOD = 1_000_000 * DEMAND

#: (epoch, what it mints, the excess before it) -> micro-credits spent.
Demand = Callable[[int, int, int], int]


@dataclass(frozen=True)
class Run:
    """One scenario: rates (Q24) and mints (micro-credits) of its epochs, and the excess at its end."""

    name: str
    rates: tuple[int, ...]
    mints: tuple[int, ...]
    excess: int


def simulate(
    name: str, demand: Demand, *, epochs: int, step: int, value: int = DEMAND, excess: int = 0
) -> Run:
    """Run a scenario from a base rate of one credit per value.

    Parameters
    ----------
    value
        Micro-value earned in each epoch: what it mints at the base rate.
    """
    rates, mints = [], []
    for epoch in range(epochs):
        target = rate(Q24, excess, step)
        rates.append(bounded_move(rates[-1], target) if rates else target)
        mints.append(value * rates[-1] >> 24)
        excess = excess_after(excess, step, demand(epoch, mints[-1], excess), mints[-1])
    return Run(name, tuple(rates), tuple(mints), excess)


def constant(_epoch: int, _mint: int, _excess: int) -> int:
    """Spend the same in each epoch."""
    return DEMAND


# ---------------------------------------------------------------- settling


@dataclass(frozen=True)
class Settling:
    """How a run under a constant demand settles.

    ``settled_after`` is the first epoch from which on each mints what is spent to within 1 % (``None``: it
    never does); ``swing`` the largest distance of the last ten epochs' mints from it, as a part of it.
    """

    start: float
    step_of_demand: float
    settled_after: int | None
    swing: float


def settling(start: float, step_of_demand: float, epochs: int) -> Settling:
    """Start where an epoch mints ``start`` times what is spent."""
    run = simulate("", constant, epochs=epochs, step=int(step_of_demand * DEMAND), value=int(start * DEMAND))
    far = [abs(mint - DEMAND) / DEMAND for mint in run.mints]
    outside = [epoch for epoch, distance in enumerate(far) if distance > 0.01]
    settled = outside[-1] + 1 if outside else 0
    return Settling(start, step_of_demand, settled if settled < epochs else None, max(far[-10:]))


# ---------------------------------------------------------------- adversaries


def adversaries(epochs: int, step: int) -> list[Run]:
    """Do all a demand can: too much, nothing, both in turn, as chance has it, and exactly the supply."""
    chance = random.Random(20_260_801)  # noqa: S311 - a demand, not a secret
    scenarios: list[tuple[str, Demand]] = [
        ("flood in every epoch", lambda *_: FLOOD),
        ("nothing is spent", lambda *_: 0),
        ("flood, then nothing, 40 epochs each", lambda epoch, *_: FLOOD if epoch // 40 % 2 == 0 else 0),
        ("flood at or below the base, nothing above", lambda *now: FLOOD if now[2] <= 0 else 0),
        ("all or nothing, by chance", lambda *_: chance.choice([0, FLOOD])),
        ("as much as is minted", lambda _epoch, mint, _excess: mint),
    ]
    return [simulate(name, demand, epochs=epochs, step=step) for name, demand in scenarios]


@dataclass(frozen=True)
class Reach:
    """How far and how fast a run's rate went, as parts of its base and of the rate before."""

    name: str
    lowest: float
    highest: float
    fastest_up: float
    fastest_down: float


def reach(run: Run) -> Reach:
    """Measure a run."""
    moves = [after / before for before, after in pairwise(run.rates)]
    return Reach(run.name, min(run.rates) / Q24, max(run.rates) / Q24, max(moves) - 1, 1 - min(moves))


# ---------------------------------------------------------------- what it costs


@dataclass(frozen=True)
class Circle:
    """Credits paid back and forth once, in an economy that has settled.

    ``minted_more`` is what all later epochs mint more for it, ``pays_above`` the part of all value from which
    on whoever paid gets more credits back than the fee was; both are parts (of what was paid, and of one).
    """

    step_of_demand: float
    paid: int
    fee: int
    minted_more: float
    pays_above: float


def circle(step_of_demand: float, epochs: int) -> Circle:
    """Pay in one epoch as much as the bound lets count."""
    step = int(step_of_demand * DEMAND)
    paid = max_move(step)
    fee = -(-paid * FEE_BPS // ONE_BPS)
    still = simulate("", constant, epochs=epochs, step=step)
    moved = simulate("", lambda epoch, *_: DEMAND + paid * (epoch == 0), epochs=epochs, step=step)
    more = (sum(moved.mints) - sum(still.mints)) / paid
    return Circle(step_of_demand, paid, fee, more, fee / paid / more)


@dataclass(frozen=True)
class Holding:
    """The fees of driving the rate up as fast as it goes and holding it there, in parts of the demand.

    ``doublings`` above where it settles; ``epochs`` until there; ``to_get_there`` and ``each_epoch_then``.
    """

    doublings: int
    epochs: int
    to_get_there: float
    each_epoch_then: float


def holding(doublings: int, step: int) -> Holding:
    """Pay in circles beside the honest demand, as little as will do."""
    excess, fees, epochs = 0, 0, 0
    while excess < doublings * step:
        mint = DEMAND * rate(Q24, excess, step) >> 24
        wanted = min(max_move(step), doublings * step - excess)
        fees += (mint - DEMAND + wanted) * FEE_BPS // ONE_BPS
        excess = excess_after(excess, step, mint + wanted, mint)
        epochs += 1
    later = ((DEMAND * rate(Q24, excess, step) >> 24) - DEMAND) * FEE_BPS // ONE_BPS
    return Holding(doublings, epochs, fees / DEMAND, later / DEMAND)


# ---------------------------------------------------------------- the plot

WIDTH, LEFT, RIGHT, TOP, HEIGHT, GAP, FOOT = 860, 60, 276, 58, 230, 62, 48
PLOT = WIDTH - LEFT - RIGHT
#: Colours told apart by people who see few of them, each with dashes of its own.
STYLES = (
    ("#1b4965", ""),
    ("#c44536", "7 3"),
    ("#2a9d8f", "2 3"),
    ("#8d5a97", "9 3 2 3"),
    ("#b5651d", "4 2"),
    ("#4f772d", "12 4"),
)


def draw(settle: Sequence[Run], hostile: Sequence[Run], step_of_demand: float) -> str:
    """Return the plot: plain SVG, two panels over the same epochs, both axes of parts in doublings."""
    epochs = len(settle[0].rates)
    height = TOP + 2 * HEIGHT + GAP + FOOT
    lower = TOP + HEIGHT + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" font-family="sans-serif" font-size="12" fill="#222">',
        "<title>The floating rate</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{LEFT}" y="20" font-size="15" font-weight="bold">The floating rate: '
        f"step = {step_of_demand:g} epochs of spending</text>",
        f'<text x="{LEFT}" y="{TOP - 12}" fill="#444">constant demand: what an epoch mints, as a part of '
        "what is spent</text>",
        f'<text x="{LEFT}" y="{lower - 12}" fill="#444">adversarial demand: the rate, as a part of its base '
        "(bounds: 1/16 and 16)</text>",
    ]
    parts += panel([(run.name, [mint / DEMAND for mint in run.mints]) for run in settle], TOP)
    parts += panel([(run.name, [now / Q24 for now in run.rates]) for run in hostile], lower)
    for epoch in range(0, epochs + 1, max(1, epochs // 6)):
        x, foot = LEFT + PLOT * epoch / (epochs - 1), lower + HEIGHT
        if x <= LEFT + PLOT + 1:
            parts.append(f'<line x1="{x:.1f}" y1="{foot}" x2="{x:.1f}" y2="{foot + 5}" stroke="#888"/>')
            parts.append(f'<text x="{x:.1f}" y="{foot + 19}" text-anchor="middle">{epoch}</text>')
    parts.append(
        f'<text x="{LEFT + PLOT // 2}" y="{lower + HEIGHT + 38}" text-anchor="middle" '
        'fill="#444">epochs</text>'
    )
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def panel(lines: Sequence[tuple[str, Sequence[float]]], top: int) -> list[str]:
    """Draw lines over a grid of doublings, from a sixteenth to sixteen times."""

    def y_of(part: float) -> float:
        return top + HEIGHT * (MAX_DOUBLINGS - math.log2(part)) / (2 * MAX_DOUBLINGS)

    parts = []
    for doublings in range(-MAX_DOUBLINGS, MAX_DOUBLINGS + 1):
        y = y_of(2.0**doublings)
        strong = "#888" if doublings in (0, -MAX_DOUBLINGS, MAX_DOUBLINGS) else "#e3e3e3"
        word = str(2**doublings) if doublings >= 0 else f"1/{2**-doublings}"
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{LEFT + PLOT}" y2="{y:.1f}" stroke="{strong}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#444">{word}</text>')
    for number, (name, amounts) in enumerate(lines):
        colour, dashes = STYLES[number % len(STYLES)]
        pattern = f' stroke-dasharray="{dashes}"' if dashes else ""
        points = " ".join(
            f"{LEFT + PLOT * at / (len(amounts) - 1):.1f},{y_of(part):.1f}" for at, part in enumerate(amounts)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{pattern}/>')
        x, y = LEFT + PLOT + 14, top + 10 + number * 24
        parts.append(
            f'<line x1="{x}" y1="{y}" x2="{x + 26}" y2="{y}" stroke="{colour}" stroke-width="2"{pattern}/>'
        )
        parts.append(f'<text x="{x + 32}" y="{y + 4}" font-size="11">{escape(name)}</text>')
    return parts


# ---------------------------------------------------------------- the figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench_rate.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--epochs", type=int, default=240, metavar="N", help="epochs of each run (default: 240)"
    )
    parser.add_argument("--svg", type=Path, metavar="FILE", help="also draw the plot")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args(arguments)
    if options.epochs < 80:
        parser.error("at least 80 epochs: the slowest run takes that many to settle")
    shown_step = 2
    settled = [settling(start, step, options.epochs) for step in (1, 2, 4, 8) for start in (8, 1 / 8)]
    settled += [settling(8, step, options.epochs) for step in (0.4, 0.25, 0.1)]
    hostile = adversaries(options.epochs, shown_step * DEMAND)
    reached = [reach(run) for run in hostile]
    circles = [circle(step, 40 * options.epochs) for step in (1, 4, 16)]
    held = [holding(doublings, shown_step * DEMAND) for doublings in (1, 2, MAX_DOUBLINGS)]
    drift = abs(hostile[-1].excess)
    if options.svg:
        starts = [
            simulate(
                f"from {start:g} times as much" if start >= 1 else f"from 1/{1 / start:g} of it",
                constant,
                epochs=options.epochs,
                step=shown_step * DEMAND,
                value=int(start * DEMAND),
            )
            for start in (15, 4, 1, 1 / 4, 1 / 15)
        ]
        options.svg.write_text(draw(starts, hostile, shown_step), encoding="utf-8")
    if options.json:
        document = {
            "schema": "timebank.bench.rate/1",
            "settling": [asdict(one) for one in settled],
            "adversaries": [asdict(one) for one in reached],
            "drift_micro": drift,
            "circles": [asdict(one) for one in circles],
            "holding": [asdict(one) for one in held],
        }
        print(json.dumps(document, indent=1))
        return 0
    _print(settled, reached, circles, held, drift, shown_step)
    if options.svg:
        print(f"wrote {options.svg}", file=sys.stderr)
    return 0


def _print(
    settled: Sequence[Settling],
    reached: Sequence[Reach],
    circles: Sequence[Circle],
    held: Sequence[Holding],
    drift: int,
    step: float,
) -> None:
    console = Console()
    table = Table("first epoch mints", "step", "within 1 % after", "largest distance in the last ten")
    for one in settled:
        after = "never: it swings" if one.settled_after is None else f"{one.settled_after} epochs"
        table.add_row(
            f"{one.start:g} of the demand",
            f"{one.step_of_demand:g} epochs' demand",
            after,
            f"{one.swing:.3%}",
        )
    console.print("Constant demand", table)
    table = Table("demand", "lowest", "highest", "fastest up", "fastest down")
    for two in reached:
        table.add_row(
            two.name,
            f"{two.lowest:.4f}",
            f"{two.highest:.4f}",
            f"{two.fastest_up:.4%}",
            f"{two.fastest_down:.4%}",
        )
    console.print(
        f"Adversarial demand, step of {step:g} epochs' demand: the rate as a part of its base", table
    )
    console.print(f"drift where each epoch spends what it mints: {drift} micro-credits of excess")
    table = Table("step", "paid in a circle", "fee", "minted more, per credit paid", "pays who earns above")
    for three in circles:
        table.add_row(
            f"{three.step_of_demand:g} epochs' demand",
            f"{three.paid / DEMAND:.3f} epochs' demand",
            f"{three.fee / DEMAND:.4%} of it",
            f"{three.minted_more:.4f}",
            f"{three.pays_above:.3%} of all value",
        )
    console.print(f"Credits paid back and forth once, at a fee of {FEE_BPS / 100:g} %", table)
    table = Table("doublings", "epochs", "fees until there", "fees in each epoch then")
    for four in held:
        table.add_row(
            str(four.doublings),
            str(four.epochs),
            f"{four.to_get_there:.2%} of the demand",
            f"{four.each_epoch_then:.2%} of the demand",
        )
    console.print(f"Holding the rate up by paying in circles, step of {step:g} epochs' demand", table)


if __name__ == "__main__":
    sys.exit(main())
