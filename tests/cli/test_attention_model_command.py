"""``timebank attention model``: train, evaluate, predict, card.

train
├── a table by options, by a task file, a dump; the file's hash is told, twice the same
├── --json: one versioned document with the card; progress goes to standard error
├── --random-split: shown, marked as no evidence
├── a planted leaking column: exit 3 with its name; let through by --trust or left out by --ignore
├── two planted columns that add up to the target: exit 3 with both names
├── suspiciously good: warned of on standard error, in the verdict, the JSON and the card
├── it says which rows chose, from how few the first block learned, and why a block is missing
├── a column filled in later: exit 3 with its name
├── a name with a slip in --ignore or --available, an option that would do nothing: exit 2
├── a column declared to be known later: exit 3 with its name
└── wrong usage: no columns told, both ways at once, columns of a dump, windows that are none: exit 2
evaluate, predict, card
├── on later rows; intervals around every prediction; a picture
├── unknown words and infinite numbers are told of
├── --open: only posts not known yet
├── data of the other kind; a changed file; another hash: refused
└── each help has an example
"""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.attention.model.communities import table_columns, write_csv, write_dump
from tests.attention.model.test_dump import answer, question, vote
from timebank_chain.attention.model.task import Task
from timebank_chain.cli.attention.model import app
from timebank_chain.errors import TimebankError

