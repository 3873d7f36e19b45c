"""What the tests of a batch with a ledger share: many small objects made fast, PostgreSQL on a free port, the sandbox's own
account of what came."""

import argparse
import collections
import json
import os
import pathlib
import pwd
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

import compare_datasets
import harness
import objects

POSTGRES = pathlib.Path("/usr/lib/postgresql/15/bin")
DONE = ("stored", "stored_with_warning", "stored-with-warning", "committed", "registered")


def make_headers_only(directory, count, per_study=1000):
    """`count` objects without pixels (texts), a directory a study; {SOP Instance UID}. UIDs are 2.25 and a number of fixed length."""
    directory.mkdir(parents=True)
    template_directory = directory / "template"
    template_directory.mkdir()
    template = objects.write_ct_study(template_directory, 1, rows=1)[0]
    image = objects.pydicom.dcmread(template)
    del image.PixelData
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    length = 40
    uids = {"study": "2.25.1".ljust(length, "1"), "series": "2.25.2".ljust(length, "2"), "instance": "2.25.3".ljust(length, "3")}
    image.StudyInstanceUID, image.SeriesInstanceUID = uids["study"], uids["series"]
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = uids["instance"]
    image.save_as(template, write_like_original=False)
    original = template.read_bytes()
    shutil.rmtree(template_directory)

    def uid(kind, number):
        return (uids[kind][:6] + str(number).rjust(length - 6, "0")).encode()

    made = set()
    for number in range(count):
        study = number // per_study
        if number % per_study == 0:
            folder = directory / f"{study:06}"
            folder.mkdir()
            content = original.replace(uids["study"].encode(), uid("study", study))
            content = content.replace(uids["series"].encode(), uid("series", study))
        instance = uid("instance", number)
        (folder / f"{number % per_study:06}.dcm").write_bytes(content.replace(uids["instance"].encode(), instance))
        made.add(instance.decode())
    return made


class Postgres:
    """A server of its own on a free port, with a database; it does not run as root."""

    def __init__(self, directory):
        self.data = directory / "postgres"
        self.user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        self.data.mkdir()
        if self.user:
            for each in (directory, *directory.parents):
                if each.stat().st_uid == 0 and each.is_relative_to("/tmp") and each != pathlib.Path("/tmp"):
                    each.chmod(each.stat().st_mode | 0o011)
            os.chown(self.data, self.user.pw_uid, self.user.pw_gid)
        self.port = harness.free_ports(1)[0]
        self._run("initdb", "-D", self.data / "data", "-U", "kuva", "-A", "trust", "--no-sync", "-E", "UTF8",
                  "--locale=C.UTF-8")
        self.start()
        self.url = f"postgresql://kuva@127.0.0.1:{self.port}/postgres"

    def _options(self):
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}

    def _run(self, program, *arguments):
        subprocess.run([str(POSTGRES / program), *map(str, arguments)], check=True, stdout=subprocess.DEVNULL, timeout=60,
                       cwd="/", **self._options())

    def start(self):
        with open(self.data / "log", "ab") as log:
            self.server = subprocess.Popen(
                [str(POSTGRES / "postgres"), "-D", str(self.data / "data"), "-h", "127.0.0.1", "-p", str(self.port), "-k", ""],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", **self._options())
        harness.wait_until(lambda: subprocess.run([str(POSTGRES / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)],
                                                  check=False).returncode == 0, 30, "PostgreSQL starts")

    def stop(self):
        if self.server.poll() is None:
            self.server.send_signal(signal.SIGINT)
            self.server.wait(30)

    def kill(self):
        """As a crash does; what was committed is there afterwards."""
        self.server.send_signal(signal.SIGQUIT)
        self.server.wait(30)

    def counts(self):
        done = subprocess.run(["psql", "-X", "-A", "-t", "-F", "\t", "-c", QUERY.replace("from instance", "from kuva.instance"), self.url], check=True, capture_output=True,
                              text=True, timeout=120)
        return {state: int(count) for state, count in (line.split("\t") for line in done.stdout.splitlines())}


QUERY = "select state, count(*) from instance where state <> 'superseded' group by state"


def has_postgres():
    return (POSTGRES / "initdb").exists() and shutil.which("psql") is not None


def counts_of(ledger):
    """{state: rows} of a ledger in SQLite, as anybody reads it."""
    with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True, timeout=30) as database:
        return dict(database.execute(QUERY).fetchall())


