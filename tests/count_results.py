#!/usr/bin/python3
"""Adds up the results that scripts/test left in a directory; the last line is `N passed, N failed, N skipped`.

A ctest test is a program of many cases. Its cases count one by one where the program says how many it had: doctest's
summary, or a last line that begins with `N passed, N failed, N skipped`. A doctest case that
lacked something says `skipped: WHY`. With KUVA_SKIPS_FAIL=1 a skip counts as failed, unless a line of allowed-skips.txt is for it.
"""

import os
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

DOCTEST = re.compile(r"^\[doctest\] test cases: +(\d+) +\| +(\d+) passed +\| +(\d+) failed", re.MULTILINE)
COUNTS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped\b", re.MULTILINE)
SKIPPED = re.compile(r"^(?:.*MESSAGE: )?\s*(skipped: .*)$", re.IGNORECASE | re.MULTILINE)


def count_cases(output, status):
    """(passed, failed, skipped, reasons) of one ctest test; status is ctest's own verdict on it."""
    reasons = [match.strip() for match in SKIPPED.findall(output)]
    if doctest := DOCTEST.findall(output):
        passed, failed = int(doctest[-1][1]), int(doctest[-1][2])
        skipped = min(passed, len(reasons))
        passed -= skipped
    elif counts := COUNTS.findall(output):
        passed, failed, skipped = map(int, counts[-1])
    elif status == "skipped":
        return 0, 0, 1, reasons or ["skipped: " + (output.strip().splitlines() or ["no reason given"])[-1]]
    else:
        passed, failed, skipped = (1, 0, 0) if status == "passed" else (0, 1, 0)
    if status == "failed" and failed == 0:
        failed = 1  # it died, or ran out of time, before or after its count
    return passed, failed, skipped, reasons


def status_of(case):
    if case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
        return "failed"
    skip = case.find("skipped")
    if skip is not None and skip.get("message", "").startswith("SKIP_"):
        return "skipped"  # it said so; a test that ctest could not start is no skip
    return "passed" if case.get("status") == "run" else "failed"


def allowed_skips():
    """Expressions of the skips that CI bears."""
    lines = pathlib.Path(__file__).with_name("allowed-skips.txt").read_text(encoding="utf-8").splitlines()
    return [re.compile(line.split("  # ")[0]) for line in lines if line and not line.startswith("#")]


def forbidden(reasons, skipped):
    """How many of the skips are none that is allowed; one without a reason never is."""
    allowed = allowed_skips()
    good = sum(1 for reason in reasons if any(expression.search(reason) for expression in allowed))
    return max(skipped - good, 0)


def main():
    results = pathlib.Path(sys.argv[1])
    skips_fail = os.environ.get("KUVA_SKIPS_FAIL") == "1"
    passed = failed = skipped = 0
    failures = []
    for report in sorted(results.glob("*.xml")):
        for case in ElementTree.parse(report).iter("testcase"):
            name = f"{report.stem}/{case.get('name')}"
            found = count_cases(case.findtext("system-out") or "", status_of(case))
            if skips_fail and (bad := forbidden(found[3], found[2])):
                found = (found[0], found[1] + bad, found[2] - bad, found[3])
            passed, failed, skipped = passed + found[0], failed + found[1], skipped + found[2]
            if found[1]:
                failures.append(name)
            for reason in found[3]:
                print(f"{name}: {reason}")
    for report in sorted(results.glob("*.txt")):
        for line in report.read_text().splitlines():
            name, verdict = line.rsplit(" ", 1)
            if verdict == "passed":
                passed += 1
            else:
                failed += 1
                failures.append(name)
    for name in failures:
        print(f"FAILED: {name}")
    if passed + failed + skipped == 0:
        print("no test ran")
        failed = 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
