"""What a leaf says, byte for byte: packed big-endian, one Keccak block each.

::

    ActivityLeaf, 93 bytes                       AccountLeaf, 81 bytes
    0   tag 0x01          u8                     0   tag 0x02             u8
    1   index             u32                    1   index                u32
    5   record id         32 bytes               5   account              20 bytes
    37  account           20 bytes               25  activity end         u32
    57  domain            u16                    29  earned               u64  micro-value
    59  occurred          u48  Unix ms           37  running earned       u64  micro-value
    65  interaction       u32  raw, thousandths  45  running active       u32
    69  originality       u32  raw, thousandths  49  standing             u64  micro-value
    73  engagement        u32  raw, thousandths  57  mint                 u64  micro-credit
    77  value             i64  micro-value       65  running mint         u64  micro-credit
    85  running           i64  micro-value       73  cumulative mint      u64  micro-credit

The activities of the account at index j are the activity leaves from the activity end of account
j - 1 (0 for the first) up to, not including, its own. ``running`` and ``running *`` are sums over all
leaves up to and including this one, so the last leaf carries the epoch's totals.

A leaf is one object (``ActivityLeaf``, ``AccountLeaf``); a million are columns
(``pack_activity_leaves``, ``pack_account_leaves``), with the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from timebank_chain.epoch.keccak import keccak, keccak_many
from timebank_chain.errors import EpochError

ACTIVITY_TAG = 0x01
ACCOUNT_TAG = 0x02
ACTIVITY_LEAF_BYTES = 93
ACCOUNT_LEAF_BYTES = 81

_Layout = tuple[tuple[str, str, int], ...]

#: (field, kind, bytes) in the order of the packed leaf; kind u(nsigned), i(signed) or b(ytes).
ACTIVITY_LAYOUT: _Layout = (
    ("index", "u", 4),
    ("record_id", "b", 32),
    ("account", "b", 20),
    ("domain", "u", 2),
    ("occurred_ms", "u", 6),
    ("interaction_milli", "u", 4),
    ("originality_milli", "u", 4),
    ("engagement_milli", "u", 4),
    ("value", "i", 8),
    ("running", "i", 8),
)
ACCOUNT_LAYOUT: _Layout = (
    ("index", "u", 4),
    ("account", "b", 20),
    ("activity_end", "u", 4),
    ("earned", "u", 8),
    ("running_earned", "u", 8),
    ("running_active", "u", 4),
    ("standing", "u", 8),
    ("mint", "u", 8),
    ("running_mint", "u", 8),
    ("cumulative_mint", "u", 8),
)


class _Leaf:
    """Packing, hashing and JSON, shared by both kinds of leaf."""

    TAG: ClassVar[int]
    LAYOUT: ClassVar[_Layout]

    def pack(self) -> bytes:
        """Return the packed leaf.

        Raises
        ------
        EpochError
            If a field does not fit its width; it names the field.
        """
        packed = bytearray([self.TAG])
        for name, kind, size in self.LAYOUT:
            value = getattr(self, name)
            if kind == "b":
                if len(value) != size:
                    raise EpochError(f"{name} has {len(value)} bytes, not {size}", where=f"field {name!r}")
                packed += value
                continue
            try:
                packed += int(value).to_bytes(size, "big", signed=kind == "i")
            except OverflowError:
                raise EpochError(f"{value} does not fit {kind}{size * 8}", where=f"field {name!r}") from None
        return bytes(packed)

    def hash(self) -> bytes:
        """Return the leaf's hash: keccak256 of the packed leaf."""
        return keccak(self.pack())

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Read a packed leaf; the inverse of :meth:`pack`."""
        size = 1 + sum(width for _, _, width in cls.LAYOUT)
        if len(packed) != size or packed[0] != cls.TAG:
            raise EpochError(f"not a packed {cls.__name__} of {size} bytes with tag {cls.TAG}")
        fields: dict[str, Any] = {}
        at = 1
        for name, kind, width in cls.LAYOUT:
            part = packed[at : at + width]
            fields[name] = part if kind == "b" else int.from_bytes(part, "big", signed=kind == "i")
            at += width
        return cls(**fields)

    def as_call(self) -> tuple[int | bytes, ...]:
        """Return the fields in the order of the contracts' struct of the same name."""
        return tuple(getattr(self, name) for name, _, _ in self.LAYOUT)

    @classmethod
    def from_call(cls, values: tuple[Any, ...]) -> Self:
        """Read a leaf decoded from a call or event, in the order of the struct."""
        return cls(
            **{
                name: read_hex(value, size, field=name) if isinstance(value, str) else value
                for (name, _, size), value in zip(cls.LAYOUT, values, strict=True)
            }
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values: integers, and hashes and addresses as 0x hex."""
        return {
            name: "0x" + getattr(self, name).hex() if kind == "b" else int(getattr(self, name))
            for name, kind, _ in self.LAYOUT
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read the fields of a leaf; every one is required, none may be added."""
        names = [name for name, _, _ in cls.LAYOUT]
        for name in document:
            if name not in names:
                raise EpochError(f"unknown field {name!r}", where="leaf", hint=f"known: {', '.join(names)}")
        fields: dict[str, Any] = {}
        for name, kind, size in cls.LAYOUT:
            value = document.get(name)
            if kind == "b":
                fields[name] = read_hex(value, size, field=f"leaf field {name!r}")
            elif isinstance(value, bool) or not isinstance(value, int):
                raise EpochError(f"not an integer: {value!r}", where=f"leaf field {name!r}")
            else:
                fields[name] = value
        leaf = cls(**fields)
        leaf.pack()
        return leaf


@dataclass(frozen=True, slots=True)
class ActivityLeaf(_Leaf):
    """One activity in an epoch's activity tree; units in the module's table."""

    index: int
    record_id: bytes
    account: bytes
    domain: int
    occurred_ms: int
    interaction_milli: int
    originality_milli: int
    engagement_milli: int
    value: int
    running: int

    TAG: ClassVar[int] = ACTIVITY_TAG
    LAYOUT: ClassVar[_Layout] = ACTIVITY_LAYOUT


@dataclass(frozen=True, slots=True)
class AccountLeaf(_Leaf):
    """One account in an epoch's account tree; units in the module's table."""

    index: int
    account: bytes
    activity_end: int
    earned: int
    running_earned: int
    running_active: int
    standing: int
    mint: int
    running_mint: int
    cumulative_mint: int

    TAG: ClassVar[int] = ACCOUNT_TAG
    LAYOUT: ClassVar[_Layout] = ACCOUNT_LAYOUT


def pack_activity_leaves(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
    """Pack activity leaves from columns named as in :data:`ACTIVITY_LAYOUT`, into (n, 93).

    The index is the row number. ``record_id`` is (n, 32) and ``account`` (n, 20) bytes; the rest are
    integer columns of length n.
    """
    return _pack_columns(columns, ACTIVITY_TAG, ACTIVITY_LAYOUT, ACTIVITY_LEAF_BYTES)


def pack_account_leaves(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
    """Pack account leaves from columns named as in :data:`ACCOUNT_LAYOUT`, into (n, 81)."""
    return _pack_columns(columns, ACCOUNT_TAG, ACCOUNT_LAYOUT, ACCOUNT_LEAF_BYTES)


def hash_activity_leaves(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
    """Return the leaf hashes (n, 32) of activity columns."""
    return keccak_many(pack_activity_leaves(columns))


def hash_account_leaves(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
    """Return the leaf hashes (n, 32) of account columns."""
    return keccak_many(pack_account_leaves(columns))


def read_hex(value: object, size: int, *, field: str) -> bytes:
    """Read ``size`` bytes written as 0x and lower-case hex, the one way our documents write them.

    Raises
    ------
    EpochError
        If ``value`` is no such text; it names ``field``.
    """
    if not isinstance(value, str) or not re.fullmatch(f"0x[0-9a-f]{{{2 * size}}}", value):
        shown = repr(value) if len(repr(value)) <= 80 else f"{repr(value)[:77]}..."
        raise EpochError(f"not {size} bytes in lower-case 0x hex: {shown}", where=field)
    return bytes.fromhex(value[2:])


def _pack_columns(
    columns: Mapping[str, NDArray[Any]], tag: int, layout: _Layout, width: int
) -> NDArray[np.uint8]:
    count = len(columns["account"])
    packed = np.empty((count, width), dtype=np.uint8)
    packed[:, 0] = tag
    at = 1
    for name, kind, size in layout:
        column = np.arange(count, dtype=np.int64) if name == "index" else columns[name]
        part = packed[:, at : at + size]
        at += size
        if kind == "b":
            part[:] = column
            continue
        _require_range(name, column, kind, size)
        # The last bytes of the big-endian 64-bit form are the big-endian narrow form.
        wide = np.ascontiguousarray(column.astype(">i8" if kind == "i" else ">u8"))
        part[:] = wide.view(np.uint8).reshape(count, 8)[:, 8 - size :]
    return packed


def _require_range(name: str, column: NDArray[Any], kind: str, size: int) -> None:
    if column.dtype.kind not in "iu":
        raise EpochError(f"column {name!r} is {column.dtype}, not integers: no float may reach a leaf")
    if len(column) == 0 or kind == "i":
        return
    low, high = int(column.min()), int(column.max())
    if low < 0 or high >= 1 << 8 * size:
        row = int(column.argmin() if low < 0 else column.argmax())
        raise EpochError(f"{int(column[row])} does not fit u{8 * size}", where=f"row {row}, field {name!r}")
