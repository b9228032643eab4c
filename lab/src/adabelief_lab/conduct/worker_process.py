"""A process that trains for another one: it must not outlive it, nor take its Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import time

import torch

from adabelief_lab.run import crash_counter


def exit_with_parent(parent: int, threads: int) -> None:
    """Make this process end when `parent` does, however it ends.

    Args:
        parent: process id of the one that started this one.
        threads: of torch, in this process.
    """
    # Ctrl-C reaches the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)

    def watch() -> None:
        # A parent killed with SIGKILL cannot tell anybody; idle workers would stay for ever.
        while os.getppid() == parent:
            time.sleep(0.5)
        crash_counter.exit_without_counting()

    threading.Thread(target=watch, daemon=True).start()
