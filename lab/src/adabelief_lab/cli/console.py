"""What all commands share: two consoles, mistakes without a traceback, how to go on."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console

from adabelief_lab.common.errors import LabError

# What a shell expects of a program ended by Ctrl-C: 128 + SIGINT.
INTERRUPTED = 130
# Columns: tables are at most this wide.
WIDTH = 100


class PatientStream:
    """A stream whose reader may leave, as `head` does: what is written after that goes nowhere.

    The command itself goes on: a study is trained to its end and its report is written.

    Args:
        stream: the stream that is written to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, if anybody still reads."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._give_up()
            return len(text)

    def flush(self) -> None:
        """Flush, if anybody still reads."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._give_up()

    def _give_up(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the stream's own."""
        return getattr(self._stream, name)


def _console(stream: TextIO) -> Console:
    """A console for the stream. A pipe or a log has no width: it gets WIDTH, not rich's 80."""
    if stream.isatty() or "COLUMNS" in os.environ:
        return Console(stderr=stream is sys.stderr)
    # rich takes a width without a height for nothing where TERM is "dumb".
    return Console(stderr=stream is sys.stderr, width=WIDTH, height=25)


console = _console(sys.stdout)
errors = _console(sys.stderr)


def command() -> str:
    """The command as it was given, for the shell."""
    return "adabelief " + shlex.join(sys.argv[1:])


@contextmanager
def explained() -> Iterator[None]:
    """No traceback: a mistake ends with its message and exit code 1, Ctrl-C with 130."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except LabError as error:
        errors.print(f"adabelief: {error}", style="red", highlight=False, markup=False)
        raise typer.Exit(1) from None


def hurry() -> None:
    """From now on Ctrl-C ends this process at once: workers end by themselves when it is gone."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))


AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


def show_json(content: Any) -> None:
    """Print JSON alone, as it is: no colours, no line breaks of a narrow terminal."""
    sys.stdout.write(json.dumps(content, indent=1, allow_nan=False) + "\n")
