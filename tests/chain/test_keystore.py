"""Wallets on disk.

::

    create / import
    |- opens again with its password, signs as its address
    |- file 0600 in a folder 0700
    |- never overwritten: the same key twice -> WalletError, the first file unchanged
    `- empty password -> WalletError
    unlock
    |- wrong password -> WrongPassword
    |- made by another program -> opens
    |- no keystore, broken JSON, missing fields -> WalletError naming the file
    `- address exchanged -> WalletError
    list: only keystores, ordered
    password file: first line; empty or missing -> WalletError
    private key text: never repeated in a message
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from eth_account import Account

from timebank_chain.chain.keystore import (
    SCRYPT_N,
    KeystoreWallets,
    parse_private_key,
    read_password,
    unlock,
)
from timebank_chain.chain.signer import LocalSigner
from timebank_chain.errors import WalletError, WrongPassword

KEY = bytes(31) + b"\x07"


@pytest.fixture
def wallets(tmp_path: Path) -> KeystoreWallets:
    return KeystoreWallets(tmp_path / "wallets", scrypt_n=2)


def test_created_wallet_opens_and_signs_as_its_address(wallets: KeystoreWallets) -> None:
    wallet = wallets.create("correct horse")
    signer = unlock(wallet.path, "correct horse")
    assert signer.address == wallet.address
    digest = b"\x05" * 32
    recovered = Account._recover_hash(digest, signature=signer.sign_digest(digest))
    assert recovered == wallet.address


def test_two_created_wallets_differ(wallets: KeystoreWallets) -> None:
    assert wallets.create("a").address != wallets.create("a").address


def test_only_the_owner_can_read(wallets: KeystoreWallets) -> None:
    wallet = wallets.create("p")
    assert wallet.path.stat().st_mode & 0o777 == 0o600
    assert wallets.folder.stat().st_mode & 0o777 == 0o700


def test_nothing_else_is_left_in_the_folder(wallets: KeystoreWallets) -> None:
    wallet = wallets.create("p")
    assert [path.name for path in wallets.folder.iterdir()] == [wallet.path.name]


def test_same_key_twice_leaves_the_first_file(wallets: KeystoreWallets) -> None:
    wallet = wallets.import_key(KEY, "first")
    before = wallet.path.read_bytes()
    with pytest.raises(WalletError, match="already"):
        wallets.import_key(KEY, "second")
    assert wallet.path.read_bytes() == before


def test_file_of_the_same_name_is_never_overwritten(wallets: KeystoreWallets) -> None:
    address = LocalSigner(KEY).address
    wallets.folder.mkdir()
    squatter = wallets.folder / f"{address}.json"
    squatter.write_text("not a keystore")
    with pytest.raises(WalletError, match="already exists"):
        wallets.import_key(KEY, "p")
    assert squatter.read_text() == "not a keystore"


def test_empty_password_is_refused(wallets: KeystoreWallets) -> None:
    with pytest.raises(WalletError, match="empty"):
        wallets.create("")
    assert wallets.wallets() == []


def test_wrong_password(wallets: KeystoreWallets) -> None:
    wallet = wallets.create("right")
    with pytest.raises(WrongPassword, match=wallet.address):
        unlock(wallet.path, "wrong")


def test_default_cost_is_the_standard_one(tmp_path: Path) -> None:
    wallet = KeystoreWallets(tmp_path).import_key(KEY, "p")
    parameters = json.loads(wallet.path.read_text())["crypto"]["kdfparams"]
    assert parameters["n"] == SCRYPT_N == 262_144
    assert unlock(wallet.path, "p").address == wallet.address


def test_keystore_of_another_program_opens(tmp_path: Path) -> None:
    document = Account.encrypt(KEY, "p", kdf="pbkdf2", iterations=2)
    document["address"] = "0x" + document["address"]
    path = tmp_path / "UTC--2026-01-01--foreign"
    path.write_text(json.dumps(document))
    assert unlock(path, "p").address == LocalSigner(KEY).address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"version": 1, "address": "00", "crypto": {}}',
        '{"version": 3, "address": "zz", "crypto": {}}',
    ],
)
def test_what_is_no_keystore_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(WalletError, match=r"broken\.json"):
        unlock(path, "p")


def test_missing_crypto_fields_are_named(wallets: KeystoreWallets) -> None:
    wallet = wallets.create("p")
    document = json.loads(wallet.path.read_text())
    del document["crypto"]["ciphertext"]
    wallet.path.write_text(json.dumps(document))
    with pytest.raises(WalletError, match="not a keystore V3"):
        unlock(wallet.path, "p")


def test_exchanged_address_is_noticed(wallets: KeystoreWallets) -> None:
    wallet, other = wallets.create("p"), wallets.create("p")
    document = json.loads(wallet.path.read_text())
    document["address"] = other.address[2:].lower()
    wallet.path.write_text(json.dumps(document))
    with pytest.raises(WalletError, match="holds the key of"):
        unlock(wallet.path, "p")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WalletError, match="no such keystore"):
        unlock(tmp_path / "none.json", "p")


def test_list_holds_keystores_only_in_order(wallets: KeystoreWallets) -> None:
    made = {wallets.create("p").address for _ in range(3)}
    (wallets.folder / "notes.txt").write_text("hello")
    listed = [wallet.address for wallet in wallets.wallets()]
    assert set(listed) == made
    assert listed == sorted(listed, key=str.lower)


def test_find_names_the_missing_address(wallets: KeystoreWallets) -> None:
    wallet = wallets.create("p")
    assert wallets.find(wallet.address) == wallet
    with pytest.raises(WalletError, match=LocalSigner(KEY).address):
        wallets.find(LocalSigner(KEY).address)


@pytest.mark.parametrize(
    ("content", "expected"), [("pw", "pw"), ("pw\n", "pw"), ("pw\r\nsecond", "pw"), (" p w ", " p w ")]
)
def test_password_is_the_first_line(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "password"
    path.write_bytes(content.encode())
    assert read_password(path) == expected


@pytest.mark.parametrize("content", ["", "\nsecond"])
def test_empty_password_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "password"
    path.write_text(content)
    with pytest.raises(WalletError, match="empty"):
        read_password(path)
    with pytest.raises(WalletError, match="cannot read"):
        read_password(tmp_path / "missing")


def test_private_key_text() -> None:
    assert parse_private_key("0x" + KEY.hex() + "\n") == KEY
    assert parse_private_key(KEY.hex()) == KEY


@pytest.mark.parametrize("text", ["", "12", "f" * 64, "0" * 64, "xy" * 32, "ab" * 33])
def test_bad_private_key_is_never_repeated(text: str) -> None:
    with pytest.raises(WalletError) as caught:
        parse_private_key(text)
    said = f"{caught.value} {caught.value.hint}"
    assert not text or len(text) < 3 or text not in said


def test_signer_never_shows_its_key() -> None:
    assert repr(LocalSigner(KEY)) == f"LocalSigner({LocalSigner(KEY).address})"
