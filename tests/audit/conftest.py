"""Honest histories on chains of their own, rolled back before every test; copies of their epochs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.audit.bank_history import BankHistory, make_bank_history
from tests.audit.challenge_history import make_challenge_history
from tests.audit.history import History, make_history
from tests.chain_fixtures import own_anvil, own_chain, snapshot
from timebank_chain.chain.connection import connect


@pytest.fixture(scope="session")
def embedded_history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """The history on the embedded chain; nobody may change it."""
    return make_history(connect(), tmp_path_factory.mktemp("embedded-history"))


@pytest.fixture(scope="session")
def lived_history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """The history for whoever reads it; nobody may change it."""
    with own_chain() as connection:
        yield make_history(connection, tmp_path_factory.mktemp("lived-history"))


@pytest.fixture(scope="session")
def _anvil_history(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[History, Callable[[], None]]]:
    with own_anvil() as connection:
        yield make_history(connection, tmp_path_factory.mktemp("anvil-history")), snapshot(connection)


@pytest.fixture
def history(_anvil_history: tuple[History, Callable[[], None]], tmp_path: Path) -> History:
    """The history on anvil, to be spoiled: the chain is rolled back, the epochs are a copy."""
    made, back = _anvil_history
    back()
    copy = tmp_path / "epochs"
    shutil.copytree(made.epochs, copy)
    return replace(made, folder=tmp_path, epochs=copy)


@pytest.fixture(scope="session")
def lived_challenge_history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """The history of challenges; nobody may change it."""
    with own_chain() as connection:
        yield make_challenge_history(connection, tmp_path_factory.mktemp("lived-challenge-history"))


@pytest.fixture(scope="session")
def _anvil_challenge_history(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[History, Callable[[], None]]]:
    with own_anvil() as connection:
        yield (
            make_challenge_history(connection, tmp_path_factory.mktemp("anvil-challenge-history")),
            snapshot(connection),
        )


@pytest.fixture
def challenge_history(_anvil_challenge_history: tuple[History, Callable[[], None]]) -> History:
    """The history of challenges on anvil, to be spoiled: the chain is rolled back."""
    made, back = _anvil_challenge_history
    back()
    return made


@pytest.fixture(scope="session")
def embedded_bank_history(tmp_path_factory: pytest.TempPathFactory) -> BankHistory:
    """The bank's history on the embedded chain; nobody may change it."""
    return make_bank_history(connect(), tmp_path_factory.mktemp("embedded-bank-history"))


@pytest.fixture(scope="session")
def lived_bank_history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BankHistory]:
    """The bank's history for whoever reads it; nobody may change it."""
    with own_chain() as connection:
        yield make_bank_history(connection, tmp_path_factory.mktemp("lived-bank-history"))


@pytest.fixture(scope="session")
def _anvil_bank_history(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[BankHistory, Callable[[], None]]]:
    with own_anvil() as connection:
        yield (
            make_bank_history(connection, tmp_path_factory.mktemp("anvil-bank-history")),
            snapshot(connection),
        )


@pytest.fixture
def bank_history(_anvil_bank_history: tuple[BankHistory, Callable[[], None]], tmp_path: Path) -> BankHistory:
    """The bank's history on anvil, to be spoiled: the chain is rolled back, the epochs are a copy."""
    made, back = _anvil_bank_history
    back()
    copy = tmp_path / "epochs"
    shutil.copytree(made.epochs, copy)
    return replace(made, folder=tmp_path, epochs=copy)
