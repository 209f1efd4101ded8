"""Development: the console only. The second call of the sample does nothing: the first one counts."""

from given import KEY

from millpond.compat.logiscout_logger import DEV, PROD, get_logger, init

# Development - console only
init(api_token="...", service_name="my-service", env=DEV)

# Production - console + remote with batching
init(api_token=KEY, service_name="my-service", env=PROD)

get_logger("modes").info("Only here")
