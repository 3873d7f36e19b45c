#!/usr/bin/python3
"""The validation of records must itself be able to fail."""
import json
import unittest

from validate_records import SCHEMAS, Validator

SOUND = {"type": "instance", "tool": "kuva-send", "time": "2026-11-21T08:15:30.123Z", "outcome": "stored", "ok": True,
         "path": "a.dcm", "size": 3, "SOPInstanceUID": "1.2",
         "store": {"transferSyntaxUID": "1.2.840.10008.1.2", "attempts": 1, "status": "0000", "peer": {"port": 104}},
         "findings": [{"severity": "info", "rule": "a.b", "message": "c"}]}


class ValidateRecords(unittest.TestCase):
    validator = Validator()

    def broken(self, change):
        record = json.loads(json.dumps(SOUND))
        change(record)
        return self.validator.problems(record)

    def test_a_sound_record(self):
        self.assertEqual(self.validator.problems(SOUND), [])

    def test_keys_that_no_schema_names(self):
        self.assertTrue(self.broken(lambda r: r.update(patientName="x")))
        self.assertTrue(self.broken(lambda r: r["store"].update(extra=1)))
        self.assertTrue(self.broken(lambda r: r["store"]["peer"].update(extra=1)))
        self.assertTrue(self.broken(lambda r: r["findings"][0].update(extra=1)))

    def test_what_is_missing_or_wrong(self):
        for key in ("tool", "time", "outcome", "ok"):
            self.assertTrue(self.broken(lambda r, k=key: r.pop(k)), key)
        self.assertTrue(self.broken(lambda r: r.update(outcome="maybe")))
        self.assertTrue(self.broken(lambda r: r.update(time="2026-11-21T08:15:30Z")))
        self.assertTrue(self.broken(lambda r: r.update(size="3")))
        self.assertTrue(self.broken(lambda r: r["store"].update(status="0x0")))
        self.assertTrue(self.broken(lambda r: r.update(type="novelty")))
        self.assertTrue(self.validator.problems_of_line("nonsense"))
        self.assertTrue(self.validator.problems_of_line("[]"))

    def test_every_key_is_described(self):
        def undescribed(node, defs, where):
            if isinstance(node, list):
                return [fault for part in node for fault in undescribed(part, defs, where)]
            if not isinstance(node, dict):
                return []
            faults = []
            for name, part in (node.get("properties") or {}).items():
                if isinstance(part, dict) and not {"description", "$ref", "const"} & set(part) and \
                        part.get("type") not in ("object", "array"):
                    faults.append(f"{where}: {name}")
            return faults + [f for value in node.values() for f in undescribed(value, defs, where)]
        for path in sorted(SCHEMAS.glob("*.json")):
            if path.name == "transcript.schema.json":  # its keys are those of the messages
                continue
            self.assertEqual(undescribed(json.loads(path.read_text(encoding="utf-8")), None, path.name), [])


if __name__ == "__main__":
    unittest.main()
