"""Whose engagement looks bought or automated: expected against reported, member by member or offer by offer.

From the acts of one span of time (an epoch) six measures are taken of everybody with enough of them:

``clockwork``   how alike the pauses between acts are: minus the standard deviation of their logarithms
``on the hour`` whether acts fall on one minute of the hour: Rayleigh's statistic of that minute
``sleepless``   whether acts are spread over the whole day: minus the logarithm of the squared resultant of
                the hour of day, which people's nights keep from nothing
``engagement``  mean of log(1 + engagement) above what acts of peers get: same domain, as many interactions
``evenness``    whether every act gets nearly the same engagement: minus the logarithm of variance over mean
``volume``      logarithm of the number of acts
``praise ring`` where it is known who praised whom: how much of the praise received is given back, by few

Few acts say little, so measures are drawn towards the peers' median by their number. Each is then put in
robust standard deviations (median and MAD) of earlier spans, and compared with what the most extreme
``rate`` of earlier members had, measure by measure, since some have longer tails; the greatest of these
ratios is the member's score. The threshold is an order statistic of earlier scores: the greatest rank is
taken at which, with a confidence of 70 %, at most ``rate`` of honest members' scores to come lie beyond, as
long as they go on as they did. The plain conformal quantile is not enough, since spreads and tails are
learned from the same scores: of simulated honest members it holds 5 % where 3 % are stated and 70 scores
are known; this one, 3 %. Where too little is known of earlier spans, the present one stands in for them;
then the share held cannot exceed ``rate``, whoever they are. What was held and not released teaches
nothing: honest members who are left held make the threshold a little stricter each time.

It is a reason to look, no proof: a person decides (`holds`).

Sources: A. Barabási, "The origin of bursts and heavy tails in human dynamics", Nature 435 (2005), for human
pauses; K. Mardia and P. Jupp, *Directional Statistics* (2000), for Rayleigh's statistic.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timebank_chain.activity import ActivityTable
from timebank_chain.activity.sources.files import open_input
from timebank_chain.attention.extra import need
from timebank_chain.attention.monitor.series import DAY_MS, HOUR_MS
from timebank_chain.errors import AttentionError
from timebank_chain.units import parse_time

Floats = NDArray[np.float64]

MEASURES = ("clockwork", "on the hour", "sleepless", "engagement", "evenness", "volume", "praise ring")
_CLOCKWORK, _ON_HOUR, _SLEEPLESS, _ENGAGEMENT, _EVENNESS, _VOLUME, _RING = range(len(MEASURES))
#: A measure is drawn towards the peers' median as if so many ordinary acts had been seen.
_PULL = 4.0
_MOST_INTERACTIONS = 6
#: Acts of one sitting are no pauses: shorter ones count as this.
_SHORTEST_PAUSE_MS = 10_000
#: How sure it is meant to be that no more than the stated share of honest members is held; chosen on
#: simulated communities, not on the record the benchmark measures.
_CONFIDENCE = 0.7
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


@dataclass(frozen=True, eq=False, slots=True)
class Praise:
    """Who praised, answered or commented on whom, and when; entries belong together by their place."""

    giver: tuple[str, ...]
    receiver: tuple[str, ...]
    occurred_ms: NDArray[np.int64]

    @classmethod
    def none(cls) -> Praise:
        """Return that nothing is known."""
        return cls((), (), np.empty(0, dtype=np.int64))

    def between(self, start_ms: int, end_ms: int) -> Praise:
        """Return what happened in ``(start_ms, end_ms]``."""
        rows = np.flatnonzero((self.occurred_ms > start_ms) & (self.occurred_ms <= end_ms)).tolist()
        return Praise(
            tuple(self.giver[row] for row in rows),
            tuple(self.receiver[row] for row in rows),
            self.occurred_ms[rows] if rows else np.empty(0, dtype=np.int64),
        )


@dataclass(frozen=True, eq=False, slots=True)
class Span:
    """The acts of one span, and who praised whom in it.

    ``who`` is what is judged, one entry an act: its member, or its offer.
    """

    acts: ActivityTable
    who: tuple[str, ...]
    praise: Praise


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
        Spans of about the same length, before this one. What was held of them should be left out.

    Raises
    ------
    AttentionError
        If there are too few scores to take a threshold from: ``1 / rate - 1`` are needed.
    """
    peers = _Peers(earlier or [span])
    names, raw, counts, engagement = _measure(span, peers, settings.min_acts)
    unscored = len(set(span.who)) - len(names)
    before = [_measure(one, peers, settings.min_acts) for one in earlier]
    reference = (
        np.concatenate([found for _, found, _, _ in before]) if before else np.empty((0, len(MEASURES)))
    )
    reference_counts = np.concatenate([found for _, _, found, _ in before]) if before else np.empty(0)
    stands_in = len(reference) + 1 < 1.0 / settings.rate
    if stands_in:
        reference, reference_counts = raw, counts
    rank = math.floor(settings.rate * (len(reference) + 1))
    if rank < 1:
        needed = math.ceil(1.0 / settings.rate) - 1
        raise AttentionError(
            f"{len(reference)} have at least {settings.min_acts} acts; a rate of {settings.rate:g} needs "
            f"{needed}",
            hint="take a longer span, a greater rate or more history; until then look by eye",
        )
    # Of the present scores themselves no more than the rate are held anyway.
    held_of_reference = rank if stands_in else _tolerant_rank(len(reference), settings.rate)
    scale = _Scale(reference, reference_counts)
    deviations = scale.deviations(reference, reference_counts)
    # Of each measure, what as many as may be held went beyond; below 1 deviation nothing stands out.
    tails = np.maximum(np.sort(deviations, axis=0)[len(deviations) - rank], 1.0)
    threshold = float(np.sort((deviations / tails).max(axis=1))[len(deviations) - held_of_reference])
    deviations = scale.deviations(raw, counts)
    found = []
    for row, name in enumerate(names):
        ratios = deviations[row] / tails
        score = float(ratios.max())
        reasons = _reasons(raw[row], deviations[row], ratios, scale, threshold)
        reported, expected = engagement[row]
        found.append(Suspicion(name, int(counts[row]), score, score > threshold, reported, expected, reasons))
    found.sort(key=lambda one: (-one.score, one.who))
    return Verdict(tuple(found), threshold, settings.rate, 0 if stands_in else len(reference), unscored)


