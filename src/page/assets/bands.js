// The bands. Each is drawn anew for the part of the axis that is seen, and can tell what lies at a
// point: {words, events, title}.

const ROW = 17;
let ink = {};
function readInk() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["fg", "muted", "line", "band", "bad", "fault", "leaderless", "opening", "serving", "one", "two", "three",
    "four", "paper"])
    ink[name] = style.getPropertyValue("--" + name).trim();
}

function prepare(canvas, height) {
  const scale = devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.style.height = height + "px";
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.font = (isNarrow() ? 10 : 11) + "px " + getComputedStyle(document.body).fontFamily;
  pen.textBaseline = "middle";
  return pen;
}
function write(pen, words, x, y, color = ink.muted, align = "left", room = Infinity) {
  if (pen.measureText(words).width > room) {
    if (room < 24) return false;
    while (words.length > 1 && pen.measureText(words + "…").width > room) words = words.slice(0, -1);
    words += "…";
  }
  pen.fillStyle = color;
  pen.textAlign = align;
  pen.fillText(words, x, y);
  return true;
}
// On a ground of its own, where something is drawn already.
function plated(pen, words, x, y, color) {
  pen.fillStyle = ink.paper;
  pen.fillRect(x - 2, y - 6, pen.measureText(words).width + 4, 12);
  write(pen, words, x, y, color);
}
function box(pen, from, to, y, height, fill, least = 1) {
  const left = Math.max(xOf(from), gutter());
  const right = Math.min(xOf(to), width - MARGIN);
  if (right < gutter() || left > width - MARGIN) return null;
  pen.fillStyle = fill;
  pen.fillRect(left, y, Math.max(right - left, least), height);
  return {left, right};
}
function clipped(pen, height, draw) {
  pen.save();
  pen.beginPath();
  pen.rect(gutter(), 0, plotWidth(), height);
  pen.clip();
  draw();
  pen.restore();
}
function upright(pen, ms, height, color, dash = [], thick = 1) {
  pen.save();
  pen.strokeStyle = color;
  pen.lineWidth = thick;
  pen.setLineDash(dash);
  pen.beginPath();
  pen.moveTo(Math.round(xOf(ms)) + 0.5, 0);
  pen.lineTo(Math.round(xOf(ms)) + 0.5, height);
  pen.stroke();
  pen.restore();
}
// Grid, and the faults across all bands: solid when effective, dashed when healed.
function backdrop(pen, height) {
  clipped(pen, height, () => {
    for (const at of ticks().all) upright(pen, at, height, ink.line);
    for (const step of steps) {
      if (step.effective !== null) upright(pen, step.effective, height, ink.fault, [], 1.5);
      if (step.healed !== null) upright(pen, step.healed, height, ink.fault, [3, 3]);
    }
  });
}

function hatch(pen, color, slope) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const tip = tile.getContext("2d");
  tip.fillStyle = color;
  tip.fillRect(0, 0, 6, 6);
  tip.strokeStyle = ink.paper;
  tip.globalAlpha = 0.55;
  tip.beginPath();
  if (slope) {
    for (const shift of [-6, 0, 6]) { tip.moveTo(shift, 6); tip.lineTo(shift + 6, 0); }
  } else {
    tip.arc(3, 3, 0.8, 0, 7);
  }
  tip.stroke();
  return pen.createPattern(tile, "repeat");
}
const paints = (pen) => ({leaderless: hatch(pen, ink.leaderless, true), opening: hatch(pen, ink.opening, false),
  serving: ink.serving});

// Who asks for a place gets what lies there; the newest drawing only.
const spots = {phases: [], events: [], parts: [], clients: [], store: []};

function drawAxis() {
  const pen = prepare(byId("axis"), 22);
  const {all, step} = ticks();
  write(pen, "since fault", 0, 11);
  for (const at of all) {
    const words = tickWords(at, step), half = pen.measureText(words).width / 2;
    if (xOf(at) - half > gutter() - 8 && xOf(at) + half < width) write(pen, words, xOf(at), 11, ink.muted, "center");
  }
}

