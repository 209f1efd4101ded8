"""The server that every library sends to, in a process of its own so that what it costs is nobody's.

It answers each protocol in words that its client takes for a success, keeps the bodies, and reads them only when it
is asked for the count: reading takes no processor from those who send.

    python bench/sdk/sink.py PORT refuses|mute|takes

Commands come line by line on stdin: a manner to change to, or ``count``. Port 0 stands for any; the first line on
stdout says which one it is.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
import sys
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import zstandard

#: The id of a record is the field ``order_id``: as JSON, or as Sentry's attribute with a type.
_JSON_ID = re.compile(rb'"order_id"\s*:\s*(?:\{[^{}]*?"value"\s*:\s*)?(\d+)')
#: The same as a `KeyValue` of OTLP: key, then a value that holds an integer (field 3) as a varint.
_OTLP_ID = re.compile(rb"\x0a\x08order_id\x12.\x18([\x80-\xff]*[\x00-\x7f])", re.DOTALL)
#: Ids of one producer (a thread, a forked child) are below so many from its first on, and ascend as it logs.
IDS_PER_PRODUCER = 1_000_000
#: A word of each protocol; each client looks for its own. More than any batch has was accepted.
_ANSWER = json.dumps({"accepted": 1_000_000_000, "rejected": [], "received": 1, "ingested": 1, "ids": []}).encode()


@dataclass
class Taken:
    """A body that was answered with a success."""

    body: bytes
    encoding: str
    content_type: str


@dataclass
class Store:
    """What was taken so far, and how requests are met."""

    manner: str
    taken: list[Taken] = field(default_factory=list)
    #: Of batches that were taken: as every server that knows the header, this one takes a batch once.
    keys: set[str] = field(default_factory=set)
    first_s: float = 0.0
    last_s: float = 0.0
    wire_bytes: int = 0
    open: set[asyncio.Transport] = field(default_factory=set)

    def take(self, taken: Taken, wire_bytes: int) -> None:
        """Keeps a body. Times are those of the machine's monotonic clock, which all its processes share."""
        self.last_s = time.monotonic()
        self.first_s = self.first_s or self.last_s
        self.wire_bytes += wire_bytes
        self.taken.append(taken)


class Conversation(asyncio.Protocol):
    """One connection of HTTP/1.1: requests with a length, each answered before the next is read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remembers it: a server that is restarted drops what hangs."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._store.open.add(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Its client's end."""
        self._store.open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """Answers every request that is complete."""
        buffer = self._buffer
        buffer += data
        while (head_end := buffer.find(b"\r\n\r\n")) >= 0:
            head = _headers(bytes(buffer[:head_end]))
            if head.get("expect"):
                raise ValueError("a client that waits to be asked for its body")
            if "transfer-encoding" in head:
                raise ValueError("a body without its length")
            end = head_end + 4 + int(head.get("content-length", "0"))
            if len(buffer) < end:
                return
            body = bytes(buffer[head_end + 4 : end])
            del buffer[:end]
            if self._store.manner == "takes":
                self._answer(head, body, end)

    def _answer(self, head: dict[str, str], body: bytes, wire_bytes: int) -> None:
        content_type = head.get("content-type", "")
        key = head.get("idempotency-key")
        if key is None or key not in self._store.keys:
            self._keep(head, body, content_type, wire_bytes)
        if key is not None:
            self._store.keys.add(key)
        # An empty message of OTLP: nothing was rejected.
        answer = b"" if "protobuf" in content_type else _ANSWER
        kind = content_type if "protobuf" in content_type else "application/json"
        start = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(answer)}\r\n\r\n"
        self._transport.write(start.encode() + answer)

    def _keep(self, head: dict[str, str], body: bytes, content_type: str, wire_bytes: int) -> None:
        self._store.take(Taken(body, head.get("content-encoding", ""), content_type), wire_bytes)


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _plain(taken: Taken) -> bytes:
    if taken.encoding in ("", "identity"):
        return taken.body
    if taken.encoding == "gzip":
        return gzip.decompress(taken.body)
    if taken.encoding == "deflate":
        return zlib.decompress(taken.body)
    if taken.encoding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(taken.body)
    raise ValueError(f"a body in {taken.encoding}")


def ids_of(plain: bytes, content_type: str = "") -> Iterable[int]:
    """The ids of the records in a body, or in a file, in their order."""
    if "protobuf" in content_type:
        return (_varint(found) for found in _OTLP_ID.findall(plain))
    return (int(found) for found in _JSON_ID.findall(plain))


def _varint(encoded: bytes) -> int:
    return sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(encoded))


def tally(ids: Iterable[int]) -> dict[str, object]:
    """How many different ids there were of each producer, how many came again, and how many came after a later one
    of their producer."""
    seen: set[int] = set()
    unique: dict[str, int] = {}
    highest: dict[int, int] = {}
    twice = disorder = 0
    for number in ids:
        if number in seen:
            twice += 1
            continue
        seen.add(number)
        producer = number // IDS_PER_PRODUCER
        unique[str(producer)] = unique.get(str(producer), 0) + 1
        if number < highest.get(producer, -1):
            disorder += 1
        else:
            highest[producer] = number
    return {"unique": unique, "twice": twice, "disorder": disorder}


def _count(store: Store) -> dict[str, object]:
    ids = (number for taken in store.taken for number in ids_of(_plain(taken), taken.content_type))
    times = {"requests": len(store.taken), "wire_bytes": store.wire_bytes, "last_s": store.last_s}
    return {**tally(ids), **times}


async def _serve(port: int, manner: str) -> None:
    loop = asyncio.get_running_loop()
    store = Store(manner)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    server: asyncio.Server | None = None

    async def listen() -> None:
        nonlocal server
        if server is None and store.manner != "refuses":
            server = await loop.create_server(lambda: Conversation(store), sock=listener, backlog=4096)

    await listen()
    print(listener.getsockname()[1], flush=True)
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    # Ends with the run that started it, whose end of the pipe is then closed.
    while command := (await commands.readline()).decode().strip():
        if command == "count":
            print(json.dumps(_count(store)), flush=True)
        elif command == "last":
            print(json.dumps(store.last_s), flush=True)
        else:
            store.manner = command
            await listen()
            # A server that hung was restarted: what waited for an answer learns that none will come.
            for transport in list(store.open):
                transport.abort()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2]))
