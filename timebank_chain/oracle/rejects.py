"""The oracle's rejects file: every row of the feed that is in no epoch, once, with its reason."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterable
from pathlib import Path

from timebank_chain.activity import Reject
from timebank_chain.activity.clean import REJECT_COLUMNS
from timebank_chain.errors import OracleError


class RejectsFile:
    """A CSV file that only grows (columns as ``timebank ingest --rejects`` writes them).

    The feed is read from its beginning for every epoch, so the same rejects come again and again;
    the file itself remembers which are in it. A line that was cut off by a crash is completed with a
    newline, and its reject is written anew.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: set[bytes] | None = None

    def append(self, rejects: Iterable[Reject]) -> int:
        """Append those rejects that are not in the file yet; return how many.

        Raises
        ------
        OracleError
            If the file cannot be written.
        """
        try:
            seen = self._load() if self._seen is None else self._seen
            fresh = []
            for reject in rejects:
                line = _line(
                    (reject.source, str(reject.line), reject.id, reject.field, reject.reason, reject.record)
                )
                digest = _digest(line)
                if digest not in seen:
                    seen.add(digest)
                    fresh.append(line)
            if fresh:
                with self.path.open("ab") as file:
                    file.write(b"".join(fresh))
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            raise OracleError(
                f"the rejects file cannot be written: {error.strerror}",
                where=str(self.path),
                hint="make room or give another --state folder: no row may be left out unsaid",
            ) from error
        self._seen = seen
        return len(fresh)

    def _load(self) -> set[bytes]:
        if not self.path.exists():
            self.path.write_bytes(_line(REJECT_COLUMNS))
            return set()
        content = self.path.read_bytes()
        if content and not content.endswith(b"\n"):
            with self.path.open("ab") as file:
                file.write(b"\n")
        # Records of several lines are digested as csv reads them and writes them again.
        text = content.decode("utf-8", "replace")
        # Cells are as long as the records were: csv's own bound is meant for files of strangers.
        before = csv.field_size_limit(len(text) + 1)
        try:
            return {_digest(_line(row)) for row in csv.reader(io.StringIO(text, newline=""))}
        finally:
            csv.field_size_limit(before)


def _line(cells: Iterable[str]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue().encode("utf-8", "backslashreplace")


def _digest(line: bytes) -> bytes:
    return hashlib.blake2b(line, digest_size=16).digest()
