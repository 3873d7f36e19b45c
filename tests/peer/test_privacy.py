"""No name or identifier of a patient in anything that the tools print, log, trace or bundle: the objects carry values that
stand nowhere else, everything goes through every tool, failures included, and all that came of it is searched."""

import gzip
import io
import tarfile

import pydicom

import harness
import objects
import peers

# In each form in which they may be written; the paths of the test hold none of them.
MARKERS = {
    "PatientName": "QZXNAME^Marker^Middle",
    "PatientID": "QZXPID-071177-707Q",
    "PatientBirthDate": "17770711",
    "AccessionNumber": "QZXACC7711",
    "OtherPatientIDs": "QZXOTHERID",
    "PatientAddress": "QZXSTREET 7",
    "PatientMotherBirthName": "QZXMOTHER",
    "ReferringPhysicianName": "QZXREFERRER^Doctor",
    "PatientTelephoneNumbers": "QZXPHONE",
    "PatientComments": "QZXCOMMENT",
    "InstitutionName": "QZXHOSPITAL",
    "AdmissionID": "QZXADMISSION",
    "StudyID": "QZXSTUDYID",
}
NEEDLES = [b"QZX", b"17770711", b"071177-707", b"qzx"]


def encodings(needle):
    text = needle.decode()
    return {needle, text.encode("utf-16-le"), text.encode("utf-16-be"), needle.hex().encode(), needle.hex().upper().encode()}


def contents(path):
    """The bytes of a file, and of what is packed in it."""
    data = path.read_bytes()
    yield str(path.name), data
    if data[:2] == b"\x1f\x8b":
        plain = gzip.decompress(data)
        yield f"{path.name} (unpacked)", plain
        try:
            with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
                for member in archive.getmembers():
                    yield f"{path.name}: {member.name}", member.name.encode()
        except tarfile.TarError:
            pass


class Privacy(harness.PeerCase):
    def write_study(self, name, count=3, **changes):
        directory = self.make_directory(name)
        files = objects.write_ct_study(directory, count, rows=16)
        for file in files:
            data = pydicom.dcmread(file)
            for keyword, value in {**MARKERS, **changes}.items():
                setattr(data, keyword, value)
            data.save_as(file, write_like_original=False)
        return files

    def write_everything(self):
        """Sound studies, and each kind of fault that a message speaks of."""
        self.write_study("sound")
        missing = self.write_study("no-id", PatientID="")
        study = pydicom.dcmread(missing[0]).StudyInstanceUID
        for file in self.write_study("two-patients", PatientID="QZXPID-OTHER"):
            data = pydicom.dcmread(file)
            data.StudyInstanceUID = study
            data.save_as(file, write_like_original=False)
        first, second, third = self.write_study("clash")
        data = pydicom.dcmread(second)
        data.PatientID = "QZXPID-SECOND"  # within one study
        data.save_as(second, write_like_original=False)
        data = pydicom.dcmread(third)
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = pydicom.dcmread(first).SOPInstanceUID
        data.PatientName = "QZXNAME^Clash"
        data.save_as(third, write_like_original=False)
        cut, garbled, charset = self.write_study("broken")
        cut.write_bytes(cut.read_bytes()[:-300])
        bytes_ = bytearray(garbled.read_bytes())
        at = bytes_.index(b"QZXPID")
        bytes_[at - 2:at] = b"\xfe\xff"  # the length of Patient ID
        garbled.write_bytes(bytes(bytes_))
        bytes_ = charset.read_bytes().replace(b"QZXNAME^Marker", b"QZXNAME^M\xe4rk\xffr")
        charset.write_bytes(bytes_)
        self.write_study("bad-values", PatientBirthDate="17770711X", PatientSex="QZX")

    def test_no_marker_in_anything_that_is_written(self):
        self.write_everything()
        box = peers.Sandbox(self)
        box.start()
        names = ["sound", "no-id", "two-patients", "clash", "broken", "bad-values"]
        outputs = []

        def run(tool, *arguments, **options):
            result = self.tool(tool, "-vv", *arguments, **options)
            outputs.append((f"{tool} {' '.join(map(str, arguments))}", result.out + result.err.encode()))
            return result

        for name in names:
            run("kuva-validate", name)
            for target in ("sandbox", "sandbox-plain"):
                sent = run("kuva-send", "--config", box.config, "-t", target, "--retries", "0", "--trace",
                           f"trace-{name}-{target}", "--bundle", f"{name}-{target}.tar.gz", name)
                run("kuva-commit", "--config", box.config, "-t", target, "--wait", "10s", "--trace",
                    f"trace-commit-{name}-{target}", "--state", "state", stdin=sent.out)
        run("kuva-validate", *names)
        everything = run("kuva-send", "--config", box.config, "-t", "sandbox", "--retries", "0", "--trace", "trace-all", *names)
        self.assertNotEqual(everything.code, 0)  # the faults did come up
        kinds = {record["error"]["code"] for record in everything.instances if "error" in record}
        self.assertGreaterEqual(len(kinds), 3, kinds)
        code = self.run_program(harness.TOOLS / "kuva-send", "--format", "text", "--config", box.config, "-t", "sandbox",
                                "--retries", "0", *names)
        outputs.append(("kuva-send as text", code[1].encode()))
        code = self.run_program(harness.TOOLS / "kuva-validate", "--format", "text", *names)
        outputs.append(("kuva-validate as text", code[1].encode()))
        run("kuva-send", "--config", box.config, "-t", "sandbox", "--calling", "STRANGER", "--trace", "trace-stranger", "sound")
        box.stop()

        data = set(names)
        searched = list(outputs)
        for path in sorted(self.directory.rglob("*")):
            relative = path.relative_to(self.directory)
            if path.is_file() and relative.parts[0] not in data and box.storage not in path.parents:
                searched += [(f"{relative.parent}: {name}", content) for name, content in contents(path)]
        self.assertTrue(any("trace-all" in name for name, _ in searched))
        self.assertTrue(any("transcript" in name for name, _ in searched))
        self.assertTrue(any(".tar.gz: kuva-bundle/headers/" in name for name, _ in searched))
        found = [f"{needle.decode()} in {name}: {content[max(0, content.find(form) - 80):][:200]!r}"
                 for name, content in searched for needle in NEEDLES for form in encodings(needle) if form in content]
        self.assertEqual(found, [], "\n".join(found[:20]))

    def test_the_search_finds_what_is_plain(self):
        """The test can fail: asked for as they are, the values are there."""
        _, second, _ = self.write_study("two-patients")
        data = pydicom.dcmread(second)
        data.PatientID = "QZXPID-SECOND"
        data.save_as(second, write_like_original=False)
        for phi, expected in (("plain", True), ("mask", False)):
            shown = self.tool("kuva-validate", "--phi", phi, "two-patients")
            found = any(form in shown.out for needle in NEEDLES for form in encodings(needle))
            self.assertEqual(found, expected, shown.out[-3000:])
