"""kuva-query against answers that others wrote, replayed whole and byte by byte by a server that is not ours."""

import unittest

from harness import SHARED, TOOLS, PeerCase, needs, needs_shared
from replay import ReplayServer, answer, related

import validate_messages  # tests/validate_messages.py, on the path that harness makes

SAMPLES = SHARED / "samples" / "xds"
SOAP = "application/soap+xml; charset=UTF-8"


@unittest.skipUnless((TOOLS / "kuva-query").exists(), "kuva-query is not built")
@needs_shared("samples/xds")
class Replay(PeerCase):
    def query(self, server, *arguments):
        self.addCleanup(server.close)
        (self.directory / "kuva.toml").write_text(
            f'[target.x.xds]\nquery_url = "{server.url}"\nsecurity = "plain"\nretries = 1\n'
            "[target.x.xds.timeouts]\nfirst_byte = \"2s\"\nidle = \"2s\"\n", encoding="utf-8")
        return self.tool("kuva-query", "-t", "x", "--patient", "test^^^&1.2.3&ISO", "--no-id-check", *arguments)

    def sample(self, name):
        return (SAMPLES / name).read_bytes()

    def test_whole_chunked_and_byte_by_byte(self):
        sample = self.sample("iti18/epr-response-leafclass.xml")
        found = []
        for piece, chunked in ((0, False), (0, True), (1, False), (7, True)):
            result = self.query(ReplayServer(lambda request: answer(200, SOAP, related(sample, request), chunked), piece=piece))
            self.assertEqual(result.code, 0, result.err)
            documents = result.of_type("document")
            self.assertTrue(documents)
            found.append([{key: value for key, value in record.items() if key != "time"} for record in documents])
        self.assertTrue(all(each == found[0] for each in found))

    @needs("xmllint")
    def test_requests_are_valid(self):
        sample = self.sample("iti18/epr-response-leafclass.xml")
        server = ReplayServer(lambda request: answer(200, SOAP, related(sample, request)))
        self.query(server)
        self.assertTrue(server.requests)
        for _, fields, body in server.requests:
            self.assertEqual(validate_messages.schema_faults(body, SHARED / "xsd"), [])
            self.assertIn('action="urn:ihe:iti:2007:RegistryStoredQuery"', fields["Content-Type"])
            for absent in ("Expect", "Accept-Encoding", "SOAPAction"):
                self.assertNotIn(absent, fields)

    def error_of(self, *answers, **options):
        server = ReplayServer(*answers, **options)
        result = self.query(server)
        errors = [record["error"] for record in result.records if "error" in record]
        self.assertTrue(errors, result.err)
        return result.code, errors[0]["code"], server

    def test_an_answer_to_another_request(self):
        sample = self.sample("iti18/epr-response-leafclass.xml")
        code, error, server = self.error_of(lambda request: answer(200, SOAP, sample))
        self.assertEqual((code, error, len(server.requests)), (7, "soap.relates-to", 1))

    def test_a_busy_gateway_is_asked_again_with_another_id(self):
        code, error, server = self.error_of(lambda request: answer(503, "text/html", b"<html><h1>Later</h1></html>"))
        self.assertEqual((code, error), (5, "http.unavailable"))
        self.assertEqual(len(set(server.message_ids())), 2)

    def test_a_web_page(self):
        code, error, _ = self.error_of(lambda request: answer(200, "text/html", b"<html>Welcome</html>"))
        self.assertEqual((code, error), (7, "soap.not-soap"))

    def test_a_cut_answer(self):
        sample = self.sample("iti18/epr-response-leafclass.xml")
        code, error, server = self.error_of(lambda request: answer(200, SOAP, related(sample, request))[:-100])
        self.assertEqual((code, error, len(server.requests)), (5, "connection.lost", 2))


if __name__ == "__main__":
    unittest.main()
