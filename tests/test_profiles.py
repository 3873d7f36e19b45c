#!/usr/bin/python3
"""The profiles that are part of kuva agree with their schema, and the schema refuses what is no profile."""
import copy
import pathlib
import tomllib
import unittest

from validate_records import Validator

PROFILES = pathlib.Path(__file__).resolve().parent.parent / "share" / "profiles"
SOUND = {"format": 1, "name": "n", "title": "t", "version": "1", "source": "s",
         "rule": [{"id": "a.b", "kind": "filled", "severity": "error", "attribute": "PatientID", "message": "m", "source": "s"}]}


class Profiles(unittest.TestCase):
    validator = Validator()

    def problems(self, profile):
        return self.validator.problems(profile, "profile")

    def test_shipped(self):
        files = sorted(PROFILES.glob("*.toml"))
        self.assertGreaterEqual(len(files), 6)
        for file in files:
            with self.subTest(file.name):
                self.assertEqual(self.problems(tomllib.loads(file.read_text(encoding="utf-8"))), [])

    def test_unsound(self):
        self.assertEqual(self.problems(SOUND), [])
        for change in (lambda p: p.pop("source"), lambda p: p.update(format=2), lambda p: p.update(nmae="n"),
                       lambda p: p["rule"][0].update(severity="eror"), lambda p: p["rule"][0].update(kind="exists"),
                       lambda p: p["rule"][0].pop("source"), lambda p: p["rule"][0].pop("attribute"),
                       lambda p: p["rule"][0].update(kind="values"), lambda p: p["rule"][0].update(kind="matches"),
                       lambda p: p["rule"][0].update(id="nodot"), lambda p: p.update(lists={"l": [1]}),
                       lambda p: p.update(severity={"a.b": "fatal"}), lambda p: p.update(inherit=[{"name": "dicom"}])):
            profile = copy.deepcopy(SOUND)
            change(profile)
            with self.subTest(str(profile)):
                self.assertNotEqual(self.problems(profile), [])


if __name__ == "__main__":
    unittest.main()
