"""A study's folder. Truth is in its files: every other stage can be thrown away and rebuilt.

study.json                  the declaration
code.json                   hashes of the files of code that its runs can reach
lock                        held while the declaration is written
runs/<key>/spec.json        the run's declaration
runs/<key>/metrics.jsonl    one row an evaluation; byte for byte the same however often killed
runs/<key>/checkpoint.pt    where to go on; gone when the run is finished
runs/<key>/checkpoint-<rank>-<step>.pt  what other processes of the same run go on from
runs/<key>/result.json      how it ended; its existence means finished
runs/<key>/attempts.json    how often training from this step has ended its process
runs/<key>/lock             held while the run is trained; freed by the kernel on death
runs/<key>/aside-<n>/       what was found damaged, kept
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from filelock import FileLock
from pydantic import ValidationError

from adabelief_lab.common.atomic_files import is_partial, naming, replace, replace_json, sweep
from adabelief_lab.common.code_version import differences
from adabelief_lab.common.errors import LabError
from adabelief_lab.declare.study import Result, Run, RunRecord, Study
from adabelief_lab.store.run_folder import Rows, RunFolder
from adabelief_lab.store.same_study import check_same

# Changed files that a message names.
LISTED = 10


class Store:
    """The folder of one study.

    Args:
        root: the folder; made by `open` when it does not exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(
        self, study: Study, code: Mapping[str, str] | None = None, *, any_code: bool = False
    ) -> None:
        """Make the folder this study's, or make sure that it is.

        More seeds and more optimizers than the folder has are welcome: what is there is kept.

        Args:
            study: the declaration.
            code: hashes of the files that the runs which are to come can reach; None compares
                nothing and writes nothing down.
            any_code: resume although the folder's runs were made by other code.

        Raises:
            LabError: the folder holds another study, or other things, or was made by another
                version of this code; nothing is changed.
        """
        self.check(study, code, any_code=any_code)
        path = self.root / "study.json"
        with naming(path):
            self.root.mkdir(parents=True, exist_ok=True)
            # Locked, so that what a killed driver left is told from what another one is writing.
            with FileLock(self.root / "lock"):
                sweep(self.root)
                replace_json(path, study)
                if code is not None:
                    together = dict(sorted({**self.code(), **code}.items()))
                    replace(self.root / "code.json", json.dumps(together, indent=1).encode())
            for checkpoint in self.root.glob("runs/*/checkpoint*.pt"):
                if RunFolder(checkpoint.parent).result() is not None:  # killed within `finish`
                    checkpoint.unlink(missing_ok=True)

    def check(
        self, study: Study, code: Mapping[str, str] | None = None, *, any_code: bool = False
    ) -> None:
        """Make sure that `open` with the same arguments would take the folder; change nothing.

        Raises:
            LabError: as for `open`.
        """
        if (self.root / "study.json").exists():
            check_same(self.root, self.study(), study)
            if code is not None and not any_code:
                self._check_code(code)
        elif self.root.exists() and (not self.root.is_dir() or _foreign(self.root)):
            msg = f"{self.root} is not empty and holds no study; name another folder with --out"
            raise LabError(msg)

    def code(self) -> dict[str, str]:
        """Hashes of the code that made the folder's runs; none where nobody wrote them down."""
        try:
            return dict(json.loads((self.root / "code.json").read_bytes()))
        except (OSError, ValueError):
            return {}

    def _check_code(self, code: Mapping[str, str]) -> None:
        changes = differences(self.code(), code)
        if changes:
            more = [f"and {len(changes) - LISTED} more"] if len(changes) > LISTED else []
            listed = "\n  ".join([*changes[:LISTED], *more])
            msg = (
                f"{self.root} was made by another version of this code; nothing was changed. These "
                f"files differ:\n  {listed}\n"
                "Name another folder with --out, or mix the results of both versions with "
                "--any-code."
            )
            raise LabError(msg)

    def study(self) -> Study:
        """Return the declaration in study.json.

        Raises:
            LabError: there is none, or it cannot be read.
        """
        path = self.root / "study.json"
        try:
            return Study.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            msg = f"{self.root} holds no study (there is no study.json in it)"
            raise LabError(msg) from None
        except (OSError, ValidationError) as error:
            msg = f"{path} cannot be read as a study; nothing was changed: {error}"
            raise LabError(msg) from error

    def folder(self, run: Run) -> RunFolder:
        """The run's folder, whether it exists or not."""
        return RunFolder(self.root / "runs" / run.key)

    def begun(self) -> set[str]:
        """Keys of the runs that have a folder: asking for each of 100,000 takes seconds."""
        try:
            return {folder.name for folder in os.scandir(self.root / "runs")}
        except FileNotFoundError:
            return set()

    def results(self, runs: Iterable[Run]) -> dict[str, Result]:
        """Results by key, of those runs that are finished."""
        found = {run.key: self.folder(run).result() for run in runs}
        return {key: result for key, result in found.items() if result is not None}

    def record(self, run: Run, result: Result | None = None) -> RunRecord:
        """The run with its rows and its result, which is read if not given."""
        folder = self.folder(run)
        return RunRecord(run=run, result=result or folder.result(), rows=Rows(folder))


def joined(study: Study, store: Store) -> Study:
    """The study with the optimizers and seeds of the folder's own too, if it has one."""
    if not (store.root / "study.json").exists():
        return study
    ours = store.study()
    names = {spec.name for spec in ours.optimizers}
    specs = (*ours.optimizers, *(spec for spec in study.optimizers if spec.name not in names))
    seeds = max(ours.settings.seeds, study.settings.seeds)
    settings = study.settings.model_copy(update={"seeds": seeds})
    return study.model_copy(
        update={"optimizers": specs, "settings": settings, "baseline": ours.baseline}
    )


def _foreign(root: Path) -> bool:
    """Whether a folder without study.json holds more than a driver killed in `open` leaves."""
    return any(path.name != "lock" and not is_partial(path) for path in root.iterdir())
