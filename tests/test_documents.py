"""JSON from strangers: what is refused, and what is not.

parse_json
  deeper than 64 levels ...... refused, even where other packages raised the recursion limit
  brackets inside strings .... do not count
  exactly 64 levels .......... read
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from timebank_chain.documents import MAX_DEPTH, TooDeep, parse_json


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
