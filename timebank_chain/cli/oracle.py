"""``timebank oracle``: run the daemon, or do its steps one by one."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timebank_chain import config
from timebank_chain.cli.epoch_holds import (
    DEFAULT_RATE,
    HoldRate,
    HoldsFile,
    HoldSuspicious,
    PraiseFile,
    as_signed,
    holding,
    holds_document,
    holds_rows,
)
from timebank_chain.cli.options import (
    DEFAULT_RPC_URL,
    AsJson,
    DeploymentFile,
    DryRun,
    EpochsFolder,
    FromAddress,
    Keystore,
    PasswordFile,
    RpcUrl,
    Yes,
    confirm,
    open_signer,
    open_system,
    require_deployment,
    require_epochs,
    whole_seconds,
)
from timebank_chain.cli.oracle_session import (
    check_policy,
    check_pot,
    check_rate,
    epoch_place,
    log_to_stderr,
    open_journal,
    open_signers,
    open_state,
    own_acts,
    sending,
    stop_on_signals,
)
from timebank_chain.cli.output import print_json, print_table, say
from timebank_chain.cli.pending_view import pending_body, pending_rows
from timebank_chain.errors import OracleError, UsageError
from timebank_chain.units import format_micro, format_time, parse_duration, parse_time

if TYPE_CHECKING:
    from timebank_chain.chain.system import Timebank
    from timebank_chain.epoch import EpochHeader
    from timebank_chain.oracle.journal import Journal
    from timebank_chain.oracle.settings import OracleSettings
    from timebank_chain.oracle.state import OracleState
    from timebank_chain.oracle.submit import Submitter
    from timebank_chain.valuation import Policy

app = typer.Typer(
    help="Close epochs, sign them, bring them on chain.\n\n"
    "Example: timebank oracle run --feed feed.csv --members members.csv --policy policy.json "
    "--epochs epochs --deployment deployment.json --keystore oracle.json --password-file password",
    no_args_is_help=True,
)

#: Chain ids of anvil and of Hardhat, and of Ganache.
DEVELOPMENT_CHAINS = (31337, 1337)

FeedPath = Annotated[
    Path | None,
    typer.Option("--feed", metavar="PATH", help="A growing CSV, JSONL or Parquet file, or a folder."),
]
MappingFile = Annotated[
    Path | None, typer.Option("--mapping", metavar="FILE", help="Mapping of the feed's columns (TOML).")
]
MembersFile = Annotated[
    Path | None,
    typer.Option(
        "--members", metavar="FILE", help="Members file (CSV member,address); others: placeholders."
    ),
]
PolicyName = Annotated[str, typer.Option("--policy", metavar="P", help="Policy by name or file.")]
SaltKeyFile = Annotated[
    Path | None,
    typer.Option(
        "--salt-key",
        envvar=config.ENV_SALT_KEY,
        metavar="FILE",
        help="Key that salts record ids; without it ids can be guessed by who knows the act.",
    ),
]
StateFolder = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", help="Journal, lock and rejects (default: EPOCHS/.oracle)."),
]


@app.command("run")
def run(
    feed: FeedPath = None,
    policy: PolicyName = "",
    epochs: EpochsFolder = None,
    deployment: DeploymentFile = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    keystore: Annotated[
        list[Path] | None,
        typer.Option(
            "--keystore",
            envvar=config.ENV_KEYSTORE,
            metavar="PATH",
            help="Keystore file or folder; may be repeated. Quorum members sign; the first one, or the one "
            "of --from, pays and posts the bond.",
        ),
    ] = None,
    sender: FromAddress = None,
    password_file: PasswordFile = None,
    mapping: MappingFile = None,
    members: MembersFile = None,
    salt_key: SaltKeyFile = None,
    state: StateFolder = None,
    first_epoch_start: Annotated[
        str | None,
        typer.Option("--first-epoch-start", metavar="T", help="Start of the first epoch, with its zone."),
    ] = None,
    grace: Annotated[
        str, typer.Option("--grace", metavar="TIME", help="How long an ended epoch waits for stragglers.")
    ] = "",
    poll: Annotated[str, typer.Option("--poll", metavar="TIME", help="Pause between two looks.")] = "5s",
    once: Annotated[bool, typer.Option("--once", help="Do what is due, then end.")] = False,
    push_claims: Annotated[
        bool, typer.Option("--push-claims/--no-push-claims", help="Pay for everybody's claims.")
    ] = True,
    upkeep: Annotated[
        bool,
        typer.Option(
            "--upkeep/--no-upkeep",
            help="Tend the bank: liquidate, write off, settle, lapse, pass fees on, collect income.",
        ),
    ] = True,
    upkeep_every: Annotated[
        str,
        typer.Option("--upkeep-every", metavar="TIME", help="Tend it so often, and after every epoch."),
    ] = "10m",
    data_uri_base: Annotated[
        str, typer.Option("--data-uri-base", metavar="U", help="Public address of the folder of epochs.")
    ] = "",
    hold_suspicious: HoldSuspicious = False,
    holds: HoldsFile = None,
    praise: PraiseFile = None,
    hold_rate: HoldRate = DEFAULT_RATE,
    forget_feed: Annotated[
        bool, typer.Option("--forget-feed", help="The feed was replaced on purpose: read it as new.")
    ] = False,
    json_logs: Annotated[
        bool, typer.Option("--json-logs", help="Log lines as JSON (standard error).")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Watch a feed, close epochs on schedule, sign, propose, finalise, push claims, tend the bank.

    Ends cleanly on SIGTERM or Ctrl-C and takes up where it stopped. With --json the final state is
    printed at the end. With --hold-suspicious, acts of members who stand out wait until a person released
    them (timebank attention release); the next epoch takes what was released, also without the option.

    Example: timebank oracle run --feed feed.csv --members members.csv --policy policy.json
    --epochs epochs --deployment deployment.json --keystore oracle.json --password-file password
    --first-epoch-start 2026-01-01T00:00:00Z --hold-suspicious
    """
    if feed is None:
        raise UsageError("no feed given", hint="add --feed PATH: a growing file, or a folder of files")
    stop = threading.Event()
    # Before anything slow: a stop that arrives during start-up must not be lost.
    if not dry_run:
        stop_on_signals(stop)
    log_to_stderr(as_json=json_logs)
    settings = _settings(
        feed=feed,
        mapping=mapping,
        members=members,
        policy=policy,
        salt_key=salt_key,
        epochs=require_epochs(epochs),
        state=state,
        first_epoch_start=first_epoch_start,
        grace=grace,
        push_claims=push_claims,
        upkeep=upkeep,
        upkeep_every=upkeep_every,
        data_uri_base=data_uri_base,
    )
    held = holding(
        settings.epochs,
        holds,
        judge=hold_suspicious,
        praise=praise,
        rate=hold_rate,
        erased=settings.erased_path,
        made_later=True,
    )
    pause = _duration(poll, "--poll") / 1_000
    timebank = open_system(rpc_url, require_deployment(deployment))
    signers = open_signers(keystore or [], sender, password_file)
    from timebank_chain.oracle.clock import SystemClock
    from timebank_chain.oracle.daemon import OracleDaemon

    with open_state(timebank, settings.state_folder, throwaway=dry_run) as journal:
        if dry_run:
            from dataclasses import replace

            settings = replace(settings, state=journal.path.parent, erased=settings.erased_path)
        if forget_feed:
            journal.forget_feed()
        daemon = OracleDaemon(timebank, settings, signers, journal, SystemClock(stop), stop=stop, holds=held)
        daemon.startup()
        if dry_run:
            _preview(daemon, as_json=as_json)
            return
        daemon.run(poll_seconds=pause, once=once)
        if as_json:
            body = _status(timebank, signers[0].address, journal) | holds_document(settings.epochs, holds)
            print_json("timebank.oracle.run/1", body)


