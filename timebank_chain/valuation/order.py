"""The one order of leaves: by account, then by record id, both as unsigned bytes.

Sorting tens of millions of 52-byte keys directly is slow, so rows are sorted by one 64-bit number:
the account's rank among the accounts in the upper bits, the record id's first bits below. Rows that tie
are then settled on the whole record id, so the result is exactly the lexicographic order.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from timebank_chain.errors import EpochError

_ACCOUNT_BYTES = 20
_RECORD_BYTES = 32


def accounts_as_keys(account: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """Return (n, 20) bytes as n keys that numpy orders as unsigned bytes."""
    # 'S20' drops trailing zero bytes on reading, but compares padded: equal width keeps the order exact.
    return np.ascontiguousarray(account).view(f"S{_ACCOUNT_BYTES}").reshape(-1)


def keys_as_accounts(keys: NDArray[np.bytes_]) -> NDArray[np.uint8]:
    """Return keys as (n, 20) bytes; the inverse of ``accounts_as_keys``."""
    return (
        np.ascontiguousarray(keys.astype(f"S{_ACCOUNT_BYTES}", copy=False))
        .view(np.uint8)
        .reshape(-1, _ACCOUNT_BYTES)
    )


def leaf_order(
    account: NDArray[np.uint8], record_id: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.bytes_], NDArray[np.int64]]:
    """Sort acts by (account, record id).

    Returns
    -------
    order
        Positions of the input rows in sorted order.
    accounts
        The distinct accounts, sorted, as keys.
    ends
        Exclusive end of each account's rows in sorted order.

    Raises
    ------
    EpochError
        If a record stands twice, under one account or under two.
    """
    # The two sorts know nothing of each other, and numpy sorts without the interpreter: on two cores the
    # check for repeats costs no time.
    with ThreadPoolExecutor(1) as pool:
        repeats = pool.submit(repeated_records, record_id)
        sorted_rows = _sorted_rows(account, record_id)
    for earlier, later in repeats.result()[:1].tolist():
        raise EpochError(
            f"record {record_id[later].tobytes().hex()} stands twice",
            hint="clean the activity first: timebank ingest drops duplicates",
            where=f"activities {earlier + 1} and {later + 1}",
        )
    return sorted_rows


def _sorted_rows(
    account: NDArray[np.uint8], record_id: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.bytes_], NDArray[np.int64]]:
    n = len(account)
    names, number = _distinct_accounts(account)
    counts = np.bincount(number, minlength=len(names)).astype(np.int64)
    ends = np.cumsum(counts, dtype=np.int64)
    if not n:
        return np.zeros(0, dtype=np.int64), names, ends
    # One number a row: account, first bits of the record id, row. Sorting plain numbers is several times
    # faster than sorting positions by numbers; the row comes along in the lowest bits.
    row_bits = (n - 1).bit_length()
    account_bits = (len(names) - 1).bit_length()
    key = _prefix(record_id)
    key >>= np.uint64(row_bits + account_bits)
    key <<= np.uint64(row_bits)
    key |= number.astype(np.uint64) << np.uint64(64 - account_bits) if account_bits else np.uint64(0)
    key |= np.arange(n, dtype=np.uint64)
    key.sort()
    order = (key & np.uint64((1 << row_bits) - 1)).astype(np.int64)
    key >>= np.uint64(row_bits)
    _settle_ties(order, key, record_id)
    return order, names, ends


def repeated_records(record_id: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return every row whose record stands in an earlier row too: (k, 2) of first row and this one.

    A record is one act and stands once in an epoch, under one account.
    """
    # Ids are hashes: the first 64 bits of two differ, so that sorting those nearly always settles it.
    prefix = np.ascontiguousarray(record_id).view(np.uint64).reshape(len(record_id), 4)[:, 0].copy()
    in_order = np.sort(prefix)
    tied = in_order[1:][in_order[1:] == in_order[:-1]]
    if not len(tied):
        return np.zeros((0, 2), dtype=np.int64)
    rows = np.flatnonzero(np.isin(prefix, tied))
    keys = np.ascontiguousarray(record_id[rows]).view(f"S{_RECORD_BYTES}").reshape(-1)
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    firsts = rows[first[place]]
    again = rows != firsts
    return np.stack([firsts[again], rows[again]], axis=1).astype(np.int64, copy=False)


