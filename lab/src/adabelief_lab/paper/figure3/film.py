"""Figure 3 as a film: a GIF, and an MP4 where imageio-ffmpeg is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.typing import NDArray
from PIL import Image

from adabelief_lab.paper.drawing import COLORS, LINES, figure, look
from adabelief_lab.paper.exhibit import Drawing
from adabelief_lab.paper.figure3.panels import DISCS, ORDER, contours, legend, positions, shown
from adabelief_lab.report.palette import INK

# As many at most: the first steps are whole numbers.
FRAMES, PER_SECOND, HOLD = 110, 12, 18
DPI = 80  # 720 x 528 points; the codec wants even numbers
Frame = NDArray[np.uint8]


def film(data: Mapping[str, Any]) -> Drawing:
    """The figure's panels from their first start, as the steps go by."""
    frames = _frames(data)
    files = {"gif": _gif(frames)}
    video = _mp4(frames)
    if video is not None:
        files["mp4"] = video
    return Drawing(
        "fig3-film",
        "The panels as a film. Time runs ever faster: the number of steps grows by the same ratio "
        "from frame to frame.",
        files,
    )


def _frames(data: Mapping[str, Any]) -> list[Frame]:
    """Pictures of shape (height, width, 3): what stands still is drawn once."""
    with look():
        made = figure(9, 6.6)
        made.set_dpi(DPI)
        canvas: Any = FigureCanvasAgg(made)
        chosen = [(landscape, start) for landscape, i, start in shown()
                  if i == 0 and landscape.panel.startswith("(")]  # fmt: skip
        moving: list[tuple[Any, Any]] = []
        for axes, (landscape, start) in zip(made.subplots(2, 3).ravel(), chosen, strict=True):
            contours(axes, landscape, start.point)
            for name in ORDER:
                path = positions(data["paths"][landscape.name][0][name])
                (line,) = axes.plot([], [], color=COLORS[name], ls=LINES[name], lw=1.6)
                (head,) = axes.plot(
                    [], [], "o", color=COLORS[name], ms=DISCS[name], mec="white", mew=0.6
                )
                moving += [(line, lambda n, path=path: path[:n]),
                           (head, lambda n, path=path: path[n - 1 : n])]  # fmt: skip
        legend(made, len(COLORS))
        clock = made.supxlabel("step", fontsize=10, color=INK)
        made.draw_without_rendering()
        made.set_layout_engine("none")
        clock.set_visible(False)
        canvas.draw()
        clock.set_visible(True)
        still = canvas.copy_from_bbox(made.bbox)
        times = np.array(data["times"])
        frames = []
        limits = np.geomspace(1, times[-1], FRAMES)
        for seen in np.unique(np.searchsorted(times, limits, side="right")):
            canvas.restore_region(still)
            for artist, points in moving:
                artist.set_data(*points(seen).T)
                artist.axes.draw_artist(artist)
            clock.set_text(f"step {times[seen - 1]:,}")
            made.draw_artist(clock)
            frames.append(np.array(canvas.buffer_rgba())[..., :3])
    return frames


def _gif(frames: Sequence[Frame]) -> bytes:
    """With one palette, so that what stands still is stored once."""
    # By octree: the median cut spends its colours on the background and greys the lines.
    palette = Image.fromarray(frames[-1]).quantize(256, Image.Quantize.FASTOCTREE)
    pictures = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    ]
    shown = [1000 // PER_SECOND] * (len(frames) - 1) + [1000 * HOLD // PER_SECOND]
    file = BytesIO()
    pictures[0].save(file, "gif", save_all=True, append_images=pictures[1:], duration=shown, loop=0)
    return file.getvalue()


def _mp4(frames: Sequence[Frame]) -> bytes | None:
    """H.264 as browsers play it, or None without an encoder."""
    try:
        import imageio_ffmpeg  # noqa: PLC0415, may be missing
    except ImportError:
        return None
    height, width, _ = frames[0].shape
    with TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        # One thread: equal pictures give equal files.
        to = imageio_ffmpeg.write_frames(
            path, (width, height), fps=PER_SECOND, codec="libx264", macro_block_size=2,
            output_params=["-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact"],
        )  # fmt: skip
        to.send(None)
        for frame in [*frames, *[frames[-1]] * HOLD]:
            to.send(np.ascontiguousarray(frame))
        to.close()
        return path.read_bytes()
