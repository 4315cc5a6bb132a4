"""``timebank chain set-quorum | set-bond | set-window | void-epoch``: rules of proposals; ending one."""

from __future__ import annotations

from typing import Annotated

import typer

from timebank_chain.cli.options import (
    DEFAULT_RPC_URL,
    AsJson,
    DeploymentFile,
    DryRun,
    FromAddress,
    Keystore,
    PasswordFile,
    RpcUrl,
    Yes,
    open_signer,
    open_system,
    whole_seconds,
)
from timebank_chain.cli.output import say
from timebank_chain.cli.writes import format_ether, govern, leave_alone, parse_ether
from timebank_chain.errors import UsageError
from timebank_chain.units import format_duration

Reason = Annotated[str, typer.Option("--reason", help="Why, in words; it stands on chain for ever.")]

#: The oracle keeps the bond in 96 bits, the window in 32.
_MAX_BOND_WEI = 2**96 - 1
_MAX_WINDOW_SECONDS = 2**32 - 1


def set_quorum(
    signers: Annotated[list[str], typer.Option("--signer", metavar="ADDRESS", help="Member; repeat it.")],
    threshold: Annotated[int, typer.Option("--threshold", metavar="K", help="Signatures an epoch needs.")],
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Change the quorum: run once to schedule, after the delay to execute.

    Example: timebank chain set-quorum --signer 0x... --signer 0x... --threshold 2 --from 0x...
    """
    from timebank_chain.chain.addresses import parse_address

    if not 0 < threshold <= len(signers):
        raise UsageError(f"a threshold of {threshold} with {len(signers)} signers")
    timebank = open_system(rpc_url, deployment)
    quorum = [parse_address(one, what="--signer") for one in signers]
    govern(
        timebank,
        open_signer(keystore, sender, password_file),
        timebank.rate_oracle.set_quorum(quorum, threshold),
        question=f"make the quorum {threshold} of {len(signers)}?",
        schema="timebank.chain.set-quorum/1",
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


def set_bond(
    bond: Annotated[str, typer.Argument(metavar="COIN", help="Bond per proposal, in whole coins: 0.01.")],
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Change the bond of later proposals: run once to schedule, after the delay to execute.

    Example: timebank chain set-bond 0.05 --from 0x...
    """
    wei = parse_ether(bond)
    if wei > _MAX_BOND_WEI:
        raise UsageError(f"a bond of {bond} coins", hint=f"at most {format_ether(_MAX_BOND_WEI)}")
    timebank = open_system(rpc_url, deployment)
    schema, facts = "timebank.chain.set-bond/1", {"bond_wei": wei}
    if timebank.rate_oracle.bond_wei() == wei:
        leave_alone(f"the bond is {format_ether(wei)} coin", schema=schema, facts=facts, as_json=as_json)
        return
    if not wei:
        say("warning: without a bond a wrong epoch costs its proposer nothing, and finding it earns nothing")
    govern(
        timebank,
        open_signer(keystore, sender, password_file),
        timebank.rate_oracle.set_bond(wei),
        question=f"make the bond {format_ether(wei)} coin?",
        schema=schema,
        facts=facts,
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


def set_window(
    window: Annotated[str, typer.Argument(metavar="TIME", help="Time to object to a proposal: 1h, 1d.")],
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Change the challenge window of later proposals: run once to schedule, after the delay to execute.

    It must be longer than the governor's own delay, or a wrong epoch could not be voided in time, and leave
    room for a few rounds of asking for leaves.

    Example: timebank chain set-window 2d --from 0x...
    """
    from timebank_chain.chain.access_manager import GOVERNOR_ROLE
    from timebank_chain.chain.deployment_plan import longest_answer_time

    seconds = whole_seconds(window, "TIME", least=1)
    if seconds > _MAX_WINDOW_SECONDS:
        raise UsageError(f"TIME: {window!r} is too long", hint=f"at most {_MAX_WINDOW_SECONDS} s")
    timebank = open_system(rpc_url, deployment)
    signer = open_signer(keystore, sender, password_file)
    schema, facts = "timebank.chain.set-window/1", {"challenge_window": seconds}
    shown = format_duration(seconds * 1_000)
    if timebank.rate_oracle.challenge_window() == seconds:
        leave_alone(f"the window is {shown}", schema=schema, facts=facts, as_json=as_json)
        return
    delay = timebank.access_manager.has_role(GOVERNOR_ROLE, signer.address).delay
    if seconds <= delay:
        raise UsageError(
            f"a window of {shown} is not longer than the governor's delay of "
            f"{format_duration(delay * 1_000)}: a wrong epoch could never be voided in time",
            hint="choose a longer window",
        )
    answer_time = timebank.leaf_requests.answer_time()
    if answer_time > longest_answer_time(seconds):
        raise UsageError(
            f"showing a leaf may take {format_duration(answer_time * 1_000)}, and several rounds of requests "
            f"and answers must fit into a window of {shown}",
            hint=f"at least {format_duration(4 * answer_time * 1_000)}",
        )
    govern(
        timebank,
        signer,
        timebank.rate_oracle.set_challenge_window(seconds),
        question=f"make the challenge window {shown}?",
        schema=schema,
        facts=facts,
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


def void_epoch(
    challenger: Annotated[str, typer.Option(metavar="ADDRESS", help="Who found the fault; gets a share.")],
    reason: Reason,
    epoch: Annotated[int | None, typer.Argument(help="Number of the proposed epoch.")] = None,
    header_hash: Annotated[
        str | None,
        typer.Option(metavar="HASH", help="Header of the proposal to void (default: the pending one's)."),
    ] = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Void a proposed epoch: run once to schedule, after the delay (within the window) to execute.

    What is scheduled is bound to the header shown: it can void no other proposal of that number.

    Example: timebank chain void-epoch 7 --challenger 0x... --reason "leaf 12 is wrong" --from 0x...
    """
    from timebank_chain.chain.addresses import parse_address
    from timebank_chain.chain.voiding import parse_header_hash, proposal_to_void

    named = None if header_hash is None else parse_header_hash(header_hash)
    finder = parse_address(challenger, what="--challenger")
    timebank = open_system(rpc_url, deployment)
    signer = open_signer(keystore, sender, password_file)
    pending = proposal_to_void(timebank, signer.address, epoch=epoch, header_hash=named)
    shown = "0x" + pending.header_hash.hex()
    if not as_json:
        say(f"epoch {pending.epoch} is proposed with the header {shown}")
    govern(
        timebank,
        signer,
        timebank.rate_oracle.void_proposal(pending.header_hash, finder, reason),
        question=f"void epoch {pending.epoch}, header {shown}?",
        schema="timebank.chain.void-epoch/1",
        facts={"epoch": pending.epoch, "header_hash": shown},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )
