#!/usr/bin/python3
"""Holds SOAP messages against the official schemas with xmllint, and their assertions against xmlsec1.

A FILE is one message as it went over HTTP (start line, header fields, empty line, body), or XML alone; of a multipart body
the root part is taken. A directory stands for the files in it.

usage: tests/validate_messages.py [--xsd DIR] [--trust CA.pem] FILE|DIR...

--xsd     the schemas (default: xsd in KUVA_SHARED, or in ../shared)
--trust   the CA that each assertion's certificate must lead to; without it the signature alone is checked
The last line counts: N messages, N assertions, N faults. Exit code: 0 sound, 1 faults, 2 nothing to check, 77 no schemas.
"""
import argparse
import email.message
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
DSIG = "http://www.w3.org/2000/09/xmldsig#"
ROOT = pathlib.Path(__file__).resolve().parent.parent


class NotXml(Exception):
    """What should have been a message holds none: its reason."""


def fields_of(block):
    """Header fields from their lines; the start line, if there is one, is passed by."""
    fields = email.message.Message()
    for line in re.sub(rb"\r?\n[ \t]+", b" ", block).splitlines():
        name, colon, value = line.partition(b":")
        if colon and b" " not in name:
            fields[name.decode("latin-1")] = value.strip().decode("latin-1")
    return fields


def split_head(data):
    match = re.search(rb"\r?\n\r?\n", data)
    return (data, b"") if match is None else (data[:match.start()], data[match.end():])


def root_part(fields, body):
    """The root part of a multipart/related body (RFC 2387)."""
    boundary = fields.get_param("boundary")
    if not boundary:
        raise NotXml("multipart without a boundary")
    pieces = re.split(rb"(?:^|\r?\n)--" + re.escape(boundary.encode()) + rb"(?:--)?[ \t]*\r?\n", body + b"\r\n")
    start = (fields.get_param("start") or "").strip("<>")
    parts = [split_head(piece.lstrip(b"\r\n") if piece.startswith(b"\r\n") else piece) for piece in pieces[1:]]
    for head, content in parts:
        if start and fields_of(head).get("Content-ID", "").strip("<> ") == start:
            return content
    if not parts:
        raise NotXml("multipart without a part")
    return parts[0][1]


def message_of(data):
    """The XML of one message."""
    stripped = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    if stripped.startswith(b"<"):
        return stripped
    head, body = split_head(data)
    fields = fields_of(head)
    kind = fields.get_content_type()
    if kind.startswith("multipart/"):
        return root_part(fields, body).strip()
    if kind in ("application/soap+xml", "text/xml", "application/xml"):
        return body.strip()
    raise NotXml(f"content type {kind}")


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def schema_faults(xml, schemas):
    """What xmllint says against the schemas."""
    return all_schema_faults({"message": xml}, schemas)["message"]


def all_schema_faults(messages, schemas):
    """The same of many messages, by their names; the strict schemas where no part stands outside of the message."""
    faults = {}
    for schema, has_parts in (("all.xsd", False), ("wire/all.xsd", True)):
        names = [name for name, xml in messages.items() if (b"http://www.w3.org/2004/08/xop/include" in xml) == has_parts]
        if not names:
            continue
        with tempfile.TemporaryDirectory() as directory:
            files = {str(pathlib.Path(directory) / f"{number}.xml"): name for number, name in enumerate(names)}
            for file, name in files.items():
                pathlib.Path(file).write_bytes(messages[name])
            _, said = run(["xmllint", "--nonet", "--noout", "--schema", str(schemas / schema), *files])
            lines = said.splitlines()
            for file, name in files.items():
                own = [line for line in lines if line.startswith(file + ":") and " error " in line]
                sound = f"{file} validates" in lines
                faults[name] = own if own else [] if sound else [f"xmllint does not say that it validates: {said.strip()[:500]}"]
    return faults


def assertion_faults(xml, trust):
    """(assertions in the message, what xmlsec1 says against the first)."""
    assertions = list(ElementTree.fromstring(xml).iter(f"{{{SAML}}}Assertion"))
    signed = [assertion for assertion in assertions if assertion.find(f"{{{DSIG}}}Signature") is not None]
    faults = ["an assertion without a signature"] * (len(assertions) - len(signed))
    for assertion in signed:
        with tempfile.NamedTemporaryFile(suffix=".xml") as file:
            file.write(xml)
            file.flush()
            where = f"//*[local-name()='Assertion' and @ID='{assertion.get('ID')}']/*[local-name()='Signature']"
            code, said = run(["xmlsec1", "--verify", *(["--trusted-pem", str(trust)] if trust else ["--insecure"]),
                              "--enabled-key-data", "x509", "--id-attr:ID", f"{SAML}:Assertion",
                              "--node-xpath", where, file.name])
            if code != 0:
                faults.append("xmlsec1: " + said.strip().splitlines()[0])
    return len(assertions), faults


def check_all(contents, schemas, trust=None):
    """(assertions, faults by name) of messages by name."""
    messages, faults, assertions = {}, {name: [] for name in contents}, 0
    for name, data in contents.items():
        try:
            messages[name] = message_of(data)
        except NotXml as error:
            faults[name] = [str(error)]
    for name, found in all_schema_faults(messages, schemas).items():
        faults[name] += found
    for name, xml in messages.items():
        try:
            count, found = assertion_faults(xml, trust)
        except ElementTree.ParseError as error:
            count, found = 0, [str(error)]
        assertions += count
        faults[name] += found
    return assertions, faults


def check(data, schemas, trust=None):
    """(assertions, faults) of one message."""
    assertions, faults = check_all({"message": data}, schemas, trust)
    return assertions, faults["message"]


def files_of(paths):
    for path in map(pathlib.Path, paths):
        yield from sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--xsd", type=pathlib.Path)
    parser.add_argument("--trust", type=pathlib.Path)
    parser.add_argument("paths", nargs="+")
    options = parser.parse_args()
    schemas = options.xsd or pathlib.Path(os.environ.get("KUVA_SHARED") or ROOT.parent / "shared") / "xsd"
    if not (schemas / "all.xsd").exists():
        print(f"skipped: no schemas in {schemas.name}")
        return 77
    contents = {path: path.read_bytes() for path in files_of(options.paths)}
    assertions, faults = check_all(contents, schemas, options.trust)
    for path, found in faults.items():
        for fault in found:
            print(f"{path.name}: {fault}")
    faulty = sum(bool(found) for found in faults.values())
    print(f"{len(contents)} messages, {assertions} assertions, {faulty} faults")
    return 2 if not contents else 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
