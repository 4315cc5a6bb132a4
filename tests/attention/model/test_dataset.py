"""What can be learned from, and its hash.

usable
├── no rows, too few with a target, a constant target: refused
├── constant and all-missing columns are left out, each named
├── infinite numbers become missing, counted
├── nothing usable left: refused
└── a column missing here and one number elsewhere is kept: where it is missing says something
order
├── time going backwards is sorted and reported
└── rows in order are left alone
digest
├── changes with any target, value, time, id, word
└── does not change with the bits of not-a-number, nor the sign of zero
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.attention.model.communities import community, with_column
from timebank_chain.attention.model.dataset import MIN_ROWS, Feature, in_order, usable
from timebank_chain.errors import AttentionError


def test_no_rows_are_refused() -> None:
    with pytest.raises(AttentionError, match="no rows"):
        usable(community(10).take(np.zeros(10, dtype=bool)), where="t")


def test_too_few_targets_are_refused_with_the_number() -> None:
    data = community(MIN_ROWS + 20)
    target = data.target.copy()
    target[: 20 + 1] = np.nan
    with pytest.raises(AttentionError, match=f"{MIN_ROWS - 1} rows have a known target") as error:
        usable(replace(data, target=target), where="t")
    assert error.value.hint


def test_constant_target_is_refused() -> None:
    data = community(MIN_ROWS)
    with pytest.raises(AttentionError, match="'votes' is the same in every row"):
        usable(replace(data, target=np.full(MIN_ROWS, 3.0)), where="t")


def test_poor_columns_are_left_out_by_name() -> None:
    data = community(150)
    data = with_column(data, "same", np.full(150, 7.0))
    data = with_column(data, "nothing", np.full(150, np.nan))
    kept = usable(data, where="t")
    assert kept.names == ("skill", "length", "topic")
    assert "column 'same' is constant: left out" in kept.notes
    assert "column 'nothing' is all missing: left out" in kept.notes


def test_infinite_numbers_become_missing() -> None:
    column = np.arange(150.0)
    column[3], column[4], column[5] = np.inf, -np.inf, 1e300
    kept = usable(with_column(community(150), "wild", column), where="t")
    assert "column 'wild': 3 infinite values count as missing" in kept.notes
    assert np.isnan(kept.values[3:6, 3]).all()
    assert kept.values[6, 3] == 6.0


def test_all_infinite_column_is_left_out() -> None:
    kept = usable(with_column(community(150), "wild", np.full(150, np.inf)), where="t")
    assert "wild" not in kept.names
    assert "column 'wild' is all missing: left out" in kept.notes


def test_nothing_left_is_refused() -> None:
    data = community(150).without(["skill", "length", "topic"])
    with pytest.raises(AttentionError, match="no usable feature column"):
        usable(with_column(data, "same", np.ones(150)), where="t")


def test_flag_that_is_there_or_missing_is_kept() -> None:
    column = np.where(np.arange(150) % 2 == 0, 1.0, np.nan)
    assert "flag" in usable(with_column(community(150), "flag", column), where="t").names


def test_time_going_backwards_is_sorted_and_reported() -> None:
    data = community(150)
    shuffled = data.take(np.random.default_rng(1).permutation(150))
    sorted_again = in_order(shuffled)
    assert sorted_again.ids == data.ids
    assert (sorted_again.target == data.target).all()
    (note,) = sorted_again.notes
    assert note.startswith("time went backwards ")
    assert in_order(data) is data


@given(row=st.integers(0, 119), part=st.sampled_from(["target", "values", "time_ms", "known_ms", "ids"]))
def test_digest_sees_every_part(row: int, part: str) -> None:
    data = community(120)
    before = data.digest()
    if part == "ids":
        changed = replace(data, ids=(*data.ids[:row], "other", *data.ids[row + 1 :]))
    else:
        array = getattr(data, part).copy()
        array[row] = 1_234.5 if part in {"target", "values"} else array[row] + 1
        changed = replace(data, **{part: array})
    assert changed.digest() != before
    assert community(120).digest() == before


def test_digest_sees_words_and_ignores_bits_that_mean_nothing() -> None:
    data = community(120)
    renamed = replace(data, features=(*data.features[:2], Feature("topic", "categorical", ("a", "b", "c"))))
    assert renamed.digest() != data.digest()
    values = data.values.copy()
    values[0, 0] = 0.0
    values[1, 1] = np.nan
    zero = replace(data, values=values).digest()
    values = values.copy()
    values[0, 0] = -0.0
    values[1, 1] = np.frombuffer(np.uint64(0x7FF8_0000_0000_0123).tobytes(), dtype=np.float64)[0]
    assert replace(data, values=values).digest() == zero
