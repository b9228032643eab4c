"use strict";
// Maps of the trials: small multiples with one scale of colours, laid out in pixels.
const mapsOf = (chart, width, { css, text, tick, scale }) => {
  const scaled = (value) => (chart.y_log && value !== null ? Math.log10(value) : value);
  const [worst, best] = chart.y_range.map(scaled);
  const columns = Math.max(1, Math.min(3, chart.panels.length, Math.floor(width / 250)));
  const rows = Math.ceil(chart.panels.length / columns);
  const top = 64, left = 62, gap = 14, plot = 190, title = 30, below = 62;
  const height = top + rows * (title + plot + below);
  const muted = css("--muted"), ink = css("--ink");
  // Wider than that, a number does not fit into its cell.
  const mostNumbers = 6;

  // Plotly's scales of colours are linear.
  const powers = [0, 1, 2, 3].map((third) => worst + (third / 3) * (best - worst));
  const ticks = chart.y_log
    ? { tickvals: powers, ticktext: powers.map((power) => tick(10 ** power)) } : {};

  const layout = {
    width, height, margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: false, barmode: "overlay",
    shapes: [], annotations: [],
    coloraxis: {
      cmin: Math.min(worst, best), cmax: Math.max(worst, best), colorscale: scale,
      reversescale: worst > best,
      colorbar: { orientation: "h", x: 0, xanchor: "left", y: 1, yanchor: "top", thickness: 10,
        len: Math.min(360, width - 24), lenmode: "pixels", xpad: 10, ypad: 4, outlinewidth: 0,
        ...ticks,
        title: { text: text(chart.y_title), side: "top", font: { size: 12.5 } } },
    },
  };
  const traces = [];

  const axis = (title) => ({ title: { text: text(title), standoff: 6, font: { size: 12.5 } },
    zeroline: false, showgrid: false, ticks: "", tickangle: 0, tickfont: { size: 11 } });

  const inGrid = (values) => ({ range: [-0.5, values.length - 0.5], fixedrange: true,
    tickvals: values.map((_, index) => index), ticktext: values.map(tick) });

  const ofDots = (values) => {
    const log = values[0] > 0 && values.at(-1) > 30 * values[0];
    const [low, high] = [values[0], values.at(-1)].map((value) => (log ? Math.log10(value) : value));
    const margin = 0.08 * (high - low);
    const first = Math.ceil(low - margin), last = Math.floor(high + margin);
    const step = Math.ceil((last - first + 1) / 5);
    const tens = Array.from({ length: Math.floor((last - first) / step) + 1 },
      (_, index) => Number(`1e${first + step * index}`));
    return { type: log ? "log" : "linear", range: [low - margin, high + margin], showgrid: true,
      gridcolor: css("--line"), nticks: 5,
      ...(log ? { tickvals: tens, ticktext: tens.map(tick) } : {}) };
  };

  const said = (panel, cell) => `${panel.x_title} ${tick(cell.x)}, ${panel.y_title} `
    + `${tick(cell.y)}: ${cell.value === null ? "diverged" : cell.text}`;

  const cells = (panel, axes) => {
    const { x_values: xs, y_values: ys } = panel;
    const table = (pick) => ys.map((y) => xs.map((x) => {
      const cell = panel.cells.find((one) => one.x === x && one.y === y);
      return cell ? pick(cell) : null;
    }));
    const lost = panel.cells.filter((cell) => cell.value === null);
    traces.push({
      ...axes, type: "heatmap", z: table((cell) => scaled(cell.value)), coloraxis: "coloraxis", xgap: 3,
      ygap: 3, hoverongaps: false, customdata: table((cell) => cell.key),
      text: table((cell) => (cell.value === null ? "" : cell.text)),
      texttemplate: xs.length <= mostNumbers ? "%{text}" : "", textfont: { size: 11 },
      hovertext: table((cell) => said(panel, cell)), hovertemplate: "%{hovertext}<extra></extra>",
    });
    traces.push({
      ...axes, type: "bar", x: lost.map((cell) => xs.indexOf(cell.x)),
      base: lost.map((cell) => ys.indexOf(cell.y) - 0.47), y: lost.map(() => 0.94), width: 0.94,
      customdata: lost.map((cell) => cell.key), text: lost.map(() => "×"),
      textposition: "inside", insidetextanchor: "middle", textangle: 0,
      insidetextfont: { size: 15, color: ink }, hovertext: lost.map((cell) => said(panel, cell)),
      hovertemplate: "%{hovertext}<extra></extra>",
      marker: { color: css("--paper"), line: { width: 1, color: muted },
        pattern: { shape: "/", fgcolor: muted, size: 7, solidity: 0.22 } },
    });
    if (panel.chosen) {
      const [x, y] = [xs.indexOf(panel.chosen.x), ys.indexOf(panel.chosen.y)];
      layout.shapes.push({ type: "rect", xref: axes.xaxis, yref: axes.yaxis, x0: x - 0.5,
        x1: x + 0.5, y0: y - 0.5, y1: y + 0.5, line: { width: 3, color: ink } });
    }
  };

  const dots = (panel, axes) => {
    const common = { ...axes, mode: "markers", hovertemplate: "%{hovertext}<extra></extra>",
      cliponaxis: false };
    const of = (some) => ({ x: some.map((cell) => cell.x), y: some.map((cell) => cell.y),
      customdata: some.map((cell) => cell.key), hovertext: some.map((cell) => said(panel, cell)) });
    const good = panel.cells.filter((cell) => cell.value !== null);
    const lost = panel.cells.filter((cell) => cell.value === null);
    traces.push(
      { ...common, ...of(good), marker: { size: 11, color: good.map((cell) => scaled(cell.value)),
        coloraxis: "coloraxis", line: { width: 1, color: muted } } },
      { ...common, ...of(lost),
        marker: { symbol: "x-thin", size: 8, line: { width: 2, color: muted } } });
    if (panel.chosen) {
      traces.push({ ...common, ...of([panel.chosen]), hoverinfo: "skip", hovertemplate: null,
        marker: { symbol: "circle-open", size: 19, color: ink, line: { width: 2 } } });
    }
  };

  chart.panels.forEach((panel, index) => {
    const n = index ? index + 1 : "";
    const axes = { xaxis: `x${n}`, yaxis: `y${n}` };
    const start = (index % columns) * (width / columns) + left;
    const end = (index % columns + 1) * (width / columns) - gap;
    const ceiling = top + Math.floor(index / columns) * (title + plot + below) + title;
    const of = panel.grid ? inGrid : ofDots;
    layout[`xaxis${n}`] = { ...axis(panel.x_title), ...of(panel.x_values), anchor: axes.yaxis,
      domain: [start / width, end / width] };
    layout[`yaxis${n}`] = { ...axis(panel.y_title), ...of(panel.y_values), anchor: axes.xaxis,
      domain: [1 - (ceiling + plot) / height, 1 - ceiling / height] };
    layout.annotations.push({ text: text(panel.label), showarrow: false,
      xref: `${axes.xaxis} domain`, yref: `${axes.yaxis} domain`, x: 0, y: 1, xanchor: "left",
      yanchor: "bottom", yshift: 2, font: { size: 13, color: ink } });
    (panel.grid ? cells : dots)(panel, axes);
  });
  return { traces, layout };
};
