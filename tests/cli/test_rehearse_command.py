"""timebank policy rehearse, on published epochs and against a real anvil.

::

    files alone ...... the policy they have: bit for bit; another: winners, losers, Gini, mint; as text
    with a chain ..... epochs checked against it, fees estimated by what everybody is credited
    rates ............ kept as recorded; that they would move is said, unless all is the same or fixed
    initial rate ..... another one changes nothing: said with the rate in force, as text and JSON
    refused .......... unknown and contradictory fields, a missing epoch, a wrong range, no epochs
"""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.cli.bank_stage import Stage, run
from tests.epoch.sample import policy, publish_all
from timebank_chain.epoch import read_epoch
from timebank_chain.units import Q24, format_rate
from timebank_chain.valuation import load_policy, policy_document, policy_to_json
from timebank_chain.valuation.inequality import measure


@pytest.fixture(scope="module")
def epochs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_all(tmp_path_factory.mktemp("epochs"))[0].folder.parent


@pytest.fixture
def today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("TIMEBANK_EPOCHS", "TIMEBANK_DEPLOYMENT"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "today.json"
    path.write_text(policy_to_json(policy()))
    return path


def changed(today: Path, **fields: Any) -> Path:
    path = today.with_name("new.json")
    path.write_text(json.dumps({**policy_document(policy()), **fields}))
    return path


class TestFilesAlone:
    def test_todays_policy_reproduces_the_ledger(self, epochs: Path, today: Path) -> None:
        ran = run("policy", "rehearse", "--with", today, "--epochs", epochs, "--json")
        assert ran.code == 0, ran.out + ran.err
        told = ran.document
        assert told["schema"] == "timebank.policy.rehearse/1"
        assert told["identical"] and all(one["identical"] for one in told["epochs"])
        assert (told["winners"], told["losers"], told["top_winners"], told["fees"]) == (0, 0, [], None)
        text = run("policy", "rehearse", "--with", today, "--epochs", epochs)
        assert "every leaf, root and total is the published one, bit for bit" in text.out
        assert "rate floats" not in text.out

    def test_another_policy(self, epochs: Path, today: Path) -> None:
        flat = changed(today, brackets=[{"from_multiple_milli": 0, "slope_milli": 1000}])
        told = run("policy", "rehearse", "--with", flat, "--epochs", epochs, "--top", 2, "--json").document
        assert not told["identical"]
        assert (told["losers"], told["lost_micro"], told["top_losers"]) == (0, 0, [])
        assert len(told["top_winners"]) == min(2, told["winners"]) > 0
        assert told["gained_micro"] == told["rehearsed_mint_micro"] - told["mint_micro"] > 0
        # Without brackets what the richest earned beyond one and a half times the mean counts in full.
        gini, rehearsed = (Fraction(told["mint"][name]["exact"]) for name in ("gini", "rehearsed_gini"))
        whole = measure(read_epoch(epochs, 3).accounts.cumulative_mint)
        assert whole is not None and gini == whole.gini < rehearsed
        text = run("policy", "rehearse", "--with", flat, "--epochs", epochs, "--from", 2)
        assert text.code == 0, text.err
        assert "if the rate floats, another mint would have moved those of later epochs too" in text.out
        assert (told["rates"], told["rate_floats"]) == ("recorded", None)
        help_text = " ".join(run("policy", "rehearse", "--help").out.split())
        assert "A rehearsal keeps the recorded rates" in help_text
        for words in ("over epochs 2 to 3", "Who would win most", "0 lose 0.000000", "Gini of the standings"):
            assert words in text.out

    def test_another_initial_rate_counts_for_nothing_and_is_told(self, epochs: Path, today: Path) -> None:
        then, mine = policy().initial_rate_q24, 5 * Q24
        ours = read_epoch(epochs, 3).header.rate_q24
        other = changed(today, initial_rate_q24=mine)
        told = run("policy", "rehearse", "--with", other, "--epochs", epochs, "--json").document
        assert told["identical"], "the recorded rates are kept"
        note = told["initial_rate"].pop("note")
        assert told["initial_rate"] == {"published_q24": then, "rehearsed_q24": mine, "applied": False}
        assert note.startswith(f"the initial rate 5.000000 (Q24 {mine}) of the rehearsed policy")
        assert f"(today's: {format_rate(then)}) changes nothing here" in note
        assert f"(epoch 3: {format_rate(ours)})" in note
        assert "only a new deployment begins with its policy's" in note
        text = run("policy", "rehearse", "--with", other, "--epochs", epochs)
        assert f"note: {note}" in " ".join(text.out.split())

        same = run("policy", "rehearse", "--with", today, "--epochs", epochs, "--json").document
        assert same["initial_rate"]["note"] is None
        assert "initial rate" not in run("policy", "rehearse", "--with", today, "--epochs", epochs).out


@pytest.mark.anvil
def test_with_a_chain(stage: Stage) -> None:
    stage.done("member2", "wallet", "pay", stage.world.address("payee"), "10")
    stage.next_epoch()
    rules = load_policy("identity")
    path = stage.folder / "half.json"
    document = policy_document(rules)
    document["brackets"] = [{"from_multiple_milli": 0, "slope_milli": 500}]
    path.write_text(json.dumps(document))
    told = stage.told("policy", "rehearse", "--with", path)
    assert told["fees"]["paid_micro"] == 50_000
    # Whoever paid the only fee is credited half, up to the rounding of its two epochs.
    assert told["fees"]["estimated_micro"] in (24_999, 25_000)
    assert told["losers"] == told["accounts"] == 4
    told = stage.told("policy", "rehearse", "--with", "identity")
    assert told["identical"] and told["fees"]["estimated_micro"] == 50_000
    text = run("policy", "rehearse", "--with", path)
    assert "fees paid, credits" in text.out and "~ fees: as if" in text.out
    assert told["rate_floats"] is False and "the rate floats" not in text.out
    stage.govern("chain", "set-float", "250")
    assert stage.told("policy", "rehearse", "--with", path)["rate_floats"] is True
    text = run("policy", "rehearse", "--with", path)
    assert "the rate floats here: another mint would have moved those of later epochs too" in text.out
    header = stage.folder / "epochs" / "000001" / "header.json"
    document = json.loads(header.read_text())
    document["rateQ24"] += 1
    header.write_text(json.dumps(document))
    ran = run("policy", "rehearse", "--with", "identity", "--json")
    assert (ran.code, ran.error["code"]) == (1, "TamperedEpoch")


class TestRefused:
    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"colour": 3}, "unknown field 'colour'"),
            ({"tau": "3d"}, "given twice"),
            ({"epoch": "4w"}, "epoch and epoch_ms are both given"),
            ({"brackets": [{"from_multiple_milli": 5, "slope_milli": 1}]}, "first bracket starts at 5"),
            ({"domains": policy_document(policy())["domains"][:1]}, "which the policy does not know"),
            ({"epoch_ms": 1}, "the epoch is 4w long, the policy's 1ms"),
        ],
    )
    def test_wrong_policies(self, epochs: Path, today: Path, fields: dict[str, Any], words: str) -> None:
        ran = run("policy", "rehearse", "--with", changed(today, **fields), "--epochs", epochs, "--json")
        assert (ran.code, ran.error["code"]) == (1, "PolicyError")
        assert words in ran.error["message"]

    def test_missing_epochs(self, epochs: Path, today: Path, tmp_path: Path) -> None:
        shutil.copytree(epochs, tmp_path / "epochs")
        shutil.rmtree(tmp_path / "epochs" / "000002")
        ran = run("policy", "rehearse", "--with", today, "--epochs", tmp_path / "epochs", "--json")
        assert ran.code == 1 and ran.error["message"] == "epoch 2 is missing, epoch 3 is there"
        ran = run("policy", "rehearse", "--with", today, "--epochs", epochs, "--to", 9, "--json")
        assert ran.code == 1 and "1 to 3 are published" in ran.error["message"]
        assert run("policy", "rehearse", "--with", today, "--json").code == 2
        assert run("policy", "rehearse", "--with", today, "--epochs", epochs, "--top", -1).code == 2
        assert run("policy", "rehearse", "--epochs", epochs).code == 2
