#!/usr/bin/python3
"""What dciodvfy and kuva-validate --profile dicom say of the same files: the tables of docs/dciodvfy.md.

usage: tests/peer/compare_findings.py [--tools DIR] [--output FILE] [--show KIND]

Both look at every file of the corpus. Each error of dciodvfy about an attribute that is missing, that is empty, about a VR, a
number of values, or an enumerated value is looked for among the findings of kuva-validate, by its place in the file. What
is not there must be a difference that is named below. Fails where less than 95 % of a kind is found or named, and where an
error of neither sort is left. Takes a minute; with the tests of label scale.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys

import harness
import objects

LEAST = 0.95
OUTPUT_CAP = 1 << 20

# Kind, dciodvfy's words, beginnings of the rules that say the same.
KINDS = [
    ("missing attribute", r"Missing attribute for Type", ("iod.type", "uid.missing", "pixel.", "meta.", "fg.")),
    ("empty value", r"Empty attribute \(no value\)", ("iod.type", "uid.missing")),
    ("bad VR or value", r"Invalid Value Representation|Value invalid for this VR|Illegal root for UID",
     ("vr.", "value.", "uid.", "structure.", "charset.undecodable")),
    ("bad number of values", r"Value Multiplicity|A value is required for value|Bad Sequence number of Items",
     ("vm.", "image.type", "iod.items")),
    ("bad enumerated value", r"Unrecognized enumerated value", ("iod.enumerated", "image.", "modality.", "sr.")),
]

GROUPS = re.compile(r"5200,92(29|30)")


def not_read_whole(error):
    return error.kuva.get("error") or error.kuva["outcome"] == "skipped" or error.kuva_has("rules.partial")


# What kuva does not say though dciodvfy does: name, whose (theirs, ours, choice), why, and whether an error is one.
DIFFERENCES = [
    ("file that cannot be read whole", "choice",
     "The file is broken or no object. kuva says so once, with the place, and applies no rule about attributes to a part of it; "
     "dciodvfy goes on with what it has, and calls missing what it did not reach.",
     not_read_whole),
    ("more than 500 findings in an object", "choice",
     "kuva ends the list with a finding that says so; one file has 1000 empty items.",
     lambda e: e.kuva_has("inspection.more") or e.kuva_has("value.more")),
    ("functional groups", "ours",
     "Attributes within functional groups: the tables name the sequence of each group, not what it holds (kuva-profiles(5)).",
     lambda e: GROUPS.search(e.path) is not None),
    ("Laterality", "choice",
     "Required of paired body parts alone, which no data set tells; dciodvfy asks for it wherever it does not know the "
     "body part to be unpaired. To refuse a chest for it would be a false alarm.",
     lambda e: e.path == "0020,0060" and e.kind == "missing attribute"),
    ("value 3 of an Image Type that is not there", "choice",
     "Said once: the attribute is missing or empty.",
     lambda e: e.path == "0008,0008" and e.kuva_has("iod.type1", "0008,0008")),
    ("condition that is not evaluated", "ours",
     "Attributes of type 1C and 2C whose condition is a sentence that could not be turned into an expression, or lies outside "
     "of the data set; --list-rules names each. They are never errors.",
     lambda e: e.kind == "missing attribute" and "Conditional" in e.message),
    ("file meta information", "choice",
     "Of group 0002 kuva checks VRs, lengths and what a transfer needs (UIDs, their agreement, transfer syntax), not the characters of "
     "each value: kuva-send writes none of it into an association, and the archive makes its own.",
     lambda e: e.path.startswith("0002,")),
    ("private values without a VR", "choice",
     "In Implicit VR or UN: dciodvfy has a dictionary of private attributes; kuva takes nothing for text that the file does not call so.",
     lambda e: re.search(r"(^|/)[0-9A-F]{3}[13579BDF],[0-9A-F]{4}$", e.path) is not None),
    ("sequence of type 3 without items", "choice",
     "A type 3 attribute may be empty (PS3.5 7.4.5), though its items, where there are some, are one or more.",
     lambda e: "Bad Sequence number of Items" in e.message),
    ("empty value that a condition asks for", "ours",
     "As conditions that are not evaluated.",
     lambda e: e.kind == "empty value" and "Conditional" in e.message),
    ("other edition", "choice",
     "dciodvfy 2021 and the tables (IODs of 2026b) differ: Frame of Reference is a user option of RT Structure Set, the per-frame "
     "groups may be absent.",
     lambda e: e.path in ("0020,0052", "0020,1040", "5200,9230")),
    ("sequence that is written as UN", "choice",
     "kuva does not look into it; dciodvfy guesses.",
     lambda e: any(f["rule"] == "vr.unknown" and e.path.startswith(f["tagPath"] + "[") for f in e.kuva.get("findings", []))),
    ("value type in Acquisition Context", "choice",
     "Type 3 there (PS3.3 C.7.6.14); dciodvfy takes the macro's type.",
     lambda e: re.fullmatch(r"0040,0555\[\d+\]/0040,A040", e.path) is not None),
    ("UIDs below 0.0", "theirs",
     "0.0 is an arc of ISO/IEC 9834-1 (Recommendations of ITU-T).",
     lambda e: "Illegal root for UID = <0.0." in e.message),
    ("9999 as a year", "theirs",
     "dciodvfy refuses the digit 9 in the birth date 99990101, which is a date.",
     lambda e: e.path == "0010,0030" and "99990101" in e.message),
    ("values of one IOD or one case", "ours",
     "Enumerated values that hold for one SOP class, transfer syntax or graphic type only are not in the tables.",
     lambda e: e.kind == "bad enumerated value"),
]


class Error:
    def __init__(self, file, path, message, kind, rules, kuva):
        self.file, self.path, self.message, self.kind, self.rules, self.kuva = file, path, message, kind, rules, kuva

    def kuva_has(self, rule, path=None):
        return any(f["rule"].startswith(rule) and path in (None, f.get("tagPath")) for f in self.kuva.get("findings", []))

    def severities(self):
        return {f["severity"] for f in self.kuva.get("findings", [])
                if f.get("tagPath") == self.path and f["rule"].startswith(self.rules)}


def tag_path(text):
    """</A(0040,a730)[1]/B(0008,0100)[1]> as kuva writes it: 0040,A730[1]/0008,0100."""
    parts = re.findall(r'\(([0-9a-fA-F]{4}),([0-9a-fA-F]{4})(?:,"[^"]*")?\)(\[\d+\])?', text)
    return "/".join(f"{group.upper()},{element.upper()}{item if n + 1 < len(parts) else ''}"
                    for n, (group, element, item) in enumerate(parts))


def dciodvfy(file):
    """Its lines, and how it ended; no more than so many bytes, since it does not always come to an end."""
    with subprocess.Popen(["dciodvfy", "-new", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        output = b""
        while len(output) < OUTPUT_CAP and (block := process.stderr.read1(65536)):
            output += block
        endless = len(output) >= OUTPUT_CAP
        if endless:
            process.kill()
        process.stderr.read()
        process.wait()
    return output.decode("latin-1"), "endless" if endless else "crash" if process.returncode < 0 else ""


def kuva_validate(tools):
    done = subprocess.run([tools / "kuva-validate", "--profile", "dicom", "--no-studies", objects.CORPUS],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    records = [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]
    return {record["path"]: record for record in records if record["type"] == "instance"}


def errors_of(file, output, record):
    seen = set()
    for line in output.splitlines():
        match = re.match(r"Error - (?:<(/[^>]*)> - )?(.*)", line)
        if not match:
            continue
        path, message = tag_path(match[1] or ""), match[2]
        for kind, words, rules in KINDS:
            if re.search(words, message):
                if (path, kind) not in seen:
                    seen.add((path, kind))
                    yield Error(file, path, message, kind, rules, record)
                break


def table(lines, head):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + \
           ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]


# Errors of kuva that dciodvfy does not have at that place: why.
OURS_ALONE = {
    "batch.uid-clash": "across files, which dciodvfy does not look at",
    "charset.missing": "dciodvfy reads texts as bytes", "charset.undecodable": "dciodvfy reads texts as bytes",
    "iod.enumerated": "the tables have lists that dciodvfy has not",
    "iod.type1-absent": "modules that dciodvfy does not have for the IOD, or whose file it could not read",
    "iod.type1-empty": "an item or value that dciodvfy takes as present",
    "iod.type1c-absent": "conditions that dciodvfy does not evaluate so",
    "iod.type1c-empty": "conditions that dciodvfy does not evaluate so",
    "iod.type2-absent": "modules that dciodvfy does not have for the IOD, or whose file it could not read",
    "iod.type2c-absent": "conditions that dciodvfy does not evaluate so",
    "image.high-bit": "dciodvfy names another attribute", "image.type-value-1": "dciodvfy names another attribute",
    "image.type-value-3": "dciodvfy names another attribute", "image.type-value-2": "dciodvfy names another attribute",
    "meta.missing": "dciodvfy reads such files as bare data sets without a word",
    "meta.sop-class-mismatch": "dciodvfy says it without the place",
    "meta.sop-instance-mismatch": "dciodvfy says it without the place",
    "pixel.encapsulated-in-native-syntax": "dciodvfy says it without the place, or stops there",
    "pixel.fragments": "dciodvfy does not look into fragments", "pixel.missing": "dciodvfy wants it of fewer IODs",
    "pixel.native-length": "dciodvfy counts in words, or stops before",
    "series.modality-differs": "across files", "series.study-differs": "across files", "study.patient-id-differs": "across files",
    "sop-class.not-storage": "dciodvfy: Information Object Not found",
    "fg.absent": "dciodvfy says it of each frame", "fg.dimension-count": "", "fg.dimension-pointer": "dciodvfy does not look at pointers",
    "fg.frame-count": "dciodvfy says it without the place",
    "sr.relationship": "dciodvfy does not look at relationships; DCMTK's dsrdump refuses the same", "sr.value-type": "", "structure.duplicate-tag": "dciodvfy says it without the place", "structure.no-vr": "dciodvfy reads on in its own way",
    "structure.not-items": "dciodvfy reads on in its own way", "structure.stray-item": "dciodvfy reads on in its own way",
    "structure.truncated": "dciodvfy says it without the place",
    "structure.undefined-length": "dciodvfy says it without the place",
    "uid.arcs": "UIDs in sequences that dciodvfy does not look at", "uid.missing": "dciodvfy stops where the IOD is unknown",
    "uid.not-distinct": "dciodvfy says it without the place", "uid.root": "an instance below the standard's own root",
    "uid.study-is-frame-of-reference": "dciodvfy says it of the other attribute",
    "uid.syntax": "UIDs in sequences and private attributes", "value.characters": "attributes that dciodvfy does not know",
    "value.format": "dciodvfy takes some forms", "value.length": "dciodvfy counts bytes and not characters",
    "vm.count": "attributes outside of the modules of the IOD", "vr.mismatch": "dciodvfy warns",
}


def page(results, records, ends):
    counts = collections.defaultdict(collections.Counter)
    named = collections.Counter()
    unexplained = []
    for error in results:
        counts[error.kind]["all"] += 1
        severities = error.severities()
        if severities:
            counts[error.kind]["error" if "error" in severities else "milder"] += 1
            continue
        for name, whose, why, applies in DIFFERENCES:
            if applies(error):
                named[name] += 1
                counts[error.kind]["named"] += 1
                break
        else:
            unexplained.append(error)
            counts[error.kind]["left"] += 1
    lines = ["# dciodvfy and kuva-validate on the same files", "",
             "Made by `tests/peer/compare_findings.py`: dciodvfy of dicom3tools (Debian's) beside `kuva-validate --profile dicom` on the "
             f"{len(records)} files of the corpus, broken ones included.", "",
             "## dciodvfy's errors, looked for among kuva's findings", "",
             "An error is found where kuva has a finding that says the same of the same attribute; milder: as a warning or info.", ""]
    body = []
    total = collections.Counter()
    for kind, _, _ in KINDS:
        c = counts[kind]
        total.update(c)
        body.append((kind, c["all"], c["error"], c["milder"], c["named"], c["left"], share(c)))
    body.append(("all", total["all"], total["error"], total["milder"], total["named"], total["left"], share(total)))
    lines += table(body, ("kind", "dciodvfy", "found", "found, milder", "named below", "left", "found or named"))
    whole = total["all"] - sum(named[name] for name, *_ in DIFFERENCES[:2])
    lines += ["", f"Without the first two differences below, which are a matter of whole files, kuva finds {total['error'] + total['milder']} of "
                  f"{whole}, {100 * (total['error'] + total['milder']) / whole:.0f} %."]
    lines += ["", "## Differences that are named", ""]
    lines += table([(name, named[name], whose, why) for name, whose, why, _ in DIFFERENCES],
                   ("what kuva does not say", "errors", "whose", "why"))
    if unexplained:
        lines += ["", "## Left", ""]
        lines += table([(e.kind, e.path, e.message.replace("|", "/")[:90], pathlib.Path(e.file).name) for e in unexplained],
                       ("kind", "attribute", "dciodvfy", "file"))
    lines += ["", "## kuva's errors, looked for among what dciodvfy says", "",
              "Whether dciodvfy has an error or a warning about the same attribute of the same file.", ""]
    alone = collections.defaultdict(lambda: [0, 0])
    for path, record in records.items():
        places = {tag_path(line) for line in ends[path][0].splitlines() if line.startswith(("Error", "Warning"))}
        for finding in record.get("findings", []):
            if finding["severity"] == "error":
                alone[finding["rule"]][finding.get("tagPath") in places] += 1
    lines += table([(f"`{rule}`", sum(pair), pair[1], pair[0], OURS_ALONE.get(rule, "") if pair[0] else "")
                    for rule, pair in sorted(alone.items())],
                   ("rule", "errors", "dciodvfy too", "kuva alone", "why dciodvfy does not"))
    broken = collections.Counter(end for _, end in ends.values() if end)
    lines += ["", f"dciodvfy itself ends with a signal on {broken['crash']} of the files and does not come to an end on "
                  f"{broken['endless']} (it was ended after {OUTPUT_CAP >> 20} MiB of messages).", ""]
    return "\n".join(lines), total, counts, unexplained


def share(counter):
    return f"{100 * (1 - counter['left'] / max(1, counter['all'])):.1f} %"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tools", default=os.environ.get("KUVA_TOOLS", harness.ROOT / "build/dev/tools"), type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, help="write the page (docs/dciodvfy.md)")
    parser.add_argument("--show", help="print what is left of a kind")
    arguments = parser.parse_args()
    if not objects.CORPUS.exists() or harness.missing_program("dciodvfy"):
        print("skipped: no corpus below KUVA_SHARED, or no dciodvfy")
        return 125
    records = kuva_validate(arguments.tools)
    records = {path: record for path, record in records.items() if not path.endswith("MANIFEST.tsv")}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        ends = dict(zip(records, pool.map(dciodvfy, records)))
    results = [error for path, record in records.items() for error in errors_of(path, ends[path][0], record)]
    text, total, counts, unexplained = page(results, records, ends)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")
    print("\n".join(text.splitlines()[4:16]))
    for error in unexplained:
        if arguments.show in (None, error.kind):
            print(f"left: {error.path} {error.message[:100]} {error.file}")
    bad = [kind for kind, c in counts.items() if c["left"] > (1 - LEAST) * c["all"]]
    if bad or total["left"]:
        print(f"FAILED: {total['left']} errors are neither found nor named; below {LEAST:.0%}: {', '.join(bad) or 'none'}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
