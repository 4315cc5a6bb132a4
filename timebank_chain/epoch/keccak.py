"""Keccak-256, the hash of the EVM: one message, or a million short rows at once.

``keccak_many`` gives the same bytes on two ways: a compiled kernel on every core (extra ``fast``) and
a portable loop over safe-pysha3. It takes the kernel only where that pays: loading it costs about a
second, in which the loop hashes a million rows.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import sha3
from numpy.typing import NDArray

#: One block takes 136 bytes, of which the padding needs at least one.
MAX_ROW_BYTES = 135
#: Rows from which the kernel is worth loading; once loaded it serves from ``_KERNEL_MIN_ROWS``.
_KERNEL_LOAD_ROWS = 200_000
_KERNEL_MIN_ROWS = 512
_ROWS_PER_TASK = 16_384

HashWords = Callable[[NDArray[np.uint64], bool, NDArray[np.uint64]], None]


def keccak(message: bytes) -> bytes:
    """Return the Keccak-256 hash (32 bytes) of ``message``, of any length.

    >>> keccak(b"").hex()[:16]
    'c5d2460186f7233c'
    """
    return bytes(sha3.keccak_256(message).digest())


def keccak_many(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Hash every row of ``rows`` (n, L), L at most 135 bytes, into (n, 32).

    Raises
    ------
    ValueError
        If ``rows`` is not two-dimensional bytes, or a row does not fit one Keccak block.
    """
    if rows.ndim != 2 or rows.dtype != np.uint8:
        raise ValueError(f"expected rows of bytes, shape (n, L), dtype uint8; got {rows.shape}, {rows.dtype}")
    if rows.shape[1] > MAX_ROW_BYTES:
        raise ValueError(f"rows of {rows.shape[1]} bytes do not fit one Keccak block ({MAX_ROW_BYTES} bytes)")
    enough = _KERNEL_MIN_ROWS if kernel_loaded() else _KERNEL_LOAD_ROWS
    if len(rows) >= enough and kernel_available() and _load_kernel() is not None:
        return keccak_many_compiled(rows)
    return keccak_many_portable(rows)


def keccak_many_portable(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Hash rows (n, L) one by one; needs no compiler, gives the same bytes as the kernel."""
    count, length = rows.shape
    if count == 0:
        return np.empty((0, 32), dtype=np.uint8)
    data = np.ascontiguousarray(rows).tobytes()
    new = sha3.keccak_256
    hashes = b"".join([new(data[at * length : (at + 1) * length]).digest() for at in range(count)])
    return np.frombuffer(hashes, dtype=np.uint8).reshape(count, 32).copy()


def keccak_many_compiled(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Hash rows (n, L <= 135) with the compiled kernel, on every core this process may use.

    Threads of our own over a kernel without the GIL, not numba's thread layers: those forbid calls
    from two threads at once and a later ``fork``, and a daemon does both.
    """
    hash_words = _load_kernel()
    if hash_words is None:
        raise RuntimeError("the Keccak kernel needs the extra 'fast' (numba)")
    count, length = rows.shape
    hashes = np.empty((count, 4), dtype="<u8")

    def work(first: int) -> None:
        part = rows[first : first + _ROWS_PER_TASK]
        words, inside = _as_words(part, length)
        hash_words(words, inside, hashes[first : first + len(part)])

    starts = range(0, count, _ROWS_PER_TASK)
    if len(starts) <= 1:
        for start in starts:
            work(start)
    else:
        with ThreadPoolExecutor(max_workers=min(len(starts), _cores())) as pool:
            for _ in pool.map(work, starts):
                pass
    return hashes.view(np.uint8).reshape(count, 32)


def kernel_available() -> bool:
    """Tell whether the compiled kernel can be used on this machine (numba present, little-endian)."""
    return sys.byteorder == "little" and importlib.util.find_spec("numba") is not None


def kernel_loaded() -> bool:
    """Tell whether this process has loaded the kernel already."""
    return _load_kernel.cache_info().currsize > 0 and _load_kernel() is not None


@functools.cache
def _load_kernel() -> HashWords | None:
    """Return the kernel, or ``None`` where numba is missing or does not fit this Python or numpy."""
    try:
        from timebank_chain.epoch.keccak_kernel import hash_words
    except ImportError:
        return None
    # Compile (or read from the cache) here, in one thread.
    hash_words(np.zeros((1, 1), dtype="<u8"), False, np.empty((1, 4), dtype="<u8"))
    kernel: HashWords = hash_words
    return kernel


def _as_words(rows: NDArray[np.uint8], length: int) -> tuple[NDArray[np.uint64], bool]:
    """Return rows as little-endian words, and whether the padding byte 0x01 is inside the last one."""
    inside = length % 8 != 0
    if not inside:
        return np.ascontiguousarray(rows).view("<u8").reshape(len(rows), length // 8), False
    padded = np.zeros((len(rows), length // 8 * 8 + 8), dtype=np.uint8)
    padded[:, :length] = rows
    padded[:, length] = 0x01
    return padded.view("<u8"), True


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
