"""Columns that know the future.

found
├── the target itself, bent, noisy, negated: alone
├── a column that is there only where attention came: its gaps tell
├── a word written after the fact
├── a good part of the target, far better than all others together
└── two columns that only together are the target
not found
├── honest features, strong ones too
└── noise, whatever the seed
way out
├── trained on, named by name: exit 3
└── vouched for: it passes, and the card says on whose word
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.attention.model.communities import community, with_column
from timebank_chain.attention.model.dataset import CATEGORICAL, Dataset, Feature
from timebank_chain.attention.model.leakage import find_leaks
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
    assert {one.sign for one in find_leaks(both)} == {"together"}


@pytest.mark.parametrize("seed", range(5))
def test_honest_data_are_not_accused(seed: int) -> None:
    assert find_leaks(community(400, seed=seed, noise=0.7)) == ()
    assert find_leaks(community(400, seed=seed, signal=0.0)) == ()


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
