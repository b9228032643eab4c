"""Whether two declarations are of one study, so that they may share a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adabelief.lab.errors import LabError
from adabelief.lab.study import Study


def check_same(root: Path, old: Study, new: Study) -> None:
    """Refuse a study that is not the folder's own, grown by seeds or rivals at most.

    Raises:
        LabError: with every difference.
    """
    was, now = _identity(old), _identity(new)
    if new.settings.seeds >= old.settings.seeds:
        was["settings"]["seeds"] = now["settings"]["seeds"]
    rivals_was, rivals_now = was.pop("rivals"), now.pop("rivals")
    differences = [
        f"{name}: {was[name]} there, {now[name]} now" for name in was if was[name] != now[name]
    ]
    for name, rival in rivals_was.items():
        if name not in rivals_now:
            differences.append(f"rival {name}: there, not now")
        elif rival != rivals_now[name]:
            differences.append(f"rival {name}: {rival} there, {rivals_now[name]} now")
    if differences:
        listed = "\n  ".join(differences)
        msg = (
            f"{root} holds another study; nothing was changed. It differs in\n  {listed}\n"
            "Name another folder with --out, or repeat the command that made this one."
        )
        raise LabError(msg)


def _identity(study: Study) -> dict[str, Any]:
    """What makes a study this one: neither where its file lies nor how things are described."""
    content = study.model_dump(mode="json", exclude={"source", "title", "data", "rivals"})
    content["settings"].pop("watermark")
    content["rivals"] = {
        rival.name: rival.model_dump(mode="json", exclude={"label", "source"})
        for rival in study.rivals
    }
    return content
