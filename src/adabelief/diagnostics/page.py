"""An inspection as one HTML file: findings, denominators drawn, and the table."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from adabelief.diagnostics.inspection import HEADS, Inspection
from adabelief.diagnostics.measures import Measures

WIDTH, HEIGHT, MARGIN = 640, 120, 24

STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --faint: #d8dde2; --bar: #2f6fb3;
  --floor: #9a6700; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --faint: #3b4148; --bar: #6ea8e6; --floor: #e3b341; }
}
body { color: var(--ink); font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem;
  padding: 0 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { border-bottom: 1px solid var(--faint); padding: .2rem .7rem; text-align: right;
  white-space: nowrap; }
td:first-child, th:first-child { text-align: left; }
svg { max-width: 100%; height: auto; }
svg text { fill: var(--ink); font-size: 11px; }
.bar { fill: var(--bar); } .axis { stroke: var(--faint); }
.floor { stroke: var(--floor); stroke-dasharray: 4 3; }
"""


def page(inspection: Inspection, title: str) -> str:
    """The whole file; it needs no network and no script."""
    drawn = inspection.groups if len(inspection.groups) > 1 else (inspection.whole,)
    parts = [
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(title)}</title>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<style>{STYLE}</style></head><body><main><h1>{escape(title)}</h1>",
        *_sentences(inspection),
        "<h2>Denominators</h2><p>Share of the elements by √ŝ + ε, on a logarithmic scale: to the "
        "left the gradient is as predicted, and steps are long. The dashed line is where ε "
        "alone would put them.</p>",
        *(_histogram(measures) for measures in drawn),
        "<h2>All parameters</h2><div class='scroll' tabindex='0'><table><thead><tr>",
        *(f"<th scope='col'>{escape(head)}</th>" for head in HEADS),
        "</tr></thead><tbody>",
        *_body(inspection),
        "</tbody></table></div></main></body></html>",
    ]
    return "\n".join(parts)


def _sentences(inspection: Inspection) -> Iterator[str]:
    found = inspection.findings()
    if not found:
        yield "<p>Nothing unusual.</p>"
        return
    yield "<ul>"
    for finding in found:
        yield f"<li><strong>{escape(finding.name)}</strong>: {escape(finding.text)}.</li>"
    yield "</ul>"


def _body(inspection: Inspection) -> Iterator[str]:
    for row in inspection.rows():
        yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"


def _histogram(m: Measures) -> str:
    edges, shares = m.histogram
    if not shares:
        return f"<h3>{escape(m.name)}</h3><p>No denominator is positive and finite.</p>"
    floor = math.log10(m.floor) if m.floor > 0 else None
    low = min(edges[0], floor) if floor is not None else edges[0]
    high = max(edges[-1], floor) if floor is not None else edges[-1]
    tallest = max(shares)

    def x(value: float) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * (value - low) / (high - low)

    bars = "".join(
        f"<rect class='bar' x='{x(left):.1f}' width='{max(x(right) - x(left) - 1, 0.5):.1f}' "
        f"y='{HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * share / tallest:.1f}' "
        f"height='{(HEIGHT - 2 * MARGIN) * share / tallest:.1f}'/>"
        for left, right, share in zip(edges[:-1], edges[1:], shares, strict=True)
        if share > 0
    )
    ticks = "".join(
        f"<text x='{x(power):.1f}' y='{HEIGHT - 8}' text-anchor='middle'>1e{power}</text>"
        for power in range(math.ceil(low), math.floor(high) + 1)
    )
    line = ""
    if floor is not None:
        line = (
            f"<line class='floor' x1='{x(floor):.1f}' x2='{x(floor):.1f}' y1='8' "
            f"y2='{HEIGHT - MARGIN}'/>"
        )
    words = f"{100 * m.at_floor:.0f} % at the floor, median step size {m.step_size[2]:.2g}"
    return (
        f"<h3>{escape(m.name)}</h3><svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' "
        f"aria-label='{escape(m.name)}: {words}'>{bars}<line class='axis' x1='{MARGIN}' "
        f"x2='{WIDTH - MARGIN}' y1='{HEIGHT - MARGIN}' y2='{HEIGHT - MARGIN}'/>{line}{ticks}</svg>"
    )
