"""What a policy would have earned, from another policy's log: no experiment, but the log's propensities.

Row ``i`` of the log: reward ``r``, the logging policy's probability ``p`` of what it showed, the target
policy's probability ``e`` of the same; weight ``w = e / p``. With ``q`` a model of the reward (fitted to
other rows) and ``v`` its mean under the target policy::

    IPS    mean(w r)                             D. G. Horvitz, D. J. Thompson 1952
    SNIPS  sum(w r) / sum(w)                     A. Swaminathan, T. Joachims, NIPS 2015
    DR     mean(v + w (r - q))                   M. Dudik, J. Langford, L. Li, ICML 2011, arXiv:1103.4601

IPS and DR have no bias where the logging policy can show whatever the target shows; SNIPS has one that
vanishes, and less variance. *Clipping* weights at ``c`` lowers the variance and takes ``mean((w - c)^+ r)``
away (for DR the same of ``r - q``): that bias is estimated from the log and said beside each estimate.

Intervals twice: normal, with SNIPS' error by the delta method, and percentile bootstrap over rows. The
effective sample size is ``(sum w)^2 / sum(w^2)`` (A. Kong 1992). Weights have mean 1 if the propensities
are true and the log's support is the target's; how far they are from it is reported in standard errors.

A propensity that a log of so many rows would hardly ever have shown (chance at most rows times actions times
propensity) is no propensity: below one in a million it is refused. A row that weighs more than all rows
together should is told of. Nothing is concluded from a log whose weights cannot have the mean 1, whatever
they earned, nor from one of which a single row decides everything: an interval around it would be of no
width and no worth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from timebank_chain.attention.extra import need
from timebank_chain.errors import AttentionError, CheckFailed, UsageError

Floats = NDArray[np.float64]
ESTIMATORS = ("ips", "snips", "dr")
#: Standard errors from which the weights' mean is not 1 by accident.
SUSPECT_WEIGHTS = 4.0
#: Below so many effective rows an interval says little.
FEW_EFFECTIVE = 100.0
#: Below so many, one row is the estimate.
LEAST_EFFECTIVE = 2.0
#: What happens more often than this in the mean is missing in a log once in 20,000: exp(-10).
_MISSED = 10.0
MAX_BOOTSTRAP = 100_000
#: A log that has so little chance was not made with its propensities.
HARDLY_EVER = 1e-6
#: Beyond this squares of weighted rewards overflow.
MAX_REWARD = 1e100

_FOLDS = 5
_RIDGE = 1.0


@dataclass(frozen=True, slots=True)
class LoggedRows:
    """A policy's log beside the policy to be judged; arrays of shape (rows,) unless said.

    Attributes
    ----------
    reward
        Finite numbers.
    propensity
        The logging policy's probability of what was shown, in (0, 1].
    action, context
        Numbers of the action shown and of the context it was shown in.
    target
        Probability of each action in each context, (contexts, actions); rows sum to 1.
    features
        Codes of each context's own columns, (contexts, columns), for the reward model.
    """

    reward: Floats
    propensity: Floats
    action: NDArray[np.int64]
    context: NDArray[np.int64]
    target: Floats
    features: NDArray[np.int64]

    def weights(self) -> Floats:
        """Return the target's probability over the logging policy's, of what was shown."""
        return np.asarray(self.target[self.context, self.action] / self.propensity)

    def unseen_mass(self) -> float:
        """Return the target's mean probability of actions that the log never shows: no estimate sees them."""
        seen = np.zeros(self.target.shape[1], dtype=np.bool_)
        seen[self.action] = True
        return float(self.target[:, ~seen].sum(axis=1)[self.context].mean())


@dataclass(frozen=True, slots=True)
class Estimate:
    """One estimator's value of the target policy, in the reward's unit, with its two intervals.

    ``clip_bias`` is what clipping added (mostly negative), estimated from the same rows; 0 without clipping.
    """

    name: str
    value: float
    error: float
    low: float
    high: float
    bootstrap_low: float
    bootstrap_high: float
    clip_bias: float


@dataclass(frozen=True, slots=True)
class OffPolicyResult:
    """Estimates of a target policy, and how far to trust them.

    Attributes
    ----------
    logged_mean, logged_error
        Mean reward of the logging policy, which needs no estimate.
    effective_rows
        Of the weights as used.
    mean_weight, mean_weight_error
        Of the weights before clipping.
    clipped_rows
        How many weights were cut to ``clip``.
    unseen_mass
        Target's probability of actions never seen in the log.
    warnings
        What a reader must know before using the numbers.
    """

    rows: int
    logged_mean: float
    logged_error: float
    effective_rows: float
    mean_weight: float
    mean_weight_error: float
    largest_weight: float
    clip: float | None
    clipped_rows: int
    unseen_mass: float
    estimates: tuple[Estimate, ...]
    warnings: tuple[str, ...]


