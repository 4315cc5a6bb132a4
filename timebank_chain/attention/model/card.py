"""The model card: what a model was made from, how it was judged, and what it must not be used for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from timebank_chain.attention.model.dataset import CATEGORICAL, LOG1P, Dataset
from timebank_chain.attention.model.doubt import Doubt
from timebank_chain.attention.model.evidence import (
    MIN_TRAINING,
    Score,
    Validation,
    mean_score,
    rows_of,
)
from timebank_chain.attention.model.frozen import BASELINES
from timebank_chain.attention.model.intervals import Intervals
from timebank_chain.attention.model.leakage import Suspect
from timebank_chain.attention.model.recipes import Recipe
from timebank_chain.attention.model.trained import Evaluation
from timebank_chain.units import format_duration, format_time

SCHEMA = "timebank.attention.card/1"

_LIMITS = (
    "It tells what attention posts like these got, not what they deserve; no credit may depend on it.",
    "It was judged on the community it learned from. Of another one it knows nothing.",
    "Intervals hold as often as stated only while the community goes on as in the block they were "
    "calibrated on; the share measured on later rows is above.",
    "Leaks too weak to look suspicious are found only if columns are declared with the time they are known.",
)
_OF_ANCHORED = (
    "Its predictions start from the level of the last week it learned from: train it anew as time goes on.",
)


def card_document(
    data: Dataset,
    *,
    recipe: Recipe,
    validation: Validation,
    rehearsal: Evaluation,
    intervals: Intervals,
    suspects: Collection[Suspect],
    trusted: Collection[str],
    doubt: Doubt | None,
    seed: int,
    splits: int,
    blocks: Mapping[str, Any],
    random: Validation | None,
) -> dict[str, Any]:
    """Return the card as JSON values (`timebank.attention.card/1`)."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "model": {**recipe.to_json(), "label": recipe.label, "is_baseline": recipe.family in BASELINES},
        "seed": seed,
        "data": {
            "name": data.name,
            "sha256": data.digest(),
            "rows": len(data),
            "from": format_time(int(data.time_ms[0])),
            "to": format_time(int(data.time_ms[-1])),
            "notes": list(data.notes),
        },
        "target": {
            "name": data.target_name,
            "transform": data.transform,
            "window": format_duration(data.window_ms) if data.window_ms else None,
        },
        "features": [
            {"name": one.name, "kind": one.kind, "words": len(one.words)}
            if one.kind == CATEGORICAL
            else {"name": one.name, "kind": one.kind}
            for one in data.features
        ],
        "blocks": dict(blocks),
        "blocks_asked_for": splits,
        "folds": [
            {
                "learned_from": len(fold.train),
                "left_out_window_open": fold.left_out,
                "predicted": len(fold.test),
            }
            for fold in validation.folds
        ],
        "time_ordered": _table(validation),
        "rehearsal": rehearsal.to_json(),
        "intervals": intervals.to_json(),
        "leakage": {
            "suspects": [one.to_json() for one in suspects],
            "trusted": sorted(trusted),
            "doubt": None if doubt is None else doubt.to_json(),
        },
        "limits": [*data.limits, *_LIMITS, *(_OF_ANCHORED if "anchored" in dict(recipe.settings) else ())],
    }
    if random is not None:
        document["random_split"] = {
            "evidence": False,
            "why": "rows between those it is asked about were learned from; shown for comparison only",
            **_table(random),
        }
    return document


def _table(validation: Validation) -> dict[str, Any]:
    def entry(scores: Sequence[Score]) -> dict[str, Any]:
        return {"mean": mean_score(scores).to_json(), "folds": [one.to_json() for one in scores]}

    return {
        "families": {name: entry(scores) for name, scores in rows_of(validation).items()},
        "recipes": {one.label: entry(validation.scores(one)) for one in validation.predictions},
    }


def verdict(card: Mapping[str, Any]) -> str:
    """Say in a sentence whether the model is worth having, and in a second one if it looks too good."""
    told = suspicion(card)
    return _worth(card) if told is None else f"{_worth(card)} {told}"


def suspicion(card: Mapping[str, Any]) -> str | None:
    """Return the warning of a model that is suspiciously good, ``None`` of another."""
    doubt = card["leakage"].get("doubt")
    if doubt is None:
        return None
    names = ", ".join(repr(one["column"]) for one in doubt["columns"]) or "no single column"
    trusted = sorted({one["column"] for one in doubt["columns"]} & set(card["leakage"]["trusted"]))
    return (
        f"SUSPICIOUSLY GOOD: {'; '.join(doubt['reasons'])}. Carried by {names}: check that this is known at "
        "posting, and say when it is (--available COLUMN=WHEN)."
        + (f" On somebody's word: {', '.join(map(repr, trusted))}." if trusted else "")
    )


