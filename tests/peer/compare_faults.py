#!/usr/bin/python3
"""What storescu, dcmsend and kuva-send say and do when an archive misbehaves: the table of docs/faults.md.

usage: tests/peer/compare_faults.py [--tools DIR] [--only WORD] [--output FILE]

Each fault of kuva-sandbox --faults is shown to each of the three, one after the other, by a sandbox of its own; each
sends three CT slices. All have the same limits (3 s for an answer), nobody tries again, and after 12 s a program is
ended. Takes some minutes; not a test.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import harness
import objects

LIMIT = 12
ANSWER = 3
COUNT = 3

TLS = "TLS"
PLAIN = "plain"
COMMIT = "commitment"


def rule(on, action, **keys):
    lines = ["[[fault]]", f'on = "{on}"', f'action = "{action}"']
    return "\n".join(lines + [f"{key} = {json.dumps(value)}" for key, value in keys.items()]) + "\n"


def tls(name):
    return rule("connect", "tls", tls=name)


# Group, what the archive does, the rules.
FAULTS = [
    (TLS, "its certificate has expired", tls("expired")),
    (TLS, "its certificate is not valid yet", tls("not-yet-valid")),
    (TLS, "its certificate is self-signed", tls("self-signed")),
    (TLS, "its certificate is for another host", tls("wrong-name")),
    (TLS, "leaves out the intermediate certificate", tls("missing-intermediate")),
    (TLS, "speaks TLS 1.0 and 1.1 only", tls("old-version")),
    (TLS, "takes weak suites only", tls("weak-suites")),
    (TLS, "refuses our certificate in the handshake", tls("client-refused")),
    (TLS, "refuses our certificate after it (TLS 1.3)", tls("client-refused-late")),
    (TLS, "speaks plain DICOM on the TLS port", tls("plain")),
    (TLS, "closes without ending TLS, amid an object",
     tls("no-close-notify") + rule("store", "close", after_pdvs=1, nth=2)),
    (PLAIN, "speaks TLS on the plain port", tls("tls-on-plain")),
    (PLAIN, "does not know our AE title", rule("associate", "reject", code="1/1/3")),
    (PLAIN, "does not know its own AE title", rule("associate", "reject", code="1/1/7")),
    (PLAIN, "is busy", rule("associate", "reject", code="2/3/1")),
    (PLAIN, "is at its limit", rule("associate", "reject", code="2/3/2")),
    (PLAIN, "takes the connection and says nothing", rule("connect", "silent")),
    (PLAIN, "never answers the association request", rule("associate", "silent")),
    (PLAIN, "aborts in place of an answer", rule("associate", "abort", code="2/0")),
    (PLAIN, "speaks HTTP", rule("associate", "bad-pdu", pdu="not-dicom")),
    (PLAIN, "takes no presentation context", rule("associate", "contexts", contexts="none")),
    (PLAIN, "is out of resources", rule("store", "status", status="A700", error_comment="disk quota")),
    (PLAIN, "calls the data set wrong, and names an element",
     rule("store", "status", status="A900", error_comment="bad", offending_elements=["0008,1030"])),
    (PLAIN, "cannot understand the object", rule("store", "status", status="C000")),
    (PLAIN, "says that we may not", rule("store", "status", status="0124", error_comment="Storage denied.")),
    (PLAIN, "stores with a warning", rule("store", "status", status="B000")),
    (PLAIN, "has the object already", rule("store", "status", status="0111")),
    (PLAIN, "stores the second object and never says so", rule("store", "silent", nth=2)),
    (PLAIN, "answers with another Message ID", rule("store", "wrong-message-id", nth=2)),
    (PLAIN, "answers for another instance", rule("store", "other-instance", nth=2)),
    (PLAIN, "answers twice", rule("store", "twice", nth=2)),
    (PLAIN, "answers without a status", rule("store", "no-status", nth=2)),
    (PLAIN, "aborts amid the second object", rule("store", "abort", after_pdvs=1, nth=2, code="2/0")),
    (PLAIN, "resets after the second object, unanswered", rule("store", "reset", nth=2)),
    (PLAIN, "closes after the second object, unanswered", rule("store", "close", nth=2)),
    (PLAIN, "stops reading", rule("store", "stop-reading", nth=2)),
    (PLAIN, "never answers the release", rule("release", "silent")),
    (PLAIN, "aborts in place of the release's answer", rule("release", "abort")),
]

COMMITMENTS = [
    ("reports on the association of the request", rule("report", "same-association")),
    ("reports before it answers the request", rule("report", "before-response")),
    ("reports twice", rule("report", "twice")),
    ("leaves half of the instances out", rule("report", "partial")),
    ("calls an instance committed and failed, and leaves one out", rule("report", "both-lists")),
    ("reports for strangers, too", rule("report", "stranger")),
    ("is cut off before our answer to the report", rule("report", "abort")),
    ("reports late", rule("report", "delay", **{"for": "1s"})),
    ("never reports", rule("report", "silent")),
    ("has every transaction UID seen before", rule("report", "status", status="0131")),
    ("says that its copy is damaged", rule("report", "status", status="0110")),
    ("does not know us for commitment",
     rule("commit", "status", status="0110", error_comment="Unknown Calling AET: KUVAPLAIN")),
    ("never answers the request, and reports", rule("commit", "silent")),
    ("never answers the request and never reports", rule("commit", "silent") + rule("report", "silent")),
]


class Box:
    """A sandbox for one program."""

    def __init__(self, directory):
        self.directory = directory
        made = subprocess.run([harness.TOOLS / "kuva-sandbox", "--format", "json", "--init", directory], check=True,
                              stdout=subprocess.PIPE, env=harness.TOOL_ENVIRONMENT, timeout=30)
        ports = json.loads(made.stdout.splitlines()[0])
        self.ports = {TLS: ports["tlsPort"], PLAIN: ports["plainPort"], COMMIT: ports["plainPort"]}
        limits = "".join(f'{name} = "{ANSWER}s"\n' for name in ("connect", "tls", "associate", "stall", "response",
                                                                 "release")) + 'abort = "1s"\n'
        config = directory / "kuva.toml"
        text = config.read_text().replace("[target.sandbox.tls]", f"[target.sandbox.timeouts]\n{limits}\n"
                                          "[target.sandbox.tls]")
        config.write_text(text + f"\n[target.sandbox-plain.timeouts]\n{limits}")
        # The sandbox's own limit, for the peers that wait: longer than that of anybody.
        box = directory / "sandbox.toml"
        box.write_text('report_retry_delay = "200ms"\n' + box.read_text())

    def serve(self, rules):
        for name in ("storage", "transcript.ndjson", "state"):
            path = self.directory / name
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)
        faults = self.directory / "faults.toml"
        faults.write_text(rules)
        process = subprocess.Popen([harness.TOOLS / "kuva-sandbox", "--format", "json", "--faults", faults,
                                    self.directory], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=harness.TOOL_ENVIRONMENT)
        if not process.stdout.readline():
            raise SystemExit(f"the sandbox did not start: {process.stderr.read().decode()}\n{rules}")
        return process

    def stored(self):
        return len(list((self.directory / "storage").rglob("*.dcm")))


class Outcome:
    def __init__(self, says, code, seconds, stored):
        self.says, self.code, self.seconds, self.stored = says, code, seconds, stored


def run(command, box, rules, first_words):
    sandbox = box.serve(rules)
    begun = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=dict(harness.TOOL_ENVIRONMENT, TCP_NODELAY="1"))
    try:
        out, err = process.communicate(timeout=LIMIT)
        code = str(process.returncode)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        code = "hangs"
    seconds = time.monotonic() - begun
    stored = box.stored()
    sandbox.terminate()
    try:
        sandbox.communicate(timeout=15)
    except subprocess.TimeoutExpired:
        sandbox.kill()
        sandbox.communicate()
    return Outcome(first_words(out.decode(errors="replace"), err.decode(errors="replace")), code, seconds, stored)


def said_by_dcmtk(out, err):
    """The first error and what goes on from it; else the first warning."""
    lines = (out + err).splitlines()
    for mark in ("F: ", "E: ", "W: "):
        marked = [line for line in lines if line.startswith(mark) and len(line) > len(mark)]
        if marked:
            return " ".join([marked[0]] + [line[len(mark):] for line in marked[1:3]])
    return ""


def said_by_kuva(out, _err):
    said = {}
    for line in out.splitlines():
        record = json.loads(line)
        error = record.get("error")
        if record["type"] == "instance" and error:
            said.setdefault(error["code"], [0, error["message"]])[0] += 1
    return "; ".join(f"{code}: {message}" + (f" ({count} instances)" if count > 1 else "")
                     for code, (count, message) in said.items())


def kuva_send(box, group, study, *more):
    return [harness.TOOLS / "kuva-send", "--format", "json", "--config", box.directory / "kuva.toml", "-t",
            "sandbox" if group == TLS else "sandbox-plain", "--retries", "0", *more, study]


def try_storescu(box, group, rules, study):
    if not shutil.which("storescu"):
        return None
    command = ["storescu", "-to", ANSWER, "-ta", ANSWER, "-td", ANSWER, "-ts", ANSWER, "-aec", "KUVASANDBOX", "+sd"]
    if group == TLS:
        certificates = box.directory / "tls"
        command += ["-aet", "KUVA", "+tls", certificates / "client.key", certificates / "client.pem", "+cf",
                    certificates / "ca.pem"]
    else:
        command += ["-aet", "KUVAPLAIN"]
    return run(command + ["127.0.0.1", box.ports[group], study], box, rules, said_by_dcmtk)


def try_dcmsend(box, group, rules, study):
    if group == TLS or not shutil.which("dcmsend"):
        return None  # Debian's has no TLS
    return run(["dcmsend", "-to", ANSWER, "-ta", ANSWER, "-td", ANSWER, "-aet", "KUVAPLAIN", "-aec", "KUVASANDBOX",
                "+sd", "127.0.0.1", box.ports[group], study], box, rules, said_by_dcmtk)


def try_kuva_send(box, group, rules, study):
    return run(kuva_send(box, group, study), box, rules, said_by_kuva)


def try_kuva_commit(box, rules, study):
    """Sends, then asks for commitment with the fault."""
    sandbox = box.serve(rules)
    try:
        environment = dict(harness.TOOL_ENVIRONMENT)
        sent = subprocess.run([str(part) for part in kuva_send(box, PLAIN, study)], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, env=environment, timeout=LIMIT, check=True)
        begun = time.monotonic()
        done = subprocess.run([harness.TOOLS / "kuva-commit", "--format", "json", "--config",
                               box.directory / "kuva.toml", "-t", "sandbox-plain", "--retries", "0", "--wait",
                               f"{ANSWER}s", "--grace",
                               "500ms", "--state", box.directory / "state"], input=sent.stdout,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, timeout=60,
                              check=False)
        seconds = time.monotonic() - begun
    finally:
        sandbox.terminate()
        sandbox.communicate(timeout=15)
    summary = json.loads(done.stdout.splitlines()[-1])
    outcomes = ", ".join(f"{count} {word}" for word, count in summary["outcomes"].items())
    return Outcome(outcomes + "; " * bool(said_by_kuva(done.stdout.decode(), "")) +
                   said_by_kuva(done.stdout.decode(), ""), str(done.returncode), seconds, box.stored())


def cell(text):
    text = re.sub(r"/[^ ]*/(?=[^/ ]*\.dcm)", "", text)  # where the study lay is nobody's business
    text = re.sub(r"\b(\d+\.){6,}\d+\b", "UID", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "HOST:PORT", text)
    text = text.replace("|", "\\|").replace("<", "&lt;")
    return text if len(text) <= 240 else text[:237] + "..."


def told(outcome):
    if outcome is None:
        return "no TLS in Debian's"
    says = f"{cell(outcome.says)}<br>" if outcome.says else "*nothing*<br>"
    exit_code = f"exit {outcome.code}" if outcome.code != "hangs" else f"still waiting after {LIMIT} s"
    wrong = " - **called done**" if outcome.code == "0" and outcome.stored < COUNT else ""
    return f"{says}{exit_code}, {outcome.seconds:.1f} s, {outcome.stored} of {COUNT} stored{wrong}"


HEAD = f"""# When an archive misbehaves: what the sender says

