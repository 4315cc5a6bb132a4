"""Which policy `timebank epoch build` values epochs by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from timebank_chain.cli.options import open_system
from timebank_chain.cli.output import say
from timebank_chain.errors import ConnectionFailed, UsageError

if TYPE_CHECKING:
    from timebank_chain.epoch import PublishedEpoch
    from timebank_chain.oracle.policy import RequiredPolicy
    from timebank_chain.valuation import Policy


@dataclass(frozen=True, slots=True)
class BuildPolicy:
    """The policy epochs are built by.

    Attributes
    ----------
    source
        ``given``, ``chain`` or ``previous epoch``.
    required
        What the chain requires of the first epoch; ``None`` if it was not asked.
    """

    rules: Policy
    source: str
    required: RequiredPolicy | None

    def to_json(self, required: RequiredPolicy | None) -> dict[str, object]:
        """Return what a built epoch's document says of its policy beyond its header."""
        chain_hash = None if required is None else required.shown
        return {"policy_source": self.source, "chain_policy_hash": chain_hash}


def choose_policy(
    epoch: int,
    *,
    given: str | None,
    folder: Path,
    previous: PublishedEpoch | None,
    rpc_url: str,
    deployment: Path | None,
) -> BuildPolicy:
    """Choose the policy of an epoch, and say why where nobody gave it.

    Parameters
    ----------
    given
        Name or file of the policy asked for; it wins.
    folder
        The published epochs: a policy that an earlier one was valued by lies there.
    previous
        The published epoch before.
    deployment
        The manifest of the system whose chain decides; ``None``: no chain is asked.

    Raises
    ------
    UsageError
        If no policy is given, and the document of the one that the chain requires is not in ``folder``; or
        without a deployment, if there is no epoch before.
    ConnectionFailed
        If the node does not answer and no policy is given.
    """
    from timebank_chain.epoch import read_policy
    from timebank_chain.epoch.file import policy_file
    from timebank_chain.oracle.propose import policy_option
    from timebank_chain.valuation import load_policy

    rules = None if given is None else load_policy(given)
    required: RequiredPolicy | None = None
    if deployment is not None:
        try:
            (required,) = _ask(epoch, 1, rpc_url, deployment)
        except ConnectionFailed as error:
            if rules is None:
                raise ConnectionFailed(
                    f"{error.message}; so it is not known which policy the chain requires",
                    where=error.where,
                    hint="name a node with --rpc-url, or give policy and rate with --policy and --rate-q24",
                ) from error
            say(f"warning: the policy is not compared with the chain's: {error}")
    if rules is not None:
        return BuildPolicy(rules, "given", required)
    if required is None:
        if previous is None:
            raise UsageError(
                "the first epoch needs a policy", hint="add --policy git (see timebank policy list)"
            )
        return BuildPolicy(read_policy(folder, previous.header.policy_hash), "previous epoch", None)
    had = previous is not None and previous.header.policy_hash == required.policy_hash
    # Where the epoch before had it, a missing document is damage, which reading it says.
    if not had and not policy_file(folder, required.policy_hash).is_file():
        before = "" if previous is None else f"; epoch {previous.number} has another"
        raise UsageError(
            f"epoch {epoch} needs the policy {required.shown}, {required.why}{before}",
            hint=f"add `{policy_option(required.policy_hash)}; nothing was built",
        )
    rules = read_policy(folder, required.policy_hash)
    say(f"policy '{rules.name}' ({required.shown}), {required.why}")
    return BuildPolicy(rules, "chain", required)


def require_policies(
    first: int, count: int, chosen: BuildPolicy, *, rpc_url: str, deployment: Path | None
) -> list[RequiredPolicy | None]:
    """Compare a policy with what the chain requires of ``count`` epochs from ``first`` on.

    Returns
    -------
    list
        What it requires of each; ``None`` where it was not asked.

    Raises
    ------
    UsageError
        If nobody gave the policy, and a later epoch needs another one than the first. A policy that was
        given wins, with a warning.
    """
    from timebank_chain.oracle.propose import policy_option
    from timebank_chain.valuation import policy_hash

    if chosen.required is None or deployment is None:
        return [None] * count
    required = [chosen.required] if count == 1 else _ask(first, count, rpc_url, deployment)
    digest, said = policy_hash(chosen.rules), set[bytes]()
    for one in required:
        if one.policy_hash in said | {digest}:
            continue
        if chosen.source != "given":
            raise UsageError(
                f"epoch {one.epoch} needs another policy than epoch {first}: {one.shown}, {one.why}",
                hint=f"build up to epoch {one.epoch - 1} first, then add `{policy_option(one.policy_hash)}; "
                "nothing was built",
            )
        said.add(one.policy_hash)
        say(
            f"warning: policy '{chosen.rules.name}' is 0x{digest.hex()}, epoch {one.epoch} needs "
            f"{one.shown}, {one.why}: as it is built it can never become final"
        )
    return list(required)


def _ask(first: int, count: int, rpc_url: str, deployment: Path) -> list[RequiredPolicy]:
    from timebank_chain.oracle.policy import required_policies

    return required_policies(open_system(rpc_url, deployment), first, count)
