"""A study as one file, and two machines' halves of a study put together."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from adabelief_lab.common.atomic_files import replace
from adabelief_lab.common.errors import LabError
from adabelief_lab.conduct.compare import results_of
from adabelief_lab.declare.study import Result, Run, Study, plan
from adabelief_lab.store.study_folder import Store, joined

# What of a finished run is packed; nothing else of an archive is ever written.
FILES = ("spec.json", "metrics.jsonl", "result.json")
_MEMBER = re.compile(r"runs/([0-9a-f]{16})/(spec\.json|metrics\.jsonl|result\.json)")


class Merged(NamedTuple):
    """What `unpack` did: runs that are new here, that were here already, and that contradict."""

    added: int
    known: int
    contradicting: list[str]


def pack(store: Store, target: Path) -> int:
    """Write the declaration and every finished run to a zip file; return the number of runs.

    Raises:
        LabError: the folder holds no study.
        StorageError: the file could not be written.
    """
    study = store.study()
    results = results_of(study, store)
    runs = [run for run in plan(study, results) if run.key in results]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(store.root / "study.json", "study.json")
        archive.writestr("code.json", json.dumps(store.code()))
        for run in runs:
            folder = store.folder(run).path
            for name in FILES:
                archive.write(folder / name, f"runs/{run.key}/{name}")
    replace(target, buffer.getvalue())
    return len(runs)


def unpack(source: Path, store: Store) -> Merged:
    """Add the runs of an archive to a study's folder, which is made if it does not exist.

    The union of both: runs of either are in it, once. Where both have a run and its rows differ,
    this folder's is kept and the other named.

    Raises:
        LabError: the file cannot be read, or is no archive of a study, or of another study, or of
            one that another version of this code made; nothing is changed.
        StorageError: something could not be written.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            study = Study.model_validate_json(archive.read("study.json"))
            code = dict(json.loads(archive.read("code.json")))
            runs = _runs(archive)
    except OSError as error:
        msg = f"{source} cannot be read: {error.strerror}"
        raise LabError(msg) from error
    except (zipfile.BadZipFile, KeyError, ValidationError, ValueError) as error:
        msg = f"{source} is not an archive that `adabelief pack` made: {error}"
        raise LabError(msg) from error
    store.open(joined(study, store), code)
    added, known, contradicting = 0, 0, []
    for key, files in sorted(runs.items()):
        run = Run.model_validate_json(files["spec.json"])
        folder = store.folder(run)
        with folder.locked():
            if folder.result() is None:
                for name in FILES:  # the result last: it says that the run is finished
                    replace(folder.path / name, files[name])
                folder.checkpoint.unlink(missing_ok=True)
                added += 1
            elif folder.metrics.read_bytes() == files["metrics.jsonl"]:
                known += 1
            else:
                contradicting.append(key)
    return Merged(added, known, contradicting)


def _runs(archive: zipfile.ZipFile) -> dict[str, dict[str, bytes]]:
    """Files of every run by key, each checked to be what its name says.

    Raises:
        ValueError: a run lacks a file, or is not what its folder's name says.
    """
    found: dict[str, dict[str, bytes]] = {}
    for member in archive.namelist():
        matched = _MEMBER.fullmatch(member)
        if matched:
            found.setdefault(matched[1], {})[matched[2]] = archive.read(member)
    for key, files in found.items():
        missing = [name for name in FILES if name not in files]
        if missing:
            msg = f"runs/{key} lacks {', '.join(missing)}"
            raise ValueError(msg)
        if Run.model_validate_json(files["spec.json"]).key != key:
            msg = f"runs/{key}/spec.json is another run's"
            raise ValueError(msg)
        Result.model_validate_json(files["result.json"])
        for line in files["metrics.jsonl"].splitlines():
            json.loads(line)
    return found
