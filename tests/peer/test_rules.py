"""Rules of kuva-validate on real files: each violation that is made is found under its rule, and nothing else is.

Clean files of the corpus, and two of kuva-sandbox's samples, are changed by pydicom, one thing at a time. What must be found is
written here after the standard, not taken from kuva's tables.
"""

import collections
import json
import os
import pathlib
import subprocess
import urllib.error
import urllib.request
import warnings

import harness
import objects
import peers

import pydicom
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement

CORPUS = objects.CORPUS
CLEAN = [
    "cr-dx/dicom_rtkit__cr_image.dcm", "mg/themorlan_openREM__MG-Im-GE_Seno_1_ForPresentation.dcm",
    "mg/themorlan_openREM__MG-Im-GE_Seno_1_ForProcessing.dcm", "encapsulated/PantelisGeorgiadis_dcmjs-dimse__pdf.dcm",
    "nm-pt/dcmjs-org_dicomweb-client__sample.dcm", "ct/Project-MONAI_MONAI__7106",
    "transfer-syntaxes/chafey_dicomParser__CT0012.fragmented_no_bot_jpeg_lossless.57.dcm",
    "sr-kos-pr/pydicom_pydicom-data__parametric_map_double_float.dcm", "mr/dcm4che_dcm4che__MR-JPEGLosslessSV1.dcm",
    "mr/neurolabusc_dcm_qa_enh__6_1.dcm", "rt/rexcardan_Evil-DICOM__MultpleFL.dcm", "us/pydicom_pydicom__examples_rgb_color.dcm",
    "sr-kos-pr/ImagingDataCommons_highdicom__seg_image_cr_binary.dcm", "charsets/cocosip_go-dicom__chrGB2312.dcm",
    "vl/open-ortho_dicom4ortho__test.dcm", "sr-kos-pr/PantelisGeorgiadis_dcmjs-dimse__sr.dcm",
    "sr-kos-pr/chafey_dicomParser__report_dfl", "sr-kos-pr/ImagingDataCommons_highdicom__sr_document_with_multiple_groups.dcm",
    "sr-kos-pr/usnistgov_iheos-toolkit2/IDS-DEPT001-a/kos/kos-selftest.dcm",
    "sr-kos-pr/themorlan_openREM__CT-RDSR-Siemens-Multi-1.dcm", "vl/ImagingDataCommons_highdicom__sm_annotations.dcm",
]
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"

# PS3.3 C.7.1.1, C.7.2.1, C.7.3.1, C.12.1: what every composite object has, and C.7.6.3 of images.
TYPE_2 = ["PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ReferringPhysicianName",
          "StudyID", "AccessionNumber"]
