"""What the chain says, read once and pinned to one block: code, views, balances, and every event.

The audit reads the node through this module alone and decodes with nothing but the artifacts' ABI: a
fault in the clients that the oracle and the wallet use cannot hide itself here.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.abi import collapse_if_tuple
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import ContractLogicError, Web3Exception, Web3RPCError
from web3.types import BlockIdentifier, FilterParams, RPCEndpoint

from timebank_chain.audit.storage_root import keccak
from timebank_chain.documents import parse_json, read_small_text
from timebank_chain.errors import ChainError, ConnectionFailed, DeploymentError

#: Contracts of a deployment; each has an artifact of the same name.
CONTRACTS = (
    "AccessManager",
    "MemberRegistry",
    "PolicyRegistry",
    "RateOracle",
    "CreditDistributor",
    "AttentionCredit",
    "FeePool",
    "EpochChallenge",
    "LeafRequests",
    "RateFloat",
    "CreditPayments",
    "TimeBank",
    "CreditLending",
    "CreditLease",
    "CreditExchange",
    "ServiceEscrow",
)

#: Blocks asked for at once; halved when a node refuses.
LOG_CHUNK = 10_000

Abi = Mapping[str, Any]
Progress = Callable[[str], None]


class ViewFailed(ChainError):
    """A view did not answer as its ABI says: the code is another, or the state is broken."""


@dataclass(frozen=True)
class AuditArtifact:
    """A compiled contract as the artifact file states it."""

    name: str
    path: Path
    document: Mapping[str, Any]

    @property
    def abi(self) -> Sequence[Abi]:
        """The contract's ABI."""
        return self.document["abi"]  # type: ignore[no-any-return]  # JSON as read

    @property
    def deployed_bytecode(self) -> bytes:
        """Code on chain, with zeros where the immutables are."""
        return hex_bytes(self.document["deployedBytecode"])

    @property
    def creation_bytecode(self) -> bytes:
        """Code of the creation transaction, without constructor arguments."""
        return hex_bytes(self.document["bytecode"])

    @property
    def immutable_spans(self) -> list[tuple[int, int]]:
        """Offset and length of every place where an immutable stands."""
        references = self.document.get("immutableReferences") or {}
        return sorted(
            (int(place["start"]), int(place["length"])) for places in references.values() for place in places
        )

    def entries(self, kind: str) -> Iterator[Abi]:
        """Yield the ABI entries of one kind (``event``, ``function``, ``error``)."""
        return (entry for entry in self.abi if entry.get("type") == kind)


@dataclass(frozen=True)
class Event:
    """One decoded event, with its place in the order of the chain."""

    contract: str
    name: str
    args: Mapping[str, Any]
    block: int
    log_index: int
    transaction: bytes
    transaction_index: int

    @property
    def position(self) -> tuple[int, int]:
        """Block and log index: the order in which everything happened."""
        return (self.block, self.log_index)

    @property
    def where(self) -> str:
        """The event's place in words."""
        return f"block {self.block}, log {self.log_index}, {self.contract}.{self.name}"


