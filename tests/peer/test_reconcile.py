"""kuva-ledger reconcile: differences of many kinds are planted in an archive behind the ledger's back, by other programs,
and exactly these are found."""

import collections
import json
import unittest
import urllib.request
import warnings

import pydicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

import harness
import ledger_batch
import objects
import peers
from test_retrieve_xds import write_manifest

MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
OTHER_PATIENT, OTHER_ACCESSION = "020202-0202", "SOMETHING ELSE"

# What is planted in a study: its sign, the word for each instance that differs, attributes of the study, and where content
# differs. An instance is named by its number; 0 is one that the ledger does not know.
Expected = collections.namedtuple("Expected", "sign differences attributes paths", defaults=({}, [], []))


def everywhere(word):
    return {1: word, 2: word, 3: word}


EXPECTED = {
    "control": Expected("="),
    "control-committed": Expected("="),
    "missing-instance": Expected("-", {2: "missing"}),
    "missing-series": Expected("-", {4: "missing", 5: "missing"}),
    "missing-study": Expected("-", everywhere("missing")),
    "committed-gone": Expected("!", {3: "committed-gone"}),
    "extra-instance": Expected("+", {0: "extra"}),
    "other-instance": Expected("!", {0: "extra", 1: "missing"}),
    "other-patient": Expected("!", everywhere("content"), ["PatientID"], ["0010,0020"]),
    "other-accession": Expected("!", everywhere("content"), ["AccessionNumber"], ["0008,0050"]),
    "other-class": Expected("!", {2: "other-class"}),
    "other-series": Expected("!", {2: "other-series"}),
    "other-study": Expected("!", {2: "other-study"}),
    "element": Expected("!", {1: "content"}, [], ["0018,0050"]),
    "text": Expected("!", {1: "content"}, [], ["0008,1030"]),
    "nested": Expected("!", {2: "content"}, [], ["0040,0275[1]/0040,0008[2]/0008,0104"]),
    "item": Expected("!", {2: "content"}, [], ["0040,0275[1]/0040,0008[2]"]),
    "private": Expected("!", {3: "content"}, [], ["0009,1001"]),
    "pixel": Expected("!", {1: "content"}, [], ["7FE0,0010"]),
    "removed-element": Expected("!", {1: "content"}, [], ["0018,0060"]),
    "added-element": Expected("!", {1: "content"}, [], ["0020,4000"]),
    "coerced": Expected("!", {1: "content"}, [], ["0008,1030", "0400,0561"]),
    "rejected": Expected("!", {2: "rejected"}),
    "failed-but-present": Expected("!", {1: "present-failed"}),
    "waiting-but-present": Expected("+", {1: "present-unsent", 3: "present-unsent"}),
    # No differences, though the bytes are others.
    "character-set": Expected("="),
    "padding": Expected("="),
    "transfer-syntax": Expected("="),
}
COMMITTED = ["control-committed", "committed-gone", "other-patient", "pixel"]
FAILED, WAITING = "failed-but-present", "waiting-but-present"


def save(image, file):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image.save_as(file, write_like_original=False)


def write_study(directory, series=1):
    """Three slices, or five in two series, with elements of all kinds."""
    directory.mkdir()
    files = objects.write_ct_study(directory, 3 if series == 1 else 5, rows=8)
    second = generate_uid()
    for number, file in enumerate(files, 1):
        image = pydicom.dcmread(file)
        if number > 3:
            image.SeriesInstanceUID = second
        codes = []
        for value in ("A1", "B2"):
            code = Dataset()
            code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "99KUVA", "Käsi " + value
            codes.append(code)
        request = Dataset()
        request.RequestedProcedureID, request.ScheduledProtocolCodeSequence = "RP1", Sequence(codes)
        image.RequestAttributesSequence = Sequence([request])
        image.add_new((0x0009, 0x0010), "LO", "KUVA TEST")
        image.add_new((0x0009, 0x1001), "LO", "yksityinen ääni")
        save(image, file)
    return files


