"""Why an account got what it got: each step from its acts to its credits, with the proof.

Every number is worked out again from the published rows and compared with the account's leaf, so a
receipt is never a repetition of what the publisher says: it either adds up or is refused.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from timebank_chain.epoch.file import PublishedEpoch
from timebank_chain.epoch.proof import AccountProof, account_proof
from timebank_chain.errors import EpochError, TamperedEpoch
from timebank_chain.units import MILLI
from timebank_chain.valuation import Explanation, Policy, explain, policy_hash, weight
from timebank_chain.valuation.decay import decayed
from timebank_chain.valuation.fairness import thresholds

RECEIPT_SCHEMA = "timebank.receipt/1"


@dataclass(frozen=True, slots=True)
class ReceiptActivity:
    """One act: raw indicators -> ranks -> quality -> incentive -> weight -> value.

    Indicators and ranks are in thousandths, ``quality``, ``incentive`` and ``value`` in micro-value,
    ``weight_q31`` has 2**31 for 1.0, times are in milliseconds. ``band`` is ``bonus``, ``penalty`` or
    ``plain``; ``index`` is the act's place in the activity tree.
    """

    index: int
    record_id: bytes
    domain: str
    occurred_ms: int
    age_ms: int
    interaction_milli: int
    originality_milli: int
    engagement_milli: int
    interaction_rank: int
    originality_rank: int
    engagement_rank: int
    quality: int
    band: str
    incentive: int
    weight_q31: int
    value: int


@dataclass(frozen=True, slots=True)
class ReceiptBracket:
    """What of the earned value fell into one fairness bracket, and what counts of it, in micro-value."""

    from_micro: int
    slope_milli: int
    part: int
    counted: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one account did in one epoch and what it received; value and credits in millionths.

    Attributes
    ----------
    value_sum
        Sum of the acts' values; ``earned`` is that, but never below 0.
    mean_earned, total_earned, active_count
        Of the whole epoch; the mean sets the brackets.
    phi
        What of ``earned`` counts after the brackets.
    mint_by_rate, mint_from_pot
        Credits for ``phi`` at the epoch's rate, and the share of the bonus pot; ``mint`` is their sum.
    standing_before, standing_kept
        Standing after the epoch before, and what the time since has left of it.
    """

    epoch: int
    start_ms: int
    end_ms: int
    account: bytes
    policy: str
    activities: tuple[ReceiptActivity, ...]
    value_sum: int
    earned: int
    mean_earned: int
    total_earned: int
    active_count: int
    brackets: tuple[ReceiptBracket, ...]
    phi: int
    rate_q24: int
    mint_by_rate: int
    pot: int
    mint_from_pot: int
    mint: int
    standing_before: int
    standing_kept: int
    standing: int
    cumulative_before: int
    cumulative_mint: int
    proof: AccountProof

    def to_json(self) -> dict[str, Any]:
        """Return the receipt as JSON values: integers, hashes and addresses as 0x hex."""
        document = {
            name: getattr(self, name)
            for name in self.__dataclass_fields__
            if name not in ("activities", "brackets", "proof", "account")
        }
        document["account"] = "0x" + self.account.hex()
        document["activities"] = [
            {**asdict(act), "record_id": "0x" + act.record_id.hex()} for act in self.activities
        ]
        document["brackets"] = [asdict(bracket) for bracket in self.brackets]
        document["proof"] = self.proof.to_json()
        return document


