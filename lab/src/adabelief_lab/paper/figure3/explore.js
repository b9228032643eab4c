"use strict";
// The page: reads the settings, runs the optimizers, draws.
const FACTS = JSON.parse(document.getElementById("facts").textContent);
// As in the figures on paper: solid, dashed, dash-dotted, dotted, long dashes.
const DASHES = [[], [8, 4], [8, 3, 2, 3], [2, 3], [14, 5]];
const NAMES = Object.keys(FACTS.optimizers);
const BANDS = 18, RASTER = 640, SECONDS = 12;
const DARK_SCREEN = matchMedia("(prefers-color-scheme: dark)");
const element = (id) => document.getElementById(id);
const map = element("map"), time = element("time"), play = element("play");

// Allowed values: name for people, test, range for people.
const RANGES = {
  x: ["start x", Number.isFinite, "a finite number"],
  y: ["start y", Number.isFinite, "a finite number"],
  lr: ["learning rate", (value) => value >= 0 && value < Infinity, "in [0, inf)"],
  eps: ["ε", (value) => value >= 0 && value < Infinity, "in [0, inf)"],
  beta1: ["β₁", (value) => value > 0 && value < 1, "in (0, 1)"],
  beta2: ["β₂", (value) => value >= 0 && value < 1, "in [0, 1)"],
  momentum: ["momentum", (value) => value >= 0 && value < 1, "in [0, 1)"],
  steps: ["steps", (value) => Number.isInteger(value) && value >= 1 && value <= 100000,
    "a whole number in [1, 100000]"],
};

let settings = {}, paths = {}, arrivals = {}, view = [], background = null, frame = null;

function setPaper() {
  const facts = FACTS.landscapes[element("landscape").value];
  const values = {
    x: facts.start[0], y: facts.start[1], lr: FACTS.lr, eps: FACTS.eps, beta1: facts.betas[0],
    beta2: facts.betas[1], momentum: facts.betas[0], steps: FACTS.steps,
  };
  for (const [id, value] of Object.entries(values)) element(id).value = value;
}

// The settings as numbers, or null with a message where one is out of its range.
function readSettings() {
  const found = {}, wrong = [];
  for (const [id, [name, allowed, range]] of Object.entries(RANGES)) {
    const text = element(id).value.trim();
    found[id] = text === "" ? NaN : Number(text);
    const good = allowed(found[id]);
    element(id).setAttribute("aria-invalid", String(!good));
    if (!good) wrong.push(`${name} must be ${range}, got ${text || "nothing"}`);
  }
  element("error").textContent = wrong.join("; ");
  return wrong.length ? null : found;
}

// The function's own view, widened to hold the start.
function viewOf({ view: [x0, x1, y0, y1] }, { x, y }) {
  const span = (low, high, at) => {
    const margin = 0.05 * (Math.max(high, at) - Math.min(low, at));
    return [Math.min(low, at - margin), Math.max(high, at + margin)];
  };
  if (x >= x0 && x <= x1 && y >= y0 && y <= y1) return [x0, x1, y0, y1];
  return [...span(x0, x1, x), ...span(y0, y1, y)];
}

function run() {
  const read = readSettings();
  if (read === null) return;
  settings = { ...read, landscape: element("landscape").value };
  const facts = FACTS.landscapes[settings.landscape];
  paths = {};
  arrivals = {};
  for (const name of NAMES) {
    paths[name] = trajectory(
      name, settings.landscape, [settings.x, settings.y], settings.steps, settings);
    arrivals[name] = staysFrom(paths[name], facts.optimum, FACTS.radius);
  }
  view = viewOf(facts, settings);
  background = null;
  show();
}

// Time is logarithmic: 0 is the start, 1000 the last step.
const stepAt = (position) => Math.round((settings.steps + 1) ** (position / 1000) - 1);

