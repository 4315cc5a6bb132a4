"""fetch_epoch: a published epoch from anywhere, believed only as far as its header's hash
|- places: a folder of epochs or the epoch's own, file:, http, a redirect, ipfs through a gateway, sha256 in
|  a store; a source in place of the header's
|- foreign addresses: local paths, private addresses (also behind a redirect, a name, an IPv6 disguise),
|  other schemes, none
|- cannot be had (DataUnavailable): 404, 500 for ever, slow drip, silence, broken off, redirect loop, packed,
|  pipes and devices, too large; 500 once is tried again
|- is not what the hash says (TamperedEpoch): wrong, cut, longer, endless, announced longer; a manifest, sizes
|  or rows that the header vouches for but cannot be
|- cache: found again without network; damaged is fetched again, signatures stay; another needs replace;
|  killed leaves nothing half; two at once
`- the policy beside it
"""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.epoch import sample, test_decode
from timebank_chain.epoch import (
    EpochHeader,
    FetchOptions,
    PublishedEpoch,
    fetch_epoch,
    fetch_policy,
    policy_file,
    publish,
    read_epoch,
    read_policy,
)
from timebank_chain.epoch.file import (
    ACCOUNTS_FILE,
    ACTIVITIES_FILE,
    DATA_FILES,
    MANIFEST_FILE,
    encode_manifest,
)
from timebank_chain.epoch.guarded_http import is_public
from timebank_chain.errors import DataUnavailable, EpochError, TamperedEpoch, UsageError

Answer = Callable[["Handler"], None]
QUICK = FetchOptions(allow_private=True, attempts=1, deadline_s=30, pause_s=0.01)


