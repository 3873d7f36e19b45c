"""The examples of docs/batches.md, run as they stand: paths, hosts and the hours of the window are the test's own."""

import json
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

    def fill_old_archive(self):
        """A second sandbox with all instances, as the target `old`, and the list of its studies."""
        box = self.directory / "old"
        sandbox = ledger_batch.Sandbox(box, harness.TOOLS, self.directory / "old.err")
        sandbox.make_quick()
        sandbox.start()
        self.addCleanup(sandbox.stop)
        text = (box / "kuva.toml").read_text()
        with open(self.environment["KUVA_CONFIG"], "a", encoding="utf-8") as config:
            config.write(text.replace("target.sandbox-plain", "target.old").replace("target.sandbox", "target.old-tls")
                         .replace('"tls/', f'"{box}/tls/'))
        self.run_script("kuva-send -q -t old -o old.ndjson /archive/2019")
        records = [json.loads(line) for line in (self.directory / "old.ndjson").read_text().splitlines()]
        studies = sorted({record["StudyInstanceUID"] for record in records if record["type"] == "instance"})
        (self.directory / "studies.csv").write_text("StudyInstanceUID\n" + "".join(f"{uid}\n" for uid in studies))

    def test_out_of_an_archive(self):
        self.fill_old_archive()
        shown = self.run_script(example("out-of-an-archive"))
        self.check_all_arrived()
        self.assertIn("3 complete", shown)
        self.assertEqual(ledger_batch.counts_of(self.directory / "move.db"), {"committed": 60})

    @unittest.skipUnless(ledger_batch.has_postgres(), "PostgreSQL 15 is not installed")
    def test_out_of_an_archive_with_kills(self):
        self.fill_old_archive()
        server = ledger_batch.Postgres(self.directory)
        self.addCleanup(server.stop)
        text = example("out-of-an-archive").replace("--ledger move.db", f"--ledger {server.url}").replace("move.db", server.url)
        command = self.of_this_test(text.splitlines()[0]).split()
        killed = 0
        for pause in (0.05, 0.1, 0.15, 0.2, 0.3):
            tool = subprocess.Popen(command, cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                tool.wait(pause)
            except subprocess.TimeoutExpired:
                tool.kill()
                tool.wait(10)
                killed += 1
        self.assertGreater(killed, 0)
        shown = self.run_script(text)
        self.check_all_arrived()
        self.assertIn("3 complete", shown)
        self.assertEqual(server.counts(), {"committed": 60})

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
