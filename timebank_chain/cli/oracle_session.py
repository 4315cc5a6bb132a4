"""What the oracle's commands share: the state folder, the journal, signals and log lines."""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timebank_chain.errors import OracleError

if TYPE_CHECKING:
    from timebank_chain.chain.signer import Signer
    from timebank_chain.chain.system import Timebank
    from timebank_chain.oracle.journal import Journal
    from timebank_chain.oracle.submit import Submitter


def stop_on_signals(stop: threading.Event) -> None:
    """Let SIGTERM and SIGINT set a flag; whoever runs looks at it between steps."""

    def ask(_number: int, _frame: object) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)


def log_to_stderr(*, as_json: bool) -> None:
    """Send log lines to standard error, for people or, with ``as_json``, for programs."""
    import structlog

    renderer: Any = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), sort_keys=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


@contextmanager
def open_state(timebank: Timebank, folder: Path, *, throwaway: bool) -> Iterator[Journal]:
    """Open the state folder alone, or, to look only, an empty one that is gone afterwards."""
    from timebank_chain.oracle.lock import InstanceLock
    from timebank_chain.oracle.settings import LOCK_FILE

    if throwaway:
        with tempfile.TemporaryDirectory(prefix="timebank-oracle-") as temporary:
            journal = open_journal(timebank, Path(temporary))
            yield journal
            journal.close()
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OracleError(
            f"the state folder cannot be made: {error.strerror}",
            where=str(folder),
            hint="give another --state",
        ) from error
    with InstanceLock(folder / LOCK_FILE):
        journal = open_journal(timebank, folder)
        try:
            yield journal
        finally:
            journal.close()


def open_journal(timebank: Timebank, folder: Path) -> Journal:
    """Open the journal of this deployment in a state folder."""
    from timebank_chain.oracle.journal import Journal
    from timebank_chain.oracle.settings import JOURNAL_FILE

    identity = {"chain": str(timebank.connection.chain_id), "oracle": timebank.rate_oracle.address}
    return Journal(folder / JOURNAL_FILE, identity)


@contextmanager
def sending(timebank: Timebank, signer: Signer, folder: Path, *, dry_run: bool) -> Iterator[Submitter]:
    """Open the state folder for one journalled step, after finishing what a crash left open."""
    from timebank_chain.chain.deployment import ensure_trusted
    from timebank_chain.oracle.clock import SystemClock
    from timebank_chain.oracle.submit import Submitter

    log_to_stderr(as_json=False)
    with open_state(timebank, folder, throwaway=dry_run) as journal:
        submitter = Submitter(
            timebank.connection,
            signer,
            journal,
            SystemClock(),
            trust=lambda target: ensure_trusted(timebank.connection, timebank.deployment, target),
        )
        submitter.recover()
        yield submitter
