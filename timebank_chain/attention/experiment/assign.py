"""Who gets which arm: a hash decides, so that anybody with the plan finds the same at any time.

``Keccak-256(tag || salt || member)``, its first eight bytes as a number in [0, 2^64), against the arms'
cumulative weights. The salt is the experiment's own 32 random bytes, so that assignments of two experiments
are independent, and starting, ending or changing another one moves nobody here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate

import numpy as np

from timebank_chain.attention.experiment.plan import Arm, Plan
from timebank_chain.epoch.keccak import MAX_ROW_BYTES, keccak, keccak_many

_TAG = b"timebank experiment assignment/1"
_BITS = 64
#: Rows of one length from which hashing them together pays.
_TOGETHER = 64


def assign(plan: Plan, member: str) -> str:
    """Return the name of a member's arm."""
    digest = keccak(_TAG + plan.salt + member.encode("utf-8"))
    return plan.arms[_arm_number(plan.arms, int.from_bytes(digest[:8], "big"))].name


def assign_many(plan: Plan, members: Sequence[str]) -> list[str]:
    """Return the names of members' arms, in their order; the same as :func:`assign` one by one."""
    prefix = _TAG + plan.salt
    rows = [member.encode("utf-8") for member in members]
    by_length: dict[int, list[int]] = {}
    for place, row in enumerate(rows):
        by_length.setdefault(len(row), []).append(place)
    drawn = np.zeros(len(rows), dtype=np.uint64)
    for length, places in by_length.items():
        if len(places) >= _TOGETHER and len(prefix) + length <= MAX_ROW_BYTES:
            joined = b"".join(prefix + rows[place] for place in places)
            digests = keccak_many(np.frombuffer(joined, dtype=np.uint8).reshape(len(places), -1))
            drawn[places] = np.ascontiguousarray(digests[:, :8]).view(">u8")[:, 0]
        else:
            for place in places:
                drawn[place] = int.from_bytes(keccak(prefix + rows[place])[:8], "big")
    bounds = np.array(_bounds(plan.arms)[:-1], dtype=np.uint64)
    names = [arm.name for arm in plan.arms]
    return [names[number] for number in np.searchsorted(bounds, drawn, side="right")]


def arm_counts(plan: Plan, arms: Iterable[str]) -> dict[str, int]:
    """Count members of each arm, in the plan's order, those without any included."""
    counted = Counter(arms)
    return {arm.name: counted[arm.name] for arm in plan.arms}


def _bounds(arms: Sequence[Arm]) -> list[int]:
    """Where each arm's part of [0, 2^64) ends; the last at 2^64 itself."""
    total = sum(arm.weight for arm in arms)
    return [(upto << _BITS) // total for upto in accumulate(arm.weight for arm in arms)]


def _arm_number(arms: Sequence[Arm], drawn: int) -> int:
    return next(number for number, bound in enumerate(_bounds(arms)) if drawn < bound)
