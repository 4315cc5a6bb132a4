"""Real published epochs for tests: activities valued, built, published, signed, proposed, finalised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from timebank_chain.activity.members import Members
from timebank_chain.activity.table import ActivityTable
from timebank_chain.chain.addresses import address_bytes
from timebank_chain.chain.signer import LocalSigner
from timebank_chain.chain.system import Timebank
from timebank_chain.epoch import PublishedEpoch, build_epoch, publish, read_epoch
from timebank_chain.valuation.policy import Policy, load_policy

EPOCH_MS = 3_600_000
START_MS = 1_700_000_000_000


def identity() -> Policy:
    return load_policy("identity")


def activity(
    members: Sequence[str], *, number: int, times: int = 2, origin_ms: int = START_MS
) -> ActivityTable:
    """``times`` acts of each member in the epoch ``number``; the nth member's are the more original."""
    policy = identity()
    rows = [(member, n, act) for n, member in enumerate(members) for act in range(times)]
    count = len(rows)
    return ActivityTable(
        id=[f"act-{number}-{member}-{act}" for member, _, act in rows],
        member=[member for member, _, _ in rows],
        domain=[policy.domains[0].name] * count,
        occurred_ms=np.array(
            [origin_ms + (number - 1) * EPOCH_MS + 1_000 * (act + 1) for _, _, act in rows], dtype=np.int64
        ),
        window_ms=np.zeros(count, dtype=np.int64),
        interaction_milli=np.full(count, 4_000, dtype=np.uint32),
        originality_milli=np.array([1_000 + 500 * n for _, n, _ in rows], dtype=np.uint32),
        engagement_milli=np.full(count, 3_000, dtype=np.uint32),
        salt=np.zeros((count, 16), dtype=np.uint8),
    )


def publish_next(
    timebank: Timebank,
    epochs: Path,
    members: Sequence[str],
    addresses: Mapping[str, str],
    *,
    origin_ms: int = START_MS,
) -> PublishedEpoch:
    """Build and publish the next epoch; members without an address earn under their placeholder.

    ``origin_ms`` is where the first epoch starts: standing fades from an epoch's end on, so tests of it start
    at the chain's own time.
    """
    number = timebank.rate_oracle.latest_epoch() + 1
    previous = read_epoch(epochs, number - 1) if number > 1 else None
    start = origin_ms + (number - 1) * EPOCH_MS
    build = build_epoch(
        activity(members, number=number, origin_ms=origin_ms),
        Members({member: address_bytes(address) for member, address in addresses.items()}),
        identity(),
        start_ms=start,
        end_ms=start + EPOCH_MS,
        previous=previous,
        rate_q24=timebank.rate_oracle.rate_q24(),
    )
    return publish(build, epochs)


def propose(timebank: Timebank, published: PublishedEpoch, quorum: Sequence[LocalSigner]) -> None:
    """Sign by the whole ``quorum``, propose as its first member."""
    oracle = timebank.rate_oracle
    header = published.header
    digest = header.digest(timebank.connection.chain_id, address_bytes(oracle.address))
    ordered = sorted(quorum, key=lambda one: one.address.lower())
    signatures = [one.sign_digest(digest) for one in ordered]
    timebank.send(quorum[0], oracle.propose(header, signatures, oracle.bond_wei()))


def finalise(timebank: Timebank, published: PublishedEpoch, sender: LocalSigner) -> None:
    """Let the challenge window pass and finalise."""
    timebank.connection.advance_time(timebank.rate_oracle.challenge_window() + 1)
    timebank.send(sender, timebank.rate_oracle.finalise(published.header))
