"""Files that break the rules: no crash, no hang, and each ends as a finding, a skip, or a true outcome."""

import harness
import objects
import peers

DEADLINE = 60


@harness.needs_shared("corpus/malformed")
class Cases(harness.PeerCase):
    def setUp(self):
        super().setUp()
        self.files = sorted(file for file in (objects.CORPUS / "malformed").rglob("*") if file.is_file())
        self.assertGreater(len(self.files), 100)

    def assert_each_once(self, result, files):
        self.assertIn(result.code, (0, 3), result.err)
        self.assert_adds_up(result, len(files))
        self.assertEqual(sorted(record["path"] for record in result.instances), sorted(str(file) for file in files))

    def assert_explained(self, record):
        """Valid with or without findings, or invalid with a finding or an error, or skipped with a reason."""
        if record["outcome"] == "skipped":
            self.assertTrue(record["reason"])
        elif record["outcome"] == "invalid":
            findings = [finding for finding in record.get("findings", []) if finding["severity"] == "error"]
            self.assertTrue(findings or "error" in record, record)
        elif record["outcome"] == "duplicate":
            self.assertTrue(record["duplicateOf"])
        else:
            self.assertEqual(record["outcome"], "valid", record)

    def test_validate(self):
        result = self.tool("kuva-validate", *self.files, seconds=DEADLINE)
        self.assert_each_once(result, self.files)
        for record in result.instances:
            self.assert_explained(record)
        print("    " + ", ".join(f"{count} {outcome}" for outcome, count in sorted(result.outcomes().items())))
        self.assertGreater(result.outcomes()["invalid"], 20)

    def test_validate_each_alone(self):
        """One that stops a run would hide behind the others."""
        for file in self.files:
            result = self.tool("kuva-validate", file, seconds=DEADLINE)
            self.assert_each_once(result, [file])

    def test_send(self):
        sandbox = peers.Sandbox(self)
        sandbox.start()
        result = self.tool("kuva-send", "--config", sandbox.config, "-t", "sandbox", "--retries", "0", *self.files,
                           seconds=DEADLINE * 2)
        self.assert_each_once(result, self.files)
        print("    " + ", ".join(f"{count} {outcome}" for outcome, count in sorted(result.outcomes().items())))
        stored = sandbox.received()
        for record in result.instances:
            if record["outcome"] in ("stored", "stored-with-warning"):
                self.assertIn(record["SOPInstanceUID"], stored)
            elif record["outcome"] == "skipped":
                self.assertTrue(record["reason"])
            elif record["outcome"] == "duplicate":
                self.assertTrue(record["duplicateOf"])
            else:
                self.assertEqual(record["outcome"], "failed", record)
                self.assertTrue(record["error"]["code"])
        self.assertIsNone(sandbox.process.popen.poll(), "the sandbox lives on")
