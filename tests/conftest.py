"""Fixtures for every test; see tests/chain_fixtures.py for the chains."""

from collections.abc import Iterator

import pytest
import structlog

from tests.chain_fixtures import (  # noqa: F401 - importing makes them fixtures of the whole tree
    _anvil_bare,
    _anvil_deployed,
    _embedded_bare,
    _embedded_deployed,
    anvil,
    anvil_url,
    anvil_world,
    chain,
    embedded,
    embedded_world,
    world,
)

#: Folders whose files take minutes for a few tests.
LONG = frozenset({"e2e", "walk"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is left alone with it at the end."""
    items.sort(key=lambda item: LONG.isdisjoint(item.path.parts))


@pytest.fixture(autouse=True)
def _log_of_its_own() -> Iterator[None]:
    """Forget where a command inside a test sent its log: that stream is closed when the test ends."""
    yield
    structlog.reset_defaults()
