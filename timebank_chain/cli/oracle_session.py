"""What the oracle's commands share: keys, one's own acts, state folder, journal, signals, log lines."""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timebank_chain.cli.options import keystore_path, open_signer, password_for, require_epochs
from timebank_chain.cli.output import say
from timebank_chain.errors import ConnectionFailed, OracleError, UsageError
from timebank_chain.units import RateQ24, format_micro, format_rate

if TYPE_CHECKING:
    from timebank_chain.activity import ActivityTable, Members
    from timebank_chain.chain.deployment import Deployment
    from timebank_chain.chain.signer import LocalSigner, Signer
    from timebank_chain.chain.system import Timebank
    from timebank_chain.epoch import EpochHeader, PublishedEpoch
    from timebank_chain.oracle.journal import Journal
    from timebank_chain.oracle.submit import Submitter
    from timebank_chain.valuation import Policy


def stop_on_signals(stop: threading.Event) -> None:
    """Let SIGTERM and SIGINT set a flag; whoever runs looks at it between steps."""

    def ask(_number: int, _frame: object) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)


def log_to_stderr(*, as_json: bool) -> None:
    """Send log lines to standard error, for people or, with ``as_json``, for programs."""
    import structlog

    renderer: Any = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), sort_keys=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def open_signers(
    keystores: Sequence[Path], sender: str | None, password_file: Path | None
) -> list[LocalSigner]:
    """Unlock the daemon's keys, the one that proposes and pays first.

    Parameters
    ----------
    keystores
        Files, or folders of which ``sender`` or the only wallet is taken; none: the user's wallets.
    sender
        Address that proposes and pays; ``None``: the first.

    Raises
    ------
    UsageError
        If a folder leaves the choice open, or none of the keys is ``sender``'s.
    """
    from timebank_chain.chain.addresses import parse_address
    from timebank_chain.chain.keystore import unlock

    if len(keystores) < 2:
        return [open_signer(keystores[0] if keystores else None, sender, password_file)]
    paths = [keystore_path(place, sender) for place in keystores]
    signers = [unlock(path, password_for(path, password_file)) for path in paths]
    if sender is None:
        return signers
    operator = parse_address(sender, what="--from")
    if all(signer.address != operator for signer in signers):
        raise UsageError(
            f"--from is {operator}, the keystores belong to " + ", ".join(s.address for s in signers),
            hint="add --keystore with the wallet that pays, or name one of these",
        )
    return sorted(signers, key=lambda signer: signer.address != operator)


@contextmanager
def open_state(timebank: Timebank, folder: Path, *, throwaway: bool) -> Iterator[Journal]:
    """Open the state folder alone, or, to look only, an empty one that is gone afterwards."""
    from timebank_chain.oracle.lock import InstanceLock
    from timebank_chain.oracle.settings import LOCK_FILE

    if throwaway:
        with tempfile.TemporaryDirectory(prefix="timebank-oracle-") as temporary:
            journal = open_journal(timebank, Path(temporary))
            yield journal
            journal.close()
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OracleError(
            f"the state folder cannot be made: {error.strerror}",
            where=str(folder),
            hint="give another --state",
        ) from error
    with InstanceLock(folder / LOCK_FILE):
        journal = open_journal(timebank, folder)
        try:
            yield journal
        finally:
            journal.close()


def open_journal(timebank: Timebank, folder: Path) -> Journal:
    """Open the journal of this deployment in a state folder."""
    from timebank_chain.oracle.journal import Journal
    from timebank_chain.oracle.settings import JOURNAL_FILE

    identity = {"chain": str(timebank.connection.chain_id), "oracle": timebank.rate_oracle.address}
    return Journal(folder / JOURNAL_FILE, identity)


