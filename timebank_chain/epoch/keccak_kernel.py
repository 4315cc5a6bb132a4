"""The compiled Keccak kernel: rows of 64-bit words in, hashes out, with the GIL released.

Importing this module needs the extra ``fast`` (numba); :mod:`timebank_chain.epoch.keccak` decides
whether to. The permutation follows FIPS 202, section 3.2 (theta, rho and pi, chi, iota) on 25 lanes
``s00 .. s24`` (lane x + 5 y) kept in local variables, so that the compiler holds them in registers:
an array of 25 words is several times slower here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

_ROUND_CONSTANTS = np.array(
    [
        0x0000000000000001, 0x0000000000008082, 0x800000000000808A, 0x8000000080008000,
        0x000000000000808B, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
        0x000000000000008A, 0x0000000000000088, 0x0000000080008009, 0x000000008000000A,
        0x000000008000808B, 0x800000000000008B, 0x8000000000008089, 0x8000000000008003,
        0x8000000000008002, 0x8000000000000080, 0x000000000000800A, 0x800000008000000A,
        0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
    ],
    dtype=np.uint64,
)  # fmt: skip
_LAST_PADDING_BIT = np.uint64(1 << 63)


_Function = TypeVar("_Function", bound=Callable[..., Any])


def _compiled(**options: Any) -> Callable[[_Function], _Function]:
    """Return numba's decorator with its disk cache, or without one where no folder can be written."""

    def decorate(function: _Function) -> _Function:
        try:
            compiled: _Function = njit(cache=True, **options)(function)
        except RuntimeError:  # numba: "cannot cache function: no locator available"
            compiled = njit(**options)(function)
        return compiled

    return decorate


@_compiled(inline="always")
def _rotate(word: np.uint64, bits: int) -> np.uint64:
    # Shift counts are made unsigned: numba turns a mix of uint64 and int64 into float64.
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@_compiled(nogil=True)
def hash_words(words: NDArray[np.uint64], ends_inside_word: bool, hashes: NDArray[np.uint64]) -> None:
    """Hash each row of ``words`` (n, w <= 17 little-endian words) into ``hashes`` (n, 4 words).

    Parameters
    ----------
    ends_inside_word
        ``True`` when the caller has put the padding byte 0x01 behind the message inside the last
        word; ``False`` when the message fills its words and the padding starts with the next one.
    """
    width = words.shape[1]
    lane = np.zeros(17, dtype=np.uint64)
    for row in range(words.shape[0]):
        for column in range(width):
            lane[column] = words[row, column]
        if not ends_inside_word:
            lane[width] = np.uint64(1)
        s00, s01, s02, s03, s04 = lane[0], lane[1], lane[2], lane[3], lane[4]
        s05, s06, s07, s08, s09 = lane[5], lane[6], lane[7], lane[8], lane[9]
        s10, s11, s12, s13, s14 = lane[10], lane[11], lane[12], lane[13], lane[14]
        s15, s16 = lane[15], lane[16] ^ _LAST_PADDING_BIT
        s17 = s18 = s19 = s20 = s21 = s22 = s23 = s24 = np.uint64(0)
        for step in range(24):
            round_constant = _ROUND_CONSTANTS[step]
            c0 = s00 ^ s05 ^ s10 ^ s15 ^ s20
            c1 = s01 ^ s06 ^ s11 ^ s16 ^ s21
            c2 = s02 ^ s07 ^ s12 ^ s17 ^ s22
            c3 = s03 ^ s08 ^ s13 ^ s18 ^ s23
            c4 = s04 ^ s09 ^ s14 ^ s19 ^ s24
            d0 = c4 ^ _rotate(c1, 1)
            d1 = c0 ^ _rotate(c2, 1)
            d2 = c1 ^ _rotate(c3, 1)
            d3 = c2 ^ _rotate(c4, 1)
            d4 = c3 ^ _rotate(c0, 1)
            b00 = s00 ^ d0
            b01 = _rotate(s06 ^ d1, 44)
            b02 = _rotate(s12 ^ d2, 43)
            b03 = _rotate(s18 ^ d3, 21)
            b04 = _rotate(s24 ^ d4, 14)
            b05 = _rotate(s03 ^ d3, 28)
            b06 = _rotate(s09 ^ d4, 20)
            b07 = _rotate(s10 ^ d0, 3)
            b08 = _rotate(s16 ^ d1, 45)
            b09 = _rotate(s22 ^ d2, 61)
            b10 = _rotate(s01 ^ d1, 1)
            b11 = _rotate(s07 ^ d2, 6)
            b12 = _rotate(s13 ^ d3, 25)
            b13 = _rotate(s19 ^ d4, 8)
            b14 = _rotate(s20 ^ d0, 18)
            b15 = _rotate(s04 ^ d4, 27)
            b16 = _rotate(s05 ^ d0, 36)
            b17 = _rotate(s11 ^ d1, 10)
            b18 = _rotate(s17 ^ d2, 15)
            b19 = _rotate(s23 ^ d3, 56)
            b20 = _rotate(s02 ^ d2, 62)
            b21 = _rotate(s08 ^ d3, 55)
            b22 = _rotate(s14 ^ d4, 39)
            b23 = _rotate(s15 ^ d0, 41)
            b24 = _rotate(s21 ^ d1, 2)
            s00 = b00 ^ (~b01 & b02) ^ round_constant
            s01 = b01 ^ (~b02 & b03)
            s02 = b02 ^ (~b03 & b04)
            s03 = b03 ^ (~b04 & b00)
            s04 = b04 ^ (~b00 & b01)
            s05 = b05 ^ (~b06 & b07)
            s06 = b06 ^ (~b07 & b08)
            s07 = b07 ^ (~b08 & b09)
            s08 = b08 ^ (~b09 & b05)
            s09 = b09 ^ (~b05 & b06)
            s10 = b10 ^ (~b11 & b12)
            s11 = b11 ^ (~b12 & b13)
            s12 = b12 ^ (~b13 & b14)
            s13 = b13 ^ (~b14 & b10)
            s14 = b14 ^ (~b10 & b11)
            s15 = b15 ^ (~b16 & b17)
            s16 = b16 ^ (~b17 & b18)
            s17 = b17 ^ (~b18 & b19)
            s18 = b18 ^ (~b19 & b15)
            s19 = b19 ^ (~b15 & b16)
            s20 = b20 ^ (~b21 & b22)
            s21 = b21 ^ (~b22 & b23)
            s22 = b22 ^ (~b23 & b24)
            s23 = b23 ^ (~b24 & b20)
            s24 = b24 ^ (~b20 & b21)
        hashes[row, 0] = s00
        hashes[row, 1] = s01
        hashes[row, 2] = s02
        hashes[row, 3] = s03