// Milestones that say something in this run: those of no step are left out.
const markRows = MARK_NAMES.map((name, index) => ({name, index}))
  .filter(({index}) => index > 0 && steps.some((step) => Array.isArray(step.marks[index]) || step.marks[index] === "never"));

const CHAIN = [[2, "detect"], [3, "commit"], [4, "seal"], [5, "replay"], [6, "open"], [7, "publish"], [8, "ack"], [11, "settle"]];
// Segments of a recovery, each from one milestone's median to the next one's.
function chainOf(step) {
  if (step.effective === null) return [];
  const segments = [];
  let from = step.effective;
  for (const [index, name] of CHAIN) {
    const mark = step.marks[index];
    if (!Array.isArray(mark) || mark[1] <= from) continue;
    segments.push({name, from, to: mark[1], index});
    from = mark[1];
  }
  return segments;
}
const chains = steps.map(chainOf);

function drawPhases() {
  const height = (2 + markRows.length) * ROW + 4;
  const pen = prepare(byId("band-phases"), height);
  spots.phases = [];
  backdrop(pen, height);
  write(pen, "Drill", 0, ROW / 2);
  write(pen, "Recovery", 0, ROW * 1.5);
  phases.forEach((phase, index) => {
    if (phase[3] === null || phase[4] === null || !inView(phase[3], phase[4])) return;
    const drawn = box(pen, phase[3], phase[4], 2, ROW - 4, index % 2 ? ink.band : ink.line);
    if (!drawn) return;
    write(pen, (phase[0] + " " + phase[1]).trim(), drawn.left + 4, ROW / 2, ink.fg, "left", drawn.right - drawn.left - 6);
    spots.phases.push({...drawn, top: 0, bottom: ROW, title: `${phase[0]} ${phase[1]} ${phase[2]}`.trim(), events: phase[5],
      from: phase[3], to: phase[4]});
  });
  chains.forEach((chain, number) => chain.forEach((segment, index) => {
    const drawn = box(pen, segment.from, segment.to, ROW + 2, ROW - 4, [ink.one, ink.two, ink.three, ink.four][index % 4]);
    if (!drawn) return;
    write(pen, segment.name, drawn.left + 4, ROW * 1.5, ink.paper, "left", drawn.right - drawn.left - 6);
    spots.phases.push({...drawn, top: ROW, bottom: ROW * 2, from: segment.from, to: segment.to,
      title: `${steps[number].id}: ${segment.name}, ${msWords(segment.to - segment.from)} at the median`});
  }));
  markRows.forEach((row, place) => drawMarks(pen, row, (place + 2) * ROW));
}
function drawMarks(pen, {name, index}, y) {
  write(pen, name, 0, y + ROW / 2, ink.muted, "left", gutter() - 26);
  write(pen, "t" + index, gutter() - 8, y + ROW / 2, ink.muted, "right");
  for (const step of steps) clipped(pen, y + ROW, () => drawMark(pen, step, step.marks[index], index, y));
}
function drawMark(pen, step, mark, index, y) {
  const zero = step.effective ?? 0, middle = y + ROW / 2;
  if (!Array.isArray(mark)) {
    if (mark === "never") write(pen, "never", xOf(zero) + 5, middle, ink.bad);
    return;
  }
  const [least, median, most, err, seen, total, by, places] = mark;
  const reach = err ?? 0;
  pen.fillStyle = ink.line;
  if (least > zero) pen.fillRect(xOf(zero), middle - 0.5, xOf(least) - xOf(zero), 1);
  pen.fillStyle = ink.muted;
  pen.fillRect(xOf(least - reach), middle - 0.5, xOf(most + reach) - xOf(least - reach), 1);
  for (const edge of reach > 0 ? [least - reach, most + reach] : []) pen.fillRect(xOf(edge) - 0.5, middle - 3, 1, 6);
  pen.fillStyle = ink.one;
  pen.fillRect(xOf(least) - 1, middle - 3, Math.max(xOf(most) - xOf(least), 0) + 2, 6);
  pen.fillStyle = ink.fg;
  pen.fillRect(xOf(median) - 1, middle - 5, 2, 10);
  const spread = Math.abs(xOf(most) - xOf(least)) > 12;
  const words = spread ? `${signed(least - zero)} to ${signed(most - zero)}` : signed(median - zero);
  const wide = pen.measureText(words).width;
  if (least > view.to) {
    if (inView(zero)) write(pen, words + " →", width - MARGIN - 2, middle, ink.muted, "right");
  } else if (xOf(most + reach) + 6 + wide < width - MARGIN) write(pen, words, xOf(most + reach) + 6, middle, ink.fg);
  else if (xOf(least - reach) - 6 - wide > gutter()) plated(pen, words, xOf(least - reach) - 6 - wide, middle, ink.fg);
  spots.phases.push({left: xOf(least - reach) - 4, right: xOf(most + reach) + 8, top: y, bottom: y + ROW, events: places,
    from: least - reach, to: most + reach, title: `${step.id}: t${index} ${MARK_NAMES[index].toLowerCase()}, ${seen} of ${total} ` +
    `partitions, median ${signed(median - zero)}${err ? " ± " + msWords(err) : ""}${by ? ", by " + by : ""}`});
}

