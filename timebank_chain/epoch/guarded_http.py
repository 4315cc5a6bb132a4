"""HTTP GET of an address that a stranger chose: bounded in time and bytes, and kept off the inner network.

Every connection, also after a redirect, goes to an address that was resolved and checked once: what is
checked is what is connected to, so a name that answers differently the second time gains nothing. Proxies,
netrc and other settings of the environment are not used, since a proxy would resolve the name itself.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import socket
import threading
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from timebank_chain.errors import DataUnavailable, TamperedEpoch, UsageError

USER_AGENT = "timebank-chain"
MAX_REDIRECTS = 5
_HEADERS = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Connection": "close"}

_CHUNK_BYTES = 1 << 16
_PORTS = {"http": 80, "https": 443}
_REDIRECTS = {301, 302, 303, 307, 308}
#: Answers that may be another one a moment later.
_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LOOK_ELSEWHERE = "try again later or name a mirror as a source; if nobody has it, ask for its leaves"
_ALLOW_PRIVATE = "if this is your own network, allow it: --allow-private (allow_private=True)"


@dataclass
class Deadline:
    """The end of a whole fetch, in seconds from now; when it comes, open connections are cut.

    A timeout per read does not end an answer whose bytes, or whose headers, drip in for ever.
    """

    seconds: float
    _ends: float = field(init=False)
    _timer: threading.Timer = field(init=False)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)
    _open: list[socket.socket] = field(init=False, default_factory=list)

    def __enter__(self) -> Self:
        self._ends = time.monotonic() + self.seconds
        self._timer = threading.Timer(self.seconds, self.cut)
        self._timer.daemon = True
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self.cut()

    @property
    def left_s(self) -> float:
        """How many seconds are left, not below 0."""
        return max(0.0, self._ends - time.monotonic())

    def check(self, where: str) -> None:
        """Raise ``DataUnavailable`` once the deadline is over."""
        if not self.left_s:
            raise DataUnavailable(
                f"not had within {self.seconds:g} seconds", where=where, hint=_LOOK_ELSEWHERE
            )

    def watch(self, connection: socket.socket) -> None:
        """Cut this connection when the deadline comes, also after TLS has taken the socket over."""
        twin = socket.socket(fileno=os.dup(connection.fileno()))
        with self._lock:
            self._open.append(twin)
        if not self.left_s:
            self.cut()

    def cut(self) -> None:
        """Cut the connections watched so far."""
        with self._lock:
            watched, self._open = self._open, []
        for connection in watched:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


class HttpReader:
    """Reads files over HTTP until its deadline.

    Parameters
    ----------
    deadline
        When the whole fetch has to be done.
    connect_timeout_s, read_timeout_s
        Longest wait for a connection, and for the next bytes of an answer, in seconds.
    allow_private
        Whether addresses that are not on the public internet may be connected to.
    trusted
        Host and port of servers that the operator named himself, which may be private.
    """

    def __init__(
        self,
        deadline: Deadline,
        *,
        connect_timeout_s: float = 10.0,
        read_timeout_s: float = 30.0,
        allow_private: bool = False,
        trusted: frozenset[tuple[str, int]] = frozenset(),
    ) -> None:
        self._deadline = deadline
        self._timeouts_s = connect_timeout_s, read_timeout_s
        # Not a session: that reads the whole body of a redirect, however long, before it says so.
        self._adapter = _CheckedAdapter(deadline, allow_private, trusted)

    def read(self, url: str, limit: int) -> Generator[bytes, None, None]:
        """Yield the file at ``url``, at most ``limit`` bytes of it and one more that tells it is larger.

        One attempt; ``Transient`` says that another may succeed.

        Raises
        ------
        DataUnavailable
            If it cannot be had.
        TamperedEpoch
            If the server says that it is larger than ``limit`` bytes.
        """
        response = self._open(url)
        try:
            self._check_headers(response, url, limit)
            left = limit + 1
            while left:
                self._deadline.check(url)
                piece = response.raw.read(min(left, _CHUNK_BYTES), decode_content=False)
                if not piece:
                    break
                left -= len(piece)
                yield piece
            self._deadline.check(url)
        except (HTTPError, OSError) as error:
            self._deadline.check(url)
            raise _broken(f"the answer broke off: {_reason(error)}", url) from error
        finally:
            self._drop(response)

    def _open(self, url: str) -> requests.Response:
        """Return the answer to a GET, redirects followed, once its headers are there."""
        target = url
        for _ in range(MAX_REDIRECTS + 1):
            response = self._request(target)
            if response.status_code not in _REDIRECTS:
                break
            location = response.headers.get("Location", "")
            self._drop(response)
            try:
                following = urljoin(target, location)
                followed = bool(location) and urlsplit(following).scheme in _PORTS
            except ValueError:
                followed = False
            if not followed:
                raise DataUnavailable(
                    f"redirected to {_short(location)!r}; only http and https are followed",
                    where=url,
                    hint=_LOOK_ELSEWHERE,
                )
            target = following
        else:
            raise DataUnavailable(
                f"redirected more than {MAX_REDIRECTS} times", where=url, hint=_LOOK_ELSEWHERE
            )
        status = response.status_code
        if status != 200:
            self._drop(response)
            error = Transient if status in _TRY_AGAIN else DataUnavailable
            raise error(f"the server answers {status}", where=url, hint=_LOOK_ELSEWHERE)
        return response

    def _drop(self, response: requests.Response) -> None:
        response.close()
        self._deadline.cut()

    def _request(self, url: str) -> requests.Response:
        self._deadline.check(url)
        left = max(self._deadline.left_s, 0.001)
        connect, read = (min(timeout, left) for timeout in self._timeouts_s)
        try:
            request = requests.Request("GET", url, headers=_HEADERS).prepare()
            return self._adapter.send(request, stream=True, timeout=(connect, read), verify=True)
        except (requests.RequestException, HTTPError, OSError, UnicodeError) as error:
            self._deadline.check(url)
            raise _broken(f"no answer: {_reason(error)}", url) from error

    @staticmethod
    def _check_headers(response: requests.Response, url: str, limit: int) -> None:
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in {"", "identity"}:
            # Asked for as it is; unpacking what a stranger packs is what bombs are made for.
            raise DataUnavailable(
                f"the server packs the file ({_short(encoding)!r}) though it was asked not to",
                where=url,
                hint="have it served as it is, or name a mirror as a source",
            )
        announced = response.headers.get("Content-Length", "")
        if announced.isascii() and announced.isdigit() and int(announced[:20]) > limit:
            raise TamperedEpoch(
                f"the server offers {announced[:20]} bytes, at most {limit} belong to it",
                where=url,
                hint=_LOOK_ELSEWHERE,
            )


def post_json(
    url: str, body: Mapping[str, Any], *, timeout_s: float = 10.0, allow_private: bool = False
) -> None:
    """Send a JSON document, once, under the same guards; what is answered is not read.

    Redirects are refused: they would carry the document where nobody checked. Path and query may be
    secrets (webhooks often carry a token there), so errors name the host only.

    Parameters
    ----------
    timeout_s
        Longest the whole exchange may take, in seconds.

    Raises
    ------
    UsageError
        If it is no http(s) address.
    Transient
        If nobody answers, or the answer may be another one a moment later.
    DataUnavailable
        If it leads to the inner network, redirects, or refuses.
    """
    try:
        parts = urlsplit(url)
        host, port = origin(url) if parts.scheme in _PORTS else ("", 0)
    except ValueError:
        host = ""
    if not host:
        raise UsageError("not an http(s) address to post to", hint="write https://example.org/hook")
    where = f"{_short(host)}:{port}"
    content = json.dumps(body, ensure_ascii=False).encode()
    with Deadline(timeout_s) as deadline:
        adapter = _CheckedAdapter(deadline, allow_private, frozenset())
        headers = {**_HEADERS, "Content-Type": "application/json"}
        try:
            request = requests.Request("POST", url, data=content, headers=headers).prepare()
            response = adapter.send(request, stream=True, timeout=(timeout_s, timeout_s), verify=True)
            status = response.status_code
            response.close()
        except DataUnavailable as error:
            raise DataUnavailable(error.message, where=where, hint=error.hint) from None
        except (requests.RequestException, HTTPError, OSError, UnicodeError) as error:
            # The library's own message would show the whole address.
            raise Transient(
                f"nobody took it: {type(error).__name__}", where=where, hint="check address and network"
            ) from None
        finally:
            adapter.close()
    if 200 <= status < 300:
        return
    kind = Transient if status in _TRY_AGAIN else DataUnavailable
    said = "redirects, which is not followed" if status in _REDIRECTS else "refuses"
    raise kind(f"the server {said}: {status}", where=where, hint="name the final address of the webhook")


class Transient(DataUnavailable):
    """A failure that may pass: worth another attempt."""


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the public internet, also what it carries inside.

    Examples
    --------
    >>> is_public("9.9.9.9"), is_public("169.254.169.254"), is_public("::ffff:10.0.0.1")
    (True, False, False)
    """
    parsed: _Address = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour
        if parsed in _NAT64:
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if parsed.is_site_local or parsed.teredo is not None:
            return False
    return parsed.is_global and not (parsed.is_multicast or parsed.is_reserved or parsed.is_unspecified)


