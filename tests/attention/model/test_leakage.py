"""Columns that know the future.

found
├── the target itself, bent, noisy, negated: alone
├── a column that is there only where attention came: its gaps tell
├── a word written after the fact
├── what is filled in later: blank, zero or one word in the newest rows; thirty days of views
├── a copy only in the oldest rows, in the middle ones, or in a few rows here and there
├── a good part of the target, far better than all others together
├── two columns that only together are the target
└── parts that say nothing alone and add up to it: exactly, with logarithms (a product), among copies
not found
├── honest features, strong ones too
├── noise, whatever the seed
├── authors, known by name and by what they got before
├── a measurement that ended, or began, and says little
└── a plain count whose giants one column knows
suspiciously good: warned of in card, Markdown and verdict, its columns named
├── a copy with as much noise as honest attention has
├── parts that add up to it roughly
├── a column that falls silent and says something of the target
├── a model far better in old blocks than on the newest rows
└── honest data: no word
way out
├── trained on, named by name: exit 3; the hint names the option that brought the column in
└── vouched for: it passes, and the card says on whose word
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.attention.model.communities import DAY_MS, community, with_column
from timebank_chain.attention.model.card import card_markdown, suspicion, verdict
from timebank_chain.attention.model.dataset import CATEGORICAL, Dataset, Feature
from timebank_chain.attention.model.leakage import Suspect, find_leaks, refuse_leaks
from timebank_chain.attention.model.task import Task
from timebank_chain.attention.model.training import Plan, train
from timebank_chain.errors import CheckFailed, UsageError


def planted(kind: str) -> Dataset:
    data = community(500, noise=0.8)
    chance = np.random.default_rng(1)
    target = data.target
    if kind == "word":
        words = ("cold", "hot", "warm")
        code = np.where(target > 2.5, 1.0, np.where(target > 1.7, 2.0, 0.0))
        return replace(
            data,
            features=(*data.features, Feature("leak", CATEGORICAL, words)),
            values=np.column_stack([data.values, code]),
            target=np.where(target > 2.5, 3.0, np.where(target > 1.7, 2.0, 0.0)) + 0.05 * target,
        )
    column = {
        "same": target,
        "bent": np.expm1(3 * target),
        "negated": -target,
        "noisy": target + 0.2 * target.std() * chance.normal(size=500),
        "gaps": np.where(target > np.median(target), 1.0, np.nan),
    }[kind]
    if kind == "gaps":
        high = target > np.median(target)
        data = replace(data, target=np.where(high, 3.0, 0.0) + 0.1 * target)
    return with_column(data, "leak", column)


@pytest.mark.parametrize("kind", ["same", "bent", "negated", "noisy", "gaps", "word"])
def test_planted_leak_is_found(kind: str) -> None:
    assert [(one.column, one.sign) for one in find_leaks(planted(kind))] == [("leak", "alone")]


def partly(kind: str, rows: int = 600, share: float = 0.6) -> Dataset:
    """Plant a copy of the target in some of the rows only."""
    data = community(rows, noise=0.8)
    at = np.arange(rows)
    chance = np.random.default_rng(8)
    if kind == "word":
        words = tuple(f"{number:02d}" for number in range(40))
        code = np.where(at < share * rows, np.round(4 * data.target), 0.0)
        return replace(
            data,
            features=(*data.features, Feature("leak", CATEGORICAL, words)),
            values=np.column_stack([data.values, code]),
        )
    column = {
        "blank": np.where(at < share * rows, data.target, np.nan),
        "zero": np.where(at < share * rows, data.target, 0.0),
        # Noise elsewhere: nothing falls silent.
        "oldest": np.where(at < share * rows, data.target, chance.normal(size=rows)),
        "middle": np.where((at >= 0.3 * rows) & (at < 0.6 * rows), data.target, chance.normal(size=rows)),
        "here and there": np.where(chance.random(rows) < share, data.target, np.nan),
    }[kind]
    return with_column(data, "leak", column)


@pytest.mark.parametrize("share", [0.5, 0.6, 0.7, 0.8])
@pytest.mark.parametrize("kind", ["blank", "zero", "word"])
def test_column_filled_in_later_is_found(kind: str, share: float) -> None:
    (found,) = find_leaks(partly(kind, share=share))
    assert (found.column, found.sign) == ("leak", "filled in later")
    assert "of the newest rows" in found.reason


@pytest.mark.parametrize(
    ("kind", "share"), [("oldest", 0.6), ("oldest", 0.17), ("middle", 0.3), ("here and there", 0.2)]
)
def test_copy_in_a_part_of_the_rows_is_found(kind: str, share: float) -> None:
    (found,) = find_leaks(partly(kind, 1_200, share))
    assert (found.column, found.sign) == ("leak", "alone")


def test_views_after_thirty_days_are_found() -> None:
    chance = np.random.default_rng(9)
    data = community(600, noise=0.8)
    views = np.round(20 * np.expm1(data.target) + chance.integers(0, 10, size=600))
    young = data.time_ms > data.time_ms[-1] - 30 * DAY_MS
    with pytest.raises(CheckFailed, match="column 'views30' leaks the future: it looks filled in later"):
        train(with_column(data, "views30", np.where(young, np.nan, views)), Plan(families=("ridge",)))


def test_old_rows_far_better_than_the_newest_are_warned_of() -> None:
    plan = Plan(families=("ridge",), trusted=("leak",))
    told = suspicion(train(partly("blank", share=0.7), plan).card) or ""
    assert "in an older block it reaches R2" in told
    assert "'leak' looks filled in later: blank in 100% of the newest rows" in told


def test_measurement_that_ends_is_named_where_a_model_falls_off() -> None:
    data = community(400, noise=0.5)
    held = np.where(np.arange(400) < 320, data.values[:, 0], np.nan)
    data = replace(data, values=np.column_stack([held, data.values[:, 1:]]))
    card = train(data, Plan(families=("ridge",), trusted=("skill",))).card
    assert "in an older block it reaches R2" in (suspicion(card) or "")
    assert "skill" in {one["column"] for one in card["leakage"]["doubt"]["columns"]}


def test_column_that_falls_silent_is_warned_of() -> None:
    chance = np.random.default_rng(10)
    data = community(900, noise=0.8)
    weak = data.target + 1.2 * chance.normal(size=900)
    data = with_column(data, "later", np.where(np.arange(900) < 700, weak, np.nan))
    assert find_leaks(data) == ()
    card = train(data, Plan(families=("ridge",))).card
    assert "'later' looks filled in later" in (suspicion(card) or "")
    assert "later" in {one["column"] for one in card["leakage"]["doubt"]["columns"]}


@pytest.mark.parametrize("seed", range(5))
def test_measurement_that_ended_or_began_is_not_accused(seed: int) -> None:
    data = community(600, seed=seed, noise=0.8, signal=0.5)
    chance = np.random.default_rng(seed)
    at = np.arange(600)
    for there in (at < 400, at > 200):
        held = np.where(there, chance.normal(size=600), np.nan)
        assert find_leaks(with_column(data, "gauge", held)) == ()


@pytest.mark.parametrize(
    ("named", "column", "way"),
    [
        ({}, "leak", "--ignore leak"),
        ({"numeric": ("leak",)}, "leak", "without --numeric leak"),
        ({"categorical": ("leak",)}, "leak", "without --categorical leak"),
        ({"text_length": ("leak",)}, "leak:words", "without --text-length leak"),
    ],
)
def test_hint_names_the_option_that_brought_it_in(
    named: dict[str, tuple[str, ...]], column: str, way: str
) -> None:
    task = {"kind": "table", "task": Task(time="t", target="y", **named).to_json()}  # type: ignore[arg-type] # of one kind
    suspect = Suspect(column, "alone", 0.9, 0.9, "it is too good")
    with pytest.raises(CheckFailed) as error:
        refuse_leaks([suspect], (), where="t.csv", task=task)
    assert f"leave it out ({way});" in (error.value.hint or "")


def test_column_far_better_than_the_rest() -> None:
    data = community(500, noise=1.0, signal=0.3)
    chance = np.random.default_rng(2)
    leak = data.target + 0.8 * data.target.std() * chance.normal(size=500)
    (found,) = find_leaks(with_column(data, "leak", leak))
    assert (found.column, found.sign) == ("leak", "against the rest")
    assert "all others together" in found.reason


def test_two_columns_that_together_are_the_target() -> None:
    data = community(900)
    chance = np.random.default_rng(3)
    part = chance.normal(size=900) * data.target.std()
    data = replace(data, target=data.target + part)
    rest = data.target - part
    both = with_column(with_column(data.without(["skill", "topic"]), "part", part), "rest", rest)
    # Neither of the two stands out alone.
    assert {one.column for one in find_leaks(both)} == {"part", "rest"}
    assert {one.sign for one in find_leaks(both)} == {"sum"}


def parts_of_the_count(rows: int = 600, *, roughly: float = 0.0) -> Dataset:
    """Return a community with two columns, each nearly all noise, whose sum is its plain count."""
    data = community(rows, noise=0.8)
    count = np.expm1(data.target)
    chance = np.random.default_rng(4)
    noise = 5 * count.std() * chance.normal(size=rows)
    rest = count / 2 - noise + roughly * count.std() * chance.normal(size=rows)
    return with_column(with_column(data, "v1", count / 2 + noise), "v2", rest)


def test_parts_that_cancel_each_others_noise() -> None:
    found = find_leaks(parts_of_the_count())
    assert [(one.column, one.sign) for one in found] in (
        [("v1", "sum"), ("v2", "sum")],
        [("v2", "sum"), ("v1", "sum")],
    )
    assert "the plain count with R2 1 on later rows" in found[0].reason
    with pytest.raises(CheckFailed, match=r"columns 'v[12]', 'v[12]' leak the future: a sum of 2 columns"):
        train(parts_of_the_count(), Plan(families=("ridge",)))


def test_factors_whose_product_is_the_target() -> None:
    data = community(900, noise=0.8)
    chance = np.random.default_rng(5)
    factor = np.exp(4 * chance.normal(size=900))
    data = with_column(data, "rate", np.expm1(data.target + 1.0) / factor)
    found = find_leaks(with_column(data, "reach", factor))
    assert {one.column for one in found} == {"rate", "reach"}
    assert {one.sign for one in found} == {"sum"}


def test_parts_of_a_sum_are_found_beside_a_copy_and_missing_cells() -> None:
    data = parts_of_the_count()
    data = with_column(data, "v1 again", data.values[:, data.names.index("v1")])
    assert {"v1", "v1 again", "v2"} == {one.column for one in find_leaks(data)}


def test_giants_of_a_plain_count_accuse_nobody() -> None:
    data = community(600, noise=0.8)
    chance = np.random.default_rng(6)
    giants = chance.random(600) < 0.02
    # One column knows the few giants, whose squares are nearly all of the plain count's variance.
    data = replace(data, target=np.where(giants, 8.0 + 0.1 * data.target, data.target))
    known = np.where(giants, np.expm1(data.target), 0.0)
    assert [one.sign for one in find_leaks(with_column(data, "fame", known))] in ([], ["against the rest"])


@pytest.mark.parametrize("seed", range(5))
def test_honest_data_are_not_accused(seed: int) -> None:
    assert find_leaks(community(400, seed=seed, noise=0.7)) == ()
    assert find_leaks(community(400, seed=seed, signal=0.0)) == ()


def test_authors_known_in_two_ways_are_not_accused() -> None:
    # In one stretch of time trees learn too little, from few rows, of what the other column tells.
    rows = 1_500
    data = community(rows, seed=2, signal=0.0)
    chance = np.random.default_rng(2)
    author = chance.integers(0, 25, size=rows)
    target = chance.normal(size=25)[author] + 0.8 * chance.normal(size=rows) + 2.0
    so_far = np.full(rows, np.nan)
    for row in range(rows):
        earlier = author[:row] == author[row]
        if earlier.any():
            so_far[row] = target[:row][earlier].mean()
    data = replace(
        data,
        target=target,
        features=(*data.features, Feature("author", CATEGORICAL, tuple(f"{one:02d}" for one in range(25)))),
        values=np.column_stack([data.values, author]),
    )
    assert find_leaks(with_column(data, "so far", so_far)) == ()


def test_too_few_rows_accuse_nobody() -> None:
    assert find_leaks(planted("same").take(np.arange(30))) == ()


def test_training_stops_and_names_the_column() -> None:
    with pytest.raises(CheckFailed, match="column 'leak' leaks the future") as error:
        train(planted("noisy"), Plan(families=("ridge",)), where="posts.csv")
    assert error.value.exit_code == 3
    assert error.value.where == "posts.csv"
    assert "--ignore leak" in (error.value.hint or "")


def test_column_vouched_for_is_used_and_told_of() -> None:
    model = train(planted("noisy"), Plan(families=("ridge",), trusted=("leak",)))
    assert model.card["leakage"]["trusted"] == ["leak"]
    assert model.card["leakage"]["suspects"][0]["column"] == "leak"
    with pytest.raises(UsageError, match="no feature 'lek' to trust"):
        train(planted("noisy"), Plan(families=("ridge",), trusted=("lek",)))


@pytest.mark.parametrize("kind", ["copy", "sum"])
def test_suspiciously_good_is_warned_of(kind: str) -> None:
    data = community(900, noise=0.8, signal=1.5)
    if kind == "copy":
        chance = np.random.default_rng(7)
        data = with_column(data, "v1", data.target + 0.85 * chance.normal(size=900))
        names = {"v1"}
    else:
        data, names = parts_of_the_count(900, roughly=0.6), {"v1", "v2"}
    assert find_leaks(data) == ()
    card = train(data, Plan(families=("ridge", "boosting"))).card
    assert names <= {one["column"] for one in card["leakage"]["doubt"]["columns"]}
    told = suspicion(card) or ""
    assert told.startswith("SUSPICIOUSLY GOOD: ") and "--available" in told
    assert all(repr(name) in told for name in names)
    assert told in verdict(card)
    assert "## Suspiciously good" in card_markdown(card)


def test_trusted_leak_is_warned_of_all_the_same() -> None:
    card = train(planted("noisy"), Plan(families=("ridge",), trusted=("leak",))).card
    assert "On somebody's word: 'leak'" in verdict(card)
    # What carries it is the leak, by far.
    assert card["leakage"]["doubt"]["columns"][0]["column"] == "leak"


@pytest.mark.parametrize("seed", range(3))
def test_honest_model_is_not_suspected(seed: int) -> None:
    card = train(community(400, seed=seed, noise=0.7), Plan(families=("ridge",))).card
    assert card["leakage"]["doubt"] is None
    assert "SUSPICIOUS" not in verdict(card) + card_markdown(card)
