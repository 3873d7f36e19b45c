"""DCMTK's findscu, movescu and getscu against kuva-sandbox, plain and over TLS; rejection notes made with pydicom.

movescu and getscu have no TLS: they go through a tunnel of ours, and the sandbox's own association to the move
destination is over TLS where that wants it.
"""

import json
import re
import socket
import ssl
import struct
import threading
import warnings

import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

import compare_datasets
import harness
import objects
import peers

KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"


class TlsTunnel:
    """A plain port on 127.0.0.1 whose connections go on over TLS."""

    def __init__(self, case, port, tls):
        self.context = ssl.create_default_context(cafile=str(tls / "ca.pem"))
        self.context.load_cert_chain(str(tls / "client.pem"), str(tls / "client.key"))
        self.to = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        case.addCleanup(self.listener.close)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(plain,), daemon=True).start()

    def serve(self, plain):
        with plain, self.context.wrap_socket(socket.create_connection(("localhost", self.to)),
                                             server_hostname="localhost") as secure:
            back = threading.Thread(target=self.copy, args=(secure, plain), daemon=True)
            back.start()
            self.copy(plain, secure)
            back.join(30)

    @staticmethod
    def copy(source, destination):
        try:
            while data := source.recv(65536):
                destination.sendall(data)
        except OSError:
            pass
        for end in (source, destination):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class QueryCase(harness.PeerCase):
    """A sandbox; DCMTK's programs reach it as KUVAPLAIN."""

    KEYS = {}
    EXTRA = ""

    def setUp(self):
        super().setUp()
        self.sandbox = peers.Sandbox(self, durable=False, **self.KEYS)
        self.config = self.sandbox.root / "sandbox.toml"
        text = self.config.read_text() + self.EXTRA
        self.config.write_text(text)
        self.plain_listen = int(re.findall(r"port = (\d+)", text)[-1])

    def send(self, *paths, code=0):
        result = self.tool("kuva-send", "--config", self.sandbox.config, "-t", "sandbox-plain", *paths)
        self.assertEqual(result.code, code, result.err)
        return result

    def scu(self, program, *arguments, port=None, keys=(), seconds=120, calling=None):
        queries = [part for key in keys for part in ("-k", key)]
        return self.run_program(program, "-v", *arguments, "-aet", calling or self.sandbox.CALLING_AE, "-aec",
                                self.sandbox.AE, *queries, "127.0.0.1", port or self.sandbox.port, seconds=seconds)

    def find(self, *keys, options=("-S",), port=None, calling=None):
        """The matches as pydicom data sets, and findscu's output."""
        directory = self.directory / f"found-{len(list(self.directory.glob('found-*')))}"
        directory.mkdir()
        code, output = self.scu("findscu", *options, "-X", "-od", directory, keys=keys, port=port, calling=calling)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            matches = [pydicom.dcmread(file, force=True) for file in sorted(directory.iterdir())]
        return matches, output

    def values(self, keyword, *keys, **options):
        return sorted(str(match.get(keyword, "")) for match in self.find(*keys, **options)[0])