def _tolerant_rank(count: int, rate: float) -> int:
    """Return the rank, from above, of the score beyond which fewer than ``rate`` go, with confidence.

    The share of scores to come beyond the r-th greatest of n is distributed as Beta(r, n + 1 - r); it exceeds
    ``rate`` with the probability that a binomial number (n, rate) is below r. At least 1, the greatest.
    """
    binomial: Any = need("scipy.stats").binom
    return max(1, min(math.floor(rate * (count + 1)), int(binomial.ppf(1.0 - _CONFIDENCE, count, rate))))


def spans_of(
    acts: ActivityTable,
    praise: Praise,
    *,
    start_ms: int,
    end_ms: int,
    most: int = 12,
    who: Mapping[str, str] | None = None,
    without: frozenset[str] = frozenset(),
) -> tuple[Span, list[Span]]:
    """Cut the span ``(start_ms, end_ms]`` by the time acts settle, and as many of its length before it.

    Parameters
    ----------
    who
        Which offer an act belongs to, by the act's id; acts of none are left out. Default: its member.
    without
        Ids of acts that were held: they do not teach what is usual.
    """
    settled = acts.occurred_ms + acts.window_ms
    length = end_ms - start_ms

    def cut(begin: int, stop: int, *, keep_held: bool) -> Span:
        rows = [
            row
            for row in np.flatnonzero((settled > begin) & (settled <= stop)).tolist()
            if (who is None or acts.id[row] in who) and (keep_held or acts.id[row] not in without)
        ]
        chosen = acts.take(np.array(rows, dtype=np.int64))
        names = tuple(chosen.member if who is None else (who[name] for name in chosen.id))
        return Span(chosen, names, praise.between(begin, stop))

    earlier = []
    first = int(settled.min()) if len(acts) else start_ms
    for number in range(1, most + 1):
        begin = start_ms - number * length
        if begin + length <= first:
            break
        earlier.append(cut(begin, begin + length, keep_held=False))
    return cut(start_ms, end_ms, keep_held=True), earlier


