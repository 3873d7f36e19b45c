"""kuva-adt and kuva-merge against MLLP servers and clients that are not ours: python3-hl7, npm's simple-hl7 and @medplum/hl7."""
import importlib.util
import json
import os
import pathlib
import pty
import select
import signal
import subprocess
import sys
import time
import unittest

import harness
import peers

WHO = ("--sending", "RIS|HOSPITAL", "--receiving", "ARCHIVE|NATIONAL")
PACKAGES = ("simple-hl7@3.3.0", "@medplum/hl7@4.1.6")
ROWS = "id,name,sex\n" + "".join(f"P{i}@1.2.3,Äyräs^N{i},F\n" for i in range(20))
HAS_PYTHON_HL7 = importlib.util.find_spec("hl7") is not None


def npm_directory():
    return harness.npm_directory("npm-hl7", PACKAGES)


class Hl7Case(harness.PeerCase):
    needed = ("kuva-adt", "kuva-merge")

    def setUp(self):
        super().setUp()
        self.log = self.directory / "server.log"

    def messages(self, result):
        return result.of_type("message")

    def outcomes(self, result):
        return [record["outcome"] for record in self.messages(result)]

    def logged(self, key):
        if not self.log.exists():
            return []
        lines = (json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines())
        return [line[key] for line in lines if key in line]

    def serve(self, *options):
        port = harness.free_ports(1)[0]
        server = self.start(f"server{port}", [sys.executable, harness.HERE / "hl7_server.py", port, self.log, *options])
        server.wait_for_port(port)
        return server, ("--host", "localhost", "--port", port)

    def receive(self, *options):
        """kuva-adt receive in the background; (process, port)."""
        receiver = self.start("receive", [harness.TOOLS / "kuva-adt", "receive", "--format", "json", "--listen",
                                          "127.0.0.1:0", *options], environment=harness.TOOL_ENVIRONMENT)
        first = harness.wait_until(lambda: receiver.out.read_bytes().partition(b"\n")[1] and
                                   receiver.out.read_bytes().partition(b"\n")[0], 20, "the receiver listens")
        return receiver, json.loads(first)["port"]

    def received(self, receiver):
        code = receiver.wait(30)
        return harness.Result("kuva-adt", code, receiver.out.read_bytes(), receiver.err.read_text()).parse()


