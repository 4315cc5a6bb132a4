"""Gas of every operation, from receipts, beside a plain OpenZeppelin ERC-20 and other distributors.

Usage: .venv/bin/python scripts/bench_gas.py [--json]

Everything runs on the embedded chain; gas does not depend on the machine. Claims are proved in a tree
20 levels deep (2**20 leaves): two epochs are proposed by 3 of 5 signers and finalised, so that first and
later claims can be told apart. Transfers and mints go to accounts that hold credits already, unless the
row says otherwise. The plain ERC-20 is contracts/test/PlainERC20.sol, compiled by the same compiler with
the same settings. Morpho's and EigenLayer's figures are cited, 20-deep as ours.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from eth_utils.crypto import keccak
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent))

from build_contracts import collect_sources, compile_sources

from timebank_chain.chain import Call, Connection, LocalSigner, Timebank, connect, deploy, open_timebank, send
from timebank_chain.chain.addresses import address_bytes
from timebank_chain.chain.deployment_plan import DeploymentPlan
from timebank_chain.chain.transactions import Receipt
from timebank_chain.epoch import AccountLeaf, EpochHeader, MerkleTree
from timebank_chain.units import Q24
from timebank_chain.valuation import Policy, load_policy

DEPTH = 20
LEAVES = 1 << DEPTH
NEIGHBOURS = 100
THRESHOLD, QUORUM = 3, 5
MINT = 5_000_000
#: Cited, 20-deep: (first claim, later claim).
MORPHO = (98_700, 64_500)
EIGENLAYER = (127_300, 93_000)
PLAIN = "contracts/test/PlainERC20.sol"


@dataclass(frozen=True)
class Row:
    """One operation: its gas, and what it is compared with."""

    operation: str
    gas: int
    beside: tuple[tuple[str, int], ...] = ()
    each: int = 1

    @property
    def gas_each(self) -> int:
        """Gas per holder, rounded up."""
        return -(-self.gas // self.each)


def leaf(index: int, account: bytes, epoch: int) -> AccountLeaf:
    """A leaf that grants ``MINT`` micro-credits per epoch; every integer as wide as in a real one."""
    return AccountLeaf(
        index=index,
        account=account,
        activity_end=(index + 1) * 3,
        earned=MINT,
        running_earned=(index + 1) * MINT,
        running_active=index + 1,
        standing=MINT * epoch,
        mint=MINT,
        running_mint=(index + 1) * MINT,
        cumulative_mint=MINT * epoch,
    )


@dataclass
class Epoch:
    """An epoch of 2**20 accounts, a few of which we have leaves for."""

    leaves: dict[bytes, AccountLeaf]
    tree: MerkleTree


def make_epoch(accounts: Sequence[tuple[int, bytes]], number: int) -> Epoch:
    """Make the tree: real leaves where ``accounts`` are, random hashes everywhere else."""
    hashes: NDArray[np.uint8] = np.random.default_rng(number).integers(
        0, 256, size=(LEAVES, 32), dtype=np.uint8
    )
    leaves = {account: leaf(index, account, number) for index, account in accounts}
    for one in leaves.values():
        hashes[one.index] = np.frombuffer(one.hash(), dtype=np.uint8)
    return Epoch(leaves, MerkleTree(hashes))


class Bench:
    """A deployed system and everybody who acts in it."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.connection: Connection = connect()
        keys = [LocalSigner(key) for key in self.connection.development_keys()]
        self.deployer, self.payer, self.holder, self.proposer = keys[:4]
        self.quorum = sorted(keys[4 : 4 + QUORUM], key=lambda one: one.address.lower())
        plan = DeploymentPlan(
            policy=policy or load_policy("identity"),
            rate_q24=Q24,
            signers=tuple(one.address for one in self.quorum),
            threshold=THRESHOLD,
            governor=self.deployer.address,
            guardian=self.deployer.address,
            registrar=self.deployer.address,
            canceller=self.deployer.address,
        )
        self.timebank: Timebank = open_timebank(self.connection, deploy(self.connection, self.deployer, plan))
        self.deploy_gas = self._gas_of(self.deployer.address)
        self.deploy_count = self.connection.w3.eth.get_transaction_count(self.deployer.address)

    def _gas_of(self, sender: str) -> int:
        """Gas of all transactions of ``sender`` so far."""
        eth = self.connection.w3.eth
        total = 0
        for number in range(self.connection.block_number() + 1):
            for transaction in eth.get_block(number, full_transactions=True)["transactions"]:
                if transaction["from"] == sender:
                    total += eth.get_transaction_receipt(transaction["hash"])["gasUsed"]
        return total

    def send(self, signer: LocalSigner, call: Call) -> Receipt:
        """Send one of our own calls."""
        return self.timebank.send(signer, call)

    def run_epoch(self, epoch: Epoch, number: int) -> tuple[Receipt, Receipt]:
        """Propose and finalise; return both receipts."""
        oracle = self.timebank.rate_oracle
        # Two weeks ago: the standing of two weekly epochs has not faded when it is proved.
        start = oracle.latest_end_ms() or (self.connection.timestamp() - 2 * 604_800) * 1_000
        header = EpochHeader(
            epoch=number,
            start_ms=start,
            end_ms=start + 604_800_000,
            policy_hash=oracle.policy_hash(),
            activity_root=keccak(text=f"activities {number}"),
            activity_count=3 * LEAVES,
            account_root=epoch.tree.root,
            account_count=LEAVES,
            active_count=LEAVES,
            total_earned=LEAVES * MINT,
            total_mint=LEAVES * MINT,
            rate_q24=Q24,
            pot=0,
            previous_header_hash=oracle.latest_header_hash(),
            data_hash=keccak(text=f"data {number}"),
            data_uri="",
        )
        digest = header.digest(self.connection.chain_id, address_bytes(oracle.address))
        signatures = [one.sign_digest(digest) for one in self.quorum[:THRESHOLD]]
        proposed = self.send(self.proposer, oracle.propose(header, signatures, oracle.bond_wei()))
        self.connection.advance_time(oracle.challenge_window() + 1)
        return proposed, self.send(self.proposer, oracle.finalise(header))

    def claim(self, epoch: Epoch, account: bytes) -> int:
        """Claim for one account; return the gas."""
        one = epoch.leaves[account]
        call = self.timebank.credit_distributor.claim(one, epoch.tree.proof(one.index))
        return self.send(self.proposer, call).gas_used

    def claim_many(self, epoch: Epoch, first: int, accounts: Sequence[bytes]) -> int:
        """Claim for neighbours; return the gas."""
        leaves = [epoch.leaves[account] for account in accounts]
        proof = epoch.tree.range_proof(first, len(leaves))
        call = self.timebank.credit_distributor.claim_many(leaves, proof, DEPTH)
        return self.send(self.proposer, call).gas_used


