"""Real files, all of the corpus but the malformed ones, through the whole pipeline to each archive, and compared there.

The corpus holds some objects in many encodings under one UID: it goes in batches in which each UID stands once, each to
an archive that is empty again, so that every file has its own fair try. Each file is committed, or refused with a
reason that is true: what the archive holds is compared with what the records call stored, in both directions.
"""

import collections

import compare_datasets
import harness
import objects
import peers


@harness.needs_shared("corpus/ct")
@harness.needs("openssl")
class Cases(harness.PeerCase):
    def run_batches(self, make_archive, commits=True, elements=False):
        """Every batch through the tools to an archive of its own; a table of counts is printed."""
        files = objects.corpus_files()
        self.assertGreater(len(files), 400)
        counts = collections.Counter()
        for number, batch in enumerate(objects.batches(files)):
            archive, config, target = make_archive(number)
            linked = objects.link(batch, self.make_directory(f"batch-{number}"))
            stages = [("kuva-validate", self.directory / f"batch-{number}"),
                      ("kuva-send", "--config", config, "-t", target)]
            if commits:
                stages.append(("kuva-commit", "--config", config, "-t", target, "--wait", "60s", "--state",
                               self.directory / f"state-{number}"))
            results = self.pipeline(*stages)
            for result in results:
                self.assert_adds_up(result, len(batch))
            # kuva-send alone tries what kuva-validate holds back: what breaks a rule may still be stored.
            held_back = [record["path"] for record in results[0].instances if record["outcome"] == "invalid"]
            final = list(results[-1].instances)
            if held_back:
                alone = self.tool("kuva-send", "--config", config, "-t", target, "--retries", "0", *held_back)
                self.assert_adds_up(alone, len(held_back))
                for record in alone.instances:
                    counts["sent without kuva-validate", self.describe(record)] += 1
            self.assertEqual(len(final), len(linked))
            received = archive.received()
            seen = final + (alone.instances if held_back else [])
            for record in final:
                counts["pipeline", self.describe(record)] += 1
                self.assert_explained(record, commits)
            for record in seen:
                if "store" not in record or record["outcome"] not in ("stored", "stored-with-warning", "committed"):
                    continue
                uid = record["SOPInstanceUID"]
                self.assertIn(uid, received, f"{record['path']} is called {record['outcome']} and is not there")
                verdict, why = compare_datasets.compare(record["path"], received[uid], elements)
                self.assertNotEqual(verdict, "different", f"{linked[record['path']]}: {why}")
                counts["arrived", verdict] += 1
                received.pop(uid)
            self.assertEqual(received, {}, "objects in the archive that no record calls stored")
            archive.process.stop()
        print(f"    {len(files)} files, {number + 1} batches")
        for (part, what), count in sorted(counts.items()):
            print(f"    {part:28} {what:60} {count:5}")
        return counts

    @staticmethod
    def describe(record):
        detail = record.get("error", {}).get("code") or record.get("reason") or ""
        return f"{record['outcome']} {detail}".strip()

    def assert_explained(self, record, commits):
        done = "committed" if commits else "stored"
        if record["outcome"] == done:
            return
        if record["outcome"] == "skipped":
            self.assertTrue(record["reason"], record)
        elif record["outcome"] == "invalid":
            self.assertTrue(record.get("findings") or record.get("error"), record)
        elif record["outcome"] == "duplicate":
            self.assertTrue(record["duplicateOf"], record)
        else:
            self.assertEqual(record["outcome"], "failed", record)
            self.assertTrue(record["error"]["message"], record)

    def to_sandbox(self, target):
        def make(number):
            sandbox = peers.Sandbox(self, name=f"sandbox-{number}")
            sandbox.start()
            return sandbox, sandbox.config, target
        return make

    def to_orthanc(self, tls):
        certificates = peers.Certificates(self.make_directory("tls")) if tls else None

        def make(number):
            report_port, = harness.free_ports(1)
            orthanc = peers.Orthanc(self, certificates, report_port, name=f"orthanc-{number}")
            config = self.directory / f"kuva-{number}.toml"
            peers.write_target(config, "orthanc", orthanc.port, orthanc.AE, certificates, report_port)
            return orthanc, config, "orthanc"
        return make

    def test_sandbox_tls(self):
        counts = self.run_batches(self.to_sandbox("sandbox"))
        self.assertGreater(counts["pipeline", "committed"], 200)

    def test_sandbox_plain(self):
        counts = self.run_batches(self.to_sandbox("sandbox-plain"))
        self.assertGreater(counts["pipeline", "committed"], 200)

    def test_orthanc_plain(self):
        if peers.ORTHANC_PROGRAM is None:
            self.skipTest("Orthanc is not installed")
        # Orthanc writes with DCMTK: lengths and padding are its own, so elements are compared.
        counts = self.run_batches(self.to_orthanc(False), elements=True)
        self.assertGreater(counts["pipeline", "committed"], 200)

    def test_orthanc_tls(self):
        if peers.ORTHANC_PROGRAM is None:
            self.skipTest("Orthanc is not installed")
        counts = self.run_batches(self.to_orthanc(True), elements=True)
        self.assertGreater(counts["pipeline", "committed"], 200)

    @harness.needs("storescp")
    def test_storescp(self):
        files = [compare_datasets.File(file) for file in objects.corpus_files()]
        syntaxes = sorted({file.transfer_syntax for file in files} - {""} - peers.UNKNOWN_TO_DCMTK)
        classes = sorted({file.sop_class for file in files} - {""})

        def make(number):
            profile = self.directory / f"profile-{number}.cfg"
            peers.write_storescp_profile(profile, [(uid, syntaxes) for uid in classes])
            storescp = peers.Storescp(self, profile=profile, name=f"storescp-{number}")
            config = self.directory / f"kuva-{number}.toml"
            peers.write_target(config, "storescp", storescp.port, storescp.AE)
            return storescp, config, "storescp"
        counts = self.run_batches(make, commits=False)
        self.assertGreater(counts["pipeline", "stored"], 200)
