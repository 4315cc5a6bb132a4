"""What a page says of each part of the twin: the finding, the figures, how far to trust them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from timebank_chain.attention.report.page import Picture, Section, Table
from timebank_chain.units import format_time

if TYPE_CHECKING:
    from timebank_chain.attention.experiment.analyse import Analysis
    from timebank_chain.attention.monitor import Judged, Outlook, Series
    from timebank_chain.attention.monitor.suspicion import Verdict
    from timebank_chain.attention.recommend import Recommender

#: So many of a long list are shown; the commands show all.
SHOWN = 20
_NONE = "-"


def forecast_section(
    series: Series, outlooks: Sequence[Outlook], notes: Sequence[str], source: str
) -> Section:
    """Return what comes next; the first outlook is of ``series``, which is drawn."""
    from timebank_chain.attention.monitor.forecast import told
    from timebank_chain.attention.monitor.plots import forecast_figure

    table = Table(
        "Intervals held so often when tried on the end of the history",
        ["of", "next", "from", ">forecast", ">low", ">high", ">meant to hold", ">held", ">tried"],
        [
            (
                one.quantity,
                ahead.horizon,
                format_time(ahead.begin_ms),
                told(ahead.value),
                _NONE if ahead.low is None else told(ahead.low),
                _NONE if ahead.high is None else told(ahead.high),
                f"{ahead.nominal:.0%}",
                _NONE if ahead.backtest.coverage is None else f"{ahead.backtest.coverage:.1%}",
                f"{ahead.backtest.origins:,}",
            )
            for one in outlooks
            for ahead in one.forecasts
        ],
    )
    first = outlooks[0]
    season = (
        "Every hour had the same value: nothing varies."
        if first.season_strength is None
        else f"The hour of the week explains {first.season_strength:.0%} of the hourly variance."
    )
    level, trend = told(first.level), told(first.trend, "+,.3g")
    return Section(
        "What comes next",
        source,
        parts=[
            f"{first.quantity}: {level} a day, trend {trend} a day. {season}",
            Picture(lambda: forecast_figure(series, first), f"{series.name} so far and its forecast"),
            table,
            *notes,
        ],
    )


def warnings_section(judged: Judged, source: str) -> Section:
    """Return what did not fit, the latest first."""
    from timebank_chain.attention.monitor.plots import warnings_figure

    steps = len(judged.series) - judged.trained
    found = sorted(judged.findings, key=lambda one: one.at_ms, reverse=True)
    parts: list[str | Table | Picture] = [
        f"{steps:,} steps were judged by what came before them; {len(found):,} do not fit. Of ordinary "
        f"steps at most {judged.rate:g} are called so by chance: {judged.rate * steps:,.1f} here.",
        Picture(lambda: warnings_figure(judged), "the series, what was expected, and what did not fit"),
    ]
    if found:
        parts.append(
            Table(
                f"The latest {min(len(found), SHOWN)} of {len(found)}",
                ["when", "what", ">came", ">expected"],
                [
                    (format_time(one.at_ms), one.kind, f"{one.value:,.4g}", f"{one.expected:,.4g}")
                    for one in found[:SHOWN]
                ],
            )
        )
    return Section("What does not fit", source, parts=parts)


def suspects_section(verdict: Verdict, source: str) -> Section:
    """Return whose engagement looks bought or automated, without a verdict on anybody."""
    held = verdict.held
    parts: list[str | Table | Picture] = [
        f"{len(verdict.found):,} members have acts enough to be scored, {verdict.unscored:,} have not. "
        f"{len(held):,} stand out; of honest members at most {verdict.rate:.1%} do.",
    ]
    if held:
        parts.append(
            Table(
                "A person decides: a score is a reason to look, not a finding",
                ["member", ">acts", ">engagement", ">expected", "why"],
                [
                    (
                        one.who,
                        one.acts,
                        f"{one.reported:.2f}",
                        f"{one.expected:.2f}",
                        "; ".join(reason.text for reason in one.reasons),
                    )
                    for one in held[:SHOWN]
                ],
            )
        )
    return Section("Who stands out", source, parts=parts)


def model_section(card: Mapping[str, Any], source: str) -> Section:
    """Return how well attention is foreseen, from a model's card."""
    from timebank_chain.attention.model import suspicion, verdict
    from timebank_chain.attention.model.intervals import Decile
    from timebank_chain.attention.model.plots import calibration_figure

    seen = card["rehearsal"]
    intervals = seen["intervals"]
    deciles = [Decile(**one) for one in seen["deciles"]]

    def row(name: str, scores: Mapping[str, Any]) -> tuple[str, ...]:
        return (name, *(_number(scores[key]) for key in ("mse", "r2", "spearman")))

    return Section(
        "What attention a post will get",
        source,
        warning=suspicion(card) if seen["beats_baselines"] else verdict(card),
        parts=[
            verdict(card),
            Table(
                f"{seen['rows']:,} later rows, {seen['from']} to {seen['to']}, with no say in the choice",
                ["", ">MSE", ">R2", ">Spearman"],
                [
                    row(card["model"]["label"], seen["model"]),
                    *(row(name, scores) for name, scores in seen["baselines"].items()),
                ],
            ),
            Picture(
                lambda: calibration_figure(
                    deciles, coverage=intervals["coverage"], inside=intervals["inside"]
                ),
                "predicted and observed attention by tenths of the prediction, with intervals",
            ),
            *(str(limit) for limit in card["limits"]),
        ],
    )


