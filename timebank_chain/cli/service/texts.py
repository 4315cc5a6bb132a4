"""Texts that go with a call: read, kept beside the chain, shown and erased."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import typer

from timebank_chain import config
from timebank_chain.cli.options import AsJson
from timebank_chain.cli.output import out, print_json, say
from timebank_chain.cli.service.options import ContentFolder
from timebank_chain.content import ContentStore, draft, hash_of
from timebank_chain.documents import read_small_text
from timebank_chain.errors import ContentError, UsageError


@dataclass(frozen=True)
class Note:
    """A text that goes with a call, not kept yet.

    Attributes
    ----------
    document
        What would be kept; ``None`` when there is no text.
    """

    store: ContentStore
    document: bytes | None

    @classmethod
    def read(cls, content: Path | None, text: str | None, file: Path | None) -> Self:
        """Take the text of --text or --file; none is allowed."""
        if text is not None and file is not None:
            raise UsageError("--text and --file at once", hint="give one of them")
        if file is not None:
            try:
                text = read_small_text(file)
            except (OSError, ValueError) as error:
                raise ContentError(f"the text cannot be read: {error}", where=str(file)) from error
        return cls(open_store(content), None if text is None else draft(text))

    @property
    def content_hash(self) -> bytes:
        """The hash that goes on chain; zeros when there is no text."""
        return bytes(32) if self.document is None else hash_of(self.document)

    @property
    def path(self) -> Path:
        """Where the text is, or would be, kept."""
        return self.store.path(self.content_hash)

    @property
    def facts(self) -> dict[str, Any]:
        """What a document says of the text."""
        if self.document is None:
            return {"content_hash": None, "content_file": None}
        return {"content_hash": "0x" + self.content_hash.hex(), "content_file": str(self.path)}

    @contextmanager
    def kept_by(self) -> Iterator[Callable[[], None]]:
        """Give what keeps the text; if anything fails afterwards, say where it lies and raise it on."""
        kept = False

        def keep() -> None:
            nonlocal kept
            if self.document is not None:
                self.store.keep(self.document)
                kept = True

        try:
            yield keep
        except BaseException:  # an interrupt while waiting for a block leaves the text as much as an error
            if kept:
                say(f"the text is kept in {self.path}: needed if the transaction is mined after all")
                say(f"  if it never is: timebank service text 0x{self.content_hash.hex()} --erase")
            raise

    def say_hand_over(self) -> None:
        """Say which file the other side needs."""
        if self.document is not None:
            say(f"hand this text to the other side: {self.path}")


def open_store(content: Path | None) -> ContentStore:
    """Return the folder of texts: given, or the user's."""
    return ContentStore(content or config.content_folder())


def text_command(
    content_hash: Annotated[str, typer.Argument(metavar="HASH", help="Hash of the text, 0x and 64 digits.")],
    erase: Annotated[
        bool, typer.Option("--erase", help="Erase the text and its salt; the hash stays.")
    ] = False,
    content: ContentFolder = None,
    as_json: AsJson = False,
) -> None:
    """Show the text behind a hash, if it is in your content folder, or erase it.

    Example: timebank service text 0x...

    Example: timebank service text 0x... --erase
    """
    digits = content_hash.removeprefix("0x")
    try:
        wanted = bytes.fromhex(digits)
    except ValueError:
        wanted = b""
    if len(wanted) != 32:
        raise UsageError(f"not a hash: {content_hash}", hint="write 0x and 64 digits")
    store = open_store(content)
    if erase:
        was = store.erase(wanted)
        if as_json:
            print_json("timebank.service.text/1", {"content_hash": "0x" + wanted.hex(), "erased": was})
        else:
            say("erased; whoever has a copy still has it" if was else "it was not here")
        return
    text = store.get(wanted)
    if text is None:
        raise ContentError(
            "this text is not here", where=str(store.folder), hint="ask who wrote it for its file"
        )
    if as_json:
        print_json("timebank.service.text/1", {"content_hash": "0x" + wanted.hex(), "text": text})
        return
    out().print(text, markup=False)
