"""Lengths that lie, of each shape that made readers allocate what the file does not have (CVE-2026-3650 and its like).

Files of some kilobytes or megabytes that announce gigabytes. kuva-validate, with all rules of the standard, names what is wrong,
takes no more memory than for any file, and goes on to the next one.
"""

import json
import os
import resource
import struct
import subprocess
import time
import zlib

import harness

EXPLICIT, IMPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"
JPEG = "1.2.840.10008.1.2.4.50"
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"
UNDEFINED, HUGE = 0xFFFFFFFF, 0xFFFFFFFE
ITEM, ITEM_END, SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
LONG = {"OB", "OW", "SQ", "UN", "UT", "UC"}
MEBIBYTE = 1 << 20
# Of the process as a whole; what the tool takes for a sound file is some 20 MiB, its libraries included.
LIMIT = 64 * MEBIBYTE
# A million elements or items is what is kept of one object.
LIMIT_OF_MANY = 192 * MEBIBYTE


def head(tag, vr, length, implicit=False):
    start = struct.pack("<HH", *tag)
    if implicit or vr is None:
        return start + struct.pack("<I", length)
    if vr in LONG:
        return start + vr.encode() + struct.pack("<HI", 0, length)
    return start + vr.encode() + struct.pack("<H", length)


def element(tag, vr, value, implicit=False):
    value += (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
    return head(tag, vr, len(value), implicit) + value


def item(tag, length):
    return struct.pack("<HHI", *tag, length)


def meta(syntax, extra=b""):
    group = element((2, 1), "OB", b"\0\1") + element((2, 2), "UI", SECONDARY.encode()) + element((2, 3), "UI", b"1.2.3.4.5") + \
        element((2, 0x10), "UI", syntax.encode()) + element((2, 0x12), "UI", b"1.2.3.4") + extra
    return b"\0" * 128 + b"DICM" + element((2, 0), "UL", struct.pack("<I", len(group))) + group


def identity(implicit=False):
    return b"".join(element(tag, vr, value.encode(), implicit) for tag, vr, value in [
        ((8, 0x16), "UI", SECONDARY), ((8, 0x18), "UI", "1.2.3.4.5"), ((8, 0x60), "CS", "OT")])


def explicit(tail):
    return meta(EXPLICIT) + identity() + tail


def compressed(fragments):
    return meta(JPEG) + identity() + element((0x28, 8), "IS", b"1") + head((0x7FE0, 0x10), "OB", UNDEFINED) + fragments


def deflated(data_set):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    pieces = [packer.compress(identity())]
    for piece in data_set:
        pieces.append(packer.compress(piece))
    return meta(DEFLATED) + b"".join(pieces) + packer.flush()


SEQUENCE = (8, 0x1140)
NESTED = head(SEQUENCE, "SQ", UNDEFINED) + item(ITEM, UNDEFINED)
FRAGMENT_END = item(SEQUENCE_END, 0)

# Shape: the bytes, what must be found.
BOMBS = {
    "element longer than the file": (lambda: explicit(head((8, 0x1030), "UT", HUGE) + b"x"), "structure.truncated"),
    "element longer than the file, Implicit VR": (
        lambda: meta(IMPLICIT) + identity(True) + head((8, 0x1030), None, HUGE) + b"x", "structure.truncated"),
    "element of an unknown VR longer than the file": (lambda: explicit(head((9, 0x1001), "UN", HUGE) + b"x"), "structure.truncated"),
    "pixel data longer than the file": (lambda: explicit(head((0x7FE0, 0x10), "OW", 0xFFFFFFF0) + b"xy"), "structure.truncated"),
    "sequence longer than the file": (lambda: explicit(head(SEQUENCE, "SQ", HUGE) + item(ITEM, 0)), "structure.truncated"),
    "item longer than the file": (lambda: explicit(head(SEQUENCE, "SQ", UNDEFINED) + item(ITEM, HUGE)), "structure.truncated"),
    "item longer than its sequence": (
        lambda: explicit(head(SEQUENCE, "SQ", 16) + item(ITEM, 400) + b"\0" * 8 + element((0x10, 0x10), "PN", b"x" * 600)),
        "structure.length-mismatch"),
    "element longer than its item": (
        lambda: explicit(head(SEQUENCE, "SQ", 24) + item(ITEM, 16) + head((8, 0x1155), "UI", 0x7FFE) + b"1.2.3.4.5" * 4000),
        "structure.length-mismatch"),
    "fragment longer than the file": (lambda: compressed(item(ITEM, 0) + item(ITEM, HUGE) + b"x"), "structure.truncated"),
    "fragment of undefined length": (lambda: compressed(item(ITEM, 0) + item(ITEM, UNDEFINED)), "structure.undefined-length"),
    "offset table longer than the file": (lambda: compressed(item(ITEM, 0xFFFFFFF0) + b"\0" * 8), "structure.truncated"),
    "offset table of more frames than there are": (
        lambda: compressed(item(ITEM, 400000) + b"\0" * 400000 + item(ITEM, 2) + b"ab" + FRAGMENT_END), "pixel.offset-table"),
    "offset table that points behind the file": (
        lambda: compressed(item(ITEM, 4) + struct.pack("<I", 0xFFFFFFF0) + item(ITEM, 2) + b"ab" + FRAGMENT_END), "pixel.offset-table"),
    "undefined lengths nested a million deep": (lambda: explicit(NESTED * (8 * MEBIBYTE // len(NESTED))), "structure.too-deep"),
    "undefined length of a VR that has none": (lambda: explicit(head((8, 0x1030), "UT", UNDEFINED) + b"x" * 64), "structure.undefined-length"),
    "deflated: an element longer than what it inflates to": (lambda: deflated([head((8, 0x1030), "UT", HUGE), b"x" * 64]), "structure.truncated"),
    "deflated: 256 KiB that inflate to 256 MiB": (
        lambda: deflated([head((0x7FE0, 0x10), "OW", 256 * MEBIBYTE)] + [b"\0" * MEBIBYTE] * 256), "iod.type1-absent"),
    "deflated: 16 KiB that inflate to 16 MiB of nothing": (lambda: deflated([b"\0" * MEBIBYTE] * 16), "structure.trailing-bytes"),
    "file meta information longer than the file": (
        lambda: meta(EXPLICIT, head((2, 0x102), "OB", HUGE)) + identity(), "file.truncated"),
    "file meta information of undefined length": (
        lambda: meta(EXPLICIT, head((2, 0x102), "OB", UNDEFINED)) + identity(), "file.malformed"),
}
# As long as they say, and still too much for one object.
MANY = {
    "a million empty items": (lambda: explicit(head(SEQUENCE, "SQ", UNDEFINED) + item(ITEM, 0) * 1000001 + item(SEQUENCE_END, 0)), "rules.partial"),
    "900,000 items, each without what it must have": (
        lambda: explicit(head(SEQUENCE, "SQ", UNDEFINED) + item(ITEM, 0) * 900000 + item(SEQUENCE_END, 0)), "inspection.more"),
    "a million empty elements": (lambda: explicit(head((8, 0x1030), "LO", 0) * 1000001), "rules.partial"),
    "a million elements out of order": (
        lambda: explicit(b"".join(head((0x8FFF - i // 0xFFFF * 2, 0xFFFF - i % 0xFFFF), "LO", 0) for i in range(990000))),
        "structure.tag-order"),
}


class Cases(harness.PeerCase):
    def check(self, shapes, limit):
        """Each alone, so that its memory is its own; then all of them in one run, before a sound file."""
        wrong, files = [], []
        for number, (shape, (make, rule)) in enumerate(shapes.items()):
            file = self.directory / f"{number:02}.dcm"
            data = make()
            file.write_bytes(data)
            files.append(file)
            begun = time.monotonic()
            records, peak = self.validate(file)
            said = {f["rule"] for f in records[0].get("findings", [])} | {records[0].get("error", {}).get("code")}
            print(f"    {shape}: {len(data):,} bytes, {rule}, at most {peak // 1024} KiB, {time.monotonic() - begun:.2f} s")
            if rule not in said:
                wrong.append(f"{shape}: {rule} is not found: {sorted(filter(None, said))}")
            if peak > limit:
                wrong.append(f"{shape}: {peak // 1024} KiB")
        sound = self.directory / "zz-sound.dcm"
        sound.write_bytes(explicit(b""))
        records, peak = self.validate("--jobs", "2", *files, sound)
        self.assertEqual(len([r for r in records if r["type"] == "instance"]), len(files) + 1)
        self.assertEqual(records[-1]["type"], "summary")
        print(f"    all of them in one run with two threads: at most {peak // 1024} KiB")
        self.assertEqual(wrong, [])

    def validate(self, *arguments):
        """The records, and the peak resident memory in bytes (that of this script before it became the tool counts too)."""
        out = self.directory / "records.ndjson"
        with open(out, "wb") as stdout:
            tool = subprocess.Popen([harness.TOOLS / "kuva-validate", "--profile", "dicom", "--format", "json", *arguments],
                                    stdout=stdout, stderr=subprocess.DEVNULL,
                                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (120, 120)))
            _, status, usage = os.wait4(tool.pid, 0)
            tool.returncode = os.waitstatus_to_exitcode(status)
        self.assertIn(tool.returncode, (0, 3))
        return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()], usage.ru_maxrss * 1024

    def test_lengths_that_lie(self):
        self.check(BOMBS, LIMIT)

    def test_too_many(self):
        self.check(MANY, LIMIT_OF_MANY)
