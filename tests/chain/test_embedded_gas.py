"""Gas of the embedded chain.

::

    what is estimated is enough and little more: plain transfer (exact), creation, deep calls
    a contract that wants more gas than it uses: py-evm's own search finds it
    what fails with all the gas of a block keeps its reason
"""

from __future__ import annotations

from typing import Any

import pytest
from eth_tester.exceptions import TransactionFailed
from web3 import Web3

from tests.world import SIGNERS, World
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.openzeppelin_reverts import ERC20InsufficientBalance
from timebank_chain.chain.signer import LocalSigner
from timebank_chain.chain.transactions import Call, send

PAYEE = SIGNERS["payee"].address


def created(connection: Connection, runtime: str) -> Any:
    """A contract with this runtime code, at most 255 bytes."""
    size = len(runtime) // 2
    # Copy what follows these eleven bytes to memory and return it.
    code = bytes.fromhex(f"60{size:02x}80600b6000396000f3{runtime}")
    receipt = send(connection, SIGNERS["stranger"], Call("test", "create", None, code))
    assert receipt.contract_address is not None
    return receipt.contract_address


def call(connection: Connection, to: str) -> int:
    """Call it; return the gas limit that was estimated."""
    transaction: Any = {"from": SIGNERS["stranger"].address, "to": to, "data": "0x"}
    estimated = int(connection.w3.eth.estimate_gas(transaction))
    receipt = send(connection, SIGNERS["stranger"], Call("test", "call", Web3.to_checksum_address(to), b""))
    assert receipt.gas_used <= estimated
    return estimated


def test_a_plain_transfer_is_exact(embedded: Connection) -> None:
    assert call(embedded, PAYEE) == 21_000


def test_enough_and_little_more(embedded_world: World) -> None:
    world, credit = embedded_world, embedded_world.timebank.attention_credit
    world.give("member1", 10**6)
    prepared = world.timebank.prepare(world.address("member1"), credit.transfer(PAYEE, 5))
    sent = world.send("member1", credit.transfer(PAYEE, 5))
    # The sender's margin of a quarter is on top of the estimate.
    assert sent.gas_used < prepared.fields["gas"] < sent.gas_used * 3 // 2


def test_a_contract_that_wants_more_than_it_uses(embedded: Connection) -> None:
    # GAS, PUSH3 200,000, LT, PUSH1 10, JUMPI, INVALID, JUMPDEST, STOP: fails with less than 200,000 gas left.
    picky = created(embedded, "5a62030d4010600a57fe5b00")
    assert 221_000 < call(embedded, picky) < 221_000 + 2 * 21_000


def test_what_fails_keeps_its_reason(embedded_world: World) -> None:
    rich = LocalSigner(embedded_world.connection.development_keys()[0])
    with pytest.raises(ERC20InsufficientBalance):
        embedded_world.timebank.send(rich, embedded_world.timebank.attention_credit.transfer(PAYEE, 1))
    transaction: Any = {
        "from": rich.address,
        "to": embedded_world.timebank.attention_credit.address,
        "data": embedded_world.timebank.attention_credit.transfer(PAYEE, 1).data,
    }
    with pytest.raises(TransactionFailed, match="execution reverted"):
        embedded_world.connection.w3.eth.estimate_gas(transaction)
