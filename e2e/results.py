"""The results of a run of tests: reads the reports of pytest and ctest, logs second tries, counts the totals."""

import datetime
import re
import subprocess
import typing
import xml.etree.ElementTree

MOST_SECOND_TRIES = 6  # more failures than that have one cause


class Case(typing.NamedTuple):
    """One scenario of pytest's report. `outcome` is "passed", "failed" or "skipped"; `load` is the load average
    of the machine when it failed, as e2e/conftest.py reports it."""

    name: str
    outcome: str
    load: str = "-"


class Counts(typing.NamedTuple):
    passed: int = 0
    failed: int = 0

    def plus(self, other):
        return Counts(self.passed + other.passed, self.failed + other.failed)


def read_cases(path, code=0):
    """The scenarios of a JUnit file, in their order. `code` is pytest's exit code: above 1 it did not come to its end,
    which is a failure of its own."""
    found = {}
    if code not in (0, 1):
        found["pytest"] = Case(f"pytest ended early, with exit code {code}", "failed")
    try:
        root = xml.etree.ElementTree.parse(path).getroot()
    except (OSError, xml.etree.ElementTree.ParseError):
        return list(found.values())
    for element in root.iter("testcase"):
        name = f"{element.get('classname', '').split('.')[-1]}::{element.get('name')}"
        parts = {part.tag for part in element}
        outcome = "failed" if parts & {"failure", "error"} else "skipped" if "skipped" in parts else "passed"
        load = next((entry.get("value") for entry in element.iter("property")
                     if entry.get("name") == "load average"), "-")
        # A scenario that fails, and whose fixtures then fail too, stands there twice.
        if name not in found or outcome == "failed":
            found[name] = Case(name, outcome, load)
    return list(found.values())


def count(cases):
    """No scenario at all is a failure: a wrong word for -k, or a pytest that did not start."""
    if not cases:
        return Counts(0, 1)
    outcomes = [case.outcome for case in cases]
    return Counts(outcomes.count("passed"), outcomes.count("failed"))


def count_ctest(output):
    """The totals in what ctest printed. Without them ctest did not start, which is a failure."""
    found = re.findall(r"tests passed, (\d+) tests? failed out of (\d+)", output)
    if not found:
        return Counts(0, 1)
    failed, total = map(int, found[-1])
    return Counts(total - failed, failed)


def two_tries(run):
    """Runs scenarios, and a few failed ones once more: two shared cores can starve a timing.

    `run(0)` runs all of them, `run(N)` the N that failed last. It returns their cases. Returns the counts, and the
    cases that passed on their second try only, as their first try reported them.
    """
    first = run(0)
    counts, late = count(first), []
    if counts.passed and 0 < counts.failed <= MOST_SECOND_TRIES:
        passed = {case.name for case in run(counts.failed) if case.outcome == "passed"}
        late = [case for case in first if case.outcome == "failed" and case.name in passed]
    return counts.plus(Counts(len(late), -len(late))), late


def log_lines(cases, note=""):
    """One line per case: when, of which commit, the load average at its failure, its name."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [f"{now} {commit()} {note}load {case.load} {case.name}" for case in cases]


def commit():
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, check=False)
    return done.stdout.strip() or "-"


def append(path, lines):
    if lines:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as log:
            log.writelines(f"{line}\n" for line in lines)


def totals(counts):
    return f"{counts.passed} passed, {counts.failed} failed"
