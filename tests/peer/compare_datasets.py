#!/usr/bin/python3
"""Tells whether two DICOM files carry the same data set, whatever file meta, transfer syntax or machine.

    compare_datasets.py SENT RECEIVED

Same transfer syntax: the bytes after the file meta group are compared. Another uncompressed syntax, or --elements:
element by element, values in one byte order, nested items in order; group lengths (gggg,0000) and Data Set Trailing
Padding are left out there, since writing a data set anew recounts them. With --elements, what DCMTK changes as Orthanc
writes with it does not count either: padding at the end of text, and elements of groups below 0008 in items.
Exit code 0 when the same, 1 with the first difference.
Independent of the code under test: it has its own walker and takes only the dictionary from pydicom.
"""

import struct
import sys
import zlib

from pydicom.datadict import dictionary_VR

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
UNCOMPRESSED = {IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN}

LONG_VRS = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
WORD_SIZES = {b"US": 2, b"SS": 2, b"OW": 2, b"AT": 2, b"UL": 4, b"SL": 4, b"FL": 4, b"OF": 4, b"OL": 4,
              b"FD": 8, b"OD": 8, b"OV": 8, b"SV": 8, b"UV": 8}
TEXT_VRS = {b"AE", b"AS", b"CS", b"DA", b"DS", b"DT", b"IS", b"LO", b"LT", b"PN", b"SH", b"ST", b"TM", b"UC", b"UI",
            b"UR", b"UT"}
UNDEFINED = 0xFFFFFFFF
PIXEL_DATA = 0x7FE00010