@unittest.skipIf(not HAS_PYTHON_HL7, "python3-hl7 is not installed")
class Python(Hl7Case):
    def test_updates_plain(self):
        _, where = self.serve()
        (self.directory / "rows.csv").write_text(ROWS, encoding="utf-8")
        result = self.tool("kuva-adt", "update", *where, *WHO, "--security", "plain", "rows.csv")
        self.assertEqual((0, ["applied"] * 20), (result.code, self.outcomes(result)), result.err)
        self.assertEqual([record["messageControlId"] for record in self.messages(result)], self.logged("id"))
        self.assertEqual([f"Äyräs^N{i}^^^^^L" for i in range(20)], self.logged("pid5"))

    @harness.needs("openssl")
    def test_updates_tls(self):
        keys = peers.Certificates(self.make_directory("keys"))
        _, where = self.serve("--tls", keys.certificate("server"), keys.key("server"), keys.ca)
        (self.directory / "rows.csv").write_text(ROWS, encoding="utf-8")
        tls = ("--tls-ca", keys.ca, "--tls-cert", keys.certificate("client"), "--tls-key", keys.key("client"))
        result = self.tool("kuva-adt", "update", *where, *WHO, *tls, "rows.csv")
        self.assertEqual((0, ["applied"] * 20), (result.code, self.outcomes(result)), result.err)
        # Without a certificate of ours nothing is sent, or nothing is answered; never applied.
        result = self.tool("kuva-adt", "update", *where, *WHO, "--tls-ca", keys.ca, "--retries", 0, "rows.csv")
        self.assertNotIn("applied", self.outcomes(result))
        self.assertEqual(20, len(self.logged("id")))

    def test_client_plain(self):
        receiver, port = self.receive("--security", "plain", "--count", 3)
        script = ("import hl7.client, sys\n"
                  "with hl7.client.MLLPClient('127.0.0.1', int(sys.argv[1])) as client:\n"
                  "    for i in range(3):\n"
                  "        text = ('MSH|^~\\\\&|RIS|HOSPITAL|ARCHIVE|NATIONAL|20260101||ADT^A31^ADT_A05|PY%d|P|2.5.1||||||'\n"
                  "                'UNICODE UTF-8\\rEVN||20260101\\rPID|||P1^^^&1.2.3&ISO||\u00c4yr\u00e4s^J\\rPV1|1|N\\r' % i)\n"
                  "        answer = client.send_message(text).decode()\n"
                  "        assert 'MSA|AA|PY%d' % i in answer, answer\n")
        code, text = self.run_program(sys.executable, "-c", script, port)
        self.assertEqual(0, code, text)
        result = self.received(receiver)
        self.assertEqual((0, ["received"] * 3), (result.code, self.outcomes(result)))

    def test_merges_are_applied_once_however_often_it_is_killed(self):
        rows = "from,into,name\n" + "".join(f"T{i}@1.2.3,P{i}@1.2.4,Doe^N{i}\n" for i in range(60))
        (self.directory / "merges.csv").write_text(rows, encoding="utf-8")
        _, where = self.serve("--delay", "0.005")
        command = ["kuva-merge", *where, *WHO, "--security", "plain", "--yes", "--state", "state", "merges.csv"]
        kills = 0
        for pause in (0.03, 0.08, 0.11, 0.17, 0.05):
            run = subprocess.Popen([str(harness.TOOLS / command[0]), *map(str, command[1:])], cwd=self.directory,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=harness.TOOL_ENVIRONMENT)
            time.sleep(pause)
            if run.poll() is None:
                run.send_signal(signal.SIGKILL)
                kills += 1
            run.wait(20)
        result = self.tool(*command)
        self.assertEqual((0, {"applied": 60}), (result.code, result.summary["outcomes"]), result.err)
        applied = self.logged("applied")
        self.assertEqual((60, 60), (len(applied), len(set(applied))))
        self.assertGreater(kills, 0)
        # Nothing is left to do, and nothing is sent.
        sent = len(self.logged("id"))
        again = self.tool(*command)
        self.assertEqual({"applied": 60}, again.summary["outcomes"])
        self.assertEqual({"history"}, {record["already"] for record in self.messages(again)})
        self.assertEqual(sent, len(self.logged("id")))

    def test_each_merge_is_confirmed_on_a_terminal(self):
        rows = "from,into,name\n" + "".join(f"T{i}@1.2.3,P{i}@1.2.4,Doe^N{i}\n" for i in range(4))
        (self.directory / "merges.csv").write_text(rows, encoding="utf-8")
        _, where = self.serve()
        ours, theirs = pty.openpty()
        command = [harness.TOOLS / "kuva-merge", "--format", "json", *where, *WHO, "--security", "plain", "--state", "state",
                   "merges.csv"]
        run = subprocess.Popen([str(part) for part in command], cwd=self.directory, stdin=theirs, stderr=theirs,
                               stdout=subprocess.PIPE, env=harness.TOOL_ENVIRONMENT)
        os.close(theirs)
        asked = b""
        for answer in (b"no\n", b"yes\n", b"all\n"):
            while not asked.endswith(b"[no]: "):
                self.assertTrue(select.select([ours], [], [], 20)[0], asked)
                asked += os.read(ours, 1000)
            self.assertIn(b"disappears into", asked)
            asked = b""
            os.write(ours, answer)
        out = run.communicate(timeout=20)[0]
        os.close(ours)
        result = harness.Result("kuva-merge", run.returncode, out, "").parse()
        self.assertEqual(["unsent", "applied", "applied", "applied"], self.outcomes(result))
        self.assertEqual("merge.not-confirmed", self.messages(result)[0]["error"]["code"])
        self.assertEqual([f"T{i}^^^&1.2.3&ISO" for i in (1, 2, 3)], self.logged("applied"))

    def test_a_merge_without_an_answer_is_in_doubt_until_the_archive_says_merged_with(self):
        server, where = self.serve("--silent-after", "1")
        command = ["kuva-merge", *where, *WHO, "--security", "plain", "--yes", "--state", "state", "--ack-timeout", "300ms",
                   "--from", "T1@1.2.3", "--into", "P1@1.2.4", "--name", "Doe^Jane"]
        first = self.tool(*command)
        self.assertEqual((5, ["indeterminate"]), (first.code, self.outcomes(first)))
        self.assertEqual("mllp.no-acknowledgement", self.messages(first)[0]["error"]["code"])
        self.assertEqual(1, len(self.logged("id")))
        # Another survivor is refused as long as that is open.
        other = self.tool(*command[:-3], "P2@1.2.4", "--name", "Doe^Jane")
        self.assertEqual("merge.unsettled", self.messages(other)[0]["error"]["code"])
        server.stop()
        self.log.unlink()
        _, where = self.serve()
        # This archive has the merge already (it was applied before the answer was lost).
        code, text = self.run_program(harness.TOOLS / "kuva-merge", *map(str, where), *WHO, "--security", "plain", "--yes",
                                      "--state", "other", *command[-6:])
        self.assertEqual(0, code, text)
        elsewhere = self.tool("kuva-merge", *where, *command[5:])
        self.assertEqual((2, []), (elsewhere.code, self.outcomes(elsewhere)), elsewhere.err)
        self.assertIn("the history in state is of the archive", elsewhere.err)
        second = self.tool("kuva-merge", *where, *command[5:], "--same-archive")
        self.assertEqual((0, ["applied"]), (second.code, self.outcomes(second)), second.err)
        record = self.messages(second)[0]
        self.assertEqual(("archive", "AR"), (record["already"], record["acknowledgement"]["code"]))
        self.assertEqual(self.messages(first)[0]["messageControlId"], record["messageControlId"])
        self.assertNotIn("T1", json.dumps(record["acknowledgement"]))


