"""Wallets on disk: Ethereum keystore V3 files, one per address.

The folder is readable by its owner only (0700), the files too (0600); a file is never overwritten.
Passwords come from a file or a prompt, private keys from a prompt, a file or standard input:
neither is ever an argument, because arguments are visible to every user of a machine.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address

from timebank_chain.chain.signer import LocalSigner
from timebank_chain.documents import parse_json, read_small_text, write_whole
from timebank_chain.errors import WalletError, WrongPassword

#: scrypt cost of the keystore standard: about a second and 256 MiB per guess.
SCRYPT_N = 2**18


@dataclass(frozen=True)
class Wallet:
    """One keystore file and the address it belongs to (as the file says, unproved until unlocked)."""

    address: ChecksumAddress
    path: Path


@dataclass(frozen=True)
class KeystoreWallets:
    """A folder of keystores.

    Attributes
    ----------
    folder
        Made when the first wallet is.
    scrypt_n
        Cost of deriving the key from a password, a power of two. Lower it in tests only.
    """

    folder: Path
    scrypt_n: int = SCRYPT_N

    def create(self, password: str) -> Wallet:
        """Make a new key and keep it under a password."""
        return self.import_key(secrets.token_bytes(32), password)

    def import_key(self, private_key: bytes, password: str) -> Wallet:
        """Keep an existing private key (32 bytes) under a password.

        Raises
        ------
        WalletError
            If the key is none, the password is empty or the wallet is already there.
        """
        if not password:
            raise WalletError("the password is empty", hint="choose one that nobody guesses")
        address = LocalSigner(private_key).address
        path = self.folder / f"{address}.json"
        if any(wallet.address == address for wallet in self.wallets()):
            raise WalletError(
                f"wallet {address} is already in {self.folder}",
                hint="use it, or move its file away first; keystores are never overwritten",
            )
        document = Account.encrypt(private_key, password, kdf="scrypt", iterations=self.scrypt_n)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)
        try:
            write_whole(path, json.dumps(document), mode=0o600, sync=True, replace=False)
        except FileExistsError:
            raise WalletError(f"{path} already exists", hint="keystores are never overwritten") from None
        return Wallet(address, path)

    def wallets(self) -> list[Wallet]:
        """Return the wallets in the folder, ordered by address; files that are no keystore are left out."""
        if not self.folder.is_dir():
            return []
        found = []
        for path in sorted(self.folder.iterdir()):
            if path.is_file() and not path.name.startswith("."):
                try:
                    found.append(Wallet(_address_in(_read(path), path), path))
                except WalletError:
                    continue
        return sorted(found, key=lambda wallet: wallet.address.lower())

    def find(self, address: str) -> Wallet:
        """Return the wallet of an address.

        Raises
        ------
        WalletError
            If the folder has none.
        """
        for wallet in self.wallets():
            if wallet.address == address:
                return wallet
        raise WalletError(
            f"no keystore for {address} in {self.folder}",
            hint="see `timebank wallet list`, or give the file with --keystore",
        )


def unlock(path: Path, password: str) -> LocalSigner:
    """Open a keystore file.

    Raises
    ------
    WrongPassword
        If the password does not open it.
    WalletError
        If the file is no keystore, or holds another key than its address says.
    """
    document = _read(path)
    claimed = _address_in(document, path)
    try:
        key = bytes(Account.decrypt(document, password))
    except ValueError as error:
        if "MAC mismatch" in str(error):
            raise WrongPassword(
                f"wrong password for {claimed}",
                where=str(path),
                hint="try again, or point --password-file at the right file",
            ) from None
        raise WalletError(f"not a keystore V3 file: {error}", where=str(path)) from error
    except (KeyError, TypeError, NotImplementedError, AttributeError) as error:
        raise WalletError(f"not a keystore V3 file: {error!r}", where=str(path)) from error
    signer = LocalSigner(key)
    if signer.address != claimed:
        raise WalletError(f"the file says {claimed} but holds the key of {signer.address}", where=str(path))
    return signer


def read_password(path: Path) -> str:
    """Read a password file: its first line, without the line break.

    Raises
    ------
    WalletError
        If the file cannot be read or its first line is empty.
    """
    try:
        text = read_small_text(path)
    except (OSError, ValueError) as error:
        raise WalletError(
            f"cannot read the password file: {error}", where=str(path), hint="give a text file with one line"
        ) from error
    password = text.split("\n", 1)[0].rstrip("\r")
    if not password:
        raise WalletError("the password file's first line is empty", where=str(path))
    return password


def parse_private_key(text: str) -> bytes:
    """Read a private key of 64 hex digits, with or without ``0x``.

    The message of a failure never repeats the text.
    """
    digits = text.strip().removeprefix("0x")
    try:
        key = bytes.fromhex(digits)
    except ValueError:
        key = b""
    if len(digits) != 64 or len(key) != 32:
        raise WalletError("not a private key", hint="give 64 hex digits, with or without 0x")
    LocalSigner(key)
    return key


def _read(path: Path) -> dict[str, Any]:
    try:
        document = parse_json(read_small_text(path))
    except FileNotFoundError:
        raise WalletError("no such keystore", where=str(path), hint="see `timebank wallet list`") from None
    except (OSError, ValueError) as error:
        raise WalletError(f"not a keystore file: {error}", where=str(path)) from error
    if not isinstance(document, dict):
        raise WalletError("not a keystore file: no JSON object", where=str(path))
    return document


def _address_in(document: dict[str, Any], path: Path) -> ChecksumAddress:
    text = document.get("address")
    if document.get("version") != 3 or not isinstance(text, str) or "crypto" not in document:
        raise WalletError("not a keystore V3 file", where=str(path))
    try:
        return to_checksum_address("0x" + text.removeprefix("0x"))
    except ValueError as error:
        raise WalletError(f"not an address: {text!r}", where=str(path)) from error
