"""``timebank attention privacy export | erase | retain``: a person's data, and how long it is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timebank_chain.cli.attention.privacy_options import (
    DataPaths,
    Epochs,
    ErasedFile,
    FeedPath,
    Identity,
    MappingFile,
    Member,
    MemberColumns,
    State,
    VaultFolder,
    open_vault,
    read_places,
    require_identity,
)
from timebank_chain.cli.options import DEFAULT_RPC_URL, AsJson, DeploymentFile, RpcUrl, confirm, progress
from timebank_chain.cli.output import out, print_json, print_table, say
from timebank_chain.errors import CheckFailed, UsageError
from timebank_chain.units import format_time

if TYPE_CHECKING:
    from timebank_chain.attention.privacy.erasure import Erasure
    from timebank_chain.attention.privacy.person import TextsBy

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be deleted, delete nothing.")]


def export(
    member: Member,
    target: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Archive to write (mode 0600).")
    ],
    data: DataPaths = None,
    feed: FeedPath = None,
    epochs: Epochs = None,
    state: State = None,
    mapping: MappingFile = None,
    member_column: MemberColumns = None,
    deployment: DeploymentFile = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    vault: VaultFolder = None,
    identity: Identity = None,
    as_json: AsJson = False,
) -> None:
    """Hand a person everything raw about them: rows, rejects, their line of the members file, texts.

    Activity tables come with salt and record id, so that the person can show which published acts are
    theirs. Texts they wrote for the market are found with --deployment; without it, those that name them.

    Example: timebank attention privacy export ada@example.org --out ada.zip --feed feed --data archive
    --epochs epochs --vault vault --identity ana.identity
    """
    from timebank_chain.attention.privacy.person import Search, export_person, find
    from timebank_chain.attention.privacy.roles import Level
    from timebank_chain.attention.privacy.vault import now_ms

    found = open_vault(vault)
    session = found.enter(require_identity(identity), "export", Level.RAW, member=member)
    given = read_places(
        found,
        data=data,
        feed=feed,
        epochs=epochs,
        state=state,
        mapping=mapping,
        erased=None,
        member_columns=member_column,
    )
    texts = _texts_by(deployment, rpc_url)
    search = Search(given.places, given.mapping, found.keyring(), texts, progress, given.member_columns)
    counts = export_person(search, find(search, member), epochs, target, now_ms())
    session.done(counts)
    if as_json:
        print_json("timebank.privacy.export/1", {"out": str(target), "pieces": counts})
        return
    print_table("Exported", ["kind", ">pieces"], [(kind, f"{n:,}") for kind, n in counts.items()])
    say(f"wrote {target}")


def erase(
    member: Member,
    data: DataPaths = None,
    feed: FeedPath = None,
    epochs: Epochs = None,
    state: State = None,
    mapping: MappingFile = None,
    member_column: MemberColumns = None,
    erased: ErasedFile = None,
    deployment: DeploymentFile = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before deleting.")] = False,
    dry_run: DryRun = False,
    vault: VaultFolder = None,
    identity: Identity = None,
    as_json: AsJson = False,
) -> int:
    """Erase a person: every row, rejected row, line and text of theirs, and then look for what is left.

    Their records are turned away from then on (only hashes are kept), the oracle goes on from the rewritten
    feed, and `timebank audit` passes as before: published epochs hold numbers under hashes, and stay. Stop
    the oracle, and whoever writes the feed, meanwhile. Exit code 3 if something of theirs is left, of a dry
    run if something would be; and if it is not proved: of an id under four characters, or of digits alone, no
    table is silently passed whose member's column is not known, or has it in another writing (4,711). Name
    it with --member-column FILE=NAME. Erasing a person again does no harm.

    Give the alias file of `timebank attention collect` with --data too: what stands under an alias is theirs.

    Example: timebank attention privacy erase ada@example.org --feed feed --data members.csv --data archive
    --epochs epochs --vault vault --identity ana.identity
    """
    from timebank_chain.attention.privacy.erasure import erase_person
    from timebank_chain.attention.privacy.person import Search
    from timebank_chain.attention.privacy.roles import Level

    found = open_vault(vault)
    session = found.enter(require_identity(identity), "erase", Level.MANAGE, member=member)
    given = read_places(
        found,
        data=data,
        feed=feed,
        epochs=epochs,
        state=state,
        mapping=mapping,
        erased=erased,
        member_columns=member_column,
    )
    if not dry_run:
        confirm(f"erase {member} for good?", yes=yes)
    texts = _texts_by(deployment, rpc_url)
    search = Search(given.places, given.mapping, found.keyring(), texts, progress, given.member_columns)
    result = erase_person(
        search, member, erased_file=given.erased_file, oracle=given.oracle, epochs=epochs, dry_run=dry_run
    )
    dry_run = dry_run or not result.known
    session.done(
        {
            "dry_run": dry_run,
            "pieces": sum(result.changed.values()),
            "files": len(result.changed),
            "left": sum(result.left.values()),
            "unclear": len(result.unclear),
        }
    )
    if as_json:
        print_json("timebank.privacy.erase/1", _erasure_document(result, dry_run, given.erased_file))
    else:
        _print_erasure(result, dry_run)
        if not dry_run:
            say(f"the list of the erased, for audits and ingests: --erased {given.erased_file}")
            if given.oracle.state is None and erased is None:
                say("no oracle has a state here: before one is started, copy that list to EPOCHS/.oracle/")
    # As with the audit: the document says what failed, the exit code that it did.
    return 0 if result.proved else CheckFailed.exit_code


def retain(
    days: Annotated[
        int | None, typer.Option("--days", metavar="N", help="Keep rows of every source for N days.")
    ] = None,
    rules: Annotated[
        Path | None, typer.Option("--rules", metavar="FILE", help="Rules per source (TOML) instead.")
    ] = None,
    data: DataPaths = None,
    feed: FeedPath = None,
    epochs: Epochs = None,
    state: State = None,
    mapping: MappingFile = None,
    erased: ErasedFile = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before deleting.")] = False,
    dry_run: DryRun = False,
    vault: VaultFolder = None,
    identity: Identity = None,
    as_json: AsJson = False,
) -> None:
    """Delete raw rows that have served their time; say what is kept, and why.

    With --epochs, rows whose epoch is not final stay whatever their age. Published epochs stay.

    Example: timebank attention privacy retain --days 365 --feed feed --epochs epochs --dry-run
    --vault vault --identity ana.identity
    """
    from timebank_chain.attention.privacy import retention
    from timebank_chain.attention.privacy.roles import Level
    from timebank_chain.attention.privacy.vault import now_ms

    if (days is None) == (rules is None):
        raise UsageError("say how long to keep", hint="give one of --days N or --rules FILE")
    if rules is not None:
        wanted = retention.load_rules(rules)
    else:
        wanted = (retention.Rule("*", retention.check_days(days, "--days")),)
    found = open_vault(vault)
    session = found.enter(require_identity(identity), "retain", Level.MANAGE)
    given = read_places(
        found, data=data, feed=feed, epochs=epochs, state=state, mapping=mapping, erased=erased
    )
    if not dry_run:
        confirm("delete rows older than the rules say, for good?", yes=yes)
    done = retention.retain(
        given.places,
        wanted,
        mapping=given.mapping,
        oracle=given.oracle,
        epochs=epochs,
        erased_file=given.erased_file,
        now_ms=now_ms(),
        dry_run=dry_run,
        say=progress,
    )
    deleted = sum(one.deleted for one in done)
    session.done({"dry_run": dry_run, "deleted": deleted, "files": len(done)})
    if as_json:
        files = [
            {"file": str(one.path), "days": one.days, "deleted": one.deleted, "kept": one.kept}
            for one in done
        ]
        print_json("timebank.privacy.retain/1", {"dry_run": dry_run, "deleted": deleted, "files": files})
        return
    print_table(
        "Would be deleted" if dry_run else "Deleted",
        ["file", ">days", ">deleted", ">kept", "why", "oldest kept"],
        [
            (
                one.path,
                "-" if one.days is None else one.days,
                f"{one.deleted:,}",
                f"{sum(one.kept.values()):,}",
                "; ".join(f"{n:,} {why}" for why, n in one.kept.items()),
                "-" if one.oldest_ms is None else format_time(one.oldest_ms),
            )
            for one in done
        ],
    )


def _texts_by(deployment: Path | None, rpc_url: str) -> TextsBy:
    from timebank_chain.attention.privacy.person import no_texts

    if deployment is None:
        return no_texts
    from timebank_chain.attention.privacy.texts import texts_by
    from timebank_chain.cli.options import open_system

    timebank = open_system(rpc_url, deployment)

    def ask(accounts: frozenset[bytes]) -> frozenset[bytes]:
        progress("asking the chain which texts they wrote")
        return texts_by(timebank, accounts)

    return ask


def _erasure_document(result: Erasure, dry_run: bool, erased_file: Path) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "already_erased": result.again,
        "known": result.known,
        "changed": result.changed,
        "redacted_rows": result.redacted,
        "acts": result.acts,
        "left": result.left,
        "unclear": result.unclear,
        "unseen": result.unseen,
        "removed": result.removed,
        "accounts": result.accounts,
        "published_leaves": result.published,
        "guessable": result.guessable,
        "searched_in_text": result.searched,
        "erased_file": str(erased_file),
    }


def _print_erasure(result: Erasure, dry_run: bool) -> None:
    console = out()
    if result.again and result.nothing_to_do and result.proved and not result.unseen:
        console.print("already erased: nothing of theirs is left here", markup=False)
        return
    if not result.known:
        console.print(
            f"nothing is known of a member {result.member!r:.80}: nothing was changed", markup=False
        )
    print_table(
        "Would be erased" if dry_run else "Erased",
        ["file", ">rows, lines or texts"],
        [(name, f"{count:,}") for name, count in result.changed.items()],
    )
    if result.removed:
        listed = [(name,) for name in result.removed]
        print_table("Would be removed" if dry_run else "Removed", ["what killed commands had left"], listed)
    if result.redacted:
        console.print(f"{result.redacted:,} rows of others named them; the name is out", markup=False)
    if result.published:
        console.print(
            f"what stays: {result.published:,} leaves of published epochs, {', '.join(result.accounts)}, "
            "needed by every audit: address, time, domain, numbers and a hash, no text; and what the chain "
            "itself keeps",
            markup=False,
        )
    if not result.searched:
        console.print(
            "mind: an id this short, or all digits, cannot be looked for in free text, in other columns than "
            "the member's or in office files; read these yourself",
            markup=False,
        )
    if result.guessable:
        console.print(
            "mind: the record ids were salted with the public key, so whoever guesses one of these records "
            "in full finds its leaf; use --salt-key for people's data",
            markup=False,
        )
    console.print(
        "copies elsewhere (backups, mirrors, other signers' feeds) have to be erased there", markup=False
    )
    for name, reason in result.unseen.items():
        console.print(f"mind: nobody looked into {name}: {reason}", markup=False)
    if result.left:
        rows = [(name, f"{count:,}") for name, count in result.left.items()]
        title = "WOULD STILL BE NAMED" if dry_run else "STILL NAMED"
        print_table(f"{title} in what this program does not write", ["file", ">times"], rows)
        say("edit or delete these files, then erase again")
    if result.unclear:
        print_table("NOT PROVED", ["file", "why something may be left"], list(result.unclear.items()))
        say(
            "name the column that holds members: --member-column FILE=NAME, or FILE= where nobody is in it; "
            "erase what else they are called; look through the others, edit what is theirs, and erase again"
        )
