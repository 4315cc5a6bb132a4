"""Acts and praise by epoch.

spans_of .. acts belong where they settle, praise where it was given; as many spans before as there are acts,
            at most as many as wanted; who was held is marked in those before, and judged all the same
joined .... two tables in the order of one
files ..... praise and offers are read; refused: other columns, cells and times, no CSV
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.attention.monitor.test_suspicion import EPOCHS, START_MS, WEEK_MS, community
from timebank_chain.attention.monitor.spans import Praise, joined, read_pairs, read_praise, spans_of
from timebank_chain.errors import AttentionError

LAST_MS = START_MS - 1 + (EPOCHS - 1) * WEEK_MS


def test_acts_belong_where_they_settle() -> None:
    acts = community()
    given = np.array([LAST_MS, LAST_MS + 1, LAST_MS + WEEK_MS, LAST_MS + WEEK_MS + 1], dtype=np.int64)
    praise = Praise(("a", "b", "c", "d"), ("e", "f", "g", "h"), given)
    held = frozenset(
        act for act, who in zip(acts.id, acts.member, strict=True) if who in ("p03", "bot-clock")
    )
    span, earlier = spans_of(acts, praise, start_ms=LAST_MS, end_ms=LAST_MS + WEEK_MS, most=2, held=held)
    settled = acts.occurred_ms + acts.window_ms
    for number, one in enumerate([span, *earlier]):
        begin = LAST_MS - number * WEEK_MS
        inside = [acts.id[row] for row in np.flatnonzero((settled > begin) & (settled <= begin + WEEK_MS))]
        assert one.acts.id == inside and one.who == tuple(one.acts.member)
        rest = one.without_held()
        assert rest.acts.id == [name for name in inside if number == 0 or name not in held]
        assert len(rest.acts) and rest.who == tuple(rest.acts.member) and not rest.held
    # The clockwork acts in the week before the last only.
    assert [one.held for one in (span, *earlier)] == [frozenset(), {"p03", "bot-clock"}, {"p03"}]
    assert (len(earlier), span.praise.giver, earlier[0].praise.giver) == (2, ("b", "c"), ("a",))
    _, all_before = spans_of(acts, Praise.none(), start_ms=LAST_MS, end_ms=LAST_MS + WEEK_MS)
    assert len(all_before) == EPOCHS - 1, "none before the first act"


def test_two_tables_are_joined_in_order() -> None:
    acts = community()
    half = np.arange(len(acts)) % 3 == 0
    both = joined(acts.take(np.flatnonzero(half)), acts.take(np.flatnonzero(~half)))
    assert (both.id, both.occurred_ms.tolist()) == (acts.id, acts.occurred_ms.tolist())


def test_praise_and_offers_are_read(tmp_path: Path) -> None:
    file = tmp_path / "praise.csv"
    file.write_text("giver,receiver,occurred\nx,y,1970-01-01T00:00:01Z\n\n")
    found = read_praise(file)
    assert (found.giver, found.receiver, found.occurred_ms.tolist()) == (("x",), ("y",), [1_000])
    file.write_text("id,offer\na,b\n\n")
    assert read_pairs(file, ("id", "offer")) == [("a", "b")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a,b,c\n", "columns"),
        ("giver,receiver,occurred\nx,y\n", "2 cells"),
        ("giver,receiver,occurred\nx,y,soon\n", "not a time"),
        ('giver,receiver,occurred\n"x,y,2026-01-01T00:00:00Z\n', "not CSV"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "praise.csv"
    file.write_text(text)
    with pytest.raises(AttentionError, match=reason):
        read_praise(file)
