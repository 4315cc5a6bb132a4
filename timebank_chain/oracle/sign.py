"""Quorum signatures: made over a header's digest, kept as small files, checked before they are used.

A member signs the EIP-712 digest, which binds the header to one chain and one RateOracle. The file
``signatures/<address>.json`` lies in the published epoch's folder; how it gets there (a pull
request, rsync, a shared disk) is up to the quorum, because a wrong file is worth nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.address import to_checksum_address
from eth_utils.exceptions import ValidationError

from timebank_chain.chain.signer import Signer
from timebank_chain.documents import TooLarge, parse_json, read_small_text, write_whole
from timebank_chain.epoch import EpochHeader
from timebank_chain.errors import OracleError

SIGNATURE_SCHEMA = "timebank.signature/1"
SIGNATURES_FOLDER = "signatures"
_HALF_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 // 2
_MAX_FILE_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class HeaderSignature:
    """One member's signature over one header: 20-byte signer, 65 bytes ``r || s || v``."""

    epoch: int
    header_hash: bytes
    signer: bytes
    signature: bytes

    def to_json(self) -> dict[str, object]:
        """Return the document ``timebank.signature/1``."""
        return {
            "schema": SIGNATURE_SCHEMA,
            "epoch": self.epoch,
            "headerHash": "0x" + self.header_hash.hex(),
            "signer": to_checksum_address(self.signer),
            "signature": "0x" + self.signature.hex(),
        }


@dataclass(frozen=True, slots=True)
class Collected:
    """The signatures that count, ascending by signer, and why each other file does not."""

    signatures: tuple[HeaderSignature, ...]
    refused: tuple[tuple[str, str], ...]
    threshold: int

    @property
    def complete(self) -> bool:
        """Whether there are enough."""
        return len(self.signatures) >= self.threshold

    def require(self, header: EpochHeader) -> list[bytes]:
        """Return the signatures in the order the contract wants them.

        Raises
        ------
        OracleError
            If there are too few, naming every file that was refused.
        """
        if not self.complete:
            refused = "; ".join(f"{name}: {reason}" for name, reason in self.refused)
            raise OracleError(
                f"{len(self.signatures)} of {self.threshold} signatures for epoch {header.epoch}"
                + (f" ({refused})" if refused else ""),
                hint=f"every other member runs `timebank oracle sign {header.epoch}` and drops the file into "
                f"{header.epoch:06d}/{SIGNATURES_FOLDER}",
            )
        return [signature.signature for signature in self.signatures]


def sign_header(header: EpochHeader, signer: Signer, chain_id: int, oracle_address: bytes) -> HeaderSignature:
    """Sign a header for the RateOracle at ``oracle_address`` (20 bytes) on chain ``chain_id``."""
    digest = header.digest(chain_id, oracle_address)
    return HeaderSignature(
        epoch=header.epoch,
        header_hash=header.hash(),
        signer=bytes.fromhex(signer.address[2:]),
        signature=signer.sign_digest(digest),
    )


def recover_signer(digest: bytes, signature: bytes) -> bytes:
    """Return the 20-byte address that signed ``digest``, by the contract's rules.

    Raises
    ------
    OracleError
        If the signature is malformed or malleable (s in the upper half), which OpenZeppelin refuses too.
    """
    if len(signature) != 65:
        raise OracleError(f"a signature has 65 bytes, not {len(signature)}")
    if signature[64] not in (27, 28):
        raise OracleError(f"the recovery byte is {signature[64]}, not 27 or 28")
    if int.from_bytes(signature[32:64], "big") > _HALF_ORDER:
        raise OracleError("the signature is malleable: its s lies in the upper half of the order")
    try:
        parsed = Signature(signature[:64] + bytes([signature[64] - 27]))
        return parsed.recover_public_key_from_msg_hash(digest).to_canonical_address()
    except (BadSignature, ValidationError) as error:
        raise OracleError(f"the signature is not one: {error}") from error


