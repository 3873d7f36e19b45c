#!/usr/bin/python3
"""The validation of messages must itself be able to fail."""
import os
import pathlib
import unittest

from validate_messages import NotXml, ROOT, check, message_of

SCHEMAS = pathlib.Path(os.environ.get("KUVA_SHARED") or ROOT.parent / "shared") / "xsd"
RESPONSE = (b'<rs:RegistryResponse xmlns:rs="urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0" '
            b'status="urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"/>')
MULTIPART = (b'HTTP/1.1 200 OK\r\nContent-Type: multipart/related; boundary="b"; start="<root>";\r\n'
             b' type="application/xop+xml"\r\n\r\n'
             b"--b\r\nContent-ID: <1>\r\n\r\n\x00\x01<no/>\r\n--b\r\nContent-ID: <root>\r\n\r\n" + RESPONSE + b"\r\n--b--\r\n")


class FindsTheMessage(unittest.TestCase):
    def test_forms(self):
        plain = b"POST / HTTP/1.1\r\nContent-Type: application/soap+xml; charset=UTF-8\r\n\r\n" + RESPONSE
        for data in (RESPONSE, b"\xef\xbb\xbf" + RESPONSE, plain, plain.replace(b"\r\n", b"\n"), MULTIPART):
            self.assertEqual(message_of(data), RESPONSE)

    def test_what_is_none(self):
        for data in (b"", b"HTTP/1.1 503 Busy\r\nContent-Type: text/html\r\n\r\n<html/>",
                     MULTIPART.replace(b' boundary="b";', b"")):
            self.assertRaises(NotXml, message_of, data)


@unittest.skipUnless((SCHEMAS / "all.xsd").exists(), "no schemas in KUVA_SHARED")
class HoldsItAgainstTheSchemas(unittest.TestCase):
    def test_a_sound_message(self):
        self.assertEqual(check(RESPONSE, SCHEMAS), (0, []))

    def test_faults(self):
        for broken in (RESPONSE.replace(b"status=", b"state="), RESPONSE.replace(b"/>", b"><rs:Other/></rs:RegistryResponse>")):
            self.assertTrue(check(broken, SCHEMAS)[1])

    def test_an_assertion_without_a_signature(self):
        assertion = (b'<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_1" Version="2.0" '
                     b'IssueInstant="2026-01-01T00:00:00Z"><saml:Issuer>i</saml:Issuer><saml:Subject><saml:NameID>n'
                     b"</saml:NameID></saml:Subject></saml:Assertion>")
        self.assertEqual(check(assertion, SCHEMAS), (1, ["an assertion without a signature"]))

    def test_a_changed_assertion(self):
        sample = SCHEMAS.parent / "samples" / "xds" / "xua" / "nhn-assertion-kj.stripped.xml"
        if not sample.exists():
            self.skipTest("no samples in KUVA_SHARED")
        sound = sample.read_bytes()
        self.assertEqual(check(sound, SCHEMAS), (1, []))
        changed = sound.replace(b"TREAT", b"ETREAT")
        self.assertTrue(changed != sound)
        self.assertTrue(check(changed, SCHEMAS)[1])


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    wrong, skipped = len(result.failures) + len(result.errors), len(result.skipped)
    for test, reason in result.skipped:
        print(f"skipped: {test.id()}: {reason}")
    print(f"{result.testsRun - wrong - skipped} passed, {wrong} failed, {skipped} skipped")
    raise SystemExit(1 if wrong else 0)
