"""A tool or a peer stopped or killed in mid-study: the records say what is known, and a second run completes it."""

import signal
import subprocess

import compare_datasets
import harness
import objects
import peers

COUNT = 120
ROWS = 256  # 128 KiB an object: the rate below makes a run of some seconds
RATE = "4M"


class Cases(harness.PeerCase):
    def setUp(self):
        super().setUp()
        self.files = objects.write_ct_study(self.make_directory("study"), COUNT, ROWS)
        self.uids = {objects.uid_of(file): file for file in self.files}
        self.sandbox = peers.Sandbox(self)
        self.sandbox.start()

    def begin_send(self, *options, after=15):
        """kuva-send in mid-study: `after` instances are done."""
        command = [harness.TOOLS / "kuva-send", "--format", "json", "--config", self.sandbox.config, "-t", "sandbox",
                   "--bwlimit", RATE, *options, self.directory / "study"]
        sender = self.start("kuva-send", command, environment=harness.TOOL_ENVIRONMENT)
        harness.wait_until(lambda: sender.out.read_bytes().count(b"\n") >= after or sender.popen.poll() is not None, 60,
                           "the first records")
        self.assertIsNone(sender.popen.poll(), "it ended before it was interrupted: " + sender.tail())
        return sender

    def result_of(self, sender, code, cut_allowed=False):
        return harness.Result("kuva-send", code, sender.out.read_bytes(),
                              sender.err.read_text(errors="replace")).parse(cut_allowed)

    def assert_stored_are_there(self, result):
        """No record calls stored what the archive has not got, whole."""
        received = self.sandbox.received()
        for record in result.instances:
            if record["outcome"] == "stored":
                uid = record["SOPInstanceUID"]
                self.assertIn(uid, received)
                self.assertEqual(compare_datasets.compare(self.uids[uid], received[uid]), ("identical", ""))

    def assert_second_run_completes(self):
        again = self.tool("kuva-send", "--config", self.sandbox.config, "-t", "sandbox", self.directory / "study")
        self.assertEqual(again.code, 0, again.err)
        self.assertEqual(again.outcomes(), {"stored": COUNT})
        files = [compare_datasets.File(path) for path in self.sandbox.stored_files()]
        self.assertEqual(sorted(file.sop_instance for file in files), sorted(self.uids), "every instance once")
        self.assert_stored_are_there(again)
        asked = self.tool("kuva-commit", "--config", self.sandbox.config, "-t", "sandbox", "--wait", "30s", "--state",
                          self.directory / "state", stdin=again.out)
        self.assertEqual(asked.code, 0, asked.err)
        self.assertEqual(asked.outcomes(), {"committed": COUNT})

    def test_sigterm_of_the_sender(self):
        sender = self.begin_send()
        sender.popen.send_signal(signal.SIGTERM)
        code = sender.wait(30)
        result = self.result_of(sender, code)
        self.assertEqual(code, 143, result.err)
        self.assertTrue(result.summary["interrupted"])
        self.assert_adds_up(result)
        self.assertGreaterEqual(result.outcomes()["stored"], 15)
        self.assertLess(result.outcomes()["stored"], COUNT)
        self.assert_stored_are_there(result)
        self.assert_second_run_completes()

    def test_sigint_of_the_sender(self):
        sender = self.begin_send("--associations", "1")
        sender.popen.send_signal(signal.SIGINT)
        code = sender.wait(30)
        result = self.result_of(sender, code)
        self.assertEqual(code, 130, result.err)
        self.assert_adds_up(result)
        self.assert_stored_are_there(result)

    def test_kill_of_the_sender(self):
        sender = self.begin_send()
        sender.popen.kill()
        self.assertEqual(sender.wait(10), -signal.SIGKILL)
        result = self.result_of(sender, -signal.SIGKILL, cut_allowed=True)
        self.assertEqual(result.of_type("summary"), [])
        self.assert_stored_are_there(result)
        self.assert_second_run_completes()

    def test_sigterm_of_the_peer(self):
        sender = self.begin_send("--retries", "0")
        self.sandbox.stop()
        result = self.result_of(sender, sender.wait(60))
        self.assert_lost_peer(result)

    def test_kill_of_the_peer(self):
        sender = self.begin_send("--retries", "0")
        self.sandbox.process.popen.kill()
        self.sandbox.process.wait(10)
        result = self.result_of(sender, sender.wait(60))
        self.assert_lost_peer(result)

    def assert_lost_peer(self, result):
        self.assertEqual(result.code, 5, result.err)
        self.assert_adds_up(result, COUNT)
        self.assertGreaterEqual(result.outcomes()["stored"], 15)
        self.assertLess(result.outcomes()["stored"], COUNT)
        for record in result.instances:
            if not record["ok"]:
                self.assertIn("code", record["error"], record)
        self.sandbox.start()
        self.assert_stored_are_there(result)
        self.assert_second_run_completes()

    def test_peer_that_comes_back_is_used(self):
        sender = self.begin_send("--retries", "8")
        self.sandbox.process.popen.kill()
        self.sandbox.process.wait(10)
        self.sandbox.start()
        result = self.result_of(sender, sender.wait(120))
        self.assert_adds_up(result, COUNT)
        self.assertIn(result.code, (0, 5), result.err)
        # One association has one object under way: its answer may be lost, and then the archive is asked for it.
        outcomes = result.outcomes()
        doubtful = outcomes["indeterminate"] + outcomes["stored-with-warning"]
        self.assertEqual(outcomes["stored"] + doubtful, COUNT)
        self.assertLessEqual(doubtful, 1)
        self.assertEqual(outcomes["indeterminate"] == 0, result.code == 0)
        self.assert_stored_are_there(result)
        self.assert_second_run_completes()

    def test_stage_that_dies_is_noticed(self):
        """A stream without its summary is no success, whatever was done with what came."""
        checked = self.tool("kuva-validate", self.directory / "study")
        cut = b"\n".join(checked.out.split(b"\n")[:20]) + b"\n"
        result = self.tool("kuva-send", "--config", self.sandbox.config, "-t", "sandbox", stdin=cut)
        self.assertNotEqual(result.code, 0)
        self.assertEqual(result.outcomes(), {"stored": 20})
        self.assertIn("stream.cut", {record.get("error", {}).get("code") for record in result.records})

    def test_reader_that_leaves_is_noticed(self):
        """stdout closed by whoever read it: a local failure, and nothing hangs."""
        sender = subprocess.Popen([str(harness.TOOLS / "kuva-send"), "--format", "json", "--config",
                                   str(self.sandbox.config), "-t", "sandbox", str(self.directory / "study")],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  env=harness.TOOL_ENVIRONMENT)
        self.addCleanup(harness.end, sender)
        sender.stdout.readline()
        sender.stdout.close()
        _, messages = sender.communicate(timeout=60)
        self.assertEqual(sender.returncode, 9, messages[-2000:])

    def test_sigterm_of_the_committer(self):
        """Stopped while it waits: all pending, saved; --resume takes it up."""
        sent = self.tool("kuva-send", "--config", self.sandbox.config, "-t", "sandbox", self.directory / "study")
        self.sandbox.stop()
        self.sandbox.configure(report_delay="6s")
        self.sandbox.start()
        records = self.directory / "sent.ndjson"
        records.write_bytes(sent.out)
        common = ["--config", self.sandbox.config, "-t", "sandbox", "--state", self.directory / "state"]
        with open(records, "rb") as stream:
            command = [harness.TOOLS / "kuva-commit", "--format", "json", *common, "--wait", "60s", "--grace", "100ms"]
            committer = self.start("kuva-commit", command, environment=harness.TOOL_ENVIRONMENT, stdin=stream)
            harness.wait_until(lambda: b"N-ACTION" in self.sandbox.transcript.read_bytes(), 30, "the request")
            committer.popen.send_signal(signal.SIGTERM)
            code = committer.wait(30)
        result = harness.Result("kuva-commit", code, committer.out.read_bytes(),
                                committer.err.read_text(errors="replace")).parse()
        self.assertEqual(code, 143, result.err)
        self.assert_adds_up(result, COUNT)
        self.assertEqual(result.outcomes(), {"pending": COUNT})
        resumed = self.tool("kuva-commit", *common, "--resume", "--wait", "60s", stdin=None)
        self.assertEqual(resumed.code, 0, resumed.err)
        self.assertEqual(resumed.outcomes(), {"committed": COUNT})
