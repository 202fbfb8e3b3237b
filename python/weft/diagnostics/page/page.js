"use strict";
(() => {
const page = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const tip = document.getElementById("tip");
const LEFT = 76, RIGHT = 14, AXIS = 24;

// ---- how numbers are written

function duration(s) {
  const a = Math.abs(s);
  if (a === 0) return "0 s";
  if (a < 1e-3) return (s * 1e6).toFixed(0) + " µs";
  if (a < 1) return (s * 1e3).toFixed(a < 0.01 ? 2 : 1) + " ms";
  if (a < 60) return s.toFixed(a < 10 ? 2 : 1) + " s";
  if (a < 3600) return Math.floor(s / 60) + " min " + String(Math.floor(s % 60)).padStart(2, "0") + " s";
  return Math.floor(s / 3600) + " h " + String(Math.floor(s % 3600 / 60)).padStart(2, "0") + " min";
}
function bytes(n) {
  for (const unit of ["B", "kB", "MB", "GB", "TB"]) {
    if (Math.abs(n) < 999.5 || unit === "TB") return (unit === "B" || n >= 100 ? n.toFixed(0) : n.toFixed(1)) + " " + unit;
    n /= 1000;
  }
}
const count = n => Number.isInteger(n) ? n.toLocaleString("en") : n.toLocaleString("en", { maximumSignificantDigits: 4 });
const percent = n => n.toFixed(0) + " %";

/** Ticks at 1, 2 or 5 times a power of ten. */
function ticks(low, high, about) {
  const raw = (high - low) / about, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= raw) || power * 10;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(k * step);
  return [found, step];
}
/** A time on the axis, with as many digits as its neighbours need to differ. */
function axisTime(t, step) {
  if (step >= 60) return duration(t);
  const [unit, scale] = step >= 0.1 ? ["s", 1] : step >= 1e-4 ? ["ms", 1e3] : ["µs", 1e6];
  const digits = Math.max(0, -Math.floor(Math.log10(step * scale) + 1e-9));
  return (t * scale).toFixed(digits) + " " + unit;
}

// ---- what all figures share

const span = Math.max(...page.figures.map(f => f.x[1]), 1e-6);
const view = { low: 0, high: span };
let cursor = null;             // time under the pointer
let chosen = null;             // name that is picked out
const panels = [];
let asked = false;
function redraw() {
  if (!asked) { asked = true; requestAnimationFrame(() => { asked = false; panels.forEach(p => p.draw()); }); }
}
function look(low, high) {
  const least = 1e-6;
  let width = Math.min(Math.max(high - low, least), span);
  low = Math.max(0, Math.min(low, span - width));
  view.low = low; view.high = low + width;
  redraw();
}
function choose(name) { chosen = chosen === name ? null : name; mark(); redraw(); }
function mark() {
  document.querySelectorAll("[data-name]").forEach(e => e.classList.toggle("dim", chosen !== null && e.dataset.name !== chosen));
}
function element(tag, parent, text, cls) {
  const e = document.createElement(tag);
  if (text !== undefined && text !== null) e.textContent = text;
  if (cls) e.className = cls;
  parent.append(e);
  return e;
}
const css = name => getComputedStyle(root).getPropertyValue(name).trim();
function tile(label, value) {
  if (value === null || value === undefined) return;
  const box = element("div", document.getElementById("tiles"));
  element("dt", box, label); element("dd", box, value);
}
/** Index of the last entry that is not after `t`; -1 if there is none. */
function before(times, t, low = 0, high = times.length) {
  while (low < high) { const mid = (low + high) >> 1; if (times[mid] <= t) low = mid + 1; else high = mid; }
  return low - 1;
}

/** A canvas with a time axis; `paint(context, geometry)` draws, `hover(t, y)` says what the pointer is on. */
class Panel {
  constructor(parent, height, paint, hover) {
    this.height = height; this.paint = paint; this.hover = hover;
    this.canvas = element("canvas", parent);
    this.canvas.style.height = height + "px";
    this.context = this.canvas.getContext("2d");
    panels.push(this);
    this.listen();
  }
  time(x) { return view.low + (x - LEFT) / (this.width - LEFT - RIGHT) * (view.high - view.low); }
  x(t) { return LEFT + (t - view.low) / (view.high - view.low) * (this.width - LEFT - RIGHT); }
  draw() {
    const ratio = window.devicePixelRatio || 1, c = this.context;
    this.width = this.canvas.clientWidth;
    const w = Math.round(this.width * ratio), h = Math.round(this.height * ratio);
    if (this.canvas.width !== w || this.canvas.height !== h) { this.canvas.width = w; this.canvas.height = h; }
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, this.width, this.height);
    c.font = "12px system-ui, sans-serif"; c.lineWidth = 1;
    const plot = { left: LEFT, right: this.width - RIGHT, top: 4, bottom: this.height - AXIS };
    const [marks, step] = ticks(view.low, view.high, Math.max(2, (plot.right - plot.left) / 120));
    c.strokeStyle = css("--line"); c.fillStyle = css("--soft"); c.textBaseline = "top"; c.textAlign = "center";
    for (const t of marks) {
      const x = Math.round(this.x(t)) + .5;
      c.beginPath(); c.moveTo(x, plot.top); c.lineTo(x, plot.bottom); c.stroke();
      if (x < plot.right - 12) c.fillText(axisTime(t, step), x, plot.bottom + 7);
    }
    c.save(); c.beginPath(); c.rect(plot.left, 0, plot.right - plot.left, this.height); c.clip();
    this.paint(c, plot, this);
    if (cursor !== null) {
      const x = Math.round(this.x(cursor)) + .5;
      c.strokeStyle = css("--soft"); c.setLineDash([3, 3]);
      c.beginPath(); c.moveTo(x, plot.top); c.lineTo(x, plot.bottom); c.stroke(); c.setLineDash([]);
    }
    c.restore();
    if (this.labels) this.labels(c, plot, this);
  }
  listen() {
    const canvas = this.canvas;
    let drag = null;
    canvas.addEventListener("wheel", e => {
      e.preventDefault();
      const width = view.high - view.low;
      if (Math.abs(e.deltaX) > Math.abs(e.deltaY)) { const by = e.deltaX / this.width * width; look(view.low + by, view.high + by); return; }
      const factor = Math.exp(Math.max(-1, Math.min(1, e.deltaY / 300)));
      const at = Math.min(Math.max(this.time(e.offsetX), view.low), view.high), wide = Math.min(width * factor, span);
      const low = at - (at - view.low) / width * wide;
      look(low, low + wide);
    }, { passive: false });
    canvas.addEventListener("pointerdown", e => {
      drag = { x: e.clientX, low: view.low, high: view.high };
      canvas.setPointerCapture(e.pointerId); canvas.classList.add("dragging");
    });
    canvas.addEventListener("pointerup", () => { drag = null; canvas.classList.remove("dragging"); });
    canvas.addEventListener("pointermove", e => {
      if (drag) {
        const by = (drag.x - e.clientX) / (this.width - LEFT - RIGHT) * (drag.high - drag.low);
        look(drag.low + by, drag.high + by);
      }
      cursor = this.time(e.offsetX);
      if (cursor < view.low || cursor > view.high) cursor = null;
      this.tell(e); redraw();
    });
    canvas.addEventListener("pointerleave", () => { cursor = null; tip.hidden = true; redraw(); });
    canvas.addEventListener("dblclick", () => look(0, span));
  }
  tell(e) {
    const nodes = cursor === null ? null : this.hover(cursor, e.offsetY, this);
    tip.hidden = !nodes;
    if (!nodes) return;
    tip.replaceChildren(...nodes);
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, e.clientX + 16 + box.width > innerWidth ? e.clientX - box.width - 12 : e.clientX + 16) + "px";
    tip.style.top = Math.max(4, Math.min(e.clientY + 14, innerHeight - box.height - 6)) + "px";
  }
}
function say(tag, text) { const e = document.createElement(tag); e.textContent = text; return e; }
function line(...nodes) { const e = document.createElement("div"); e.append(...nodes); return e; }

