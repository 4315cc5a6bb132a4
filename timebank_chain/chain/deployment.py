"""Putting the whole system on a chain, once; keeping the record of it; checking code before writes.

::

    1  AccessManager    the deployer is its first admin
    2  MemberRegistry
    3  PolicyRegistry
    4  policy           registers the first policy whole: the oracle takes no other
    5  RateOracle       creates CreditDistributor, which creates AttentionCredit and FeePool:
                        who may mint is fixed in code, in this one transaction
    6  EpochChallenge
    7  LeafRequests
    8  RateFloat
    9  CreditPayments
    10 TimeBank
    11 CreditLending
    12 CreditLease
    13 CreditExchange
    14 ServiceEscrow
    15 roles            one transaction: who voids by proof, what moves the rate, whose spending counts and
                        the rooms of the bank are wired for ever, who may call what, with which delay; the
                        deployer gives up ADMIN

The manifest is the journal: each signed transaction is written down before it is broadcast. A run that
was interrupted goes on where it stopped, broadcasting the very same transaction again if need be, so
nothing is deployed twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from timebank_chain.artifacts import load_artifact
from timebank_chain.chain.addresses import parse_address
from timebank_chain.chain.bank_plan import BankPlan
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.contract import encode_constructor
from timebank_chain.chain.deployment_plan import DeploymentPlan
from timebank_chain.chain.node_errors import NonceTaken
from timebank_chain.chain.policy_registry import PolicyRegistry
from timebank_chain.chain.rate_oracle import RateOracle
from timebank_chain.chain.roles import role_calls
from timebank_chain.chain.signer import SignedTransaction, Signer
from timebank_chain.chain.transactions import (
    Call,
    Prepared,
    Receipt,
    broadcast,
    find_receipt,
    prepare,
    sign,
    wait,
)
from timebank_chain.documents import parse_json, read_small_text, write_whole
from timebank_chain.errors import CodeMismatch, DeploymentError, UsageError
from timebank_chain.valuation.policy import policy_call

DEPLOYMENT_SCHEMA = "timebank.deployment/1"

#: In the order of creation.
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


@dataclass(frozen=True)
class DeployedContract:
    """Where a contract is and how it came there.

    ``constructor_arguments`` are encoded; ``code_hash`` is keccak256 of the runtime code with its
    immutables.
    """

    name: str
    address: ChecksumAddress
    creation_transaction: bytes
    block: int
    constructor_arguments: bytes
    code_hash: bytes

    def to_json(self) -> dict[str, Any]:
        """Return the manifest's entry."""
        return {
            "address": self.address,
            "creationTx": "0x" + self.creation_transaction.hex(),
            "block": self.block,
            "constructorArgs": "0x" + self.constructor_arguments.hex(),
            "codeHash": "0x" + self.code_hash.hex(),
        }


@dataclass(frozen=True)
class Deployment:
    """A finished deployment: what the manifest says.

    ``plan`` are the parameters it was made with; governance may have changed some since.
    """

    chain_id: int
    deployer: ChecksumAddress
    contracts: Mapping[str, DeployedContract]
    plan: DeploymentPlan

    @property
    def first_block(self) -> int:
        """Block of the first creation."""
        return min(contract.block for contract in self.contracts.values())

    def address(self, name: str) -> ChecksumAddress:
        """Return a contract's address."""
        return self.contracts[name].address

    def addresses(self) -> dict[str, ChecksumAddress]:
        """Return every contract's address by name."""
        return {name: contract.address for name, contract in self.contracts.items()}

    def to_json(self) -> dict[str, Any]:
        """Return the manifest."""
        return {
            "schema": DEPLOYMENT_SCHEMA,
            "status": "complete",
            "chainId": self.chain_id,
            "deployer": self.deployer,
            "contracts": {name: self.contracts[name].to_json() for name in CONTRACTS},
            "parameters": self.plan.to_json(),
        }


def _silent(_: str) -> None:
    pass


