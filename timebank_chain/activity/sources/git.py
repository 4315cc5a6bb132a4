"""Git: who changed what, who reviewed it, who wrote it together.

One commit that is no merge gives one act of its author (domain ``code``), one of every reviewer named
in a ``Reviewed-by`` trailer (``review``) and one of every ``Co-authored-by`` / ``Co-developed-by``
(``coauthor``). A member is an e-mail address in lower case, after the repository's mailmap. An act
occurs when its change enters the history: the *committer* time, which a rebase renews; the author time
can be set to anything.

Every indicator counts only what had happened when the domain's window W closed, at committer time + W:

interaction
    ``code``: distinct other people named in the commit's trailers (reviewers, co-authors, Tested-by,
    Acked-by, Reported-by, Suggested-by, Helped-by). ``review`` and ``coauthor``: the same without the
    member, and with the author.
originality
    Weighted lines of the change: 1 for a line added in a path new to the history, 0.5 for a line added
    elsewhere, 0.1 for a line deleted; in generated or vendored paths (lock files, ``vendor/``,
    ``third_party/``, ``node_modules/``, ``*.min.js`` ...) 0.02 a line. At most 400 a file and 2,000 a
    commit. A revert has 0. Binary files have no lines; a rename counts only what changed in it.
engagement
    1 for having stood: no later commit said ``This reverts commit <it>`` within W. Then 1 for each
    distinct person who changed one of the same paths after it and within W (renames are followed), not
    counting its author and co-authors, not counting the member, not counting reverts. 0 when reverted.

Turned away, with the reason: bots (`DEFAULT_BOTS`), reviews of one's own commit, trailers without an
e-mail address, the cut-off commits of a shallow clone (their change is unknown), acts whose window is
still open, and everything after ``until``. A bot counts in nobody's indicators either.

What no log can show is whether a trailer is true; that is why quorum members read their own clones.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from timebank_chain.activity.record import RawRecord, Thousandths
from timebank_chain.activity.sources.git_log import Change, GitHistory, LogEntry
from timebank_chain.units import format_time

CODE, REVIEW, COAUTHOR = "code", "review", "coauthor"
DOMAINS = (CODE, REVIEW, COAUTHOR)

#: Regular expressions, searched in ``name <address>`` in lower case.
DEFAULT_BOTS = (
    r"\[bot\]",
    r"\bdependabot\b",
    r"\bgithub[- ]actions?\b",
    r"\brenovate(-bot)?\b",
    r"\bgreenkeeper\b",
    r"\bpre-commit-ci\b",
    r"\ballcontributors\b",
    r"\bsemantic-release-bot\b",
    r"\bmergify\b",
    r"\bsnyk-bot\b",
    r"\bimgbot\b",
)

NEW_LINE_MILLI = 1_000
EDITED_LINE_MILLI = 500
DELETED_LINE_MILLI = 100
GENERATED_LINE_MILLI = 20
MAX_FILE_MILLI = 400_000
MAX_COMMIT_MILLI = 2_000_000

_GENERATED = re.compile(
    rb"(^|/)(vendor|vendored|third_party|third-party|node_modules|bower_components|__generated__|generated)/"
    rb"|(^|/)(package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|go\.sum|[^/]+\.lock)$"
    rb"|\.min\.(js|css)$|\.(js|css)\.map$|\.pb\.(go|cc|h)$|_pb2(_grpc)?\.pyi?$|\.snap$"
)
#: Times and people share one 64-bit number, half each.
_MAX_SECONDS = (1 << 32) - 1
_REVERTS = re.compile(r"This reverts commit ([0-9a-f]{7,64})")
_REVERT_SUBJECTS = ('Revert "', 'Reapply "')
_ROLES = {
    "reviewed-by": REVIEW,
    "co-authored-by": COAUTHOR,
    "co-developed-by": COAUTHOR,
    "tested-by": "",
    "acked-by": "",
    "reported-by": "",
    "suggested-by": "",
    "helped-by": "",
}


@dataclass(slots=True)
class _Commit:
    """What is kept of a commit until its window can be judged; people and paths are numbers."""

    sha: str
    author: int
    committed_s: int
    named: tuple[tuple[str, str, str], ...]  # (trailer, role, contact)
    originality_milli: int
    paths: array[int]
    is_revert: bool


class _Names:
    """Numbers for things that repeat, so that a long history fits in memory."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.names: list[str] = []

    def number(self, name: str) -> int:
        known = self.numbers.get(name)
        if known is None:
            known = self.numbers[name] = len(self.names)
            self.names.append(name)
        return known


