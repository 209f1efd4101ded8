"""A server on loopback that has logs to read, as docs/http-api.md documents it, and can be told to misbehave."""

from __future__ import annotations

import json
import select
import threading
import time
from collections import deque
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PATIENCE_S = 20.0


@dataclass
class Request:
    path: str
    parameters: dict[str, str]
    headers: dict[str, str]
    body: bytes


class LogServer:
    """Answers from ``logs``, oldest first, and with ``failures`` before anything else: pairs of a status and a body."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []
        self.requests: list[Request] = []
        self.failures: deque[tuple[int, bytes]] = deque()
        self.statistics: dict[str, Any] = {}
        self.receipt: dict[str, Any] = {"accepted": 1, "rejected": [], "rejected_count": 0, "duplicate": False}
        self.damaged: list[str] = []
        #: Requests are taken, and never answered.
        self.hangs = False
        #: Connections that the client closed while it had to wait.
        self.left = 0
        self._cuts = 0
        self._closed = False
        self.changed = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        with self.changed:
            self._closed = True
            self.changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, message: str = "", **record: Any) -> None:
        with self.changed:
            number = len(self.logs) + 1
            least = {
                "id": str(number),
                "time": f"2026-01-31T12:00:00.{number:09}Z",
                "level": "info",
                "service": "api",
                "message": message or str(number),
            }
            self.logs.append({**least, **record})
            self.changed.notify_all()

    def refuse(self, status: int, code: str, message: str) -> None:
        self.failures.append((status, json.dumps({"error": "x", "code": code, "message": message}).encode()))

    def cut_streams(self) -> None:
        with self.changed:
            self._cuts += 1
            self.changed.notify_all()

    def wait_for_requests(self, count: int) -> list[Request]:
        self.wait(lambda: len(self.requests) >= count, f"{count} requests")
        return list(self.requests)

    def wait(self, condition: Any, what: str) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE_S), f"no {what} after {PATIENCE_S} s"

    def _page(self, parameters: dict[str, str]) -> dict[str, Any]:
        logs = [log for log in reversed(self.logs) if _matches(log, parameters)]
        begin, limit = int(parameters.get("cursor", "0")), int(parameters.get("limit", "100"))
        page: dict[str, Any] = {"logs": logs[begin : begin + limit], "has_more": begin + limit < len(logs)}
        if page["has_more"]:
            page["next_cursor"] = str(begin + limit)
        if self.damaged:
            page["damaged"] = self.damaged
        return page

    def _answer(self, request: Request) -> tuple[int, bytes]:
        with self.changed:
            if self.failures:
                return self.failures.popleft()
            answer: dict[str, Any]
            if request.path == "/api/v1/logs":
                answer = self._page(request.parameters)
            elif request.path.startswith("/api/v1/logs/trace/"):
                wanted = {"trace_id": unquote(request.path.rsplit("/", 1)[1])}
                answer = {"logs": [log for log in self.logs if _matches(log, wanted)]}
            elif request.path == "/api/v1/logs/aggregated":
                answer = self.statistics
            elif request.path == "/api/v1/ingest":
                answer = self.receipt
            else:
                return 404, b'{"code":"not_found","message":"no such route"}'
            return 200, json.dumps(answer).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._take(b"")

            def do_POST(self) -> None:
                self._take(self.rfile.read(int(self.headers["content-length"])))

            def _take(self, body: bytes) -> None:
                parts = urlsplit(self.path)
                parameters = {name: values[0] for name, values in parse_qs(parts.query, True).items()}
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(parts.path, parameters, headers, body)
                with server.changed:
                    # A stream begins here: whoever sees the request may add what it must show.
                    cuts, told = server._cuts, int(headers.get("last-event-id", len(server.logs)))
                    server.requests.append(request)
                    server.changed.notify_all()
                if server.hangs:
                    self._wait_until_left()
                elif request.path == "/api/v1/logs/stream" and not server.failures:
                    self._stream(request, cuts, told)
                else:
                    self._send(*server._answer(request))

            def _send(self, status: int, payload: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(payload)))
                self.send_header("retry-after", "0")
                self.end_headers()
                self.wfile.write(payload)

            def _stream(self, request: Request, cuts: int, told: int) -> None:
                self.close_connection = True
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.end_headers()
                while True:
                    with server.changed:
                        server.changed.wait(0.02)
                        logs = list(enumerate(server.logs, 1))[told:]
                        if server._closed or server._cuts > cuts:
                            return
                    if self._has_left():
                        return
                    events = "".join(
                        f"id: {number}\ndata: {json.dumps(log)}\n\n"
                        for number, log in logs
                        if _matches(log, request.parameters)
                    )
                    told += len(logs)
                    self.wfile.write(f"{events}id: {told}\n: heartbeat\n\n".encode())

            def _wait_until_left(self) -> None:
                self.close_connection = True
                while not server._closed and not self._has_left():
                    time.sleep(0.01)

            def _has_left(self) -> bool:
                readable, _, _ = select.select([self.connection], [], [], 0)
                try:
                    has_left = bool(readable) and not self.connection.recv(1)
                except OSError:
                    has_left = True
                if has_left:
                    with server.changed:
                        server.left += 1
                        server.changed.notify_all()
                return has_left

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _matches(log: dict[str, Any], parameters: dict[str, str]) -> bool:
    names = ("level", "service", "trace_id")
    return all(log.get(name) == parameters[name] for name in names if name in parameters)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that went away is no error here."""
