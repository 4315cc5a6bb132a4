"""A deployed system with people in it, for tests: named roles, funded accounts, epochs on demand.

The roles, never names of people: ``deployer``, ``governor``, ``guardian``, ``registrar``, ``canceller``,
``signer1`` to ``signer5`` (three must sign), ``proposer``, ``member1`` to ``member4``, ``payee``,
``stranger``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from eth_typing import ChecksumAddress
from eth_utils import keccak

from timebank_chain.chain.addresses import address_bytes
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.deployment import deploy
from timebank_chain.chain.deployment_plan import DeploymentPlan, usual_answer_time
from timebank_chain.chain.signer import LocalSigner
from timebank_chain.chain.system import GovernanceState, Timebank, open_timebank
from timebank_chain.chain.transactions import Call, Receipt, send
from timebank_chain.epoch.evidence import Evidence
from timebank_chain.epoch.faults import TreeName
from timebank_chain.epoch.header import EpochHeader
from timebank_chain.epoch.leaves import AccountLeaf
from timebank_chain.epoch.tree import MerkleTree
from timebank_chain.units import Q24
from timebank_chain.valuation import load_policy, policy_hash

ROLES = (
    "deployer",
    "governor",
    "guardian",
    "registrar",
    "canceller",
    *(f"signer{n}" for n in range(1, 6)),
    "proposer",
    *(f"member{n}" for n in range(1, 5)),
    "payee",
    "stranger",
)
POLICY = replace(load_policy("identity"), name="a policy for tests")
POLICY_HASH = policy_hash(POLICY)
THRESHOLD = 3
EPOCH_MS = 60_000
GENESIS_MS = 1_700_000_000_000


def signer(role: str) -> LocalSigner:
    """The same key for a role in every run, known to nobody else's chain."""
    return LocalSigner(keccak(text=f"timebank test key of {role}"))


SIGNERS = {role: signer(role) for role in ROLES}


def fund(connection: Connection, wei: int = 50 * 10**18) -> None:
    """Give every role some coin."""
    if connection.embedded:
        rich = LocalSigner(connection.development_keys()[0])
        for role in ROLES:
            send(connection, rich, Call("coin", "transfer", SIGNERS[role].address, b"", value=wei))
        return
    for role in ROLES:
        answer = connection.w3.provider.make_request(  # type: ignore[union-attr]  # an HTTP one
            "anvil_setBalance",
            [SIGNERS[role].address, hex(wei)],  # type: ignore[arg-type]  # anvil's own method
        )
        assert "error" not in answer


def plan(**changes: object) -> DeploymentPlan:
    """The plan the worlds are deployed by."""
    usual = DeploymentPlan(
        policy=POLICY,
        policy_uri="",
        rate_q24=Q24,
        signers=tuple(sorted((SIGNERS[f"signer{n}"].address for n in range(1, 6)), key=str.lower)),
        threshold=THRESHOLD,
        governor=SIGNERS["governor"].address,
        guardian=SIGNERS["guardian"].address,
        registrar=SIGNERS["registrar"].address,
        canceller=SIGNERS["canceller"].address,
        bond_wei=10**16,
        challenge_window=3600,
        governance_delay=600,
        link_delay=7200,
        fee_bps=50,
    )
    window = changes.get("challenge_window", usual.challenge_window)
    changes = {"answer_time": usual_answer_time(window), **changes}  # type: ignore[arg-type]  # a window is an int
    return replace(usual, **changes)  # type: ignore[arg-type]  # fields of the plan by name


@dataclass
class FinalisedEpoch:
    """An epoch of a test: its leaves, tree and header."""

    leaves: list[AccountLeaf]
    tree: MerkleTree
    header: EpochHeader

    def leaf(self, account: str) -> AccountLeaf:
        return next(leaf for leaf in self.leaves if leaf.account == address_bytes(account))

    def proof(self, account: str) -> list[bytes]:
        return list(self.tree.proof(self.leaf(account).index))


