#!/usr/bin/env python3
"""embed.py OUT NAME=FILE[,FILE...]...: files as constants of assets.h; several files of one name follow each other."""
import base64
import hashlib
import sys

DELIMITER = "PACELINE_ASSET"
# A compiler need not take a longer literal; adjacent ones would count as one.
BYTES_MAX = 65000


def constant(name, paths):
    text = ""
    for path in paths:
        with open(path, encoding="utf-8") as file:
            text += file.read()
    if f'){DELIMITER}"' in text or "</script" in text or "</style" in text:
        sys.exit(f"{', '.join(paths)}: may not be embedded")
    data = text.encode()
    if len(data) > BYTES_MAX:
        sys.exit(f"{', '.join(paths)}: {len(data)} bytes, at most {BYTES_MAX}")
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return f'const Asset {name} = {{R"{DELIMITER}({text}){DELIMITER}",\n    "sha256-{digest}"}};\n'


def main():
    out, *assets = sys.argv[1:]
    made = '#include "page/assets.h"\n\nnamespace paceline::page {\n\n'
    for asset in assets:
        name, paths = asset.split("=", 1)
        made += constant(name, paths.split(",")) + "\n"
    made += "}  // namespace paceline::page\n"
    with open(out, "w", encoding="utf-8") as file:
        file.write(made)


if __name__ == "__main__":
    main()
