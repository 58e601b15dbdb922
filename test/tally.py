# SPDX-License-Identifier: GPL-3.0-or-later
"""tally.py meson|junit FILE: "passed failed" of a report. No report, a crash or a skipped
test: a failure."""

import json
import re
import sys
import xml.etree.ElementTree as tree


def meson(path):
    passed = failed = 0
    with open(path) as file:
        for line in file:
            test = json.loads(line)
            output = test.get("stdout", "") + test.get("stderr", "")
            good = sum(int(n) for n in re.findall(r"\[  PASSED  \] (\d+) test", output))
            bad = sum(int(n) for n in re.findall(r"\[  FAILED  \] (\d+) test", output))
            if test["result"] == "OK":
                passed += good or 1
            else:
                passed, failed = passed + good, failed + (bad or 1)
    return passed, failed


def junit(path):
    passed = failed = 0
    for suite in tree.parse(path).getroot().iter("testsuite"):
        count = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
        bad = count["failures"] + count["errors"] + count["skipped"]
        passed, failed = passed + max(count["tests"] - bad, 0), failed + bad
    return passed, failed


try:
    good, bad = {"meson": meson, "junit": junit}[sys.argv[1]](sys.argv[2])
except (OSError, ValueError, KeyError, tree.ParseError) as error:
    print(f"tally: {error}", file=sys.stderr)
    good, bad = 0, 1
print(good, bad if good + bad else 1)
