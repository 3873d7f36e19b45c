"""kuva-kos beside dciodvfy, DCMTK, pydicom, Orthanc and the sandbox; and the Key Object Selections that others wrote.
"""

import collections
import time

import pydicom
from pydicom.uid import generate_uid

import compare_datasets
import harness
import objects
import peers

LOCATION = "1.2.246.999.1"


class KosCase(harness.PeerCase):
    def kos(self, *arguments, code=0, **options):
        result = self.tool("kuva-kos", *arguments, **options)
        self.assertEqual(result.code, code, result.err)
        return result

    def manifest(self, *inputs, name="manifests", **options):
        """The files of the manifests that were made."""
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        result = self.kos("manifest", "--retrieve-ae", "ARCHIVE", "--location", LOCATION, "--out", directory, *inputs,
                          **options)
        self.assert_adds_up(result)
        return [record["path"] for record in result.instances if record["outcome"] == "written"]

    def rejection_note(self, reason, *inputs):
        result = self.kos("reject", "--reason", reason, "--out", self.directory, *inputs)
        self.assert_adds_up(result)
        return [record["path"] for record in result.instances if record["outcome"] == "written"]

    def assert_clean(self, file):
        _, output = self.run_program("dciodvfy", file)
        faults = [line for line in output.splitlines() if line.startswith("Error")]
        self.assertEqual(faults, [], output)
        self.assertIn("KeyObjectSelectionDocument", output)


def study(directory, count, charset="ISO_IR 192", series=1):
    """A study of several series, its texts in another character set."""
    files = objects.write_ct_study(directory, count)
    uids = [generate_uid() for _ in range(series)]
    for number, file in enumerate(files):
        image = pydicom.dcmread(file)
        image.SpecificCharacterSet = charset
        image.SeriesInstanceUID, image.SeriesNumber = uids[number % series], number % series + 1
        image.PatientName = {"ISO_IR 144": "Тест^Имя", "ISO_IR 6": "Koe^Nimi"}.get(charset, "Koe^Äänikki")
        image.StudyDescription = {"ISO_IR 144": "Грудь", "ISO_IR 6": "Thorax"}.get(charset, "Pään TT")
        image.save_as(file)
    return files


@harness.needs("dciodvfy", "dsrdump")
class Written(KosCase):
    def test_character_sets_and_series(self):
        for number, charset in enumerate(["ISO_IR 100", "ISO_IR 192", "ISO_IR 144", "ISO_IR 6"]):
            files = study(self.make_directory(f"study-{number}"), 6, charset, series=3)
            for made in (self.manifest(f"study-{number}", name=f"manifest-{number}"),
                         self.rejection_note("quality", f"study-{number}"),
                         self.rejection_note("113039", files[0])):
                self.assertEqual(len(made), 1)
                self.assert_clean(made[0])
                found, source = pydicom.dcmread(made[0]), pydicom.dcmread(files[0])
                self.assertEqual(str(found.PatientName), str(source.PatientName))
                self.assertEqual(found.StudyDescription, source.StudyDescription)
                self.assertEqual(found.AccessionNumber, source.AccessionNumber)
                code, output = self.run_program("dsrdump", made[0])
                self.assertEqual(code, 0, output)
                title = found.ConceptNameCodeSequence[0]
                self.assertIn(title.CodeMeaning, output)
                self.assertNotIn("CodingSchemeVersion", title)

    def test_one_list_for_evidence_and_content(self):
        files = study(self.make_directory("study"), 5, series=2)
        made, = self.manifest("study")
        found = pydicom.dcmread(made)
        study_item, = found.CurrentRequestedProcedureEvidenceSequence
        evidence = [reference.ReferencedSOPInstanceUID for series in study_item.ReferencedSeriesSequence
                    for reference in series.ReferencedSOPSequence]
        content = [item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in found.ContentSequence]
        self.assertEqual(evidence, content)
        self.assertEqual(sorted(evidence), sorted(map(objects.uid_of, files)))
        for series in study_item.ReferencedSeriesSequence:
            self.assertEqual((series.RetrieveAETitle, series.RetrieveLocationUID), ("ARCHIVE", LOCATION))
        self.assertEqual(self.kos("check", "--as-manifest", "--fail-on", "warning", made).outcomes(), {"valid": 1})

    def test_studies_have_a_manifest_each(self):
        study(self.make_directory("studies/a"), 2)
        study(self.make_directory("studies/b"), 1)
        made = self.manifest("studies")
        self.assertEqual(len(made), 2)
        self.assertEqual(len({pydicom.dcmread(file).StudyInstanceUID for file in made}), 2)
        for file in made:
            self.assert_clean(file)

    def test_two_thousand(self):
        files = objects.write_ct_study(self.make_directory("study"), 1, rows=8)
        image = pydicom.dcmread(files[0])
        for number in range(2, 2001):
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"2.25.{number}"
            image.InstanceNumber = number
            image.save_as(self.directory / "study" / f"{number}.dcm")
        started = time.monotonic()
        made, = self.manifest("study")
        print(f"    manifest of 2000 instances in {time.monotonic() - started:.2f} s")
        self.assert_clean(made)
        shown = self.kos("show", made)
        self.assertEqual(shown.outcomes(), {"shown": 1, "referenced": 2000})
        self.assertEqual(self.kos("diff", made, "study").summary["compared"], {"same": 2000})


