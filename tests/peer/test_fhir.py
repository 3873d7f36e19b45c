"""What --format fhir writes, before a validator of FHIR R4 that is not ours (npm's fhir)."""

import json
import os
import pathlib
import subprocess
import unittest

import harness
from test_web import WebCase

PACKAGES = ("fhir@4.12.0",)
VALIDATE = """
const { Fhir } = require('fhir');
const said = new Fhir().validate(JSON.parse(require('fs').readFileSync(0, 'utf8')), { errorOnUnexpected: true });
process.stdout.write(JSON.stringify(said));
"""


def npm_directory():
    return harness.npm_directory("npm-fhir", PACKAGES)


@harness.needs("openssl")
@unittest.skipIf(npm_directory() is None, "npm, node or the npm registry is not there")
class Fhir(WebCase):
    def validate(self, resource):
        done = subprocess.run(["node", "-e", VALIDATE], input=json.dumps(resource).encode(), capture_output=True, timeout=60,
                              env=dict(os.environ, NODE_PATH=str(npm_directory() / "node_modules")), check=True)
        return json.loads(done.stdout)

    def check(self, text, resource_type):
        resource = json.loads(text)
        self.assertEqual(resource["resourceType"], resource_type)
        said = self.validate(resource)
        self.assertEqual([message for message in said["messages"] if message["severity"] in ("error", "fatal")], [], said)
        self.assertTrue(said["valid"])
        return resource

    def document(self, name, *arguments):
        done = subprocess.run([harness.TOOLS / name, "--format", "fhir", *map(str, arguments)], capture_output=True,
                              env=self.environment, cwd=self.directory, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done.stdout

    def test_the_validator_refuses(self):
        wrong = self.validate({"resourceType": "ImagingStudy", "status": "maybe", "subject": {"display": "x"}, "colour": "red"})
        self.assertFalse(wrong["valid"])

    def test_bundle_of_a_search(self):
        self.begin()
        for phi in ((), ("--phi", "plain")):
            found = self.document("kuva-query", "--config", self.sandbox.config, "-t", "sandbox", "--patient", self.patient, *phi)
            bundle = self.check(found, "Bundle")
            kinds = {entry["resource"]["resourceType"] for entry in bundle["entry"]}
            self.assertEqual(kinds, {"DocumentReference", "ImagingStudy"})

    def test_study_of_a_manifest(self):
        directory = self.write_sample()
        made = self.tool("kuva-kos", "manifest", "--retrieve-ae", "ARCHIVE", "--location", "1.2.246.10.1", "--url",
                         "https://pacs.example/dicom-web", directory)
        self.assertEqual(made.code, 0, made.err)
        manifest, = pathlib.Path(self.directory).glob("*.dcm")
        for phi in ((), ("--phi", "plain")):
            self.check(self.document("kuva-kos", "show", *phi, manifest), "ImagingStudy")