def joined(one: ActivityTable, other: ActivityTable) -> ActivityTable:
    """Return both tables' rows in the order of an activity table."""
    joined = ActivityTable(
        id=one.id + other.id,
        member=one.member + other.member,
        domain=one.domain + other.domain,
        occurred_ms=np.concatenate([one.occurred_ms, other.occurred_ms]),
        window_ms=np.concatenate([one.window_ms, other.window_ms]),
        interaction_milli=np.concatenate([one.interaction_milli, other.interaction_milli]),
        originality_milli=np.concatenate([one.originality_milli, other.originality_milli]),
        engagement_milli=np.concatenate([one.engagement_milli, other.engagement_milli]),
        salt=np.concatenate([one.salt, other.salt]),
    )
    order = sorted(range(len(joined)), key=lambda row: (int(joined.occurred_ms[row]), joined.id[row]))
    return joined.take(np.array(order, dtype=np.int64))


class _Peers:
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
            self._usual[domain, bin_] = (sums[domain, bin_] + _PULL * whole) / (sizes[domain, bin_] + _PULL)

    def expected(self, acts: ActivityTable) -> Floats:
        """Return the usual log(1 + engagement) of each act; of a domain nobody knows, what it got."""
        logs = _log_engagement(acts)
        return np.array(
            [
                self._usual.get((domain, bin_), self._usual.get((domain, -1), float(log)))
                for domain, bin_, log in zip(acts.domain, _bins(acts), logs.tolist(), strict=True)
            ]
        )


def _log_engagement(acts: ActivityTable) -> Floats:
    return np.log1p(acts.engagement_milli.astype(np.float64) / 1_000)


def _bins(acts: ActivityTable) -> list[int]:
    found: list[int] = np.minimum(acts.interaction_milli // 1_000, _MOST_INTERACTIONS).tolist()
    return found


def _measure(
    span: Span, peers: _Peers, min_acts: int
) -> tuple[list[str], Floats, Floats, list[tuple[float, float]]]:
    """Return who has enough acts, their measures of shape (n, 7), numbers of acts, and engagement."""
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
    return names, np.array(measures).reshape(-1, len(MEASURES)), np.array(counts, dtype=float), engagement


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
        name: math.log1p(returned[name] * returned[name] / (count + _PULL))
        for name, count in received.items()
    }


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
        weight = (counts / (counts + _PULL))[:, None]
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
            _text(place, float(raw[place]), float(scale.usual[place])),
        )
        for place in chosen
    )


def _text(place: int, value: float, usual: float) -> str:
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


def read_pairs(path: Path, columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Read a CSV file of exactly these columns (``giver,receiver,occurred`` or ``id,offer``).

    Raises
    ------
    AttentionError
        If the header is another, or a row has another number of cells; naming the line.
    """
    where = str(path)
    with open_input(path) as binary, io.TextIOWrapper(binary, encoding="utf-8-sig", newline="") as text:
        try:
            reader = csv.reader(text, strict=True)
            header = tuple(cell.strip() for cell in next(reader, []))
            if header != columns:
                raise AttentionError(
                    f"columns {','.join(header)!r}, not {','.join(columns)!r}", where=f"{where}:1"
                )
            rows = []
            for line, cells in enumerate(reader, start=2):
                if cells and len(cells) != len(columns):
                    raise AttentionError(f"{len(cells)} cells, not {len(columns)}", where=f"{where}:{line}")
                if cells:
                    rows.append(tuple(cells))
        except (csv.Error, UnicodeDecodeError) as error:
            raise AttentionError(f"not CSV: {error}", where=where, hint="save it as UTF-8 CSV") from error
    return rows


def read_praise(path: Path) -> Praise:
    """Read who praised whom (CSV: giver, receiver, occurred).

    Raises
    ------
    AttentionError
        As `read_pairs`, or if a time is none.
    """
    givers, receivers, times = [], [], []
    for number, (giver, receiver, occurred) in enumerate(
        read_pairs(path, ("giver", "receiver", "occurred")), start=1
    ):
        try:
            times.append(int(parse_time(occurred)))
        except ValueError as error:
            raise AttentionError(str(error), where=f"{path}, row {number}, field 'occurred'") from None
        givers.append(giver)
        receivers.append(receiver)
    return Praise(tuple(givers), tuple(receivers), np.array(times, dtype=np.int64))
