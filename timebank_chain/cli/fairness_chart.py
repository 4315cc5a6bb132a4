"""The fairness report as a picture: Lorenz curves beside the Gini epoch by epoch, plain SVG.

Colours and dashes are those of the outlook's chart: what a colour means stands in words, and dashes tell
lines apart without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from timebank_chain.chain.distribution import FairnessReport
    from timebank_chain.valuation.inequality import Inequality

LEFT, TOP, SIDE, GAP, RIGHT, FOOT = 66, 58, 330, 84, 24, 58
EPOCHS_WIDTH = 330
WIDTH = LEFT + SIDE + GAP + EPOCHS_WIDTH + RIGHT
HEIGHT = TOP + SIDE + FOOT
_STYLES = {
    "earned": ("earned", "#1b4965", ""),
    "held": ("held", "#2a9d8f", "7 3"),
    "received": ("received", "#8d5a97", "2 3"),
    "fees": ("fees paid", "#c44536", "9 3 2 3"),
}
_QUARTERS = (0, 25, 50, 75, 100)
_MOST_TICKS = 12


def draw(found: FairnessReport) -> str:
    """Return the picture of a report."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img" font-family="sans-serif" font-size="12" fill="#222">',
        "<title>How equally is shared out what members earn, hold, receive and pay</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="20" font-size="15" font-weight="bold">Who has how much, '
        f"of {found.people:,} people at block {found.block}</text>",
        f'<text x="{LEFT}" y="42" fill="#666">Lorenz: the poorest x % together have y %</text>',
        f'<text x="{LEFT + SIDE + GAP}" y="42" fill="#666">Gini of what was earned, epoch by epoch</text>',
    ]
    parts += _grid(LEFT, SIDE, "share of the people, %", "share of the amount, %")
    parts += _ticks([(LEFT + SIDE * percent / 100, str(percent)) for percent in _QUARTERS])
    parts.append(
        f'<line x1="{LEFT}" y1="{TOP + SIDE}" x2="{LEFT + SIDE}" y2="{TOP}" stroke="#888" '
        'stroke-dasharray="1 3"/>'
    )
    shown = [(name, one) for name, one in found.measures.items() if one is not None]
    for number, (name, one) in enumerate(shown):
        parts += _lorenz(name, one, number)
    parts += _grid(LEFT + SIDE + GAP, EPOCHS_WIDTH, "epoch", "")
    parts += _epochs(found)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _lorenz(name: str, one: Inequality, number: int) -> list[str]:
    words, colour, dashes = _STYLES[name]
    points = " ".join(
        f"{LEFT + SIDE * people / one.people:.1f},{_y_of(Fraction(amount, one.total))}"
        for people, amount in one.lorenz
    )
    x, y = LEFT + 12, TOP + 16 + number * 18
    legend = f"{words}: Gini {float(one.gini):.3f}"
    return [
        _line(points, colour, dashes),
        _line(f"{x},{y} {x + 26},{y}", colour, dashes),
        f'<text x="{x + 32}" y="{y + 4}">{escape(legend)}</text>',
    ]


def _epochs(found: FairnessReport) -> list[str]:
    left, count = LEFT + SIDE + GAP, len(found.epochs)
    places = [left + EPOCHS_WIDTH * (2 * number + 1) / (2 * count) for number in range(count)]
    _, colour, dashes = _STYLES["earned"]
    parts = _curve(places, [epoch.gini for epoch in found.epochs], colour, dashes)
    _, colour, dashes = _STYLES["held"]
    parts += _curve(places, [epoch.gini_active for epoch in found.epochs], colour, dashes)
    x, y = left + 12, TOP + SIDE - 34
    for number, (words, (_, colour, dashes)) in enumerate(
        (("all who are known", _STYLES["earned"]), ("those who earned", _STYLES["held"]))
    ):
        parts.append(_line(f"{x},{y + 18 * number} {x + 26},{y + 18 * number}", colour, dashes))
        parts.append(f'<text x="{x + 32}" y="{y + 4 + 18 * number}">{words}</text>')
    step = -(-count // _MOST_TICKS)
    return parts + _ticks(
        [(x, str(epoch.epoch)) for x, epoch in zip(places[::step], found.epochs[::step], strict=True)]
    )


def _curve(places: Sequence[float], values: Sequence[Fraction | None], colour: str, dashes: str) -> list[str]:
    dots = [(x, _y_of(value)) for x, value in zip(places, values, strict=True) if value is not None]
    parts = [_line(" ".join(f"{x:.1f},{y}" for x, y in dots), colour, dashes)] if len(dots) > 1 else []
    return parts + [f'<circle cx="{x:.1f}" cy="{y}" r="3" fill="{colour}"/>' for x, y in dots]


def _grid(left: int, width: int, below: str, beside: str) -> list[str]:
    parts = []
    for percent in _QUARTERS:
        y = _y_of(Fraction(percent, 100))
        strong = "#888" if percent == 0 else "#e3e3e3"
        label = f"{percent}" if beside else f"{percent / 100:g}"
        parts.append(f'<line x1="{left}" y1="{y}" x2="{left + width}" y2="{y}" stroke="{strong}"/>')
        parts.append(
            f'<text x="{left - 8}" y="{float(y) + 4:.1f}" text-anchor="end" fill="#444">{label}</text>'
        )
    parts.append(
        f'<text x="{left + width // 2}" y="{TOP + SIDE + 44}" text-anchor="middle" fill="#444">{below}</text>'
    )
    if beside:
        parts.append(
            f'<text transform="translate(18 {TOP + SIDE // 2}) rotate(-90)" text-anchor="middle" '
            f'fill="#444">{beside}</text>'
        )
    return parts


def _ticks(marks: Sequence[tuple[float, str]]) -> list[str]:
    return [
        f'<text x="{x:.1f}" y="{TOP + SIDE + 20}" text-anchor="middle" fill="#444">{word}</text>'
        for x, word in marks
    ]


def _line(points: str, colour: str, dashes: str) -> str:
    pattern = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{pattern}/>'


def _y_of(share: Fraction) -> str:
    return f"{TOP + SIDE * float(1 - share):.1f}"
