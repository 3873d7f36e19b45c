"""kuva-retrieve against answers that others wrote (ITI-43, ITI-39, RAD-69), replayed whole and byte by byte."""

import pathlib
import re

import pydicom
from pydicom.dataset import Dataset

import harness
import validate_messages
from replay import ReplayServer, answer, related
from test_retrieve import RetrieveCase
from test_retrieve_xds import write_manifest

SAMPLES = harness.SHARED / "samples" / "xds"
SOAP = "application/soap+xml; charset=UTF-8"
PIECES = ((0, False), (0, True), (1, False), (7, True))


def enveloped(body):
    """A sample that is a body alone, as a message."""
    body = re.sub(rb"^<\?xml[^>]*\?>\s*", b"", body)
    return (b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing">'
            b"<s:Header><a:Action>urn:ihe:iti:2007:RetrieveDocumentSetResponse</a:Action><a:RelatesTo>x</a:RelatesTo>"
            b"</s:Header><s:Body>" + body + b"</s:Body></s:Envelope>")


def with_part(message, content):
    """The body of a multipart message whose one part is what the message's xop:Include names."""
    cid = re.search(rb'href="cid:([^"]+)"', message)[1]
    return (b'--edge\r\nContent-Type: application/xop+xml; charset=UTF-8; type="application/soap+xml"\r\n'
            b"Content-ID: <root>\r\n\r\n" + message + b"\r\n--edge\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Transfer-Encoding: binary\r\nContent-ID: <" + cid + b">\r\n\r\n" + content + b"\r\n--edge--\r\n")


MULTIPART = 'multipart/related; boundary="edge"; type="application/xop+xml"; start="<root>"; start-info="application/soap+xml"'


