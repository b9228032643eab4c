"""The end of a run that hangs."""

from __future__ import annotations

import os
import threading
from types import TracebackType

from adabelief_lab.common.environment import environment
from adabelief_lab.declare.study import Result
from adabelief_lab.run import crash_counter
from adabelief_lab.store.run_folder import RunFolder


class TimeLimit:
    """Ends the run in `folder`, and this process, if the block takes longer than `seconds`.

    By a clock that does not jump. Whoever writes the run's result holds `ending`.

    Args:
        folder: the run's, locked by this process.
        seconds: None for no limit.
    """

    def __init__(self, folder: RunFolder, seconds: float | None) -> None:
        self.ending = threading.Lock()
        self._folder, self._seconds = folder, seconds
        self._timer = None if seconds is None else threading.Timer(seconds, self._end)

    def __enter__(self) -> TimeLimit:
        """Start the clock."""
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        if self._timer is not None:
            self._timer.cancel()

    def _end(self) -> None:
        with self.ending:
            if self._folder.result() is not None:
                return
            step = self._folder.step()
            self._folder.finish(
                Result(
                    status="timeout",
                    reason=f"not finished after {self._seconds:g} seconds; the last evaluation "
                    f"was at step {step}",
                    step=step,
                    seconds=self._seconds or 0.0,
                    eval_seconds=0.0,
                    environment=environment(),
                )
            )
            crash_counter.end(self._folder.path)
            os._exit(1)
