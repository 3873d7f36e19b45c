#!/usr/bin/python3
"""Holds the records of a sender against the transcript of the sandbox that it sent to: nothing is called stored that the
archive does not know of, nothing that was refused was stored, statuses are the same, and nothing is sent again that may be
stored. The summary must add up.

usage: tests/compare_transcript.py RECORDS TRANSCRIPT
"""
import collections
import json
import pathlib
import sys
import time

KEPT = {"stored", "replaced", "ignored"}


def read(path, settle=0.0):
    """The events of the last run; with `settle`, once nothing has been added for a moment."""
    path = pathlib.Path(path)
    size = -1
    deadline = time.monotonic() + settle
    while settle and path.stat().st_size != size and time.monotonic() < deadline:
        size = path.stat().st_size
        time.sleep(0.05)
    events = []
    for line in path.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        events = [event] if event["event"] == "sandbox-started" else events + [event]
    return events


def fired(transcript):
    return collections.Counter(event["fault"] for event in transcript if event["event"] == "fault")


def stored_instances(transcript):
    """How often the sandbox kept each instance, answered or not. A fault's line and those of the answers speak of the same
    request."""
    requests = collections.Counter()
    kept = set()
    for event in transcript:
        key = (event.get("association"), event.get("SOPInstanceUID"))
        if event["event"] == "message-received" and event.get("message") == "C-STORE-RQ":
            requests[key] += 1
        elif event.get("disposition") in KEPT:
            # An answer may name another instance than the request: the fault's line says which it was.
            if requests[key]:
                kept.add((*key, requests[key]))
    return collections.Counter(uid for _, uid, _ in kept)


def disagreements_about_messages(records, transcript):
    """HL7: what is called applied has an acknowledgement of its own, which the sandbox gave for that very message."""
    answered = {(event.get("messageControlId"), event.get("acknowledgementControlId"), event.get("acknowledgement"))
                for event in transcript if event["event"] == "hl7-message"}
    faults = []
    for record in records:
        if record.get("type") == "message" and record["outcome"] == "applied" and record.get("already") != "history":
            said = record.get("acknowledgement", {})
            if (record["messageControlId"], said.get("controlId"), said.get("code")) not in answered:
                faults.append(f"{record['messageControlId']} is called applied, and the sandbox did not answer so")
    return faults


def disagreements(records, transcript):
    faults = []
    summary = records[-1] if records else {}
    if summary.get("type") != "summary":
        return ["the records do not end with a summary"]
    outcomes = collections.Counter(record["outcome"] for record in records[:-1])
    if summary["seen"] != len(records) - 1 or sum(summary["outcomes"].values()) != summary["seen"]:
        faults.append(f"the summary does not add up: seen {summary['seen']}, {len(records) - 1} records, "
                      f"{summary['outcomes']}")
    if dict(outcomes) != summary["outcomes"]:
        faults.append(f"the summary counts {summary['outcomes']}, the records are {dict(outcomes)}")
    if summary["exitCode"] == 0 and any(not record["ok"] for record in records[:-1]):
        faults.append("exit status 0 though not all is well")

    faults += disagreements_about_messages(records[:-1], transcript)
    kept = stored_instances(transcript)
    requests = collections.Counter(event.get("SOPInstanceUID") for event in transcript
                                   if event["event"] == "message-received" and event.get("message") == "C-STORE-RQ")
    answers = collections.defaultdict(list)
    for event in transcript:
        if event["event"] == "message-sent" and event.get("message") == "C-STORE-RSP":
            answers[event.get("SOPInstanceUID")].append(event.get("status"))
    asked = set()
    for record in records[:-1]:
        if record.get("type") == "message":
            continue
        uid, outcome = record.get("SOPInstanceUID"), record["outcome"]
        status = record.get("store", {}).get("status")
        asked.add(uid)
        if outcome in ("stored", "stored-with-warning"):
            if not kept[uid]:
                faults.append(f"{uid} is called {outcome}, the sandbox does not know of it")
            if status not in answers[uid] and "settled" not in record.get("store", {}):
                faults.append(f"{uid} is called {outcome} with {status}, the sandbox answered {answers[uid]}")
        elif outcome == "failed" and status and status != "0000":
            if kept[uid]:
                faults.append(f"{uid} was refused with {status}, and yet stored")
            if status not in answers[uid]:
                faults.append(f"{uid} failed with {status}, the sandbox answered {answers[uid]}")
        elif outcome in ("failed", "unsent") and kept[uid]:
            faults.append(f"{uid} is called {outcome}, and yet stored: it should be indeterminate")
        if outcome == "unsent" and requests[uid] and record.get("store") is None:
            faults.append(f"{uid} is called unsent, and was sent {requests[uid]} times")
        if outcome == "indeterminate" and kept[uid] > 1:
            faults.append(f"{uid} is indeterminate and was sent again")
        if kept[uid] > 1:
            faults.append(f"{uid} was stored {kept[uid]} times")
    for uid in set(kept) - asked:
        faults.append(f"the sandbox stored {uid}, of which no record speaks")
    return faults


def main():
    if len(sys.argv) != 3:
        print(__doc__.strip().splitlines()[-1], file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    faults = disagreements(records, read(sys.argv[2]))
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
