"""``millpond.doctor()``: is everything set up so that records arrive, and what would leave the process?"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, TextIO

from millpond import _native
from millpond._config import ConfigurationError, Settings, settings_from
from millpond._context import _current
from millpond._runtime import runtime
from millpond._times import nanoseconds

#: Seconds that the clocks may differ before it is worth a word: records are found by time.
_SKEW_S_MAX = 5.0
#: Bytes that a disk should have free for a spool.
_FREE_BYTES_MIN = 64 << 20

_MARKS = {"ok": "✔", "warning": "!", "failed": "✘", "note": "·"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    #: ``ok``, ``note`` (worth knowing), ``warning`` (works, but not as one would expect) or ``failed``.
    state: str
    #: What was looked at.
    what: str
    #: What was found, and what to do about it.
    text: str

    def __str__(self) -> str:
        return f"{_MARKS[self.state]} {self.what}: {self.text}"


@dataclass(frozen=True)
class Diagnosis:
    """What :func:`doctor` found."""

    findings: list[Finding] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """Whether nothing failed."""
        return all(finding.state != "failed" for finding in self.findings)

    def __bool__(self) -> bool:
        return self.healthy

    def __str__(self) -> str:
        return "\n".join(str(finding) for finding in self.findings)


def doctor(example: dict[str, object] | None = None, *, out: TextIO | None = None, **options: Any) -> Diagnosis:
    """Checks the set-up: can the server be reached, is the key good and what may it do, do the clocks agree, is a
    record delivered, what of ``example`` would be redacted, where is the spool and can it be written?

    Prints what it finds and returns it. Sends no record. Takes the options of :func:`millpond.init`; without any it
    looks at the client that ``init`` made, or at what the environment says.

    :param example: fields to try redaction with; default: some that are often logged.
    :param out: where to print; default: stdout.
    """
    found: list[Finding] = []
    settings = runtime.settings if runtime.settings is not None and not options else None
    try:
        settings = settings or settings_from(options)
        client = _native.Client({**_without_spool(settings), "mode": "silent"})
        found.append(_configuration(settings))
        found.extend(_server(client))
        found.append(_redaction(client, example))
        found.append(_spool(settings))
        found.append(_account())
    except (ConfigurationError, ValueError) as error:
        found.append(Finding("failed", "configuration", str(error)))
    diagnosis = Diagnosis(found)
    out = out or sys.stdout
    encoding = getattr(out, "encoding", None) or "utf-8"
    # A terminal that has no ticks gets question marks instead.
    print(str(diagnosis).encode(encoding, "replace").decode(encoding), file=out)
    return diagnosis


def _without_spool(settings: Settings) -> dict[str, object]:
    # Only to ask: what waits in a spool is not to be delivered by it, and no hook of the application's may be called.
    asking = {"spool_dir", "before_send", "trace_source"}
    return {name: value for name, value in settings.native.items() if name not in asking}


def _configuration(settings: Settings) -> Finding:
    native = settings.native
    if native.get("mode", "normal") != "normal":
        return Finding("warning", "configuration", f"mode is {native['mode']}: nothing is sent")
    endpoint = native.get("endpoint") or ("that of the DSN" if "dsn" in native else "http://127.0.0.1:4480 (default)")
    service = native.get("service", "unknown_service (default)")
    return Finding("ok", "configuration", f"service {service}, endpoint {endpoint}")


def _server(client: _native.Client) -> list[Finding]:
    import json

    started = time.time()
    try:
        key = json.loads(client.reader().key())
    except Exception as error:
        status = getattr(error, "status", None)
        what = "key" if status in (401, 403) else "server"
        reached = [Finding("ok", "server", "reached")] if what == "key" else []
        return [*reached, Finding("failed", what, str(error))]
    ended = time.time()
    version, took = key["server_version"], (ended - started) * 1000
    found = [Finding("ok", "server", f"reached, version {version}, answered in {took:.0f} ms")]
    scopes = ", ".join(key["scopes"])
    if "ingest" in key["scopes"]:
        found.append(Finding("ok", "key", f"{key['name'] or key['id']} of project {key['project']}, scopes {scopes}"))
    else:
        found.append(Finding("failed", "key", f"it has the scopes {scopes or 'none'}, expected `ingest` among them"))
    return [*found, _clock(nanoseconds(key["server_time"]) / 1e9, started, ended)]


def _clock(server: float, started: float, ended: float) -> Finding:
    """The server read its clock at some moment between the two of ours."""
    skew = started - server if server < started else ended - server if server > ended else 0.0
    if abs(skew) < _SKEW_S_MAX:
        return Finding("ok", "clock", "agrees with the server's")
    here = datetime.fromtimestamp(ended, timezone.utc).isoformat(timespec="seconds")
    direction = "ahead of" if skew > 0 else "behind"
    return Finding("warning", "clock", f"{here} here is {abs(skew):.0f} s {direction} the server: times will be off")


def _redaction(client: _native.Client, example: dict[str, object] | None) -> Finding:
    import json

    fields: dict[str, object] = example or {
        "password": "hunter2", "headers": {"Authorization": "Bearer x", "Accept": "*/*"},
        "email": "a@shop.example", "card": "4111 1111 1111 1111", "order_id": 4711,
    }  # fmt: skip
    record = client.preview(9, "example", (), None, _current.get(), None, fields, None)
    kept: dict[str, Any] = {} if record is None else json.loads(record).get("fields", {})
    return Finding("note", "redaction", f"this is what would leave of an example: {json.dumps(kept)}")


def _spool(settings: Settings) -> Finding:
    directory = settings.native.get("spool_dir")
    if directory is None:
        return Finding("note", "spool", "none: what is not delivered when the process ends is lost (option spool_dir)")
    path = str(directory)
    existing = path
    while existing and not os.path.isdir(existing):
        parent = os.path.dirname(os.path.abspath(existing))
        if parent == existing or os.path.exists(existing):
            return Finding("failed", "spool", f"{existing} is no directory")
        existing = parent
    if not os.access(existing, os.W_OK | os.X_OK):
        return Finding("failed", "spool", f"{existing} can't be written")
    files = [os.path.join(root, name) for root, _, names in os.walk(path) for name in names]
    held = sum(os.path.getsize(file) for file in files if os.path.exists(file))
    statvfs = getattr(os, "statvfs", None)
    free = None if statvfs is None else statvfs(existing).f_bavail * statvfs(existing).f_frsize
    text = f"{os.path.abspath(path)}, holds {held:,} bytes in {len(files)} files"
    if free is not None and free < _FREE_BYTES_MIN:
        return Finding("warning", "spool", f"{text}; the disk has only {free:,} bytes left")
    return Finding("ok", "spool", text)


def _account() -> Finding:
    if runtime.client is None:
        return Finding("note", "records", "millpond.init was not called in this process")
    account = runtime.metrics()
    dropped = {reason: count for reason, count in account["dropped"].items() if count}
    text = f"{account['accepted']} accepted, {account['delivered']} delivered, {account['queued']} queued"
    if dropped:
        return Finding("warning", "records", f"{text}, dropped: {dropped}")
    return Finding("ok", "records", text)
