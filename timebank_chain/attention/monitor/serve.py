"""``/metrics``, ``/live`` and ``/ready`` over HTTP, for the machine itself unless told otherwise.

``/live`` answers as long as the process does. ``/ready`` answers 200 once a look at the feed succeeded, and
503 from when the last few failed. Nothing else is served, nothing is taken in.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from timebank_chain.errors import UsageError

_IDLE_S = 10


class Server:
    """Serves from a thread of its own while it is entered.

    Parameters
    ----------
    host, port
        Where to listen; port 0 takes a free one (see `port`).
    render
        Returns the metrics' bytes.
    content_type
        Of those.
    ready
        Returns whether the monitor is, and a word why not.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        render: Callable[[], bytes],
        content_type: str,
        ready: Callable[[], tuple[bool, str]],
    ) -> None:
        class Handler(BaseHTTPRequestHandler):
            timeout = _IDLE_S
            server_version = "timebank"
            sys_version = ""

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/metrics":
                    self._answer(200, render(), content_type)
                elif path == "/live":
                    self._answer(200, b"live\n", "text/plain; charset=utf-8")
                elif path == "/ready":
                    is_ready, why = ready()
                    text = "ready\n" if is_ready else f"not ready: {why}\n"
                    self._answer(200 if is_ready else 503, text.encode(), "text/plain; charset=utf-8")
                else:
                    self._answer(404, b"try /metrics, /live or /ready\n", "text/plain; charset=utf-8")

            def _answer(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base's name
                """Say nothing: a scrape every few seconds is no news."""

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"cannot listen on {host}:{port}: {error}", hint="take another --port, or 0 for a free one"
            ) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="metrics", daemon=True
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
