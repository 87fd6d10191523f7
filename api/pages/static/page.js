"use strict";
// What a server cannot know: the time zone of the reader, and whether the connection still lives.

const MINUTE = { hour: "2-digit", minute: "2-digit" };
const SECOND = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
const DATE = { day: "numeric", month: "short" };
const SILENT_MS = 4000; // the server beats each second
const RETRY_MS = 2000;

// ---------------------------------------------------------------- times

function localText(at, form) {
  const clock = at.toLocaleTimeString([], form === "second" ? SECOND : MINUTE);
  const isToday = at.toDateString() === new Date().toDateString();
  if (form === "date") return at.toLocaleDateString([], { ...DATE, year: "numeric" });
  return isToday ? clock : `${at.toLocaleDateString([], DATE)}, ${clock}`;
}

function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
    const at = new Date(time.dateTime);
    time.title = time.textContent;
    time.textContent = localText(at, time.dataset.form);
  }
}

function localised(html) {
  const parsed = document.createElement("template");
  parsed.innerHTML = html;
  localTimes(parsed.content);
  return parsed.innerHTML;
}

// ---------------------------------------------------------------- the stream

// An EventSource that never gives up. It connects again after an error and after a silence, and reports both.
class LiveSource extends EventTarget {
  constructor(url) {
    super();
    this.url = url;
    this.names = new Set();
    this.readyState = EventSource.OPEN;
    this.heardAt = new Date();
    this.isLost = false;
    this.addEventListener("beat", () => this.heard());
    this.connect();
    this.watch = setInterval(() => this.check(), 1000);
  }

  addEventListener(name, listener) {
    super.addEventListener(name, listener);
    if (!this.names.has(name)) {
      this.names.add(name);
      this.forward(name);
    }
  }

  forward(name) {
    if (!this.inner) return;
    this.inner.addEventListener(name, (event) => {
      this.dispatchEvent(new MessageEvent(name, { data: localised(event.data) }));
    });
  }

  connect() {
    if (this.inner) this.inner.close();
    this.triedAt = Date.now();
    this.inner = new EventSource(this.url);
    this.inner.onerror = () => this.failed();
    for (const name of this.names) this.forward(name);
  }

  heard() {
    this.heardAt = new Date();
    if (this.isLost) this.report(false);
  }

  check() {
    if (Date.now() - this.heardAt.getTime() < SILENT_MS) return;
    if (!this.isLost) this.report(true);
    if (Date.now() - this.triedAt > RETRY_MS) this.connect();
  }

  // A session that has expired cannot come back by itself: the page of the sign-in replaces this one.
  async failed() {
    if (this.inner.readyState !== EventSource.CLOSED) return;
    try {
      const answer = await fetch(window.location.href, { headers: { Accept: "text/html" } });
      if (answer.status === 401) window.location.reload();
    } catch {
      // The server is away. `check` connects again.
    }
  }

  report(isLost) {
    this.isLost = isLost;
    const line = document.getElementById("connection");
    line.hidden = !isLost;
    line.textContent = isLost ? line.dataset.text.replace("{time}", localText(this.heardAt, "second")) : "";
    document.body.classList.toggle("lost", isLost);
  }

  close() {
    this.readyState = EventSource.CLOSED;
    clearInterval(this.watch);
    this.inner.close();
  }
}

function follow(source) {
  // The list is loaded again when its order has changed, and the head of a campaign when its state has.
  source.addEventListener("regroup", (event) => changed("groups", "order", event.data, "regroup"));
  source.addEventListener("restate", (event) => changed("heading", "state", event.data, "restate"));
}

function changed(id, field, value, name) {
  const part = document.getElementById(id);
  if (part && part.dataset[field] !== value) {
    part.dataset[field] = value;
    htmx.trigger(part, name);
  }
}

// ---------------------------------------------------------------- the plot

// The light green of the sent part is too faint for a line.
const SERIES = [["Sent", "--quiet"], ["Delivered", "--part-delivered"], ["Read", "--part-read"], ["Failed", "--part-failed"]];
const DASHES = [[6, 4], [], [], [2, 3]];
const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;
const TICKS_S = [60, 120, 300, 600, 1800, HOUR_S, 3 * HOUR_S, 6 * HOUR_S, 12 * HOUR_S, DAY_S, 7 * DAY_S, 28 * DAY_S, 91 * DAY_S];
const STEPS_MIN = 10; // a plot of fewer steps has room for the next ones
const plots = new WeakMap();

