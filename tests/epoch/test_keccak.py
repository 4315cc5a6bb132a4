"""keccak
|- one message
|  `- it equals eth_utils' keccak, also above one block
`- many rows
   |- for every length from 0 to 135, portable and compiled equal eth_utils
   |- any row, any count: both ways agree
   |- rows above 135 bytes, or not bytes, are refused
   |- non-contiguous rows hash like contiguous ones
   |- two threads at once get the right hashes
   `- the kernel is chosen for many rows; where numba cannot be loaded the portable way takes over
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from eth_utils import keccak as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from timebank_chain.epoch import keccak as module
from timebank_chain.epoch.keccak import keccak, keccak_many, keccak_many_compiled, keccak_many_portable

WAYS = [
    pytest.param(keccak_many_portable, id="portable"),
    pytest.param(
        keccak_many_compiled,
        id="compiled",
        marks=pytest.mark.skipif(not module.kernel_available(), reason="the extra 'fast' is not installed"),
    ),
    pytest.param(keccak_many, id="chosen"),
]


def rows_of(count: int, length: int, seed: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, length), dtype=np.uint8)


@given(st.binary(max_size=700))
def test_one_message_equals_the_reference(message: bytes) -> None:
    assert keccak(message) == reference(message)


@pytest.mark.parametrize("way", WAYS)
def test_every_length_of_one_block_equals_the_reference(way) -> None:
    for length in range(136):
        rows = rows_of(5, length, seed=length)
        rows[0] = 0
        rows[1] = 255
        assert [row.tobytes() for row in way(rows)] == [reference(row.tobytes()) for row in rows], length


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 135), st.integers(0, 600), st.integers(0, 2**32 - 1))
def test_random_rows_agree_on_both_ways(length: int, count: int, seed: int) -> None:
    if not module.kernel_available():
        pytest.skip("the extra 'fast' is not installed")
    rows = rows_of(count, length, seed)
    assert np.array_equal(keccak_many_compiled(rows), keccak_many_portable(rows))


@pytest.mark.parametrize("way", WAYS)
def test_no_rows_give_no_hashes(way) -> None:
    assert way(np.empty((0, 64), dtype=np.uint8)).shape == (0, 32)


def test_rows_above_one_block_are_refused() -> None:
    with pytest.raises(ValueError, match="136 bytes do not fit one Keccak block"):
        keccak_many(rows_of(3, 136))


@pytest.mark.parametrize("rows", [np.zeros(64, dtype=np.uint8), np.zeros((2, 64), dtype=np.int64)])
def test_what_is_not_rows_of_bytes_is_refused(rows) -> None:
    with pytest.raises(ValueError, match="expected rows of bytes"):
        keccak_many(rows)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("length", [64, 81])
def test_slices_hash_like_copies(way, length: int) -> None:
    wide = rows_of(40, length + 9)
    part = wide[::2, 4 : 4 + length]
    assert np.array_equal(way(part), way(part.copy()))


@pytest.mark.skipif(not module.kernel_available(), reason="the extra 'fast' is not installed")
def test_two_threads_at_once_and_many_tasks() -> None:
    rows = [rows_of(40_000, 64, seed) for seed in range(3)]
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(keccak_many_compiled, rows))
    for part, hashes in zip(rows, results, strict=True):
        assert np.array_equal(hashes, keccak_many_portable(part))


def test_the_kernel_is_chosen_where_it_pays_and_done_without_where_it_cannot_load(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = rows_of(600, 64)
    expected = keccak_many_portable(rows)
    monkeypatch.setattr(module, "_KERNEL_LOAD_ROWS", 1)
    if module.kernel_available():
        assert np.array_equal(keccak_many(rows), expected)
        assert module.kernel_loaded()
    module._load_kernel.cache_clear()
    monkeypatch.setitem(sys.modules, "timebank_chain.epoch.keccak_kernel", None)
    try:
        assert np.array_equal(keccak_many(rows), expected)
        assert not module.kernel_loaded()
        with pytest.raises(RuntimeError, match="needs the extra 'fast'"):
            keccak_many_compiled(rows)
    finally:
        module._load_kernel.cache_clear()
