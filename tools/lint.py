#!/usr/bin/env python3
"""Checks that the house stands as layers.txt says, and prints its picture.

  - a module includes only what its row allows, and of other modules only their faces
  - nothing above env asks the clock, the disk, the network, threads or random directly
  - headers start with #pragma once, sources include their own header first
  - file and function lengths stay under the bounds of docs in CONTRIBUTING.md
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SRC = os.path.join(ROOT, "src")
FILE_LINES_MAX = 800

# What only env may touch. The program's own entry (app) reads its arguments and environment.
WORLD = re.compile(
    r"\b(?:std::chrono::(system|steady|high_resolution)_clock|std::this_thread|std::thread|std::jthread|"
    r"std::mutex|std::condition_variable|std::random_device|std::mt19937|std::fstream|std::ifstream|"
    r"std::ofstream|std::filesystem|gettimeofday|clock_gettime|getrandom|asio::)|"
    r"(?<![\w>])::(open|socket|recv|send|time|read|write)\(")
WORLD_FREE = {"env"}
MUTEX_FREE = {"env", "base"}
# Places that are the outermost shell of a program or a test, with the reason.
WORLD_ALLOWED = {
    ("app", "paceline_main.cc"): "reads its own configuration files before there is a world",
    ("app", "serve.cc"): "asks how many cores there are",
    ("app", "guardian.cc"): "a process beside the broker's, which has no world",
    ("app", "dev_process.cc"): "starts processes and finds programs; env has only what a broker needs",
    ("meta", "etcd_transport.cc"): "has a thread that waits for gRPC, which has sockets and threads of its own",
    ("probe", "child.cc"): "speaks with processes that it starts; env has only what a broker needs",
    ("app", "dev_command.cc"): "names its folder before there is a world",
    ("drill", "program.cc"): "runs commands of others, also in a process that has no world",
    ("drill", "watchdog.cc"): "a process beside the drill's, which has no world",
    ("drill", "watchdog_client.cc"): "starts it, and talks with it over a socket pair",
}


def read_layers():
    modules = {}
    known = []
    rows = []
    with open(os.path.join(ROOT, "layers.txt"), encoding="utf-8") as file:
        for line in file:
            if not line.strip() or line.startswith("#"):
                continue
            cells = line.split()
            rows.append(cells)
            known.append(cells[1])
    for cells in rows:
        floor, name = int(cells[0]), cells[1]
        faces, uses = [], []
        for cell in cells[2:]:
            if cell in known:
                uses.append(cell)
            elif cell == "*" and faces:
                uses = [m for m in known if m != name]
            elif cell not in ("-",) or not faces:
                faces.append(cell)
        modules[name] = {"floor": floor, "faces": faces, "uses": set(uses) | {"base", name}}
    return modules


def strip(text):
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return re.sub(r"//[^\n]*", "", text)


def main():
    modules = read_layers()
    problems = []
    crossings = {}
    biggest = (0, "")
    files = 0
    for module in sorted(os.listdir(SRC)):
        folder = os.path.join(SRC, module)
        if not os.path.isdir(folder):
            continue
        if module not in modules:
            problems.append(f"src/{module}: not in layers.txt")
            continue
        row = modules[module]
        for name in sorted(os.listdir(folder)):
            if not name.endswith((".h", ".cc")):
                continue
            files += 1
            path = f"src/{module}/{name}"
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                text = file.read()
            lines = text.count("\n")
            if lines > biggest[0]:
                biggest = (lines, path)
            if lines > FILE_LINES_MAX:
                problems.append(f"{path}: {lines} lines, split it by phase (at most {FILE_LINES_MAX})")
            if name.endswith(".h") and not text.startswith("#pragma once"):
                problems.append(f"{path}: does not start with #pragma once")
            includes = re.findall(r'^#include "([^"]+)"', text, flags=re.M)
            if name.endswith(".cc"):
                own = f"{module}/{name[:-3]}.h"
                if os.path.exists(os.path.join(SRC, own)) and includes and includes[0] != own:
                    problems.append(f"{path}: includes {includes[0]} before its own header")
            is_test = re.search(r"(_(test|fuzz|bench|main)\.(cc|h)|^test_.*\.(cc|h))$", name) is not None
            for include in includes:
                other = include.split("/")[0]
                if other not in modules:
                    problems.append(f"{path}: includes {include}, which is of no module")
                    continue
                if other == module:
                    continue
                if other not in row["uses"]:
                    problems.append(f"{path}: {module} may not include {other} ({include})")
                    continue
                faces = modules[other]["faces"]
                if "*" not in faces and include.split("/", 1)[1] not in faces and not is_test:
                    problems.append(f"{path}: {include} is not a face of {other} ({', '.join(faces)})")
                if modules[other]["floor"] > row["floor"]:
                    problems.append(f"{path}: includes upwards ({include})")
                crossings[(module, other)] = crossings.get((module, other), 0) + 1
            code = strip(text)
            if module not in WORLD_FREE and (module, name) not in WORLD_ALLOWED and not is_test:
                for match in WORLD.finditer(code):
                    word = match.group(0)
                    if module in MUTEX_FREE and word in ("std::mutex",):
                        continue
                    number = code[: match.start()].count("\n") + 1
                    problems.append(f"{path}: near line {number}: {word} touches the world; ask env")
    print("floor  module      may include -> includes (count)")
    for name, row in sorted(modules.items(), key=lambda item: (-item[1]["floor"], item[0])):
        used = ", ".join(f"{b} {n}" for (a, b), n in sorted(crossings.items()) if a == name and b != "base")
        print(f"{row['floor']:>5}  {name:<10}  {used or '-'}")
    waist = [f"{a} -> {b}" for (a, b) in crossings
             if a in ("partition", "group", "cluster", "broker") and b in ("stream", "wal", "object", "meta")]
    print(f"waist: {', '.join(sorted(waist)) or 'not crossed'}")
    print(f"files {files}, biggest {biggest[1]} ({biggest[0]} lines), circles 0 (floors only go down)")
    for problem in problems:
        print("error:", problem)
    if problems:
        print(f"{len(problems)} problems")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
