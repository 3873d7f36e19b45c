"""The sandbox's registry, repository, imaging document source and WADO-RS, as programs of others meet them."""

import hashlib
import io
import json
import subprocess
import xml.etree.ElementTree as ElementTree

import harness
import objects
import peers
import web

import pydicom

FIND_DOCUMENTS = "14d4debf-8f97-4251-9a74-a90016b0af0d"
FIND_SUBMISSION_SETS = "f26abbcb-ac74-4422-8a30-edb644bbc1a9"
FIND_FOLDERS = "958f3006-baad-4929-a4de-ff1114824431"
GET_ALL = "10b545ea-725c-446d-9b95-8aeb444eddf3"
GET_DOCUMENTS = "5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
GET_ASSOCIATIONS = "a7ae438b-4bc2-4642-93e9-be891f7bb155"
GET_DOCUMENTS_AND_ASSOCIATIONS = "bab9529a-4a10-40b3-a01f-f68a615d247a"
GET_SUBMISSION_SETS = "51224314-5390-4169-9b91-b1980040715a"
GET_SUBMISSION_SET_AND_CONTENTS = "e8e3cb2c-e39c-46b9-99e4-c12f57260b83"
GET_FOLDERS = "5737b14c-8a1a-4539-b659-e03a34a5e1e4"
GET_FOLDER_AND_CONTENTS = "b909a503-523d-4517-8acf-8e5834dfc4c7"
GET_FOLDERS_FOR_DOCUMENT = "10cae35a-c7f9-4cf5-b61e-fc3278ffb578"
GET_RELATED_DOCUMENTS = "d90e5407-b356-4d91-a89f-873917b4b0e6"
FIND_BY_REFERENCE = "12941a89-e02e-4be5-967c-ce4bfc8fe492"
EVENT_CODES = "2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4"
UNIQUE_ID = "2e82c1f6-a085-4c72-9da3-8640a32e42ab"
PATIENT_ID = "58a6f841-87b3-4a3e-92fd-a8ffeff98427"
REPLACES = "urn:ihe:iti:2007:AssociationType:RPLC"

CDA = """<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:ps="urn:dicom-org:ps3-20">
  <typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
  <id root="1.2.246.10.99.14.2024" extension="{number}"/>
  <code code="18748-4" codeSystem="2.16.840.1.113883.6.1" displayName="Lausunto"/>
  <title>Keuhkokuvan lausunto</title>
  <effectiveTime value="20240115120000+0200"/>
  <confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>
  <languageCode code="fi-FI"/>
  <recordTarget><patientRole><id root="{authority}" extension="{patient}"/></patientRole></recordTarget>
  <author><time value="20240115120000+0200"/><assignedAuthor><id root="1.2.246.537.26" extension="123"/>
    <assignedPerson><name><given>Liisa</given><family>L\u00e4\u00e4k\u00e4ri</family></name></assignedPerson></assignedAuthor></author>
  <inFulfillmentOf><order><id root="1.2.246.10.99.15" extension="O1"/>
    <ps:accessionNumber root="1.2.246.10.99.16" extension="A1"/></order></inFulfillmentOf>
  <documentationOf><serviceEvent><id root="{study}"/><effectiveTime><low value="20240115113000+0200"/></effectiveTime>
  </serviceEvent></documentationOf>
  {related}
  <component><structuredBody/></component>
</ClinicalDocument>
"""


def cda(number, patient, authority, study, related=""):
    return CDA.format(number=number, patient=patient, authority=authority, study=study, related=related)


