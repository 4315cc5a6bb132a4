"""timebank attention recommend, and the file a recommender is kept in.

file
├── equal recommenders are equal files; the name of nobody who only took is in it
├── another version, a changed array or manifest, a cut file, no zip, another number of items: refused
├── another file than the one asked for by its SHA-256: refused
└── what cannot be written is said
command
├── train, then for a member: their group's items, none they took, the last place kept and said so
├── a stranger is told they are new; an item announced since is shown to somebody
├── who is not in the history is named as such, an empty name refused, an empty list has its reason
├── of a dump, a member by the activity table's name is that member, not shown themselves (real data)
├── without --split one moment for all is judged by; the last of each says what it looks at, in the file too
├── another community's recommender is refused; nobody is shown their own
├── --kind shows only that kind and never oneself; a kind nobody has is refused
├── evaluate writes nothing; --json is one document
└── wrong split, kind, history, model: exit codes and ways out
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zipfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from tests.activity.builders import research_data
from tests.attention.recommend import planted
from timebank_chain.attention.recommend import load_recommender, save_recommender
from timebank_chain.cli import main
from timebank_chain.errors import AttentionError


def run(*arguments: object) -> tuple[int, str, str]:
    """Run the command as its entry point does: exit code, output, errors."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        # The entry point without a process for each of many cases.
        patch.setattr(sys, "argv", ["timebank", "attention", "recommend", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.run()
    return int(ended.value.code or 0), out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted.write(tmp_path_factory.mktemp("community") / "took.csv")


@pytest.fixture(scope="module")
def trained(history: Path) -> tuple[Path, dict[str, Any]]:
    model = history.parent / "community.recommender"
    code, out, err = run("train", history, "--output", model, "--split", "last:2", "--json")
    assert code == 0, err
    assert "candidate 1 of" in err
    return model, json.loads(out)


def suggestions(member: str, history: Path, model: Path, *more: object) -> list[dict[str, Any]]:
    code, out, err = run("for", member, "--history", history, "--model", model, "--json", *more)
    assert code == 0, err
    found: list[dict[str, Any]] = json.loads(out)["suggestions"]
    return found


def test_equal_recommenders_are_equal_files(trained: tuple[Path, dict[str, Any]], history: Path) -> None:
    model, document = trained
    again = history.parent / "again.recommender"
    code, out, _ = run("train", history, "--output", again, "--split", "last:2")
    assert code == 0
    assert again.read_bytes() == model.read_bytes()
    assert document["sha256"] in out
    with zipfile.ZipFile(model) as file:
        everything = b"".join(file.read(name) for name in file.namelist())
    assert b"item-0" in everything
    assert b"member-" not in everything


def rewritten(model: Path, folder: Path, change: dict[str, bytes]) -> Path:
    path = folder / "other.recommender"
    with zipfile.ZipFile(model) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, change.get(name, old.read(name)))
    return path


def sealed(manifest: bytes) -> dict[str, bytes]:
    """Return a forged manifest with the hash that belongs to it."""
    return {"manifest.json": manifest, "manifest.sha256": hashlib.sha256(manifest).hexdigest().encode()}


def test_damaged_file_is_refused(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    model, _ = trained
    with zipfile.ZipFile(model) as file:
        manifest = json.loads(file.read("manifest.json"))
        name = f"{min(manifest['arrays'])}.npy"
        array = file.read(name)
    flipped = array[:-1] + bytes([array[-1] ^ 1])
    renamed = json.dumps({**manifest, "items": ["another", *manifest["items"][1:]]}).encode()
    fewer = json.dumps({**manifest, "items": manifest["items"][1:], "kinds": manifest["kinds"][1:]}).encode()
    for change, words in (
        ({name: flipped}, "is not the one the manifest names"),
        ({"manifest.json": json.dumps({**manifest, "schema": "timebank.recommender/0"}).encode()}, "version"),
        ({"manifest.json": b"[]"}, "version None"),
        ({"manifest.json": renamed}, "the manifest is not the one that was written"),
        (sealed(fewer), "are named"),
        (sealed(json.dumps({**manifest, "ranker": "os.system"}).encode()), "no ranker"),
    ):
        with pytest.raises(AttentionError, match=words):
            load_recommender(rewritten(model, tmp_path, change))
    cut = tmp_path / "cut.recommender"
    cut.write_bytes(model.read_bytes()[:-100])
    for path in (cut, tmp_path / "nothing", tmp_path):
        with pytest.raises(AttentionError, match="no recommender can be read"):
            load_recommender(path)


def test_only_the_file_asked_for(trained: tuple[Path, dict[str, Any]]) -> None:
    model, document = trained
    assert load_recommender(model, expected_sha256=document["sha256"].upper()).items
    with pytest.raises(AttentionError, match="not the one asked for"):
        load_recommender(model, expected_sha256="0" * 64)


def test_recommender_of_another_community_is_refused(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    other = tmp_path / "other.csv"
    other.write_text("member,object,at_ms\na,x,1\nb,y,2\n", "utf-8")
    code, _, err = run("for", "a", "--history", other, "--model", trained[0])
    assert (code, "knows no item of this history" in err) == (1, True), err


def test_nobody_is_shown_their_own(
    history: Path, trained: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    owned = tmp_path / "owned.csv"
    mine = {item for member, item, _ in planted.rows() if member == "member-06"}
    theirs = next(item for _, item, _ in planted.rows() if item.startswith("item-2-") and item not in mine)
    rows = [",".join(map(str, (*row, "member-06" if row[1] == theirs else ""))) for row in planted.rows()]
    owned.write_text("member,object,at_ms,maker\n" + "\n".join(rows) + "\n", "utf-8")
    assert theirs in {one["item"] for one in suggestions("member-06", history, trained[0], "-k", 48)}
    assert theirs not in {one["item"] for one in suggestions("member-06", owned, trained[0], "-k", 48)}
    assert theirs in {one["item"] for one in suggestions("member-10", owned, trained[0], "-k", 48)} | {
        item for member, item, _ in planted.rows() if member == "member-10"
    }


def test_unwritable_place_is_said(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    with pytest.raises(AttentionError, match="cannot be written"):
        save_recommender(load_recommender(trained[0]), tmp_path / "no" / "such" / "folder")


def test_member_gets_their_groups_items(trained: tuple[Path, dict[str, Any]], history: Path) -> None:
    taken = {item for member, item, _ in planted.rows() if member == "member-06"}
    found = suggestions("member-06", history, trained[0], "-k", 4, "--floor", 0.25)
    assert [one["place"] for one in found] == [1, 2, 3, 4]
    assert not taken & {one["item"] for one in found}
    assert all(one["item"].startswith("item-2-") for one in found[:3])
    assert all(set(one["because"]) <= taken for one in found)
    assert any(one["because"] for one in found)
    for one in found:
        assert one["kept"] == one["reason"].startswith("seldom seen")


def test_stranger_and_new_item(trained: tuple[Path, dict[str, Any]], history: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.csv"
    more.write_text(history.read_text("utf-8") + ",brand-new,1\n", "utf-8")
    found = suggestions("nobody-knows-me", more, trained[0], "-k", 49, "--floor", 0)
    assert found[0]["reason"].startswith("you are new here; ")
    assert "brand-new" in {one["item"] for one in found}
    whole = suggestions("member-06", more, trained[0], "-k", 49)
    (new,) = [one for one in whole if one["item"] == "brand-new"]
    assert new["score"] is None
    shown = {
        one["item"]
        for number in range(80)
        for one in suggestions(f"member-{number:02}", more, trained[0], "-k", 5, "--floor", 1.0)
        if one["kept"]
    }
    assert "brand-new" in shown


def test_unknown_name_is_told_apart(trained: tuple[Path, dict[str, Any]], history: Path) -> None:
    given = ("--history", history, "--model", trained[0])
    code, out, err = run("for", "nobody", *given, "--json")
    assert (code, "nobody is not in the history" in err) == (0, True), err
    assert json.loads(out)["known"] is False
    code, out, err = run("for", " member-06 ", *given, "--json")
    assert (code, "not in the history" in err) == (0, False), err
    assert json.loads(out)["known"] is True
    code, _, err = run("for", " ", *given)
    assert (code, "for whom?" in err) == (2, True), err


def test_empty_list_has_its_reason(
    trained: tuple[Path, dict[str, Any]], history: Path, tmp_path: Path
) -> None:
    items = sorted({item for _, item, _ in planted.rows()})
    more = tmp_path / "more.csv"
    more.write_text(history.read_text("utf-8") + "".join(f"ada,{item},1\n" for item in items), "utf-8")
    code, out, err = run("for", "ada", "--history", more, "--model", trained[0], "--json")
    assert (code, json.loads(out)["suggestions"]) == (0, [])
    assert "nothing is left to suggest: ada took or made everything" in err


@pytest.mark.data
def test_dumps_members_by_either_name(tmp_path: Path) -> None:
    dump, model = research_data("stackexchange_quantumcomputing"), tmp_path / "qc.recommender"
    code, _, err = run("train", dump, "-o", model)
    assert code == 0, err
    given = ("--history", dump, "--model", model, "--kind", "member", "-k", 400, "--json")
    code, plain, _ = run("for", "409", *given)
    assert code == 0
    code, spelled, err = run("for", "stackexchange:quantumcomputing:409", *given)
    assert (code, "not in the history" in err) == (0, False), err
    assert json.loads(spelled)["suggestions"] == json.loads(plain)["suggestions"]
    assert "409" not in {one["item"] for one in json.loads(spelled)["suggestions"]}


def test_default_split_is_one_moment(history: Path, tmp_path: Path) -> None:
    model = tmp_path / "moment.recommender"
    code, out, _ = run("train", history, "-o", model)
    assert (code, "judged by the latest 20% of all" in out) == (0, True)
    assert load_recommender(model).choice.split == "latest 20% of all"
    code, out, _ = run("train", history, "-o", model, "--split", "last:2")
    words = "last 2 of each member, with a look at other members' later rows"
    assert (code, words in out) == (0, True)
    assert load_recommender(model).choice.split == words


def test_future_and_announced_rows(history: Path, tmp_path: Path) -> None:
    rows = history.read_text("utf-8")
    later, more = tmp_path / "later.csv", tmp_path / "more.csv"
    later.write_text(rows + "member-06,item-0-00,9999999999999\n", "utf-8")
    code, _, err = run("evaluate", later, "--split", "last:2")
    assert (code, "time in the future: 2286-11-20" in err) == (1, True), err
    assert "later.csv:722, column 'at_ms'" in err
    more.write_text(rows + ",brand-new,1\n", "utf-8")
    code, _, err = run("evaluate", more, "--split", "last:2")
    assert (code, "1 items are only announced" in err) == (0, True), err


def test_kind_shows_only_that_kind(tmp_path: Path) -> None:
    # Everybody also thanks two others of their group.
    lines = ["member,object,at_ms,kind"]
    for number, (member, item, at) in enumerate(planted.rows()):
        lines.append(f"{member},{item},{at},activity")
        other = (int(member[-2:]) + 4 * (1 + number % 5)) % 80
        lines.append(f"{member},member-{other:02},{at + 1},member")
    history = tmp_path / "thanks.csv"
    history.write_text("\n".join(lines) + "\n", "utf-8")
    model = tmp_path / "thanks.recommender"
    assert run("train", history, "--output", model, "--split", "time:.2")[0] == 0
    found = suggestions("member-06", history, model, "--kind", "member", "-k", 80)
    assert {one["kind"] for one in found} == {"member"}
    assert "member-06" not in {one["item"] for one in found}
    code, _, err = run("for", "member-06", "--history", history, "--model", model, "--kind", "offer")
    assert code == 1
    assert "no item of the kind offer" in err


def test_evaluate_writes_nothing(history: Path) -> None:
    before = sorted(history.parent.iterdir())
    code, out, _ = run("evaluate", history, "--split", "last:2", "--json")
    document = json.loads(out)
    assert code == 0
    assert sorted(history.parent.iterdir()) == before
    assert document["schema"] == "timebank.attention.recommend.evaluate/1"
    assert {one["name"] for one in document["test"]} == {"popularity", "item-kNN", "factorisation"}
    code, out, _ = run("evaluate", history, "--split", "last:2")
    assert code == 0
    assert "TEST: chosen" in out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("evaluate", "HISTORY", "--split", "random"), 2, "'random' is no split"),
        (("evaluate", "HISTORY", "--split", "time:.0"), 2, "is no split"),
        (("evaluate", "HISTORY", "--floor", "1.5"), 2, "--floor"),
        (("evaluate", "HISTORY", "-k", "0"), 2, "-k"),
        (("evaluate", "NOWHERE"), 1, "cannot be read"),
        (("for", "x", "--history", "HISTORY", "--model", "HISTORY"), 1, "no recommender can be read"),
        (
            ("for", "x", "--history", "HISTORY", "--model", "HISTORY", "--kind", "film"),
            2,
            "'film' is no kind",
        ),
        (("train", "HISTORY", "--split", "last:2", "--output", "NOWHERE/x"), 2, "lies in no folder"),
    ],
)
def test_wrong_use_has_a_way_out(history: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    places = {"HISTORY": history, "NOWHERE": history.parent / "no.csv", "NOWHERE/x": history.parent / "no/x"}
    given = [places.get(one, one) for one in arguments]
    ended, _, err = run(*given)
    assert (ended, words in err) == (code, True), err