def measure() -> list[Row]:
    """Run everything and return the table."""
    bench = Bench()
    timebank, connection = bench.timebank, bench.connection
    payer, holder = (address_bytes(one.address) for one in (bench.payer, bench.holder))
    first = 600_000
    neighbours = [keccak(text=f"neighbour {n}")[:20] for n in range(NEIGHBOURS)]
    accounts = [(4_711, payer), (900_001, holder)]
    accounts += [(first + n, account) for n, account in enumerate(neighbours)]

    epochs = [make_epoch(accounts, number) for number in (1, 2)]
    bench.run_epoch(epochs[0], 1)
    bench.claim(epochs[0], holder)  # the very first claim also makes the supply nonzero
    first_claim = bench.claim(epochs[0], payer)
    first_many = bench.claim_many(epochs[0], first, neighbours)
    proposed, finalised = bench.run_epoch(epochs[1], 2)
    later_claim = bench.claim(epochs[1], payer)
    later_many = bench.claim_many(epochs[1], first, neighbours)

    credit, payments = timebank.attention_credit, timebank.credit_payments
    to, newcomer = bench.holder.address, "0x" + "77" * 20
    transfer = bench.send(bench.payer, credit.transfer(to, 1_000)).gas_used
    transfer_new = bench.send(bench.payer, credit.transfer(newcomer, 1_000)).gas_used
    approve = bench.send(bench.payer, credit.approve(payments.address, 1_000_000)).gas_used
    memo = keccak(text="a memo")
    bench.send(bench.payer, payments.pay(to, 10_000, memo))  # opens the pool's accounts
    pay = bench.send(bench.payer, payments.pay(to, 10_000, memo)).gas_used
    bench.send(bench.payer, credit.approve(payments.address, 0))
    deadline = connection.timestamp() + 3_600
    permit = credit.sign_permit(bench.payer, payments.address, 10_000, deadline)
    pay_permit = bench.send(bench.payer, payments.pay_with_permit(to, 10_000, memo, permit)).gas_used

    plain = measure_plain(connection, bench.payer, to, newcomer)
    return [
        Row(
            f"deploy everything ({bench.deploy_count} transactions)",
            bench.deploy_gas,
            (("plain ERC-20", plain["deploy"]),),
        ),
        Row(f"propose an epoch, {THRESHOLD} of {QUORUM} signatures", proposed.gas_used),
        Row("finalise an epoch", finalised.gas_used),
        Row("first claim, 20-deep", first_claim, (("Morpho", MORPHO[0]), ("EigenLayer", EIGENLAYER[0]))),
        Row("later claim, 20-deep", later_claim, (("Morpho", MORPHO[1]), ("EigenLayer", EIGENLAYER[1]))),
        Row(
            f"claimMany, first, per holder of {NEIGHBOURS}",
            first_many,
            (("plain mint, new holder", plain["mint_new"]),),
            NEIGHBOURS,
        ),
        Row(
            f"claimMany, later, per holder of {NEIGHBOURS}",
            later_many,
            (("plain mint", plain["mint"]), ("aim", 9_000)),
            NEIGHBOURS,
        ),
        Row("transfer", transfer, (("plain transfer", plain["transfer"]),)),
        Row("transfer to a new holder", transfer_new, (("plain transfer", plain["transfer_new"]),)),
        Row("approve", approve, (("plain approve", plain["approve"]),)),
        Row("pay with memo and fee", pay, (("plain transferFrom", plain["transfer_from"]),)),
        Row("pay with memo, fee and permit", pay_permit),
    ]


