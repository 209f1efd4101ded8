"""Flows: created, chained, filtered; a data pipeline; an id that the server makes."""

import asyncio
import re

from given import KEY

from millpond.compat.timberlogs import LogOptions, create_timberlogs

timber = create_timberlogs(source="my-app", environment="production", api_key=KEY)

# Creating a flow
checkout = timber.flow("checkout")
checkout.info("Cart validated", {"items": 3})
checkout.info("Payment authorized")
checkout.info("Order created", {"order": "o1"})
checkout.info("Confirmation sent")

# Properties and id
assert checkout.name == "checkout"
assert re.fullmatch(r"checkout-[0-9a-z]{8}", checkout.id)

# Logging methods, chained
timber.flow("signup").debug("Form shown").info("Form sent", {"plan": "pro"}).warn(
    "Mail is slow", None, LogOptions(tags=["mail"])
).error("Mail failed", OSError("no route"))


# A data pipeline
def pipeline(rows):
    flow = timber.flow("pipeline")
    flow.info("Extract", {"rows": len(rows)})
    try:
        total = sum(map(int, rows))
        flow.info("Load", {"total": total})
    except ValueError as error:
        flow.error("Transform failed", error)


pipeline(["1", "2"])
pipeline(["1", "x"])
timber.disconnect()

# Filtered levels take no step
with create_timberlogs(source="my-app", environment="production", api_key=KEY, min_level="warn") as quiet:
    quiet.flow("filtered").debug("Unseen").info("Unseen").warn("First").error("Second")


# From the server
async def main():
    async with create_timberlogs(source="my-app", environment="production", api_key=KEY) as timber:
        flow = await timber.flow_async("remote")
        assert re.fullmatch(r"remote-[0-9a-z]{8}", flow.id)
        flow.info("Remote step")


asyncio.run(main())
