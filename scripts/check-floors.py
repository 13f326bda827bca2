#!/usr/bin/env python3
"""Checks that no file in src/ includes a header of a floor above its own, or of a sibling floor.

usage: check-floors.py [ROOT]   (ROOT contains src/; default: this repository)
"""

import pathlib
import re
import sys

# From the bottom up; floors on one line are siblings and do not see each other.
FLOORS = [
    ["base"],
    ["tensor"],
    ["quant"],
    ["backend"],
    ["ops", "text", "formats", "plot"],
    ["hub", "model"],
    ["engine"],
    ["tasks", "reasoning"],
    ["train", "eval", "serve"],
    ["cli"],
]
LEVEL = {floor: level for level, floors in enumerate(FLOORS) for floor in floors}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')


def findings(root):
    src = root / "src"
    for path in sorted(p for p in src.rglob("*") if p.suffix in {".h", ".cc"}):
        floor = path.relative_to(src).parts[0]
        if floor not in LEVEL:
            yield f"{path.relative_to(root)}: src/{floor} is not a known floor"
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            included = match.group(1)
            target = included.split("/")[0]
            place = f"{path.relative_to(root)}:{number}"
            if "/" not in included or target not in LEVEL:
                yield f'{place}: "{included}" is not a path from src/'
            elif target != floor and LEVEL[target] == LEVEL[floor]:
                yield f'{place}: "{included}" belongs to the sibling floor {target}'
            elif LEVEL[target] > LEVEL[floor]:
                yield f'{place}: "{included}" belongs to {target}, a floor above {floor}'


def main():
    default = pathlib.Path(__file__).resolve().parent.parent
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    if not (root / "src").is_dir():
        sys.exit(f"error: {root} has no src/")
    found = list(findings(root))
    for finding in found:
        print(finding)
    print(f"floors: {len(found)} findings" if found else "floors: every include looks downwards")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