// Faults and rollbacks by name; of those that stand close together the last, which says what came of it.
function labelSpecial(pen, labels, height) {
  let limit = Infinity;
  clipped(pen, height, () => labels.reverse().forEach(([words, x, y]) => {
    if (x + pen.measureText(words).width > limit) return;
    plated(pen, words, x, y, ink.fault);
    limit = x - 14;
  }));
}

const PLANES = ["control", "storage", "data", "client", "business"];
// Concurrent: nothing but the clocks could order them, and their error bounds overlap.
const concurrent = (() => {
  const order = events.map((_, index) => index).filter((index) => events[index][0] !== null);
  order.sort((a, b) => events[a][0] - events[b][0]);
  const found = new Map();
  const widest = events.reduce((most, event) => Math.max(most, event[1] ?? 0), 0);
  order.forEach((one, place) => {
    for (let next = place + 1; next < Math.min(order.length, place + 60); ++next) {
      const other = order[next], apart = events[other][0] - events[one][0];
      if (apart > 2 * widest) break;
      const reach = (events[one][1] ?? 0) + (events[other][1] ?? 0);
      if (events[one][4] === events[other][4] || reach === 0 || apart > reach) continue;
      for (const [a, b] of [[one, other], [other, one]]) if (!found.has(a)) found.set(a, b);
    }
  });
  return found;
})();

function drawEvents() {
  const height = PLANES.length * ROW;
  const pen = prepare(byId("band-events"), height);
  spots.events = [];
  backdrop(pen, height);
  PLANES.forEach((plane, row) => write(pen, plane, 0, row * ROW + ROW / 2));
  const labels = [];
  clipped(pen, height, () => events.forEach((event, index) => {
    const [ms, err, plane, type] = event;
    const row = PLANES.indexOf(plane);
    if (ms === null || row < 0 || !inView(ms - (err ?? 0), ms + (err ?? 0))) return;
    const x = xOf(ms), middle = row * ROW + ROW / 2;
    const special = type.startsWith("fault.") || type.startsWith("rollback.");
    pen.fillStyle = pen.strokeStyle = special ? ink.fault : ink.fg;
    if (err && xOf(ms + err) - x > 1.5) {
      pen.fillRect(xOf(ms - err), middle - 0.5, xOf(ms + err) - xOf(ms - err), 1);
      for (const edge of [ms - err, ms + err]) pen.fillRect(xOf(edge) - 0.5, middle - 2.5, 1, 5);
    }
    if (special) {
      pen.beginPath();
      for (const [dx, dy] of [[0, -5], [5, 0], [0, 5], [-5, 0]]) pen.lineTo(x + dx, middle + dy);
      pen.fill();
      labels.push([type, x + 8, middle]);
    } else if (concurrent.has(index)) {
      pen.lineWidth = 1;
      pen.strokeRect(x - 2, middle - 4.5, 4, 9);
    } else {
      pen.fillRect(x - 1, middle - 5, 2, 10);
    }
    const other = concurrent.get(index);
    spots.events.push({left: x - 5, right: x + 5, top: row * ROW, bottom: (row + 1) * ROW, events: [index], from: ms, to: ms,
      title: `${type}, ${event[4]}, ${signed(ms)}${err ? " ± " + msWords(err) : ""}` +
      (other === undefined ? "" : `, concurrent with ${events[other][3]} of ${events[other][4]}`)});
  }));
  labelSpecial(pen, labels, height);
}

