"""Erasing and exporting one person of a community that lived on a chain.

audit ............. green before, green after, with and without the raw table; without the list it fails
traces ............ no raw string of theirs in any file, tables read cell by cell, packed and sealed opened
others ............ every row, line and text of theirs stays, byte for byte
export ............ has every row; salt and record prove the published leaf; everything in it is gone after
again ............. erasing twice says so; a stranger is refused; a dry run changes nothing
oracle ............ goes on from the rewritten feed and closes the next epoch without them
                    what comes again, under their id or another, is turned away and leaves nothing behind
                    a person whose acts stand in a pending epoch can be erased
                    an erasure cut off between journal and file is finished by the next one
                    a running oracle, and a feed rewritten by somebody else, stop the erasure
"""

from __future__ import annotations

import csv
import gzip
import json
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.attention.privacy.conftest import Keeper
from tests.audit.history import History, the_members
from tests.oracle.stage import Stage
from timebank_chain.activity import checksum_address, read_activity, record_id, record_ids, write_activity
from timebank_chain.activity.erased import load_erased
from timebank_chain.activity.mapping import ColumnMapping
from timebank_chain.activity.mapping_file import load_mapping
from timebank_chain.activity.record import canonical_bytes
from timebank_chain.activity.table import rows_of
from timebank_chain.attention.privacy import erasure, rows
from timebank_chain.attention.privacy.erasure import Erasure, Oracle, erase_person
from timebank_chain.attention.privacy.person import Search, export_person, find
from timebank_chain.attention.privacy.places import Kind, places
from timebank_chain.attention.privacy.sealed import seal, unseal
from timebank_chain.audit import run_audit
from timebank_chain.cli.oracle_session import own_acts
from timebank_chain.content import ContentStore
from timebank_chain.epoch import read_epoch
from timebank_chain.errors import AttentionError, OracleError
from timebank_chain.oracle.clock import SystemClock
from timebank_chain.oracle.daemon import Did
from timebank_chain.oracle.lock import InstanceLock
from timebank_chain.oracle.recompute import require_signable
from timebank_chain.oracle.state import chain_time

MEMBER = "member2"
MAPPING = """
schema = "timebank.mapping/1"
[fields]
id = { column = "what" }
member = { column = "who" }
domain = { column = "domain" }
occurred = { column = "occurred" }
interaction = { column = "i" }
originality = { column = "o" }
engagement = { column = "e" }
"""


