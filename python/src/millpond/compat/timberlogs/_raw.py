"""Requests beside the queue: raw logs in a format of their own, and flows whose id the server makes. Each is made by
the caller's :class:`millpond.Shipper`, and fails with the exceptions that the original fails with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, urlencode

import millpond
from millpond.compat.timberlogs._errors import status_error, transport_error


class RawRequest(NamedTuple):
    """One body of raw logs on its way."""

    url: str
    body: str | bytes
    headers: dict[str, str]
    attempts: int

    @classmethod
    def of(
        cls, endpoint: str, parameters: Mapping[str, str | None], content_type: str, body: str | bytes, attempts: int
    ) -> RawRequest:
        """Parameters without a value are left out."""
        query = urlencode({name: value for name, value in parameters.items() if value}, quote_via=quote)
        return cls(f"{endpoint}?{query}", body, {"Content-Type": content_type}, attempts)

    def send(self, shipper: millpond.Shipper) -> None:
        """Sends it, with retries.

        :raises Exception: what the last attempt failed with.
        """
        try:
            answer = shipper.request("POST", self.url, self.body, headers=self.headers, attempts_max=self.attempts)
        except ConnectionError as error:
            raise transport_error(self.url, str(error)) from error
        self._check(answer)

    async def send_async(self, shipper: millpond.Shipper) -> None:
        """As :meth:`send`."""
        try:
            answer = await shipper.request_async(
                "POST", self.url, self.body, headers=self.headers, attempts_max=self.attempts
            )
        except ConnectionError as error:
            raise transport_error(self.url, str(error)) from error
        self._check(answer)

    def _check(self, answer: millpond.Response) -> None:
        if not 200 <= answer.status < 300:
            raise status_error(self.url, answer.status, answer.body, answer.headers)


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
