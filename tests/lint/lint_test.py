"""Which sources `./dev lint --since` checks, and which links `./dev check` finds."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import links  # noqa: E402
import tidy  # noqa: E402

SOURCES = {"a/x.cc": '#include "a/x.h"', "a/y.cc": '#include "a/q.h"', "b/z.cc": '#include "a/q.h"\n#include "a/r.h"'}


class Concerned(unittest.TestCase):
    def of(self, *changed):
        return tidy.concerned(list(SOURCES), set(changed), SOURCES.get)

    def test_sources_that_changed(self):
        self.assertEqual(self.of("b/z.cc", "a/gone.cc", "README.md"), ["b/z.cc"])

    def test_a_header_is_seen_through_its_own_source(self):
        self.assertEqual(self.of("a/x.h"), ["a/x.cc"])

    def test_a_header_without_one_is_seen_through_the_first_that_includes_it(self):
        self.assertEqual(self.of("a/q.h"), ["a/y.cc"])
        self.assertEqual(self.of("a/unused.h"), [])

    def test_no_further_source_if_one_that_changed_includes_the_header(self):
        self.assertEqual(self.of("b/z.cc", "a/q.h"), ["b/z.cc"])


class Links(unittest.TestCase):
    def test_each_link_leads_somewhere(self):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder, "p.md")
            page.write_text(
                "# A `b` C, d!\n\n# A b c d\n[x](y.md) [ok](#a-b-c-d) [ok](#a-b-c-d-1) [no](#none) `[c](d)`\n"
                "```\n# none\n[q](r)\n```\n[web](https://example.org/x)\n![ok](p.md#a-b-c-d)\n[r]: gone.md\n")
            self.assertEqual(list(links.broken(page)), [
                (4, "y.md", "no such file"), (4, "#none", "no such heading"), (11, "gone.md", "no such file")])


if __name__ == "__main__":
    unittest.main()
