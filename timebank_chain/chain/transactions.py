"""Sending: simulate, price, sign, broadcast, wait. Nothing is sent that the chain would refuse.

``send`` does it all; the daemon uses the steps one by one, because it writes down the hash of a
signed transaction before anybody else can see it::

    prepare (simulated, priced) -> sign (hash known) -> broadcast -> wait (mined, succeeded)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_typing import ChecksumAddress
from hexbytes import HexBytes
from web3.exceptions import Web3RPCError
from web3.types import TxParams, TxReceipt

from timebank_chain.chain.connection import Connection
from timebank_chain.chain.node_errors import AlreadyKnown, InsufficientFunds, NotMined, translated
from timebank_chain.chain.signer import SignedTransaction, Signer
from timebank_chain.errors import TransactionFailed

GWEI = 10**9
#: Gas limit over the estimate: state may change a little between estimate and block.
GAS_MARGIN_PERCENT = 25
#: The base fee may grow by 12.5 % a block; twice today's lasts six full blocks.
BASE_FEE_HEADROOM = 2
DEFAULT_PRIORITY_FEE = GWEI
FEE_HISTORY_BLOCKS = 10
WAIT_SECONDS = 180
#: eth-tester charges simulated calls at this price, whatever they say.
EMBEDDED_CALL_GAS_PRICE = GWEI


@dataclass(frozen=True)
class Call:
    """A write that a client proposes: what would be sent, not yet sent.

    Attributes
    ----------
    contract, function
        Names for people; ``function`` is ``constructor`` for a creation.
    target
        Contract address; ``None`` creates a contract from ``data``.
    data
        Encoded call, or creation code with its arguments.
    arguments
        Arguments by name, for people and ``--dry-run``.
    value
        Wei sent along.
    """

    contract: str
    function: str
    target: ChecksumAddress | None
    data: bytes
    arguments: Mapping[str, object] = field(default_factory=dict)
    value: int = 0

    @property
    def name(self) -> str:
        """``Contract.function``."""
        return f"{self.contract}.{self.function}"


@dataclass(frozen=True)
class Prepared:
    """A simulated and priced transaction.

    Attributes
    ----------
    fields
        The complete transaction as the signer takes it.
    returned
        What the call returned when simulated (encoded).
    max_cost_wei
        Value plus the most the gas can cost.
    """

    call: Call
    sender: ChecksumAddress
    fields: Mapping[str, Any]
    returned: bytes
    max_cost_wei: int


@dataclass(frozen=True)
class Receipt:
    """What became of a transaction.

    ``sent`` is false after a dry run; then ``hash`` is empty and the numbers are estimates: ``gas_used``
    is the gas limit and ``block_number`` 0.
    """

    prepared: Prepared
    sent: bool
    hash: bytes
    block_number: int
    gas_used: int
    effective_gas_price: int
    contract_address: ChecksumAddress | None
    logs: Sequence[Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Return the transaction as the commands print it; wei and gas are integers."""
        call = self.prepared.call
        return {
            "call": call.name,
            "to": call.target,
            "from": self.prepared.sender,
            "arguments": {name: plain(value) for name, value in call.arguments.items()},
            "value_wei": call.value,
            "sent": self.sent,
            "transaction": "0x" + self.hash.hex() if self.sent else None,
            "block": self.block_number if self.sent else None,
            "gas": self.gas_used,
            "gas_price_wei": self.effective_gas_price,
            "max_cost_wei": self.prepared.max_cost_wei,
            "nonce": self.prepared.fields["nonce"],
            "chain_id": self.prepared.fields["chainId"],
        }


