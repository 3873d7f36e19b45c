#!/usr/bin/python3
"""The floors check must itself be able to fail."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

CHECK = pathlib.Path(__file__).parent / "check-floors"


class CheckFloors(unittest.TestCase):
    def run_on(self, files):
        with tempfile.TemporaryDirectory() as directory:
            for name, text in files.items():
                path = pathlib.Path(directory, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return subprocess.run([sys.executable, CHECK, directory], capture_output=True, text=True)

    def test_downwards_is_allowed(self):
        result = self.run_on({"lib/kuva/ul/a.hpp": "#include <kuva/net/stream.hpp>\n#include <kuva/ul/b.hpp>\n",
                              "tools/a.cpp": "#include <kuva/cli/tool.hpp>\n"})
        self.assertEqual(result.returncode, 0, result.stdout)

    def test_upwards_and_sideways_fail(self):
        for room, header in [("core", "net/a.hpp"), ("dicom", "ul/a.hpp"), ("net", "ul/a.hpp"),
                             ("sandbox", "workflow/a.hpp"), ("workflow", "sandbox/a.hpp"), ("workflow", "cli/a.hpp")]:
            result = self.run_on({f"lib/kuva/{room}/a.cpp": f"\n  # include <kuva/{header}>\n"})
            self.assertEqual(result.returncode, 1, (room, header))
            self.assertIn(f"lib/kuva/{room}/a.cpp:2: {room} must not include", result.stdout)

    def test_tools_see_the_upper_floors_alone(self):
        self.assertEqual(self.run_on({"tools/a.cpp": "#include <kuva/dimse/store.hpp>\n"}).returncode, 1)

    def test_a_room_without_floor_fails(self):
        self.assertEqual(self.run_on({"lib/kuva/attic/a.cpp": "#include <kuva/core/error.hpp>\n"}).returncode, 1)

    def test_nothing_to_check_fails(self):
        self.assertEqual(self.run_on({"README": ""}).returncode, 1)


if __name__ == "__main__":
    unittest.main()