def receipt(
    published: PublishedEpoch, previous: PublishedEpoch | None, policy: Policy, account: bytes
) -> Receipt:
    """Explain what an account (20 bytes) received in an epoch.

    Parameters
    ----------
    previous
        The epoch before; ``None`` only for the first.
    policy
        The policy the header names.

    Raises
    ------
    EpochError
        If the account has no leaf in the epoch, or policy or previous epoch are others than the header's.
    TamperedEpoch
        If a step does not lead to the published number.
    """
    header = published.header
    if policy_hash(policy) != header.policy_hash:
        raise EpochError(
            f"epoch {header.epoch} was valued by another policy than '{policy.name}'",
            hint="use the policy published with the epoch",
        )
    before = bytes(32) if previous is None else previous.header.hash()
    if before != header.previous_header_hash:
        raise EpochError(
            f"epoch {header.epoch} follows another epoch than the one given",
            hint=f"give epoch {header.epoch - 1} of the same publisher",
        )
    proof = account_proof(published, account)
    leaf = proof.leaf
    acts = _explain_activities(published, policy, leaf.index)
    value_sum = sum(act.value for act in acts)
    earned = max(0, value_sum)
    mean = header.total_earned // header.active_count if header.active_count else 0
    brackets = _split(earned, mean, policy)
    phi = sum(bracket.counted for bracket in brackets)
    by_rate = (phi * header.rate_q24) >> 24
    from_pot = earned * header.pot // header.total_earned if header.total_earned else 0
    standing_before, cumulative_before = _before(previous, account)
    elapsed = weight(header.end_ms - header.start_ms, policy.decay_k)
    kept = int(decayed(np.array([standing_before], dtype=np.int64), elapsed)[0])
    result = Receipt(
        epoch=header.epoch,
        start_ms=header.start_ms,
        end_ms=header.end_ms,
        account=account,
        policy=policy.name,
        activities=acts,
        value_sum=value_sum,
        earned=earned,
        mean_earned=mean,
        total_earned=header.total_earned,
        active_count=header.active_count,
        brackets=brackets,
        phi=phi,
        rate_q24=header.rate_q24,
        mint_by_rate=by_rate,
        pot=header.pot,
        mint_from_pot=from_pot,
        mint=by_rate + from_pot,
        standing_before=standing_before,
        standing_kept=kept,
        standing=kept + earned,
        cumulative_before=cumulative_before,
        cumulative_mint=cumulative_before + by_rate + from_pot,
        proof=proof,
    )
    for field in ("earned", "mint", "standing", "cumulative_mint"):
        _require(published, f"account row {leaf.index}", field, getattr(leaf, field), getattr(result, field))
    return result


def _explain_activities(published: PublishedEpoch, policy: Policy, index: int) -> tuple[ReceiptActivity, ...]:
    rows = published.activities
    place = published.accounts.activities_of(index)
    account = published.accounts.account[index]
    if not bool((rows.account[place] == account).all()):
        raise TamperedEpoch(
            "activities of another account stand in this account's range",
            where=f"{published.folder}, account row {index}, field 'activity_end'",
            hint="run: timebank epoch verify --epochs DIR",
        )
    if place.start != place.stop and int(rows.domain[place].max()) >= len(policy.domains):
        raise TamperedEpoch(
            "an activity has a domain its policy does not know",
            where=f"{published.folder}, account row {index}",
        )
    steps = explain(rows.as_activities(place), policy, end_ms=published.header.end_ms)
    acts = []
    for at, row in enumerate(range(place.start, place.stop)):
        leaf = rows.leaf(row)
        step = {name: int(getattr(steps, name)[at]) for name in Explanation.__dataclass_fields__}
        _require(published, f"activity row {row}", "value", leaf.value, step["value"])
        domain = policy.domains[leaf.domain]
        acts.append(
            ReceiptActivity(
                index=row,
                record_id=leaf.record_id,
                domain=domain.name,
                occurred_ms=leaf.occurred_ms,
                age_ms=step["age_ms"],
                interaction_milli=leaf.interaction_milli,
                originality_milli=leaf.originality_milli,
                engagement_milli=leaf.engagement_milli,
                interaction_rank=step["interaction_rank"],
                originality_rank=step["originality_rank"],
                engagement_rank=step["engagement_rank"],
                quality=step["quality"],
                band=_band(step["quality"], domain.low, domain.high),
                incentive=step["incentive"],
                weight_q31=step["weight"],
                value=step["value"],
            )
        )
    return tuple(acts)


def _band(quality: int, low: int, high: int) -> str:
    if high > 0 and quality >= high:
        return "bonus"
    return "penalty" if quality < low else "plain"


def _split(earned: int, mean: int, policy: Policy) -> tuple[ReceiptBracket, ...]:
    starts = thresholds(mean, policy.brackets)
    result = []
    for number, (start, bracket) in enumerate(zip(starts, policy.brackets, strict=True)):
        end = starts[number + 1] if number + 1 < len(starts) else max(earned, start)
        part = max(0, min(earned, end) - start)
        counted = part * bracket.slope_milli // MILLI
        result.append(ReceiptBracket(start, bracket.slope_milli, part, counted))
    return tuple(result)


def _before(previous: PublishedEpoch | None, account: bytes) -> tuple[int, int]:
    index = None if previous is None else previous.accounts.find(account)
    if previous is None or index is None:
        return 0, 0
    return int(previous.accounts.standing[index]), int(previous.accounts.cumulative_mint[index])


def _require(published: PublishedEpoch, row: str, field: str, found: int, expected: int) -> None:
    if found != expected:
        raise TamperedEpoch(
            f"{found} is published, {expected} follows from the rows",
            where=f"{published.folder}, {row}, field {field!r}",
            hint="run: timebank epoch verify --epochs DIR",
        )
