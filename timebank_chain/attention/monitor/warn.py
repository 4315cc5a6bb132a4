"""From findings to warnings: said once, not at every step, and handed to whoever listens.

After a warning, others of its kind are kept back for a while (``cool_down_ms``), and counted. What was
warned of is kept in a small file, so that a restart, which reads the same history, says nothing twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import structlog

from timebank_chain.attention.monitor.detect import DRIFT, KINDS, Finding
from timebank_chain.documents import TooDeep, TooLarge, parse_json, read_small, write_whole
from timebank_chain.epoch.guarded_http import post_json
from timebank_chain.errors import AttentionError, TimebankError
from timebank_chain.units import MAX_TIME_MS, format_time

STATE_SCHEMA = "timebank.attention.monitor.state/1"
WARNING_SCHEMA = "timebank.attention.warning/1"
_MAX_STATE_BYTES = 1 << 16

log = structlog.get_logger("timebank.attention")


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning as it is sent.

    ``suppressed`` counts findings of the kind that were kept back since the warning before.
    ``rate`` is the stated rate of false alarms a step, ``None`` for drift (see ``detect``).
    """

    series: str
    finding: Finding
    rate: float | None
    suppressed: int

    @property
    def message(self) -> str:
        """Say it in a sentence."""
        one = self.finding
        if one.kind == DRIFT:
            return (
                f"{self.series} has changed for good: {one.value:g} a step lately, {one.expected:g} before "
                f"(seen {format_time(one.at_ms)})"
            )
        word = "more" if one.score > 0 else "less"
        return (
            f"{one.kind} of {self.series}: {one.value:g} in the step to {format_time(one.at_ms)}, about "
            f"{one.expected:.3g} expected; {word} than all but {self.rate:g} of ordinary steps differ"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the warning as JSON values."""
        one = self.finding
        return {
            "series": self.series,
            "kind": one.kind,
            "atMs": one.at_ms,
            "value": one.value,
            "expected": one.expected,
            "score": one.score,
            "threshold": one.threshold,
            "falseAlarmRate": self.rate,
            "suppressedBefore": self.suppressed,
            "message": self.message,
        }


@dataclass
class Suppressor:
    """Lets one finding of a kind through, then none for a while.

    Attributes
    ----------
    cool_down_ms
        How long, counted in the findings' own time.
    path
        Where it is remembered; ``None``: nowhere.
    """

    cool_down_ms: int
    path: Path | None = None
    _warned: dict[str, int] = field(default_factory=dict)
    _kept_back: dict[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path | None, cool_down_ms: int) -> Suppressor:
        """Take up what was warned of.

        Raises
        ------
        AttentionError
            If the file is there and is not one of these.
        """
        made = cls(cool_down_ms, path)
        if path is None or not path.exists():
            return made
        try:
            document = parse_json(read_small(path, _MAX_STATE_BYTES))
            if document["schema"] != STATE_SCHEMA:
                raise ValueError(f"schema {document['schema']!r}")
            for kind, entry in document["kinds"].items():
                warned, seen, count = (_number(entry, name) for name in ("warnedMs", "seenMs", "suppressed"))
                if kind not in KINDS:
                    raise ValueError(f"kind {kind!r}")
                made._warned[kind] = warned
                made._kept_back[kind] = (seen, count)
        except (OSError, TooLarge, TooDeep, ValueError, KeyError, TypeError, AttributeError) as error:
            raise AttentionError(
                f"not a state of the monitor: {error}",
                where=str(path),
                hint="remove it; what was warned of may then be said once more",
            ) from error
        return made

    def sift(self, findings: Iterable[Finding]) -> list[tuple[Finding, int]]:
        """Return the findings to warn of, in order, each with how many of its kind were kept back before."""
        said = []
        for one in findings:
            seen, kept = self._kept_back.get(one.kind, (0, 0))
            if one.at_ms <= max(seen, self._warned.get(one.kind, -1)):
                continue  # of a history that was read before
            if one.at_ms - self._warned.get(one.kind, -self.cool_down_ms) < self.cool_down_ms:
                self._kept_back[one.kind] = (one.at_ms, kept + 1)
                continue
            self._warned[one.kind] = one.at_ms
            self._kept_back[one.kind] = (one.at_ms, 0)
            said.append((one, kept))
        return said

    def kept_back(self, kind: str) -> int:
        """Return how many findings of a kind were kept back since its last warning."""
        return self._kept_back.get(kind, (0, 0))[1]

    def save(self) -> None:
        """Write the state in one step.

        Raises
        ------
        AttentionError
            If it cannot be written.
        """
        if self.path is None:
            return
        kinds = {
            kind: {
                "warnedMs": warned,
                "seenMs": self._kept_back.get(kind, (0, 0))[0],
                "suppressed": self._kept_back.get(kind, (0, 0))[1],
            }
            for kind, warned in sorted(self._warned.items())
        }
        write_document(self.path, {"schema": STATE_SCHEMA, "kinds": kinds})


def write_document(path: Path, document: dict[str, Any]) -> None:
    """Write a JSON document in one step: whoever reads sees the old one or the new one.

    Raises
    ------
    AttentionError
        If it cannot be written.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    try:
        write_whole(path, text, mode=0o600, sync=True)
    except OSError as error:
        raise AttentionError(
            f"cannot be written: {error.strerror}", where=str(path), hint="name a folder you may write to"
        ) from error


def _number(entry: Any, name: str) -> int:
    value = entry[name]
    if type(value) is not int or not 0 <= value <= MAX_TIME_MS:
        raise ValueError(f"field {name!r} is {value!r}")
    return value


class Sink(Protocol):
    """Who hears of warnings."""

    name: str

    def send(self, warned: Warned) -> None:
        """Tell of one; raises ``TimebankError`` if nobody heard."""
        ...


class LogSink:
    """A line of the log."""

    name = "log"

    def send(self, warned: Warned) -> None:
        """Write it."""
        body = warned.to_json()
        log.warning(body.pop("message"), **body)


class WebhookSink:
    """A POST of JSON to an address the operator named.

    Parameters
    ----------
    url
        http or https. What stands after the host may be a secret and is never shown.
    attempts
        How often in all; waits 1, 2, 4 ... seconds between.
    sleep
        How to wait.
    allow_private
        Whether it may lead to addresses that are not on the public internet. Redirects are never followed.
    """

    name = "webhook"

    def __init__(
        self,
        url: str,
        *,
        sleep: Any,
        attempts: int = 3,
        timeout_s: float = 10.0,
        allow_private: bool = False,
    ) -> None:
        self._url, self._sleep, self._attempts = url, sleep, attempts
        self._timeout_s, self._allow_private = timeout_s, allow_private

    def send(self, warned: Warned) -> None:
        """Post it, again where the failure may pass."""
        from timebank_chain.epoch.guarded_http import Transient

        body = {"schema": WARNING_SCHEMA, **warned.to_json()}
        for attempt in range(self._attempts):
            try:
                post_json(self._url, body, timeout_s=self._timeout_s, allow_private=self._allow_private)
                return
            except Transient:
                if attempt + 1 == self._attempts:
                    raise
                self._sleep(float(2**attempt))


def deliver(warned: Warned, sinks: Iterable[Sink]) -> dict[str, bool]:
    """Tell every sink, whatever becomes of the others; return who heard."""
    heard = {}
    for sink in sinks:
        try:
            sink.send(warned)
            heard[sink.name] = True
        except TimebankError as error:
            heard[sink.name] = False
            log.error("a warning was not delivered", sink=sink.name, error=str(error), hint=error.hint)
    return heard
