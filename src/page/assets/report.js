// The page: what keys, wheel and pointer do, and what is told of a place.

const plot = byId("plot");
const BANDS = {"band-phases": "phases", "band-events": "events", "band-parts": "parts", "band-clients": "clients", "band-store": "store"};
let cursor = null;

let asked = false;
function redraw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(drawAll);
}
function drawAll() {
  asked = false;
  width = Math.max(280, byId("axis").clientWidth);
  drawAxis();
  drawPhases();
  drawEvents();
  drawParts();
  drawTracks("band-clients", clientTracks(), drawRebalances);
  drawTracks("band-store", storeTracks());
  placeCursor();
  plot.dataset.from = view.from;
  plot.dataset.to = view.to;
}

// Partitions in each state at a time.
function partStates(ms) {
  let leaderless = 0, opening = 0;
  for (const row of rows)
    for (const entry of row.entries) {
      if (entry.begin === null || ms < entry.begin || ms >= endOf(entry)) continue;
      if (entry.owned !== null && ms >= entry.owned) ++opening; else ++leaderless;
      break;
    }
  return {leaderless, opening, serving: rows.length - leaderless - opening};
}
function wordsAt(ms) {
  const words = [];
  const phase = phases.find((one) => one[3] !== null && ms >= one[3] && ms < one[4]);
  if (phase) words.push(["Phase", `${phase[0]} ${phase[1]}`.trim()]);
  const states = partStates(ms);
  if (rows.length) words.push(["Leaderless", counted(states.leaderless)], ["Opening", counted(states.opening)],
    ["Serving", counted(states.serving)]);
  const bin = binOf(ms);
  const at = (name, values, write) => {
    const value = values?.[bin] ?? null;
    if (value !== null) words.push([name, write(value)]);
  };
  const rate = (value) => counted((value * 1000) / series.bin) + "/s";
  at("Acks", series.acks, rate);
  at("Errors", series.errors, rate);
  for (const [name, values] of series.errorsByName) if (values[bin]) words.push([name, rate(values[bin])]);
  for (const line of latencyNow ?? []) at(line.name, line.values, msWords);
  for (const one of series.lag) at("Lag " + one.group, one.records, counted);
  at("Staleness", series.staleness, msWords);
  at("PUT", series.put, rate);
  at("GET", series.get, rate);
  at("LIST", series.list, rate);
  at("Store", series.bytes, (value) => bytesWords((value * 1000) / series.bin) + "/s");
  return words;
}
function tell(ms, detail) {
  byId("read-time").textContent = ms === null ? "" : signed(ms);
  byId("read-detail").textContent = ms === null ? "" : detail ?? "";
  const words = byId("read-words");
  words.replaceChildren();
  if (ms === null) {
    words.textContent = "Move over the bands to read them.";
    return;
  }
  for (const [name, value] of wordsAt(ms)) {
    const one = document.createElement("span"), bold = document.createElement("b");
    bold.textContent = value;
    one.append(name + " ", bold);
    words.append(one, " ");
  }
}
function placeCursor() {
  const line = byId("cursor");
  line.hidden = cursor === null || !inView(cursor);
  if (!line.hidden) line.style.left = xOf(cursor) + "px";
}
function setCursor(ms, detail = "", aloud = false) {
  cursor = ms;
  placeCursor();
  tell(ms, detail);
  if (aloud) byId("spoken").textContent = byId("read-time").textContent + ". " + byId("read-words").textContent;
}

// What lies under a point of the page, smallest first.
function thingAt(target, x, y) {
  const band = BANDS[target.id];
  if (!band) return null;
  if (band === "parts") return partAt(x, y);
  let found = null;
  for (const spot of spots[band])
    if (x >= spot.left && x <= spot.right && y >= spot.top && y < spot.bottom &&
        (!found || spot.right - spot.left < found.right - found.left))
      found = spot;
  return found;
}
const eventsWithin = (from, to) => events.map((_, index) => index)
  .filter((index) => events[index][0] !== null && events[index][0] >= from && events[index][0] <= to);

