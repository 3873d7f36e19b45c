#!/usr/bin/python3
"""A batch of very many small instances with a ledger: inventoried, sent to the sandbox, resumed. Prints seconds, rates and
peak memory, and fails where memory grows with the batch, where the sandbox has something twice or not at all, or where
the ledger and the sandbox's disk disagree.

    tests/peer/ledger_scale.py [--instances 1000000] [--engine sqlite|postgresql] [--workers 4] [--kills 20] [--tools DIR]

With postgresql the workers send at the same time, and two of them are killed with SIGKILL again and again, over the
whole time of the batch.
"""
import json
import pathlib
import random
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import harness  # noqa: E402
import ledger_batch  # noqa: E402

MOST_MEMORY = 64  # MiB, whatever the number of instances, besides the cache of the database
MOST_CACHE = 64  # MiB, and never more than the ledger has
PACE = 1500  # instances a second with which kills are spread; more is no fault
RESUME = 10  # seconds, for a million; small batches are not timed


class Fault(AssertionError):
    """A promise that was broken."""


def check(box, uids, counts):
    files = ledger_batch.stored_files(box)
    answered = ledger_batch.received(box)
    if set(files) != uids or sum(files.values()) != len(uids):
        raise Fault(f"{len(files)} instances on the sandbox's disk, sent were {len(uids)}")
    twice = [uid for uid, count in answered.items() if count != 1]
    if twice:
        raise Fault(f"{len(twice)} instances came twice, {twice[0]} for one")
    done = sum(count for state, count in counts.items() if state in ledger_batch.DONE)
    if done != len(files) or sum(counts.values()) != len(uids):
        raise Fault(f"the ledger has {counts}, and {len(files)} are on the sandbox's disk")
    return len(answered)


def run_sqlite(directory, sandbox, target, batch, uids, tools):
    ledger = directory / "batch.db"
    late = []
    inventory = [tools / "kuva-validate", "--no-studies", "--ledger", ledger, batch]
    send = [tools / "kuva-send", *target, "--associations", "2", "--ledger", ledger]
    steps = [("inventory", inventory, len(uids)), ("inventory again", inventory, len(uids)),
             ("send", [*send, batch], len(uids)), ("resume", [*send, batch], len(uids)), ("resume of what waits", send, 0)]
    for name, arguments, seen in steps:
        out = directory / f"{name}.ndjson"
        code, seconds, memory = ledger_batch.run_measured(arguments, out, directory / "errors", 7200)
        summary = ledger_batch.last_line(out)
        print(f"{name}: {seen} instances in {seconds:.1f} s, {seen / seconds:.0f}/s, {memory:.0f} MiB, "
              f"{summary['outcomes']}", flush=True)
        if code != 0 or summary["seen"] != seen:
            raise Fault(f"{name} ended with {code}: {summary}; {(directory / 'errors').read_text()[-500:]}")
        cache = min(MOST_CACHE, ledger.stat().st_size / 2**20)
        if memory > MOST_MEMORY + cache:
            raise Fault(f"{name} took {memory:.0f} MiB, {cache:.0f} of them for the cache of the ledger")
        if name.startswith("resume") and len(uids) >= 1_000_000 and seconds > RESUME:
            late.append(f"{name} took {seconds:.1f} s")
    return ledger_batch.counts_of(ledger), late


def run_postgres(directory, target, batch, count, tools, workers, kills, randomness):
    server = ledger_batch.Postgres(directory)
    running = {}
    try:
        def start(number):
            with open(directory / f"worker-{number}.ndjson", "ab") as out, open(directory / "errors", "ab") as errors:
                running[number] = subprocess.Popen(
                    [tools / "kuva-send", *target, "--format", "json", "--ledger", server.url, "--lease", "4s"],
                    stdin=subprocess.DEVNULL, stdout=out, stderr=errors, env=harness.TOOL_ENVIRONMENT)

        started = time.monotonic()
        code, seconds, memory = ledger_batch.run_measured(
            [tools / "kuva-validate", "--no-studies", "--ledger", server.url, batch], directory / "inventory.ndjson",
            directory / "errors", 7200)
        print(f"inventory: {count} instances in {seconds:.1f} s, {count / seconds:.0f}/s, {memory:.0f} MiB", flush=True)
        if code != 0:
            raise Fault(f"the inventory ended with {code}: {(directory / 'errors').read_text()[-500:]}")
        started = time.monotonic()
        for number in range(workers):
            start(number)
        killed = 0
        # Of the whole time that the batch takes, as far as it can be said.
        pause = max(0.05, count / PACE / (kills + 1))
        while any(worker.poll() is None for worker in running.values()):
            time.sleep(randomness.uniform(0.2, 1.0) * pause)
            if killed < kills:
                number = randomness.randrange(min(2, workers))
                if running[number].poll() is None:
                    running[number].kill()
                    killed += 1
                running[number].wait(30)
                start(number)
            if time.monotonic() - started > 7200:
                raise Fault("the workers hang")
        for number, worker in running.items():
            if worker.returncode not in (0, 5):
                raise Fault(f"worker {number} ended with {worker.returncode}: {(directory / 'errors').read_text()[-500:]}")
        # What a killed one held last is taken up by whoever comes next.
        code, _, _ = ledger_batch.run_measured([tools / "kuva-send", *target, "--format", "json", "--ledger", server.url, "--lease",
                                                "4s"],
                                               directory / "last.ndjson", directory / "errors", 600)
        seconds = time.monotonic() - started
        print(f"{workers} workers, {killed} killed: {seconds:.1f} s, {count / seconds:.0f}/s", flush=True)
        if code != 0:
            raise Fault(f"the last run ended with {code}: {ledger_batch.last_line(directory / 'last.ndjson')}")
        return server.counts()
    finally:
        for worker in running.values():
            harness.end(worker)
        server.stop()


def run(directory, options):
    directory = pathlib.Path(directory)
    started = time.monotonic()
    uids = ledger_batch.make_headers_only(directory / "batch", options.instances, options.per_study)
    print(f"made {len(uids)} instances in {time.monotonic() - started:.1f} s", flush=True)
    sandbox = ledger_batch.Sandbox(directory / "box", options.tools, directory / "sandbox.err")
    sandbox.make_quick()
    sandbox.start()
    target = ["--config", directory / "box" / "kuva.toml", "-t", "sandbox-plain"]
    late = []
    try:
        if options.engine == "sqlite":
            counts, late = run_sqlite(directory, sandbox, target, directory / "batch", uids, options.tools)
        else:
            counts = run_postgres(directory, target, directory / "batch", len(uids), options.tools, options.workers, options.kills,
                                  random.Random(options.seed))
    finally:
        sandbox.stop()
    answered = check(directory / "box", uids, counts)
    print(f"each of {answered} instances once at the sandbox, by its own transcript; the ledger has {json.dumps(counts)}")
    if late:
        raise Fault("; ".join(late))


def add_options(parser):
    parser.add_argument("--instances", type=int, default=1_000_000)
    parser.add_argument("--per-study", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--kills", type=int, default=20)


if __name__ == "__main__":
    sys.exit(ledger_batch.run_at_full_size(__doc__, add_options, run))
