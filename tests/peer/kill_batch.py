#!/usr/bin/python3
"""Kills the tools and the sandbox with SIGKILL at random moments over one batch, starts them again, and checks.

    tests/peer/kill_batch.py [--kills 200] [--instances 5000] [--seed 1] [--pace SECONDS] [--tools DIR]

The batch goes through kuva-validate | kuva-send | kuva-commit to a sandbox in rounds. In a round one after the other of
the four processes is killed, each at a random moment, until what is left ends by itself. The next round takes the instances
that no record has called committed yet, and what kuva-commit had saved (--resume). After each round every record that
said stored or committed is held against the archive's files, byte for byte of the data set. At the end each instance
is in the archive once, as it was sent, and each was called committed.

Until there is a ledger, that is what resuming means: the same command on what is not confirmed. An instance whose answer
or whose record was lost is sent a second time; the sandbox has it once all the same, and the script says how often.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import time

import compare_datasets
import harness
import objects

STAGES = ("kuva-validate", "kuva-send", "kuva-commit")
STUDY = 50  # instances a study
LOCAL_IO = 9  # exit code of a tool whose reader is gone


class Fault(AssertionError):
    """A promise that was broken."""


def make_batch(directory, count, randomness):
    """{SOP Instance UID: file}: small CT slices, made from one by putting other UIDs of the same length into it."""
    template_directory = directory / "template"
    template_directory.mkdir(parents=True)
    template = objects.write_ct_study(template_directory, 1, rows=16)[0]
    original = compare_datasets.File(template).bytes
    image = objects.pydicom.dcmread(template)
    template.unlink()
    template_directory.rmdir()
    pixels = len(image.PixelData)

    def fresh(uid):
        digits = "".join(randomness.choice("123456789") for _ in range(20))
        return (str(uid)[:-20] + digits).encode()

    batch = {}
    for number in range(count):
        if number % STUDY == 0:
            study, series = fresh(image.StudyInstanceUID), fresh(image.SeriesInstanceUID)
            folder = directory / f"study-{number // STUDY:04}"
            folder.mkdir()
        uid = fresh(image.SOPInstanceUID)
        content = original.replace(image.SOPInstanceUID.encode(), uid).replace(image.StudyInstanceUID.encode(), study)
        content = content.replace(image.SeriesInstanceUID.encode(), series)
        file = folder / f"{number % STUDY:04}.dcm"
        file.write_bytes(content[:-pixels] + randomness.randbytes(pixels))
        batch[uid.decode()] = file
    return batch


def pass_on(source, destination, kept, gone):
    """Like a pipe between two tools: when the next one is gone, the one before finds its output closed."""
    with source:
        while chunk := os.read(source.fileno(), 65536):
            kept += chunk
            try:
                harness.write_all(destination, chunk)
            except BrokenPipeError:
                gone.set()
                break
    os.close(destination)


class Stage:
    """One tool of the pipeline; what it writes is kept and handed on by a thread."""

    def __init__(self, name, arguments, source, errors):
        self.name = name
        self.errors = open(errors, "ab")
        self.popen = subprocess.Popen([str(argument) for argument in arguments], stdin=source, stdout=subprocess.PIPE,
                                      stderr=self.errors, env=harness.TOOL_ENVIRONMENT)
        self.kept = bytearray()
        self.reading, writing = os.pipe()
        self.gone = threading.Event()  # the next stage: what this one wrote last is then not read
        self.thread = threading.Thread(target=pass_on, args=(self.popen.stdout, writing, self.kept, self.gone),
                                       daemon=True)
        self.thread.start()

    def join(self, deadline):
        try:
            code = self.popen.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Fault(f"{self.name} hangs") from None
        self.thread.join(10)
        self.errors.close()
        return code

    def records(self):
        """Each whole line, held against its schema; the last one may be cut when it was killed or not read to its end."""
        lines = bytes(self.kept).split(b"\n")
        if lines[-1] and self.popen.returncode not in (-9, LOCAL_IO) and not self.gone.is_set():
            raise Fault(f"{self.name} ended with {self.popen.returncode}, and its last line is cut: {lines[-1][:200]}")
        records = []
        for line in lines[:-1]:
            problems = harness.VALIDATOR.problems_of_line(line)
            if problems:
                raise Fault(f"{self.name}: {problems} in {line[:500]}")
            records.append(json.loads(line))
        return records


class KillBatch:
    def __init__(self, directory, instances, kills, seed, pace, tools=harness.TOOLS):
        self.directory, self.kills, self.tools = pathlib.Path(directory), kills, tools
        self.randomness = random.Random(seed)
        self.batch = make_batch(self.directory / "batch", instances, self.randomness)
        self.pace = pace
        size = next(iter(self.batch.values())).stat().st_size
        # So slow that the kills meet the batch on its way: it would take `pace` seconds a kill.
        self.rate = max(1, int(instances * size / max(1, kills) / pace))
        self.box = self.directory / "box"
        self.data_sets = {uid: compare_datasets.File(file).data for uid, file in self.batch.items()}
        self.verified = {}
        self.committed = set()
        self.killed = {name: 0 for name in (*STAGES, "kuva-sandbox")}
        self.rounds = 0
        self.server = None
        self.stages = []

    def log(self, name):
        return self.directory / f"{name}.err"

    # --- the sandbox

    def prepare(self):
        subprocess.run([self.tools / "kuva-sandbox", "--init", self.box], check=True, stdout=subprocess.DEVNULL,
                       env=harness.TOOL_ENVIRONMENT, timeout=60)

    def start_sandbox(self):
        with open(self.log("kuva-sandbox"), "ab") as errors:
            self.server = subprocess.Popen([self.tools / "kuva-sandbox", "--format", "json", self.box],
                                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                                           env=harness.TOOL_ENVIRONMENT)
        if not self.server.stdout.readline():
            raise Fault(f"the sandbox does not start again: {self.log('kuva-sandbox').read_text()[-500:]}")

    def kill_sandbox(self):
        self.server.kill()
        self.server.wait(10)
        self.server.stdout.close()

    # --- a round

    def start_pipeline(self):
        left = [str(file) for uid, file in self.batch.items() if uid not in self.committed]
        listing = self.directory / "left"
        listing.write_text("".join(f"{path}\n" for path in left))
        target = ["--config", self.box / "kuva.toml", "-t", self.randomness.choice(["sandbox", "sandbox-plain"])]
        options = {
            "kuva-validate": ["--files-from", listing],
            "kuva-send": [*target, "--associations", "2", "--bwlimit", self.rate, "--retries", "4", "--retry-delay",
                          "50ms"],
            "kuva-commit": [*target, "--resume", "--chunk", "20", "--grace", "100ms", "--wait", "2s", "--state",
                            self.directory / "state"],
        }
        self.stages = []
        source = subprocess.DEVNULL
        for name in STAGES:
            stage = Stage(name, [self.tools / name, "--format", "json", *options[name]], source, self.log(name))
            if source != subprocess.DEVNULL:
                os.close(source)
            source = stage.reading
            self.stages.append(stage)
        drain = threading.Thread(target=harness.copy, args=(os.fdopen(source, "rb"), None, bytearray()), daemon=True)
        drain.start()

    def round(self, kills):
        self.rounds += 1
        if self.server is None or self.server.poll() is not None:
            self.start_sandbox()
        self.start_pipeline()
        hit = set()
        # Without its sender or its end a pipeline stops by itself; until then somebody else is killed.
        while kills > 0 and not hit & {"kuva-send", "kuva-commit"}:
            time.sleep(self.randomness.uniform(0.0, 2 * self.pace))
            living = [stage for stage in self.stages if stage.popen.poll() is None]
            victim = self.randomness.choice([*living, None])
            if victim is None:
                self.kill_sandbox()
                time.sleep(self.randomness.uniform(0.0, 0.3))
                self.start_sandbox()
                name = "kuva-sandbox"
            else:
                victim.popen.kill()
                name = victim.name
            self.killed[name] += 1
            hit.add(name)
            kills -= 1
            if not living:
                break
        deadline = time.monotonic() + 180
        codes = [stage.join(deadline) for stage in self.stages]
        self.check_round(hit, codes)

    def check_round(self, hit, codes):
        outputs = [stage.records() for stage in self.stages]
        for stage, code, records in zip(self.stages, codes, outputs):
            summaries = [record for record in records if record["type"] == "summary"]
            if code not in (-9, LOCAL_IO) and (len(summaries) != 1 or summaries[0]["exitCode"] != code):
                raise Fault(f"{stage.name} ended with {code} and {len(summaries)} summaries")
        if codes[-1] == 0 and hit & set(STAGES):
            raise Fault(f"exit code 0 of kuva-commit though {hit} was killed: {codes}")
        for records in outputs:
            for record in records:
                if record.get("outcome") in ("stored", "stored-with-warning", "committed"):
                    self.check_in_archive(record)
        self.committed |= {record["SOPInstanceUID"] for record in outputs[-1]
                           if record["type"] == "instance" and record["outcome"] == "committed"}

    def check_in_archive(self, record):
        uid = record["SOPInstanceUID"]
        file = self.box / "storage" / record["StudyInstanceUID"] / record["SeriesInstanceUID"] / f"{uid}.dcm"
        try:
            status = file.stat()
        except FileNotFoundError:
            raise Fault(f"{record['tool']} said {record['outcome']}, and the archive does not have it: {record}") from None
        if self.verified.get(uid) == status.st_mtime_ns:
            return
        if compare_datasets.File(file).data != self.data_sets[uid]:
            raise Fault(f"{record['tool']} said {record['outcome']}, and the archive has other bytes: {record}")
        self.verified[uid] = status.st_mtime_ns

    # --- the whole

    def run(self, say=lambda text: None):
        self.prepare()
        try:
            while sum(self.killed.values()) < self.kills:
                if len(self.committed) == len(self.batch):
                    raise Fault(f"the batch was done after {sum(self.killed.values())} kills of {self.kills}: a longer "
                                f"--pace is needed")
                self.round(self.kills - sum(self.killed.values()))
                say(f"round {self.rounds}: {sum(self.killed.values())} kills, {len(self.committed)} committed")
            self.rate = "1G"
            for _ in range(5):
                if len(self.committed) == len(self.batch):
                    break
                self.round(0)
                say(f"round {self.rounds}, nothing killed: {len(self.committed)} committed")
        finally:
            for stage in self.stages:
                harness.end(stage.popen)
            if self.server is not None:
                self.kill_sandbox()
        self.check_end()

    def check_end(self):
        if self.committed != set(self.batch):
            raise Fault(f"{len(set(self.batch) - self.committed)} instances were never called committed")
        stored = [file for file in (self.box / "storage").rglob("*.dcm")]
        found = {file.stem: file for file in stored}
        if len(stored) != len(found) or set(found) != set(self.batch):
            raise Fault(f"{len(stored)} files of {len(found)} instances in the archive, sent were {len(self.batch)}")
        for uid, file in found.items():
            if compare_datasets.File(file).data != self.data_sets[uid]:
                raise Fault(f"the archive has other bytes of {uid}")
        left = list((self.directory / "state").glob("*.json*"))
        if left:
            raise Fault(f"kuva-commit still holds {len(left)} transactions")

    def sent(self):
        """How many C-STORE the sandbox answered with success."""
        count = 0
        with open(self.box / "transcript.ndjson", "rb") as transcript:
            for line in transcript:
                count += b'"C-STORE-RSP"' in line and b'"message-sent"' in line
        return count


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--instances", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pace", type=float, default=0.5, help="seconds a kill, on average")
    parser.add_argument("--tools", type=pathlib.Path, default=harness.TOOLS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kuva-kills-") as directory:
        test = KillBatch(directory, options.instances, options.kills, options.seed, options.pace, options.tools)
        started = time.monotonic()
        try:
            test.run(lambda text: print(text, flush=True))
        except Fault as fault:
            for name in (*STAGES, "kuva-sandbox"):
                print(f"--- {name}\n{test.log(name).read_text(errors='replace')[-1500:]}", file=sys.stderr)
            print(f"seed {options.seed}, round {test.rounds}: {fault}\n0 passed, 1 failed, 0 skipped")
            return 1
        print(f"{len(test.batch)} instances, {sum(test.killed.values())} kills {test.killed} in {test.rounds} rounds, "
              f"{time.monotonic() - started:.0f} s: each in the archive once, byte for byte, no record wrong; "
              f"{test.sent()} C-STORE answered\n1 passed, 0 failed, 0 skipped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
