"""timebank epoch fetch: what it prints, and its exit codes
|- the road: fetched with its policy, text and JSON, and verified from there
|- usage (exit 2): no header, no folder, a source that is none
`- trouble (exit 1): a header that names nothing, or local files; wrong bytes; nothing is left behind
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_epoch_command import run
from tests.epoch import sample
from timebank_chain.epoch import publish
from timebank_chain.epoch.file import ACTIVITIES_FILE, encode_header


@pytest.fixture
def epochs(tmp_path: Path) -> Path:
    publish(sample.build(1, None, data_uri=str(tmp_path / "epochs" / "000001")), tmp_path / "epochs")
    return tmp_path / "epochs"


def test_an_epoch_is_fetched_and_verified(epochs: Path, tmp_path: Path) -> None:
    header = epochs / "000001" / "header.json"
    done = run("fetch", epochs, "--header", header, "--to", tmp_path / "to")
    assert done.code == 0, done.err
    assert "every byte as the header says" in done.out
    assert run("verify", "--epochs", tmp_path / "to").code == 0
    again = run("fetch", epochs, "--header", header, "--to", tmp_path / "to", "--json")
    assert again.document["schema"] == "timebank.epoch.fetch/1"
    assert again.document["policy"] is True
    assert again.document["headerHash"] == json.loads(header.read_text())["headerHash"]


def test_an_epoch_without_its_policy_is_fetched(epochs: Path, tmp_path: Path) -> None:
    (epochs / "policies").rename(tmp_path / "elsewhere")
    header = epochs / "000001" / "header.json"
    done = run("fetch", epochs, "--header", header, "--to", tmp_path / "to", "--json")
    assert done.code == 0
    assert done.document["policy"] is False
    assert "registry" in done.err


def test_a_headers_own_path_needs_permission(epochs: Path, tmp_path: Path) -> None:
    arguments = ("fetch", "--header", epochs / "000001" / "header.json", "--to", tmp_path / "to")
    refused = run(*arguments)
    assert refused.code == 1
    assert "--allow-local" in refused.err
    assert run(*arguments, "--allow-local").code == 0


def test_wrong_bytes_are_trouble(epochs: Path, tmp_path: Path) -> None:
    path = epochs / "000001" / ACTIVITIES_FILE
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    header = tmp_path / "header.json"
    header.write_bytes((epochs / "000001" / "header.json").read_bytes())
    done = run("fetch", epochs, "--header", header, "--to", tmp_path / "to", "--json")
    assert done.code == 1
    assert "TamperedEpoch" in done.out + done.err
    assert not (tmp_path / "to" / "000001").exists()


def test_what_cannot_be_had_is_trouble(epochs: Path, tmp_path: Path) -> None:
    header = tmp_path / "header.json"
    header.write_bytes(encode_header(sample.build(1, None).header))
    done = run("fetch", "--header", header, "--to", tmp_path / "to", "--json")
    assert done.code == 1
    assert "DataUnavailable" in done.out + done.err
    # The source is an argument here and an option of the watchtower: the way out fits both.
    assert "a source" in done.document["error"]["hint"]
    assert "--source" not in done.document["error"]["hint"]


def test_wrong_usage(epochs: Path, tmp_path: Path) -> None:
    header = epochs / "000001" / "header.json"
    assert run("fetch", "--to", tmp_path / "to").code == 2
    assert run("fetch", "--header", header).code == 2
    assert run("fetch", "ftp://a.example", "--header", header, "--to", tmp_path / "to").code == 2
