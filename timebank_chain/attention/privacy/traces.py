"""The search for what may be left of a member: every file, whatever it is, as text in every common disguise.

A file is looked through as it lies, unpacked (gzip, bzip2, xz, zstd; zip archives member by member, which
Office documents, NumPy archives and recommender files are), Parquet with its dictionary pages and its footer,
and its text once more with escapes undone (``\\u0040``, ``%40``, ``&#64;``), as UTF-16 or UTF-32 and, where
a name has letters beyond ASCII, in the encodings in use before. Capitals do not count for a member's id, as
they do not when it is redacted; for ids of acts they do.

Of a member erased before, the list of the erased knows the ids of acts as keyed hashes alone: then every word
and every cell is hashed and looked up there.
"""

from __future__ import annotations

import bz2
import gzip
import html
import io
import lzma
import os
import re
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from timebank_chain.activity.erased import Erased
from timebank_chain.attention.privacy.spellings import ENCODINGS

_BLOCK = 4 << 20
_MOST_NEEDLES = 400
#: Act ids shorter than this may stand anywhere by chance.
LEAST_ID = 6
#: The same for members.
LEAST_NAME = 4
#: Archives in archives deeper than this are said not to have been seen.
_DEEPEST = 4
#: Unpacked bytes of one packed file; more is made to fill machines.
_MOST_UNPACKED = 64 << 30
#: An escape takes at most so many characters for one.
_ESCAPED = 12
_LONGEST_ACT = 512

_URL = re.compile(r"(?:%[0-9a-fA-F]{2})+")
_HTML = re.compile(r"&#?[0-9a-zA-Z]{1,10};")
_UNICODE = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))")
#: Between words: spaces, quotes, brackets and what parts cells; then, between cells, the same without spaces.
_BETWEEN_WORDS = re.compile(r"[\s,;\"'`<>{}()\[\]|=\x00-\x1f]+")
_BETWEEN_CELLS = re.compile(r"[,;\t\r\n\"{}\[\]<>]+")
_FILLED = (re.compile(rb"\0{2,}"), re.compile(rb"\0{4,}"))
_BYTE_ORDER = (b"\xff\xfe", b"\xfe\xff")
#: Where letters of two and four bytes may begin.
_WIDE = (
    *((at, f"utf-16-{end}") for at in (0, 1) for end in ("le", "be")),
    *((at, "utf-32-le") for at in (0, 1, 2, 3)),
)
_ENDS = ".,:;!?/\\ "

_ZIP, _GZIP, _BZIP2, _XZ, _ZSTD, _PARQUET = (
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\x00",
    b"(\xb5/\xfd",
    b"PAR1",
)
_DAMAGED = (
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
)


def distinctive(name: str) -> bool:
    """Tell whether an id can be looked for in text: four characters or more, and not all digits."""
    return len(name) >= LEAST_NAME and not name.isdigit()