@unittest.skipIf(npm_directory() is None, "npm, node or the npm registry is not there")
class Npm(Hl7Case):
    def start_node(self, role, port):
        environment = dict(os.environ, NODE_PATH=str(npm_directory() / "node_modules"))
        return self.start(role, ["node", harness.HERE / "hl7_peers.cjs", role, port], environment=environment)

    def send_to(self, role):
        port = harness.free_ports(1)[0]
        server = self.start_node(role, port)
        server.wait_for_port(port)
        (self.directory / "rows.csv").write_text(ROWS, encoding="utf-8")
        result = self.tool("kuva-adt", "update", "--host", "127.0.0.1", "--port", port, *WHO, "--security", "plain",
                           "rows.csv")
        self.assertEqual((0, ["applied"] * 20), (result.code, self.outcomes(result)), result.err)
        seen = harness.wait_until(lambda: len(server.out.read_text().split()) >= 20 and server.out.read_text().split(), 10,
                                  "the server has said what it saw")
        self.assertEqual([record["messageControlId"] for record in self.messages(result)], seen)

    def receive_from(self, role, count):
        receiver, port = self.receive("--security", "plain", "--count", count)
        client = self.start_node(role, port)
        self.assertEqual(0, client.wait(30), client.tail())
        result = self.received(receiver)
        self.assertEqual((0, ["received"] * count), (result.code, self.outcomes(result)), client.tail())

    def test_simple_hl7_server(self):
        self.send_to("simple-server")

    def test_simple_hl7_client(self):
        self.receive_from("simple-client", 1)

    def test_medplum_server(self):
        self.send_to("medplum-server")

    def test_medplum_client(self):
        self.receive_from("medplum-client", 2)


PYTHON_CLIENT = """import hl7.client, ssl, socket, sys
port, ca, certificate, key = int(sys.argv[1]), *sys.argv[2:5]
class Client(hl7.client.MLLPClient):
    def __init__(self):
        plain = socket.create_connection(('127.0.0.1', port))
        if ca:
            context = ssl.create_default_context(cafile=ca)
            context.load_cert_chain(certificate, key)
            plain = context.wrap_socket(plain, server_hostname='localhost')
        self.socket, self.encoding = plain, 'utf-8'
with Client() as client:
    for line in sys.stdin.read().split('\\n'):
        print(client.send_message(line.replace('|CR|', '\\r')).decode().replace('\\r', '|CR|'))
"""


