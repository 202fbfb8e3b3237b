// The page: one stream of news from the scheduler, kept for as long as it is shown, and drawn.

import { KINDS, bars, colour, stream, timeline } from "./draw.js";

const $ = (id) => document.getElementById(id);
const query = location.search;
const KEPT_RUNS = 60000, KEPT_SAMPLES = 600;
let state = null, runs = [], lines = [], held = null, hit = () => null, dirty = true;
const cpu = [], network = [];
const sorts = { workers: ["name", 1], prefixes: ["name", 1] };

export function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (n >= 999.5 && unit < units.length - 1) { n /= 1000; unit++; }
  return `${unit && n < 99.95 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

export function seconds(s) {
  if (s < 0.001) return `${Math.round(s * 1e6)} µs`;
  if (s < 1) return `${(s * 1000).toFixed(s < 0.01 ? 1 : 0)} ms`;
  if (s < 120) return `${s.toFixed(1)} s`;
  return s < 7200 ? `${Math.round(s / 60)} min` : `${(s / 3600).toFixed(1)} h`;
}

const count = (n) => n.toLocaleString("en");
const sum = (items, of) => items.reduce((total, item) => total + of(item), 0);
const pending = (p) => p.waiting + p.queued;
const all = (p) => pending(p) + p.processing + p.memory + p.released + p.erred;

function connect() {
  const source = new EventSource(`events${query}`);
  source.onopen = () => link("live", false);
  source.onerror = () => link("no connection to the scheduler; trying again…", true);
  source.onmessage = (message) => take(JSON.parse(message.data));
}

function link(text, lost) {
  $("link").textContent = text;
  $("link").classList.toggle("lost", lost);
}

function take(news) {
  if (state && news.state.id !== state.id) runs = lines = [];
  state = news.state;
  runs = runs.concat(news.runs).slice(-KEPT_RUNS);
  lines = lines.concat(news.lines).slice(-1000);
  const threads = sum(state.workers, (w) => w.nthreads) || 1;
  keep(cpu, sum(state.workers, (w) => w.cpu_percent) / threads);
  keep(network, sum(state.workers, (w) => w.bandwidth_bytes_per_s));
  dirty = true;
}

function keep(samples, value) {
  samples.push([state.now_ms, value]);
  if (samples.length > KEPT_SAMPLES) samples.shift();
}

// Draws what is shown, once a frame at most and only if something is new.
function frame() {
  if (state && dirty && !document.hidden) {
    dirty = false;
    const view = location.hash.slice(1).split("=")[0] || "status";
    $("summary").textContent = summary();
    ({ workers: drawWorkers, tasks: drawPrefixes, task: drawPrefixes, logs: drawLogs }[view] || drawStatus)();
  }
  requestAnimationFrame(frame);
}

function summary() {
  const threads = sum(state.workers, (w) => w.nthreads), limit = sum(state.workers, (w) => w.memory_limit);
  const one = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;
  return [
    state.address, one(state.workers.length, "worker"), one(threads, "thread"),
    limit ? `${bytes(limit)} of memory` : "", one(state.clients.length, "client"),
    `up ${seconds((state.now_ms - state.started_ms) / 1000)}`,
  ].filter(Boolean).join(" · ");
}

function drawStatus() {
  if (!held) drawStream(state.now_ms);
  const byWork = [...state.prefixes].sort((a, b) => all(b) - all(a)).slice(0, 40);
  bars($("progress"), byWork.map((p) => {
    const n = all(p) || 1, part = (kind, m) => [kind, m / n, `${count(m)} ${kind}`];
    return [p.name, [part("memory", p.memory), part("released", p.released), part("erred", p.erred),
      part("processing", p.processing), part("waiting", pending(p))],
      `${count(p.memory + p.released)} / ${count(all(p))}`];
  }));
  const most = Math.max(1, ...state.workers.map((w) => Math.max(w.memory_limit, w.memory + w.spilled)));
  bars($("memory"), state.workers.map((w) => {
    const managed = Math.min(w.managed, w.memory), part = (kind, n) => [kind, n / most, `${kind} ${bytes(n)}`];
    return [w.name, [part("managed", managed), part("unmanaged", w.memory - managed), part("spilled", w.spilled)],
      w.memory_limit ? `${bytes(w.memory)} / ${bytes(w.memory_limit)}` : bytes(w.memory)];
  }));
  const busiest = Math.max(1, ...state.workers.map((w) => w.processing));
  bars($("processing"), state.workers.map((w) => [w.name,
    [["processing", w.processing / busiest, seconds(w.occupancy_s)]], count(w.processing)]));
  timeline($("cpu"), cpu, (top) => `${Math.round(top)} %`, 10);
  timeline($("network"), network, (top) => `${bytes(top)}/s`, 1000);
  const total = (of) => count(sum(state.prefixes, of));
  numbers($("states"), [["waiting", total(pending)], ["processing", total((p) => p.processing)],
    ["in memory", total((p) => p.memory)], ["released", total((p) => p.released)], ["erred", total((p) => p.erred)],
    ["bytes held", bytes(sum(state.prefixes, (p) => p.nbytes))]]);
}

function drawStream(now) {
  const from = now - Number($("span").value) * 1000;
  const lanes = [];
  for (const w of state.workers) for (let t = 0; t < w.nthreads; t++) lanes.push(`${w.name} ${t}`);
  const shown = runs.filter((run) => run.stop_ms >= from && run.start_ms <= now);
  const known = new Set(lanes);
  // Threads that are gone, or that a seceded task left, still did what they did.
  for (const run of shown) {
    const lane = `${run.worker} ${run.thread}`;
    if (!known.has(lane)) { known.add(lane); lanes.push(lane); }
  }
  hit = stream($("stream"), shown, lanes, from, now);
  $("stream-empty").hidden = runs.length > 0;
  const kinds = new Set(shown.map((run) => run.kind)), names = new Set();
  for (const run of shown) if (run.kind === "compute") names.add(run.name);
  const items = [...[...names].sort().slice(0, 12).map((name) => [name, colour(name)]),
    ...Object.entries(KINDS).filter(([kind]) => kinds.has(kind))];
  const legend = $("stream-legend"), text = items.join();
  if (legend.dataset.text !== text) {
    legend.dataset.text = text;
    legend.replaceChildren(...items.map(([name, fill]) => {
      const item = document.createElement("li"), dot = document.createElement("i");
      dot.style.background = fill;
      item.append(dot, name);
      return item;
    }));
  }
}

function numbers(list, pairs) {
  list.replaceChildren(...pairs.map(([name, value]) => {
    const box = document.createElement("div"), dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = name;
    dd.textContent = value;
    box.append(dt, dd);
    return box;
  }));
}

// Columns are [heading, value to sort by, text, whether to warn].
function table(id, items, columns) {
  const [by, direction] = sorts[id];
  const of = (columns.find((c) => c[0] === by) || columns[0])[1];
  const sorted = [...items].sort((a, b) => {
    const x = of(a), y = of(b);
    return direction * (typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y);
  });
  const head = document.createElement("tr");
  for (const [heading] of columns) {
    const th = document.createElement("th");
    th.textContent = heading;
    th.tabIndex = 0;
    if (heading === by) th.ariaSort = direction > 0 ? "ascending" : "descending";
    th.onclick = () => { sorts[id] = [heading, heading === by ? -direction : 1]; dirty = true; };
    th.onkeydown = (event) => { if (event.key === "Enter") th.onclick(); };
    head.append(th);
  }
  $(id).replaceChildren(head, ...sorted.map((item) => {
    const row = document.createElement("tr");
    for (const [, value, text, warn] of columns) {
      const cell = document.createElement("td");
      cell.textContent = text ? text(item) : String(value(item));
      if (warn && warn(item)) cell.className = "warn";
      row.append(cell);
    }
    return row;
  }));
}

function drawWorkers() {
  table("workers", state.workers, [
    ["name", (w) => w.name], ["address", (w) => w.address], ["pid", (w) => w.pid], ["threads", (w) => w.nthreads],
    ["status", (w) => w.status, null, (w) => w.status !== "running"],
    ["CPU", (w) => w.cpu_percent, (w) => `${Math.round(w.cpu_percent)} %`],
    ["memory", (w) => w.memory, (w) => bytes(w.memory), (w) => w.memory_limit && w.memory > 0.8 * w.memory_limit],
    ["limit", (w) => w.memory_limit, (w) => (w.memory_limit ? bytes(w.memory_limit) : "none")],
    ["results", (w) => w.managed, (w) => bytes(w.managed)], ["on disk", (w) => w.spilled, (w) => bytes(w.spilled)],
    ["keys", (w) => w.in_memory, (w) => count(w.in_memory)],
    ["processing", (w) => w.processing, (w) => count(w.processing)],
    ["occupancy", (w) => w.occupancy_s, (w) => seconds(w.occupancy_s)],
    ["last heard", (w) => w.silent_s, (w) => `${seconds(w.silent_s)} ago`, (w) => w.silent_s > 5],
  ]);
}

function drawPrefixes() {
  table("prefixes", state.prefixes, [
    ["name", (p) => p.name],
    ...["waiting", "queued", "processing", "memory", "released"].map((s) => [s, (p) => p[s], (p) => count(p[s])]),
    ["erred", (p) => p.erred, (p) => count(p.erred), (p) => p.erred > 0],
    ["time", (p) => p.seconds, (p) => seconds(p.seconds)],
    ["each", (p) => p.seconds / (p.memory + p.released + p.erred || 1),
      (p) => seconds(p.seconds / (p.memory + p.released + p.erred || 1))],
    ["bytes", (p) => p.nbytes, (p) => bytes(p.nbytes)],
  ]);
}

function drawLogs() {
  const box = $("logs");
  box.replaceChildren(...lines.flatMap((line) => {
    const span = document.createElement("span");
    span.className = line.level;
    span.textContent = `${new Date(line.at_ms).toISOString().slice(11, 23)} ${line.level} ${line.from}: ${line.text}\n`;
    return span;
  }));
  if (!lines.length) box.textContent = "Nothing has been logged.";
}

async function showTask(key) {
  $("key").value = key;
  const box = $("task"), answer = await fetch(`api/task/${encodeURIComponent(key)}${query}`), task = await answer.json();
  box.replaceChildren();
  if (!answer.ok) { box.textContent = task.error; return; }
  const list = document.createElement("dl");
  const row = (name, ...content) => {
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = name;
    dd.append(...content);
    list.append(dt, dd);
  };
  const links = (keys) => (keys.length ? keys.flatMap((k) => {
    const a = document.createElement("a");
    a.href = `#task=${encodeURIComponent(k)}`;
    a.textContent = k;
    return [a, "  "];
  }) : ["none"]);
  row("key", task.key);
  row("state", task.state);
  row("held by", task.workers.join(", ") || "nobody");
  if (task.nbytes !== null) row("size", bytes(task.nbytes));
  row("reads", ...links(task.dependencies));
  row("read by", ...links(task.dependents));
  if (task.suspicious) row("deaths of workers seen", String(task.suspicious));
  if (task.retries) row("retries left", String(task.retries));
  box.append(list);
  const block = (kind, text) => {
    const pre = document.createElement("pre");
    pre.className = kind;
    pre.textContent = text;
    box.append(pre);
  };
  if (task.failure) block("failure", task.failure);
  block("story", task.story.map((step) => {
    const at = new Date(step.at_ms).toISOString().slice(11, 23);
    return `${at}  ${step.from} → ${step.to}${step.worker ? ` on ${step.worker}` : ""}  (${step.cause})`;
  }).join("\n") || "Its story is no longer in the log.");
}

