"""A vault, and communities that really lived on a chain: made once, copied or rolled back for every test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.audit.history import History, make_history
from tests.chain_fixtures import own_chain, snapshot
from tests.oracle.stage import HEADER, Stage, set_stage
from timebank_chain.attention.privacy.vault import Vault, make_vault
from timebank_chain.oracle.state import chain_time


@dataclass
class Keeper:
    """A vault and who manages it."""

    vault: Vault
    identity: Path


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    identity = tmp_path / "ana.identity"
    return Keeper(make_vault(tmp_path / "vault", "ana", identity), identity)


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """Three epochs on a chain; nobody may change it."""
    with own_chain() as connection:
        yield make_history(connection, tmp_path_factory.mktemp("lived"))


@pytest.fixture(scope="session")
def _deployed_stage(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Stage, Callable[[], None]]]:
    with own_chain() as connection:
        yield set_stage(connection, tmp_path_factory.mktemp("stage")), snapshot(connection)


@pytest.fixture
def stage(_deployed_stage: tuple[Stage, Callable[[], None]], tmp_path: Path) -> Stage:
    """An oracle with an empty feed, on the chain as it was deployed."""
    made, back = _deployed_stage
    back()
    feed = tmp_path / "feed.csv"
    feed.write_text(HEADER, "utf-8")
    made.world.connection.catch_up()
    start_ms = chain_time(made.world.connection) * 1_000
    settings = replace(made.settings, feed=feed, epochs=tmp_path / "epochs", first_epoch_start_ms=start_ms)
    return replace(made, folder=tmp_path, start_ms=start_ms, settings=settings)