function levels(c, plot, low, high, write) {
  const [marks] = ticks(low, high, Math.max(2, (plot.bottom - plot.top) / 34));
  c.fillStyle = css("--soft"); c.textAlign = "right"; c.textBaseline = "middle";
  for (const v of marks) {
    const y = plot.bottom - (v - low) / (high - low) * (plot.bottom - plot.top);
    c.fillText(write(v), plot.left - 8, Math.max(y, plot.top + 6));
  }
}
function legend(section, names, colors, most) {
  const list = element("ul", section, null, "legend");
  names.slice(0, most).forEach((name, i) => {
    const item = element("li", list);
    element("i", item).style.background = colors[i];
    element("span", item, name);
    item.dataset.name = name;
    item.onclick = () => choose(name);
  });
  if (names.length > most) {
    const item = element("li", list, null, "");
    element("i", item).style.background = colors[most];
    element("span", item, (names.length - most) + " others");
  }
}

// ---- tasks on their threads

function tasks(section, f) {
  const n = f.start.length, lanes = f.lanes.length;
  if (!n) { element("p", section, "No task ran while this profile was taken.", "empty"); return; }
  const row = Math.max(5, Math.min(34, Math.floor(460 / lanes)));
  const first = new Array(lanes + 1).fill(n);           // where each lane begins
  for (let i = n - 1; i >= 0; i--) first[f.lane[i]] = i;
  for (let l = lanes - 1; l >= 0; l--) first[l] = Math.min(first[l], first[l + 1]);
  const start = Float64Array.from(f.start), end = Float64Array.from(f.start, (s, i) => s + f.duration[i]);
  const longest = f.lanes.map((_, l) => { let m = 0; for (let i = first[l]; i < first[l + 1]; i++) m = Math.max(m, f.duration[i]); return m; });
  legend(section, f.names, f.colors, 8);

  const visible = l => {
    // A task that began before the view may still reach into it.
    const from = Math.max(first[l], before(start, view.low * 1e6 - longest[l], first[l], first[l + 1]));
    return [from, before(start, view.high * 1e6, first[l], first[l + 1]) + 1];
  };
  const panel = new Panel(section, f.height ? Math.max(f.height - 90, row + AXIS + 8) : lanes * row + AXIS + 8, (c, plot, p) => {
    const tall = (plot.bottom - plot.top) / lanes, gap = tall > 12 ? 2 : tall > 7 ? 1 : 0;
    const scale = (plot.right - plot.left) / ((view.high - view.low) * 1e6), origin = plot.left - view.low * 1e6 * scale;
    for (let l = 0; l < lanes; l++) {
      const top = plot.top + l * tall + gap, high = tall - 2 * gap;
      c.globalAlpha = 1; c.fillStyle = css("--lane");
      c.fillRect(plot.left, top, plot.right - plot.left, high);
      const [from, to] = visible(l);
      // Tasks narrower than a pixel share its column, which is as dense as they fill it.
      let column = -1, filled = 0, best = 0, colour = 0;
      const flush = () => {
        if (column >= 0 && filled > 0) {
          c.globalAlpha = (chosen !== null && f.names[colour] !== chosen ? .12 : 1) * Math.max(.25, Math.min(1, filled));
          c.fillStyle = f.colors[colour]; c.fillRect(column, top, 1, high);
        }
        column = -1; filled = 0; best = 0;
      };
      for (let i = from; i < to; i++) {
        const x0 = origin + start[i] * scale, wide = (end[i] - start[i]) * scale;
        if (x0 + wide < plot.left) continue;
        if (wide < 1.2) {
          const at = Math.floor(x0);
          if (at !== column) { flush(); column = at; }
          filled += Math.max(wide, .02);
          const weight = chosen !== null && f.names[f.name[i]] === chosen ? 1e9 : wide;
          if (weight >= best) { best = weight; colour = f.name[i]; }
          continue;
        }
        flush();
        c.globalAlpha = chosen !== null && f.names[f.name[i]] !== chosen ? .12 : f.count && f.count[i] > 1 ? .75 : 1;
        c.fillStyle = f.colors[f.name[i]];
        const left = Math.max(x0, plot.left), right = Math.min(x0 + wide, plot.right + 4);
        c.fillRect(left, top, Math.max(right - left - (wide > 4 ? 1 : 0), .6), high);
        if (high >= 13 && right - left > 46 && c.globalAlpha === 1) {
          c.save(); c.beginPath(); c.rect(left, top, right - left - 4, high); c.clip();
          c.fillStyle = "#fff"; c.textAlign = "left"; c.textBaseline = "middle"; c.font = "11.5px system-ui, sans-serif";
          c.shadowColor = "rgba(0,0,0,.45)"; c.shadowBlur = 2;
          c.fillText(f.names[f.name[i]], left + 6, top + high / 2 + .5); c.restore();
        }
      }
      flush();
    }
    c.globalAlpha = 1;
  }, (t, y, p) => {
    const i = find(t, y, p);
    if (i === null) return null;
    const many = f.count && f.count[i] > 1;
    const key = say("code", many ? count(f.count[i]) + " short tasks, mostly " + f.names[f.name[i]] : f.key[i]);
    const when = line(say("b", duration(f.duration[i] / 1e6)), say("span", "  from " + duration(f.start[i] / 1e6) + " on"));
    return [line(say("b", f.names[f.name[i]])), key, when, line(say("span", "thread " + (f.lane[i] + 1) + " (" + f.lanes[f.lane[i]] + ")"))];
  });
  function find(t, y, p) {
    const tall = (p.height - AXIS - 4) / lanes, l = Math.floor((y - 4) / tall);
    if (l < 0 || l >= lanes) return null;
    const us = t * 1e6, slack = (view.high - view.low) * 1e6 / (p.width - LEFT - RIGHT);
    let best = null;
    for (let i = before(start, us + slack, first[l], first[l + 1]); i >= first[l] && i >= 0; i--) {
      if (end[i] + slack >= us) { if (end[i] >= us && start[i] <= us) return i; if (best === null) best = i; }
      if (us - start[i] > longest[l] + slack) break;
    }
    return best;
  }
  panel.labels = (c, plot) => {
    const tall = (plot.bottom - plot.top) / lanes;
    c.fillStyle = css("--soft"); c.textAlign = "right"; c.textBaseline = "middle";
    const every = Math.ceil(13 / tall);
    for (let l = 0; l < lanes; l += every) c.fillText(every > 1 || lanes > 20 ? String(l + 1) : "thread " + (l + 1), plot.left - 8, plot.top + (l + .5) * tall);
  };

  const whole = f.summary.reduce((s, r) => s + r[1], 0);
  tile("Tasks", count(f.tasks)); tile(lanes === 1 ? "Thread" : "Threads", lanes);
  tile("Busy", percent(100 * whole / (f.x[1] * lanes)));
  tile("Time in tasks", duration(whole)); tile("Mean task", duration(whole / f.tasks));
  return () => {
    const box = element("section", document.getElementById("figures"));
    element("h2", box, "Where the time went");
    const table = element("table", element("div", box, null, "scroll"));
    const head = element("tr", element("thead", table));
    ["function", "tasks", "total", "mean", "longest", ""].forEach(h => element("th", head, h));
    const body = element("tbody", table), top = Math.max(...f.summary.map(r => r[1]), 1e-12);
    f.summary.slice(0, 200).forEach(([k, total, most], i) => {
      const r = element("tr", body), name = element("td", r);
      r.dataset.name = f.names[i]; r.onclick = () => choose(f.names[i]);
      element("i", name).style.background = f.colors[i];
      name.append(f.names[i]);
      [count(k), duration(total), duration(total / k), duration(most)].forEach(v => element("td", r, v));
      const bar = element("b", element("td", r, null, "share"));
      bar.style.width = 100 * total / top + "%"; bar.style.background = f.colors[i];
    });
    if (f.summary.length > 200) element("td", element("tr", body), "and " + (f.summary.length - 200) + " more");
  };
}