def evaluate(
    log: LoggedRows, *, clip: float | None = None, level: float = 0.05, bootstrap: int = 1_000, seed: int = 0
) -> OffPolicyResult:
    """Estimate what the target policy would have earned on the log's occasions.

    Raises
    ------
    UsageError
        If ``clip`` or ``bootstrap`` is out of range.
    AttentionError
        If a propensity is not in (0, 1] or no log of so many rows would show it, a reward is beyond
        `MAX_REWARD`, or the target never does what the log shows.
    CheckFailed
        If the weights' mean is not 1, which says that the propensities are not the log's, or if one row
        decides everything; nothing is concluded then.
    """
    _check(log, clip, bootstrap)
    rows = len(log.reward)
    raw = log.weights()
    if not raw.any():
        raise AttentionError(
            "the target policy gives no probability to anything the log shows",
            hint="are the actions of both named alike?",
        )
    weight = raw if clip is None else np.minimum(raw, clip)
    logged, expected = reward_model(log, seed=seed)
    terms = np.stack([weight, weight * log.reward, expected + weight * (log.reward - logged)], axis=1)
    cut = raw - weight
    bias = 0.0 - np.array([(cut * log.reward).mean(), (cut * (log.reward - logged)).mean()])
    ips, dr = float(terms[:, 1].mean()), float(terms[:, 2].mean())
    snips = float(terms[:, 1].sum() / terms[:, 0].sum())
    unclipped = float((raw * log.reward).sum() / raw.sum())
    errors = (
        _error(terms[:, 1]),
        _error(weight * (log.reward - snips)) / float(weight.mean()),
        _error(terms[:, 2]),
    )
    resampled = _bootstrap(terms, bootstrap, seed)
    reach = float(need("scipy.stats").norm.isf(level / 2))
    ends = np.quantile(resampled, [level / 2, 1 - level / 2], axis=0)
    estimates = tuple(
        Estimate(
            name=name,
            value=value,
            error=error,
            low=value - reach * error,
            high=value + reach * error,
            bootstrap_low=float(ends[0, place]),
            bootstrap_high=float(ends[1, place]),
            clip_bias=float(off),
        )
        for place, (name, value, error, off) in enumerate(
            zip(ESTIMATORS, (ips, snips, dr), errors, (bias[0], snips - unclipped, bias[1]), strict=True)
        )
    )
    result = OffPolicyResult(
        rows=rows,
        logged_mean=float(log.reward.mean()),
        logged_error=_error(log.reward),
        effective_rows=_effective(weight),
        mean_weight=float(raw.mean()),
        mean_weight_error=_error(raw),
        largest_weight=float(raw.max()),
        clip=clip,
        clipped_rows=int((cut > 0).sum()),
        unseen_mass=log.unseen_mass(),
        estimates=estimates,
        warnings=(),
    )
    _check_evidence(result)
    return _with_warnings(result)


def reward_model(log: LoggedRows, *, seed: int = 0) -> tuple[Floats, Floats]:
    """Fit the reward by action and context; each row is predicted by a model that has not seen it.

    Ridge regression on indicators of the action and of each context column, in five folds, cut to the range
    of the rewards it was fitted to. DR needs no more of it than that it does not know the row's own reward.

    Returns
    -------
    tuple of arrays (rows,)
        Predicted reward of what was shown, and its mean over what the target would show.
    """
    linear = need("sklearn.linear_model")
    sparse = need("scipy.sparse")
    rows, actions = len(log.reward), log.target.shape[1]
    sizes = [actions, *((int(column.max()) + 1) for column in log.features.T)]
    offsets = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    codes = np.column_stack([log.action, log.features[log.context]]) + offsets
    width = codes.shape[1]
    design = sparse.csr_matrix(
        (np.ones(rows * width), codes.reshape(-1), np.arange(0, rows * width + 1, width)),
        shape=(rows, int(sum(sizes))),
    )
    fold = np.random.default_rng(seed).permutation(rows) % min(_FOLDS, rows)
    logged, expected = np.empty(rows), np.empty(rows)
    for number in range(int(fold.max()) + 1):
        held, kept = fold == number, fold != number
        model = linear.Ridge(alpha=_RIDGE, solver="sparse_cg", tol=1e-8)
        model.fit(design[kept], log.reward[kept])
        by_action = model.coef_[:actions]
        by_context = (
            model.intercept_
            + sum(
                model.coef_[offset + column]
                for offset, column in zip(offsets[1:], log.features.T, strict=True)
            )
            + np.zeros(len(log.features))
        )
        # Over contexts and actions; the cut makes it more than a sum.
        table = by_context[:, None] + by_action
        np.clip(table, log.reward[kept].min(), log.reward[kept].max(), out=table)
        logged[held] = table[log.context[held], log.action[held]]
        expected[held] = (table * log.target).sum(axis=1)[log.context[held]]
    return logged, expected