function columns(table) {
  const rows = [...table.querySelectorAll("tr[data-at]")];
  const values = rows.map((row) => row.dataset.values.split(" ").map(Number));
  return [rows.map((row) => Number(row.dataset.at)), ...SERIES.map((_, place) => values.map((each) => each[place]))];
}

// The clock of the reader at each tick, and the day where it begins.
function tickTexts(ticks, distance) {
  let before = "";
  return ticks.map((each) => {
    const at = new Date(each * 1000);
    const day = at.toLocaleDateString([], DATE);
    const text = distance >= DAY_S ? day : at.toLocaleTimeString([], MINUTE);
    const isNew = distance < DAY_S && day !== before;
    before = day;
    return isNew ? `${text}\n${day}` : text;
  });
}

function drawPlot() {
  const place = document.querySelector(".plot");
  if (!place || !window.uPlot || place.clientWidth === 0) return;
  const table = place.parentElement.querySelector("table");
  const data = columns(table);
  const step = Number(table.dataset.step);
  // uPlot gives years to a single point.
  const isShort = (first, last) => data[0].length === 1 || last - first < STEPS_MIN * step;
  const range = (_, first, last) => (isShort(first, last) ? [first - step, first + STEPS_MIN * step] : [first, last]);
  const known = plots.get(place);
  if (known) known.destroy();
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  const label = (ticks) => ticks.map((each) => each.toLocaleString("en"));
  plots.set(place, new uPlot({
    width: place.clientWidth,
    height: 220,
    padding: [12, 28, 0, 0], // the last label of the time needs room
    cursor: { y: false },
    legend: { markers: { dash: (_, number) => ["none", "dashed", "solid", "solid", "dotted"][number] } },
    scales: { x: { range } },
    axes: [{
      ...axis, size: 54, space: 84, incrs: TICKS_S.filter((each) => each >= step),
      values: (_, ticks, _axis, _space, distance) => tickTexts(ticks, distance),
    }, { ...axis, size: 64, values: (_, ticks) => label(ticks) }],
    series: [{ label: "Time", value: (_, at) => (at === null ? "–" : localText(new Date(at * 1000))) }, ...SERIES.map(([name, variable], number) => ({
      label: name, stroke: colour(variable), width: number === 2 ? 2.5 : 1.75, dash: DASHES[number],
      points: { show: data[0].length < STEPS_MIN }, value: (_, value) => (value === null ? "" : value.toLocaleString("en")),
    }))],
  }, data, place));
}

function redrawWhenNeeded() {
  let waiting = 0;
  const soon = () => { clearTimeout(waiting); waiting = setTimeout(drawPlot, 150); };
  window.addEventListener("resize", soon);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", soon);
}

// ---------------------------------------------------------------- the list

function find() {
  const wanted = document.getElementById("search").value.trim().toLowerCase();
  for (const card of document.querySelectorAll(".card[data-name]")) card.hidden = !card.dataset.name.includes(wanted);
  for (const group of document.querySelectorAll(".group")) group.hidden = !group.querySelector(".card:not([hidden])");
}

function prepareSearch() {
  const field = document.getElementById("search");
  if (!field) return;
  field.closest("label").hidden = false;
  field.addEventListener("input", find);
}

// ---------------------------------------------------------------- copies

// The clipboard exists on https and on this machine only.
function prepareCopies(root) {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("button[data-copy]")) button.hidden = false;
}

async function copied(event) {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const before = button.innerHTML;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.textContent = "Copied";
  setTimeout(() => { button.innerHTML = before; }, 1500);
}

if (window.htmx) {
  htmx.createEventSource = (url) => {
    const source = new LiveSource(url);
    follow(source);
    return source;
  };
  document.addEventListener("htmx:load", (event) => {
    localTimes(event.target);
    prepareCopies(document);
    if (document.getElementById("search")) find();
    if (event.target.id === "timeline-part" || event.target.closest("#timeline-part")) drawPlot();
  });
}
document.addEventListener("DOMContentLoaded", () => {
  localTimes(document);
  prepareSearch();
  prepareCopies(document);
  document.addEventListener("click", copied);
  drawPlot();
  redrawWhenNeeded();
});
