"""leaves
|- packing
|  |- one leaf equals struct's big-endian packing, 93 and 81 bytes
|  |- columns pack like single leaves, at the limits of every field
|  `- unpack and JSON read back what was written
|- a flipped bit in any field changes the hash
`- refused: a value out of range (single and column), a float column, JSON with a missing, unknown
   or mistyped field, a packed leaf of another kind
"""

import struct
from typing import Any

import numpy as np
import pytest
from eth_utils import keccak as reference
from hypothesis import given
from hypothesis import strategies as st

from timebank_chain.epoch import leaves as module
from timebank_chain.epoch.leaves import AccountLeaf, ActivityLeaf
from timebank_chain.errors import EpochError


def of_layout(layout: Any) -> Any:
    fields = {}
    for name, kind, size in layout:
        if kind == "b":
            fields[name] = st.binary(min_size=size, max_size=size)
        elif kind == "i":
            fields[name] = st.integers(-(1 << 8 * size - 1), (1 << 8 * size - 1) - 1)
        else:
            # Columns are int64, as every amount is; the format would hold one bit more.
            fields[name] = st.integers(0, min(1 << 8 * size, 1 << 63) - 1)
    return st.fixed_dictionaries(fields)


KINDS = [
    pytest.param(ActivityLeaf, module.ACTIVITY_LAYOUT, module.hash_activity_leaves, id="activity"),
    pytest.param(AccountLeaf, module.ACCOUNT_LAYOUT, module.hash_account_leaves, id="account"),
]


