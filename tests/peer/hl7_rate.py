#!/usr/bin/python3
"""10,000 updates through one connection to kuva-adt receive: messages a second and the memory of both sides are printed.

usage: hl7_rate.py --tools DIR [--count N]
"""
import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

LIMIT_KIB = 64 * 1024


def peak(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    return 0


def run(tools, count):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KUVA_")}
    with tempfile.TemporaryDirectory(prefix="kuva-hl7-") as name:
        directory = pathlib.Path(name)
        got = open(directory / "got", "wb")
        receiver = subprocess.Popen([tools / "kuva-adt", "receive", "--listen", "127.0.0.1:0", "--security", "plain"],
                                    stdout=got, env=environment)
        try:
            while b"\n" not in (directory / "got").read_bytes():
                time.sleep(0.02)
            port = json.loads((directory / "got").read_text().splitlines()[0])["port"]
            rows = directory / "rows.csv"
            rows.write_text("id,name,sex\n" + "".join(f"P{i}@1.2.3,Family^Given{i},F\n" for i in range(count)))
            started = time.monotonic()
            with open(directory / "sent", "wb") as sent:
                done = subprocess.run([tools / "kuva-adt", "update", "--host", "127.0.0.1", "--port", str(port), "--sending",
                                       "A|B", "--receiving", "C|D", "--security", "plain", rows], stdout=sent, env=environment,
                                      timeout=600, check=False)
            elapsed = time.monotonic() - started
            receiver_peak = peak(receiver.pid)
        finally:
            receiver.terminate()
            receiver.wait(20)
        records = [json.loads(line) for line in (directory / "got").read_text().splitlines()]
        connections = {record["connection"] for record in records if record["type"] == "message"}
        summary = json.loads((directory / "sent").read_text().splitlines()[-1])
    sender_peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"case=hl7-updates messages={count} rate={count / elapsed:.0f}/s sender={sender_peak // 1024}MiB "
          f"receiver={receiver_peak // 1024}MiB connections={len(connections)}")
    good = (done.returncode == 0 and summary["outcomes"] == {"applied": count} and len(connections) == 1 and
            max(sender_peak, receiver_peak) < LIMIT_KIB)
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tools", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=10_000)
    options = parser.parse_args()
    good = run(options.tools, options.count)
    print("1 passed, 0 failed, 0 skipped" if good else "0 passed, 1 failed, 0 skipped")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