// ---- curves

function curve(section, f, title, values, low, high, color, write, height) {
  element("h2", section, title);
  const panel = new Panel(section, height, (c, plot, p) => {
    const y = v => plot.bottom - (v - low) / (high - low) * (plot.bottom - plot.top);
    const from = Math.max(0, before(f.time, view.low)), to = Math.min(values.length, before(f.time, view.high) + 2);
    if (to - from < 1) return;
    c.beginPath();
    // Of the samples within a pixel, the highest and the lowest are drawn.
    let column = null, min = 0, max = 0;
    for (let i = from; i < to; i++) {
      const x = p.x(f.time[i]), at = Math.round(x);
      if (at === column) { min = Math.min(min, values[i]); max = Math.max(max, values[i]); c.lineTo(x, y(min)); c.lineTo(x, y(max)); continue; }
      column = at; min = max = values[i];
      if (i === from) c.moveTo(x, y(values[i])); else c.lineTo(x, y(values[i]));
    }
    c.strokeStyle = color; c.lineWidth = 2; c.lineJoin = "round"; c.stroke();
    c.lineTo(p.x(f.time[to - 1]), plot.bottom); c.lineTo(p.x(f.time[from]), plot.bottom); c.closePath();
    c.globalAlpha = .16; c.fillStyle = color; c.fill(); c.globalAlpha = 1; c.lineWidth = 1;
    if (cursor !== null) {
      const i = nearest(f.time, cursor);
      c.fillStyle = color; c.beginPath(); c.arc(p.x(f.time[i]), y(values[i]), 4, 0, 7); c.fill();
    }
  }, t => {
    const i = nearest(f.time, t);
    return [line(say("b", write(values[i]))), line(say("span", title + " at " + duration(f.time[i])))];
  });
  panel.labels = (c, plot) => levels(c, plot, low, high, write);
}
function nearest(times, t) {
  const i = Math.max(0, before(times, t));
  return i + 1 < times.length && times[i + 1] - t < t - times[i] ? i + 1 : i;
}
function resources(section, f) {
  if (!f.time.length) { element("p", section, "No samples were taken.", "empty"); return; }
  const tall = f.height ? Math.max(70, (f.height - 60) / 2) : 130;
  // Small differences on a large ground are what one wants to see: memory need not begin at zero.
  const [low, high] = f.memoryRange, room = (high - low) * .08 || 1, bottom = low < high * .7 ? 0 : Math.max(0, low - room);
  curve(section, f, "Processor (100 % is one core)", f.cpu, 0, Math.max(100, f.y[1]) * 1.05, f.colors[0], percent, tall);
  curve(section, f, "Memory", f.memory, bottom, high + room, f.colors[1], v => bytes(v * 1e6), tall);
  tile("Peak memory", f.peak); tile("Mean processor", f.mean);
}

