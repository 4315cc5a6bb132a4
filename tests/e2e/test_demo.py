"""The demo as a user runs it: a real process, real histories, the audit's verdict as exit code.

timebank demo
  on a small repository, embedded chain
    ends green, exit 0, and its JSON adds up
    tells the bank's chapter: deposit, loan, lease, due day, default, recovery
    tells the market's chapter: a service paid and rated, a quarrel that time ends
    lets the rate float: each move redone by hand, each epoch valued at the rate before it, the audit's moves
    keeps what --keep names, and refuses to overwrite it
  on a real anvil ....................... ends green; a stranger's `timebank audit` on what was kept too
  on the libuv history through a mapping, on both Stack Exchange dumps ... ends green
  outside of any history ................ exit 2 with the way out
  on a folder that is no repository ..... exit 1, one sentence
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.activity.builders import research_data
from tests.demo.community import community
from timebank_chain.spec.floating_rate import bounded_move, excess_after, rate

TIMEBANK = Path(sys.executable).with_name("timebank")
pytestmark = pytest.mark.e2e


def timebank(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ETH_", "TIMEBANK_"))}
    return subprocess.run(
        [str(TIMEBANK), *words], capture_output=True, text=True, timeout=300, cwd=cwd, env=clean, check=False
    )


def told(*words: str) -> dict[str, Any]:
    done = timebank(*words, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return community(tmp_path_factory.mktemp("community"))


def adds_up(story: dict[str, Any]) -> None:
    """What a bank clerk would check."""
    assert story["ok"], story["verdict"]
    assert story["schema"] == "timebank.demo/1"
    history = story["history"]
    assert history["read"] == history["kept"] + sum(history["rejected"].values())
    assert sum(epoch["activities"] for epoch in story["epochs"]) == history["kept"]
    fees = sum(movement["fee_micro"] for movement in story["movements"])
    assert fees > 0
    assert any(epoch["pot_micro"] > 0 for epoch in story["epochs"]), "fees come back as a bonus pot"
    linked = story["linked"]["claimed_micro"] if story["linked"] else 0
    claimed = sum(epoch["claimed_micro"] for epoch in story["epochs"]) + linked
    burned = sum(epoch["pot_micro"] for epoch in story["epochs"])
    assert story["supply_micro"] == claimed - burned
    receipt = story["receipt"]
    assert sum(act["value"] for act in receipt["activities"]) == receipt["value_sum"]
    assert receipt["mint"] == receipt["mint_by_rate"] + receipt["mint_from_pot"]


def the_bank_is_whole(story: dict[str, Any]) -> None:
    """Every scene of the bank's chapter, in order, and what was lost comes back."""
    scenes = {scene["what"]: scene for scene in story["bank"]}
    told = [scene["what"] for scene in story["bank"]]
    order = [
        "standing order", "lend", "claim deposited", "borrow", "lease", "borrow on standing",
        "settled on the due day", "repay", "withdraw", "default", "written off", "recovered",
    ]  # fmt: skip
    places = [told.index(what) for what in order]
    assert places == sorted(places), told
    lost, back = scenes["written off"]["amount_micro"], scenes["recovered"]["amount_micro"]
    assert 0 < back <= lost == scenes["default"]["amount_micro"]


def the_market_is_whole(story: dict[str, Any]) -> None:
    """One order is paid and rated, the other's credits divided without the arbiter; half an offer is sold."""
    scenes = story["services"]
    assert [scene["what"] for scene in scenes] == [
        "offer", "order", "deliver", "approved", "rated", "rated",
        "order", "deliver", "partial", "dispute", "no ruling in time",
        "sell order", "bought", "cancelled",
    ]  # fmt: skip
    price = scenes[0]["amount_micro"]
    assert scenes[3]["amount_micro"] == price
    assert scenes[-4]["amount_micro"] == price // 2
    offered, bought, rest = (scene["amount_micro"] for scene in scenes[-3:])
    assert offered == bought + rest > bought > 0


