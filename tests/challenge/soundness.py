"""No challenge voids a correct epoch: honest epochs by chance, every challenge that can be made of each.

::

    .venv/bin/python -m tests.challenge.soundness --epochs 10000 --seed 1
    .venv/bin/python -m tests.challenge.soundness --demo [--repo PATH]    the demo's epochs, on its chain too
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.challenge.every_challenge import Challenges, try_all
from tests.challenge.small_epochs import draw_chain, draw_policy

_CHECKOUT = Path(__file__).resolve().parents[2]


def run(
    epochs: int, seed: int, each: int | None, progress: Callable[[int], None] = lambda _: None
) -> Counter[str]:
    """Try challenges against so many honest epochs.

    Parameters
    ----------
    epochs
        How many, at least.
    seed
        Of the drawing.
    each
        Challenges of every function; ``None`` for all there are.
    progress
        Told how many epochs are done.

    Returns
    -------
    Counter
        How often each function was refused with which error.
    """
    draw, outcomes, done = random.Random(seed), Counter[str](), 0
    while done < epochs:
        # Where all are tried the epochs are the smaller: what is tried grows with the fourth power.
        most = (4, 3) if each is None else (9, 6)
        for case in draw_chain(draw, most_acts=most[0], accounts=most[1]):
            challenges = Challenges(case, draw_policy(draw), wide=False)
            chosen = challenges.all() if each is None else challenges.some(draw, each)
            try_all(challenges.header, chosen, outcomes)
            outcomes["epochs"] += 1
            done += 1
            if done % 500 == 0:
                progress(done)
    return outcomes


def demo(repo: Path, seed: int) -> int:
    """Try the demo's epochs, and say what was refused how often."""
    from tests.challenge.demo_epochs import try_demo

    began = time.monotonic()

    def progress(text: str) -> None:
        print(text, file=sys.stderr)

    with tempfile.TemporaryDirectory(prefix="demo-on-trial-") as folder:
        story, trials = try_demo(repo, Path(folder), seed=seed, progress=progress)
    total = Counter[str]()
    for trial in trials:
        total += trial.by_spec
    for name, count in sorted(total.items()):
        print(f"{count:>12,}  {name}")
    for trial in trials:
        print(
            f"epoch {trial.epoch} of {trial.activities:,} activities and {trial.accounts:,} accounts: "
            f"{trial.by_spec.total():,} challenges by the specification, "
            f"{trial.on_chain.total():,} by the contract, not voided"
        )
    assert story.audit is not None, "the demo ends with its audit"
    print(
        f"{len(trials)} demo epochs, {total.total():,} challenges, "
        f"{sum(trial.on_chain.total() for trial in trials):,} put to the contract, no epoch voided; "
        f"then the audit: {story.audit.verdict}; {time.monotonic() - began:.0f} s"
    )
    return 0


def _positive(text: str) -> int:
    """Read how many."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"not a number from 1 on: {text!r}")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Try, and say what was refused how often."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--epochs", type=_positive, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, help="challenges of every function and epoch; default: all")
    parser.add_argument("--demo", action="store_true", help="try the epochs of the demo instead")
    parser.add_argument("--repo", type=Path, default=_CHECKOUT, help="history of the demo; default: this one")
    options = parser.parse_args(arguments)
    if options.demo:
        return demo(options.repo, options.seed)
    began = time.monotonic()

    def progress(done: int) -> None:
        print(f"{done:,} epochs, {time.monotonic() - began:.0f} s", file=sys.stderr)

    outcomes = run(options.epochs, options.seed, options.each, progress)
    epochs = outcomes.pop("epochs")
    for name, count in sorted(outcomes.items()):
        print(f"{count:>12,}  {name}")
    print(f"{epochs:,} honest epochs, {sum(outcomes.values()):,} challenges, no epoch voided")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
