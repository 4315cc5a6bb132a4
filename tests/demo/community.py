"""A small community's history: a git repository of four people who write and review."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def committed(folder: Path, number: int, author: str, *trailers: str) -> None:
    stamp = f"{1_770_000_000 + number * 40_000} +0000"
    environment = {
        **os.environ,
        "GIT_AUTHOR_NAME": author,
        "GIT_AUTHOR_EMAIL": f"{author.lower()}@example.org",
        "GIT_COMMITTER_NAME": author,
        "GIT_COMMITTER_EMAIL": f"{author.lower()}@example.org",
        "GIT_AUTHOR_DATE": stamp,
        "GIT_COMMITTER_DATE": stamp,
    }
    (folder / f"part{number % 4}.txt").write_text(f"line {number}\n" * (5 + number))
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True, env=environment)
    message = f"Change {number}\n\n" + "\n".join(trailers)
    subprocess.run(["git", "commit", "-qm", message], cwd=folder, check=True, env=environment)


def community(folder: Path) -> Path:
    """Make the repository: 24 changes, every other one reviewed."""
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    people = ["Ada", "Grace", "Edsger", "Barbara"]
    for number in range(24):
        author = people[number % 3]
        reviewer = people[(number + 1) % 4]
        trailer = f"Reviewed-by: {reviewer} <{reviewer.lower()}@example.org>"
        committed(folder, number, author, *([trailer] if number % 2 else []))
    return folder
