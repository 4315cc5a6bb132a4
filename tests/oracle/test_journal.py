"""The journal and the lock.

journal
|- an intent is written and found open
|- a second intent for the same effect is refused while the first is open or mined
|- a failed intent frees its place and stays as history
|- a settled intent can be reopened (its block is gone)
|- survives a process that dies without closing
|- refuses a file of another deployment, of a newer version, or no database at all
|- remembers feed marks, included records and claims, what runs in the bank and when it was tended
|- a file of the version before is taken over with all that is in it
lock
|- a second holder is refused, naming the first
`- is free again after the holder ends
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from timebank_chain.chain.open_items import ItemRow
from timebank_chain.errors import OracleError
from timebank_chain.oracle.journal import FeedMark, IntendedCall, Intent, Journal
from timebank_chain.oracle.lock import InstanceLock

IDENTITY = {"chain": "31337", "oracle": "0x0000000000000000000000000000000000000001"}

CALL = IntendedCall("RateOracle", "propose", "0x" + "11" * 20, b"data", 10**20)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite", IDENTITY)


def intend(journal: Journal, *, nonce: int = 0, key: str = "0xaa") -> Intent:
    return journal.intend(
        "propose",
        1,
        key,
        CALL,
        sender="0xbb",
        nonce=nonce,
        tx_hash=f"0x{nonce:064x}",
        raw=b"\x02raw",
        now_ms=5,
    )


def test_an_intent_is_written_and_found_open(journal: Journal) -> None:
    intent = intend(journal)
    assert intent.outcome is None
    assert intent.raw == b"\x02raw"
    assert intent.call == CALL
    assert journal.live("propose", 1, "0xaa") == intent
    assert journal.live("finalise", 1, "0xaa") is None
    assert journal.open_intents() == [intent]


def test_open_intents_come_in_the_order_of_their_nonces(journal: Journal) -> None:
    intend(journal, nonce=9, key="later")
    intend(journal, nonce=2, key="sooner")
    assert [intent.nonce for intent in journal.open_intents()] == [2, 9]


@pytest.mark.parametrize("mined", [False, True])
def test_the_same_effect_is_refused_while_open_or_mined(journal: Journal, mined: bool) -> None:
    first = intend(journal)
    if mined:
        journal.settle(first, "mined", block=3, now_ms=6)
    with pytest.raises(OracleError, match="already in the journal"):
        intend(journal, nonce=1)


@pytest.mark.parametrize("outcome", ["reverted", "superseded", "abandoned"])
def test_a_failed_intent_frees_its_place_and_stays(journal: Journal, outcome: str) -> None:
    journal.settle(intend(journal), outcome, block=None, now_ms=6)  # type: ignore[arg-type]  # parametrised literal
    again = intend(journal, nonce=1)
    assert journal.live("propose", 1, "0xaa") == again
    assert [intent.outcome for intent in journal.intents()] == [outcome, None]


def test_a_settled_intent_can_be_reopened(journal: Journal) -> None:
    settled = journal.settle(intend(journal), "mined", block=3, now_ms=6)
    assert journal.open_intents() == []
    assert journal.reopen(settled).block is None
    assert len(journal.open_intents()) == 1


def test_an_intent_survives_a_process_killed_right_after_writing_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from timebank_chain.oracle.journal import IntendedCall, Journal\n"
        f"j = Journal(Path(sys.argv[1]), {IDENTITY!r})\n"
        "call = IntendedCall('CreditDistributor', 'claimMany', '0xdd', b'', 0)\n"
        "j.intend('claim', 2, '0-5', call, sender='0xbb', nonce=7, tx_hash='0xcc', raw=b'raw', now_ms=1)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    (intent,) = Journal(path, IDENTITY).open_intents()
    assert (intent.kind, intent.epoch, intent.key, intent.nonce) == ("claim", 2, "0-5", 7)


def test_refuses_the_state_of_another_deployment(journal: Journal) -> None:
    with pytest.raises(OracleError, match="belongs to another chain: 31337, not 1"):
        Journal(journal.path, {**IDENTITY, "chain": "1"})


def test_refuses_a_newer_version(journal: Journal) -> None:
    journal.close()
    with sqlite3.connect(journal.path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(OracleError, match="version 99"):
        Journal(journal.path, IDENTITY)


def test_refuses_what_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"this is not a database, it is a sentence of some length" * 40)
    with pytest.raises(OracleError, match="journal cannot be used") as caught:
        Journal(path, IDENTITY)
    assert caught.value.hint is not None


def test_remembers_feed_marks(journal: Journal) -> None:
    journal.mark_feed([FeedMark("a.csv", 10, "00", 0)])
    journal.mark_feed([FeedMark("a.csv", 20, "11", 0), FeedMark("b.csv", 1, "22", 0)])
    assert journal.feed_marks() == {
        "a.csv": FeedMark("a.csv", 20, "11", 0),
        "b.csv": FeedMark("b.csv", 1, "22", 0),
    }
    journal.forget_feed()
    assert journal.feed_marks() == {}


def test_remembers_included_records_and_claims(journal: Journal) -> None:
    journal.include(3, [b"r" * 32])
    assert journal.included_epochs() == {3}
    assert journal.is_included(b"r" * 32)
    assert not journal.is_included(b"s" * 32)
    assert (journal.epoch_of(b"r" * 32), journal.epoch_of(b"s" * 32)) == (3, None)
    journal.pass_over([b"r" * 32, b"s" * 32])
    assert journal.is_included(b"s" * 32)
    assert (journal.epoch_of(b"r" * 32), journal.epoch_of(b"s" * 32)) == (3, None), "late is not published"
    journal.include(4, [b"s" * 32])
    assert journal.epoch_of(b"s" * 32) == 4, "somebody else's epoch holds what was late here"
    journal.saw_claimed({b"a" * 20: 5})
    journal.saw_claimed({b"a" * 20: 7})
    assert journal.claimed() == {b"a" * 20: 7}


def test_remembers_what_runs_in_the_bank(journal: Journal) -> None:
    assert journal.open_items() == (None, [])
    assert journal.tended() is None
    rows = [ItemRow("loan", "7", 2**95, 0), ItemRow("lease", "7", 0, 1_700_000_000)]
    journal.keep_open_items(40, [ItemRow("deposit", "1", 0, 5)])
    journal.keep_open_items(50, rows)
    journal.mark_tended(3, 1_700_000_000_000)
    again = Journal(journal.path, IDENTITY)
    block, kept = again.open_items()
    assert (block, sorted(kept, key=lambda row: row.kind)) == (50, sorted(rows, key=lambda row: row.kind))
    assert again.tended() == (3, 1_700_000_000_000)
    again.forget_open_items()
    assert journal.open_items() == (None, [])


def test_takes_over_the_version_before(journal: Journal) -> None:
    intent = intend(journal)
    journal.close()
    with sqlite3.connect(journal.path) as db:
        db.execute("DROP TABLE open_items")
        db.execute("PRAGMA user_version = 1")
    db.close()
    newer = Journal(journal.path, IDENTITY)
    assert newer.open_intents() == [intent]
    newer.keep_open_items(1, [ItemRow("deposit", "1", 0, 5)])
    assert newer.open_items() == (1, [ItemRow("deposit", "1", 0, 5)])


def test_a_second_holder_is_refused_naming_the_first(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        InstanceLock(path),
        pytest.raises(OracleError, match=rf"process \({os.getpid()}\)"),
        InstanceLock(path),
    ):
        pass


def test_the_lock_is_free_after_its_holder_ends(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with InstanceLock(path):
        pass
    with InstanceLock(path):
        assert path.read_text().strip() == str(os.getpid())
