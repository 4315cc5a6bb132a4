"""Why an account's numbers changed from one published epoch to the next.

Takes two published epochs with their policies, whose rows must have the roots their headers name; every part
is worked out from the acts, and a leaf that they do not lead to is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from timebank_chain.epoch.file import PublishedEpoch
from timebank_chain.epoch.proof import checked_tree
from timebank_chain.errors import EpochError, TamperedEpoch
from timebank_chain.valuation import Policy, policy_hash
from timebank_chain.valuation.change import (
    AccountChange,
    Change,
    EpochActs,
    Numbers,
    Parameters,
    explain_change,
)

_PARTS = ("own_activity", "others_activity", "new_activity", "ageing", "policy", "rate", "pot", "parameters")


@dataclass(frozen=True, slots=True)
class ExplainedEpoch:
    """An account's numbers in an epoch beside those of the epoch before, and what lies between.

    ``before`` is ``None`` for the first epoch; ``acts`` and ``acts_before`` count the account's acts.
    """

    account: bytes
    epoch: int
    start_ms: int
    end_ms: int
    before: Parameters | None
    now: Parameters
    acts_before: int
    acts: int
    change: AccountChange

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as JSON values; amounts in millionths."""

        def parameters(of: Parameters) -> dict[str, Any]:
            return {
                "policy": of.policy.name,
                "policy_version": of.policy.version,
                "policy_hash": "0x" + policy_hash(of.policy).hex(),
                "rate_q24": of.rate_q24,
                "pot_micro": of.pot,
            }

        def parts(of: Change) -> dict[str, int]:
            return {
                "before_micro": of.before,
                "after_micro": of.after,
                "difference_micro": of.difference,
                **{f"{name}_micro": int(getattr(of, name)) for name in _PARTS},
                "remainder": of.remainder,
            }

        return {
            "account": "0x" + self.account.hex(),
            "epoch": self.epoch,
            "start_ms": self.start_ms,
            "end_ms": self.end_ms,
            "acts_before": self.acts_before,
            "acts": self.acts,
            "parameters_before": None if self.before is None else parameters(self.before),
            "parameters": parameters(self.now),
            **{name: parts(getattr(self.change, name)) for name in ("earned", "standing", "mint")},
        }


def explain_epoch(
    published: PublishedEpoch,
    previous: PublishedEpoch | None,
    policy: Policy,
    previous_policy: Policy | None,
    account: bytes,
) -> ExplainedEpoch:
    """Divide the change of an account's (20 bytes) numbers since the epoch before into its causes.

    Parameters
    ----------
    previous, previous_policy
        The epoch before and its policy; ``None`` only for the first epoch.

    Raises
    ------
    EpochError
        If the account has no leaf in the epoch, or previous epoch or policy are others than the header's.
    TamperedEpoch
        If rows do not have their header's root, or a leaf is not what acts and parameters lead to.
    """
    header = published.header
    if (bytes(32) if previous is None else previous.header.hash()) != header.previous_header_hash:
        raise EpochError(
            f"epoch {header.epoch} follows another epoch than the one given",
            hint=f"give epoch {header.epoch - 1} of the same publisher",
        )
    index = published.accounts.find(account)
    if index is None:
        raise EpochError(
            f"0x{account.hex()} has no account in epoch {header.epoch}",
            hint="it has earned nothing up to then; who earns under a placeholder is found by --member ID",
        )
    now = _acts_of(published, policy)
    before = None if previous is None or previous_policy is None else _acts_of(previous, previous_policy)
    old, acts_before = Numbers(), 0
    if previous is not None:
        old, acts_before = _numbers(previous, previous.accounts.find(account))
    new, acts = _numbers(published, index)
    change = explain_change(before, now, account, old, new)
    for name in ("earned", "standing", "mint"):
        left = getattr(change, name).remainder
        if left:
            raise TamperedEpoch(
                f"{left} millionths of the change of {name} follow from no act and no parameter",
                where=f"{published.folder}, account row {index}",
                hint="run: timebank epoch verify --epochs DIR",
            )
    return ExplainedEpoch(
        account=account,
        epoch=header.epoch,
        start_ms=header.start_ms,
        end_ms=header.end_ms,
        before=None if before is None else before.parameters,
        now=now.parameters,
        acts_before=acts_before,
        acts=acts,
        change=change,
    )


def _acts_of(published: PublishedEpoch, policy: Policy) -> EpochActs:
    header = published.header
    if policy_hash(policy) != header.policy_hash:
        raise EpochError(
            f"epoch {header.epoch} was valued by another policy than '{policy.name}'",
            hint="use the policy published with the epoch",
        )
    checked_tree(published, "activity")
    checked_tree(published, "account")
    rows = published.activities
    if len(rows) and int(rows.domain.max()) >= len(policy.domains):
        raise TamperedEpoch(
            "an activity has a domain its policy does not know", where=f"{published.folder}, field 'domain'"
        )
    return EpochActs(
        activities=rows.as_activities(),
        account=published.accounts.account,
        activity_end=published.accounts.activity_end,
        start_ms=header.start_ms,
        end_ms=header.end_ms,
        parameters=Parameters(policy, header.rate_q24, header.pot),
    )


def _numbers(published: PublishedEpoch, index: int | None) -> tuple[Numbers, int]:
    if index is None:
        return Numbers(), 0
    rows = published.accounts
    acts = rows.activities_of(index)
    return Numbers(int(rows.earned[index]), int(rows.standing[index]), int(rows.mint[index])), (
        acts.stop - acts.start
    )
