"""What generators paint: grids of images, the same noise for everybody, and a film of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adabelief_lab.common.errors import LabError
from adabelief_lab.data import small_images
from adabelief_lab.declare.study import RunRecord, Study
from adabelief_lab.paper.drawing import figure, look, saved
from adabelief_lab.paper.exhibit import Drawing
from adabelief_lab.paper.experiments.drawing import Panel, mark, reduced
from adabelief_lab.run.picture_rows import SPLIT, packed, pictures

Frame = NDArray[np.uint8]

# Of the pictures of a run, and real ones: a square of a side of four.
_SIDE = 4
_FILM_SIDE = 8
_SECONDS, _HOLD = 0.5, 2.0
_SCALE = 2  # points of a film to a pixel of an image


def gather(
    study: Study, records: Sequence[RunRecord], *, with_film: bool = True
) -> Mapping[str, Any]:
    """The last pictures of every optimizer's first seed, and real images.

    With a film also all pictures of the baseline's first seed.
    """
    last: dict[str, Any] = {}
    film: list[Mapping[str, Any]] = []
    for record in records:
        run = record.run
        if run.phase != "final" or run.optimizer in last:
            continue
        rows = [row for row in record.rows if row.get("split") == SPLIT]
        if rows:
            last[run.optimizer] = packed(pictures(rows[-1])[: _SIDE**2])
            if with_film and run.optimizer == study.baseline:
                film = [{"step": row["step"], **packed(pictures(row))} for row in rows]
    return {
        "pictures": last,
        "film": film,
        "real": _real(study),
        "judged": _judged(study),
        "reported_as": "FID",
    }


def _judged(study: Study) -> str:
    """What a distance is of: without that it is no number."""
    options = study.settings.options
    real = "train" if options["reference"] == "train" else "test"
    return (
        f"{options['samples']:,} generated images against the {real} images of {options['data']}, "
        f"features of {options['features']}"
    )


def _real(study: Study) -> Mapping[str, Any] | None:
    """The first train images, as many of each class as come; None where they are not here."""
    options = study.settings.options
    try:
        images, labels = small_images.load(options["data"], hold_out=options["hold_out"]).train
    except LabError:
        return None
    # By class, one after the other, for the first ones of a set may all be of one.
    order = labels.argsort(stable=True)
    chosen = order[:: len(order) // _SIDE**2][: _SIDE**2]
    return packed(images[chosen].numpy())


def everybody(panel: Panel) -> Drawing:
    """A grid for each optimizer."""
    specs = [each for each in panel["optimizers"] if each["name"] in panel["pictures"]]
    grids = {each["label"]: _grid(panel["pictures"][each["name"]]) for each in specs}
    caption = (
        f"{panel['title']}: what each optimizer's generator paints of the same noise at the end of "
        f"its first seed{', beside real images' if panel['real'] else ''}.{reduced(panel)}"
    )
    return Drawing(f"{panel['workload']}-images", caption, _walls(_real_first(panel, grids), panel))


def beside(panels: Sequence[Panel]) -> Drawing:
    """Figure 7: real images, and the baseline's of each workload."""
    first = panels[0]
    grids = {
        panel["title"]: _grid(panel["pictures"][panel["optimizers"][0]["name"]])
        for panel in panels
        if panel["optimizers"][0]["name"] in panel["pictures"]
    }
    label = first["optimizers"][0]["label"]
    caption = f"Real images and what generators trained by {label} paint.{reduced(first)}"
    return Drawing("fig7", caption, _walls(_real_first(first, grids), first))


def film(panel: Panel) -> Drawing:
    """The baseline's pictures over training, of the same noise."""
    from PIL import Image  # noqa: PLC0415, slow to import

    frames = [_enlarged(_wall(pictures(each), _FILM_SIDE)) for each in panel["film"]]
    shown = [
        Image.fromarray(frame).convert("P", palette=Image.Palette.ADAPTIVE) for frame in frames
    ]
    times = [int(1000 * _SECONDS)] * (len(shown) - 1) + [int(1000 * _HOLD)]
    file = BytesIO()
    shown[0].save(file, "gif", save_all=True, append_images=shown[1:], duration=times, loop=0)
    steps = ", ".join(f"{each['step']:,}" for each in panel["film"])
    baseline = panel["optimizers"][0]["label"]
    caption = (
        f"{panel['title']}: {baseline}'s generator paints the same noise after "
        f"{steps} steps.{reduced(panel)}"
    )
    return Drawing(f"{panel['workload']}-film", caption, {"gif": file.getvalue()})


def _real_first(panel: Panel, grids: Mapping[str, Frame]) -> Mapping[str, Frame]:
    return {"Real images": _grid(panel["real"]), **grids} if panel["real"] else grids


def _walls(grids: Mapping[str, Frame], panel: Panel) -> dict[str, bytes]:
    """The grids in rows of at most six."""
    across = min(6, len(grids))
    down = -(-len(grids) // across)
    with look():
        side = max(1.5, 8.0 / across)  # the figure is as wide as its mark
        made = figure(side * across, (side + 0.3) * down + 0.2)
        places = made.subplots(down, across, squeeze=False).ravel()
        for axes in places:
            axes.axis("off")
        for axes, (label, grid) in zip(places, grids.items(), strict=False):
            axes.imshow(grid, interpolation="nearest")
            axes.set_title(label, fontsize=8)
        mark(made, panel)
        return saved(made)


def _grid(row: Mapping[str, Any]) -> Frame:
    return _wall(pictures(row), _SIDE)


def _wall(images: NDArray[np.uint8], across: int) -> Frame:
    """Images (n, c, h, w) as one (height, width, 3), `across` in a row."""
    down = len(images) // across
    _, channels, height, width = images.shape
    tiles = images[: down * across].reshape(down, across, channels, height, width)
    wall = tiles.transpose(0, 3, 1, 4, 2).reshape(down * height, across * width, channels)
    return np.repeat(wall, 3, axis=2) if channels == 1 else wall


def _enlarged(frame: Frame) -> Frame:
    return frame.repeat(_SCALE, axis=0).repeat(_SCALE, axis=1)