@harness.needs("findscu", "openssl")
class Find(QueryCase):
    def setUp(self):
        super().setUp()
        self.sandbox.start()
        self.files = objects.write_ct_study(self.make_directory("study"), 3)
        self.other = objects.write_ct_study(self.make_directory("other"), 2)
        for file in self.other:
            image = pydicom.dcmread(file)
            image.PatientName, image.PatientID, image.StudyDate = "Malli^Matti", "020202-0202", "20230101"
            image.AccessionNumber, image.StudyTime = "OTHER", "081500"
            image.save_as(file)
        self.send(self.directory / "study", self.directory / "other")
        image = pydicom.dcmread(self.files[0])
        self.study, self.series = image.StudyInstanceUID, image.SeriesInstanceUID
        self.uids = sorted(objects.uid_of(file) for file in self.files)

    def test_studies_by_each_kind_of_matching(self):
        level = "QueryRetrieveLevel=STUDY"
        both = ["OTHER", "PEER1"]
        for expected, *keys in [
                (both, "StudyInstanceUID"), (["PEER1"], f"StudyInstanceUID={self.study}"),
                (["PEER1"], f"StudyInstanceUID={self.study}\\1.2.3"),
                (["PEER1"], "PatientID=010101-0101"), (both, "PatientID=0*"), (["OTHER"], "PatientID=?2*2"),
                (["PEER1"], "StudyDate=20240229"), (["OTHER"], "StudyDate=-20231231"),
                (["PEER1"], "StudyDate=20240101-"), (both, "StudyDate=20230101-20240229"),
                ([], "StudyDate=20250101-20251231"), (["OTHER"], "StudyTime=0800-0900"),
                (["OTHER"], "PatientName=MALLI*"), (["OTHER"], "PatientName=malli^matti"),
                (["PEER1"], "SpecificCharacterSet=ISO_IR 192", "PatientName=KOE^äÄnikki"),
                (["PEER1"], "AccessionNumber=PEER?"), ([], "AccessionNumber=peer1"),
                (both, "ModalitiesInStudy=CT"), ([], "ModalitiesInStudy=MR")]:
            with self.subTest(keys):
                asked = [key for key in keys if not key.startswith("AccessionNumber")]
                own = [key for key in keys if key.startswith("AccessionNumber")] or ["AccessionNumber"]
                self.assertEqual(self.values("AccessionNumber", level, *asked, *own), expected)

    def test_what_is_returned(self):
        found, output = self.find(
            "QueryRetrieveLevel=STUDY", f"StudyInstanceUID={self.study}", "PatientName", "PatientBirthDate",
            "ModalitiesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "InstanceAvailability",
            "StudyDescription", "ReferringPhysicianName")
        match, = found
        self.assertEqual(str(match.PatientName), "Koe^Äänikki")
        self.assertEqual(match.SpecificCharacterSet, "ISO_IR 192")
        self.assertEqual(match.StudyDescription, "AA1AD Pään TT")
        self.assertEqual(match.NumberOfStudyRelatedInstances, 3)
        self.assertEqual(match.NumberOfStudyRelatedSeries, 1)
        self.assertEqual(match.ModalitiesInStudy, "CT")
        self.assertEqual(match.InstanceAvailability, "ONLINE")
        self.assertEqual(match.RetrieveAETitle, self.sandbox.AE)
        self.assertEqual(match.QueryRetrieveLevel, "STUDY")
        self.assertIn("ReferringPhysicianName", match)
        self.assertNotIn("Warning", output)

    def test_levels_and_models(self):
        image = [f"StudyInstanceUID={self.study}", f"SeriesInstanceUID={self.series}"]
        self.assertEqual(self.values("SOPInstanceUID", "QueryRetrieveLevel=IMAGE", *image, "SOPInstanceUID"), self.uids)
        self.assertEqual(self.values("SOPInstanceUID", "QueryRetrieveLevel=IMAGE", *image,
                                     f"SOPInstanceUID={self.uids[0]}\\{self.uids[2]}\\1.2.3"),
                         [self.uids[0], self.uids[2]])
        self.assertEqual(self.values("SOPInstanceUID", "QueryRetrieveLevel=IMAGE", *image, "InstanceNumber=2",
                                     "SOPInstanceUID"), [objects.uid_of(self.files[1])])
        self.assertEqual(self.values("SeriesInstanceUID", "QueryRetrieveLevel=SERIES", image[0], "SeriesInstanceUID",
                                     "Modality=CT", "NumberOfSeriesRelatedInstances"), [self.series])
        patients = self.values("PatientID", "QueryRetrieveLevel=PATIENT", "PatientID", "NumberOfPatientRelatedStudies",
                               options=("-P",))
        self.assertEqual(patients, ["010101-0101", "020202-0202"])
        self.assertEqual(self.values("StudyInstanceUID", "QueryRetrieveLevel=STUDY", "PatientID=010101-0101",
                                     "StudyInstanceUID", options=("-P",)), [self.study])

    def test_identifiers_that_do_not_match(self):
        for options, keys in [(("-S",), ["QueryRetrieveLevel=PATIENT", "PatientID"]), (("-S",), ["StudyInstanceUID"]),
                              (("-S",), ["QueryRetrieveLevel=SERIES", "SeriesInstanceUID"]),
                              (("-S",), ["QueryRetrieveLevel=FRAME", "StudyInstanceUID"]),
                              (("-S",), ["QueryRetrieveLevel=IMAGE", f"StudyInstanceUID={self.study}"]),
                              (("-P",), ["QueryRetrieveLevel=STUDY", "StudyInstanceUID"])]:
            with self.subTest(keys):
                found, output = self.find(*keys, options=options)
                self.assertEqual(found, [])
                self.assertRegex(output, "DataSetDoesNotMatchSOPClass")

    def test_keys_that_are_not_supported(self):
        found, output = self.find("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={self.study}", "PatientMotherBirthName")
        self.assertEqual(len(found), 1)
        self.assertNotIn("PatientMotherBirthName", found[0])
        self.assertIn("FF01", output + self.sandbox.transcript.read_text())

    def test_cancel(self):
        more = self.make_directory("more")
        for number in range(30):
            objects.write_ct_study(harness_directory(more, number), 1)
        self.send(more)
        self.find("QueryRetrieveLevel=STUDY", "StudyInstanceUID", options=("-S", "--cancel", "1"))
        events = [json.loads(line) for line in self.sandbox.transcript.read_text().splitlines()]
        answers = [event for event in events if event.get("message") == "C-FIND-RSP"]
        self.assertIn("C-CANCEL-RQ", [event.get("message") for event in events])
        # A small archive may be through before the request to stop is there.
        self.assertIn(answers[-1]["status"], ("FE00", "0000"))

    def test_over_tls(self):
        options = ("-S", "+tls", self.sandbox.tls / "client.key", self.sandbox.tls / "client.pem", "+cf",
                   self.sandbox.tls / "ca.pem")
        self.assertEqual(self.values("StudyInstanceUID", "QueryRetrieveLevel=STUDY", "StudyInstanceUID",
                                     "AccessionNumber=PEER1", options=options, port=self.sandbox.tls_port),
                         [self.study])

    def test_after_a_restart_and_without_the_index(self):
        self.assertEqual(self.sandbox.stop(), 0)
        for index in self.sandbox.storage.glob(".index.db*"):
            index.unlink()
        self.sandbox.start()
        self.assertEqual(self.values("AccessionNumber", "QueryRetrieveLevel=STUDY", "AccessionNumber"),
                         ["OTHER", "PEER1"])


