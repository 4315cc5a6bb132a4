"""ABI words in numpy: encodes and decodes a hundred thousand static structs in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from eth_utils import function_signature_to_4byte_selector
from numpy.typing import NDArray

Words = NDArray[np.uint8]


def word(number: int) -> bytes:
    """One ABI word."""
    return (number % (1 << 256)).to_bytes(32, "big")


def words(column: Sequence[int] | NDArray[np.integer]) -> Words:
    """A column of integers of at most 64 bits as (n, 32), sign-extended."""
    array = np.asarray(column)
    out = np.zeros((len(array), 32), dtype=np.uint8)
    if array.dtype.kind == "i":
        out[array < 0] = 255
    wide = array.astype(np.int64 if array.dtype.kind == "i" else np.uint64)
    out[:, 24:] = wide.view(np.uint64).astype(">u8").view(np.uint8).reshape(-1, 8)
    return out


def address_words(addresses: NDArray[np.uint8]) -> Words:
    """Addresses (n, 20) as (n, 32)."""
    out = np.zeros((len(addresses), 32), dtype=np.uint8)
    out[:, 12:] = addresses
    return out


def rows(*columns: Words) -> bytes:
    """Columns of words side by side: an array of static structs without its length."""
    return np.concatenate([column[:, None, :] for column in columns], axis=1).tobytes()


def array_call(signature: str, count: int, body: bytes) -> bytes:
    """Calldata of a function whose only argument is an array of static structs."""
    selector: bytes = function_signature_to_4byte_selector(signature)
    return selector + word(32) + word(count) + body


def dynamic_array_call(signature: str, bodies: Words) -> bytes:
    """Calldata of a function that takes one array of dynamic structs of equal length, (n, words, 32)."""
    selector: bytes = function_signature_to_4byte_selector(signature)
    count, length = bodies.shape[0], bodies.shape[1] * 32
    offsets = b"".join(word(count * 32 + i * length) for i in range(count))
    return selector + word(32) + word(count) + offsets + bodies.tobytes()


def read_rows(data: bytes, width: int) -> list[tuple[int, ...]]:
    """An array of static structs of ``width`` words, all signed 256-bit, as tuples of integers."""
    count = int.from_bytes(data[32:64], "big")
    body = np.frombuffer(data, dtype=np.uint8, offset=64).reshape(count, width, 32)
    low = body[:, :, 16:].copy().view(">u8").astype(object)
    value = (low[:, :, 0] << 64) | low[:, :, 1]
    negative = body[:, :, 0] >= 128
    value[negative] -= 1 << 128
    top = body[:, :, :16]
    assert (np.where(negative[:, :, None], 255, 0) == top).all(), "a number beyond 127 bits"
    return [tuple(row) for row in value.tolist()]


def read_hashes(data: bytes) -> list[bytes]:
    """An array of bytes32."""
    return [data[i : i + 32] for i in range(64, len(data), 32)]