def the_value_floats(story: dict[str, Any]) -> None:
    """From the second epoch on each moves the rate, by the formula, from where the one before left it."""
    moves, epochs = story["rates"], story["epochs"]
    assert [move["epoch"] for move in moves] == [epoch["epoch"] for epoch in epochs[1:]]
    base = rate_now = moves[0]["previous_rate_q24"]
    step, excess = epochs[0]["total_mint_micro"], 0
    for move, epoch in zip(moves, epochs[1:], strict=True):
        assert move["minted_micro"] == epoch["total_mint_micro"]
        excess = excess_after(excess, step, move["spent_micro"], move["minted_micro"])
        moved = bounded_move(rate_now, rate(base, excess, step))
        assert (move["previous_rate_q24"], move["excess_micro"], move["rate_q24"]) == (
            rate_now,
            excess,
            moved,
        )
        assert moved != rate_now
        rate_now = moved
    paid = story["movements"][1]["amount_micro"]
    assert story["movements"][1]["kind"] == "payment"
    assert moves[0]["spent_micro"] >= paid > 0
    (check,) = (check for check in story["audit"]["checks"] if check["number"] == "A54")
    assert check["evidence"]["moves"] == len(moves) == 3
    assert (check["evidence"]["step"], check["evidence"]["rate_q24"]) == (step, rate_now)


def test_a_small_community_on_the_embedded_chain(repository: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    story = told("demo", "--repo", str(repository), "--keep", str(kept))
    adds_up(story)
    the_bank_is_whole(story)
    the_market_is_whole(story)
    the_value_floats(story)
    assert story["linked"] is not None, "the fourth person gets a wallet later"
    assert len(story["epochs"]) == 4
    for name in ("activity.parquet", "rejects.csv", "members.csv", "deployment.json", "story.json"):
        assert (kept / name).is_file(), name
    saved = json.loads((kept / "story.json").read_text())
    assert saved["verdict"] == story["verdict"]

    again = timebank("demo", "--repo", str(repository), "--keep", str(kept))
    assert again.returncode == 2
    assert "not an empty folder" in again.stderr


def test_people_read_tables_and_a_verdict(repository: Path) -> None:
    done = timebank("demo", "--repo", str(repository), "--epochs", "2")
    assert done.returncode == 0, done.stderr
    for words in ("The epochs", "Who earned what", "Why: the receipt of", "under the account root", "GREEN:"):
        assert words in done.stdout
    assert "signed by 2 of 3" in done.stderr
    assert "The value that floats" in done.stdout
    told_move = (
        r"After epoch 2 the rate (falls|rises) by \d+\.\d\d %, from 1\.000000 to \d\.\d{6} credits per value"
    )
    assert re.search(told_move, " ".join(done.stdout.split()))


def test_a_single_epoch_has_no_rate_to_move(repository: Path) -> None:
    story = told("demo", "--repo", str(repository), "--epochs", "1")
    assert story["ok"], story["verdict"]
    assert story["rates"] == []


def test_on_anvil_a_stranger_can_audit_afterwards(repository: Path, tmp_path: Path, anvil_url: str) -> None:
    kept = tmp_path / "kept"
    story = told("demo", "--repo", str(repository), "--rpc-url", anvil_url, "--keep", str(kept))
    adds_up(story)
    the_bank_is_whole(story)
    the_market_is_whole(story)
    the_value_floats(story)
    audit = told(
        "audit", "--rpc-url", anvil_url, "--deployment", str(kept / "deployment.json"),
        "--epochs", str(kept / "epochs"),
    )  # fmt: skip
    assert audit["ok"], audit["verdict"]


@pytest.mark.data
@pytest.mark.parametrize("site", ["stackexchange_conlang_meta", "stackexchange_quantumcomputing"])
def test_a_stack_exchange_dump(site: str) -> None:
    adds_up(told("demo", "--stackexchange", str(research_data(site))))


@pytest.mark.data
def test_the_libuv_history_through_its_mapping() -> None:
    data = research_data("git_libuv")
    mapping = timebank("examples", "libuv.mapping.toml").stdout.strip()
    story = told("demo", "--activity", str(data / "commits.csv"), "--mapping", mapping)
    adds_up(story)
    assert story["history"]["read"] == 5_596


def test_a_folder_without_a_repository(tmp_path: Path) -> None:
    done = timebank("demo", "--repo", str(tmp_path))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert str(tmp_path) in done.stderr


def test_two_histories_at_once_are_refused(tmp_path: Path) -> None:
    done = timebank("demo", "--repo", str(tmp_path), "--stackexchange", str(tmp_path))
    assert done.returncode == 2
    assert "name one history" in done.stderr


def test_no_node_answers(repository: Path) -> None:
    done = timebank("demo", "--repo", str(repository), "--rpc-url", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert "no node answers at http://127.0.0.1:1" in done.stderr
