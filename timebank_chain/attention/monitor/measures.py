"""What is measured of everybody with enough acts in a span: how they act, and what they get for it.

Seven measures are taken from the acts of one span of time (an epoch):

``clockwork``   how alike the pauses between acts are: minus the standard deviation of their logarithms
``on the hour`` whether acts fall on one minute of the hour: Rayleigh's statistic of that minute
``sleepless``   whether acts are spread over the whole day: minus the logarithm of the squared resultant of
                the hour of day, which people's nights keep from nothing
``engagement``  mean of log(1 + engagement) above what acts of peers get: same domain, as many interactions
``evenness``    whether every act gets nearly the same engagement: minus the logarithm of variance over mean
``volume``      logarithm of the number of acts
``praise ring`` where it is known who praised whom: how much of the praise received is given back, by few

Sources: A. Barabási, "The origin of bursts and heavy tails in human dynamics", Nature 435 (2005), for human
pauses; K. Mardia and P. Jupp, *Directional Statistics* (2000), for Rayleigh's statistic.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timebank_chain.activity import ActivityTable
from timebank_chain.attention.monitor.series import DAY_MS, HOUR_MS
from timebank_chain.attention.monitor.spans import Praise, Span

Floats = NDArray[np.float64]

MEASURES = ("clockwork", "on the hour", "sleepless", "engagement", "evenness", "volume", "praise ring")
_CLOCKWORK, _ON_HOUR, _SLEEPLESS, _ENGAGEMENT, _EVENNESS, _VOLUME, _RING = range(len(MEASURES))
#: A measure is drawn towards the peers' median as if so many ordinary acts had been seen.
PULL = 4.0
_MOST_INTERACTIONS = 6
#: Acts of one sitting are no pauses: shorter ones count as this.
_SHORTEST_PAUSE_MS = 10_000


class Peers:
    """What engagement acts usually get: by domain and number of interactions, drawn towards the domain's."""

    def __init__(self, spans: Sequence[Span]) -> None:
        sums: dict[tuple[str, int], float] = defaultdict(float)
        sizes: Counter[tuple[str, int]] = Counter()
        for span in spans:
            logs = _log_engagement(span.acts)
            for domain, bin_, log in zip(span.acts.domain, _bins(span.acts), logs.tolist(), strict=True):
                for key in ((domain, bin_), (domain, -1)):
                    sums[key] += log
                    sizes[key] += 1
        self._usual: dict[tuple[str, int], float] = {}
        for domain, bin_ in sizes:
            whole = sums[domain, -1] / sizes[domain, -1]
            self._usual[domain, bin_] = (sums[domain, bin_] + PULL * whole) / (sizes[domain, bin_] + PULL)

    def expected(self, acts: ActivityTable) -> Floats:
        """Return the usual log(1 + engagement) of each act; of a domain nobody knows, what it got."""
        logs = _log_engagement(acts)
        return np.array(
            [
                self._usual.get((domain, bin_), self._usual.get((domain, -1), float(log)))
                for domain, bin_, log in zip(acts.domain, _bins(acts), logs.tolist(), strict=True)
            ]
        )


@dataclass(frozen=True, eq=False, slots=True)
class Measured:
    """Who has enough acts, and what was measured of them; entries belong together by their place.

    Attributes
    ----------
    measures
        float64 of shape (n, 7), columns as in `MEASURES`; NaN where nothing can be said.
    acts
        Numbers of acts, float64.
    engagement
        Mean engagement of an act, and what acts like these get from peers.
    """

    names: tuple[str, ...]
    measures: Floats
    acts: Floats
    engagement: tuple[tuple[float, float], ...]


def _log_engagement(acts: ActivityTable) -> Floats:
    return np.log1p(acts.engagement_milli.astype(np.float64) / 1_000)


