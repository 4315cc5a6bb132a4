"""Which keys `timebank oracle run` works with.

signers
|- one folder: its only wallet, or the one of --from; several and no --from is an error that advises it
|- several files: all of them, in their order; --from puts the one that pays first
|- a folder with --from beside files of other members
`- --from of nobody, or of another keystore, is refused
"""

from __future__ import annotations

from pathlib import Path

import pytest

from timebank_chain.chain.keystore import KeystoreWallets
from timebank_chain.cli.oracle_session import open_signers
from timebank_chain.errors import UsageError, WalletError

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path], list[str], Path]:
    """A folder of three wallets, its files, their addresses, and the password file."""
    folder = tmp_path_factory.mktemp("keys")
    (folder / "password").write_text(PASSWORD + "\n")
    wallets = KeystoreWallets(folder / "wallets")
    made = [wallets.import_key(bytes([number] * 32), PASSWORD) for number in (1, 2, 3)]
    return folder / "wallets", [one.path for one in made], [one.address for one in made], folder / "password"


def test_from_chooses_in_a_folder(keys: tuple[Path, list[Path], list[str], Path]) -> None:
    folder, _, addresses, password = keys
    assert [one.address for one in open_signers([folder], addresses[1], password)] == [addresses[1]]
    with pytest.raises(UsageError, match="3 wallets in") as caught:
        open_signers([folder], None, password)
    assert "--from" in (caught.value.hint or "")


def test_from_chooses_among_the_users_own_wallets(
    keys: tuple[Path, list[Path], list[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _, addresses, password = keys
    monkeypatch.setenv("TIMEBANK_KEYSTORES", str(folder))
    assert [one.address for one in open_signers([], addresses[2], password)] == [addresses[2]]


def test_several_files_all_sign_and_from_pays(keys: tuple[Path, list[Path], list[str], Path]) -> None:
    folder, files, addresses, password = keys
    in_order = open_signers(files, None, password)
    assert [one.address for one in in_order] == addresses
    second_pays = open_signers(files, addresses[1], password)
    assert [one.address for one in second_pays] == [addresses[1], addresses[0], addresses[2]]
    beside = open_signers([files[0], folder], addresses[2], password)
    assert [one.address for one in beside] == [addresses[2], addresses[0]]


def test_from_of_another_wallet_is_refused(keys: tuple[Path, list[Path], list[str], Path]) -> None:
    folder, files, addresses, password = keys
    with pytest.raises(UsageError, match="the keystore"):
        open_signers(files[:1], addresses[1], password)
    with pytest.raises(UsageError, match="the keystores belong to"):
        open_signers(files[:2], addresses[2], password)
    with pytest.raises(WalletError):
        open_signers([folder], "0x" + "11" * 20, password)