const isOn = (name) => rowOf(name).querySelector("input").checked;
const rowOf = (name) => document.querySelector(`tr[data-optimizer="${name}"]`);
const colorOf = (name) => FACTS.optimizers[name][DARK_SCREEN.matches ? "dark" : "light"];
const themed = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function number(value) {
  if (!Number.isFinite(value)) return "diverged";
  const plain = value === 0 || (Math.abs(value) >= 0.001 && Math.abs(value) < 10000);
  return (plain ? value.toPrecision(4) : value.toExponential(1)).replaceAll("-", "−");
}

function arrivalText(name) {
  if (arrivals[name] < Infinity) return arrivals[name].toLocaleString("en");
  return Number.isFinite(paths[name].at(-1) + paths[name].at(-2)) ? "never" : "diverged";
}

function show() {
  const step = stepAt(Number(time.value));
  const text = `step ${step.toLocaleString("en")}`;
  element("step").textContent = text;
  time.setAttribute("aria-valuetext", text);
  const { loss } = LANDSCAPES[settings.landscape];
  const said = [];
  for (const name of NAMES) {
    const [x, y] = paths[name].slice(2 * step, 2 * step + 2);
    const texts = [arrivalText(name), number(loss(x, y)), number(x), number(y)];
    [...rowOf(name).querySelectorAll("td")].forEach((cell, i) => { cell.textContent = texts[i]; });
    if (isOn(name)) said.push(`${name} at ${texts[2]}, ${texts[3]}`);
  }
  const { formula } = FACTS.landscapes[settings.landscape];
  map.setAttribute("aria-label", `Map of ${formula}, ${text}: ${said.join("; ")}`);
  draw(step);
}