def origin(url: str) -> tuple[str, int]:
    """Return host and port of an http(s) URL."""
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), parts.port or _PORTS[parts.scheme]


class _CheckedAdapter(HTTPAdapter):
    """Gives every connection of a session the check of its address."""

    def __init__(self, deadline: Deadline, allow_private: bool, trusted: frozenset[tuple[str, int]]) -> None:
        def connect(connection: HTTPConnection) -> socket.socket:
            return _connect(connection, deadline, allow_private, trusted)

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return connect(self)

        class Tls(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return connect(self)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class TlsPool(HTTPSConnectionPool):
            ConnectionCls = Tls

        self._pools = {"http": PlainPool, "https": TlsPool}
        super().__init__(max_retries=0)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the pools of checked connections."""
        super().init_poolmanager(*arguments, **options)
        manager: urllib3.PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = self._pools


def _connect(
    connection: HTTPConnection, deadline: Deadline, allow_private: bool, trusted: frozenset[tuple[str, int]]
) -> socket.socket:
    """Resolve a host, refuse it if any of its addresses is not public, and connect to one of those."""
    host, port = connection.host.strip("[]"), connection.port
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if not allow_private and (host.lower(), port) not in trusted:
        for *_, address in found:
            if not is_public(str(address[0])):
                raise DataUnavailable(
                    f"it leads to {address[0]}, which is not on the public internet",
                    where=f"{_short(host)}:{port}",
                    hint=_ALLOW_PRIVATE,
                )
    failure: OSError = OSError("the name has no address")
    for family, kind, protocol, _, address in found:
        deadline.check(_short(host))
        made = socket.socket(family, kind, protocol)
        try:
            made.settimeout(connection.timeout if isinstance(connection.timeout, int | float) else None)
            for option in connection.socket_options or ():
                made.setsockopt(*option)
            deadline.watch(made)
            made.connect(address)
        except OSError as error:
            made.close()
            failure = error
        else:
            return made
    raise failure


def _broken(message: str, url: str) -> Transient:
    return Transient(message, where=url, hint=_LOOK_ELSEWHERE)


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "..."


def _reason(error: BaseException) -> str:
    """Return the innermost cause, without the object dumps of the libraries around it."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    text = getattr(error, "strerror", None) or str(error)
    return _short(text.splitlines()[0]) if text else type(error).__name__
