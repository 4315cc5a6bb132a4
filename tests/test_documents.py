"""JSON from strangers: what is refused, and what is not.

parse_json
  deeper than 64 levels ...... refused, even where other packages raised the recursion limit
  brackets inside strings .... do not count
  exactly 64 levels .......... read
  more than 78 digits ........ refused by their number, whatever Python's own limit is
read_small
  up to its limit ............ read; one byte more is refused
  a device that never ends ... refused by whatever reads a document, in little memory
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from timebank_chain.documents import MAX_DEPTH, TooDeep, TooLarge, parse_json, read_small, read_small_text

#: What reads a document somebody else may have written, by module and name.
READERS = {
    "timebank_chain.activity.mapping": "load_mapping",
    "timebank_chain.activity.members": "load_members",
    "timebank_chain.activity.record": "load_salt_key",
    "timebank_chain.valuation": "load_policy",
    "timebank_chain.epoch.file": "read_json_object",
    "timebank_chain.chain.bank_plan": "load_bank_plan",
    "timebank_chain.chain.keystore": "read_password",
    "timebank_chain.chain.lease_offers": "read_offer",
    "timebank_chain.chain.order_book": "read_book",
    "timebank_chain.oracle.sign": "read_signature",
}
_READ_ENDLESS = """
import importlib, pathlib, resource, sys
from timebank_chain.errors import TimebankError
reader = getattr(importlib.import_module(sys.argv[1]), sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
try:
    reader(pathlib.Path("/dev/zero"))
except TimebankError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("bracket", ["[", '{"a":'])
def test_refuses_a_bomb_that_would_end_the_process(bracket: str) -> None:
    code = (
        "import sys; sys.setrecursionlimit(1_000_000)\n"
        "from timebank_chain.documents import TooDeep, parse_json\n"
        f"try:\n    parse_json({bracket!r} * 300_000)\n"
        "except TooDeep: print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "refused\n", (done.returncode, done.stderr[-200:])


def test_brackets_in_strings_do_not_nest() -> None:
    text = '{"a": "' + "[{" * 500 + '\\"[["}'
    assert parse_json(text) == {"a": "[{" * 500 + '"[['}


def test_reads_up_to_the_bound_and_no_further() -> None:
    parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    with pytest.raises(TooDeep):
        parse_json("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))


def test_bytes_must_be_utf8() -> None:
    assert parse_json(b'{"a": 1}') == {"a": 1}
    with pytest.raises(ValueError, match="utf-8"):
        parse_json(b"\xff")


def test_integers_end_where_contracts_do() -> None:
    largest = 2**256 - 1
    assert parse_json(f"[{largest}, -{largest}, -1]") == [largest, -largest, -1]
    with pytest.raises(ValueError, match=r"^a number of 5000 digits, at most 78 are read$"):
        parse_json("8" * 5_000)


def test_a_small_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"ab\r\nc")
    assert read_small(path, 5) == b"ab\r\nc"
    assert read_small_text(path, 5) == path.read_text() == "ab\nc"
    with pytest.raises(TooLarge, match=r"^more than 4 bytes$"):
        read_small(path, 4)


@pytest.mark.parametrize("module", READERS)
def test_a_file_without_end_is_refused(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _READ_ENDLESS, module, READERS[module]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert "Error" in done.stdout or "Tampered" in done.stdout
    assert "/dev/zero" in done.stdout
