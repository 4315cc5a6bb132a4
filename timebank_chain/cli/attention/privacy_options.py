"""Options that several privacy commands share, and the places they name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timebank_chain.errors import UsageError

if TYPE_CHECKING:
    from timebank_chain.activity import ActivityTable
    from timebank_chain.activity.mapping import ColumnMapping
    from timebank_chain.attention.privacy.erasure import Oracle
    from timebank_chain.attention.privacy.places import Place
    from timebank_chain.attention.privacy.vault import Vault

VaultFolder = Annotated[
    Path | None,
    typer.Option("--vault", metavar="DIR", help="Folder of the keys, the roles and the privacy ledger."),
]
Identity = Annotated[
    Path | None,
    typer.Option("--identity", metavar="FILE", help="Your identity file: who you are to the vault."),
]
DataPaths = Annotated[
    list[Path] | None,
    typer.Option(
        "--data",
        metavar="PATH",
        help="File or folder with raw data: tables, rejects, members file, texts, sealed files. Repeatable.",
    ),
]
FeedPath = Annotated[
    Path | None,
    typer.Option("--feed", metavar="PATH", help="The feed the oracle reads, as given to `oracle run`."),
]
Epochs = Annotated[Path | None, typer.Option("--epochs", metavar="DIR", help="Folder of published epochs.")]
State = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", help="The oracle's state (default: EPOCHS/.oracle)."),
]
MappingFile = Annotated[
    Path | None, typer.Option("--mapping", metavar="FILE", help="Mapping of the feed's columns (TOML).")
]
MemberColumns = Annotated[
    list[str] | None,
    typer.Option(
        "--member-column",
        metavar="FILE=NAME",
        help="Column (of JSON: path) that holds the member; FILE= where nobody is in it. Repeatable.",
    ),
]
ErasedFile = Annotated[
    Path | None,
    typer.Option(
        "--erased",
        metavar="FILE",
        help="List of the erased, as hashes (default: in the oracle's state, else in the vault).",
    ),
]
Member = Annotated[str, typer.Argument(metavar="MEMBER", help="The member's id, as the feed has it.")]


@dataclass(frozen=True)
class Given:
    """The places a command was given."""

    places: tuple[Place, ...]
    mapping: ColumnMapping | None
    oracle: Oracle
    epochs: Path | None
    erased_file: Path
    member_columns: dict[Path, str]


def open_vault(vault: Path | None) -> Vault:
    """Return the vault, or say how to give one."""
    from timebank_chain.attention.privacy.vault import Vault

    if vault is None:
        raise UsageError(
            "no vault given", hint="add --vault DIR; `timebank attention privacy init` makes one"
        )
    if not vault.is_dir():
        raise UsageError(
            f"no such vault: {vault}", hint="make it with: timebank attention privacy init --vault DIR"
        )
    return Vault(vault)


def require_identity(identity: Path | None) -> Path:
    """Return the identity file, or say how to give one."""
    if identity is None:
        raise UsageError(
            "nobody asks: no identity given",
            hint="add --identity FILE; `timebank attention privacy roles grant` makes one",
        )
    return identity


def read_places(
    vault: Vault,
    *,
    data: list[Path] | None,
    feed: Path | None,
    epochs: Path | None,
    state: Path | None,
    mapping: Path | None,
    erased: Path | None,
    member_columns: list[str] | None = None,
) -> Given:
    """Find the files the options name."""
    from timebank_chain.activity.mapping_file import load_mapping
    from timebank_chain.attention.privacy.erasure import Oracle
    from timebank_chain.attention.privacy.places import places
    from timebank_chain.oracle.settings import ERASED_FILE, STATE_FOLDER

    if not data and feed is None:
        raise UsageError("nowhere to look", hint="add --feed PATH or --data PATH")
    folder = state or (None if epochs is None else epochs / STATE_FOLDER)
    known = folder is not None and folder.is_dir()
    paths = [*([feed] if feed is not None else []), *(data or []), *([epochs] if epochs is not None else [])]
    if folder is not None and known:
        paths.append(folder)
    default = folder / ERASED_FILE if folder is not None and known else vault.erased_path
    found = tuple(places(paths))
    return Given(
        found,
        load_mapping(mapping) if mapping else None,
        Oracle(feed, folder if known else None),
        epochs,
        erased or default,
        _member_columns(member_columns or [], found),
    )


def _member_columns(given: list[str], found: tuple[Place, ...]) -> dict[Path, str]:
    """Read ``FILE=NAME``; the file must be among those that are looked into."""
    known = {place.path.resolve() for place in found}
    columns: dict[Path, str] = {}
    for text in given:
        # A path may hold an equals sign, a column hardly does.
        file, sign, name = text.rpartition("=")
        if not sign or not file:
            raise UsageError(f"--member-column: {text!r} is not FILE=NAME", hint="write members.csv=badge")
        path = Path(file).resolve()
        if path not in known:
            raise UsageError(
                f"--member-column: {file} is no file that is looked into", hint="name it with --data too"
            )
        columns[path] = name.strip()
    return columns


def read_tables(
    files: list[Path], mapping: Path | None, policy: str | None, erased: Path | None, *, apart: bool = False
) -> ActivityTable:
    """Read tables and feeds into one table, without the erased.

    Rows nobody can read are left out, and not counted aloud: that would be an exact figure as well.
    With ``apart``, an id is one of its member's: nobody's row can make another member's row a duplicate, so
    that what one member does changes their own part of a figure and no other.
    """
    from timebank_chain.activity import PUBLIC_SALT_KEY, clean
    from timebank_chain.activity.erased import load_erased
    from timebank_chain.activity.mapping_file import load_mapping
    from timebank_chain.attention.privacy.row_lines import ROWS, row_suffix
    from timebank_chain.attention.privacy.rows import rows_of_file
    from timebank_chain.attention.privacy.vault import now_ms
    from timebank_chain.valuation import load_policy

    for path in files:
        if not path.is_file() or row_suffix(path) not in ROWS:
            raise UsageError(f"no file of rows: {path}", hint=f"one of {', '.join(sorted(ROWS))}")
    rules = load_mapping(mapping) if mapping else None
    windows = {} if policy is None else {one.name: one.window_ms for one in load_policy(policy).domains}
    records = (record for path in files for record in rows_of_file(path, rules))
    forgotten = None if erased is None else load_erased(erased)
    wanted = records if forgotten is None else forgotten.turned_away(records)
    return clean(
        (replace(one, id=f"{one.member} {one.id}") for one in wanted) if apart else wanted,
        now_ms=now_ms(),
        salt_key=PUBLIC_SALT_KEY,
        windows=windows,
    ).table
