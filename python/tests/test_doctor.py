"""The doctor: what it finds when all is well, and for each thing that can be wrong."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import millpond


class KeyServer:
    """Answers what a key may do."""

    def __init__(self) -> None:
        self.scopes = ["ingest", "query"]
        self.status = 200
        self.ahead = timedelta()
        self.requests: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append(self.path)
                now = (datetime.now(timezone.utc) + outer.ahead).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
                answer: dict[str, Any] = {
                    "id": "k1", "name": "laptop", "project": "shop", "scopes": outer.scopes, "server_time": now,
                    "server_version": "0.1.0",
                }  # fmt: skip
                if outer.status != 200:
                    answer = {"error": "x", "code": "invalid_key", "message": "the key is unknown", "details": []}
                body = json.dumps(answer).encode()
                self.send_response(outer.status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def keys() -> Iterator[KeyServer]:
    server = KeyServer()
    yield server
    server.close()


def findings(diagnosis: millpond.Diagnosis) -> dict[str, tuple[str, str]]:
    return {finding.what: (finding.state, finding.text) for finding in diagnosis.findings}


def examine(**options: Any) -> tuple[millpond.Diagnosis, dict[str, tuple[str, str]], str]:
    out = io.StringIO()
    diagnosis = millpond.doctor(out=out, **options)
    return diagnosis, findings(diagnosis), out.getvalue()


def test_all_is_well(keys: KeyServer, tmp_path: Path) -> None:
    diagnosis, found, text = examine(
        endpoint=keys.url, api_key="mp_secret", service="shop", spool_dir=str(tmp_path / "spool" / "deeper"),
        example={"password": "p", "order": 1},
    )  # fmt: skip
    assert diagnosis and diagnosis.healthy
    assert found["configuration"] == ("ok", f"service shop, endpoint {keys.url}")
    assert found["key"] == ("ok", "laptop of project shop, scopes ingest, query")
    assert found["server"][0] == found["clock"][0] == found["spool"][0] == "ok"
    assert found["redaction"][1].endswith('{"password": "[REDACTED]", "order": 1}')
    assert "mp_secret" not in text
    assert "✔ spool" in text
    assert keys.requests == ["/api/v1/key"]
    assert not (tmp_path / "spool").exists()


def test_what_is_wrong_is_said(keys: KeyServer, tmp_path: Path) -> None:
    keys.scopes = ["query"]
    keys.ahead = timedelta(minutes=5)
    diagnosis, found, _ = examine(endpoint=keys.url, api_key="k")
    assert not diagnosis
    assert found["key"] == ("failed", "it has the scopes query, expected `ingest` among them")
    assert found["clock"][0] == "warning"
    assert " behind the server" in found["clock"][1]
    assert found["spool"][0] == "note"

    keys.status = 401
    _, found, _ = examine(endpoint=keys.url, api_key="k")
    assert (found["server"][0], found["key"][0]) == ("ok", "failed")
    assert "the key is unknown" in found["key"][1]

    (tmp_path / "file").write_text("")
    _, found, _ = examine(endpoint="http://127.0.0.1:9", spool_dir=str(tmp_path / "file" / "spool"))
    assert found["server"][0] == "failed"
    assert "http://127.0.0.1:9" in found["server"][1]
    assert found["spool"] == ("failed", f"{tmp_path / 'file'} is no directory")

    _, found, _ = examine(endpoint="nonsense")
    assert found == {"configuration": ("failed", found["configuration"][1])}
    assert "endpoint" in found["configuration"][1]
    _, found, _ = examine(endpoint=keys.url, mode="silent")
    assert found["configuration"][0] == "warning"


def test_it_looks_at_the_client_of_the_process(keys: KeyServer) -> None:
    millpond.init(service="mine", endpoint=keys.url, api_key="k", capture_logging=False, shutdown_timeout_s=0.1)
    try:
        _, found, _ = examine()
        assert found["configuration"][1].startswith("service mine")
        assert found["records"][0] == "ok"
    finally:
        millpond.close(0)


def test_the_command_checks_what_the_environment_says(keys: KeyServer) -> None:
    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "millpond", *arguments],
            capture_output=True, text=True, timeout=30, check=False,
            env={"PYTHONPATH": ":".join(sys.path), "MILLPOND_ENDPOINT": keys.url, "MILLPOND_API_KEY": "k", **more},
        )  # fmt: skip

    done = run("doctor", "--service", "shop")
    assert (done.returncode, done.stderr) == (0, "")
    assert "service shop" in done.stdout
    done = run("doctor", "--endpoint", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "✘ server" in done.stdout
    plain = run("doctor", PYTHONIOENCODING="ascii")
    assert (plain.returncode, plain.stderr) == (0, "")
    assert "? server: reached" in plain.stdout
    assert run("--version").stdout.startswith("millpond ")
    assert run().returncode == 2
