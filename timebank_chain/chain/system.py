"""The whole system on one chain: a client per contract, and the one way to write to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from eth_typing import ChecksumAddress

from timebank_chain.chain.access_manager import AccessManager
from timebank_chain.chain.attention_credit import AttentionCredit
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.credit_distributor import CreditDistributor
from timebank_chain.chain.credit_exchange import CreditExchange
from timebank_chain.chain.credit_lease import CreditLease
from timebank_chain.chain.credit_lending import CreditLending
from timebank_chain.chain.credit_payments import CreditPayments
from timebank_chain.chain.deployment import Deployment, ensure_trusted
from timebank_chain.chain.epoch_challenge import EpochChallenge
from timebank_chain.chain.fee_pool import FeePool
from timebank_chain.chain.foreign_token import ForeignToken
from timebank_chain.chain.leaf_requests import LeafRequests
from timebank_chain.chain.member_registry import MemberRegistry
from timebank_chain.chain.openzeppelin_reverts import AccessManagedUnauthorized
from timebank_chain.chain.policy_registry import PolicyRegistry
from timebank_chain.chain.rate_float import RateFloat
from timebank_chain.chain.rate_oracle import RateOracle
from timebank_chain.chain.service_escrow import ServiceEscrow
from timebank_chain.chain.signer import Signer
from timebank_chain.chain.time_bank import TimeBank
from timebank_chain.chain.transactions import Call, Prepared, Receipt, prepare, send
from timebank_chain.errors import ContractError


class ContractClosed(ContractError):
    """Governance closed a contract: what asks for a role there is refused to every role."""


class GovernanceState(StrEnum):
    """What became of a restricted call."""

    DONE = "done"
    SCHEDULED = "scheduled"
    WAITING = "waiting"


@dataclass(frozen=True)
class GovernanceStep:
    """One step of a restricted call: sent at once, scheduled, still waiting, or executed.

    ``ready_at`` is Unix seconds (0 when done or unknown before sending).
    """

    state: GovernanceState
    ready_at: int
    receipt: Receipt | None


@dataclass(frozen=True)
class Timebank:
    """A deployed system and a client for each of its contracts."""

    connection: Connection
    deployment: Deployment
    access_manager: AccessManager
    member_registry: MemberRegistry
    policy_registry: PolicyRegistry
    rate_oracle: RateOracle
    rate_float: RateFloat
    epoch_challenge: EpochChallenge
    leaf_requests: LeafRequests
    credit_distributor: CreditDistributor
    attention_credit: AttentionCredit
    fee_pool: FeePool
    credit_payments: CreditPayments
    time_bank: TimeBank
    credit_lending: CreditLending
    credit_lease: CreditLease
    credit_exchange: CreditExchange
    service_escrow: ServiceEscrow

    def addresses(self) -> dict[str, ChecksumAddress]:
        """Return every contract's address by name."""
        return self.deployment.addresses()

    def prepare(self, sender: ChecksumAddress, call: Call) -> Prepared:
        """Check chain and code, then simulate and price a call."""
        self._require_trusted(call)
        with self._closing_told(call):
            return prepare(self.connection, sender, call)

    def send(
        self,
        signer: Signer,
        call: Call,
        *,
        dry_run: bool = False,
        before_broadcast: Callable[[], None] | None = None,
    ) -> Receipt:
        """Check chain and code, simulate, price, sign, broadcast and wait.

        ``before_broadcast`` is called when the simulation has passed, as in ``transactions.send``.

        Raises
        ------
        WrongChain, CodeMismatch
            If the node or the contract is not the deployment's.
        ContractClosed
            If it refuses because governance closed it.
        ContractError
            The named exception, if the contract would refuse; nothing is sent then.
        """
        self._require_trusted(call)
        with self._closing_told(call):
            return send(self.connection, signer, call, dry_run=dry_run, before_broadcast=before_broadcast)

    @contextmanager
    def _closing_told(self, call: Call) -> Iterator[None]:
        """Say of a refusal that the contract is closed: it answers as if the caller lacked the role."""
        try:
            yield
        except AccessManagedUnauthorized as refusal:
            if call.target is None or not self.access_manager.is_closed(call.target):
                raise
            raise ContractClosed(
                f"{call.contract} is closed: {call.function} is refused to every role",
                hint="an administrator opens it, after the delay, with AccessManager.setTargetClosed("
                f"{call.target}, false); timebank chain status shows who is ADMIN and what is closed",
            ) from refusal

    def _require_trusted(self, call: Call) -> None:
        """Check chain and code; of somebody else's token nothing is known, but only its allowance is set."""
        if (call.contract, call.function) == (ForeignToken.SHOWN, "approve"):
            self.connection.require_chain(self.deployment.chain_id)
        else:
            ensure_trusted(self.connection, self.deployment, call.target)

    def govern(self, signer: Signer, call: Call, *, dry_run: bool = False) -> GovernanceStep:
        """Do the next step of a restricted call: directly, or scheduled first and executed later.

        Call it again with the same call: it schedules, then tells how long to wait, then executes.
        """
        if call.target is None:
            raise ValueError("creating a contract is not governed")
        manager, me = self.access_manager, signer.address
        permission = manager.can_call(me, call.target, call.data[:4])
        if permission.immediate or permission.delay == 0:
            # Without any permission the simulation raises the contract's own named error.
            return GovernanceStep(GovernanceState.DONE, 0, self.send(signer, call, dry_run=dry_run))
        ready_at = manager.ready_at(me, call)
        if ready_at == 0:
            receipt = self.send(signer, manager.schedule(call), dry_run=dry_run)
            return GovernanceStep(GovernanceState.SCHEDULED, manager.ready_at(me, call), receipt)
        if ready_at > self.connection.pending_timestamp():
            return GovernanceStep(GovernanceState.WAITING, ready_at, None)
        return GovernanceStep(
            GovernanceState.DONE, 0, self.send(signer, manager.execute(call), dry_run=dry_run)
        )


def open_timebank(connection: Connection, deployment: Deployment) -> Timebank:
    """Make the clients of a deployment.

    Raises
    ------
    WrongChain
        If the node serves another chain.
    """
    connection.require_chain(deployment.chain_id)
    at = deployment.addresses()
    return Timebank(
        connection=connection,
        deployment=deployment,
        access_manager=AccessManager(connection, at["AccessManager"]),
        member_registry=MemberRegistry(connection, at["MemberRegistry"]),
        policy_registry=PolicyRegistry(connection, at["PolicyRegistry"]),
        rate_oracle=RateOracle(connection, at["RateOracle"]),
        rate_float=RateFloat(connection, at["RateFloat"]),
        epoch_challenge=EpochChallenge(connection, at["EpochChallenge"]),
        leaf_requests=LeafRequests(connection, at["LeafRequests"]),
        credit_distributor=CreditDistributor(connection, at["CreditDistributor"]),
        attention_credit=AttentionCredit(connection, at["AttentionCredit"]),
        fee_pool=FeePool(connection, at["FeePool"]),
        credit_payments=CreditPayments(connection, at["CreditPayments"]),
        time_bank=TimeBank(connection, at["TimeBank"]),
        credit_lending=CreditLending(connection, at["CreditLending"]),
        credit_lease=CreditLease(connection, at["CreditLease"]),
        credit_exchange=CreditExchange(connection, at["CreditExchange"]),
        service_escrow=ServiceEscrow(connection, at["ServiceEscrow"]),
    )