COLUMNS = ("--time", "posted", "--target", "shares", "--id", "post", "--categorical", "topic")
QUICK = ("--families", "ridge", "--splits", "3")


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def told(*arguments: object) -> dict[str, Any]:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def failure(*arguments: object) -> TimebankError:
    done = run(*arguments)
    assert isinstance(done.exception, TimebankError), done.output
    return done.exception


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Past and later posts of a community, and a model of the past ones."""
    place = tmp_path_factory.mktemp("model")
    columns = table_columns(420)
    write_csv(place / "past.csv", {name: cells[:320] for name, cells in columns.items()})
    write_csv(place / "later.csv", {name: cells[320:] for name, cells in columns.items()})
    done = run("train", place / "past.csv", *COLUMNS, *QUICK, "-o", place / "a.model")
    assert done.exit_code == 0, done.output
    return place


def test_train_is_told_and_the_same_twice(folder: Path, tmp_path: Path) -> None:
    first = told("train", folder / "past.csv", *COLUMNS, *QUICK, "-o", tmp_path / "b.model")
    assert first["schema"] == "timebank.attention.model.train/1"
    assert first["card"]["data"]["rows"] == 320
    assert (tmp_path / "b.model").read_bytes() == (folder / "a.model").read_bytes()
    task = Task(time="posted", target="shares", id="post", categorical=("topic",))
    (tmp_path / "task.json").write_text(json.dumps(task.to_json()))
    second = told(
        "train", folder / "past.csv", "--task", tmp_path / "task.json", *QUICK, "-o", tmp_path / "c.model"
    )
    assert second["sha256"] == first["sha256"]


def test_train_for_people(folder: Path, tmp_path: Path) -> None:
    done = run("train", folder / "past.csv", *COLUMNS, *QUICK, "--random-split", "-o", tmp_path / "b.model")
    assert "Random split: NOT EVIDENCE" in done.stdout
    assert "SHA-256" in done.stdout
    words = " ".join(done.stdout.split())
    assert re.search(r"Chosen on the oldest 2\d\d rows; the newest 48 and 48, .* had no say", words), words
    assert "SUSPICIOUS" not in done.output
    assert "[1/" in done.stderr
    assert "[1/" not in done.stdout


@pytest.fixture(scope="module")
def leaking(folder: Path) -> Path:
    columns = table_columns(320)
    columns["final_views"] = [f"{float(str(one)) * 31 + 7:.2f}" for one in columns["shares"]]
    return write_csv(folder / "leaking.csv", columns)


def test_planted_leak_ends_with_exit_code_3(leaking: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from timebank_chain.cli.main import run; run()"),
            *("attention", "model", "train", str(leaking), *COLUMNS, *QUICK),
            *("-o", str(tmp_path / "b.model"), "--json"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    error = json.loads(done.stdout)["error"]
    assert "column 'final_views' leaks the future" in error["message"]
    assert "--ignore final_views" in error["hint"]
    assert not (tmp_path / "b.model").exists()


def test_parts_that_add_up_to_the_target_end_it(folder: Path, tmp_path: Path) -> None:
    columns = table_columns(320)
    shares = np.array([float(str(one)) for one in columns["shares"]])
    noise = np.random.default_rng(3).normal(size=320) * 9 * shares.std()
    columns["v1"], columns["v2"] = list(shares / 2 + noise), list(shares / 2 - noise)
    error = failure(
        "train", write_csv(tmp_path / "sum.csv", columns), *COLUMNS, *QUICK, "-o", tmp_path / "b.model"
    )
    assert error.exit_code == 3
    assert "'v1'" in error.message and "'v2'" in error.message and "a sum of 2 columns" in error.message
    assert not (tmp_path / "b.model").exists()


def test_suspiciously_good_is_said_everywhere(tmp_path: Path) -> None:
    columns = table_columns(600)
    chance = np.random.default_rng(4)
    target = np.log1p([float(str(one)) for one in columns["shares"]])
    # Half of it honest, so that the copy is not far better than all others.
    columns["early"] = list(target + 0.8 * chance.normal(size=600))
    columns["late"] = list(target + 0.8 * chance.normal(size=600))
    table = write_csv(tmp_path / "good.csv", columns)
    model = tmp_path / "b.model"
    done = run("train", table, *COLUMNS, *QUICK, "-o", model)
    assert done.exit_code == 0, done.output
    assert "warning: SUSPICIOUSLY GOOD" in done.stderr
    assert "SUSPICIOUSLY GOOD" in done.stdout
    found = told("train", table, *COLUMNS, *QUICK, "-o", model)
    assert {"early", "late"} <= {one["column"] for one in found["card"]["leakage"]["doubt"]["columns"]}
    assert found["warnings"] and found["warnings"][0] in found["verdict"]
    assert "## Suspiciously good" in run("card", model).stdout


def test_column_filled_in_later_ends_it(tmp_path: Path) -> None:
    columns = table_columns(320)
    columns["views30"] = [
        f"{20 * float(str(one)) + row % 10:.0f}" if row < 200 else ""
        for row, one in enumerate(columns["shares"])
    ]
    table = write_csv(tmp_path / "late.csv", columns)
    error = failure("train", table, *COLUMNS, *QUICK, "-o", tmp_path / "b.model")
    assert error.exit_code == 3
    assert "column 'views30' leaks the future: it looks filled in later" in error.message
    error = failure("train", table, *COLUMNS, *QUICK, "--numeric", "views30", "-o", tmp_path / "b.model")
    assert "without --numeric views30" in (error.hint or "")


def test_missing_block_is_explained(folder: Path, tmp_path: Path) -> None:
    given = ("train", folder / "past.csv", *COLUMNS, "--families", "ridge", "-o", tmp_path / "b.model")
    card = told(*given)["card"]
    missing = 5 - len(card["folds"])
    assert missing > 0
    reason = (
        f"Of 5 blocks asked for, {missing} at the beginning could not be predicted: fewer than 100 earlier"
    )
    assert reason in run(*given).stdout
    assert reason in run("card", tmp_path / "b.model").stdout


def test_infinite_numbers_are_told_of(folder: Path, tmp_path: Path) -> None:
    columns = table_columns(420)
    columns["skill"] = ["inf" if row in (330, 331) else one for row, one in enumerate(columns["skill"])]
    columns["skill"][332] = "1e300"
    later = write_csv(tmp_path / "new.csv", {name: cells[320:] for name, cells in columns.items()})
    told_of = "note: column 'skill': 3 infinite values count as missing"
    assert told_of in run("predict", folder / "a.model", later).stderr
    assert told("predict", folder / "a.model", later)["infinite"] == {"skill": 3}
    assert told_of in run("evaluate", folder / "a.model", later).stderr


def test_leak_let_through_or_left_out(leaking: Path, tmp_path: Path) -> None:
    given = ("train", leaking, *COLUMNS, *QUICK, "-o", tmp_path / "b.model")
    trusted = told(*given, "--trust", "final_views")
    assert trusted["card"]["leakage"]["trusted"] == ["final_views"]
    ignored = told(*given, "--ignore", "final_views")
    assert [one["name"] for one in ignored["card"]["features"]] == ["skill", "topic"]
    declared = failure(*given, "--available", "final_views=7d")
    assert declared.exit_code == 3
    assert "'final_views' leaks: it is declared to be known only 7d after posting" in declared.message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "needs --time COLUMN and --target COLUMN"),
        (("--time", "posted", "--target", "shares", "--task", "t.json"), "both --task and"),
        ((*COLUMNS, "--available", "skill"), "--available 'skill'"),
        ((*COLUMNS, "--families", "forest"), "no such family of models: forest"),
        ((*COLUMNS, "--ignore", "skil"), "'skil' is ignored, but no column of"),
        ((*COLUMNS, "--available", "skil=7d"), "'skil' is said to be available, but no column of"),
        (("--task", "t.json", "--ignore", "skill"), "both --task and --ignore"),
        ((*COLUMNS, "--splits", "1"), "1 blocks of time"),
        ((*COLUMNS, "--seed", "-1"), "a seed of -1"),
    ],
)
def test_wrong_usage(folder: Path, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    error = failure("train", folder / "past.csv", *options, "-o", tmp_path / "b.model")
    assert error.exit_code == 2
    assert message in error.message
    assert error.hint


def test_wrong_usage_of_a_dump(tmp_path: Path) -> None:
    given = ("train", tmp_path, "-o", tmp_path / "b.model")
    assert "columns are told of a table" in failure(*given, "--time", "t").message
    assert "--available out" in (failure(*given, "--available", "x=7d").hint or "")
    assert "--window" in failure(*given, "--window", "soon").message
    assert "votes carry days" in failure(*given, "--window", "5h").message


def test_evaluate_on_later_rows(folder: Path, tmp_path: Path) -> None:
    found = told("evaluate", folder / "a.model", folder / "later.csv", "--picture", tmp_path / "c.svg")
    assert (found["schema"], found["rows"], found["left_out"]) == (
        "timebank.attention.model.evaluate/1",
        100,
        0,
    )
    assert 0.6 <= found["intervals"]["inside"] <= 1
    assert set(found["baselines"]) == {"mean", "recent", "seasonal"}
    assert (tmp_path / "c.svg").read_text().lstrip().startswith("<?xml")
    text = run("evaluate", folder / "a.model", folder / "later.csv")
    assert "100 rows later than" in text.stdout
    assert (
        "0 rows with a target are later"
        in failure("evaluate", folder / "a.model", folder / "past.csv").message
    )


def test_predict_new_rows(folder: Path, tmp_path: Path) -> None:
    new = {name: cells[:3] for name, cells in table_columns(3).items() if name != "shares"}
    new["topic"] = ["opera", "art", "code"]
    path = write_csv(tmp_path / "new.csv", new)
    done = run("predict", folder / "a.model", path)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["id"] for row in rows] == ["row:0", "row:1", "row:2"]
    assert all(float(row["lower"]) <= float(row["expected"]) <= float(row["upper"]) for row in rows)
    assert "1 words the model has never seen" in done.stderr
    written = told("predict", folder / "a.model", path, "-o", tmp_path / "p.csv")
    assert (written["unknown_words"], written["coverage"], len(written["rows"])) == (1, 0.9, 3)
    assert (tmp_path / "p.csv").read_text() == done.stdout
    assert (
        "lies in no folder"
        in failure("predict", folder / "a.model", path, "-o", tmp_path / "no" / "p").message
    )


def test_card(folder: Path, tmp_path: Path) -> None:
    assert run("card", folder / "a.model").stdout.startswith("# Model card: attention, past.csv")
    document = told("card", folder / "a.model", "-o", tmp_path / "C.md", "--picture", tmp_path / "c.png")
    assert document["card"]["schema"] == "timebank.attention.card/1"
    assert (tmp_path / "C.md").read_text().startswith("# Model card")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_changed_file_or_other_hash_is_refused(folder: Path, tmp_path: Path) -> None:
    content = bytearray((folder / "a.model").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "b.model").write_bytes(content)
    for verb in (("card",), ("predict", folder / "later.csv"), ("evaluate", folder / "later.csv")):
        error = failure(verb[0], tmp_path / "b.model", *verb[1:])
        assert (error.code, error.exit_code) == ("AttentionError", 1)
    assert "not the expected" in failure("card", folder / "a.model", "--sha256", "0" * 64).message


def test_data_of_the_other_kind(folder: Path) -> None:
    error = failure("predict", folder / "a.model", folder)
    assert "the model learned from a table" in error.message


def test_dump_from_training_to_open_posts(tmp_path: Path) -> None:
    posts, votes = [], []
    chance = np.random.default_rng(5)
    for number in range(1, 401):
        when, owner = number / 4, 1 + number % 7
        is_answer = number > 10 and number % 3 == 0
        posts.append(answer(number, when, number - 1, owner) if is_answer else question(number, when, owner))
        # A part that nothing tells: what is foretold in full is refused.
        liked = (owner if is_answer else 2) + int(chance.integers(0, 4))
        votes += [vote(1_000 * number + one, number, int(when) + 1) for one in range(liked)]
    dump = write_dump(tmp_path / "dump", posts=posts, votes=votes)
    model = tmp_path / "a.model"
    assert told("train", dump, *QUICK, "-o", model)["card"]["target"]["window"] == "1w"
    rows = told("predict", model, dump, "--open")["rows"]
    assert 20 <= len(rows) <= 8 * 4
    assert len(told("predict", model, dump)["rows"]) == 400
    without = told("train", dump, *QUICK, "--ignore", "title_asks", "-o", tmp_path / "b.model")["card"]
    assert "title_asks" not in {one["name"] for one in without["features"]}
    assert len(told("predict", tmp_path / "b.model", dump)["rows"]) == 400
    error = failure("train", dump, *QUICK, "--ignore", "title_ask", "-o", tmp_path / "b.model")
    assert (error.exit_code, "'title_ask' is ignored, but no feature" in error.message) == (2, True)
    assert "no folder" in failure("predict", model, model).message


@pytest.mark.parametrize("verb", ["train", "evaluate", "predict", "card"])
def test_help_has_an_example(verb: str) -> None:
    assert f"Example: timebank attention model {verb} " in run(verb, "--help").output
