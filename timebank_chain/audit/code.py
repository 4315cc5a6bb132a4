"""Chain and code: the right chain, the shipped contracts, wired to each other and to nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from eth_utils.abi import collapse_if_tuple
from web3.exceptions import TransactionNotFound

from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.evidence import AuditArtifact
from timebank_chain.audit.report import Check, Tally
from timebank_chain.audit.storage_root import keccak
from timebank_chain.documents import parse_json, read_small

if TYPE_CHECKING:
    from timebank_chain.chain.deployment import DeployedContract

#: View of a contract -> the contract its answer must be the address of.
WIRING: Mapping[str, Mapping[str, str]] = {
    "RateOracle": {
        "distributor": "CreditDistributor",
        "credit": "AttentionCredit",
        "feePool": "FeePool",
        "registry": "MemberRegistry",
        "policies": "PolicyRegistry",
        "challenge": "EpochChallenge",
        "leafRequests": "LeafRequests",
        "rateFloat": "RateFloat",
        "authority": "AccessManager",
    },
    "EpochChallenge": {"oracle": "RateOracle"},
    "LeafRequests": {"oracle": "RateOracle"},
    "RateFloat": {"oracle": "RateOracle", "feePool": "FeePool", "authority": "AccessManager"},
    "CreditDistributor": {
        "oracle": "RateOracle",
        "credit": "AttentionCredit",
        "feePool": "FeePool",
        "registry": "MemberRegistry",
        "authority": "AccessManager",
        "timeBank": "TimeBank",
        "lending": "CreditLending",
        "lease": "CreditLease",
    },
    "AttentionCredit": {"minter": "CreditDistributor"},
    "FeePool": {
        "credit": "AttentionCredit",
        "distributor": "CreditDistributor",
        "authority": "AccessManager",
        "timeBank": "TimeBank",
        "lending": "CreditLending",
    },
    "CreditPayments": {"credit": "AttentionCredit", "feePool": "FeePool", "authority": "AccessManager"},
    "MemberRegistry": {"authority": "AccessManager"},
    "TimeBank": {
        "credit": "AttentionCredit",
        "feePool": "FeePool",
        "distributor": "CreditDistributor",
        "authority": "AccessManager",
    },
    "CreditLending": {
        "credit": "AttentionCredit",
        "asset": "AttentionCredit",
        "feePool": "FeePool",
        "distributor": "CreditDistributor",
        "oracle": "RateOracle",
        "timeBank": "TimeBank",
        "authority": "AccessManager",
    },
    "CreditLease": {
        "credit": "AttentionCredit",
        "feePool": "FeePool",
        "distributor": "CreditDistributor",
        "timeBank": "TimeBank",
        "lending": "CreditLending",
        "authority": "AccessManager",
    },
    "CreditExchange": {"credit": "AttentionCredit", "feePool": "FeePool", "authority": "AccessManager"},
    "ServiceEscrow": {"credit": "AttentionCredit", "feePool": "FeePool", "authority": "AccessManager"},
}

#: Contract -> name of the domain its signatures are bound to.
DOMAINS = {
    "RateOracle": "timebank RateOracle",
    "CreditLease": "timebank CreditLease",
    "CreditExchange": "timebank CreditExchange",
}

#: Declared by a standard's interface (ERC-5267), emitted by nobody: its topic is in no bytecode.
NEVER_EMITTED = frozenset({"EIP712DomainChanged"})

#: Contract -> the contract whose creation creates it, so whose creation code holds its own.
CREATED_BY = {
    "CreditDistributor": "RateOracle",
    "AttentionCredit": "CreditDistributor",
    "FeePool": "CreditDistributor",
}


def check_chain(case: AuditCase) -> Check:
    """Check that the node serves the deployment's chain."""
    tally = Tally("A1", "the node serves the deployment's chain")
    tally.equal(
        "chain id",
        case.deployment.chain_id,
        case.chain_id,
        "this is another chain; addresses and signatures mean nothing here",
    )
    return tally.done(f"chain {case.chain_id}, blocks {case.evidence.from_block} to {case.evidence.to_block}")


