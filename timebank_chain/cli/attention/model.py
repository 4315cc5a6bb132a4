"""``timebank attention model``: learn what attention posts get, judge it in order of time, predict."""

from __future__ import annotations

import csv
import sys
import time as clock
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timebank_chain.cli.options import AsJson, progress
from timebank_chain.cli.output import out, print_json, print_table, say
from timebank_chain.cli.outputs import check_outputs
from timebank_chain.documents import write_whole
from timebank_chain.errors import AttentionError, UsageError
from timebank_chain.units import format_time, parse_duration

if TYPE_CHECKING:
    from timebank_chain.attention.model import Dataset, Evaluation, Prediction, Task, TrainedModel

app = typer.Typer(
    help="What attention a post will get, from what is known when it is posted.\n\n"
    "Example: timebank attention model train dump/ -o attention.model",
    no_args_is_help=True,
)

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="A CSV or Parquet table, or the folder of a Stack Exchange dump.",
        show_default=False,
    ),
]
ModelFile = Annotated[
    Path, typer.Argument(metavar="MODEL", help="File written by `train`.", show_default=False)
]
Expected = Annotated[
    str | None,
    typer.Option("--sha256", metavar="HEX", help="Use the model only if its file has this SHA-256."),
]
Picture = Annotated[
    Path | None,
    typer.Option("--picture", metavar="FILE", help="Also draw predicted against observed (.png or .svg)."),
]


#: What options that tell of columns are where nobody gave them, if not empty.
_UNTOLD: dict[str, object] = {
    "time_kind": "iso",
    "transform": "log1p",
    "known_after": "0s",
    "id": None,
    "available": {},
}


@app.callback()
def _area() -> None:
    """Learn what attention posts get, judge it in order of time, predict."""


