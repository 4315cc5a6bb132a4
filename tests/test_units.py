"""Reading what people type.

amount, duration, time
|- digits of other scripts are no digits here: they look like something else to whoever checks them
`- our own digits are
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from timebank_chain.units import parse_credits, parse_duration, parse_time

ARABIC_ONE, FULL_WIDTH_ONE = "\u0661", "\uff11"


@pytest.mark.parametrize("digit", [ARABIC_ONE, FULL_WIDTH_ONE])
@pytest.mark.parametrize(("read", "rest"), [(parse_credits, ""), (parse_duration, "d"), (parse_time, "000")])
def test_digits_are_ascii(read: Callable[[str], int], rest: str, digit: str) -> None:
    assert read("1" + rest) > 0
    with pytest.raises(ValueError, match=r"^not a"):
        read(digit + rest)