def columns_of(layout: Any, rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    columns = {}
    for name, kind, size in layout:
        if kind == "b":
            columns[name] = np.frombuffer(b"".join(row[name] for row in rows), np.uint8).reshape(-1, size)
        else:
            columns[name] = np.array([row[name] for row in rows], dtype=np.int64)
    return columns


@given(of_layout(module.ACTIVITY_LAYOUT))
def test_activity_leaf_packs_as_described(fields: dict[str, Any]) -> None:
    leaf = ActivityLeaf(**fields)
    expected = struct.pack(
        ">BI32s20sH6sIIIqq",
        1,
        leaf.index,
        leaf.record_id,
        leaf.account,
        leaf.domain,
        leaf.occurred_ms.to_bytes(6, "big"),
        leaf.interaction_milli,
        leaf.originality_milli,
        leaf.engagement_milli,
        leaf.value,
        leaf.running,
    )
    assert leaf.pack() == expected
    assert len(expected) == module.ACTIVITY_LEAF_BYTES
    assert leaf.hash() == reference(expected)
    assert ActivityLeaf.unpack(expected) == leaf
    assert ActivityLeaf.from_json(leaf.to_json()) == leaf


@given(of_layout(module.ACCOUNT_LAYOUT))
def test_account_leaf_packs_as_described(fields: dict[str, Any]) -> None:
    leaf = AccountLeaf(**fields)
    expected = struct.pack(
        ">BI20sIQQIQQQQ",
        2,
        leaf.index,
        leaf.account,
        leaf.activity_end,
        leaf.earned,
        leaf.running_earned,
        leaf.running_active,
        leaf.standing,
        leaf.mint,
        leaf.running_mint,
        leaf.cumulative_mint,
    )
    assert leaf.pack() == expected
    assert len(expected) == module.ACCOUNT_LEAF_BYTES
    assert leaf.hash() == reference(expected)
    assert AccountLeaf.unpack(expected) == leaf
    assert AccountLeaf.from_json(leaf.to_json()) == leaf


@pytest.mark.parametrize(("kind", "layout", "hash_columns"), KINDS)
def test_columns_hash_like_single_leaves(kind: Any, layout: Any, hash_columns: Any) -> None:
    @given(st.lists(of_layout(layout), max_size=6))
    def check(rows: list[dict[str, Any]]) -> None:
        rows = [{**row, "index": at} for at, row in enumerate(rows)]
        hashes = hash_columns(columns_of(layout, rows))
        assert [row.tobytes() for row in hashes] == [kind(**row).hash() for row in rows]

    check()


def limits_of(layout: Any, *, low: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, kind, size in layout:
        bits = 8 * size
        if kind == "b":
            fields[name] = bytes(size) if low else b"\xff" * size
        elif kind == "i":
            fields[name] = -(1 << bits - 1) if low else (1 << bits - 1) - 1
        else:
            fields[name] = 0 if low else (1 << bits) - 1
    return fields


@pytest.mark.parametrize(("kind", "layout", "_hash"), KINDS)
def test_every_bit_of_every_field_counts(kind: Any, layout: Any, _hash: Any) -> None:
    for low in (True, False):
        fields = limits_of(layout, low=low)
        before = kind(**fields).hash()
        for name, sort, size in layout:
            for bit in range(8 * size):
                raw = fields[name]
                data = bytearray(raw if sort == "b" else raw.to_bytes(size, "big", signed=sort == "i"))
                data[bit // 8] ^= 1 << bit % 8
                changed = bytes(data) if sort == "b" else int.from_bytes(data, "big", signed=sort == "i")
                assert kind(**{**fields, name: changed}).hash() != before


@pytest.mark.parametrize(("kind", "layout", "_hash"), KINDS)
def test_a_value_out_of_range_names_its_field(kind: Any, layout: Any, _hash: Any) -> None:
    fields = limits_of(layout, low=False)
    for name, sort, _ in layout:
        changed = fields[name] + b"\x00" if sort == "b" else fields[name] + 1
        with pytest.raises(EpochError) as caught:
            kind(**{**fields, name: changed}).pack()
        assert caught.value.where == f"field '{name}'"


def test_a_column_out_of_range_names_row_and_field() -> None:
    rows = [limits_of(module.ACCOUNT_LAYOUT, low=True) for _ in range(3)]
    columns = columns_of(module.ACCOUNT_LAYOUT, rows)
    columns["activity_end"][1] = 1 << 32
    with pytest.raises(EpochError) as caught:
        module.pack_account_leaves(columns)
    assert caught.value.where == "row 1, field 'activity_end'"
    columns["activity_end"][1] = 0
    columns["mint"][2] = -1
    with pytest.raises(EpochError, match="-1 does not fit u64"):
        module.pack_account_leaves(columns)


def test_a_float_column_is_refused() -> None:
    columns = columns_of(module.ACCOUNT_LAYOUT, [limits_of(module.ACCOUNT_LAYOUT, low=True)])
    columns["earned"] = columns["earned"].astype(np.float64)
    with pytest.raises(EpochError, match="no float may reach a leaf"):
        module.pack_account_leaves(columns)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"surprise": 1}, "unknown field 'surprise'"),
        ({"earned": "12"}, "not an integer"),
        ({"earned": True}, "not an integer"),
        ({"earned": 1.0}, "not an integer"),
        ({"earned": None}, "not an integer"),
        ({"earned": -1}, "does not fit"),
        ({"account": "0x12"}, "not 20 bytes"),
        ({"account": "0x" + "zz" * 20}, "not 20 bytes"),
        ({"account": 5}, "not 20 bytes"),
    ],
)
def test_wrong_json_is_refused(change: dict[str, Any], message: str) -> None:
    document = AccountLeaf(**limits_of(module.ACCOUNT_LAYOUT, low=True)).to_json()
    with pytest.raises(EpochError, match=message):
        AccountLeaf.from_json({**document, **change})


def test_one_kind_does_not_unpack_as_the_other() -> None:
    packed = AccountLeaf(**limits_of(module.ACCOUNT_LAYOUT, low=True)).pack()
    with pytest.raises(EpochError, match="not a packed ActivityLeaf"):
        ActivityLeaf.unpack(packed)
    with pytest.raises(EpochError, match="not a packed AccountLeaf"):
        AccountLeaf.unpack(b"\x03" + packed[1:])