Made by `tests/peer/compare_faults.py`, which shows each fault of `kuva-sandbox --faults` (kuva-faults(5)) to DCMTK's
`storescu` and `dcmsend` ({{version}}) and to `kuva-send`. Each sends {COUNT} CT slices of 2 MiB. All have the same limits:
{ANSWER} s for an answer (`-to -ta -td -ts {ANSWER}`; unless said, `-td` is unlimited), no retries, and after {LIMIT} s the
program is ended. Of DCMTK, at its usual verbosity, the first lines of error or warning are shown; of kuva-send each error
code of the records with its message. Beside these each record of a failure has a hint, the peer, and the class on which a
retry decides. "N of {COUNT} stored" is what the archive really has at the end; **called done** marks an exit code of 0 with
less than that. storescu stops at the first object that fails. An object whose answer is missing may be
stored: kuva-send then asks the archive by C-FIND and, where it is listed, calls it stored with a warning ("nothing" and exit 0
below); what is not listed goes once more, and what cannot be asked for stays indeterminate until kuva-commit settles it.
"""


def write(path, rows, commitments):
    version = subprocess.run(["storescu", "--version"], stdout=subprocess.PIPE, check=False).stdout.decode().split()
    text = HEAD.format(version=" ".join(version[2:3]) or "not installed")
    for group, title in ((TLS, "TLS"), (PLAIN, "Association and storage")):
        text += f"\n## {title}\n\n| the archive | storescu | dcmsend | kuva-send |\n|---|---|---|---|\n"
        for row_group, name, outcomes in rows:
            if row_group == group:
                text += f"| {name} | " + " | ".join(told(outcome) for outcome in outcomes) + " |\n"
    text += ("\n## Storage commitment\n\nDCMTK has no program that asks for it, so these are kuva-commit's alone "
             f"(`--retries 0 --wait {ANSWER}s --grace 500ms`).\n\n| the archive | kuva-commit | exit | seconds |\n|---|---|---|---|\n")
    for name, outcome in commitments:
        text += f"| {name} | {cell(outcome.says)} | {outcome.code} | {outcome.seconds:.1f} |\n"
    path.write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description="Writes docs/faults.md.")
    parser.add_argument("--tools", type=pathlib.Path, help="directory of kuva's programs")
    parser.add_argument("--only", help="only the faults whose description has this word")
    parser.add_argument("--output", type=pathlib.Path, default=harness.ROOT / "docs" / "faults.md")
    arguments = parser.parse_args()
    if arguments.tools:
        harness.TOOLS = arguments.tools.resolve()
    wanted = [fault for fault in FAULTS if not arguments.only or arguments.only in fault[1]]
    commitments = [fault for fault in COMMITMENTS if not arguments.only or arguments.only in fault[0]]
    with tempfile.TemporaryDirectory(prefix="kuva-faults-") as name:
        directory = pathlib.Path(name)
        study = directory / "study"
        study.mkdir()
        objects.write_ct_study(study, COUNT, rows=1024)
        boxes = [Box(directory / program) for program in ("storescu", "dcmsend", "kuva")]
        rows, answers = [], []
        with concurrent.futures.ThreadPoolExecutor(len(boxes)) as pool:
            for group, title, rules in wanted:
                outcomes = list(pool.map(lambda job: job[0](job[1], group, rules, study),
                                         zip((try_storescu, try_dcmsend, try_kuva_send), boxes)))
                rows.append((group, title, outcomes))
                print(f"{group}: {title}: " + " / ".join(
                    "-" if outcome is None else f"{outcome.code} {outcome.seconds:.1f} s" for outcome in outcomes),
                    flush=True)
            for title, rules in commitments:
                answers.append((title, try_kuva_commit(boxes[2], rules, study)))
                print(f"{COMMIT}: {title}: {answers[-1][1].code} {answers[-1][1].says[:100]}", flush=True)
        arguments.output.parent.mkdir(exist_ok=True)
        write(arguments.output, rows, answers)
    print(f"{len(rows) + len(answers)} faults, {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