function channels(color) {
  return [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
}

// Bands of equal ratios of the loss, with their edges, as an image of RASTER² points.
function raster() {
  const { loss } = LANDSCAPES[settings.landscape], [x0, x1, y0, y1] = view;
  const heights = new Float64Array(RASTER * RASTER).map((_, i) => {
    const right = (i % RASTER + 0.5) / RASTER, down = (Math.floor(i / RASTER) + 0.5) / RASTER;
    return Math.log10(loss(x0 + right * (x1 - x0), y1 - down * (y1 - y0)) + 0.1);
  });
  let low = Infinity, high = -Infinity;
  for (const height of heights) {
    low = Math.min(low, height);
    high = Math.max(high, height);
  }
  const bands = heights.map(
    (height) => Math.min(BANDS - 1, Math.floor(((height - low) / (high - low)) * BANDS)));
  const bottom = channels(themed("--low")), top = channels(themed("--high"));
  const edges = channels(themed("--edges")), image = new ImageData(RASTER, RASTER);
  bands.forEach((band, i) => {
    const edge = i % RASTER > 0 && band !== bands[i - 1] || i >= RASTER && band !== bands[i - RASTER];
    const share = band / (BANDS - 1);
    for (let k = 0; k < 3; k++) {
      image.data[4 * i + k] = edge ? edges[k] : bottom[k] + share * (top[k] - bottom[k]);
    }
    image.data[4 * i + 3] = 255;
  });
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = RASTER;
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

function draw(step) {
  const size = Math.round(map.clientWidth * devicePixelRatio), unit = devicePixelRatio;
  if (map.width !== size) map.width = map.height = size;
  const [x0, x1, y0, y1] = view;
  const place = (x, y) => [((x - x0) / (x1 - x0)) * size, ((y1 - y) / (y1 - y0)) * size];
  const canvas = map.getContext("2d");
  background ??= raster();
  canvas.drawImage(background, 0, 0, size, size);
  const [bestX, bestY] = place(...FACTS.landscapes[settings.landscape].optimum), arm = 7 * unit;
  canvas.setLineDash([]);
  canvas.strokeStyle = themed("--cross");
  canvas.lineWidth = 3 * unit;
  for (const way of [-1, 1]) {
    canvas.beginPath();
    canvas.moveTo(bestX - arm, bestY - way * arm);
    canvas.lineTo(bestX + arm, bestY + way * arm);
    canvas.stroke();
  }
  const [startX, startY] = place(settings.x, settings.y);
  canvas.fillStyle = themed("--ink");
  canvas.fillRect(startX - 4 * unit, startY - 4 * unit, 8 * unit, 8 * unit);
  // AdaBelief comes last, on top, and has the smallest disc.
  for (let i = NAMES.length - 1; i >= 0; i--) {
    if (isOn(NAMES[i])) drawPath(canvas, paths[NAMES[i]], step, i, place, unit);
  }
}

function drawPath(canvas, path, step, index, place, unit) {
  canvas.strokeStyle = canvas.fillStyle = colorOf(NAMES[index]);
  canvas.lineWidth = 2 * unit;
  canvas.setLineDash(DASHES[index].map((length) => length * unit));
  canvas.beginPath();
  let last = [NaN, NaN];
  for (let at = 0; at <= step; at++) {
    const point = place(path[2 * at], path[2 * at + 1]);
    // Canvas numbers are single: what is farther away than this is as good as gone.
    if (!point.every((value) => Math.abs(value) < 1e6)) break;
    // Not every step of thousands has a pixel of its own.
    if (at === 0 || at === step || Math.hypot(point[0] - last[0], point[1] - last[1]) > unit / 2) {
      canvas.lineTo(...point);
      last = point;
    }
  }
  canvas.stroke();
  const head = place(path[2 * step], path[2 * step + 1]);
  if (!head.every(Number.isFinite)) return;
  canvas.setLineDash([]);
  canvas.beginPath();
  canvas.arc(...head, (4.5 + index) * unit, 0, 2 * Math.PI);
  canvas.fill();
  canvas.strokeStyle = themed("--paper");
  canvas.lineWidth = unit;
  canvas.stroke();
}

function pause() {
  if (frame !== null) cancelAnimationFrame(frame);
  frame = null;
  play.textContent = "Play";
}

function start() {
  if (Number(time.value) >= 1000) time.value = 0;
  const from = Number(time.value), begun = performance.now();
  play.textContent = "Pause";
  const tick = (now) => {
    const position = from + (Math.max(0, now - begun) / 1000 / SECONDS) * 1000;
    time.value = Math.min(position, 1000);
    show();
    if (position >= 1000) pause();
    else frame = requestAnimationFrame(tick);
  };
  frame = requestAnimationFrame(tick);
}

function dress() {
  NAMES.forEach((name, i) => {
    const line = rowOf(name).querySelector("line");
    line.style.stroke = colorOf(name);
    line.setAttribute("stroke-dasharray", DASHES[i].join(" "));
  });
  background = null;
}

map.addEventListener("click", (event) => {
  const box = map.getBoundingClientRect(), [x0, x1, y0, y1] = view;
  const right = (event.clientX - box.left - map.clientLeft) / map.clientWidth;
  const down = (event.clientY - box.top - map.clientTop) / map.clientHeight;
  element("x").value = (x0 + right * (x1 - x0)).toPrecision(4);
  element("y").value = (y1 - down * (y1 - y0)).toPrecision(4);
  run();
});
element("landscape").addEventListener("change", () => { setPaper(); run(); });
element("reset").addEventListener("click", () => { setPaper(); run(); });
element("settings").addEventListener("submit", (event) => event.preventDefault());
for (const id of Object.keys(RANGES)) element(id).addEventListener("input", run);
document.querySelectorAll("tbody input").forEach((box) => box.addEventListener("change", show));
time.addEventListener("input", () => { pause(); show(); });
play.addEventListener("click", () => (frame === null ? start() : pause()));
DARK_SCREEN.addEventListener("change", () => { dress(); show(); });
new ResizeObserver(show).observe(map);
setPaper();
dress();
run();
