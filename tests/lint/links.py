"""Checks that the links of all Markdown pages lead to a file of the tree, and to a heading of it if they name
one.

    links.py    run in the tree; prints the broken links. Links to the web are not followed.
"""

import functools
import pathlib
import re
import subprocess
import sys
import urllib.parse

LINK = re.compile(r"!?\[[^\]]*\]\(([^()\s]+)\)|^\[[^\]]+\]:\s+(\S+)", re.MULTILINE)
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(.+?)\s*$", re.MULTILINE)


def blank(match):
    """Blanks out code, which has no links. Lines stay, so that their numbers are right."""
    return re.sub(r"[^\n]", " ", match.group())


def anchor(heading):
    """GitHub's name for a heading."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


@functools.cache
def anchors(page):
    found = set()
    fenced = re.sub(r"^```.*?^```", blank, page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for heading in HEADING.findall(fenced):
        name, number = anchor(heading), 0
        while (unique := f"{name}-{number}" if number else name) in found:
            number += 1
        found.add(unique)
    return found


def broken(page):
    """(line, target, why) of each broken link of a page."""
    text = CODE.sub(blank, page.read_text(encoding="utf-8"))
    for match in LINK.finditer(text):
        target = match[1] or match[2]
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = urllib.parse.unquote(target).partition("#")
        file = page.parent / path if path else page
        why = None
        if not file.exists():
            why = "no such file"
        elif heading and file.suffix == ".md" and heading not in anchors(file):
            why = "no such heading"
        if why:
            yield text.count("\n", 0, match.start()) + 1, target, why


def main():
    pages = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
                           stdout=subprocess.PIPE, text=True, check=True).stdout.split("\0")
    bad = [f"{page}:{line}: {target}: {why}" for page in map(pathlib.Path, filter(None, pages)) if page.exists()
           for line, target, why in broken(page)]
    print("\n".join(bad), end="\n" if bad else "")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