@contextmanager
def sending(timebank: Timebank, signer: Signer, folder: Path, *, dry_run: bool) -> Iterator[Submitter]:
    """Open the state folder for one journalled step, after finishing what a crash left open."""
    from timebank_chain.chain.deployment import ensure_trusted
    from timebank_chain.oracle.clock import SystemClock
    from timebank_chain.oracle.submit import Submitter

    log_to_stderr(as_json=False)
    with open_state(timebank, folder, throwaway=dry_run) as journal:
        submitter = Submitter(
            timebank.connection,
            signer,
            journal,
            SystemClock(),
            trust=lambda target: ensure_trusted(timebank.connection, timebank.deployment, target),
        )
        submitter.recover()
        yield submitter


def epoch_place(target: str, epochs: Path | None) -> tuple[Path, int]:
    """Return the folder of epochs and the number, from either."""
    if target.isascii() and target.isdigit() and epochs is not None:
        return epochs, int(target)
    folder = Path(target).resolve()
    if folder.is_dir() and folder.name.isascii() and folder.name.isdigit():
        return folder.parent, int(folder.name)
    if target.isascii() and target.isdigit():
        return require_epochs(epochs), int(target)
    raise UsageError(
        f"neither a published epoch nor a number: {target!r}", hint="give EPOCHS/000003, or 3 and --epochs"
    )


def check_policy(
    header: EpochHeader, system: Callable[[], Timebank] | None, *, told: bytes | None
) -> str | None:
    """Refuse to sign an epoch of another policy than the chain requires.

    Parameters
    ----------
    system
        Opens the system on its chain; ``None``: there is no node to ask.
    told
        Hash of the signer's own policy, for where there is no node: one that answers has the last word.

    Returns
    -------
    str
        What it was compared with, ``chain`` or ``given``; ``None`` if with nothing.

    Raises
    ------
    OracleError
        If it has another policy.
    UsageError
        If the signer's own is not the one that the chain requires.
    ConnectionFailed
        If the node does not answer, and no policy is given.
    """
    from timebank_chain.oracle.policy import RequiredPolicy, require_policy, required_policies

    if system is not None:
        try:
            (required,) = required_policies(system(), header.epoch)
        except ConnectionFailed as error:
            if told is None:
                raise ConnectionFailed(
                    f"{error.message}; so it is not known which policy the chain requires",
                    where=error.where,
                    hint="name a node with --rpc-url, or give policy and rate as you know them with --policy "
                    "and --rate-q24",
                ) from error
            say(f"the chain could not be asked ({error.message}): compared with --policy")
        else:
            require_policy(header, required)
            if told is not None and told != required.policy_hash:
                raise UsageError(
                    f"--policy is 0x{told.hex()}, not the policy the chain requires, {required.shown}",
                    hint="leave it out: the epoch has the chain's; nothing was signed",
                )
            return "chain"
    if told is not None:
        require_policy(header, RequiredPolicy(header.epoch, told, "as --policy says"), by="--policy is")
        return "given"
    say(
        f"policy 0x{header.policy_hash.hex()}: not compared with the chain's (add --rpc-url URL, or "
        "--policy P)"
    )
    return None


