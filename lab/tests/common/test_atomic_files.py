"""Files are replaced as a whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from adabelief_lab.common.atomic_files import naming, replace
from adabelief_lab.common.errors import StorageError

# In a process of its own, where no file may grow beyond 1,000 bytes: the kernel stops the write.
FULL = """
import resource, sys
from pathlib import Path
from adabelief_lab.common.atomic_files import replace
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))
try:
    replace(Path(sys.argv[1]), b"new" * 1_000)
except OSError as error:
    sys.exit("raw OSError")
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_write_that_fails_in_its_middle_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"old")
    ended = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"StorageError {path} could not be written: File too large")
    assert "make room" in ended.stdout
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_device_without_space_is_named_with_what_to_do() -> None:
    full = Path("/dev/full")
    message = r"/dev/full could not be written: No space left.*make room"
    with (
        pytest.raises(StorageError, match=message),
        naming(full),
        full.open("wb", buffering=0) as file,
    ):
        file.write(b"x")


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        replace(path, b"new")
        assert reader.read() == b"old", "the old file was written over, not replaced"
    assert path.read_bytes() == b"new"


def test_folders_are_made(tmp_path: Path) -> None:
    replace(tmp_path / "a" / "b" / "file", b"content")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"content"
