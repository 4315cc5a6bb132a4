"""How it is said on chain: takes a node's address, gives typed clients, wallets, receipts and events.

::

    connection = connect("http://127.0.0.1:8545")            # or connect() for a chain in process
    timebank = open_timebank(connection, load_deployment(Path("deployment.json")))
    timebank.send(signer, timebank.attention_credit.transfer(to, 12_500_000))

A client's reads give integers, bytes and dataclasses; its writes give a :class:`Call`, which
``Timebank.send`` checks, simulates, prices, signs and sends. The names below are imported when first used,
because web3 takes a second to load and many commands need an address only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from timebank_chain.chain.addresses import address_bytes, address_text, parse_address
    from timebank_chain.chain.connection import EMBEDDED, Connection, connect
    from timebank_chain.chain.deployment import (
        DeployedContract,
        Deployment,
        deploy,
        ensure_trusted,
        load_deployment,
    )
    from timebank_chain.chain.deployment_plan import DeploymentPlan, FeeSplit
    from timebank_chain.chain.keystore import KeystoreWallets, Wallet, unlock
    from timebank_chain.chain.signer import LocalSigner, SignedTransaction, Signer
    from timebank_chain.chain.system import GovernanceState, GovernanceStep, Timebank, open_timebank
    from timebank_chain.chain.transactions import Call, Prepared, Receipt, prepare, send

_HOME = {
    "Call": "transactions",
    "Connection": "connection",
    "DeployedContract": "deployment",
    "Deployment": "deployment",
    "DeploymentPlan": "deployment_plan",
    "EMBEDDED": "connection",
    "FeeSplit": "deployment_plan",
    "GovernanceState": "system",
    "GovernanceStep": "system",
    "KeystoreWallets": "keystore",
    "LocalSigner": "signer",
    "Prepared": "transactions",
    "Receipt": "transactions",
    "SignedTransaction": "signer",
    "Signer": "signer",
    "Timebank": "system",
    "Wallet": "keystore",
    "address_bytes": "addresses",
    "address_text": "addresses",
    "connect": "connection",
    "deploy": "deployment",
    "ensure_trusted": "deployment",
    "load_deployment": "deployment",
    "open_timebank": "system",
    "parse_address": "addresses",
    "prepare": "transactions",
    "send": "transactions",
    "unlock": "keystore",
}

__all__ = [
    "EMBEDDED",
    "Call",
    "Connection",
    "DeployedContract",
    "Deployment",
    "DeploymentPlan",
    "FeeSplit",
    "GovernanceState",
    "GovernanceStep",
    "KeystoreWallets",
    "LocalSigner",
    "Prepared",
    "Receipt",
    "SignedTransaction",
    "Signer",
    "Timebank",
    "Wallet",
    "address_bytes",
    "address_text",
    "connect",
    "deploy",
    "ensure_trusted",
    "load_deployment",
    "open_timebank",
    "parse_address",
    "prepare",
    "send",
    "unlock",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
