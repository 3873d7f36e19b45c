"""kuva-query and kuva-retrieve against a sandbox that demands signed assertions: what is sent holds before xmllint and
xmlsec1, what comes back is the same, and what is refused says why."""

import pathlib
import re
import shutil
import subprocess
import sys

import compare_datasets
import harness
from test_web import WebCase
from test_web_faults import rules

VALIDATE = pathlib.Path(__file__).resolve().parent.parent / "validate_messages.py"


@harness.needs("openssl", "xmlsec1", "xmllint")
class Xua(WebCase):
    def setUp(self):
        super().setUp()
        toml = self.sandbox.root / "sandbox.toml"
        text = toml.read_text()
        self.assertIn("demanded = false", text)
        toml.write_text(text.replace("demanded = false", "demanded = true"))

    def begin(self, faults=None):
        if faults is not None:
            file = self.directory / "faults.toml"
            file.write_text(faults)
            toml = self.sandbox.root / "sandbox.toml"
            toml.write_text(f'faults = "{file}"\n' + toml.read_text())
        self.sandbox.start()
        directory = self.write_sample()
        config = ("--config", self.sandbox.config)
        _, committed = self.pipeline(
            ("kuva-send", *config, "-t", "sandbox", directory),
            ("kuva-commit", *config, "-t", "sandbox", "--wait", "20s", "--state", self.directory / "state"))
        self.assertEqual(dict(committed.outcomes()), {"committed": len(self.files)}, committed.err)

    def ask(self, *arguments, target="sandbox-xua", user=True):
        return self.tool("kuva-query", "--config", self.sandbox.config, "-t", target,
                         *(("--user", self.sandbox.root / "user.toml") if user else ()), "--patient", self.patient, *arguments)

    def messages(self, directory):
        """What the checks say of the messages that were kept; the last line counts."""
        done = subprocess.run([sys.executable, VALIDATE, "--trust", self.sandbox.tls / "ca.pem", directory],
                              capture_output=True, text=True, timeout=60, check=False)
        if done.returncode == 77:
            self.skipTest("no schemas in KUVA_SHARED")
        return done.stdout

    def test_round_trip(self):
        self.begin()
        found = self.ask("--save-raw", self.directory / "raw")
        self.assertEqual(found.code, 0, found.err)
        manifest, = found.of_type("document")
        self.assertEqual((manifest["kind"], manifest["StudyInstanceUIDs"]), ("manifest", [self.study]))
        self.assertEqual(self.messages(self.directory / "raw"), "2 messages, 1 assertions, 0 faults\n")

        out = self.directory / "back"
        stages = self.pipeline(
            ("kuva-query", "--config", self.sandbox.config, "-t", "sandbox-xua", "--user", self.sandbox.root / "user.toml",
             "--patient", self.patient),
            ("kuva-retrieve", "--config", self.sandbox.config, "-t", "sandbox-xua", "--user", self.sandbox.root / "user.toml",
             "--out", out))
        self.assertEqual([stage.code for stage in stages], [0, 0], stages[-1].err)
        self.assertEqual(dict(stages[-1].outcomes()), {"retrieved": len(self.files)})
        self.assertEqual([record["via"] for record in stages[-1].of_type("retrieval")], ["rad69"])
        for uid, record in stages[-1].by_uid().items():
            sent, back = compare_datasets.File(self.files[uid]), compare_datasets.File(record["path"])
            self.assertTrue(sent.data == back.data, uid)
            self.assertEqual(sent.meta[0x0010], back.meta[0x0010])

    def test_refusals(self):
        self.begin()
        nobody = self.ask(target="sandbox", user=False)
        self.assertEqual((nobody.code, nobody.of_type("error")[0]["error"]["code"]), (6, "soap.fault.security"))
        self.assertNotIn(self.patient, nobody.err)

        # Signed by a key that nobody trusts.
        stranger = self.directory / "stranger"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=stranger",
                        "-keyout", f"{stranger}.key", "-out", f"{stranger}.pem"], check=True, capture_output=True, timeout=60)
        kept = self.sandbox.tls / "kept"
        kept.mkdir()
        for name in ("signing.pem", "signing.key"):
            shutil.copy(self.sandbox.tls / name, kept)
            shutil.copy(f"{stranger}{pathlib.Path(name).suffix}", self.sandbox.tls / name)
        refused = self.ask()
        self.assertEqual((refused.code, refused.of_type("error")[0]["error"]["code"]), (6, "soap.fault.security"))
        for name in ("signing.pem", "signing.key"):
            shutil.copy(kept / name, self.sandbox.tls)
        self.assertEqual(self.ask().code, 0)

    def test_an_assertion_of_another_message(self):
        """An assertion from a file is sent as it is; changed, it is refused by the service."""
        self.begin()
        self.assertEqual(self.ask("--save-raw", self.directory / "raw").code, 0)
        request, = (self.directory / "raw").glob("*-request.http")
        assertion = re.search(rb"<(\w+:)?Assertion.*</(\w+:)?Assertion>", request.read_bytes(), re.DOTALL).group()
        file = self.directory / "assertion.xml"
        file.write_bytes(assertion)
        self.assertEqual(self.ask("--assertion", file, user=False).code, 0)
        self.assertIn(b"Testaaja Tiina", assertion)
        del self.environment["KUVA_SAVE_RAW"]  # the next message is not to be sound
        file.write_bytes(assertion.replace(b"Testaaja Tiina", b"Testaaja Terttu"))
        changed = self.ask("--assertion", file, user=False)
        self.assertEqual((changed.code, changed.of_type("error")[0]["error"]["code"]), (6, "soap.fault.security"))

    def test_faults(self):
        self.begin(rules("query", {"action": '"clock"', "for": '"10m"', "clock": '"ahead"'}, {"action": '"http-status"'},
                         {"action": '"soap-fault"', "code": '"Receiver"', "reason": '"broken"'},
                         {"action": '"registry-error"', "code": '"XDSUnknownPatientId"'}, {"action": '"partial"'},
                         {"action": '"bare-response"'}, {"action": '"wrong-relates-to"'}, {"action": '"cut"', "after_bytes": "500"}))
        early = self.ask()
        error = early.of_type("error")[0]["error"]
        self.assertEqual((early.code, error["code"]), (6, "soap.fault.security"))
        self.assertTrue(590 <= error["clockSkew"] <= 610, error)
        # 503 with a web page: a read is tried again, and then answered with the next rule.
        outcomes = []
        for _ in range(5):
            answer = self.ask()
            errors = answer.of_type("error")
            outcomes.append((answer.code, errors[0]["error"]["code"] if errors else "-"))
        self.assertEqual(outcomes, [(7, "soap.fault"), (4, "xds.unknown-patient"), (5, "xds.unavailable"), (7, "xds.response"),
                                    (7, "soap.relates-to")])
        self.assertEqual(self.ask().code, 0)
