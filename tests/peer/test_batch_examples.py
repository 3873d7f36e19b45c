"""The examples of docs/batches.md, run as they stand: paths, hosts and the hours of the window are the test's own."""

import pathlib
import re
import shutil
import subprocess
import unittest

import harness
import ledger_batch

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "batches.md"


def example(name):
    """The text of a box."""
    found = re.search(rf"^```\w+ {re.escape(name)}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    if not found:
        raise AssertionError(f"{PAGE.name} has no box {name}")
    return found.group(1)


class BatchExamples(harness.PeerCase):
    def setUp(self):
        super().setUp()
        self.archive = self.directory / "archive" / "2019"
        self.uids = ledger_batch.make_headers_only(self.archive, 60, 20)
        self.box = self.directory / "box"
        self.sandbox = ledger_batch.Sandbox(self.box, harness.TOOLS, self.directory / "sandbox.err")
        self.sandbox.make_quick()
        self.sandbox.start()
        self.addCleanup(self.sandbox.stop)
        config = self.directory / "kuva.toml"
        text = (self.box / "kuva.toml").read_text()
        self.assertIn("[target.sandbox-plain]", text)
        config.write_text(text.replace("target.sandbox-plain", "target.archive").replace('"tls/', f'"{self.box}/tls/'))
        self.environment = dict(harness.TOOL_ENVIRONMENT, KUVA_CONFIG=str(config))
        self.environment["PATH"] = f"{harness.TOOLS}:{self.environment['PATH']}"

    def of_this_test(self, text):
        return (text.replace("/archive/2019", str(self.archive)).replace("/usr/bin/kuva", f"{harness.TOOLS}/kuva")
                .replace("/var/lib/kuva", str(self.directory)).replace("22:00-06:00", "00:00-24:00"))

    def run_script(self, text):
        """Runs it, and no line of it may fail."""
        done = subprocess.run(["sh", "-e", "-c", self.of_this_test(text)], cwd=self.directory, env=self.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240)
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-2000:])
        self.assertEqual(done.stderr, "")
        return done.stdout

    def check_all_arrived(self):
        files = ledger_batch.stored_files(self.box)
        self.assertEqual(set(files), self.uids)
        self.assertEqual({count for count in ledger_batch.received(self.box).values()}, {1})

    def test_by_hand(self):
        shown = self.run_script(example("by-hand"))
        self.check_all_arrived()
        self.assertIn("60 committed", shown)
        self.assertEqual(ledger_batch.counts_of(self.directory / "2019.db"), {"committed": 60})
        self.assertIn("60 of the instances have the digest", (self.directory / "2019.html").read_text())

    @unittest.skipUnless(shutil.which("parallel"), "GNU parallel is not installed")
    def test_parallel(self):
        self.run_script(example("parallel"))
        self.check_all_arrived()
        self.assertEqual(ledger_batch.counts_of(self.directory / "2019-all.db"), {"stored": 60})

    @unittest.skipUnless(shutil.which("parallel"), "GNU parallel is not installed")
    @unittest.skipUnless(ledger_batch.has_postgres(), "PostgreSQL 15 is not installed")
    def test_workers(self):
        server = ledger_batch.Postgres(self.directory)
        self.addCleanup(server.stop)
        self.run_script(example("workers").replace("postgresql://ledger-db/migration", server.url))
        self.check_all_arrived()
        self.assertEqual(server.counts(), {"stored": 60})

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not installed")
    def test_systemd(self):
        units = [self.directory / name for name in ("kuva-batch.service", "kuva-batch.timer")]
        for unit in units:
            unit.write_text(self.of_this_test(example(unit.name)).replace("User=kuva\n", "User=root\n"))
        verified = subprocess.run(["systemd-analyze", "verify", "--man=no", *map(str, units)], capture_output=True, text=True,
                                  timeout=60)
        ours = [line for line in verified.stderr.splitlines() if "kuva-batch" in line]
        self.assertEqual((verified.returncode, ours), (0, []), verified.stderr)
        when = re.search(r"^OnCalendar=(.*)$", units[1].read_text(), re.M).group(1)
        subprocess.run(["systemd-analyze", "calendar", when], check=True, stdout=subprocess.DEVNULL, timeout=60)
        command = re.search(r"^ExecStart=(.*)$", units[0].read_text(), re.M).group(1)
        # The inventory was taken before.
        self.run_script(example("by-hand").splitlines()[0])
        self.assertEqual(self.run_script(command), "")
        self.check_all_arrived()
        self.assertIn("kuva_", (self.directory / "kuva.prom").read_text())

    def test_cron(self):
        line = re.search(r"^```cron\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.S | re.M).group(1)
        self.run_script(example("by-hand").splitlines()[0])
        self.assertEqual(self.run_script(line.split("kuva  ", 1)[1]), "")
        self.check_all_arrived()