IDENTIFIERS = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"]
IMAGE_TYPE_1 = ["SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"]
OF_CLASS = {  # SOP class: attributes of type 1, of type 2
    CT: (["ImageType", "RescaleIntercept", "RescaleSlope", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient",
          "FrameOfReferenceUID"], ["KVP", "AcquisitionNumber", "SliceThickness"]),
    MR: (["ImageType", "ScanningSequence", "SequenceVariant", "PixelSpacing", "ImagePositionPatient", "FrameOfReferenceUID"],
         ["ScanOptions", "MRAcquisitionType", "EchoTime", "EchoTrainLength"]),
}
OF_ONE_CLASS = {  # rule: SOP classes, attribute, a value that is wrong there
    "modality.of-ct": ([CT, CT + ".1"], "Modality", "MR"), "modality.of-mr": ([MR, MR + ".1"], "Modality", "CT"),
    "modality.of-dx": (["1.2.840.10008.5.1.4.1.1.1.1"], "Modality", "CT"),
    "modality.of-mammography": (["1.2.840.10008.5.1.4.1.1.1.2", "1.2.840.10008.5.1.4.1.1.1.2.1"], "Modality", "DX"),
    "modality.of-ecg": (["1.2.840.10008.5.1.4.1.1.9.1.1"], "Modality", "HD"),
    "modality.of-kos": (["1.2.840.10008.5.1.4.1.1.88.59"], "Modality", "SR"),
    "document.pdf-type": (["1.2.840.10008.5.1.4.1.1.104.1"], "MIMETypeOfEncapsulatedDocument", "text/xml"),
    "sr.value-type": (["1.2.840.10008.5.1.4.1.1.88.11"], "ValueType", "NUM"),
}
# Attribute, a value that its VR or PS3.6 does not allow, the rule.
BAD_VALUES = [
    ("StudyDate", "20231301", "value.format"), ("StudyTime", "250000", "value.format"), ("PatientBirthDate", "1970.1.1", "value.format"),
    ("PatientAge", "45", "value.format"), ("PatientWeight", "heavy", "value.format"), ("SeriesNumber", "one", "value.format"),
    ("StudyID", "x" * 17, "value.length"), ("StudyDescription", "x" * 65, "value.length"), ("BodyPartExamined", "chest", "value.characters"),
    ("StudyDate", "20240229\\20240301", "vm.count"), ("PatientSize", "1.7\\1.8", "vm.count"), ("PatientSex", "X", "iod.enumerated"),
    ("AccessionNumber", "a\\b", "vm.count"), ("ContentDate", "today", "value.format"),
]


def dotted(keyword):
    tag = tag_for_keyword(keyword)
    return f"{tag >> 16:04X},{tag & 0xFFFF:04X}"


def remove(keyword):
    return lambda image: delattr(image, keyword)


def empty(keyword):
    def change(image):
        image[keyword].value = None
    return change


def put(keyword, value):
    """As it stands, whatever pydicom thinks of it."""
    def change(image):
        tag = tag_for_keyword(keyword)
        vr = pydicom.datadict.dictionary_VR(tag)
        image[tag] = DataElement(tag, vr, value, already_converted=True)
    return change