@app.command("sign")
def sign(
    target: Annotated[str, typer.Argument(metavar="EPOCHDIR|NUMBER", help="Published epoch to sign.")],
    policy: Annotated[
        str | None, typer.Option("--policy", metavar="P", help="Your policy (default: the published one).")
    ] = None,
    feed: FeedPath = None,
    mapping: MappingFile = None,
    activity: Annotated[
        Path | None, typer.Option("--activity", metavar="FILE", help="Your activity table instead of a feed.")
    ] = None,
    members: MembersFile = None,
    holds: HoldsFile = None,
    erased: Annotated[
        Path | None,
        typer.Option(
            "--erased",
            metavar="FILE",
            help="Who was erased: left out of the feed (default: the oracle's list in EPOCHS, if there).",
        ),
    ] = None,
    salt_key: SaltKeyFile = None,
    trust_published: Annotated[
        bool,
        typer.Option("--trust-published", help="Check the published rows only, without data of your own."),
    ] = False,
    drill: Annotated[
        bool,
        typer.Option(
            "--drill", help="Sign it although it is wrong. FOR DRILLS ONLY; development chains only."
        ),
    ] = False,
    epochs: EpochsFolder = None,
    deployment: DeploymentFile = None,
    rpc_url: Annotated[
        str | None,
        typer.Option(
            "--rpc-url",
            envvar=config.ENV_RPC_URL,
            metavar="URL",
            help="Node to ask for the policy and the rate the epoch must have, what the fee pool holds for "
            "its bonus pot, and, if records share an id, whether it is final already.",
        ),
    ] = None,
    rate_q24: Annotated[
        int | None,
        typer.Option(
            "--rate-q24",
            metavar="RATE",
            min=1,
            help="The rate the chain requires as you know it, instead of asking --rpc-url for it.",
        ),
    ] = None,
    keystore: Keystore = None,
    sender: FromAddress = None,
    password_file: PasswordFile = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check, but do not sign.")] = False,
    as_json: AsJson = False,
) -> None:
    """Recompute an epoch from your own data and, only if it is the same, sign it.

    The signature is bound to the deployment's chain and oracle. With a node (--rpc-url), or told the rate
    (--rate-q24), an epoch of another rate than the chain requires is refused; where the rate floats, one of
    the two is needed. With a node, so is one of another policy, or whose bonus pot the fee pool does not
    hold; without one, --policy is what its policy is compared with. Where records of
    your feed have one id and different contents, the one in a finalised epoch stays; no other does. Where
    acts are held or were released, the publisher's file of holds is needed (--holds): read it, since a hold
    takes somebody's pay. An epoch with acts that were erased since is not signed: it is built again.

    Example: timebank oracle sign 3 --epochs epochs --feed my-feed.csv --members members.csv
    --policy policy.json --deployment deployment.json --keystore me.json --password-file password
    """
    from timebank_chain.chain.addresses import address_bytes
    from timebank_chain.chain.deployment import load_deployment
    from timebank_chain.epoch import epoch_folder, read_epoch, read_policy
    from timebank_chain.epoch.file import read_header
    from timebank_chain.oracle.recompute import final_records, require_signable
    from timebank_chain.oracle.settings import ERASED_FILE, STATE_FOLDER
    from timebank_chain.oracle.sign import sign_header, write_signature
    from timebank_chain.valuation import policy_hash

    if trust_published + drill + (feed is not None) + (activity is not None) != 1:
        raise UsageError(
            "say what to recompute the epoch from",
            hint="give one of --feed PATH, --activity FILE or --trust-published",
        )
    folder, number = epoch_place(target, epochs)
    manifest = load_deployment(require_deployment(deployment))
    if drill:
        _require_development(manifest.chain_id, "signed for")
    target_folder = epoch_folder(folder, number)
    policy_compared: str | None = None
    compared: str | None = None
    pot_compared: str | None = None
    if drill:
        # Its files may be withheld: that is a drill as well.
        header = read_header(target_folder, number)
        say("FOR DRILLS ONLY: signed without looking whether it is right")
    else:
        published = read_epoch(folder, number)
        header = published.header
        previous = read_epoch(folder, number - 1) if number > 1 else None
        rules = _policy(policy) if policy else read_policy(folder, header.policy_hash)

        @cache
        def system() -> Timebank:
            return open_system(rpc_url or "", deployment)

        def is_final() -> bool:
            return rpc_url is not None and system().rate_oracle.header_hash_of(number) == header.hash()

        told = policy_hash(rules) if policy else None
        policy_compared = check_policy(header, system if rpc_url else None, told=told)
        compared = check_rate(header, system if rpc_url else None, manifest, told=rate_q24)
        pot_compared = check_pot(header, folder, system if rpc_url else None)

        known = final_records(folder, published, is_final=is_final)
        if erased is not None and not erased.is_file():
            raise UsageError(f"--erased: no such file: {erased}", hint="leave it out where nobody is erased")
        listed = erased or folder / STATE_FOLDER / ERASED_FILE
        source = own_acts(published, rules, feed, mapping, activity, members, salt_key, known, listed)
        forgotten: frozenset[bytes] = frozenset()
        if source is not None:
            acts, people = source
            acts, forgotten = as_signed(acts, published, folder, holds, listed)
            source = acts, people
        require_signable(published, previous, rules, source, forgotten, is_final=is_final)
    if trust_published:
        say("the published rows are consistent; that the acts are real was not checked (--trust-published)")
    path = None
    if not dry_run:
        signer = open_signer(keystore, sender, password_file)
        address = address_bytes(manifest.address("RateOracle"))
        path = write_signature(target_folder, sign_header(header, signer, manifest.chain_id, address))
    header_hash = "0x" + header.hash().hex()
    if as_json:
        print_json(
            "timebank.oracle.sign/1",
            {
                "epoch": number,
                "header_hash": header_hash,
                "policy_hash": "0x" + header.policy_hash.hex(),
                "policy_compared_with": policy_compared,
                "rate_q24": header.rate_q24,
                "rate_compared_with": compared,
                "pot_micro": header.pot,
                "pot_compared_with": pot_compared,
                "trust_published": trust_published,
                "signature_file": None if path is None else str(path),
            },
        )
    else:
        judged = "was not looked at" if drill else "is right"
        say(f"epoch {number} ({header_hash}) {judged}; " + (f"signed: {path}" if path else "nothing signed"))


