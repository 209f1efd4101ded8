"""Requests beside the queue: raw logs in a format of their own, and flows whose id the server makes. Each is made by
the caller's :class:`millpond.Shipper`, and fails with the exceptions that the original fails with."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, urlencode

import millpond
from millpond.compat.timberlogs._errors import status_error, transport_error
from millpond.compat.timberlogs._retry import Retry, asked_wait_s, is_worth_retrying


class RawRequest(NamedTuple):
    """One body of raw logs on its way."""

    url: str
    body: str | bytes
    headers: dict[str, str]
    retry: Retry

    @classmethod
    def of(
        cls, endpoint: str, parameters: Mapping[str, str | None], content_type: str, body: str | bytes, retry: Retry
    ) -> RawRequest:
        """Parameters without a value are left out."""
        query = urlencode({name: value for name, value in parameters.items() if value}, quote_via=quote)
        # The same key for every attempt: where it is known, a body that was stored is not stored again.
        headers = {"Content-Type": content_type, "Idempotency-Key": uuid.uuid4().hex}
        return cls(f"{endpoint}?{query}", body, headers, retry)

    def send(self, shipper: millpond.Shipper) -> None:
        """Sends it, with retries.

        :raises Exception: what the last attempt failed with.
        """
        for wait_s in (*self.retry.waits(), None):
            try:
                answer = shipper.request("POST", self.url, self.body, headers=self.headers)
            except ConnectionError as error:
                pause_s = self._unanswered(error, wait_s)
            else:
                pause_s = self._answered(answer, wait_s)
            if pause_s is None:
                return
            time.sleep(pause_s)

    async def send_async(self, shipper: millpond.Shipper) -> None:
        """As :meth:`send`."""
        import asyncio  # Programs without it don't pay for it.

        for wait_s in (*self.retry.waits(), None):
            try:
                answer = await shipper.request_async("POST", self.url, self.body, headers=self.headers)
            except ConnectionError as error:
                pause_s = self._unanswered(error, wait_s)
            else:
                pause_s = self._answered(answer, wait_s)
            if pause_s is None:
                return
            await asyncio.sleep(pause_s)

    def _unanswered(self, error: ConnectionError, wait_s: float | None) -> float | None:
        """The seconds before the next attempt; ``None`` if none is needed. Without a wait there is none left."""
        if wait_s is None:
            raise transport_error(self.url, str(error)) from error
        return wait_s

    def _answered(self, answer: millpond.Response, wait_s: float | None) -> float | None:
        """As :meth:`_unanswered`."""
        if 200 <= answer.status < 300:
            return None
        if wait_s is None or not is_worth_retrying(answer.status):
            raise status_error(self.url, answer.status, answer.body, answer.headers)
        return min(max(wait_s, asked_wait_s(answer.headers, answer.body)), self.retry.delay_s_max)


async def create_flow(shipper: millpond.Shipper, url: str, name: str) -> tuple[str, str]:
    """Asks the server for a flow; its id and name.

    :raises RuntimeError: there is none.
    """
    body = json.dumps({"name": name})
    try:
        answer = await shipper.request_async("POST", url, body, headers={"Content-Type": "application/json"})
    except ConnectionError as error:
        raise RuntimeError(f"Failed to create flow: {error}") from transport_error(url, str(error))
    if not 200 <= answer.status < 300:
        refusal = status_error(url, answer.status, answer.body, answer.headers)
        raise RuntimeError(f"Failed to create flow: HTTP {answer.status}") from refusal
    try:
        flow = json.loads(answer.body)
    except ValueError as error:
        raise RuntimeError("Invalid flow response: not JSON") from error
    flow_id = flow.get("flowId") if isinstance(flow, dict) else None
    if not flow_id:
        raise RuntimeError("Invalid flow response: missing flowId")
    return str(flow_id), str(flow.get("name", name))