@dataclass(frozen=True)
class RawLog:
    """A log as the node gave it."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes
    block: int
    block_hash: bytes
    log_index: int
    transaction: bytes
    transaction_index: int
    removed: bool


@dataclass
class Evidence:
    """A deployment's chain at one block, read-only.

    Parameters
    ----------
    w3
        Connection to the node.
    addresses
        Contract name -> checksummed address.
    artifacts
        Contract name -> artifact.
    from_block, to_block
        First block of the replay and the block every view is pinned to.
    """

    w3: Web3
    addresses: Mapping[str, str]
    artifacts: Mapping[str, AuditArtifact]
    from_block: int
    to_block: int
    progress: Progress = lambda _text: None
    undecodable: list[tuple[str, str]] = field(default_factory=list)
    logs: list[RawLog] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    _headers: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    _dump: dict[str, Any] | None = None

    # ------------------------------------------------------------------ state

    def address(self, contract: str) -> str:
        """Return a contract's checksummed address."""
        return self.addresses[contract]

    def code(self, contract: str) -> bytes:
        """Return the code at a contract's address."""
        return bytes(self._node(lambda: self.w3.eth.get_code(self._at(contract), self._block)))

    def code_at(self, address: str) -> bytes:
        """Return the code at any address; empty where no contract stands."""
        account = Web3.to_checksum_address(address)
        return bytes(self._node(lambda: self.w3.eth.get_code(account, self._block)))

    def ether(self, contract: str) -> int:
        """Return a contract's balance in wei."""
        return int(self._node(lambda: self.w3.eth.get_balance(self._at(contract), self._block)))

    def storage_at(self, contract: str, slot: int) -> int | None:
        """Return one storage slot as an integer; ``None`` where the embedded chain cannot look back."""
        block = self._block
        if getattr(self.w3.provider, "ethereum_tester", None) is not None:
            if self.to_block != self.w3.eth.block_number:
                return None
            block = "latest"  # eth-tester does not understand a number here
        word = self._node(lambda: self.w3.eth.get_storage_at(self._at(contract), slot, block))
        return int.from_bytes(bytes(word), "big")

    def call(self, contract: str, function: str, *args: Any) -> Any:
        """Call a view at the pinned block; structs come back as dictionaries.

        Raises
        ------
        ViewFailed
            If the contract reverts or answers something its ABI does not describe.
        """
        entry = self._function(contract, function, len(args))
        types = [collapse_if_tuple(dict(item)) for item in entry["inputs"]]
        selector = keccak(f"{function}({','.join(types)})".encode())[:4]
        data = selector + encode(types, args)
        try:
            raw = bytes(
                self._node(lambda: self.w3.eth.call({"to": self._at(contract), "data": data}, self._block))
            )
        except (ContractLogicError, Web3RPCError) as error:
            if any(word in str(error).lower() for word in ("missing trie", "pruned", "historical")):
                raise ChainError(
                    f"the node no longer holds the state of block {self.to_block}: {error}",
                    hint="ask an archive node, or leave out --to-block",
                ) from error
            raise ViewFailed(f"{contract}.{function} refused: {error}") from error
        try:
            values = decode([collapse_if_tuple(dict(item)) for item in entry["outputs"]], raw)
        except (DecodingError, OverflowError) as error:
            raise ViewFailed(
                f"{contract}.{function} answered {len(raw)} bytes that are not what its ABI says"
            ) from error
        named = [_named(item, value) for item, value in zip(entry["outputs"], values, strict=True)]
        return named[0] if len(named) == 1 else tuple(named)

    def has_function(self, contract: str, function: str) -> bool:
        """Whether a contract's ABI has a function of this name."""
        return any(entry["name"] == function for entry in self.artifacts[contract].entries("function"))

    def storage_hash(self, contract: str) -> bytes | None:
        """Return the root of a contract's storage, or ``None`` where the node cannot say.

        anvil's root counts slots that were emptied, which no other node does: it says nothing here.
        """
        tester = getattr(self.w3.provider, "ethereum_tester", None)
        if tester is not None:
            if self.to_block != self.w3.eth.block_number:
                return None
            # The embedded chain serves no eth_getProof; its state in this very process knows the root.
            accounts = tester.backend.chain.get_vm().state._account_db
            return bytes(accounts._get_storage_root(bytes.fromhex(self.address(contract)[2:])))
        if self._is_anvil():
            return None
        try:
            proof = self._node(lambda: self.w3.eth.get_proof(self._at(contract), [], self._block))  # type: ignore[call-arg]  # web3 types its three arguments as one
        except (Web3RPCError, ContractLogicError):
            return None
        return bytes(proof["storageHash"])

    def storage_slots(self, contract: str) -> dict[bytes, int] | None:
        """Return every slot of a contract that is not zero, or ``None`` where the node cannot list them.

        Only anvil can, and only for its newest block.
        """
        if self._dump is None:
            if self.to_block != self.w3.eth.block_number or not self._is_anvil():
                return None
            answer = self.w3.provider.make_request(RPCEndpoint("anvil_dumpState"), [])
            try:
                state = parse_json(gzip.decompress(hex_bytes(answer["result"])))
                self._dump = {name.lower(): entry for name, entry in state["accounts"].items()}
            except (KeyError, ValueError, OSError, AttributeError):
                return None
        storage = self._dump.get(self.address(contract).lower(), {}).get("storage", {})
        slots = {int(slot, 16).to_bytes(32, "big"): int(value, 16) for slot, value in storage.items()}
        return {slot: value for slot, value in slots.items() if value}

    def header(self, block: int) -> Mapping[str, Any]:
        """Return a block's header."""
        if block not in self._headers:
            self._headers[block] = self._node(lambda: self.w3.eth.get_block(block))
        return self._headers[block]

    def timestamp(self, block: int) -> int:
        """Return a block's time in Unix seconds."""
        return int(self.header(block)["timestamp"])

    def transaction(self, transaction: bytes) -> Mapping[str, Any]:
        """Return a transaction."""
        return self._node(lambda: self.w3.eth.get_transaction(HexBytes(transaction)))  # type: ignore[no-any-return]  # web3's own dictionary

    def receipt(self, transaction: bytes) -> Mapping[str, Any]:
        """Return a transaction's receipt."""
        return self._node(lambda: self.w3.eth.get_transaction_receipt(HexBytes(transaction)))  # type: ignore[no-any-return]  # web3's own dictionary

    # ------------------------------------------------------------------ events

    def read_events(self) -> None:
        """Read and decode every log of the deployment's contracts up to the pinned block."""
        names = {address.lower(): name for name, address in self.addresses.items()}
        decoders = {name: _decoders(self.artifacts[name]) for name in self.addresses}
        self.logs = sorted(self._read_logs(), key=lambda log: (log.block, log.log_index))
        for log in self.logs:
            contract = names[log.address.lower()]
            place = f"block {log.block}, log {log.log_index}, {contract}"
            if not log.topics or log.topics[0] not in decoders[contract]:
                topic = log.topics[0].hex() if log.topics else "none"
                self.undecodable.append((place, f"topic 0x{topic} is no event of {contract}"))
                continue
            entry = decoders[contract][log.topics[0]]
            try:
                args = _decode_log(entry, log)
            except (DecodingError, OverflowError, ValueError) as error:
                self.undecodable.append((place, f"{entry['name']}: {error}"))
                continue
            self.events.append(
                Event(
                    contract,
                    entry["name"],
                    args,
                    log.block,
                    log.log_index,
                    log.transaction,
                    log.transaction_index,
                )
            )

    def named(self, contract: str, name: str) -> list[Event]:
        """Return the events of one kind, in order."""
        return [event for event in self.events if event.contract == contract and event.name == name]

    def decode_input(self, contract: str, function: str, data: bytes) -> Mapping[str, Any] | None:
        """Decode the call of ``function``, or ``None`` if ``data`` calls something else."""
        for entry in self.artifacts[contract].entries("function"):
            if entry["name"] != function:
                continue
            types = [collapse_if_tuple(dict(item)) for item in entry["inputs"]]
            if data[:4] != keccak(f"{function}({','.join(types)})".encode())[:4]:
                continue
            try:
                values = decode(types, data[4:])
            except (DecodingError, OverflowError):
                return None
            return {
                item["name"]: _named(item, value) for item, value in zip(entry["inputs"], values, strict=True)
            }
        return None

    # ------------------------------------------------------------------ inside

    @property
    def _block(self) -> BlockIdentifier:
        return self.to_block

    def _is_anvil(self) -> bool:
        return "anvil" in self.w3.client_version.lower()

    def _at(self, contract: str) -> Any:
        return Web3.to_checksum_address(self.address(contract))

    def _function(self, contract: str, function: str, inputs: int) -> Abi:
        for entry in self.artifacts[contract].entries("function"):
            if entry["name"] == function and len(entry["inputs"]) == inputs:
                return entry
        raise ViewFailed(f"the artifact of {contract} has no function {function} with {inputs} argument(s)")

    def _node(self, ask: Callable[[], Any]) -> Any:
        """Ask the node; a node that does not answer is trouble, not a finding."""
        try:
            return ask()
        except (ContractLogicError, Web3RPCError):
            raise
        except (OSError, Web3Exception) as error:
            raise ConnectionFailed(
                f"the node stopped answering: {error}", hint="check --rpc-url, then run the audit again"
            ) from error

    def _read_logs(self) -> Iterator[RawLog]:
        start, size = self.from_block, LOG_CHUNK
        addresses = [Web3.to_checksum_address(address) for address in self.addresses.values()]
        while start <= self.to_block:
            end = min(start + size - 1, self.to_block)
            query: FilterParams = {
                "fromBlock": start,
                "toBlock": end,
                "address": addresses,
            }
            try:
                found = self._node(lambda query=query: self.w3.eth.get_logs(query))  # type: ignore[misc]  # bound at once
            except Web3RPCError as error:
                if size == 1:
                    raise ChainError(f"the node gives no logs for block {start}: {error}") from error
                size = max(1, size // 2)
                continue
            for log in found:
                yield RawLog(
                    address=str(log["address"]),
                    topics=tuple(bytes(topic) for topic in log["topics"]),
                    data=bytes(log["data"]),
                    block=int(log["blockNumber"]),
                    block_hash=bytes(log["blockHash"]),
                    log_index=int(log["logIndex"]),
                    transaction=bytes(log["transactionHash"]),
                    transaction_index=int(log["transactionIndex"]),
                    removed=bool(log.get("removed", False)),
                )
            self.progress(f"events: block {end:,} of {self.to_block:,}")
            start = end + 1


def read_artifacts(folder: Path) -> dict[str, AuditArtifact]:
    """Read the artifact of every contract from ``folder``.

    Raises
    ------
    DeploymentError
        If a file is missing or is no artifact.
    """
    artifacts = {}
    for name in CONTRACTS:
        path = folder / f"{name}.json"
        try:
            document = parse_json(read_small_text(path))
            artifact = AuditArtifact(name, path, document)
            _ = (
                artifact.abi,
                artifact.deployed_bytecode,
                artifact.creation_bytecode,
                artifact.immutable_spans,
            )
        except FileNotFoundError:
            raise DeploymentError(f"no artifact of {name}", where=str(path)) from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DeploymentError(f"not an artifact: {error}", where=str(path)) from error
        artifacts[name] = artifact
    return artifacts


def hex_bytes(text: str) -> bytes:
    """Return the bytes of a hexadecimal text with or without ``0x``."""
    return bytes.fromhex(text.removeprefix("0x"))


def _named(item: Abi, value: Any) -> Any:
    """Turn a decoded struct into a dictionary and leave plain values alone; addresses get checksums."""
    kind = str(item["type"])
    if kind.endswith("]"):
        inner = {**item, "type": kind[: kind.rindex("[")]}
        return [_named(inner, element) for element in value]
    if kind == "tuple":
        return {
            part["name"]: _named(part, inner) for part, inner in zip(item["components"], value, strict=True)
        }
    if kind == "address":
        return Web3.to_checksum_address(value)
    return value


def _decoders(artifact: AuditArtifact) -> dict[bytes, Abi]:
    decoders = {}
    for entry in artifact.entries("event"):
        types = ",".join(collapse_if_tuple(dict(item)) for item in entry["inputs"])
        decoders[keccak(f"{entry['name']}({types})".encode())] = entry
    return decoders


def _decode_log(entry: Abi, log: RawLog) -> dict[str, Any]:
    indexed = [item for item in entry["inputs"] if item["indexed"]]
    plain = [item for item in entry["inputs"] if not item["indexed"]]
    if len(indexed) != len(log.topics) - 1:
        raise ValueError(f"{len(log.topics) - 1} indexed values where the ABI has {len(indexed)}")
    args: dict[str, Any] = {}
    for item, topic in zip(indexed, log.topics[1:], strict=True):
        kind = collapse_if_tuple(dict(item))
        dynamic = kind in ("string", "bytes") or kind.endswith(("]", ")"))
        args[item["name"]] = topic if dynamic else _named(item, decode([kind], topic)[0])
    values = decode([collapse_if_tuple(dict(item)) for item in plain], log.data)
    for item, value in zip(plain, values, strict=True):
        args[item["name"]] = _named(item, value)
    return args