@dataclass
class World:
    """A system on a chain, and the keys of everybody in it."""

    connection: Connection
    timebank: Timebank
    signers: Mapping[str, LocalSigner] = field(default_factory=lambda: SIGNERS)

    def address(self, role: str) -> ChecksumAddress:
        return self.signers[role].address

    def send(self, role: str, call: Call) -> Receipt:
        return self.timebank.send(self.signers[role], call)

    def govern(self, call: Call) -> None:
        """Schedule a restricted call as the governor, let the delay pass, execute it."""
        step = self.timebank.govern(self.signers["governor"], call)
        if step.state is GovernanceState.SCHEDULED:
            self.connection.advance_time(self.timebank.deployment.plan.governance_delay + 1)
            step = self.timebank.govern(self.signers["governor"], call)
        assert step.state is GovernanceState.DONE

    def quorum_signatures(self, header: EpochHeader, count: int = THRESHOLD) -> list[bytes]:
        """Signatures of the first ``count`` signers, ordered by address as the contract asks."""
        digest = header.digest(self.connection.chain_id, address_bytes(self.timebank.rate_oracle.address))
        quorum = sorted(
            (self.signers[f"signer{n}"] for n in range(1, 6)), key=lambda one: one.address.lower()
        )
        return [one.sign_digest(digest) for one in quorum[:count]]

    def make_epoch(self, mints: Mapping[str, int], *, pot: int = 0) -> FinalisedEpoch:
        """Build the next epoch, in which each account earns and mints the given micro-credits more."""
        oracle = self.timebank.rate_oracle
        number = oracle.latest_epoch() + 1
        start = oracle.latest_end_ms() if number > 1 else GENESIS_MS
        before = {
            address_bytes(account): self.timebank.credit_distributor.claimed(account) for account in mints
        }
        leaves = account_leaves({address_bytes(account): mint for account, mint in mints.items()}, before)
        tree = MerkleTree(
            np.frombuffer(b"".join(leaf.hash() for leaf in leaves), dtype=np.uint8).reshape(-1, 32)
        )
        header = EpochHeader(
            epoch=number,
            start_ms=start,
            end_ms=start + EPOCH_MS,
            policy_hash=POLICY_HASH,
            activity_root=bytes(32),
            activity_count=0,
            account_root=tree.root,
            account_count=len(leaves),
            active_count=len(leaves),
            total_earned=leaves[-1].running_earned,
            total_mint=leaves[-1].running_mint,
            rate_q24=oracle.rate_q24(),
            pot=pot,
            previous_header_hash=oracle.latest_header_hash(),
            data_hash=keccak(text=f"epoch {number}"),
            data_uri="",
        )
        return FinalisedEpoch(leaves, tree, header)

    def propose(self, header: EpochHeader) -> Receipt:
        oracle = self.timebank.rate_oracle
        return self.send(
            "proposer", oracle.propose(header, self.quorum_signatures(header), oracle.bond_wei())
        )

    def prove(self, role: str, evidence: Evidence, salt: bytes = bytes(32)) -> Receipt:
        """Commit to a proof, then show it."""
        challenge = self.timebank.epoch_challenge
        proof = challenge.prove(evidence, salt)
        self.send(role, challenge.commit(challenge.commitment_of(self.address(role), proof.data)))
        # A node simulates on the newest block, where the commitment does not count yet.
        self.connection.advance_time(1)
        return self.send(role, proof)

    def ask(self, role: str, header: EpochHeader, tree: TreeName, index: int) -> Receipt:
        """Ask for a leaf of the pending epoch, at today's price."""
        requests = self.timebank.leaf_requests
        return self.send(
            role, requests.request_leaf(header, tree, index, requests.request_price(self.address(role)))
        )

    def finalise(self, header: EpochHeader) -> Receipt:
        self.connection.advance_time(self.timebank.rate_oracle.challenge_window() + 1)
        return self.send("stranger", self.timebank.rate_oracle.finalise(header))

    def run_epoch(self, mints: Mapping[str, int], *, pot: int = 0) -> FinalisedEpoch:
        """Build, propose and finalise the next epoch."""
        made = self.make_epoch(mints, pot=pot)
        self.propose(made.header)
        self.finalise(made.header)
        return made

    def give(self, role: str, amount: int) -> None:
        """Let a role claim ``amount`` micro-credits from a fresh epoch."""
        epoch = self.run_epoch({self.address(role): amount})
        self.send(
            role,
            self.timebank.credit_distributor.claim(
                epoch.leaf(self.address(role)), epoch.proof(self.address(role))
            ),
        )


def account_leaves(mints: Mapping[bytes, int], claimed: Mapping[bytes, int]) -> list[AccountLeaf]:
    """Account leaves for an epoch that grants ``mints``, in the tree's order."""
    leaves: list[AccountLeaf] = []
    earned = minted = 0
    for index, account in enumerate(sorted(mints)):
        mint = mints[account]
        earned += mint
        minted += mint
        leaves.append(
            AccountLeaf(
                index=index,
                account=account,
                activity_end=0,
                earned=mint,
                running_earned=earned,
                running_active=index + 1,
                standing=mint,
                mint=mint,
                running_mint=minted,
                cumulative_mint=claimed.get(account, 0) + mint,
            )
        )
    return leaves


def deploy_world(connection: Connection, **changes: object) -> World:
    """Fund the roles, deploy everything and open it."""
    fund(connection)
    deployment = deploy(connection, SIGNERS["deployer"], plan(**changes))
    return World(connection, open_timebank(connection, deployment))


def addresses(world: World, roles: Sequence[str]) -> list[ChecksumAddress]:
    return [world.address(role) for role in roles]