const DRAWER_ROWS = 200;
function openDrawer(title, places) {
  const kept = [...new Set(places)].slice(0, DRAWER_ROWS);
  byId("drawer-title").textContent = `${title} (${places.length ? counted(places.length) + (places.length === 1 ? " event" : " events") : "no event of its own"})`;
  const body = byId("drawer-rows");
  body.replaceChildren();
  for (const place of kept) {
    const row = byId("e" + place).cloneNode(true);
    row.removeAttribute("id");
    const link = document.createElement("a");
    link.href = "#e" + place;
    link.textContent = row.cells[0].textContent;
    row.cells[0].replaceChildren(link);
    body.append(row);
  }
  byId("drawer").hidden = false;
  byId("drawer").focus({preventScroll: true});
  byId("drawer").scrollIntoView({block: "nearest"});
}
function closeDrawer() {
  byId("drawer").hidden = true;
  plot.focus({preventScroll: true});
}
function openAt(target, x, y) {
  const thing = thingAt(target, x, y);
  const reach = ((view.to - view.from) / plotWidth()) * 6, ms = msOf(x);
  if (!thing) return openDrawer(`Around ${signed(ms)}`, eventsWithin(ms - reach, ms + reach));
  const own = thing.events ?? [];
  const within = thing.from === null || thing.from === undefined ? [] : eventsWithin(thing.from, thing.to);
  openDrawer(thing.title, own.length ? own : within);
}

const KEYS = {
  "+": () => zoom(0.5, cursor ?? undefined), "=": () => zoom(0.5, cursor ?? undefined),
  "-": () => zoom(2, cursor ?? undefined), "_": () => zoom(2, cursor ?? undefined),
  "0": wholeRun,
  ArrowLeft: () => pan(-0.15), ArrowRight: () => pan(0.15),
  Escape: () => setCursor(null),
  Enter: () => {
    const ms = cursor ?? (view.from + view.to) / 2, reach = (view.to - view.from) / 100;
    openDrawer(`Around ${signed(ms)}`, eventsWithin(ms - reach, ms + reach));
  },
};
plot.addEventListener("keydown", (event) => {
  if (event.target !== plot || event.ctrlKey || event.metaKey || event.altKey) return;
  const move = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  if (event.shiftKey && move) {
    const at = cursor === null || !inView(cursor) ? (view.from + view.to) / 2 : cursor + (move * (view.to - view.from)) / 100;
    setCursor(Math.min(Math.max(at, view.from), view.to), "", true);
  } else if (KEYS[event.key]) {
    KEYS[event.key]();
  } else {
    return;
  }
  event.preventDefault();
});
plot.addEventListener("wheel", (event) => {
  if (!event.ctrlKey && !plot.contains(document.activeElement)) return;
  event.preventDefault();
  if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan(event.deltaX / plotWidth());
  else zoom(1.0016 ** event.deltaY, msOf(event.clientX - plot.getBoundingClientRect().left));
}, {passive: false});

// A drag of the mouse chooses what to see, one of a finger moves it.
let drag = null;
const place = (event) => {
  const box = event.target.getBoundingClientRect();
  return {x: event.clientX - plot.getBoundingClientRect().left, y: event.clientY - box.top};
};
plot.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || event.target.tagName !== "CANVAS") return;
  drag = {...place(event), target: event.target, moved: false, from: view.from, to: view.to};
});
plot.addEventListener("pointermove", (event) => {
  const {x, y} = place(event);
  if (event.target.tagName === "CANVAS" && x >= gutter()) {
    const thing = thingAt(event.target, x, y);
    setCursor(msOf(x), thing?.title);
    event.target.style.cursor = thing ? "pointer" : "crosshair";
  }
  if (!drag) return;
  drag.moved ||= Math.abs(x - drag.x) > 4;
  if (!drag.moved) return;
  if (event.pointerType === "touch") {
    const by = ((drag.x - x) / plotWidth()) * (drag.to - drag.from);
    setView(drag.from + by, drag.to + by);
    return;
  }
  const chosen = byId("selection");
  chosen.hidden = false;
  chosen.style.left = Math.max(gutter(), Math.min(x, drag.x)) + "px";
  chosen.style.width = Math.abs(x - Math.max(gutter(), drag.x)) + "px";
});
addEventListener("pointerup", (event) => {
  if (!drag) return;
  const {x} = place({target: plot, clientX: event.clientX, clientY: event.clientY});
  byId("selection").hidden = true;
  if (!drag.moved) openAt(drag.target, drag.x, drag.y);
  else if (event.pointerType !== "touch") setView(msOf(Math.max(gutter(), Math.min(x, drag.x))), msOf(Math.max(x, drag.x)));
  drag = null;
});
addEventListener("pointercancel", () => { drag = null; byId("selection").hidden = true; });
plot.addEventListener("pointerleave", () => { if (!drag) setCursor(null); });