class SandboxStore:
    """The sandbox's files while it is down."""

    AE = peers.Sandbox.AE

    def __init__(self, sandbox):
        self.sandbox = sandbox

    def __enter__(self):
        self.sandbox.stop()
        self.files = self.sandbox.received()
        return self

    def __exit__(self, *_):
        for file in self.sandbox.storage.glob("*index*"):
            file.unlink()
        self.sandbox.start()

    def read(self, uid):
        return pydicom.dcmread(self.files[uid])

    def remove(self, uid):
        self.files[uid].unlink()

    def put(self, image):
        file = self.sandbox.storage / image.StudyInstanceUID / image.SeriesInstanceUID / f"{image.SOPInstanceUID}.dcm"
        file.parent.mkdir(parents=True, exist_ok=True)
        save(image, file)


class OrthancStore:
    """Orthanc's objects by REST."""

    AE = peers.Orthanc.AE

    def __init__(self, orthanc, directory):
        self.orthanc, self.directory = orthanc, directory

    def __enter__(self):
        self.ids = self.orthanc.instances()
        return self

    def __exit__(self, *_):
        pass

    def read(self, uid):
        file = self.directory / "read.dcm"
        file.write_bytes(self.orthanc._rest(f"/instances/{self.ids[uid]}/file"))
        return pydicom.dcmread(file)

    def remove(self, uid):
        self.orthanc._rest(f"/instances/{self.ids[uid]}", method="DELETE")

    def put(self, image):
        file = self.directory / "put.dcm"
        save(image, file)
        request = urllib.request.Request(f"http://127.0.0.1:{self.orthanc.http}/instances", data=file.read_bytes(),
                                         headers={"Content-Type": "application/dicom"}, method="POST")
        with urllib.request.urlopen(request, timeout=60) as response:
            self.status = json.loads(response.read())["Status"]


