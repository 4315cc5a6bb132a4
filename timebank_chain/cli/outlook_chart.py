"""The outlook as a chart: plain SVG, two panels over one time axis, nothing else needed to draw it.

Credits stand above, standing below: they have different units. Text names what a colour means, dashes tell
lines apart without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from timebank_chain.units import MICRO, format_time

if TYPE_CHECKING:
    from timebank_chain.chain.outlook import Outlook

DAY = 86_400
WIDTH, LEFT, RIGHT, TOP = 860, 84, 196, 52
PLOT_WIDTH = WIDTH - LEFT - RIGHT
CREDITS_HEIGHT, STANDING_HEIGHT, GAP, FOOT = 260, 150, 46, 64
#: Colours told apart by people who see few of them, each with dashes of its own.
_STYLES = {
    "worth, less what is owed": ("#1b4965", ""),
    "deposits": ("#2a9d8f", "7 3"),
    "pool shares": ("#8d5a97", "2 3"),
    "owed": ("#c44536", "9 3 2 3"),
}
_STANDING_STYLES = (("#b5651d", ""), ("#5f6caf", "7 3"), ("#4f772d", "2 3"), ("#7d4f50", "9 3 2 3"))


@dataclass(frozen=True)
class _Line:
    name: str
    amounts: tuple[int, ...]
    colour: str
    dashes: str


def draw(seen: Outlook, days: Sequence[int]) -> str:
    """Return the chart.

    Parameters
    ----------
    seen
        The outlook at the points of the curve, the first today, the last the farthest day.
    days
        The days ahead that are marked on the axis.
    """
    credit_lines, standing_lines = _credit_lines(seen), _standing_lines(seen)
    bottom = TOP + CREDITS_HEIGHT
    height = bottom + FOOT + (GAP + STANDING_HEIGHT if standing_lines else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" font-family="sans-serif" font-size="12" fill="#222">',
        f"<title>Outlook of {escape(seen.account)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{LEFT}" y="20" font-size="15" font-weight="bold">Outlook of {escape(seen.account)}</text>',
        f'<text x="{LEFT}" y="37" fill="#666">from {format_time(seen.dates[0] * 1000)}, block {seen.block}; '
        "estimated where income or interest is involved</text>",
    ]
    parts += _panel(seen.dates, credit_lines, TOP, CREDITS_HEIGHT, "credits")
    if standing_lines:
        bottom += GAP + STANDING_HEIGHT
        parts += _panel(
            seen.dates, standing_lines, bottom - STANDING_HEIGHT, STANDING_HEIGHT, "standing (value)"
        )
    parts += _time_axis(seen.dates, days, bottom)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _credit_lines(seen: Outlook) -> list[_Line]:
    deposits = [row.amounts for row in seen.rows if row.kind == "deposit"]
    supply = [row.amounts for row in seen.rows if row.kind == "supply"]
    named = [("worth, less what is owed", seen.net)]
    for name, rows in (("deposits", deposits), ("pool shares", supply)):
        if rows:
            named.append((name, tuple(sum(amounts) for amounts in zip(*rows, strict=True))))
    if any(seen.total(owed=True)):
        named.append(("owed", seen.total(owed=True)))
    return [_Line(name, amounts, *_STYLES[name]) for name, amounts in named]


def _standing_lines(seen: Outlook) -> list[_Line]:
    named = []
    for one in seen.standings[: len(_STANDING_STYLES)]:
        name = "standing" if one.account == seen.account else f"of {one.account[:8]}..."
        named.append((name, one.left))
    return [
        _Line(name, amounts, *style) for (name, amounts), style in zip(named, _STANDING_STYLES, strict=False)
    ]


def _panel(dates: Sequence[int], lines: Sequence[_Line], top: int, height: int, unit: str) -> list[str]:
    lowest = min(0, *(min(line.amounts) for line in lines))
    highest = max(1, *(max(line.amounts) for line in lines))
    step = _step(highest - lowest, height // 40)
    low, high = lowest // step * step, -(-highest // step) * step

    def y_of(amount: int) -> float:
        return top + height * (high - amount) / (high - low)

    parts = [
        f'<text transform="translate(16 {top + height // 2}) rotate(-90)" text-anchor="middle" '
        f'fill="#444">{escape(unit)}</text>'
    ]
    for amount in range(low, high + 1, step):
        y = y_of(amount)
        strong = "#888" if amount == 0 else "#e3e3e3"
        parts.append(
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{LEFT + PLOT_WIDTH}" y2="{y:.1f}" stroke="{strong}"/>'
        )
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#444">{_short(amount)}</text>'
        )
    for number, line in enumerate(lines):
        points = " ".join(
            f"{_x_of(dates, date):.1f},{y_of(amount):.1f}"
            for date, amount in zip(dates, line.amounts, strict=True)
        )
        pattern = f' stroke-dasharray="{line.dashes}"' if line.dashes else ""
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{line.colour}" stroke-width="2"{pattern}/>'
        )
        x, y = LEFT + PLOT_WIDTH + 14, top + 10 + number * 34
        parts.append(
            f'<line x1="{x}" y1="{y}" x2="{x + 26}" y2="{y}" stroke="{line.colour}" '
            f'stroke-width="2"{pattern}/>'
        )
        parts.append(f'<text x="{x + 32}" y="{y + 4}">{escape(line.name)}</text>')
        parts.append(
            f'<text x="{x + 32}" y="{y + 18}" fill="#666" font-size="11">'
            f"{_short(line.amounts[0])} to {_short(line.amounts[-1])}</text>"
        )
    return parts


def _time_axis(dates: Sequence[int], days: Sequence[int], bottom: int) -> list[str]:
    """Mark today and the days asked for, from top to bottom; words that would meet others are left out."""
    parts: list[str] = []
    worded: list[float] = []
    dated: list[float] = []
    # Today and the horizon have their words first; the days between have them where there is room.
    for number in (0, days[-1], *days[:-1]):
        x = _x_of(dates, dates[0] + number * DAY)
        parts.append(
            f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom + 5}" stroke="#bbb" '
            'stroke-dasharray="1 3"/>'
        )
        if all(abs(x - other) >= 40 for other in worded):
            worded.append(x)
            word = "today" if number == 0 else f"{number} d"
            parts.append(f'<text x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{word}</text>')
            if all(abs(x - other) >= 76 for other in dated):
                dated.append(x)
                day = format_time((dates[0] + number * DAY) * 1000)[:10]
                parts.append(
                    f'<text x="{x:.1f}" y="{bottom + 35}" text-anchor="middle" fill="#666" '
                    f'font-size="11">{day}</text>'
                )
    parts.append(
        f'<text x="{LEFT + PLOT_WIDTH // 2}" y="{bottom + 56}" text-anchor="middle" fill="#444">'
        "days from today</text>"
    )
    return parts


def _x_of(dates: Sequence[int], date: int) -> float:
    return LEFT + PLOT_WIDTH * (date - dates[0]) / max(1, dates[-1] - dates[0])


def _step(span: int, lines: int) -> int:
    """Return 1, 2 or 5 times a power of ten, so that at most so many lines cross the span."""
    power = 1
    while span > 10 * power * lines:
        power *= 10
    return next(power * factor for factor in (1, 2, 5, 10) if span <= power * factor * lines)


def _short(micro: int) -> str:
    """Write millionths with as many decimals as are there: ``2500000`` gives ``2.5``."""
    sign = "-" if micro < 0 else ""
    whole, rest = divmod(abs(micro), MICRO)
    return f"{sign}{whole:,}.{rest:06d}".rstrip("0").rstrip(".")
