"""A server on loopback that records every request and answers as it is told."""

from __future__ import annotations

import gzip
import json
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Union
from urllib.parse import parse_qs, urlsplit


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    #: After decompression.
    body: bytes
    #: Which connection it came on, from 0.
    connection: int
    #: When it came, by the monotonic clock.
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body.decode("utf-8"), parse_constant=_refuse)


@dataclass
class Answer:
    status: int = 200
    #: Text and bytes are sent as they are, anything else as JSON.
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    #: Sent in chunks, one for each element, with the connection open until the recorder or the client closes it.
    chunks: list[str] | None = None
    #: Takes the request, then breaks the connection.
    is_lost: bool = False


#: An answer, or what makes one of a request.
Script = Union[Answer, Callable[[Request], Answer]]


class Recorder:
    """`requests` holds all that came, in order of arrival, and `taken` the entries of batches, each once."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        #: By their idempotency keys, those that were answered with a success.
        self._batches: dict[str, Request] = {}
        self._once: list[tuple[str, Script]] = []
        self._always: dict[str, Script] = {"*": Answer()}
        self._changed = threading.Condition()
        self._connections = 0
        self._closed = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def answer(self, path: str, *scripts: Script) -> None:
        """Answers the next requests for this path with these, one after the other; `*` is any path."""
        self._once += [(path, script) for script in scripts]

    def always(self, path: str, script: Script) -> None:
        """Answers every request for this path with it, when nothing is left that `answer` was told."""
        self._always[path] = script

    def wait_for(self, count: int, path: str = "*", timeout_s: float = 20.0) -> list[Request]:
        """The requests for this path, as soon as there are so many."""

        def found() -> list[Request]:
            return [request for request in self.requests if path in ("*", request.path)]

        with self._changed:
            enough = self._changed.wait_for(lambda: len(found()) >= count, timeout_s)
            assert enough, f"{len(found())} of {count} requests for {path} after {timeout_s} s"
            return found()

    @property
    def taken(self) -> list[Any]:
        """The entries of batches that were answered with a success, of one that came again once: those of the array
        that a body is, or has in it."""
        with self._changed:
            bodies = [batch.json for batch in self._batches.values()]
        lists = [body if isinstance(body, list) else next(iter(body.values())) for body in bodies]
        return [entry for entries in lists for entry in entries]

    def wait_for_entries(self, count: int, timeout_s: float = 20.0) -> list[Any]:
        """What was taken, as soon as there is so much of it."""
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self.taken) >= count, timeout_s)
            assert enough, f"{len(self.taken)} of {count} entries after {timeout_s} s"
            return self.taken

    def close(self) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _connect(self) -> int:
        with self._changed:
            self._connections += 1
            return self._connections - 1

    def _take(self, request: Request) -> Answer:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            script = self._script(request.path)
        answer = script if isinstance(script, Answer) else script(request)
        key = request.headers.get("idempotency-key")
        with self._changed:
            if key is not None and answer.status == 200 and not answer.is_lost:
                self._batches.setdefault(key, request)
                self._changed.notify_all()
        return answer

    def _script(self, path: str) -> Script:
        for index, (wanted, script) in enumerate(self._once):
            if wanted in ("*", path):
                del self._once[index]
                return script
        return self._always.get(path, self._always["*"])


def _handler(recorder: Recorder) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            self._number = recorder._connect()

        def _serve(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = _decoded(self._body(headers), headers.get("content-encoding", ""))
            parts = urlsplit(self.path)
            query = parse_qs(parts.query, keep_blank_values=True)
            arrived = time.monotonic()
            request = Request(self.command, parts.path, query, headers, body, self._number, arrived)
            answer = recorder._take(request)
            recorder._closed.wait(answer.delay_s)
            if answer.is_lost:
                self.close_connection = True
            elif answer.chunks is not None:
                self._send_chunks(answer, answer.chunks)
            else:
                self._send(answer)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve  # noqa: N815

        def _body(self, headers: dict[str, str]) -> bytes:
            if headers.get("transfer-encoding", "").lower() != "chunked":
                return self.rfile.read(int(headers.get("content-length", "0")))
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def _send(self, answer: Answer) -> None:
            body = answer.body
            if not isinstance(body, (str, bytes)):
                body = json.dumps(body)
            payload = body.encode() if isinstance(body, str) else body
            self._head(answer, "application/json", {"content-length": str(len(payload))})
            self.wfile.write(payload)

        def _send_chunks(self, answer: Answer, chunks: list[str]) -> None:
            self.close_connection = True
            self._head(answer, "text/event-stream", {"transfer-encoding": "chunked"})
            for chunk in chunks:
                payload = chunk.encode()
                self.wfile.write(b"%x\r\n%b\r\n" % (len(payload), payload))
                self.wfile.flush()
            recorder._closed.wait()

        def _head(self, answer: Answer, kind: str, length: dict[str, str]) -> None:
            self.send_response(answer.status)
            for name, value in {"content-type": kind, **length, **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _decoded(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "deflate":
        return zlib.decompress(body)
    if encoding == "zstd":
        import zstandard

        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return body


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, *_: object) -> None:
        """A client that went away is no error here."""


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")
