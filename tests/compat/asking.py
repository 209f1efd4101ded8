"""Runs a sample that makes a web application, and asks it: `asking.py FILE REQUESTS`, a JSON array of method, path,
body. Reports the statuses."""

from __future__ import annotations

import json
import runpy
import sys
import warnings
from typing import Any

from given import report


def wsgi_statuses(app: Any, requests: list[Any]) -> list[int]:
    with app.test_client() as client:
        return [client.open(path, method=method, json=body).status_code for method, path, body in requests]


def asgi_statuses(app: Any, requests: list[Any]) -> list[int]:
    with warnings.catch_warnings():
        # It asks for a newer library than the application needs.
        warnings.simplefilter("ignore")
        from starlette.testclient import TestClient
    # Within its lifespan.
    with TestClient(app, raise_server_exceptions=False) as client:
        return [client.request(method, path, json=body).status_code for method, path, body in requests]


application = runpy.run_path(sys.argv[1])["app"]
ask = wsgi_statuses if hasattr(application, "wsgi_app") else asgi_statuses
report(ask(application, json.loads(sys.argv[2])))