def deploy(
    connection: Connection,
    signer: Signer,
    plan: DeploymentPlan,
    path: Path | None = None,
    *,
    progress: Callable[[str], None] = _silent,
) -> Deployment:
    """Deploy everything, or go on with a deployment that was interrupted.

    Parameters
    ----------
    plan
        Parameters; the same ones when going on.
    path
        Manifest and journal; ``None`` keeps them in memory (for chains that end with the process).
    progress
        Told what is being done.

    Raises
    ------
    DeploymentError
        If the manifest is of another chain, deployer or plan.
    """
    plan.check()
    journal = _Journal.open(path, connection, signer.address, plan)
    if journal.complete is not None:
        progress(f"already deployed on chain {connection.chain_id}; nothing to do")
        return journal.complete
    run = _Run(connection, signer, journal, progress)
    manager_arguments = encode_constructor("AccessManager", signer.address)
    manager = run.create("AccessManager", manager_arguments)
    registry = run.create("MemberRegistry", encode_constructor("MemberRegistry", manager, plan.link_delay))
    policies = run.create("PolicyRegistry", encode_constructor("PolicyRegistry"))
    run.transact("policy", PolicyRegistry(connection, policies).register(policy_call(plan.policy)))
    parameters = _initial_parameters(plan)
    oracle = run.create(
        "RateOracle", encode_constructor("RateOracle", manager, registry, policies, parameters)
    )
    created = RateOracle(connection, oracle)
    run.found(
        "CreditDistributor",
        created.distributor(),
        encode_constructor("CreditDistributor", manager, registry, parameters[8], parameters[9]),
    )
    run.found("AttentionCredit", created.credit(), encode_constructor("AttentionCredit", parameters[8]))
    run.found(
        "FeePool",
        created.fee_pool(),
        encode_constructor("FeePool", manager, created.credit(), created.distributor(), parameters[9]),
    )
    run.create("EpochChallenge", encode_constructor("EpochChallenge", oracle))
    run.create(
        "LeafRequests",
        encode_constructor("LeafRequests", oracle, plan.answer_time, plan.request_deposit_wei),
    )
    run.create("RateFloat", encode_constructor("RateFloat", manager, oracle))
    run.create(
        "CreditPayments",
        encode_constructor("CreditPayments", manager, created.credit(), created.fee_pool(), plan.fee_bps),
    )
    _open_bank(run, manager, oracle, created.distributor(), plan.bank)
    run.create(
        "CreditExchange",
        encode_constructor(
            "CreditExchange", manager, created.credit(), created.fee_pool(), plan.trade_fee_bps
        ),
    )
    run.create(
        "ServiceEscrow",
        encode_constructor("ServiceEscrow", manager, created.fee_pool(), plan.service_fee_bps),
    )
    run.transact("roles", role_calls(connection, run.addresses(), plan, signer.address))
    deployment = Deployment(connection.chain_id, signer.address, dict(run.contracts), plan)
    for name in CONTRACTS:
        ensure_trusted(connection, deployment, deployment.address(name))
    journal.finish(deployment)
    return deployment


def load_deployment(path: Path) -> Deployment:
    """Read a manifest.

    Raises
    ------
    DeploymentError
        If there is none, it is unfinished, or it cannot be read; nothing is guessed.
    """
    document = _read(path)
    if document.get("status") != "complete":
        raise DeploymentError(
            "the deployment is unfinished",
            where=str(path),
            hint="run the same `timebank chain deploy` again: it goes on where it stopped",
        )
    where = str(path)
    try:
        contracts = {
            name: DeployedContract(
                name=name,
                address=parse_address(entry["address"], what=name),
                creation_transaction=_hex(entry["creationTx"]),
                block=int(entry["block"]),
                constructor_arguments=_hex(entry["constructorArgs"]),
                code_hash=_hex(entry["codeHash"]),
            )
            for name, entry in document["contracts"].items()
        }
        missing = [name for name in CONTRACTS if name not in contracts]
        if missing:
            raise DeploymentError(f"the manifest lacks {', '.join(missing)}", where=where)
        return Deployment(
            chain_id=int(document["chainId"]),
            deployer=parse_address(document["deployer"], what="deployer"),
            contracts=contracts,
            plan=DeploymentPlan.from_json(document["parameters"], where=where),
        )
    except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
        raise DeploymentError(f"the manifest is not readable: {error}", where=where) from error