@dataclass
class Community:
    """Everything a community keeps, in one folder."""

    history: History
    folder: Path
    epochs: Path
    activity: Path
    erased: Path
    mapping: ColumnMapping
    keeper: Keeper

    def search(self) -> Search:
        found = places([self.folder, self.epochs])
        return Search(tuple(found), self.mapping, self.keeper.vault.keyring())

    def erase(self, member: str = MEMBER, *, dry_run: bool = False) -> Erasure:
        return erase_person(
            self.search(),
            member,
            erased_file=self.erased,
            oracle=Oracle(),
            epochs=self.epochs,
            dry_run=dry_run,
        )

    def audit(self, *, activity: bool = True, erased: bool = True) -> list[str]:
        """Return the numbers of the checks that fail."""
        report = run_audit(
            self.history.connection,
            self.history.world.timebank.deployment,
            self.epochs,
            activity=self.activity if activity else None,
            erased=self.erased if activity and erased and self.erased.exists() else None,
        )
        return [check.number for check in report.failed]

    def texts(self) -> dict[Path, str]:
        """Return every file as text: tables cell by cell, sealed and packed ones opened."""
        found = {}
        for path in sorted([*self.folder.rglob("*"), *self.epochs.rglob("*")]):
            if path.is_file():
                found[path] = self.text(path)
        return found

    def text(self, path: Path) -> str:
        if path.suffix == ".sealed":
            plain = self.folder.parent / path.name.removesuffix(".sealed")
            unseal(path, plain, self.keeper.vault.keyring())
            try:
                return self.text(plain)
            finally:
                plain.unlink()
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            cells = [str(cell) for column in table.columns for cell in column.to_pylist()]
            return "\n".join([*cells, str(table.schema.metadata)])
        content = path.read_bytes()
        return (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode("latin-1")


@pytest.fixture
def community(lived: History, keeper: Keeper, tmp_path: Path) -> Community:
    """The history's epochs and activity table, and the same acts in every shape raw data has."""
    folder = tmp_path / "raw"
    folder.mkdir()
    epochs = tmp_path / "epochs"
    shutil.copytree(lived.epochs, epochs)
    activity = folder / "activity.parquet"
    shutil.copy(lived.activity, activity)
    table = read_activity(activity)
    listed = list(rows_of(table))
    with (folder / "feed.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(["what", "who", "domain", "occurred", "i", "o", "e", "note"])
        for number, row in enumerate(listed):
            # Every seventh act thanks the member by name, in a column the mapping does not read.
            note = f"thanks, {MEMBER}!\nsee you" if number % 7 == 0 else "a, b"
            writer.writerow([*row[:4], *(f"{one / 1000:.3f}" for one in row[5:]), note])
    lines = [
        json.dumps({"what": r[0], "who": r[1], "domain": r[2], "occurred": r[3], "i": 1.50, "o": 1, "e": 2})
        for r in listed
    ]
    (folder / "feed.jsonl.part").write_text("")  # somebody's own file without a known format
    with gzip.open(folder / "old.jsonl", "wt") as packed:
        packed.write("\n".join(lines) + "\n")
    people = the_members(lived.world)
    (folder / "members.csv").write_text(
        "member,address\n"
        + "".join(f"{name},{checksum_address(address)}\n" for name, address in people.addresses.items())
    )
    first = next(row for row in listed if row[1] == MEMBER)
    other = next(row for row in listed if row[1] != MEMBER)
    (folder / "rejects.csv").write_text(
        "source,line,id,field,reason,record\n"
        f'feed.csv,3,{first[0]},id,duplicate: same as feed.csv:2,"{{""who"": ""{MEMBER}""}}"\n'
        f'feed.csv,9,{other[0]},id,duplicate: same as feed.csv:8,"{{""who"": ""{other[1]}""}}"\n'
        f'feed.csv,12,,,wrong number of cells: 2,"""act:9:9,{MEMBER}"""\n'
    )
    store = ContentStore(folder / "content")
    store.put(f"A garden, tended by {MEMBER}")
    store.put("Bread, by somebody else")
    seal(folder / "feed.csv", folder / "feed.csv.sealed", keeper.vault.keyring())
    (folder / "map.toml").write_text(MAPPING)
    mapping = load_mapping(folder / "map.toml")
    return Community(lived, folder, epochs, activity, folder / "erased.json", mapping, keeper)


def raw_strings(community: Community) -> list[str]:
    acts = [row[0] for row in rows_of(read_activity(community.activity)) if row[1] == MEMBER]
    assert len(acts) > 10
    return [
        MEMBER,
        *(f"{act}\n" for act in acts),
        *(f'"{act}"' for act in acts),
        *(f"{act}," for act in acts),
    ]


def by_the_chains_time(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    # The chain of the stage lives ahead of this machine's clock, by which a signer reads the feed.
    monkeypatch.setattr(SystemClock, "now_ms", lambda _self: chain_time(stage.world.connection) * 1_000)


def test_the_audit_is_green_before_and_after_and_no_trace_is_left(community: Community) -> None:
    assert community.audit() == []
    strings = raw_strings(community)
    before = community.texts()
    assert sum(MEMBER in text for text in before.values()) >= 7
    result = community.erase()
    assert not result.left
    assert result.published > 10
    assert result.guessable
    after = community.texts()
    found = [(path, one) for path, text in after.items() for one in strings if one in text]
    assert not found
    assert community.audit() == []
    assert community.audit(activity=False) == []


def test_the_raw_table_without_the_list_of_the_erased_fails_the_audit(community: Community) -> None:
    community.erase()
    assert community.audit(erased=False) == ["A33"]


def test_everything_of_the_others_stays_byte_for_byte(community: Community) -> None:
    table = read_activity(community.activity)
    others = [row for row in rows_of(table) if row[1] != MEMBER]
    feed = (community.folder / "feed.csv").read_bytes()
    lines = feed.count(b"\n")
    community.erase()
    assert list(rows_of(read_activity(community.activity))) == others
    rewritten = (community.folder / "feed.csv").read_bytes()
    assert rewritten.count(b"\n") == lines, "others' rows keep their line numbers"
    read = list(csv.DictReader(rewritten.decode().splitlines(keepends=True)))
    assert [row["what"] for row in read] == [row[0] for row in others]
    kept = [line for line in feed.split(b"\r\n") if b"a, b" in line and MEMBER.encode() not in line]
    assert kept == [line for line in rewritten.split(b"\r\n") if b"a, b" in line]
    assert all(row["note"] in ("a, b", f"thanks, {rows.REDACTED}!\nsee you") for row in read)
    packed = gzip.decompress((community.folder / "old.jsonl").read_bytes()).decode()
    assert [json.loads(line)["what"] for line in packed.split("\n") if line] == [row[0] for row in others]
    assert '"i": 1.5,' in packed
    assert len((community.folder / "rejects.csv").read_text().splitlines()) == 2
    assert len((community.folder / "members.csv").read_text().splitlines()) == 4
    assert len(list(ContentStore(community.folder / "content").hashes())) == 1
    for path in community.epochs.rglob("*"):
        if path.is_file():
            original = community.history.epochs / path.relative_to(community.epochs)
            assert path.read_bytes() == original.read_bytes()


def test_the_export_holds_everything_and_proves_the_published_leaves(
    community: Community, tmp_path: Path
) -> None:
    search = community.search()
    person = find(search, MEMBER)
    target = tmp_path / "person.zip"
    counts = export_person(search, person, community.epochs, target, 1_800_000_000_000)
    assert target.stat().st_mode & 0o777 == 0o600
    table = read_activity(community.activity)
    mine = [row for row in rows_of(table) if row[1] == MEMBER]
    assert counts["tables"] == len(mine)
    assert counts["rows"] == 3 * len(mine), "the feed, the packed one and the sealed one"
    assert (counts["members"], counts["rejects"], counts["texts"]) == (1, 2, 1)
    ids = {
        record.tobytes() for n in (1, 2, 3) for record in read_epoch(community.epochs, n).activities.record_id
    }
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        listed = json.loads(archive.read("person.json"))
        assert {one["file"] for one in listed["files"]} | {"person.json"} == set(archive.namelist())
        (name,) = [one for one in archive.namelist() if one.startswith("tables/")]
        exported = [json.loads(line) for line in archive.read(name).decode().splitlines()]
    assert [one["id"] for one in exported] == [row[0] for row in mine]
    for one, row in zip(exported, mine, strict=True):
        record = record_id(bytes.fromhex(one["salt"]), canonical_bytes(row))
        assert record.hex() == one["record_id"]
        assert record in ids
    with pytest.raises(AttentionError, match="there already"):
        export_person(search, person, None, target, 0)


def test_a_dry_run_changes_nothing(community: Community) -> None:
    before = {path: path.read_bytes() for path in community.folder.rglob("*") if path.is_file()}
    looked = community.erase(dry_run=True)
    assert before == {path: path.read_bytes() for path in community.folder.rglob("*") if path.is_file()}
    assert looked.changed == community.erase().changed


def test_erasing_twice_says_so_and_a_stranger_is_refused(community: Community) -> None:
    assert not community.erase().again
    second = community.erase()
    assert second.again
    assert second.nothing_to_do
    with pytest.raises(AttentionError, match="nothing is known of a member 'member9'") as caught:
        community.erase("member9")
    assert caught.value.hint
    with pytest.raises(AttentionError, match="not a member"):
        community.erase(" ")


def test_a_trace_in_a_foreign_document_is_found(community: Community) -> None:
    (community.folder / "minutes.txt").write_text(f"Present: {MEMBER}, member3")
    (community.folder / "other.txt").write_text(f"{MEMBER}3 is somebody else")
    (community.folder / f"{MEMBER}.png").write_bytes(b"a face")
    result = community.erase()
    assert result.searched
    assert sorted(result.left) == [str(community.folder / name) for name in (f"{MEMBER}.png", "minutes.txt")]


def test_the_list_of_the_erased_names_nobody(community: Community) -> None:
    community.erase()
    erased = load_erased(community.erased)
    assert erased is not None
    assert erased.has_member(MEMBER)
    assert not erased.has_member("member3")
    assert MEMBER not in community.erased.read_text()
    assert community.erased.stat().st_mode & 0o777 == 0o600


# --- the oracle ----------------------------------------------------------------------------------------


def erase_from_stage(stage: Stage, member: str) -> Erasure:
    state = stage.settings.state_folder
    search = Search(tuple(places([stage.feed, stage.epochs])))
    return erase_person(
        search,
        member,
        erased_file=stage.settings.erased_path,
        oracle=Oracle(stage.feed, state),
        epochs=stage.epochs,
    )


def close(stage: Stage, epoch: int) -> None:
    """Let the epoch's end pass, well clear of it, and an oracle of its own close it."""
    end = stage.start_ms // 1_000 + 60 * epoch
    stage.world.connection.advance_time(max(1, end + 5 - chain_time(stage.world.connection)))
    daemon = stage.daemon()
    daemon.startup()
    stage.run_until(daemon, epoch)
    daemon.journal.close()


def closed_once(stage: Stage) -> None:
    for number in range(3):
        stage.act(f"post:{number}", "ada@example.org", 5 + number)
        stage.act(f"work:{number}", "ben@example.org", 6 + number)
    stage.act("late:1", "ada@example.org", 70)
    stage.act("bad time", "ada@example.org", 10, ("x", "3", "5"))
    close(stage, 1)
    assert "ada@example.org" in stage.settings.rejects_path.read_text()


def test_the_oracle_goes_on_from_the_rewritten_feed_and_turns_them_away(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed_once(stage)
    before = read_epoch(stage.epochs, 1)
    signers_feed = stage.folder / "signers.csv"
    shutil.copy(stage.feed, signers_feed)
    assert erase_from_stage(stage, "ada@example.org").acts == 5
    # The source sends it all once more: under the same id, and under one of a deleted user.
    stage.act("post:0", "ada@example.org", 5)
    stage.act("late:1", "deleted-user", 70)
    stage.act("new:1", "ada@example.org", 75)
    stage.act("new:2", "ada@example.org", 80, ("x", "3", "5"))
    stage.act("work:9", "ben@example.org", 76)
    close(stage, 2)
    epoch = read_epoch(stage.epochs, 2)
    assert epoch.header.activity_count == 1
    assert epoch.header.previous_header_hash == before.header.hash()
    assert len(epoch.accounts.account) == len(before.accounts.account), "the account keeps its standing"
    rejects = stage.settings.rejects_path.read_text()
    assert rejects.count("erased: ") == 4
    for string in ("ada@example.org", "late:1", "new:1", "post:0", "deleted-user"):
        assert string not in rejects
    erase_from_stage(stage, "ada@example.org")
    for path in [stage.feed, *stage.epochs.rglob("*")]:
        if path.is_file():
            assert b"ada@example.org" not in path.read_bytes()
    # Another signer, who has not erased anything yet, comes to the same epoch with the list of hashes.
    with signers_feed.open("a") as file:
        file.write(stage.feed.read_text().splitlines(keepends=True)[-1])
    by_the_chains_time(stage, monkeypatch)
    source = (signers_feed, None, None, None, None, lambda _record: None)
    known = own_acts(epoch, stage.policy, *source, stage.settings.erased_path)
    require_signable(epoch, before, stage.policy, known)
    with pytest.raises(OracleError):
        require_signable(epoch, before, stage.policy, own_acts(epoch, stage.policy, *source))
    report = run_audit(stage.world.connection, stage.world.timebank.deployment, stage.epochs)
    assert not report.failed


def test_a_final_epoch_is_never_to_be_built_again_for_an_erasure(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed_once(stage)
    epoch = read_epoch(stage.epochs, 1)
    erase_from_stage(stage, "ada@example.org")
    by_the_chains_time(stage, monkeypatch)
    listed = stage.settings.erased_path
    source = (stage.feed, None, None, stage.settings.members, None, lambda _record: None)
    mine = own_acts(epoch, stage.policy, *source, listed)
    assert mine is not None
    left = {record.tobytes() for record in record_ids(mine[0])}
    gone = frozenset(record.tobytes() for record in epoch.activities.record_id) - left
    hints = {}
    for final in (True, False):
        with pytest.raises(OracleError) as refused:
            require_signable(epoch, None, stage.policy, mine, gone, is_final=lambda: final)  # noqa: B023 - called at once
        hints[final] = refused.value.hint or ""
    assert "it needs no signature, and stays as it is" in hints[True] and "--force" not in hints[True]
    assert "--force" in hints[False] and "if it is not final" in hints[False]


def test_a_person_of_a_pending_epoch_can_be_erased(stage: Stage) -> None:
    stage.act("post:1", "ada@example.org", 5)
    stage.act("work:1", "ben@example.org", 6)
    stage.world.connection.advance_time(65)
    daemon = stage.daemon(push_claims=False)
    assert daemon.tick().did is Did.PROPOSED
    daemon.journal.close()
    erase_from_stage(stage, "ada@example.org")
    stage.act("work:2", "ben@example.org", 70)
    close(stage, 2)
    first, second = (read_epoch(stage.epochs, number).header for number in (1, 2))
    assert (first.activity_count, second.activity_count) == (2, 1)
    assert second.previous_header_hash == first.hash()


def test_an_erasure_cut_off_between_journal_and_file_is_finished_later(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed_once(stage)

    class Cut(Exception):
        pass

    def cut(_self: rows.Rewritten) -> None:
        raise Cut

    with monkeypatch.context() as patch:
        # The moment a crash is worst at: the journal knows the new file, the folder has the old one.
        patch.setattr(erasure.without.__globals__["Rewritten"], "replace", cut)
        with pytest.raises(Cut):
            erase_from_stage(stage, "ada@example.org")
    assert "ada@example.org" in stage.feed.read_text()
    for part in stage.folder.glob(".feed.csv.*"):
        part.unlink()
    erase_from_stage(stage, "ada@example.org")
    assert "ada@example.org" not in stage.feed.read_text()
    stage.act("work:9", "ben@example.org", 76)
    close(stage, 2)


def test_a_running_oracle_and_a_feed_somebody_rewrote_stop_the_erasure(stage: Stage) -> None:
    closed_once(stage)
    with InstanceLock(stage.settings.lock_path), pytest.raises(OracleError, match="another process"):
        erase_from_stage(stage, "ada@example.org")
    text = stage.feed.read_text()
    stage.feed.write_text(text.replace("work:0", "work:X"))
    with pytest.raises(AttentionError, match="not the one the oracle read"):
        erase_from_stage(stage, "ada@example.org")
    assert not list(stage.folder.glob(".feed.csv.*"))


def test_a_table_of_ours_stays_one_and_a_sealed_file_stays_sealed(community: Community) -> None:
    community.erase()
    write_activity(read_activity(community.activity), community.folder / "again.parquet")
    assert (community.folder / "again.parquet").read_bytes() == community.activity.read_bytes()
    kinds = {place.path.name: place.kind for place in places([community.folder])}
    assert kinds["feed.csv.sealed"] is Kind.SEALED
