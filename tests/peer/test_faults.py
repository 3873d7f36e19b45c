"""DCMTK's senders meet faults of the sandbox: what it does wrong, and what it then has, is what its transcript says."""

import json

import harness
import objects
import peers

FAULTS = """
[[fault]]
on = "connect"
action = "tls"
tls = "expired"
times = 1

[[fault]]
on = "store"
action = "status"
security = "plain"
status = "A700"
nth = 2
"""


@harness.needs("storescu")
class Cases(harness.PeerCase):
    def setUp(self):
        super().setUp()
        (self.directory / "faults.toml").write_text(FAULTS)
        objects.write_ct_study(self.make_directory("study"), 3)
        self.sandbox = peers.Sandbox(self, faults=self.directory / "faults.toml")
        self.sandbox.process = self.start("sandbox", [harness.TOOLS / "kuva-sandbox", "--format", "json",
                                                      self.sandbox.root], environment=harness.TOOL_ENVIRONMENT)
        # The first connection to the TLS port is the one with the fault: it is not to be the test's own.
        self.sandbox.process.wait_for_port(self.sandbox.port)

    def storescu(self, calling, port, *options):
        return self.run_program("storescu", "-to", "5", "-ta", "5", "-td", "5", "-aet", calling, "-aec", peers.Sandbox.AE,
                                *options, "127.0.0.1", port, "+sd", self.directory / "study")

    def events(self):
        return [json.loads(line) for line in self.sandbox.transcript.read_text().splitlines()]

    def test_expired_certificate(self):
        tls = self.sandbox.tls
        options = ("+tls", tls / "client.key", tls / "client.pem", "+cf", tls / "ca.pem")
        code, said = self.storescu("KUVA", self.sandbox.tls_port, *options)
        self.assertNotEqual(code, 0, said)
        self.assertIn("certificate verify failed", said)
        failed = [event for event in self.events() if event["event"] == "tls-failed"]
        self.assertEqual([event["error"]["code"] for event in failed], ["tls.own-certificate-refused"])
        self.assertEqual(failed[0]["peer"]["address"], "127.0.0.1")
        code, said = self.storescu("KUVA", self.sandbox.tls_port, *options)
        self.assertEqual(code, 0, said)
        self.assertEqual(len(self.sandbox.stored_files()), 3)

    def test_refused_object(self):
        code, said = self.storescu(peers.Sandbox.CALLING_AE, self.sandbox.port)
        self.assertNotEqual(code, 0, said)
        self.assertEqual(len(self.sandbox.stored_files()), 1)
        self.assertEqual([event["fault"] for event in self.events() if event["event"] == "fault"], ["store-status"])