// One row a partition with what each fault did to it, the longest gap first.
const rows = (() => {
  const known = new Map();
  for (const [step, topic, partition, begin, owned, served, gap, last] of parts.rows) {
    const name = parts.topics[topic] + "-" + partition;
    if (!known.has(name)) known.set(name, {name, topic: parts.topics[topic], partition, worst: -1, entries: []});
    const row = known.get(name);
    const never = begin !== null && served === null;
    row.entries.push({step, begin, owned, served, gap, last, never});
    row.worst = Math.max(row.worst, never ? Infinity : gap ?? -1);
  }
  return [...known.values()].sort((a, b) => b.worst - a.worst);
})();
const ROWS_GROUPED = 320, ROWS_MAX = 1000;
let oneRowEach = false;
function shownRows() {
  const most = oneRowEach ? ROWS_MAX : ROWS_GROUPED;
  if (rows.length <= most) return {size: 1, list: rows};
  const size = Math.ceil(rows.length / most), list = [];
  for (let at = 0; at < rows.length; at += size) {
    const group = rows.slice(at, at + size), worst = new Map();
    for (const row of group)
      for (const entry of row.entries) {
        const kept = worst.get(entry.step);
        if (!kept || entry.never || (!kept.never && (entry.gap ?? -1) > (kept.gap ?? -1))) worst.set(entry.step, entry);
      }
    list.push({...group[0], name: `${group[0].name} and ${group.length - 1} more`, entries: [...worst.values()]});
  }
  return {size, list};
}
let shown = shownRows();
const rowHeight = () => Math.min(14, Math.max(1, Math.floor(320 / Math.max(shown.list.length, 1))));
const endOf = (entry) => entry.served ?? bounds.to;

function drawParts() {
  const each = rowHeight(), tall = each >= 11, height = Math.max(shown.list.length * each, ROW);
  const pen = prepare(byId("band-parts"), height);
  const paint = paints(pen);
  pen.fillStyle = paint.serving;
  const thick = each >= 4 ? each - 1 : each;
  shown.list.forEach((row, place) => pen.fillRect(gutter(), place * each, plotWidth(), thick));
  backdrop(pen, height);
  shown.list.forEach((row, place) => {
    for (const entry of row.entries) {
      if (entry.begin === null) continue;
      const owned = Math.max(entry.owned ?? endOf(entry), entry.begin), end = endOf(entry);
      if (!inView(entry.begin, end)) continue;
      box(pen, entry.begin, Math.min(owned, end), place * each, thick, paint.leaderless);
      if (owned < end) box(pen, owned, end, place * each, thick, paint.opening);
    }
    if (!tall) return;
    write(pen, row.name, 0, place * each + each / 2, ink.muted, "left", gutter() - 62);
    write(pen, row.worst === Infinity ? "never" : row.worst < 0 ? "–" : msWords(row.worst), gutter() - 8, place * each + each / 2,
      row.worst === Infinity ? ink.bad : ink.fg, "right");
  });
  if (!tall && rows.length) {
    const name = (row) => (row.worst === Infinity ? "never" : msWords(row.worst));
    write(pen, "longest", 0, 8);
    write(pen, name(rows[0]), gutter() - 8, 8, ink.fg, "right");
    write(pen, "shortest", 0, height - 8);
    write(pen, name(rows[rows.length - 1]), gutter() - 8, height - 8, ink.fg, "right");
  }
  if (!rows.length) write(pen, "No fault concerned a partition.", gutter() + 6, ROW / 2);
}
// The longest gap of the row at this height, or the entry that the time lies in.
function partAt(x, y) {
  const row = shown.list[Math.floor(y / rowHeight())];
  if (!row || !row.entries.length) return null;
  const ms = msOf(x);
  const entry = row.entries.find((one) => one.begin !== null && ms >= one.begin && ms <= endOf(one)) ?? row.entries[0];
  const step = steps[entry.step];
  const near = events.map((event, index) => [event, index])
    .filter(([event]) => event[5] === row.topic && event[6] === row.partition).map(([, index]) => index);
  return {title: `${row.name}: ${entry.never ? "never served again" : "gap " + msWords(entry.gap)}` +
    (entry.last !== null ? `, last client ${msWords(entry.last)}` : "") + (step ? `, ${step.id}` : ""),
    events: near, from: entry.begin, to: endOf(entry)};
}

