"""What the peer tests share: kuva's tools with their records checked; peers started, bounded and ended by pid."""

import collections
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TOOLS = pathlib.Path(os.environ.get("KUVA_TOOLS", ROOT / "build/dev/tools"))
SHARED = pathlib.Path(os.environ.get("KUVA_SHARED", ROOT.parent / "shared"))

sys.path.insert(0, str(HERE.parent))
import validate_messages  # noqa: E402  (tests/validate_messages.py)
import validate_records  # noqa: E402  (tests/validate_records.py)

VALIDATOR = validate_records.Validator()

# Debian's DCMTK and Orthanc stall 40 ms in every exchange without this.
PEER_ENVIRONMENT = dict(os.environ, TCP_NODELAY="1")
# The tools under test take nothing from the environment of whoever runs the tests.
TOOL_ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("KUVA_")}


def free_ports(count):
    """Ports that nobody has now; taken together, so they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait_until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {seconds} s")


def npm_directory(name, packages):
    """Where these packages (NAME@VERSION) of npm are, installed below the build directory once; None when npm or the
    registry is not there."""
    directory = TOOLS.parent / name
    if not all((directory / "node_modules" / package.rpartition("@")[0]).is_dir() for package in packages):
        if missing_program("npm", "node"):
            return None
        directory.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", directory, *packages],
                              capture_output=True, timeout=120, check=False)
        if done.returncode != 0:
            return None
    return directory


def missing_program(*names):
    return next((name for name in names if shutil.which(name) is None), None)


def needs(*names):
    """Skips a case, saying so, where a peer program is not installed."""
    missing = missing_program(*names)
    return unittest.skipIf(missing, f"{missing} is not installed")


def needs_shared(part):
    return unittest.skipIf(not (SHARED / part).exists(), f"no {part} below KUVA_SHARED ({SHARED})")


class Process:
    """A program in the background, its output in files, ended by its pid."""

    def __init__(self, name, arguments, directory, environment=None, stdin=None):
        self.name = name
        self.out = directory / f"{name}.out"
        self.err = directory / f"{name}.err"
        self._files = [open(self.out, "wb"), open(self.err, "wb")]
        self.popen = subprocess.Popen([str(argument) for argument in arguments], cwd=directory, stdin=stdin or
                                      subprocess.DEVNULL, stdout=self._files[0], stderr=self._files[1],
                                      env=environment or PEER_ENVIRONMENT)

    @property
    def pid(self):
        return self.popen.pid

    def wait_for_port(self, port, seconds=30):
        def answers():
            if self.popen.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.popen.returncode}: {self.tail()}")
            with socket.socket() as probe:
                probe.settimeout(1)
                return probe.connect_ex(("127.0.0.1", port)) == 0
        wait_until(answers, seconds, f"{self.name} listens at {port}")

    def tail(self):
        return "\n".join(file.read_text(errors="replace")[-2000:] for file in (self.out, self.err))

    def wait(self, seconds):
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            raise AssertionError(f"{self.name} did not end within {seconds} s: {self.tail()}") from None

    def stop(self, signal_number=signal.SIGTERM, seconds=15):
        """Its exit code; a program that does not heed the signal is killed."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal_number)
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait(seconds)
        for file in self._files:
            file.close()
        return self.popen.returncode


class Result:
    """What a tool left: exit code, records (each checked against its schema), messages."""

    def __init__(self, tool, code, out, err):
        self.tool, self.code, self.out, self.err = tool, code, out, err
        self.records = []

    def parse(self, cut_allowed=False):
        lines = self.out.split(b"\n")
        last = lines.pop()
        if last and not cut_allowed:
            raise AssertionError(f"{self.tool}: the last line has no newline: {last[:200]!r}")
        for line in lines:
            problems = VALIDATOR.problems_of_line(line)
            if problems:
                raise AssertionError(f"{self.tool}: {problems} in {line[:500]!r}")
            self.records.append(json.loads(line))
        return self

    def of_type(self, kind):
        return [record for record in self.records if record["type"] == kind]

    @property
    def instances(self):
        return self.of_type("instance")

    @property
    def summary(self):
        found = self.of_type("summary")
        if len(found) != 1 or self.records[-1] is not found[0]:
            raise AssertionError(f"{self.tool}: {len(found)} summaries; stderr: {self.err[-2000:]}")
        return found[0]

    def outcomes(self):
        return collections.Counter(record["outcome"] for record in self.instances)

    def by_uid(self):
        return {record["SOPInstanceUID"]: record for record in self.instances if "SOPInstanceUID" in record}


class PeerCase(unittest.TestCase):
    """A case with a directory of its own; its processes are ended and its files removed, however it ends."""

    maxDiff = None
    needed = ("kuva-validate", "kuva-send", "kuva-commit", "kuva-sandbox")
    # The XML that the tools got is the sandbox's, undisturbed, and must be valid as well.
    answers_are_ours = False

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="kuva-peer-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.environment = dict(TOOL_ENVIRONMENT, KUVA_SAVE_RAW=str(self.directory / "messages"))
        self.addCleanup(self.check_messages)
        for tool in self.needed:
            self.assertTrue((TOOLS / tool).exists(), f"{tool} is not built in {TOOLS}")

    def check_messages(self):
        """Every SOAP message of the tools that this case ran holds against the official schemas, its assertion against
        xmlsec1. (Where there are none, tests/test_validate_messages.py is skipped and says so.)"""
        schemas = SHARED / "xsd"
        if not schemas.exists() or missing_program("xmllint", "xmlsec1"):
            return
        contents = {path.name: path.read_bytes() for path in (self.directory / "messages").glob("*.http")
                    if path.name.endswith("-request.http") or self.answers_are_ours}
        contents = {name: data for name, data in contents.items() if b"\r\n\r\n<" in data or b"application/xop+xml" in data}
        _, faults = validate_messages.check_all(contents, schemas)
        self.assertEqual({name: found for name, found in faults.items() if found}, {})

    def make_directory(self, name):
        path = self.directory / name
        path.mkdir(parents=True)
        return path

    def start(self, name, arguments, **options):
        process = Process(name, arguments, self.directory, **options)
        self.addCleanup(process.stop)
        return process

    def run_program(self, *arguments, seconds=60, stdin=None):
        """A peer's program in the foreground; (exit code, output)."""
        done = subprocess.run([str(argument) for argument in arguments], cwd=self.directory, input=stdin,
                              stdin=None if stdin is not None else subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env=PEER_ENVIRONMENT, timeout=seconds, check=False)
        return done.returncode, done.stdout.decode(errors="replace")

    def tool(self, name, *arguments, stdin=None, seconds=120, cut_allowed=False):
        """One kuva tool in the foreground, NDJSON out; `stdin` None is /dev/null."""
        command = [str(TOOLS / name), "--format", "json", *map(str, arguments)]
        try:
            source = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
            done = subprocess.run(command, cwd=self.directory, **source, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=self.environment, timeout=seconds, check=False)
        except subprocess.TimeoutExpired as timeout:
            messages = (timeout.stderr or b"")[-2000:]
            raise AssertionError(f"{name} hangs: not done within {seconds} s: {messages}") from None
        return Result(name, done.returncode, done.stdout, done.stderr.decode(errors="replace")).parse(cut_allowed)

    def pipeline(self, *commands, seconds=180):
        """kuva tools joined by real pipes, each stage's records kept. Each command is (name, argument...)."""
        stages = []
        previous = subprocess.DEVNULL
        for name, *arguments in commands:
            error = open(self.directory / f"pipeline-{len(stages)}.err", "wb+")
            self.addCleanup(error.close)
            tool = subprocess.Popen([str(TOOLS / name), "--format", "json", *map(str, arguments)], cwd=self.directory,
                                    stdin=previous, stdout=subprocess.PIPE, stderr=error, env=self.environment)
            self.addCleanup(end, tool)
            read, write = os.pipe()
            kept = bytearray()
            thread = threading.Thread(target=copy, args=(tool.stdout, write, kept), daemon=True)
            thread.start()
            if previous != subprocess.DEVNULL:
                os.close(previous)
            previous = read
            stages.append((name, tool, error, kept, thread))
        drain = threading.Thread(target=copy, args=(os.fdopen(previous, "rb"), None, bytearray()), daemon=True)
        drain.start()
        deadline = time.monotonic() + seconds
        results = []
        for name, tool, error, kept, thread in stages:
            try:
                code = tool.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise AssertionError(f"the pipeline hangs in {name} after {seconds} s") from None
            thread.join(10)
            error.seek(0)
            results.append(Result(name, code, bytes(kept), error.read().decode(errors="replace")).parse())
        return results

    def assert_adds_up(self, result, expected=None):
        """The summary counts every instance record once, and nothing entered that did not leave."""
        summary = result.summary
        self.assertEqual(dict(result.outcomes()), summary["outcomes"], result.tool)
        self.assertEqual(len(result.instances), summary["seen"], result.tool)
        self.assertEqual(result.code, summary["exitCode"], result.tool)
        self.assertNotIn("missing", summary)
        if expected is not None:
            self.assertEqual(summary["seen"], expected, result.tool)


def copy(source, destination, kept):
    with source:
        while chunk := os.read(source.fileno(), 65536):
            kept += chunk
            if destination is not None:
                try:
                    write_all(destination, chunk)
                except BrokenPipeError:
                    os.close(destination)
                    destination = None
    if destination is not None:
        os.close(destination)


def write_all(descriptor, chunk):
    while chunk:
        chunk = chunk[os.write(descriptor, chunk):]


def end(popen):
    if popen.poll() is None:
        popen.kill()
        popen.wait(10)
