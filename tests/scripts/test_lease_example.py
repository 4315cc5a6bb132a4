"""The lease, as a reader runs it: two people, two keystores, one offer in a file.

::

    on an embedded chain and on anvil: deposit -> offer -> take a part -> repay; every balance to the integer
    a part that is too small -> BadTake, nothing sent; an offer that is gone -> named
    a node without a keystore -> usage error
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.scripts.test_examples import load
from tests.world import World
from timebank_chain.chain.bank_reverts import BadTake, OfferIsCancelled
from timebank_chain.chain.lease_offers import read_offer


def test_offer_take_repay(
    world: World, keystores: dict[str, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    timebank, lease = world.timebank, load("examples/lease.py")
    credit, bank = timebank.attention_credit, timebank.time_bank
    lender, lessee = world.address("member1"), world.address("member2")
    file = ["--file", str(tmp_path / "offer.json")]
    load("examples/deposit.py").main(["3", "--term", "week", *keystores["member2"]], world.connection)
    bought = bank.owner_of(1)
    assert bought == lessee

    lease.main(
        ["offer", "5", "--rent", "0.1", "--term", "10d", *file, *keystores["member1"]], world.connection
    )
    assert read_offer(tmp_path / "offer.json").signed_by_key()
    assert credit.allowance(lender, timebank.credit_lease.address) == 5_000_000

    block = world.connection.block_number()
    with pytest.raises(BadTake):
        lease.main(["take", "0.1", "--receipt", "1", *file, *keystores["member2"]], world.connection)
    assert world.connection.block_number() == block

    lease.main(["take", "2", "--receipt", "1", *file, *keystores["member2"]], world.connection)
    assert credit.balance_of(lender) == 8_000_000
    assert credit.balance_of(lessee) == 10_000_000 - 3_000_000 + 2_000_000
    assert bank.owner_of(1) == timebank.credit_lease.address

    lease.main(["repay", "1", *keystores["member2"]], world.connection)
    # Two fifths of the rent are 0.04; the lender pays two percent of them.
    assert credit.balance_of(lessee) == 10_000_000 - 3_000_000 - 40_000
    assert credit.balance_of(lender) == 10_000_000 + 40_000 - 800
    assert bank.owner_of(1) == lessee
    said = capsys.readouterr().out
    assert "lease 1: 2.040000 credits are owed until" in said
    assert "repaid 2.040000 credits; lease 1 is over" in said

    world.send("member1", timebank.credit_lease.cancel(read_offer(tmp_path / "offer.json").offer))
    with pytest.raises(OfferIsCancelled):
        lease.main(["take", "2", "--receipt", "1", *file, *keystores["member2"]], world.connection)


@pytest.mark.anvil
def test_a_node_needs_a_keystore(
    anvil_world: World, anvil_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "deployment.json"
    manifest.write_text(json.dumps(anvil_world.timebank.deployment.to_json()))
    with pytest.raises(SystemExit) as caught:
        load("examples/lease.py").main(["repay", "1", "--rpc-url", anvil_url, "--deployment", str(manifest)])
    assert caught.value.code == 2
    assert "--keystore" in capsys.readouterr().err
