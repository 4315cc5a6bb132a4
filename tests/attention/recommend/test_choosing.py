"""Measures, rankers, the guard, and the choice among them.

measures
├── recall, NDCG, coverage and exposure by hand
└── Gini: 0 when alike, towards 1 when one has all
rankers
├── profiles halve with the half-life; what is taken twice counts once, at its latest
├── equal input, equal scores
└── reasons name taken items of the member's own group
guard
├── property: so many places kept, nothing twice, nothing hidden, the ranker's order otherwise
├── floor 0 is the ranker's own list
└── new items are shown to somebody, not the same to all
choice
├── planted groups: factorisation or kNN, far above popularity; places kept cost little
├── what is reported on is not chosen by: changing only the test part changes no validation figure
├── drawn, each bar what was measured
└── too few rows, one member, one moment, nothing found again: refused with a way out
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.attention.recommend import planted
from timebank_chain.attention.recommend import (
    Interactions,
    LastOfEach,
    TimeShare,
    choose,
    measure,
    read_interactions,
)
from timebank_chain.attention.recommend.guard import best, guarded, kept_places, least_taken
from timebank_chain.attention.recommend.measures import gini
from timebank_chain.attention.recommend.plots import choice_figure
from timebank_chain.attention.recommend.rankers import (
    Factors,
    Neighbours,
    Popular,
    Ranker,
    make_ranker,
    profiles,
)
from timebank_chain.errors import AttentionError


@pytest.fixture(scope="module")
def community(tmp_path_factory: pytest.TempPathFactory) -> Interactions:
    return read_interactions(planted.write(tmp_path_factory.mktemp("took") / "took.csv"))


def small(taken: list[tuple[int, int]], items: int = 4) -> Interactions:
    """Return rows (member, item), one a millisecond."""
    member = np.array([one for one, _ in taken], dtype=np.int32)
    return Interactions(
        tuple(f"m{one}" for one in range(int(member.max()) + 1)),
        tuple(f"i{one}" for one in range(items)),
        ("activity",) * items,
        np.zeros(items, dtype=np.bool_),
        np.full(items, -1, dtype=np.int32),
        member,
        np.array([one for _, one in taken], dtype=np.int32),
        np.arange(len(taken), dtype=np.int64),
        np.full(len(taken), np.nan),
    )


def test_measures_by_hand() -> None:
    lists = np.array([[0, 1], [2, -1], [0, 3]])
    wanted = [np.array([1, 3]), np.array([2]), np.array([], dtype=np.int64)]
    found = measure(lists, wanted, np.array([False, False, True, True]))
    second = 1 / np.log2(3)
    assert found.members == 2
    assert found.recall == pytest.approx((1 / 2 + 1) / 2)
    assert found.ndcg == pytest.approx((second / (1 + second) + 1) / 2)
    assert found.coverage == 1.0
    # Exposure: item 0 twice at the first place, 1 and 3 at the second, 2 at the first.
    assert found.least_seen == pytest.approx((1 + second) / (3 + 2 * second))


def test_gini_of_exposure() -> None:
    assert gini(np.ones(10)) == pytest.approx(0)
    assert gini(np.array([0.0] * 99 + [5.0])) == pytest.approx(0.99)
    assert gini(np.zeros(3)) == 0


def test_profile_halves_with_the_half_life() -> None:
    found = profiles(small([(0, 0), (0, 1), (0, 0), (0, 2), (1, 3)]), half_life=1).toarray()
    # Latest first: item 2, item 0 (its later time), item 1.
    assert found.tolist() == [[0.5, 0.25, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    assert profiles(small([(0, 0), (0, 0), (0, 1)]), None).toarray().tolist() == [[1.0, 1.0, 0.0, 0.0]]


@pytest.mark.parametrize("ranker", [Neighbours(20, None), Neighbours(5, 10), Factors(8, 1.0, 10)])
def test_reasons_are_of_ones_own_group(community: Interactions, ranker: Ranker) -> None:
    ranker.fit(community)
    matrix = profiles(community, ranker.half_life)
    reasons = 0
    for member in (0, 1, 2):
        own = [at for at, name in enumerate(community.items) if name.startswith(f"item-{member % 4}-")]
        taken = set(matrix[member].indices.tolist())
        for item in set(own) - taken:
            _, because = ranker.because(matrix[[member]], item)
            assert set(because) <= taken
            reasons += len(because)
            assert {community.items[one][:7] for one in because} <= {community.items[item][:7]}
    assert reasons > 0


@pytest.mark.parametrize("make", [Popular, lambda: Popular(30), Neighbours, lambda: Factors(8)])
def test_equal_input_equal_scores(community: Interactions, make: type[Popular]) -> None:
    one, other = make(), make()
    one.fit(community)
    other.fit(community)
    matrix, members = profiles(community, one.half_life), np.arange(5)
    assert (one.scores(matrix, members) == other.scores(matrix, members)).all()
    copy = make_ranker(one.name, one.parameters)
    copy.take(one.arrays())
    assert (copy.scores(matrix, members) == one.scores(matrix, members)).all()
    assert copy.size == len(community.items)


def test_popularity_forgets() -> None:
    rows = small([(0, 0), (1, 0), (2, 1)])
    old = replace(rows, at_ms=np.array([0, 0, 365 * planted.DAY_MS]))
    forgetful, patient = Popular(30), Popular()
    forgetful.fit(old)
    patient.fit(old)
    nobody = profiles(old, None)
    assert int(patient.scores(nobody, np.array([0]))[0].argmax()) == 0
    assert int(forgetful.scores(nobody, np.array([0]))[0].argmax()) == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(-3, 9), min_size=8, max_size=8), min_size=1, max_size=4),
    st.integers(1, 6),
    st.floats(0, 1),
    st.lists(st.integers(0, 5), min_size=8, max_size=8),
)
def test_guard_keeps_places(table: list[list[int]], k: int, floor: float, taken: list[int]) -> None:
    scores = np.array(table, dtype=np.float64)
    scores[scores < -1] = -np.inf  # hidden
    least = least_taken(np.array(taken), np.ones(8, dtype=np.bool_))
    assert least.sum() == 4
    names = [f"m{one}" for one in range(len(scores))]
    plain, lists = best(scores, k), guarded(scores, k, least, floor, names)
    for own, before, row in zip(scores, plain, lists, strict=True):
        shown = row[row >= 0]
        assert len(set(shown)) == len(shown) == (before >= 0).sum()
        assert not np.isneginf(own[shown]).any()
        may = int((least & ~np.isneginf(own)).sum())
        assert least[shown].sum() >= min(kept_places(k, floor), may, len(shown))
        stayed = [one for one in before if one in shown]
        assert [one for one in row if one in stayed] == stayed
        if least[before[before >= 0]].sum() >= kept_places(k, floor):
            assert row.tolist() == before.tolist()


def test_new_items_are_shown_to_somebody() -> None:
    scores = np.zeros((200, 30))
    scores[:, :20] = np.arange(20, 0, -1)
    taken = np.array([9] * 20 + [0] * 10)
    least = least_taken(taken, np.ones(30, dtype=np.bool_))
    lists = guarded(scores, 10, least, 0.1, [f"m{one}" for one in range(200)])
    assert set(range(20, 30)) <= set(lists[:, -1].tolist())
    assert (lists[:, :9] == np.arange(9)).all()


def test_planted_groups_are_found(community: Interactions) -> None:
    rankers = (Popular(), Neighbours(10, None), Factors(8, 1.0, None))
    choice = choose(community, rankers, split=LastOfEach(2), k=5, floor=0.2)
    by_name = {one.name: one.measures for one in choice.test}
    assert choice.chosen.name != "popularity"
    # Five are left of one's own twelve, two of them wanted; all twelve of four groups for popularity.
    assert by_name["popularity"].recall < 0.35
    assert choice.chosen.measures.recall > 0.9
    assert choice.guarded.least_seen >= choice.chosen.measures.least_seen
    assert choice.guarded.recall >= choice.chosen.measures.recall - 0.2


def test_test_part_is_not_chosen_by(community: Interactions) -> None:
    held = LastOfEach(2).held(community)
    chance = np.random.default_rng(1)
    item = community.item.copy()
    item[held] = chance.permutation(item[held])
    other = replace(community, item=item)
    rankers = (Popular(), Neighbours(10, None))
    one = choose(community, rankers, split=LastOfEach(2), k=5)
    two = choose(other, rankers, split=LastOfEach(2), k=5)
    assert one.validation == two.validation
    assert one.test != two.test


@pytest.mark.parametrize("split", [LastOfEach(9), LastOfEach(5), TimeShare(0.9)])
def test_too_few_rows_are_refused(community: Interactions, split: LastOfEach) -> None:
    with pytest.raises(AttentionError) as error:
        choose(community, (Popular(),), split=split)
    assert "another --split" in str(error.value.hint)


@pytest.mark.parametrize("split", [LastOfEach(2), TimeShare(0.2)])
def test_nothing_to_choose_by_is_refused(community: Interactions, split: LastOfEach) -> None:
    size = len(community)
    alone = replace(community, member=np.zeros(size, dtype=np.int32))
    at_once = replace(community, at_ms=np.zeros(size, dtype=np.int64))
    # One item for ever: nobody takes anything new.
    strange = replace(community, item=np.zeros(size, dtype=np.int32))
    for rows, words in (
        (alone, "one member alone"),
        (at_once, "all rows have the same time"),
        (strange, "no member with a past took anything new"),
    ):
        with pytest.raises(AttentionError, match=words) as error:
            choose(rows, (Popular(),), split=split)
        assert error.value.hint


def test_no_candidate_that_finds_anything_is_refused() -> None:
    # Both take first what both know, then each what nobody took before.
    rows = small([(0, 0), (1, 0), (0, 1), (1, 2), (0, 3), (1, 4)], items=5)
    with pytest.raises(AttentionError, match="no candidate finds anything"):
        choose(rows, (Popular(), Popular(30)), split=LastOfEach(1))


def test_unknown_ranker_is_refused() -> None:
    with pytest.raises(AttentionError, match="no ranker 'magic'"):
        make_ranker("magic", {})
    with pytest.raises(AttentionError, match="with the parameters nearest"):
        make_ranker("popularity", {"nearest": 3})


def test_choice_is_drawn(community: Interactions) -> None:
    choice = choose(community, (Popular(), Neighbours(10, None)), split=LastOfEach(2), k=5)
    left, right = choice_figure(choice).axes
    heights = [bar.get_height() for bar in left.patches]
    expected = [*(one.measures for one in choice.test), choice.guarded]
    assert heights == [*(one.recall for one in expected), *(one.ndcg for one in expected)]
    assert [bar.get_height() for bar in right.patches] == [100 * one.least_seen for one in expected]