def plain(value: object) -> object:
    """Return an argument as JSON can hold it: bytes as 0x hex, tuples as lists."""
    if isinstance(value, bytes | bytearray):
        return "0x" + bytes(value).hex()
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def simulate(connection: Connection, sender: str, call: Call, *, gas: int | None = None) -> bytes:
    """Run a call without sending it and return what it returns.

    Raises
    ------
    ContractError
        The named exception, if the contract refuses.
    """
    transaction = _skeleton(sender, call)
    if gas is not None:
        transaction["gas"] = gas
    elif connection.embedded:
        # eth-tester reserves gas for a whole block, which a small account could not pay.
        spare = connection.balance_wei(sender) - call.value
        block_limit = int(connection.w3.eth.get_block("latest")["gasLimit"])
        if spare < block_limit * EMBEDDED_CALL_GAS_PRICE:
            transaction["gas"] = max(21_000, spare // EMBEDDED_CALL_GAS_PRICE)
    with translated():
        return bytes(connection.w3.eth.call(transaction, connection.simulation_block))


def prepare(
    connection: Connection, sender: ChecksumAddress, call: Call, *, nonce: int | None = None
) -> Prepared:
    """Simulate and price a call.

    Parameters
    ----------
    nonce
        The sender's next one (pending transactions counted) when not given.

    Raises
    ------
    ContractError
        The named exception, if the contract would refuse.
    InsufficientFunds
        If the sender cannot pay for value and gas.
    """
    returned = simulate(connection, sender, call)
    with translated():
        eth = connection.w3.eth
        transaction = _skeleton(sender, call)
        estimated = int(eth.estimate_gas(transaction, connection.simulation_block))
        latest = eth.get_block("latest")
        # A block's limit is the most any transaction can use, so a margin beyond it would be refused.
        gas = min(estimated * (100 + GAS_MARGIN_PERCENT) // 100, int(latest["gasLimit"]))
        fees = _fees(connection, latest.get("baseFeePerGas"))
        fields: dict[str, Any] = {
            "chainId": connection.chain_id,
            "nonce": eth.get_transaction_count(sender, "pending") if nonce is None else nonce,
            "gas": gas,
            "value": call.value,
            "data": call.data,
            **fees,
        }
        if call.target is not None:
            fields["to"] = call.target
        balance = connection.balance_wei(sender)
    cost = call.value + gas * int(fees.get("maxFeePerGas", fees.get("gasPrice", 0)))
    if balance < cost:
        raise InsufficientFunds(
            f"{sender} has {balance} wei, {call.name} may cost {cost} wei",
            hint="send some of the chain's own coin to this address first",
        )
    return Prepared(call=call, sender=sender, fields=fields, returned=returned, max_cost_wei=cost)


def sign(signer: Signer, prepared: Prepared) -> SignedTransaction:
    """Sign a prepared transaction; its hash is known from here on."""
    return signer.sign_transaction(prepared.fields)


def broadcast(connection: Connection, signed: SignedTransaction) -> None:
    """Hand a signed transaction to the node; handing it over twice is harmless."""
    try:
        with translated():
            connection.w3.eth.send_raw_transaction(HexBytes(signed.raw))
    except AlreadyKnown:
        return


def wait(
    connection: Connection, prepared: Prepared, transaction_hash: bytes, *, seconds: float = WAIT_SECONDS
) -> Receipt:
    """Wait until a transaction is in a block and check that it succeeded.

    Raises
    ------
    NotMined
        If no block includes it in time; it may still be mined later.
    ContractError, TransactionFailed
        If it was mined but reverted (state changed after the simulation).
    """
    with translated():
        receipt = connection.w3.eth.wait_for_transaction_receipt(
            HexBytes(transaction_hash), timeout=seconds, poll_latency=0.05 if connection.embedded else 0.2
        )
    if receipt["status"] != 1:
        # Asking again, at the state after it, usually tells the reason.
        simulate(connection, prepared.sender, prepared.call)
        raise TransactionFailed(
            f"{prepared.call.name} was mined in block {receipt['blockNumber']} but reverted",
            hint="the state changed between simulation and block; run the command again",
        )
    return _receipt(prepared, receipt)


def send(
    connection: Connection,
    signer: Signer,
    call: Call,
    *,
    dry_run: bool = False,
    nonce: int | None = None,
    seconds: float = WAIT_SECONDS,
    before_broadcast: Callable[[], None] | None = None,
) -> Receipt:
    """Simulate, price, sign, broadcast and wait.

    Parameters
    ----------
    dry_run
        Stop after pricing: nothing is signed or sent.
    seconds
        How long to wait for a block.
    before_broadcast
        Called when the simulation has passed and before anything is signed: what must be safe before the
        transaction can be on chain, and must not be left behind by one that is refused. If it raises, nothing
        is sent.

    Returns
    -------
    Receipt
        Of the mined transaction, or of what would have been sent.
    """
    prepared = prepare(connection, signer.address, call, nonce=nonce)
    if dry_run:
        price = int(prepared.fields.get("maxFeePerGas", prepared.fields.get("gasPrice", 0)))
        return Receipt(prepared, False, b"", 0, int(prepared.fields["gas"]), price, None, [])
    if before_broadcast is not None:
        before_broadcast()
    signed = sign(signer, prepared)
    broadcast(connection, signed)
    return wait(connection, prepared, signed.hash, seconds=seconds)


def find_receipt(connection: Connection, transaction_hash: bytes) -> TxReceipt | None:
    """Return the node's receipt of a transaction, or ``None`` while (or if) no block includes it."""
    try:
        with translated():
            return connection.w3.eth.get_transaction_receipt(HexBytes(transaction_hash))
    except NotMined:
        return None


def is_known(connection: Connection, transaction_hash: bytes) -> bool:
    """Tell whether the node has a transaction, waiting for a block or in one."""
    try:
        with translated():
            connection.w3.eth.get_transaction(HexBytes(transaction_hash))
    except NotMined:
        return False
    return True


def most_per_gas(connection: Connection) -> int:
    """Return the most wei a transaction sent now may pay for a unit of gas; nodes want that to be there."""
    with translated():
        fees = _fees(connection, connection.w3.eth.get_block("latest").get("baseFeePerGas"))
    return fees.get("maxFeePerGas", fees.get("gasPrice", 0))


def _skeleton(sender: str, call: Call) -> TxParams:
    transaction: dict[str, Any] = {"from": sender, "data": HexBytes(call.data), "value": call.value}
    if call.target is not None:
        transaction["to"] = call.target
    return transaction  # type: ignore[return-value]  # TxParams is a TypedDict with the same keys


def _fees(connection: Connection, base_fee: int | None) -> dict[str, int]:
    if base_fee is None:
        # A chain from before EIP-1559 knows one price only.
        return {"gasPrice": int(connection.w3.eth.gas_price)}
    priority = _priority_fee(connection)
    return {
        "type": 2,
        "maxPriorityFeePerGas": priority,
        "maxFeePerGas": BASE_FEE_HEADROOM * int(base_fee) + priority,
    }


def _priority_fee(connection: Connection) -> int:
    """Return the median of what recent blocks paid; nodes without such a history are asked or assumed."""
    eth = connection.w3.eth
    try:
        history = eth.fee_history(FEE_HISTORY_BLOCKS, "latest", [50])
        paid = sorted(int(rewards[0]) for rewards in history.get("reward") or [] if rewards and rewards[0])
        return paid[len(paid) // 2] if paid else int(eth.max_priority_fee) or DEFAULT_PRIORITY_FEE
    except Web3RPCError:
        return DEFAULT_PRIORITY_FEE


def _receipt(prepared: Prepared, receipt: TxReceipt) -> Receipt:
    return Receipt(
        prepared=prepared,
        sent=True,
        hash=bytes(receipt["transactionHash"]),
        block_number=int(receipt["blockNumber"]),
        gas_used=int(receipt["gasUsed"]),
        effective_gas_price=int(receipt.get("effectiveGasPrice", 0)),
        contract_address=receipt.get("contractAddress"),
        logs=receipt["logs"],
    )