@harness.needs_shared("corpus/ct")
class Cases(harness.PeerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        warnings.simplefilter("ignore")

    def findings(self, directory):
        done = subprocess.run([harness.TOOLS / "kuva-validate", "--profile", "dicom", "--no-studies", "--phi", "plain", directory],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        found = {}
        for line in done.stdout.decode("utf-8").splitlines():
            record = json.loads(line)
            if record["type"] == "instance":
                # Across the files of this batch, which are copies of few.
                found[pathlib.Path(record["path"]).name] = [
                    (f["severity"], f["rule"], f.get("tagPath", "")) for f in record.get("findings", [])
                    if not f["rule"].startswith(("batch.", "study.", "series.", "patient."))] + \
                    ([("error", record["error"]["code"], "")] if "code" in record.get("error", {}) else [])
        return found

    def changes_of(self, image):
        """Name of what is broken: change, rules of which one must fire, place."""
        changes = {}

        def add(name, change, rules, keyword):
            changes[name] = (change, rules, dotted(keyword))

        present = [k for k in TYPE_2 if k in image]
        for keyword in present:
            add(f"no {keyword}", remove(keyword), {"iod.type2-absent"}, keyword)
        for keyword in IDENTIFIERS:
            add(f"no {keyword}", remove(keyword), {"uid.missing"}, keyword)
            add(f"empty {keyword}", empty(keyword), {"uid.missing"}, keyword)
            for value, rule in (("1.2.03.4", "uid.syntax"), ("9.2.3", "uid.arcs")):
                def change(image, keyword=keyword, value=value):
                    put(keyword, value)(image)
                    if keyword.startswith("SOP"):
                        image.file_meta[f"MediaStorage{keyword}"].value = value
                add(f"{keyword} = {value}", change, {rule}, keyword)
        add("no Modality", remove("Modality"), {"iod.type1-absent"}, "Modality")
        add("empty Modality", empty("Modality"), {"iod.type1-empty"}, "Modality")
        add("series is study", lambda i: setattr(i, "SeriesInstanceUID", i.StudyInstanceUID), {"uid.not-distinct"}, "SeriesInstanceUID")
        if image.get("FrameOfReferenceUID"):
            add("frame of reference is study", lambda i: setattr(i, "FrameOfReferenceUID", i.StudyInstanceUID),
                {"uid.study-is-frame-of-reference"}, "FrameOfReferenceUID")
        if image.get("ImageType"):
            rest = list(image.ImageType)[2:]
            add("ImageType 1", put("ImageType", ["ORIGINA", "PRIMARY", *rest]), {"image.type-value-1"}, "ImageType")
            add("ImageType 2", put("ImageType", ["ORIGINAL", "PRIMAR", *rest]), {"image.type-value-2"}, "ImageType")
        for rule, (sop_classes, keyword, value) in OF_ONE_CLASS.items():
            if image.SOPClassUID in sop_classes:
                add(f"{keyword} = {value}", put(keyword, value), {rule}, keyword)
        one, two = OF_CLASS.get(image.SOPClassUID, ([], []))
        if "PixelData" in image:
            add("no PixelData", remove("PixelData"), {"pixel.missing", "iod.type1c-absent"}, "PixelData")
            add("samples", put("PhotometricInterpretation", "MONOCHROME2" if image.SamplesPerPixel == 3 else "RGB"),
                {"image.samples-of-one", "image.samples-of-colour"}, "SamplesPerPixel")
            add("LossyImageCompression", put("LossyImageCompression", "02"), {"image.lossy-undone", "iod.enumerated"},
                "LossyImageCompression")
            add("empty Columns", empty("Columns"), {"iod.type1-empty"}, "Columns")
            add("HighBit", lambda i: setattr(i, "HighBit", i.HighBit - 1 if i.HighBit else 1), {"image.high-bit"}, "HighBit")
            add("BitsStored", lambda i: (setattr(i, "BitsStored", i.BitsAllocated + 1), setattr(i, "HighBit", i.BitsAllocated)),
                {"image.bits-stored"}, "BitsStored")
            one = one + IMAGE_TYPE_1
        for keyword in one:
            if keyword in image:
                add(f"no {keyword}", remove(keyword), {"iod.type1-absent"}, keyword)
                add(f"empty {keyword}", empty(keyword), {"iod.type1-empty"}, keyword)
        for keyword in two:
            if keyword in image:
                add(f"no {keyword}", remove(keyword), {"iod.type2-absent"}, keyword)
        for keyword, value, rule in BAD_VALUES:
            add(f"{keyword} = {value[:20]}", put(keyword, value), {rule}, keyword)
        if "ConceptNameCodeSequence" in image:
            changes["no CodeMeaning"] = (lambda i: delattr(i.ConceptNameCodeSequence[0], "CodeMeaning"), {"iod.type1-absent"},
                                         "0040,A043[1]/0008,0104")
        changes.update(self.changes_of_groups(image))
        changes.update(self.changes_of_key_objects(image))
        if "ContentSequence" in image:
            if image.SOPClassUID.endswith((".88.11", ".88.22", ".88.33", ".88.34", ".88.59")):
                changes["SELECTED FROM"] = (lambda i: setattr(i.ContentSequence[0], "RelationshipType", "SELECTED FROM"),
                                            {"sr.relationship"}, "0040,A730[1]/0040,A010")
            changes["no ValueType"] = (lambda i: delattr(i.ContentSequence[0], "ValueType"), {"iod.type1-absent", "iod.type1c-absent"},
                                       "0040,A730[1]/0040,A040")
        return changes

    @staticmethod
    def changes_of_groups(image):
        """Functional groups: one frame fewer, a group in both places, none of a mandatory one, dimensions that do not fit."""
        frames = image.get("PerFrameFunctionalGroupsSequence")
        shared = image.get("SharedFunctionalGroupsSequence")
        if not frames or not shared:
            return {}
        changes = {"a frame's groups": (lambda i: i.PerFrameFunctionalGroupsSequence.append(pydicom.Dataset(frames[-1])), {"fg.frame-count"},
                                        "5200,9230")}
        group = next((k for k in ("PixelMeasuresSequence", "PlaneOrientationSequence", "SegmentIdentificationSequence") if k in shared[0]), None)
        if group:
            changes["a group in both"] = (lambda i: setattr(i.PerFrameFunctionalGroupsSequence[0], group, shared[0][group].value),
                                          {"fg.in-both"}, f"5200,9230[1]/{dotted(group)}")
        if group == "PixelMeasuresSequence" and image.SOPClassUID.endswith((".4.1", ".2.1", ".30")):
            changes["no pixel measures"] = (lambda i: delattr(i.SharedFunctionalGroupsSequence[0], group), {"fg.absent"},
                                           f"5200,9229[1]/{dotted(group)}")
        if frames[0].get("FrameContentSequence") and "DimensionIndexValues" in frames[0].FrameContentSequence[0]:
            def index(image):
                content = image.PerFrameFunctionalGroupsSequence[0].FrameContentSequence[0]
                values = content.DimensionIndexValues
                content.DimensionIndexValues = [*(values if isinstance(values, (list, pydicom.multival.MultiValue)) else [values]), 1]
            changes["an index too many"] = (index, {"fg.dimension-count"}, "5200,9230[1]/0020,9111[1]/0020,9157")
        if image.get("DimensionIndexSequence") and "DimensionOrganizationUID" in image.DimensionIndexSequence[0]:
            changes["organization"] = (lambda i: setattr(i.DimensionIndexSequence[0], "DimensionOrganizationUID", "1.2.3.4"),
                                       {"fg.dimension-organization"}, "0020,9222[1]/0020,9164")
        return changes

    @staticmethod
    def changes_of_key_objects(image):
        """A Key Object Selection whose references and evidence do not agree."""
        if image.SOPClassUID != "1.2.840.10008.5.1.4.1.1.88.59":
            return {}
        content = [n for n, item in enumerate(image.ContentSequence) if "ReferencedSOPSequence" in item]

        def other_reference(image):
            image.ContentSequence[content[0]].ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.3.4"

        def no_references(image):
            for number in content:
                image.ContentSequence[number].RelationshipType, image.ContentSequence[number].ValueType = "CONTAINS", "TEXT"
                image.ContentSequence[number].TextValue = "none"
                image.ContentSequence[number].ConceptNameCodeSequence = image.ConceptNameCodeSequence
                del image.ContentSequence[number].ReferencedSOPSequence

        return {
            "other reference": (other_reference, {"kos.content-without-evidence"},
                                f"0040,A730[{content[0] + 1}]/0008,1199[1]/0008,1155"),
            "no references": (no_references, {"kos.no-content"}, "0040,A730"),
            "evidence without a study": (lambda i: setattr(i, "CurrentRequestedProcedureEvidenceSequence", []),
                                         {"kos.content-without-evidence"}, f"0040,A730[{content[0] + 1}]/0008,1199[1]/0008,1155"),
            "title": (lambda i: setattr(i.ConceptNameCodeSequence[0], "CodeValue", "121181"), {"kos.title-unknown"}, "0040,A043/0008,0100"),
            "continuity": (put("ContinuityOfContent", "CONTINUOUS"), {"kos.continuity"}, "0040,A050"),
        }

    # What must follow from a change and is no other defect: the same attribute is enumerated in some IODs, or the image is then
    # another than its pixel data, or the report another than its value type.
    FOLLOWS = {
        "no BitsAllocated": {"pixel.native-length"}, "empty BitsAllocated": {"pixel.native-length"}, "BitsStored": {"iod.enumerated"},
        "HighBit": {"iod.enumerated"}, "samples": {"iod.enumerated", "pixel.native-length"}, "ImageType 1": {"iod.enumerated"},
        "LossyImageCompression": {"image.lossy-undone", "iod.enumerated"}, "ValueType = NUM": {"iod.type2c-absent"}, "evidence without a study": {"iod.type1-empty"},
        **{f"Modality = {m}": {"iod.enumerated"} for m in ("MR", "CT", "DX", "HD", "SR")},
    }

    def test_mutations(self):
        wanted, skipped = {}, collections.Counter()
        directory = self.make_directory("mutated")
        samples = self.make_directory("samples")
        subprocess.run([harness.TOOLS / "kuva-sandbox", "--sample-study", samples / "s"], stdout=subprocess.DEVNULL, check=True)
        files = [CORPUS / name for name in CLEAN] + [samples / "s" / "dx.dcm", samples / "s" / "ecg.dcm"]
        classes = set()
        for number, file in enumerate(files):
            image = pydicom.dcmread(file, force=True)
            classes.add(str(image.SOPClassUID))
            name = f"{number:02}-clean"
            image.save_as(directory / name, write_like_original=True)
            wanted[name] = ("clean", set(), "")
            for change_number, (what, (change, rules, place)) in enumerate(self.changes_of(image).items()):
                name = f"{number:02}-{change_number:03}"
                changed = pydicom.dcmread(file, force=True)
                try:
                    change(changed)
                    changed.save_as(directory / name, write_like_original=True)
                except Exception as error:  # pydicom refuses to write some of it
                    skipped[f"{what}: {error}"] += 1
                    continue
                wanted[name] = (what, rules, place)
        found = self.findings(directory)
        base = {name[:2]: set(found[name]) for name in found if name.endswith("clean")}
        wrong = []
        for name, (what, rules, place) in sorted(wanted.items()):
            new = [f for f in found[name] if f not in base[name[:2]]]
            if what == "clean":
                wrong += [(name, what, f) for f in found[name] if f[0] == "error"]
                continue
            if not any(rule in rules and path == place for _, rule, path in new):
                wrong.append((name, what, f"{'|'.join(rules)} at {place} is not found: {new}"))
            others = [f for f in new if f[0] == "error" and not (f[1] in rules and (f[2] == place or f[2].startswith("0002,"))) and
                      f[1] not in self.FOLLOWS.get(what, ())]
            wrong += [(name, what, f"another error: {f}") for f in others]
        cases = len(wanted) - len(files)
        print(f"    {cases} violations of {len({w for w, _, _ in wanted.values()}) - 1} sorts in {len(classes)} SOP classes; "
              f"{sum(skipped.values())} could not be written")
        for name, what, problem in wrong[:60]:
            print(f"    {name} {files[int(name[:2])].name}: {what}: {problem}")
        self.assertGreaterEqual(len(classes), 20)
        self.assertGreaterEqual(cases, 400)
        self.assertEqual(wrong, [])

    def test_corpus_findings(self):
        """The findings of the corpus are those of corpus_findings.txt, which somebody has read; KUVA_REBASE=1 writes it anew."""
        done = self.tool("kuva-validate", "--profile", "dicom", "--no-studies", CORPUS)
        lines = ["# What kuva-validate --profile dicom finds in the corpus: a file, its outcome, its rules and how often. Read the",
                 "# difference before you commit it. Written by KUVA_REBASE=1 tests/peer/run.py test_rules.py Cases.test_corpus_findings"]
        for record in done.instances:
            counts = collections.Counter(f["rule"] for f in record.get("findings", []))
            said = [rule if count == 1 else f"{rule} x{count}" for rule, count in sorted(counts.items())]
            said += [record["error"]["code"]] if "error" in record else []
            lines.append(f"{pathlib.Path(record['path']).relative_to(CORPUS)}: {record['outcome']} {', '.join(said)}".rstrip())
        golden = pathlib.Path(__file__).with_name("corpus_findings.txt")
        if os.environ.get("KUVA_REBASE"):
            golden.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.assertEqual(lines, golden.read_text(encoding="utf-8").splitlines())


# Errors of the profile dcm4chee on files that Orthanc and DCMTK take, and why they stay errors.
DEFENDED = {
    "batch.uid-clash": "two files with one SOP Instance UID and different content: the archive keeps one of them, and loses the other",
    "file.malformed": "an element of the file meta information has a VR that does not exist: where the element ends is a guess",
    "meta.sop-instance-mismatch": "the object has two identities: what a sender announces by the one the archive compares with the "
                                  "other and refuses (A900), or stores under a name that nobody asks for",
    "meta.sop-class-mismatch": "as with the instance",
    "pixel.encapsulated-in-native-syntax": "no viewer can decode it: stored, and lost",
    "study.patient-id-differs": "two patients in one study: dcm4chee answers A778 or merges them, Orthanc attaches the second to the "
                                "first one's study without a word",
}


@harness.needs_shared("corpus/ct")
@harness.needs("dcmsend", "storescp", peers.ORTHANC_PROGRAM)
class FalseAlarms(harness.PeerCase):
    def test_corpus(self):
        """What Orthanc and DCMTK store has no error of the profile dcm4chee but those defended."""
        files = [path for path in sorted(CORPUS.rglob("*")) if path.is_file() and path.name != "MANIFEST.tsv"]
        taken, crashes = self.taken_by_orthanc(files)
        scp = peers.Storescp(self, "+xa", "--ignore")
        report = self.directory / "report.txt"
        self.run_program("dcmsend", "-q", "-nh", "-nuc", "-dn", "+crf", report, "-aec", "ANY", "127.0.0.1", scp.port,
                         *sorted(taken), seconds=240)
        accepted = self.stored(report)
        self.assertGreater(len(accepted), 300)
        done = self.tool("kuva-validate", "--profile", "dcm4chee", "--no-studies", *sorted(accepted))
        errors = collections.Counter()
        alarms = []
        for record in done.instances:
            for finding in record.get("findings", []):
                if finding["severity"] == "error":
                    errors[finding["rule"]] += 1
                    if finding["rule"] not in DEFENDED:
                        alarms.append((finding["rule"], record["path"]))
            if "error" in record:
                errors[record["error"]["code"]] += 1
                if record["error"]["code"] not in DEFENDED:
                    alarms.append((record["error"]["code"], record["path"]))
        print(f"    of {len(files)} files Orthanc takes {len(taken)} (and crashes on {crashes}), DCMTK {len(accepted)} of these;"
              f" errors: {dict(errors)}")
        self.assertEqual(alarms, [])

    def taken_by_orthanc(self, files):
        """Those that it stores, and on how many it ends; it is then started again."""
        taken, crashes = set(), 0
        orthanc = peers.Orthanc(self)
        for file in files:
            request = urllib.request.Request(f"http://127.0.0.1:{orthanc.http}/instances", data=file.read_bytes(), method="POST")
            try:
                with urllib.request.urlopen(request, timeout=60) as response:
                    if response.status == 200:
                        taken.add(file)
            except urllib.error.HTTPError:
                pass
            except (urllib.error.URLError, ConnectionError):
                crashes += 1
                self.assertLess(crashes, 10)
                orthanc.process.stop()
                orthanc = peers.Orthanc(self, name=f"orthanc-{crashes}")
        return taken, crashes

    @staticmethod
    def stored(report):
        found = set()
        name = None
        for line in report.read_text(errors="replace").splitlines():
            key, _, value = (part.strip() for part in line.partition(":"))
            if key == "Filename":
                name = value
            elif key == "DIMSE Status" and value.startswith("0x0000"):
                found.add(name)
        return found