@harness.needs_shared("samples/xds")
class Samples(RetrieveCase):
    def sample(self, name):
        return (SAMPLES / name).read_bytes()

    def ask(self, server, *arguments, code, keys=""):
        self.addCleanup(server.close)
        self.out = self.make_directory(f"out-{server.port}")
        config = self.directory / "kuva.toml"
        config.write_text(f'[target.x]\ncalling_ae = "KUVA"\n[target.x.xds]\nsecurity = "plain"\nrepository_url = "{server.url}"\n'
                          f'imaging_source_url = "{server.url}"\n{keys}', encoding="utf-8")
        return self.retrieve("--config", config, "-t", "x", "--out", self.out, "--retry-delay", "10ms", "--retries", 0,
                             *arguments, code=code)

    def manifest_of(self, *uids):
        """A manifest of one series with these instances."""
        files = []
        for uid in uids:
            image = Dataset()
            image.SOPClassUID, image.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", uid
            image.StudyInstanceUID, image.SeriesInstanceUID = "1.2.3.4", "1.2.3.4.5"
            image.is_little_endian, image.is_implicit_VR = True, False
            image.file_meta = pydicom.dataset.FileMetaDataset()
            image.file_meta.MediaStorageSOPClassUID, image.file_meta.MediaStorageSOPInstanceUID = image.SOPClassUID, uid
            image.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
            files.append(self.directory / f"{uid}.dcm")
            pydicom.dcmwrite(files[-1], image, write_like_original=False)
        manifest = self.directory / "manifest.kos"
        write_manifest(manifest, files)
        return manifest

    def test_instances_that_are_missing(self):
        sample = self.sample("rad69/mint-backed-server-not-found.xml")
        uids = [uid.decode() for uid in re.findall(rb'location="([^"]+)"', sample)]
        manifest = self.manifest_of(*uids)
        for piece, chunked in PIECES:
            server = ReplayServer(lambda request: answer(200, SOAP, related(sample, request), chunked), piece=piece)
            result = self.ask(server, manifest, code=3)
            self.assertEqual({uid: record["error"]["message"].split(":")[0] for uid, record in result.by_uid().items()},
                             dict.fromkeys(uids, "XDSMissingDocument"))

    def test_errors_of_an_imaging_source(self):
        """The error list names no document, but the context of an error may."""
        for case in sorted((SAMPLES / "rad69" / "cases").glob("*-expected-response.xml")):
            with self.subTest(case.name):
                request = case.with_name(case.name.replace("-expected-response", "-request")).read_bytes()
                uids = [uid.decode() for uid in re.findall(rb"<\w+:DocumentUniqueId>([^<]+)<", request)]
                sample = enveloped(case.read_bytes())
                expected = re.search(rb'errorCode="([^"]+)"', sample)[1].decode()
                server = ReplayServer(lambda got: answer(200, SOAP, related(sample, got)), piece=1)
                result = self.ask(server, self.manifest_of(*uids), code=3 if expected == "XDSDocumentUniqueIdError" else 7)
                self.assertEqual({record["error"]["message"].split(":")[0] for record in result.instances}, {expected})

    def test_partial_success(self):
        """One instance came, of another the error says so in its context alone."""
        sample = self.sample("rad69/golden-partialsuccess.xml")
        here = re.search(rb"<\w+:DocumentUniqueId>([^<]+)<", sample)[1].decode()
        gone = re.search(rb"composite UID \[[^:]+:[^:]+:([^\]]+)\]", sample)[1].decode()
        manifest = self.manifest_of(here, gone)
        image = (self.directory / f"{here}.dcm").read_bytes()
        message = enveloped(sample).replace(
            b">...<", b'><i:Include xmlns:i="http://www.w3.org/2004/08/xop/include" href="cid:1@there"/><')
        for piece, chunked in PIECES:
            server = ReplayServer(lambda got: answer(200, MULTIPART, with_part(related(message, got), image), chunked), piece=piece)
            result = self.ask(server, manifest, code=3)
            self.assertEqual(dict(result.outcomes()), {"retrieved": 1, "failed": 1})
            self.assertEqual(pathlib.Path(result.by_uid()[here]["path"]).read_bytes(), image)
            self.assertIn("XDSDocumentUniqueIdError", result.by_uid()[gone]["error"]["message"])

    def test_a_document_in_a_part(self):
        sample = self.sample("iti43/epr-response-soap-part.xml")
        content = b"%PDF-1.4 --edge\r\n-edge\r\n--edg\r\n" + bytes(range(256)) * 20
        found = [re.search(rb"%sUniqueId>([^<]+)<" % name, sample)[1].decode() for name in (b"Document", b"Repository")]
        for piece, chunked in PIECES:
            server = ReplayServer(lambda got: answer(200, MULTIPART, with_part(related(sample, got), content), chunked), piece=piece)
            result = self.ask(server, "--document", found[0], "--repository", found[1], code=0)
            record, = result.of_type("document")
            self.assertEqual((record["outcome"], pathlib.Path(record["path"]).suffix), ("retrieved", ".pdf"))
            self.assertEqual(pathlib.Path(record["path"]).read_bytes(), content)

    def test_a_document_in_the_answer(self):
        """The same document twice, and the same: as one. In a gateway's answer that says Failure nothing counts."""
        for name, keys, code in (("iti39/nist-response.xml", 'document_transaction = "iti-39"\n', 0),
                                 ("iti39/nist-response-no-home.xml", 'document_transaction = "iti-39"\n', 7)):
            sample = self.sample(name)
            for piece, chunked in PIECES:
                server = ReplayServer(lambda got: answer(200, SOAP, related(sample, got), chunked), piece=piece)
                result = self.ask(server, "--document", "1.3.6.1.4.2300", "--repository", "1.3.6.1.4.1000", "--home",
                                  "urn:oid:1.2.3", code=code, keys=keys)
                record, = result.of_type("document")
                if code == 0:
                    self.assertEqual(pathlib.Path(record["path"]).read_bytes(), b"R0lGODlhcgGSALMAAAQCAEMmCZtuMFQxDS8b")
                else:
                    self.assertIn("MyBigError", record["error"]["message"])

    def test_manifests_that_were_registered(self):
        """The key object selections of RAD-68 requests, given out by ITI-43: their instances are asked for, one by one."""
        sample = self.sample("iti43/epr-response-soap-part.xml")
        failure = enveloped((SAMPLES / "rad69/cases/02-Unknown_SOP_Instance_UID-expected-response.xml").read_bytes())
        ids = [re.search(rb"%sUniqueId>([^<]+)<" % name, sample)[1].decode() for name in (b"Document", b"Repository")]
        asked = 0
        for number in (1, 4):
            body = self.sample(f"rad68/kos-{number}-request-body.bin")
            at = body.find(b"DICM")
            if at < 0:
                continue
            content = body[at - 128:body.rindex(b"\r\n--")]
            server = ReplayServer(lambda got: answer(200, MULTIPART, with_part(related(sample, got), content)),
                                  lambda got: answer(200, SOAP, related(failure, got)))
            result = self.ask(server, "--document", ids[0], "--repository", ids[1], code=3)
            file = self.directory / "given.dcm"
            file.write_bytes(content)
            evidence = pydicom.dcmread(file, force=True).CurrentRequestedProcedureEvidenceSequence
            wanted = {str(image.ReferencedSOPInstanceUID) for study in evidence for series in study.ReferencedSeriesSequence
                      for image in series.ReferencedSOPSequence}
            self.assertEqual(set(result.by_uid()), wanted)
            sent = {uid.decode() for _, _, request in server.requests[1:] for uid in
                    re.findall(rb"<\w+:DocumentUniqueId>([^<]+)<", validate_messages.message_of(
                        b"Content-Type: " + server.requests[1][1]["Content-Type"].encode() + b"\r\n\r\n" + request))}
            self.assertEqual(sent, wanted)
            asked += 1
        self.assertGreater(asked, 0)
