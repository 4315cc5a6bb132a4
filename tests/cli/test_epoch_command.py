"""timebank epoch: what it prints, and its exit codes
|- the road: build several epochs, inspect, verify, prove, check, receipt; text and JSON
|- building again: without --force nothing changes; the next follows on by itself
|- usage (exit 2): no start, no policy, no length, an end in the future, two ways to end, a gap, no folder,
|  an address with a wrong checksum, nothing or two things to prove
|- trouble (exit 1): a cut activity table or epoch file (named), another window, no such epoch
|- corrupting: what was planted where, --list, JSON; the honest folder stays as it is
`- a failed check (exit 3): a lie that hangs together, a flipped bit in a proof, a proof of another epoch
"""

from __future__ import annotations

import io
import json
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.epoch import sample
from timebank_chain.activity import checksum_address, write_activity
from timebank_chain.cli import main
from timebank_chain.epoch import published_numbers, read_epoch


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.out))


def run(*arguments: object) -> Ran:
    """Run the command as its entry point does, without starting a process for each of many cases."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["timebank", "epoch", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.run()
    return Ran(int(ended.value.code or 0), out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_activity(sample.table_of(sample.records()), folder / "activity.parquet")
    (folder / "policy.json").write_text(sample.POLICY_JSON)
    (folder / "members.csv").write_text(f"member,address\nm0,{checksum_address(sample.WALLET)}\n")
    done = run(
        *("build", "--activity", folder / "activity.parquet", "--members", folder / "members.csv"),
        *("--policy", folder / "policy.json", "--epochs", folder / "epochs"),
        *("--start", "2026-01-01T00:00:00Z", "--until", "2026-03-10T00:00:00Z", "--json"),
    )
    assert done.code == 0, done.err
    assert [entry["epoch"] for entry in done.document["epochs"]] == [1, 2]
    return folder


@pytest.fixture
def copy(world: Path, tmp_path: Path) -> Path:
    shutil.copytree(world, tmp_path / "world")
    return tmp_path / "world"


def test_build_says_what_it_built_and_left_out(world: Path) -> None:
    published = read_epoch(world / "epochs", 2)
    table = sample.table_of(sample.records())
    done = run(
        *("build", "--activity", world / "activity.parquet", "--members", world / "members.csv"),
        *("--epochs", world / "epochs", "--epoch", 2, "--json"),
    )
    assert done.code == 0, done.err
    (entry,) = done.document["epochs"]
    assert done.document["schema"] == "timebank.epoch.build/1"
    assert entry["headerHash"] == "0x" + published.header.hash().hex()
    counted = entry["activityCount"] + entry["left_out"]["earlier"] + entry["left_out"]["later"]
    assert counted == len(table)


def test_the_next_epoch_follows_by_itself(copy: Path) -> None:
    done = run("build", "--activity", copy / "activity.parquet", "--epochs", copy / "epochs", "--pot", 7)
    assert done.code == 0, done.err
    assert "Epochs built by policy 'sample'" in done.out
    assert published_numbers(copy / "epochs") == [1, 2, 3]
    third = read_epoch(copy / "epochs", 3).header
    assert (third.start_ms, third.pot) == (read_epoch(copy / "epochs", 2).header.end_ms, 7)


def test_another_epoch_needs_force(copy: Path) -> None:
    arguments = ["build", "--activity", copy / "activity.parquet", "--epochs", copy / "epochs", "--epoch", 2]
    before = read_epoch(copy / "epochs", 2).header
    done = run(*arguments, "--rate-q24", 5)
    assert done.code == 1
    assert "another epoch 2 is published already" in done.err
    assert "--force" in done.err
    assert read_epoch(copy / "epochs", 2).header == before
    assert run(*arguments, "--rate-q24", 5, "--force").code == 0
    assert read_epoch(copy / "epochs", 2).header.rate_q24 == 5


def test_inspect_shows_header_and_accounts(world: Path) -> None:
    header = read_epoch(world / "epochs", 2).header
    done = run("inspect", "--epochs", world / "epochs", "--top", 3)
    assert done.code == 0
    assert "0x" + header.hash().hex() in done.out
    assert "The 3 accounts with the greatest mint, of 7" in done.out
    document = run("inspect", "--epochs", world / "epochs", "--epoch", 1, "--json").document
    assert document["schema"] == "timebank.epoch.inspect/1"
    assert document["header"]["epoch"] == 1
    assert document["policy"]["name"] == "sample"
    mints = [entry["mint"] for entry in document["top_accounts"]]
    assert mints == sorted(mints, reverse=True)
    kinds = {entry["account"]: entry["placeholder"] for entry in document["top_accounts"]}
    assert kinds.pop(checksum_address(sample.WALLET)) is False
    assert set(kinds.values()) == {True}


def test_verify_holds_and_compares_the_source(world: Path) -> None:
    done = run(
        *("verify", "--epochs", world / "epochs", "--activity", world / "activity.parquet"),
        *("--members", world / "members.csv"),
    )
    assert done.code == 0, done.out + done.err
    assert "2 epochs with" in done.out
    document = run("verify", "--epochs", world / "epochs", "--epoch", 2, "--json").document
    assert document["ok"] is True
    assert [entry["epoch"] for entry in document["epochs"]] == [2]


def test_a_lie_that_hangs_together_fails_the_check(copy: Path, tmp_path: Path) -> None:
    genuine = read_epoch(copy / "epochs", 2)
    false = sample.changed(genuine.accounts, "mint", 3, int(genuine.accounts.mint[3]) + 1)
    shutil.rmtree(copy / "epochs" / "000002")
    sample.forge(copy / "epochs", genuine, accounts=false)
    done = run("verify", "--epochs", copy / "epochs")
    assert done.code == 3
    assert "epoch 2: accounts.parquet, row 3 (0x" in done.err
    assert "field 'mint'" in done.err
    done = run("verify", "--epochs", copy / "epochs", "--json")
    assert done.code == 3
    assert done.document["ok"] is False
    assert done.document["epochs"][1]["findings"][0]["part"] == "accounts"


def test_a_table_that_is_not_the_source_fails_the_check(world: Path, tmp_path: Path) -> None:
    rows = sample.records()
    write_activity(
        sample.table_of([replace(row, engagement="1") for row in rows]), tmp_path / "other.parquet"
    )
    done = run("verify", "--epochs", world / "epochs", "--activity", tmp_path / "other.parquet")
    assert done.code == 3
    assert "is not in the activity table" in done.err


@pytest.mark.parametrize("name", ["activities.parquet", "accounts.parquet", "manifest.json", "header.json"])
def test_a_cut_file_is_trouble_and_named(copy: Path, name: str) -> None:
    path = copy / "epochs" / "000001" / name
    path.write_bytes(path.read_bytes()[:-9])
    for verb in ("verify", "inspect"):
        done = run(verb, "--epochs", copy / "epochs", "--epoch", 1, "--json")
        assert done.code == 1
        error = done.document["error"]
        assert error["code"] == "TamperedEpoch"
        assert error["where"].startswith(str(path))
        assert error["hint"]


def test_a_changed_policy_is_trouble(copy: Path) -> None:
    (path,) = (copy / "epochs" / "policies").iterdir()
    path.write_text(path.read_text().replace('"low": 2000000', '"low": 2000001'))
    done = run("verify", "--epochs", copy / "epochs")
    assert done.code == 1
    assert str(path) in done.err


@pytest.mark.parametrize("who", [["--member", "m0"], ["--member", "m3"], ["--activity", "4"]])
def test_a_proof_is_written_and_checked(world: Path, tmp_path: Path, who: list[str]) -> None:
    file = tmp_path / "proof.json"
    arguments = ["prove", "--epochs", world / "epochs", "--members", world / "members.csv", *who]
    assert run(*arguments, "-o", file).code == 0
    assert run(*arguments).document == json.loads(file.read_text())
    done = run("prove", "--check", file, "--epochs", world / "epochs")
    assert done.code == 0, done.err
    assert "the proof holds" in done.out
    assert run("prove", "--check", file, "--json").document["ok"] is True


def test_account_and_member_lead_to_the_same_proof(world: Path) -> None:
    by_member = run(
        "prove", "--epochs", world / "epochs", "--members", world / "members.csv", "--member", "m0", "--json"
    )
    by_account = run(
        "prove", "--epochs", world / "epochs", "--account", checksum_address(sample.WALLET), "--epoch", 2
    )
    assert by_member.document == by_account.document


@pytest.mark.parametrize("part", ["leaf", "header", "siblings", "root", "leafHash"])
def test_a_flipped_bit_in_a_proof_fails_the_check(world: Path, tmp_path: Path, part: str) -> None:
    document = run("prove", "--epochs", world / "epochs", "--member", "m3").document
    if part == "leaf":
        document["leaf"]["cumulative_mint"] ^= 1
    elif part == "header":
        document["header"]["totalMint"] ^= 1
    else:
        text = document[part][1] if part == "siblings" else document[part]
        flipped = text[:-1] + format(int(text[-1], 16) ^ 1, "x")
        if part == "siblings":
            document[part][1] = flipped
        else:
            document[part] = flipped
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(document))
    done = run("prove", "--check", file, "--json")
    assert done.code == 3
    assert done.document["error"]["where"].startswith(str(file))


def test_a_proof_of_another_publishers_epoch_fails_the_check(copy: Path, tmp_path: Path) -> None:
    file = tmp_path / "proof.json"
    assert run("prove", "--epochs", copy / "epochs", "--member", "m3", "-o", file).code == 0
    again = ["--activity", copy / "activity.parquet", "--epochs", copy / "epochs", "--epoch", 2, "--force"]
    assert run("build", *again, "--pot", 99).code == 0
    assert run("prove", "--check", file).code == 0
    done = run("prove", "--check", file, "--epochs", copy / "epochs")
    assert done.code == 3
    assert "of another epoch 2 than the published one" in done.err


def test_a_proof_file_that_is_none_is_trouble(tmp_path: Path) -> None:
    file = tmp_path / "proof.json"
    file.write_text("{")
    assert run("prove", "--check", file).code == 1
    assert run("prove", "--check", tmp_path / "nothing.json").code == 1


def test_receipt_shows_every_step(world: Path) -> None:
    arguments = [
        "receipt",
        "--epochs",
        world / "epochs",
        "--members",
        world / "members.csv",
        "--member",
        "m0",
    ]
    done = run(*arguments)
    assert done.code == 0, done.err
    for word in (
        "raw I O E",
        "ranks I O E",
        "quality",
        "weight",
        "bracket 2",
        "mint by rate",
        "standing",
        "proof",
    ):
        assert word in done.out
    document = run(*arguments, "--epoch", 1, "--json").document
    assert document["schema"] == "timebank.receipt/1"
    assert document["mint"] == document["proof"]["leaf"]["mint"]


BUILD = ["build", "--activity", "ACTIVITY", "--epochs", "EPOCHS"]
FRESH = ["build", "--activity", "ACTIVITY", "--epochs", "FRESH", "--policy", "POLICY"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["build", "--activity", "ACTIVITY"], 2, "no folder of published epochs given"),
        (["build", "--activity", "ACTIVITY", "--epochs", "FRESH"], 2, "the first epoch needs a policy"),
        (FRESH, 2, "the first epoch needs a start"),
        ([*FRESH, "--start", "2026-01-01"], 2, "--start: time without a zone"),
        ([*FRESH, "--start", "soon"], 2, "--start: not a time"),
        ([*FRESH, "--start", "2026-01-01T00:00:00Z", "--every", "28"], 2, "--every: not a duration"),
        ([*FRESH, "--start", "2026-01-01T00:00:00Z", "--every", "7d"], 1, "the epoch is 1w long"),
        ([*FRESH, "--start", "9999-01-01T00:00:00Z"], 2, "which is still to come"),
        (
            [*FRESH, "--start", "2026-01-01T00:00:00Z", "--until", "2026-01-02T00:00:00Z"],
            2,
            "no epoch fits between",
        ),
        (
            [*FRESH, "--start", "2026-01-01T00:00:00Z", "--end", "2026-01-29T00:00:00Z", "--every", "28d"],
            2,
            "--end ends one epoch",
        ),
        ([*BUILD, "--start", "2026-03-01T00:00:00Z"], 1, "the one before ended at"),
        ([*BUILD, "--epoch", "9"], 2, "epoch 9 cannot follow epoch 2"),
        ([*BUILD, "--policy", "gti"], 1, "there is no policy 'gti'"),
        ([*BUILD, "--pot", "-1"], 2, "--pot"),
        (["build", "--activity", "CUT", "--epochs", "EPOCHS"], 1, "not a readable Parquet file"),
        (["build", "--activity", "WINDOW", "--epochs", "EPOCHS"], 1, "field 'window_ms'"),
        (["inspect", "--epochs", "EPOCHS", "--epoch", "7"], 2, "there is no epoch 7"),
        (["verify", "--epochs", "FRESH"], 1, "no epoch is published here"),
        (["verify", "--epochs", "EPOCHS", "--members", "POLICY"], 2, "and none is given"),
        (["prove", "--epochs", "EPOCHS"], 2, "say what to prove"),
        (["prove", "--epochs", "EPOCHS", "--member", "m1", "--activity", "3"], 2, "say what to prove"),
        (["prove", "--epochs", "EPOCHS", "--member", "nobody"], 1, "has no account in epoch 2"),
        (["prove", "--epochs", "EPOCHS", "--activity", "999"], 1, "leaves, not leaf 999"),
        (["prove", "--epochs", "EPOCHS", "--account", "WRONG"], 2, "has a wrong checksum"),
        (["prove", "--check", "POLICY", "--member", "m1"], 2, "--check takes a proof file"),
        (["receipt", "--epochs", "EPOCHS"], 2, "say whose receipt"),
        (["corrupt", "--epochs", "EPOCHS", "--to", "FRESH"], 2, "say what shall be wrong"),
        (["corrupt", "--class", "1", "--epochs", "EPOCHS"], 2, "no folder for the wrong epoch"),
        (["corrupt", "--class", "1", "--variant", "mint", "--to", "FRESH"], 2, "has no variant 'mint'"),
        (["corrupt", "--class", "1", "--at", "middle", "--to", "FRESH"], 2, "'middle' is no place"),
        (["corrupt", "--class", "1", "--epochs", "EPOCHS", "--to", "EPOCHS"], 1, "among the honest"),
        (["corrupt", "--class", "8", "--epoch", "1", "--epochs", "EPOCHS", "--to", "FRESH"], 1, "no place"),
        (["corrupt", "--class", "1", "--at", "999", "--epochs", "EPOCHS", "--to", "FRESH"], 1, "no place"),
        (["corrupt", "--class", "1", "--epoch", "9", "--epochs", "EPOCHS", "--to", "FRESH"], 1, "epoch 9"),
    ],
)
def test_wrong_input_gets_one_sentence_and_a_way_out(
    world: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    cut = tmp_path / "cut.parquet"
    cut.write_bytes((world / "activity.parquet").read_bytes()[:-20])
    window = tmp_path / "window.parquet"
    rows = sample.records(3)
    write_activity(sample.table_of([replace(rows[0], window=5), *rows[1:]]), window)
    places = {
        "ACTIVITY": world / "activity.parquet",
        "EPOCHS": world / "epochs",
        "FRESH": tmp_path / "fresh",
        "POLICY": world / "policy.json",
        "CUT": cut,
        "WINDOW": window,
        "WRONG": checksum_address(sample.WALLET).swapcase().replace("X", "x"),
    }
    before = {path: path.read_bytes() for path in world.rglob("*") if path.is_file()}
    done = run(*(places.get(argument, argument) for argument in arguments), "--json")
    assert done.code == code, done.out + done.err
    error = done.document["error"]
    assert message in error["message"] + (error["where"] or "")
    assert error["hint"]
    assert {path: path.read_bytes() for path in world.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "fresh").exists()


def test_a_corrupted_epoch_is_wrong_where_it_says(world: Path, tmp_path: Path) -> None:
    drill = tmp_path / "drill"
    options = ("--class", "7", "--at", "last", "--rehash", "--epochs", world / "epochs", "--to", drill)
    done = run("corrupt", *options)
    assert done.code == 0, done.err
    assert "for tests and drills only: this epoch is wrong on purpose" in done.out
    assert "class 7, mint: account 6: mint is " in done.out
    assert read_epoch(drill, 2).header.hash().hex() in done.out
    assert run("verify", "--epochs", drill, "--epoch", "1").code == 0
    checked = run("verify", "--epochs", drill, "--epoch", "2")
    assert checked.code == 3
    assert "row 6" in checked.out
    again = run("corrupt", *options, "--json")
    assert again.code == 1
    assert "there is an epoch 2 already" in again.document["error"]["message"]


def test_a_corrupted_epoch_as_json_shows_the_leaf_that_is_withheld(world: Path, tmp_path: Path) -> None:
    options = ("--class", "10", "--at", "3", "--epoch", "1", "--epochs", world / "epochs")
    done = run("corrupt", *options, "--to", tmp_path / "drill", "--json")
    assert done.code == 0, done.err
    document = done.document
    assert document["purpose"] == "tests and drills only"
    assert document["planted"]["class"] == 10
    assert document["planted"]["index"] == document["shown"]["position"] == 3
    assert document["proposable"] is True
    assert document["headerHash"] != document["honestHeaderHash"]
    assert not (tmp_path / "drill" / "000002").exists()
    leaf = read_epoch(tmp_path / "drill", 1).activities.leaf(3)
    assert document["shown"]["leaf"]["value"] == leaf.value + 1


def test_the_ways_to_corrupt_are_listed() -> None:
    done = run("corrupt", "--list")
    assert done.code == 0
    assert "for tests and drills only" in done.out
    document = run("corrupt", "--list", "--json").document
    assert {entry["class"] for entry in document["variants"]} == set(range(1, 11))
    assert all(entry["variant"] in done.out for entry in document["variants"])


@pytest.mark.parametrize("verb", ["build", "inspect", "verify", "prove", "receipt", "corrupt"])
def test_every_help_has_an_example(verb: str) -> None:
    done = run(verb, "--help")
    assert done.code == 0
    assert f"Example: timebank epoch {verb} " in done.out