def ensure_trusted(connection: Connection, deployment: Deployment, target: str | None) -> None:
    """Check, right before a write, that chain and code are the deployment's.

    Parameters
    ----------
    target
        The contract about to be called.

    Raises
    ------
    WrongChain
        If the node serves another chain.
    CodeMismatch
        If ``target`` is none of the deployment's contracts, or its code (immutables masked) is not the
        shipped artifact's, or differs from what was deployed.
    """
    connection.require_chain(deployment.chain_id)
    for contract in deployment.contracts.values():
        if contract.address == target:
            fault = code_fault(connection, contract)
            if fault:
                raise CodeMismatch(
                    f"{contract.name} at {contract.address}: {fault}",
                    hint="do not send anything there; `timebank chain verify` shows every contract",
                )
            return
    raise CodeMismatch(
        f"{target} is none of the deployment's contracts", hint="check the address and --deployment"
    )


def code_fault(connection: Connection, contract: DeployedContract) -> str | None:
    """Return what is wrong with the code at a contract's address, or ``None``."""
    code = connection.code_at(contract.address)
    if not code:
        return "there is no code (was the chain reset?)"
    artifact = load_artifact(contract.name)
    if artifact.masked(code) != artifact.deployed_bytecode:
        return f"the code ({len(code)} bytes) is not the shipped artifact's"
    if keccak(code) != contract.code_hash:
        return "its immutables differ from the deployed ones"
    return None


def _open_bank(run: _Run, manager: str, oracle: str, distributor: str, plan: BankPlan) -> None:
    terms = [(term.duration, term.multiplier_milli, term.penalty_bps, True) for term in plan.terms]
    bank = run.create(
        "TimeBank",
        encode_constructor(
            "TimeBank", manager, distributor, terms, plan.income_fee_bps, plan.release_seconds
        ),
    )
    lending = run.create(
        "CreditLending",
        encode_constructor(
            "CreditLending", manager, oracle, bank, plan.risk.as_call(), plan.initial_rate_per_second
        ),
    )
    run.create("CreditLease", encode_constructor("CreditLease", manager, lending, plan.lease_fee_bps))


def _initial_parameters(plan: DeploymentPlan) -> tuple[Any, ...]:
    """``InitialParameters`` of RateOracle, in the order of the struct."""
    return (
        plan.policy_hash,
        plan.policy_uri,
        plan.rate_q24,
        list(plan.signers),
        plan.threshold,
        plan.bond_wei,
        plan.challenge_window,
        plan.challenger_share_bps,
        (plan.token_name, plan.token_symbol, plan.contract_uri),
        (plan.fee_split.depositors_bps, plan.fee_split.bonus_bps, plan.fee_split.reserve_bps),
    )


@dataclass
class _Journal:
    """The manifest while it is being made; every change is on disk before the next step."""

    path: Path | None
    document: dict[str, Any]
    complete: Deployment | None = None

    @classmethod
    def open(cls, path: Path | None, connection: Connection, deployer: str, plan: DeploymentPlan) -> _Journal:
        fresh = {
            "schema": DEPLOYMENT_SCHEMA,
            "status": "in progress",
            "chainId": connection.chain_id,
            "deployer": deployer,
            "contracts": {},
            "parameters": plan.to_json(),
            "steps": {},
        }
        if path is None or not path.exists():
            journal = cls(path, fresh)
            journal.save()
            return journal
        document = _read(path)
        for key, said in (
            ("chainId", "chain"),
            ("deployer", "deployer"),
            ("parameters", "parameters"),
        ):
            if document.get(key) != fresh[key]:
                raise DeploymentError(
                    f"the manifest is of another {said}: {_difference(document.get(key), fresh[key])}",
                    where=str(path),
                    hint="give the same options to go on, or another --deployment FILE to start anew",
                )
        if document.get("status") == "complete":
            deployment = load_deployment(path)
            for contract in deployment.contracts.values():
                fault = code_fault(connection, contract)
                if fault:
                    raise DeploymentError(
                        f"the manifest is complete, but {contract.name} at {contract.address}: {fault}",
                        where=str(path),
                        hint="if the chain was reset, move the manifest away and deploy again",
                    )
            return cls(path, document, deployment)
        return cls(path, document)

    def save(self) -> None:
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, json.dumps(self.document, indent=2) + "\n", sync=True)

    def finish(self, deployment: Deployment) -> None:
        self.document = deployment.to_json()
        self.save()


