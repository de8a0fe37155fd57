"""Runs the tests and counts them: `./dev test`, `kube`, `flaky` and `sanitize`. Standard library only.

./dev starts it as root, from the top of the tree, with Debian's packages there. It builds through ./dev. The last
line of its output has the totals; it exits with 0 only if nothing failed.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import results
from busy import busy_machine
from results import Counts

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
SECOND_TRIES = BUILD / "second-try.log"
FLAKY = BUILD / "flaky.log"
JOBS = os.environ.get("JOBS", "2")  # ./dev sets it
NOTHING_SELECTED = 5  # pytest's exit code
POD_NETWORKS = ["calico", "flannel", "kube-router"]  # those of e2e/kube/matrix that have programs
QUIET = re.compile(r" *Start +\d+:| *\d+/\d+ Test .* Passed ")  # lines of ctest that say nothing new


def say(text):
    print(f"\n== {text}", flush=True)


def printed(command, hide=None, env=None):
    """Runs a command and prints its output without the lines that match `hide`. Returns the exit code and the text."""
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace")
    seen = []
    for line in process.stdout:
        seen.append(line)
        if not (hide and hide.match(line)):
            print(line, end="", flush=True)
    return process.wait(), "".join(seen)


class Run:
    """One run of tests, and its results so far."""

    def __init__(self):
        self.counts = Counts()
        self.late = []  # lines of the log of second tries

    def add(self, counts):
        self.counts = self.counts.plus(counts)

    def fail_if(self, failed):
        self.add(Counts(0, int(bool(failed))))

    def finish(self):
        """Prints the totals and exits."""
        if self.late:
            say("passed on a second try only (build/second-try.log keeps those of all runs)")
            print("\n".join(self.late))
        print(f"\n{results.totals(self.counts)}", flush=True)
        sys.exit(self.counts.failed != 0)

    def unit(self, preset, match=None, repeat=None, env=None):
        """The GoogleTest binaries, through ctest."""
        say(f"unit and conformance tests ({preset})")
        command = ["ctest", "--test-dir", f"build/{preset}", "-j", JOBS, "--output-on-failure", "--timeout", "300"]
        command += ["-R", match] if match else []
        command += ["--repeat", f"until-fail:{repeat}"] if repeat else []
        self.add(results.count_ctest(printed(command, hide=QUIET, env=env)[1]))

    def scenarios(self, first, again):
        """Scenarios. `first()` runs them, `again(N)` runs the N that failed once more; both return their cases. Those
        that pass on a second try only count as passed, and are logged."""
        counts, late = results.two_tries(lambda failed: again(failed) if failed else first())
        self.add(counts)
        lines = results.log_lines(late)
        results.append(SECOND_TRIES, lines)
        self.late += lines

    def guest(self):
        """The kernel driver on a kernel that has WireGuard: a guest under emulation."""
        say("Linux's own WireGuard (Debian's cloud kernel under QEMU)")
        code, said = printed(["e2e/qemu/run.sh", "build/release"])
        self.fail_if(code)
        self.add(Counts(sum(line.startswith("passed ") for line in said.splitlines()), 0))

    def end_to_end(self, match):
        say("end-to-end scenarios")
        self.scenarios(lambda: suites(match), lambda failed: pytest("e2e/suites", match, again=failed))

    def on_kubernetes(self, match, folder="e2e/kube/suites", pod_networks=()):
        say(f"scenarios on Kubernetes ({folder})")
        built = start_kubernetes_programs(quiet=False, pod_networks=pod_networks).wait()
        if built != 0:
            self.fail_if(built)
            return
        self.scenarios(lambda: pytest(folder, match), lambda failed: pytest(folder, match, again=failed))


def suites(match):
    """Runs e2e/suites and returns the cases. The files run side by side, for a scenario mostly waits. Scenarios with
    the marker `timing` run afterwards, one by one."""
    say(f"side by side, {JOBS} at once: the scenarios without the marker `timing`")
    cases = pytest("e2e/suites", match, mark="not timing", options=["-n", JOBS, "--dist", "loadfile"], names=())
    say("one by one: the scenarios with the marker `timing`")
    return cases + pytest("e2e/suites", match, mark="timing")


def pytest(folder, match, again=0, preset="release", env=None, mark="", options=(), names=("-v",)):
    """Runs the scenarios of a folder, or once more the `again` ones that failed last, and returns their cases. `mark`
    is an expression of markers. What pytest prints goes to stderr; e2e/conftest.py says why processes side by side
    start without `names`."""
    if again:
        say(f"once more: the {again} scenarios that failed")
    with tempfile.TemporaryDirectory() as kept:
        report = pathlib.Path(kept, "report.xml")
        command = [sys.executable, "-m", "pytest", *names, "--durations=8", f"--junit-xml={report}"]
        command += ["--last-failed", "--last-failed-no-failures=none"] if again else []
        command += [folder, *options] + (["-k", match] if match else []) + (["-m", mark] if mark else [])
        done = subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False,
                              env={**(env or os.environ), "CAUSEWAY_BUILD": str(BUILD / preset)})
        # With a marker the other half may hold all that matches.
        code = 0 if mark and done.returncode == NOTHING_SELECTED else done.returncode
        return results.read_cases(report, code)


def start_kubernetes_programs(quiet, pod_networks=()):
    """Those of Kubernetes and of pod networks, one after the other."""
    steps = ["e2e/kube/programs.sh", *(f"e2e/kube/cni/programs.sh {name}" for name in pod_networks)]
    return subprocess.Popen(["sh", "-c", " && ".join(steps)], cwd=ROOT, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL if quiet else None)


def dev(*arguments):
    return subprocess.run([ROOT / "dev", *arguments], check=False).returncode


def build(preset):
    if code := dev("build", preset):
        sys.exit(code)


def test(options):
    run = Run()
    everything = not (options.fast or options.k or options.repeat)
    # Built once, in the time that the rest leaves. on_kubernetes() prints the build's errors.
    programs = start_kubernetes_programs(quiet=True, pod_networks=["calico"]) if everything else None
    build("release")
    if options.repeat:
        times, match = options.repeat
        run.unit("release", match, times)
        run.finish()
    if not options.k:
        run.fail_if(dev("check"))
        run.unit("release")
    if everything:
        run.guest()
        programs.wait()  # no scenario is timed while a compiler runs
    if not options.fast:
        run.end_to_end(options.k)
    if everything:
        run.on_kubernetes("")
        run.on_kubernetes("[calico]", "e2e/kube/matrix", ["calico"])
    run.finish()


def kube(options):
    run = Run()
    build("release")
    match = " ".join(options.words)
    if options.matrix:
        run.on_kubernetes(match, "e2e/kube/matrix", POD_NETWORKS)
    else:
        run.on_kubernetes(match)
    run.finish()


def flaky(options):
    """A scenario that passes alone may fail on a busy machine: there are no second tries here."""
    run = Run()
    build("release")
    with busy_machine(BUILD / "load.dat"):
        for number in range(1, options.times + 1):
            say(f"run {number} of {options.times} beside a busy machine")
            cases = suites(options.match)
            run.add(results.count(cases))
            lines = results.log_lines([case for case in cases if case.outcome == "failed"], f"run {number} ")
            results.append(FLAKY, lines)
            for line in lines:
                print(line, flush=True)
    run.finish()


def sanitize(_):
    run = Run()
    for preset in ("asan", "tsan"):
        build(preset)
        reports = pathlib.Path(tempfile.mkdtemp())
        log = f"log_path={reports}/report"
        env = {**os.environ, "ASAN_OPTIONS": f"detect_leaks=1 {log}",
               "UBSAN_OPTIONS": f"print_stacktrace=1 {log}",
               "TSAN_OPTIONS": f"halt_on_error=1 suppressions={ROOT}/tests/tsan.supp {log}"}
        run.unit(preset, env=env)
        say(f"the engine's scenarios ({preset})")
        run.add(results.count(pytest("e2e/suites", "interop", preset=preset, env=env)))
        # A sanitizer's report of a process is a failure also where the scenario passes.
        for report in sorted(reports.iterdir()):
            if report.stat().st_size:
                run.fail_if(True)
                print(report.read_text(errors="replace"), flush=True)
        shutil.rmtree(reports)
    run.finish()


def main():
    parser = argparse.ArgumentParser(prog="./dev", description="Runs the tests.")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("test")
    command.add_argument("--fast", action="store_true", help="no end-to-end scenarios")
    command.add_argument("-k", metavar="WORD", default="", help="only scenarios that match")
    command.add_argument("--repeat", nargs=2, metavar=("N", "WORD"), help="the unit tests that match WORD, N times")
    command.set_defaults(go=test)
    command = commands.add_parser("kube")
    command.add_argument("--matrix", action="store_true", help="clusters of other shapes: pod networks, families")
    command.add_argument("words", nargs="*", help="only scenarios that match")
    command.set_defaults(go=kube)
    command = commands.add_parser("flaky")
    command.add_argument("times", type=int)
    command.add_argument("match", nargs="?", default="")
    command.set_defaults(go=flaky)
    command = commands.add_parser("sanitize")
    command.set_defaults(go=sanitize)
    options = parser.parse_args()
    options.go(options)


if __name__ == "__main__":
    main()
