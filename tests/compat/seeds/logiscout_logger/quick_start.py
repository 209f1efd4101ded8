"""Quick start, and the second log call of each kind that the page shows."""

from given import KEY

from millpond.compat.logiscout_logger import init, get_logger, PROD

# 1. Initialize once at app startup
init(
    api_token=KEY,
    service_name="my-service",
    env=PROD,
)

# 2. Get a logger anywhere in your codebase
logger = get_logger(__name__)

# 3. Log structured events
logger.info("User logged in", user_id=123)
logger.warning("Rate limit approaching", current=95, limit=100)
logger.error("Payment failed", order_id="abc-123", reason="insufficient_funds")

# Levels
logger.debug("Detailed debug information")
logger.info("General information")
logger.warning("Warning message")
logger.error("Error message")
logger.critical("Critical error message")

# Metadata
logger.info("Order created", order_id="123", total=99.99, currency="USD")

# Bound context
user_logger = logger.bind(user_id=123, session_id="abc")
user_logger.info("User action", action="click")  # includes user_id and session_id

# Confidential logs
trace = "frames"
logger.info("Password reset token generated", token="secret-token", send=False)
logger.error("Internal error details", stack_trace=trace, send=False)
