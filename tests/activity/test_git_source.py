"""The git source on real repositories; see activity.tree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.activity.builders import KEY, Repository
from timebank_chain.activity import CleanResult, canonical_records, clean
from timebank_chain.activity.sources import DEFAULT_BOTS, git_acts
from timebank_chain.errors import ActivityError

START_S = 1_700_000_000
HOUR_S = 3_600
WINDOW_MS = 10 * HOUR_S * 1_000
WINDOWS = {"code": WINDOW_MS, "review": WINDOW_MS, "coauthor": WINDOW_MS}
LATER_MS = (START_S + 1_000_000) * 1_000
BOB = "bob@example.org"


def ingest(
    path: Path, *, now_ms: int = LATER_MS, until_ms: int | None = None, bots: Sequence[str] = DEFAULT_BOTS
) -> CleanResult:
    acts = git_acts(path, windows=WINDOWS, now_ms=now_ms, until_ms=until_ms, bots=bots)
    return clean(acts, now_ms=now_ms, salt_key=KEY)


def indicators(result: CleanResult) -> dict[str, tuple[int, int, int]]:
    """Return (interaction, originality, engagement) in thousandths by id."""
    table = result.table
    rows = zip(table.interaction_milli, table.originality_milli, table.engagement_milli, strict=True)
    return {name: (int(i), int(o), int(e)) for name, (i, o, e) in zip(table.id, rows, strict=True)}


def reasons(result: CleanResult) -> dict[str, str]:
    return {reject.id: reject.reason for reject in result.rejects}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "project")


def test_a_commit_is_an_act_of_its_author_reviewers_and_coauthors(repository: Repository) -> None:
    sha = repository.commit(
        {"a.txt": "1\n2\n3\n"},
        at_s=START_S,
        email="Ada@Example.ORG",
        message="Add a\n\nReviewed-By: Bob <Bob@Example.org>\nCo-authored-by: Cy <cy@x>"
        "\nTested-by: Di <di@x>",
    )
    result = ingest(repository.path)
    assert indicators(result) == {
        f"git:{sha}": (3_000, 3_000, 1_000),
        f"git:{sha}:review:{BOB}": (3_000, 3_000, 1_000),
        f"git:{sha}:coauthor:cy@x": (3_000, 3_000, 1_000),
    }
    table = result.table
    assert sorted(zip(table.domain, table.member, strict=True)) == [
        ("coauthor", "cy@x"),
        ("code", "ada@example.org"),
        ("review", BOB),
    ]
    assert set(table.occurred_ms.tolist()) == {START_S * 1_000}
    assert set(table.window_ms.tolist()) == {WINDOW_MS}


def test_trailers_one_cannot_earn_by_are_rejected(repository: Repository) -> None:
    sha = repository.commit(
        {"a": "1\n"},
        at_s=START_S,
        message="A\n\nReviewed-by: Me <ADA@example.org>\nReviewed-by: somebody"
        "\nReviewed-by: R <1+renovate[bot]@x>"
        "\nReviewed-by: Bob <bob@example.org>\nReviewed-by: Bob <bob@example.org>",
    )
    result = ingest(repository.path)
    assert indicators(result)[f"git:{sha}"][0] == 1_000
    assert reasons(result) == {
        f"git:{sha}:review:ada@example.org": "review of one's own commit: 'ada@example.org'",
        f"git:{sha}:review:somebody": "trailer without an e-mail address: 'somebody'",
        f"git:{sha}:review:1+renovate[bot]@x": "a bot: '1+renovate[bot]@x'",
        f"git:{sha}:review:{BOB}": "duplicate: same as git:project:1",
    }


def test_new_lines_weigh_more_than_edits_and_deletions(repository: Repository) -> None:
    new = repository.commit({"a": "1\n2\n3\n4\n"}, at_s=START_S)
    edit = repository.commit({"a": "1\n2\n3\nfour\nfive\n"}, at_s=START_S + 1)
    (repository.path / "a").unlink()
    gone = repository.commit({}, at_s=START_S + 2)
    again = repository.commit({"a": "1\n2\n"}, at_s=START_S + 3)
    empty = repository.commit({}, at_s=START_S + 4)
    weights = {name: row[1] for name, row in indicators(ingest(repository.path)).items()}
    assert weights == {
        f"git:{new}": 4_000,
        f"git:{edit}": 2 * 500 + 100,
        f"git:{gone}": 5 * 100,
        f"git:{again}": 2 * 500,  # deleting and adding again makes nothing new
        f"git:{empty}": 0,
    }


def test_a_rename_counts_only_what_changed(repository: Repository) -> None:
    lines = "".join(f"line {n}\n" for n in range(50))
    repository.commit({"old.txt": lines}, at_s=START_S)
    repository.git("mv", "old.txt", "new.txt")
    moved = repository.commit({"new.txt": lines + "more\n"}, at_s=START_S + 1, email=BOB)
    first, second = indicators(ingest(repository.path)).values()
    assert first == (0, 50_000, 2_000)  # Bob went on with Ada's file, under its new name
    assert second == (0, 500, 1_000)
    assert moved


def test_huge_and_generated_changes_are_capped(repository: Repository) -> None:
    big = "".join(f"{n}\n" for n in range(1_000))
    one = repository.commit({"one.c": big}, at_s=START_S)
    generated = repository.commit({"vendor/lib.c": big, "package-lock.json": "{\n}\n"}, at_s=START_S + 1)
    many = repository.commit({f"{n}.c": big for n in range(9)}, at_s=START_S + 2)
    binary = repository.commit({"x.png": b"\x89PNG\0\0\xff" * 400}, at_s=START_S + 3)
    weights = {name: row[1] for name, row in indicators(ingest(repository.path)).items()}
    assert weights == {
        f"git:{one}": 400_000,
        f"git:{generated}": 1_002 * 20,
        f"git:{many}": 2_000_000,
        f"git:{binary}": 0,
    }


def test_engagement_counts_others_within_the_window_only(repository: Repository) -> None:
    first = repository.commit({"a": "1\n"}, at_s=START_S, message="A\n\nCo-authored-by: Cy <cy@x>")
    for position, (email, hours) in enumerate(
        [
            ("ada@example.org", 1),
            ("cy@x", 2),
            (BOB, 3),
            (BOB, 4),
            ("di@x", 10),
            ("ed@x", 10.001),
            ("bot[bot]@x", 5),
        ]
    ):
        at_s = START_S + int(hours * HOUR_S)
        repository.commit({"a": f"{position}\n"}, at_s=at_s, email=email)
    repository.commit({"b": "1\n"}, at_s=START_S + HOUR_S, email="fay@x")
    result = indicators(ingest(repository.path))
    assert result[f"git:{first}"][2] == 3_000  # stood, Bob, Di (at the very end of the window)
    assert result[f"git:{first}:coauthor:cy@x"][2] == 3_000


def test_reverted_in_time_means_no_engagement_and_reverts_earn_nothing(repository: Repository) -> None:
    soon = repository.commit({"a": "1\n"}, at_s=START_S)
    repository.git("rm", "--quiet", "a")
    undo = repository.commit(
        {}, at_s=START_S + HOUR_S, email=BOB, message=f'Revert "A"\n\nThis reverts commit {soon[:12]}.'
    )
    late = repository.commit({"b": "1\n"}, at_s=START_S)
    repository.commit({}, at_s=START_S + 11 * HOUR_S, email=BOB, message=f"x\n\nThis reverts commit {late}.")
    result = indicators(ingest(repository.path))
    assert result[f"git:{soon}"] == (0, 1_000, 0)
    assert result[f"git:{undo}"] == (0, 0, 1_000)
    assert result[f"git:{late}"] == (0, 1_000, 1_000)


def test_mailmap_joins_addresses(repository: Repository) -> None:
    repository.write({".mailmap": "Ada <ada@example.org> <ada@old>\nBob <bob@example.org> Bobby <b@old>\n"})
    sha = repository.commit(
        {"a": "1\n"}, at_s=START_S, email="ada@old", message="A\n\nReviewed-by: Bobby <b@old>"
    )
    repository.commit({"a": "2\n"}, at_s=START_S + 1)
    result = ingest(repository.path)
    assert sorted(set(result.table.member)) == ["ada@example.org", BOB]
    assert indicators(result)[f"git:{sha}"] == (1_000, 3_000, 1_000)


def test_bots_are_turned_away_and_count_for_nobody(repository: Repository) -> None:
    first = repository.commit({"a": "1\n"}, at_s=START_S)
    bots = [
        repository.commit({"a": f"bot {n}\n"}, at_s=START_S + n, email=email, name=name)
        for n, (name, email) in enumerate(
            [
                ("dependabot[bot]", "49+dependabot[bot]@users.noreply.x"),
                ("GitHub Actions", "a@x"),
                ("Renovate", "r@x"),
            ],
            start=1,
        )
    ]
    human = repository.commit({"a": "x\n"}, at_s=START_S + 9, email="abbot@x", name="Abbot")
    result = ingest(repository.path)
    assert set(reasons(result)) == {f"git:{sha}" for sha in bots}
    assert all(reason.startswith("a bot: ") for reason in reasons(result).values())
    assert set(indicators(result)) == {f"git:{first}", f"git:{human}"}
    assert indicators(result)[f"git:{first}"][2] == 2_000
    everybody = ingest(repository.path, bots=())
    assert len(everybody.table) == 5
    assert indicators(everybody)[f"git:{first}"][2] == 5_000


def test_merges_are_no_acts(repository: Repository) -> None:
    repository.commit({"a": "1\n"}, at_s=START_S)
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit({"b": "1\n"}, at_s=START_S + 1)
    repository.git("checkout", "--quiet", "main")
    repository.commit({"c": "1\n"}, at_s=START_S + 2)
    who = ["-c", "user.name=m", "-c", "user.email=m@m"]
    repository.git(*who, "merge", "--quiet", "--no-ff", "--message", "join", "side")
    result = ingest(repository.path)
    assert (result.read, len(result.table)) == (3, 3)


ODD_PATHS = [
    "tab\there",
    'quote"',
    "new\nline",
    " lead",
    "ünï",
    b"\xff\xfe".decode("utf-8", "surrogateescape"),
    "->",
    "{a => b}",
]


def test_any_bytes_in_paths_messages_and_names(repository: Repository) -> None:
    message = "Odd\n\n\x01\x02 commit 0000\n1\t2\tfake.txt\n\x1e\x1f\n\nReviewed-by: Zoë <zoë@x>"
    first = repository.commit(
        dict.fromkeys(ODD_PATHS, "1\n"), at_s=START_S, message=message, name="A\x1b[31m", email="ä@x"
    )
    repository.git("mv", "tab\there", "tab\tthere\nnow")
    second = repository.commit({}, at_s=START_S + 1, email=BOB)
    result = indicators(ingest(repository.path))
    assert result[f"git:{first}"] == (1_000, len(ODD_PATHS) * 1_000, 2_000)
    assert result[f"git:{second}"] == (0, 0, 1_000)


def test_a_name_that_is_no_utf_8_is_rejected_and_shown(repository: Repository) -> None:
    repository.commit({"a": "1\n"}, at_s=START_S)
    raw = repository.git("cat-file", "commit", "HEAD").encode().replace(b"ada@example.org", b"caf\xe9@x")
    (repository.path / "raw").write_bytes(raw)
    sha = repository.git("hash-object", "-t", "commit", "-w", "raw").strip()
    repository.git("update-ref", "HEAD", sha)
    result = ingest(repository.path)
    assert reasons(result) == {f"git:{sha}": "not UTF-8: 'caf\\udce9@x'"}


def test_a_shallow_clone_does_not_invent_work(repository: Repository, tmp_path: Path) -> None:
    for n in range(4):
        repository.commit({f"{n}.txt": "1\n" * 100}, at_s=START_S + n)
    repository.git("clone", "--quiet", "--depth=2", f"file://{repository.path}", str(tmp_path / "shallow"))
    result = ingest(tmp_path / "shallow")
    assert [row[1] for row in indicators(result).values()] == [100_000]
    assert list(reasons(result).values()) == ["cut off by a shallow clone: what it changed is unknown"]


def test_a_bare_clone_and_a_subfolder_read_the_same(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"sub/a": "1\n"}, at_s=START_S)
    repository.git("clone", "--quiet", "--bare", str(repository.path), str(tmp_path / "bare.git"))
    whole = list(canonical_records(ingest(repository.path).table))
    assert len(whole) == 1
    assert list(canonical_records(ingest(tmp_path / "bare.git").table)) == whole
    assert list(canonical_records(ingest(repository.path / "sub").table)) == whole


def test_the_users_settings_change_nothing(repository: Repository) -> None:
    repository.commit({"old ü": "1\n" * 20}, at_s=START_S)
    repository.git("mv", "old ü", "new ü")
    repository.commit({"x": "1\n"}, at_s=START_S + 1, email=BOB)
    before = list(canonical_records(ingest(repository.path).table))
    settings_ = {
        "diff.renames": "false",
        "log.showSignature": "true",
        "log.showRoot": "false",
        "core.quotePath": "true",
        "diff.external": "/bin/false",
        "color.ui": "always",
        "log.date": "relative",
        "format.pretty": "oneline",
        "diff.orderFile": "/nowhere",
        "log.decorate": "full",
    }
    for name, value in settings_.items():
        repository.git("config", name, value)
    assert list(canonical_records(ingest(repository.path).table)) == before


def test_not_a_repository_empty_and_damaged(tmp_path: Path) -> None:
    with pytest.raises(ActivityError, match="no such folder"):
        ingest(tmp_path / "none")
    (tmp_path / "plain").mkdir()
    with pytest.raises(ActivityError, match="not a git repository") as caught:
        ingest(tmp_path / "plain")
    assert caught.value.hint
    empty = Repository(tmp_path / "empty")
    with pytest.raises(ActivityError, match="no commit yet"):
        ingest(empty.path)
    broken = Repository(tmp_path / "broken")
    first = broken.commit({"a": "1\n"}, at_s=START_S)
    broken.commit({"a": "2\n"}, at_s=START_S + 1)
    (broken.path / ".git" / "objects" / first[:2] / first[2:]).unlink()
    with pytest.raises(ActivityError, match="git log failed"):
        ingest(broken.path)


def test_git_missing(repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    repository.commit({"a": "1\n"}, at_s=START_S)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ActivityError, match="git is not installed"):
        ingest(repository.path)


def test_open_windows_future_and_until_are_turned_away(repository: Repository) -> None:
    closed = repository.commit({"a": "1\n"}, at_s=START_S)
    opened = repository.commit({"b": "1\n"}, at_s=START_S + HOUR_S)
    future = repository.commit({"c": "1\n"}, at_s=START_S + 100 * HOUR_S)
    end_ms = START_S * 1_000 + WINDOW_MS
    now = ingest(repository.path, now_ms=end_ms)
    assert now.table.id == [f"git:{closed}"]
    assert reasons(now)[f"git:{opened}"] == "window still open: until 2023-11-15T09:13:20Z"
    assert reasons(now)[f"git:{future}"].startswith("time in the future")
    then = ingest(repository.path, until_ms=end_ms)
    assert list(canonical_records(then.table)) == list(canonical_records(now.table))
    assert reasons(then)[f"git:{future}"].startswith("after --until")
    assert not ingest(repository.path, now_ms=end_ms - 1).table.id


def test_a_domain_the_policy_does_not_value_is_turned_away(repository: Repository) -> None:
    repository.commit({"a": "1\n"}, at_s=START_S, message="A\n\nReviewed-by: B <b@x>")
    acts = git_acts(repository.path, windows={"code": 0}, now_ms=LATER_MS)
    result = clean(acts, now_ms=LATER_MS, salt_key=KEY)
    assert (len(result.table), list(result.reasons())) == (1, ["domain without a window"])


PEOPLE = ["ada@x", "bob@x", "cy@x"]
STEPS = st.lists(
    st.tuples(
        st.integers(0, 6),  # hours after the commit before
        st.sampled_from(PEOPLE),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["", "", "review", "revert"]),
    ),
    min_size=2,
    max_size=7,
)


@given(STEPS, st.data())
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_later_commits_never_change_an_act_whose_window_had_closed(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str, str, str]], data: st.DataObject
) -> None:
    repository = Repository(tmp_path_factory.mktemp("history"))
    cut = data.draw(st.integers(1, len(steps) - 1))
    at_s, sha = START_S, ""
    before: dict[str, bytes] = {}
    for position, (hours, email, path, kind) in enumerate(steps):
        if position == cut:
            at_s += 1  # strictly later than all that was seen
            seen = ingest(repository.path, now_ms=at_s * 1_000 - 1)
            before = dict(zip(seen.table.id, canonical_records(seen.table), strict=True))
        at_s += hours * HOUR_S
        message = {"review": "x\n\nReviewed-by: Di <di@x>", "revert": f"x\n\nThis reverts commit {sha}."}
        text = message.get(kind, "x") if sha else "x"
        sha = repository.commit({path: f"{position}\n"}, at_s=at_s, email=email, message=text)
    table = ingest(repository.path).table
    after = dict(zip(table.id, canonical_records(table), strict=True))
    assert {name: after[name] for name in before} == before
