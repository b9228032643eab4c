"""`python -m adabelief` and the `adabelief` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; without its extra, say what to install."""
    try:
        from adabelief_lab.cli import app  # noqa: PLC0415, only here are its packages needed
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("adabelief"):
            raise
        sys.exit(
            f'adabelief: the lab needs the package {error.name!r}: pip install "adabelief[report]"'
        )
    app()


if __name__ == "__main__":
    main()
