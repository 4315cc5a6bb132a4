"""Reading a policy's log and the policy to be judged, which may not fit each other.

The log: a row an occasion, with columns for the action shown, the logging policy's probability of it, the
reward, and the context, if the target policy looks at any. The policy: ``context columns, action,
probability``, a row a possibility; an action it does not name in a context has none there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from timebank_chain.attention.experiment.columns import Columns, read_columns
from timebank_chain.attention.experiment.off_policy import LoggedRows, hardly_ever
from timebank_chain.errors import AttentionError

#: Probabilities written with six digits add up to 1 no nearer than this.
SUM_TOLERANCE = 1e-4
#: Contexts times actions: the policy's table is in memory.
MAX_CELLS = 20_000_000
PROBABILITY = "probability"

_Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogColumns:
    """What the log's columns are called."""

    action: str = "action"
    reward: str = "reward"
    propensity: str = "propensity"
    context: tuple[str, ...] = ()


def read_logged_rows(log_path: Path, policy_path: Path, names: LogColumns) -> LoggedRows:
    """Read a log and the target policy, and join them.

    Raises
    ------
    AttentionError
        If a column or value is missing; a propensity or probability is zero where it must not be, negative,
        above 1, no number, or so small that no such log would show it; a
        context's probabilities do not add up to 1; or the log has a context the policy does not know. File,
        line and field are named.
    """
    log = read_columns(log_path)
    log.require([names.action, names.reward, names.propensity, *names.context], what="a policy's log")
    policy = read_columns(policy_path)
    policy.require([*names.context, names.action, PROBABILITY], what="the target policy")
    contexts = _number(_keys(policy, names.context))
    actions = _number([*policy.text(names.action), *log.text(names.action)])
    if len(contexts) * len(actions) > MAX_CELLS:
        raise AttentionError(
            f"{len(contexts):,} contexts of {len(actions):,} actions are more than {MAX_CELLS:,} cells",
            hint="give coarser contexts",
            where=str(policy_path),
        )
    propensity = log.numbers(names.propensity)
    wrong = np.flatnonzero((propensity <= 0) | (propensity > 1))
    if wrong.size:
        row = int(wrong[0])
        raise AttentionError(
            f"propensity {log.cells[names.propensity][row]} is not in (0, 1]",
            hint="what was shown had some probability; a log without it cannot be used",
            where=log.place(row, names.propensity),
        )
    target = _table(policy, names, contexts, actions)
    keys = list(contexts)
    rows = LoggedRows(
        reward=log.numbers(names.reward),
        propensity=propensity,
        action=np.array([actions[one] for one in log.cells[names.action]], dtype=np.int64),
        context=_contexts(log, names.context, contexts),
        target=target,
        features=_features(keys, len(names.context)),
    )
    least = hardly_ever(rows)
    if least is not None:
        raise AttentionError(
            f"propensity {log.cells[names.propensity][least]}: a log of {len(log):,} rows has less than one "
            "chance in a million to show that",
            hint="the propensities are not those the log was made with",
            where=log.place(least, names.propensity),
        )
    return rows


_T = TypeVar("_T")


def _number(values: Sequence[_T]) -> dict[_T, int]:
    return {one: place for place, one in enumerate(dict.fromkeys(values))}


def _keys(table: Columns, columns: Sequence[str]) -> list[_Key]:
    if not columns:
        return [()] * len(table)
    return list(zip(*(table.text(name) for name in columns), strict=True))


def _table(
    policy: Columns, names: LogColumns, contexts: dict[_Key, int], actions: dict[str, int]
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    probability = policy.numbers(PROBABILITY)
    wrong = np.flatnonzero((probability < 0) | (probability > 1))
    if wrong.size:
        row = int(wrong[0])
        raise AttentionError(
            f"probability {policy.cells[PROBABILITY][row]} is not in [0, 1]",
            where=policy.place(row, PROBABILITY),
        )
    keys = _keys(policy, names.context)
    context = np.array([contexts[key] for key in keys], dtype=np.int64)
    action = np.array([actions[one] for one in policy.cells[names.action]], dtype=np.int64)
    _, first, times = np.unique(context * len(actions) + action, return_index=True, return_counts=True)
    if (times > 1).any():
        row = int(first[int((times > 1).argmax())])
        raise AttentionError(
            f"action {policy.cells[names.action][row][:60]!r} stands twice in the same context",
            where=policy.place(row, names.action),
        )
    target = np.zeros((len(contexts), len(actions)))
    target[context, action] = probability
    sums = target.sum(axis=1)
    off = np.flatnonzero(np.abs(sums - 1) > SUM_TOLERANCE)
    if off.size:
        row = int(np.flatnonzero(context == off[0])[0])
        raise AttentionError(
            f"the probabilities of context {', '.join(keys[row]) or '(all)'} add up to "
            f"{sums[off[0]]:.6g}, not 1",
            where=policy.place(row, PROBABILITY),
        )
    return np.asarray(target / sums[:, None])


def _contexts(
    log: Columns, columns: Sequence[str], contexts: dict[_Key, int]
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    found = np.empty(len(log), dtype=np.int64)
    for row, key in enumerate(_keys(log, columns)):
        number = contexts.get(key)
        if number is None:
            raise AttentionError(
                f"the policy says nothing of context {', '.join(key)[:60]}",
                hint="give its probabilities, or leave those rows out of the log",
                where=log.place(row, columns[0]),
            )
        found[row] = number
    return found


def _features(keys: Sequence[_Key], width: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    found = np.zeros((len(keys), width), dtype=np.int64)
    for column in range(width):
        numbers = _number([key[column] for key in keys])
        found[:, column] = [numbers[key[column]] for key in keys]
    return found
