"""clang-tidy over our sources: `./dev lint`. Each file is checked alone, as people read it, and not with its
folder.

    tidy.py BUILD [--since REV] [--limit MINUTES]

--since: only sources that differ from a commit. For each header that differs: one source that includes it.
--limit: no file is begun after that time. The number of files left out is printed, and is no failure.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import time


def git(*arguments):
    done = subprocess.run(["git", *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return [name for name in done.stdout.split("\0") if name]


def sources():
    return [name for name in git("ls-files", "-z", "*.cc") if not name.startswith("tests/")]


def changed_since(revision):
    """The files that differ from the commit, committed or not."""
    return {*git("diff", "-z", "--name-only", "--no-renames", "--diff-filter=d", revision, "--"),
            *git("ls-files", "-z", "--others", "--exclude-standard")}


def concerned(files, changed, text_of):
    """The sources to check: the changed ones of `files`, then one source per changed header that includes it,
    its own source first."""
    chosen = [name for name in files if name in changed]
    for header in sorted(name for name in changed if name.endswith(".h")):
        own = header.removesuffix(".h") + ".cc"
        including = [own] if own in files else [name for name in files if f'#include "{header}"' in text_of(name)]
        chosen += including[:1] if not set(including) & set(chosen) else []
    return chosen


def look_at(build, files, limit):
    """The findings, and the files that were left out."""
    ends, left_out = time.monotonic() + limit, []

    def findings(name):
        if time.monotonic() > ends:
            left_out.append(name)
            return []
        done = subprocess.run(["clang-tidy-14", "-p", build, "--quiet", name], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        found = re.findall(r"^.*(?:error|warning):.*$", done.stdout, re.MULTILINE)
        return found or ([f"{name}: {done.stdout.strip()}"] if done.returncode else [])

    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
        return sorted({line for found in pool.map(findings, files) for line in found}), left_out


def main():
    parser = argparse.ArgumentParser(prog="./dev lint", description="clang-tidy over our sources.")
    parser.add_argument("build", help=argparse.SUPPRESS)
    parser.add_argument("--since", metavar="REV", help="only what differs from this commit")
    parser.add_argument("--limit", metavar="MINUTES", type=float, default=float("inf"))
    options = parser.parse_args()
    files = sources()
    if options.since:
        try:
            changed = changed_since(options.since)
        except subprocess.CalledProcessError:
            return 2  # git has printed the reason
        files = concerned(files, changed, lambda name: pathlib.Path(name).read_text(encoding="utf-8"))
    found, left_out = look_at(options.build, files, options.limit * 60)
    print("\n".join(found + [f"{len(files) - len(left_out)} files looked at, {len(found)} findings"]))
    if left_out:
        print(f"{len(left_out)} files not looked at: {options.limit:g} minutes were over")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
