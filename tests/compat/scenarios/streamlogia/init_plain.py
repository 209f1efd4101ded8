"""One call without an application, set up by the environment; the end of the program sends what is left."""

import logging
import os

os.environ["STREAMLOGIA_API_KEY"] = os.environ["COMPAT_KEY"]
os.environ["STREAMLOGIA_PROJECT_ID"] = "p-1"

import streamlogia

streamlogia.init(source="job", batch_size=100, console=False)
logging.getLogger("job").info("started")
logging.getLogger("job").error("failed")
