"""Policy documents.

::

    policy
    |- shipped ones load, explain themselves, come back unchanged, have a stable hash
    |- the hash is a tree of abi.encode's, word by word; title and sources do not change it, all else does
    |- tau and decay_k, epoch and epoch_ms, window and window_ms are alternatives
    |- policy_with changes what it is told
    |- unknown names get a suggestion
    `- every broken rule is refused, naming the place
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest
import sha3
from hypothesis import given

from tests.valuation.valuation_cases import policies
from timebank_chain.errors import PolicyError
from timebank_chain.policies import preset_names, read_preset
from timebank_chain.valuation import (
    Bracket,
    Knot,
    brackets_call,
    decay_constant,
    domain_call,
    domain_hashes,
    domain_indices,
    load_policy,
    policy_call,
    policy_document,
    policy_from_call,
    policy_from_json,
    policy_hash,
    policy_head_call,
    policy_to_json,
    policy_with,
)

DAY_MS = 86_400_000


def document() -> dict:
    return json.loads(read_preset("identity"))


def read(value: object):
    return policy_from_json(json.dumps(value))


def test_presets_load_by_name():
    assert preset_names() == (
        "art",
        "city",
        "commerce",
        "education",
        "enterprise",
        "games",
        "git",
        "identity",
        "medicine",
        "stackexchange",
    )
    for name in preset_names():
        policy = load_policy(name)
        assert policy.name == name
        assert len(policy.sources) > 100
    for name in ("git", "identity", "stackexchange"):
        assert load_policy(name).decay_k == decay_constant(180 * DAY_MS)


def test_presets_value_the_domains_the_sources_record():
    assert load_policy("identity").domain_names() == ("general",)
    assert load_policy("git").domain_names() == ("code", "review", "coauthor")
    assert load_policy("stackexchange").domain_names() == ("question", "answer", "comment")
    assert {domain.window_ms for domain in load_policy("git").domains} == {14 * DAY_MS}
    assert {domain.window_ms for domain in load_policy("stackexchange").domains} == {7 * DAY_MS}


@pytest.mark.parametrize("name", preset_names())
def test_documents_come_back_unchanged(name, tmp_path):
    policy = load_policy(name)
    path = tmp_path / "copy.json"
    path.write_text(policy_to_json(policy), encoding="utf-8")
    again = load_policy(path)
    assert again == policy
    assert policy_hash(again) == policy_hash(policy)


@given(policies())
def test_drawn_documents_come_back_unchanged(policy):
    assert policy_from_json(policy_to_json(policy)) == policy


def test_hash_is_that_of_a_tree_of_abi_encodings():
    rules = load_policy("identity").domains[0]
    policy = replace(
        load_policy("identity"),
        brackets=(Bracket(0, 1000), Bracket(2000, 500)),
        domains=(
            replace(rules, low=1, high=2, bonus_milli=1500, penalty_milli=3),
            replace(rules, name="other", engagement=(Knot(7, 8),)),
        ),
    )

    def keccak(data: bytes) -> bytes:
        return sha3.keccak_256(data).digest()

    def words(*numbers: int) -> bytes:
        return b"".join(number.to_bytes(32, "big") for number in numbers)

    def text(name: str) -> bytes:
        return name.encode().ljust(32, b"\0")

    line, point = words(2, 0, 0, 10_000, 10_000), words(1, 7, 8)
    lists = words(9 * 32, 9 * 32 + len(line), 9 * 32 + 2 * len(line))
    domains = [
        keccak(words(32) + text("general") + words(0, 1, 2, 1500, 3) + lists + 3 * line),
        keccak(words(32) + text("other") + words(0, 0, 0, 1000, 0) + lists + 2 * line + point),
    ]
    assert domain_hashes(policy) == tuple(domains)
    brackets = keccak(words(32, 2, 0, 1000, 2000, 500))
    head = text("identity") + words(1, policy.decay_k, 0, 1 << 24) + brackets + keccak(b"".join(domains))
    assert policy_hash(policy) == keccak(head)


def test_the_head_and_the_parts_make_the_whole():
    policy = load_policy("git")
    whole, head = policy_call(policy), policy_head_call(policy)
    assert head[:5] == whole[:5]
    assert whole[5] == brackets_call(policy)
    assert whole[6] == tuple(domain_call(domain) for domain in policy.domains)
    assert len(domain_hashes(policy)) == len(policy.domains)
    assert all(len(part) == 32 for part in (*domain_hashes(policy), head[5], head[6]))


def test_hash_covers_everything_that_changes_a_result():
    policy = load_policy("git")
    rules = policy.domains[0]
    changed = [
        replace(policy, name="git2"),
        replace(policy, version=2),
        replace(policy, decay_k=policy.decay_k + 1),
        replace(policy, epoch_ms=1),
        replace(policy, initial_rate_q24=1),
        replace(policy, brackets=policy.brackets[:1]),
        replace(policy, domains=policy.domains[::-1]),
        *(
            replace(policy, domains=(replace(rules, **change), *policy.domains[1:]))
            for change in (
                {"name": "other"},
                {"window_ms": 1},
                {"low": 1},
                {"high": 0},
                {"bonus_milli": 1001},
                {"penalty_milli": 1},
                {"interaction": (Knot(0, 1),)},
                {"originality": (Knot(0, 1),)},
                {"engagement": (Knot(0, 1),)},
            )
        ),
    ]
    assert len({policy_hash(policy), *map(policy_hash, changed)}) == len(changed) + 1
    assert policy_hash(replace(policy, title="x", sources="y")) == policy_hash(policy)


def test_identity_hash_is_pinned():
    # Published: changing a shipped policy means a new version, not a new hash for the old one.
    assert policy_hash(load_policy("identity")).hex() == (
        "9169efdb76f7bfa4d4266caa90dfa17fc918536e1bac34e34340ecdd55e32d7f"
    )


def test_constants_may_stand_for_durations():
    in_words, in_numbers = document(), document()
    in_words["tau"], in_words["epoch"] = "100s", "7d"
    in_words.pop("epoch_ms")
    in_words["domains"][0]["window"] = "14d"
    del in_numbers["tau"]
    in_numbers |= {"decay_k": decay_constant(100_000), "epoch_ms": 7 * DAY_MS}
    del in_numbers["domains"][0]["window"]
    in_numbers["domains"][0]["window_ms"] = 14 * DAY_MS
    assert read(in_words) == read(in_numbers)


def test_policy_with_changes_what_it_is_told():
    policy = load_policy("git")
    changed = policy_with(policy, tau_ms=100_000, epoch_ms=5, window_ms=6)
    assert (changed.decay_k, changed.epoch_ms) == (decay_constant(100_000), 5)
    assert {domain.window_ms for domain in changed.domains} == {6}
    assert policy_with(policy) == policy
    for wrong in ({"tau_ms": 0}, {"epoch_ms": -1}, {"window_ms": 2**48}, {"window_ms": True}):
        with pytest.raises(PolicyError):
            policy_with(policy, **wrong)


def test_domain_names_become_indices():
    policy = load_policy("git")
    assert domain_indices(["review", "code", "review"], policy) == [1, 0, 1]
    with pytest.raises(PolicyError, match="no domain 'reviw'") as caught:
        domain_indices(["code", "reviw"], policy)
    assert caught.value.hint == "Did you mean 'review'?"
    assert caught.value.where == "activity 2"


def test_an_unknown_policy_gets_a_suggestion(tmp_path):
    with pytest.raises(PolicyError, match="neither a shipped one") as caught:
        load_policy("identiy")
    assert caught.value.hint == "Did you mean 'identity'?"
    with pytest.raises(PolicyError, match="neither a shipped one"):
        load_policy(tmp_path)


def test_files_that_are_no_policy_are_refused(tmp_path):
    path = tmp_path / "policy.json"
    for content, message in (
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "cannot be read"),
        (b"[]", "expected an object"),
        (b"null", "expected an object"),
        (b'{"name": NaN}', "NaN is not a number"),
        (b'{"name": "a", "name": "b"}', "stands twice"),
        (b"[" * 100_000, "nested deeper than 64 levels"),
        (b'{"version": ' + b"9" * 5_000 + b"}", "not a policy|not valid JSON"),
        (b" " * 1_000_001, "at most 1,000,000 bytes"),
    ):
        path.write_bytes(content)
        with pytest.raises(PolicyError, match=message) as caught:
            load_policy(path)
        assert str(path) in (caught.value.where or "")
        assert caught.value.hint


def _set(path: str, value: object):
    def change(target: dict) -> None:
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        node = target
        for part in parents:
            node = node[part]
        node[last] = value

    return change


def _drop(*names: str):
    def change(target: dict) -> None:
        for name in names:
            del target[name]

    return change


@pytest.mark.parametrize(
    ("change", "message", "place"),
    [
        (_set("tua", "1d"), "unknown field 'tua'", "policy"),
        (_set("domains.0.widow", "1d"), "unknown field 'widow'", "domains[0]"),
        (_set("brackets.0.slope", 1), "unknown field 'slope'", "brackets[0]"),
        (_set("schema", "timebank.policy/2"), "schema is", "policy"),
        (_drop("version"), "'version' is missing", "policy"),
        (_drop("tau"), "decay is missing", "policy"),
        (_set("decay_k", 5), "given twice", "policy"),
        (_set("epoch", "7d"), "both given", "policy"),
        (_drop("epoch_ms"), "'epoch' is missing", "policy"),
        (_set("domains.0.window_ms", 5), "both given", "domains[0]"),
        (_set("tau", 180), "expected a duration", "tau"),
        (_set("tau", "180"), "not a duration", "tau"),
        (_set("tau", "0s"), "not a whole, positive", "tau"),
        (_set("tau", "0.0001s"), "not a whole, positive", "tau"),
        (_set("epoch_ms", -1), "out of range", "epoch_ms"),
        (_set("epoch_ms", 2**48), "out of range", "epoch_ms"),
        (_set("epoch_ms", True), "expected an integer, not true", "epoch_ms"),
        (_set("version", 0), "out of range", "version"),
        (_set("version", 1.0), "expected an integer, not 1.0", "version"),
        (_set("version", "1"), 'expected an integer, not "1"', "version"),
        (_set("version", None), "expected an integer, not null", "version"),
        (_set("version", 10**60), "over 40 digits is out of range", "version"),
        (_set("initial_rate_q24", 2**64), "out of range", "initial_rate_q24"),
        (_set("initial_rate_q24", 0), "out of range", "initial_rate_q24"),
        (_set("name", "n" * 33), "cannot be a name", "name"),
        (_set("name", " identity"), "cannot be a name", "name"),
        (_set("name", "a\nb"), "cannot be a name", "name"),
        (_set("name", "\ud800"), "cannot be a name", "name"),
        (_set("name", ""), "expected text", "name"),
        (_set("name", ["identity"]), "expected text", "name"),
        (_set("sources", 5), "expected text", "sources"),
        (_set("brackets", []), "0 brackets; there must be 1 to 8", "brackets"),
        (_set("brackets", {}), "expected a list of brackets", "brackets"),
        (_set("brackets.0", 5), "expected an object", "brackets[0]"),
        (_set("brackets.0.from_multiple_milli", 1), "not at 0", "brackets[0]"),
        (_set("brackets.2.from_multiple_milli", 2000), "not above the one before", "brackets[2]"),
        (_set("brackets.2.slope_milli", 751), "steeper", "brackets[2]"),
        (_set("brackets.0.slope_milli", 1001), "out of range", "slope_milli"),
        (_set("domains", []), "there must be 1 to 64", "domains"),
        (_set("domains.0.name", 7), "expected text", "domains[0].name"),
        (_set("domains.0.low", 10**9 + 1), "out of range", "domains[0].low"),
        (_set("domains.0.low", 5.5), "expected an integer", "domains[0].low"),
        (_set("domains.0.bonus_milli", 999), "out of range", "domains[0].bonus_milli"),
        (_set("domains.0.bonus_milli", 4001), "out of range", "domains[0].bonus_milli"),
        (_set("domains.0.penalty_milli", 4001), "out of range", "domains[0].penalty_milli"),
        (_set("domains.0.interaction", []), "0 knots", "domains[0].interaction"),
        (_set("domains.0.interaction", [[n, n] for n in range(17)]), "17 knots", "domains[0].interaction"),
        (_set("domains.0.interaction.1", [0, 5]), "not above the one before", "interaction[1]"),
        (_set("domains.0.interaction.1", [1, 2, 3]), "a knot is a pair", "interaction[1]"),
        (_set("domains.0.interaction.1", {"raw": 1}), "a knot is a pair", "interaction[1]"),
        (_set("domains.0.interaction.1", [10, 10_001]), "out of range", "interaction[1][1]"),
        (_set("domains.0.interaction.1", [2**32, 10]), "out of range", "interaction[1][0]"),
        (_set("domains.0.interaction.1", [True, 10]), "expected an integer, not true", "interaction[1][0]"),
    ],
)
def test_broken_rules_are_refused(change, message, place):
    broken = copy.deepcopy(document())
    change(broken)
    with pytest.raises(PolicyError) as caught:
        read(broken)
    assert message in caught.value.message
    assert (caught.value.where or "").endswith(place)
    assert caught.value.hint


def test_contradicting_bands_are_refused():
    broken = document()
    broken["domains"][0] |= {"low": 11, "high": 10}
    with pytest.raises(PolicyError, match="punished and rewarded at once"):
        read(broken)
    broken["domains"][0] |= {"low": 10, "high": 10}
    assert read(broken).domains[0].low == 10
    broken["domains"][0] |= {"low": 10, "high": 0}
    assert read(broken).domains[0].high == 0


def test_repeated_domains_are_refused():
    broken = document()
    broken["domains"] *= 2
    with pytest.raises(PolicyError, match="'general' stands twice"):
        read(broken)


def test_misspelt_fields_get_a_suggestion():
    broken = document()
    broken["intial_rate_q24"] = broken.pop("initial_rate_q24")
    with pytest.raises(PolicyError) as caught:
        read(broken)
    assert caught.value.hint == "Did you mean 'initial_rate_q24'?"


def test_canonical_document_holds_no_float():
    def walk(value: object) -> None:
        assert not isinstance(value, float)
        for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(child)

    for name in preset_names():
        walk(policy_document(load_policy(name)))


@pytest.mark.parametrize("name", preset_names())
def test_a_registered_policy_is_read_back(name: str) -> None:
    policy = load_policy(name)
    again = policy_from_call(policy_call(policy))
    assert policy_call(again) == policy_call(policy)
    assert policy_hash(again) == policy_hash(policy)


def test_a_registered_name_that_is_no_text_is_refused() -> None:
    values = list(policy_call(load_policy("identity")))
    values[0] = b"\xff" * 32
    with pytest.raises(PolicyError, match="no UTF-8"):
        policy_from_call(values)