class OfTheSandbox(Hl7Case):
    """The sandbox's receiver with clients that are not ours; what it changes, as DCMTK sees it."""

    needed = ("kuva-adt", "kuva-sandbox", "kuva-send")

    def setUp(self):
        super().setUp()
        self.box = peers.Sandbox(self)
        self.box.made_toml = self.box.made_toml.replace('"KUVASANDBOX|KUVA"', '"ARCHIVE|NATIONAL"')
        self.box.configure()
        self.box.start()

    def message(self, trigger, number, *segments):
        return "|CR|".join((f"MSH|^~\\&|RIS|HOSPITAL|ARCHIVE|NATIONAL|20260101||ADT^{trigger}|PY{number}|P|2.5.1||||||UNICODE UTF-8",
                          "EVN||20260101", *segments)) + "|CR|"

    def say(self, *messages, tls=False):
        """The acknowledgements of python3-hl7's client."""
        keys = (self.box.tls / "ca.pem", self.box.tls / "client.pem", self.box.tls / "client.key") if tls else ("", "", "")
        done = subprocess.run([sys.executable, "-c", PYTHON_CLIENT, str(self.box.hl7_tls_port if tls else self.box.hl7_port),
                               *map(str, keys)], input="\n".join(messages), capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout.rstrip("\n").split("\n")

    @unittest.skipIf(not HAS_PYTHON_HL7, "python3-hl7 is not installed")
    @harness.needs("findscu", "getscu")
    def test_a_merge_and_a_correction(self):
        made = self.tool("kuva-sandbox", "--sample-study", self.directory / "study", "--sample-patient", "T-1@1.2.3.4")
        self.assertEqual(0, made.code, made.err)
        sent = self.tool("kuva-send", "--config", self.box.config, "-t", "sandbox-plain", self.directory / "study")
        self.assertEqual(0, sent.code, sent.err)
        person = "PID|||010181-900C^^^&1.2.246.21&ISO||Äyräs^Maija"
        for tls in (False, True):
            merged, updated, gone = self.say(self.message("A40", 1, person, "MRG|T-1^^^&1.2.3.4&ISO"),
                                             self.message("A31", 2, person + "^Kyllikki||19810101|F"),
                                             self.message("A31", 3, "PID|||T-1^^^&1.2.3.4&ISO||Nobody"), tls=tls)
            self.assertIn("MSA|AR|PY1" if tls else "MSA|AA|PY1", merged)  # once
            self.assertIn("MSA|AA|PY2", updated)
            self.assertIn("MSA|AR|PY3", gone)
            self.assertIn("204^Unknown key identifier^HL70357", gone)
        for patient, matches in (("T-1", 0), ("010181-900C", 1)):
            code, text = self.run_program("findscu", "-v", "-aet", "KUVAPLAIN", "-aec", "KUVASANDBOX", "-S", "-k",
                                          "QueryRetrieveLevel=STUDY", "-k", f"PatientID={patient}", "-k", "PatientName", "-k",
                                          "PatientBirthDate", "-k", "StudyInstanceUID", "127.0.0.1", self.box.port)
            self.assertEqual(0, code, text)
            self.assertEqual(matches, text.count("(0020,000d) UI ["), text)
            self.assertEqual(matches, text.count("[19810101]"), text)
        self.make_directory("back")
        code, text = self.run_program("getscu", "-aet", "KUVAPLAIN", "-aec", "KUVASANDBOX", "-P", "-k",
                                      "QueryRetrieveLevel=PATIENT", "-k", "PatientID=010181-900C", "-od", self.directory / "back",
                                      "127.0.0.1", self.box.port)
        self.assertEqual(0, code, text)
        import pydicom
        stored = {item.SOPInstanceUID: item for item in map(pydicom.dcmread, (self.directory / "study").iterdir())}
        back = [pydicom.dcmread(path) for path in (self.directory / "back").iterdir()]
        self.assertGreaterEqual(len(back), 3)
        for item in back:
            self.assertEqual(("010181-900C", "Äyräs^Maija^Kyllikki", "F"),
                             (item.PatientID, str(item.PatientName), item.PatientSex))
            before = stored[item.SOPInstanceUID]
            for tag in ("PatientID", "PatientName", "PatientSex", "PatientBirthDate", "IssuerOfPatientID",
                        "IssuerOfPatientIDQualifiersSequence"):
                for one in (item, before):
                    if tag in one:
                        delattr(one, tag)
            self.assertEqual(before, item)

    @unittest.skipIf(npm_directory() is None, "npm, node or the npm registry is not there")
    def test_npm_clients(self):
        environment = dict(os.environ, NODE_PATH=str(npm_directory() / "node_modules"))
        for role in ("simple-client", "medplum-client"):
            client = self.start(role, ["node", harness.HERE / "hl7_peers.cjs", role, self.box.hl7_port], environment=environment)
            self.assertEqual(0, client.wait(30), client.tail())


class Samples(Hl7Case):
    """Messages that others wrote: each is read, shown and checked."""

    @harness.needs_shared("samples/hl7")
    def test_samples(self):
        files = sorted(str(path) for path in (harness.SHARED / "samples/hl7").glob("*.hl7"))
        shown = self.tool("kuva-adt", "show", *files)
        self.assertEqual(0, shown.code, shown.err)
        self.assertGreaterEqual(len(self.messages(shown)), len(files))
        checked = self.tool("kuva-adt", "check", *files)
        findings = {}
        for record in self.messages(checked):
            name = f"{pathlib.Path(record['path']).name}{'#%d' % record['index'] if 'index' in record else ''}"
            findings[name] = [f"{'!' if finding['severity'] == 'error' else ''}{finding['rule']}"
                              f"{'@' + finding['position'] if 'position' in finding else ''}"
                              for finding in record.get("findings", [])]
            self.assertEqual(record["ok"], not any(text.startswith("!") for text in findings[name]))
        expected = json.loads((harness.HERE / "hl7_findings.json").read_text(encoding="utf-8"))
        self.assertEqual(expected, findings)


if __name__ == "__main__":
    unittest.main()
