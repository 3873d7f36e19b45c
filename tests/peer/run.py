#!/usr/bin/python3
"""Runs the cases of one file of peer tests: run.py test_X.py [NAME...]. The last line: N passed, N failed, N skipped.

Exit code 0, 1 when a case failed, 125 when every case was skipped.
"""

import importlib
import pathlib
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))


class Report(unittest.TextTestResult):
    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()

    def stopTest(self, test):
        super().stopTest(test)
        self.stream.writeln(f"    {time.monotonic() - self.started:.1f} s")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.stream.writeln(f"skipped: {test.id()}: {reason}")


def main():
    # A test that ctest gives up on still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    module = importlib.import_module(pathlib.Path(sys.argv[1]).stem)
    loader = unittest.TestLoader()
    if len(sys.argv) > 2:
        suite = loader.loadTestsFromNames([name if "." in name else f"Cases.{name}" for name in sys.argv[2:]], module)
    else:
        suite = loader.loadTestsFromModule(module)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Report).run(suite)
    broken = {test.id().split(" ")[0] for test, _ in result.failures + result.errors}
    failed, skipped = len(broken), len(result.skipped)
    passed = result.testsRun - failed - skipped
    if result.testsRun == 0 and not failed:
        print("no case ran")
        failed = 1
    print(f"{max(passed, 0)} passed, {failed} failed, {skipped} skipped", flush=True)
    if failed:
        return 1
    return 125 if passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
