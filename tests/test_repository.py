"""What the repository promises about itself.

top level ......... only what the README explains
commands .......... each stands in the README; each help has an example
settings .......... each environment variable stands in the README
contracts ......... each custom error and event is explained in its interface
text .............. names no machine, no registry
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from timebank_chain import config
from timebank_chain.artifacts import artifact_names
from timebank_chain.cli.main import command_for

ROOT = Path(__file__).resolve().parents[1]
TOP = {
    ".ci", ".editorconfig", ".gitattributes", ".gitignore", "CHANGELOG.md", "LICENSE", "README.md",
    "README.zh.md",
    "contracts", "pyproject.toml", "scripts", "tests", "timebank_chain",
}  # fmt: skip


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return done.stdout.splitlines()


def commands() -> dict[str, str]:
    """Every command with its help text."""
    found: dict[str, str] = {}

    def walk(command: object, words: str) -> None:
        children = getattr(command, "commands", None)
        if not children:
            found[words] = getattr(command, "help", None) or ""
            return
        for name, child in children.items():
            walk(child, f"{words} {name}")

    walk(command_for(), "timebank")
    return found


def test_top_level_holds_only_what_is_explained() -> None:
    assert {path.split("/")[0] for path in tracked()} <= TOP


def test_every_command_stands_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    missing = [words for words in commands() if words not in readme]
    assert not missing


def test_every_command_has_an_example() -> None:
    missing = [words for words, text in commands().items() if "Example: timebank" not in text]
    assert not missing


def test_help_answers_without_the_chain_libraries() -> None:
    code = (
        "import sys; sys.argv = ['timebank', '--help']\n"
        "from timebank_chain.cli.main import run\n"
        "try:\n    run()\nexcept SystemExit: pass\n"
        "heavy = [name for name in ('web3', 'pyarrow', 'eth_tester', 'numba') if name in sys.modules]\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_setting_stands_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    settings = [value for name, value in vars(config).items() if name.startswith("ENV_")]
    assert settings
    assert not [name for name in settings if name not in readme]


@pytest.mark.parametrize("name", [name for name in artifact_names() if name != "AccessManager"])
def test_every_error_and_event_of_a_contract_is_explained(name: str) -> None:
    source = (ROOT / "contracts" / "interfaces" / f"I{name}.sol").read_text("utf-8")
    lines = source.splitlines()
    declared = 0
    for number, line in enumerate(lines):
        if re.match(r"\s*(error|event) \w+\(", line):
            declared += 1
            assert lines[number - 1].lstrip().startswith("///"), f"{name}: {line.strip()} has no NatSpec"
    assert declared, f"{name} declares neither errors nor events"


def test_no_file_names_a_machine_or_a_registry() -> None:
    # A home folder, an index to install from, or where a lock file fetched a package.
    forbidden = re.compile(r"/(?:home|Users)/\w|-index-url|\"resolved\": *\"http")
    me = "tests/test_repository.py"
    hits = []
    for path in tracked():
        if path == me:
            continue
        text = (ROOT / path).read_text("utf-8", errors="replace")
        hits += [f"{path}: {line.strip()[:80]}" for line in text.splitlines() if forbidden.search(line)]
    assert not hits