@app.command("propose")
def propose(
    number: Annotated[int, typer.Argument(metavar="N", min=1, help="Published epoch to propose.")],
    epochs: EpochsFolder = None,
    deployment: DeploymentFile = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    keystore: Keystore = None,
    sender: FromAddress = None,
    password_file: PasswordFile = None,
    state: StateFolder = None,
    drill: Annotated[
        bool,
        typer.Option(
            "--drill",
            help="Propose it by its header alone, files or not. FOR DRILLS ONLY; development chains only.",
        ),
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Propose a published, signed epoch with the bond the chain asks for.

    Example: timebank oracle propose 3 --epochs epochs --deployment deployment.json --keystore me.json --yes
    """
    from timebank_chain.chain.addresses import address_bytes
    from timebank_chain.epoch import epoch_folder, read_epoch
    from timebank_chain.epoch.file import read_header
    from timebank_chain.oracle.propose import propose_call, require_open
    from timebank_chain.oracle.settings import STATE_FOLDER
    from timebank_chain.oracle.sign import collect_signatures
    from timebank_chain.oracle.state import read_state

    folder = require_epochs(epochs)
    target_folder = epoch_folder(folder, number)
    header = read_header(target_folder, number) if drill else read_epoch(folder, number).header
    timebank = open_system(rpc_url, deployment)
    if drill:
        _require_development(timebank.connection.chain_id, "proposed on")
    signer = open_signer(keystore, sender, password_file)
    with sending(timebank, signer, state or folder / STATE_FOLDER, dry_run=dry_run) as submitter:
        now = read_state(timebank, signer.address)
        # Before signatures are counted: those of a finalised epoch may not be here any more.
        require_open(timebank, now, header)
        collected = collect_signatures(
            target_folder,
            header,
            chain_id=timebank.connection.chain_id,
            oracle_address=address_bytes(timebank.rate_oracle.address),
            quorum=now.quorum,
            threshold=now.threshold,
        )
        call = propose_call(timebank, now, header, collected.require(header))
        _forget_voided(timebank, submitter, header)
        question = (
            f"propose epoch {number}, minting {format_micro(header.total_mint)}, bond {now.bond_wei} wei?"
        )
        _do(submitter, "propose", number, header.hash(), call, question, yes, dry_run, as_json)


def _require_development(chain_id: int, done: str) -> None:
    """Refuse a drill where credits may be worth something."""
    if chain_id not in DEVELOPMENT_CHAINS:
        raise UsageError(
            f"a wrong epoch is not {done} chain {chain_id}",
            hint="hold drills on a development chain: " + ", ".join(map(str, DEVELOPMENT_CHAINS)),
        )


@app.command("finalise")
def finalise(
    number: Annotated[
        int | None, typer.Argument(metavar="[N]", help="Pending epoch (default: the pending one).")
    ] = None,
    epochs: EpochsFolder = None,
    deployment: DeploymentFile = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    keystore: Keystore = None,
    sender: FromAddress = None,
    password_file: PasswordFile = None,
    state: StateFolder = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Finalise the pending epoch once its challenge window is over; anybody may.

    Example: timebank oracle finalise --epochs epochs --deployment deployment.json --keystore me.json --yes
    """
    from timebank_chain.oracle.propose import finalise_call, proposed_header
    from timebank_chain.oracle.settings import STATE_FOLDER
    from timebank_chain.oracle.state import read_state

    folder = require_epochs(epochs)
    timebank = open_system(rpc_url, deployment)
    signer = open_signer(keystore, sender, password_file)
    with sending(timebank, signer, state or folder / STATE_FOLDER, dry_run=dry_run) as submitter:
        now = read_state(timebank, signer.address)
        if now.pending is None or (number is not None and now.pending.epoch != number):
            what = "no epoch is" if now.pending is None else f"epoch {now.pending.epoch}, not {number}, is"
            raise OracleError(
                f"{what} pending; the newest finalised one is {now.latest_epoch}",
                hint="see `timebank oracle status`",
            )
        header = proposed_header(timebank, now.pending.header_hash)
        call = finalise_call(timebank, now, header)
        question = f"finalise epoch {header.epoch}, minting {format_micro(header.total_mint)}?"
        _do(submitter, "finalise", header.epoch, header.hash(), call, question, yes, dry_run, as_json)


@app.command("status")
def status(
    epochs: EpochsFolder = None,
    deployment: DeploymentFile = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    state: StateFolder = None,
    holds: HoldsFile = None,
    as_json: AsJson = False,
) -> None:
    """Show what the chain says about epochs, what the journal holds, and whose acts wait for a person.

    Example: timebank oracle status --epochs epochs --deployment deployment.json --json
    """
    from timebank_chain.oracle.settings import JOURNAL_FILE, STATE_FOLDER

    timebank = open_system(rpc_url, deployment)
    folder = state or (epochs / STATE_FOLDER if epochs else None)
    journal = None
    if folder is not None and (folder / JOURNAL_FILE).exists():
        journal = open_journal(timebank, folder)
    body = _status(timebank, timebank.deployment.deployer, journal)
    body |= {"holds": None} if epochs is None and holds is None else holds_document(epochs, holds)
    if as_json:
        print_json("timebank.oracle.status/1", body)
        return
    rows = [
        (name.replace("_", " "), value)
        for name, value in body.items()
        if name not in ("intents", "pending", "holds")
    ]
    pending = body["pending"]
    if pending:
        ends = format_time(pending["challenge_ends_at"] * 1_000)
        rows.append(("pending", f"epoch {pending['epoch']} until {ends}, {pending['header_hash']}"))
        rows.extend(pending_rows(pending))
    print_table("oracle", ("what", "value"), rows)
    if body["intents"]:
        columns = ("kind", "epoch", "outcome", "block", "transaction")
        print_table("journal", columns, [tuple(intent.values()) for intent in body["intents"][-20:]])
    if body["holds"] and (body["holds"]["waiting"] or body["holds"]["unreadable"]):
        print_table(*holds_rows(body["holds"]))


def _settings(
    *,
    feed: Path,
    mapping: Path | None,
    members: Path | None,
    policy: str,
    salt_key: Path | None,
    epochs: Path,
    state: Path | None,
    first_epoch_start: str | None,
    grace: str,
    push_claims: bool,
    upkeep: bool,
    upkeep_every: str,
    data_uri_base: str,
) -> OracleSettings:
    from timebank_chain.activity import load_salt_key
    from timebank_chain.activity.mapping_file import load_mapping
    from timebank_chain.oracle.feed import list_feed
    from timebank_chain.oracle.settings import OracleSettings

    settings = OracleSettings(
        feed=feed,
        members=members,
        policy=_policy(policy),
        epochs=epochs,
        mapping=load_mapping(mapping) if mapping else None,
        state=state,
        first_epoch_start_ms=_time(first_epoch_start) if first_epoch_start else None,
        grace_ms=_duration(grace, "--grace") if grace else 0,
        push_claims=push_claims,
        upkeep=upkeep,
        upkeep_seconds=whole_seconds(upkeep_every, "--upkeep-every", least=1),
        data_uri_base=data_uri_base,
        salt_key=load_salt_key(salt_key),
    )
    # Said at the start rather than when the first epoch ends, days later.
    list_feed(feed)
    settings.read_members()
    if salt_key is None:
        say("no --salt-key: record ids use the public salt, fine for data that is public anyway")
    return settings


def _policy(name: str) -> Policy:
    from timebank_chain.valuation import load_policy

    if not name:
        raise UsageError("no policy given", hint="add --policy P: identity, git, stackexchange or a file")
    return load_policy(name)


def _time(text: str) -> int:
    try:
        return parse_time(text)
    except ValueError as error:
        raise UsageError(f"--first-epoch-start: {error}") from None


def _duration(text: str, option: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def _do(
    submitter: Submitter,
    kind: Any,
    epoch: int,
    header_hash: bytes,
    call: Any,
    question: str,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    from timebank_chain.chain.transactions import prepare

    key = "0x" + header_hash.hex()
    body: dict[str, Any] = {"epoch": epoch, "header_hash": key, "value_wei": call.value}
    if dry_run:
        submitter.trust(call.target)
        prepared = prepare(submitter.connection, submitter.signer.address, call)
        body |= {"sent": False, "transaction": None, "block": None, "max_cost_wei": prepared.max_cost_wei}
    else:
        confirm(question, yes=yes)
        intent = submitter.perform(kind, epoch, key, call)
        body |= {"sent": True, "transaction": intent.tx_hash, "block": intent.block, "max_cost_wei": None}
    if as_json:
        print_json(f"timebank.oracle.{kind}/1", body)
    elif dry_run:
        say(
            f"{call.name} of epoch {epoch} would go through, for at most {body['max_cost_wei']} wei; not sent"
        )
    else:
        say(f"{call.name} of epoch {epoch}: {body['transaction']} in block {body['block']}")


def _forget_voided(timebank: Timebank, submitter: Submitter, header: EpochHeader) -> None:
    """Let a header that was voided be proposed again: whoever types the command means it."""
    from timebank_chain.oracle.propose import voided_headers

    earlier = submitter.journal.live("propose", header.epoch, "0x" + header.hash().hex())
    if earlier is not None and header.hash() in voided_headers(timebank, header.epoch):
        now_ms = submitter.clock.now_ms()
        submitter.journal.settle(earlier, "voided", block=earlier.block, now_ms=now_ms)


def _preview(daemon: Any, *, as_json: bool) -> None:
    state, build = daemon.preview()
    header = None if build is None else build.header.to_json()
    if as_json:
        print_json(
            "timebank.oracle.run/1", {"sent": False, "latest_epoch": state.latest_epoch, "header": header}
        )
    elif build is None:
        say(f"nothing to close now; the newest finalised epoch is {state.latest_epoch}")
    else:
        mint = format_micro(build.header.total_mint)
        say(f"would publish, sign and propose epoch {build.header.epoch}:")
        say(f"{build.header.activity_count} acts, {mint} credits, header 0x{build.header.hash().hex()}")


def _status(timebank: Timebank, account: Any, journal: Journal | None) -> dict[str, Any]:
    from timebank_chain.oracle.state import read_state

    state: OracleState = read_state(timebank, account)
    return {
        "chain_id": timebank.connection.chain_id,
        "oracle": timebank.rate_oracle.address,
        "block": state.block,
        "latest_epoch": state.latest_epoch,
        "latest_end_ms": state.latest_end_ms,
        "latest_header_hash": "0x" + state.latest_header_hash.hex(),
        "policy_hash": "0x" + state.policy_hash.hex(),
        "rate_q24": state.rate_q24,
        "threshold": state.threshold,
        "quorum": sorted("0x" + member.hex() for member in state.quorum),
        "bond_wei": state.bond_wei,
        "paused": state.paused,
        "pending": pending_body(timebank, state.pending, block=state.block),
        "intents": [
            {
                "kind": intent.kind,
                "epoch": intent.epoch,
                "outcome": intent.outcome or "open",
                "block": intent.block,
                "transaction": intent.tx_hash,
            }
            for intent in (journal.intents() if journal else [])
        ],
    }
