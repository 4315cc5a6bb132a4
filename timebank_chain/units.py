"""Units of the ledger: what an integer means, and which way it is rounded.

Money, value, time and weights are plain ``int`` everywhere; the names below say which. No float
reaches a leaf, a header or a transaction.

============== =============================== ==========================
name           unit                            range
============== =============================== ==========================
Milliseconds   Unix time or duration, ms       0 .. 2**48 - 1
MilliRank      rank in thousandths             0 .. 10_000
MicroValue     value in millionths             signed 64 bit
MicroCredit    credit in millionths            0 .. 2**63 - 1
WeightQ31      decay weight, 2**31 = 1.0       0 .. 2**31
RateQ24        micro-credits per micro-value   0 .. 2**64 - 1, 2**24 = 1.0
============== =============================== ==========================
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import NewType

Milliseconds = NewType("Milliseconds", int)
MilliRank = NewType("MilliRank", int)
MicroValue = NewType("MicroValue", int)
MicroCredit = NewType("MicroCredit", int)
WeightQ31 = NewType("WeightQ31", int)
RateQ24 = NewType("RateQ24", int)
EpochNumber = NewType("EpochNumber", int)

MICRO = 10**6
MILLI = 10**3
Q24 = 1 << 24
Q31 = 1 << 31
MAX_TIME_MS = (1 << 48) - 1
MAX_INDICATOR = (1 << 32) - 1
MAX_RANK_MILLI = 10_000
MAX_AMOUNT = (1 << 63) - 1

_DURATION_UNITS_MS = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}
# [0-9], not \d: digits of other scripts look like something else to whoever checks the amount.
_DURATION = re.compile(r"^\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d|w)\s*$")


def mul_div_down(a: int, b: int, divisor: int) -> int:
    """Return ``floor(a * b / divisor)`` for non-negative integers."""
    return a * b // divisor


def mul_div_up(a: int, b: int, divisor: int) -> int:
    """Return ``ceil(a * b / divisor)`` for non-negative integers."""
    return -(-(a * b) // divisor)


def parse_duration(text: str) -> Milliseconds:
    """Read ``100s``, ``90m``, ``36h``, ``30d``, ``2w`` or ``250ms`` as milliseconds.

    Raises
    ------
    ValueError
        If the unit is missing, or the duration is too long or not a whole, positive number of milliseconds.

    >>> parse_duration("100s")
    100000
    """
    match = _DURATION.match(text)
    if match is None:
        raise ValueError(f"not a duration: {text!r} (write a number and a unit: 100s, 90m, 36h, 30d, 2w)")
    ms = Decimal(match.group(1)) * _DURATION_UNITS_MS[match.group(2)]
    if ms > MAX_TIME_MS:
        raise ValueError(f"too long: {text!r}")
    if ms != ms.to_integral_value() or ms <= 0:
        raise ValueError(f"not a whole, positive number of milliseconds: {text!r}")
    return Milliseconds(int(ms))


def format_duration(ms: int) -> str:
    """Write a duration in the largest unit that divides it: ``604800000`` gives ``1w``."""
    for unit in ("w", "d", "h", "m", "s"):
        size = _DURATION_UNITS_MS[unit]
        if ms and ms % size == 0:
            return f"{ms // size}{unit}"
    return f"{ms}ms"


def parse_time(text: str) -> Milliseconds:
    """Read an ISO-8601 time with a zone, or integer Unix milliseconds.

    Raises
    ------
    ValueError
        If the text is no time, has no zone, is before 1970 or does not fit 48 bits.

    >>> parse_time("2026-01-01T00:00:00Z")
    1767225600000
    """
    stripped = text.strip()
    if re.fullmatch(r"[0-9]{1,15}", stripped):
        ms = int(stripped)
    else:
        try:
            moment = datetime.fromisoformat(stripped)
        except ValueError:
            raise ValueError(
                f"not a time: {text!r} (write 2026-01-31T12:00:00Z or Unix milliseconds)"
            ) from None
        if moment.tzinfo is None:
            raise ValueError(f"time without a zone: {text!r} (append Z for UTC, or an offset like +08:00)")
        delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
        ms = delta.days * 86_400_000 + delta.seconds * 1_000 + delta.microseconds // 1_000
    if not 0 <= ms <= MAX_TIME_MS:
        raise ValueError(f"time out of range: {text!r}")
    return Milliseconds(ms)


def format_time(ms: int) -> str:
    """Write Unix milliseconds as ISO-8601 in UTC."""
    seconds, rest = divmod(ms, 1_000)
    if ms > 253_402_300_799_999:
        return f"{ms}ms"
    stamp = datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stamp}.{rest:03d}Z" if rest else f"{stamp}Z"


def parse_credits(text: str) -> MicroCredit:
    """Read an amount of credits (``12.5``) as micro-credits; at most six decimals.

    Raises
    ------
    ValueError
        If the text is not a plain decimal, is not positive, or has more than six decimals.
    """
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text.strip()):
        raise ValueError(f"not an amount of credits: {text!r} (write 12 or 12.5)")
    try:
        micro = Decimal(text.strip()) * MICRO
    except InvalidOperation:
        raise ValueError(f"not an amount of credits: {text!r}") from None
    if micro != micro.to_integral_value():
        raise ValueError(f"more than six decimals: {text!r} (one credit is 1,000,000 micro-credits)")
    if not 0 < micro <= MAX_AMOUNT:
        raise ValueError(f"amount must be above 0 and at most {format_micro(MAX_AMOUNT)}: {text!r}")
    return MicroCredit(int(micro))


def format_coins(wei: int) -> str:
    """Write wei in the chain's own coin, exactly: ``50000000000000000`` gives ``0.05``."""
    whole, rest = divmod(wei, 10**18)
    return f"{whole:,}.{rest:018d}".rstrip("0").rstrip(".")


def format_micro(amount: int) -> str:
    """Write millionths with six decimals: ``269108441`` gives ``269.108441``."""
    sign = "-" if amount < 0 else ""
    whole, rest = divmod(abs(amount), MICRO)
    return f"{sign}{whole:,}.{rest:06d}"


def format_rate(rate_q24: int) -> str:
    """Write a rate as credits per value, and as the integer it is: ``1.062500 (Q24 17825792)``."""
    return f"{rate_q24 / Q24:.6f} (Q24 {rate_q24})"
