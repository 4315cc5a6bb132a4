"""What the ledger says by time.

epochs ... value and mint by hour, and the length of the last epoch; none published is refused
fees ..... those the pool divided, in the hour of their block, hours without any are 0; none at all is refused
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.epoch.sample import EPOCH, publish_all
from tests.world import World
from timebank_chain.attention.monitor.ledger import epoch_series, fee_series
from timebank_chain.attention.monitor.series import DAY_MS, HOUR_MS
from timebank_chain.errors import AttentionError

CREDIT = 1_000_000


def test_value_and_mint_of_published_epochs(tmp_path: Path) -> None:
    published = publish_all(tmp_path / "epochs")
    found, length = epoch_series(tmp_path / "epochs")
    assert length == EPOCH
    # Acts of the last observation window (7 days) may not have settled: the series ends before it.
    assert found["value"].end_ms == published[-1].header.end_ms - 7 * DAY_MS
    assert found["mint"].values.sum() > 0 and found["mint"].step_ms == HOUR_MS
    with pytest.raises(AttentionError, match="no epoch is published"):
        epoch_series(tmp_path / "nowhere")


def test_fees_stand_in_the_hour_they_were_divided(embedded_world: World) -> None:
    world = embedded_world
    timebank = world.timebank
    with pytest.raises(AttentionError, match="no fee was ever divided"):
        fee_series(timebank)
    world.give("member1", 100 * CREDIT)
    world.send("member1", timebank.attention_credit.approve(timebank.credit_payments.address, 100 * CREDIT))
    for amount in (40 * CREDIT, 20 * CREDIT):
        world.send("member1", timebank.credit_payments.pay(world.address("payee"), amount))
        world.send("member1", timebank.fee_pool.sync())
        last = timebank.connection.timestamp() * 1_000
        timebank.connection.advance_time(5 * 3_600)
    series = fee_series(timebank)
    fees = timebank.fee_pool.accounts().total
    assert fees > 0
    assert series.values.sum() * 1e6 == pytest.approx(fees)
    assert sorted(value for value in series.values.tolist() if value)[-1] == pytest.approx(fees * 2 / 3 / 1e6)
    assert series.values[(last - series.start_ms) // HOUR_MS] == pytest.approx(fees / 3 / 1e6)
    assert series.end_ms > last and (series.values == 0).any()
