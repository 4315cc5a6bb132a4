"""A Stack Exchange dump as a model's data: what was known when a post appeared, and the votes that followed.

Posts' ``Score``, ``ViewCount``, ``AnswerCount`` and the like are totals at dump time and are not read. What
was known at a time is rebuilt from the dates of posts, comments and votes. Votes carry a day, no time: as a
feature a vote counts once its whole day is over, as part of the target only if its whole day lies within
the window. So no vote can be on both sides of the moment of posting.

What cannot be rebuilt is a limit, and the model card says it: body, title and tags are those of the last
edit, and posts deleted before the dump was made are not in it.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np

from timebank_chain.activity.sources.dump_xml import xml_rows
from timebank_chain.attention.model.dataset import CATEGORICAL, LOG1P, Dataset, Feature, codes
from timebank_chain.errors import ActivityError, AttentionError
from timebank_chain.units import MAX_TIME_MS, format_duration, parse_time

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
WEEK_MS = 7 * DAY_MS
#: How long votes are counted when nothing else is said.
DEFAULT_WINDOW_MS = WEEK_MS

LIMITS = (
    "Body, title and tags are those of the last edit before the dump, not those at posting.",
    "Posts deleted before the dump was made are missing, and with them what they received.",
    "Votes carry a day, no time: a day's votes count as known from the next day on.",
)

_QUESTION, _ANSWER = "1", "2"
_ACCEPTED, _UP, _DOWN = "1", "2", "3"
_TAG = re.compile(r"<[^<>]*>")
_TAGS = re.compile(r"[^<>|\s]+")
_WORD = re.compile(r"\w+")


@dataclass(slots=True)
class _Post:
    id: int
    question: bool
    owner: int | None
    parent: int | None
    posted_ms: int
    title: str
    tags: tuple[str, ...]
    text: dict[str, float]
    up: array[int] = field(default_factory=lambda: array("q"))
    down: array[int] = field(default_factory=lambda: array("q"))
    accepted: array[int] = field(default_factory=lambda: array("q"))


@dataclass(slots=True)
class _Record:
    """What one author, tag or the whole site had by a time: posts as they appear, votes as days end."""

    posts: array[int] = field(default_factory=lambda: array("q"))
    questions: int = 0
    ups: array[int] = field(default_factory=lambda: array("q"))
    downs: array[int] = field(default_factory=lambda: array("q"))
    accepted: array[int] = field(default_factory=lambda: array("q"))
    settled: list[tuple[int, float]] = field(default_factory=list)  # (when known, log1p of votes in window)
    sums: array[float] = field(default_factory=lambda: array("d", [0.0]))
    days: array[int] = field(default_factory=lambda: array("q"))

    def close(self) -> None:
        """Sort what was collected, so that it can be asked by time."""
        for name in ("posts", "ups", "downs", "accepted"):
            setattr(self, name, array("q", sorted(getattr(self, name))))
        total = 0.0
        for day, amount in sorted(self.settled):
            total += amount
            self.days.append(day)
            self.sums.append(total)

    def mean_settled(self, at_ms: int, since_ms: int | None = None) -> float:
        """Return the mean log1p of votes over posts whose window had closed by then, NaN without any."""
        last = bisect_right(self.days, at_ms)
        first = 0 if since_ms is None else bisect_right(self.days, since_ms)
        return (self.sums[last] - self.sums[first]) / (last - first) if last > first else np.nan


def dump_dataset(
    folder: Path | str,
    *,
    window_ms: int | None = DEFAULT_WINDOW_MS,
    now_ms: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> Dataset:
    """Return questions and answers of a dump, features as known at posting, votes received as the target.

    Parameters
    ----------
    folder
        Holds ``Posts.xml``, ``Votes.xml`` and ``Comments.xml``, plain or ``.gz``.
    window_ms
        How long up-votes are counted; whole days, at least one. ``None``: to the end of the dump, however
        long ago a post is; old and new posts then do not compare, so this is for comparison with others
        only.
    now_ms
        The present: what is dated later is no evidence of how far the dump reaches, and left out.
    progress
        Told what is being read.

    Returns
    -------
    Dataset
        The target is log1p of up-votes; NaN for posts whose window was still open when the dump was made.

    Raises
    ------
    AttentionError
        If a file is missing, damaged, or no dump's; if the window is no whole number of days.
    """
    if window_ms is not None and (window_ms < DAY_MS or window_ms % DAY_MS):
        raise AttentionError(
            f"a window of {format_duration(window_ms)}: votes carry days, so whole days are needed",
            hint="say 7d or 14d",
        )
    try:
        reading = _Reading(Path(folder), now_ms or MAX_TIME_MS, progress or (lambda _: None))
        return reading.dataset(window_ms)
    except ActivityError as error:
        raise AttentionError(error.message, hint=error.hint, where=error.where) from error


class _Reading:
    """One dump in memory, and questions to it."""

    def __init__(self, folder: Path, now_ms: int, progress: Callable[[str], None]) -> None:
        if not folder.is_dir():
            raise AttentionError("no such folder", where=str(folder), hint="name the folder of a data dump")
        self.folder = folder
        self.posts: dict[int, _Post] = {}
        self.comments: dict[int, array[int]] = {}  # post -> times of comments
        self.spoken: dict[int, array[int]] = {}  # member -> times of their comments
        self.seen_ms = 0
        self.bad_rows = 0
        self.now_ms = now_ms
        self.progress = progress
        for name, take in (
            ("Posts", self.take_post),
            ("Comments", self.take_comment),
            ("Votes", self.take_vote),
        ):
            path = self.find(name)
            progress(f"reading {path.name}")
            for _, row in xml_rows(path, name.lower()):
                try:
                    take(row)
                except (KeyError, ValueError):
                    self.bad_rows += 1

    def find(self, name: str) -> Path:
        found = [
            path for path in (self.folder / f"{name}.xml", self.folder / f"{name}.xml.gz") if path.is_file()
        ]
        if len(found) != 1:
            raise AttentionError(
                f"both {name}.xml and {name}.xml.gz are there" if found else f"{name}.xml is missing",
                where=str(self.folder),
                hint="keep Posts, Comments and Votes, each as .xml or .xml.gz",
            )
        return found[0]

    def time(self, row: Mapping[str, str]) -> int:
        text = row["CreationDate"]
        # The dump writes UTC without saying so; a row that names a zone means it.
        zone = "" if text.endswith("Z") or "+" in text[10:] or "-" in text[10:] else "Z"
        at = int(parse_time(f"{text[:64]}{zone}"))
        if at > self.now_ms:
            raise ValueError
        return at

    def take_post(self, row: Mapping[str, str]) -> None:
        number, posted = int(row["Id"]), self.time(row)
        if row["PostTypeId"] not in {_QUESTION, _ANSWER} or number in self.posts:
            return
        self.seen_ms = max(self.seen_ms, posted)
        self.posts[number] = _Post(
            number,
            row["PostTypeId"] == _QUESTION,
            int(row["OwnerUserId"]) if "OwnerUserId" in row else None,
            int(row["ParentId"]) if "ParentId" in row else None,
            posted,
            row.get("Title", ""),
            tuple(_TAGS.findall(row.get("Tags", ""))),
            _text_features(row.get("Body", "")),
        )

    def take_comment(self, row: Mapping[str, str]) -> None:
        post, said = int(row["PostId"]), self.time(row)
        self.seen_ms = max(self.seen_ms, said)
        self.comments.setdefault(post, array("q")).append(said)
        if "UserId" in row:
            self.spoken.setdefault(int(row["UserId"]), array("q")).append(said)

    def take_vote(self, row: Mapping[str, str]) -> None:
        day = self.time(row)
        self.seen_ms = max(self.seen_ms, day)
        post = self.posts.get(int(row["PostId"]))
        if post is None or ("UserId" in row and int(row["UserId"]) == post.owner):
            return
        kept = {_UP: post.up, _DOWN: post.down, _ACCEPTED: post.accepted}.get(row["VoteTypeId"])
        end_of_day = day - day % DAY_MS + DAY_MS
        if kept is None:
            return
        if end_of_day <= post.posted_ms:
            # Nobody votes on what is not there: its past must not tell that the post is coming.
            raise ValueError
        kept.append(end_of_day)

    def dataset(self, window_ms: int | None) -> Dataset:
        """Build the table."""
        posts = sorted(self.posts.values(), key=lambda post: (post.posted_ms, post.id))
        for post in posts:
            for votes in (post.up, post.down, post.accepted):
                votes[:] = array("q", sorted(votes))
        for times in (*self.comments.values(), *self.spoken.values()):
            times[:] = array("q", sorted(times))
        # The dump's last day may be cut short: what it says of a day is whole only once the next has begun.
        horizon = self.seen_ms - self.seen_ms % DAY_MS
        known, target, outcomes = [], [], []
        # What earlier posts came to is a feature too. It needs a window of its own where the target has
        # none: a total at dump time was known to nobody when the next post appeared.
        span = window_ms or DEFAULT_WINDOW_MS
        for post in posts:
            end = horizon if window_ms is None else post.posted_ms + window_ms
            known.append(post.posted_ms if window_ms is None else end)
            target.append(float(np.log1p(bisect_right(post.up, end))) if end <= horizon else np.nan)
            settled = post.posted_ms + span
            outcomes.append((settled, float(np.log1p(bisect_right(post.up, settled)))))
        self.progress(f"{len(posts):,} posts, what was known at each")
        known_at = _Known(self, posts, outcomes)
        rows = [known_at.features(post) for post in posts]
        names = tuple(rows[0]) if rows else ()
        columns: list[Any] = []
        features = []
        for name in names:
            cells = [row[name] for row in rows]
            if name in _CATEGORICAL:
                words = tuple(sorted({cell for cell in cells if isinstance(cell, str)}))
                features.append(Feature(name, CATEGORICAL, words))
                columns.append(codes(cells, words))  # type: ignore[arg-type]  # such a column holds words
            else:
                features.append(Feature(name))
                columns.append(np.array(cells, dtype=np.float64))
        notes = []
        if self.bad_rows:
            notes.append(
                f"{self.bad_rows:,} rows of the dump lack an attribute or have an impossible time: left out"
            )
        still_open = int(np.isnan(target).sum()) if target else 0
        if still_open:
            notes.append(f"{still_open:,} posts whose window was still open have no target")
        return Dataset(
            name=self.folder.resolve().name,
            features=tuple(features),
            ids=tuple(f"post:{post.id}" for post in posts),
            time_ms=np.array([post.posted_ms for post in posts], dtype=np.int64),
            known_ms=np.array(known, dtype=np.int64),
            target=np.array(target, dtype=np.float64),
            values=np.column_stack(columns) if columns else np.zeros((len(posts), 0)),
            target_name="up-votes by others",
            transform=LOG1P,
            window_ms=window_ms or 0,
            notes=tuple(notes),
            limits=LIMITS
            if window_ms
            else (*LIMITS, "Votes are totals at dump time: older posts had longer."),
            task={"kind": "dump", "window_ms": window_ms},
        )


_CATEGORICAL = {"kind", "first_tag"}


class _Known:
    """What was known of authors, tags and the site, asked post by post."""

    def __init__(self, reading: _Reading, posts: list[_Post], outcomes: list[tuple[int, float]]) -> None:
        self.reading = reading
        self.authors: dict[int, _Record] = {}
        self.tags: dict[str, _Record] = {}
        self.site = {True: _Record(), False: _Record()}
        self.answers: dict[int, list[_Post]] = {}
        for post, outcome in zip(posts, outcomes, strict=True):
            records = [self.site[post.question]]
            if post.owner is not None:
                records.append(self.authors.setdefault(post.owner, _Record()))
            records += [self.tags.setdefault(tag, _Record()) for tag in self.tags_of(post)]
            for record in records:
                record.posts.append(post.posted_ms)
                record.ups.extend(post.up)
                record.downs.extend(post.down)
                record.accepted.extend(post.accepted)
                record.settled.append(outcome)
            if not post.question and post.parent is not None:
                self.answers.setdefault(post.parent, []).append(post)
        for record in (*self.site.values(), *self.authors.values(), *self.tags.values()):
            record.close()
        self.began_ms = posts[0].posted_ms if posts else 0

    def tags_of(self, post: _Post) -> tuple[str, ...]:
        if post.question or post.parent is None:
            return post.tags
        asked = self.reading.posts.get(post.parent)
        # Dumps hold answers older than their question, after posts were merged: it was not there yet.
        return asked.tags if asked is not None and asked.posted_ms <= post.posted_ms else ()

    def features(self, post: _Post) -> dict[str, float | str | None]:
        """Return everything known of a post at the moment it appeared."""
        tags = self.tags_of(post)
        found: dict[str, float | str | None] = {
            "kind": "question" if post.question else "answer",
            "first_tag": tags[0] if tags else None,
            "hour": float(post.posted_ms // HOUR_MS % 24),
            # The first of January 1970 was a Thursday: 0 is Monday.
            "weekday": float((post.posted_ms // DAY_MS + 3) % 7),
            "title_characters": float(len(post.title)) if post.question else np.nan,
            "title_asks": float(post.title.rstrip().endswith("?")) if post.question else np.nan,
            **post.text,
        }
        found.update(self.of_site(post))
        found.update(self.of_author(post))
        found.update(self.of_tags(tags, post.posted_ms))
        found.update(self.of_question(post))
        return found

    def of_site(self, post: _Post) -> Iterator[tuple[str, float]]:
        at = post.posted_ms
        record = self.site[post.question]
        for name, span in (("day", 2 * DAY_MS), ("week", 8 * DAY_MS)):
            # A day's votes are known once it is over, hence a day more.
            ups = sum(_within(site.ups, at - span, at) for site in self.site.values())
            count = sum(_within(site.posts, at - span, at) for site in self.site.values())
            yield f"site_posts_{name}", np.log1p(count)
            yield f"site_votes_per_post_{name}", ups / count if count else np.nan
            yield (
                f"kind_votes_per_post_{name}",
                _ratio(_within(record.ups, at - span, at), _within(record.posts, at - span, at)),
            )
        yield "site_age_days", (at - self.began_ms) / DAY_MS
        yield "kind_recent_outcome", record.mean_settled(at, at - WEEK_MS)

    def of_author(self, post: _Post) -> Iterator[tuple[str, float]]:
        at = post.posted_ms
        record = _Record() if post.owner is None else self.authors[post.owner]
        said = array("q") if post.owner is None else self.reading.spoken.get(post.owner, array("q"))
        before = _before(record.posts, at)
        ups, downs = bisect_right(record.ups, at), bisect_right(record.downs, at)
        yield "author_known", float(post.owner is not None)
        yield "author_posts", np.log1p(before)
        yield "author_ups", np.log1p(ups)
        yield "author_downs", np.log1p(downs)
        # One post's worth of the site's average, so that a first success is not taken for a habit.
        yield "author_ups_per_post", (ups + 2.0) / (before + 1.0)
        yield "author_ups_week", np.log1p(_within(record.ups, at - WEEK_MS, at))
        yield "author_accepted", np.log1p(bisect_right(record.accepted, at))
        yield "author_outcome", record.mean_settled(at)
        yield "author_comments", np.log1p(_before(said, at))
        yield "author_days", (at - record.posts[0]) / DAY_MS if before else np.nan
        yield (
            "author_hours_since_post",
            np.log1p((at - record.posts[before - 1]) / HOUR_MS) if before else np.nan,
        )

    def of_tags(self, tags: tuple[str, ...], at: int) -> Iterator[tuple[str, float]]:
        records = [self.tags[tag] for tag in tags]
        used = [_before(record.posts, at) for record in records]
        votes = [
            (bisect_right(record.ups, at) + 2.0) / (count + 1.0)
            for record, count in zip(records, used, strict=True)
        ]
        settled = (record.mean_settled(at) for record in records)
        outcomes = [amount for amount in settled if not np.isnan(amount)]
        yield "tags", float(len(tags))
        yield "tag_posts_most", np.log1p(max(used)) if used else np.nan
        yield "tag_posts_least", np.log1p(min(used)) if used else np.nan
        yield "tag_votes_most", max(votes) if votes else np.nan
        yield "tag_votes_mean", float(np.mean(votes)) if votes else np.nan
        yield "tag_outcome", float(np.mean(outcomes)) if outcomes else np.nan

    def of_question(self, post: _Post) -> Iterator[tuple[str, float]]:
        """Yield what an answer's question was like when the answer came; NaN for a question."""
        at = post.posted_ms
        asked = None if post.question or post.parent is None else self.reading.posts.get(post.parent)
        known = asked is not None and asked.posted_ms <= at
        if asked is None or not known:
            for name in _OF_QUESTION:
                yield name, np.nan
            return
        earlier = [one for one in self.answers.get(asked.id, ()) if one.posted_ms < at]
        votes = [bisect_right(one.up, at) for one in earlier]
        asker = self.authors.get(asked.owner) if asked.owner is not None else None
        yield from zip(
            _OF_QUESTION,
            (
                np.log1p((at - asked.posted_ms) / HOUR_MS),
                np.log1p(bisect_right(asked.up, at)),
                np.log1p(bisect_right(asked.down, at)),
                _ratio(bisect_right(asked.up, at), max(1.0, (at - asked.posted_ms) / DAY_MS)),
                float(len(earlier)),
                np.log1p(max(votes)) if votes else np.nan,
                float(bisect_right(asked.accepted, at) > 0),
                np.log1p(_before(self.reading.comments.get(asked.id, array("q")), at)),
                float(asked.owner is not None and asked.owner == post.owner),
                asked.text["body_words"],
                np.log1p(bisect_right(asker.ups, at)) if asker is not None else np.nan,
            ),
            strict=True,
        )


_OF_QUESTION = (
    "question_age_hours",
    "question_ups",
    "question_downs",
    "question_ups_a_day",
    "question_answers",
    "question_best_answer_ups",
    "question_accepted",
    "question_comments",
    "question_own",
    "question_words",
    "question_asker_ups",
)


def _text_features(body: str) -> dict[str, float]:
    """Measure a body: lengths (log1p of characters and words), and counts of what it is made of."""
    text = unescape(_TAG.sub(" ", body))
    return {
        "body_characters": float(np.log1p(len(text))),
        "body_words": float(np.log1p(len(_WORD.findall(text)))),
        "body_code": float(body.count("<code>")),
        "body_links": float(body.count("<a ")),
        "body_images": float(body.count("<img")),
        "body_quotes": float(body.count("<blockquote")),
        "body_lists": float(body.count("<li>")),
        "body_paragraphs": float(body.count("<p>")),
        "body_formulas": float(np.log1p(body.count("$") // 2)),
    }


def _before(times: array[int], at: int) -> int:
    return bisect_right(times, at - 1)


def _within(times: array[int], after: int, until: int) -> int:
    return bisect_right(times, until) - bisect_right(times, after)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else np.nan
