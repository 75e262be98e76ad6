#!/usr/bin/python3
"""page.py [--report FILE] [--quick] [--shots FOLDER]: looks at the report page as its readers do, with a headless Chromium.

Figures are read back out of the page and compared with the report that it was made of: those of docs/drill-example, and of made-up
drills of 24 and 100 partitions and, unless --quick, of 10,000; or FILE. Each has to fit the schema. RENDER_PAGE names the program that makes a page (build/release/render-page).
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
for sibling in ("clients", "torture"):
    sys.path.insert(0, os.path.join(ROOT, "tests", sibling))

from browser import browser  # noqa: E402
from evidence import check_report_schema  # noqa: E402
from made_report import made_report  # noqa: E402

EXAMPLE = os.path.join(ROOT, "docs", "drill-example")
RENDER = os.environ.get("RENDER_PAGE", os.path.join(ROOT, "build/release/render-page"))
WIDTHS = (1280, 390)
MARKS = [f"t{index}" for index in range(14)]
failures = []


def expect(good, what):
    if not good:
        failures.append(what)
        print(f"FAILED {what}")


def render(*reports):
    began = time.monotonic()
    made = subprocess.run([RENDER, *reports], capture_output=True, check=True)
    return made.stdout, time.monotonic() - began


# "12.346 s", "912.2 ms", "8.0 MiB", "182,400 records", "– "…: the number in ms, bytes or as it is; None where there is none.
def parse(words):
    found = re.match(r"[≤±+ ]*([-−]?[\d,]*\.?\d+(?:e[+-]?\d+)?)\s*(\S*)", words.strip())
    if not found:
        return None
    scale = {"s": 1000.0, "KiB": 1024.0, "MiB": 1024.0**2, "GiB": 1024.0**3, "TiB": 1024.0**4}.get(found.group(2), 1.0)
    return float(found.group(1).replace(",", "").replace("−", "-")) * scale


# Within what the written digits can say.
def same(words, value, unit=""):
    if isinstance(value, bool):
        return words.strip() == ("yes" if value else "no")
    if isinstance(value, str):
        return words.strip().startswith(" ".join(value.split()))
    if value is None:
        return words.strip().startswith("–")
    number = parse(words)
    if unit == "s":
        value *= 1000
    slack = max(abs(value) * 0.006 if "iB" in words else 0, 0.51 if " s" in words else 0.051 if unit == "ms" else 0.00051)
    return number is not None and abs(number - value) <= slack + abs(value) * 1e-6


READ = """
const words = (one) => (one ? one.innerText.replace(/\\s+/g, ' ').trim() : null);
const cells = (selector) => [...document.querySelectorAll(selector)].map((row) => [...row.cells].map(words));
const lines = [...document.querySelectorAll('pre.lines')].flatMap((one) => one.textContent.trim().split('\\n').slice(1));
for (const one of document.querySelectorAll('details')) one.open = true;
return {
  title: document.title, sentence: words(document.querySelector('.sentence')), verdict: words(document.querySelector('h1 .state')),
  figures: [...document.querySelectorAll('.figures > div')].map((one) => [...one.children].map(words)),
  facts: words(document.querySelector('header .facts')), marks: words(document.querySelector('.marks')),
  next: words(document.querySelector('.next')),
  scorecard: [...document.querySelectorAll('#scorecard article')].map((row) => ({state: words(row.querySelector('h3 .state')), question: words(row.querySelector('h3')),
    rows: [...row.querySelectorAll('tbody tr')].map((one) => [...one.cells].map((cell) => cell.textContent.trim()))})),
  steps: cells('#steps tbody tr'), negative: cells('#negative tbody tr'), readiness: cells('#readiness tbody tr'), anomalies: cells('#anomalies tbody tr'),
  counts: [...document.querySelectorAll('.counts span')].map(words), partitions: cells('#partitions tbody tr'), lines,
  files: cells('#evidence tbody tr'), events: document.querySelectorAll('#events tbody tr').length,
  dimensions: [...document.querySelectorAll('.dimensions h3 .state')].map(words),
};
"""


def check_head(read, report):
    expect(read["verdict"] == report["verdict"].capitalize(), "the verdict")
    expect(read["sentence"] and " ".join(report["sentence"].split()).endswith(read["sentence"]), "the sentence")
    figures = {row[0]: row[1:] for row in read["figures"]}
    gap = report["gap"]
    if gap["samples"]:
        expect(same(figures["Client gap max"][0], gap["max_ms"], "ms"), f"the longest gap: {figures}")
        expect(f"N = {gap['samples']:,}" in figures["Client gap max"][1], "N of the gap")
        expect(("Client gap p99" in figures) == (gap["p99_ms"] is not None), "p99 only with enough samples")
    if gap["p99_ms"] is not None:
        expect(same(figures["Client gap p99"][0], gap["p99_ms"], "ms"), f"p99 of the gap: {figures}")
    for name, key in (("Acknowledged", "acked"), ("Lost", "lost"), ("Duplicated", "duplicated")):
        expect(same(figures[name][0], report["counts"][key]), f"{name}: {figures[name]}")
    run, rollback = report["run"], report["run"]["rollback"] or {}
    for value in (run["target"]["name"], run["target"]["config_hash"], run["tool"]["build"], str(run["seed"]), rollback.get("point"), rollback.get("owner")):
        expect(value is None or value in read["facts"], f"the head says {value}")
    expect(("external evidence only" in (read["marks"] or "").lower()) == bool(report["external_only"]), "external evidence only")
    if report["next_step"]:
        expect(report["next_step"]["text"] in read["next"], "the next step")


def check_scorecard(read, report):
    expect(len(read["scorecard"]) == len(report["scorecard"]), "rows of the scorecard")
    for seen, row in zip(read["scorecard"], report["scorecard"]):
        expect(seen["state"] == row["state"].capitalize() and row["question"] in seen["question"], f"the row {row['id']}")
        expect(len(seen["rows"]) == len(row["figures"]), f"figures of {row['id']}")
        for cells, figure in zip(seen["rows"], row["figures"]):
            what = f"{row['id']}.{figure['name']}: {cells} for {figure['value']} {figure['unit']}"
            expect(same(cells[1], figure["value"], figure["unit"] or ""), what)
            expect(figure["green"] is None or str(figure["green"]).replace("<=", "≤").replace(">=", "≥") in cells[2], "limit of " + what)
            expect(cells[3] == figure["state"].capitalize(), "state of " + what)


def check_tables(read, report):
    for seen, row in zip(read["steps"], report["steps"]):
        expect(seen[0] == row["id"] and seen[2] == row["state"].capitalize() and same(seen[3], row["effective_ms"], "ms"), f"the step {seen}")
    expect(len(read["steps"]) == len(report["steps"]), "steps")
    for name, key, state in (("negative", "id", 2), ("readiness", "item", 1)):
        rows = report["negative_tests" if name == "negative" else name]
        expect(len(read[name]) == len(rows), name)
        for seen, row in zip(read[name], rows):
            expect(seen[0] == row[key].replace("_", " ") and seen[state] == row["state"].capitalize(), f"{name}: {seen}")
    for seen, row in zip(read["readiness"], report["readiness"]):
        expect(row["expires"] is None or row["expires"] in seen[5], f"the expiry of {seen}")
    expect(len(read["anomalies"]) == len(report["anomalies"]), "anomalies")
    counts = {words.split(" ", 1)[1]: words.split(" ", 1)[0] for words in read["counts"]}
    for name, value in report["counts"].items():
        if isinstance(value, (int, float)):
            expect(same(counts[name.replace("_", " ")], value), f"the count {name}")
    for seen, row in zip(read["files"], report["evidence"]["files"]):
        expect(seen[0] == row["name"] and seen[2] == row["sha256"] and same(seen[1], row["bytes"]), f"the file {seen}")
    expect(read["events"] == len(report["events"]), "events")
    expect(read["dimensions"] == [one["state"].capitalize() for one in report["dimensions"]], "dimensions")


def check_partitions(read, report):
    zero = {step["id"]: step["effective_ms"] or 0 for step in report["steps"]}
    rows = [row for row in read["partitions"] if row]
    # Lines of text have the same columns, parted by blanks; a leader's move takes three words.
    for line in read["lines"]:
        words = line.replace("≤ ", "≤").split()
        rows.append([words[0], words[1], " ".join(words[2:5]), *words[5:]])
    seen = {(row[1], row[0]): row for row in rows}
    expect(len(seen) == len(report["partitions"]), f"{len(seen)} of {len(report['partitions'])} partitions")
    for entry in report["partitions"]:
        row = seen.get((entry["step"], f"{entry['topic']}-{entry['partition']}"))
        if row is None:
            expect(False, f"no row for {entry['topic']}-{entry['partition']}")
            return
        good = same(row[3], entry["gap_ms"], "ms") and same(row[4], entry["gap_last_ms"], "ms")
        for index, key in enumerate(MARKS):
            mark, words = entry["milestones"][key], row[5 + index]
            if mark["state"] in ("observed", "upper_bound"):
                good = good and same(words, mark["ms"] - (zero[entry["step"]] if index else 0), "ms") and ("≤" in words) == (mark["state"] == "upper_bound")
            else:
                good = good and words == {"never": "never", "not_observable": "n/o"}.get(mark["state"], "·")
        expect(good, f"the row {row} for {entry['gap_ms']}")
        if not good:
            return


def check_layout(page, path, shots, name):
    for width in WIDTHS:
        for dark in (False, True):
            what = f"{name} at {width}{' dark' if dark else ''}"
            page.open(path, width, dark)
            expect(page.ask("return document.documentElement.scrollWidth") <= width, f"{what}: wider than the window")
            expect(page.complaints() == [], f"{what}: the console is silent")
            asked = page.requests()
            expect([url for url in asked if not url.startswith("file://")] == [] and len(asked) == 1, f"{what}: asks for nothing: {asked}")
            light = page.ask("return getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).reduce((a, b) => a + +b, 0)")
            expect((light < 200) == dark, f"{what}: colours")
            if shots:
                page.screenshot(os.path.join(shots, f"{name}-{width}{'-dark' if dark else ''}.png"))


VIEW = "const d = document.getElementById('plot').dataset; return [+d.from, +d.to];"


def check_keys(page, path):
    page.open(path, WIDTHS[0])
    page.ask("document.getElementById('plot').focus()")
    expect(page.ask("return getComputedStyle(document.activeElement).outlineStyle") != "none", "the focus is seen")
    before = page.ask(VIEW)
    span = lambda view: view[1] - view[0]
    page.key("+")
    closer = page.ask(VIEW)
    expect(abs(span(closer) - span(before) / 2) < span(before) * 0.01, f"+ zooms in: {before} {closer}")
    page.key("ArrowRight")
    moved = page.ask(VIEW)
    expect(moved[0] > closer[0] and abs(span(moved) - span(closer)) < 1e-6 * span(closer), "the arrow moves")
    page.key("-")
    expect(span(page.ask(VIEW)) > span(moved), "- zooms out")
    page.key("0")
    whole = page.ask(VIEW)
    expect(span(whole) >= span(before), "0 is the whole run")
    page.key("ArrowRight", shift=True)
    expect(page.ask("return !document.getElementById('cursor').hidden && document.getElementById('spoken').textContent.length > 10"), "the cursor speaks")
    page.key("Enter")
    expect(page.ask("return !document.getElementById('drawer').hidden"), "Enter opens the events")
    page.key("Escape")
    expect(page.ask("return document.getElementById('drawer').hidden && document.activeElement.id === 'plot'"), "Escape goes back")
    check_mouse(page)


def check_mouse(page):
    page.ask("document.querySelector('#presets button').click()")
    page.frames()
    page.ask("document.getElementById('band-clients').scrollIntoView({block: 'center'})")
    box = page.ask("const b = document.getElementById('band-clients').getBoundingClientRect(); return [b.left, b.top, b.width, b.height]")
    y = box[1] + 20
    page.mouse("mouseMoved", box[0] + box[2] * 0.5, y)
    expect("Acks" in page.ask("return document.getElementById('read-words').textContent"), "hovering reads the bands")
    before = page.ask(VIEW)
    page.mouse("mousePressed", box[0] + box[2] * 0.5, y, button="left", clickCount=1)
    page.mouse("mouseMoved", box[0] + box[2] * 0.7, y, button="left", buttons=1)
    page.mouse("mouseReleased", box[0] + box[2] * 0.7, y, button="left", clickCount=1)
    page.frames()
    after = page.ask(VIEW)
    expect(before[0] < after[0] and after[1] < before[1], f"a drag zooms: {before} {after}")
    page.mouse("mouseWheel", box[0] + box[2] * 0.6, y, deltaX=0, deltaY=-200)
    time.sleep(0.2)
    page.frames()
    expect(page.ask(VIEW) != after, "the wheel zooms where the bands have the focus")
    page.ask("document.getElementById('band-events').scrollIntoView({block: 'center'}); wholeRun()")
    page.frames()
    spot = page.ask("const s = spots.events[0]; if (!s) return null; const b = document.getElementById('band-events').getBoundingClientRect();"
                    "return [b.left + (s.left + s.right) / 2, b.top + (s.top + s.bottom) / 2]")
    if spot:
        for kind in ("mousePressed", "mouseReleased"):
            page.mouse(kind, *spot, button="left", clickCount=1)
        expect(page.ask("return !document.getElementById('drawer').hidden && document.querySelectorAll('#drawer-rows a').length > 0"), "an event opens")


def follow(page, what, selector, first):
    """A click leads to the event, or to the file, that the number is made of."""
    clicked = page.ask("const a = document.querySelector(arguments[0]); if (a) a.click(); return !!a", selector)
    expect(clicked, f"{what} leads nowhere")
    if clicked:
        page.frames()
        landed = page.ask("const row = document.querySelector('tr:target'); return row && (row.cells[8] || row.cells[0]).textContent.trim()")
        expect(landed == first, f"{what} leads to {first}, not {landed}")


def check_figure(page, row, place, figure, ids):
    """Each figure that has a value has its N, and leads to what it is made of. Reports of before files were named know of events alone."""
    what, shown = f"{row}.{figure['name']}", [event for event in figure["events"] if event in ids]
    old = "evidence" not in figure
    if figure["value"] is None or old and not shown:
        return
    if not old:
        head = page.ask("return document.querySelectorAll(`#s-${arguments[0]} tbody tr`)[arguments[1]].cells[0].textContent", row, place)
        expect(figure["samples"] is not None and f"N = {figure['samples']:,}" in head, f"{what} has no N: {head}")
        expect(shown or figure["evidence"], f"{what} does not say what it is made of")
    first = (shown + figure.get("evidence", [None]))[0]
    follow(page, what, f"#s-{row} tbody tr:nth-child({place + 1}) td a", first)


def check_links(page, path, report):
    page.open(path, WIDTHS[0])
    broken = page.ask("return [...document.querySelectorAll('a[href^=\"#\"]')].map((a) => a.getAttribute('href').slice(1)).filter((id) => !document.getElementById(id))")
    expect(broken == [], f"links that lead nowhere: {broken[:5]}")
    ids = [event["event"] for event in report["events"]]
    for row in report["scorecard"]:
        for place, figure in enumerate(row["figures"]):
            check_figure(page, row["id"], place, figure, ids)
    for name, events in report["recovery"].get("events", {}).items():
        follow(page, f"the recovery's {name}", f"#recovery [data-figure={name}] a", next(event for event in events if event in ids))
    sizes = page.ask("return [...document.querySelectorAll('#plot canvas')].every((one) => one.hasAttribute('aria-label') || one.getAttribute('aria-hidden') === 'true')")
    expect(sizes, "every band has a name")


def check_without_scripts(page, path, report):
    page.open(path, WIDTHS[0], scripts=False)
    # Asking needs scripts of the driver's own; the page's have not run.
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    expect(page.ask("return document.getElementById('timeline').hidden && !document.documentElement.classList.contains('scripts')"), "no script ran")
    read = page.ask(READ)
    check_head(read, report)
    check_scorecard(read, report)
    check_tables(read, report)
    check_partitions(read, report)


def check_print(page, path, folded):
    page.open(path, WIDTHS[0], dark=True)
    pdf = page.pdf()
    sheets = len(re.findall(rb"/Type\s*/Page\b", pdf))
    expect(pdf.startswith(b"%PDF") and sheets >= 2, f"prints: {sheets} sheets")
    expect(folded or sheets < 120, f"prints on few sheets: {sheets}")
    expect(page.ask("return !document.documentElement.classList.contains('printing')"), "after printing all is as before")
    return sheets


def check_comparison(page, path, reports, shots):
    for width in WIDTHS:
        page.open(path, width)
        expect(page.ask("return document.documentElement.scrollWidth") <= width, f"comparison at {width}: wider than the window")
        expect(page.complaints() == [] and len(page.requests()) == 1, f"comparison at {width}: silent")
        if shots:
            page.screenshot(os.path.join(shots, f"comparison-{width}.png"))
    read = page.ask("return [...document.querySelectorAll('#figures tr')].map((row) => [...row.cells].map((cell) => cell.innerText))")
    longest = next(row for row in read if row[0] == "Client gap max")
    for place, report in enumerate(reports):
        expect(same(longest[1 + place], report["gap"]["max_ms"], "ms"), f"the gaps side by side: {longest}")


def look_at(page, name, report, folder, shots):
    source, path = os.path.join(folder, f"{name}.json"), os.path.join(folder, f"{name}.html")
    with open(source, "w", encoding="utf-8") as file:
        json.dump(report, file)
    made, seconds = render(source)
    expect(made == render(source)[0], f"{name}: the same bytes twice")
    with open(path, "wb") as file:
        file.write(made)
    check_layout(page, path, shots, name)
    page.open(path, WIDTHS[0])
    loaded = page.ask("return performance.getEntriesByType('navigation')[0].loadEventEnd")
    drawn = page.ask("const began = performance.now(); drawAll(); return performance.now() - began")
    expect(loaded < 10_000 and drawn < 200, f"{name}: quick enough: {loaded:.0f} ms, {drawn:.1f} ms")
    check_without_scripts(page, path, report)
    check_keys(page, path)
    check_links(page, path, report)
    sheets = check_print(page, path, len(report["partitions"]) > 1000)
    print(f"{name}: {len(report['partitions'])} rows, {len(made):,} bytes, made in {seconds:.2f} s, loaded in {loaded:.0f} ms, drawn in {drawn:.1f} ms, {sheets} sheets")
    return source


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", help="a report.json to look at instead of made-up ones")
    parser.add_argument("--quick", action="store_true", help="without the 10,000 partitions")
    parser.add_argument("--shots", help="a folder for screenshots")
    options = parser.parse_args()
    if options.shots:
        os.makedirs(options.shots, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, browser() as page:
        if options.report:
            with open(options.report, encoding="utf-8") as file:
                reports = {"report": json.load(file)}
        else:
            reports = {"small": made_report(24), "hundred": made_report(100, seed=2)}
            for name in ("paceline", "kafka"):
                with open(os.path.join(EXAMPLE, name, "report.json"), encoding="utf-8") as file:
                    reports[f"example-{name}"] = json.load(file)
            if not options.quick:
                reports["large"] = made_report(10_000)
        for report in reports.values():
            check_report_schema(report)
        sources = [look_at(page, name, report, folder, options.shots) for name, report in reports.items()]
        left, right = sources[0], sources[min(1, len(sources) - 1)]
        both = os.path.join(folder, "comparison.html")
        with open(both, "wb") as file:
            file.write(render(left, right)[0])
        values = list(reports.values())
        check_comparison(page, both, [values[0], values[min(1, len(values) - 1)]], options.shots)
    print(f"page: {'FAILED, ' + str(len(failures)) + ' problems' if failures else 'good'}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