@harness.needs("dciodvfy", "storescp", "openssl")
class Stored(KosCase):
    """The same data set on the other side."""

    def assert_stored(self, archive, config, target):
        study(self.make_directory("study"), 4, "ISO_IR 100", series=2)
        made = self.manifest("study") + self.rejection_note("worklist", "study")
        sent = self.tool("kuva-send", "--config", config, "-t", target, *made)
        self.assertEqual(sent.outcomes(), {"stored": 2}, sent.err)
        received = archive.received()
        for file in made:
            verdict, why = compare_datasets.compare(file, received[objects.uid_of(file)], True)
            self.assertNotEqual(verdict, "different", why)
            self.assertEqual(self.kos("diff", file, received[objects.uid_of(file)]).of_type("comparison")[0]["sign"],
                             "=")
            self.assertEqual(self.kos("check", received[objects.uid_of(file)]).outcomes(), {"valid": 1})

    def test_storescp(self):
        archive = peers.Storescp(self)
        config = self.directory / "kuva.toml"
        peers.write_target(config, "peer", archive.port, archive.AE)
        self.assert_stored(archive, config, "peer")

    def test_orthanc(self):
        if peers.ORTHANC_PROGRAM is None:
            self.skipTest("Orthanc is not installed")
        archive = peers.Orthanc(self)
        config = self.directory / "kuva.toml"
        peers.write_target(config, "peer", archive.port, archive.AE)
        self.assert_stored(archive, config, "peer")


@harness.needs("findscu", "openssl")
class Obeyed(KosCase):
    """The sandbox hides what a note of ours rejects."""

    def setUp(self):
        super().setUp()
        self.sandbox = peers.Sandbox(self, durable=False)
        self.sandbox.start()
        self.files = objects.write_ct_study(self.make_directory("study"), 3)
        self.assertEqual(self.send(*self.files).outcomes(), {"stored": 3})

    def send(self, *files):
        return self.tool("kuva-send", "--config", self.sandbox.config, "-t", "sandbox-plain", *files)

    def visible(self):
        image = pydicom.dcmread(self.files[0])
        _, output = self.run_program("findscu", "-v", "-S", "-aet", self.sandbox.CALLING_AE, "-aec", self.sandbox.AE,
                                     "-k", "QueryRetrieveLevel=IMAGE", "-k", f"StudyInstanceUID={image.StudyInstanceUID}",
                                     "-k", f"SeriesInstanceUID={image.SeriesInstanceUID}", "-k", "SOPInstanceUID",
                                     "127.0.0.1", self.sandbox.port)
        return {uid for uid in map(objects.uid_of, self.files) if f"[{uid}]" in output or f"[{uid}\0]" in output}

    def test_pipe(self):
        uids = [objects.uid_of(file) for file in self.files]
        self.assertEqual(self.visible(), set(uids))
        for reason, rejected in (("quality", uids[0]), ("patient-safety", uids[1])):
            note, sent = self.pipeline(
                ("kuva-kos", "reject", "--reason", reason, "--instance", rejected, "--out", self.directory, "study"),
                ("kuva-send", "--config", self.sandbox.config, "-t", "sandbox-plain"))
            self.assertEqual(note.outcomes(), {"referenced": 1, "skipped": 2, "written": 1})
            self.assertEqual(sent.outcomes(), {"referenced": 1, "skipped": 2, "stored": 1}, sent.err)
            self.assert_adds_up(sent)
        self.assertEqual(self.visible(), {uids[2]})
        # The note once more as it is: accepted, and nothing changes. Made again it has another UID.
        again = self.send(next(record["path"] for record in note.instances if record["outcome"] == "written"))
        self.assertEqual(again.outcomes(), {"stored": 1}, again.err)

    def test_whole_study_by_its_manifest(self):
        made, = self.manifest("study")
        notes = self.rejection_note("retention", "--manifest", made)
        self.assertEqual(self.send(*notes).outcomes(), {"stored": 1})
        self.assertEqual(self.visible(), set())
        self.assertEqual(self.send(self.files[0]).outcomes(), {"stored": 1})
        self.assertEqual(self.visible(), {objects.uid_of(self.files[0])})


class OfOthers(KosCase):
    """What others wrote is read, and said to be what it is."""

    @harness.needs_shared("corpus/sr-kos-pr")
    def test_corpus_and_samples(self):
        files = sorted({*(harness.SHARED / "corpus").rglob("*kos*.dcm"),
                        *(harness.SHARED / "samples/xds/kos").glob("*.dcm")})
        self.assertGreater(len(files), 30)
        rules = collections.Counter()
        for record in self.tool("kuva-kos", "check", *files).instances:
            self.assertIn(record["outcome"], ("valid", "invalid"), record)
            rules.update(finding["rule"] for finding in record.get("findings", ()))
            expected = pydicom.dcmread(record["path"])
            uids = {reference.ReferencedSOPInstanceUID for study_item in
                    expected.CurrentRequestedProcedureEvidenceSequence for series in study_item.ReferencedSeriesSequence
                    for reference in series.ReferencedSOPSequence}
            self.assertEqual(record["kos"]["instances"], len(uids), record["path"])
            self.assertEqual(record["kos"]["title"]["code"], expected.ConceptNameCodeSequence[0].CodeValue)
            shown = self.kos("show", record["path"])
            self.assertEqual({each["SOPInstanceUID"] for each in shown.instances if each["outcome"] == "referenced"},
                             uids)
        for rule, count in sorted(rules.items()):
            print(f"    {rule:32} {count:4}")
