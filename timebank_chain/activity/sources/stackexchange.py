"""Stack Exchange: questions, answers and comments of one site, from its data dump.

Reads ``Posts.xml``, ``Comments.xml`` and ``Votes.xml`` (plain or ``.gz``) as published, row by row;
entities and document types are refused. Times are UTC, as the dump's readme says. A member is
``stackexchange:<site>:<user id>``.

An indicator counts only what *others* had done when the act's window W closed. Posts' ``Score``,
``ViewCount`` and ``AnswerCount`` and comments' ``Score`` are totals at dump time and are not used. Votes
carry a day, no time: a vote counts when its whole day lies before the end of the window.

``question``
    interaction: distinct others who commented on it. originality: approval, (up + 1) / (up + down + 2),
    0.5 without votes, cut to thousandths. engagement: up-votes + distinct others who answered +
    distinct others who marked it as a favourite.
``answer``
    interaction: distinct others who commented on it. originality: approval. engagement: up-votes + 3 if
    the asker, being another person, accepted it.
``comment``
    interaction: distinct others who commented on the same post after it. originality: 1/n for the
    member's n-th comment on the post, cut to thousandths. engagement: 1 if the owner of the post
    commented after it, else 0.

Nobody raises their own score: votes known to be by the owner do not count, nor does an acceptance by
the answerer (or by an asker the dump no longer knows), nor one's own answers and comments under one's
own posts. A comment on one's own post is turned away as an act; so is an answer to one's own question
that nobody else reacted to. Comments and answers of deleted users count for nobody, since they may be
anyone's.

Turned away, with the reason: acts of deleted users (no user id), of the Community user (-1), posts that
are neither question nor answer, acts whose window was still open when the dump was made (the latest
time in any of its files), everything after ``until``, rows that lack an attribute. The rejects show a
row without its text. A file that is no well-formed XML is refused whole, with line and column.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from timebank_chain.activity.record import RawRecord, Thousandths
from timebank_chain.activity.sources.dump_xml import xml_rows
from timebank_chain.errors import ActivityError
from timebank_chain.units import format_time, parse_time

QUESTION, ANSWER, COMMENT = "question", "answer", "comment"
DOMAINS = (QUESTION, ANSWER, COMMENT)
DAY_MS = 86_400_000

_POST_DOMAINS = {"1": QUESTION, "2": ANSWER}
_ACCEPTED, _UP, _DOWN, _FAVOURITE = "1", "2", "3", "5"
_ACCEPTANCE = 3
_COMMUNITY_USER = -1
_UNREAD = ("Body", "Text", "Title", "Tags")


@dataclass(slots=True)
class _Post:
    domain: str
    owner: int | None
    parent: int | None
    created_ms: int
    attributes: dict[str, str]
    line: int


@dataclass(slots=True)
class _Comment:
    post: int
    user: int | None
    created_ms: int
    attributes: dict[str, str]
    line: int


@dataclass(slots=True)
class _Votes:
    """Votes of one post, each by the end of its day in ms."""

    up: array[int] = field(default_factory=lambda: array("q"))
    down: array[int] = field(default_factory=lambda: array("q"))
    accepted: array[int] = field(default_factory=lambda: array("q"))
    favourites: list[tuple[int, int]] = field(default_factory=list)


class _Refusal(Exception):
    """A row lacks something; carries the attribute and the reason."""


def stackexchange_acts(
    folder: Path | str,
    *,
    windows: Mapping[str, int],
    now_ms: int,
    until_ms: int | None = None,
    site: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[RawRecord]:
    """Yield the acts of a dump as raw records.

    The three files are read to their ends first, holding a few hundred bytes a row.

    Parameters
    ----------
    folder
        Folder of the dump.
    windows
        Observation window in ms per domain (`DOMAINS`). Acts of a domain not named are turned away.
    now_ms
        The present.
    until_ms
        Look at the site as it was then.
    site
        Name of the site in ids, default the folder's name without ``stackexchange_``.
    progress
        Called with the number of rows read so far.

    Raises
    ------
    ActivityError
        If a file is missing, damaged, truncated, or no well-formed XML of the expected kind.
    """
    reading = _Reading(Path(folder), windows, now_ms, until_ms, site, progress)
    reading.read()
    yield from reading.refused
    yield from reading.post_acts()
    yield from reading.comment_acts()


class _Reading:
    """One pass over one dump."""

    def __init__(
        self,
        folder: Path,
        windows: Mapping[str, int],
        now_ms: int,
        until_ms: int | None,
        site: str | None,
        progress: Callable[[int], None] | None,
    ) -> None:
        if not folder.is_dir():
            raise ActivityError("no such folder", where=str(folder), hint="name the folder of a data dump")
        self.folder = folder
        self.windows = windows
        self.until_ms = until_ms
        self.now_ms = now_ms
        self.latest_ms = 0
        self.prefix = f"stackexchange:{site or folder.resolve().name.removeprefix('stackexchange_')}"
        self.progress = progress
        self.rows_read = 0
        self.refused: list[RawRecord] = []
        self.posts: dict[int, _Post] = {}
        self.repeated_posts: list[tuple[int, _Post]] = []
        self.comments: dict[int, _Comment] = {}
        self.repeated_comments: list[tuple[int, _Comment]] = []
        self.votes: dict[int, _Votes] = {}
        self.answers: dict[int, list[int]] = {}  # question -> answers
        self.talk: dict[int, list[int]] = {}  # post -> comments, oldest first
        self.rank: dict[int, int] = {}  # comment -> which one of its user's on the post
        self.files = {name: self.find(name) for name in ("Posts", "Comments", "Votes")}

    def find(self, name: str) -> Path:
        found = [
            path for path in (self.folder / f"{name}.xml", self.folder / f"{name}.xml.gz") if path.is_file()
        ]
        if len(found) != 1:
            problem = f"both {name}.xml and {name}.xml.gz are there" if found else f"{name}.xml is missing"
            raise ActivityError(
                problem,
                where=str(self.folder),
                hint="keep Posts, Comments and Votes, each as .xml or .xml.gz",
            )
        return found[0]

    def read(self) -> None:
        for line, row in self.rows("Posts"):
            self.keep(line, row, "Posts", "post", self.take_post)
        for line, row in self.rows("Comments"):
            self.keep(line, row, "Comments", "comment", self.take_comment)
        seen: set[int] = set()
        for line, row in self.rows("Votes"):
            self.keep(line, row, "Votes", "vote", lambda line, row: self.take_vote(row, seen))
        self.arrange()

    def rows(self, name: str) -> Iterator[tuple[int, dict[str, str]]]:
        for line, row in xml_rows(self.files[name], name.lower()):
            self.rows_read += 1
            if self.progress is not None:
                self.progress(self.rows_read)
            yield line, {key: value for key, value in row.items() if key not in _UNREAD}

    def keep(
        self,
        line: int,
        row: dict[str, str],
        file: str,
        kind: str,
        take: Callable[[int, dict[str, str]], None],
    ) -> None:
        try:
            take(line, row)
        except _Refusal as refusal:
            attribute, reason = refusal.args
            name = f"{self.prefix}:{kind}:{row.get('Id', '')}"
            self.refused.append(
                RawRecord(self.source(file), line, id=name, original=row, refused=(attribute, reason))
            )

    def source(self, file: str) -> str:
        return f"{self.folder.resolve().name}/{self.files[file].name}"

    def take_post(self, line: int, row: dict[str, str]) -> None:
        number, created = _number(row, "Id"), _time(row)
        kind = row.get("PostTypeId", "")
        if kind not in _POST_DOMAINS:
            raise _Refusal("PostTypeId", f"neither question nor answer: type {kind!r:.20}")
        self.saw(created)
        post = _Post(
            _POST_DOMAINS[kind],
            _number(row, "OwnerUserId") if "OwnerUserId" in row else None,
            _number(row, "ParentId") if "ParentId" in row else None,
            created,
            row,
            line,
        )
        if number in self.posts:
            self.repeated_posts.append((number, post))
        else:
            self.posts[number] = post

    def take_comment(self, line: int, row: dict[str, str]) -> None:
        number = _number(row, "Id")
        user = _number(row, "UserId") if "UserId" in row else None
        comment = _Comment(_number(row, "PostId"), user, _time(row), row, line)
        self.saw(comment.created_ms)
        if number in self.comments:
            self.repeated_comments.append((number, comment))
        else:
            self.comments[number] = comment

    def take_vote(self, row: dict[str, str], seen: set[int]) -> None:
        number, target, day = _number(row, "Id"), _number(row, "PostId"), _time(row)
        if number in seen:
            raise _Refusal("Id", f"duplicate vote: {number}")
        seen.add(number)
        self.saw(day)
        post = self.posts.get(target)
        voter = _number(row, "UserId") if "UserId" in row else None
        if post is None or (voter is not None and voter == post.owner):
            return
        votes = self.votes.setdefault(target, _Votes())
        end_of_day = day - day % DAY_MS + DAY_MS
        kind = row.get("VoteTypeId", "")
        if kind == _UP:
            votes.up.append(end_of_day)
        elif kind == _DOWN:
            votes.down.append(end_of_day)
        elif kind == _ACCEPTED:
            votes.accepted.append(end_of_day)
        elif kind == _FAVOURITE and voter is not None:
            votes.favourites.append((end_of_day, voter))

    def saw(self, time_ms: int) -> None:
        """Remember how far the dump reaches; a time in the future is no evidence of that."""
        if self.latest_ms < time_ms <= self.now_ms:
            self.latest_ms = time_ms

    def arrange(self) -> None:
        """Put what belongs together in order of time."""
        for votes in self.votes.values():
            votes.up = array("q", sorted(votes.up))
            votes.down = array("q", sorted(votes.down))
        for number, post in self.posts.items():
            if post.parent is not None and post.domain == ANSWER:
                self.answers.setdefault(post.parent, []).append(number)
        for number in sorted(self.comments, key=lambda n: (self.comments[n].created_ms, n)):
            self.talk.setdefault(self.comments[number].post, []).append(number)
        for talk in self.talk.values():
            spoken: Counter[int | None] = Counter()
            for number in talk:
                user = self.comments[number].user
                spoken[user] += 1
                self.rank[number] = spoken[user]

    def post_acts(self) -> Iterator[RawRecord]:
        for number, post in (*self.posts.items(), *self.repeated_posts):
            name = f"{self.prefix}:post:{number}"
            refusal = self.refusal(post.owner, "OwnerUserId", post.domain, post.created_ms)
            if refusal is not None or post.owner is None:
                yield self.refuse("Posts", post.line, name, post.attributes, refusal)
                continue
            end = post.created_ms + self.windows[post.domain]
            votes = self.votes.get(number, _Votes())
            up, down = bisect_right(votes.up, end), bisect_right(votes.down, end)
            commenters = self.speakers(number, post.created_ms, end, without=post.owner)
            if post.domain == QUESTION:
                fans = {voter for day, voter in votes.favourites if day <= end}
                engagement = up + len(self.answerers(number, post, end)) + len(fans)
            else:
                engagement = up + (_ACCEPTANCE if self.accepted(post, votes, end) else 0)
                asker = self.posts.get(post.parent) if post.parent is not None else None
                if asker is not None and asker.owner == post.owner and not (up or down or commenters):
                    reason = "own answer: nobody else reacted to this answer to one's own question"
                    yield self.refuse("Posts", post.line, name, post.attributes, ("ParentId", reason))
                    continue
            yield RawRecord(
                self.source("Posts"),
                post.line,
                id=name,
                member=f"{self.prefix}:{post.owner}",
                domain=post.domain,
                occurred=post.created_ms,
                window=self.windows[post.domain],
                interaction=len(commenters),
                originality=Thousandths(1_000 * (up + 1) // (up + down + 2)),
                engagement=engagement,
                original=post.attributes,
            )

    def comment_acts(self) -> Iterator[RawRecord]:
        for number, comment in (*self.comments.items(), *self.repeated_comments):
            name = f"{self.prefix}:comment:{number}"
            post = self.posts.get(comment.post)
            refusal = self.refusal(comment.user, "UserId", COMMENT, comment.created_ms)
            if refusal is None and post is None:
                refusal = ("PostId", f"unknown post: {comment.post} is no question or answer of the dump")
            if refusal is None and post is not None and post.owner == comment.user:
                refusal = ("PostId", "own post: a comment on one's own post earns nothing")
            if refusal is not None or comment.user is None or post is None:
                yield self.refuse("Comments", comment.line, name, comment.attributes, refusal)
                continue
            end = comment.created_ms + self.windows[COMMENT]
            later = self.speakers(comment.post, comment.created_ms + 1, end, without=comment.user)
            yield RawRecord(
                self.source("Comments"),
                comment.line,
                id=name,
                member=f"{self.prefix}:{comment.user}",
                domain=COMMENT,
                occurred=comment.created_ms,
                window=self.windows[COMMENT],
                interaction=len(later),
                originality=Thousandths(1_000 // self.rank[number]),
                engagement=1 if post.owner in later else 0,
                original=comment.attributes,
            )

    def speakers(self, post: int, first_ms: int, last_ms: int, *, without: int) -> set[int]:
        """Return the known people, but one, who commented on a post in a span of time."""
        spoken = (self.comments[number] for number in self.talk.get(post, ()))
        users = {comment.user for comment in spoken if first_ms <= comment.created_ms <= last_ms}
        return {user for user in users if user is not None and user not in {without, _COMMUNITY_USER}}

    def answerers(self, question: int, post: _Post, end: int) -> set[int]:
        """Return the known people, but the asker, who answered a question by ``end``."""
        answers = (self.posts[number] for number in self.answers.get(question, ()))
        owners = {answer.owner for answer in answers if answer.created_ms <= end}
        return {owner for owner in owners if owner is not None and owner not in {post.owner, _COMMUNITY_USER}}

    def accepted(self, answer: _Post, votes: _Votes, end: int) -> bool:
        """Tell whether another person accepted the answer by ``end``."""
        question = self.posts.get(answer.parent) if answer.parent is not None else None
        if question is None or question.owner is None or question.owner == answer.owner:
            return False
        return any(day <= end for day in votes.accepted)

    def refusal(self, user: int | None, attribute: str, domain: str, at_ms: int) -> tuple[str, str] | None:
        """Say why an act cannot be counted, if it cannot."""
        if user is None:
            return attribute, "deleted user: the row has no user id"
        if user == _COMMUNITY_USER:
            return attribute, "a bot: the Community user (-1)"
        if domain not in self.windows:
            return "domain", f"domain without a window: {domain!r}"
        if self.until_ms is not None and at_ms > self.until_ms:
            return "CreationDate", f"after --until: {format_time(at_ms)}"
        horizon = self.latest_ms if self.until_ms is None else min(self.latest_ms, self.until_ms)
        end = at_ms + self.windows[domain]
        if end > horizon and at_ms <= self.now_ms:
            return (
                "window",
                f"window still open: until {format_time(end)}, the data ends {format_time(horizon)}",
            )
        return None

    def refuse(
        self, file: str, line: int, name: str, row: dict[str, str], refusal: tuple[str, str] | None
    ) -> RawRecord:
        return RawRecord(
            self.source(file), line, id=name, original=row, refused=refusal or ("", "cannot be attributed")
        )


def _number(row: Mapping[str, str], attribute: str) -> int:
    text = row.get(attribute)
    if text is None:
        raise _Refusal(attribute, f"missing: the row has no {attribute}")
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise _Refusal(attribute, f"not a number: {text!r:.60}")
    return int(text)


def _time(row: Mapping[str, str]) -> int:
    text = row.get("CreationDate")
    if text is None:
        raise _Refusal("CreationDate", "missing: the row has no CreationDate")
    # The dump writes UTC without saying so; a row that names a zone means it.
    zone = "" if text.endswith("Z") or "+" in text[10:] or "-" in text[10:] else "Z"
    try:
        return int(parse_time(f"{text[:64]}{zone}"))
    except (ValueError, OverflowError):
        raise _Refusal("CreationDate", f"not a time: {text!r:.60}") from None
