"""Workers that stand still for longer than their lease, with a ledger in PostgreSQL: what they held is in other hands."""

import collections
import json
import signal
import subprocess
import time
import unittest

import harness
import ledger_batch
import objects

LEASE = 2  # seconds


@unittest.skipUnless(ledger_batch.has_postgres(), "PostgreSQL 15 is not installed")
class LostLease(harness.PeerCase):
    def setUp(self):
        super().setUp()
        self.sandbox = ledger_batch.Sandbox(self.directory / "box", harness.TOOLS, self.directory / "sandbox.err")
        self.sandbox.make_quick()
        self.sandbox.start()
        self.addCleanup(self.sandbox.stop)
        self.server = ledger_batch.Postgres(self.directory)
        self.addCleanup(self.server.stop)

    def start(self, name, *options):
        with open(self.directory / f"{name}.ndjson", "wb") as out, open(self.directory / f"{name}.err", "wb") as errors:
            worker = subprocess.Popen(
                [str(argument) for argument in
                 (harness.TOOLS / "kuva-send", "--config", self.directory / "box" / "kuva.toml", "-t", "sandbox-plain", "--format",
                  "json", "--associations", "1", "--ledger", self.server.url, "--lease", f"{LEASE}s", *options,
                  self.directory / "batch")],
                stdin=subprocess.DEVNULL, stdout=out, stderr=errors, env=harness.TOOL_ENVIRONMENT)
        self.addCleanup(harness.end, worker)
        return worker

    def records(self, name):
        lines = (self.directory / f"{name}.ndjson").read_text(encoding="utf-8").splitlines()
        for line in lines:
            self.assertEqual(harness.VALIDATOR.problems_of_line(line), [])
        records = [json.loads(line) for line in lines]
        return [record for record in records if record["type"] == "instance"], records[-1]

    def events(self, event):
        """Of the transcript, one a C-STORE."""
        path = self.directory / "box" / "transcript.ndjson"
        if not path.exists():
            return []
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
        return [record for record in records if record["event"] == event and record.get("message", "").startswith("C-STORE")]

    def stand_still(self, late, on_stop):
        """Stops a worker until another one has done all there is; (exit code of the one, of the other)."""
        late.send_signal(signal.SIGSTOP)
        on_stop()
        other = self.start("other")
        self.assertEqual(other.wait(60), 0, (self.directory / "other.err").read_text())
        self.assertIsNone(late.poll())
        done = len(self.events("message-sent"))
        late.send_signal(signal.SIGCONT)
        late.wait(60)
        return done

    def check_all_is_stored(self, uids):
        self.assertEqual(set(ledger_batch.stored_files(self.directory / "box")), uids)
        counts = self.server.counts()
        self.assertEqual(sum(count for state, count in counts.items() if state in ledger_batch.DONE), len(uids), counts)
        self.assertEqual(sum(counts.values()), len(uids), counts)

    def test_between_two_objects(self):
        uids = ledger_batch.make_headers_only(self.directory / "batch", 200, 200)
        late = self.start("late", "--tpslimit", "40")
        harness.wait_until(lambda: len(self.events("message-sent")) >= 20, 30, "the first worker sends")
        done = self.stand_still(late, lambda: None)
        self.assertEqual(late.returncode, 5)
        self.assertEqual(len(self.events("message-sent")), done, "it sent what others had")
        records, summary = self.records("late")
        self.assertEqual(len({record["path"] for record in records}), len(records))
        self.assertEqual(summary["seen"], len(records))
        lost = [record for record in records if record["outcome"] == "unsent"]
        self.assertTrue(lost)
        for record in lost:
            self.assertEqual(record["error"]["code"], "ledger.lease-lost")
            self.assertIn("other hands", record["error"]["hint"])
        answered = collections.Counter(record["SOPInstanceUID"] for record in self.events("message-sent"))
        self.assertEqual(set(answered), uids)
        # What had come and was not answered to a worker that stood still is asked for, not sent again.
        self.assertEqual([uid for uid, count in answered.items() if count != 1], [])
        self.check_all_is_stored(uids)

    def test_in_the_middle_of_an_object(self):
        """What was under way is cut off, so that it comes to the archive once."""
        batch = self.directory / "batch"
        batch.mkdir()
        paths = objects.write_ct_study(batch, 2, rows=1024)
        uids = {str(objects.pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in paths}
        late = self.start("late", "--bwlimit", "500K")
        harness.wait_until(lambda: self.is_under_way(late), 30, "the first worker sends")
        time.sleep(0.5)
        done = self.stand_still(late, lambda: self.assertEqual(self.events("message-sent"), []))
        self.assertEqual(late.returncode, 5)
        self.assertEqual(len(self.events("message-sent")), done, "it completed what others had")
        records, _ = self.records("late")
        self.assertEqual([record["error"]["code"] for record in records], ["ledger.lease-lost"] * 2)
        self.assertEqual(sorted(record["SOPInstanceUID"] for record in self.events("message-sent")), sorted(uids))
        self.check_all_is_stored(uids)

    def is_under_way(self, worker):
        """Whether the sandbox has accepted its association."""
        path = self.directory / "box" / "transcript.ndjson"
        return worker.poll() is None and path.exists() and '"association-accepted"' in path.read_text(encoding="utf-8")