def recommender_section(recommender: Recommender, source: str) -> Section:
    """Return how well members' next choices are foreseen, and who is shown."""
    from timebank_chain.attention.recommend.plots import choice_figure

    choice = recommender.choice
    found = [*((one.name, one.measures) for one in choice.test)]
    found.append((f"{choice.chosen.name}, places kept", choice.guarded))
    return Section(
        "What members may like next",
        source,
        parts=[
            f"Chosen on validation rows: {choice.chosen.name}. The figures are of later rows "
            f"({choice.split}); {choice.floor:.0%} of the places are kept for the half that is seen least.",
            Picture(lambda: choice_figure(choice), "recall, NDCG and exposure of each recommender"),
            Table(
                f"Lists of {choice.k} for {choice.chosen.measures.members:,} members",
                ["", ">recall", ">NDCG", ">coverage", ">to the least seen half", ">Gini of exposure"],
                [
                    (
                        name,
                        *(
                            f"{one:.4f}"
                            for one in (m.recall, m.ndcg, m.coverage, m.least_seen, m.exposure_gini)
                        ),
                    )
                    for name, m in found
                ],
            ),
        ],
    )


def experiment_section(found: Analysis, source: str) -> Section:
    """Return what an experiment showed."""
    from timebank_chain.attention.experiment.plots import experiment_figure

    against = found.plan.arms[0].name
    parts: list[str | Table | Picture] = []
    if found.plan.warning is not None:
        parts.append(found.plan.warning + ".")
    for one in found.treatments:
        parts.append(f"{one.arm} against {against}: {one.verdict}. {' '.join(one.reasons)}")
    parts += [f"{note}." for note in found.notes]
    parts.append(Picture(lambda: experiment_figure(found), "the effect day by day, with both intervals"))
    parts.append(
        Table(
            f"{found.plan.metric.name} over {found.days} days, {sum(found.members.values()):,} members"
            + ("; the interval is not planned, for information" if found.plan.method == "fixed" else ""),
            ["", ">" + against, ">treatment", ">effect", ">always-valid from", ">to"],
            [
                (
                    one.arm,
                    f"{one.control_mean:.6g}",
                    f"{one.treatment_mean:.6g}",
                    f"{one.looks.effect[-1]:+.6g}",
                    _number(float(one.looks.low[-1])),
                    _number(float(one.looks.high[-1])),
                )
                for one in found.treatments
            ],
        )
    )
    alarms = [one.arm for one in found.treatments if one.false_alarms]
    return Section(
        f"Experiment: {found.plan.name}",
        source,
        warning=(
            f"A fixed test looked at daily would have claimed a difference for nothing: {', '.join(alarms)}"
            if alarms
            else None
        ),
        parts=parts,
    )


def _number(value: float | None) -> str:
    return _NONE if value is None or not math.isfinite(value) else f"{value:.4g}"
