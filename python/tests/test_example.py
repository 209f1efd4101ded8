"""``examples/fastapi`` under uvicorn: what it wrote down is what arrives, also when a signal ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from recorder import Recorder

EXAMPLE = Path(__file__).parents[2] / "examples" / "fastapi" / "main.py"


@pytest.fixture
def payments() -> Iterator[str]:
    """Stands in for the axum example: declines every seventh."""
    requests = iter(range(1, 1000))

    class Payments(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            assert self.headers["traceparent"].startswith("00-")
            declined = next(requests) % 7 == 0
            self.send_response(402 if declined else 200)
            self.end_headers()
            self.wfile.write(b'{"payment_id": "pay-1"}')

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Payments)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM there")
@pytest.mark.skipif(sys.version_info < (3, 10), reason="pydantic can't read its annotations there")
@pytest.mark.skipif(not EXAMPLE.exists(), reason="the examples are not part of an installed package")
def test_the_fastapi_example_logs_what_it_says_that_it_logs(server: Recorder, payments: str, tmp_path: Path) -> None:
    truth = tmp_path / "truth"
    environment = {
        **os.environ,
        "MILLPOND_ENDPOINT": server.url,
        "MILLPOND_API_KEY": "k",
        "MILLPOND_BATCH_AGE_S": "60",
        "GROUND_TRUTH": str(truth),
        "PAYMENTS_URL": payments,
        "PORT": "0",
    }
    with subprocess.Popen(
        [sys.executable, str(EXAMPLE)], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().rpartition(" ")[2].strip()
            # After an unhandled exception uvicorn closes the connection without a word: none is used again.
            limits = httpx.Limits(max_keepalive_connections=0)
            with httpx.Client(base_url=url, trust_env=False, timeout=10, limits=limits) as http:
                order = {"customer_id": "c", "amount_cents": 100}
                answers = Counter(http.post("/orders", json=order).status_code for _ in range(30))
                answers.update(http.get(f"/orders/{n}").status_code for n in (1, 999))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
    assert answers == {201: 24, 402: 4, 500: 2, 200: 1, 404: 1}
    written = [line.split("\t")[0] for line in truth.read_text(encoding="utf-8").splitlines()]
    arrived = [record["fields"]["event_id"] for record in server.records if "event_id" in record.get("fields", {})]
    assert sorted(arrived) == sorted(written)
    requests = [record for record in server.records if record["logger"] == "millpond.request"]
    assert len(requests) == 32
    assert Counter(record["level"] for record in requests) == {"info": 25, "warn": 5, "error": 2}
