"""What script/test counts, and that its last line comes whatever happens; with its own functions, on tests made for it."""
import subprocess
import unittest
from pathlib import Path

import harness

ROOT = Path(__file__).resolve().parents[2]


class Script(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.dir = self.directory()

    def file(self, name, text):
        path = self.dir / name
        path.write_text(text)
        return path

    def run_script(self, steps):
        """script/test with other steps than its own. Returns the exit status and the last line."""
        functions = (ROOT / "script/test").read_text().split('say "what must be installed"')[0]
        script = self.file("script", functions.replace('"$(dirname "$0")/common.sh"', str(ROOT / "script/common.sh")) + steps)
        ran = subprocess.run(["bash", script], capture_output=True, text=True, timeout=harness.PATIENCE)
        return ran.returncode, ran.stdout.rstrip("\n").split("\n")[-1], ran.stdout + ran.stderr

    def test_a_file_that_cannot_even_be_loaded_is_a_failure(self):
        broken = self.file("broken.py", "import nothing_of_this_name\n")
        code, last, said = self.run_script(f"scenarios broken {broken}\nfinish whole\n")
        self.assertEqual((code, last), (1, "0 passed, 1 failed"), said)
        self.assertIn("nothing_of_this_name", said)

    def test_tests_are_counted_one_by_one(self):
        some = self.file("some.py", "import unittest\nclass A(unittest.TestCase):\n  def test_a(self): pass\n"
                                    "  def test_b(self): self.fail()\n  def test_c(self): 1 / 0\nunittest.main()\n")
        none = self.file("none.py", "import unittest\nunittest.main()\n")
        code, last, said = self.run_script(f"scenarios some {some}\nscenarios none {none}\ncheck fine true\nfinish whole\n")
        self.assertEqual((code, last), (1, "2 passed, 3 failed"), said)

    def test_a_build_that_fails_is_a_failure_and_the_rest_goes_on(self):
        code, last, said = self.run_script("configure() { true; }\nbuild() { echo no compiler; return 3; }\n"
                                           "made release && echo NEVER\ncheck fine true\nfinish whole\n")
        self.assertEqual((code, last), (1, "2 passed, 1 failed"), said)
        self.assertNotIn("NEVER", said)
        self.assertIn("no compiler", said)

    def test_an_early_end_is_a_failure(self):
        for end in ("exit 0", "echo $nonsense", "kill -TERM $BASHPID; sleep 5"):
            with self.subTest(end):
                code, last, said = self.run_script(f'say "the middle"\n{end}\nfinish whole\n')
                self.assertNotEqual(code, 0, said)
                self.assertEqual(last, "0 passed, 1 failed", said)
                self.assertIn("the middle", said)

    def test_all_is_well(self):
        self.assertEqual(self.run_script("check fine true\nfinish whole\n")[:2], (0, "1 passed, 0 failed"))


if __name__ == "__main__":
    unittest.main()
