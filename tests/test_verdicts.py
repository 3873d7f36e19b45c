#!/usr/bin/python3
"""Verdicts of the tests themselves: what died, was cut short or was skipped is never a pass."""
import importlib.machinery
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
TEST_SCRIPT = HERE.parent / "scripts" / "test"

SANDBOX = """#!/usr/bin/python3
import os, signal, sys, time
if sys.argv[1] == "--init":
    os.makedirs(sys.argv[2])
    sys.exit(0)
def stop(*_):
    {end}
signal.signal(signal.SIGTERM, stop)
print('{{"plainPort": 1, "tlsPort": 2, "hl7Port": 3, "hl7TlsPort": 4}}', flush=True)
{serve}
"""


def load_run_cases():
    loader = importlib.machinery.SourceFileLoader("run_cases", str(HERE / "cli" / "run-cases"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_cases", loader))
    loader.exec_module(module)
    return module


class Directory(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="kuva-verdicts-")
        self.addCleanup(holder.cleanup)
        self.directory = pathlib.Path(holder.name)

    def program(self, path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)


class SandboxOfCases(Directory):
    run_cases = load_run_cases()

    def faults(self, end="sys.exit(0)", serve="time.sleep(60)"):
        self.program(self.directory / "bin" / "kuva-sandbox", SANDBOX.format(end=end, serve=serve))
        case = self.directory / "case.txt"
        case.write_text("# A case.\nsandbox: plain\n$ sleep 0.3\n--- exit 0\n", encoding="utf-8")
        result = self.run_cases.run(self.run_cases.Case(case), self.directory / "bin", self.run_cases.Validator())
        return result.faults

    def test_clean_end(self):
        self.assertEqual(self.faults(), [])

    def test_exit_status(self):
        self.assertIn("the sandbox ended with 9", self.faults(end="sys.exit(9)"))

    def test_crash(self):
        found = self.faults(serve="os.kill(os.getpid(), signal.SIGSEGV)")
        self.assertIn("the sandbox ended before it was asked to", found)

    def test_sanitizer_that_goes_on(self):
        found = self.faults(end='sys.stderr.write("a.cpp:3: runtime error: signed integer overflow\\\\n"); sys.exit(0)')
        self.assertEqual(len(found), 1)
        self.assertIn("runtime error", found[0])


class FuzzVerdicts(Directory):
    def test_every_target_has_one(self):
        fuzz = self.directory / "build" / "sanitize" / "tests" / "fuzz"
        self.program(fuzz / "fuzz_good", "#!/bin/bash\necho stat::number_of_executed_units: 7 >&2\n")
        self.program(fuzz / "fuzz_bad", "#!/bin/bash\nexit 77\n")
        self.program(fuzz / "fuzz_dead", "#!/bin/bash\nkill -9 $PPID\n")  # the shell that would have told of it
        (self.directory / "results").mkdir()
        functions = subprocess.run(["sed", "-n", "/^fuzz_one()/,/^}/p;/^run_fuzz()/,/^}/p", str(TEST_SCRIPT)], check=True,
                                   stdout=subprocess.PIPE, text=True).stdout
        script = "set -euo pipefail\njobs=2\nresults=results\nbuild() { :; }\n" + functions + "run_fuzz\n"
        subprocess.run(["bash", "-c", script], cwd=self.directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       check=True, timeout=60)
        verdicts = sorted((self.directory / "results" / "fuzz.txt").read_text().splitlines())
        self.assertEqual(verdicts, ["fuzz/fuzz_bad failed", "fuzz/fuzz_dead failed", "fuzz/fuzz_good passed"])


class Skips(Directory):
    REPORT = ('<testsuite><testcase name="a" status="run"><system-out>skipped: {reason}\n'
              '3 passed, 0 failed, {skipped} skipped\n</system-out></testcase></testsuite>')

    def status(self, reason, skipped=1, skips_fail="1"):
        (self.directory / "dev.xml").write_text(self.REPORT.format(reason=reason, skipped=skipped), encoding="utf-8")
        environment = dict(os.environ, KUVA_SKIPS_FAIL=skips_fail)
        return subprocess.run([sys.executable, str(HERE / "count_results.py"), str(self.directory)], env=environment,
                              stdout=subprocess.DEVNULL, check=False).returncode

    def test_skips(self):
        allowed = "test_hl7.Npm.test_servers: npm, node or the npm registry is not there"
        self.assertEqual(self.status("no corpus/ct below KUVA_SHARED"), 1)
        self.assertEqual(self.status("no corpus/ct below KUVA_SHARED", skips_fail=""), 0)
        self.assertEqual(self.status(allowed), 0)
        self.assertEqual(self.status(allowed, skipped=2), 1)  # one of them did not say why

    def test_rebase_is_no_test_run(self):
        done = subprocess.run([str(TEST_SCRIPT), "--label", "unit", "--no-install"], env=dict(os.environ, KUVA_REBASE="1"),
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False, timeout=60)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"KUVA_REBASE", done.stderr)


if __name__ == "__main__":
    unittest.main()
