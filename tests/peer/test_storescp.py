"""kuva-send to DCMTK's storescp, plain and over mutual TLS: what it takes arrives as it was, the rest is explained."""

import collections

import compare_datasets
import harness
import objects
import peers

IMPLICIT = compare_datasets.IMPLICIT
EXPLICIT = compare_datasets.EXPLICIT


@harness.needs("storescp", "openssl")
class Cases(harness.PeerCase):
    def send(self, storescp, *paths, certificates=None, options=()):
        config = self.directory / "kuva.toml"
        config.unlink(missing_ok=True)
        peers.write_target(config, "peer", storescp.port, storescp.AE, certificates)
        result = self.tool("kuva-send", "--config", config, "-t", "peer", *options, *paths)
        self.assert_adds_up(result)
        return result

    def assert_arrived(self, result, storescp, verdicts=("identical",)):
        """What a record calls stored is there, with the data set that was sent; and nothing else is there."""
        received = storescp.received()
        counted = collections.Counter()
        for record in result.instances:
            uid = record.get("SOPInstanceUID")
            if record["outcome"] != "stored":
                continue
            self.assertIn(uid, received, record)
            verdict, why = compare_datasets.compare(record["path"], received.pop(uid))
            self.assertIn(verdict, verdicts, f"{record['path']}: {why}")
            self.assertEqual(record["store"].get("reencoded", False), verdict == "same elements", record)
            counted[verdict] += 1
        self.assertEqual(received, {}, "files that no record calls stored")
        return counted

    def test_plain(self):
        files = objects.write_ct_study(self.make_directory("study"), 8)
        storescp = peers.Storescp(self)
        result = self.send(storescp, self.directory / "study")
        self.assertEqual(result.code, 0, result.err)
        self.assertEqual(result.outcomes(), {"stored": len(files)})
        self.assert_arrived(result, storescp)

    def test_mutual_tls(self):
        certificates = peers.Certificates(self.make_directory("tls"))
        files = objects.write_ct_study(self.make_directory("study"), 8)
        storescp = peers.Storescp(self, certificates=certificates)
        result = self.send(storescp, self.directory / "study", certificates=certificates)
        self.assertEqual(result.code, 0, result.err)
        self.assertEqual(result.outcomes(), {"stored": len(files)})
        self.assert_arrived(result, storescp)
        self.assertIn("tls", result.instances[0]["store"]["peer"])

    def test_tls_without_our_certificate(self):
        certificates = peers.Certificates(self.make_directory("tls"))
        objects.write_ct_study(self.make_directory("study"), 2)
        storescp = peers.Storescp(self, certificates=certificates)
        config = self.directory / "kuva.toml"
        peers.write_target(config, "peer", storescp.port, storescp.AE, certificates)
        lines = config.read_text().splitlines(keepends=True)
        config.write_text("".join(line for line in lines if not line.startswith(("certificate_file", "key_file"))))
        result = self.tool("kuva-send", "--config", config, "-t", "peer", "--retries", "0", self.directory / "study")
        self.assertEqual(result.code, 6, result.err)
        self.assertFalse(any(record["ok"] for record in result.instances))
        self.assertEqual(storescp.received(), {})

    def test_several_associations(self):
        first = objects.write_ct_study(self.make_directory("studies/one"), 12)
        second = objects.write_ct_study(self.make_directory("studies/two"), 12)
        storescp = peers.Storescp(self, "--fork")
        result = self.send(storescp, self.directory / "studies", options=("--associations", "2"))
        self.assertEqual(result.code, 0, result.err)
        self.assertEqual(result.outcomes(), {"stored": len(first) + len(second)})
        self.assert_arrived(result, storescp)

    def test_peer_takes_implicit_alone(self):
        objects.write_ct_study(self.make_directory("study"), 4)
        storescp = peers.Storescp(self, "+xi")
        result = self.send(storescp, self.directory / "study")
        self.assertEqual(result.code, 0, result.err)
        self.assertEqual({record["store"]["transferSyntaxUID"] for record in result.instances}, {IMPLICIT})
        self.assertEqual(self.assert_arrived(result, storescp, ("same elements",)), {"same elements": 4})

    def test_peer_prefers_explicit(self):
        objects.write_ct_study(self.make_directory("study"), 4, implicit=True)
        profile = self.directory / "profile.cfg"
        peers.write_storescp_profile(profile, [("1.2.840.10008.5.1.4.1.1.2", [EXPLICIT])])
        storescp = peers.Storescp(self, profile=profile)
        result = self.send(storescp, self.directory / "study")
        self.assertEqual(result.code, 0, result.err)
        self.assertEqual({record["store"]["transferSyntaxUID"] for record in result.instances}, {EXPLICIT})
        self.assert_arrived(result, storescp, ("same elements",))

    def test_refused_sop_class(self):
        objects.write_ct_study(self.make_directory("study"), 3)
        profile = self.directory / "profile.cfg"
        peers.write_storescp_profile(profile, [("1.2.840.10008.5.1.4.1.1.4", [EXPLICIT, IMPLICIT])])
        storescp = peers.Storescp(self, profile=profile)
        result = self.send(storescp, self.directory / "study")
        self.assertEqual(result.code, 3, result.err)
        self.assertEqual({record["error"]["code"] for record in result.instances}, {"negotiate.sop-class"})
        self.assertEqual(storescp.received(), {})

    def test_unknown_called_ae_title_is_the_peers_business(self):
        """storescp --refuse rejects every association: the records carry its own result, source and reason."""
        objects.write_ct_study(self.make_directory("study"), 3)
        storescp = peers.Storescp(self, "--refuse")
        result = self.send(storescp, self.directory / "study", options=("--retries", "0"))
        self.assertIn(result.code, (5, 7), result.err)
        for record in result.instances:
            self.assertFalse(record["ok"])
        self.assertTrue(any(record.get("error", {}).get("code", "").startswith("associate.rejected")
                            for record in result.records), result.out[-2000:])

    def test_dry_run_sends_nothing(self):
        objects.write_ct_study(self.make_directory("study"), 3)
        storescp = peers.Storescp(self)
        result = self.send(storescp, self.directory / "study", options=("--dry-run",))
        self.assertEqual(result.outcomes(), {"planned": 3})
        self.assertEqual(storescp.received(), {})

    @harness.needs_shared("corpus/transfer-syntaxes")
    def test_every_transfer_syntax_arrives(self):
        """A peer that takes all: each file of every transfer syntax arrives bit by bit."""
        files = sorted(each for each in (objects.CORPUS / "transfer-syntaxes").iterdir() if each.is_file())
        uids = [compare_datasets.File(file) for file in files]
        syntaxes = sorted({uid.transfer_syntax for uid in uids} - {""} - peers.UNKNOWN_TO_DCMTK)
        classes = sorted({uid.sop_class for uid in uids} - {""})
        self.assertGreater(len(syntaxes), 10)
        arrived = collections.Counter()
        for number, batch in enumerate(objects.batches(files)):
            profile = self.directory / f"profile{number}.cfg"
            peers.write_storescp_profile(profile, [(uid, syntaxes) for uid in classes])
            storescp = peers.Storescp(self, profile=profile, name=f"storescp{number}")
            objects.link(batch, self.make_directory(f"batch{number}"))
            result = self.send(storescp, self.directory / f"batch{number}")
            self.assert_arrived(result, storescp, ("identical", "padded", "same elements"))
            storescp.process.stop()
            for record in result.instances:
                syntax = record.get("TransferSyntaxUID", "none")
                arrived[syntax, record["outcome"], record.get("error", {}).get("code", "")] += 1
        for (syntax, outcome, code), count in sorted(arrived.items()):
            print(f"    {syntax:28} {outcome:10} {code:28} {count}")
        stored = {syntax for syntax, outcome, _ in arrived if outcome == "stored"}
        self.assertEqual(set(syntaxes) - stored, set(), "transfer syntaxes of which nothing arrived")

    @harness.needs_shared("corpus/transfer-syntaxes")
    def test_refused_transfer_syntaxes(self):
        """storescp as shipped takes uncompressed alone: what is compressed is refused before it is sent."""
        files = sorted(each for each in (objects.CORPUS / "transfer-syntaxes").iterdir() if each.is_file())
        batch = objects.batches(files)[0]
        objects.link(batch, self.make_directory("batch"))
        storescp = peers.Storescp(self)
        result = self.send(storescp, self.directory / "batch")
        self.assertEqual(result.code, 3, result.err)
        self.assert_arrived(result, storescp, ("identical", "padded", "same elements"))
        refused = [record for record in result.instances if record.get("error", {}).get("code") ==
                   "negotiate.transfer-syntax"]
        self.assertGreater(len(refused), 5)
        for record in refused:
            self.assertNotIn(record["TransferSyntaxUID"], compare_datasets.UNCOMPRESSED - {compare_datasets.DEFLATED})
