"""What each look at an experiment shows: the effect, a fixed test's verdict, and the confidence sequence.

Everything comes from sums per arm, cumulated over looks, so that a look costs nothing and ten thousand
simulated experiments are the same few array operations. Arrays are ``[..., looks, arms]``.

*Fixed test* of one look, as if it were the only one. Rates: two-proportion z with pooled variance and
Yates' continuity correction, because without it few successes give more false alarms than the level says.
Means, and whatever is adjusted by a covariate: Welch's t (B. L. Welch 1947) or Student's, whichever is less
sure. In arms of one size they are the same; in a small arm of skewed values, which mostly lacks the rare
large ones, mean and variance are low together, and Welch's alone gives two or three times the false alarms
it says.

*CUPED* (Deng et al. 2013): outcomes minus ``theta (x - mean x)``, theta from the covariances within arms. A
covariate that does not vary, or is not there, explains nothing: theta is 0.

*Confidence sequence*: :mod:`~timebank_chain.attention.experiment.sequence`; the variance of a rate is that of
``(k + 1) / (n + 2)``, as in the interval of A. Agresti and B. Caffo (2000), because an arm without a single
success has not shown that its variance is zero. The error of a mean is the larger of Welch's and Student's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timebank_chain.attention.experiment.sequence import always_valid_p, boundary
from timebank_chain.attention.extra import need

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums up to each look, by arm, each ``[..., looks, arms]``; ``x`` the covariate, ``y`` the outcome.

    Values are best taken from a common origin, so that the squares keep their digits.
    """

    n: Floats
    y: Floats
    yy: Floats
    x: Floats | None = None
    xx: Floats | None = None
    xy: Floats | None = None


@dataclass(frozen=True, slots=True)
class Looks:
    """One comparison at every look; arrays ``[..., looks]``, NaN where an arm has less than two members.

    Attributes
    ----------
    members
        Of both arms.
    effect
        Treatment minus control, in the metric's unit.
    error
        Its standard error.
    fixed_p
        What a fixed test says at this look.
    low, high
        The confidence sequence; infinite until both arms have ``burn_in`` members.
    p
        Always-valid p-value, the least of the looks so far.
    theta
        Coefficient of the covariate, 0 without one.
    """

    members: Floats
    effect: Floats
    error: Floats
    fixed_p: Floats
    low: Floats
    high: Floats
    p: Floats
    theta: Floats


def sums_by_look(
    arm: NDArray[np.int64],
    look: NDArray[np.int64],
    outcome: Floats,
    covariate: Floats | None,
    *,
    arms: int,
    looks: int,
) -> Sums:
    """Sum up members, one row each, by arm and look, and cumulate over the looks."""
    cell = look * arms + arm

    def total(values: Floats | None) -> Floats:
        found = np.bincount(cell, weights=values, minlength=looks * arms)
        return np.cumsum(found.reshape(looks, arms), axis=0).astype(np.float64)

    if covariate is None:
        return Sums(total(None), total(outcome), total(outcome**2))
    return Sums(
        n=total(None),
        y=total(outcome),
        yy=total(outcome**2),
        x=total(covariate),
        xx=total(covariate**2),
        xy=total(covariate * outcome),
    )


def compare(
    sums: Sums, treatment: int, *, kind: str, planned: float, level: float, burn_in: int, control: int = 0
) -> Looks:
    """Compare an arm with the control at every look.

    Parameters
    ----------
    kind
        ``rate`` (values 0 and 1, from origin 0) or ``mean``.
    planned
        Members of both arms at the horizon.
    level
        Two-sided error of this comparison.
    """
    pair = [control, treatment]
    n = sums.n[..., pair]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = sums.y[..., pair] / n
        square = np.maximum(sums.yy[..., pair] - n * mean**2, 0.0)
        theta = np.zeros(n.shape[:-1])
        effect = mean[..., 1] - mean[..., 0]
        if sums.x is not None and sums.xx is not None and sums.xy is not None:
            x = sums.x[..., pair] / n
            xx = np.maximum(sums.xx[..., pair] - n * x**2, 0.0)
            xy = sums.xy[..., pair] - n * mean * x
            within = xx.sum(axis=-1)
            # Rounding leaves a trace of variance where there is none.
            varies = within > 1e-12 * sums.xx[..., pair].sum(axis=-1)
            theta = np.where(varies, xy.sum(axis=-1) / np.where(varies, within, 1.0), 0.0)
            wide = theta[..., None]
            square = np.maximum(square - 2 * wide * xy + wide**2 * xx, 0.0)
            effect = effect - theta * (x[..., 1] - x[..., 0])
        variance = square / (n - 1)
        enough = (n >= 2).all(axis=-1)
        fixed_p = _fixed_p(n, mean, variance, effect, kind if sums.x is None else "mean")
        if kind == "rate" and sums.x is None:
            smoothed = (sums.y[..., pair] + 1) / (n + 2)
            variance = smoothed * (1 - smoothed)
            squared = (variance / n).sum(axis=-1)
        else:
            squared = np.maximum((variance / n).sum(axis=-1), _pooled(n, variance))
        error = np.sqrt(squared)
        members = n.sum(axis=-1)
        z = effect / error
        # An arm whose members are all alike has not shown how they vary.
        started = enough & (n >= burn_in).all(axis=-1) & (error > 0)
        reach = np.where(started, boundary(members, planned, level) * error, np.inf)
        each_p = np.where(started, always_valid_p(z, members, planned, level), 1.0)
    effect, error = np.where(enough, effect, np.nan), np.where(enough, error, np.nan)
    return Looks(
        members=members,
        effect=effect,
        error=error,
        fixed_p=np.where(enough, fixed_p, np.nan),
        low=np.where(enough, effect - reach, -np.inf),
        high=np.where(enough, effect + reach, np.inf),
        p=np.minimum.accumulate(each_p, axis=-1),
        theta=np.where(enough, theta, np.nan),
    )


def _fixed_p(n: Floats, mean: Floats, variance: Floats, effect: Floats, kind: str) -> Floats:
    stats = need("scipy.stats")
    if kind == "rate":
        pooled = (mean * n).sum(axis=-1) / n.sum(axis=-1)
        error = np.sqrt(pooled * (1 - pooled) * (1 / n).sum(axis=-1))
        # Half a success less in the one arm and more in the other.
        counted = np.maximum(np.abs(effect) - 0.5 * (1 / n).sum(axis=-1), 0.0)
        found = 2 * stats.norm.sf(counted / error)
    else:
        part = variance / n
        total = part.sum(axis=-1)
        freedom = total**2 / (part**2 / (n - 1)).sum(axis=-1)
        welch = 2 * stats.t.sf(np.abs(effect) / np.sqrt(total), freedom)
        student = 2 * stats.t.sf(np.abs(effect) / np.sqrt(_pooled(n, variance)), n.sum(axis=-1) - 2)
        found = np.maximum(welch, student)
    # Nothing varies yet: nothing is shown.
    return np.where(np.isnan(found), 1.0, found)


def _pooled(n: Floats, variance: Floats) -> Floats:
    """Return the squared error of a difference of means if both arms vary alike."""
    common = (variance * (n - 1)).sum(axis=-1) / (n - 1).sum(axis=-1)
    return np.asarray(common * (1 / n).sum(axis=-1))
