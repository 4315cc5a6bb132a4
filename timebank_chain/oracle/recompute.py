"""What a quorum member does before signing: recompute the epoch, from their own feed.

A signature says "my own records give this". Whoever has no feed of their own can still check the
published rows against policy, previous epoch and header, which proves the arithmetic but not that
the acts are real.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from timebank_chain.activity import ActivityTable, Members
from timebank_chain.epoch import Finding, PublishedEpoch, read_epoch, verify_epoch, verify_records
from timebank_chain.errors import OracleError
from timebank_chain.valuation import Policy

_COMPARE = "compare feeds, members files and policy with the publisher; nothing was signed"
_REBUILD = (
    "all that differs was erased since, and nothing is left to compare it with: if it is not final (then it "
    "stays as it is, and needs no signature), the publisher erases it too and builds the epoch again "
    "(timebank epoch build --epoch {number} --force; the daemon does it by itself), then sign that; nothing "
    "was signed"
)
_FINAL = "the epoch is final already: it needs no signature, and stays as it is; nothing was signed"


def differences(
    published: PublishedEpoch,
    previous: PublishedEpoch | None,
    policy: Policy,
    source: tuple[ActivityTable, Members] | None,
    erased: frozenset[bytes] = frozenset(),
) -> list[Finding]:
    """Return what is wrong with a published epoch, worst first; empty when it may be signed.

    Parameters
    ----------
    source
        The member's own acts and members file; ``None`` trusts the published rows.
    erased
        Record ids of acts to pass over if the member's own are gone.
    """
    findings = verify_epoch(published, previous, policy)
    if not findings and source is not None:
        table, members = source
        findings = verify_records(published, table, members, policy, erased)
    return findings


def require_signable(
    published: PublishedEpoch,
    previous: PublishedEpoch | None,
    policy: Policy,
    source: tuple[ActivityTable, Members] | None,
    erased: frozenset[bytes] = frozenset(),
    *,
    is_final: Callable[[], bool] = lambda: False,
) -> None:
    """Refuse an epoch that must not be signed.

    Parameters
    ----------
    erased
        Record ids of acts that were erased. They excuse nothing: what the epoch says of them could be
        anything, and a signature says that one's own records give it. They only tell the way out.
    is_final
        Tells whether the chain has made it final: then it is not built again.

    Raises
    ------
    OracleError
        Naming the first difference.
    """
    findings = differences(published, previous, policy, source)
    if findings:
        more = f" ({len(findings) - 1} more)" if len(findings) > 1 else ""
        only_erased = bool(erased) and not differences(published, previous, policy, source, erased)
        raise OracleError(
            f"epoch {published.number} is not what your own data gives: {findings[0].message}{more}",
            where=findings[0].where,
            hint=_way_out(published.number, only_erased=only_erased, is_final=only_erased and is_final()),
        )


def _way_out(number: int, *, only_erased: bool, is_final: bool) -> str:
    if is_final:
        return _FINAL
    return _REBUILD.format(number=number) if only_erased else _COMPARE


def final_records(
    epochs: Path, published: PublishedEpoch, *, is_final: Callable[[], bool]
) -> Callable[[bytes], int | None]:
    """Return what tells which finalised epoch holds a record id, as far as an epoch's header vouches for it.

    Whoever signs an epoch accepts the ones it follows, hash by hash, as final. Nothing is read before
    the first question, because only records with one id and different contents raise it.

    Parameters
    ----------
    epochs
        The folder of published epochs.
    published
        The epoch to begin from.
    is_final
        Tells whether ``published`` itself is final. While it is open its rows decide nothing: a
        publisher could otherwise choose among the conflicting records of a signer's own feed.

    Raises
    ------
    OracleError
        From the returned function, if an earlier epoch is another one than the next header names.
    """

    @cache
    def holders() -> dict[bytes, int]:
        held: dict[bytes, int] = {}
        epoch = published
        if is_final():
            held |= _records(epoch)
        while epoch.number > 1:
            before = read_epoch(epochs, epoch.number - 1)
            if before.header.hash() != epoch.header.previous_header_hash:
                raise OracleError(
                    f"epoch {epoch.number} follows the header 0x{epoch.header.previous_header_hash.hex()}, "
                    f"the published epoch {before.number} has 0x{before.header.hash().hex()}",
                    where=str(before.folder),
                    hint="fetch the finalised epochs' files from whoever proposed them",
                )
            held |= _records(before)
            epoch = before
        return held

    return lambda record_id: holders().get(record_id)


def _records(epoch: PublishedEpoch) -> dict[bytes, int]:
    return {record.tobytes(): epoch.number for record in epoch.activities.record_id}