def received(box):
    """How often the sandbox answered each SOP Instance UID with success or a warning: Counter by UID."""
    count = collections.Counter()
    with open(box / "transcript.ndjson", "rb") as transcript:
        for line in transcript:
            if b'"C-STORE-RSP"' in line and b'"message-sent"' in line:
                try:
                    record = json.loads(line)
                except json.JSONDecodeError:
                    continue  # cut when the sandbox was killed
                count[uid_in(record)] += 1
    return count


def uid_in(record):
    for key in ("AffectedSOPInstanceUID", "SOPInstanceUID"):
        for part in (record, record.get("command", {}), record.get("detail", {})):
            if isinstance(part, dict) and key in part:
                return part[key]
    return None


def stored_files(box):
    return collections.Counter(pathlib.Path(name).stem for _, _, names in os.walk(box / "storage") for name in names
                               if name.endswith(".dcm"))


class Sandbox:
    def __init__(self, box, tools, errors, extra=()):
        self.box, self.tools, self.errors = box, tools, errors
        if not box.exists():
            subprocess.run([tools / "kuva-sandbox", "--init", box, *extra], check=True, stdout=subprocess.DEVNULL,
                           env=harness.TOOL_ENVIRONMENT, timeout=60)
        self.server = None

    def make_quick(self):
        """A kill of the process loses nothing without fsync either."""
        config = self.box / "sandbox.toml"
        config.write_text("durable = false\n" + config.read_text())

    def start(self):
        with open(self.errors, "ab") as errors:
            self.server = subprocess.Popen([self.tools / "kuva-sandbox", "--format", "json", self.box],
                                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                                           env=harness.TOOL_ENVIRONMENT)
        if not self.server.stdout.readline():
            raise AssertionError(f"the sandbox does not start: {self.errors.read_text()[-500:]}")

    def is_running(self):
        return self.server is not None and self.server.poll() is None

    def kill(self):
        self.server.kill()
        self.server.wait(10)
        self.server.stdout.close()

    def stop(self):
        if self.is_running():
            self.server.terminate()
            self.server.wait(30)
            self.server.stdout.close()


def peak_memory(pid):
    """MiB of a process that runs, at most until now; 0 where it is ending."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0


def run_measured(arguments, output, errors, seconds):
    """(exit code, seconds, MiB at most) of a tool."""
    started = time.monotonic()
    with open(output, "wb") as out, open(errors, "ab") as err:
        child = subprocess.Popen([str(argument) for argument in arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                 env=harness.TOOL_ENVIRONMENT)
    deadline = started + seconds
    most = 0
    while True:
        # Not ru_maxrss: it counts this process as it was when the child was made.
        try:
            most = max(most, peak_memory(child.pid))
        except OSError:
            pass  # it has just ended
        if child.poll() is not None:
            return child.returncode, time.monotonic() - started, most
        if time.monotonic() > deadline:
            child.kill()
            raise AssertionError(f"{arguments[0]} hangs")
        time.sleep(0.01)


def last_line(file):
    with open(file, "rb") as stream:
        stream.seek(max(0, os.path.getsize(file) - 65536))
        return json.loads(stream.read().splitlines()[-1])


def data_set(file):
    return compare_datasets.File(file).data


def run_at_full_size(description, add_options, run):
    """The command line of a test that is run by hand; `run` is called with a directory and the options. The exit status; the last
    line counts."""
    parser = argparse.ArgumentParser(description=description.split("\n", maxsplit=1)[0])
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tools", type=pathlib.Path, default=harness.TOOLS)
    add_options(parser)
    options = parser.parse_args()
    if options.engine == "postgresql" and not has_postgres():
        print("PostgreSQL 15 is not installed\n0 passed, 0 failed, 1 skipped")
        return 125
    with tempfile.TemporaryDirectory(prefix="kuva-ledger-") as directory:
        try:
            run(pathlib.Path(directory), options)
        except AssertionError as fault:
            print(f"seed {options.seed}: {fault}\n0 passed, 1 failed, 0 skipped")
            return 1
    print("1 passed, 0 failed, 0 skipped")
    return 0
