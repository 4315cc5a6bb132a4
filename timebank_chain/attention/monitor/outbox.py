"""Warnings handed to whoever listens, and kept for who could not be reached.

What a sink did not take stays in the state and is tried again, oldest first, at every later look: a warning
reaches each sink at least once, or falls out of a full queue, which is logged and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import structlog

from timebank_chain.attention.monitor.state import MAX_PENDING, State
from timebank_chain.epoch.guarded_http import Transient, post_json
from timebank_chain.errors import TimebankError

WARNING_SCHEMA = "timebank.attention.warning/1"
DELIVERED, FAILED, DROPPED = "delivered", "failed", "dropped"
OUTCOMES = (DELIVERED, FAILED, DROPPED)

log = structlog.get_logger("timebank.attention")


class Sink(Protocol):
    """Who hears of warnings."""

    name: str

    def send(self, warning: Mapping[str, Any]) -> None:
        """Tell of one; raises ``TimebankError`` if nobody heard."""
        ...


class LogSink:
    """A line of the log."""

    name = "log"

    def send(self, warning: Mapping[str, Any]) -> None:
        """Write it."""
        log.warning(warning["message"], **{name: told for name, told in warning.items() if name != "message"})


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

    def send(self, warning: Mapping[str, Any]) -> None:
        """Post it, again where the failure may pass."""
        body = {"schema": WARNING_SCHEMA, **warning}
        for attempt in range(self._attempts):
            try:
                post_json(self._url, body, timeout_s=self._timeout_s, allow_private=self._allow_private)
                return
            except Transient:
                if attempt + 1 == self._attempts:
                    raise
                self._sleep(float(2**attempt))


class Outbox:
    """Hands warnings to sinks.

    A sink that failed is left alone until the next look: an outage costs one round of attempts a look,
    however many warnings wait. What was refused, and not only unheard, goes to the end of the queue, so that
    one warning nobody takes does not block the others.

    Attributes
    ----------
    counts
        Attempts and drops of this process, by (sink, outcome).
    """

    def __init__(self, sinks: Sequence[Sink], state: State) -> None:
        self._sinks, self._pending = sinks, state.pending
        self._down: set[str] = set()
        self.counts: Counter[tuple[str, str]] = Counter()

    @property
    def waiting(self) -> dict[str, int]:
        """How many warnings wait, by sink; sinks of an earlier run among them."""
        names = dict.fromkeys([*(sink.name for sink in self._sinks), *self._pending])
        return {name: len(self._pending.get(name, [])) for name in names}

    def retry(self) -> bool:
        """Try what waits; return whether anything changed. Call it once at the begin of a look."""
        self._down.clear()
        changed = False
        for sink in self._sinks:
            queue = self._pending.get(sink.name, [])
            while queue and sink.name not in self._down:
                failure = self._attempt(sink, queue[0])
                if failure is None:
                    queue.pop(0)
                    changed = True
                elif not isinstance(failure, Transient):
                    queue.append(queue.pop(0))
                    changed = True
        return changed

    def hand(self, warning: Mapping[str, Any]) -> dict[str, bool]:
        """Tell every sink, whatever becomes of the others; return who heard."""
        heard = {}
        for sink in self._sinks:
            queue = self._pending.setdefault(sink.name, [])
            # Behind others that wait: a sink hears warnings in their order.
            heard[sink.name] = (
                not queue and sink.name not in self._down and self._attempt(sink, warning) is None
            )
            if not heard[sink.name]:
                queue.append(dict(warning))
            while len(queue) > MAX_PENDING:
                lost = queue.pop(0)
                self.counts[sink.name, DROPPED] += 1
                log.error("a warning was dropped: too many wait", sink=sink.name, lost=lost["message"])
        return heard

    def _attempt(self, sink: Sink, warning: Mapping[str, Any]) -> TimebankError | None:
        try:
            sink.send(warning)
        except TimebankError as error:
            self.counts[sink.name, FAILED] += 1
            self._down.add(sink.name)
            log.error(
                "a warning was not delivered, it is kept and tried again at the next look",
                sink=sink.name,
                error=str(error),
                hint=error.hint,
            )
            return error
        self.counts[sink.name, DELIVERED] += 1
        return None
