"""``timebank attention recommend``: what a member may like next, and how well that is known."""

from __future__ import annotations

import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timebank_chain.cli.options import AsJson, progress
from timebank_chain.cli.output import out, print_json, print_table, say
from timebank_chain.cli.outputs import check_outputs
from timebank_chain.errors import UsageError

if TYPE_CHECKING:
    from timebank_chain.attention.recommend import Choice, Interactions
    from timebank_chain.attention.recommend.choose import Judged
    from timebank_chain.attention.recommend.interactions import Split
    from timebank_chain.attention.recommend.measures import Measures

app = typer.Typer(
    help="What a member may like next: activities, offers, other members.\n\n"
    "Example: timebank attention recommend train dump/ -o community.recommender",
    no_args_is_help=True,
)

History = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="Who took what and when: CSV, Parquet (member, object, at_ms, kind, value) or a dump's folder.",
    ),
]
SplitOption = Annotated[
    str,
    typer.Option(
        "--split",
        metavar="S",
        help="What is judged by: time:SHARE, the latest of all, after one moment; or last:N of each member, "
        "which looks at other members' later rows.",
    ),
]
Length = Annotated[int, typer.Option("--length", "-k", min=1, max=1000, help="Length of a list.")]
Floor = Annotated[
    float, typer.Option("--floor", min=0.0, max=1.0, help="Part of the places kept for the least seen half.")
]
RelevantFrom = Annotated[
    float | None,
    typer.Option(
        "--relevant-from", metavar="VALUE", help="Only later rows of at least this value count as found."
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Where chance begins.")]
_DEFAULT_SPLIT = "time:0.2"
_SPLIT = re.compile(r"last:(?P<last>[1-9]\d{0,3})|time:(?P<time>0?\.\d{1,6})")


@app.command("evaluate")
def evaluate(
    history: History,
    split: SplitOption = _DEFAULT_SPLIT,
    length: Length = 10,
    floor: Floor = 0.1,
    relevant_from: RelevantFrom = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Compare popularity, item-kNN and factorisation on what members took later; write nothing.

    Which parameters are best is found on a validation part, the figures to trust are those of the test part
    after it. Random splits are not offered: they let a ranker learn from the future.

    Example: timebank attention recommend evaluate orders.csv --split time:0.3

    Example: timebank attention recommend evaluate dump/ --json
    """
    interactions, choice = _choose(history, split, length, floor, relevant_from, seed)
    if as_json:
        print_json(
            "timebank.attention.recommend.evaluate/1",
            {"data_sha256": interactions.data_hash(), **asdict(choice)},
        )
        return
    _print(interactions, choice)


@app.command("train")
def train(
    history: History,
    out_file: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where to keep the recommender.")
    ],
    split: SplitOption = _DEFAULT_SPLIT,
    length: Length = 10,
    floor: Floor = 0.1,
    relevant_from: RelevantFrom = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Choose the best ranker, let it learn from everything, keep it in a file.

    The file holds items and how they hang together, and nobody's history; of members only those that are
    items themselves (kind member): after an erasure train it anew.

    Example: timebank attention recommend train dump/ -o community.recommender
    """
    check_outputs([("--output", out_file)], [history])
    from timebank_chain.attention.recommend import Recommender, save_recommender
    from timebank_chain.attention.recommend.rankers import make_ranker

    interactions, choice = _choose(history, split, length, floor, relevant_from, seed)
    ranker = make_ranker(choice.chosen.name, choice.chosen.parameters)
    progress(f"learning from all {len(interactions):,} rows")
    ranker.fit(interactions)
    recommender = Recommender(
        ranker, interactions.items, interactions.kinds, interactions.data_hash(), choice
    )
    digest = save_recommender(recommender, out_file)
    if as_json:
        print_json(
            "timebank.attention.recommend.train/1",
            {
                "file": str(out_file),
                "sha256": digest,
                "data_sha256": recommender.data_hash,
                **asdict(choice),
            },
        )
        return
    _print(interactions, choice)
    out().print(f"kept: {out_file}, sha256 {digest}", markup=False, soft_wrap=True)


@app.command("for")
def suggest(
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="Name as in the history.")],
    history: Annotated[
        Path, typer.Option("--history", metavar="FILE", help="Who took what up to now, and what there is.")
    ],
    model: Annotated[Path, typer.Option("--model", metavar="FILE", help="A file that `train` made.")],
    length: Length = 10,
    kind: Annotated[str | None, typer.Option("--kind", help="Only these: activity, offer or member.")] = None,
    floor: Floor = 0.1,
    expected: Annotated[
        str | None,
        typer.Option(
            "--sha256", metavar="HEX", help="Use the recommender only if its file has this SHA-256."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Suggest to one member, each line with its reason.

    Who has no past is shown what is taken most. Some places (--floor, of ten or more) are kept for what is
    seen least. Nobody is shown what they took before, what is their own, or themselves. Of a dump, members
    are users' ids, with or without the stackexchange:SITE: that activity tables put before them.

    Example: timebank attention recommend for 17 --history dump/ --model community.recommender --kind member
    """
    from timebank_chain.attention.recommend import dump_name, load_recommender, read_interactions
    from timebank_chain.attention.recommend.interactions import KINDS

    if kind is not None and kind not in KINDS:
        raise UsageError(f"{kind!r} is no kind", hint=f"kinds: {', '.join(KINDS)}")
    member = member.strip()
    if not member:
        raise UsageError("for whom?", hint="name a member as in the history")
    recommender = load_recommender(model, expected_sha256=expected)
    past = read_interactions(history, now_ms=_now_ms())
    name = dump_name(member) if history.is_dir() else member
    known = past.position(name) is not None
    if not known:
        say(f"{member} is not in the history: this is what anybody new is shown")
    lines = recommender.suggest(name, past, k=length, kind=kind, floor=floor)
    if not lines:
        say(f"nothing is left to suggest: {member} took or made everything there is")
    if as_json:
        print_json(
            "timebank.attention.recommend.for/1",
            {"member": member, "known": known, "suggestions": [asdict(line) for line in lines]},
        )
        return
    print_table(
        f"For {member}",
        [">", "what", "kind", "why"],
        [
            (
                line.place,
                line.item,
                line.kind,
                "; ".join(filter(None, (line.reason, ", ".join(line.because)))),
            )
            for line in lines
        ],
    )


def _choose(  # one road for both commands
    history: Path, split: str, k: int, floor: float, relevant_from: float | None, seed: int
) -> tuple[Interactions, Choice]:
    from timebank_chain.attention.extra import need
    from timebank_chain.attention.recommend import choose, read_interactions
    from timebank_chain.attention.recommend.rankers import candidates

    cut = _split(split)
    need("implicit")
    interactions = read_interactions(history, now_ms=_now_ms())
    announced = int((interactions.offered & (interactions.taken() == 0)).sum())
    if announced:
        say(f"{announced:,} items are only announced, by rows without a member")
    return interactions, choose(
        interactions,
        candidates(seed),
        split=cut,
        k=k,
        floor=floor,
        relevant_from=relevant_from,
        progress=progress,
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _split(text: str) -> Split:
    from timebank_chain.attention.recommend import LastOfEach, TimeShare

    found = _SPLIT.fullmatch(text)
    if found is None or (found["time"] and not float(found["time"])):
        raise UsageError(
            f"{text!r} is no split", hint="time:0.2 (the latest fifth) or last:5 (of each member)"
        )
    return LastOfEach(int(found["last"])) if found["last"] else TimeShare(float(found["time"]))


def _print(interactions: Interactions, choice: Choice) -> None:
    print_table(
        f"{len(interactions):,} rows, {len(interactions.members):,} members, "
        f"{len(interactions.items):,} items; judged by the {choice.split}",
        [
            "",
            "parameters",
            f">recall@{choice.k}",
            f">NDCG@{choice.k}",
            ">coverage",
            ">to the least seen half",
            ">Gini of exposure",
        ],
        [
            *(_row("validation: " + one.name, one) for one in choice.validation),
            *(_row("TEST: " + one.name, one) for one in choice.test),
            ("TEST: chosen", choice.chosen.name, *_figures(choice.chosen.measures)),
            ("  with places kept", f"floor {choice.floor:g}", *_figures(choice.guarded)),
        ],
    )


def _row(title: str, one: Judged) -> tuple[str, ...]:
    words = ", ".join(f"{name} {value}" for name, value in one.parameters.items() if value is not None)
    return (title, words or "-", *_figures(one.measures))


def _figures(found: Measures) -> tuple[str, ...]:
    shares = (found.recall, found.ndcg, found.coverage, found.least_seen, found.exposure_gini)
    return tuple(f"{one:.4f}" for one in shares)
