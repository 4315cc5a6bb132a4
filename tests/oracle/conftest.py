"""The stage, deployed once and rolled back before each test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chain_fixtures import snapshot
from tests.oracle.stage import HEADER, Stage, set_stage
from timebank_chain.chain.connection import connect


@pytest.fixture(scope="session")
def _deployed_stage(tmp_path_factory: pytest.TempPathFactory) -> tuple[Stage, Callable[[], None]]:
    made = set_stage(connect(), tmp_path_factory.mktemp("stage"))
    return made, snapshot(made.world.connection)


@pytest.fixture
def stage(_deployed_stage: tuple[Stage, Callable[[], None]], tmp_path: Path) -> Stage:
    made, back = _deployed_stage
    back()
    feed = tmp_path / "feed.csv"
    feed.write_text(HEADER, "utf-8")
    settings = replace(made.settings, feed=feed, epochs=tmp_path / "epochs")
    return replace(made, folder=tmp_path, settings=settings)