def git_acts(
    path: Path | str,
    *,
    windows: Mapping[str, int],
    now_ms: int,
    until_ms: int | None = None,
    bots: Sequence[str] = DEFAULT_BOTS,
    progress: Callable[[int], None] | None = None,
) -> Iterator[RawRecord]:
    """Yield the acts of a repository's ``HEAD`` as raw records.

    The history is read to its end first (what was built on a commit comes after it), holding a few
    hundred bytes a commit.

    Parameters
    ----------
    path
        Folder of the repository; bare and shallow clones too.
    windows
        Observation window in ms per domain (`DOMAINS`). Acts of a domain not named are turned away.
    now_ms
        The present; acts whose window is still open are turned away.
    until_ms
        Look at the history as it was then.
    bots
        Regular expressions of bots, searched in ``name <address>``; empty: everybody counts.
    progress
        Called with the number of commits read so far.

    Raises
    ------
    ActivityError
        If git is missing, or the path is no repository, has no commit, or is damaged.
    """
    yield from _Reading(GitHistory(path), windows, now_ms, until_ms, bots, progress).acts()


class _Reading:
    """One pass over one history."""

    def __init__(
        self,
        history: GitHistory,
        windows: Mapping[str, int],
        now_ms: int,
        until_ms: int | None,
        bots: Sequence[str],
        progress: Callable[[int], None] | None,
    ) -> None:
        self.history = history
        self.windows = windows
        self.until_ms = until_ms
        self.horizon_ms = now_ms if until_ms is None else min(now_ms, until_ms)
        self.bot = re.compile("|".join(f"(?:{bot})" for bot in bots)) if bots else None
        self.progress = progress
        self.source = f"git:{history.path.resolve().name}"
        self.people = _Names()
        self.bots: set[int] = set()
        self.files: dict[bytes, int] = {}
        self.touches: list[array[int]] = []  # per file: committed_s << 32 | person
        self.reverts: dict[str, list[int]] = {}  # reverted name, maybe abbreviated -> committed_s of reverts
        self.boundary: frozenset[str] = frozenset()
        self.asked: tuple[str, int, set[int]] = ("", 0, set())

    def acts(self) -> Iterator[RawRecord]:
        self.boundary = self.history.shallow_boundary()
        commits = []
        for count, entry in enumerate(self.history.entries(), start=1):
            commits.append(self.take(entry))
            if self.progress is not None:
                self.progress(count)
        for file, seen in enumerate(self.touches):
            self.touches[file] = array("Q", sorted(seen))
        reverted = self.resolve_reverts([commit.sha for commit in commits])
        contacts = self.history.mailmapped(contact for commit in commits for _, _, contact in commit.named)
        for line, commit in enumerate(commits, start=1):
            yield from self.judge(line, commit, contacts, reverted.get(commit.sha))

    def take(self, entry: LogEntry) -> _Commit:
        author = self.people.number(entry.email)
        if self.is_bot(f"{entry.name} <{entry.email}>"):
            self.bots.add(author)
        targets = _REVERTS.findall(entry.message)
        is_revert = bool(targets) or entry.message.lstrip().startswith(_REVERT_SUBJECTS)
        for target in targets:
            self.reverts.setdefault(target, []).append(entry.committed_s)
        paths, weight = self.walk(entry.changes)
        if not is_revert and entry.email and 0 <= entry.committed_s <= _MAX_SECONDS:
            for file in paths:
                self.touches[file].append(entry.committed_s << 32 | author)
        named = tuple((key, _ROLES[key], value) for key, value in entry.trailers if key in _ROLES)
        return _Commit(
            entry.sha, author, entry.committed_s, named, 0 if is_revert else weight, paths, is_revert
        )

    def walk(self, changes: Sequence[Change]) -> tuple[array[int], int]:
        """Number the paths of a commit and weigh its lines; remembers which paths exist."""
        total = 0
        paths = array("I")
        for change in changes:
            file = self.files.get(change.old_path)
            is_new = file is None
            if file is None:
                file = len(self.touches)
                self.touches.append(array("Q"))
            self.files[change.path] = file
            paths.append(file)
            if _GENERATED.search(change.path):
                weight = (change.added + change.deleted) * GENERATED_LINE_MILLI
            else:
                line = NEW_LINE_MILLI if is_new else EDITED_LINE_MILLI
                weight = change.added * line + change.deleted * DELETED_LINE_MILLI
            total += min(weight, MAX_FILE_MILLI)
        return paths, min(total, MAX_COMMIT_MILLI)

    def resolve_reverts(self, names: list[str]) -> dict[str, int]:
        """Return for each reverted commit the earliest time it was reverted."""
        ordered = sorted(names)
        earliest: dict[str, int] = {}
        for target, times in self.reverts.items():
            position = bisect_left(ordered, target)
            if position < len(ordered) and ordered[position].startswith(target):
                name = ordered[position]
                earliest[name] = min([*times, earliest.get(name, times[0])])
        return earliest

    def judge(
        self, line: int, commit: _Commit, contacts: Mapping[str, str], reverted_s: int | None
    ) -> Iterator[RawRecord]:
        author = self.people.names[commit.author]
        named: list[tuple[str, str, str, str]] = []  # (trailer, role, contact, address or "")
        for trailer, role, contact in commit.named:
            named.append((trailer, role, contact, contacts.get(contact, "")))
        people = {
            self.people.number(address)
            for _, _, contact, address in named
            if address and not self.is_bot(contact)
        }
        makers = {commit.author} | {
            self.people.number(address) for _, role, _, address in named if role == COAUTHOR and address
        }
        shown = {"commit": commit.sha, "author": author}
        yield self.act(line, commit, CODE, "", author, people, makers, reverted_s, shown)
        if commit.author not in self.bots:
            people.add(commit.author)
        for trailer, role, contact, address in named:
            if not role:
                continue
            act = {**shown, trailer: contact}
            name = f"git:{commit.sha}:{role}:{address or contact}"
            refusal = None
            if not address:
                refusal = ("member", f"trailer without an e-mail address: {contact!r:.80}")
            elif address == author:
                refusal = ("member", f"{role} of one's own commit: {address!r:.80}")
            elif self.is_bot(contact):
                refusal = ("member", f"a bot: {address!r:.80}")
            if refusal is not None:
                yield RawRecord(self.source, line, id=name, original=act, refused=refusal)
            else:
                yield self.act(line, commit, role, address, address, people, makers, reverted_s, act)

    def act(
        self,
        line: int,
        commit: _Commit,
        domain: str,
        suffix: str,
        member: str,
        people: set[int],
        makers: set[int],
        reverted_s: int | None,
        original: Mapping[str, object],
    ) -> RawRecord:
        name = f"git:{commit.sha}:{domain}:{suffix}" if suffix else f"git:{commit.sha}"
        refusal = self.refusal(commit, domain)
        if refusal is not None:
            return RawRecord(self.source, line, id=name, original=original, refused=refusal)
        person = self.people.number(member)
        end_s = commit.committed_s + self.windows[domain] // 1_000
        stood = reverted_s is None or not commit.committed_s <= reverted_s <= end_s
        followers = self.followers(commit, end_s) - makers - self.bots - {person} if stood else set()
        return RawRecord(
            self.source,
            line,
            id=name,
            member=member,
            domain=domain,
            occurred=commit.committed_s * 1_000,
            window=self.windows[domain],
            interaction=len(people - {person}),
            originality=Thousandths(commit.originality_milli),
            engagement=1 + len(followers) if stood else 0,
            original=original,
        )

    def refusal(self, commit: _Commit, domain: str) -> tuple[str, str] | None:
        """Say why an act of this commit cannot be counted, if it cannot."""
        occurred = commit.committed_s * 1_000
        if domain == CODE and commit.author in self.bots:
            return "member", f"a bot: {self.people.names[commit.author]!r:.80}"
        if commit.sha in self.boundary:
            return "", "cut off by a shallow clone: what it changed is unknown"
        if domain not in self.windows:
            return "domain", f"domain without a window: {domain!r}"
        if self.until_ms is not None and occurred > self.until_ms:
            return "occurred", f"after --until: {format_time(occurred)}"
        end = occurred + self.windows[domain]
        if end > self.horizon_ms and occurred <= self.horizon_ms:
            return "window", f"window still open: until {format_time(end)}"
        return None

    def followers(self, commit: _Commit, end_s: int) -> set[int]:
        """Return who changed one of the commit's paths after it, up to ``end_s``."""
        # Author and reviewers of one commit ask the same, and a commit may have thousands of paths.
        if self.asked[:2] == (commit.sha, end_s):
            return self.asked[2]
        found: set[int] = set()
        for file in commit.paths:
            seen = self.touches[file]
            first = bisect_left(seen, (commit.committed_s + 1) << 32)
            last = bisect_right(seen, (end_s << 32) | _MAX_SECONDS)
            found.update(touch & _MAX_SECONDS for touch in seen[first:last])
        self.asked = (commit.sha, end_s, found)
        return found

    def is_bot(self, contact: str) -> bool:
        return self.bot is not None and self.bot.search(contact.lower()) is not None