def _bootstrap(terms: Floats, times: int, seed: int) -> Floats:
    """Return resampled IPS, SNIPS and DR, (times, 3)."""
    chance = np.random.default_rng(seed)
    rows = len(terms)
    found = np.empty((times, 3))
    for turn in range(times):
        drawn = np.bincount(chance.integers(rows, size=rows), minlength=rows).astype(np.float64)
        weight, reward, doubly = (drawn @ terms).tolist()
        # A sample without any weight knows nothing of the target: SNIPS is undefined there.
        found[turn] = (reward / rows, reward / weight if weight > 0 else 0.0, doubly / rows)
    return found


def _check(log: LoggedRows, clip: float | None, bootstrap: int) -> None:
    if clip is not None and not (clip > 0 and math.isfinite(clip)):
        raise UsageError(
            f"weights cannot be clipped at {clip:g}", hint="a positive number, or leave --clip out"
        )
    if not 10 <= bootstrap <= MAX_BOOTSTRAP:
        raise UsageError(f"{bootstrap} bootstrap samples", hint=f"from 10 to {MAX_BOOTSTRAP:,}")
    if len(log.reward) < 2:
        raise AttentionError("a log of one row has no variance")
    # Comparisons turned so that NaN is refused too.
    wrong = np.flatnonzero(~((log.propensity > 0) & (log.propensity <= 1)))
    if wrong.size:
        raise AttentionError(
            f"propensity {log.propensity[wrong[0]]:g} is not in (0, 1]", where=f"row {int(wrong[0])}"
        )
    least = hardly_ever(log)
    if least is not None:
        raise AttentionError(
            f"propensity {log.propensity[least]:g}: a log of {len(log.reward):,} rows has less than one "
            "chance in a million to show that",
            hint="the propensities are not those the log was made with",
            where=f"row {least}",
        )
    if not np.abs(log.reward).max() <= MAX_REWARD:
        raise AttentionError(f"a reward beyond {MAX_REWARD:g} cannot be summed")


def hardly_ever(log: LoggedRows) -> int | None:
    """Return the row whose propensity a log of so many rows would hardly ever have shown, if there is one."""
    least = int(log.propensity.argmin())
    chance = float(log.propensity[least]) * len(log.reward) * log.target.shape[1]
    return least if chance < HARDLY_EVER else None


def _check_evidence(result: OffPolicyResult) -> None:
    """Refuse what no estimate should be made of; see the module's last paragraph.

    Beside chance, weights may miss from their mean of 1 what the log never shows, and what is so rare that
    a log of so many rows may well be without it.
    """
    gap = abs(result.mean_weight - 1)
    rare = _MISSED / result.rows * max(1.0, result.mean_weight)
    if gap > SUSPECT_WEIGHTS * result.mean_weight_error + rare + result.unseen_mass:
        raise CheckFailed(
            f"the weights' mean is {result.mean_weight:.4g} +- {result.mean_weight_error:.2g}, and should be "
            "1: the propensities are not those the log was made with, or it hardly ever shows what the "
            "target does; nothing is concluded",
            hint="log the probability with which each row was really shown",
        )
    if result.effective_rows < LEAST_EFFECTIVE:
        raise CheckFailed(
            f"the effective sample size is {result.effective_rows:.2g} of {result.rows:,} rows: one row, of "
            f"weight {result.largest_weight:.4g}, decides everything; nothing is concluded",
            hint="check its propensity; --clip cuts such weights, and says the bias",
        )


def _effective(weight: Floats) -> float:
    # As parts of the largest: squares of tiny weights are zero, of huge ones infinite.
    part = weight / weight.max()
    return float(part.sum() ** 2 / np.square(part).sum())


def _error(values: Floats) -> float:
    return float(values.std(ddof=1)) / math.sqrt(len(values))


def _with_warnings(result: OffPolicyResult) -> OffPolicyResult:
    told = []
    if result.effective_rows < FEW_EFFECTIVE:
        told.append(
            f"only {result.effective_rows:,.1f} of {result.rows:,} rows' worth of evidence: a few large "
            "weights decide, intervals are too short"
        )
    used = result.largest_weight if result.clip is None else min(result.largest_weight, result.clip)
    if used > result.rows:
        told.append(
            f"one row weighs {used:,.4g}, more than all {result.rows:,} should together: the estimates are "
            "little else than its reward (--clip cuts such weights, and says the bias)"
        )
    gap = abs(result.mean_weight - 1)
    if gap > SUSPECT_WEIGHTS * result.mean_weight_error + 1e-6:
        told.append(
            f"the weights' mean is {result.mean_weight:.4g}, not 1: the propensities are not those the log "
            "was made with, or the target shows what the log never does"
        )
    if result.unseen_mass > 1e-6:
        told.append(
            f"{result.unseen_mass:.2%} of what the target shows is never seen in the log: IPS counts it as "
            "zero, SNIPS as the rest, DR as its model says"
        )
    if result.clipped_rows:
        told.append(
            f"{result.clipped_rows:,} weights are cut to {result.clip:g}: the estimates are biased by about "
            + ", ".join(f"{one.name.upper()} {one.clip_bias:+.3g}" for one in result.estimates)
        )
    return replace(result, warnings=tuple(told))