@dataclass
class Traces:
    """What to look for, and what could not be looked into.

    Parameters
    ----------
    names
        Ids of the member; those that may stand anywhere by chance are passed over.
    acts
        Ids of acts, of which the same holds.
    erased
        The list of the erased, whose hashes are looked for too; ``None``: no hashes.
    """

    names: frozenset[str]
    acts: frozenset[str]
    erased: Erased | None = None
    #: Files, or members of archives, that no search sees into, with the reason.
    unseen: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._latin = all(one.isascii() for one in (*self.names, *self.acts))
        names = sorted(_alike(name) for name in self.names if distinctive(name))
        acts = sorted(act for act in self.acts if len(act) >= LEAST_ID and not act.isdigit())
        self._names = _patterns(names)
        self._acts = _patterns(acts)
        self._coded = _coded([*(name for name in self.names if distinctive(name)), *acts])
        longest = max((len(one) for one in [*names, *acts]), default=0)
        self._hashes: frozenset[bytes] = frozenset()
        if self.erased is not None:
            known = {self.erased.act_hash(act) for act in self.acts}
            known |= {self.erased.member_hash(name) for name in self.names}
            self._hashes = (self.erased.acts | self.erased.members) - known
            longest = max(longest, _LONGEST_ACT if self._hashes else 0)
        self._overlap = 4 * _ESCAPED * (longest + 1)
        self._looked_up: dict[str, bool] = {}

    def in_file(self, path: Path, *, place: Path | None = None) -> int:
        """Return how often anything stands in a file and its name.

        Parameters
        ----------
        path
            What to read.
        place
            What it is the content of (a sealed file, or one that would be rewritten).
        """
        where = str(place or path)
        # A file may be called after a person.
        count = sum(map(self.in_name, {path.name, (place or path).name}))
        try:
            with path.open("rb") as file:
                table = _starts(file, _PARQUET)
                found = self._in_stream(file, where, 0)
            count += max(found, self._in_parquet(path, where) if table else 0)
        except OSError as error:
            self.unseen[where] = error.strerror or str(error)
        self._looked_up.clear()
        return count

    def in_name(self, name: str) -> int:
        """Return how often anything stands in what a file is called."""
        return self._in_text(os.fsencode(name).decode("utf-8", "surrogateescape"))

    def in_bytes(self, content: bytes) -> int:
        """Return how often anything stands in some bytes."""
        return self._in_stream(io.BytesIO(content), "", 0)

    def _in_stream(self, file: IO[bytes], where: str, depth: int) -> int:
        """Count in a file as it lies and, where it is packed, in what it holds."""
        count = 0
        rest = b""
        read = 0
        while block := file.read(_BLOCK):
            read += len(block)
            if read > _MOST_UNPACKED:
                self.unseen[where] = f"unpacks to more than {_MOST_UNPACKED:,} bytes"
                return count
            count += self._in_block(rest + block) - (self._in_block(rest) if rest else 0)
            rest = block[-self._overlap :] if self._overlap else b""
        # Short content often is packed as it is: it must not count twice.
        return max(count, self._in_packed(file, where, depth))

    def _in_packed(self, file: IO[bytes], where: str, depth: int) -> int:
        count = 0
        try:
            inner: Any = None
            if _starts(file, _ZIP) or (depth == 0 and zipfile.is_zipfile(file)):
                if depth >= _DEEPEST:
                    self.unseen[where] = "an archive in too many others"
                    return 0
                return self._in_zip(file, where, depth)
            if _starts(file, _GZIP):
                inner = gzip.GzipFile(fileobj=file, mode="rb")
            elif _starts(file, _BZIP2):
                inner = bz2.BZ2File(file)
            elif _starts(file, _XZ):
                inner = lzma.LZMAFile(file)  # noqa: SIM115 - `_unpacked` closes it
            elif _starts(file, _ZSTD):
                import pyarrow as pa

                inner = io.BufferedReader(pa.CompressedInputStream(file, "zstd"))
            if inner is not None and depth >= _DEEPEST:
                self.unseen[where] = "packed in too many others"
            elif inner is not None:
                with _unpacked(inner) as unpacked:
                    count = self._in_stream(unpacked, where, depth + 1)
        except _DAMAGED as error:
            self.unseen[where] = f"does not unpack: {error}"
        return count

    def _in_zip(self, file: IO[bytes], where: str, depth: int) -> int:
        count = named = 0
        file.seek(0)
        with zipfile.ZipFile(file) as archive:
            named += self._in_block(archive.comment)
            for entry in archive.infolist():
                inside = f"{where}!{entry.filename}"
                named += self._in_text(entry.filename) + self._in_block(entry.comment)
                try:
                    with _unpacked(archive.open(entry)) as unpacked:
                        count += self._in_stream(unpacked, inside, depth + 1)
                except _DAMAGED as error:  # RuntimeError: encrypted
                    self.unseen[inside] = f"does not open: {error}"
        return count + named

    def _in_parquet(self, path: Path, where: str) -> int:
        import pyarrow as pa
        import pyarrow.parquet as pq

        count = 0
        try:
            with pq.ParquetFile(path) as plain:
                texts = [
                    column.path
                    for column in map(plain.schema.column, range(len(plain.schema)))
                    if column.physical_type == "BYTE_ARRAY"
                ]
                metadata = plain.schema_arrow.metadata or {}
                count += sum(self._in_block(key + b"\n" + value) for key, value in metadata.items())
                count += self._in_text("\n".join(plain.schema_arrow.names))
            # Read as dictionaries, a column shows the whole of its dictionary page, used or not.
            with pq.ParquetFile(path, read_dictionary=texts) as file:
                for batch in file.iter_batches():
                    for column in batch.columns:
                        count += self._in_column(column)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            self.unseen[where] = f"not a readable Parquet file: {(str(error).splitlines() or ['?'])[0]}"
        return count

    def _in_column(self, column: Any) -> int:
        import pyarrow as pa

        if pa.types.is_dictionary(column.type):
            used = column.cast(column.type.value_type)
            unused = set(column.dictionary.to_pylist()) - set(used.unique().to_pylist())
            return self._in_cells(used.to_pylist()) + self._in_cells(list(unused))
        if pa.types.is_nested(column.type) or _is_text(column.type):
            return self._in_cells(column.to_pylist())
        return 0

    def _in_cells(self, cells: list[Any]) -> int:
        # Bytes may be text in another encoding.
        raw = b"\n".join(cell for cell in cells if isinstance(cell, bytes))
        texts = (str(cell) for cell in cells if cell is not None and not isinstance(cell, bytes))
        return self._in_block(raw) + self._in_text("\n".join(texts))

    def _in_block(self, block: bytes) -> int:
        count = self._in_text(block.decode("utf-8", "surrogateescape"))
        if b"\0" in block:
            # UTF-16 and UTF-32, wherever in the file they begin: Latin text without its zero bytes, any other
            # decoded from even and from odd places.
            # More of them in a row than a letter has fill up a cell.
            views = [
                filled.sub(b" ", block).replace(b"\0", b"").decode("utf-8", "surrogateescape")
                for filled in _FILLED
            ]
            if not self._latin:
                views += [block[at:].decode(code, "replace") for at, code in _WIDE]
            elif self._hashes and block.startswith(_BYTE_ORDER):
                # Hashing every word of every view of binary files would take hours.
                views.append(block.decode("utf-16", "replace"))
            count = max(count, *map(self._in_text, views))
        return count + (0 if self._coded is None else len(self._coded.findall(block)))

    def _in_text(self, text: str) -> int:
        if not text:
            return 0
        plain = _unescaped(text)
        return max(self._count(text), self._count(plain) if plain != text else 0)

    def _count(self, text: str) -> int:
        # Capitals beyond ASCII are dear in binary files, and of no matter to a name without them.
        alike = "" if not self._names else text.lower() if self._latin else _alike(text)
        count = sum(len(pattern.findall(alike)) for pattern in self._names)
        count += sum(len(pattern.findall(text)) for pattern in self._acts)
        return count + (self._hashed(text) if self._hashes else 0)

    def _hashed(self, text: str) -> int:
        """Count the words and cells whose keyed hash stands in the list of the erased."""
        count = 0
        for between in (_BETWEEN_WORDS, _BETWEEN_CELLS):
            for word in between.split(text):
                bare = word.strip(_ENDS)
                # Cells of one word were looked up as words.
                if (
                    len(bare) < LEAST_NAME
                    or bare.isdigit()
                    or (between is _BETWEEN_CELLS and " " not in bare)
                ):
                    continue
                if not bare.isprintable():
                    continue  # bytes of a binary file, and no id that a feed takes
                known = self._looked_up.get(word)
                if known is None:
                    known = any(map(self._is_erased, {word.strip(), bare, bare.lower()}))
                    if len(self._looked_up) < 1 << 20:
                        self._looked_up[word] = known
                count += known
        return count

    def _is_erased(self, word: str) -> bool:
        if self.erased is None or len(word) > _LONGEST_ACT:
            return False
        return self.erased.member_hash(word) in self._hashes or (
            len(word) >= LEAST_ID and self.erased.act_hash(word) in self._hashes
        )


