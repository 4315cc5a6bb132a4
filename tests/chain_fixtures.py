"""Chains for tests: eth-tester in process and a real anvil, bare or with the whole system deployed.

Every test starts from the same state: chains and deployments are made once per test session and
rolled back to a snapshot before each test.

=================  =======================================================================
fixture            gives
=================  =======================================================================
``embedded``       Connection to eth-tester's PyEVM
``anvil_url``      address of a running anvil (skips, saying so, where npm has none)
``anvil``          Connection to it
``chain``          each of the two in turn
``embedded_world`` a system deployed on ``embedded``: a :class:`World`
``anvil_world``    a system deployed on ``anvil``
``world``          each of the two in turn
=================  =======================================================================
"""

from __future__ import annotations

import platform
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.world import World, deploy_world, fund
from timebank_chain.chain.connection import Connection, connect
from timebank_chain.errors import ConnectionFailed

REPOSITORY = Path(__file__).resolve().parent.parent


def anvil_binary() -> str | None:
    """The real binary: the npm wrapper around it always exits 0."""
    machine = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "amd64")
    name = f"anvil-{platform.system().lower()}-{machine}"
    binary = REPOSITORY / "contracts/node_modules/@foundry-rs" / name / "bin/anvil"
    return str(binary) if binary.exists() else shutil.which("anvil")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_anvil(*arguments: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start anvil on a free port of the loopback interface and wait until it answers."""
    binary = anvil_binary()
    if binary is None:
        pytest.skip("no anvil: run scripts/setup test, which installs it from npm")
    for _ in range(3):  # another process may take the port between finding and using it
        port = free_port()
        process = subprocess.Popen(
            [binary, "--host", "127.0.0.1", "--port", str(port), "--silent", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=0.2):
                    pass
                connect(url)
            except (OSError, ConnectionFailed):
                time.sleep(0.05)
            else:
                return process, url
        stop(process)
    raise RuntimeError("anvil does not start")


@contextmanager
def own_anvil() -> Iterator[Connection]:
    """An anvil of one's own; skips, saying so, where npm has none."""
    process, url = start_anvil()
    try:
        yield connect(url)
    finally:
        stop(process)


@contextmanager
def own_chain() -> Iterator[Connection]:
    """A chain of one's own: anvil, several times as fast as the embedded chain, which stands in for it."""
    if anvil_binary() is None:
        yield connect()
        return
    with own_anvil() as connection:
        yield connection


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def snapshot(connection: Connection) -> Callable[[], None]:
    """Remember the state; the returned function goes back to it, as often as called."""
    if connection.embedded:
        tester: Any = connection._tester
        taken = tester.take_snapshot()
        return lambda: tester.revert_to_snapshot(taken)
    request: Any = connection.w3.provider.make_request
    state = {"id": request("evm_snapshot", [])["result"]}

    def back() -> None:
        assert request("evm_revert", [state["id"]])["result"] is True
        state["id"] = request("evm_snapshot", [])["result"]  # anvil forgets a snapshot it has gone back to

    return back


@pytest.fixture(scope="session")
def anvil_url() -> Iterator[str]:
    process, url = start_anvil()
    try:
        yield url
    finally:
        stop(process)


def _bare(connection: Connection) -> tuple[Connection, Callable[[], None]]:
    fund(connection)
    return connection, snapshot(connection)


@pytest.fixture(scope="session")
def _embedded_bare() -> tuple[Connection, Callable[[], None]]:
    return _bare(connect())


@pytest.fixture(scope="session")
def _anvil_bare() -> Iterator[tuple[Connection, Callable[[], None]]]:
    with own_anvil() as connection:
        yield _bare(connection)


@pytest.fixture(scope="session")
def _embedded_deployed() -> tuple[World, Callable[[], None]]:
    world = deploy_world(connect())
    return world, snapshot(world.connection)


@pytest.fixture(scope="session")
def _anvil_deployed() -> Iterator[tuple[World, Callable[[], None]]]:
    # One of its own: on that of `anvil_url` modules let weeks pass that no snapshot takes back.
    with own_anvil() as connection:
        world = deploy_world(connection)
        yield world, snapshot(world.connection)


@pytest.fixture
def embedded(_embedded_bare: tuple[Connection, Callable[[], None]]) -> Connection:
    connection, back = _embedded_bare
    back()
    return connection


@pytest.fixture
def anvil(_anvil_bare: tuple[Connection, Callable[[], None]]) -> Connection:
    connection, back = _anvil_bare
    back()
    return connection


@pytest.fixture(params=["embedded", pytest.param("anvil", marks=pytest.mark.anvil)])
def chain(request: pytest.FixtureRequest) -> Connection:
    connection: Connection = request.getfixturevalue(request.param)
    return connection


@pytest.fixture
def embedded_world(_embedded_deployed: tuple[World, Callable[[], None]]) -> World:
    world, back = _embedded_deployed
    back()
    return world


@pytest.fixture
def anvil_world(_anvil_deployed: tuple[World, Callable[[], None]]) -> World:
    world, back = _anvil_deployed
    back()
    return world


@pytest.fixture(params=["embedded_world", pytest.param("anvil_world", marks=pytest.mark.anvil)])
def world(request: pytest.FixtureRequest) -> World:
    deployed: World = request.getfixturevalue(request.param)
    return deployed
