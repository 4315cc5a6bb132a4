"""What happened in a demo run, as data: printed for people, or as one ``timebank.demo/1`` document."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timebank_chain.audit import AuditReport
from timebank_chain.epoch import PublishedEpoch
from timebank_chain.epoch.receipts import Receipt
from timebank_chain.units import Q24, format_micro
from timebank_chain.valuation import Policy, half_life_of, policy_hash, tau_of


@dataclass(frozen=True)
class EpochStory:
    """One epoch from its acts to its claims; amounts in micro-credits."""

    published: PublishedEpoch
    claimed_accounts: int
    claimed_micro: int
    unclaimed_micro: int
    gas_propose: int
    gas_finalise: int
    gas_claims: int

    def to_json(self) -> dict[str, Any]:
        """Return the epoch as JSON values; times in Unix milliseconds."""
        header = self.published.header
        return {
            "epoch": header.epoch,
            "start_ms": header.start_ms,
            "end_ms": header.end_ms,
            "activities": header.activity_count,
            "accounts": header.account_count,
            "active": header.active_count,
            "total_earned_micro": header.total_earned,
            "total_mint_micro": header.total_mint,
            "pot_micro": header.pot,
            "header_hash": "0x" + header.hash().hex(),
            "claimed_accounts": self.claimed_accounts,
            "claimed_micro": self.claimed_micro,
            "unclaimed_micro": self.unclaimed_micro,
            "gas": {"propose": self.gas_propose, "finalise": self.gas_finalise, "claims": self.gas_claims},
        }


@dataclass(frozen=True)
class Movement:
    """A transfer or payment; amounts in micro-credits, ``fee_micro`` 0 for a plain transfer."""

    kind: str
    sender: str
    receiver: str
    amount_micro: int
    fee_micro: int
    memo: str
    gas: int

    def to_json(self) -> dict[str, Any]:
        """Return the movement as JSON values."""
        return {
            "kind": self.kind,
            "from": self.sender,
            "to": self.receiver,
            "amount_micro": self.amount_micro,
            "fee_micro": self.fee_micro,
            "memo": self.memo,
            "gas": self.gas,
        }


@dataclass(frozen=True)
class BankScene:
    """One step of a chapter, the bank's or the market's; micro-credits."""

    what: str
    member: str
    amount_micro: int
    note: str
    gas: int

    def to_json(self) -> dict[str, Any]:
        """Return the step as JSON values."""
        return {
            "what": self.what,
            "member": self.member,
            "amount_micro": self.amount_micro,
            "note": self.note,
            "gas": self.gas,
        }


@dataclass(frozen=True)
class RateMove:
    """How an epoch moved the rate.

    Attributes
    ----------
    spent_micro, minted_micro
        By members since the epoch before, and by this epoch.
    excess_micro
        Spent beyond what was minted, within the bounds, since the rate floats.
    previous_rate_q24, rate_q24
        Micro-credits per micro-value, 2**24 = 1.0: of this epoch, and of the next.
    """

    epoch: int
    spent_micro: int
    minted_micro: int
    excess_micro: int
    previous_rate_q24: int
    rate_q24: int

    def sentence(self) -> str:
        """Say it in words, with the numbers."""
        before, after = (f"{rate / Q24:.6f}" for rate in (self.previous_rate_q24, self.rate_q24))
        moved = 100 * abs(self.rate_q24 - self.previous_rate_q24) / self.previous_rate_q24
        why = (
            f"members spent {format_micro(self.spent_micro)} credits, the epoch minted "
            f"{format_micro(self.minted_micro)}"
        )
        if self.rate_q24 == self.previous_rate_q24:
            return f"the rate stays at {before} credits per value: {why}"
        verb = "rises" if self.rate_q24 > self.previous_rate_q24 else "falls"
        return f"the rate {verb} by {moved:.2f} %, from {before} to {after} credits per value: {why}"

    def to_json(self) -> dict[str, Any]:
        """Return the move as JSON values."""
        return {
            "epoch": self.epoch,
            "spent_micro": self.spent_micro,
            "minted_micro": self.minted_micro,
            "excess_micro": self.excess_micro,
            "previous_rate_q24": self.previous_rate_q24,
            "rate_q24": self.rate_q24,
        }


@dataclass(frozen=True)
class MemberStory:
    """A member with a wallet at the end of the run; micro-credits."""

    member: str
    address: str
    granted_micro: int
    balance_micro: int
    standing_micro: int

    def to_json(self) -> dict[str, Any]:
        """Return the member as JSON values."""
        return {
            "member": self.member,
            "address": self.address,
            "granted_micro": self.granted_micro,
            "balance_micro": self.balance_micro,
            "standing_micro": self.standing_micro,
        }


@dataclass
class Story:
    """The whole run, filled in as it goes on."""

    kind: str
    place: str
    read: int
    kept: int
    rejected: dict[str, int]
    policy: Policy
    folder: Path
    chain_id: int = 0
    contracts: dict[str, str] = field(default_factory=dict)
    epochs: list[EpochStory] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)
    bank: list[BankScene] = field(default_factory=list)
    services: list[BankScene] = field(default_factory=list)
    rates: list[RateMove] = field(default_factory=list)
    linked: tuple[str, str, str, int] | None = None
    members: list[MemberStory] = field(default_factory=list)
    supply_micro: int = 0
    receipt_member: str = ""
    receipt: Receipt | None = None
    audit: AuditReport | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the body of the ``timebank.demo/1`` document."""
        if self.audit is None or self.receipt is None:
            raise ValueError("the demo has not ended")
        linked = self.linked
        return {
            "ok": self.audit.ok,
            "verdict": self.audit.verdict,
            "history": {
                "kind": self.kind,
                "place": self.place,
                "read": self.read,
                "kept": self.kept,
                "rejected": self.rejected,
            },
            "policy": {
                "name": self.policy.name,
                "policy_hash": "0x" + policy_hash(self.policy).hex(),
                "tau_ms": tau_of(self.policy.decay_k),
                "half_life_ms": half_life_of(self.policy.decay_k),
                "epoch_ms": self.policy.epoch_ms,
                "windows_ms": {domain.name: domain.window_ms for domain in self.policy.domains},
            },
            "chain_id": self.chain_id,
            "contracts": self.contracts,
            "epochs": [epoch.to_json() for epoch in self.epochs],
            "movements": [movement.to_json() for movement in self.movements],
            "bank": [scene.to_json() for scene in self.bank],
            "services": [scene.to_json() for scene in self.services],
            "rates": [move.to_json() for move in self.rates],
            "linked": None
            if linked is None
            else dict(zip(("member", "placeholder", "wallet", "claimed_micro"), linked, strict=True)),
            "members": [member.to_json() for member in self.members],
            "supply_micro": self.supply_micro,
            "receipt": {"member": self.receipt_member, **self.receipt.to_json()},
            "audit": self.audit.body(),
            "folder": str(self.folder),
        }
