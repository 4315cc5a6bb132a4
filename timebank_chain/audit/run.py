"""Runs every check of the audit over one deployment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from web3.exceptions import BlockNotFound, TransactionNotFound

from timebank_chain.audit import (
    blocks,
    challenges,
    claims,
    code,
    deposits,
    epochs,
    exchange,
    fees,
    governance,
    leases,
    leaves,
    lending,
    movements,
    payments,
    pledges,
    policies,
    rates,
    registry,
    sample,
    services,
    storage,
    supply,
)
from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.evidence import CONTRACTS, Evidence, ViewFailed, read_artifacts
from timebank_chain.audit.replay import replay
from timebank_chain.audit.report import AuditReport, Check, Tally
from timebank_chain.errors import DeploymentError, UsageError

if TYPE_CHECKING:
    from timebank_chain.chain.connection import Connection
    from timebank_chain.chain.deployment import Deployment

CheckFunction = Callable[[AuditCase], Check]

#: Every check under its number, in the order of the report.
CHECKS: tuple[tuple[str, CheckFunction], ...] = (
    ("A1", code.check_chain),
    ("A2", code.check_artifacts),
    ("A3", code.check_code),
    ("A4", code.check_wiring),
    ("A5", blocks.check_events),
    ("A6", blocks.check_blocks),
    ("A7", supply.check_supply),
    ("A8", supply.check_balances),
    ("A9", storage.check_storage),
    ("A10", supply.check_mints),
    ("A11", claims.check_claims),
    ("A12", claims.check_claimed_views),
    ("A13", claims.check_claim_totals),
    ("A14", registry.check_links),
    ("A15", registry.check_receivers),
    ("A16", payments.check_fee_formula),
    ("A17", payments.check_payment_transfers),
    ("A18", fees.check_fee_pool),
    ("A19", governance.check_parameters),
    ("A20", governance.check_bonds),
    ("A21", epochs.check_header_chain),
    ("A22", epochs.check_header_hashes),
    ("A23", epochs.check_signatures),
    ("A24", epochs.check_rules),
    ("A25", epochs.check_files),
    ("A26", epochs.check_policies),
    ("A27", leaves.check_activity_leaves),
    ("A28", leaves.check_account_leaves),
    ("A29", leaves.check_nobody_dropped),
    ("A30", leaves.check_roots),
    ("A31", sample.check_sample),
    ("A32", epochs.check_latest),
    ("A33", leaves.check_record_ids),
    ("A34", deposits.check_holdings),
    ("A35", deposits.check_deposits),
    ("A36", deposits.check_income),
    ("A37", lending.check_pool),
    ("A38", lending.check_interest),
    ("A39", lending.check_share_value),
    ("A40", lending.check_share_balances),
    ("A41", lending.check_loans),
    ("A42", lending.check_losses),
    ("A43", pledges.check_pledges),
    ("A44", pledges.check_claims_first),
    ("A45", leases.check_leases),
    ("A46", leases.check_offers),
    ("A47", movements.check_movements),
    ("A48", policies.check_registered),
    ("A49", challenges.check_voids),
    ("A50", challenges.check_proofs),
    ("A51", challenges.check_requests),
    ("A52", exchange.check_exchange),
    ("A53", services.check_services),
    ("A54", rates.check_rate),
)


def shipped_artifacts() -> Path:
    """Return the folder of the artifacts this package ships."""
    from timebank_chain import artifacts

    return Path(str(artifacts.__file__)).parent


def run_audit(
    connection: Connection,
    deployment: Deployment,
    epochs_folder: Path,
    *,
    deployment_file: Path | None = None,
    activity: Path | None = None,
    erased: Path | None = None,
    artifacts: Path | None = None,
    from_block: int | None = None,
    to_block: int | None = None,
    progress: Callable[[str], None] = lambda _text: None,
) -> AuditReport:
    """Replay every event and recompute every epoch; say check by check what holds.

    Parameters
    ----------
    connection
        A node of the chain; nothing is sent.
    deployment
        Where the contracts are.
    epochs_folder
        The published epochs.
    deployment_file
        Where the manifest was read from, for the report.
    activity
        Raw activity table to compare record ids with.
    erased
        Who asked to be forgotten since: their published records are in no table any more.
    artifacts
        Folder of compiled contracts, default: those shipped.
    from_block
        First block of the replay, default: the deployment's; a later one is refused, since balances
        cannot be replayed from the middle.
    to_block
        Block every view is pinned to, default: the newest.
    progress
        Is told what is going on.

    Raises
    ------
    UsageError
        If the range of blocks cannot be replayed.
    ConnectionFailed
        If the node stops answering.
    DeploymentError
        If artifacts or manifest are incomplete.
    """
    from timebank_chain.chain.connection import shown_url

    newest = connection.block_number()
    last = newest if to_block is None else to_block
    first_deployed = deployment.first_block
    first = first_deployed if from_block is None else from_block
    if last > newest:
        raise UsageError(f"--to-block {last} is not mined yet", hint=f"the newest block is {newest}")
    if first > min(first_deployed, last):
        raise UsageError(
            f"--from-block {first} is after the deployment (block {first_deployed}) or the end ({last})",
            hint="a replay starts at the deployment or before it; leave --from-block out",
        )
    missing = [name for name in CONTRACTS if name not in deployment.contracts]
    if missing:
        raise DeploymentError(
            f"the deployment lacks {', '.join(missing)}", hint="finish it: timebank chain deploy"
        )
    folder = artifacts or shipped_artifacts()
    evidence = Evidence(
        w3=connection.w3,
        addresses={name: str(deployment.contracts[name].address) for name in CONTRACTS},
        artifacts=read_artifacts(folder),
        from_block=first,
        to_block=last,
        progress=progress,
    )
    evidence.read_events()
    case = AuditCase(
        evidence=evidence,
        ledger=replay(evidence.events),
        deployment=deployment,
        chain_id=connection.chain_id,
        epochs_folder=epochs_folder,
        artifacts_folder=folder,
        activity_file=activity,
        erased_file=erased,
        progress=progress,
    )
    done = {}
    # A9 first: what it proves about all storage at once spares the other checks many questions.
    for number, check in sorted(CHECKS, key=lambda entry: entry[1] is not storage.check_storage):
        progress(f"{number}: {(check.__doc__ or '').splitlines()[0]}")
        done[number] = _run(number, check, case)
    return AuditReport(
        chain_id=connection.chain_id,
        rpc=shown_url(connection.url),
        deployment="" if deployment_file is None else str(deployment_file),
        epochs=str(epochs_folder),
        from_block=first,
        to_block=last,
        checks=tuple(done[number] for number, _ in CHECKS),
    )


def _run(number: str, check: CheckFunction, case: AuditCase) -> Check:
    """Run one check; what it needs and cannot read from the contracts fails it."""
    try:
        return check(case)
    except (ViewFailed, TransactionNotFound, BlockNotFound) as error:
        name = (check.__doc__ or "").splitlines()[0].removeprefix("Check ").rstrip(".")
        tally = Tally(number, name)
        tally.fail(
            "contract view or node record",
            "an answer as the artifact's ABI describes it",
            str(error),
            "the contract or the node does not answer as this deployment must",
        )
        return tally.done("stopped")
