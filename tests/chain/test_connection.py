"""Reaching a chain.

::

    connect
    |- embedded: answers, is funded, ends with the process
    |- http: a real node answers
    |- a node on this machine is reached directly, whatever proxy is set; others are not
    |- a call is one request: the chain's id is asked for where it matters, not each time
    |- nobody listens -> ConnectionFailed with the address, without its secrets
    |- something else than a node answers -> ConnectionFailed
    `- no address at all -> UsageError
    clock
    |- moves forward on development chains
    |- never backwards
    `- of the embedded chain catches up with this machine's
    wrong chain -> WrongChain with both ids
"""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.chain_fixtures import free_port
from tests.world import World
from timebank_chain.chain.connection import Connection, connect, shown_url
from timebank_chain.chain.signer import LocalSigner
from timebank_chain.chain.transactions import Call, send
from timebank_chain.errors import ConnectionFailed, UsageError, WrongChain


class _Teapot(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"I am a teapot")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass


@pytest.fixture
def teapot() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Teapot)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.anvil
def test_a_node_on_this_machine_is_reached_directly(anvil_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    assert connect(anvil_url).block_number() >= 0
    with pytest.raises(ConnectionFailed, match="ProxyError"):
        connect("http://node.invalid:8545")


@pytest.mark.anvil
def test_a_call_is_one_request(anvil_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    connection = anvil_world.connection
    real = requests.Session.post

    def noted(self: requests.Session, url: str, data: bytes, **rest: Any) -> requests.Response:
        asked.append(json.loads(data)["method"])
        return real(self, url, data=data, **rest)

    # A node keeps no count of what it is asked, and web3 keeps the functions of its provider.
    monkeypatch.setattr(requests.Session, "post", noted)
    anvil_world.timebank.attention_credit.balance_of(anvil_world.address("member1"))
    assert asked == ["eth_call"]
    with pytest.raises(WrongChain):
        connection.require_chain(connection.chain_id + 1)
    assert asked[1:] == ["eth_chainId"]


def test_embedded_chain_answers_and_is_funded() -> None:
    connection = connect()
    assert connection.embedded
    assert connection.chain_id == connection.w3.eth.chain_id
    assert len(connection.development_keys()) == 10


def test_two_embedded_chains_share_nothing() -> None:
    first, second = connect(), connect()
    first.advance_time(100_000)
    assert second.timestamp() < first.timestamp() - 90_000


@pytest.mark.anvil
def test_real_node_answers(anvil: Connection) -> None:
    assert anvil.chain_id == 31337
    assert not anvil.embedded
    assert anvil.development_keys() == []


def test_node_down_is_named_with_its_address() -> None:
    port = free_port()
    with pytest.raises(ConnectionFailed, match=rf"http://127\.0\.0\.1:{port} ") as caught:
        connect(f"http://127.0.0.1:{port}")
    assert "--rpc-url" in (caught.value.hint or "")


def test_something_else_than_a_node_is_refused(teapot: str) -> None:
    with pytest.raises(ConnectionFailed, match="no node answers"):
        connect(teapot)


def test_no_address_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="mainnet"):
        connect("mainnet")


def test_secrets_in_an_address_are_not_shown() -> None:
    shown = shown_url("https://user:secret@node.example:8545/v3/apikey?token=t")
    assert shown == "https://node.example:8545/..."
    with pytest.raises(ConnectionFailed) as caught:
        connect(f"http://user:secret@127.0.0.1:{free_port()}/apikey")
    assert "secret" not in str(caught.value)
    assert "apikey" not in str(caught.value)


def test_clock_moves_forward(chain: Connection) -> None:
    before = chain.timestamp()
    after = chain.advance_time(3600)
    assert 3600 <= after - before <= 3610
    assert chain.timestamp() == after


@pytest.mark.parametrize("seconds", [0, -1])
def test_clock_never_moves_backwards(chain: Connection, seconds: int) -> None:
    with pytest.raises(UsageError):
        chain.advance_time(seconds)


def test_embedded_clock_catches_up_and_never_jumps_ahead() -> None:
    connection = connect()
    time.sleep(2.1)
    connection.catch_up()
    assert abs(connection.timestamp() - int(time.time())) <= 1
    connection.advance_time(500)
    ahead = connection.timestamp()
    connection.catch_up()
    assert connection.timestamp() == ahead


def test_embedded_clock_moves_a_little_after_a_long_pause() -> None:
    connection = connect()
    rich, poor = (LocalSigner(key) for key in connection.development_keys()[:2])
    time.sleep(4.1)
    # This block's time was fixed before the pause, the time of the one after it is the present.
    send(connection, rich, Call("coin", "transfer", poor.address, b"", value=1))
    before = connection.timestamp()
    assert connection.advance_time(1) > before


def test_wrong_chain_is_named_with_both_ids(chain: Connection) -> None:
    chain.require_chain(chain.chain_id)
    with pytest.raises(WrongChain, match=rf"{chain.chain_id}.*\b5\b"):
        chain.require_chain(5)
