"""One call without an application, set up by the environment; the end of the program sends what is left."""

import logging
import os

os.environ["STREAMLOGIA_API_KEY"] = os.environ["COMPAT_KEY"]
os.environ["STREAMLOGIA_PROJECT_ID"] = "7f1f8f68-6a0c-4f0e-9a0b-0b6a3a0b1c2d"

import streamlogia

streamlogia.init(source="job", batch_size=100, console=False)
logging.getLogger("job").info("started")
logging.getLogger("job").error("failed")