class WebCase(harness.PeerCase):
    KEYS = {}

    def setUp(self):
        super().setUp()
        self.sandbox = peers.Sandbox(self, **self.KEYS)
        self.client = web.Web(self.sandbox)

    def write_sample(self):
        """The sample study: its files by SOP Instance UID, and what they have in common."""
        directory = self.directory / "study"
        written = self.tool("kuva-sandbox", "--sample-study", directory)
        self.assertEqual(written.code, 0, written.err)
        self.files = {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID): path
                      for path in sorted(directory.iterdir())}
        first = pydicom.dcmread(next(iter(self.files.values())), stop_before_pixels=True)
        self.study, self.patient = str(first.StudyInstanceUID), str(first.PatientID)
        self.cx = f"'{self.patient}^^^&{first.get('IssuerOfPatientID') or '1.2.246.21'}&ISO'"
        return directory

    def archive(self, *paths):
        config = ["--config", self.sandbox.config, "-t", "sandbox-plain"]
        sent = self.tool("kuva-send", *config, *paths)
        self.assertEqual(sent.code, 0, sent.err)
        done = self.tool("kuva-commit", *config, "--wait", "30s", "--state", self.directory / "state", stdin=sent.out)
        self.assertEqual(done.code, 0, done.err)

    def begin(self):
        directory = self.write_sample()
        self.sandbox.start()
        self.archive(directory)

    def find(self, *parameters, status=web.APPROVED, **options):
        return self.client.query(FIND_DOCUMENTS, [("$XDSDocumentEntryPatientId", self.cx),
                                                  ("$XDSDocumentEntryStatus", status), *parameters], **options)

    def one_entry(self):
        answer = self.find()
        self.assertEqual((answer.state, len(answer.entries)), ("Success", 1), answer.body)
        return answer.entries[0]

    def instances(self):
        found = []
        for path in self.files.values():
            data = pydicom.dcmread(path, stop_before_pixels=True)
            found.append((str(data.StudyInstanceUID), str(data.SeriesInstanceUID), str(data.SOPInstanceUID)))
        return found

    def assert_same_objects(self, documents):
        stored = self.sandbox.received()
        self.assertEqual(set(documents), set(self.files))
        for uid, document in documents.items():
            self.assertEqual(document, stored[uid].read_bytes(), uid)

    def transcript(self):
        lines = [json.loads(line) for line in self.sandbox.transcript.read_text().splitlines()]
        problems = subprocess.run([harness.ROOT / "tests/validate_records.py", "--schema", "transcript",
                                   self.sandbox.transcript], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(problems.returncode, 0, problems.stdout)
        self.assertNotIn(self.patient, self.sandbox.transcript.read_text())
        return lines


@harness.needs("openssl")
class Queries(WebCase):
    answers_are_ours = True

    def test_a_committed_study_is_found(self):
        directory = self.write_sample()
        self.sandbox.start()
        self.assertEqual(len(self.find().entries), 0)
        self.archive(directory)
        entry = self.one_entry()
        values = web.slots(entry)
        self.assertEqual(entry.get("mimeType"), "application/dicom")
        self.assertEqual(entry.get("home"), self.client.home)
        self.assertEqual(web.identifier(entry, PATIENT_ID), self.cx.strip("'"))
        self.assertEqual(values["repositoryUniqueId"], [self.client.repository])
        self.assertIn(f"{self.study}^^^^urn:ihe:iti:xds:2016:studyInstanceUID",
                      values["urn:ihe:iti:xds:2013:referenceIdList"])
        modalities = {code for code, scheme in web.codes(entry, EVENT_CODES) if scheme == "1.2.840.10008.2.16.4"}
        self.assertEqual(modalities, {str(pydicom.dcmread(path, stop_before_pixels=True).Modality)
                                      for path in self.files.values()} & {"CT", "DX", "US", "ECG", "IO", "MG"})
        self.assertTrue(any(value.startswith("PID-5|") for value in values["sourcePatientInfo"]))
        # Nothing new is registered by asking again, and by a second commitment.
        self.archive(directory)
        self.assertEqual(web.identifier(self.one_entry(), UNIQUE_ID), web.identifier(entry, UNIQUE_ID))
        # What is registered survives.
        self.sandbox.process.stop()
        for name in self.sandbox.storage.glob(".registry/index.db*"):
            name.unlink()
        self.sandbox.start()
        self.assertEqual(web.identifier(self.one_entry(), UNIQUE_ID), web.identifier(entry, UNIQUE_ID))
        events = [line["event"] for line in self.transcript()]
        self.assertEqual(events.count("study-registered"), 1)

    def test_parameters_select(self):
        self.begin()
        ct = ("$XDSDocumentEntryEventCodeList", "('CT^^1.2.840.10008.2.16.4')")
        none = ("$XDSDocumentEntryEventCodeList", "('NM^^1.2.840.10008.2.16.4')")
        cases = [([ct], 1), ([none], 0), ([ct, none], 0),
                 ([("$XDSDocumentEntryEventCodeList", "('NM^^1.2.840.10008.2.16.4','CT^^1.2.840.10008.2.16.4')")], 1),
                 ([("$XDSDocumentEntryFormatCode", "('1.2.840.10008.5.1.4.1.1.88.59^^1.2.840.10008.2.6.1')")], 1),
                 ([("$XDSDocumentEntryFormatCode", "('urn:other^^1.2.840.10008.2.6.1')")], 0),
                 ([("$XDSDocumentEntryServiceStartTimeFrom", "1990")], 1),
                 ([("$XDSDocumentEntryServiceStartTimeTo", "1990")], 0),
                 ([("$XDSDocumentEntryCreationTimeFrom", "2099")], 0),
                 ([("$XDSDocumentEntryType", "('urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248')")], 0)]
        for parameters, count in cases:
            with self.subTest(parameters):
                answer = self.find(*parameters)
                self.assertEqual((answer.state, len(answer.entries)), ("Success", count))
        by_study = [("$XDSDocumentEntryPatientId", self.cx), ("$XDSDocumentEntryStatus", web.APPROVED)]
        reference = f"('{self.study}^^^^urn:ihe:iti:xds:2016:studyInstanceUID')"
        answer = self.client.query(FIND_BY_REFERENCE, [*by_study, ("$XDSDocumentEntryReferenceIdList", reference)])
        self.assertEqual(len(answer.entries), 1)
        answer = self.client.query(FIND_BY_REFERENCE, [*by_study, ("$XDSDocumentEntryReferenceIdList", "('x^^^^y')")])
        self.assertEqual((answer.state, len(answer.entries)), ("Success", 0))
        # ObjectRef, then the metadata by its id.
        answer = self.find(return_type="ObjectRef")
        ids = [reference.get("id") for reference in answer.find_all(".//rim:ObjectRef")]
        self.assertEqual((len(ids), len(answer.entries)), (1, 0))
        answer = self.client.query(GET_DOCUMENTS, [("$XDSDocumentEntryEntryUUID", f"('{ids[0]}')")], home=self.client.home)
        self.assertEqual([entry.get("id") for entry in answer.entries], ids)

    def test_all_queries(self):
        self.begin()
        entry = self.one_entry()
        uuid, unique_id = entry.get("id"), web.identifier(entry, UNIQUE_ID)
        home = self.client.home

        def ask(query, *parameters):
            answer = self.client.query(query, parameters, home=home)
            self.assertEqual(answer.state, "Success", answer.body)
            return answer

        def counts(answer):
            return tuple(len(answer.find_all(f".//rim:RegistryObjectList/rim:{name}"))
                         for name in ("ExtrinsicObject", "RegistryPackage", "Association"))

        statuses = [("$XDSDocumentEntryStatus", web.APPROVED), ("$XDSSubmissionSetStatus", web.APPROVED),
                    ("$XDSFolderStatus", web.APPROVED)]
        self.assertEqual(counts(ask(GET_ALL, ("$patientId", self.cx), *statuses)), (1, 1, 1))
        self.assertEqual(counts(ask(FIND_SUBMISSION_SETS, ("$XDSSubmissionSetPatientId", self.cx),
                                    ("$XDSSubmissionSetStatus", web.APPROVED))), (0, 1, 0))
        self.assertEqual(counts(ask(FIND_FOLDERS, ("$XDSFolderPatientId", self.cx),
                                    ("$XDSFolderStatus", web.APPROVED))), (0, 0, 0))
        self.assertEqual(counts(ask(GET_DOCUMENTS, ("$XDSDocumentEntryUniqueId", f"('{unique_id}')"))), (1, 0, 0))
        self.assertEqual(counts(ask(GET_FOLDERS, ("$XDSFolderUniqueId", f"('{unique_id}')"))), (0, 0, 0))
        self.assertEqual(counts(ask(GET_ASSOCIATIONS, ("$uuid", f"('{uuid}')"))), (0, 0, 1))
        self.assertEqual(counts(ask(GET_DOCUMENTS_AND_ASSOCIATIONS, ("$XDSDocumentEntryEntryUUID", f"('{uuid}')"))), (1, 0, 1))
        sets = ask(GET_SUBMISSION_SETS, ("$uuid", f"('{uuid}')"))
        self.assertEqual(counts(sets), (0, 1, 1))
        package = sets.find(".//rim:RegistryPackage").get("id")
        self.assertEqual(counts(ask(GET_SUBMISSION_SET_AND_CONTENTS, ("$XDSSubmissionSetEntryUUID", f"'{package}'"))), (1, 1, 1))
        self.assertEqual(counts(ask(GET_FOLDER_AND_CONTENTS, ("$XDSFolderUniqueId", f"'{unique_id}'"))), (0, 0, 0))
        self.assertEqual(counts(ask(GET_FOLDERS_FOR_DOCUMENT, ("$XDSDocumentEntryUniqueId", f"'{unique_id}'"))), (0, 0, 0))
        self.assertEqual(counts(ask(GET_RELATED_DOCUMENTS, ("$XDSDocumentEntryUniqueId", f"'{unique_id}'"),
                                    ("$AssociationTypes", f"('{REPLACES}')"))), (0, 0, 0))

    def test_queries_that_are_wrong(self):
        self.begin()
        patient = ("$XDSDocumentEntryPatientId", self.cx)
        status = ("$XDSDocumentEntryStatus", web.APPROVED)
        uuid = ("$XDSDocumentEntryEntryUUID", "('urn:uuid:00000000-0000-0000-0000-000000000000')")
        unique = ("$XDSDocumentEntryUniqueId", "('1.2.3')")
        home = self.client.home
        cases = [(FIND_DOCUMENTS, [patient], None, "XDSStoredQueryMissingParam"),
                 (FIND_DOCUMENTS, [status], home, "XDSStoredQueryMissingParam"),
                 (FIND_BY_REFERENCE, [patient, status], None, "XDSStoredQueryMissingParam"),
                 (GET_DOCUMENTS, [], home, "XDSStoredQueryMissingParam"),
                 (GET_DOCUMENTS, [uuid, unique], home, "XDSStoredQueryParamNumber"),
                 (GET_DOCUMENTS, [unique], None, "XDSMissingHomeCommunityId"),
                 (GET_DOCUMENTS, [unique], "urn:oid:1.2.3", "XDSUnknownCommunity"),
                 ("00000000-0000-0000-0000-000000000000", [patient], None, "XDSUnknownStoredQuery")]
        for query, parameters, where, code in cases:
            for transaction in ("ITI-18", "ITI-38"):
                with self.subTest(code=code, transaction=transaction):
                    answer = self.client.query(query, parameters, home=where, transaction=transaction)
                    self.assertEqual((answer.status, answer.state), (200, "Failure"), answer.body)
                    self.assertIn(code, answer.codes)

    def test_messages_that_are_wrong(self):
        self.begin()
        body = web.query_body(FIND_DOCUMENTS, [("$XDSDocumentEntryPatientId", self.cx)])
        answer = self.client.call("ITI-18", body, message_id=False)
        self.assertEqual((answer.status, answer.fault), (400, ("Sender", "MessageAddressingHeaderRequired")))
        answer = self.client.call("ITI-18", body, action="urn:ihe:iti:2007:SomethingElse")
        self.assertEqual((answer.status, answer.fault), (400, ("Sender", "ActionNotSupported")))
        answer = self.client.call("RAD-69", body, path="/xds/registry")
        self.assertEqual(answer.fault, ("Sender", "ActionNotSupported"))
        answer = self.client.call("ITI-18", body, extra='<x:y xmlns:x="urn:x" soap:mustUnderstand="1"/>')
        self.assertEqual(answer.fault[0], "MustUnderstand")
        answer = self.client.request("POST", "/xds/registry", b"<broken", {"Content-Type": "application/soap+xml"})
        self.assertEqual((answer.status, answer.fault[0]), (400, "Sender"))
        self.assertEqual(self.client.request("GET", "/xds/registry").status, 405)
        self.assertEqual(self.client.request("GET", "/other").status, 404)
        self.transcript()


@harness.needs("openssl")
class Retrievals(WebCase):
    answers_are_ours = True

    def test_manifest_and_images(self):
        self.begin()
        entry = self.one_entry()
        unique_id = web.identifier(entry, UNIQUE_ID)
        answer = self.client.call("ITI-43", web.documents_body(web.document_request(self.client.repository, unique_id)))
        self.assertEqual(answer.state, "Success")
        document = answer.documents()[unique_id]
        self.assertEqual(hashlib.sha1(document).hexdigest(), web.slots(entry)["hash"][0])
        self.assertEqual(len(document), int(web.slots(entry)["size"][0]))
        manifest = pydicom.dcmread(io.BytesIO(document))
        self.assertEqual(str(manifest.SOPInstanceUID), unique_id)
        self.assertEqual(manifest.ConceptNameCodeSequence[0].CodeValue, "113030")
        listed = []
        for study in manifest.CurrentRequestedProcedureEvidenceSequence:
            for series in study.ReferencedSeriesSequence:
                self.assertEqual(series[0x0040, 0xE011].value, self.client.imaging_source)
                self.assertEqual(series.RetrieveAETitle, self.sandbox.AE)
                listed += [(str(study.StudyInstanceUID), str(series.SeriesInstanceUID), str(instance.ReferencedSOPInstanceUID))
                           for instance in series.ReferencedSOPSequence]
        self.assertEqual(sorted(listed), sorted(self.instances()))
        answer = self.client.call("RAD-69", web.images_body(listed, self.client.imaging_source))
        self.assertEqual(answer.state, "Success")
        self.assert_same_objects(answer.documents())
        for transaction in ("ITI-39", "RAD-75"):
            body = (web.documents_body(web.document_request(self.client.repository, unique_id, self.client.home))
                    if transaction == "ITI-39" else web.images_body(listed, self.client.imaging_source, home=self.client.home))
            answer = self.client.call(transaction, body)
            self.assertEqual(answer.state, "Success", answer.body[:2000])
        lines = [line for line in self.transcript() if line["event"] == "exchange"]
        self.assertEqual([line["transaction"] for line in lines if "transaction" in line],
                         ["ITI-18", "ITI-43", "RAD-69", "ITI-39", "RAD-75"])

    def test_what_cannot_be_had(self):
        self.begin()
        study, series, instance = self.instances()[0]
        source = self.client.imaging_source
        good = (study, series, instance)
        cases = [(web.images_body([("1.2.3", series, instance)], source), "XDSDocumentUniqueIdError"),
                 (web.images_body([(study, "1.2.3", instance)], source), "XDSDocumentUniqueIdError"),
                 (web.images_body([(study, series, "1.2.3")], source), "XDSDocumentUniqueIdError"),
                 (web.images_body([good], "1.2.3"), "XDSUnknownRepositoryId"),
                 (web.images_body([good], source, home="urn:oid:1.2.3"), "XDSUnknownCommunity"),
                 (web.images_body([good], source, ["1.2.840.10008.1.2.4.90"]), "XDSRepositoryError")]
        for body, code in cases:
            with self.subTest(code):
                answer = self.client.call("RAD-69", body)
                self.assertEqual((answer.state, answer.codes, answer.documents()), ("Failure", [code], {}))
        answer = self.client.call("RAD-69", web.images_body([good, (study, series, "1.2.3")], source))
        self.assertEqual((answer.state, answer.codes), ("PartialSuccess", ["XDSDocumentUniqueIdError"]))
        self.assertEqual(list(answer.documents()), [instance])
        answer = self.client.call("ITI-43", web.documents_body(web.document_request(self.client.repository, "1.2.3")))
        self.assertEqual((answer.state, answer.codes), ("Failure", ["XDSDocumentUniqueIdError"]))
        answer = self.client.call("ITI-39", web.documents_body(web.document_request(self.client.repository, "1.2.3")))
        self.assertEqual(answer.codes, ["XDSMissingHomeCommunityId"])

    def test_transfer_syntaxes_are_honoured(self):
        files = objects.write_ct_study(self.make_directory("study"), 2, implicit=True)
        self.files = {objects.uid_of(path): path for path in files}
        self.patient = str(pydicom.dcmread(files[0]).PatientID)
        self.sandbox.start()
        self.archive(self.directory / "study")
        explicit = "1.2.840.10008.1.2.1"
        answer = self.client.call("RAD-69", web.images_body(self.instances(), self.client.imaging_source, [explicit]))
        self.assertEqual(answer.state, "Success")
        for uid, document in answer.documents().items():
            data = pydicom.dcmread(io.BytesIO(document))
            self.assertEqual(str(data.file_meta.TransferSyntaxUID), explicit)
            self.assertEqual(data.PixelData, pydicom.dcmread(self.files[uid]).PixelData)

    def test_later_instances_and_rejections(self):
        files = objects.write_ct_study(self.make_directory("study"), 4)
        first = pydicom.dcmread(files[0])
        self.study, self.patient = str(first.StudyInstanceUID), str(first.PatientID)
        self.cx = f"'{self.patient}^^^&{first.get('IssuerOfPatientID') or '1.2.246.21'}&ISO'"
        self.sandbox.start()
        self.archive(*files[:2])
        old = self.one_entry().get("id")
        self.archive(*files[2:])
        new = self.one_entry()
        self.assertNotEqual(new.get("id"), old)
        self.assertEqual([entry.get("id") for entry in self.find(status=web.DEPRECATED).entries], [old])
        answer = self.client.query(GET_ASSOCIATIONS, [("$uuid", f"('{old}')")], home=self.client.home)
        replaced = [(found.get("sourceObject"), found.get("targetObject")) for found in answer.find_all(".//rim:Association")
                    if found.get("associationType") == REPLACES]
        self.assertEqual(replaced, [(new.get("id"), old)])

        def listed():
            unique_id = web.identifier(self.one_entry(), UNIQUE_ID)
            answer = self.client.call("ITI-43", web.documents_body(web.document_request(self.client.repository, unique_id)))
            manifest = pydicom.dcmread(io.BytesIO(answer.documents()[unique_id]))
            return {str(instance.ReferencedSOPInstanceUID) for study in manifest.CurrentRequestedProcedureEvidenceSequence
                    for series in study.ReferencedSeriesSequence for instance in series.ReferencedSOPSequence}

        uids = [objects.uid_of(path) for path in files]
        self.assertEqual(listed(), set(uids))
        self.reject(files[:1], "113001", "Rejected for Quality Reasons")
        self.assertEqual(listed(), set(uids[1:]))
        image = (self.study, str(first.SeriesInstanceUID), uids[0])
        answer = self.client.call("RAD-69", web.images_body([image], self.client.imaging_source))
        self.assertEqual(answer.codes, ["XDSDocumentUniqueIdError"])
        path = f"/dicom-web/studies/{image[0]}/series/{image[1]}/instances/{image[2]}"
        self.assertEqual(self.client.request("GET", path).status, 404)
        self.reject(files[1:], "113037", "Rejected for Patient Safety Reasons")
        self.assertEqual(len(self.find().entries), 0)
        dispositions = [line["disposition"] for line in self.transcript() if line["event"] == "study-registered"]
        self.assertEqual(dispositions, ["registered", "replaced", "replaced", "withdrawn"])

    def reject(self, files, code, meaning):
        note = self.directory / f"reject-{code}.dcm"
        first = pydicom.dcmread(files[0], stop_before_pixels=True)
        data = pydicom.Dataset()
        data.file_meta = pydicom.dataset.FileMetaDataset()
        data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.59"
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = pydicom.uid.generate_uid()
        for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate",
                        "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName", "StudyDescription"):
            setattr(data, keyword, first.get(keyword, ""))
        if "IssuerOfPatientID" in first:
            data.IssuerOfPatientID = first.IssuerOfPatientID
        data.SpecificCharacterSet = first.get("SpecificCharacterSet", "ISO_IR 192")
        data.Modality, data.SeriesInstanceUID = "KO", pydicom.uid.generate_uid()
        data.SeriesNumber, data.InstanceNumber, data.Manufacturer = 99, 1, "test"
        data.ReferencedPerformedProcedureStepSequence = []
        data.ContentDate, data.ContentTime, data.ValueType = "20240101", "120000", "CONTAINER"
        data.ContinuityOfContent = "SEPARATE"
        title = pydicom.Dataset()
        title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning = code, "DCM", meaning
        data.ConceptNameCodeSequence = [title]
        references = []
        for path in files:
            reference = pydicom.Dataset()
            reference.ReferencedSOPClassUID = str(first.SOPClassUID)
            reference.ReferencedSOPInstanceUID = objects.uid_of(path)
            references.append(reference)
        series, study = pydicom.Dataset(), pydicom.Dataset()
        series.SeriesInstanceUID, series.ReferencedSOPSequence = first.SeriesInstanceUID, references
        study.StudyInstanceUID, study.ReferencedSeriesSequence = first.StudyInstanceUID, [series]
        data.CurrentRequestedProcedureEvidenceSequence = [study]
        data.is_little_endian, data.is_implicit_VR = True, False
        data.save_as(note, write_like_original=False)
        sent = self.tool("kuva-send", "--config", self.sandbox.config, "-t", "sandbox-plain", note)
        self.assertEqual(sent.code, 0, sent.err)

    def test_documents_from_the_directory(self):
        self.begin()
        authority = self.cx.split("&")[1]
        documents = self.sandbox.root / "documents"
        (documents / "1.xml").write_text(cda(1, self.patient, authority, self.study))
        code = ("$XDSDocumentEntryFormatCode", "('urn:ihe:rad:TEXT^^1.3.6.1.4.1.19376.1.2.3')")
        entry, = self.find(code).entries
        values = web.slots(entry)
        self.assertEqual(web.identifier(entry, UNIQUE_ID), "1.2.246.10.99.14.2024^1")
        self.assertEqual(values["creationTime"], ["20240115100000"])
        self.assertEqual(values["serviceStartTime"], ["20240115093000"])
        self.assertEqual(set(values["urn:ihe:iti:xds:2013:referenceIdList"]),
                         {"O1^^^&1.2.246.10.99.15&ISO^urn:ihe:iti:xds:2013:order",
                          "A1^^^&1.2.246.10.99.16&ISO^urn:ihe:iti:xds:2013:accession",
                          f"{self.study}^^^^urn:ihe:iti:xds:2016:studyInstanceUID"})
        answer = self.client.call("ITI-43", web.documents_body(
            web.document_request(self.client.repository, "1.2.246.10.99.14.2024^1")))
        self.assertEqual(list(answer.documents().values()), [(documents / "1.xml").read_bytes()])
        related = '<relatedDocument typeCode="RPLC"><parentDocument><id root="1.2.246.10.99.14.2024" extension="1"/>' \
                  "</parentDocument></relatedDocument>"
        (documents / "2.xml").write_text(cda(2, self.patient, authority, self.study, related))
        (documents / "3.pdf").write_bytes(b"%PDF-1.4 a report")
        (documents / "3.pdf.json").write_text(json.dumps(
            {"uniqueId": "1.2.246.10.99.14.3", "mimeType": "application/pdf", "patientId": self.cx.strip("'"),
             "title": "Skannattu", "formatCode": {"code": "urn:ihe:rad:TEXT", "scheme": "1.3.6.1.4.1.19376.1.2.3"}}))
        (documents / "4.xml").write_text("<ClinicalDocument xmlns='urn:hl7-org:v3'>")
        self.assertEqual({web.identifier(entry, UNIQUE_ID) for entry in self.find(code).entries},
                         {"1.2.246.10.99.14.2024^2", "1.2.246.10.99.14.3"})
        events = [line["event"] for line in self.transcript()]
        self.assertEqual((events.count("document-registered"), events.count("document-refused")), (3, 1))


