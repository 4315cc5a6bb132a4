"""The one order of leaves: by account, then by record id, both as unsigned bytes.

Sorting tens of millions of 52-byte keys directly is slow, so rows are sorted by one 64-bit number:
the account's rank among the accounts in the upper bits, the record id's first bits below. Rows that tie
are then settled on the whole record id, so the result is exactly the lexicographic order.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from timebank_chain.errors import EpochError

_ACCOUNT_BYTES = 20


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
        If one account holds the same record twice.
    """
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
        rows = sorted(order[start : last + 1].tolist(), key=lambda row: record_id[row].tobytes())
        for left, right in pairwise(rows):
            if (record_id[left] == record_id[right]).all():
                raise EpochError(
                    f"record {record_id[left].tobytes().hex()} stands twice",
                    hint="clean the activity first: timebank ingest drops duplicates",
                    where=f"activities {left + 1} and {right + 1}",
                )
        order[start : last + 1] = rows


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
