"""Which history the demo values, and a clock that fits it.

A preset policy is made for a community that has run for years; a checkout may be an hour old. So the
demo keeps the preset's scoring and bands and fits only its clock (epoch length, observation window,
mean lifetime) to the span of the history. The fitted policy is published, hashed and audited like any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from timebank_chain.activity import PUBLIC_SALT_KEY, CleanResult, RawRecord, clean
from timebank_chain.activity.mapping_file import load_mapping
from timebank_chain.activity.sources import csv_rows, git_acts, jsonl_rows, parquet_rows, stackexchange_acts
from timebank_chain.errors import ActivityError, InputError, UsageError
from timebank_chain.units import Milliseconds
from timebank_chain.valuation import Policy, load_policy, policy_with, tau_of

#: Observation windows take at most this share of the history, so that most of it settles.
_WINDOW_SHARE = 8
#: The mean lifetime is at most this many times what has passed since the history began: decay can be seen at
#: work, and some of the standing is left today.
_LIFETIMES = 2
#: A history shorter than this is valued without observation windows: nothing could happen within them.
_SHORTEST_MS = 10_000


@dataclass(frozen=True)
class History:
    """A community's acts as the demo found them.

    Attributes
    ----------
    kind
        ``git``, ``stackexchange`` or ``table``.
    place
        The repository, folder or file.
    policy
        The policy its indicators were counted under, clock fitted.
    cleaned
        Table and rejects.
    """

    kind: str
    place: Path
    policy: Policy
    cleaned: CleanResult


@dataclass(frozen=True)
class Schedule:
    """When the demo's epochs start and end, Unix milliseconds; each is ``policy.epoch_ms`` long."""

    policy: Policy
    start_ms: Milliseconds
    ends_ms: tuple[Milliseconds, ...]


def load_history(
    *,
    repo: Path | None,
    stackexchange: Path | None,
    activity: Path | None,
    mapping: Path | None,
    policy: str | None,
    now_ms: int,
) -> History:
    """Read one source and fit the policy's observation windows to the span of what it holds.

    Raises
    ------
    UsageError
        If none or several sources are named.
    ActivityError
        If the source holds no act that can be valued.
    """
    if sum(source is not None for source in (repo, stackexchange, activity)) != 1:
        raise UsageError(
            "name one history", hint="--repo PATH, --stackexchange DIR or --activity FILE [--mapping TOML]"
        )
    if mapping is not None and activity is None:
        raise UsageError("--mapping belongs to --activity FILE")
    kind = "git" if repo is not None else "stackexchange" if stackexchange is not None else "table"
    place = repo or stackexchange or activity
    assert place is not None  # noqa: S101 - one of the three is set, checked above
    chosen = load_policy(policy or {"git": "git", "stackexchange": "stackexchange", "table": "git"}[kind])

    def read(rules: Policy) -> CleanResult:
        windows = {domain.name: domain.window_ms for domain in rules.domains}
        rows = _rows(kind, place, windows, mapping, now_ms)
        return clean(
            rows, now_ms=now_ms, salt_key=PUBLIC_SALT_KEY, windows=windows, domains=rules.domain_names()
        )

    # First without windows, to see from when to when the acts reach. A table says itself what its
    # indicators are, so it stays at that.
    unobserved = policy_with(chosen, window_ms=0)
    cleaned = read(unobserved)
    chosen = unobserved if kind == "table" else _fit_windows(chosen, cleaned)
    if chosen != unobserved:
        cleaned = read(chosen)
    if not len(cleaned.table):
        reasons = "; ".join(f"{count} x {reason}" for reason, count in cleaned.reasons().items())
        raise ActivityError(
            f"no act in {place} can be valued ({cleaned.read} read{'; ' + reasons if reasons else ''})",
            hint="choose another history with --repo, --stackexchange or --activity",
        )
    return History(kind, place, chosen, cleaned)


def fit_schedule(history: History, *, epochs: int, now_ms: int) -> Schedule:
    """Divide the history into ``epochs`` epochs of one length, the last ending when the last act settles.

    The end is never in the future: acts whose observation window is still open stay for a later epoch.

    Raises
    ------
    InputError
        If no act has settled yet.
    """
    policy = history.policy
    table = history.cleaned.table
    settled = table.occurred_ms + table.window_ms
    first = int(settled.min())
    end = min(now_ms, int(settled.max()))
    if first > end:
        raise InputError(
            "no observation window has closed yet: the first act settles later than now",
            hint="run it again in a moment, or choose an older history with --repo",
        )
    epochs = max(1, min(epochs, end - first + 1))
    epoch_ms = _whole_seconds(-(-(end - first + 1) // epochs))
    start = end - epochs * epoch_ms
    if start < 0:
        raise InputError("the history begins in 1970: no epoch can start before it")
    tau_ms = min(tau_of(policy.decay_k), _whole_seconds(_LIFETIMES * (now_ms - first + 1)))
    fitted = policy_with(policy, epoch_ms=epoch_ms, tau_ms=tau_ms)
    ends = tuple(Milliseconds(start + (number + 1) * epoch_ms) for number in range(epochs))
    return Schedule(replace(fitted, name=f"{policy.name}-demo"), Milliseconds(start), ends)


def _fit_windows(policy: Policy, cleaned: CleanResult) -> Policy:
    times = cleaned.table.occurred_ms
    if not len(times):
        return policy
    span = int(times.max()) - int(times.min())
    longest = max(domain.window_ms for domain in policy.domains)
    if longest * _WINDOW_SHARE <= span:
        return policy
    window_ms = 0 if span < _SHORTEST_MS else _whole_seconds(span // (2 * _WINDOW_SHARE))
    return policy_with(policy, window_ms=window_ms)


def _whole_seconds(ms: int) -> int:
    """Round up to what a person can read, unless that would dwarf the span."""
    return ms if ms < _SHORTEST_MS else -(-ms // 1_000) * 1_000


def _rows(
    kind: str, place: Path, windows: Mapping[str, int], mapping: Path | None, now_ms: int
) -> list[RawRecord]:
    if kind == "git":
        return list(git_acts(place, windows=windows, now_ms=now_ms))
    if kind == "stackexchange":
        return list(stackexchange_acts(place, windows=windows, now_ms=now_ms))
    rules = None if mapping is None else load_mapping(mapping)
    name = place.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        return list(parquet_rows(place, rules))
    if name.endswith((".jsonl", ".ndjson")):
        return list(jsonl_rows(place, rules))
    return list(csv_rows(place, rules))
