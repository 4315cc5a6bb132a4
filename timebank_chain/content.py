"""Texts kept off chain, each under the hash that stands on chain: a folder of small files.

What a service is, what was delivered and why a side complains is written here; the contracts hold a hash
of it. A file is named by the keccak-256 of its bytes and holds a line that names the format, a random salt
in hexadecimal, and the text in UTF-8::

    timebank.text/1
    8f3a...64 digits...
    Two hours of help with your garden

The salt is why a hash tells nothing about a short text. Whoever is to read the text gets the file; whoever
erases it leaves nothing but a hash, which the audit never looks behind.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from timebank_chain.documents import write_whole
from timebank_chain.errors import ContentError

#: The longest text, in bytes of UTF-8.
MAX_TEXT_BYTES = 65_536

_FORMAT = b"timebank.text/1\n"
_SALT_DIGITS = 64
_HEAD_BYTES = len(_FORMAT) + _SALT_DIGITS + 1
_NAME = re.compile(r"^[0-9a-f]{64}\.txt$")
#: Bidirectional classes of characters that only turn what follows around.
_TURNING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
_SALT = re.compile(rb"^[0-9a-f]{64}\n$")


def draft(text: str) -> bytes:
    """Return the document of a text, with a salt of its own: what is kept, and handed over.

    Raises
    ------
    ContentError
        If it is empty, longer than ``MAX_TEXT_BYTES``, or holds control characters.
    """
    body = text.encode("utf-8", errors="surrogatepass")
    _check(body, where="the text")
    return _FORMAT + secrets.token_hex(_SALT_DIGITS // 2).encode() + b"\n" + body


def hash_of(document: bytes) -> bytes:
    """Return the hash a document is kept under: what stands on chain."""
    # Imported here: eth_utils takes as long as all the rest of what `timebank --help` needs.
    from eth_utils.crypto import keccak

    return bytes(keccak(document))


@dataclass(frozen=True)
class ContentStore:
    """A folder of texts; made when the first is put into it."""

    folder: Path

    def put(self, text: str) -> bytes:
        """Keep a text and return its hash. The file is there whole or not at all.

        Raises
        ------
        ContentError
            If it is empty, longer than ``MAX_TEXT_BYTES``, or holds control characters.
        """
        return self.keep(draft(text))

    def keep(self, document: bytes) -> bytes:
        """Keep a document that ``draft`` made, and return its hash."""
        content_hash = hash_of(document)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.path(content_hash), document, mode=0o600, sync=True)
        except OSError as error:
            raise ContentError(f"the text cannot be kept: {error}", where=str(self.folder)) from error
        return content_hash

    def get(self, content_hash: bytes) -> str | None:
        """Return the text of a hash, or ``None`` when it is not here (erased, or never handed over).

        Raises
        ------
        ContentError
            If the file is not what its name says, or no text of ours.
        """
        path = self.path(content_hash)
        try:
            with path.open("rb") as file:
                document = file.read(_HEAD_BYTES + MAX_TEXT_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ContentError(f"the text cannot be read: {error}", where=str(path)) from error
        if hash_of(document) != content_hash:
            raise ContentError(
                "the file is not the text of this hash",
                where=str(path),
                hint="it was changed: ask who wrote it for the original",
            )
        head, body = document[:_HEAD_BYTES], document[_HEAD_BYTES:]
        if not head.startswith(_FORMAT) or not _SALT.match(head[len(_FORMAT) :]):
            raise ContentError("the file is no text of ours", where=str(path))
        return _check(body, where=str(path))

    def erase(self, content_hash: bytes) -> bool:
        """Erase a text, with its salt; tell whether it was here."""
        path = self.path(content_hash)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise ContentError(f"the text cannot be erased: {error}", where=str(path)) from error
        return True

    def hashes(self) -> Iterator[bytes]:
        """Give the hashes of all texts that are here, sorted."""
        if self.folder.is_dir():
            for name in sorted(path.name for path in self.folder.iterdir()):
                if _NAME.match(name):
                    yield bytes.fromhex(name.removesuffix(".txt"))

    def path(self, content_hash: bytes) -> Path:
        """Return where the text of a hash is kept: the file to hand over."""
        return self.folder / f"{content_hash.hex()}.txt"


def _check(body: bytes, *, where: str) -> str:
    """Return the text; refuse what could not be shown to anybody."""
    if not body:
        raise ContentError("there is no text", where=where)
    if len(body) > MAX_TEXT_BYTES:
        raise ContentError(
            f"a text of more than {MAX_TEXT_BYTES} bytes", where=where, hint="say it shorter, or link to it"
        )
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ContentError(f"the text is no UTF-8: {error}", where=where) from error
    for character in text:
        # A terminal obeys control characters, others turn what follows around: a stranger's text must
        # not be able to use them.
        control = unicodedata.category(character) == "Cc" and character not in "\n\t"
        if control or unicodedata.bidirectional(character) in _TURNING:
            raise ContentError(f"the text holds the control character U+{ord(character):04X}", where=where)
    return text