def write_signature(epoch_folder: Path, signature: HeaderSignature) -> Path:
    """Write the signature file into a published epoch's folder, whole or not at all; return its path."""
    folder = epoch_folder / SIGNATURES_FOLDER
    folder.mkdir(exist_ok=True)
    path = folder / f"{to_checksum_address(signature.signer)}.json"
    text = json.dumps(signature.to_json(), indent=2) + "\n"
    write_whole(path, text, mode=0o644, sync=True)
    return path


def read_signature(path: Path) -> HeaderSignature:
    """Read a signature file.

    Raises
    ------
    OracleError
        If it is no ``timebank.signature/1`` document.
    """
    try:
        document = parse_json(read_small_text(path, _MAX_FILE_BYTES))
    except TooLarge as error:
        raise OracleError("too large for a signature", where=str(path)) from error
    except (OSError, ValueError) as error:
        raise OracleError(f"not a readable JSON file: {error}", where=str(path)) from error
    if not isinstance(document, dict) or document.get("schema") != SIGNATURE_SCHEMA:
        raise OracleError(f"not a {SIGNATURE_SCHEMA} document", where=str(path))
    epoch = document.get("epoch")
    if not isinstance(epoch, int) or isinstance(epoch, bool):
        raise OracleError(f"not an epoch number: {epoch!r}", where=f"{path}, field 'epoch'")
    return HeaderSignature(
        epoch=epoch,
        header_hash=_hex(document, "headerHash", 32, path),
        signer=_hex(document, "signer", 20, path),
        signature=_hex(document, "signature", 65, path),
    )


def collect_signatures(
    epoch_folder: Path,
    header: EpochHeader,
    *,
    chain_id: int,
    oracle_address: bytes,
    quorum: Collection[bytes],
    threshold: int,
) -> Collected:
    """Check every signature file of an epoch against the header and the quorum.

    Parameters
    ----------
    epoch_folder
        The published epoch (``EPOCHS/000001``).
    quorum
        The members' 20-byte addresses, as the RateOracle holds them.
    threshold
        How many must have signed.
    """
    digest = header.digest(chain_id, oracle_address)
    accepted: dict[bytes, HeaderSignature] = {}
    refused: list[tuple[str, str]] = []
    for path in sorted((epoch_folder / SIGNATURES_FOLDER).glob("*.json")):
        try:
            signature = read_signature(path)
            _check(signature, header, digest, quorum)
        except OracleError as error:
            refused.append((path.name, error.message))
            continue
        if signature.signer in accepted:
            refused.append((path.name, f"{to_checksum_address(signature.signer)} signed already"))
            continue
        accepted[signature.signer] = signature
    ascending = tuple(accepted[signer] for signer in sorted(accepted))
    return Collected(ascending, tuple(refused), threshold)


def _check(signature: HeaderSignature, header: EpochHeader, digest: bytes, quorum: Collection[bytes]) -> None:
    if signature.header_hash != header.hash():
        raise OracleError(f"signs another header: 0x{signature.header_hash.hex()}")
    if signature.signer not in quorum:
        raise OracleError(f"{to_checksum_address(signature.signer)} is no member of the quorum")
    recovered = recover_signer(digest, signature.signature)
    if recovered != signature.signer:
        raise OracleError(
            f"was not made by {to_checksum_address(signature.signer)} for this header, chain and oracle"
        )


def _hex(document: dict[str, object], name: str, size: int, path: Path) -> bytes:
    value = document.get(name)
    try:
        if not isinstance(value, str) or not value.startswith("0x"):
            raise ValueError
        raw = bytes.fromhex(value[2:])
    except ValueError:
        raise OracleError(f"not hexadecimal with 0x: {value!r}", where=f"{path}, field {name!r}") from None
    if len(raw) != size:
        raise OracleError(f"{len(raw)} bytes, not {size}", where=f"{path}, field {name!r}")
    return raw
