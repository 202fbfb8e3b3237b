// Drawing: canvases and bars from plain data. Nothing here knows where data comes from.

// What is not computing has the colour that Dask's users know. A name gets one of NAMES: the one that its hash
// says, or the next that no other name on this page has.
export const KINDS = { transfer: "#e0483e", disk: "#f08c2e", erred: "#1f1f1f" };
const NAMES = [
  "#440154", "#482475", "#414487", "#355f8d", "#2a788e", "#21918c", "#22a884", "#44bf70",
  "#7ad151", "#bddf26", "#3b82d6", "#12a37f", "#8b6fd6", "#cf5fa0", "#58b4e8", "#a39a1f",
];

const given = new Map();

export function colour(name) {
  if (given.has(name)) return given.get(name);
  let hash = 2166136261;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 16777619);
  const taken = new Set(given.values()), first = (hash >>> 0) % NAMES.length;
  const free = NAMES.map((_, i) => NAMES[(first + i) % NAMES.length]).find((c) => !taken.has(c));
  given.set(name, free || NAMES[first]);
  return given.get(name);
}

export const runColour = (run) => (run.kind === "compute" ? colour(run.name) : KINDS[run.kind]);

// A canvas with one unit to a pixel of the page, cleared; null while it is not shown.
function clear(canvas) {
  const width = canvas.clientWidth, height = canvas.clientHeight || canvas.height;
  if (!width) return null;
  const scale = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
const ink = () => (matchMedia("(prefers-color-scheme: dark)").matches ? "#98a2b3" : "#667085");

// Rows: one for each thread of each worker. Returns what is where, for the mouse.
export function stream(canvas, runs, lanes, from, to) {
  const rows = Math.max(lanes.length, 1);
  const rowHeight = Math.max(3, Math.min(22, 420 / rows));
  canvas.style.height = `${rows * rowHeight + 22}px`;
  const area = clear(canvas);
  if (!area) return () => null;
  const { pen, width, height } = area;
  const bottom = height - 20, perMs = width / (to - from), row = new Map(lanes.map((lane, i) => [lane, i]));
  pen.font = "11px system-ui, sans-serif";
  pen.fillStyle = ink();
  const step = [1, 2, 5, 10, 30, 60, 120].find((s) => (to - from) / 1000 / s <= 12) || 300;
  for (let s = 0; s <= (to - from) / 1000; s += step) {
    const x = width - s * 1000 * perMs;
    pen.globalAlpha = 0.18;
    pen.fillRect(Math.round(x), 0, 1, bottom);
    pen.globalAlpha = 1;
    pen.fillText(s === 0 ? "now" : `−${s} s`, Math.max(2, x - (s === 0 ? 24 : 12)), height - 6);
  }
  const boxes = [];
  for (const run of runs) {
    if (run.stop_ms < from || run.start_ms > to) continue;
    const at = row.get(`${run.worker} ${run.thread}`);
    if (at === undefined) continue;
    const x = (run.start_ms - from) * perMs, w = Math.max((run.stop_ms - run.start_ms) * perMs, 0.6);
    const y = at * rowHeight, h = rowHeight - (rowHeight > 6 ? 2 : 0.5);
    pen.fillStyle = runColour(run);
    pen.fillRect(x, y, w, h);
    boxes.push([x, y, Math.max(w, 2), h, run]);
  }
  return (x, y) => {
    for (let i = boxes.length - 1; i >= 0; i--) {
      const [bx, by, bw, bh, run] = boxes[i];
      if (x >= bx && x <= bx + bw && y >= by && y <= by + bh) return run;
    }
    return null;
  };
}

// A line over the last samples, [[time, value], …]; `format` writes the greatest value.
export function timeline(canvas, samples, format, least) {
  const area = clear(canvas);
  if (!area) return;
  const { pen, width, height } = area;
  const top = Math.max(least, ...samples.map((sample) => sample[1])) * 1.1;
  pen.fillStyle = ink();
  pen.font = "11px system-ui, sans-serif";
  pen.globalAlpha = 0.18;
  for (const part of [0, 0.5, 1]) pen.fillRect(0, Math.round((height - 2) * part), width, 1);
  pen.globalAlpha = 1;
  pen.fillText(format(top), 2, 12);
  if (samples.length < 2) return;
  const from = samples[0][0], span = samples[samples.length - 1][0] - from || 1;
  const point = ([t, v]) => [((t - from) / span) * width, height - 2 - (v / top) * (height - 4)];
  pen.beginPath();
  samples.forEach((sample, i) => (i ? pen.lineTo(...point(sample)) : pen.moveTo(...point(sample))));
  pen.strokeStyle = style("--managed");
  pen.lineWidth = 1.5;
  pen.stroke();
  pen.lineTo(width, height);
  pen.lineTo(0, height);
  pen.globalAlpha = 0.14;
  pen.fillStyle = style("--managed");
  pen.fill();
  pen.globalAlpha = 1;
}

// Rows of [label, [[class, share of the width, title], …], text]; rows are reused, so that the page stays calm.
export function bars(box, rows) {
  while (box.children.length > rows.length) box.lastElementChild.remove();
  while (box.children.length < rows.length) {
    const bar = document.createElement("div");
    bar.className = "bar";
    bar.append(document.createElement("span"), document.createElement("div"), document.createElement("span"));
    box.append(bar);
  }
  rows.forEach(([label, parts, text], i) => {
    const [name, track, value] = box.children[i].children;
    if (name.textContent !== label) name.textContent = name.title = label;
    if (value.textContent !== text) value.textContent = text;
    while (track.children.length > parts.length) track.lastElementChild.remove();
    while (track.children.length < parts.length) track.append(document.createElement("b"));
    parts.forEach(([kind, share, title], j) => {
      const part = track.children[j];
      part.className = kind;
      part.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
      part.title = title;
    });
  });
}
