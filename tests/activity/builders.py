"""What the activity tests build from: plain valid records, real repositories, small dumps."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest

from timebank_chain.activity import RawRecord
from timebank_chain.config import setting

NOW_MS = 1_800_000_000_000
KEY = b"a key only these tests use"
DAY_MS = 86_400_000


def record(line: int = 1, **fields: object) -> RawRecord:
    """Return a valid record, but for the given fields."""
    values: dict[str, object] = {
        "id": f"test:{line}",
        "member": "ada",
        "domain": "code",
        "occurred": 1_700_000_000_000,
        "interaction": 1,
        "originality": 2,
        "engagement": 3,
        "original": {"row": line},
    }
    return RawRecord("feed.csv", line, **{**values, **fields})  # type: ignore[arg-type]  # any type is the point


def research_data(folder: str) -> Path:
    """Return a folder of the shared research data, or skip the test, saying so."""
    root = Path(setting("TIMEBANK_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
    if not (root / folder).is_dir():
        pytest.skip(f"no research data at {root / folder}: set TIMEBANK_TEST_DATA")
    return root / folder


class Repository:
    """A real git repository with commits at chosen times."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        return subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env={**os.environ, **quiet, **(env or {})},
            check=True,
            capture_output=True,
        ).stdout.decode("utf-8", "replace")

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(
        self,
        files: Mapping[str, str | bytes],
        *,
        at_s: int,
        message: str = "change",
        email: str = "ada@example.org",
        name: str = "Ada",
    ) -> str:
        """Write files, commit everything, and return the commit's full name."""
        self.write(files)
        self.git("add", "--all")
        who = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": email, "GIT_AUTHOR_DATE": f"{at_s} +0000"}
        self.git(
            "commit",
            "--quiet",
            "--allow-empty",
            "--message",
            message,
            env={
                **who,
                "GIT_COMMITTER_NAME": "C",
                "GIT_COMMITTER_EMAIL": "c@c",
                "GIT_COMMITTER_DATE": f"{at_s} +0000",
            },
        )
        return self.git("rev-parse", "HEAD").strip()


def write_dump(
    folder: Path,
    *,
    posts: Sequence[Mapping[str, object]] = (),
    comments: Sequence[Mapping[str, object]] = (),
    votes: Sequence[Mapping[str, object]] = (),
) -> Path:
    """Write a dump folder as Stack Exchange publishes it; attributes that are ``None`` are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("Posts", posts), ("Comments", comments), ("Votes", votes)):
        root = name.lower()
        lines = ['<?xml version="1.0" encoding="utf-8"?>', f"<{root}>"]
        for row in rows:
            cells = " ".join(
                f"{key}={quoteattr(str(value))}" for key, value in row.items() if value is not None
            )
            lines.append(f"  <row {cells} />")
        (folder / f"{name}.xml").write_text("\n".join([*lines, f"</{root}>", ""]), "utf-8")
    return folder
