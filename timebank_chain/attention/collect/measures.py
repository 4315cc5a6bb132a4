"""Units: every kind of quantity in one unit, so that values of different sources can be compared.

A value is ``factor * value + shift`` in the base unit. Units not listed stay as they are; the quality
report names them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Conversion:
    """How a unit becomes its kind's base unit."""

    base: str
    factor: float
    shift: float = 0.0


_DAY = 86_400.0
CONVERSIONS: dict[str, Conversion] = {
    **{
        unit: Conversion("s", factor)
        for unit, factor in {
            "us": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "min": 60.0, "h": 3_600.0, "d": _DAY, "w": 7 * _DAY,
        }.items()
    },
    **{
        unit: Conversion("B", factor)
        for unit, factor in {
            "B": 1.0, "kB": 1e3, "KiB": 1_024.0, "MB": 1e6, "MiB": 2.0**20, "GB": 1e9, "GiB": 2.0**30,
        }.items()
    },
    **{
        unit: Conversion("m", factor)
        for unit, factor in {
            "mm": 1e-3, "cm": 1e-2, "m": 1.0, "km": 1e3, "in": 0.0254, "ft": 0.3048, "mi": 1_609.344,
        }.items()
    },
    "ratio": Conversion("ratio", 1.0),
    "%": Conversion("ratio", 0.01),
    "degC": Conversion("degC", 1.0),
    "degF": Conversion("degC", 5 / 9, -160 / 9),
    "K": Conversion("degC", 1.0, -273.15),
    "Hz": Conversion("Hz", 1.0),
    "bpm": Conversion("Hz", 1 / 60),
    "J": Conversion("J", 1.0),
    "Wh": Conversion("J", 3_600.0),
    "kWh": Conversion("J", 3.6e6),
    "credit": Conversion("credit", 1.0),
    "microcredit": Conversion("credit", 1e-6),
    "lx": Conversion("lx", 1.0),
    "dB": Conversion("dB", 1.0),
    "scaled": Conversion("scaled", 1.0),
    "stars": Conversion("stars", 1.0),
    "count": Conversion("count", 1.0),
}  # fmt: skip


def to_base(value: float, unit: str) -> tuple[float, str]:
    """Return a value in its base unit, and that unit; of an unknown unit both unchanged.

    >>> to_base(90.0, "min")
    (5400.0, 's')
    """
    known = CONVERSIONS.get(unit)
    if known is None or (known.factor == 1.0 and not known.shift):
        return value, unit if known is None else known.base
    return value * known.factor + known.shift, known.base
