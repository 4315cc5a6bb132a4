"""What a quorum member does before signing: recompute the epoch, from their own feed.

A signature says "my own records give this". Whoever has no feed of their own can still check the
published rows against policy, previous epoch and header, which proves the arithmetic but not that
the acts are real.
"""

from __future__ import annotations

from timebank_chain.activity import ActivityTable, Members
from timebank_chain.epoch import Finding, PublishedEpoch, verify_epoch, verify_records
from timebank_chain.errors import OracleError
from timebank_chain.valuation import Policy


def differences(
    published: PublishedEpoch,
    previous: PublishedEpoch | None,
    policy: Policy,
    source: tuple[ActivityTable, Members] | None,
) -> list[Finding]:
    """Return what is wrong with a published epoch, worst first; empty when it may be signed.

    Parameters
    ----------
    source
        The member's own acts and members file; ``None`` trusts the published rows.
    """
    findings = verify_epoch(published, previous, policy)
    if not findings and source is not None:
        table, members = source
        findings = verify_records(published, table, members, policy)
    return findings


def require_signable(
    published: PublishedEpoch,
    previous: PublishedEpoch | None,
    policy: Policy,
    source: tuple[ActivityTable, Members] | None,
) -> None:
    """Refuse an epoch that must not be signed.

    Raises
    ------
    OracleError
        Naming the first difference.
    """
    findings = differences(published, previous, policy, source)
    if findings:
        more = f" ({len(findings) - 1} more)" if len(findings) > 1 else ""
        raise OracleError(
            f"epoch {published.number} is not what your own data gives: {findings[0].message}{more}",
            where=findings[0].where,
            hint="compare feeds, members files and policy with the publisher; nothing was signed",
        )