class ReconcileCase(harness.PeerCase):
    needed = harness.PeerCase.needed + ("kuva-ledger",)

    def target(self):
        """Options of every tool."""
        raise NotImplementedError

    def run_tool(self, name, *arguments, code=0):
        result = self.tool(name, *self.target(), *arguments)
        self.assertEqual(result.code, code, result.err[-2000:] + str(result.of_type("error")))
        return result

    def fill(self):
        """Sends everything, commits what is to be committed, and stores behind the ledger's back what it does not say."""
        self.studies = {name: write_study(self.directory / name, 2 if name == "missing-series" else 1) for name in self.expected}
        ledger = ("--ledger", self.directory / "batch.db")
        self.run_tool("kuva-send", *ledger, *(self.directory / name for name in COMMITTED))
        self.run_tool("kuva-commit", *ledger, "--state", self.directory / "state")
        sent = [name for name in self.studies if name not in (*COMMITTED, FAILED, WAITING)]
        self.run_tool("kuva-send", *ledger, *(self.directory / name for name in sent))
        profile = self.directory / "profile.cfg"
        peers.write_storescp_profile(profile, [(MR_IMAGE_STORAGE, [pydicom.uid.ImplicitVRLittleEndian])])
        refuses = peers.Storescp(self, profile=profile)
        failed = self.tool("kuva-send", *self.target(), "--port", refuses.port, "--accept-target", *ledger, self.directory / FAILED)
        self.assertEqual(dict(failed.outcomes()), {"failed": 3})
        validated = self.tool("kuva-validate", *ledger, self.directory / WAITING)
        self.assertEqual(validated.outcomes()["valid"], 3)
        self.storescu(self.studies[FAILED][0], self.studies[WAITING][0], self.studies[WAITING][2])

    def storescu(self, *files):
        code, output = self.run_program("storescu", "-v", "-aet", self.calling, "-aec", self.store.AE, "127.0.0.1", self.port, *files)
        self.assertEqual(code, 0, output)

    def plant(self):
        """What EXPECTED says, each in its study; the UIDs of what was added."""
        self.added = {}
        uids = {name: [objects.uid_of(file) for file in files] for name, files in self.studies.items()}
        with self.store as store:
            def change(name, number, edit):
                image = store.read(uids[name][number - 1])
                store.remove(uids[name][number - 1])
                edit(image)
                store.put(image)

            def setting(**values):
                return lambda image: [setattr(image, keyword, value) for keyword, value in values.items()]

            def add(name):
                image = store.read(uids[name][2])
                image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = self.added[name] = generate_uid()
                store.put(image)

            store.remove(uids["missing-instance"][1])
            store.remove(uids["missing-series"][3])
            store.remove(uids["missing-series"][4])
            for uid in uids["missing-study"]:
                store.remove(uid)
            store.remove(uids["committed-gone"][2])
            add("extra-instance")
            add("other-instance")
            store.remove(uids["other-instance"][0])
            for number in (1, 2, 3):
                change("other-patient", number, setting(PatientID=OTHER_PATIENT))
                change("other-accession", number, setting(AccessionNumber=OTHER_ACCESSION))
                change("character-set", number, self.reencode)
                change("padding", number, self.pad)
                change("transfer-syntax", number, self.make_implicit)

            def other_class(image):
                image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = MR_IMAGE_STORAGE
            change("other-class", 2, other_class)
            change("other-series", 2, setting(SeriesInstanceUID=generate_uid()))
            change("other-study", 2, setting(StudyInstanceUID=generate_uid()))
            change("element", 1, setting(SliceThickness="2"))
            change("text", 1, setting(StudyDescription="AA1AD Paan TT"))
            change("private", 3, lambda image: setattr(image[0x0009, 0x1001], "value", "toinen"))
            change("pixel", 1, lambda image: setattr(image, "PixelData", image.PixelData[:-2] + b"\x01\x7f"))
            change("removed-element", 1, lambda image: delattr(image, "KVP"))
            change("added-element", 1, setting(ImageComments="from the archive"))
            change("coerced", 1, self.coerce)
            change("nested", 2, lambda image: setattr(
                image.RequestAttributesSequence[0].ScheduledProtocolCodeSequence[1], "CodeMeaning", "Jalka"))
            change("item", 2, lambda image: image.RequestAttributesSequence[0].ScheduledProtocolCodeSequence.pop())
        write_manifest(self.directory / "note.dcm", [self.studies["rejected"][1]], location=None, code="113001")
        self.storescu(self.directory / "note.dcm")
        self.added["rejected"] = objects.uid_of(self.directory / "note.dcm")

    def reencode(self, image):
        """The same text in another character set."""
        image.decode()
        image.walk(lambda _, element: element.value)
        image.SpecificCharacterSet = "ISO_IR 100"
        file = self.directory / "reencoded.dcm"
        save(image, file)
        self.assertIn("Pään".encode("latin-1"), file.read_bytes())
        self.assertNotIn("Pään".encode(), file.read_bytes())

    def pad(self, image):
        """Spaces where they mean nothing, group lengths, trailing padding."""
        image.Manufacturer += "   "
        image.StudyDescription += "  "
        image.Modality = "CT  "
        image.add_new((0x0008, 0x0000), "UL", 4711)
        image.add_new((0xFFFC, 0xFFFC), "OB", b"\0" * 64)

    def make_implicit(self, image):
        image.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
        image.is_implicit_VR = True

    def coerce(self, image):
        """As PS3.3 C.12.1 has it."""
        before = Dataset()
        before.StudyDescription = image.StudyDescription
        original = Dataset()
        original.ModifiedAttributesSequence, original.AttributeModificationDateTime = Sequence([before]), "20240301120000"
        original.ModifyingSystem, original.SourceOfPreviousValues, original.ReasonForTheAttributeModification = "A", "", "COERCE"
        image.OriginalAttributesSequence = Sequence([original])
        image.StudyDescription = "Coerced"

    def reconcile(self, *arguments, code):
        return self.run_tool("kuva-ledger", "reconcile", "--by", "find", *arguments, self.directory / "batch.db", code=code)

    def found(self, result):
        """The same as EXPECTED, of what the records say."""
        of_study = {pydicom.dcmread(files[0]).StudyInstanceUID: name for name, files in self.studies.items()}
        numbers = {objects.uid_of(file): number for files in self.studies.values() for number, file in enumerate(files, 1)}
        found = {}
        for record in result.of_type("reconciliation"):
            name = of_study[record["StudyInstanceUID"]]
            self.assertNotIn(name, found)
            found[name] = Expected(record["sign"], {}, [each["attribute"] for each in record.get("attributes", [])], [])
        for record in result.instances:
            name = of_study[record["StudyInstanceUID"]]
            number = numbers.get(record["SOPInstanceUID"], 0)
            if number == 0:
                self.assertEqual(record["SOPInstanceUID"], self.added[name])
            found[name].differences[number] = record["reconcile"]["difference"]
            paths = sorted(element["tagPath"] for element in record["reconcile"].get("elements", []))
            if paths and found[name].paths not in ([], paths):
                self.fail(f"{name}: {paths} beside {found[name].paths}")
            found[name] = found[name]._replace(paths=paths or found[name].paths)
        return found

    def check(self):
        self.fill()
        before = self.reconcile("--sample", "100", "--study", pydicom.dcmread(self.studies["control"][0]).StudyInstanceUID, code=0)
        self.assertEqual(before.summary["outcomes"], {"equal": 1})
        self.plant()
        whole = self.reconcile("--sample", "100", "--via", "cmove", code=4)
        self.assertEqual(self.found(whole), self.expected)
        self.assertGreaterEqual(sum(each.sign != "=" for each in self.found(whole).values()), 20)
        for secret in ("010101-0101", OTHER_PATIENT, OTHER_ACCESSION, "nikki", "Coerced"):
            self.assertNotIn(secret.encode(), whole.out)
            self.assertNotIn(secret, whole.err)
        for name, each in {record["StudyInstanceUID"]: record for record in whole.of_type("reconciliation")}.items():
            with self.subTest(study=name):
                number = collections.Counter(each.get("differences", {}))
                less = number["missing"] + number["committed-gone"] + number["rejected"]
                more = number["extra"] + number["present-failed"] + number["present-unsent"]
                self.assertEqual(each["archive"], each["source"] - less + more)

        # Several at a time find the same; without a sample all but the content.
        self.assertEqual(self.found(self.reconcile("--sample", "100", "--jobs", "3", "--via", "cmove", code=4)), self.expected)
        listed = self.found(self.reconcile("--only-differences", code=4))
        for name, each in self.expected.items():
            words = {number: word for number, word in each.differences.items() if word != "content"}
            if words or each.attributes:
                self.assertEqual((listed[name].differences, listed[name].attributes), (words, each.attributes), name)
            else:
                self.assertNotIn(name, listed)

        # With values where they are asked for.
        plain = self.reconcile("--phi", "plain", "--sample", "100", code=4)
        self.assertIn(OTHER_PATIENT.encode(), plain.out)

        # What is missing goes out again, what was committed is for people to decide.
        self.reconcile("--update", "--accept-target", code=4)
        again = self.tool("kuva-send", *self.target(), "--ledger", self.directory / "batch.db")
        missing = sorted(str(self.studies[name][number - 1]) for name, each in self.expected.items()
                         for number, word in each.differences.items() if word == "missing" and name not in self.refused)
        stored = {record["path"] for record in again.instances if record["outcome"].startswith("stored")}
        self.assertLessEqual(set(missing), stored)
        left = self.found(self.reconcile(code=4))
        self.assertNotIn("missing", {word for each in left.values() for word in each.differences.values()})
        self.assertEqual(left["committed-gone"].differences, {3: "committed-gone"})

        # An archive that is gone says nothing of a study.
        self.stop()
        gone = self.reconcile(code=5)
        self.assertEqual({record["sign"] for record in gone.of_type("reconciliation")}, {"?"})
        self.assertEqual(gone.instances, [])


