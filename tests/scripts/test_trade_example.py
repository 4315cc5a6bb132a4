"""The trade, as a reader runs it: two people, two keystores, one order in a book.

::

    on an embedded chain: sell -> fill a part -> fill more than is left -> cancel; balances to the integer
    an order that is dead is named, a book of nothing but noise -> TradeOrderError
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scripts.test_examples import load
from tests.world import World
from timebank_chain.chain.order_book import read_book
from timebank_chain.errors import TradeOrderError


def test_sell_fill_cancel(
    world: World, keystores: dict[str, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    timebank, trade = world.timebank, load("examples/trade.py")
    credit, exchange = timebank.attention_credit, timebank.credit_exchange
    seller, buyer = world.address("member1"), world.address("member2")
    path = tmp_path / "book.jsonl"
    book = ["--book", str(path)]

    trade.main(["sell", "5", "--for", "0.01", *book, *keystores["member1"]], world.connection)
    (line,) = read_book(path).lines
    assert line.signed.signed_by_key()
    assert credit.allowance(seller, exchange.address) == 5_000_000

    coin = world.connection.balance_wei(seller)
    trade.main(["fill", "2", *book, *keystores["member2"]], world.connection)
    # Three tenths of a percent of two credits is the fee.
    assert credit.balance_of(buyer) == 10_000_000 + 2_000_000 - 6_000
    assert credit.balance_of(seller) == 10_000_000 - 2_000_000
    assert world.connection.balance_wei(seller) - coin == 4 * 10**15

    trade.main(["fill", "2.5", *book, *keystores["member2"]], world.connection)
    trade.main(["fill", "1", *book, *keystores["member2"]], world.connection)
    assert exchange.filled_of(line.signed.order_hash) == 5_000_000
    trade.main(["sell", "1", "--for", "0.01", *book, *keystores["member1"]], world.connection)
    trade.main(["cancel", *book, *keystores["member1"]], world.connection)
    assert [exchange.is_cancelled(one.signed.order_hash) for one in read_book(path).lines] == [False, True]
    trade.main(["fill", "1", *book, *keystores["member2"]], world.connection)

    said = capsys.readouterr().out
    assert "line 1: 1.994000 credits for 0.004 coin" in said
    assert "0.500000 credits find no order" in said
    assert "line 2: 1.000000 credits are no longer for sale" in said
    assert "line 2 is dead: order 0x" in said

    path.write_text("noise\n")
    with pytest.raises(TradeOrderError, match="no line is an order"):
        trade.main(["fill", "1", *book, *keystores["member2"]], world.connection)
