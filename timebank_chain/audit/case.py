"""What all checks look at: the evidence from the chain, the ledger replayed from it, the epoch files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from web3 import Web3

from timebank_chain.audit.bank_replay import BankLedger, replay_bank
from timebank_chain.audit.challenge_book import ChallengeBook, ChallengeRules, replay_challenges
from timebank_chain.audit.evidence import Evidence
from timebank_chain.audit.exchange_book import ExchangeBook
from timebank_chain.audit.files import EpochFiles, read_epoch_files, read_policy
from timebank_chain.audit.movements import Movements, trace
from timebank_chain.audit.recompute import Recomputed, recompute
from timebank_chain.audit.replay import Ledger, Proposal
from timebank_chain.audit.report import Difference
from timebank_chain.audit.service_book import ServiceBook
from timebank_chain.epoch import EpochHeader
from timebank_chain.errors import EpochError
from timebank_chain.valuation import Policy

if TYPE_CHECKING:
    from timebank_chain.chain.deployment import Deployment


@dataclass
class EpochCase:
    """One epoch that stands (finalised or still pending): chain, files and recomputation side by side.

    Attributes
    ----------
    header
        From the event, or ``None`` where its fields make no header.
    files
        What is published, with its faults.
    policy, policy_fault
        The published policy, or what is wrong with its file.
    recomputed
        From the published activities and the accounts recomputed before.
    """

    proposal: Proposal
    header: EpochHeader | None
    header_fault: str
    files: EpochFiles
    policy: Policy | None
    policy_fault: Difference | None
    recomputed: Recomputed

    @property
    def number(self) -> int:
        """The epoch's number."""
        return self.proposal.epoch

    @cached_property
    def account_rows(self) -> Mapping[str, int]:
        """Account in lower-case hex -> its row in the account leaves that stand for this epoch."""
        columns = self.recomputed.accounts or self.files.accounts
        if columns is None:
            return {}
        return {"0x" + row.tobytes().hex(): index for index, row in enumerate(columns["account"])}

    @cached_property
    def previous_rows(self) -> Mapping[bytes, int]:
        """Account -> its row in the account leaves of the epoch before."""
        columns = self.recomputed.previous
        if columns is None:
            return {}
        return {row.tobytes(): index for index, row in enumerate(columns["account"])}

    def leaf(self, account: str) -> Mapping[str, int] | None:
        """Return an account's recomputed leaf (published where it cannot be recomputed)."""
        columns = self.recomputed.accounts or self.files.accounts
        row = self.account_rows.get(account.lower())
        if columns is None or row is None:
            return None
        return {name: int(column[row]) for name, column in columns.items() if name != "account"}


@dataclass
class AuditCase:
    """Everything a check may look at.

    Attributes
    ----------
    evidence
        The chain, pinned to one block.
    ledger
        The state that follows from the events.
    deployment
        The manifest under audit.
    epochs_folder
        Where the epochs are published.
    artifacts_folder
        Where the compiled contracts are.
    activity_file
        Raw activity table, when one was handed in.
    erased_file
        Who asked to be forgotten, when such a list was handed in: their records are in no table any more.
    storage_is_whole
        Whether A9 showed that nothing is stored but what events explain: then nobody needs to be
        asked whom no event names.
    """

    evidence: Evidence
    ledger: Ledger
    deployment: Deployment
    chain_id: int
    epochs_folder: Path
    artifacts_folder: Path
    activity_file: Path | None = None
    erased_file: Path | None = None
    progress: Callable[[str], None] = lambda _text: None
    storage_is_whole: bool = False
    _epochs: list[EpochCase] | None = field(default=None, repr=False)

    @staticmethod
    def checksum(account: str) -> str:
        """Return an address as the events write it."""
        return Web3.to_checksum_address(account)

    @cached_property
    def bank(self) -> BankLedger:
        """The state of the bank's contracts that follows from the events."""
        # The rate the pool opened with is the last word its constructor was given, and in no event.
        arguments = self.deployment.contracts["CreditLending"].constructor_arguments
        evidence = self.evidence
        return replay_bank(
            evidence.events, evidence.addresses, evidence.timestamp, int.from_bytes(arguments[-32:], "big")
        )

    @cached_property
    def services(self) -> ServiceBook:
        """The market for services as its events leave it."""
        book = ServiceBook(self.evidence.addresses, [])
        for event in self.evidence.events:
            if event.contract == "ServiceEscrow":
                book.apply(event, self.evidence.timestamp(event.block))
        return book

    @cached_property
    def challenges(self) -> ChallengeBook:
        """What happened to proposals under challenge, as it follows from the events."""
        # Oracle, answer time and deposit: three words, in no event and never changed.
        words = self.deployment.contracts["LeafRequests"].constructor_arguments
        answer_time, deposit = (int.from_bytes(words[at : at + 32], "big") for at in (32, 64))
        evidence = self.evidence
        return replay_challenges(
            evidence.events, self.ledger.proposals, ChallengeRules(answer_time, deposit, evidence.timestamp)
        )

    @cached_property
    def exchange(self) -> ExchangeBook:
        """The state of the exchange that follows from the events."""
        book = ExchangeBook(self.evidence.addresses, [])
        for event in self.evidence.events:
            if event.contract == "CreditExchange":
                book.apply(event, self.evidence.timestamp(event.block))
        return book

    @cached_property
    def movements(self) -> Movements:
        """Credits that moved to and from the bank's contracts."""
        return trace(self.evidence.events, self.evidence.addresses)

    @property
    def epochs(self) -> Sequence[EpochCase]:
        """The epochs that stand, in order; voided proposals are not among them."""
        if self._epochs is None:
            self._epochs = list(self._read_epochs())
        return self._epochs

    def epoch(self, number: int) -> EpochCase | None:
        """Return the standing epoch of this number."""
        return next((epoch for epoch in self.epochs if epoch.number == number), None)

    def _read_epochs(self) -> list[EpochCase]:
        epochs: list[EpochCase] = []
        for proposal in self.ledger.proposals:
            if proposal.outcome == "voided":
                continue
            self.progress(f"epoch {proposal.epoch}: recomputing")
            header, fault = header_of(proposal.header)
            files = read_epoch_files(self.epochs_folder, proposal.epoch)
            policy, policy_fault = (
                (None, None) if header is None else read_policy(self.epochs_folder, header.policy_hash)
            )
            before = epochs[-1] if epochs else None
            previous = None if before is None else before.recomputed.accounts or before.files.accounts
            if header is None or policy is None:
                recomputed = Recomputed.impossible("the header or the policy cannot be read")
            elif before is not None and previous is None:
                recomputed = Recomputed.impossible(f"the accounts of epoch {before.number} cannot be had")
            else:
                recomputed = recompute(files, previous, policy, header)
            epochs.append(EpochCase(proposal, header, fault, files, policy, policy_fault, recomputed))
        return epochs


def header_of(values: Mapping[str, Any]) -> tuple[EpochHeader | None, str]:
    """Read a header decoded from an event, or say why its fields make none."""
    try:
        return EpochHeader.from_call(tuple(values.values())), ""
    except (EpochError, ValueError, TypeError) as error:
        return None, str(error)
