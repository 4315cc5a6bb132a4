"""One oracle per state folder: two would race for the same nonces."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from timebank_chain.errors import OracleError


class InstanceLock:
    """An advisory lock the kernel releases when the process ends, however it ends.

    Raises
    ------
    OracleError
        On entering, if another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def __enter__(self) -> InstanceLock:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise OracleError(
                f"another process ({holder}) works in this state folder",
                where=str(self.path),
                hint="stop it first, or give this one its own --state folder and keystore",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        self._file = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
