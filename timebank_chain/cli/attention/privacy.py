"""``timebank attention privacy``: keys, sealed files, roles and the ledger; people and figures beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from timebank_chain.cli.attention import privacy_figures, privacy_people
from timebank_chain.cli.attention.privacy_options import Identity, VaultFolder, open_vault, require_identity
from timebank_chain.cli.options import AsCsv, AsJson, progress
from timebank_chain.cli.output import out, print_json, print_table, say
from timebank_chain.cli.outputs import check_outputs
from timebank_chain.errors import CheckFailed, UsageError
from timebank_chain.units import format_time

app = typer.Typer(
    help="Protect people's data: pseudonyms, sealing, roles, retention, export, erasure, budgets.\n\n"
    "Example: timebank attention privacy init --vault vault --as ana --identity ana.identity",
    no_args_is_help=True,
)
roles_app = typer.Typer(
    help="Who may see what.\n\n"
    "Example: timebank attention privacy roles list --vault vault --identity ana.identity",
    no_args_is_help=True,
)

_LEVELS = ("aggregates", "pseudonymised", "raw", "manage")
NewIdentity = Annotated[
    Path, typer.Option("--new-identity", metavar="FILE", help="Identity file to make for them (mode 0600).")
]


@app.command("init")
def init(
    manager: Annotated[str, typer.Option("--as", metavar="NAME", help="Who manages it.")],
    vault: VaultFolder = None,
    identity: Identity = None,
    as_json: AsJson = False,
) -> None:
    """Make a vault: fresh keys, an empty ledger, and an identity for who manages it.

    Keep the vault, and its copies, apart from the data; keep the identity where only that person reads.

    Example: timebank attention privacy init --vault vault --as ana --identity ana.identity
    """
    from timebank_chain.attention.privacy.vault import make_vault

    if vault is None:
        raise UsageError("no vault given", hint="add --vault DIR")
    made = make_vault(vault, manager, require_identity(identity))
    if as_json:
        body = {"vault": str(vault), "manager": manager, "key": made.keyring().active}
        print_json("timebank.privacy.init/1", body)
        return
    say(f"made {vault}, managed by {manager}, and the identity {identity}; copy both to a safe place")


@app.command("pseudonymise")
def pseudonymise(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="CSV file with members in it.")],
    target: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="CSV file to write.")],
    columns: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="NAME", help="Column that holds members (default: member)."),
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option("--drop", metavar="NAME", help="Column to leave out: free text.")
    ] = None,
    vault: VaultFolder = None,
    identity: Identity = None,
    as_json: AsJson = False,
) -> None:
    """Copy a table with its members under pseudonyms: the same under one key, unlinkable across two.

    A vault has one key. Who has the key can name everybody; without it nobody can.

    Example: timebank attention privacy pseudonymise feed.csv -o study.csv --drop note --vault vault
    --identity ana.identity
    """
    from timebank_chain.attention.privacy.pseudonym import pseudonymise_csv
    from timebank_chain.attention.privacy.roles import Level

    check_outputs([("--out", target)], [source, identity])
    session = open_vault(vault).enter(require_identity(identity), "pseudonymise", Level.PSEUDONYMISED)
    progress(f"reading {source}")
    names = tuple(columns or ("member",))
    key = session.vault.pseudonym_key()
    rows = pseudonymise_csv(source, target, names, key, drop=tuple(drop or ()))
    session.done({"rows": rows})
    if as_json:
        print_json("timebank.privacy.pseudonymise/1", {"rows": rows, "columns": names, "out": str(target)})
        return
    say(f"{rows:,} rows with pseudonyms: {target}")


@app.command("seal")
def seal(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files to seal.")],
    remove: Annotated[
        bool, typer.Option("--remove", help="Delete the open file once the sealed one was opened again.")
    ] = False,
    vault: VaultFolder = None,
    identity: Identity = None,
    as_json: AsJson = False,
) -> None:
    """Encrypt files at rest (AES-256-GCM), each as FILE.sealed under the vault's active key.

    Example: timebank attention privacy seal members.csv --remove --vault vault --identity ana.identity
    """
    import os
    import tempfile

    from timebank_chain.attention.privacy import sealed
    from timebank_chain.attention.privacy.roles import Level

    for path in files:
        if not path.is_file():
            raise UsageError(f"no such file: {path}")
        target = path.with_name(path.name + sealed.SUFFIX)
        if target.exists():
            raise UsageError(f"there is a sealed one already: {target}", hint="move it away first")
    session = open_vault(vault).enter(require_identity(identity), "seal", Level.MANAGE)
    ring, done = session.vault.keyring(), []
    for path in files:
        progress(f"sealing {path}")
        target = path.with_name(path.name + sealed.SUFFIX)
        sealed.seal(path, target, ring)
        if remove:
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            os.close(handle)
            try:
                sealed.unseal(target, Path(name), ring)
            finally:
                Path(name).unlink(missing_ok=True)
            path.unlink()
        done.append(str(target))
    session.done({"files": len(done), "key": ring.active, "removed": remove})
    if as_json:
        print_json("timebank.privacy.seal/1", {"sealed": done, "key": ring.active, "removed": remove})
        return
    for name in done:
        say(f"sealed under {ring.active}: {name}")


@app.command("open")
def open_(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="Sealed file.")],
    target: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Where to write it (mode 0600).")
    ],
    vault: VaultFolder = None,
    identity: Identity = None,
    as_json: AsJson = False,
) -> None:
    """Open a sealed file: all of it, or nothing where a byte was changed or is missing.

    Example: timebank attention privacy open members.csv.sealed -o members.csv --vault vault
    --identity ana.identity
    """
    from timebank_chain.attention.privacy import sealed
    from timebank_chain.attention.privacy.roles import Level

    if not source.is_file():
        raise UsageError(f"no such file: {source}")
    if target.exists():
        raise UsageError(f"--out is there already: {target}", hint="name another file")
    session = open_vault(vault).enter(require_identity(identity), "open", Level.RAW)
    header = sealed.unseal(source, target, session.vault.keyring())
    size = target.stat().st_size
    session.done({"bytes": size, "key": header.key_id})
    if as_json:
        print_json("timebank.privacy.open/1", {"name": header.name, "bytes": size, "key": header.key_id})
        return
    say(f"opened {header.name}, {size:,} bytes: {target}")


@app.command("rotate")
def rotate(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH]...", help="Sealed files, or folders of them.")
    ] = None,
    new_key: Annotated[
        bool, typer.Option("--new-key/--same-key", help="Make a new active key, or use the one there is.")
    ] = True,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Forget the older keys: what they still seal is gone for good.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before dropping keys.")] = False,
    vault: VaultFolder = None,
    identity: Identity = None,
    as_json: AsJson = False,
) -> None:
    """Put a new key on the ring and wrap the keys of sealed files under it; contents are not touched.

    Interrupted, it is finished by running it again with --same-key.

    Example: timebank attention privacy rotate sealed/ --drop-old --vault vault --identity ana.identity
    """
    from timebank_chain.attention.privacy import sealed
    from timebank_chain.attention.privacy.keys import write_keyring
    from timebank_chain.attention.privacy.roles import Level
    from timebank_chain.attention.privacy.vault import now_ms
    from timebank_chain.cli.options import confirm

    for path in paths or []:
        if not path.exists():
            raise UsageError(f"no such file or folder: {path}")
    session = open_vault(vault).enter(require_identity(identity), "rotate", Level.MANAGE)
    found = session.vault
    ring = found.keyring()
    if new_key:
        ring = ring.with_new_key(now_ms())
        write_keyring(ring, found.keyring_path, replace=True)
    files = [file for path in paths or [] for file in sealed.sealed_files(path)]
    wrapped = 0
    for file in files:
        progress(f"wrapping {file}")
        wrapped += sealed.rewrap(file, ring)
    dropped = 0
    if drop_old and len(ring.keys) > 1:
        dropped = len(ring.keys) - 1
        confirm(
            f"forget {dropped} older keys? What is sealed under them elsewhere can never be opened again",
            yes=yes,
        )
        ring = ring.without_old_keys()
        write_keyring(ring, found.keyring_path, replace=True)
    body = {"key": ring.active, "files": len(files), "wrapped": wrapped, "dropped_keys": dropped}
    session.done(body)
    if as_json:
        print_json("timebank.privacy.rotate/1", body)
        return
    say(
        f"active key {ring.active}; {wrapped:,} of {len(files):,} sealed files wrapped anew, "
        f"{dropped} keys dropped"
    )


@app.command("ledger")
def ledger(
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every line; exit code 3 if one fails.")
    ] = False,
    noted: Annotated[
        str | None,
        typer.Option("--head", metavar="MAC", help="A head noted earlier: it must still be in it."),
    ] = None,
    vault: VaultFolder = None,
    identity: Identity = None,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """Show who saw and did what, or check that nothing was changed or taken out.

    Write the head down elsewhere from time to time: an old copy of the whole vault is told by it alone.

    Example: timebank attention privacy ledger --verify --vault vault

    Example: timebank attention privacy ledger --vault vault --identity ana.identity --json
    """
    from timebank_chain.attention.privacy.roles import Level

    found = open_vault(vault)
    if verify or noted is not None:
        head = found.ledger().verify(noted)
        if not found.roles_are_recorded():
            raise CheckFailed(
                "the roles file is not as the ledger says it was left",
                where=str(found.roles_path),
                hint="somebody changed it by hand: look through it, then grant or revoke a role",
            )
        if as_json:
            print_json("timebank.privacy.ledger.verify/1", {"lines": head.lines, "head": head.mac})
        else:
            say(f"{head.lines:,} lines, unbroken; head {head.mac}")
        return
    session = found.enter(require_identity(identity), "ledger", Level.MANAGE)
    entries = list(session.ledger.entries())
    if as_json:
        body = [entry.body() | {"mac": entry.mac} for entry in entries]
        print_json("timebank.privacy.ledger/1", {"entries": body})
        return
    rows = [
        (
            entry.seq,
            format_time(entry.at_ms),
            entry.who,
            entry.action,
            entry.level,
            entry.outcome,
            entry.subject,
            ", ".join(f"{name} {value}" for name, value in entry.detail.items()),
        )
        for entry in entries
    ]
    columns = [">line", "when", "who", "action", "level", "outcome", "subject", "detail"]
    if as_csv:
        import csv
        import sys

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow([name.removeprefix(">") for name in columns])
        writer.writerows(rows)
        return
    print_table("Privacy ledger", columns, rows)


@roles_app.command("list")
def roles_list(vault: VaultFolder = None, identity: Identity = None, as_json: AsJson = False) -> None:
    """List who may see what.

    Example: timebank attention privacy roles list --vault vault --identity ana.identity
    """
    from timebank_chain.attention.privacy.roles import Level, read_roles

    session = open_vault(vault).enter(require_identity(identity), "list roles", Level.MANAGE)
    roles, _ = read_roles(session.vault.roles_path)
    if as_json:
        people = [{"name": one.name, "may": sorted(one.may)} for one in roles.people]
        print_json("timebank.privacy.roles/1", {"people": people})
        return
    print_table("Roles", ["name", "may"], [(one.name, ", ".join(sorted(one.may))) for one in roles.people])


@roles_app.command("grant")
def roles_grant(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who.")],
    may: Annotated[
        list[str], typer.Option("--may", metavar="LEVEL", help=f"One of {', '.join(_LEVELS)}. Repeatable.")
    ],
    new_identity: NewIdentity,
    vault: VaultFolder = None,
    identity: Identity = None,
    as_json: AsJson = False,
) -> None:
    """Let somebody see or manage, with an identity of their own; a name that has a role gets the new one.

    Example: timebank attention privacy roles grant ben --may aggregates --new-identity ben.identity
    --vault vault --identity ana.identity
    """
    from timebank_chain.attention.privacy.roles import Level, read_roles
    from timebank_chain.attention.privacy.vault import make_identity

    for level in may:
        if level not in _LEVELS:
            raise UsageError(f"no such level: {level}", hint=f"one of {', '.join(_LEVELS)}")
    session = open_vault(vault).enter(require_identity(identity), "roles", Level.MANAGE)
    roles, _ = read_roles(session.vault.roles_path)
    roles.with_person(name, map(Level, may), b"")  # refused before a file is made
    changed = roles.with_person(name, map(Level, may), make_identity(new_identity))
    levels = ", ".join(sorted(set(may)))
    session.vault.set_roles(session, changed, {"granted": name, "may": levels})
    if as_json:
        body = {"name": name, "may": sorted(set(may)), "identity": str(new_identity)}
        print_json("timebank.privacy.roles.grant/1", body)
        return
    say(f"{name} may {levels}; their identity: {new_identity}")


@roles_app.command("revoke")
def roles_revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who.")],
    vault: VaultFolder = None,
    identity: Identity = None,
    as_json: AsJson = False,
) -> None:
    """Take somebody's role away; the last who may manage stays.

    Example: timebank attention privacy roles revoke ben --vault vault --identity ana.identity
    """
    from timebank_chain.attention.privacy.roles import Level, read_roles

    session = open_vault(vault).enter(require_identity(identity), "roles", Level.MANAGE)
    roles, _ = read_roles(session.vault.roles_path)
    session.vault.set_roles(session, roles.without(name), {"revoked": name})
    if as_json:
        print_json("timebank.privacy.roles.revoke/1", {"name": name})
        return
    out().print(f"{name} has no role any more", markup=False)


app.add_typer(roles_app, name="roles")
app.command("export")(privacy_people.export)
app.command("erase")(privacy_people.erase)
app.command("retain")(privacy_people.retain)
app.command("report")(privacy_figures.report)
app.command("budget")(privacy_figures.budget)
app.command("noisy")(privacy_figures.noisy)
