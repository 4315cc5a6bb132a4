"""``timebank attention experiment``: plan, assign, analyse; and judge a policy by another's log."""

from __future__ import annotations

import csv
import io
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timebank_chain.cli.options import AsJson, progress
from timebank_chain.cli.output import out, print_json, say
from timebank_chain.cli.outputs import check_outputs
from timebank_chain.errors import UsageError
from timebank_chain.units import format_time, parse_time

if TYPE_CHECKING:
    from timebank_chain.attention.experiment.plan import Arm, Covariate, Guardrail, Metric

app = typer.Typer(
    help="Try a change on some members: plan, assign, analyse; judge a policy by another's log.\n\n"
    "Example: timebank attention experiment analyse plan.json log.csv",
    no_args_is_help=True,
)

PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="The plan's file.")]
_SALT_BYTES = 32
_MORE = {"exposure": "the part of offers that is least shown", "mean": "up or down"}


@app.command("plan")
def plan(
    metric: Annotated[str, typer.Option("--metric", metavar="COLUMN", help="The log's column that decides.")],
    baseline: Annotated[float, typer.Option("--baseline", help="Its expected mean (or rate) under control.")],
    to: Annotated[Path, typer.Option("-o", "--to", metavar="FILE", help="Where the plan goes.")],
    name: Annotated[str, typer.Option("--name", help="What to call the experiment.")] = "experiment",
    arm: Annotated[
        list[str] | None,
        typer.Option("--arm", metavar="NAME=WEIGHT", help="An arm, the control first (default: two alike)."),
    ] = None,
    spread: Annotated[
        float | None,
        typer.Option("--spread", help="Its standard deviation; without it the metric is a rate of 0 and 1."),
    ] = None,
    better: Annotated[str, typer.Option("--better", metavar="up|down", help="Which way is better.")] = "up",
    effect: Annotated[
        str | None,
        typer.Option("--effect", metavar="NUMBER", help="Smallest change worth seeing: 0.002, or 10% of it."),
    ] = None,
    members: Annotated[
        int | None,
        typer.Option("--members", help="Members there are, all arms: then the effect is computed."),
    ] = None,
    covariate: Annotated[
        str | None, typer.Option("--covariate", metavar="COLUMN", help="Measured before the start (CUPED).")
    ] = None,
    correlation: Annotated[
        float, typer.Option("--correlation", help="Its expected correlation with the metric.")
    ] = 0.0,
    fixed: Annotated[
        bool, typer.Option("--fixed", help="Look once, at the horizon; less members, no look before.")
    ] = False,
    alpha: Annotated[float, typer.Option("--alpha", help="Chance of a false alarm, all arms.")] = 0.05,
    power: Annotated[float, typer.Option("--power", help="Chance to see the effect if it is there.")] = 0.8,
    guardrail: Annotated[
        list[str] | None,
        typer.Option(
            "--guardrail",
            metavar="KIND:COLUMN:TOLERANCE[:MORE]",
            help="What must not be harmed: gini:replies:0.02[:GROUPS], exposure:offer:0.01:0.25 (the least "
            "shown quarter), mean:posts:0.1:up.",
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--start", metavar="TIME", help="When it starts (default: now).")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--end", metavar="TIME", help="When it ends at the latest.")
    ] = None,
    backdated: Annotated[
        bool,
        typer.Option("--backdated", help="The start is past; the plan and every analysis say so."),
    ] = False,
    burn_in: Annotated[
        int, typer.Option("--burn-in", help="Members each arm has before a look counts.")
    ] = 50,
    external: Annotated[
        bool, typer.Option("--external-assignment", help="Another system assigns: arms are not recomputed.")
    ] = False,
    salt: Annotated[
        str | None, typer.Option("--salt", metavar="HEX", help="32 bytes (default: drawn at random).")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a plan that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fix what is asked and how many members answer it, before anybody is treated.

    Members follow from the effect, or the smallest effect that is seen from the members. The file carries
    its own hash: an analysis takes no plan that was changed afterwards. When it was made stands in it too; a
    start that is past is refused, or admitted with --backdated.

    Example: timebank attention experiment plan --metric replied --baseline 0.1 --effect 10% -o plan.json

    Example: timebank attention experiment plan --metric replies --baseline 2 --spread 3 --effect 0.2
    --covariate replies_before --correlation 0.6 --guardrail gini:replies:0.02 -o plan.json
    """
    from timebank_chain.attention.experiment.design import Question, compare_sizes, make_plan
    from timebank_chain.attention.experiment.plan import write_plan
    from timebank_chain.cli.attention.experiment_view import print_plan

    now_ms = int(time.time() * 1000)
    question = Question(
        name=name,
        salt=_salt(salt),
        planned_ms=now_ms,
        backdated=backdated,
        start_ms=now_ms if start is None else _time(start, "--start"),
        end_ms=None if end is None else _time(end, "--end"),
        external=external,
        arms=_arms(arm or ["control=1", "treatment=1"]),
        metric=_metric(metric, baseline, spread, better),
        covariate=_covariate(covariate, correlation),
        method="fixed" if fixed else "always-valid",
        alpha=alpha,
        power=power,
        effect=None if effect is None else _effect(effect, baseline),
        members=members,
        burn_in=burn_in,
        guardrails=tuple(_guardrail(text) for text in guardrail or []),
    )
    made = make_plan(question)
    sizes = compare_sizes(made)
    write_plan(to, made, force=force)
    if as_json:
        body = {
            "plan": made.to_json(),
            "file": str(to),
            "members": {
                "planned": sizes.planned,
                "fixed": sizes.fixed,
                "always_valid": sizes.always_valid,
                "without_covariate": sizes.without_covariate,
            },
        }
        print_json("timebank.attention.experiment.planned/1", body)
        return
    print_plan(made, sizes)
    say(f"plan: {to}")


@app.command("assign")
def assign(
    plan_file: PlanFile,
    members: Annotated[
        Path | None, typer.Argument(metavar="[MEMBERS]", help="CSV or JSONL with a column `member`.")
    ] = None,
    member: Annotated[
        list[str] | None, typer.Option("--member", metavar="ID", help="One member, instead of a file.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("-o", "--to", metavar="FILE", help="Write member,arm to this file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say which arm each member gets; the same for ever, whoever asks, whatever other experiments run.

    Example: timebank attention experiment assign plan.json members.csv -o assigned.csv

    Example: timebank attention experiment assign plan.json --member ada
    """
    from timebank_chain.attention.experiment.assign import arm_counts, assign_many
    from timebank_chain.attention.experiment.log import read_members
    from timebank_chain.attention.experiment.plan import read_plan, write_text

    if (members is None) == (not member):
        raise UsageError("whom to assign?", hint="a file of members, or --member ID")
    check_outputs([("--to", to)], [plan_file, members])
    made = read_plan(plan_file)
    if made.assignment != "hash":
        raise UsageError("this plan's members are assigned by another system", hint="plan it without that")
    names = (
        read_members(members)
        if members is not None
        else list(dict.fromkeys(one.strip() for one in member or []))
    )
    if not all(names):
        raise UsageError("a member without a name", hint="--member ID")
    arms = assign_many(made, names)
    counts = arm_counts(made, arms)
    if to is not None:
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["member", "arm"])
        writer.writerows(zip(names, arms, strict=True))
        write_text(to, table.getvalue())
        say(f"assignments: {to}")
    if as_json:
        body = {
            "plan_hash": "0x" + made.hash().hex(),
            "counts": counts,
            "file": None if to is None else str(to),
            "assignments": None if to is not None else dict(zip(names, arms, strict=True)),
        }
        print_json("timebank.attention.experiment.assignment/1", body)
        return
    if to is None:
        for one, found in zip(names, arms, strict=True):
            out().print(f"{one}  {found}", markup=False)
    say(", ".join(f"{found}: {count:,}" for found, count in counts.items()))


@app.command("analyse")
def analyse(
    plan_file: PlanFile,
    log_file: Annotated[
        Path, typer.Argument(metavar="LOG", help="CSV or JSONL: member, arm, at, and the plan's columns.")
    ],
    exposures: Annotated[
        Path | None,
        typer.Option(
            "--exposures", metavar="FILE", help="What was shown: member, and the guardrail's column."
        ),
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="When it is looked at (default: now).")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Also draw it: .png or .svg.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what the treatment did, with an interval that holds however often it is looked at.

    Refuses a log that does not fit the plan, and concludes nothing (exit code 3) from arms whose sizes do
    not fit their weights. Says what a fixed test, looked at every day, would have said. A treatment that
    wins but harms a guardrail is not to be shipped.

    Exit code 0 whatever the verdict, also of `do not ship`: read the verdict, or `treatments[].verdict` of
    --json. 3: nothing is concluded; 1: the log or the plan is refused; 2: wrong usage.

    Example: timebank attention experiment analyse plan.json log.csv --plot effect.svg

    Example: timebank attention experiment analyse plan.json log.csv --exposures shown.csv --json
    """
    from timebank_chain.attention.experiment.analyse import analyse as run
    from timebank_chain.attention.experiment.analyse import check_ratio
    from timebank_chain.attention.experiment.log import read_exposures, read_log, require_exposures
    from timebank_chain.attention.experiment.plan import read_plan
    from timebank_chain.attention.experiment.plots import experiment_figure
    from timebank_chain.attention.pictures import picture_kind, write_picture
    from timebank_chain.cli.attention.experiment_view import analysis_document, print_analysis

    now_ms = int(time.time() * 1000) if at is None else _time(at, "--at")
    if plot is not None:
        picture_kind(plot)
    check_outputs([("--plot", plot)], [plan_file, log_file, exposures])
    made = read_plan(plan_file)
    column = require_exposures(made, exposures)
    log = read_log(log_file, made)
    if log.last_ms > now_ms:
        raise UsageError(
            f"the log's newest outcome, {format_time(log.last_ms)}, is after {format_time(now_ms)}",
            hint="a later --at, or a log without rows from the future",
        )
    progress(f"{len(log.member):,} members read from {log_file}")
    # First of all: members the log lost would else be told of as strangers among the exposures.
    check_ratio(made, log.counts(len(made.arms)))
    shown = None if exposures is None or column is None else read_exposures(exposures, column, log)
    found = run(made, log, shown, now_ms=now_ms)
    if plot is not None:
        write_picture(plot, lambda: experiment_figure(found))
        say(f"picture: {plot}")
    if as_json:
        body = {**analysis_document(found), "plot": None if plot is None else str(plot)}
        print_json("timebank.attention.experiment.analysis/1", body)
        return
    print_analysis(found)


@app.command("off-policy")
def off_policy(
    log_file: Annotated[Path, typer.Argument(metavar="LOG", help="A policy's log, CSV or JSONL.")],
    policy_file: Annotated[
        Path,
        typer.Option("--policy", metavar="FILE", help="The policy to judge: contexts, action, probability."),
    ],
    action: Annotated[str, typer.Option("--action", metavar="COLUMN", help="What was shown.")] = "action",
    reward: Annotated[str, typer.Option("--reward", metavar="COLUMN", help="What it earned.")] = "reward",
    propensity: Annotated[
        str, typer.Option("--propensity", metavar="COLUMN", help="The logging policy's probability of it.")
    ] = "propensity",
    context: Annotated[
        list[str] | None,
        typer.Option("--context", metavar="COLUMN", help="What the judged policy looks at; several allowed."),
    ] = None,
    clip: Annotated[
        float | None, typer.Option("--clip", help="Cut weights to this; the bias it makes is said.")
    ] = None,
    alpha: Annotated[float, typer.Option("--alpha", help="Chance that an interval misses.")] = 0.05,
    bootstrap: Annotated[int, typer.Option("--bootstrap", help="Bootstrap samples.")] = 1_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the bootstrap and the folds.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Estimate what a policy would have earned, from the log of another: IPS, SNIPS and doubly robust.

    Without an experiment, but only where the log's policy could show what the judged one shows, and with the
    probabilities it really used. Propensities of zero, negative, above one or no number are refused by row.

    Exit code 3: nothing is concluded, since the weights' mean shows that the propensities are not the log's,
    or one row decides everything; 1: the log or the policy is refused; 2: wrong usage.

    Example: timebank attention experiment off-policy log.csv --policy new.csv --action item --reward click

    Example: timebank attention experiment off-policy log.csv --policy new.csv --context position --clip 20
    """
    from timebank_chain.attention.experiment.off_policy import evaluate
    from timebank_chain.attention.experiment.off_policy_log import LogColumns, read_logged_rows
    from timebank_chain.cli.attention.experiment_view import off_policy_document, print_off_policy

    if not 1e-6 <= alpha <= 0.5:
        raise UsageError(f"--alpha {alpha:g} is out of range", hint="from 0.000001 to 0.5")
    names = LogColumns(action, reward, propensity, tuple(context or ()))
    rows = read_logged_rows(log_file, policy_file, names)
    progress(f"{len(rows.reward):,} rows read from {log_file}")
    found = evaluate(rows, clip=clip, level=alpha, bootstrap=bootstrap, seed=seed)
    if as_json:
        print_json("timebank.attention.experiment.off_policy/1", off_policy_document(found, alpha))
        return
    print_off_policy(found, alpha)


def _salt(text: str | None) -> bytes:
    if text is None:
        import secrets

        return secrets.token_bytes(_SALT_BYTES)
    try:
        salt = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        salt = b""
    if len(salt) != _SALT_BYTES:
        raise UsageError("--salt is not 32 bytes", hint="64 hexadecimal digits, or leave it out")
    return salt


def _time(text: str, what: str) -> int:
    try:
        return int(parse_time(text))
    except ValueError as error:
        raise UsageError(f"{what}: {error}") from None


def _arms(texts: list[str]) -> tuple[Arm, ...]:
    from timebank_chain.attention.experiment.plan import Arm

    arms = []
    for text in texts:
        name, _, weight = text.partition("=")
        if not weight.isdecimal() or not weight.isascii():
            raise UsageError(
                f"--arm {text!r} has no weight", hint="write NAME=WEIGHT: control=1, or control=90"
            )
        arms.append(Arm(name, int(weight[:20])))
    return tuple(arms)


def _metric(name: str, baseline: float, spread: float | None, better: str) -> Metric:
    from timebank_chain.attention.experiment.design import rate_spread
    from timebank_chain.attention.experiment.plan import Metric

    kind = "rate" if spread is None else "mean"
    return Metric(name, kind, better, baseline, rate_spread(baseline) if spread is None else spread)


def _covariate(name: str | None, correlation: float) -> Covariate | None:
    from timebank_chain.attention.experiment.plan import Covariate

    if name is None:
        if correlation:
            raise UsageError("a correlation without a covariate", hint="add --covariate COLUMN")
        return None
    return Covariate(name, correlation)


def _effect(text: str, baseline: float) -> float:
    number = text.removesuffix("%")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"--effect {text!r} is no number", hint="write 0.002, or 10% of the baseline")
    return abs(baseline) * value / 100 if number != text else value


def _guardrail(text: str) -> Guardrail:
    from timebank_chain.attention.experiment.plan import GUARDRAIL_KINDS, Guardrail

    kind, *rest = text.split(":")
    if kind not in GUARDRAIL_KINDS or len(rest) not in (2, 3):
        raise UsageError(
            f"--guardrail {text!r} is none",
            hint="gini:COLUMN:TOLERANCE[:GROUPS], exposure:COLUMN:TOLERANCE:PART or mean:COLUMN:TOLERANCE:up",
        )
    more = rest[2] if len(rest) == 3 else None
    if more is None and kind != "gini":
        raise UsageError(f"--guardrail {text!r} lacks {_MORE[kind]}", hint="see --help")
    return Guardrail(
        kind=kind,
        name=rest[0],
        tolerance=_part(rest[1], text),
        by=more if kind == "gini" else None,
        lowest=_part(more, text) if kind == "exposure" and more is not None else None,
        better=more if kind == "mean" else None,
    )


def _part(number: str, text: str) -> float:
    try:
        return float(number)
    except ValueError:
        raise UsageError(f"--guardrail {text!r}: {number!r} is no number") from None
