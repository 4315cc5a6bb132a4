"""A community with planted groups: each member takes only from their group's items, most often the recent."""

from __future__ import annotations

from pathlib import Path

import numpy as np

GROUPS, MEMBERS, ITEMS, ACTS = 4, 20, 12, 9
DAY_MS = 86_400_000


def rows(seed: int = 0) -> list[tuple[str, str, int]]:
    """Return (member, item, at_ms): nothing tells the groups apart but who takes what."""
    chance = np.random.default_rng(seed)
    found = []
    for member in range(GROUPS * MEMBERS):
        group = member % GROUPS
        for number, item in enumerate(chance.permutation(ITEMS)[:ACTS]):
            at = (number * GROUPS * MEMBERS + member) * DAY_MS
            found.append((f"member-{member:02}", f"item-{group}-{item:02}", at))
    return found


def write(path: Path, seed: int = 0) -> Path:
    """Write the community as CSV."""
    lines = [f"{member},{item},{at}" for member, item, at in rows(seed)]
    path.write_text("member,object,at_ms\n" + "\n".join(lines) + "\n", "utf-8")
    return path
