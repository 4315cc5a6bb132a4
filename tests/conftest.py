"""Fixtures for every test; see tests/chain_fixtures.py for the chains."""

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