def _bins(acts: ActivityTable) -> list[int]:
    found: list[int] = np.minimum(acts.interaction_milli // 1_000, _MOST_INTERACTIONS).tolist()
    return found


def measure(span: Span, peers: Peers, min_acts: int) -> Measured:
    """Measure everybody with at least ``min_acts`` acts in the span."""
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(span.who):
        rows_of[name].append(row)
    above = _log_engagement(span.acts) - peers.expected(span.acts)
    raw_engagement = span.acts.engagement_milli.astype(np.float64) / 1_000
    rings = _rings(span.praise)
    names = sorted(name for name, rows in rows_of.items() if len(rows) >= min_acts)
    measures, counts, engagement = [], [], []
    for name in names:
        rows = np.array(rows_of[name], dtype=np.int64)
        times = np.sort(span.acts.occurred_ms[rows]).astype(np.float64)
        got = raw_engagement[rows]
        line = np.zeros(len(MEASURES))
        pauses = np.log(np.maximum(np.diff(times), _SHORTEST_PAUSE_MS))
        line[_CLOCKWORK] = -float(pauses.std())
        minute = np.exp(2j * np.pi * (times % HOUR_MS) / HOUR_MS)
        line[_ON_HOUR] = math.log(len(rows) * float(abs(minute.mean())) ** 2 + 0.5)
        hour = np.exp(2j * np.pi * (times % DAY_MS) / DAY_MS)
        line[_SLEEPLESS] = -math.log(float(abs(hour.mean())) ** 2 + 1.0 / len(rows))
        line[_ENGAGEMENT] = float(above[rows].mean())
        # Nothing can be said of how evenly nothing is spread.
        mean = float(got.mean())
        line[_EVENNESS] = -math.log((float(got.var()) + 0.5) / (mean + 0.5)) if mean >= 2.0 else np.nan
        line[_VOLUME] = math.log(len(rows))
        line[_RING] = rings.get(name, 0.0)
        measures.append(line)
        counts.append(len(rows))
        usual = float(np.expm1((_log_engagement(span.acts) - above)[rows]).mean())
        engagement.append((mean, usual))
    return Measured(
        tuple(names),
        np.array(measures).reshape(-1, len(MEASURES)),
        np.array(counts, dtype=float),
        tuple(engagement),
    )


def _rings(praise: Praise) -> dict[str, float]:
    """Return how much praise came back from whom it was given to: pieces given back, times their share.

    Two who talk once give each other one; a ring gives each other dozens, and gets nothing from others.
    """
    pairs = Counter(
        (giver, receiver)
        for giver, receiver in zip(praise.giver, praise.receiver, strict=True)
        if giver != receiver
    )
    received: Counter[str] = Counter()
    returned: Counter[str] = Counter()
    for (giver, receiver), count in pairs.items():
        received[receiver] += count
        returned[receiver] += min(count, pairs.get((receiver, giver), 0))
    return {
        name: math.log1p(returned[name] * returned[name] / (count + PULL)) for name, count in received.items()
    }


def in_words(place: int, value: float, usual: float) -> str:
    """Say what a measure (its place in `MEASURES`) of this value tells, beside the usual one."""
    if place == _CLOCKWORK:
        return (
            f"pauses between acts differ by a factor of {math.exp(-value):.2f} around their middle, those of "
            f"others by {math.exp(-usual):.1f}"
        )
    if place == _ON_HOUR:
        return "acts fall on one minute of the hour far more often than chance would have it"
    if place == _SLEEPLESS:
        return "acts are spread over all hours of the day, as if nobody slept"
    if place == _ENGAGEMENT:
        return (
            f"engagement is {math.exp(value):.1f} times what like acts of others get (usual: "
            f"{math.exp(usual):.1f} times)"
        )
    if place == _EVENNESS:
        return "every act gets nearly the same engagement"
    if place == _VOLUME:
        return f"{math.exp(value):.0f} acts, others have {math.exp(usual):.0f}"
    return "praise comes from whom it is given to, and from hardly anybody else"