@app.command("train")
def train_command(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Model file to write.")],
    task: Annotated[
        Path | None,
        typer.Option("--task", metavar="FILE", help="JSON file that says what a table's columns are."),
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", metavar="COLUMN", help="When a row was posted.")
    ] = None,
    time_kind: Annotated[
        str,
        typer.Option(
            "--time-kind", metavar="KIND", help="How that is written: iso, ms, s, days or age_days."
        ),
    ] = "iso",
    target: Annotated[
        str | None, typer.Option("--target", metavar="COLUMN", help="Attention received.")
    ] = None,
    transform: Annotated[
        str, typer.Option("--transform", metavar="NAME", help="How it is modelled: log1p or none.")
    ] = "log1p",
    known_after: Annotated[
        str,
        typer.Option("--known-after", metavar="DURATION", help="How long after posting it was counted."),
    ] = "0s",
    name: Annotated[str | None, typer.Option("--id", metavar="COLUMN", help="Names a row.")] = None,
    numeric: Annotated[
        list[str] | None,
        typer.Option("--numeric", metavar="COLUMN", help="Numbers to learn from (default: all others)."),
    ] = None,
    categorical: Annotated[
        list[str] | None, typer.Option("--categorical", metavar="COLUMN", help="Words to learn from.")
    ] = None,
    text_length: Annotated[
        list[str] | None,
        typer.Option("--text-length", metavar="COLUMN", help="Texts whose length is learned from."),
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="COLUMN", help="Not to be learned from.")
    ] = None,
    available: Annotated[
        list[str] | None,
        typer.Option(
            "--available",
            metavar="COLUMN=WHEN",
            help="When a column is known: posting, a duration after it (7d), or column:NAME that tells.",
        ),
    ] = None,
    window: Annotated[
        str, typer.Option("--window", metavar="DURATION", help="Of a dump: how long up-votes are counted.")
    ] = "7d",
    families: Annotated[
        str,
        typer.Option("--families", metavar="NAMES", help="Which models take part beside the baselines."),
    ] = "ridge,boosting,network",
    splits: Annotated[int, typer.Option("--splits", metavar="N", help="Blocks of time to choose on.")] = 5,
    coverage: Annotated[
        float, typer.Option("--coverage", metavar="SHARE", help="Share of rows meant to lie in an interval.")
    ] = 0.9,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Where chance starts.")] = 0,
    trust: Annotated[
        list[str] | None,
        typer.Option(
            "--trust", metavar="COLUMN", help="Known at posting, although it looks as if it knew the future."
        ),
    ] = None,
    random_split: Annotated[
        bool,
        typer.Option("--random-split", help="Also score a random split. It is not evidence, and marked so."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Learn from past posts; what does best in order of time is kept, with intervals and a model card.

    Ridge regression, gradient boosting and a neural network compete with the mean, last week's mean and the
    mean of the hour of the week. A column that seems to know the future ends it (exit code 3) by name.

    Example: timebank attention model train dump/ --window 7d -o attention.model

    Example: timebank attention model train posts.csv --time posted --target shares -o a.model
    """
    from timebank_chain.attention.model import Plan, suspicion, train, verdict, write_model

    check_outputs([("--output", output)], [data, task])
    plan = Plan(
        seed=seed,
        splits=splits,
        coverage=coverage,
        families=tuple(part.strip() for part in families.split(",") if part.strip()),
        trusted=tuple(trust or ()),
        random_split=random_split,
    )
    columns = {
        "time_kind": time_kind,
        "transform": transform,
        "known_after": known_after,
        "id": name,
        "categorical": tuple(categorical or ()),
        "text_length": tuple(text_length or ()),
        "ignore": tuple(ignore or ()),
        "available": dict(_pair(one) for one in available or ()),
    }
    if numeric:
        columns["numeric"] = tuple(numeric)
    rows = _training_rows(data, task, time, target, columns, window)
    model = train(rows, plan, where=str(data), progress=progress)
    digest = write_model(output, model)
    told = suspicion(model.card)
    if as_json:
        print_json(
            "timebank.attention.model.train/1",
            {
                "model": str(output),
                "sha256": digest,
                "verdict": verdict(model.card),
                "warnings": [] if told is None else [told],
                "card": dict(model.card),
            },
        )
        return
    _print_card(model.card)
    if told is not None:
        say(f"warning: {told}")
    out().print(verdict(model.card), markup=False)
    out().print(f"{output}: SHA-256 {digest}", markup=False)


@app.command("evaluate")
def evaluate_command(
    model: ModelFile,
    data: Data,
    expected: Expected = None,
    picture: Picture = None,
    as_json: AsJson = False,
) -> None:
    """Judge a model on posts later than those it learned from, beside its baselines.

    Rows up to the model's last one are left out: it may have seen them.

    Example: timebank attention model evaluate attention.model dump/ --picture calibration.svg

    Example: timebank attention model evaluate a.model later.csv --json
    """
    from timebank_chain.attention.model import read_model
    from timebank_chain.attention.model.plots import calibration_figure
    from timebank_chain.attention.pictures import picture_kind, write_picture

    if picture is not None:
        picture_kind(picture)
    check_outputs([("--picture", picture)], [model, data])
    kept = read_model(model, expected_sha256=expected)
    rows = _rows_for(kept, data)
    _tell_infinite(kept, rows)
    found = kept.evaluate(rows)
    if picture is not None:
        write_picture(
            picture,
            lambda: calibration_figure(found.deciles, coverage=found.coverage, inside=found.inside),
        )
    if as_json:
        print_json(
            "timebank.attention.model.evaluate/1",
            {**found.to_json(), "picture": str(picture) if picture is not None else None},
        )
        return
    _print_evaluation(kept, found)
    if picture is not None:
        say(f"picture: {picture}")


@app.command("predict")
def predict_command(
    model: ModelFile,
    data: Data,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="CSV to write (default: standard output)."),
    ] = None,
    only_open: Annotated[
        bool, typer.Option("--open", help="Only posts whose attention is not known yet.")
    ] = False,
    expected: Expected = None,
    as_json: AsJson = False,
) -> None:
    """Predict what attention posts will get, each with an interval.

    Example: timebank attention model predict attention.model dump/ --open -o expected.csv

    Example: timebank attention model predict a.model new.csv --json
    """
    import numpy as np

    from timebank_chain.attention.model import read_model

    check_outputs([("--output", output)], [model, data])
    kept = read_model(model, expected_sha256=expected)
    rows = _rows_for(kept, data)
    if only_open:
        rows = rows.take(np.isnan(rows.target))
    if not len(rows):
        raise AttentionError(
            "there is nothing to predict",
            where=str(data),
            hint="without --open every row is predicted" if only_open else "give it a table with rows",
        )
    found = kept.predict(rows)
    _tell_infinite(kept, rows)
    if found.unknown_words:
        say(f"{found.unknown_words:,} words the model has never seen count as rare ones")
    lines = list(_predictions(kept, rows, found))
    if output is not None:
        _write_csv(output, lines)
    if as_json:
        print_json(
            "timebank.attention.model.predict/1",
            {
                "coverage": kept.intervals.coverage,
                "unknown_words": found.unknown_words,
                "infinite": kept.infinite(rows),
                "output": str(output) if output is not None else None,
                "rows": lines,
            },
        )
    elif output is None:
        _csv(sys.stdout, lines)
    else:
        say(f"{len(lines):,} predictions in {output}")


@app.command("card")
def card_command(
    model: ModelFile,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Markdown file to write.")
    ] = None,
    picture: Picture = None,
    expected: Expected = None,
    as_json: AsJson = False,
) -> None:
    """Show a model's card: its data, how it was judged block by block, its intervals, its limits.

    Example: timebank attention model card attention.model -o CARD.md --picture calibration.svg
    """
    from timebank_chain.attention.model import card_markdown, read_model
    from timebank_chain.attention.model.intervals import Decile
    from timebank_chain.attention.model.plots import calibration_figure
    from timebank_chain.attention.pictures import picture_kind, write_picture

    if picture is not None:
        picture_kind(picture)
    check_outputs([("--output", output), ("--picture", picture)], [model])
    kept = read_model(model, expected_sha256=expected)
    text = card_markdown(kept.card)
    if output is not None:
        _write(output, text)
    if picture is not None:
        seen = kept.card["rehearsal"]
        write_picture(
            picture,
            lambda: calibration_figure(
                [Decile(**one) for one in seen["deciles"]],
                coverage=seen["intervals"]["coverage"],
                inside=seen["intervals"]["inside"],
            ),
        )
    if as_json:
        print_json("timebank.attention.model.card/1", {"card": dict(kept.card)})
    elif output is None:
        out().print(text, markup=False)
    else:
        say(f"card: {output}")


def _training_rows(
    data: Path,
    task: Path | None,
    time: str | None,
    target: str | None,
    columns: dict[str, Any],
    window: str,
) -> Dataset:
    from timebank_chain.attention.model import Task, dump_dataset, read_task, table_dataset

    told = [
        f"--{name.replace('_', '-')}" for name, value in columns.items() if value != _UNTOLD.get(name, ())
    ]
    if data.is_dir():
        told = [option for option in told if option != "--ignore"]
        if task is not None or time is not None or target is not None or told:
            raise UsageError(
                f"{data} is a folder: columns are told of a table",
                hint="name a CSV or Parquet file, or leave "
                + ", ".join(["--task", "--time", "--target", *told])
                + " out",
            )
        try:
            window_ms = int(parse_duration(window))
        except ValueError as error:
            raise UsageError(f"--window: {error}", hint="say 7d") from None
        rows = dump_dataset(data, window_ms=window_ms, now_ms=_now_ms(), progress=progress)
        for name in columns["ignore"]:
            if name not in rows.names:
                raise UsageError(
                    f"{name!r} is ignored, but no feature of {data}", hint="it has: " + ", ".join(rows.names)
                )
        return rows.without(columns["ignore"])
    if task is not None:
        if time is not None or target is not None or told:
            raise UsageError(
                "both --task and " + ", ".join(told or ["--time or --target"]), hint="say it in one place"
            )
        return table_dataset(data, read_task(task), now_ms=_now_ms())
    if time is None or target is None:
        raise UsageError(
            "a table needs --time COLUMN and --target COLUMN, or --task FILE",
            hint="or name the folder of a Stack Exchange dump",
        )
    return table_dataset(data, Task(time=time, target=target, **columns), now_ms=_now_ms())


def _rows_for(model: TrainedModel, data: Path) -> Dataset:
    """Read data the way the model's own were read."""
    from timebank_chain.attention.model import dump_dataset, table_dataset
    from timebank_chain.attention.model.task import task_from_json

    if model.task.get("kind") == "dump":
        if not data.is_dir():
            raise UsageError(
                f"the model learned from a dump, {data} is no folder", hint="name a dump's folder"
            )
        return dump_dataset(data, window_ms=model.task["window_ms"], now_ms=_now_ms(), progress=progress)
    if data.is_dir():
        raise UsageError(
            f"the model learned from a table, {data} is a folder", hint="name a CSV or Parquet file"
        )
    task: Task = task_from_json(model.task["task"])
    return table_dataset(data, task, features=model.features, now_ms=_now_ms())


def _tell_infinite(model: TrainedModel, rows: Dataset) -> None:
    for name, count in model.infinite(rows).items():
        say(f"note: column {name!r}: {count:,} infinite values count as missing")


def _now_ms() -> int:
    return int(clock.time() * 1_000)


def _pair(text: str) -> tuple[str, str]:
    column, found, when = text.rpartition("=")
    if not found or not column or not when:
        raise UsageError(f"--available {text!r:.80}", hint="write COLUMN=7d")
    return column, when


def _print_card(card: Mapping[str, Any]) -> None:
    from timebank_chain.attention.model import choosing

    print_table(
        f"{card['data']['rows']:,} rows in order of time, {len(card['folds'])} blocks",
        ["model", ">MSE", ">R2", ">Spearman", "R2 by block"],
        [
            (name, *_cells(one["mean"]), "  ".join(_number(fold["r2"]) for fold in one["folds"]))
            for name, one in card["time_ordered"]["families"].items()
        ],
    )
    out().print(choosing(card), markup=False)
    seen = card["rehearsal"]
    print_table(
        f"Rehearsed on {seen['rows']:,} later rows",
        ["model", ">MSE", ">R2", ">Spearman"],
        [
            (card["model"]["label"], *_cells(seen["model"])),
            *((name, *_cells(one)) for name, one in seen["baselines"].items()),
        ],
    )
    out().print(
        f"intervals meant to hold {seen['intervals']['coverage']:.0%} held {seen['intervals']['inside']:.1%}",
        markup=False,
    )
    if "random_split" in card:
        print_table(
            "Random split: NOT EVIDENCE, for comparison only",
            ["model", ">MSE", ">R2", ">Spearman"],
            [(name, *_cells(one["mean"])) for name, one in card["random_split"]["families"].items()],
        )
    for note in card["data"]["notes"]:
        say(f"note: {note}")


def _print_evaluation(model: TrainedModel, found: Evaluation) -> None:
    print_table(
        f"{found.rows:,} rows later than {format_time(model.learned.last_ms)}; {found.left_out:,} left out",
        ["model", ">MSE", ">R2", ">Spearman"],
        [
            (model.recipe.label, *_cells(found.model.to_json())),
            *((name, *_cells(one.to_json())) for name, one in found.baselines.items()),
        ],
    )
    out().print(
        f"intervals meant to hold {found.coverage:.0%} held {found.inside:.1%}; the model "
        + ("beats every baseline" if found.beats_baselines else "does NOT beat every baseline"),
        markup=False,
    )


def _cells(one: Mapping[str, float | None]) -> tuple[str, str, str]:
    return _number(one["mse"]), _number(one["r2"]), _number(one["spearman"])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _predictions(model: TrainedModel, rows: Dataset, found: Prediction) -> Iterable[dict[str, Any]]:
    aged = model.task.get("kind") == "table" and model.task["task"]["time"]["kind"] == "age_days"
    for place, name in enumerate(rows.ids):
        yield {
            "id": name,
            # An age in days says when only up to the day the table was made.
            "posted": None if aged else format_time(int(rows.time_ms[place])),
            "expected": float(found.expected[place]),
            "lower": float(found.lower[place]),
            "upper": float(found.upper[place]),
        }


def _csv(file: Any, lines: Sequence[Mapping[str, Any]]) -> None:
    writer = csv.DictWriter(
        file, fieldnames=["id", "posted", "expected", "lower", "upper"], lineterminator="\n"
    )
    writer.writeheader()
    for line in lines:
        shown = {key: f"{value:.4f}" if isinstance(value, float) else value for key, value in line.items()}
        writer.writerow(shown)


def _write_csv(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    import io

    text = io.StringIO()
    _csv(text, lines)
    _write(path, text.getvalue())


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, text, mode=0o644)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", hint="choose another -o") from None
