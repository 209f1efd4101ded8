"""A server on loopback that is not Millpond's: keeps what it was asked, answers as it was told. And shippers to it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import millpond

#: Longer than any test waits.
HOUR_S = 3600.0


class Asked(NamedTuple):
    """A request; the names of its headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body.decode("utf-8"), parse_constant=_refuse)


class Answer(NamedTuple):
    """An answer. Without a status the connection is closed in its place."""

    status: int | None = 200
    body: str = "{}"
    headers: dict[str, str] = {}  # noqa: RUF012 (it is not changed)


class Peer:
    """Answers as ``script`` says, answer by answer, and then as ``always`` does."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.script: list[Answer] = []
        self.always: Callable[[Asked], Answer] = lambda _asked: Answer()
        #: Entries of arrays that were answered with a success, each batch once.
        self.taken: list[Any] = []
        self._keys: set[str] = set()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait_for(self, count: int, timeout_s: float = 10.0) -> list[Any]:
        """What was taken, as soon as there is so much of it."""
        deadline = time.monotonic() + timeout_s
        while len(self.taken) < count:
            assert time.monotonic() < deadline, f"{len(self.taken)} of {count} entries after {timeout_s} s"
            time.sleep(0.01)
        return list(self.taken)

    def _answer(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
            answer = self.script.pop(0) if self.script else self.always(asked)
            key = asked.headers.get("idempotency-key")
            if key is not None and key not in self._keys and answer.status == 200:
                self._keys.add(key)
                entries = asked.json
                self.taken.extend(entries if isinstance(entries, list) else next(iter(entries.values())))
        return answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _do(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = peer._answer(Asked(self.command, self.path, headers, body))
                if answer.status is None:
                    self.close_connection = True
                    return
                payload = answer.body.encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if answer.headers.get("connection") != "close":
                    self.send_header("content-length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_POST = do_PUT = do_DELETE = _do  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class Made:
    """Makes shippers to the peer, which try again at once and send when they are flushed."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._shippers: list[millpond.Shipper] = []

    def __call__(self, **options: Any) -> millpond.Shipper:
        defaults = {"retry_delay_s": 0.001, "retry_delay_s_max": 0.001, "batch_age_s": HOUR_S}
        shipper = millpond.Shipper(f"{self._peer.url}/in?a=b", **{**defaults, **options})
        self._shippers.append(shipper)
        return shipper

    def close(self) -> None:
        for shipper in self._shippers:
            shipper.close(0)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that went away is no error here."""


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")
