"""What is going on, and what comes next: takes the feed, gives level, trend, season, forecasts and warnings.

``series`` counts by time, ``forecast`` (with ``holt``) looks ahead, ``detect`` finds what does not fit,
``warn`` says it once, ``outbox`` hands it to whoever listens, ``state`` remembers both, ``feed`` and
``run`` follow a feed as it grows, ``metrics``, ``serve`` and ``dashboard`` show it, ``ledger`` reads value,
mint and fees, ``plots`` draws. ``suspicion`` tells whose engagement looks bought or automated, from what
``measures`` takes of the acts and praise of ``spans``, and ``holds`` keeps such acts out of an epoch until
a person released them.

What needs libraries of the extra ``models`` is imported where it is used.
"""

from timebank_chain.attention.monitor.detect import DetectorSettings, Finding, Judged, judge
from timebank_chain.attention.monitor.forecast import Forecast, Outlook, outlook
from timebank_chain.attention.monitor.series import Series, read_counts, series_of_times

__all__ = [
    "DetectorSettings",
    "Finding",
    "Forecast",
    "Judged",
    "Outlook",
    "Series",
    "judge",
    "outlook",
    "read_counts",
    "series_of_times",
]
