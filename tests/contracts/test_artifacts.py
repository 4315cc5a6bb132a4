"""The shipped artifacts are what the sources compile to.

artifacts
├── recompiled with the pinned compiler, no file differs
├── a changed, a missing and a surplus file are each named
├── a comment changed in a source is seen without a compiler
├── every name loads; an unknown one is an error that lists the names
├── runtime code with immutables filled in equals the artifact once masked, and any other byte does not
├── creation code fits the limits of a block
└── the shipped compiler input carries our text whole and OpenZeppelin's by hash
"""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.build_contracts import ARTIFACTS, build, differences, shipped_sources, stale, write
from timebank_chain.artifacts import artifact_names, load_artifact, standard_input
from timebank_chain.epoch.keccak import keccak
from timebank_chain.errors import InputError

SHIPPED = (
    "AccessManager",
    "AttentionCredit",
    "CreditDistributor",
    "CreditExchange",
    "CreditLease",
    "CreditLending",
    "CreditPayments",
    "EpochChallenge",
    "FeePool",
    "LeafRequests",
    "MemberRegistry",
    "PolicyRegistry",
    "RateFloat",
    "RateOracle",
    "ServiceEscrow",
    "TimeBank",
)
MAX_CODE = 24_576
MAX_INITCODE = 49_152


@pytest.fixture(scope="module")
def built() -> dict[str, str]:
    return build()


def test_recompiled_artifacts_are_identical(built: dict[str, str]) -> None:
    assert differences(built) == []


def test_differences_are_named(built: dict[str, str], tmp_path: Path) -> None:
    write(built, tmp_path)
    assert differences(built, tmp_path) == []
    changed = tmp_path / "FeePool.json"
    changed.write_text(changed.read_text("utf-8").replace("0x60", "0x61", 1), "utf-8")
    (tmp_path / "RateOracle.json").unlink()
    (tmp_path / "Stowaway.json").write_text("{}", "utf-8")
    assert differences(built, tmp_path) == ["FeePool.json", "RateOracle.json", "Stowaway.json"]
    write(built, tmp_path)
    assert differences(built, tmp_path) == []


def test_changed_source_is_seen_without_a_compiler(tmp_path: Path) -> None:
    assert not stale()
    text = (ARTIFACTS / "standard-input.json").read_text("utf-8")
    changed = text.replace("/// @inheritdoc", "/// @Inheritdoc", 1)
    (tmp_path / "standard-input.json").write_text(changed, "utf-8")
    assert stale(tmp_path)


def test_every_artifact_loads() -> None:
    assert artifact_names() == SHIPPED
    for name in SHIPPED:
        artifact = load_artifact(name)
        assert artifact.name == name
        assert artifact.abi
        assert 0 < len(artifact.deployed_bytecode) <= MAX_CODE
        assert len(artifact.deployed_bytecode) < len(artifact.bytecode) <= MAX_INITCODE


def test_unknown_artifact_lists_the_names() -> None:
    with pytest.raises(InputError) as error:
        load_artifact("RateOracel")
    assert "RateOracel" in error.value.message
    assert "RateOracle" in str(error.value.hint)


def test_masking_hides_immutables_and_nothing_else() -> None:
    artifact = load_artifact("CreditDistributor")
    code = bytearray(artifact.deployed_bytecode)
    for start, length in artifact.immutable_ranges:
        code[start : start + length] = bytes([0xAB]) * length
    assert artifact.masked(bytes(code)) == artifact.deployed_bytecode
    code[0] ^= 1
    assert artifact.masked(bytes(code)) != artifact.deployed_bytecode
    assert artifact.masked(b"") == b""


def test_compiler_input_is_complete() -> None:
    shipped = standard_input()["sources"]
    sources = shipped_sources()
    assert set(shipped) == set(sources)
    for name, text in sources.items():
        if name.startswith("@openzeppelin/"):
            assert "content" not in shipped[name]
            assert shipped[name]["keccak256"] == "0x" + keccak(text.encode()).hex()
        else:
            assert shipped[name] == {"content": text}
    assert ARTIFACTS.is_dir()
