"""Reading a git history with the real git: any bytes, any size, without a lock or a network call.

``git log`` writes fields and paths separated by NUL, which neither a message nor a path can contain;
each commit starts with a marker drawn at random for this run, so nothing in the history can pass for
one. The output is read as it comes, never held whole. The user's settings that would change the
output (rename detection, signatures, quoting, external diff programs) are overridden.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from timebank_chain.errors import ActivityError

_CHUNK = 1 << 20
#: Fields of the format after the marker.
_FIELDS = 6
_SETTINGS = (
    "core.quotePath=false",
    "diff.renames=true",
    "diff.renameLimit=1000",
    "log.follow=false",
    "log.mailmap=true",
    "log.showRoot=true",
    "log.showSignature=false",
)
_CONTACT = re.compile(r"^([^<>]*)<([^<>]+)>")


@dataclass(frozen=True, slots=True)
class Change:
    """One path of a commit; ``old_path`` differs after a rename; lines are 0 for binary files."""

    path: bytes
    old_path: bytes
    added: int
    deleted: int


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One commit that is no merge.

    Attributes
    ----------
    sha
        Full object name, hexadecimal.
    email, name
        The author, after the mailmap.
    committed_s
        Committer time, Unix seconds; -1 when the commit has none that can be read.
    trailers
        ``(key in lower case, value)`` in order.
    message
        The whole message.
    changes
        The paths it changed.
    """

    sha: str
    email: str
    name: str
    committed_s: int
    trailers: tuple[tuple[str, str], ...]
    message: str
    changes: tuple[Change, ...]


class GitHistory:
    """The history of ``HEAD`` of one repository.

    Raises
    ------
    ActivityError
        If git is missing, the path is no repository, or it has no commit yet.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise ActivityError("no such folder", where=str(path), hint="name the folder of a git repository")
        found = self._run("rev-parse", "--git-dir")
        if found.returncode:
            raise ActivityError(
                f"not a git repository: {_last_line(found.stderr)}",
                where=str(path),
                hint="name the folder of a clone (git clone URL)",
            )
        head = self._run("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        if head.returncode:
            raise ActivityError(
                "the repository has no commit yet",
                where=str(path),
                hint="commit something, or name another clone",
            )
        self.head = head.stdout.decode().strip()

    def shallow_boundary(self) -> frozenset[str]:
        """Return the commits at which a shallow clone was cut off."""
        place = self._run("rev-parse", "--git-path", "shallow").stdout.decode("utf-8", "surrogateescape")
        file = self.path / place.strip()
        return frozenset(file.read_text().split()) if file.is_file() else frozenset()

    def entries(self) -> Iterator[LogEntry]:
        """Yield the commits, parents before children, older before newer; merges are left out.

        Raises
        ------
        ActivityError
            If git fails on the way (a damaged or partial repository).
        """
        marker = secrets.token_hex(16).encode()
        form = f"{marker.decode()}%x00%H%x00%aE%x00%aN%x00%ct%x00%(trailers:only=true,unfold=true)%x00%B"
        command = self._command(
            "log", "-z", "--numstat", "-M", "--no-merges", "--reverse", "--date-order", "--use-mailmap",
            "-O/dev/null", "--no-color", "--no-ext-diff", "--no-textconv", "--no-notes", "--encoding=UTF-8",
            f"--format={form}", self.head, "--",
        )  # fmt: skip
        with tempfile.TemporaryFile() as complaints:
            with subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env=_environment(),
            ) as process:
                if process.stdout is None:
                    raise ActivityError("git gave no output", where=str(self.path))
                finished = False
                try:
                    yield from _parse(_tokens(process.stdout), marker)
                    finished = True
                finally:
                    if not finished:
                        process.kill()
            if process.returncode:
                complaints.seek(0)
                raise ActivityError(
                    f"git log failed: {_last_line(complaints.read())}",
                    where=str(self.path),
                    hint="check the clone with 'git fsck', or clone it again",
                )

    def mailmapped(self, contacts: Iterable[str]) -> dict[str, str]:
        """Map contacts (``Name <address>``) to their e-mail address after the mailmap, in lower case.

        Contacts without an address are left out.
        """
        asked: dict[str, str] = {}
        for contact in sorted(set(contacts)):
            match = _CONTACT.match(contact)
            if match and contact.isprintable():
                asked[contact] = f"{match[1].strip()} <{match[2].strip()}>".strip()
        if not asked:
            return {}
        answer = self._run("check-mailmap", "--stdin", stdin="\n".join(asked.values()).encode() + b"\n")
        lines = answer.stdout.decode("utf-8", "surrogateescape").split("\n")[:-1]
        if answer.returncode or len(lines) != len(asked):
            raise ActivityError(
                f"git check-mailmap failed: {_last_line(answer.stderr)}",
                where=str(self.path),
                hint="check the repository's .mailmap",
            )
        return {
            contact: line[line.rfind("<") + 1 : line.rfind(">")].strip().lower()
            for contact, line in zip(asked, lines, strict=True)
        }

    def _run(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                self._command(*arguments), input=stdin, capture_output=True, check=False, env=_environment()
            )
        except FileNotFoundError as error:
            raise ActivityError("git is not installed", hint="install git, then try again") from error

    def _command(self, *arguments: str) -> list[str]:
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        return ["git", "-C", str(self.path), "--no-pager", "--no-replace-objects", *settings, *arguments]


def _environment() -> dict[str, str]:
    """Return the user's environment without what would point git elsewhere or let it ask questions."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}


def _tokens(stream: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while chunk := stream.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole
    if rest.strip(b"\n"):
        yield rest


def _parse(tokens: Iterator[bytes], marker: bytes) -> Iterator[LogEntry]:
    token = next(tokens, None)
    while token is not None:
        if token.strip(b"\n") != marker:
            raise ActivityError(
                "git log answered in an unknown form", hint="report this with 'git --version'"
            )
        fields = [next(tokens, b"") for _ in range(_FIELDS)]
        changes: list[Change] = []
        token = next(tokens, None)
        while token is not None and token.strip(b"\n") != marker:
            added, _, rest = token.lstrip(b"\n").partition(b"\t")
            deleted, _, path = rest.partition(b"\t")
            if path:
                changes.append(Change(path, path, _lines(added), _lines(deleted)))
            else:
                old_path, new_path = next(tokens, b""), next(tokens, b"")
                changes.append(Change(new_path, old_path, _lines(added), _lines(deleted)))
            token = next(tokens, None)
        yield _entry(fields, tuple(changes))


def _entry(fields: list[bytes], changes: tuple[Change, ...]) -> LogEntry:
    sha, email, name, time, trailers, message = (field.decode("utf-8", "surrogateescape") for field in fields)
    pairs = []
    for line in trailers.split("\n"):
        key, separator, value = line.partition(":")
        if separator:
            pairs.append((key.strip().lower(), value.strip()))
    committed = int(time) if re.fullmatch(r"[0-9]{1,12}", time) else -1
    return LogEntry(sha, email.strip().lower(), name, committed, tuple(pairs), message, changes)


def _lines(count: bytes) -> int:
    """Read a numstat count; binary files show a dash."""
    return int(count) if count.isdigit() else 0


def _last_line(text: bytes) -> str:
    lines = text.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "no reason given"
