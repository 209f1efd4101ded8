"""Asks Millpond from Python: the newest errors, and who logs how much.

    MILLPOND_ENDPOINT=http://127.0.0.1:4480 MILLPOND_API_KEY=… python errors.py
"""

from __future__ import annotations

import millpond


def main() -> None:
    with millpond.Client() as client:
        for log in client.logs("level:error", limit=3):
            print(log)
        statistics = client.aggregated()
        print(f"{statistics.total} logs:", ", ".join(f"{found.value} {found.count}" for found in statistics.top_services))


if __name__ == "__main__":
    main()
