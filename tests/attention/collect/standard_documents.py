"""The standards' own test documents, read as their publishers meant them.

The xAPI conformance suite keeps its cases as JavaScript: each names building blocks that are merged into one
statement, and whether it must be accepted (200) or refused (400). Node evaluates those files (it can make
no use of the machine there: they are given no ``require`` but a stub); the merging is done here.
"""

from __future__ import annotations

import copy
import csv
import json
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.activity.builders import research_data

_EVALUATE = """
const fs = require('fs'), path = require('path'), vm = require('vm');
const folder = process.argv[1], found = [];
for (const file of fs.readdirSync(folder).sort()) {
  if (!file.endsWith('.js')) continue;
  const holder = {exports: {}};
  const helper = {generateUUID: () => '12345678-1234-4321-8765-123456789012'};
  vm.runInNewContext(fs.readFileSync(path.join(folder, file), 'utf8'),
    {module: holder, process: {env: {}}, require: () => helper, console: {log() {}}});
  for (const group of holder.exports.config())
    for (const one of group.config)
      found.push({file, name: one.name, templates: one.templates, expect: one.expect[0]});
}
process.stdout.write(JSON.stringify(found));
"""


@dataclass(frozen=True)
class Case:
    """One document of a standard, and whether it must be accepted."""

    name: str
    document: Any
    valid: bool


@cache
def xapi_cases(version: str) -> tuple[Case, ...]:
    """Return every case of the conformance suite for ``v1_0_3`` or ``v2_0``."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: the conformance cases are JavaScript")
    folder = research_data("xapi") / "test" / version
    done = subprocess.run(
        [node, "-e", _EVALUATE, str(folder / "configs")], check=True, capture_output=True, timeout=60
    )
    blocks = xapi_blocks(version)
    return tuple(
        Case(f"{one['file']}: {one['name']}", _compose(one["templates"], blocks), one["expect"] == 200)
        for one in json.loads(done.stdout)
    )


@cache
def xapi_blocks(version: str) -> dict[str, Any]:
    """Return the suite's building blocks by ``folder.name``."""
    folder = research_data("xapi") / "test" / version / "templates"
    return {
        f"{file.parent.name}.{file.stem}": json.loads(file.read_text(encoding="utf-8"))
        for file in sorted(folder.glob("*/*.json"))
    }


@cache
def activitystreams_cases() -> tuple[tuple[str, bytes, bool], ...]:
    """Return (file, bytes, must be accepted) of every ActivityStreams document."""
    folder = research_data("activitystreams")
    with (folder / "index.csv").open(newline="", encoding="utf-8") as index:
        rows = [row for row in csv.DictReader(index) if Path(row["file"]).suffix == ".json"]
    return tuple((row["file"], (folder / row["file"]).read_bytes(), row["expect"] == "ok") for row in rows)


def _compose(templates: list[dict[str, Any]], blocks: dict[str, Any]) -> Any:
    """Put each block into the one before it, under its key; what was there is merged into."""
    below: dict[str, Any] | None = None
    for entry in reversed(templates):
        (key, value), *_ = entry.items()
        if isinstance(value, str) and value.startswith("{{") and value.endswith("}}"):
            value = copy.deepcopy(blocks[value[2:-2]])
        # An array takes properties in JavaScript, and loses them as JSON.
        below = {key: value if below is None or isinstance(value, list) else _merge(value, below)}
    return (below or {})["statement"]


def _merge(into: Any, new: Any) -> Any:
    if isinstance(into, dict) and isinstance(new, dict):
        return {**into, **{key: _merge(into.get(key), value) for key, value in new.items()}}
    if isinstance(into, list) and isinstance(new, list):
        merged = [_merge(old, value) for old, value in zip(into, new, strict=False)]
        return merged + new[len(into) :] + into[len(new) :]
    return copy.deepcopy(new)
