"""A service, as a reader runs it: two people, two keystores, one order.

::

    on an embedded chain and on anvil: offer -> order -> accept -> deliver -> approve; balances to the integer
    a step of the wrong side or at the wrong time -> named, nothing sent; a number that is not there -> said
    a node without a keystore -> usage error
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.scripts.test_examples import load
from tests.world import SIGNERS, World
from timebank_chain.chain.service_reverts import NotYours, WrongStage
from timebank_chain.content import ContentStore
from timebank_chain.spec.service_escrow import Stage

ARBITER = SIGNERS["payee"].address
PROVIDER, BUYER = "member1", "member2"


def test_offer_order_accept_deliver_approve(
    world: World,
    keystores: dict[str, list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    timebank, example = world.timebank, load("examples/service.py")
    credit, escrow = timebank.attention_credit, timebank.service_escrow
    texts = ["--content", str(tmp_path / "texts")]

    def step(role: str, what: str, number: str, *more: str) -> None:
        example.main([what, number, *more, *texts, *keystores[role]], world.connection)

    step(PROVIDER, "offer", "2", "--text", "an hour of English", "--arbiter", ARBITER)
    step(BUYER, "order", "1")
    assert (credit.balance_of(world.address(BUYER)), escrow.order_of(1).held) == (8_000_000, 2_000_000)
    for role, what, refusal in ((BUYER, "accept", NotYours), (PROVIDER, "deliver", WrongStage)):
        block = world.connection.block_number()
        with pytest.raises(refusal):
            step(role, what, "1", "--text", "too soon")
        assert world.connection.block_number() == block
    for what in ("order", "accept"):
        with pytest.raises(SystemExit, match="there is no"):
            step(BUYER, what, "9")

    step(PROVIDER, "accept", "1")
    step(PROVIDER, "deliver", "1", "--text", "we met on Monday")
    step(BUYER, "approve", "1")
    assert escrow.order_of(1).stage == Stage.SETTLED
    assert credit.balance_of(world.address(BUYER)) == 8_000_000
    assert credit.balance_of(world.address(PROVIDER)) == 10_000_000 + 1_990_000
    listed = escrow.listing_of(1)
    assert ContentStore(tmp_path / "texts").get(listed.proposal.content_hash) == "an hour of English"
    said = capsys.readouterr().out
    for line in (
        "listing 1: 2.000000 credits",
        "order 1: 2.000000 in escrow",
        "order 1 is delivered, until",
        "paid 1.990000, the fee is 0.010000",
        "order 1 is settled\n",
    ):
        assert line in said, said


@pytest.mark.anvil
def test_a_node_needs_a_keystore(
    anvil_world: World, anvil_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "deployment.json"
    manifest.write_text(json.dumps(anvil_world.timebank.deployment.to_json()))
    with pytest.raises(SystemExit) as caught:
        load("examples/service.py").main(
            ["order", "1", "--rpc-url", anvil_url, "--deployment", str(manifest)]
        )
    assert caught.value.code == 2
    assert "--keystore" in capsys.readouterr().err