@harness.needs("openssl", "curl")
class Wado(WebCase):
    def get(self, path, *options):
        """(status, content type, body) as curl has them."""
        out = self.directory / "body"
        code, said = self.run_program(
            "curl", "-sS", "--cacert", self.sandbox.tls / "ca.pem", "--cert", self.sandbox.tls / "client.pem", "--key",
            self.sandbox.tls / "client.key", "-o", out, "-w", "%{http_code} %{content_type}", *options,
            f"https://127.0.0.1:{self.sandbox.web_port}/dicom-web{path}")
        self.assertEqual(code, 0, said)
        status, _, kind = said.partition(" ")
        return int(status), kind, out.read_bytes()

    def test_study_series_and_instance(self):
        self.begin()
        study, series, instance = self.instances()[0]
        any_syntax = ("-H", 'Accept: multipart/related; type="application/dicom"; transfer-syntax=*')
        stored = self.sandbox.received()

        def uids(path):
            status, kind, body = self.get(path, *any_syntax)
            self.assertEqual(status, 200)
            boundary = kind.split("boundary=")[1].split(";")[0].strip('"').encode()
            found = {}
            for part in body.split(b"--" + boundary)[1:-1]:
                content = part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n")
                found[str(pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True).SOPInstanceUID)] = content
            return found

        whole = uids(f"/studies/{study}")
        self.assertEqual(set(whole), set(self.files))
        for uid, content in whole.items():
            self.assertEqual(content, stored[uid].read_bytes())
        self.assertEqual(set(uids(f"/studies/{study}/series/{series}")),
                         {uid for _, of, uid in self.instances() if of == series})
        self.assertEqual(set(uids(f"/studies/{study}/series/{series}/instances/{instance}")), {instance})
        status, kind, body = self.get(f"/studies/{study}/series/{series}/instances/{instance}", "-H",
                                      "Accept: application/dicom; transfer-syntax=*")
        self.assertEqual((status, kind.split(";")[0], body), (200, "application/dicom", stored[instance].read_bytes()))

    def test_what_is_not_there(self):
        self.begin()
        study, series, instance = self.instances()[0]
        self.assertEqual(self.get("/studies/1.2.3")[0], 404)
        self.assertEqual(self.get(f"/studies/{study}/series/1.2.3")[0], 404)
        self.assertEqual(self.get("/studies")[0], 404)
        self.assertEqual(self.get("/studies/..%2f..")[0], 404)
        self.assertEqual(self.get(f"/studies/{study}", "-H", "Accept: image/jpeg")[0], 406)
        path = f"/studies/{study}/series/{series}/instances/{instance}"
        accept = 'Accept: multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.90'
        self.assertEqual(self.get(path, "-H", accept)[0], 406)
        self.assertEqual(self.get(path, "-X", "PUT", "-d", "x")[0], 405)


