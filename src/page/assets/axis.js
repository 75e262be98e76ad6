"use strict";
// One time axis for all bands: what is drawn, which part of it is seen, and how times are written.
// All times are milliseconds since the first fault.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

// phases: [phase, name, step, from, to, events]; steps: {id, fault, effective, healed, marks};
// marks, one for each of t0 to t13: [min, median, max, err, seen, total, by, events] or why not;
// parts.rows: [step, topic, partition, begin, owned, served, gap, last gap];
// events: [ms, err, plane, type, source, topic, partition].
const {phases, steps, parts, events, series} = data;

const MARK_NAMES = ["Fault effective", "Last old ack", "Detected", "New epoch", "Log sealed", "Replay done",
  "Leader answers", "Client sees it", "First ack", "Last client", "Reader past", "p99 back", "Business back",
  "Storage done"];

const bounds = (() => {
  let from = Infinity, to = -Infinity;
  const reach = (ms) => {
    if (ms === null || ms === undefined) return;
    from = Math.min(from, ms);
    to = Math.max(to, ms);
  };
  for (const phase of phases) { reach(phase[3]); reach(phase[4]); }
  if (series.from !== null && series.bin !== null) {
    reach(series.from);
    reach(series.from + series.bin * series.acks.length);
  }
  for (const event of events) reach(event[0]);
  for (const step of steps) { reach(step.effective); reach(step.healed); }
  return to > from ? {from, to} : {from: 0, to: 1000};
})();

const view = {from: bounds.from, to: bounds.to};
const SPAN_MIN = 0.05;

function setView(from, to) {
  const span = Math.min(Math.max(to - from, SPAN_MIN), bounds.to - bounds.from);
  const middle = (from + to) / 2;
  view.from = Math.min(Math.max(middle - span / 2, bounds.from), bounds.to - span);
  view.to = view.from + span;
  redraw();
}
function zoom(factor, around = (view.from + view.to) / 2) {
  const span = (view.to - view.from) * factor;
  const share = (around - view.from) / (view.to - view.from);
  setView(around - span * share, around + span * (1 - share));
}
function pan(share) {
  const by = (view.to - view.from) * share;
  setView(view.from + by, view.to + by);
}
const wholeRun = () => setView(bounds.from, bounds.to);

// From shortly before a fault until shortly after its last client was served.
function showStep(step) {
  const begin = step.effective ?? 0;
  let end = begin;
  for (const mark of step.marks.slice(1, 10)) if (Array.isArray(mark)) end = Math.max(end, mark[2]);
  const length = Math.max(end - begin, 4 * (series.bin ?? 0), 1);
  setView(begin - 0.4 * length, begin + 1.8 * length);
}

const decimals = (step) => Math.max(0, Math.min(3, -Math.floor(Math.log10(step))));
function msWords(ms) {
  if (ms === null || ms === undefined) return "–";
  const size = Math.abs(ms);
  if (size >= 1000) return (ms / 1000).toFixed(size >= 100000 ? 1 : 3) + " s";
  return ms.toFixed(size >= 10 ? 1 : 3) + " ms";
}
const signed = (ms) => (ms >= 0 ? "+" : "−") + msWords(Math.abs(ms));
const counted = (n) => n.toLocaleString("en-US", {maximumFractionDigits: n < 10 ? 1 : 0});
function bytesWords(bytes) {
  let unit = 0;
  for (; bytes >= 1024 && unit < 4; ++unit) bytes /= 1024;
  return bytes.toFixed(unit && bytes < 100 ? 1 : 0) + [" B", " KiB", " MiB", " GiB", " TiB"][unit];
}

// Where a time lies on a canvas. Left of the plot is room for names.
const isNarrow = () => innerWidth < 700;
const gutter = () => (isNarrow() ? 112 : 138);
const MARGIN = 6;
let width = 800;
const plotWidth = () => width - gutter() - MARGIN;
const xOf = (ms) => gutter() + ((ms - view.from) / (view.to - view.from)) * plotWidth();
const msOf = (x) => view.from + ((x - gutter()) / plotWidth()) * (view.to - view.from);
const inView = (from, to = from) => to >= view.from && from <= view.to;

function ticks() {
  const wanted = Math.max(2, Math.floor(plotWidth() / 84));
  const rough = (view.to - view.from) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const all = [];
  for (let at = Math.ceil(view.from / step) * step; at <= view.to; at += step)
    all.push(Math.abs(at) < step / 1e6 ? 0 : at);
  return {all, step};
}
function tickWords(ms, step) {
  if (ms === 0) return "0";
  const sign = ms > 0 ? "+" : "−";
  const size = Math.abs(ms);
  if (step >= 1000) return sign + counted(size / 1000) + " s";
  return sign + size.toLocaleString("en-US", {minimumFractionDigits: decimals(step), maximumFractionDigits: decimals(step)}) + " ms";
}
