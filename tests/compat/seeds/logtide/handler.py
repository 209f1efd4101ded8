from given import ADDRESS, KEY

import logging
from millpond.compat.logtide_sdk import LogTideClient, ClientOptions, LogTideHandler

client = LogTideClient(ClientOptions(
    api_url=ADDRESS,
    api_key=KEY,
))

handler = LogTideHandler(client=client, service='my-service')
handler.setLevel(logging.WARNING)

logger = logging.getLogger(__name__)
logger.addHandler(handler)

# These are forwarded to LogTide automatically
logger.warning('Low disk space')
try:
    1 / 0
except ZeroDivisionError:
    logger.error('Unhandled exception', exc_info=True)
logger.info('Not forwarded')
client.close()