def choosing(card: Mapping[str, Any]) -> str:
    """Say on which rows the figures by block were made, and which had no say."""
    blocks, folds = card["blocks"], card["folds"]
    # A card of an earlier version does not say it.
    asked = card.get("blocks_asked_for", len(folds))
    fewer = asked - len(folds)
    passed_over = (
        f" Of {asked} blocks asked for, {fewer} at the beginning could not be predicted: fewer than "
        f"{MIN_TRAINING} earlier rows had a known target."
        if fewer
        else ""
    )
    return (
        f"Chosen on the oldest {blocks['choose']['rows']:,} rows; the newest {blocks['calibrate']['rows']:,} "
        f"and {blocks['judge']['rows']:,}, kept for intervals and rehearsal, had no say. The first block was "
        f"predicted from {folds[0]['learned_from']:,} rows, the last from {folds[-1]['learned_from']:,}: "
        "from few rows little is learned, and blocks of all rows, newest included, would have more."
        + passed_over
    )


def _worth(card: Mapping[str, Any]) -> str:
    rehearsal = card["rehearsal"]
    if card["model"]["is_baseline"]:
        return f"No model did better than the baseline {card['model']['family']!r}, so that is what was kept."
    best = min(rehearsal["baselines"], key=lambda name: rehearsal["baselines"][name]["mse"])
    error, other = rehearsal["model"]["mse"], rehearsal["baselines"][best]["mse"]
    change = 100.0 * (1.0 - error / other) if other else 0.0
    if rehearsal["beats_baselines"]:
        return f"On later rows its squared error is {change:.1f} % below that of the best baseline ({best})."
    return f"On later rows it did NOT beat the baseline {best!r} ({-change:.1f} % more squared error)."


def card_markdown(card: Mapping[str, Any]) -> str:
    """Return the card as a Markdown page."""
    data, target, rehearsal = card["data"], card["target"], card["rehearsal"]
    lines = [
        f"# Model card: attention, {data['name']}",
        "",
        verdict(card),
        "",
        f"- model: {card['model']['label']}, seed {card['seed']}",
        f"- data: {data['rows']:,} rows, {data['from']} to {data['to']}",
        f"- data SHA-256: `{data['sha256']}`",
        f"- target: {'log(1 + x) of ' if target['transform'] == LOG1P else ''}{target['name']}"
        + (f", counted for {target['window']}" if target["window"] else ", window not stated"),
        "",
        "## Chosen on the past, in order of time",
        "",
        f"{len(card['folds'])} blocks, each predicted from what was known before it: "
        + "; ".join(f"{one['predicted']:,} rows from {one['learned_from']:,}" for one in card["folds"])
        + ". Each family uses, in a block, the settings that had done best before it.",
        "",
        choosing(card),
        "",
        *_score_table(
            ("model", "MSE", "R2", "Spearman", "R2 by block"),
            (
                (name, *_cells(one["mean"]), ", ".join(_number(fold["r2"]) for fold in one["folds"]))
                for name, one in card["time_ordered"]["families"].items()
            ),
        ),
        "",
        "## Rehearsed on what came later",
        "",
        f"{rehearsal['rows']:,} rows, {rehearsal['from']} to {rehearsal['to']}, with no say in the choice.",
        "",
        *_score_table(
            ("model", "MSE", "R2", "Spearman"),
            (
                (card["model"]["label"], *_cells(rehearsal["model"])),
                *((name, *_cells(one)) for name, one in rehearsal["baselines"].items()),
            ),
        ),
        "",
        f"Intervals meant to hold {rehearsal['intervals']['coverage']:.0%} of the rows held "
        f"{rehearsal['intervals']['inside']:.1%}; mean width {rehearsal['intervals']['mean_width']:.3f} "
        "in the model's units.",
    ]
    if "random_split" in card:
        split = card["random_split"]
        lines += ["", "## Random split: not evidence", "", split["why"].capitalize() + ".", ""]
        lines += _score_table(
            ("model", "MSE", "R2", "Spearman"),
            ((name, *_cells(one["mean"])) for name, one in split["families"].items()),
        )
    lines += ["", "## Features", "", ", ".join(f"`{one['name']}`" for one in card["features"])]
    told = suspicion(card)
    if told is not None:
        lines += ["", "## Suspiciously good", "", told, ""]
        lines += [
            f"- `{one['column']}`: mixed up, it adds {one['carries']:.0%} of the best baseline's error"
            if one["carries"]
            else f"- `{one['column']}`: by its own score, see above"
            for one in card["leakage"]["doubt"]["columns"]
        ]
    if card["leakage"]["suspects"]:
        lines += ["", "## Let through on somebody's word", ""]
        lines += [f"- `{one['column']}`: {one['reason']}" for one in card["leakage"]["suspects"]]
    if data["notes"]:
        lines += ["", "## What was done to the data", "", *(f"- {note}" for note in data["notes"])]
    lines += ["", "## Limits", "", *(f"- {limit}" for limit in card["limits"]), ""]
    return "\n".join(lines)


def _score_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _cells(one: Mapping[str, Any]) -> tuple[str, str, str]:
    return _number(one["mse"]), _number(one["r2"]), _number(one["spearman"])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