@contextmanager
def _unpacked(reader: IO[bytes]) -> Iterator[IO[bytes]]:
    """Give what an archive unpacks, to be read twice: once as it lies, once for what may be packed in it.

    A large one lies on the disk meanwhile, and none is held in memory whole.
    """
    with reader, tempfile.SpooledTemporaryFile(max_size=_BLOCK) as file:
        size = 0
        while (block := reader.read(_BLOCK)) and size <= _MOST_UNPACKED:
            size += len(block)
            file.write(block)
        file.seek(0)
        yield file


def _patterns(needles: list[str]) -> list[re.Pattern[str]]:
    return [
        re.compile(f"(?<!\\w)(?:{'|'.join(map(re.escape, needles[at : at + _MOST_NEEDLES]))})(?!\\w)")
        for at in range(0, len(needles), _MOST_NEEDLES)
    ]


def _coded(needles: list[str]) -> re.Pattern[bytes] | None:
    """Return what finds texts beyond ASCII in the encodings that were in use before UTF-8."""
    found = set()
    for text in needles:
        for written in {text, text.lower(), text.upper(), text.title()}:
            for encoding in () if text.isascii() else ENCODINGS:
                with suppress(UnicodeEncodeError):
                    found.add(written.encode(encoding))
    found -= {text.encode() for text in needles}
    return re.compile(b"|".join(map(re.escape, sorted(found)))) if found else None


def _alike(text: str) -> str:
    """Return a text without capitals, its letters composed alike."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", text.casefold())


def _unescaped(text: str) -> str:
    """Return a text with the escapes of JSON, URLs and HTML undone, escaped twice too."""
    if _UNICODE.search(text):
        text = _UNICODE.sub(lambda match: chr(int(match[1] or match[2], 16)), text)
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    for _ in range(2):
        text = _URL.sub(
            lambda match: bytes.fromhex(match[0].replace("%", "")).decode("utf-8", "replace"), text
        )
    return _HTML.sub(lambda match: html.unescape(match[0]), text)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return any(
        told(kind)
        for told in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_fixed_size_binary,
            pa.types.is_string_view,
            pa.types.is_binary_view,
        )
    )


def _starts(file: IO[bytes], magic: bytes) -> bool:
    file.seek(0)
    found = file.read(len(magic)) == magic
    file.seek(0)
    return found