function addPresets() {
  const add = (words, act) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = words;
    button.addEventListener("click", act);
    byId("presets").append(button, " ");
  };
  for (const step of steps.slice(0, 8)) add(step.id, () => showStep(step));
  add("Whole run", wholeRun);
}
function addClients() {
  const choice = byId("client");
  for (const name of ["", ...series.latency.map((one) => one.client)]) choice.append(new Option(name || "worst client", name));
  choice.hidden = series.latency.length < 2;
  choice.addEventListener("change", () => { clientShown = choice.value; latencyNow = null; redraw(); });
}
function noteParts() {
  byId("parts-note").textContent = rows.length
    ? `${counted(rows.length)}, the longest gap first` + (shown.size > 1 ? `; each row is the worst of ${shown.size}` : "") : "";
  byId("parts-all").hidden = rows.length <= ROWS_GROUPED;
}
function describeBands() {
  byId("band-phases").setAttribute("aria-label", `Phases and milestones of ${steps.length} faults; the table of milestones has the figures`);
  byId("band-events").setAttribute("aria-label", `${events.length} events; the table of events has them`);
  byId("band-parts").setAttribute("aria-label", `${rows.length} partitions: leaderless, opening, serving; the table of partitions has the figures`);
  byId("band-clients").setAttribute("aria-label", "Acknowledgements, errors, latency, lag and staleness");
  byId("band-store").setAttribute("aria-label", "Requests to the store and their bytes");
}
function drawLegend() {
  for (const key of document.querySelectorAll("canvas.key")) {
    key.width = 18;
    key.height = 11;
    const pen = key.getContext("2d");
    pen.fillStyle = paints(pen)[key.dataset.key];
    pen.fillRect(0, 0, 18, 11);
  }
}
function refreshInk() {
  readInk();
  latencyNow = null;
  drawLegend();
  redraw();
}

// Paper is white, has one width and nothing folded.
let unfolded = [];
addEventListener("beforeprint", () => {
  document.documentElement.classList.add("printing");
  unfolded = [...document.querySelectorAll("details:not([open]):not(.unprinted)")];
  for (const details of unfolded) details.open = true;
  readInk();
  latencyNow = null;
  drawLegend();
  drawAll();
});
addEventListener("afterprint", () => {
  document.documentElement.classList.remove("printing");
  for (const details of unfolded) details.open = false;
  refreshInk();
});

// A figure that stands on several events marks them all.
addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='#e']");
  if (!link) return;
  for (const row of document.querySelectorAll("tr.hit")) row.classList.remove("hit");
  for (const one of (link.dataset.e ?? "").split(" ")) if (one) byId("e" + one)?.classList.add("hit");
});

document.documentElement.classList.add("scripts");
byId("timeline").hidden = false;
byId("zoom-in").addEventListener("click", () => zoom(0.5));
byId("zoom-out").addEventListener("click", () => zoom(2));
byId("drawer-close").addEventListener("click", closeDrawer);
byId("drawer").addEventListener("keydown", (event) => { if (event.key === "Escape") closeDrawer(); });
byId("parts-all").addEventListener("click", () => {
  oneRowEach = !oneRowEach;
  byId("parts-all").setAttribute("aria-pressed", oneRowEach);
  shown = shownRows();
  noteParts();
  redraw();
});
new ResizeObserver(redraw).observe(plot);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refreshInk);
addPresets();
addClients();
noteParts();
describeBands();
refreshInk();
tell(null);
if (steps.length && steps.some((step) => step.effective !== null)) showStep(steps.find((step) => step.effective !== null));
