"""The command line itself: the manual names all of it, and what was typed wrong is a usage error that says so."""
import re
import unittest
from pathlib import Path

import harness
from harness import Store

MANUAL = Path(__file__).resolve().parents[2] / "docs/regrow.1"


class CommandLine(harness.TestCase):
    def help_of(self, *verb):
        """Names of the verbs below and of the options, as --help lists them."""
        lines = self.ran(*verb, "--help").stdout.splitlines()
        options = [name for line in lines if re.match(r"  -", line)
                   for name in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", re.split(r"\s{2,}", line.strip())[0])]
        start = next((i for i, line in enumerate(lines) if re.match(r"Subcommands|The proxy|A running proxy", line)), len(lines))
        return [m[1] for line in lines[start:] if (m := re.match(r"  ([a-z]+)\b", line))], options

    def test_the_manual_names_every_verb_and_option(self):
        manual = re.sub(r"\\f[A-Z]", "", MANUAL.read_text().replace("\\-", "-"))
        verbs, options = self.help_of()
        self.assertGreater(len(verbs), 20)
        seen = set(options)
        for verb in verbs:
            self.assertRegex(manual, rf"(?m)^\.B[RI]? .*\b{verb}\b", f"the manual has no verb {verb}")
            below, more = self.help_of(verb)
            seen.update(more)
            for deeper in below:
                self.assertRegex(manual, rf"\b{verb}\b.*\b{deeper}\b", f"the manual has no verb {verb} {deeper}")
                seen.update(self.help_of(verb, deeper)[1])
        self.assertIn("--exclude", seen)
        for option in sorted(seen):
            self.assertRegex(manual, rf"(?<![\w-]){option}(?![\w-])", f"the manual has no option {option}")

    def test_what_was_typed_wrong_is_usage(self):
        gone = self.directory() / "gone"
        alone = ["--repo", gone, "--key-file", gone]
        for argv, word in ((["verify"], "-c FILE"), (["verify", "-a", "127.0.0.1:1"], "-c FILE"),
                           (["restore", "wiki/wiki-1", "--to", gone, "-a", "127.0.0.1:1"], "-c FILE"),
                           (["restore", "wiki/wiki-1"], "--to"), (["status", "-a", "nonsense"], "nonsense"),
                           (["pause", "-a", "nonsense"], "nonsense"), (["snapshots", "-a", "nonsense"], "nonsense"),
                           (["why", "a/b", "-a", "nonsense"], "nonsense"), (["backup", "nonsense"], "nonsense"),
                           (["recover", "wiki/wiki-1", "--at", "yesterday"], "yesterday"),
                           (["recover", "wiki/wiki-1", "--at", "latest"], "--at"),
                           (["restore", *alone, "--name", "mine", "--to", gone, "--at", "yesterday"], "yesterday")):
            with self.subTest(argv=[str(a) for a in argv]):
                self.assertIn(word, self.ran(*argv, code=2).stderr)
        self.assertFalse(gone.exists())

    def test_a_verb_that_is_not_there_yet_is_said_to_be(self):
        for verb in ("prune", "repair", "drill", "top", "agent"):
            said = self.ran(verb, code=2).stderr
            self.assertIn(f"{verb} is not in this version", said)
            self.assertNotIn("did you mean", said)
        self.assertIn("did you mean 'restore'", self.ran("restor", code=2).stderr)

    def test_every_verb_that_asks_a_proxy_takes_its_token(self):
        world = self.world(app=Store)
        token = world.dir / "token"
        token.write_text("0123456789abcdef0123\n")
        token.chmod(0o600)
        world.config["admin"]["token_file"] = str(token)
        world.start()
        address = ["-a", f"127.0.0.1:{world.admin}"]
        self.assertIn("--token-file", self.ran("backup", "wiki/wiki-1", *address, code=1).stderr)
        backup = ["backup", "wiki/wiki-1", *address, "--token-file", token]
        # Refused for a moment after it came up: its data is marked first.
        harness.wait_for(lambda: harness.run(*backup).returncode == 0, "a capture to begin")
        self.ran("snapshots", *address, "--token-file", token)
        harness.wait_for(lambda: world.stats()["repositories"]["main"]["snapshots"], "a snapshot")
        self.ran("verify", "-c", world.config_file, "--token-file", token)


if __name__ == "__main__":
    unittest.main()
