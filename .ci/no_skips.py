"""Fail if a test of a JUnit report was skipped."""

import sys
import xml.etree.ElementTree as ET

cases = ET.parse(sys.argv[1]).getroot().iter("testcase")  # noqa: S314 - our own file
skipped = [
    f"{case.get('classname')}.{case.get('name')}"
    for case in cases
    if case.find("skipped") is not None
]
for name in skipped:
    print(f"skipped: {name}")
sys.exit(1 if skipped else 0)
