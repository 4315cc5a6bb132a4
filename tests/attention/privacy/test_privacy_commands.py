"""``timebank attention privacy``: what the commands say, and how they end.

vault ............. made once; without one, without an identity: wrong usage with the way out
person ............ export, erase, erase again ("already erased", 0), a stranger (1 with a hint), a dry run
                    nobody to ask: refused; traces in a foreign document: exit 3, once more, and of a dry run
                    what is erased is turned away by ingest, on which nothing of it appears
sealing ........... seal, open, wrong vault, cut file, rotate, dropped keys
roles ............. who may only count cannot open, erase, or learn of files; all of it in the ledger, which
                    names nobody
ledger ............ verify, a changed line (3), a head noted, as JSON and CSV
figures ........... report with k, budget, noise until it is spent
texts ............. the chain says who wrote a text
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.bank_stage import Ran, run
from tests.oracle.stage import Stage
from timebank_chain.attention.privacy.texts import _written, texts_by
from timebank_chain.chain.addresses import address_bytes
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.service_events import (
    ServiceContested,
    ServiceCountered,
    ServiceDelivered,
    ServiceDisputed,
    ServiceOrdered,
    ServiceRated,
    ServiceSettled,
)
from timebank_chain.cli.attention.privacy_options import read_tables
from timebank_chain.content import ContentStore
from timebank_chain.spec.service_escrow import Listing, ListingKind, Outcome, Periods, Proposal
from timebank_chain.spec.service_escrow import Stage as Step

ADA = "ada@example.org"
HEADER = "id,member,domain,occurred,interaction,originality,engagement\n"


@dataclass
class Desk:
    """A folder with a vault, a manager's identity and some raw data."""

    folder: Path

    def run(self, *arguments: object, identity: str = "ana.identity") -> Ran:
        vault = ("--vault", self.folder / "vault", "--identity", self.folder / identity)
        return run("attention", "privacy", *arguments, *vault)

    def told(self, *arguments: object, identity: str = "ana.identity") -> dict[str, Any]:
        ran = self.run(*arguments, "--json", identity=identity)
        assert ran.code == 0, ran.out + ran.err
        document: dict[str, Any] = json.loads(ran.out)
        assert document["schema"].startswith("timebank.privacy.")
        return document

    def refused(self, *arguments: object, code: int = 1, identity: str = "ana.identity") -> dict[str, Any]:
        ran = self.run(*arguments, "--json", identity=identity)
        assert ran.code == code, ran.out + ran.err
        error: dict[str, Any] = json.loads(ran.out)["error"]
        return error

    @property
    def feed(self) -> Path:
        return self.folder / "feed.csv"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    assert made.told("init", "--as", "ana")["manager"] == "ana"
    rows = [
        f"act:{n},{member},{domain},{1_700_000_000_000 + n},1,2,3"
        for n, (member, domain) in enumerate(
            [(ADA, "code"), ("ben", "code"), ("cy", "code"), (ADA, "art"), ("dee", "art"), ("eve", "code")]
        )
    ]
    made.feed.write_text(HEADER + "\n".join(rows) + "\n")
    return made


def test_without_vault_or_identity_there_is_a_way_out(tmp_path: Path, desk: Desk) -> None:
    ran = run("attention", "privacy", "budget")
    assert (ran.code, "no vault given" in ran.err, "init" in ran.err) == (2, True, True)
    ran = run("attention", "privacy", "budget", "--vault", tmp_path / "none")
    assert (ran.code, "no such vault" in ran.err) == (2, True)
    ran = run("attention", "privacy", "budget", "--vault", tmp_path / "vault")
    assert (ran.code, "roles grant" in ran.err) == (2, True)
    assert "there is a vault already" in desk.refused("init", "--as", "eve")["message"]
    assert "nowhere to look" in desk.refused("erase", ADA, "--yes", code=2)["message"]


