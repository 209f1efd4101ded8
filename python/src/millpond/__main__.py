"""``python -m millpond doctor``: checks what the environment sets up."""

from __future__ import annotations

import argparse

import millpond


def main() -> int:
    """The command line; the exit status says whether all is well."""
    parser = argparse.ArgumentParser(prog="python -m millpond", description=millpond.__doc__)
    parser.add_argument("--version", action="version", version=f"millpond {millpond.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser(
        "doctor", help="check endpoint, key, clock, redaction and spool; settings come from MILLPOND_* and the options"
    )
    for name in ("endpoint", "api-key", "dsn", "service", "spool-dir"):
        check.add_argument(f"--{name}", help=f"as the option {name.replace('-', '_')}")
    options = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    del options["command"]
    return 0 if millpond.doctor(**options) else 1


if __name__ == "__main__":
    raise SystemExit(main())
