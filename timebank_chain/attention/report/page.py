"""One HTML page a run: words, tables and pictures, nothing loaded from elsewhere and no script in it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from timebank_chain.attention.pictures import picture_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 2rem auto; }
h1 { font-size: 1.7rem; }
h2 { font-size: 1.25rem; margin-top: 2.5rem; border-top: 1px solid #ccc; padding-top: 1rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .75rem; text-align: left; border-bottom: 1px solid #ddd; }
th.number, td.number { text-align: right; }
caption { text-align: left; color: #555; }
img { max-width: 100%; height: auto; }
.warning { background: #fff4e5; border-left: 4px solid #c05621; padding: .5rem 1rem; }
nav li { display: inline; margin-right: 1rem; }
footer { margin-top: 3rem; color: #666; font-size: .85rem; overflow-wrap: anywhere; }
""".strip()


@dataclass(frozen=True)
class Table:
    """Rows under columns; a column whose title begins with ``>`` is of numbers, as in `print_table`."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class Picture:
    """What to draw, and in words what is on it, for who does not see it."""

    draw: Callable[[], Figure]
    words: str


@dataclass
class Section:
    """A part of the page: a heading and what stands under it, in order.

    ``warning`` is shown first and marked, ``source`` in the page's foot: what the part was made from.
    """

    title: str
    source: str
    warning: str | None = None
    parts: list[str | Table | Picture] = field(default_factory=list)


def render(title: str, made: str, sections: Sequence[Section]) -> str:
    """Return a page as HTML; the same sections give the same bytes.

    Parameters
    ----------
    title, made
        Of what the page is, and when it was made (shown under the title).
    sections
        What is on it, in order.
    """
    links = "".join(
        f'<li><a href="#part-{number}">{escape(one.title)}</a></li>'
        for number, one in enumerate(sections, start=1)
    )
    body = "".join(_section(number, one) for number, one in enumerate(sections, start=1))
    sources = "".join(f"<li>{escape(one.title)}: {escape(one.source)}</li>" for one in sections)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body><h1>{escape(title)}</h1>"
        f"<p>{escape(made)}</p><nav><ul>{links}</ul></nav>\n{body}"
        f"<footer>Made from<ul>{sources}</ul></footer></body></html>\n"
    )


def _section(number: int, section: Section) -> str:
    warning = f'<p class="warning">{escape(section.warning)}</p>' if section.warning else ""
    parts = "".join(_part(one) for one in section.parts)
    return f'<section id="part-{number}"><h2>{escape(section.title)}</h2>{warning}{parts}</section>\n'


def _part(part: str | Table | Picture) -> str:
    if isinstance(part, str):
        return f"<p>{escape(part)}</p>"
    if isinstance(part, Table):
        return _table(part)
    image = base64.b64encode(picture_bytes(part.draw, "svg")).decode("ascii")
    return f'<p><img src="data:image/svg+xml;base64,{image}" alt="{escape(part.words)}"></p>'


def _table(table: Table) -> str:
    numbers = [title.startswith(">") for title in table.columns]

    def row(cells: Sequence[object], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=' + chr(34) + 'number' + chr(34) if number else ''}>{escape(str(cell))}</{tag}>"
            for cell, number in zip(cells, numbers, strict=True)
        )

    head = row([title.removeprefix(">") for title in table.columns], "th")
    body = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in table.rows)
    return f"<table><caption>{escape(table.caption)}</caption><tr>{head}</tr>{body}</table>"