def test_a_person_is_exported_and_erased(desk: Desk) -> None:
    archive = desk.folder.parent / f"{desk.folder.name}.zip"
    told = desk.told("export", ADA, "--out", archive, "--feed", desk.feed)
    assert told["pieces"]["rows"] == 2
    with zipfile.ZipFile(archive) as opened:
        assert json.loads(opened.read("person.json"))["member"] == ADA
    assert "nobody to ask" in desk.refused("erase", ADA, "--feed", desk.feed, code=2)["message"]
    before = desk.feed.read_bytes()
    looked = desk.told("erase", ADA, "--feed", desk.feed, "--dry-run")
    assert (looked["changed"], looked["dry_run"]) == ({str(desk.feed): 2}, True)
    assert desk.feed.read_bytes() == before
    told = desk.told("erase", ADA, "--feed", desk.feed, "--yes")
    assert (told["changed"], told["left"], told["already_erased"]) == ({str(desk.feed): 2}, {}, False)
    assert ADA not in desk.feed.read_text()
    # No oracle has a state here, so the list lies in the vault.
    assert told["erased_file"] == str(desk.folder / "vault" / "erased.json")
    again = desk.run("erase", ADA, "--feed", desk.feed, "--yes")
    assert (again.code, "already erased" in again.out) == (0, True)
    assert told["erased_file"] in again.err and "copy that list" in again.err
    stranger = desk.refused("erase", "zoe", "--feed", desk.feed, "--yes")
    assert "nothing is known" in stranger["message"]
    assert stranger["hint"]
    assert "nothing is known" in desk.refused("export", ADA, "--out", "x.zip", "--feed", desk.feed)["message"]
    for path in desk.folder.rglob("*"):
        if path.is_file():
            assert ADA.encode() not in path.read_bytes(), path


def test_what_is_left_in_a_foreign_document_ends_with_three(desk: Desk) -> None:
    minutes = desk.folder / "minutes.txt"
    minutes.write_text(f"present: {ADA}")
    wanted = ("erase", ADA, "--feed", desk.feed, "--data", minutes, "--yes")
    ran = desk.run(*wanted, "--json")
    assert (ran.code, ran.document["left"]) == (3, {str(minutes): 1})
    ran = desk.run(*wanted)
    assert (ran.code, str(minutes) in ran.out) == (3, True)
    minutes.unlink()
    assert "already erased" in desk.run("erase", ADA, "--feed", desk.feed, "--yes").out


