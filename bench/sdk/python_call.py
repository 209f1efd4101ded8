"""What a log call costs its caller: message and five fields, 100,000 calls.

    pip install ./python && python bench/sdk/python_call.py [ENDPOINT]

Without an endpoint nothing listens: the queue takes what fits and drops the rest, after 300,000 records.
"""

from __future__ import annotations

import logging
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable

import millpond

CALLS = 100_000


def measure(name: str, call: Callable[[int], None]) -> None:
    for number in range(2_000):
        call(number)
    clock = time.perf_counter_ns
    took = []
    cpu = time.thread_time()
    for number in range(CALLS):
        start = clock()
        call(number)
        took.append(clock() - start)
    cpu = time.thread_time() - cpu
    took.sort()
    mean, p50, p99, longest = (
        value / 1000 for value in (statistics.fmean(took), took[CALLS // 2], took[CALLS * 99 // 100], took[-1])
    )
    print(f"{name:36} {mean:8.2f} {p50:8.2f} {p99:8.2f} {longest:9.0f} {cpu / CALLS * 1e6:10.2f}")
    # Each measurement begins with an empty queue, if there is a server.
    millpond.flush(5 if len(sys.argv) > 1 else 0)


def main() -> None:
    endpoint = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:9"
    millpond.init(service="bench", endpoint=endpoint, queue_bytes_max=512 << 20, shutdown_timeout_s=0)
    log = millpond.get_logger("bench")
    bound = log.bind(region="eu", shop="s-1")
    stdlib = logging.getLogger("bench")
    stdlib.setLevel(logging.INFO)
    stdlib.propagate = False
    stdlib.addHandler(millpond.Handler())

    def five(number: int) -> None:
        log.info("order placed", order_id=number, customer="c-1234", amount=19.99, currency="EUR", express=True)

    def with_context(number: int) -> None:
        bound.info("order placed", order_id=number, customer="c-1234", amount=19.99, currency="EUR", express=True)

    def nested(number: int) -> None:
        log.info("order placed", order={"id": number, "lines": [{"sku": "a", "count": 2}, {"sku": "b", "count": 1}]})

    def handler(number: int) -> None:
        stdlib.info("order %d placed", number, extra={"customer": "c-1234", "amount": 19.99})

    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {CALLS} calls")
    print(f"{'microseconds per call':36} {'mean':>8} {'p50':>8} {'p99':>8} {'max':>9} {'caller CPU':>10}")
    measure("nothing (the clock)", lambda number: None)
    measure("message", lambda number: log.info("order placed"))
    measure("message, 5 fields", five)
    with millpond.context(trace_id="4bf92f3577b34da6a3ce929d0e0e4736", request_id="r-1"):
        measure("message, 5 fields, 2 bound, 2 context", with_context)
    measure("message, nested field", nested)
    measure("stdlib handler, 2 extra", handler)
    print(millpond.metrics())
    millpond.close(0)


if __name__ == "__main__":
    main()
