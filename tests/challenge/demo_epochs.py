"""The demo's epochs put on trial, each while it is pending on the demo's own chain.

The demo runs as `timebank demo` runs it: a real history, real signatures, the shipped contracts on the
embedded chain. Whenever an epoch is proposed, what anybody could try is put to the specification, and a part
of it, also with something changed, to the deployed ``EpochChallenge``; then the demo goes on to its audit.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.challenge.court import Court
from tests.challenge.every_challenge import Challenge, Challenges, accusations, try_all
from tests.challenge.mutations import mutated
from tests.challenge.small_epochs import Case, draw_policy
from tests.world import SIGNERS
from timebank_chain.chain.connection import Connection, connect
from timebank_chain.chain.deployment import load_deployment
from timebank_chain.chain.system import Timebank, open_timebank
from timebank_chain.demo import DemoOptions, Story, fit_schedule, load_history, run_demo
from timebank_chain.epoch import read_epoch
from timebank_chain.spec.epoch_challenge import PROOFS
from timebank_chain.valuation import Policy

CHALLENGER = SIGNERS["stranger"].address


@dataclass
class EpochTrial:
    """What was tried against one epoch: how often each function was refused with which error.

    ``by_spec`` and ``on_chain`` count the same way; on chain, contract and specification said the same.
    """

    epoch: int
    activities: int
    accounts: int
    by_spec: Counter[str] = field(default_factory=Counter)
    on_chain: Counter[str] = field(default_factory=Counter)


@dataclass
class DemoTrial:
    """A demo run in which every proposal is tried as soon as it is there.

    Attributes
    ----------
    limit
        Challenges of every function put to the specification for an epoch that has more of them.
    each
        Challenges of every function put to the contract, and as many with something changed at random.
    """

    connection: Connection
    folder: Path
    policy: Policy
    draw: random.Random
    limit: int
    each: int
    progress: Callable[[str], None]
    trials: list[EpochTrial] = field(default_factory=list)

    def told(self, text: str) -> None:
        """Hear of the demo's progress, and look whether an epoch is pending that was not tried yet."""
        self.progress(text)
        if not (self.folder / "epochs").is_dir():
            return
        timebank = open_timebank(self.connection, load_deployment(self.folder / "deployment.json"))
        pending = timebank.rate_oracle.pending()
        if pending is not None and pending.epoch == len(self.trials) + 1:
            self.trials.append(self._try(timebank, pending.header_hash))

    def _try(self, timebank: Timebank, header_hash: bytes) -> EpochTrial:
        number = len(self.trials) + 1
        published = read_epoch(self.folder / "epochs", number)
        assert published.header.hash() == header_hash, "another header is pending"
        previous = read_epoch(self.folder / "epochs", number - 1) if number > 1 else None
        case = Case(published, previous, self.policy)
        trial = EpochTrial(number, published.header.activity_count, published.header.account_count)
        challenges = Challenges(case, draw_policy(self.draw), wide=False)
        accused = list(accusations(case))
        try_all(challenges.header, accused, trial.by_spec)
        try_all(challenges.header, challenges.most(self.draw, self.limit), trial.by_spec)
        court = Court(timebank, CHALLENGER)
        for function, arguments in self._bounded(challenges, accused):
            voided = court.judge(function, challenges.header, *arguments)
            assert not voided, f"epoch {number} of the demo was voided by {function}{arguments}"
            changed = list(arguments)
            at = self.draw.randrange(len(changed))
            changed[at] = mutated(self.draw, changed[at])
            voided = court.judge(function, challenges.header, *changed)
            assert not voided, f"epoch {number} of the demo was voided by {function}{tuple(changed)}"
            # The specification is asked again here, so that what was changed is counted there too.
            try_all(challenges.header, [(function, tuple(changed))], trial.by_spec)
        trial.on_chain = court.counts
        return trial

    def _bounded(self, challenges: Challenges, accused: list[Challenge]) -> Iterator[Challenge]:
        """So many of every function: half of them what would prove a fault, half whatever can be shown."""
        for function in PROOFS:
            own = [one for one in accused if one[0] == function]
            yield from self.draw.sample(own, min(len(own), (self.each + 1) // 2))
        yield from challenges.most(self.draw, self.each // 2)


def try_demo(
    repo: Path,
    folder: Path,
    *,
    epochs: int = 4,
    seed: int = 1,
    limit: int = 2_000,
    each: int = 6,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Story, list[EpochTrial]]:
    """Run the demo on a repository's history and try every epoch of it.

    Raises
    ------
    AssertionError
        If an epoch was voided, or contract and specification differ.
    """
    now_ms = time.time_ns() // 1_000_000
    history = load_history(
        repo=repo, stackexchange=None, activity=None, mapping=None, policy=None, now_ms=now_ms
    )
    schedule = fit_schedule(history, epochs=epochs, now_ms=now_ms)
    connection = connect()
    trial = DemoTrial(connection, folder, schedule.policy, random.Random(seed), limit, each, progress)
    story = run_demo(connection, history, schedule, DemoOptions(folder=folder, progress=trial.told))
    assert len(trial.trials) == len(schedule.ends_ms), "an epoch was not tried"
    assert story.audit is not None
    assert story.audit.ok, story.audit.verdict
    return story, trial.trials