// ---- what was kept

function cache(section, f) {
  element("h2", section, "Kept results (" + f.metric + ")");
  if (f.time.length < 2) { element("p", section, "Nothing was kept while this profile was taken.", "empty"); return; }
  legend(section, f.names, f.colors, f.names.length);
  const sums = f.time.map((_, i) => f.series.reduce((s, v) => s + v[i], 0)), high = Math.max(...sums, 1e-9) * 1.06;
  const write = f.bytes ? bytes : count;
  const panel = new Panel(section, f.height ? Math.max(90, f.height - 60) : 190, (c, plot, p) => {
    const y = v => plot.bottom - v / high * (plot.bottom - plot.top);
    const from = Math.max(0, before(f.time, view.low)), to = Math.min(f.time.length, before(f.time, view.high) + 2);
    const base = new Float64Array(f.time.length);
    f.series.forEach((values, k) => {
      c.beginPath();
      c.moveTo(p.x(f.time[from]), y(base[from]));
      for (let i = from; i < to; i++) {
        const x = p.x(f.time[i]);
        if (i > from) c.lineTo(x, y(base[i - 1] + values[i - 1]));
        c.lineTo(x, y(base[i] + values[i]));
      }
      for (let i = to - 1; i >= from; i--) {
        c.lineTo(p.x(f.time[i]), y(base[i]));
        if (i > from) c.lineTo(p.x(f.time[i]), y(base[i - 1]));
      }
      c.closePath();
      c.globalAlpha = chosen !== null && chosen !== f.names[k] ? .15 : .85;
      c.fillStyle = f.colors[k]; c.fill(); c.globalAlpha = 1;
      for (let i = from; i < to; i++) base[i] += values[i];
    });
  }, t => {
    const i = Math.max(0, before(f.time, t));
    const rows = f.series.map((v, k) => [v[i], k]).filter(r => r[0] > 0).sort((a, b) => b[0] - a[0]).slice(0, 8);
    return [line(say("b", write(sums[i])), say("span", " kept at " + duration(t))),
      ...rows.map(([v, k]) => { const b = say("b", "■ "); b.style.color = f.colors[k]; return line(b, f.names[k] + "  ", say("span", write(v))); })];
  });
  panel.labels = (c, plot) => levels(c, plot, 0, high, write);
  tile("Most kept", write(Math.max(...sums)) + (f.bytes ? "" : f.metric === "count" ? " results" : ""));
}

