"""timebank wallet why, against a real anvil.

::

    explained ........ as the leaves of both epochs have it, cause by cause; a rate change shows as such
        placeholder .. by its outside id
        text ......... every line, nothing but 0 in the last
        spelling ..... an address without a checksum, here and where else one asks; not a wrong one
    refused .......... an epoch that is not final, or 0; two names of one account; no epochs; another epoch's
                       files in its place
"""

from __future__ import annotations

import json
import shutil

import pytest

from tests.cli.bank_stage import NOBODY, Stage, run
from timebank_chain.epoch import read_epoch

pytestmark = pytest.mark.anvil


def test_causes_sum_to_the_difference(stage: Stage) -> None:
    stage.govern("chain", "set-rate", str(2 << 24))
    stage.next_epoch()
    told = stage.told("wallet", "why", 2, "--account", stage.world.address("member2"))
    assert told["schema"] == "timebank.wallet.why/1"
    leaves = []
    for number in (1, 2):
        rows = read_epoch(stage.folder / "epochs", number).accounts
        index = rows.find(bytes.fromhex(stage.world.address("member2")[2:]))
        assert index is not None
        leaves.append(rows.leaf(index))
    for name in ("earned", "standing", "mint"):
        seen = told[name]
        assert (seen["before_micro"], seen["after_micro"]) == (
            getattr(leaves[0], name),
            getattr(leaves[1], name),
        )
        parts = seen["new_activity_micro"] + seen["ageing_micro"] + seen["parameters_micro"]
        assert (parts, seen["remainder"]) == (seen["difference_micro"], 0)
    # The same acts as an epoch ago at twice the rate: the rate alone explains the mint.
    assert told["mint"]["rate_micro"] == told["mint"]["difference_micro"] == leaves[0].mint
    assert told["parameters"]["rate_q24"] == 2 * told["parameters_before"]["rate_q24"]
    text = run("wallet", "why", 2, "--account", stage.world.address("member2"))
    assert text.code == 0, text.err
    assert "rate: 1 before, 2 now" in text.out
    assert next(line for line in text.out.splitlines() if "remainder" in line).split()[1:] == ["0.000000"] * 3


def test_first_epoch_and_placeholder(stage: Stage) -> None:
    told = stage.told("wallet", "why", 1, "--member", NOBODY)
    assert told["parameters_before"] is None
    assert told["earned"]["before_micro"] == 0 < told["earned"]["new_activity_micro"]
    assert told["earned"]["ageing_micro"] < 0


def test_an_account_asked_about_needs_no_checksum(stage: Stage) -> None:
    member = stage.world.address("member1")
    for ask in (
        ("wallet", "why", 1, "--account"),
        ("epoch", "receipt", "--account"),
        ("wallet", "balance"),
        ("wallet", "statement"),
        ("wallet", "outlook"),
        ("deposit", "list"),
        ("service", "list", "--owner"),
    ):
        strict, lower = (stage.told(*ask, account) for account in (member, member.lower()))
        # The node's clock goes on between the two.
        assert {**lower, "time": None} == {**strict, "time": None}, ask
        ran = run(*ask, member[:2] + member[2:].swapcase(), "--json")
        assert (ran.code, "wrong checksum" in ran.error["message"]) == (2, True), ask


def test_what_is_refused(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    member = stage.world.address("member1")
    for arguments, code, words in (
        ((2, "--account", member), 1, "epoch 2 is not final: the newest final epoch is 1"),
        ((0, "--account", member), 2, "numbered from 1"),
        ((1, "--account", member, "--member", "ada"), 2, "twice"),
        ((1, "--account", stage.world.address("payee")), 1, "has no account in epoch 1"),
    ):
        ran = run("wallet", "why", *arguments, "--json")
        assert (ran.code, words in ran.out) == (code, True), ran.out
    stage.next_epoch()
    epochs = stage.folder / "epochs"
    kept = stage.folder / "kept"
    shutil.move(epochs / "000001", kept)
    ran = run("wallet", "why", 2, "--account", member, "--json")
    assert ran.code == 1 and "there is no published epoch 1" in ran.error["message"]
    shutil.copytree(kept, epochs / "000001")
    header = epochs / "000001" / "header.json"
    document = json.loads(header.read_text())
    document["rateQ24"] += 1
    header.write_text(json.dumps(document))
    ran = run("wallet", "why", 2, "--account", member, "--json")
    assert ran.code == 1 and ran.error["code"] == "TamperedEpoch"
    monkeypatch.delenv("TIMEBANK_EPOCHS")
    assert run("wallet", "why", 2, "--account", member, "--json").code == 2
