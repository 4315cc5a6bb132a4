"""Quorum signatures.

sign
|- a signature recovers to its signer, by our rules and by the contract's digest
`- the file says who signed what
collect
|- valid ones come ascending by signer, however the files are named
|- too few: the error counts them and names what was refused
|- refused: flipped bit (each part), another header, another chain, another oracle, foreign signer,
|  repeated, malleable, wrong length, no JSON, too large
contract
|- takes what we collect
`- refuses too few, repeated, foreign and descending signatures, and a wrong bond, by name
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.oracle.stage import EPOCH_MS, Stage
from tests.world import SIGNERS
from timebank_chain.chain import reverts
from timebank_chain.epoch import EpochHeader, read_epoch
from timebank_chain.errors import OracleError
from timebank_chain.oracle.sign import (
    Collected,
    collect_signatures,
    read_signature,
    recover_signer,
    sign_header,
    write_signature,
)

CHAIN = 31_337
ORACLE = bytes.fromhex("11" * 20)
QUORUM = frozenset(bytes.fromhex(SIGNERS[f"signer{n}"].address[2:]) for n in (1, 2, 3))
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
HEADER = EpochHeader(
    epoch=1,
    start_ms=1,
    end_ms=2,
    policy_hash=bytes(32),
    activity_root=bytes(32),
    activity_count=0,
    account_root=bytes(32),
    account_count=0,
    active_count=0,
    total_earned=0,
    total_mint=0,
    rate_q24=1,
    pot=0,
    previous_header_hash=bytes(32),
    data_hash=bytes(32),
    data_uri="",
)


def write(
    folder: Path, role: str, *, header: EpochHeader = HEADER, chain: int = CHAIN, oracle: bytes = ORACLE
) -> Path:
    return write_signature(folder, sign_header(header, SIGNERS[role], chain, oracle))


def collect(folder: Path, threshold: int = 2) -> Collected:
    return collect_signatures(
        folder, HEADER, chain_id=CHAIN, oracle_address=ORACLE, quorum=QUORUM, threshold=threshold
    )


def only_refusal(folder: Path) -> str:
    collected = collect(folder)
    assert collected.signatures == ()
    ((_, reason),) = collected.refused
    return reason


def change(path: Path, **fields: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_signature_recovers_to_its_signer(tmp_path: Path) -> None:
    path = write(tmp_path, "signer1")
    signature = read_signature(path)
    assert path.name == f"{SIGNERS['signer1'].address}.json"
    assert signature.header_hash == HEADER.hash()
    assert recover_signer(HEADER.digest(CHAIN, ORACLE), signature.signature) == signature.signer


def test_signatures_come_ascending_by_signer(tmp_path: Path) -> None:
    for number, role in enumerate(("signer3", "signer1", "signer2")):
        path = write(tmp_path, role)
        path.rename(path.with_name(f"{number}.json"))
    collected = collect(tmp_path)
    assert collected.complete
    assert [one.signer for one in collected.signatures] == sorted(QUORUM)


def test_too_few_are_counted_and_the_refused_named(tmp_path: Path) -> None:
    write(tmp_path, "signer1")
    write(tmp_path, "stranger")
    with pytest.raises(OracleError, match="1 of 2 signatures for epoch 1") as caught:
        collect(tmp_path).require(HEADER)
    assert "is no member of the quorum" in caught.value.message


@pytest.mark.parametrize("byte", [0, 31, 32, 63])
def test_a_flipped_bit_is_refused(tmp_path: Path, byte: int) -> None:
    path = write(tmp_path, "signer1")
    raw = bytearray(read_signature(path).signature)
    raw[byte] ^= 1
    change(path, signature="0x" + raw.hex())
    assert "was not made by" in only_refusal(tmp_path) or "not one" in only_refusal(tmp_path)


def test_another_recovery_byte_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "signer1")
    raw = bytearray(read_signature(path).signature)
    raw[64] ^= 7
    change(path, signature="0x" + raw.hex())
    assert collect(tmp_path).signatures == ()
    raw[64] = 0
    change(path, signature="0x" + raw.hex())
    assert only_refusal(tmp_path) == "the recovery byte is 0, not 27 or 28"


def test_a_signature_over_something_else_is_refused(tmp_path: Path) -> None:
    for name in ("chain", "oracle", "header"):
        (tmp_path / name).mkdir()
    write(tmp_path / "chain", "signer1", chain=1)
    write(tmp_path / "oracle", "signer1", oracle=bytes(20))
    assert "was not made by" in only_refusal(tmp_path / "chain")
    assert "was not made by" in only_refusal(tmp_path / "oracle")
    other = tmp_path / "header"
    path = write(other, "signer1", header=replace(HEADER, total_mint=1))
    assert "signs another header" in only_refusal(other)
    change(path, headerHash="0x" + HEADER.hash().hex())
    assert "was not made by" in only_refusal(other)


def test_a_repeated_signature_counts_once(tmp_path: Path) -> None:
    path = write(tmp_path, "signer1")
    path.with_name("copy.json").write_text(path.read_text())
    collected = collect(tmp_path)
    assert len(collected.signatures) == 1
    assert "signed already" in collected.refused[0][1]


def test_a_malleable_signature_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "signer1")
    raw = read_signature(path).signature
    high = (ORDER - int.from_bytes(raw[32:64], "big")).to_bytes(32, "big")
    change(path, signature="0x" + (raw[:32] + high + bytes([55 - raw[64]])).hex())
    assert "malleable" in only_refusal(tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("signature", "0x1234", "2 bytes, not 65"),
        ("signature", 7, "not hexadecimal"),
        ("signer", "0xzz", "not hexadecimal"),
        ("epoch", "one", "not an epoch number"),
        ("schema", "timebank.signature/9", "not a timebank.signature/1 document"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path: Path, field: str, value: object, message: str) -> None:
    change(write(tmp_path, "signer1"), **{field: value})
    assert message in only_refusal(tmp_path)


def test_a_file_too_large_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "signer1").write_text(" " * 5_000)
    assert only_refusal(tmp_path) == "too large for a signature"


def test_the_contract_refuses_by_name_what_we_would_not_send(stage: Stage) -> None:
    stage.act("a", "member1", 5)
    end = (stage.start_ms + EPOCH_MS) // 1_000
    stage.world.connection.advance_time(end + 2 - stage.world.connection.timestamp())
    stage.daemon("signer1").tick()
    header = read_epoch(stage.epochs, 1).header
    timebank = stage.world.timebank
    oracle = bytes.fromhex(timebank.rate_oracle.address[2:])
    chain = timebank.connection.chain_id
    made = {
        role: sign_header(header, SIGNERS[role], chain, oracle) for role in ("signer1", "signer2", "stranger")
    }
    one, two = sorted((made["signer1"], made["signer2"]), key=lambda signature: signature.signer)
    bond = timebank.rate_oracle.bond_wei()

    def refuses(error: type[Exception], signatures: list[bytes], wei: int = bond) -> None:
        with pytest.raises(error):
            stage.world.send("proposer", timebank.rate_oracle.propose(header, signatures, wei))

    refuses(reverts.TooFewSignatures, [one.signature])
    refuses(reverts.SignersNotAscending, [one.signature, one.signature])
    refuses(reverts.SignersNotAscending, [two.signature, one.signature])
    foreign = sorted((one, made["stranger"]), key=lambda signature: signature.signer)
    refuses(reverts.NotASigner, [signature.signature for signature in foreign])
    refuses(reverts.WrongBond, [one.signature, two.signature], bond - 1)
    stage.world.send("proposer", timebank.rate_oracle.propose(header, [one.signature, two.signature], bond))