function route() {
  const [view, key] = location.hash.slice(1).split("=");
  const shown = view === "task" ? "tasks" : ["workers", "tasks", "logs"].includes(view) ? view : "status";
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== `view-${shown}`;
  for (const a of document.querySelectorAll("nav a")) a.classList.toggle("here", a.hash === `#${shown}`);
  if (view === "task" && key) showTask(decodeURIComponent(key));
  dirty = true;
}

const under = (event) => {
  const box = $("stream").getBoundingClientRect();
  return hit(event.clientX - box.left, event.clientY - box.top);
};
$("stream").onmousemove = (event) => {
  const run = under(event), tip = $("tip");
  tip.hidden = !run;
  if (!run) return;
  const n = run.count > 1 ? ` (${run.count} tasks)` : "";
  tip.textContent = `${run.kind === "compute" ? run.name : `${run.kind}: ${run.name}`}${n}\n` +
    `${seconds((run.stop_ms - run.start_ms) / 1000)} on ${run.worker}, thread ${run.thread}, ${bytes(run.nbytes)}`;
  tip.style.left = `${Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${event.clientY + 14}px`;
};
$("stream").onmouseleave = () => { $("tip").hidden = true; };
$("stream").onclick = (event) => {
  const run = under(event);
  if (run) location.hash = `task=${encodeURIComponent(run.key)}`;
};
$("hold").onclick = () => {
  held = held ? null : state;
  $("hold").ariaPressed = String(Boolean(held));
  dirty = true;
};
$("span").onchange = () => { if (state) drawStream(held ? held.now_ms : state.now_ms); };
$("find").onsubmit = (event) => {
  event.preventDefault();
  const hash = `#task=${encodeURIComponent($("key").value.trim())}`;
  if (location.hash === hash) route(); else location.hash = hash;
};
addEventListener("hashchange", route);
addEventListener("resize", () => { dirty = true; });
route();
connect();
frame();
