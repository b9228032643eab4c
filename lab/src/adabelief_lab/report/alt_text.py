"""What a chart shows, in words: for those who do not see it."""

from __future__ import annotations

from adabelief_lab.analysis.formatting import number
from adabelief_lab.common.plurals import count
from adabelief_lab.report.chart import Chart, Line, Panel, SeedRow, tick


def alternative(chart: Chart) -> str:
    """The chart's kind, axes, and the main numbers of everything in it."""
    if chart.panels:
        parts = [_panel(panel) for panel in chart.panels]
        return _sentences(f"Maps: {chart.title}. Colour: {chart.y_title}", parts)
    if chart.rows:
        parts = [_row(row) for row in chart.rows]
        return _sentences(f"Dot plot: {chart.title}. {chart.x_title}", parts)
    parts = [_line(line) for line in chart.lines]
    axes = f"{chart.y_title} over {chart.x_title[:1].lower()}{chart.x_title[1:]}"
    return _sentences(f"Line chart: {chart.title}. {axes}", parts)


def _sentences(head: str, parts: list[str]) -> str:
    return f"{head}. {'; '.join(part for part in parts if part)}."


def _row(row: SeedRow) -> str:
    values = [point.y for point in row.points if point.y is not None]
    text = f"{row.label}: "
    text += f"{number(min(values))} to {number(max(values))}" if values else "no value"
    return text + (f", {len(row.lost)} diverged" if row.lost else "")


def _line(line: Line) -> str:
    if not line.points:
        return f"{line.label}: {number(line.y[0])} to {number(line.y[-1])} from left to right"
    lost = sum(point.y is None for point in line.points)
    text = f"{line.label}: {count(len(line.points), 'trial')}"
    if line.ring and line.ring.y is not None:
        text += f", {number(line.ring.y)} at the chosen {tick(line.ring.x)}"
    return text + (f", {lost} diverged" if lost else "")


def _panel(panel: Panel) -> str:
    lost = sum(cell.value is None for cell in panel.cells)
    text = f"{panel.label}: {count(len(panel.cells), 'cell')}"
    if panel.chosen:
        text += (
            f", {panel.chosen.text} at the chosen {panel.x_title} {tick(panel.chosen.x)}, "
            f"{panel.y_title} {tick(panel.chosen.y)}"
        )
    return text + (f", {lost} diverged" if lost else "")
