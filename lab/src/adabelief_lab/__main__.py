"""`python -m adabelief_lab` and the `adabelief` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; where a package is missing, say what to install."""
    try:
        # Imported here, so that a missing package is told.
        from adabelief_lab.cli import app  # noqa: PLC0415
        from adabelief_lab.cli.console import PatientStream  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("adabelief"):
            raise
        sys.exit(
            f"adabelief: the laboratory needs the package {error.name!r}: pip install adabelief-lab"
            " (in a clone: pip install . ./lab)"
        )
    sys.stdout = PatientStream(sys.stdout)
    app()


if __name__ == "__main__":
    main()
