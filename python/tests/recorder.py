"""A server on loopback that takes batches, keeps their records, and can be told to fail."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Recorder:
    """``records`` holds what was stored: a batch whose key came before is not stored again, nor after a restart, for
    which ``disk`` is the recorder before."""

    def __init__(self, disk: Recorder | None = None) -> None:
        self.records: list[dict[str, Any]] = [] if disk is None else disk.records
        self.batches: list[tuple[str | None, list[dict[str, Any]]]] = []
        self.headers: list[dict[str, str]] = []
        self.failures: list[int] = []
        #: Status of every answer from now on; 200 stores.
        self.status = 200
        #: Take the batch, then break the connection: the client must ask again and the batch must be stored once.
        self.lose_answers = 0
        self._keys: set[str] = set() if disk is None else disk._keys
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server = _Server(
            ("127.0.0.1", 0 if disk is None else disk.port), self._handler(), bind_and_activate=False
        )
        self._server.server_bind()
        self._server.server_activate()
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
        with self._lock:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # The client closed it.

    def wait_for(self, count: int, timeout_s: float = 10.0) -> list[dict[str, Any]]:
        """The records, as soon as there are so many of them."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            with self._lock:
                if len(self.records) >= count:
                    break
            time.sleep(0.01)
        with self._lock:
            assert len(self.records) >= count, f"{len(self.records)} of {count} records after {timeout_s} s"
            return list(self.records)

    def _take(self, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any], bool]:
        if headers.get("content-encoding") == "zstd":
            import zstandard  # Not every interpreter has it; there the tests ask for gzip.

            body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
        elif headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        records = [json.loads(line, parse_constant=_refuse) for line in body.decode("utf-8").splitlines()]
        key = headers.get("idempotency-key")
        with self._lock:
            self.headers.append(headers)
            if self.status != 200:
                self.failures.append(self.status)
                return self.status, {"error": "x", "code": "overloaded", "message": "", "details": []}, False
            self.batches.append((key, records))
            duplicate = key is not None and key in self._keys
            if not duplicate:
                self.records.extend(records)
                if key is not None:
                    self._keys.add(key)
            lost = self.lose_answers > 0
            self.lose_answers -= lost
            return 200, {"accepted": len(records), "rejected": [], "rejected_count": 0, "duplicate": duplicate}, lost

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                with recorder._lock:
                    recorder._connections.add(self.connection)

            def finish(self) -> None:
                with recorder._lock:
                    recorder._connections.discard(self.connection)
                super().finish()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                headers["path"] = self.path
                status, answer, lost = recorder._take(headers, body)
                if lost:
                    self.close_connection = True
                    return
                payload = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class _Server(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that went away is no error here."""


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")
