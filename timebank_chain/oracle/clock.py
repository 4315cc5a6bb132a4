"""The time, passed in: the daemon asks a clock, so that tests need not wait."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """What time it is, and how to let some pass."""

    def now_ms(self) -> int:
        """Return the present, Unix milliseconds."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let time pass; may return early when the process is asked to stop."""
        ...


class SystemClock:
    """This machine's clock; its sleep ends early when ``stop`` is set."""

    def __init__(self, stop: threading.Event | None = None) -> None:
        self._stop = stop or threading.Event()

    def now_ms(self) -> int:
        """Return the present, Unix milliseconds."""
        return time.time_ns() // 1_000_000

    def sleep(self, seconds: float) -> None:
        """Sleep, or return at once when asked to stop."""
        if self._stop.is_set():
            # Still a short pause: what waits for a receipt after a stop must not spin.
            time.sleep(min(seconds, 0.2))
        else:
            self._stop.wait(seconds)