class WadoTokens(Wado):
    """The same with bearer tokens."""

    KEYS = {"web": {"token_file": "tokens"}}

    def setUp(self):
        super().setUp()
        (self.sandbox.root / "tokens").write_text("secret-1\nsecret-2\n")

    def get(self, path, *options):
        self.assertEqual(super().get(path, *options)[0], 405 if "PUT" in options else 401)
        self.assertEqual(super().get(path, *options, "-H", "Authorization: Bearer wrong")[0], 405 if "PUT" in options else 401)
        return super().get(path, *options, "-H", "Authorization: Bearer secret-2")


@harness.needs("openssl")
@harness.needs_shared("xsd/wsdl")
class Zeep(WebCase):
    """A SOAP library that reads the IHE's WSDLs."""

    def service(self, name, path):
        import requests
        import zeep
        import zeep.wsa
        session = requests.Session()
        session.trust_env = False  # a CA bundle of the environment would come first
        session.verify = str(self.sandbox.tls / "ca.pem")
        session.cert = (str(self.sandbox.tls / "client.pem"), str(self.sandbox.tls / "client.key"))
        client = zeep.Client(str(web.wsdl(name)), transport=zeep.Transport(session=session, timeout=30, operation_timeout=30),
                             plugins=[zeep.wsa.WsAddressingPlugin()], settings=zeep.Settings(strict=False, xml_huge_tree=True))
        binding = next(iter(client.wsdl.bindings))
        return client, client.create_service(binding, f"https://127.0.0.1:{self.sandbox.web_port}{path}")

    def test_query_and_retrieve(self):
        self.begin()
        client, registry = self.service("iti18.wsdl", "/xds/registry")
        factory = client.type_factory("urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0")
        slots = [factory.SlotType1(name=name, ValueList=factory.ValueListType(_value_1=[{"Value": value}]))
                 for name, value in (("$XDSDocumentEntryPatientId", self.cx), ("$XDSDocumentEntryStatus", web.APPROVED))]
        arguments = {"ResponseOption": {"returnType": "LeafClass", "returnComposedObjects": True},
                     "AdhocQuery": {"id": f"urn:uuid:{FIND_DOCUMENTS}", "Slot": slots}}
        answer = registry.DocumentRegistry_RegistryStoredQuery(**arguments)
        self.assertTrue(answer["status"].endswith(":Success"), answer)
        # zeep knows no substitution groups: the metadata are taken from the message itself.
        with client.settings(raw_response=True):
            raw = registry.DocumentRegistry_RegistryStoredQuery(**arguments)
        entry, = ElementTree.fromstring(raw.content).findall(".//rim:ExtrinsicObject", web.NS)
        unique_id, digest = web.identifier(entry, UNIQUE_ID), web.slots(entry)["hash"][0]

        client, repository = self.service("iti43.wsdl", "/xds/repository")
        operation = next(iter(next(iter(client.wsdl.bindings.values()))._operations))
        answer = getattr(repository, operation)(
            DocumentRequest=[{"RepositoryUniqueId": self.client.repository, "DocumentUniqueId": unique_id}])
        document = self.document_of(answer)
        self.assertEqual(hashlib.sha1(document).hexdigest(), digest)

        client, source = self.service("rad69.wsdl", "/xds/imaging")
        operation = next(iter(next(iter(client.wsdl.bindings.values()))._operations))
        study, series, instance = self.instances()[0]
        answer = getattr(source, operation)(
            StudyRequest=[{"studyInstanceUID": study, "SeriesRequest": [
                {"seriesInstanceUID": series, "DocumentRequest": [
                    {"RepositoryUniqueId": self.client.imaging_source, "DocumentUniqueId": instance}]}]}],
            TransferSyntaxUIDList={"TransferSyntaxUID": web.STORED})
        # zeep takes line ends off the end of a part.
        self.assertEqual(self.document_of(answer).rstrip(b"\r\n"),
                         self.sandbox.received()[instance].read_bytes().rstrip(b"\r\n"))

    def document_of(self, answer):
        """The one document, wherever zeep's way of reading MTOM has put it."""
        root = getattr(answer, "root", answer)
        self.assertTrue(root["RegistryResponse"]["status"].endswith(":Success"), root)
        document, = root["DocumentResponse"]
        return document["Document"]