// Tracks of numbers a bin.
const binOf = (ms) => Math.floor((ms - series.from) / series.bin);
const perSecond = (values) => values.map((value) => (value === null ? null : (value * 1000) / series.bin));
function highest(values) {
  let most = 0;
  for (let bin = Math.max(0, binOf(view.from)); bin <= binOf(view.to) && bin < values.length; ++bin)
    most = Math.max(most, values[bin] ?? 0);
  return most;
}
function eachBin(values, draw) {
  for (let bin = Math.max(0, binOf(view.from)); bin <= binOf(view.to) && bin < values.length; ++bin) {
    const from = series.from + bin * series.bin;
    draw(values[bin], xOf(from), xOf(from + series.bin));
  }
}
function stepLine(pen, values, yOf, color, dash = []) {
  pen.save();
  pen.strokeStyle = color;
  pen.lineWidth = 1.4;
  pen.setLineDash(dash);
  pen.beginPath();
  let open = false;
  eachBin(values, (value, left, right) => {
    if (value === null) { open = false; return; }
    if (open) pen.lineTo(left, yOf(value)); else pen.moveTo(left, yOf(value));
    pen.lineTo(right, yOf(value));
    open = true;
  });
  pen.stroke();
  pen.restore();
}
function filled(pen, values, yOf, foot, color) {
  pen.fillStyle = color;
  eachBin(values, (value, left, right) => {
    if (value) pen.fillRect(left, yOf(value), Math.max(right - left, 1), foot - yOf(value));
  });
}
// A track: {name, lines: [{values, color, dash, fill, name}], words, log}.
function drawTrack(pen, track, top, height) {
  const foot = top + height - 3, head = top + 8;
  const most = Math.max(...track.lines.map((line) => highest(line.values)), 0);
  let yOf = (value) => foot - (most ? value / most : 0) * (foot - head);
  if (track.log) {
    let least = Infinity;
    for (const line of track.lines) eachBin(line.values, (value) => { if (value > 0) least = Math.min(least, value); });
    if (least === Infinity) least = 1;
    const low = Math.log10(least) - 0.05, high = Math.max(Math.log10(Math.max(most, least)), low + 0.5);
    yOf = (value) => foot - ((Math.log10(Math.max(value, least)) - low) / (high - low)) * (foot - head);
    write(pen, track.words(least), gutter() - 8, foot - 5, ink.muted, "right");
  }
  write(pen, track.name, 0, top + 10, ink.fg);
  write(pen, most ? track.words(most) : "0", gutter() - 8, top + 10, ink.muted, "right");
  if (track.lines.length > 1 && height > 40) drawKey(pen, track.lines, top + 25);
  clipped(pen, top + height, () => {
    for (const line of track.lines)
      if (line.fill) filled(pen, line.values, yOf, foot, line.color);
      else stepLine(pen, line.values, yOf, line.color, line.dash);
    pen.fillStyle = ink.line;
    pen.fillRect(gutter(), foot, plotWidth(), 1);
  });
}
function drawKey(pen, lines, y) {
  let x = 0;
  for (const line of lines) {
    pen.save();
    pen.strokeStyle = line.color;
    pen.lineWidth = 2;
    pen.setLineDash(line.dash ?? []);
    pen.beginPath();
    pen.moveTo(x, y);
    pen.lineTo(x + 10, y);
    pen.stroke();
    pen.restore();
    write(pen, line.name, x + 13, y);
    x += 18 + pen.measureText(line.name).width;
  }
}

