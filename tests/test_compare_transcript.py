#!/usr/bin/python3
"""compare_transcript.py must see each way in which records and transcript can disagree."""
import unittest

from compare_transcript import disagreements, stored_instances


def request(uid, association=1):
    return {"event": "message-received", "message": "C-STORE-RQ", "SOPInstanceUID": uid, "association": association}


def answer(uid, status="0000", disposition="stored", association=1):
    return {"event": "message-sent", "message": "C-STORE-RSP", "SOPInstanceUID": uid, "status": status,
            "disposition": disposition, "association": association}


def fault(uid, disposition="stored", association=1):
    return {"event": "fault", "fault": "f", "SOPInstanceUID": uid, "disposition": disposition, "association": association}


def record(uid, outcome, status=None):
    made = {"type": "instance", "SOPInstanceUID": uid, "outcome": outcome, "ok": outcome == "stored"}
    return made | ({"store": {"status": status}} if status else {})


def summary(*records, **changes):
    outcomes = {}
    for one in records:
        outcomes[one["outcome"]] = outcomes.get(one["outcome"], 0) + 1
    ok = all(one["ok"] for one in records)
    return [*records, {"type": "summary", "seen": len(records), "outcomes": outcomes, "exitCode": 0 if ok else 5} | changes]


class Disagreements(unittest.TestCase):
    def agree(self, records, transcript):
        self.assertEqual(disagreements(records, transcript), [])

    def differ(self, records, transcript, words):
        found = disagreements(records, transcript)
        self.assertTrue(any(words in fault for fault in found), found)

    def test_what_agrees(self):
        self.agree(summary(record("1", "stored", "0000")), [request("1"), answer("1")])
        self.agree(summary(record("1", "failed", "A900")), [request("1"), answer("1", "A900", "refused")])
        self.agree(summary(record("1", "indeterminate")), [request("1"), fault("1")])
        self.agree(summary(record("1", "unsent")), [])
        # Refused, then sent again.
        self.agree(summary(record("1", "stored", "0000")),
                   [request("1"), answer("1", "A700", "refused"), request("1"), answer("1")])

    def test_stored_that_nobody_knows(self):
        self.differ(summary(record("1", "stored", "0000")), [request("1")], "does not know")
        self.differ(summary(record("1", "stored", "0000")), [request("1"), answer("1", "A700", "refused")], "does not know")

    def test_other_status(self):
        self.differ(summary(record("1", "failed", "A900")), [request("1"), answer("1", "C000", "refused")], "answered")

    def test_failed_and_yet_stored(self):
        self.differ(summary(record("1", "failed")), [request("1"), fault("1")], "should be indeterminate")
        self.differ(summary(record("1", "failed", "A900")), [request("1"), answer("1", "A900")], "yet stored")

    def test_sent_again_blindly(self):
        transcript = [request("1"), fault("1"), request("1", 2), answer("1", association=2)]
        self.differ(summary(record("1", "stored", "0000")), transcript, "stored 2 times")
        self.assertEqual(stored_instances(transcript)["1"], 2)

    def test_no_record_of_what_was_stored(self):
        self.differ(summary(), [request("1"), answer("1")], "no record")

    def test_applied_needs_its_own_acknowledgement(self):
        message = {"type": "message", "outcome": "applied", "ok": True, "messageControlId": "K1",
                   "acknowledgement": {"code": "AA", "controlId": "S1"}}
        event = {"event": "hl7-message", "messageControlId": "K1", "acknowledgement": "AA", "acknowledgementControlId": "S1"}
        self.agree(summary(message), [event])
        self.differ(summary(message), [dict(event, messageControlId="K2")], "did not answer so")
        self.differ(summary(message), [dict(event, acknowledgementControlId="S2")], "did not answer so")
        self.differ(summary(message), [dict(event, acknowledgement="AE")], "did not answer so")

    def test_summary(self):
        one = record("1", "stored", "0000")
        self.differ(summary(one, seen=2), [request("1"), answer("1")], "add up")
        self.differ(summary(one, outcomes={"failed": 1}), [request("1"), answer("1")], "counts")
        self.differ(summary(record("1", "unsent"), exitCode=0), [], "exit status 0")
        self.differ([one], [request("1"), answer("1")], "summary")


if __name__ == "__main__":
    unittest.main()