def harness_directory(parent, number):
    directory = parent / str(number)
    directory.mkdir()
    return directory


@harness.needs("movescu", "getscu", "storescp", "openssl")
@harness.needs_shared("corpus/ct")
class Retrieve(QueryCase):
    """Objects of the corpus, one of each SOP class and transfer syntax, there and back."""

    MOST = 30

    def setUp(self):
        super().setUp()
        # +xa: every transfer syntax that DCMTK knows; +xi: Implicit VR Little Endian alone; -pm: unknown SOP classes too.
        self.destinations = {"ALLSYNTAXES": peers.Storescp(self, "+xa", "-pm", name="all"),
                             "IMPLICIT": peers.Storescp(self, "+xi", "-pm", name="implicit")}
        ca = self.sandbox.tls / "ca.pem"
        secure_port, = harness.free_ports(1)
        self.secure = self.make_directory("secure-received")
        self.start("secure", ["storescp", "-v", "+xa", "-pm", "+B", "-od", self.secure, "+tls", self.sandbox.tls / "server.key",
                              self.sandbox.tls / "server.pem", "+cf", ca, secure_port]).wait_for_port(secure_port)
        extra = "".join(f'[[known_ae]]\nae_title = "{title}"\nhost = "127.0.0.1"\nport = {port}\n'
                        f'security = "{security}"\n' for title, port, security in
                        [(title, scp.port, "plain") for title, scp in self.destinations.items()] +
                        [("SECURE", secure_port, "tls"), ("NOBODY", harness.free_ports(1)[0], "plain")])
        extra += '[[known_ae]]\nae_title = "NOWHERE"\n'
        self.config.write_text(self.config.read_text() + extra)
        self.sandbox.start()
        self.sent = self.send_corpus()

    def send_corpus(self):
        """{SOP Instance UID: file} of what was stored."""
        chosen = {}
        for file in objects.batches(objects.corpus_files())[0]:
            if file.stat().st_size > 3_000_000:
                continue
            try:
                read = compare_datasets.File(file)
            except (ValueError, IndexError, struct.error):
                continue
            if read.transfer_syntax and read.transfer_syntax not in peers.UNKNOWN_TO_DCMTK:
                chosen.setdefault((read.sop_class, read.transfer_syntax), file)
        files = list(chosen.values())[:self.MOST]
        result = self.tool("kuva-send", "--config", self.sandbox.config, "-t", "sandbox-plain", *files)
        stored = {record["SOPInstanceUID"]: record for record in result.instances if record["outcome"] == "stored"}
        self.assertGreater(len(stored), 15)
        self.records = list(stored.values())
        return {uid: record["path"] for uid, record in stored.items()}

    def identifiers(self):
        return sorted({record["StudyInstanceUID"] for record in self.records})

    def move(self, destination, *keys, options=("-S",), port=None, **more):
        return self.scu("movescu", *options, "-aem", destination, keys=keys, port=port, **more)

    def assert_same(self, received, expected=None):
        expected = self.sent if expected is None else expected
        self.assertEqual(sorted(received), sorted(expected))
        for uid, file in expected.items():
            verdict, why = compare_datasets.compare(file, received[uid], True)
            self.assertIn(verdict, ("identical", "same elements", "padded"), f"{file}: {why}")

    def last_response(self, message):
        events = [json.loads(line) for line in self.sandbox.transcript.read_text().splitlines()]
        return [event for event in events if event.get("message") == message][-1]

    def test_move_of_studies_to_a_third(self):
        code, output = self.move("ALLSYNTAXES", "QueryRetrieveLevel=STUDY",
                                 "StudyInstanceUID=" + "\\".join(self.identifiers()))
        self.assertEqual(code, 0, output)
        self.assert_same(self.destinations["ALLSYNTAXES"].received())
        final = self.last_response("C-MOVE-RSP")
        self.assertEqual((final["status"], final["completed"], final["failed"]), ("0000", len(self.sent), 0))

    def test_move_to_the_requestor(self):
        record = self.records[0]
        received = self.make_directory("received")
        code, output = self.move(self.sandbox.CALLING_AE, "QueryRetrieveLevel=SERIES",
                                 f"StudyInstanceUID={record['StudyInstanceUID']}",
                                 f"SeriesInstanceUID={record['SeriesInstanceUID']}",
                                 options=("-S", "+P", self.plain_listen, "+xa", "-od", received))
        self.assertEqual(code, 0, output)
        same = {one["SOPInstanceUID"]: one["path"] for one in self.records
                if one["SeriesInstanceUID"] == record["SeriesInstanceUID"]}
        self.assert_same(peers.received_by_uid(received), same)

    def test_move_of_one_image_over_tls(self):
        record = self.records[-1]
        tunnel = TlsTunnel(self, self.sandbox.tls_port, self.sandbox.tls)
        code, output = self.move("SECURE", "QueryRetrieveLevel=IMAGE",
                                 *(f"{key}={record[key]}" for key in
                                   ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")), port=tunnel.port)
        self.assertEqual(code, 0, output)
        self.assert_same(peers.received_by_uid(self.secure), {record["SOPInstanceUID"]: record["path"]})

    def test_destination_that_takes_implicit_alone(self):
        """What can be written so arrives, the compressed ones are named as failed."""
        self.move("IMPLICIT", "QueryRetrieveLevel=STUDY", "StudyInstanceUID=" + "\\".join(self.identifiers()))
        fitting = {record["SOPInstanceUID"]: record["path"] for record in self.records
                   if record["TransferSyntaxUID"] in compare_datasets.UNCOMPRESSED}
        self.assertGreater(len(fitting), 5)
        self.assertLess(len(fitting), len(self.sent))
        self.assert_same(self.destinations["IMPLICIT"].received(), fitting)
        final = self.last_response("C-MOVE-RSP")
        self.assertEqual(final["status"], "B000")
        self.assertEqual((final["completed"], final["failed"]), (len(fitting), len(self.sent) - len(fitting)))

    def test_destinations_that_do_not_work(self):
        keys = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={self.identifiers()[0]}")
        for title, status in (("STRANGER", "A801"), ("NOWHERE", "A801"), ("NOBODY", "A702")):
            with self.subTest(title):
                self.move(title, *keys)
                self.assertEqual(self.last_response("C-MOVE-RSP")["status"], status)
        self.move("ALLSYNTAXES", "QueryRetrieveLevel=STUDY", "StudyInstanceUID")
        self.assertEqual(self.last_response("C-MOVE-RSP")["status"], "A900")
        self.move("ALLSYNTAXES", "QueryRetrieveLevel=STUDY", "StudyInstanceUID=1.2.3")
        final = self.last_response("C-MOVE-RSP")
        self.assertEqual((final["status"], final["completed"]), ("0000", 0))

    def get(self, name, *keys, port=None):
        directory = self.make_directory(name)
        code, output = self.scu("getscu", "-S", "+B", "-od", directory, keys=keys, port=port)
        return code, output, peers.received_by_uid(directory)

    def test_get(self):
        """getscu proposes uncompressed transfer syntaxes: the others failed."""
        keys = ("QueryRetrieveLevel=STUDY", "StudyInstanceUID=" + "\\".join(self.identifiers()))
        for name, port in (("plain", None), ("tls", TlsTunnel(self, self.sandbox.tls_port, self.sandbox.tls).port)):
            with self.subTest(name):
                _, output, received = self.get(f"got-{name}", *keys, port=port)
                final = self.last_response("C-GET-RSP")
                self.assertEqual(final["completed"], len(received), output)
                self.assertEqual(final["completed"] + final["failed"], len(self.sent))
                self.assertGreater(len(received), 5)
                self.assert_same(received, {uid: self.sent[uid] for uid in received})

    def test_get_of_one_image(self):
        record = next(one for one in self.records if one["TransferSyntaxUID"] == ExplicitVRLittleEndian)
        code, output, received = self.get("one", "QueryRetrieveLevel=IMAGE", *(
            f"{key}={record[key]}" for key in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")))
        self.assertEqual(code, 0, output)
        self.assertEqual(self.last_response("C-GET-RSP")["status"], "0000")
        self.assert_same(received, {record["SOPInstanceUID"]: record["path"]})


def code(value, meaning, scheme="DCM"):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def write_note(file, title, images, scheme="DCM", uid=None, manufacturer="kuva tests"):
    """A Key Object Selection with the title whose evidence is these images, of one study."""
    first = pydicom.dcmread(images[0])
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = KEY_OBJECT_SELECTION, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = uid or generate_uid()
    note = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    note.is_little_endian, note.is_implicit_VR = True, False
    for keyword in ("SpecificCharacterSet", "StudyInstanceUID", "PatientName", "PatientID", "PatientBirthDate",
                    "PatientSex", "StudyDate", "StudyTime", "AccessionNumber", "StudyID", "StudyDescription"):
        setattr(note, keyword, first.get(keyword, ""))
    note.SOPClassUID, note.SOPInstanceUID = KEY_OBJECT_SELECTION, meta.MediaStorageSOPInstanceUID
    note.SeriesInstanceUID, note.Modality, note.Manufacturer = generate_uid(), "KO", manufacturer
    note.SeriesNumber = note.InstanceNumber = 1
    note.ContentDate, note.ContentTime, note.ValueType, note.ContinuityOfContent = "20240301", "1200", "CONTAINER", \
        "SEPARATE"
    note.ConceptNameCodeSequence = Sequence([code(title, "Rejected", scheme)])
    series = {}
    for file_of_image in images:
        image = pydicom.dcmread(file_of_image)
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
        series.setdefault(image.SeriesInstanceUID, []).append(reference)
    evidence = Dataset()
    evidence.StudyInstanceUID = first.StudyInstanceUID
    evidence.ReferencedSeriesSequence = Sequence()
    for uid_of_series, references in series.items():
        item = Dataset()
        item.SeriesInstanceUID, item.ReferencedSOPSequence = uid_of_series, Sequence(references)
        evidence.ReferencedSeriesSequence.append(item)
    note.CurrentRequestedProcedureEvidenceSequence = Sequence([evidence])
    note.save_as(file, write_like_original=False)
    return file


@harness.needs("findscu", "storescu", "dcmsend", "openssl")
class Rejection(QueryCase):
    """Rejection notes (IHE IOCM) as dcm4chee-arc obeys them."""

    EXTRA = '[[known_ae]]\nae_title = "REGULAR"\nsees_rejected = ["113001"]\n'

    def setUp(self):
        super().setUp()
        self.sandbox.start()
        self.files = objects.write_ct_study(self.make_directory("study"), 4)
        self.uids = [objects.uid_of(file) for file in self.files]
        self.send(*self.files)
        self.notes = self.make_directory("notes")

    def store(self, file, program="storescu"):
        """The status with which it was answered, and the Error Comment."""
        _, output = self.run_program(program, "-v", "-aet", self.sandbox.CALLING_AE, "-aec", self.sandbox.AE,
                                     "127.0.0.1", self.sandbox.port, file)
        events = [json.loads(line) for line in self.sandbox.transcript.read_text().splitlines()]
        last = [event for event in events if event.get("message") == "C-STORE-RSP"][-1]
        return last["status"], last.get("errorComment", ""), output

    def reject(self, title, *images, **more):
        note = write_note(self.notes / f"{len(list(self.notes.iterdir()))}.dcm", title, images, **more)
        return self.store(note)[:2]

    def visible(self, calling=None):
        image = pydicom.dcmread(self.files[0])
        return sorted(uid for uid in self.values("SOPInstanceUID", "QueryRetrieveLevel=IMAGE",
                                                 f"StudyInstanceUID={image.StudyInstanceUID}",
                                                 f"SeriesInstanceUID={image.SeriesInstanceUID}", "SOPInstanceUID",
                                                 calling=calling))

    def commit(self, *files):
        return self.tool("kuva-commit", "--config", self.sandbox.config, "-t", "sandbox-plain", "--wait", "30s",
                         "--state", self.directory / "state", *files)

    def test_hidden_uncommitted_and_durable(self):
        self.assertEqual(self.reject("113037", self.files[0]), ("0000", ""))
        self.assertEqual(self.visible(), sorted(self.uids[1:]))
        result = self.commit(*self.files)
        self.assertEqual(result.by_uid()[self.uids[0]]["commit"]["failureReason"], "0112")
        self.assertEqual(result.outcomes(), {"committed": 3, "failed": 1})
        status, comment, _ = self.store(self.files[0])
        self.assertEqual((status, comment[:35]), ("A771", "Subsequent occurrence of rejected O"))
        self.assertEqual(self.sandbox.stop(), 0)
        for index in self.sandbox.storage.glob(".index.db*"):
            index.unlink()
        self.sandbox.start()
        self.assertEqual(self.visible(), sorted(self.uids[1:]))
        self.assertEqual(self.store(self.files[0])[0], "A771")

    def test_quality_is_ignored_and_seen_by_some(self):
        self.assertEqual(self.reject("113001", self.files[1])[0], "0000")
        self.assertEqual(self.visible(), sorted(set(self.uids) - {self.uids[1]}))
        self.assertEqual(self.visible(calling="REGULAR"), sorted(self.uids))
        self.assertEqual(self.store(self.files[1])[0], "0000")
        self.assertEqual(self.visible(), sorted(set(self.uids) - {self.uids[1]}))

    def test_retention_is_restored_by_sending_again(self):
        self.assertEqual(self.reject("113039", *self.files)[0], "0000")
        self.assertEqual(self.visible(), [])
        studies = self.values("NumberOfStudyRelatedInstances", "QueryRetrieveLevel=STUDY", "StudyInstanceUID",
                              "NumberOfStudyRelatedInstances")
        self.assertEqual(studies, ["1"])  # the note itself
        self.assertEqual(self.store(self.files[2])[0], "0000")
        self.assertEqual(self.visible(), [self.uids[2]])

    def test_what_cannot_be_rejected(self):
        stranger = objects.write_ct_study(self.make_directory("stranger"), 1)[0]
        image = pydicom.dcmread(stranger)
        image.StudyInstanceUID = pydicom.dcmread(self.files[0]).StudyInstanceUID
        image.save_as(stranger)
        status, comment = self.reject("113001", self.files[0], stranger)
        self.assertEqual(status, "A772")
        self.assertIn("Failed to reject Instance", comment)
        # What came before it stays rejected, and the note was not stored.
        self.assertEqual(self.visible(), sorted(self.uids[1:]))
        self.assertEqual(self.reject("113038", self.files[0])[0], "0000")
        self.assertEqual(self.reject("113037", self.files[0])[0], "A774")
        self.assertEqual(self.reject("113001", self.files[0])[0], "A774")
        uid = generate_uid()
        self.assertEqual(self.reject("113001", self.files[3], uid=uid)[0], "0000")
        note = sorted(self.notes.iterdir())[-1]
        self.assertEqual(self.store(note)[0], "0000")
        status, comment = self.reject("113001", self.files[3], uid=uid, manufacturer="another")
        self.assertEqual(status, "A770")
        self.assertRegex(comment, r"^Rejection Note \[uid=")
        other_class = pydicom.dcmread(self.files[2])
        other_class.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
        changed = self.directory / "changed.dcm"
        other_class.save_as(changed)
        self.assertEqual(self.reject("113001", changed)[0], "A773")

    def test_revoked_and_other_titles(self):
        self.assertEqual(self.reject("113037", *self.files)[0], "0000")
        self.assertEqual(self.reject("REVOKE_REJECTION", *self.files, scheme="99DCM4CHEE")[0], "0000")
        self.assertEqual(self.visible(), sorted(self.uids))
        self.assertEqual(self.reject("113000", *self.files)[0], "0000")
        self.assertEqual(self.visible(), sorted(self.uids))

    def test_dcmsend_shows_the_refusal(self):
        self.assertEqual(self.reject("113038", self.files[0])[0], "0000")
        status, _, output = self.store(self.files[0], "dcmsend")
        self.assertEqual(status, "A771")
        self.assertRegex(output, "(?i)a771|refused|OutOfResources")


class RetentionNotAllowed(QueryCase):
    KEYS = {"allow_retention_rejection": False}

    def test_refused(self):
        self.sandbox.start()
        files = objects.write_ct_study(self.make_directory("study"), 1)
        self.send(*files)
        note = write_note(self.directory / "note.dcm", "113039", files)
        result = self.send(note, code=3)
        self.assertEqual(result.instances[0]["store"]["status"], "A775")


class RetentionNotExpired(RetentionNotAllowed):
    KEYS = {"retention_period": "1h"}

    def test_refused(self):
        self.sandbox.start()
        files = objects.write_ct_study(self.make_directory("study"), 1)
        self.send(*files)
        note = write_note(self.directory / "note.dcm", "113039", files)
        result = self.send(note, code=3)
        self.assertEqual(result.instances[0]["store"]["status"], "A776")
        self.assertIn("Retention Period", result.instances[0]["error"]["message"])