class File:
    """A Part 10 file: the UIDs of its meta group, and where its data set starts."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.bytes = file.read()
        self.meta = {}
        position = 132 if self.bytes[128:132] == b"DICM" else 0
        if self.bytes[position:position + 2] == b"\x02\x00":
            position = self._read_meta(position)
        self.data = self.bytes[position:]

    def _read_meta(self, position):
        while self.bytes[position:position + 2] == b"\x02\x00":
            element, vr = struct.unpack_from("<H2s", self.bytes, position + 2)
            if vr in LONG_VRS:
                length, = struct.unpack_from("<I", self.bytes, position + 8)
                position += 12
            else:
                length, = struct.unpack_from("<H", self.bytes, position + 6)
                position += 8
            self.meta[element] = self.bytes[position:position + length]
            position += length
        return position

    def uid(self, element):
        return self.meta.get(element, b"").rstrip(b"\0 ").decode("ascii", "replace")

    @property
    def sop_class(self):
        return self.uid(0x0002)

    @property
    def sop_instance(self):
        return self.uid(0x0003)

    @property
    def transfer_syntax(self):
        return self.uid(0x0010)


class Element:
    """A tag with its value in little endian, or with items (each a list of elements), or with fragments."""

    def __init__(self, tag, vr):
        self.tag, self.vr = tag, vr
        self.value = b""
        self.items = None
        self.fragments = None

    def name(self):
        return f"({self.tag >> 16:04x},{self.tag & 0xFFFF:04x})"


class Walker:
    def __init__(self, data, transfer_syntax):
        if transfer_syntax == DEFLATED:
            data = zlib.decompress(data, -15)
        self.data = data
        self.order = ">" if transfer_syntax == BIG_ENDIAN else "<"
        self.explicit = transfer_syntax != IMPLICIT

    def elements(self, position=0, end=None):
        found, _ = self._elements(position, len(self.data) if end is None else end, self.explicit)
        return found

    def _header(self, position, explicit):
        group, element = struct.unpack_from(self.order + "HH", self.data, position)
        tag = group << 16 | element
        if group == 0xFFFE or not explicit:
            length, = struct.unpack_from(self.order + "I", self.data, position + 4)
            return tag, None, length, position + 8
        vr = self.data[position + 4:position + 6]
        if vr in LONG_VRS:
            length, = struct.unpack_from(self.order + "I", self.data, position + 8)
            return tag, vr, length, position + 12
        length, = struct.unpack_from(self.order + "H", self.data, position + 6)
        return tag, vr, length, position + 8

    def _elements(self, position, end, explicit):
        found = []
        while position + 8 <= end:
            tag, vr, length, position = self._header(position, explicit)
            if tag == 0xFFFEE00D:
                break
            element = Element(tag, vr or self._dictionary_vr(tag))
            if tag == PIXEL_DATA and length == UNDEFINED:
                element.fragments, position = self._fragments(position, end)
            elif length == UNDEFINED or self._is_sequence(element, vr, position, length):
                stop = end if length == UNDEFINED else position + length
                # What an unknown VR of undefined length holds is implicit little endian (PS3.5 6.2.2).
                inner = explicit and vr != b"UN"
                element.items, position = self._items(position, stop, inner, length == UNDEFINED)
            else:
                if position + length > end:
                    raise ValueError(f"{element.name()} is longer than what is left")
                element.value = self._little_endian(element, position, length)
                position += length
            found.append(element)
        return found, position

    def _is_sequence(self, element, vr, position, length):
        """What the dictionary alone calls a sequence must also look like one."""
        if vr is not None or element.vr != b"SQ" or length == 0:
            return element.vr == b"SQ"
        return self.data[position:position + 4] == struct.pack(self.order + "HH", 0xFFFE, 0xE000)

    def _items(self, position, end, explicit, delimited):
        items = []
        while position + 8 <= end:
            tag, _, length, position = self._header(position, False)
            if tag == 0xFFFEE0DD:
                return items, position
            if tag != 0xFFFEE000:
                raise ValueError(f"no item at {position}")
            content, after = self._elements(position, end if length == UNDEFINED else position + length, explicit)
            items.append(content)
            position = after if length == UNDEFINED else position + length
        return items, position if delimited else end

    def _fragments(self, position, end):
        fragments = []
        while position + 8 <= end:
            tag, _, length, position = self._header(position, False)
            if tag == 0xFFFEE0DD:
                break
            fragments.append(self.data[position:position + length])
            position += length
        return fragments, position

    def _little_endian(self, element, position, length):
        value = self.data[position:position + length]
        size = WORD_SIZES.get(element.vr, 1)
        if self.order == "<" or size == 1 or length % size:
            return value
        swapped = bytearray(length)
        for byte in range(size):
            swapped[byte::size] = value[size - 1 - byte::size]
        return bytes(swapped)

    @staticmethod
    def _dictionary_vr(tag):
        try:
            return dictionary_VR(tag).encode()
        except KeyError:
            return b"UN"


def leaves_out(element, as_dcmtk):
    if as_dcmtk and element.tag < 0x00080000:
        return True
    return element.tag & 0xFFFF == 0 or element.tag == 0xFFFCFFFC


def as_items(element, explicit):
    """What one side takes for a sequence and the other, not knowing the tag, for a value."""
    if element.items is None:
        walker = Walker(element.value, EXPLICIT if explicit and element.vr != b"UN" else IMPLICIT)
        element.items, _ = walker._items(0, len(element.value), walker.explicit, False)
    return element.items


def same_value(a, b, as_dcmtk):
    if as_dcmtk and a.vr in TEXT_VRS:
        return a.value.rstrip(b" \0") == b.value.rstrip(b" \0")
    if len(a.value) % 2 == 1:  # a value of odd length is padded when it is written anew
        return b.value[:-1] == a.value and b.value[-1:] in (b"\0", b" ")
    return a.value == b.value


def first_difference(sent, received, explicit, as_dcmtk, where=""):
    """None, or a sentence; `explicit` of the received side, `as_dcmtk`: what DCMTK changes does not count."""
    ours = [element for element in sent if not leaves_out(element, as_dcmtk)]
    theirs = [element for element in received if not leaves_out(element, as_dcmtk)]
    for a, b in zip(ours, theirs):
        place = where + a.name()
        if a.tag != b.tag:
            return f"{place} against {where}{b.name()}"
        if a.fragments is not None or b.fragments is not None:
            if a.fragments != b.fragments:
                return f"{place}: other fragments"
        elif a.items is not None or b.items is not None:
            first, second = as_items(a, explicit), as_items(b, explicit)
            if len(first) != len(second):
                return f"{place}: {len(first)} items against {len(second)}"
            for number, pair in enumerate(zip(first, second), 1):
                difference = first_difference(*pair, explicit, as_dcmtk, f"{place}[{number}].")
                if difference:
                    return difference
        elif not same_value(a, b, as_dcmtk):
            return f"{place}: {len(a.value)} bytes against {len(b.value)}, values differ"
    if len(ours) != len(theirs):
        extra = (ours if len(ours) > len(theirs) else theirs)[min(len(ours), len(theirs))]
        return f"{where}{extra.name()} is on one side only"
    return None


def compare(sent_path, received_path, elements=False):
    """("identical" | "padded" | "same elements" | "different", explanation)."""
    sent, received = File(sent_path), File(received_path)
    from_syntax = sent.transfer_syntax or IMPLICIT
    to_syntax = received.transfer_syntax
    if from_syntax == to_syntax and sent.data == received.data:
        return "identical", ""
    if from_syntax == to_syntax and len(sent.data) % 2 == 1 and sent.data + b"\0" == received.data:
        return "padded", "the data set has an odd length, which no message can carry"
    if from_syntax == to_syntax and not elements:
        same = next((i for i, pair in enumerate(zip(sent.data, received.data)) if pair[0] != pair[1]),
                    min(len(sent.data), len(received.data)))
        return "different", f"bytes differ from offset {same}; {len(sent.data)} against {len(received.data)} bytes"
    if from_syntax != to_syntax and not {from_syntax, to_syntax} <= UNCOMPRESSED:
        return "different", f"transfer syntax {from_syntax} became {to_syntax}"
    try:
        ours, theirs = Walker(sent.data, from_syntax), Walker(received.data, to_syntax)
        difference = first_difference(ours.elements(), theirs.elements(), theirs.explicit, elements)
    except (ValueError, struct.error, zlib.error) as error:
        return "different", f"cannot be walked: {error}"
    return ("different", difference) if difference else ("same elements", f"{from_syntax} became {to_syntax}")


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--elements"]
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    verdict, why = compare(*arguments, elements="--elements" in sys.argv)
    print(f"{verdict}: {why}" if why else verdict)
    return 1 if verdict == "different" else 0


if __name__ == "__main__":
    sys.exit(main())
