"""Print what a corpus is made of: modules, lines and characters of every package.

A script of its own, as a team would already have one: the pipeline runs it as a `command` step.
"""

import argparse
import json
from collections import Counter
from pathlib import Path


def main() -> None:
    """Read JSON Lines with the fields `module` and `text`; print tab-separated values."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("documents", type=Path)
    documents = parser.parse_args().documents
    modules: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    characters: Counter[str] = Counter()
    with documents.open(encoding="utf-8") as file:
        for record in map(json.loads, file):
            package = record["module"].rpartition("/")[0] or "(top level)"
            modules[package] += 1
            lines[package] += record["text"].count("\n")
            characters[package] += len(record["text"])
    print("package", "modules", "lines", "characters", sep="\t")
    for package in sorted(modules, key=lambda name: (-characters[name], name)):
        print(package, modules[package], lines[package], characters[package], sep="\t")


if __name__ == "__main__":
    main()