@dataclass
class _Run:
    """One run over the steps; steps the journal knows are looked up, not repeated."""

    connection: Connection
    signer: Signer
    journal: _Journal
    progress: Callable[[str], None]
    contracts: dict[str, DeployedContract] = field(default_factory=dict)
    last: tuple[bytes, int] = (b"", 0)

    def addresses(self) -> dict[str, ChecksumAddress]:
        return {name: contract.address for name, contract in self.contracts.items()}

    def create(self, name: str, arguments: bytes) -> ChecksumAddress:
        call = Call(name, "constructor", None, load_artifact(name).bytecode + arguments)
        receipt = self.transact(name, call)
        if receipt.contract_address is None:
            raise DeploymentError(f"creating {name} gave no address")
        return self.found(name, receipt.contract_address, arguments)

    def found(self, name: str, address: str, arguments: bytes) -> ChecksumAddress:
        """Note a contract that the last transaction created."""
        transaction, block = self.last
        contract = DeployedContract(
            name=name,
            address=to_checksum_address(address),
            creation_transaction=transaction,
            block=block,
            constructor_arguments=arguments,
            code_hash=keccak(self.connection.code_at(address)),
        )
        fault = code_fault(self.connection, contract)
        if fault:
            raise DeploymentError(f"{name} at {address}: {fault}")
        self.contracts[name] = contract
        self.journal.document["contracts"][name] = contract.to_json()
        self.journal.save()
        self.progress(f"{name:18} {contract.address}")
        return contract.address

    def transact(self, step: str, call: Call) -> Receipt:
        """Send a step's transaction once: journalled before it is broadcast, found again afterwards."""
        known = self.journal.document["steps"].get(step)
        receipt = self._resume(step, call, known) if known else None
        if receipt is None:
            prepared = prepare(self.connection, self.signer.address, call)
            signed = sign(self.signer, prepared)
            self.journal.document["steps"][step] = {
                "transaction": "0x" + signed.hash.hex(),
                "nonce": prepared.fields["nonce"],
                "raw": "0x" + signed.raw.hex(),
            }
            self.journal.save()
            broadcast(self.connection, signed)
            receipt = wait(self.connection, prepared, signed.hash)
        self.last = (receipt.hash, receipt.block_number)
        return receipt

    def _resume(self, step: str, call: Call, known: Mapping[str, Any]) -> Receipt | None:
        """Return the receipt of a journalled transaction, or ``None`` if it can never be mined."""
        signed = SignedTransaction(raw=_hex(known["raw"]), hash=_hex(known["transaction"]))
        prepared = Prepared(call, self.signer.address, {"nonce": int(known["nonce"])}, b"", 0)
        if find_receipt(self.connection, signed.hash) is None:
            try:
                broadcast(self.connection, signed)
            except NonceTaken:
                # Another transaction of the deployer took the nonce: this one is void for ever.
                return None
        self.progress(f"{step}: found the transaction sent before")
        return wait(self.connection, prepared, signed.hash)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = parse_json(read_small_text(path))
    except FileNotFoundError:
        raise DeploymentError(
            "no such deployment manifest", where=str(path), hint="write one: timebank chain deploy"
        ) from None
    except (OSError, ValueError) as error:
        raise DeploymentError(f"the manifest is not readable: {error}", where=str(path)) from error
    if not isinstance(document, dict) or document.get("schema") != DEPLOYMENT_SCHEMA:
        raise DeploymentError(f"not a {DEPLOYMENT_SCHEMA} document", where=str(path))
    return document


def _difference(there: Any, here: Any) -> str:
    if isinstance(there, dict) and isinstance(here, dict):
        for key in here:
            if there.get(key) != here[key]:
                return f"{key} is {there.get(key)!r} there, {here[key]!r} here"
    return f"{there!r} there, {here!r} here"


def _hex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