def test_acts_that_nobody_remembers_still_end_with_three(desk: Desk) -> None:
    # An id of five characters might stand anywhere.
    desk.feed.write_text(desk.feed.read_text().replace("act:", "post:"))
    ids = desk.folder / "ids.json"
    ids.write_text(json.dumps([row["id"] for row in csv.DictReader(io.StringIO(desk.feed.read_text()))]))
    encrypted = desk.folder / "minutes.zip"
    with zipfile.ZipFile(encrypted, "w") as archive:
        archive.writestr("minutes.txt", "nothing")
    content = bytearray(encrypted.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    encrypted.write_bytes(content)
    wanted = ("erase", ADA, "--feed", desk.feed, "--data", ids, "--data", encrypted)
    looked = desk.run(*wanted, "--dry-run")
    assert (looked.code, "WOULD STILL BE NAMED" in looked.out, ids.name in looked.out) == (3, True, True)
    first = desk.run(*wanted, "--yes", "--json")
    again = desk.run(*wanted, "--yes", "--json")
    assert (first.code, again.code) == (3, 3)
    assert first.document["left"] == again.document["left"] == {str(ids): 2}
    assert list(again.document["unseen"]) == [f"{encrypted}!minutes.txt"]
    assert again.document["already_erased"]
    told = desk.run(*wanted, "--yes")
    assert ("already erased" in told.out, "STILL NAMED" in told.out) == (False, True)
    ids.unlink()
    told = desk.run("erase", ADA, "--feed", desk.feed, "--data", encrypted, "--yes")
    assert (told.code, "nobody looked into" in told.out) == (0, True)


def test_ingest_turns_the_erased_away(desk: Desk) -> None:
    copy = desk.folder / "copy.csv"
    copy.write_bytes(desk.feed.read_bytes())
    desk.told("erase", ADA, "--feed", desk.feed, "--yes")
    out = desk.folder / "activity.parquet"
    erased = desk.folder / "vault" / "erased.json"
    ran = run("ingest", "csv", copy, "-o", out, "--erased", erased, "--json")
    assert ran.code == 0, ran.err
    assert (ran.document["rows_kept"], ran.document["rows_rejected"]) == (4, 2)
    rejects = (desk.folder / "activity.rejects.csv").read_text()
    assert rejects.count("erased: ") == 2
    assert ADA not in rejects
    assert "act:0" not in rejects
    ran = run("ingest", "csv", copy, "-o", out, "--erased", desk.folder / "none.json")
    assert (ran.code, "--erased" in ran.err) == (2, True)


def test_files_are_sealed_opened_and_rotated(desk: Desk, tmp_path: Path) -> None:
    content = desk.feed.read_bytes()
    (name,) = desk.told("seal", desk.feed, "--remove")["sealed"]
    desk.feed.write_text(HEADER)
    assert "a sealed one already" in desk.refused("seal", desk.feed, code=2)["message"]
    desk.feed.unlink()
    sealed = Path(name)
    assert not desk.feed.exists()
    assert ADA.encode() not in sealed.read_bytes()
    assert desk.told("export", ADA, "-o", tmp_path / "a.zip", "--data", sealed)["pieces"]["rows"] == 2
    assert desk.told("rotate", tmp_path, "--drop-old", "--yes")["wrapped"] == 1
    assert desk.told("rotate", tmp_path, "--same-key")["wrapped"] == 0
    assert desk.told("erase", ADA, "--data", sealed, "--yes")["changed"] == {str(sealed): 2}
    opened = tmp_path / "opened.csv"
    assert desk.told("open", sealed, "-o", opened)["key"] == "k2"
    assert opened.read_bytes().count(b"\n") == content.count(b"\n")
    assert ADA.encode() not in opened.read_bytes()
    assert "is there already" in desk.refused("open", sealed, "-o", opened, code=2)["message"]
    whole = sealed.read_bytes()
    sealed.write_bytes(whole[:-1])
    assert "cut off" in desk.refused("open", sealed, "-o", tmp_path / "no.csv")["message"]
    sealed.write_bytes(whole)
    other = Desk(tmp_path / "other")
    other.folder.mkdir()
    other.told("init", "--as", "ana")
    assert "has no key 'k2'" in other.refused("open", sealed, "-o", tmp_path / "no.csv")["message"]
    assert not (tmp_path / "no.csv").exists()


def test_who_may_only_count_cannot_open_and_the_ledger_says_so(desk: Desk) -> None:
    made = desk.folder / "ben.identity"
    desk.told("roles", "grant", "ben", "--may", "aggregates", "--new-identity", made)
    assert [one["name"] for one in desk.told("roles", "list")["people"]] == ["ana", "ben"]
    error = desk.refused("export", ADA, "-o", "x.zip", "--feed", desk.feed, identity="ben.identity")
    assert error["message"] == "ben may aggregates, and this takes raw"
    # Who may not is not even told which files there are: nothing is looked at before.
    for words in (("erase", ADA, "--yes"), ("retain", "--days", "9", "--yes")):
        error = desk.refused(*words, "--feed", desk.folder / "nowhere", identity="ben.identity")
        assert error["message"] == "ben may aggregates, and this takes manage"
    assert (
        "no such level"
        in desk.refused("roles", "grant", "x", "--may", "all", "--new-identity", "y", code=2)["message"]
    )
    desk.told("roles", "revoke", "ben")
    assert "nobody's" in desk.refused("budget", identity="ben.identity")["message"]
    assert "last who may manage" in desk.refused("roles", "revoke", "ana")["message"]
    entries = desk.told("ledger")["entries"]
    refused = [(one["who"], one["action"], one["outcome"]) for one in entries if one["outcome"] == "refused"]
    assert refused == [
        ("ben", "export", "refused"),
        ("ben", "erase", "refused"),
        ("ben", "retain", "refused"),
        ("unknown", "show budget", "refused"),
    ]
    assert ADA not in json.dumps(entries)
    rows = list(csv.reader(io.StringIO(desk.run("ledger", "--csv").out)))
    assert len(rows) == len(entries) + 2, "a header, and the look before this one"


def test_the_ledger_is_verified(desk: Desk) -> None:
    noted = desk.told("ledger", "--verify")["head"]
    desk.told("budget")
    assert desk.told("ledger", "--verify", "--head", noted)["lines"] > 2
    assert "no line" in desk.refused("ledger", "--verify", "--head", "ff" * 32, code=3)["message"]
    roles = desk.folder / "vault" / "roles.json"
    whole = roles.read_bytes()
    roles.write_bytes(whole.replace(b'"ana"', b'"eve"'))
    assert "roles file is not" in desk.refused("ledger", "--verify", code=3)["message"]
    roles.write_bytes(whole)
    path = desk.folder / "vault" / "ledger.jsonl"
    path.write_text(path.read_text().replace('"who":"ana"', '"who":"eve"', 1))
    error = desk.refused("ledger", "--verify", code=3)
    assert error["where"] == f"{path}:1"


def test_figures_are_shown_by_group_and_with_noise_on_a_budget(desk: Desk) -> None:
    pytest.importorskip("opendp")
    report = desk.told("report", desk.feed, "--k", "2")
    assert [(one["name"], one["members"]) for one in report["groups"]] == [("art", 2), ("code", 4)]
    assert report["members"] is None, "ada is in both"
    text = desk.run("report", desk.feed)
    assert (text.code, "(others)" in text.out) == (0, True)
    assert "nothing can be shown" in desk.run("report", desk.feed, "--k", "6").out
    assert "--most-share" in desk.refused("report", desk.feed, "--most-share", "x", code=2)["message"]
    noisy = ("noisy", desk.feed, "--query", "acts", "--cap", "5", "--epsilon", "0.4", "--domain", "code")
    assert "0 of 0 is left" in desk.refused(*noisy)["message"]
    assert desk.told("budget", "--set", "1")["left"] == "1"
    told = desk.told(*noisy)
    assert (told["left"], told["figures"][0]["domain"]) == ("0.6", "code")
    assert "0.2 of 1 is left" in desk.run(*noisy).err
    assert "0.2 of 1 is left" in desk.refused(*noisy)["message"]
    told = desk.told("budget")
    assert (told["allowed"], told["spent"], told["left"]) == ("1", "0.8", "0.2")
    # Somebody else's row with the id of another's must not take that one out of the figure.
    desk.feed.write_text(desk.feed.read_text() + "act:1,fay,code,1700000000009,1,2,3\n")
    assert len(read_tables([desk.feed], None, None, None).member) == 5
    assert len(read_tables([desk.feed], None, None, None, apart=True).member) == 7
    for query, said in (("acts", "needs --cap"), ("x", "no such query")):
        wrong = ("noisy", desk.feed, "--query", query, "--epsilon", "1")
        assert said in desk.refused(*wrong, code=2)["message"]


def test_a_table_under_pseudonyms_names_nobody(desk: Desk) -> None:
    out = desk.folder / "study.csv"
    assert desk.told("pseudonymise", desk.feed, "-o", out)["rows"] == 6
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert len({row["member"] for row in rows}) == 5
    assert ADA not in out.read_text()


def test_rows_are_retained_by_rule(desk: Desk) -> None:
    assert "how long" in desk.refused("retain", "--feed", desk.feed, code=2)["message"]
    looked = desk.told("retain", "--days", "30", "--feed", desk.feed, "--dry-run")
    assert (looked["deleted"], looked["files"][0]["kept"]) == (6, {})
    rules = desk.folder / "rules.toml"
    rules.write_text('[[rule]]\nsource = "other*"\ndays = 1\n')
    kept = desk.told("retain", "--rules", rules, "--feed", desk.feed, "--yes")
    assert kept["files"][0]["kept"] == {"no rule for this source": 6}
    assert desk.told("retain", "--days", "30", "--feed", desk.feed, "--yes")["deleted"] == 6
    assert desk.feed.read_text().strip() == HEADER.strip()


# --- texts ---------------------------------------------------------------------------------------------


def test_the_chain_says_who_wrote_a_text(stage: Stage, tmp_path: Path) -> None:
    store = ContentStore(tmp_path / "content")
    mine, others = store.put("A garden to be tended"), store.put("Bread")
    escrow, world = stage.world.timebank.service_escrow, stage.world
    for role, text in (("signer1", mine), ("signer2", others)):
        now = world.connection.timestamp()
        periods = Periods(3_600, 3_600, 3_600, 3_600)
        proposal = Proposal(10_000, 3_600, world.address("signer3"), text)
        listing = Listing(ZERO_ADDRESS, now + 86_400, ListingKind.OFFER, 1, 5_000, periods, proposal)
        world.send(role, escrow.list_service(listing))
    account = address_bytes(world.address("signer1"))
    assert texts_by(world.timebank, {account}) == {mine}
    assert texts_by(world.timebank, {bytes(20)}) == frozenset()


def test_every_step_of_an_order_has_an_author() -> None:
    at: Any = None
    buyer: Any = "0xb"
    provider: Any = "0xp"
    arbiter: Any = "0xa"

    def proposal(text: bytes) -> Proposal:
        return Proposal(1, 1, "0xa", text)

    events = [
        ServiceOrdered(at, 1, buyer, provider, 1, Step.ASKED_PROVIDER, proposal(b"1"), 1, 0, 0),
        ServiceCountered(at, 1, provider, 1, Step.ASKED_BUYER, proposal(b"2"), 1, 0),
        ServiceDelivered(at, 1, b"3", 0),
        ServiceContested(at, 1, 0, b"4", 0),
        ServiceDisputed(at, 1, arbiter, b"5", 0),
        ServiceSettled(at, 1, arbiter, next(iter(Outcome)), 0, 0, 0, b"6"),
        ServiceRated(at, 1, buyer, provider, 5, b"7"),
        ServiceOrdered(at, 2, buyer, provider, 1, Step.ASKED_BUYER, proposal(b"8"), 1, 0, 0),
    ]
    authors = {text: by for by, text in _written(iter(events))}
    assert authors == {
        b"1": buyer, b"2": provider, b"3": provider, b"4": buyer, b"5": provider, b"6": arbiter, b"7": buyer,
        b"8": provider,
    }  # fmt: skip


def test_an_alias_is_no_person(desk: Desk) -> None:
    aliases = desk.folder / "aliases.csv"
    text = "alias,member\nacct:m03,m03@example.org\nm04@example.org,m04@example.org\n"
    aliases.write_text(text)
    table = desk.folder / "table.csv"
    table.write_text("member,n\nacct:m03,1\nm03@example.org,2\nm04@example.org,3\n")
    data = ("--data", aliases, "--data", table)
    archive = ("--out", desk.folder / "out.zip")
    for words in (("erase", *data, "--yes"), ("erase", *data, "--dry-run"), ("export", *data, *archive)):
        error = desk.refused(words[0], "acct:m03", *words[1:], code=2)
        assert error["message"] == "'acct:m03' is an alias of 'm03@example.org'"
        assert error["hint"].endswith("m03@example.org")
    assert (aliases.read_text(), len(table.read_text().split())) == (text, 4)
    assert not archive[1].exists()
    assert desk.told("erase", "m03@example.org", *data, "--yes")["changed"] == {
        str(aliases): 1,
        str(table): 2,
    }
    # Known to themselves under their own id.
    assert desk.told("erase", "m04@example.org", *data, "--yes")["changed"][str(table)] == 1