def not_ascending(*keys: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Return the rows that are not above the row before, compared by the keys in turn as unsigned bytes."""
    count = len(keys[0])
    if count < 2:
        return np.zeros(0, dtype=np.intp)
    above = np.zeros(count - 1, dtype=np.bool_)
    equal = np.ones(count - 1, dtype=np.bool_)
    for word in (word for key in keys for word in _words(key)):
        above |= equal & (word[1:] > word[:-1])
        equal &= word[1:] == word[:-1]
        if not equal.any():
            break
    return np.flatnonzero(~above) + 1


def _words(key: NDArray[np.uint8]) -> Iterator[NDArray[np.uint64]]:
    """Yield (n, w) bytes as columns of 64-bit numbers in the same order, most significant first."""
    for start in range(0, key.shape[1], 8):
        part = key[:, start : start + 8]
        padded = np.zeros((len(key), 8), dtype=np.uint8)
        padded[:, : part.shape[1]] = part
        yield padded.view(">u8").reshape(-1).astype(np.uint64)


def _prefix(record_id: NDArray[np.uint8]) -> NDArray[np.uint64]:
    words = np.ascontiguousarray(record_id).view(">u8").reshape(len(record_id), 4)
    return words[:, 0].astype(np.uint64)


def _settle_ties(order: NDArray[np.int64], key: NDArray[np.uint64], record_id: NDArray[np.uint8]) -> None:
    same = key[1:] == key[:-1]
    if not same.any():
        return
    # Each run of equal keys starts where a tie begins after a non-tie.
    padded = np.concatenate(([False], same, [False]))
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    for start, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        rows = order[start : last + 1].tolist()
        order[start : last + 1] = sorted(rows, key=lambda row: record_id[row].tobytes())


def _distinct_accounts(account: NDArray[np.uint8]) -> tuple[NDArray[np.bytes_], NDArray[np.int64]]:
    keys = accounts_as_keys(account)
    if not len(keys):
        return keys, np.zeros(0, dtype=np.int64)
    mixed = _mix(account)
    in_order = np.sort(mixed)
    distinct = in_order[np.concatenate(([True], in_order[1:] != in_order[:-1]))]
    place = _places(mixed, distinct)
    found = np.empty(len(distinct), dtype=keys.dtype)
    found[place] = keys
    # The mix only saves time; should two accounts share one, compare them in full.
    if not bool((found[place] == keys).all()):
        exact, number = np.unique(keys, return_inverse=True)
        return exact, number.astype(np.int64, copy=False)
    sorted_places = np.argsort(found)
    rank = np.empty(len(found), dtype=np.int64)
    rank[sorted_places] = np.arange(len(found))
    return found[sorted_places], rank[place]


def _places(values: NDArray[np.uint64], distinct: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return where each value stands among the distinct ones (all of them, sorted)."""
    # A table over the upper bits leads to within a step or two of the place.
    bits = min(len(distinct).bit_length() + 2, 24)
    shift = np.uint64(64 - bits)
    starts = np.searchsorted(distinct, np.arange(1 << bits, dtype=np.uint64) << shift)
    place = starts.take((values >> shift).astype(np.int64))
    astray = np.flatnonzero(distinct.take(place) != values)
    while len(astray):
        place[astray] += 1
        astray = astray[distinct.take(place[astray]) != values[astray]]
    return place


def _mix(account: NDArray[np.uint8]) -> NDArray[np.uint64]:
    rows = np.ascontiguousarray(account)
    words = np.zeros((len(rows), 3), dtype=np.uint64)
    words.view(np.uint8).reshape(len(rows), 24)[:, :_ACCOUNT_BYTES] = rows
    # Odd constants: a multiplication by one loses nothing. Wrap-around is wanted.
    result = words[:, 0] * np.uint64(0x9E3779B97F4A7C15)
    result ^= words[:, 1] * np.uint64(0xC2B2AE3D27D4EB4F)
    result ^= words[:, 2] * np.uint64(0x165667B19E3779F9)
    return result
