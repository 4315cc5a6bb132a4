"""Made-up communities the model tests learn from: their attention follows known rules."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from timebank_chain.attention.model.dataset import CATEGORICAL, Dataset, Feature, Floats
from timebank_chain.attention.model.task import Task

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
#: A Monday, midnight UTC.
MONDAY_MS = 1_704_067_200_000


def community(rows: int = 400, *, seed: int = 0, noise: float = 0.8, signal: float = 1.0) -> Dataset:
    """Attention = skill + topic + noise; ``skill`` and ``topic`` are known, sometimes missing."""
    chance = np.random.default_rng(seed)
    skill = chance.normal(size=rows)
    topic = chance.integers(0, 3, size=rows)
    target = 2.0 + signal * (0.6 * skill + 0.5 * (topic == 1)) + noise * chance.normal(size=rows)
    length = np.where(chance.random(rows) < 0.2, np.nan, chance.normal(size=rows))
    time_ms = MONDAY_MS + np.arange(rows, dtype=np.int64) * 3 * HOUR_MS
    return Dataset(
        name="made up",
        features=(
            Feature("skill"),
            Feature("length"),
            Feature("topic", CATEGORICAL, ("art", "code", "talk")),
        ),
        ids=tuple(f"row:{row}" for row in range(rows)),
        time_ms=time_ms,
        known_ms=time_ms + DAY_MS,
        target=np.maximum(target, 0.0),
        values=np.column_stack([skill, length, topic]),
        target_name="votes",
        window_ms=DAY_MS,
        task={"kind": "table", "task": Task(time="posted", target="votes").to_json()},
    )


def with_column(data: Dataset, name: str, column: Floats) -> Dataset:
    """Return the data with one more numeric column."""
    return replace(
        data,
        features=(*data.features, Feature(name)),
        values=np.column_stack([data.values, column]),
    )


def write_csv(path: Path, columns: Mapping[str, Sequence[object]]) -> Path:
    """Write a table."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def table_columns(rows: int = 300, *, seed: int = 0) -> dict[str, list[object]]:
    """Columns of a table of posts: when, how skilled its author is, its topic, its text, its shares."""
    data = community(rows, seed=seed)
    words = ("art", "code", "talk")
    stamps = (np.datetime64(int(one), "ms") for one in data.time_ms)
    return {
        "post": list(data.ids),
        "posted": [f"{stamp}Z" for stamp in stamps],
        "skill": [f"{one:.6f}" for one in data.values[:, 0]],
        "topic": [words[int(one)] for one in data.values[:, 2]],
        "text": ["word " * (1 + row % 7) for row in range(rows)],
        "shares": [f"{one:.6f}" for one in np.expm1(data.target)],
    }


def write_dump(
    folder: Path,
    *,
    posts: Sequence[Mapping[str, object]],
    votes: Sequence[Mapping[str, object]] = (),
    comments: Sequence[Mapping[str, object]] = (),
) -> Path:
    """Write a dump's three files from the attributes of their rows."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("Posts", posts), ("Votes", votes), ("Comments", comments)):
        lines = [
            "  <row " + " ".join(f"{key}={quoteattr(str(value))}" for key, value in row.items()) + " />"
            for row in rows
        ]
        text = f'<?xml version="1.0" encoding="utf-8"?>\n<{name.lower()}>\n'
        (folder / f"{name}.xml").write_text(text + "\n".join(lines) + f"\n</{name.lower()}>\n", "utf-8")
    return folder
