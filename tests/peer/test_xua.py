"""kuva-query and kuva-retrieve against a sandbox that demands signed assertions: what is sent holds before xmllint and
xmlsec1, what comes back is the same, and what is refused says why."""

import base64
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

    def confirm(self, way):
        config = pathlib.Path(self.sandbox.config)
        head = "[target.sandbox-xua.xua]\n"
        text = re.sub("confirmation = .*\n", "", config.read_text())
        self.assertIn(head, text)
        config.write_text(text.replace(head, f"{head}confirmation = \"{way}\"\n"))

    def kept_request(self, directory):
        """Path, header fields and body of the one request that was kept."""
        request, = directory.glob("*-request.http")
        head, body = request.read_bytes().split(b"\r\n\r\n", 1)
        line, *fields = head.decode().split("\r\n")
        return line.split()[1], dict(field.split(": ", 1) for field in fields), body

    def test_ways_of_confirmation(self):
        self.begin()
        self.ask_and_fetch()

    def ask_and_fetch(self):
        """In both ways that sign the message; where the last question was kept."""
        for way in ("sender-vouches", "holder-of-key"):
            with self.subTest(way):
                self.confirm(way)
                raw = self.directory / f"raw-{way}"
                found = self.ask("--save-raw", raw)
                self.assertEqual(found.code, 0, found.err)
                back = self.tool("kuva-retrieve", "--config", self.sandbox.config, "-t", "sandbox-xua", "--user",
                                 self.sandbox.root / "user.toml", "--out", self.directory / way, stdin=found.out)
                self.assertEqual((back.code, dict(back.outcomes())), (0, {"retrieved": len(self.files)}), back.err)
                # The same message again is taken; with another body only where the body is not signed.
                path, fields, body = self.kept_request(raw)
                fields = {"Content-Type": fields["Content-Type"]}
                self.assertEqual(self.client.request("POST", path, body, fields).status, 200)
                self.assertIn(b"urn:oasis:names:tc:ebxml-regrep:StatusType:Approved", body)
                changed = body.replace(b"StatusType:Approved", b"StatusType:Deprecated")
                answer = self.client.request("POST", path, changed, fields)
                self.assertEqual(answer.status, 400 if way == "sender-vouches" else 200, answer.body)
                if way == "sender-vouches":
                    self.assertIn(b"FailedCheck", answer.body)
                stamped = re.sub(rb"<wsu:Created>\d{4}", b"<wsu:Created>1999", body)
                self.assertNotEqual(stamped, body)
                self.assertEqual(self.client.request("POST", path, stamped, fields).status, 400)
        return raw

    def test_the_key_of_the_holder_by_value(self):
        """An assertion that xmlsec1 signed names the holder's key as a value, not a certificate."""
        self.begin()
        raw = self.ask_and_fetch()
        _, _, body = self.kept_request(raw)
        assertion = re.search(rb"<(\w+:)?Assertion.*</(\w+:)?Assertion>", body, re.DOTALL).group().decode()
        key = self.sandbox.tls / "signing.key"
        value = self.key_value(key)
        data = re.search(r"(<saml:SubjectConfirmationData.*?<ds:KeyInfo[^>]*>)(.*?)(</ds:KeyInfo>)", assertion, re.DOTALL)
        template = assertion.replace(data.group(), data.group(1) + value + data.group(3))
        template = re.sub(r"<ds:DigestValue>[^<]*<", "<ds:DigestValue><", template)
        template = re.sub(r"<ds:SignatureValue>[^<]*<", "<ds:SignatureValue><", template)
        (self.directory / "template.xml").write_text(template)
        file = self.directory / "by-value.xml"
        subprocess.run(["xmlsec1", "--sign", "--privkey-pem", f"{key},{self.sandbox.tls / 'signing.pem'}", "--id-attr:ID",
                        "urn:oasis:names:tc:SAML:2.0:assertion:Assertion", "--output", file, self.directory / "template.xml"],
                       check=True, capture_output=True, timeout=60)
        self.assertIn(value, file.read_text())
        del self.environment["KUVA_SAVE_RAW"]  # the check of messages knows certificates alone
        found = self.ask("--assertion", file, user=False)
        self.assertEqual(found.code, 0, found.err)
        # Another key than the one that the assertion names signs the message.
        other = self.directory / "other"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=other",
                        "-keyout", f"{other}.key", "-out", f"{other}.pem"], check=True, capture_output=True, timeout=60)
        for name in ("signing.pem", "signing.key"):
            shutil.copy(f"{other}{pathlib.Path(name).suffix}", self.sandbox.tls / name)
        refused = self.ask("--assertion", file, user=False)
        self.assertEqual((refused.code, refused.of_type("error")[0]["error"]["code"]), (6, "soap.fault.security"))

    def key_value(self, key):
        text = subprocess.run(["openssl", "pkey", "-in", key, "-noout", "-text", "-pubout"], check=True, capture_output=True,
                              text=True, timeout=60).stdout

        def number(name):
            digits = re.search(rf"^{name}:\n((?:    .*\n)+)", text, re.MULTILINE).group(1)
            return bytes.fromhex(re.sub(r"[\s:]", "", digits))
        if "ASN1 OID: prime256v1" in text:
            return ("<ds:KeyValue><e:ECKeyValue xmlns:e=\"http://www.w3.org/2009/xmldsig11#\"><e:NamedCurve "
                    f"URI=\"urn:oid:1.2.840.10045.3.1.7\"/><e:PublicKey>{base64.b64encode(number('pub')).decode()}"
                    "</e:PublicKey></e:ECKeyValue></ds:KeyValue>")
        modulus = base64.encodebytes(number("modulus").lstrip(b"\0")).decode()
        return (f"<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>{modulus}</ds:Modulus><ds:Exponent>AQAB</ds:Exponent>"
                "</ds:RSAKeyValue></ds:KeyValue>")

    def test_an_assertion_for_another_patient(self):
        self.begin()
        self.assertEqual(self.ask("--save-raw", self.directory / "raw").code, 0)
        _, _, body = self.kept_request(self.directory / "raw")
        file = self.directory / "assertion.xml"
        file.write_bytes(re.search(rb"<(\w+:)?Assertion.*</(\w+:)?Assertion>", body, re.DOTALL).group())
        self.patient = "131052-308T"
        other = self.ask("--assertion", file, user=False)
        self.assertEqual((other.code, other.of_type("error")[0]["error"]["code"]), (6, "soap.fault.security"))
        self.assertIn("another patient", other.of_type("error")[0]["error"]["message"])
