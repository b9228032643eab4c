"use strict";
(() => {
  const data = JSON.parse(document.getElementById("chart-data").textContent);
  // Paper is white: the media query ends where printing begins.
  const dark = window.matchMedia("screen and (prefers-color-scheme: dark)");
  const coarse = window.matchMedia("(pointer: coarse)");
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Plotly reads a small HTML in labels; an optimizer's name is text.
  const text = (label) => label.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const look = (style) => data.looks[style];
  const color = (style) => data.palettes[dark.matches ? "dark" : "light"][look(style).color];
  const faint = (hex, alpha) =>
    `rgba(${[1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)).join(",")},${alpha})`;

  const bandTraces = (line) => {
    const common = { x: line.x, mode: "lines", line: { width: 0 }, hoverinfo: "skip",
      showlegend: false, legendgroup: String(line.style) };
    return [
      { ...common, y: line.low },
      { ...common, y: line.high, fill: "tonexty", fillcolor: faint(color(line.style), 0.15) },
    ];
  };

  const crossTrace = (style, x, y, keys, label) => ({
    x, y, customdata: keys, mode: "markers", showlegend: false, legendgroup: String(style),
    marker: { symbol: "x-thin", size: 8, line: { width: 2, color: color(style) } },
    hovertemplate: `${text(label)}: diverged<extra></extra>`, cliponaxis: false,
  });

  const ringTrace = (line) => ({
    x: [line.ring.x], y: [line.ring.y], mode: "markers", hoverinfo: "skip", showlegend: false,
    legendgroup: String(line.style),
    marker: { symbol: "circle-open", size: 17, color: color(line.style), line: { width: 2 } },
  });

  const lineTraces = (line) => {
    const hue = color(line.style);
    const good = line.points.filter((point) => point.y !== null);
    const lost = line.points.filter((point) => point.y === null);
    const traces = line.low.length ? bandTraces(line) : [];
    traces.push({
      x: line.x, y: line.y, name: text(line.label), legendgroup: String(line.style),
      mode: !good.length ? "lines" : line.joined ? "lines+markers" : "markers", customdata: good.map((point) => point.key),
      line: { color: hue, width: 2, dash: look(line.style).dash },
      marker: { symbol: look(line.style).marker, size: 8, color: hue },
      hovertemplate: `${text(line.label)}<br>%{x:.4~g}: %{y:.4~g}<extra></extra>`,
    });
    if (lost.length) {
      traces.push(crossTrace(line.style, lost.map((point) => point.x), lost.map(() => line.edge),
        lost.map((point) => point.key), line.label));
    }
    if (line.ring) traces.push(ringTrace(line));
    return traces;
  };

  // The same seed sits at the same height in every row.
  const jitter = (seed) => 0.06 * (((2 * seed) % 5) - 2);

  const rowTraces = (row, position) => {
    const hue = color(row.style);
    const traces = [];
    if (row.interval) {
      const { mean, half_width: reach } = row.interval;
      traces.push(
        { x: [mean - (reach || 0), mean + (reach || 0)], y: [position, position], mode: "lines",
          line: { color: faint(hue, 0.3), width: 12 }, hoverinfo: "skip" },
        { x: [mean, mean], y: [position - 0.25, position + 0.25], mode: "lines",
          line: { color: hue, width: 2.5 }, hovertemplate: "mean %{x:.5~g}<extra></extra>" });
    }
    traces.push({
      x: row.points.map((point) => point.y), y: row.points.map((p) => position + jitter(p.x)),
      customdata: row.points.map((point) => point.key), text: row.points.map((point) => point.x),
      mode: "markers", marker: { symbol: look(row.style).marker, size: 9, color: hue,
        line: { width: 1, color: css("--raised") } },
      hovertemplate: `${text(row.label)}, seed %{text}: %{x:.5~g}<extra></extra>`,
    });
    traces.push(crossTrace(row.style, row.lost.map(() => row.edge),
      row.lost.map((_, index) => position + jitter(index)), row.lost, row.label));
    return traces;
  };

  const decades = (values) => {
    const [low, high] = [Math.min(...values), Math.max(...values)].map(Math.log10);
    const first = Math.floor(low + 1e-9);
    return Array.from({ length: Math.ceil(high) - first + 1 }, (_, i) => Number(`1e${first + i}`));
  };

  const span = (range, log) => (log ? range.map(Math.log10) : range);

  const layout = (chart, box) => {
    const axis = { gridcolor: css("--line"), linecolor: css("--line"), zeroline: false,
      automargin: true, ticks: "" };
    const title = (words) => ({ text: text(words), standoff: 10, font: { size: 12.5 } });
    const rows = chart.rows.length;
    const xaxis = { ...axis, title: title(chart.x_title),
      type: chart.x_log ? "log" : "linear" };
    const yaxis = { ...axis, title: title(chart.y_title), exponentformat: "power",
      type: chart.y_log ? "log" : "linear" };
    if (rows) {
      Object.assign(xaxis, { range: chart.y_range });
      Object.assign(yaxis, { range: [rows - 0.4, -0.6], showgrid: false, tickmode: "array",
        tickvals: chart.rows.map((_, index) => index), tickfont: { color: css("--ink") },
        ticktext: chart.rows.map((row) => text(row.label) + "  ") });
    } else {
      Object.assign(yaxis, { range: span(chart.y_range, chart.y_log) });
    }
    if (chart.x_log) {
      const powers = decades(chart.lines.flatMap((line) => line.points.map((point) => point.x)));
      Object.assign(xaxis, { tickvals: powers, ticktext: powers.map(String) });
    } else if (!rows) {
      const last = Math.max(...chart.lines.flatMap((line) => line.x));
      Object.assign(xaxis, { range: [0, 1.01 * last] });
    }
    return {
      width: box.clientWidth,
      height: rows ? 110 + 44 * rows : box.clientWidth < 560 ? 430 : 400,
      margin: { l: 10, r: 14, t: 10, b: 10 }, showlegend: !rows,
      legend: { orientation: "h", x: 0, y: -0.24, yanchor: "top", traceorder: "normal",
        itemwidth: 42 },
      xaxis, yaxis,
    };
  };

  // As Python's: 0.01, 5.6e-4, 1e-8.
  const tick = (value) => {
    const size = Math.abs(value);
    if (value !== 0 && !(size >= 1e-3 && size < 1e4)) {
      return Number(value.toPrecision(2)).toExponential().replace("e+", "e");
    }
    return size >= 1e3 ? value.toFixed(0) : String(Number(value.toPrecision(size >= 0.1 ? 3 : 2)));
  };

  const drawing = (chart, box) => {
    if (chart.panels.length) {
      return mapsOf(chart, box.clientWidth, { css, text, tick, scale: data.scale });
    }
    const traces = chart.rows.length
      ? chart.rows.flatMap(rowTraces) : chart.lines.flatMap(lineTraces);
    return { traces, layout: layout(chart, box) };
  };

  const paper = () => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: css("--muted") },
    hoverlabel: { bgcolor: css("--paper"), bordercolor: css("--line"),
      font: { color: css("--ink") } },
    dragmode: coarse.matches ? false : "zoom",
  });

  const config = { displayModeBar: false };

  const draw = (chart) => {
    const box = document.getElementById(`chart-${chart.name}`);
    const { traces, layout: own } = drawing(chart, box);
    return Plotly.react(box, traces, { ...paper(), ...own }, config).then(() => box);
  };

  const showRun = (event) => {
    const key = event.points[0].customdata;
    if (key) window.location.hash = `run-${key}`;
  };

  for (const chart of data.charts) {
    draw(chart).then((box) => {
      box.on("plotly_click", showRun);
      let drawnWidth = box.clientWidth;
      new ResizeObserver(() => {
        if (box.clientWidth === drawnWidth) return;
        drawnWidth = box.clientWidth;
        draw(chart);
      }).observe(box);
    });
  }
  dark.addEventListener("change", () => data.charts.forEach(draw));
})();