def check_artifacts(case: AuditCase) -> Check:
    """Check that the artifacts agree with themselves, with each other and with the compiler's input."""
    tally = Tally("A2", "artifacts agree with the standard-JSON input and with each other")
    path = case.artifacts_folder / "standard-input.json"
    try:
        content = read_small(path)
        standard_input = parse_json(content)
        sources, settings = dict(standard_input["sources"]), dict(standard_input["settings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        tally.fail(str(path), "the compiler's input", str(error), "nobody can compile the contracts again")
        return tally.done("no standard-JSON input")
    settings.pop("outputSelection", None)
    digest = hashlib.sha256(content).hexdigest()
    for artifact in case.evidence.artifacts.values():
        _check_artifact(tally, artifact, sources, settings)
        tally.equal(
            f"{artifact.path}, standardInputSha256",
            digest,
            artifact.document.get("standardInputSha256"),
            "it was compiled from other sources than those beside it",
        )
    for name, creator in CREATED_BY.items():
        inner, outer = case.evidence.artifacts[name], case.evidence.artifacts[creator]
        tally.require(
            bool(inner.creation_bytecode) and inner.creation_bytecode in outer.creation_bytecode,
            f"{inner.path}, bytecode",
            f"contained in the bytecode of {creator}, which creates it",
            "not contained",
            "the two artifacts are of different compilations",
        )
    tally.evidence.update(
        sources=len(sources),
        compiler=sorted(
            {str(item.document["compiler"]["version"]) for item in case.evidence.artifacts.values()}
        ),
        standard_input_sha256=digest,
    )
    return tally.done(f"{len(case.evidence.artifacts)} artifacts, {len(sources)} sources")


def _check_artifact(
    tally: Tally, artifact: AuditArtifact, sources: Mapping[str, Any], settings: Mapping[str, Any]
) -> None:
    document = artifact.document
    where = str(artifact.path)
    tally.equal(
        f"{where}, contractName", artifact.name, document.get("contractName"), "another contract's artifact"
    )
    tally.require(
        document.get("sourceName") in sources,
        f"{where}, sourceName",
        "a source of the standard-JSON input",
        document.get("sourceName"),
        "its source is not there to be read",
    )
    own = dict(document["compiler"]["settings"])
    own.pop("outputSelection", None)
    tally.equal(f"{where}, settings", dict(settings), own, "it was compiled with other settings")
    runtime = artifact.deployed_bytecode
    tally.require(
        bool(runtime) and runtime in artifact.creation_bytecode,
        f"{where}, deployedBytecode",
        "contained in the creation bytecode",
        "not contained",
        "creation and runtime code are of different compilations",
    )
    for entry in artifact.entries("function"):
        selector = keccak(_signature(entry).encode())[:4]
        # The compiler pushes a selector with as few bytes as it needs.
        tally.require(
            selector.lstrip(b"\0") in runtime,
            f"{where}, abi, function {entry['name']}",
            f"selector 0x{selector.hex()} in the bytecode",
            "absent",
            "the ABI describes another contract",
        )
    for entry in artifact.entries("event"):
        if entry["name"] in NEVER_EMITTED:
            continue
        topic = keccak(_signature(entry).encode())
        tally.require(
            topic.strip(b"\0") in artifact.creation_bytecode,
            f"{where}, abi, event {entry['name']}",
            f"topic 0x{topic.hex()} in the bytecode",
            "absent",
            "the ABI describes another contract; its events cannot be read with it",
        )


def _signature(entry: Mapping[str, Any]) -> str:
    return f"{entry['name']}({','.join(collapse_if_tuple(dict(item)) for item in entry['inputs'])})"


def check_code(case: AuditCase) -> Check:
    """Check that each address holds its artifact's code, immutables masked, and was created by it."""
    tally = Tally("A3", "code at each address = its artifact (immutables masked)")
    hashes = {}
    for name, artifact in case.evidence.artifacts.items():
        code = case.evidence.code(name)
        hashes[name] = "0x" + keccak(code).hex()
        where = f"{name} at {case.evidence.address(name)}"
        expected = artifact.deployed_bytecode
        if not code:
            tally.fail(
                where, f"{len(expected)} bytes of code", "no code", "there is no contract at this address"
            )
            continue
        masked = bytearray(code)
        for start, length in artifact.immutable_spans:
            masked[start : start + length] = bytes(length)
        if len(code) != len(expected):
            tally.fail(where, f"{len(expected)} bytes", f"{len(code)} bytes", "another contract stands here")
        elif bytes(masked) != expected:
            first = next(at for at in range(len(expected)) if masked[at] != expected[at])
            tally.fail(
                f"{where}, byte {first}",
                f"0x{expected[first : first + 8].hex()}...",
                f"0x{bytes(masked[first : first + 8]).hex()}...",
                "the contract is not the one these artifacts were compiled to; it may do anything",
            )
        deployed = case.deployment.contracts[name]
        tally.equal(
            f"{name}, code hash in the manifest",
            deployed.code_hash,
            keccak(code),
            "the code is not what it was when it was deployed",
        )
        if name not in CREATED_BY:
            _check_creation(case, tally, artifact, deployed)
    tally.evidence.update(code_hashes=hashes)
    return tally.done(f"{len(hashes)} contracts")


def _check_creation(
    case: AuditCase, tally: Tally, artifact: AuditArtifact, deployed: DeployedContract
) -> None:
    where, creation = f"{artifact.name}, creation transaction", deployed.creation_transaction
    try:
        transaction = case.evidence.transaction(creation)
        receipt = case.evidence.receipt(creation)
    except TransactionNotFound:
        tally.fail(where, creation, "no such transaction", "nobody can see how the contract was created")
        return
    tally.equal(
        where,
        case.evidence.address(artifact.name).lower(),
        str(receipt.get("contractAddress") or "").lower(),
        "the transaction created another contract",
    )
    data = bytes(transaction["input"])
    meaning = "its constructor was another, and may have left anything in storage"
    if not data.startswith(artifact.creation_bytecode):
        tally.fail(where, "the artifact's creation bytecode", f"0x{data[:16].hex()}...", meaning)
        return
    tally.equal(
        f"{where}, constructor arguments",
        deployed.constructor_arguments,
        data[len(artifact.creation_bytecode) :],
        "the manifest tells of other parameters than the contract was created with",
    )


def check_wiring(case: AuditCase) -> Check:
    """Check that the contracts name each other, and that signatures are bound to this deployment."""
    tally = Tally(
        "A4", "contracts point at each other: minter, oracle, distributor, fee pool, registries, manager"
    )
    count = 0
    for contract, views in WIRING.items():
        for view, target in views.items():
            count += 1
            tally.equal(
                f"{contract}.{view}",
                case.evidence.address(target),
                case.evidence.call(contract, view),
                f"it answers to another contract than this deployment's {target}",
            )
    for difference in case.ledger.anomalies_of("wiring"):
        tally.add(difference)
    for contract, domain in DOMAINS.items():
        _, name, version, chain_id, verifying, _, _ = case.evidence.call(contract, "eip712Domain")
        tally.equal(
            f"{contract}.eip712Domain",
            (domain, "1", case.chain_id, case.evidence.address(contract)),
            (name, version, chain_id, verifying),
            "signatures are bound to another domain",
        )
    return tally.done(f"{count} references")