def check_rate(
    header: EpochHeader, system: Callable[[], Timebank] | None, manifest: Deployment, *, told: int | None
) -> str | None:
    """Refuse to sign an epoch of another rate than the chain requires.

    Parameters
    ----------
    system
        Opens the system on its chain; ``None``: there is no node to ask.
    told
        The rate as the signer knows it, for where there is no node: one that answers has the last word.

    Returns
    -------
    str
        What it was compared with, ``chain`` or ``given``; ``None`` if with nothing.

    Raises
    ------
    OracleError
        If it has another rate, or nobody can tell yet which it must have.
    UsageError
        If the rate floats, and there is neither a node nor a rate.
    ConnectionFailed
        If the node does not answer.
    """
    from timebank_chain.oracle.rate import RequiredRate, require_rate, required_rates

    if system is not None:
        try:
            (required,) = required_rates(system(), header.epoch)
        except ConnectionFailed as error:
            if told is None:
                raise ConnectionFailed(
                    f"{error.message}; so it is not known which rate the chain requires",
                    where=error.where,
                    hint="name a node with --rpc-url, or give the rate as you know it with --rate-q24",
                ) from error
            say(f"the chain could not be asked ({error.message}): compared with --rate-q24")
        else:
            require_rate(header, required)
            if told is not None and told != required.rate_q24:
                raise UsageError(
                    f"--rate-q24 {told} is not the rate the chain requires, {required.rate_q24}",
                    hint="leave it out: the chain was asked; nothing was signed",
                )
            return "chain"
    if told is not None:
        require_rate(
            header, RequiredRate(header.epoch, RateQ24(told), "--rate-q24 says"), by="--rate-q24 says"
        )
        return "given"
    if manifest.plan.float_step_micro:
        raise UsageError(
            f"the rate of this deployment floats: only its chain knows which one epoch {header.epoch} needs",
            hint="add --rpc-url URL to ask it, or --rate-q24 RATE as you know it; nothing was signed",
        )
    say(
        f"rate {format_rate(header.rate_q24)}: not compared with the chain's (add --rpc-url URL, or "
        "--rate-q24 RATE)"
    )
    return None


def check_pot(header: EpochHeader, folder: Path, system: Callable[[], Timebank] | None) -> str | None:
    """Refuse to sign an epoch whose bonus pot the fee pool cannot pay.

    Parameters
    ----------
    folder
        The published epochs.
    system
        Opens the system on its chain; ``None``: there is no node to ask.

    Returns
    -------
    str
        What it was compared with, ``chain``; ``None`` if with nothing.

    Raises
    ------
    OracleError
        If it is more than the pool holds for it.
    """
    from timebank_chain.oracle.pot import require_pots

    if not header.pot:
        return None
    if system is not None:
        try:
            require_pots(system(), folder, {header.epoch: header.pot}, done="nothing was signed")
        except ConnectionFailed as error:
            say(f"the chain could not be asked ({error.message})")
        else:
            return "chain"
    say(
        f"bonus pot {format_micro(header.pot)}: not compared with what the fee pool holds (add --rpc-url URL)"
    )
    return None


def own_acts(
    published: PublishedEpoch,
    policy: Policy,
    feed: Path | None,
    mapping: Path | None,
    activity: Path | None,
    members: Path | None,
    salt_key: Path | None,
    known: Callable[[bytes], int | None],
    erased: Path | None = None,
) -> tuple[ActivityTable, Members] | None:
    """Return the signer's own acts of all times and members, ``None`` when there is neither feed nor table.

    ``known`` tells which finalised epoch holds a record id (`final_records`); whom the file ``erased``
    names is left out.
    """
    from timebank_chain.activity import Members, load_members, load_salt_key, read_activity
    from timebank_chain.activity.erased import load_erased
    from timebank_chain.activity.mapping_file import load_mapping
    from timebank_chain.oracle.clock import SystemClock
    from timebank_chain.oracle.feed import PACKED, take_snapshot
    from timebank_chain.oracle.intake import read_intake

    people = load_members(members) if members else Members()
    if activity is not None:
        return read_activity(activity), people
    if feed is None:
        return None
    with tempfile.TemporaryDirectory(prefix="timebank-feed-") as folder:
        snapshot = take_snapshot(feed, {}, Path(folder))
        if snapshot.ignored:
            say("not a feed format, passed over: " + ", ".join(snapshot.ignored) + f"; {PACKED}")
        intake = read_intake(
            snapshot.files,
            load_mapping(mapping) if mapping else None,
            policy,
            start_ms=published.header.start_ms,
            end_ms=published.header.end_ms,
            now_ms=SystemClock().now_ms(),
            salt_key=load_salt_key(salt_key),
            is_closed=lambda _record: True,
            published=known,
            erased=None if erased is None else load_erased(erased),
        )
    return intake.known, people