def measure_plain(connection: Connection, payer: LocalSigner, to: str, newcomer: str) -> dict[str, int]:
    """Measure the same on OpenZeppelin's ERC-20 and nothing else."""
    output = compile_sources(collect_sources([PLAIN]))[PLAIN]["PlainERC20"]
    code = bytes.fromhex(output["evm"]["bytecode"]["object"])
    created = send(connection, payer, Call("PlainERC20", "constructor", None, code))
    token = connection.w3.eth.contract(address=created.contract_address, abi=output["abi"])

    def gas(function: str, *arguments: object, signer: LocalSigner = payer) -> int:
        data = bytes.fromhex(token.encode_abi(function, list(arguments))[2:])
        return send(connection, signer, Call("PlainERC20", function, token.address, data)).gas_used

    gas("mint", payer.address, MINT)
    figures = {
        "deploy": created.gas_used,
        "mint_new": gas("mint", to, MINT),
        "mint": gas("mint", to, MINT),
        "transfer": gas("transfer", to, 1_000),
        "transfer_new": gas("transfer", newcomer, 1_000),
        "approve": gas("approve", payer.address, 1_000_000),
    }
    figures["transfer_from"] = gas("transferFrom", payer.address, to, 1_000)
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and return the exit code: 1 if a claim is not below both others'."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    print("gas from receipts on the embedded chain", file=sys.stderr)
    rows = measure()
    if options.json:
        body = [{"operation": row.operation, "gas": row.gas_each, "beside": dict(row.beside)} for row in rows]
        print(json.dumps({"schema": "timebank.bench.gas/1", "rows": body}, indent=2))
    else:
        table = Table(title="Gas, from receipts", box=None)
        for name in ("operation", "gas", "beside"):
            table.add_column(name, justify="right" if name == "gas" else "left")
        for row in rows:
            beside = ", ".join(f"{name} {gas:,}" for name, gas in row.beside)
            table.add_row(row.operation, f"{row.gas_each:,}", beside)
        Console(width=110).print(table)
    claims = {row.operation: row.gas_each for row in rows}
    below = claims["first claim, 20-deep"] < MORPHO[0] and claims["later claim, 20-deep"] < MORPHO[1]
    if not below:
        print("error: a claim costs more than Morpho's", file=sys.stderr)
    return 0 if below else 1


if __name__ == "__main__":
    raise SystemExit(main())