// Latency of one client, or of the worst one in each bin.
let clientShown = "";
function latencyLines() {
  const chosen = series.latency.filter((one) => !clientShown || one.client === clientShown);
  const worst = (key) => {
    const bins = Math.max(0, ...chosen.map((one) => one[key].length));
    return Array.from({length: bins}, (_, bin) => {
      let most = null;
      for (const one of chosen) if ((one[key][bin] ?? null) !== null) most = Math.max(most ?? 0, one[key][bin]);
      return most;
    });
  };
  return [{name: "p50", values: worst("p50"), color: ink.one}, {name: "p99", values: worst("p99"), color: ink.three, dash: [5, 2]},
    {name: "max", values: worst("max"), color: ink.muted, dash: [1, 2]}];
}
let latencyNow = null;
function clientTracks() {
  latencyNow ??= latencyLines();
  const lag = series.lag.map((one, index) => ({name: one.group || "group", values: one.records,
    color: [ink.one, ink.three, ink.four, ink.two][index % 4], dash: index % 2 ? [4, 2] : []}));
  return [
    {name: "Acks/s", words: counted, lines: [{values: perSecond(series.acks), color: ink.one, fill: true}], height: 52},
    {name: "Errors/s", words: counted, lines: [{values: perSecond(series.errors), color: ink.bad, fill: true}], height: 36},
    {name: "Latency", words: msWords, log: true, lines: latencyNow, height: 84},
    {name: "Lag", words: counted, lines: lag, height: 46},
    {name: "Staleness", words: msWords, lines: [{values: series.staleness, color: ink.two}], height: 36},
  ].filter((track) => track.lines.some((line) => line.values.length));
}
function storeTracks() {
  const requests = [["PUT", series.put, ink.one, []], ["GET", series.get, ink.three, [5, 2]], ["LIST", series.list, ink.four, [1, 2]]]
    .map(([name, values, color, dash]) => ({name, values: perSecond(values), color, dash}));
  return [{name: "Requests/s", words: counted, lines: requests, height: 60},
    {name: "Bytes/s", words: bytesWords, lines: [{values: perSecond(series.bytes), color: ink.two, fill: true}], height: 44}]
    .filter((track) => track.lines.some((line) => line.values.length));
}
function drawTracks(id, tracks, more) {
  const height = tracks.reduce((sum, track) => sum + track.height + 6, 0) || ROW;
  const pen = prepare(byId(id), height);
  backdrop(pen, height);
  let top = 0;
  for (const track of tracks) {
    drawTrack(pen, track, top, track.height);
    more?.(pen, track, top);
    top += track.height + 6;
  }
  if (!tracks.length) write(pen, "Not observable on this target.", gutter() + 6, ROW / 2);
}
function drawRebalances(pen, track, top) {
  if (track.name !== "Lag") return;
  clipped(pen, top + track.height, () => eachBin(series.rebalances, (count, left, right) => {
    if (!count) return;
    const x = (left + right) / 2;
    pen.fillStyle = ink.fault;
    pen.beginPath();
    for (const [dx, dy] of [[0, 0], [4, 7], [-4, 7]]) pen.lineTo(x + dx, top + dy);
    pen.fill();
  }));
}