@harness.needs("storescu", "storescp", "openssl")
class OverSandbox(ReconcileCase):
    calling = peers.Sandbox.CALLING_AE
    # Nobody finds an instance that went to another study where queries must name the study, and it is not taken again.
    refused = {"other-study"}
    expected = dict(EXPECTED, **{"other-study": Expected("-", {2: "missing"})})

    def target(self):
        return ("--config", self.sandbox.config, "-t", "sandbox-plain")

    def stop(self):
        self.sandbox.stop()

    def test_planted_differences(self):
        self.sandbox = peers.Sandbox(self, durable=False)
        self.sandbox.start()
        self.port, self.store = self.sandbox.port, SandboxStore(self.sandbox)
        self.check()


@harness.needs("storescu", "storescp")
class OverOrthanc(ReconcileCase):
    calling, refused = "KUVASCU", set()
    # It keeps a rejection note as any other object.
    expected = dict(EXPECTED, rejected=Expected("+", {0: "extra"}))

    def target(self):
        return ("--config", self.config, "-t", "orthanc")

    def stop(self):
        self.orthanc.process.stop()

    def test_planted_differences(self):
        listen, = harness.free_ports(1)
        self.orthanc = peers.Orthanc(self, report_port=listen)
        self.config = self.directory / "kuva.toml"
        peers.write_target(self.config, "orthanc", self.orthanc.port, self.orthanc.AE, listen=listen)
        self.port, self.store = self.orthanc.port, OrthancStore(self.orthanc, self.directory)
        self.check()