class Handler(BaseHTTPRequestHandler):
    """Serves the files of a folder, except where the test says how to misbehave."""

    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.headers.append(dict(self.headers))
        answer = self.server.answers.get(self.path) or self.server.answers.get(self.path.rpartition("/")[2])
        try:
            if answer is not None:
                answer(self)
                return
            path = self.server.folder / self.path.lstrip("/")
            if path.is_file():
                self.give(path.read_bytes())
            else:
                self.send_error(404)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def give(self, body: bytes, *, status: int = 200, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.send(body)

    def send(self, body: bytes) -> None:
        self.wfile.write(body)
        self.wfile.flush()
        self.server.sent += len(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.sent = 0
        self.ending = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what these tests are about."""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> PublishedEpoch:
    return publish(sample.build(1, None), tmp_path_factory.mktemp("published"))


@pytest.fixture
def epochs(published: PublishedEpoch) -> Path:
    return published.folder.parent


@pytest.fixture
def server(epochs: Path) -> Iterator[Server]:
    with Server(epochs) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.ending.set()
        made.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def at(published: PublishedEpoch, uri: str) -> EpochHeader:
    return replace(published.header, data_uri=uri)


def here(published: PublishedEpoch, server: Server) -> EpochHeader:
    return at(published, f"{server.url}/000001")


def vouched(published: PublishedEpoch, folder: Path, files: dict[str, bytes], **fields: Any) -> EpochHeader:
    """Write files with a manifest into an epoch's folder and return a header that vouches for it."""
    target = folder / "000001"
    target.mkdir(parents=True)
    data = {name: (published.folder / name).read_bytes() for name in DATA_FILES} | files
    manifest = encode_manifest(1, data)
    for name, content in {MANIFEST_FILE: manifest, **data}.items():
        (target / name).write_bytes(content)
    digest = hashlib.sha256(manifest).digest()
    return replace(published.header, **{"data_hash": digest, "data_uri": "", **fields})


def nothing_half(cache: Path) -> bool:
    return {entry.name for entry in cache.iterdir()} <= {".000001.lock"}


# Places


@pytest.mark.parametrize("below", ["", "/000001"])
@pytest.mark.parametrize("kind", ["path", "file:", "http:"])
def test_a_source_is_a_folder_of_epochs_or_the_epochs_own(
    published: PublishedEpoch, epochs: Path, server: Server, cache: Path, kind: str, below: str
) -> None:
    base = {"path": str(epochs), "file:": epochs.as_uri(), "http:": server.url}[kind]
    options = FetchOptions(source=base + below, attempts=1)
    fetched = fetch_epoch(at(published, "ftp://unused.example"), cache, options)
    assert fetched.folder == cache / "000001"
    back = read_epoch(cache, 1)
    assert back.header == fetched.header == at(published, "ftp://unused.example")
    for one in (fetched, back):
        assert one.activities.tree.root == published.header.activity_root
        assert one.accounts.tree.root == published.header.account_root


def test_the_headers_own_address_is_followed_also_through_redirects(
    published: PublishedEpoch, server: Server, cache: Path
) -> None:
    for name in (MANIFEST_FILE, *DATA_FILES):
        server.answers[f"/old/{name}"] = lambda h, name=name: h.give(  # type: ignore[misc]  # bound at once
            b"", status=302, Location=f"../000001/{name}"
        )
    fetch_epoch(at(published, f"{server.url}/old"), cache, QUICK)
    assert {header["User-Agent"] for header in server.headers} == {"timebank-chain"}
    assert {header["Accept-Encoding"] for header in server.headers} == {"identity"}


def test_an_ipfs_address_is_asked_of_the_gateway(
    published: PublishedEpoch, server: Server, epochs: Path, tmp_path: Path, cache: Path
) -> None:
    server.folder = tmp_path / "gateway"
    (server.folder / "ipfs").mkdir(parents=True)
    (server.folder / "ipfs" / "bafy123").symlink_to(epochs)
    # The operator named the gateway, so it may be on his own machine.
    options = FetchOptions(gateway=server.url, attempts=1)
    fetch_epoch(at(published, "ipfs://bafy123/000001"), cache, options)
    assert server.asked[0] == f"/ipfs/bafy123/000001/{MANIFEST_FILE}"
    for bad in ("ipfs://", "ipfs://a b", "ipfs://bafy/../../x", "ipfs://..", "ipfs://bafy@evil.example"):
        with pytest.raises(DataUnavailable, match="not an IPFS address"):
            fetch_epoch(at(published, bad), tmp_path / "other", options)


def test_a_content_address_is_looked_up_in_a_store(
    published: PublishedEpoch, server: Server, epochs: Path, tmp_path: Path
) -> None:
    address = published.header.data_hash.hex()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / address).symlink_to(published.folder)
    for number, store in enumerate([str(tmp_path / "store"), str(epochs), server.url]):
        options = FetchOptions(store=store, attempts=1)
        fetch_epoch(at(published, f"sha256:{address}"), tmp_path / str(number), options)
    with pytest.raises(DataUnavailable, match="there is no store"):
        fetch_epoch(at(published, f"sha256:{address}"), tmp_path / "x", FetchOptions())
    with pytest.raises(DataUnavailable, match="the header's data hash is"):
        fetch_epoch(at(published, f"sha256:{'00' * 32}"), tmp_path / "x", FetchOptions(store=str(epochs)))


# Foreign addresses


@pytest.mark.parametrize("uri", ["{folder}", "file://{folder}", "FILE:{folder}", "file://localhost{folder}"])
def test_a_header_may_not_name_local_files(
    published: PublishedEpoch, epochs: Path, cache: Path, uri: str
) -> None:
    header = at(published, uri.format(folder=epochs))
    with pytest.raises(DataUnavailable, match="may not name a path of this machine") as caught:
        fetch_epoch(header, cache)
    assert "--allow-local" in (caught.value.hint or "")
    assert nothing_half(cache)
    fetch_epoch(header, cache, FetchOptions(allow_local=True))


@pytest.mark.parametrize(
    "uri",
    [
        "ftp://a.example/1",
        "gopher://a/1",
        "data:,1",
        "javascript:1",
        "HTTPX://a",
        "git+ssh://a/1",
        "dict://a",
    ],
)
def test_other_schemes_are_refused_by_name(published: PublishedEpoch, cache: Path, uri: str) -> None:
    scheme = uri.partition(":")[0].lower()
    with pytest.raises(DataUnavailable, match=f"cannot fetch from {scheme}".replace("+", r"\+")):
        fetch_epoch(at(published, uri), cache)
    with pytest.raises(UsageError, match="cannot fetch from"):
        fetch_epoch(published.header, cache, FetchOptions(source=uri))


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "http://",
        "http://[::1",
        "http://a:99999/",
        "file://other.example/x",
        "http://a\x1b[2J/",
        " http://a",
    ],
)
def test_what_is_no_address_is_refused(published: PublishedEpoch, cache: Path, uri: str) -> None:
    with pytest.raises(DataUnavailable) as caught:
        fetch_epoch(at(published, uri), cache, FetchOptions(allow_local=True))
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"]
)
def test_a_header_may_not_knock_at_this_machine(
    published: PublishedEpoch, server: Server, cache: Path, host: str
) -> None:
    port = server.server_address[1]
    with pytest.raises(DataUnavailable, match="not on the public internet"):
        fetch_epoch(at(published, f"http://{host}:{port}/000001"), cache, FetchOptions(attempts=1))
    assert server.asked == []


