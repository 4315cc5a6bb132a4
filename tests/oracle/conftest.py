"""The stage, deployed once and rolled back before each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chain_fixtures import own_chain, snapshot
from tests.oracle.owing import Owing, set_owing
from tests.oracle.stage import HEADER, Stage, set_stage
from timebank_chain.oracle.state import chain_time


@pytest.fixture(scope="session")
def _deployed_stage(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Stage, Callable[[], None]]]:
    with own_chain() as connection:
        yield set_stage(connection, tmp_path_factory.mktemp("stage")), snapshot(connection)


@pytest.fixture
def stage(_deployed_stage: tuple[Stage, Callable[[], None]], tmp_path: Path) -> Stage:
    made, back = _deployed_stage
    back()
    feed = tmp_path / "feed.csv"
    feed.write_text(HEADER, "utf-8")
    # Going back brings no clock back: the first epoch starts at the present, not when the session did.
    made.world.connection.catch_up()
    start_ms = chain_time(made.world.connection) * 1_000
    settings = replace(made.settings, feed=feed, epochs=tmp_path / "epochs", first_epoch_start_ms=start_ms)
    return replace(made, folder=tmp_path, start_ms=start_ms, settings=settings)


@pytest.fixture(scope="session")
def _owing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owing]:
    with own_chain() as connection:
        yield set_owing(connection, tmp_path_factory.mktemp("owing"))


@pytest.fixture
def owing(_owing: Owing, tmp_path: Path) -> Stage:
    """A bank in which everything wants tending; see ``tests.oracle.owing``."""
    return _owing.copy(tmp_path)
