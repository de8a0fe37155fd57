"""How e2e/results.py counts: the reports of pytest and ctest, second tries and their log, the totals."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "e2e"))

import results  # noqa: E402
from results import Case, Counts  # noqa: E402

REPORT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="2" failures="2" skipped="1" tests="7">
<testcase classname="suites.test_a" name="test_passes" time="0.1"/>
<testcase classname="suites.test_a" name="test_fails[one two]">
<properties><property name="load average" value="3.1"/></properties><failure message="assert 0">x</failure></testcase>
<testcase classname="suites.test_a" name="test_fails_at_its_end"><error message="on teardown">x</error></testcase>
<testcase classname="suites.test_a" name="test_fails_twice"><failure message="assert 0">x</failure></testcase>
<testcase classname="suites.test_a" name="test_fails_twice"><error message="on teardown">x</error></testcase>
<testcase classname="suites.test_a" name="test_is_skipped"><skipped message="no"/></testcase>
</testsuite></testsuites>
"""


def passed(*names):
    return [Case(name, "passed") for name in names]


def failed(*names):
    return [Case(name, "failed", "2.5") for name in names]


class Tries:
    """Stands in for pytest: gives the results of its runs, in order."""

    def __init__(self, *reports):
        self.reports, self.asked = list(reports), []

    def __call__(self, again):
        self.asked.append(again)
        return self.reports.pop(0)


class ReadCases(unittest.TestCase):
    def read(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
            file.write(text)
            file.flush()
            return results.read_cases(file.name)

    def test_every_scenario_is_there_once(self):
        self.assertEqual(self.read(REPORT), [
            Case("test_a::test_passes", "passed"), Case("test_a::test_fails[one two]", "failed", "3.1"),
            Case("test_a::test_fails_at_its_end", "failed"), Case("test_a::test_fails_twice", "failed"),
            Case("test_a::test_is_skipped", "skipped")])

    def test_no_report_and_a_broken_one_have_no_scenarios(self):
        self.assertEqual(results.read_cases("/nowhere/report.xml"), [])
        self.assertEqual(self.read(""), [])
        self.assertEqual(self.read(REPORT[:200]), [])


    def test_a_pytest_that_ended_early_is_a_failure_whatever_passed(self):
        self.assertEqual(results.count(results.read_cases("/nowhere/report.xml", 3)), Counts(0, 1))
        self.assertEqual(results.count(results.read_cases("/nowhere/report.xml", 1)), Counts(0, 1))
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
            file.write('<testsuites><testsuite><testcase classname="a" name="b"/></testsuite></testsuites>')
            file.flush()
            self.assertEqual(results.count(results.read_cases(file.name, 2)), Counts(1, 1))
            self.assertEqual(results.count(results.read_cases(file.name, 0)), Counts(1, 0))


class Count(unittest.TestCase):
    def test_skipped_scenarios_are_neither(self):
        self.assertEqual(results.count(passed("a", "b") + failed("c") + [Case("d", "skipped")]), Counts(2, 1))

    def test_nothing_run_is_a_failure(self):
        self.assertEqual(results.count([]), Counts(0, 1))

    def test_ctest_says_its_totals_last(self):
        said = "tests passed, 9 tests failed out of 9\n99% tests passed, 1 tests failed out of 1208\n\nTotal Test\n"
        self.assertEqual(results.count_ctest(said), Counts(1207, 1))
        self.assertEqual(results.count_ctest("100% tests passed, 0 tests failed out of 1\n"), Counts(1, 0))

    def test_ctest_that_did_not_start_is_a_failure(self):
        self.assertEqual(results.count_ctest("No tests were found!!!\n"), Counts(0, 1))

    def test_the_totals_are_what_ci_reads(self):
        self.assertEqual(results.totals(Counts(1207, 1).plus(Counts(10, 0))), "1217 passed, 1 failed")


class TwoTries(unittest.TestCase):
    def test_without_failures_there_is_one_try(self):
        run = Tries(passed("a", "b"))
        self.assertEqual(results.two_tries(run), (Counts(2, 0), []))
        self.assertEqual(run.asked, [0])

    def test_a_second_try_that_passes_counts_and_is_told(self):
        run = Tries(passed("a") + failed("b", "c"), passed("b") + failed("c"))
        self.assertEqual(results.two_tries(run), (Counts(2, 1), failed("b")))
        self.assertEqual(run.asked, [0, 2])

    def test_a_second_try_that_ran_nothing_changes_nothing(self):
        self.assertEqual(results.two_tries(Tries(passed("a") + failed("b", "c"), [])), (Counts(1, 2), []))

    def test_what_is_skipped_at_the_second_try_has_failed(self):
        run = Tries(passed("a") + failed("b"), [Case("b", "skipped")])
        self.assertEqual(results.two_tries(run), (Counts(1, 1), []))

    def test_many_failures_have_one_try(self):
        names = [str(n) for n in range(results.MOST_SECOND_TRIES + 1)]
        run = Tries(passed("a") + failed(*names))
        self.assertEqual(results.two_tries(run), (Counts(1, len(names)), []))
        self.assertEqual(run.asked, [0])

    def test_where_nothing_passed_there_is_one_try(self):
        run = Tries(failed("a"))
        self.assertEqual(results.two_tries(run), (Counts(0, 1), []))
        self.assertEqual(results.two_tries(Tries([])), (Counts(0, 1), []))


class Log(unittest.TestCase):
    def test_a_line_has_time_commit_load_and_name(self):
        line, = results.log_lines(failed("test_a::test_b"), "run 3 ")
        self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ([0-9a-f]{7,}|-) run 3 load 2\.5 test_a::test_b$")

    def test_it_grows_and_is_not_made_for_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            log = pathlib.Path(folder, "build/second-try.log")
            results.append(log, [])
            self.assertFalse(log.exists())
            results.append(log, ["one"])
            results.append(log, ["two", "three"])
            self.assertEqual(log.read_text(), "one\ntwo\nthree\n")


if __name__ == "__main__":
    unittest.main()
