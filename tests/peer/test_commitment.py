"""Storage commitment: full, partial and failed; both ways of reporting of the sandbox; Orthanc's own association."""

import harness
import objects
import peers

COUNT = 6


class Checks:
    """The same three stories for each archive; a subclass makes one and says how an instance gets lost in it."""

    def test_full(self):
        files = self.write_study()
        sent = self.send(self.directory / "study")
        result = self.commit(sent)
        self.assertEqual(result.code, 0, result.err + self.archive.process.tail())
        self.assertEqual(result.outcomes(), {"committed": len(files)})
        for record in result.instances:
            self.assertTrue(record["commit"]["transactionUID"])
            self.assertEqual(record["store"]["status"], "0000")

    def test_partial(self):
        files = self.write_study()
        sent = self.send(self.directory / "study")
        lost = objects.uid_of(files[2])
        self.archive.delete(lost)
        result = self.commit(sent)
        self.assertEqual(result.code, 3, result.err)
        self.assertEqual(result.outcomes(), {"committed": len(files) - 1, "failed": 1})
        record = result.by_uid()[lost]
        self.assertFalse(record["ok"])
        self.assertEqual(record["error"]["code"], "commit.failed.no-such-instance")
        self.assertEqual(record["commit"]["failureReason"], "0112")

    def test_failed(self):
        files = self.write_study()
        sent = self.send(self.directory / "study")
        for file in files:
            self.archive.delete(objects.uid_of(file))
        result = self.commit(sent)
        self.assertEqual(result.code, 3, result.err)
        self.assertEqual(result.outcomes(), {"failed": len(files)})

    def write_study(self):
        return objects.write_ct_study(self.make_directory("study"), COUNT)

    def send(self, *paths):
        result = self.tool("kuva-send", "--config", self.config, "-t", self.target, *paths)
        self.assertEqual(result.code, 0, result.err)
        self.assert_adds_up(result, COUNT)
        return result

    def commit(self, sent, *options, code=None):
        result = self.tool("kuva-commit", "--config", self.config, "-t", self.target, "--wait", "30s", "--state",
                           self.directory / "state", *options, stdin=sent.out)
        self.assert_adds_up(result, len(sent.instances))
        return result


@harness.needs("openssl")
class SandboxNewAssociation(Checks, harness.PeerCase):
    TLS = False
    REPORT_ON = "new-association"

    def setUp(self):
        super().setUp()
        self.archive = peers.Sandbox(self, report_on=self.REPORT_ON)
        self.archive.start()
        self.config = self.archive.config
        self.target = "sandbox" if self.TLS else "sandbox-plain"


class SandboxNewAssociationTls(SandboxNewAssociation):
    TLS = True


class SandboxSameAssociation(SandboxNewAssociation):
    REPORT_ON = "same-association"


class SandboxSameAssociationTls(SandboxNewAssociation):
    TLS = True
    REPORT_ON = "same-association"


class SandboxLate(harness.PeerCase):
    """The archive reports later than we wait."""

    def test_pending_then_resumed(self):
        archive = peers.Sandbox(self, report_on="new-association", report_delay="4s")
        archive.start()
        files = objects.write_ct_study(self.make_directory("study"), COUNT)
        common = ("--config", archive.config, "-t", "sandbox", "--state", self.directory / "state")
        sent = self.tool("kuva-send", "--config", archive.config, "-t", "sandbox", *files)
        first = self.tool("kuva-commit", *common, "--wait", "1s", "--grace", "100ms", stdin=sent.out)
        self.assertEqual(first.code, 5, first.err)
        self.assertEqual(first.outcomes(), {"pending": COUNT})
        self.assert_adds_up(first, COUNT)
        second = self.tool("kuva-commit", *common, "--wait", "60s", "--resume", stdin=None)
        self.assertEqual(second.code, 0, second.err)
        self.assertEqual(second.outcomes(), {"committed": COUNT})


class Refusals(harness.PeerCase):
    def test_records_that_failed_pass_unchanged(self):
        """An object that was refused is not asked about."""
        archive = peers.Sandbox(self)
        archive.start()
        files = objects.write_ct_study(self.make_directory("study"), 3)
        files[1].write_bytes(files[1].read_bytes()[:-500])
        checked = self.tool("kuva-validate", *files)
        self.assertEqual(checked.code, 3)
        sent = self.tool("kuva-send", "--config", archive.config, "-t", "sandbox", stdin=checked.out)
        self.assertEqual(sent.outcomes(), {"stored": 2, "invalid": 1})
        result = self.tool("kuva-commit", "--config", archive.config, "-t", "sandbox", "--wait", "30s", "--state",
                           self.directory / "state", stdin=sent.out)
        self.assertEqual(result.code, 3)
        self.assertEqual(result.outcomes(), {"committed": 2, "invalid": 1})
        before = next(record for record in checked.instances if not record["ok"])
        after = next(record for record in result.instances if not record["ok"])
        self.assertEqual(before, after)


@harness.needs("openssl")
class OrthancPlain(Checks, harness.PeerCase):
    TLS = False

    def setUp(self):
        super().setUp()
        if peers.ORTHANC_PROGRAM is None:
            self.skipTest("Orthanc is not installed")
        certificates = peers.Certificates(self.make_directory("tls")) if self.TLS else None
        report_port, = harness.free_ports(1)
        self.archive = peers.Orthanc(self, certificates, report_port)
        self.config = self.directory / "kuva.toml"
        self.target = "orthanc"
        peers.write_target(self.config, self.target, self.archive.port, self.archive.AE, certificates, report_port)


class OrthancTls(OrthancPlain):
    TLS = True
