"""What the lab says when it cannot go on; the command line prints the message alone."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError


class LabError(Exception):
    """A mistake in a request, a workload or a folder; the message says what and what to do."""


class StorageError(LabError):
    """A file could not be written, for want of space most likely. Nothing finished is lost."""


class MissingDataError(LabError):
    """Data are not where they belong; the message says what, and where that is."""


def first_of(error: ValidationError) -> str:
    """The first thing that pydantic found: which field, what it must be, what it is."""
    wrong = error.errors()[0]
    allowed = wrong["msg"].removeprefix("Input should be ")
    return f"{'.'.join(map(str, wrong['loc']))} must be {allowed}, got {wrong['input']!r}"


@contextmanager
def needs_extra(what: str, package: str, extra: str) -> Iterator[None]:
    """Imports of a package that an extra of the lab brings.

    Raises:
        LabError: the package cannot be imported; the message says how to install it.
    """
    try:
        yield
    except ImportError as error:
        msg = (
            f'{what} needs {package}: pip install "adabelief-lab[{extra}]" '
            f'(in a clone: pip install . "./lab[{extra}]"). {error}'
        )
        raise LabError(msg) from error
