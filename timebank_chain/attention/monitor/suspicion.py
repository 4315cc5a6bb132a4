"""Whose engagement looks bought or automated: expected against reported, member by member or offer by offer.

From the acts of one span of time (an epoch) seven measures are taken of everybody with enough of them
(`measures`).

Few acts say little, so measures are drawn towards the peers' median by their number. Each is then put in
robust standard deviations (median and MAD) of earlier spans, and compared with what the most extreme
``rate`` of earlier members had, measure by measure, since some have longer tails; the greatest of these
ratios is the member's score. The threshold is an order statistic of earlier scores: the greatest rank is
taken at which, with a confidence of 70 %, at most ``rate`` of honest members' scores to come lie beyond, as
long as they go on as they did. The plain conformal quantile is not enough, since spreads and tails are
learned from the same scores: of simulated honest members it holds 5 % where 3 % are stated and 70 scores
are known; this one, 3 %. Where too little is known of earlier spans, the present one stands in for them;
then the share held cannot exceed ``rate``, whoever they are.

What was held and not released does not teach what is usual, neither medians nor what acts of peers get. But
the honest ones of it are the tail that the threshold is a quantile of: cut off, every span would hold more
than the one before (simulated honest members nobody released: 18 % after thirty spans, where 3 % are stated).
So of the held as many are counted as honest members would be, the least extreme first, and none with a score
beyond 1.5 times the greatest of who was not held (2.3 to 3.6 % then). Bots further out set no measure; those
close to the honest tail, in every span and never looked at, pass for it.

It is a reason to look, no proof: a person decides (`holds`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timebank_chain.attention.extra import need
from timebank_chain.attention.monitor.measures import MEASURES, PULL, Floats, Peers, in_words, measure
from timebank_chain.attention.monitor.spans import Span
from timebank_chain.errors import AttentionError

#: How sure it is meant to be that no more than the stated share of honest members is held; chosen on
#: simulated communities, not on the record the benchmark measures.
_CONFIDENCE = 0.7
#: Who is held with a score so many times the greatest of who is not is taken for no honest member's tail.
_FAR = 1.5
#: A spread below this would make any difference look great.
_LEAST_SPREAD = 0.1


@dataclass(frozen=True, slots=True)
class SuspicionSettings:
    """How members are judged.

    Attributes
    ----------
    rate
        Share of honest members that may be held, of those scored.
    min_acts
        Who has fewer acts in the span is not scored: they say too little.
    """

    rate: float = 0.03
    min_acts: int = 5

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if not 0.0 < self.rate <= 0.2:
            raise AttentionError(f"rate of honest members held: {self.rate}", hint="above 0, up to 0.2")
        if self.min_acts < 3:
            raise AttentionError(f"{self.min_acts} acts are no pattern", hint="at least 3")


@dataclass(frozen=True, slots=True)
class Reason:
    """One measure that stands out: its value, what is usual, and how many robust deviations lie between."""

    measure: str
    value: float
    usual: float
    deviations: float
    text: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "measure": self.measure,
            "value": self.value,
            "usual": self.usual,
            "deviations": self.deviations,
            "text": self.text,
        }


@dataclass(frozen=True, slots=True)
class Suspicion:
    """How much somebody stands out.

    Attributes
    ----------
    score
        The greatest ratio of a measure's deviation to that of the most extreme ``rate`` of earlier members.
    held
        Whether that is beyond the threshold.
    reported, expected
        Mean engagement of an act, and what acts like these get from peers.
    reasons
        Measures that stand out, most first.
    """

    who: str
    acts: int
    score: float
    held: bool
    reported: float
    expected: float
    reasons: tuple[Reason, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "who": self.who,
            "acts": self.acts,
            "score": self.score,
            "held": self.held,
            "reportedEngagement": self.reported,
            "expectedEngagement": self.expected,
            "reasons": [one.to_json() for one in self.reasons],
        }


@dataclass(frozen=True, eq=False, slots=True)
class Verdict:
    """Everybody who could be scored, most suspicious first.

    Attributes
    ----------
    threshold
        Score beyond which somebody is held.
    reference
        How many earlier scores it was taken from; 0: the present span stood in.
    unscored
        How many have too few acts.
    """

    found: tuple[Suspicion, ...]
    threshold: float
    rate: float
    reference: int
    unscored: int

    @property
    def held(self) -> tuple[Suspicion, ...]:
        """Those beyond the threshold."""
        return tuple(one for one in self.found if one.held)


def suspects(span: Span, earlier: Sequence[Span], settings: SuspicionSettings) -> Verdict:
    """Judge everybody of a span against earlier ones.

    Parameters
    ----------
    earlier
        Spans of about the same length, before this one, with who is still held of them.

    Raises
    ------
    AttentionError
        If there are too few scores to take a threshold from: ``1 / rate - 1`` are needed.
    """
    peers = Peers([one.without_held() for one in earlier] or [span])
    now = measure(span, peers, settings.min_acts)
    unscored = len(set(span.who)) - len(now.names)
    before = [measure(one, peers, settings.min_acts) for one in earlier]
    reference = np.concatenate([one.measures for one in before]) if before else np.empty((0, len(MEASURES)))
    reference_counts = np.concatenate([one.acts for one in before]) if before else np.empty(0)
    held = np.array(
        [name in one.held for one, found in zip(earlier, before, strict=True) for name in found.names],
        dtype=bool,
    )
    stands_in = int((~held).sum()) + 1 < 1.0 / settings.rate
    if stands_in:
        reference, reference_counts, held = now.measures, now.acts, np.zeros(len(now.names), dtype=bool)
    if _rank(len(reference), settings.rate) < 1:
        needed = math.ceil(1.0 / settings.rate) - 1
        raise AttentionError(
            f"{len(reference)} have at least {settings.min_acts} acts; a rate of {settings.rate:g} needs "
            f"{needed}",
            hint="take a longer span, a greater rate or more history; until then look by eye",
        )
    scale = _Scale(reference[~held], reference_counts[~held])
    deviations = _with_tail(scale.deviations(reference, reference_counts), held, settings.rate)
    # Of the present scores themselves no more than the rate are held anyway.
    rank = _rank if stands_in else _tolerant_rank
    tails = _tails(deviations, settings.rate)
    scores = np.sort((deviations / tails).max(axis=1))
    threshold = float(scores[len(scores) - rank(len(scores), settings.rate)])
    reference_size = 0 if stands_in else len(scores)
    deviations = scale.deviations(now.measures, now.acts)
    found = []
    for row, name in enumerate(now.names):
        ratios = deviations[row] / tails
        score = float(ratios.max())
        reasons = _reasons(now.measures[row], deviations[row], ratios, scale, threshold)
        reported, expected = now.engagement[row]
        acts = int(now.acts[row])
        found.append(Suspicion(name, acts, score, score > threshold, reported, expected, reasons))
    found.sort(key=lambda one: (-one.score, one.who))
    return Verdict(tuple(found), threshold, settings.rate, reference_size, unscored)


def _with_tail(deviations: Floats, held: NDArray[np.bool_], rate: float) -> Floats:
    """Return the deviations of who is not held, and of as many held ones as the honest ones' tail may have.

    Without these every span would lose its greatest scores, the next threshold would be a quantile of the
    rest, and what is held would grow from span to span. The least extreme of the held are taken, none far
    beyond everybody else, and no more than honest members would be, with 95 %: so that bots, who go further,
    do not set the measure.
    """
    known: Floats = deviations[~held]
    if not held.any():
        return known
    tails = _tails(known, rate)
    scores = (deviations[held] / tails).max(axis=1)
    near = np.argsort(scores, kind="stable")[: _likely_most(len(deviations), rate)]
    near = near[scores[near] <= _FAR * float((known / tails).max())]
    return np.concatenate([known, deviations[held][near]])


def _likely_most(count: int, rate: float) -> int:
    """Return how many of ``count`` honest members are held at ``rate`` at most, with 95 %."""
    binomial: Any = need("scipy.stats").binom
    return int(binomial.ppf(0.95, count, rate))


def _tails(deviations: Floats, rate: float) -> Floats:
    """Return, of each measure, what ``rate`` went beyond; below 1 deviation nothing stands out."""
    tails: Floats = np.sort(deviations, axis=0)[len(deviations) - _rank(len(deviations), rate)]
    return np.asarray(np.maximum(tails, 1.0), dtype=np.float64)


def _rank(count: int, rate: float) -> int:
    """Return the rank, from above, of the plain conformal quantile; 0 where there is none."""
    return math.floor(rate * (count + 1))


def _tolerant_rank(count: int, rate: float) -> int:
    """Return the rank, from above, of the score beyond which fewer than ``rate`` go, with confidence.

    The share of scores to come beyond the r-th greatest of n is distributed as Beta(r, n + 1 - r); it exceeds
    ``rate`` with the probability that a binomial number (n, rate) is below r. At least 1, the greatest.
    """
    binomial: Any = need("scipy.stats").binom
    return max(1, min(_rank(count, rate), int(binomial.ppf(1.0 - _CONFIDENCE, count, rate))))


class _Scale:
    """Medians and robust spreads of the measures, and how far something is from them."""

    def __init__(self, reference: Floats, counts: Floats) -> None:
        self.usual = np.array([_median(column) for column in reference.T])
        drawn = self._drawn(reference, counts)
        spread = np.array([_median(np.abs(column)) for column in drawn.T]) * 1.4826
        # Measures most people have nothing of (praise given back) have no median deviation.
        plain = np.array(
            [float(np.nanstd(column)) if not np.isnan(column).all() else 0.0 for column in drawn.T]
        )
        self.spread = np.maximum(np.where(spread > 0, spread, plain), _LEAST_SPREAD)

    def deviations(self, raw: Floats, counts: Floats) -> Floats:
        """Return robust standard deviations above the usual, float64 of shape (n, 7); 0 where not known."""
        return np.nan_to_num(self._drawn(raw, counts) / self.spread)

    def _drawn(self, raw: Floats, counts: Floats) -> Floats:
        weight = (counts / (counts + PULL))[:, None]
        return np.asarray((raw - self.usual) * weight, dtype=np.float64)


def _median(column: Floats) -> float:
    known = column[~np.isnan(column)]
    return float(np.median(known)) if len(known) else 0.0


def _reasons(
    raw: Floats, deviations: Floats, ratios: Floats, scale: _Scale, threshold: float
) -> tuple[Reason, ...]:
    """Return the measures beyond the threshold, or the greatest one, most first."""
    order = np.argsort(-ratios).tolist()
    chosen = [place for place in order if ratios[place] > threshold] or order[:1]
    return tuple(
        Reason(
            MEASURES[place],
            float(raw[place]),
            float(scale.usual[place]),
            float(deviations[place]),
            in_words(place, float(raw[place]), float(scale.usual[place])),
        )
        for place in chosen
    )
