"""kuva-retrieve by RAD-69 and ITI-43 from a server of the tests' own that answers well and badly."""

import hashlib
import http.server
import pathlib
import re
import socket
import threading
import time

import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

import compare_datasets
import harness
import objects
import peers
from test_retrieve import RetrieveCase

KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"
SOURCE, REPOSITORY = "1.2.3.4.5.69", "1.2.3.4.5.43"
ERROR = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"
STATUS = {"success": "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success",
          "partial": "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess",
          "failure": "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"}


def write_manifest(file, images, location=SOURCE, code="113030"):
    """A key object selection (113030: a manifest) that refers to the images of one series."""
    first = pydicom.dcmread(images[0], stop_before_pixels=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = KEY_OBJECT_SELECTION, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = generate_uid()
    note = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    note.is_little_endian, note.is_implicit_VR = True, False
    note.SOPClassUID, note.SOPInstanceUID = KEY_OBJECT_SELECTION, meta.MediaStorageSOPInstanceUID
    note.StudyInstanceUID, note.SeriesInstanceUID, note.Modality = first.StudyInstanceUID, generate_uid(), "KO"
    note.SeriesNumber, note.InstanceNumber = 1, 1
    for keyword in ("PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "PatientName", "PatientBirthDate",
                    "PatientSex", "StudyDate", "StudyTime", "StudyDescription", "AccessionNumber"):
        if keyword in first:
            setattr(note, keyword, getattr(first, keyword))
    title = Dataset()
    title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning = code, "DCM", "Manifest" if code == "113030" else "Selection"
    note.ValueType, note.ConceptNameCodeSequence = "CONTAINER", Sequence([title])
    references = []
    for image in images:
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = first.SOPClassUID, objects.uid_of(image)
        references.append(reference)
    series, study = Dataset(), Dataset()
    series.SeriesInstanceUID, series.ReferencedSOPSequence = first.SeriesInstanceUID, Sequence(references)
    if location:
        series.RetrieveLocationUID = location
    study.StudyInstanceUID, study.ReferencedSeriesSequence = first.StudyInstanceUID, Sequence([series])
    note.CurrentRequestedProcedureEvidenceSequence = Sequence([study])
    note.save_as(file, write_like_original=False)
    return note.SOPInstanceUID


class Server:
    """Answers ITI-43 and RAD-69 in plain text; `how` is what is wrong with the answer."""

    def __init__(self, case, documents, how=None, piece=None):
        self.documents, self.how, self.piece, self.requests = documents, how, piece, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                outer.answer(self, self.rfile.read(int(self.headers["Content-Length"])))

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/xds"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        case.addCleanup(self.server.server_close)
        case.addCleanup(self.server.shutdown)

    def answer(self, handler, body):
        text = body.decode(errors="replace")
        ids = re.findall(r"DocumentUniqueId>([^<]+)<", text)
        repository = re.search(r"RepositoryUniqueId>([^<]+)<", text).group(1)
        message = re.search(r"MessageID[^>]*>([^<]+)<", text).group(1)
        self.requests.append(ids)
        entries, parts, errors = [], [], []
        for number, uid in enumerate(ids):
            if uid not in self.documents or (self.how == "error" and number == 0):
                errors.append(f'<rs:RegistryError errorCode="XDSDocumentUniqueIdError" codeContext="not here" '
                              f'location="{uid}" severity="{ERROR}"/>')
                continue
            if self.how == "missing" and number == 0:
                continue
            cid = f"{number}.part@test"
            entries.append((uid, cid if self.how != "wrong cid" else cid + "x"))
            parts.append((cid, self.documents[uid]))
            if self.how == "twice" and number == 0:
                entries.append((uid, f"{number}.again@test"))
                parts.append((f"{number}.again@test", self.documents[uid][:-2] + b"\0\1"))
            if self.how == "another" and number == 0:
                parts[-1] = (cid, next(other for key, other in self.documents.items() if key != uid))
        status = STATUS["failure" if not entries else "partial" if errors else "success"]
        listed = f"<rs:RegistryErrorList>{''.join(errors)}</rs:RegistryErrorList>" if errors else ""
        found = "".join(f"<x:DocumentResponse><x:RepositoryUniqueId>{repository}</x:RepositoryUniqueId>"
                        f"<x:DocumentUniqueId>{uid}</x:DocumentUniqueId><x:mimeType>application/dicom</x:mimeType>"
                        f'<x:Document><xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="cid:{cid}"/>'
                        "</x:Document></x:DocumentResponse>" for uid, cid in entries)
        envelope = ('<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
                    'xmlns:a="http://www.w3.org/2005/08/addressing"><s:Header>'
                    '<a:Action s:mustUnderstand="1">urn:ihe:iti:2007:RetrieveDocumentSetResponse</a:Action>'
                    f"<a:RelatesTo>{message}</a:RelatesTo></s:Header><s:Body>"
                    '<x:RetrieveDocumentSetResponse xmlns:x="urn:ihe:iti:xds-b:2007" '
                    'xmlns:rs="urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0">'
                    f'<rs:RegistryResponse status="{status}">{listed}</rs:RegistryResponse>{found}'
                    "</x:RetrieveDocumentSetResponse></s:Body></s:Envelope>").encode()
        pieces = [b'--b\r\nContent-Type: application/xop+xml; charset=UTF-8; type="application/soap+xml"\r\n'
                  b"Content-Transfer-Encoding: binary\r\nContent-ID: <root@test>\r\n\r\n" + envelope]
        pieces += [b"\r\n--b\r\nContent-Type: application/dicom\r\nContent-Transfer-Encoding: binary\r\n"
                   b"Content-ID: <" + cid.encode() + b">\r\n\r\n" + data for cid, data in parts]
        whole = b"".join(pieces) + b"\r\n--b--\r\n"
        handler.send_response(200)
        handler.send_header("Content-Type", 'multipart/related; boundary="b"; type="application/xop+xml"; '
                            'start="<root@test>"; start-info="application/soap+xml"')
        handler.send_header("Content-Length", str(len(whole)))
        handler.end_headers()
        if self.how == "cut" and len(self.requests) == 1:
            handler.wfile.write(whole[:len(whole) // 2])
            handler.wfile.flush()
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        step = self.piece or len(whole)
        for at in range(0, len(whole), step):
            handler.wfile.write(whole[at:at + step])
            if self.piece:
                handler.wfile.flush()


class FromServer(RetrieveCase):
    def setUp(self):
        super().setUp()
        self.sent, self.uid = self.study(5)
        self.documents = {uid: pathlib.Path(file).read_bytes() for uid, file in self.sent.items()}

    def fetch(self, *arguments, how=None, piece=None, location=SOURCE, code=0, keys="", manifest=True):
        self.manifest = self.directory / f"manifest-{time.monotonic_ns()}.dcm"
        self.manifest_uid = write_manifest(self.manifest, list(self.sent.values()), location)
        self.documents[self.manifest_uid] = self.manifest.read_bytes()
        self.documents["1.2.3.cda"] = b"<ClinicalDocument/>"
        self.server = Server(self, self.documents, how, piece)
        config = self.directory / "kuva.toml"
        config.write_text(f"""
[target.xds]
calling_ae = "KUVA"
[target.xds.xds]
security = "plain"
imaging_source_url = "{self.server.url}"
repository_url = "{self.server.url}"
{keys}
""")
        return self.retrieve("--config", config, "-t", "xds", "--out", self.directory / "out", "--retry-delay", "10ms",
                             *arguments, *([self.manifest] if manifest else []), code=code)

    def codes(self, result):
        return {record["error"]["code"] for record in result.instances if not record["ok"]}

    def test_manifest(self):
        result = self.fetch("--chunk", 2)
        self.assert_same(self.sent, result)
        self.assertEqual([len(ids) for ids in self.server.requests], [2, 2, 1])
        self.assertEqual([record["via"] for record in result.of_type("retrieval")], ["rad69"])
        self.assertEqual(dict(self.fetch().outcomes()), {"already-there": 5})

    def test_byte_by_byte(self):
        self.sent = dict(list(self.sent.items())[:1])
        self.assert_same(self.sent, self.fetch(piece=7))

    def test_without_location(self):
        result = self.fetch("--repository", REPOSITORY, location=None)
        self.assert_same(self.sent, result)
        self.assertIn("Retrieve Location UID", result.err)

    def test_errors(self):
        for how, outcomes, code, expected in (
                ("error", {"retrieved": 4, "failed": 1}, {"xds.document-unavailable"}, 3),
                ("missing", {"already-there": 4, "failed": 1}, {"retrieve.not-answered"}, 5),
                ("twice", {"already-there": 4, "failed": 1}, {"retrieve.ambiguous"}, 3),
                ("another", {"already-there": 4, "failed": 1}, {"retrieve.wrong-object"}, 3)):
            with self.subTest(how):
                result = self.fetch("--retries", 0, how=how, code=expected)
                self.assertEqual((dict(result.outcomes()), self.codes(result)), (outcomes, code))

    def test_cut(self):
        self.assert_same(self.sent, self.fetch(how="cut", keys="retries = 0"))
        self.assertEqual(len(self.server.requests), 2)

    def test_documents(self):
        result = self.fetch("--repository", REPOSITORY, "--document", "1.2.3.cda", manifest=False)
        document, = result.of_type("document")
        self.assertEqual(pathlib.Path(document["path"]).read_bytes(), b"<ClinicalDocument/>")
        result = self.fetch("--repository", SOURCE, "--document", self.manifest_uid, manifest=False)
