"""What the ledger says by time.

epochs ... value and mint by hour, and the length of the last epoch; none published is refused
fees ..... those the pool divided, in the hour of their block, hours without any are 0; none at all is refused
monitor .. with --deployment fees of a chain are forecast beside the feed; before any were divided a note says
           so; a chain that is not there is refused at once
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from tests.chain_fixtures import free_port
from tests.epoch.sample import EPOCH, publish_all
from tests.world import World
from timebank_chain.attention.monitor.ledger import epoch_series, fee_series
from timebank_chain.attention.monitor.series import DAY_MS, HOUR_MS
from timebank_chain.cli.attention import app
from timebank_chain.config import ENV_DEPLOYMENT, ENV_EPOCHS, ENV_RPC_URL
from timebank_chain.errors import AttentionError, ConnectionFailed
from timebank_chain.units import format_time

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


def pay_fees(world: World) -> int:
    """Let fees of 40 and of 20 credits be divided, five hours apart; return when the last were (ms)."""
    timebank = world.timebank
    world.give("member1", 100 * CREDIT)
    world.send("member1", timebank.attention_credit.approve(timebank.credit_payments.address, 100 * CREDIT))
    for amount in (40 * CREDIT, 20 * CREDIT):
        world.send("member1", timebank.credit_payments.pay(world.address("payee"), amount))
        world.send("member1", timebank.fee_pool.sync())
        last = timebank.connection.timestamp() * 1_000
        timebank.connection.advance_time(5 * 3_600)
    return last


def test_fees_stand_in_the_hour_they_were_divided(embedded_world: World) -> None:
    world = embedded_world
    timebank = world.timebank
    with pytest.raises(AttentionError, match="no fee was ever divided"):
        fee_series(timebank)
    last = pay_fees(world)
    series = fee_series(timebank)
    fees = timebank.fee_pool.accounts().total
    assert fees > 0
    assert series.values.sum() * 1e6 == pytest.approx(fees)
    assert sorted(value for value in series.values.tolist() if value)[-1] == pytest.approx(fees * 2 / 3 / 1e6)
    assert series.values[(last - series.start_ms) // HOUR_MS] == pytest.approx(fees / 3 / 1e6)
    assert series.end_ms > last and (series.values == 0).any()


@pytest.mark.anvil
def test_the_monitor_reads_fees_from_a_chain(
    anvil_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is set where the tests run must not decide which chain is read.
    for name in (ENV_RPC_URL, ENV_DEPLOYMENT, ENV_EPOCHS):
        monkeypatch.delenv(name, raising=False)
    timebank = anvil_world.timebank
    deployment, counts = tmp_path / "deployment.json", tmp_path / "counts.csv"
    deployment.write_text(json.dumps(timebank.deployment.to_json()))
    # By this machine's clock, which rows are measured by: the chain's goes ahead of it from test to test.
    begin = time.time_ns() // 1_000_000 // HOUR_MS * HOUR_MS - 21 * DAY_MS
    counts.write_text(
        "time,n\n" + "".join(f"{format_time(begin + hour * HOUR_MS)},{hour % 24}\n" for hour in range(500))
    )
    words = ["monitor", str(counts), "--once", "--as-of", "latest", "--json"]
    chain = ["--deployment", str(deployment), "--rpc-url", timebank.connection.url]
    before = told(*words, *chain)
    assert [one["quantity"] for one in before["outlooks"]] == ["activity"]
    assert "no forecast of fees: no fee was ever divided" in before["notes"]
    pay_fees(anvil_world)
    assert any("of fees are known, at least 336" in note for note in told(*words, *chain)["notes"])
    timebank.connection.advance_time(15 * 86_400)
    after = told(*words, *chain)
    fees = after["outlooks"][1]
    assert fees["quantity"] == "fees" and not any("fees" in note for note in after["notes"])
    series = fee_series(timebank)
    assert [one["beginMs"] for one in fees["forecasts"]] == [series.end_ms] * 3
    # Whatever way is chosen: not more is promised than was ever divided, and not less than nothing.
    assert all(0 <= one["value"] <= timebank.fee_pool.accounts().total / 1e6 for one in fees["forecasts"])
    assert after["outlooks"][0] == before["outlooks"][0], "and the feed is judged as without"
    with pytest.raises(ConnectionFailed):
        told(*words, "--deployment", str(deployment), "--rpc-url", f"http://127.0.0.1:{free_port()}")


def told(*words: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, list(words))
    structlog.reset_defaults()  # the log went to the runner's standard error, which is closed now
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))
