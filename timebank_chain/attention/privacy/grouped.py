"""Reports in which nobody stands alone: groups of at least k members, no sum that is one member's part.

A group is published when it has at least ``k`` members and none of them makes up more than ``most_share`` of
any of its figures (otherwise the figure is that member's, give or take a little). All others become one
group, ``(others)``; while that one fails itself, the published group with the fewest members joins it. So
totals are safe to print: total minus all published groups is ``(others)``, which is a group like any other.
The number of different members in all is printed only where no member is in two groups, because otherwise
it tells how many are, and that may be one.

What this does not stop is two reports that differ by one person, a day apart: for figures that are asked for
again and again, use noise on a budget (`noisy`).

Thresholds and dominance: Hundepool et al., "Statistical Disclosure Control" (2012), chapters 4 and 5.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction

from timebank_chain.activity import ActivityTable
from timebank_chain.errors import AttentionError

OTHERS = "(others)"
FIGURES = ("acts", "interaction_milli", "originality_milli", "engagement_milli")
LEAST_K = 2
MOST_SHARE = Fraction(4, 5)

_KEYS = {
    "domain": "",
    "day": "%Y-%m-%d",
    "month": "%Y-%m",
    "year": "%Y",
}
BY = tuple(_KEYS)


@dataclass
class Group:
    """A group's members, and each one's part of every figure."""

    name: str
    parts: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in FIGURES})

    @property
    def members(self) -> int:
        """How many different members."""
        return len(self.parts["acts"])

    def figure(self, name: str) -> int:
        """Return a figure over all members."""
        return self.parts[name].total()

    def safe(self, k: int, most_share: Fraction) -> bool:
        """Tell whether it can be published."""
        if self.members < k:
            return False
        return all(
            max(parts.values()) <= most_share * total
            for parts in self.parts.values()
            if (total := parts.total())
        )

    def join(self, other: Group) -> None:
        """Take another group in."""
        for name, parts in other.parts.items():
            self.parts[name].update(parts)


@dataclass(frozen=True)
class GroupedReport:
    """What may be shown.

    Attributes
    ----------
    groups
        By name, ``(others)`` last; empty where even all together are too few.
    merged
        How many groups are in ``(others)``.
    total
        The sums of the published groups, ``None`` where there are none.
    members
        How many different members in all, ``None`` where that would tell how many are in two groups.
    """

    k: int
    most_share: Fraction
    groups: tuple[Group, ...]
    merged: int
    total: dict[str, int] | None
    members: int | None


def grouped_report(
    table: ActivityTable, by: tuple[str, ...], k: int, *, most_share: Fraction = MOST_SHARE
) -> GroupedReport:
    """Group acts and give out only what tells of nobody alone.

    Parameters
    ----------
    by
        What makes a group: any of ``domain``, ``day``, ``month``, ``year`` (UTC).
    k
        The least members of a published group, at least 2.
    most_share
        The most one member may make up of any figure, above 0 and at most 1.

    Raises
    ------
    AttentionError
        If an argument is out of range.
    """
    if k < LEAST_K:
        raise AttentionError(f"k = {k}: at least {LEAST_K}, or a group is one person")
    if not 0 < most_share <= 1:
        raise AttentionError(f"a share of {most_share}: above 0 and at most 1")
    if not by or set(by) - set(BY):
        raise AttentionError(f"cannot group by {', '.join(by) or 'nothing'}", hint=f"any of {', '.join(BY)}")
    groups = _groups(table, by)
    open_: list[Group] = []
    small: list[Group] = []
    for group in sorted(groups, key=lambda one: (one.members, one.name)):
        (open_ if group.safe(k, most_share) else small).append(group)
    others, merged = Group(OTHERS), len(small)
    for group in small:
        others.join(group)
    while merged and open_ and not others.safe(k, most_share):
        others.join(open_.pop(0))
        merged += 1
    if merged and not others.safe(k, most_share):
        return GroupedReport(k, most_share, (), merged, None, None)
    published = (*sorted(open_, key=lambda one: one.name), *([others] if merged else []))
    if not published:
        return GroupedReport(k, most_share, (), 0, None, None)
    everybody = {member for group in published for member in group.parts["acts"]}
    apart = sum(group.members for group in published) == len(everybody)
    total = {name: sum(group.figure(name) for group in published) for name in FIGURES}
    return GroupedReport(k, most_share, published, merged, total, len(everybody) if apart else None)


def _groups(table: ActivityTable, by: tuple[str, ...]) -> list[Group]:
    groups: dict[str, Group] = {}
    columns = [getattr(table, name).tolist() for name in FIGURES[1:]]
    for row, (member, domain, occurred) in enumerate(
        zip(table.member, table.domain, table.occurred_ms.tolist(), strict=True)
    ):
        moment = datetime.fromtimestamp(occurred / 1_000, UTC)
        name = " ".join(domain if key == "domain" else moment.strftime(_KEYS[key]) for key in by)
        group = groups.setdefault(name, Group(name))
        group.parts["acts"][member] += 1
        for figure, column in zip(FIGURES[1:], columns, strict=True):
            if column[row]:
                group.parts[figure][member] += column[row]
    return list(groups.values())