// ---- the page

// A name has one colour on the page.
const colours = new Map();
for (const f of page.figures) (f.names && f.kind !== "resources" ? f.names : []).forEach((name, i) => {
  if (name === "others") return;
  if (colours.has(name)) f.colors[i] = colours.get(name); else colours.set(name, f.colors[i]);
});
if (page.width) document.querySelector("main").style.maxWidth = document.querySelector("header").style.maxWidth = page.width + 48 + "px";
tile("Duration", duration(span));
const later = page.figures.map((f, i) => {
  const section = element("section", document.getElementById("figures"));
  if (f.title && i && f.title !== page.title) element("h2", section, f.title);
  return { tasks, resources, cache }[f.kind](section, f);
});
later.forEach(make => make && make());

let dark = matchMedia("(prefers-color-scheme: dark)").matches;
const theme = () => { root.classList.toggle("dark", dark); redraw(); };
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", e => { dark = e.matches; theme(); });
document.getElementById("theme").onclick = () => { dark = !dark; theme(); };
addEventListener("resize", redraw);
addEventListener("keydown", e => {
  const width = view.high - view.low, mid = view.low + width / 2;
  if (e.key === "Escape" || e.key === "0") { chosen = null; mark(); look(0, span); }
  else if (e.key === "+" || e.key === "=") look(mid - width / 3, mid + width / 3);
  else if (e.key === "-") look(mid - width * .75, mid + width * .75);
  else if (e.key === "ArrowLeft") look(view.low - width / 5, view.high - width / 5);
  else if (e.key === "ArrowRight") look(view.low + width / 5, view.high + width / 5);
});
theme();
})();
