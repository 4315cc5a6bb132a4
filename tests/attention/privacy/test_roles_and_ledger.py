"""Who may see what, and the ledger of who did.

levels ............ who reads raw may read all; who manages reads nothing by that
identities ........ a stranger's, a revoked one's and a wrong level's are refused, and all of it recorded
roles ............. the last manager stays; damage and a change by hand are seen
ledger ............ lines chain; a changed, moved, cut, added line is found and named (property)
                    a line half written is dropped, one without its head is taken up
                    an old copy of ledger and head is told by a head that was noted
                    no line names a member
pseudonyms ........ the same under one key, apart under two; a table's columns, texts left out
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.attention.privacy.conftest import Keeper
from timebank_chain.attention.privacy.ledger import Ledger
from timebank_chain.attention.privacy.pseudonym import pseudonym, pseudonymise_csv
from timebank_chain.attention.privacy.roles import Level, Roles, read_roles, write_roles
from timebank_chain.attention.privacy.vault import Vault, make_identity, make_vault
from timebank_chain.errors import AttentionError, CheckFailed

MEMBER = "ada@example.org"


def grant(keeper: Keeper, name: str, *levels: Level) -> Path:
    path = keeper.vault.folder.parent / f"{name}.identity"
    session = keeper.vault.enter(keeper.identity, "roles", Level.MANAGE)
    roles, _ = read_roles(keeper.vault.roles_path)
    changed = roles.with_person(name, levels, make_identity(path))
    keeper.vault.set_roles(session, changed, {"granted": name})
    return path


@pytest.mark.parametrize(
    ("level", "allowed"),
    [
        (Level.AGGREGATES, {Level.AGGREGATES}),
        (Level.PSEUDONYMISED, {Level.AGGREGATES, Level.PSEUDONYMISED}),
        (Level.RAW, {Level.AGGREGATES, Level.PSEUDONYMISED, Level.RAW}),
        (Level.MANAGE, {Level.MANAGE}),
    ],
)
def test_each_level_allows_what_it_says(keeper: Keeper, level: Level, allowed: set[Level]) -> None:
    identity = grant(keeper, "ben", level)
    for wanted in Level:
        if wanted in allowed:
            assert keeper.vault.enter(identity, "look", wanted).person.name == "ben"
        else:
            with pytest.raises(AttentionError, match=f"ben may {level}, and this takes {wanted}"):
                keeper.vault.enter(identity, "look", wanted)
    outcomes = [entry.outcome for entry in keeper.vault.ledger().entries() if entry.action == "look"]
    assert outcomes.count("granted") == len(allowed)
    assert outcomes.count("refused") == 4 - len(allowed)


def test_a_stranger_and_a_revoked_person_are_refused_and_recorded(keeper: Keeper, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.identity"
    make_identity(stranger)
    ben = grant(keeper, "ben", Level.RAW)
    session = keeper.vault.enter(keeper.identity, "roles", Level.MANAGE)
    roles, _ = read_roles(keeper.vault.roles_path)
    keeper.vault.set_roles(session, roles.without("ben"), {"revoked": "ben"})
    for identity in (stranger, ben):
        with pytest.raises(AttentionError, match="nobody's"):
            keeper.vault.enter(identity, "export", Level.RAW, member=MEMBER)
    last = list(keeper.vault.ledger().entries())[-1]
    assert (last.who, last.outcome, last.subject) == (
        "unknown",
        "refused",
        keeper.vault.ledger().subject(MEMBER),
    )
    assert MEMBER not in keeper.vault.ledger().path.read_text()


def test_the_last_manager_stays_and_names_are_names(keeper: Keeper) -> None:
    roles, _ = read_roles(keeper.vault.roles_path)
    with pytest.raises(AttentionError, match="last who may manage"):
        roles.without("ana")
    with pytest.raises(AttentionError, match="nobody is called 'eve'"):
        roles.without("eve")
    for name in ("", "-x", "a b", "x" * 65, "a\n"):
        with pytest.raises(AttentionError, match="not a name"):
            roles.with_person(name, (Level.RAW,), b"")
    with pytest.raises(AttentionError, match="may do nothing"):
        roles.with_person("ben", (), b"")


@pytest.mark.parametrize(
    "people",
    [
        [{"name": "ben", "may": ["all"], "identity": "00" * 32}],
        [{"name": "ben", "may": ["raw"], "identity": "00"}],
        [{"name": "ben", "may": ["raw"], "identity": "00" * 32}] * 2,
        ["ben"],
        {"ben": "raw"},
    ],
)
def test_a_damaged_roles_file_is_refused(tmp_path: Path, people: object) -> None:
    path = tmp_path / "roles.json"
    path.write_text(json.dumps({"schema": "timebank.privacy-roles/1", "people": people}))
    path.chmod(0o600)
    with pytest.raises(AttentionError, match="not a roles file"):
        read_roles(path)


def test_a_role_written_by_hand_is_seen(keeper: Keeper) -> None:
    assert keeper.vault.roles_are_recorded()
    roles, _ = read_roles(keeper.vault.roles_path)
    write_roles(roles.with_person("eve", (Level.RAW,), b"mine"), keeper.vault.roles_path)
    assert not keeper.vault.roles_are_recorded()


def test_roles_are_read_back_as_written(tmp_path: Path) -> None:
    roles = Roles().with_person("b", (Level.RAW, Level.MANAGE), b"1").with_person("a", (Level.RAW,), b"2")
    write_roles(roles, tmp_path / "roles.json")
    assert read_roles(tmp_path / "roles.json")[0] == roles
    assert [person.name for person in roles.people] == ["a", "b"]
    found = roles.who(b"1")
    assert found is not None
    assert found.name == "b"


def test_a_vault_is_made_once(keeper: Keeper, tmp_path: Path) -> None:
    with pytest.raises(AttentionError, match="a vault already"):
        make_vault(keeper.vault.folder, "eve", tmp_path / "eve.identity")
    assert keeper.vault.folder.stat().st_mode & 0o777 == 0o700
    keeper.identity.chmod(0o644)
    with pytest.raises(AttentionError, match="others can read the identity file"):
        keeper.vault.enter(keeper.identity, "look", Level.RAW)
    with pytest.raises(AttentionError, match="is missing"):
        Vault(tmp_path / "none").ledger()


# --- the ledger ----------------------------------------------------------------------------------------


def written(folder: Path, lines: int = 6) -> Ledger:
    ledger = Ledger(folder / "ledger.jsonl", folder / "ledger.head", bytes(32))
    ledger.path.unlink(missing_ok=True)
    ledger.head_path.unlink(missing_ok=True)
    for number in range(lines):
        with ledger.open() as pen:
            pen.write("ana", "open", level="raw", outcome="granted", now_ms=number, detail={"bytes": number})
    return ledger


def test_lines_chain_and_are_read_back(tmp_path: Path) -> None:
    ledger = written(tmp_path)
    entries = list(ledger.entries())
    assert [entry.seq for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert [entry.previous for entry in entries[1:]] == [entry.mac for entry in entries[:-1]]
    head = ledger.verify(entries[2].mac)
    assert (head.lines, head.mac) == (6, entries[-1].mac)
    assert head.size == ledger.path.stat().st_size
    assert ledger.path.stat().st_mode & 0o777 == 0o600
    assert not list(Ledger(tmp_path / "none", tmp_path / "head", bytes(32)).entries())


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_a_line_is_found(tmp_path: Path, data: st.DataObject) -> None:
    ledger = written(tmp_path)
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    number = data.draw(st.integers(0, len(lines) - 1))
    how = data.draw(st.sampled_from(["flip", "drop", "twice", "swap", "cut"]))
    if how == "flip":
        line = bytearray(lines[number])
        line[data.draw(st.integers(0, len(line) - 1))] ^= 1 << data.draw(st.integers(0, 6))
        lines[number] = bytes(line)
    elif how == "drop":
        del lines[number]
    elif how == "twice":
        lines.insert(number, lines[number])
    elif how == "swap":
        lines[number], lines[number - 1] = lines[number - 1], lines[number]
    else:
        del lines[number:]
    ledger.path.write_bytes(b"".join(lines))
    with pytest.raises(CheckFailed):
        ledger.verify()


def test_the_line_at_fault_is_named(tmp_path: Path) -> None:
    ledger = written(tmp_path)
    ledger.path.write_text(ledger.path.read_text().replace('"bytes":3', '"bytes":9'))
    with pytest.raises(CheckFailed, match="line 4 was changed") as caught:
        ledger.verify()
    assert caught.value.where == f"{ledger.path}:4"


def test_another_key_makes_another_ledger(tmp_path: Path) -> None:
    ledger = written(tmp_path)
    other = Ledger(ledger.path, ledger.head_path, b"\1" * 32)
    with pytest.raises(CheckFailed, match="line 1 was changed, or is another ledger's"):
        list(other.entries())


def test_a_crash_while_writing_loses_no_line_that_was_told(tmp_path: Path) -> None:
    ledger = written(tmp_path)
    whole, head = ledger.path.read_bytes(), ledger.head_path.read_bytes()
    ledger.path.write_bytes(whole + b'{"action":"op')
    with ledger.open() as pen:
        assert pen.head.lines == 6
        pen.write("ana", "seal", level="manage", outcome="done", now_ms=9)
    assert ledger.verify().lines == 7
    ledger.head_path.write_bytes(head)  # the line is there, its head was not written any more
    with ledger.open() as pen:
        assert pen.head.lines == 7
    assert ledger.verify().lines == 7


def test_an_end_cut_off_or_put_in_stops_writing(tmp_path: Path) -> None:
    ledger = written(tmp_path)
    whole = ledger.path.read_bytes()
    ledger.path.write_bytes(whole[:-50])
    with pytest.raises(AttentionError, match="cut off"), ledger.open():
        pass
    ledger.path.write_bytes(whole + whole.splitlines(keepends=True)[-1])
    with pytest.raises(AttentionError, match="does not follow"), ledger.open():
        pass
    ledger.path.write_bytes(whole)
    ledger.head_path.unlink()
    with pytest.raises(CheckFailed, match="head is missing"):
        ledger.verify()
    ledger.head_path.write_text('{"lines": 6, "size": 1, "mac": "00", "mac_of_head": "00"}')
    with pytest.raises(CheckFailed, match="head was changed"):
        ledger.verify()


def test_an_old_copy_is_told_by_the_head_that_was_noted(tmp_path: Path) -> None:
    ledger = written(tmp_path, 3)
    copies = ledger.path.read_bytes(), ledger.head_path.read_bytes()
    with ledger.open() as pen:
        noted = pen.write("ana", "erase", level="manage", outcome="done", now_ms=9).mac
    assert ledger.verify(noted).lines == 4
    ledger.path.write_bytes(copies[0])
    ledger.head_path.write_bytes(copies[1])
    assert ledger.verify().lines == 3
    with pytest.raises(CheckFailed, match="no line of this ledger"):
        ledger.verify(noted)


# --- pseudonyms ----------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(st.text(min_size=1), st.text(min_size=1), st.binary(min_size=32, max_size=32))
def test_a_pseudonym_is_the_same_under_one_key_and_tells_two_members_apart(
    one: str, other: str, key: bytes
) -> None:
    assert pseudonym(key, one) == pseudonym(key, one)
    assert (pseudonym(key, one) == pseudonym(key, other)) == (one == other)
    assert pseudonym(bytes(31) + b"\7", one) != pseudonym(bytes(31) + b"\5", one)
    assert one not in pseudonym(key, one) or len(one) < 4


def test_a_table_is_pseudonymised_column_by_column(tmp_path: Path) -> None:
    source, target = tmp_path / "feed.csv", tmp_path / "study.csv"
    source.write_text('who,to,note,i\nada,ben,"hi, ben",1\nben,,"x",2\n')
    assert pseudonymise_csv(source, target, ("who", "to"), bytes(32), drop=("note",)) == 2
    rows = list(csv.DictReader(target.read_text().splitlines()))
    ada, ben = pseudonym(bytes(32), "ada"), pseudonym(bytes(32), "ben")
    assert rows == [{"who": ada, "to": ben, "i": "1"}, {"who": ben, "to": "", "i": "2"}]


@pytest.mark.parametrize(
    ("text", "said"),
    [("a,b\n1,2\n", "no column 'who'"), ("who,b\n1\n", "wrong number"), ("who\n1,2\n", "wrong number")],
)
def test_a_table_that_is_none_is_refused_and_nothing_is_left(tmp_path: Path, text: str, said: str) -> None:
    source = tmp_path / "feed.csv"
    source.write_text(text)
    with pytest.raises(AttentionError, match=said):
        pseudonymise_csv(source, tmp_path / "out.csv", ("who",), bytes(32))
    source.write_bytes(b"who\n\xff\n")
    with pytest.raises(AttentionError, match="UTF-8"):
        pseudonymise_csv(source, tmp_path / "out.csv", ("who",), bytes(32))
    assert [path.name for path in tmp_path.iterdir()] == ["feed.csv"]
