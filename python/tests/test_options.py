"""The options: where they come from, what they may be, that the engine follows them, and that they are documented."""

from __future__ import annotations

import base64
import typing
from pathlib import Path
from typing import Any

import pytest

import millpond
from millpond._config import OPTIONS, REQUEST_OPTIONS, Options, settings_from
from millpond._native import DEFAULTS, Client
from millpond._runtime import runtime
from millpond.middleware import RequestOptions
from recorder import Recorder

PAGE = Path(__file__).parents[2] / "docs/python/options.md"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"service": 5}, r"init\(service=…\) is 5 \(int\), expected a string"),
        ({"service": " "}, r"init\(service=…\) is ' ' \(str\), expected a string that is not empty"),
        ({"endpoint": "localhost:80"}, r"init\(endpoint=…\) is 'localhost:80' \(str\), expected the server's address"),
        ({"endpoint": "http://x:99999"}, r"init\(endpoint=…\)"),
        ({"endpoint": b"http://x"}, r"init\(endpoint=…\)"),
        ({"api_key": 1}, r"init\(api_key=…\) is … \(int\), expected a string"),
        ({"min_level": "loud"}, r"init\(min_level=…\) is 'loud' \(str\), expected trace, debug"),
        ({"min_level": True}, r"init\(min_level=…\)"),
        ({"compression": "lz4"}, r"init\(compression=…\) is 'lz4' \(str\), expected zstd, gzip or none"),
        ({"batch_age_s": "1"}, r"init\(batch_age_s=…\) is '1' \(str\), expected a number of seconds above 0"),
        ({"batch_age_s": float("nan")}, r"init\(batch_age_s=…\)"),
        (
            {"shutdown_timeout_s": -1},
            r"init\(shutdown_timeout_s=…\) is -1 \(int\), expected a number of seconds from 0",
        ),
        ({"queue_bytes_max": 1.5}, r"init\(queue_bytes_max=…\) is 1.5 \(float\), expected a whole number from 1 on"),
    ],
)
def test_a_wrong_setting_says_what_where_and_what_was_expected(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(millpond.ConfigurationError, match=message):
        millpond.init(**settings)


def test_the_key_is_not_shown() -> None:
    with pytest.raises(millpond.ConfigurationError) as caught:
        millpond.init(api_key="secret\n")
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(settings_from({"api_key": "secret"}, {}))


def test_settings_come_from_the_environment_unless_given() -> None:
    environment = {
        "MILLPOND_ENDPOINT": "https://logs.example/",
        "MILLPOND_API_KEY": "k",
        "MILLPOND_SERVICE": "s",
        "MILLPOND_LEVEL": "WARNING",
        "MILLPOND_SHUTDOWN_TIMEOUT_S": "0.5",
        "MILLPOND_QUEUE_BYTES_MAX": "1000000",
        "MILLPOND_REMOVE_BASE64": "yes",
        "MILLPOND_REDACT_KEYS": "iban, tax_id",
        "MILLPOND_COMPRESSION": "",
    }
    settings = settings_from({"service": "given"}, environment)
    assert settings.native == {
        "service": "given",
        "endpoint": "https://logs.example",
        "api_key": "k",
        "min_level": 13,
        "queue_bytes_max": 1_000_000,
        "remove_base64": True,
        "redact_keys": ["iban", "tax_id"],
        "shutdown_timeout_s": 0.5,
    }
    assert settings.shutdown_timeout_s == 0.5
    assert "endpoint" not in settings_from({"dsn": "http://k@localhost"}, environment).native
    for name, value in [("LEVEL", "loud"), ("BATCH_AGE_S", "soon"), ("LOSS_REPORTS", "maybe"), ("MODE", "x")]:
        with pytest.raises(millpond.ConfigurationError, match=f"environment variable MILLPOND_{name} is '{value}'"):
            settings_from({}, {f"MILLPOND_{name}": value})


def test_what_the_engine_refuses_is_a_configuration_error_too() -> None:
    for options, words in [
        ({"dsn": "https://localhost"}, "the DSN can't be read"),
        ({"ca_file": "/nowhere/ca.pem"}, "CA certificates"),
        ({"api_key": "schlüssel"}, "the API key has a character"),
        ({"proxy": "nonsense://"}, "proxy"),
        ({"proxy": "socks5://127.0.0.1:1"}, "no HTTP proxy"),
    ]:
        with pytest.raises(millpond.ConfigurationError, match=words):
            millpond.Client(**options)  # type: ignore[arg-type]


def test_an_unknown_option_is_refused_with_a_guess() -> None:
    with pytest.raises(TypeError, match="there is no option `endpiont`; did you mean `endpoint`"):
        millpond.Client(endpiont="x")  # type: ignore[call-arg]


def test_a_secret_is_in_no_text_about_the_settings() -> None:
    settings = settings_from({"api_key": "mp_secret", "dsn": "http://mp_secret@localhost"}, {})
    assert "mp_secret" not in repr(settings)
    with pytest.raises(millpond.ConfigurationError) as raised:
        millpond.Client(dsn="ftp://mp_secret@localhost")
    assert "mp_secret" not in str(raised.value)


def test_a_key_in_an_endpoint_is_refused_and_not_shown() -> None:
    for endpoint in ["http://mp_secret@localhost:4480", "https://user:mp_secret@h:99999", "htps://mp_secret@h"]:
        with pytest.raises(millpond.ConfigurationError, match="has credentials in it") as raised:
            millpond.Client(endpoint=endpoint)
        assert "mp_secret" not in str(raised.value)
    # Nor does a key go to another server than its own.
    found = settings_from({"endpoint": "http://127.0.0.1:1"}, {"MILLPOND_DSN": "http://mp_secret@prod.example"})
    assert "dsn" not in found.native


def test_a_setup_that_says_the_same_again_changes_nothing(server: Recorder) -> None:
    import numpy

    def setup(**more: Any) -> Any:
        millpond.init(endpoint=server.url, before_send=lambda record: record, capture_logging=False, **more)
        return runtime.client

    try:
        assert setup() is setup()
        assert setup(fields={"a": 1}) is not setup()
        # What can't be compared is another one.
        assert setup(fields={"a": numpy.array([1, 2])}) is not setup(fields={"a": numpy.array([1, 2])})
    finally:
        millpond.close(0)


def test_options_of_requests_need_an_application() -> None:
    with pytest.raises(millpond.ConfigurationError, match="about requests, expected `app`") as raised:
        millpond.init(skip_paths=["/x"])
    assert "init(" in str(raised.value)
    with pytest.raises(millpond.ConfigurationError, match="ignore_loggers"):
        millpond.init(ignore_loggers=5)  # type: ignore[arg-type]
    assert set(REQUEST_OPTIONS) == set(RequestOptions.__annotations__)


#: A value for each option that is not its default.
VALUES: dict[str, Any] = {
    "service": "s", "endpoint": "http://127.0.0.1:1", "api_key": "k", "dsn": "http://k@127.0.0.1:1",
    "environment": "e", "version": "v", "host": "h", "min_level": 17, "fields": {"a": 1}, "redaction": "off",
    "redact_keys": ["a"], "exclude_fields": ["b"], "text_chars_max": 10, "record_bytes_max": 2048, "depth_max": 3,
    "remove_base64": True, "exception_locals": True, "sample_rate": 0.5, "sample_level_max": 9,
    "before_send": lambda record: record, "trace_source": lambda: None, "auto_trace_id": True,
    "breadcrumbs_min_level": 9, "mode": "silent", "console": "off", "spool_bytes_max": 1 << 20,
    "spool_age_s_max": 1.0, "queue_bytes_max": 1000, "queue_records_max": 10, "overflow": "block",
    "block_timeout_s": 0.1, "batch_records_max": 1, "batch_records_due": 1, "batch_bytes_max": 1, "batch_age_s": 0.1,
    "compression": "gzip",
    "retry_delay_s": 0.1, "retry_delay_s_max": 1.0, "attempts_max": 1, "breaker_failures": 1, "breaker_reset_s": 1.0,
    "loss_reports": False, "proxy": "http://127.0.0.1:1", "connect_timeout_s": 1.0, "request_timeout_s": 1.0,
    "shutdown_timeout_s": 0.0,
}  # fmt: skip


def test_the_native_client_knows_every_option(tmp_path: Path) -> None:
    ca = Path(__file__).with_name("ca.pem")
    values = {**VALUES, "spool_dir": str(tmp_path), "ca_file": str(ca)}
    native = {option.name for option in OPTIONS if option.native}
    assert set(values) == native
    for name, value in values.items():
        Client({"mode": "silent", name: value})
    Client({"mode": "silent", **values})
    with pytest.raises(TypeError, match="there is no option `nonsense`"):
        Client({"nonsense": 1})
    assert set(DEFAULTS) <= native


def test_the_typed_options_are_those_of_the_table() -> None:
    assert set(typing.get_type_hints(Options)) == {option.name for option in OPTIONS}


def test_every_option_is_documented_with_its_variable_and_default() -> None:
    rows = [
        f"| `{option.name}` | {option.meaning} | {option.default_shown} | "
        f"{'–' if option.environment_name is None else f'`{option.environment_name}`'} |"
        for option in OPTIONS
    ]
    page = PAGE.read_text(encoding="utf-8")
    assert [row for row in rows if row not in page] == []
    for option in OPTIONS:
        assert f":param {option.name}: {option.meaning}" in str(millpond.init.__doc__)


def records(server: Recorder, client: millpond.Client) -> list[dict[str, Any]]:
    assert client.flush(5)
    return list(server.records)


def test_every_option_of_content_reaches_the_record(server: Recorder) -> None:
    with millpond.Client(
        endpoint=server.url, service="s", environment="e", version="v", host="h", fields={"region": "eu", "n": [1]},
        redaction="keys_and_values", redact_keys=["tax_id"], exclude_fields=["body"], text_chars_max=40,
        remove_base64=True, depth_max=2, auto_trace_id=True,
    ) as client:  # fmt: skip
        client.info(
            "mail to a@shop.example", tax_id=1, Password="p", body="…", long="x" * 50, deep={"a": {"b": {"c": 1}}},
            blob=base64.b64encode(bytes(range(256))).decode(),
        )
        (record,) = records(server, client)
    assert (record["service"], record["environment"], record["version"], record["host"]) == ("s", "e", "v", "h")
    assert record["message"] == "mail to [REDACTED:email]"
    assert len(record["trace_id"]) == 32
    assert record["fields"] == {
        "tax_id": "[REDACTED]", "Password": "[REDACTED]", "body": "[EXCLUDED]", "long": "x" * 40 + "...[TRUNCATED]",
        "deep": {"a": {"b": "[TOO DEEP]"}},
        "blob": "[BASE64 DATA REMOVED]", "region": "eu", "n": [1],
    }  # fmt: skip


def test_a_full_queue_can_hold_the_caller_up_and_no_other_thread(server: Recorder) -> None:
    import threading

    server.status = 503
    options: Any = {
        "endpoint": server.url, "queue_records_max": 5, "overflow": "block", "block_timeout_s": 0.5,
        "retry_delay_s": 0.01, "retry_delay_s_max": 0.02, "breaker_failures": 1000, "shutdown_timeout_s": 5,
    }  # fmt: skip
    ticks = 0
    with millpond.Client(**options) as client:
        for number in range(5):
            client.info(str(number))
        done = threading.Event()

        def wait() -> None:
            client.info("waits, then is dropped")
            done.set()

        thread = threading.Thread(target=wait)
        thread.start()
        while not done.wait(0.005):
            ticks += 1
        thread.join()
        assert ticks > 10
        assert client.metrics()["dropped"]["overflow"] == 1
        server.status = 200
        client.info("waits, then has room")
        assert [record["message"] for record in records(server, client) if "lost" not in record["message"]][:6] == [
            "0", "1", "2", "3", "4", "waits, then has room",
        ]  # fmt: skip


def test_sampling_keeps_whole_traces_and_says_how_many(server: Recorder) -> None:
    with millpond.Client(endpoint=server.url, sample_rate=0.5) as client:
        for number in range(200):
            with millpond.context(trace_id=f"{number:032x}"):
                client.info("a")
                client.info("b")
                client.error("always")
        found = records(server, client)
        filtered = client.metrics()["filtered"]
    sampled = [record for record in found if record["message"] != "always"]
    assert len(found) - len(sampled) == 200
    assert len(sampled) + filtered == 400
    assert 0 < len(sampled) < 400
    assert {record["fields"]["sample_rate"] for record in sampled} == {0.5}
    traces = [record["trace_id"] for record in sampled]
    assert all(traces.count(trace) == 2 for trace in traces)
