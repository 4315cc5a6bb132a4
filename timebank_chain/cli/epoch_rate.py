"""Which rate `timebank epoch build` values epochs at, and whether their bonus pots can be paid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from timebank_chain.cli.options import open_system
from timebank_chain.cli.output import say
from timebank_chain.errors import ConnectionFailed, UsageError
from timebank_chain.units import format_micro, format_rate

if TYPE_CHECKING:
    from timebank_chain.epoch import PublishedEpoch
    from timebank_chain.oracle.rate import RequiredRate
    from timebank_chain.valuation import Policy


@dataclass(frozen=True, slots=True)
class BuildRate:
    """The rate of one epoch to build.

    Attributes
    ----------
    rate_q24
        Micro-credits per micro-value, 2**24 = 1.0.
    source
        ``given``, ``chain``, ``policy`` or ``previous epoch``.
    chain_rate_q24
        What the chain requires of the epoch; ``None`` if it was not asked or cannot know yet.
    """

    rate_q24: int
    source: str
    chain_rate_q24: int | None

    def to_json(self) -> dict[str, object]:
        """Return what the built epoch's document says beyond its header."""
        return {"rate_source": self.source, "chain_rate_q24": self.chain_rate_q24}


def choose_rates(
    first: int,
    count: int,
    *,
    given: int | None,
    rules: Policy,
    previous: PublishedEpoch | None,
    rpc_url: str,
    deployment: Path | None,
) -> list[BuildRate]:
    """Choose the rates of ``count`` epochs from ``first`` on, and say which they are and why.

    Parameters
    ----------
    given
        The rate asked for; it wins, with a warning where the chain requires another.
    previous
        The published epoch before the first.
    deployment
        The manifest of the system whose chain decides; ``None``: no chain is asked.

    Raises
    ------
    UsageError
        If the chain cannot tell yet what an epoch needs, because its rate floats.
    ConnectionFailed
        If the node does not answer and no rate is given.
    """
    required: list[RequiredRate] | None = None
    if deployment is not None:
        try:
            required = _ask(first, count, rpc_url, deployment)
        except ConnectionFailed as error:
            if given is None:
                raise ConnectionFailed(
                    f"{error.message}; so it is not known which rate the chain requires",
                    where=error.where,
                    hint="name a node with --rpc-url, or give the rate with --rate-q24",
                ) from error
            say(f"warning: the rate is not compared with the chain's: {error}")
    if given is not None:
        say(f"rate {format_rate(given)}, as --rate-q24 says")
        _warn(given, required or [])
        known = [one.rate_q24 for one in required] if required else [None] * count
        return [BuildRate(given, "given", rate) for rate in known]
    if required is None:
        return [_unasked(rules, previous)] * count
    chosen = [BuildRate(_known(one, count), "chain", one.rate_q24) for one in required]
    # One line a rate: of many epochs at a fixed rate, the first one speaks for all.
    for number, (rate, one) in enumerate(zip(chosen, required, strict=True)):
        if number == 0 or rate.rate_q24 != chosen[number - 1].rate_q24:
            say(f"rate {format_rate(rate.rate_q24)}, {one.why}")
    return chosen


def check_pots(
    first: int, count: int, pot: int, *, folder: Path, rpc_url: str, deployment: Path | None
) -> None:
    """Refuse a bonus pot that the fee pool cannot pay ``count`` times, for the epochs from ``first`` on.

    Without a deployment, or where its node does not answer, nothing is known of the pool: that is said.

    Parameters
    ----------
    pot
        Of each epoch, micro-credits.
    folder
        The published epochs.

    Raises
    ------
    OracleError
        With the pot and what the pool holds.
    """
    from timebank_chain.oracle.pot import require_pots

    if not pot:
        return
    if deployment is None:
        say(f"bonus pot {format_micro(pot)}; without --deployment it was not compared with the fee pool")
        return
    pots = dict.fromkeys(range(first, first + count), pot)
    try:
        require_pots(open_system(rpc_url, deployment), folder, pots, done="nothing was built")
    except ConnectionFailed as error:
        say(f"warning: the bonus pot is not compared with the fee pool: {error}")


def _ask(first: int, count: int, rpc_url: str, deployment: Path) -> list[RequiredRate]:
    from timebank_chain.oracle.rate import required_rates

    return required_rates(open_system(rpc_url, deployment), first, count)


def _unasked(rules: Policy, previous: PublishedEpoch | None) -> BuildRate:
    if previous is None:
        rate, source, why = rules.initial_rate_q24, "policy", f"with which policy '{rules.name}' begins"
    else:
        rate, source, why = previous.header.rate_q24, "previous epoch", f"as epoch {previous.number} has it"
    say(f"rate {format_rate(rate)}, {why}; without --deployment the chain was not asked")
    return BuildRate(rate, source, None)


def _known(required: RequiredRate, count: int) -> int:
    if required.rate_q24 is not None:
        return required.rate_q24
    hint = "bring the epochs before it on chain first (timebank oracle propose, then finalise)"
    if count > 1:
        hint += "; build one at a time with --end T"
    raise UsageError(f"epoch {required.epoch} cannot be built yet: {required.why}", hint=hint)


def _warn(given: int, required: Sequence[RequiredRate]) -> None:
    """Say where the chain requires another rate than the one given; of the same difference once."""
    said: set[int | None] = set()
    for one in required:
        if one.rate_q24 != given and one.rate_q24 not in said:
            said.add(one.rate_q24)
            if one.rate_q24 is None:
                say(f"warning: the rate is not compared with the chain's: {one.why}")
            else:
                say(
                    f"warning: the chain requires another rate of epoch {one.epoch}, "
                    f"{format_rate(one.rate_q24)}: as it is built it can never become final; leave "
                    "--rate-q24 out to take the chain's"
                )