@harness.needs("openssl")
class OverRegistry(harness.PeerCase):
    """By ITI-18 and the manifest of ITI-43, beside C-FIND and without."""

    needed = harness.PeerCase.needed + ("kuva-ledger",)

    def run_tool(self, name, *arguments, code=0):
        result = self.tool(name, "--config", self.sandbox.config, "-t", "sandbox-plain", *arguments)
        self.assertEqual(result.code, code, result.err[-2000:] + str(result.of_type("error")))
        return result

    def signs(self, *arguments, code):
        result = self.run_tool("kuva-ledger", "reconcile", *arguments, self.directory / "batch.db", code=code)
        differences = collections.defaultdict(dict)
        for record in result.instances:
            differences[record["StudyInstanceUID"]][record["SOPInstanceUID"]] = record["reconcile"]["difference"]
        return {record["StudyInstanceUID"]: (record["sign"], [each["attribute"] for each in record.get("attributes", [])],
                                             differences.get(record["StudyInstanceUID"], {}))
                for record in result.of_type("reconciliation")}

    def test_registered_and_not(self):
        self.sandbox = peers.Sandbox(self, durable=False)
        self.sandbox.start()
        ledger = ("--ledger", self.directory / "batch.db")
        studies = {}
        for name in ("whole", "unregistered", "grown"):
            files = write_study(self.make_directory(name) / "study")
            studies[name] = (pydicom.dcmread(files[0]).StudyInstanceUID, files)
        late = self.make_directory("late") / "late.dcm"
        studies["grown"][1][2].rename(late)
        self.run_tool("kuva-send", *ledger, self.directory / "whole", self.directory / "grown")
        self.run_tool("kuva-commit", *ledger, "--state", self.directory / "state")
        self.assertEqual({value[0] for value in self.signs("--by", "both", code=0).values()}, {"="})
        # What was sent since is not in the registry, or not in the manifest that it has.
        self.run_tool("kuva-send", *ledger, self.directory / "unregistered", late)
        whole, unregistered, grown = (studies[name][0] for name in ("whole", "unregistered", "grown"))
        self.assertEqual(self.signs("--by", "both", code=4), {
            whole: ("=", [], {}), unregistered: ("!", ["registered"], {}),
            grown: ("!", [], {objects.uid_of(late): "not-in-manifest"})})
        self.assertEqual(self.signs("--by", "registry", code=4), {
            whole: ("=", [], {}),
            unregistered: ("-", [], {objects.uid_of(file): "missing" for file in studies["unregistered"][1]}),
            grown: ("-", [], {objects.uid_of(late): "missing"})})
        self.assertEqual({value[0] for value in self.signs("--by", "find", code=0).values()}, {"="})

    def fill(self, *names, target="sandbox-plain"):
        """A sandbox that has registered these studies, and a ledger of them; {name: (Study Instance UID, files)}."""
        ledger = ("--ledger", self.where)
        studies = {}
        for name in names:
            files = write_study(self.make_directory(name) / "study")
            studies[name] = (pydicom.dcmread(files[0]).StudyInstanceUID, files)
        for tool, arguments in (("kuva-send", (*ledger, *(self.directory / name for name in names))),
                                ("kuva-commit", (*ledger, "--wait", "20s", "--state", self.directory / "state"))):
            done = self.tool(tool, "--config", self.sandbox.config, "-t", target, *arguments)
            self.assertEqual(done.code, 0, done.err)
        return studies

    def exchanges(self, transaction):
        """How many the sandbox had of a transaction over HTTPS."""
        lines = [json.loads(line) for line in self.sandbox.transcript.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if line.get("transaction") == transaction]

    def test_a_sample_by_rad69(self):
        """Objects come from the imaging source that the manifest names; one has other pixels there."""
        self.sandbox, self.where = peers.Sandbox(self, durable=False), self.directory / "batch.db"
        self.sandbox.start()
        studies = self.fill("whole", "changed")
        sample = ("--by", "registry", "--sample", "100", "--via", "rad69")
        self.assertEqual({value[0] for value in self.signs(*sample, code=0).values()}, {"="})
        self.assertEqual(len(self.exchanges("RAD-69")), 2)
        uid = objects.uid_of(studies["changed"][1][1])
        with SandboxStore(self.sandbox) as store:
            image = store.read(uid)
            store.remove(uid)
            image.PixelData = image.PixelData[:-2] + b"\x01\x7f"
            store.put(image)
        self.assertEqual(self.signs(*sample, code=4), {
            studies["whole"][0]: ("=", [], {}), studies["changed"][0]: ("!", [], {uid: "content"})})
        self.assertEqual(len(self.exchanges("RAD-69")), 4)

    @unittest.skipUnless(ledger_batch.has_postgres(), "PostgreSQL 15 is not installed")
    def test_an_update_in_postgresql(self):
        """What is missing is to be sent again in the ledger that all workers share, and goes out once more."""
        self.sandbox = peers.Sandbox(self, durable=False)
        self.sandbox.start()
        server = ledger_batch.Postgres(self.directory)
        self.addCleanup(server.stop)
        self.where = server.url
        studies = self.fill("whole", "lost")
        self.assertEqual(server.counts(), {"committed": 6})
        # Sent and not committed, then lost by the archive.
        late = write_study(self.make_directory("late") / "study")
        self.run_tool("kuva-send", "--ledger", self.where, self.directory / "late")
        lost = [objects.uid_of(late[0]), objects.uid_of(late[2])]
        gone = objects.uid_of(studies["lost"][1][1])
        with SandboxStore(self.sandbox) as store:
            for uid in (*lost, gone):
                store.remove(uid)
        reconcile = ("kuva-ledger", "reconcile", "--by", "find", "--update", self.where)
        found = self.run_tool(*reconcile, code=4)
        self.assertEqual({record["SOPInstanceUID"]: record["reconcile"]["difference"] for record in found.instances},
                         {lost[0]: "missing", lost[1]: "missing", gone: "committed-gone"})
        counts = server.counts()
        self.assertEqual((sum(counts.values()), counts["stored"]), (9, 1), counts)
        again = self.run_tool("kuva-send", "--ledger", self.where)
        self.assertEqual({record["SOPInstanceUID"] for record in again.instances}, set(lost))
        left = self.run_tool(*reconcile, code=4)
        self.assertEqual([record["SOPInstanceUID"] for record in left.instances], [gone])

    @harness.needs("xmlsec1", "xmllint")
    def test_a_registry_that_demands_assertions(self):
        """Each question is signed for the user; without one the registry says nothing, and no study is called missing."""
        self.sandbox, self.where = peers.Sandbox(self, durable=False), self.directory / "batch.db"
        toml = self.sandbox.root / "sandbox.toml"
        toml.write_text(toml.read_text().replace("demanded = false", "demanded = true"))
        self.sandbox.start()
        study, _ = self.fill("whole", target="sandbox")["whole"]

        def reconcile(target, *arguments):
            return self.tool("kuva-ledger", "reconcile", "--config", self.sandbox.config, "-t", target, "--by", "registry", *arguments,
                             self.where)

        user = ("--user", self.sandbox.root / "user.toml")
        good = reconcile("sandbox-xua", *user, "--sample", "100", "--via", "rad69")
        self.assertEqual(good.code, 0, good.err + str(good.of_type("error")))
        self.assertEqual([(record["StudyInstanceUID"], record["sign"]) for record in good.of_type("reconciliation")], [(study, "=")])
        # ITI-18 for the documents, ITI-43 for the manifest, RAD-69 for the sample.
        self.assertTrue(all(self.exchanges(name) for name in ("ITI-18", "ITI-43", "RAD-69")))
        bad = reconcile("sandbox")
        self.assertNotIn(bad.code, (0, 4), bad.err)
        self.assertEqual({record["sign"] for record in bad.of_type("reconciliation")}, {"?"})
        self.assertEqual(bad.instances, [])
