#!/usr/bin/python3
"""Kills sender, committer, sandbox and, where there is one, the database with SIGKILL at random moments over one batch with
a ledger, starts them again with the same command lines, and checks.

    tests/peer/ledger_kills.py [--kills 200] [--instances 3000] [--engine sqlite|postgresql] [--seed 1] [--pace SECONDS]

kuva-send and kuva-commit run at the same time, each with the ledger. At the end each instance was answered for once by the
sandbox, by its own transcript, is on its disk byte for byte, and the counts of the ledger are those of the disk. What was
answered when the sandbox or the sender was killed may have come twice only where the sandbox had not kept it.
"""
import pathlib
import random
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import harness  # noqa: E402
import kill_batch  # noqa: E402
import ledger_batch  # noqa: E402

# Done; not reached; to be continued; the ledger was away; killed.
ALLOWED = {0, 5, 8, 9, -9}
# Asked about what was in doubt: it is not there (0112), and is sent again.
ALLOWED_OF = {"kuva-commit": ALLOWED | {3}}


class Fault(AssertionError):
    """A promise that was broken."""


class LedgerKills:
    def __init__(self, directory, instances, kills, seed, pace, engine, tools=harness.TOOLS):
        self.directory, self.kills, self.pace, self.tools = pathlib.Path(directory), kills, pace, tools
        self.randomness = random.Random(seed)
        self.batch = kill_batch.make_batch(self.directory / "batch", instances, self.randomness)
        self.data_sets = {uid: ledger_batch.data_set(file) for uid, file in self.batch.items()}
        size = next(iter(self.batch.values())).stat().st_size
        # So slow that the kills meet the batch on its way.
        self.rate = max(1, int(instances * size / max(1, kills) / pace))
        self.sandbox = ledger_batch.Sandbox(self.directory / "box", tools, self.directory / "sandbox.err")
        self.server = ledger_batch.Postgres(self.directory) if engine == "postgresql" else None
        self.ledger = self.server.url if self.server else str(self.directory / "batch.db")
        self.running = {}
        self.killed = {name: 0 for name in ("kuva-send", "kuva-commit", "kuva-sandbox", *(["database"] if self.server else []))}
        self.codes = {}

    def start(self, name):
        target = ["--config", self.directory / "box" / "kuva.toml", "-t", "sandbox-plain", "--format", "json", "--ledger",
                  self.ledger]
        options = {"kuva-send": ["--associations", "2", "--bwlimit", self.rate, "--retries", "4", "--retry-delay", "50ms",
                                 "--lease", "3s", self.directory / "batch"],
                   "kuva-commit": ["--chunk", "50", "--grace", "100ms", "--wait", "1s", "--state", self.directory / "state"]}
        with open(self.directory / f"{name}.ndjson", "ab") as out, open(self.directory / f"{name}.err", "ab") as errors:
            self.running[name] = subprocess.Popen([str(each) for each in (self.tools / name, *target, *options[name])],
                                                  stdin=subprocess.DEVNULL, stdout=out, stderr=errors,
                                                  env=harness.TOOL_ENVIRONMENT)

    def note_end(self, name):
        code = self.running[name].returncode
        self.codes.setdefault(name, {}).setdefault(code, 0)
        self.codes[name][code] += 1
        if code not in ALLOWED_OF.get(name, ALLOWED):
            raise Fault(f"{name} ended with {code}: {(self.directory / f'{name}.err').read_text()[-800:]}")

    def keep_running(self):
        if not self.sandbox.is_running():
            self.sandbox.start()
        for name in ("kuva-send", "kuva-commit"):
            process = self.running.get(name)
            if process is None or process.poll() is not None:
                if process is not None:
                    self.note_end(name)
                self.start(name)

    def kill_one(self):
        name = self.randomness.choice(list(self.killed))
        if name == "kuva-sandbox":
            self.sandbox.kill()
            time.sleep(self.randomness.uniform(0.0, 0.3))
            self.sandbox.start()
        elif name == "database":
            self.server.kill()
            time.sleep(self.randomness.uniform(0.0, 0.3))
            self.server.start()
        elif self.running[name].poll() is None:
            self.running[name].kill()
            self.running[name].wait(10)
        self.killed[name] += 1

    def counts(self):
        return self.server.counts() if self.server else ledger_batch.counts_of(self.directory / "batch.db")

    def run(self, say=lambda text: None):
        try:
            while sum(self.killed.values()) < self.kills:
                self.keep_running()
                time.sleep(self.randomness.uniform(0.0, 2 * self.pace))
                self.kill_one()
                if sum(self.killed.values()) % 20 == 0:
                    say(f"{sum(self.killed.values())} kills, {len(ledger_batch.stored_files(self.directory / 'box'))} at the "
                        f"sandbox")
            self.rate = "1G"
            deadline = time.monotonic() + 180
            while True:
                for process in self.running.values():
                    process.wait(max(1, deadline - time.monotonic()))
                for name in self.running:
                    self.note_end(name)
                if self.counts() == {"committed": len(self.batch)}:
                    break
                if time.monotonic() > deadline:
                    raise Fault(f"without kills it does not come to its end: {self.counts()}")
                self.running = {}
                self.start("kuva-send")
                self.running["kuva-send"].wait(max(1, deadline - time.monotonic()))
                self.start("kuva-commit")
        finally:
            for process in self.running.values():
                harness.end(process)
            self.sandbox.stop()
            counts = self.counts()
            if self.server:
                self.server.stop()
        self.check(counts)

    def check(self, counts):
        box = self.directory / "box"
        files = ledger_batch.stored_files(box)
        if set(files) != set(self.batch) or sum(files.values()) != len(self.batch):
            raise Fault(f"{len(files)} instances on the sandbox's disk, the batch has {len(self.batch)}")
        if counts != {"committed": len(files)}:
            raise Fault(f"the ledger says {counts}, on the disk are {len(files)}")
        for file in (box / "storage").rglob("*.dcm"):
            if ledger_batch.data_set(file) != self.data_sets[file.stem]:
                raise Fault(f"the archive has other bytes of {file.stem}")
        twice = {uid: count for uid, count in ledger_batch.received(box).items() if count > 1}
        if twice:
            raise Fault(f"{len(twice)} instances came twice by the transcript, {next(iter(twice))} for one")


def run(directory, options):
    started = time.monotonic()
    test = LedgerKills(directory, options.instances, options.kills, options.seed, options.pace, options.engine, options.tools)
    test.run(lambda text: print(text, flush=True))
    print(f"{len(test.batch)} instances, {sum(test.killed.values())} kills {test.killed}, ends {test.codes}, "
          f"{time.monotonic() - started:.0f} s: each at the sandbox once, byte for byte, the ledger says the same")


def add_options(parser):
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--instances", type=int, default=3000)
    parser.add_argument("--pace", type=float, default=0.5, help="seconds a kill, on average")


if __name__ == "__main__":
    sys.exit(ledger_batch.run_at_full_size(__doc__, add_options, run))
