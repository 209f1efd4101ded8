"""A real `millpond serve`, and a project of its own for each test."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from programs import TARGET

PATIENCE_S = 30.0


class Server:
    """One process on any free port of loopback."""

    def __init__(self, directory: Path) -> None:
        program = TARGET / "debug" / "millpond"
        assert program.exists(), f"{program} is missing: `cargo xtask test --only build` builds it"
        self._log = directory / "server.log"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(program), "serve", "--data-dir", str(directory / "data"), "--address", "127.0.0.1:0"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.address = self._printed(r"listening on (http://\S+)")
        self._key = self._printed(r"key: (\S+)")
        self._projects = 0

    def project(self) -> Project:
        """A new one, with a key that may do anything in it."""
        self._projects += 1
        name = f"compat-{self._projects}"
        made = request(f"{self.address}/api/v1/admin/projects", self._key, {"name": name})
        return Project(self.address, name, made["key"])

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _printed(self, pattern: str) -> str:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self._process.poll() is None:
            found = re.search(pattern, self._log.read_text(encoding="utf-8", errors="replace"))
            if found:
                return found[1]
            time.sleep(0.02)
        self.close()
        raise AssertionError(f"the server did not print {pattern!r}:\n{self._log.read_text(encoding='utf-8')}")


class Project:
    """What one test has of the server."""

    def __init__(self, address: str, name: str, key: str) -> None:
        self.address = address
        self.name = name
        self.key = key

    def read(self, count: int, **parameters: str) -> list[dict[str, Any]]:
        """The native records, oldest first, as soon as there are so many; there must not be more."""
        deadline = time.monotonic() + PATIENCE_S
        query = urlencode({"order": "asc", "limit": "1000", **parameters})
        while True:
            records: list[dict[str, Any]] = self.get(f"/api/v1/logs?{query}")["logs"]
            if len(records) >= count or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        shown = "\n".join(json.dumps(record) for record in records)
        assert len(records) == count, f"{len(records)} records, expected {count}:\n{shown}"
        return records

    def get(self, path: str) -> Any:
        """The answer of one route, with the project's key."""
        return request(f"{self.address}{path}", self.key)


def request(url: str, key: str, body: Any = None) -> Any:
    payload = None if body is None else json.dumps(body).encode()
    # A content type without a body would make it a question of LogTide's.
    headers = {"X-API-Key": key} if body is None else {"X-API-Key": key, "Content-Type": "application/json"}
    asked = urllib.request.Request(url, data=payload, headers=headers)
    with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:
        return json.load(answer)
