"""kuva-query against a server that is not ours: it replays messages that others wrote, whole and a byte at a time."""

import http.server
import json
import re
import threading
import unittest

import harness

SAMPLES = harness.SHARED / "samples/xds"
PATIENT = "010181-900C"
FAILURE = """<q:AdhocQueryResponse xmlns:q="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
 xmlns:s="urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0" status="urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure">
 <s:RegistryErrorList><s:RegistryError errorCode="%s" codeContext="patient 010181-900C^^^&amp;1.2.246.21&amp;ISO"/>
 </s:RegistryErrorList></q:AdhocQueryResponse>"""
FAULT = """<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Header/><e:Body><e:Fault><e:Code>
 <e:Value>e:Receiver</e:Value></e:Code><e:Reason><e:Text xml:lang="en">out of order</e:Text></e:Reason></e:Fault></e:Body>
</e:Envelope>"""


def enveloped(body):
    body = re.sub(r"^\s*<\?xml[^>]*\?>", "", body)
    return ('<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing">'
            '<e:Header><a:Action>urn:ihe:iti:2007:RegistryStoredQueryResponse</a:Action><a:RelatesTo>x</a:RelatesTo>'
            f'</e:Header><e:Body>{body}</e:Body></e:Envelope>')


class Replay(http.server.ThreadingHTTPServer):
    """Answers each request with the next message of a list, RelatesTo set to the request's MessageID."""

    daemon_threads = True

    def __init__(self, answers, slowly=False):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.slowly, self.requests = list(answers), slowly, []
        self.lock = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        request = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with self.server.lock:
            self.server.requests.append((dict(self.headers), request))
            status, kind, text = self.server.answers.pop(0) if self.server.answers else (500, "text/plain", "nothing left")
        identifier = re.search(r"<[\w]*:?MessageID[^>]*>\s*([^<\s]+)", request).group(1)
        text = re.sub(r"(<(\w+:)?RelatesTo[^>]*>)[^<]*(</)", lambda match: match.group(1) + identifier + match.group(3), text)
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if not self.server.slowly:
            self.wfile.write(data)
            return
        for byte in data:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()


def soap(text):
    return 200, "application/soap+xml; charset=UTF-8", text


def sample(name):
    text = (SAMPLES / name).read_text(encoding="utf-8")
    return soap(text if "Envelope" in text else enveloped(text))


class QueryCase(harness.PeerCase):
    def ask(self, answers, *arguments, slowly=False, transaction="iti-18", form=None):
        """The tool's result; with a form of output other than JSON lines, its exit code and what it printed."""
        server = Replay(answers, slowly)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        config = self.directory / "kuva.toml"
        config.write_text(f"""[target.registry]
host = "127.0.0.1"
port = 1
[target.registry.xds]
query_url = "http://127.0.0.1:{server.server_address[1]}/registry"
query_transaction = "{transaction}"
security = "plain"
retries = 0
transfer_rate = 1000
""")
        self.server = server
        command = ["--config", config, "-t", "registry", *arguments]
        if form:
            return self.run_program(harness.TOOLS / "kuva-query", "--format", form, *command)
        return self.tool("kuva-query", *command, seconds=60)

    def find(self, answers, *arguments, **options):
        return self.ask(answers, "--patient", PATIENT, *arguments, **options)

    def assert_no_patient(self, text):
        self.assertNotIn(PATIENT, text)


