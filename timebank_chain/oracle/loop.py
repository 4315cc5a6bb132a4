"""Doing a step again and again until asked to stop: what daemons share.

A failure waits longer each time; a fatal one ends the process; a stop is taken between steps.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from timebank_chain.chain.node_errors import translated
from timebank_chain.errors import (
    CodeMismatch,
    DeploymentError,
    OracleError,
    TimebankError,
    UsageError,
    WalletError,
    WrongChain,
)
from timebank_chain.oracle.clock import Clock
from timebank_chain.oracle.submit import LeftOnItsWay

log = structlog.get_logger("timebank.oracle")

#: What no later step can mend.
FATAL: tuple[type[TimebankError], ...] = (
    WrongChain,
    CodeMismatch,
    DeploymentError,
    WalletError,
    UsageError,
)
MAX_BACKOFF_SECONDS = 300.0


@contextmanager
def guarded() -> Iterator[None]:
    """Raise one of our errors for whatever node, disk or journal raise inside the block."""
    try:
        with translated():
            yield
    except (OSError, sqlite3.Error) as error:
        raise OracleError(
            f"a file cannot be read or written: {error}",
            hint="look at the disk and at the rights of the folders that are given",
        ) from error


def repeat(
    step: Callable[[], bool],
    *,
    stop: threading.Event,
    clock: Clock,
    poll_seconds: float,
    fatal: tuple[type[TimebankError], ...],
    once: bool = False,
) -> None:
    """Repeat a step.

    Parameters
    ----------
    step
        Returns whether it found nothing to do.
    poll_seconds
        Pause after a step that found nothing to do.
    fatal
        Errors no later step can mend.
    once
        End as soon as there is nothing to do.

    Raises
    ------
    TimebankError
        A fatal error; with ``once``, any.
    """
    failures = 0
    while not stop.is_set():
        try:
            idle = step()
        except fatal:
            raise
        except LeftOnItsWay:
            break  # said where it happened; the next start takes it up
        except TimebankError as error:
            if once:
                raise
            failures += 1
            pause = min(poll_seconds * 2 ** min(failures - 1, 16), MAX_BACKOFF_SECONDS)
            log.error("will try again", error=str(error), hint=error.hint, seconds=pause)
            clock.sleep(pause)
            continue
        failures = 0
        if idle:
            if once:
                return
            clock.sleep(poll_seconds)
    log.info("stopped")
