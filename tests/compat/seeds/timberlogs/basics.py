"""Basic usage, the logging methods, errors, data, tags, chaining, entries and options."""

from given import KEY

from millpond.compat.timberlogs import (
    FORMAT_CONTENT_TYPES,
    Environment,
    Flow,
    FormatName,
    IngestRawOptions,
    LogEntry,
    LogLevel,
    LogOptions,
    TimberlogsClient,
    TimberlogsConfig,
    ValidationError,
    __version__,
    create_timberlogs,
)

timber = create_timberlogs(source="my-app", environment="production", api_key=KEY)

# Logging methods
timber.debug("Cache miss", {"key": "user:1"})
timber.info("User signed in", {"userId": "u1", "method": "oauth"})
timber.warn("Rate limit close", {"used": 95, "limit": 100})
timber.error("Payment failed", {"code": "card_declined"})

# Error handling
try:
    int("twelve")
except ValueError as error:
    timber.error("Could not read the amount", error)

# Data: whatever JSON has
timber.info("Order placed", {"items": [{"sku": "a", "count": 2}], "paid": True, "coupon": None, "total": 12.5})

# Tags
timber.info("Cart opened", {"items": 3}, LogOptions(tags=["cart", "web"]))
timber.error("Mail bounced", None, LogOptions(tags=["mail"]))

# Full control
timber.log(
    LogEntry(
        level="info",
        message="Imported",
        data={"rows": 7},
        user_id="u2",
        session_id="s2",
        request_id="r2",
        tags=["import"],
    )
)

# Users and sessions, chained
timber.set_user_id("u3").set_session_id("s3").info("Profile opened").info("Profile saved")
timber.set_user_id(None).set_session_id(None)
timber.info("Signed out")

timber.flush()
timber.disconnect()

assert __version__ == "1.2.0"
assert isinstance(timber, TimberlogsClient) and isinstance(timber.flow("f"), Flow)
assert issubclass(ValidationError, ValueError)
assert FORMAT_CONTENT_TYPES["obl"] == "application/x-obl"
assert all(kind is not None for kind in (Environment, FormatName, IngestRawOptions, LogLevel, TimberlogsConfig))
