"""Count what passed, failed or was skipped in a JUnit report; fail if a test was skipped.

The slowest tests are named, too: they are where a quicker suite begins. So are those that had a
second try, each of which stands twice in the report.
"""

import sys
import xml.etree.ElementTree as ET
from collections import Counter

tries = list(ET.parse(sys.argv[1]).getroot().iter("testcase"))  # noqa: S314 - our own file
names = [f"{case.get('classname')}.{case.get('name')}" for case in tries]
cases = list(dict(zip(names, tries, strict=True)).values())
slowest = sorted(cases, key=lambda case: float(case.get("time", 0)), reverse=True)[:20]
skipped = [
    f"{case.get('classname')}.{case.get('name')}"
    for case in cases
    if case.find("skipped") is not None
]
failed = [
    case for case in cases if any(case.find(kind) is not None for kind in ("failure", "error"))
]
for case in slowest:
    print(f"{float(case.get('time', 0)):7.1f} s  {case.get('classname')}.{case.get('name')}")
for name in sorted(name for name, counted in Counter(names).items() if counted > 1):
    print(f"tried twice: {name}")
for name in skipped:
    print(f"skipped: {name}")
passed = len(cases) - len(skipped) - len(failed)
print(f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped")
sys.exit(1 if skipped or failed or not passed else 0)