def test_a_redirect_may_not_lead_inside(
    published: PublishedEpoch, server: Server, epochs: Path, cache: Path
) -> None:
    with Server(epochs) as inner:
        inside = f"{inner.url}/000001/{MANIFEST_FILE}"
        server.answers[MANIFEST_FILE] = lambda h: h.give(b"", status=302, Location=inside)
        thread = threading.Thread(target=inner.serve_forever)
        thread.start()
        try:
            # The source may be local since the operator named it; where it leads to, he did not.
            with pytest.raises(DataUnavailable, match="not on the public internet"):
                fetch_epoch(published.header, cache, FetchOptions(source=server.url, attempts=1))
        finally:
            inner.shutdown()
            thread.join()
        assert inner.asked == []


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://a.example/", "data:,x", "http://[::1", ""])
def test_a_redirect_to_another_scheme_is_refused(
    published: PublishedEpoch, server: Server, cache: Path, location: str
) -> None:
    server.answers[MANIFEST_FILE] = lambda h: h.give(b"", status=301, Location=location)
    with pytest.raises(DataUnavailable, match="only http and https are followed"):
        fetch_epoch(here(published, server), cache, QUICK)


def test_a_name_is_resolved_once_and_every_address_checked(
    published: PublishedEpoch, server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = server.server_address[1]
    asked = []

    def resolve(host: str, *arguments: Any, **more: Any) -> list[Any]:
        asked.append(host)
        first = "9.9.9.9" if len(asked) == 1 else "127.0.0.1"  # a name that changes its mind
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in (first, "10.0.0.1")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(DataUnavailable, match=r"leads to 10\.0\.0\.1"):
        fetch_epoch(at(published, f"http://a.example:{port}/000001"), cache, FetchOptions(attempts=1))
    assert server.asked == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("9.9.9.9", True),
        ("2620:fe::fe", True),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("127.0.0.53", False),
        ("169.254.169.254", False),
        ("172.16.0.1", False),
        ("192.168.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - an address to refuse
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:9.9.9.9", True),
        ("2002:a00:1::", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::909:909", True),
        ("2001:0:a00:1::", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_the_environments_proxy_is_not_used(
    published: PublishedEpoch, server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    fetch_epoch(here(published, server), cache, QUICK)


# Cannot be had


def unavailable(
    published: PublishedEpoch, server: Server, cache: Path, message: str, **options: Any
) -> float:
    started = time.monotonic()
    with pytest.raises(DataUnavailable, match=message) as caught:
        fetch_epoch(here(published, server), cache, replace(QUICK, **options))
    assert type(caught.value) is DataUnavailable
    assert caught.value.exit_code == 1
    assert caught.value.hint
    assert nothing_half(cache)
    return time.monotonic() - started


@pytest.mark.parametrize("name", [MANIFEST_FILE, ACCOUNTS_FILE])
@pytest.mark.parametrize("status", [404, 403, 410, 204, 206, 500])
def test_an_answer_without_the_file(
    published: PublishedEpoch, server: Server, cache: Path, name: str, status: int
) -> None:
    server.answers[name] = lambda h: h.give(b"", status=status)
    unavailable(published, server, cache, f"the server answers {status}")


def test_an_error_that_passes_is_tried_again(published: PublishedEpoch, server: Server, cache: Path) -> None:
    genuine = (published.folder / ACTIVITIES_FILE).read_bytes()
    answers: list[Answer] = [
        lambda h: h.give(b"busy", status=503),
        lambda h: h.give(genuine[:99], length=len(genuine)),  # breaks off
        lambda h: h.give(genuine),
    ]

    def next_answer(handler: Handler) -> None:
        answers.pop(0)(handler)

    server.answers[ACTIVITIES_FILE] = next_answer
    fetch_epoch(here(published, server), cache, replace(QUICK, attempts=3))
    assert answers == []


def test_an_error_that_stays_is_tried_so_often(
    published: PublishedEpoch, server: Server, cache: Path
) -> None:
    server.answers["/000001/manifest.json"] = lambda h: h.give(b"", status=500)
    unavailable(published, server, cache, "the server answers 500", attempts=3)
    assert server.asked.count("/000001/manifest.json") == 3
    server.asked.clear()
    server.answers["/000001/manifest.json"] = lambda h: h.give(b"", status=404)
    unavailable(published, server, cache, "the server answers 404", attempts=3)
    assert server.asked.count("/000001/manifest.json") == 1


def drip_body(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.ending.wait(0.02):
        handler.send(b" ")


def drip_headers(handler: Handler) -> None:
    handler.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not handler.server.ending.wait(0.02):
        handler.send(b"x")


def go_on_for_ever(handler: Handler) -> None:
    while not handler.server.ending.wait(0.02):
        handler.send(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.parametrize("drip", [drip_body, drip_headers, go_on_for_ever])
def test_a_slow_drip_ends_at_the_deadline(
    published: PublishedEpoch, server: Server, cache: Path, drip: Answer
) -> None:
    server.answers[ACTIVITIES_FILE] = drip
    took = unavailable(published, server, cache, "not had within 1 seconds", deadline_s=1.0, attempts=9)
    assert took < 5


def test_silence_ends_at_the_read_timeout(published: PublishedEpoch, server: Server, cache: Path) -> None:
    server.answers[MANIFEST_FILE] = lambda h: h.server.ending.wait(20) and None
    assert unavailable(published, server, cache, "no answer", read_timeout_s=0.2) < 5


def test_an_answer_that_breaks_off(published: PublishedEpoch, server: Server, cache: Path) -> None:
    genuine = (published.folder / ACTIVITIES_FILE).read_bytes()
    server.answers[ACTIVITIES_FILE] = lambda h: h.give(genuine[:100], length=len(genuine))
    unavailable(published, server, cache, "broke off")


def test_nobody_listens(published: PublishedEpoch, server: Server, cache: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        header = at(published, f"http://127.0.0.1:{taken.getsockname()[1]}/")
        with pytest.raises(DataUnavailable, match="no answer: Connection refused"):
            fetch_epoch(header, cache, QUICK)


def test_a_redirect_loop_ends(published: PublishedEpoch, server: Server, cache: Path) -> None:
    server.answers[MANIFEST_FILE] = lambda h: h.give(b"", status=307, Location=h.path)
    unavailable(published, server, cache, "redirected more than 5 times")
    assert len(server.asked) == 2 * 6


def test_a_packed_answer_is_not_unpacked(published: PublishedEpoch, server: Server, cache: Path) -> None:
    bomb = test_decode.packed_zeros("gzip", 64 << 20)
    server.answers[ACTIVITIES_FILE] = lambda h: h.give(bomb, Content_Encoding="gzip")
    unavailable(published, server, cache, "packs the file .'gzip'.")


def test_a_pipe_or_device_is_no_file(published: PublishedEpoch, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "000001").mkdir()
    os.mkfifo(tmp_path / "000001" / MANIFEST_FILE)
    with pytest.raises(DataUnavailable, match="not a regular file"):
        fetch_epoch(published.header, cache, FetchOptions(source=str(tmp_path / "000001")))
    (tmp_path / "000001" / MANIFEST_FILE).unlink()
    (tmp_path / "000001" / MANIFEST_FILE).symlink_to("/dev/zero")
    with pytest.raises(DataUnavailable, match="not a regular file"):
        fetch_epoch(published.header, cache, FetchOptions(source=str(tmp_path / "000001")))


def test_more_than_allowed_is_not_fetched(published: PublishedEpoch, server: Server, cache: Path) -> None:
    unavailable(published, server, cache, "needs .* bytes, allowed are 1000", max_bytes=1_000)
    assert server.asked == []


# Not what the hash says


def tampered(published: PublishedEpoch, server: Server, cache: Path, message: str) -> TamperedEpoch:
    with pytest.raises(TamperedEpoch, match=message) as caught:
        fetch_epoch(here(published, server), cache, QUICK)
    assert nothing_half(cache)
    return caught.value


@pytest.mark.parametrize("name", [MANIFEST_FILE, *DATA_FILES])
def test_wrong_bytes(published: PublishedEpoch, server: Server, cache: Path, name: str) -> None:
    wrong = bytearray((published.folder / name).read_bytes())
    wrong[-1] ^= 1
    server.answers[f"/000001/{name}"] = lambda h: h.give(bytes(wrong))
    error = tampered(published, server, cache, "sha256 is")
    assert error.where == f"{server.url}/000001/{name}"
    assert "challenge" in (error.hint or "") or name == MANIFEST_FILE


def test_a_file_cut_short(published: PublishedEpoch, server: Server, cache: Path) -> None:
    genuine = (published.folder / ACTIVITIES_FILE).read_bytes()
    server.answers[ACTIVITIES_FILE] = lambda h: h.give(genuine, length=100)
    tampered(published, server, cache, f"100 bytes, the manifest says {len(genuine)}")


def test_a_file_announced_too_long_is_not_read(
    published: PublishedEpoch, server: Server, cache: Path
) -> None:
    server.answers[ACTIVITIES_FILE] = lambda h: h.give(b"", length=10**15)
    tampered(published, server, cache, f"offers {10**15} bytes")


def endless(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.ending.is_set():
        handler.send(bytes(1 << 16))


def endless_chunks(handler: Handler) -> None:
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while not handler.server.ending.is_set():
        handler.send(b"10000\r\n" + bytes(1 << 16) + b"\r\n")


def endless_redirect(handler: Handler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "/elsewhere")
    handler.end_headers()
    while not handler.server.ending.is_set():
        handler.send(bytes(1 << 16))


def test_the_body_of_a_redirect_is_not_read(published: PublishedEpoch, server: Server, cache: Path) -> None:
    server.answers[MANIFEST_FILE] = endless_redirect
    assert unavailable(published, server, cache, "the server answers 404") < 5
    assert server.sent < 32 << 20


@pytest.mark.parametrize("answer", [endless, endless_chunks])
@pytest.mark.parametrize("name", [MANIFEST_FILE, ACTIVITIES_FILE])
def test_an_endless_file_is_read_to_its_size_and_no_further(
    published: PublishedEpoch, server: Server, cache: Path, name: str, answer: Answer
) -> None:
    server.answers[name] = answer
    limit = 65_536 if name == MANIFEST_FILE else (published.folder / name).stat().st_size
    tampered(published, server, cache, f"more than the {limit} bytes")
    # What the sockets of both sides take before anybody reads.
    assert server.sent < 32 << 20


def test_sizes_that_the_rows_cannot_have_are_not_fetched(
    published: PublishedEpoch, tmp_path: Path, cache: Path
) -> None:
    huge = vouched(published, tmp_path / "huge", {ACTIVITIES_FILE: bytes(200_000)})
    with pytest.raises(TamperedEpoch, match="200000 bytes for the 43 rows"):
        fetch_epoch(huge, cache, FetchOptions(source=str(tmp_path / "huge")))
    many = vouched(published, tmp_path / "many", {}, activity_count=10_000_000)
    with pytest.raises(TamperedEpoch, match="cannot hold the 10000000 rows"):
        fetch_epoch(many, cache, FetchOptions(source=str(tmp_path / "many")))
    billions = vouched(published, tmp_path / "billions", {}, account_count=4_000_000_000)
    with pytest.raises(DataUnavailable, match="needs 304000"):
        fetch_epoch(billions, cache, FetchOptions(source=str(tmp_path / "billions")))


def test_a_file_the_header_vouches_for_that_is_none_gets_no_name(
    published: PublishedEpoch, tmp_path: Path, cache: Path
) -> None:
    size = (published.folder / ACTIVITIES_FILE).stat().st_size
    header = vouched(published, tmp_path / "junk", {ACTIVITIES_FILE: b"PAR1" + bytes(size) + b"PAR1"})
    with pytest.raises(TamperedEpoch, match="not a readable Parquet file") as caught:
        fetch_epoch(header, cache, FetchOptions(source=str(tmp_path / "junk" / "000001")))
    assert caught.value.where == str(tmp_path / "junk" / "000001" / ACTIVITIES_FILE)
    assert nothing_half(cache)


# Cache


def test_what_was_fetched_is_found_without_network(
    published: PublishedEpoch, server: Server, cache: Path
) -> None:
    fetch_epoch(here(published, server), cache, QUICK)
    asked = len(server.asked)
    again = fetch_epoch(here(published, server), cache, QUICK)
    assert len(server.asked) == asked == 3
    assert again.activities.tree.root == published.header.activity_root


@pytest.mark.parametrize("name", [MANIFEST_FILE, ACTIVITIES_FILE])
def test_a_damaged_copy_is_fetched_again_and_keeps_its_signatures(
    published: PublishedEpoch, server: Server, cache: Path, name: str
) -> None:
    header = here(published, server)
    fetch_epoch(header, cache, QUICK)
    (cache / "000001" / name).write_bytes(b"x")
    (cache / "000001" / "signatures").mkdir()
    (cache / "000001" / "signatures" / "one.json").write_text("{}")
    fetch_epoch(header, cache, QUICK)
    assert read_epoch(cache, 1).header == header
    assert (cache / "000001" / "signatures" / "one.json").read_text() == "{}"


def test_another_epoch_of_the_number_is_replaced_only_when_told(
    published: PublishedEpoch, server: Server, cache: Path
) -> None:
    fetch_epoch(here(published, server), cache, QUICK)
    other = replace(here(published, server), pot=7)
    with pytest.raises(EpochError, match="another epoch 1 is kept here") as caught:
        fetch_epoch(other, cache, QUICK)
    assert "--replace" in (caught.value.hint or "")
    assert fetch_epoch(other, cache, QUICK, replace=True).header.pot == 7
    assert read_epoch(cache, 1).header == other


KILLED = """
import sys
from pathlib import Path
from timebank_chain.epoch import EpochHeader, FetchOptions, fetch_epoch
from timebank_chain.epoch.file import read_json_object
header = EpochHeader.from_json(read_json_object(Path(sys.argv[1]))[1])
fetch_epoch(header, sys.argv[2], FetchOptions(source=sys.argv[3]))
"""


def test_a_killed_fetch_leaves_nothing_half(published: PublishedEpoch, server: Server, cache: Path) -> None:
    server.answers[ACCOUNTS_FILE] = drip_body
    arguments = [str(published.folder / "header.json"), str(cache), server.url]
    process = subprocess.Popen([sys.executable, "-c", KILLED, *arguments])
    try:
        until = time.monotonic() + 30
        while not any(cache.glob(f".000001.fetch-*/{ACCOUNTS_FILE}")):
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (cache / "000001").exists()
    del server.answers[ACCOUNTS_FILE]
    fetch_epoch(here(published, server), cache, QUICK)
    assert {entry.name for entry in cache.iterdir()} == {"000001", ".000001.lock"}


def test_two_at_once_fetch_it_once(published: PublishedEpoch, server: Server, cache: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        tasks = [pool.submit(fetch_epoch, here(published, server), cache, QUICK) for _ in range(2)]
        assert [task.result().folder for task in tasks] == [cache / "000001"] * 2
    assert len(server.asked) == 3


def test_a_folder_that_cannot_be_written_is_trouble(published: PublishedEpoch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EpochError, match="cannot be kept"):
        fetch_epoch(published.header, tmp_path / "file", FetchOptions(source=str(tmp_path)))


# Policy


def test_the_policy_comes_from_beside_the_epoch(
    published: PublishedEpoch, server: Server, epochs: Path, tmp_path: Path
) -> None:
    digest = published.header.policy_hash
    for number, source in enumerate([None, server.url, str(epochs), str(published.folder)]):
        cache = tmp_path / str(number)
        options = replace(QUICK, source=source)
        assert fetch_policy(here(published, server), cache, options) == sample.policy()
        assert read_policy(cache, digest) == sample.policy()
    asked = len(server.asked)
    fetch_policy(here(published, server), tmp_path / "0", QUICK)
    assert len(server.asked) == asked


def test_another_policy_is_refused(
    published: PublishedEpoch, server: Server, epochs: Path, cache: Path
) -> None:
    path = policy_file(epochs, published.header.policy_hash)
    changed = path.read_text().replace('"bonus_milli": 1500', '"bonus_milli": 1600')
    server.answers[path.name] = lambda h: h.give(changed.encode())
    with pytest.raises(TamperedEpoch, match="this policy hashes to"):
        fetch_policy(here(published, server), cache, QUICK)
    server.answers[path.name] = lambda h: h.give(b"{")
    with pytest.raises(TamperedEpoch, match="not a readable policy"):
        fetch_policy(here(published, server), cache, QUICK)
    server.answers[path.name] = lambda h: h.give(b"", status=404)
    with pytest.raises(DataUnavailable, match="404"):
        fetch_policy(here(published, server), cache, QUICK)
    assert list((cache / "policies").iterdir()) == []
