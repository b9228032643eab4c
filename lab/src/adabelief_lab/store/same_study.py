"""Whether two declarations are of one study, so that they may share a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adabelief_lab.common.errors import LabError
from adabelief_lab.declare.study import Study


def check_same(root: Path, old: Study, new: Study) -> None:
    """Refuse a study that is not the folder's own, grown by seeds or optimizers at most.

    Raises:
        LabError: with every difference.
    """
    was, now = _identity(old), _identity(new)
    if new.settings.seeds >= old.settings.seeds:
        was["settings"]["seeds"] = now["settings"]["seeds"]
    specs_was, specs_now = was.pop("optimizers"), now.pop("optimizers")
    differences = [
        f"{name}: {was[name]} there, {now[name]} now" for name in was if was[name] != now[name]
    ]
    for name, spec in specs_was.items():
        if name not in specs_now:
            differences.append(f"optimizer {name}: there, not now")
        elif spec != specs_now[name]:
            differences.append(f"optimizer {name}: {spec} there, {specs_now[name]} now")
    if differences:
        listed = "\n  ".join(differences)
        msg = (
            f"{root} holds another study; nothing was changed. It differs in\n  {listed}\n"
            "Name another folder with --out, or repeat the command that made this one."
        )
        raise LabError(msg)


def _identity(study: Study) -> dict[str, Any]:
    """What makes a study this one: neither where its file lies nor how things are described."""
    content = study.model_dump(mode="json", exclude={"source", "title", "data", "optimizers"})
    content["settings"].pop("watermark")
    content["optimizers"] = {
        spec.name: spec.model_dump(mode="json", exclude={"label", "source"})
        for spec in study.optimizers
    }
    return content
