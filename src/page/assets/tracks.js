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
// What is told once a second holds until it is told again.
const HELD_MS = 1500;
function held(values) {
  let last = null, age = Infinity;
  return values.map((value) => {
    if (value !== null) { last = value; age = 0; } else { age += series.bin; }
    return age <= HELD_MS ? last : null;
  });
}
const shownSeries = {lag: series.lag.map((one) => ({name: one.group || "group", values: held(one.records)})),
  staleness: held(series.staleness)};
const hasValues = (track) => track.lines.some((line) => line.values.some((value) => value !== null));
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

// Errors that clients told, by name, the most frequent first.
function errorsWithin(from, to) {
  const counts = new Map();
  for (const event of events)
    if (event[7] && event[0] >= from && event[0] < to) counts.set(event[7], (counts.get(event[7]) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
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
  const lag = shownSeries.lag.map((one, index) => ({...one, color: [ink.one, ink.three, ink.four, ink.two][index % 4],
    dash: index % 2 ? [4, 2] : []}));
  return [
    {name: "Acks/s", words: counted, lines: [{values: perSecond(series.acks), color: ink.one, fill: true}], height: 52},
    {name: "Errors/s", words: counted, lines: [{values: perSecond(series.errors), color: ink.bad, fill: true}], height: 36},
    {name: "Latency", words: msWords, log: true, lines: latencyNow, height: 84},
    {name: "Lag", words: counted, lines: lag, height: 46},
    {name: "Staleness", words: msWords, lines: [{values: shownSeries.staleness, color: ink.two}], height: 36},
  ].filter(hasValues);
}
function storeTracks() {
  const requests = [["PUT", series.put, ink.one, []], ["GET", series.get, ink.three, [5, 2]], ["LIST", series.list, ink.four, [1, 2]]]
    .map(([name, values, color, dash]) => ({name, values: perSecond(values), color, dash}));
  return [{name: "Requests/s", words: counted, lines: requests, height: 60},
    {name: "Bytes/s", words: bytesWords, lines: [{values: perSecond(series.bytes), color: ink.two, fill: true}], height: 44}]
    .filter(hasValues);
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
// What numbers a bin do not say: which errors, and when a group was dealt out anew.
function drawClientMarks(pen, track, top) {
  if (track.name === "Errors/s") {
    const names = errorsWithin(view.from, view.to).slice(0, 4).map(([name, count]) => `${name} ${counted(count)}`).join(" · ");
    if (names) plated(pen, names, Math.max(gutter() + 4, width - MARGIN - 4 - pen.measureText(names).width), top + 8, ink.muted);
  }
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
