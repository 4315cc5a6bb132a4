"""Sending.

::

    send
    |- mined, receipt with gas, price and block
    |- dry run: everything but the sending; nonce and block unchanged
    |- EIP-1559 fees: priority from history or assumed; room for a growing base fee
    |- small balances can still send (eth-tester reserves a block's gas in calls)
    |- consecutive nonces
    |- what must come first: after the simulation, not for what is refused or dry; failing, it sends nothing
    steps: prepare -> sign -> broadcast twice -> wait once
    reverted in the block although simulated: named
    receipt as JSON: integers, hex
    encoding: a number that does not fit is wrong usage, by function and value
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from eth_utils.crypto import keccak

from tests.world import SIGNERS, World
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.contract import encode
from timebank_chain.chain.node_errors import NotMined
from timebank_chain.chain.openzeppelin_reverts import ERC20InsufficientBalance
from timebank_chain.chain.signer import LocalSigner
from timebank_chain.chain.transactions import (
    Call,
    broadcast,
    find_receipt,
    prepare,
    send,
    sign,
    wait,
)
from timebank_chain.errors import UsageError

PAYEE = SIGNERS["payee"].address


def coin(wei: int, to: str = PAYEE) -> Call:
    return Call("coin", "transfer", to, b"", value=wei)  # type: ignore[arg-type]  # checksummed


def test_sent_and_mined(chain: Connection) -> None:
    before = chain.balance_wei(PAYEE)
    receipt = send(chain, SIGNERS["stranger"], coin(123))
    assert receipt.sent
    assert receipt.gas_used == 21_000
    assert receipt.block_number == chain.block_number()
    assert chain.balance_wei(PAYEE) == before + 123


def test_cost_is_what_the_receipt_says(chain: Connection) -> None:
    sender = SIGNERS["stranger"]
    before = chain.balance_wei(sender.address)
    receipt = send(chain, sender, coin(5))
    paid = before - chain.balance_wei(sender.address)
    assert paid == 5 + receipt.gas_used * receipt.effective_gas_price
    assert paid <= receipt.prepared.max_cost_wei


def test_dry_run_sends_nothing(chain: Connection) -> None:
    sender = SIGNERS["stranger"]
    block = chain.block_number()
    receipt = send(chain, sender, coin(5), dry_run=True)
    assert not receipt.sent
    assert receipt.hash == b""
    assert receipt.prepared.fields["value"] == 5
    assert chain.block_number() == block
    assert chain.w3.eth.get_transaction_count(sender.address) == 0


def test_what_must_come_first_comes_after_the_simulation(embedded_world: World) -> None:
    connection, stranger = embedded_world.connection, SIGNERS["stranger"]
    blocks: list[int] = []

    def note() -> None:
        blocks.append(connection.block_number())

    def fail() -> None:
        raise UsageError("no place")

    before = connection.block_number()
    refused = embedded_world.timebank.attention_credit.transfer(PAYEE, 1)
    with pytest.raises(ERC20InsufficientBalance):
        embedded_world.timebank.send(stranger, refused, before_broadcast=note)
    send(connection, stranger, coin(5), dry_run=True, before_broadcast=note)
    assert blocks == []
    with pytest.raises(UsageError, match="no place"):
        send(connection, stranger, coin(5), before_broadcast=fail)
    assert connection.block_number() == before
    send(connection, stranger, coin(5), before_broadcast=note)
    assert blocks == [before]


def test_fees_are_eip_1559_with_room_to_grow(chain: Connection) -> None:
    prepared = prepare(chain, SIGNERS["stranger"].address, coin(5))
    base = int(chain.w3.eth.get_block("latest")["baseFeePerGas"])
    assert prepared.fields["type"] == 2
    priority = prepared.fields["maxPriorityFeePerGas"]
    assert priority > 0
    assert prepared.fields["maxFeePerGas"] == 2 * base + priority


def test_chain_id_is_signed(chain: Connection) -> None:
    assert prepare(chain, SIGNERS["stranger"].address, coin(5)).fields["chainId"] == chain.chain_id


def test_small_balance_can_still_send(chain: Connection) -> None:
    poor = LocalSigner(keccak(text="a small account"))
    send(chain, SIGNERS["stranger"], coin(10**15, poor.address))
    assert send(chain, poor, coin(1)).sent


def test_nonces_are_consecutive(chain: Connection) -> None:
    nonces = [send(chain, SIGNERS["stranger"], coin(1)).prepared.fields["nonce"] for _ in range(3)]
    assert nonces == [0, 1, 2]


@pytest.mark.parametrize("value", [1 << 256, -1])
def test_number_that_does_not_fit_is_wrong_usage(value: int) -> None:
    with pytest.raises(UsageError, match=rf"^{value} is out of range for TimeBank.ownerOf$") as raised:
        encode("TimeBank", "ownerOf", value)
    assert "uint256" in str(raised.value.hint)


def test_steps_one_by_one_and_broadcast_twice(chain: Connection) -> None:
    sender = SIGNERS["stranger"]
    prepared = prepare(chain, sender.address, coin(7))
    signed = sign(sender, prepared)
    assert find_receipt(chain, signed.hash) is None
    before = chain.balance_wei(PAYEE)
    broadcast(chain, signed)
    receipt = wait(chain, prepared, signed.hash)
    assert receipt.hash == signed.hash
    assert find_receipt(chain, signed.hash) is not None
    assert chain.balance_wei(PAYEE) == before + 7


@pytest.mark.anvil
def test_broadcast_twice_before_a_block_is_harmless(anvil: Connection) -> None:
    request: Any = anvil.w3.provider.make_request
    sender = SIGNERS["stranger"]
    before = anvil.balance_wei(PAYEE)
    request("evm_setAutomine", [False])
    try:
        prepared = prepare(anvil, sender.address, coin(7))
        signed = sign(sender, prepared)
        broadcast(anvil, signed)
        broadcast(anvil, signed)
        with pytest.raises(NotMined):
            wait(anvil, prepared, signed.hash, seconds=0.3)
        request("evm_mine", [])
    finally:
        request("evm_setAutomine", [True])
    wait(anvil, prepared, signed.hash)
    assert anvil.balance_wei(PAYEE) == before + 7


def test_reverted_in_the_block_is_named(world: World) -> None:
    """Two transfers of the whole balance pass their simulations; the second fails in its block."""
    world.give("member1", 100)
    credit = world.timebank.attention_credit
    call = credit.transfer(PAYEE, 100)
    sender = world.signers["member1"]
    first = prepare(world.connection, sender.address, call)
    second = prepare(world.connection, sender.address, call, nonce=first.fields["nonce"] + 1)
    for prepared in (first, second):
        broadcast(world.connection, sign(sender, prepared))
    assert wait(world.connection, first, sign(sender, first).hash).sent
    with pytest.raises(ERC20InsufficientBalance):
        wait(world.connection, second, sign(sender, second).hash)


def test_receipt_as_json_has_integers_and_hex(world: World) -> None:
    call = world.timebank.attention_credit.approve(PAYEE, 12)
    document = world.send("member1", call).to_json()
    assert json.loads(json.dumps(document)) == document
    assert document["call"] == "AttentionCredit.approve"
    assert document["arguments"] == {"spender": PAYEE, "amount": 12}
    assert document["transaction"].startswith("0x")
    assert isinstance(document["gas"], int)
