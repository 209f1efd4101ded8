"""What the environment says, and what goes before it."""

import os

from given import ADDRESS, KEY, report

os.environ.update(
    STREAMLOGIA_API_URL=f"  {ADDRESS}/  ", STREAMLOGIA_API_KEY=KEY, STREAMLOGIA_PROJECT_ID="by-environment"
)

from streamlogia import DEFAULT_BASE_URL, ENV_BASE_URL, ENV_CA_FILE, Level, LogIngestorClient

first = LogIngestorClient(console=False)
first.info("by the environment")
first.close()
second = LogIngestorClient("another", "by-argument", base_url=f"{ADDRESS}/there//", console=False)
second.info("by arguments")
second.close()

raised = []
for name in ("STREAMLOGIA_API_KEY", "STREAMLOGIA_PROJECT_ID"):
    value = os.environ.pop(name)
    try:
        LogIngestorClient(console=False)
    except ValueError as error:
        raised.append(name in str(error))
    os.environ[name] = value
try:
    LogIngestorClient(ca_file="/no/such/file.pem")
except FileNotFoundError as error:
    raised.append(type(error).__name__)
report([raised, DEFAULT_BASE_URL, ENV_BASE_URL, ENV_CA_FILE, Level.DEBUG, Level.INFO, Level.WARN, Level.ERROR])