@harness.needs_shared("samples/xds")
class Replayed(QueryCase):
    def test_entries(self):
        for slowly in (False, True):
            result = self.find([sample("iti18/epr-response-leafclass.xml")], slowly=slowly)
            self.assertEqual((result.code, result.err), (0, ""))
            [document] = result.of_type("document")
            self.assertEqual(document["mimeType"], "application/fhir+json")
            self.assertEqual(document["size"], 5375)
            self.assertEqual(document["expectedMs"], 5375)
            self.assertTrue(document["homeCommunityId"].startswith("urn:oid:"))
            self.assertEqual(result.summary["query"]["received"], 1)

    def test_request(self):
        self.find([sample("iti18/epr-response-leafclass.xml")], "--images", "--from", "2024-03-31", "--to", "2024-03-31")
        headers, request = self.server.requests[0]
        self.assertTrue(headers["Content-Type"].startswith("application/soap+xml"))
        self.assertIn("urn:ihe:iti:2007:RegistryStoredQuery", request)
        self.assertIn("<rim:Value>'010181-900C^^^&amp;1.2.246.21&amp;ISO'</rim:Value>", request)
        self.assertIn("<rim:Value>20240330220000</rim:Value>", request)
        self.assertIn("<rim:Value>20240331210000</rim:Value>", request)
        self.assertIn("('1.2.840.10008.5.1.4.1.1.88.59^^1.2.840.10008.2.6.1')", request)
        file = self.directory / "request.xml"
        file.write_text(request)
        code, said = self.run_program(harness.ROOT / "tests/validate_messages.py", "--xsd", harness.SHARED / "xsd", file)
        self.assertEqual(code, 0, said)

    def test_through_a_gateway(self):
        result = self.find([sample("iti38/nist-response.xml")])
        self.assertEqual(result.code, 7, "its Action is that of ITI-38, and ITI-18 was asked")
        self.assertEqual(result.of_type("error")[0]["error"]["code"], "soap.action")
        result = self.find([sample("iti38/nist-response.xml")], transaction="iti-38")
        self.assertEqual((result.code, result.err), (0, ""))
        self.assertEqual(len(result.of_type("document")), 2)
        self.assertIn("urn:ihe:iti:2007:CrossGatewayQuery", self.server.requests[0][1])

    def test_forms(self):
        answer = sample("iti18/epr-response-leafclass.xml")
        code, text = self.find([answer], "--columns", "time,utc,mime,size", form="text")
        self.assertEqual(code, 0, text)
        self.assertRegex(text, r"time +utc +mime +size\n.*application/fhir\+json +5\.4 kB\ndone +1 seen: 1 found ")
        code, text = self.find([answer], "--timeline", form="text")
        self.assertEqual(code, 0, text)
        code, text = self.find([answer], form="fhir")
        bundle = json.loads(text)
        self.assertEqual((code, bundle["resourceType"], bundle["total"]), (0, "Bundle", 1))
        self.assertEqual(bundle["entry"][0]["resource"]["content"][0]["attachment"]["size"], 5375)
        code, text = self.find([answer], form="ehn")
        self.assertEqual((code, len(json.loads(text)["reports"])), (0, 1))

    def test_references(self):
        result = self.find([sample("iti18/nist-response-objectref-body.xml")], "--returns", "ObjectRef")
        self.assertEqual(result.code, 0)
        self.assertEqual(len(result.of_type("registry-object")), 6)
        self.assertEqual(result.summary["seen"], 6)

    def test_pages(self):
        result = self.find([sample("iti18/nist-response-objectref-body.xml"), sample("iti18/epr-response-leafclass.xml"),
                            sample("iti18/epr-response-leafclass.xml")], "--page", "4")
        self.assertEqual(result.code, 0)
        self.assertEqual(len(self.server.requests), 3)
        self.assertEqual(result.summary["query"], {**result.summary["query"], "received": 2, "found": 1, "superseded": 1})

    def test_entry_without_status(self):
        result = self.find([sample("iti18/nist-response-nostatus-on-entry-body.xml")])
        self.assertEqual(result.code, 0)
        self.assertIn("document entry 1: no status", result.summary["query"]["deviations"])


class Refused(QueryCase):
    def refused(self, answer, code, exit_code):
        result = self.find([answer])
        self.assertEqual(result.code, exit_code, result.err)
        [record] = result.of_type("error")
        self.assertEqual(record["error"]["code"], code)
        self.assert_no_patient(result.err)
        self.assert_no_patient(json.dumps(record))
        return record["error"]

    def test_registry_errors(self):
        for registry_code, code, exit_code in (("XDSRegistryBusy", "xds.busy", 5), ("XDSUnknownPatientId", "xds.unknown-patient", 4),
                                               ("XDSStoredQueryMissingParam", "xds.query-refused", 7),
                                               ("KelaOwnCode", "xds.refused", 7)):
            error = self.refused(soap(enveloped(FAILURE % registry_code)), code, exit_code)
            self.assertEqual(error["registryErrors"][0]["errorCode"], registry_code)

    def test_fault(self):
        error = self.refused((500, "application/soap+xml", FAULT), "soap.fault", 7)
        self.assertIn("out of order", error["message"])

    def test_html(self):
        self.refused((503, "text/html", "<html><body><h1>Down for <b>maintenance</b></h1></body></html>"), "http.unavailable", 5)

    def test_nothing(self):
        nothing = FAILURE.replace("Failure", "Success").split("<s:RegistryErrorList>")[0] + "</q:AdhocQueryResponse>"
        result = self.find([soap(enveloped(nothing))])
        self.assertEqual(result.code, 4)
        self.assertEqual(result.summary["seen"], 0)

    def test_wrong_patient_is_not_asked_for(self):
        result = self.ask([], "--patient", "010181-900D")
        self.assertEqual(result.code, 2)
        self.assertEqual(self.server.requests, [])
        self.assertNotIn("010181-900D", result.err)


if __name__ == "__main__":
    unittest.main()
