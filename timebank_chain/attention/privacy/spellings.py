"""Whether a cell may be an id that somebody, or some program, wrote in another way.

A column of ids is matched whole, and that passes over an id of digits where a spreadsheet has been at it:
``4,711``, ``4.711e3``, ``04711``. Nothing is erased on such a likeness, because another member may be meant;
it is a doubt, and whoever erases is told of it.

========================= ===========================================================================
a number of equal value   thousands parted by any mark, zeros in front or behind, an exponent, a sign,
                          digits of other scripts; a value that was rounded to fewer digits
a word of the cell        ``4711;4712``, ``https://example.org/users/ben``, ``#4711``, ``Ben``
========================= ===========================================================================
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

#: Digits in groups, with what may part them or begin a fraction; then an exponent.
_NUMBER = re.compile(r"([+-]?)([0-9][0-9.,'’_\s٬٫]*)(?:[eE]([+-]?[0-9]{1,3}))?")
_PARTS = re.compile(r"[^0-9]")
#: A fraction cannot be two ids in a list, as ``12,4711`` can.
_FRACTION = re.compile(r"[+-]?[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]{1,3})?")
#: What parts words: spaces and marks of every kind.
_BETWEEN = re.compile(r"[\W_]+")
#: Longer cells are looked into for words alone; an exponent may add a thousand digits, longer ids equal none.
_LONGEST, _MOST_DIGITS = 64, 1_100
_MOST_SHOWN = 3
#: Of texts that are neither UTF-8 nor wide: Chinese, Japanese, Korean, and the alphabets of Europe.
ENCODINGS = (
    "gb18030",
    "big5hkscs",
    "shift_jis",
    "euc_jp",
    "euc_kr",
    "cp1250",
    "cp1251",
    "cp1252",
    "cp1253",
    "cp1254",
    "koi8_r",
    "mac_roman",
)
#: What `surrogateescape` makes of bytes that are no UTF-8.
_FOREIGN_BYTES = re.compile("[\udc80-\udcff]")


def may_be(cell: str, names: Iterable[str]) -> bool:
    """Tell whether a cell may be one of some ids in another writing, or have it among its words.

    Parameters
    ----------
    cell
        As it stands in the column that holds members.
    names
        Ids, as the feed has them.

    Examples
    --------
    >>> [may_be(cell, ["4711"]) for cell in ("4,711", "4.711E+03", "04711", "4711;12", "4711.5", "14711")]
    [True, True, True, True, False, False]
    >>> may_be("1.23457E+11", ["123456789012"])
    True
    """
    text = _plain(cell)
    if _FRACTION.fullmatch(text):
        return equals(text, names)
    folded = text.casefold()
    words = {*_BETWEEN.split(folded), "".join(folded.split())}
    if any(name.casefold() in words for name in names):
        return True
    return any(equals(one, names) for one in {text, *words})


def equals(cell: str, names: Iterable[str]) -> bool:
    """Tell whether a cell as a whole is a number that one of some ids is, however it is written."""
    text = _plain(cell)
    numbers = (int(name) for name in names if name.isdecimal() and len(name) <= _MOST_DIGITS)
    return any(_equal(text, number) for number in numbers)


def has_foreign_bytes(cell: str) -> bool:
    """Tell whether a cell was no UTF-8, so that a name with letters beyond ASCII is not recognised in it."""
    return _FOREIGN_BYTES.search(cell) is not None


@dataclass
class Doubts:
    """Cells that may be an id in another writing, counted, and a few of them to show."""

    count: int = 0
    shown: list[str] = field(default_factory=list)

    def add(self, cell: str) -> None:
        """Take a cell in."""
        self.count += 1
        if cell not in self.shown and len(self.shown) < _MOST_SHOWN:
            self.shown.append(cell)

    def told(self, where: str) -> str:
        """Say so; empty where there is none."""
        if not self.count:
            return ""
        more = ", ..." if self.count > len(self.shown) else ""
        cells = ", ".join(f"{one:.40}" for one in self.shown)
        return f"{self.count:,} {where} may be the id in another writing ({cells}{more}): erase that one too"


def in_other_encodings(name: str) -> frozenset[str]:
    """Return what a name written in the encodings before UTF-8 looks like where it is read as UTF-8.

    Two Chinese characters in GBK now and then are valid UTF-8, of other letters.
    """
    found = set()
    for encoding in () if name.isascii() else ENCODINGS:
        with suppress(UnicodeEncodeError):
            found.add(name.encode(encoding).decode("utf-8", "surrogateescape"))
    return frozenset(found)


def _plain(text: str) -> str:
    """Return a text in its compatible form, digits in Latin, without what is not seen."""
    text = text.strip()
    if text.isascii() and text.isprintable():
        return text
    normal = unicodedata.normalize("NFKC", text)
    seen = (one for one in normal if one.isspace() or unicodedata.category(one) not in ("Cc", "Cf"))
    return "".join(one if (digit := unicodedata.decimal(one, None)) is None else str(digit) for one in seen)


def _equal(text: str, number: int) -> bool:
    """Tell whether a text can be read as a number, or as what it is when rounded to the digits shown."""
    if len(text) > _LONGEST or (found := _NUMBER.fullmatch(text)) is None or found[1] == "-":
        return False
    exponent = int(found[3] or 0)
    groups = [group for group in _PARTS.split(found[2]) if group]
    # Every mark parts thousands; or the last one begins a fraction.
    readings = [("".join(groups), "")]
    if len(groups) > 1:
        readings.append(("".join(groups[:-1]), groups[-1]))
    return any(_shows(int(whole + part), exponent - len(part), number) for whole, part in readings)


def _shows(digits: int, power: int, number: int) -> bool:
    """Tell whether digits x 10**power are a number; it may have been rounded to as many."""
    unit: int = 10 ** abs(power)
    if power <= 0:
        return digits == number * unit
    return 2 * abs(digits * unit - number) <= unit
