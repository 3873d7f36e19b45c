"""kuva-retrieve by C-MOVE: from kuva-sandbox, Orthanc and DCMTK's dcmqrscp, and from an archive of ours that misbehaves."""

import json
import pathlib
import re
import socket
import struct
import threading
import time
import unittest

import pydicom

import compare_datasets
import harness
import objects
import peers


class RetrieveCase(harness.PeerCase):
    def retrieve(self, *arguments, code=0, stdin=None, seconds=120):
        result = self.tool("kuva-retrieve", *arguments, stdin=stdin, seconds=seconds)
        self.assertEqual(result.code, code, result.err)
        self.assert_retrieval_adds_up(result)
        return result

    def assert_retrieval_adds_up(self, result):
        """Each record of a study, and the summary, counts what its instances say."""
        counts = result.summary["retrieved"]
        self.assertEqual(counts["expected"], counts["received"] + counts["alreadyThere"] + counts["failed"])
        studies = result.of_type("retrieval")
        for key in ("expected", "received", "alreadyThere", "failed"):
            self.assertEqual(counts[key], sum(study[key] for study in studies))
        outcomes = result.outcomes()
        self.assertEqual(counts["received"], outcomes.get("retrieved", 0))
        self.assertEqual(counts["alreadyThere"], outcomes.get("already-there", 0))
        unnamed = sum(study.get("unnamed", 0) for study in studies)
        self.assertEqual(counts["failed"] - unnamed, outcomes.get("failed", 0))
        self.assertEqual(len(result.instances), result.summary["seen"])

    def assert_same(self, sent, result, verdicts=("identical", "padded")):
        """What came holds the data sets that were sent, byte for byte, each under the path of its record; padded: of odd
        length, which no message can carry."""
        received = {record["SOPInstanceUID"]: record["path"] for record in result.instances}
        self.assertEqual(sorted(received), sorted(sent))
        for uid, file in sent.items():
            verdict, why = compare_datasets.compare(file, received[uid])
            self.assertIn(verdict, verdicts, f"{file}: {why}")

    def study(self, count, name="study", rows=64):
        files = objects.write_ct_study(self.make_directory(name), count, rows)
        return {objects.uid_of(file): file for file in files}, pydicom.dcmread(files[0], stop_before_pixels=True).StudyInstanceUID

    def parts(self, directory):
        return list(pathlib.Path(directory).rglob("*.part"))


@harness.needs("openssl")
class FromSandbox(RetrieveCase):
    def setUp(self):
        super().setUp()
        self.sandbox = peers.Sandbox(self, durable=False)
        self.sandbox.start()
        self.out = self.directory / "out"

    def send(self, *paths):
        result = self.tool("kuva-send", "--config", self.sandbox.config, "-t", "sandbox-plain", *paths)
        return {record["SOPInstanceUID"]: record for record in result.instances if record["outcome"] == "stored"}

    def fetch(self, *arguments, target="sandbox-plain", **more):
        return self.retrieve("--config", self.sandbox.config, "-t", target, "--via", "cmove", "--out", self.out, *arguments,
                             **more)

    def test_there_and_back(self):
        """A study comes as it went; then it is there, and what is lost or damaged of it alone is fetched."""
        sent, study = self.study(6)
        self.send(self.directory / "study")
        result = self.fetch("--study-uid", study)
        self.assert_same(sent, result)
        self.assertEqual([record["claimed"]["completed"] for record in result.of_type("retrieval")], [6])
        for record in result.instances:
            self.assertEqual(pathlib.Path(record["path"]),
                             self.out / study / record["SeriesInstanceUID"] / f"{record['SOPInstanceUID']}.dcm")
        again = self.fetch("--study-uid", study)
        self.assertEqual(dict(again.outcomes()), {"already-there": 6})
        self.assertEqual([record["requests"] for record in again.of_type("retrieval")], [0])
        lost, cut, *_ = [pathlib.Path(record["path"]) for record in result.instances]
        lost.unlink()
        cut.write_bytes(cut.read_bytes()[:-100])
        mended = self.fetch("--study-uid", study)
        self.assertEqual(dict(mended.outcomes()), {"already-there": 4, "retrieved": 2})
        self.assert_same(sent, mended)
        self.assertEqual(self.parts(self.out), [])

    def test_records(self):
        """Records of kuva-send name what is wanted, and are completed."""
        self.study(3)
        records = list(self.send(self.directory / "study").values())
        wanted = "".join(json.dumps(record) + "\n" for record in records[:2])
        wanted += json.dumps(records[0]) + "\n"
        result = self.fetch(stdin=(wanted + json.dumps({"type": "summary", "exitCode": 0}) + "\n").encode())
        self.assertEqual(dict(result.outcomes()), {"retrieved": 2, "duplicate": 1})
        self.assertEqual({record["SOPInstanceUID"] for record in result.instances},
                         {record["SOPInstanceUID"] for record in records[:2]})
        for record in result.instances:
            if record["outcome"] == "duplicate":
                continue
            self.assertIn("store", record)
            self.assertTrue(record["path"].startswith(str(self.out)))

    @harness.needs_shared("corpus/ct")
    def test_corpus(self):
        """One of each SOP class and transfer syntax, over TLS, in the syntax in which it is stored."""
        chosen = {}
        for file in objects.batches(objects.corpus_files())[0]:
            if file.stat().st_size > 2_000_000:
                continue
            try:
                read = compare_datasets.File(file)
            except (ValueError, IndexError, struct.error):
                continue
            chosen.setdefault((read.sop_class, read.transfer_syntax), file)
        records = self.send(*list(chosen.values())[:60])
        self.assertGreater(len(records), 20)
        lines = "".join(json.dumps(record) + "\n" for record in records.values())
        result = self.fetch("--jobs", 3, target="sandbox",
                            stdin=(lines + json.dumps({"type": "summary", "exitCode": 0}) + "\n").encode())
        # Uncompressed objects of one SOP class come in one of their syntaxes: the archive proposes one context for them.
        self.assert_same({uid: record["path"] for uid, record in records.items()}, result,
                         ("identical", "padded", "same elements"))

    def test_series_and_instances(self):
        first, study = self.study(3)
        self.send(self.directory / "study")
        uid = sorted(first)[1]
        result = self.fetch("--study-uid", study, "--instance", uid)
        self.assertEqual([record["SOPInstanceUID"] for record in result.instances], [uid])
        series = pydicom.dcmread(first[uid], stop_before_pixels=True).SeriesInstanceUID
        result = self.fetch("--study-uid", study, "--series", series)
        self.assertEqual(len(result.instances), 3)
        none = self.fetch("--study-uid", study, "--series", "1.2.3.4", code=3)
        self.assertEqual([record["error"]["code"] for record in none.of_type("retrieval")], ["retrieve.no-match"])

    def test_chunks(self):
        sent, study = self.study(7)
        self.send(self.directory / "study")
        result = self.fetch("--study-uid", study, "--chunk", 3)
        self.assert_same(sent, result)
        self.assertEqual([record["requests"] for record in result.of_type("retrieval")], [3])

    def test_without_a_list(self):
        sent, study = self.study(4)
        self.send(self.directory / "study")
        result = self.fetch("--study-uid", study, "--no-list")
        self.assert_same(sent, result)
        record = json.dumps({"type": "study", "tool": "kuva-query", "time": "2026-11-22T00:00:00.000Z", "outcome": "valid",
                             "ok": True, "StudyInstanceUID": study, "instances": 5, "bytes": 1000})
        summary = json.dumps({"type": "summary", "exitCode": 0})
        short = self.fetch("--no-list", "--retries", 0, "--grace", "100ms", code=5, stdin=f"{record}\n{summary}\n".encode())
        study_record, = short.of_type("retrieval")
        self.assertEqual((study_record["unnamed"], study_record["error"]["code"]), (1, "retrieve.incomplete"))

    def test_names(self):
        sent, study = self.study(3)
        self.send(self.directory / "study")
        result = self.fetch("--study-uid", study, "--name", "{Modality}/{PatientID}-{InstanceNumber}.dcm")
        self.assert_same(sent, result)
        self.assertTrue(all(pathlib.Path(record["path"]).parent == self.out / "CT" for record in result.instances))
        self.assertEqual(dict(self.fetch("--study-uid", study, "--name", "{Modality}/{PatientID}-{InstanceNumber}.dcm")
                              .outcomes()), {"already-there": 3})
        taken = self.fetch("--study-uid", study, "--name", "all/{StudyInstanceUID}", "--retries", 0, code=3)
        self.assertEqual(dict(taken.outcomes()), {"retrieved": 1, "failed": 2})
        self.assertEqual({record["error"]["code"] for record in taken.instances if not record["ok"]}, {"retrieve.name-taken"})

    def test_unknown_destination(self):
        _, study = self.study(2)
        self.send(self.directory / "study")
        result = self.fetch("--study-uid", study, "--destination", "STRANGER", code=7)
        self.assertEqual({record["error"]["code"] for record in result.instances}, {"retrieve.destination-unknown"})
        self.assertEqual(result.of_type("retrieval")[0]["error"]["status"], "A801")

    def test_listener_elsewhere(self):
        """The archive sends to the port that it has for us, and we listen at another."""
        _, study = self.study(2)
        self.send(self.directory / "study")
        port, = harness.free_ports(1)
        result = self.fetch("--study-uid", study, "--listen", f"127.0.0.1:{port}", code=7)
        error = result.of_type("retrieval")[0]["error"]
        self.assertEqual(error["code"], "retrieve.no-association")
        self.assertIn(f"no connection has come to port {port}", error["message"])

    def test_terminated(self):
        """SIGTERM in the middle: what came is whole, nothing half is left, the summary adds up."""
        sent, study = self.study(60, rows=512)
        self.send(self.directory / "study")
        process = self.start("terminated", [harness.TOOLS / "kuva-retrieve", "--format", "json", "--config",
                                            self.sandbox.config, "-t", "sandbox-plain", "--via", "cmove", "--out", self.out,
                                            "--study-uid", study], environment=harness.TOOL_ENVIRONMENT)
        harness.wait_until(lambda: len(list(self.out.rglob("*.dcm"))) > 3, 30, "some instances")
        code = process.stop()
        result = harness.Result("kuva-retrieve", code, process.out.read_bytes(), process.err.read_text()).parse()
        self.assert_retrieval_adds_up(result)
        self.assertEqual(self.parts(self.out), [])
        for file in self.out.rglob("*.dcm"):
            verdict, why = compare_datasets.compare(sent[objects.uid_of(file)], file)
            self.assertEqual(verdict, "identical", why)
        if code != 0:  # else it was done before the signal came
            self.assertEqual(code, 143)
        self.assert_same(sent, self.fetch("--study-uid", study))

    def test_killed(self):
        """SIGKILL in the middle: no half file under its name, and the next run sweeps what was coming in."""
        sent, study = self.study(60, rows=512)
        self.send(self.directory / "study")
        process = self.start("killed", [harness.TOOLS / "kuva-retrieve", "--config", self.sandbox.config, "-t",
                                        "sandbox-plain", "--via", "cmove", "--out", self.out, "--study-uid", study],
                             environment=harness.TOOL_ENVIRONMENT)
        harness.wait_until(lambda: len(list(self.out.rglob("*.dcm"))) > 3, 30, "some instances")
        process.popen.kill()
        process.popen.wait(10)
        for file in self.out.rglob("*.dcm"):
            self.assertEqual(compare_datasets.compare(sent[objects.uid_of(file)], file)[0], "identical")
        self.out.joinpath(".kuva-abcdef.part").write_bytes(b"left")
        self.assert_same(sent, self.fetch("--study-uid", study))
        self.assertEqual(self.parts(self.out), [])


@harness.needs("openssl")
@unittest.skipIf(peers.ORTHANC_PROGRAM is None, "Orthanc is not installed")
class FromOrthanc(RetrieveCase):
    def test_move(self):
        listen, = harness.free_ports(1)
        orthanc = peers.Orthanc(self, report_port=listen)
        config = self.directory / "kuva.toml"
        peers.write_target(config, "orthanc", orthanc.port, orthanc.AE, listen=listen)
        sent, study = self.study(5)
        stored = self.tool("kuva-send", "--config", config, "-t", "orthanc", self.directory / "study")
        self.assertEqual(stored.code, 0, stored.err)
        out = self.directory / "out"
        result = self.retrieve("--config", config, "-t", "orthanc", "--via", "cmove", "--out", out, "--study-uid", study)
        self.assert_same(sent, result)
        unknown = self.retrieve("--config", config, "-t", "orthanc", "--via", "cmove", "--out", self.directory / "other",
                                "--study-uid", study, "--destination", "STRANGER", "--retries", 0, code=None)
        self.assertNotEqual(unknown.code, 0)
        error = unknown.of_type("retrieval")[0]["error"]
        self.assertIn("no connection has come to port", error["message"])

    def retrieve(self, *arguments, code=0, **more):
        if code is None:
            return self.tool("kuva-retrieve", *arguments, **more)
        return super().retrieve(*arguments, code=code, **more)


DICOM_WEB = pathlib.Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@unittest.skipIf(peers.ORTHANC_PROGRAM is None or not DICOM_WEB.exists(), "orthanc-dicomweb is not installed")
class WadoFromOrthanc(RetrieveCase):
    def setUp(self):
        super().setUp()
        self.orthanc = peers.Orthanc(self, plugins=[str(DICOM_WEB)])
        self.config = self.directory / "kuva.toml"
        peers.write_target(self.config, "orthanc", self.orthanc.port, self.orthanc.AE)
        with open(self.config, "a", encoding="utf-8") as file:
            file.write(f"[target.orthanc.wado]\nbase_url = \"http://127.0.0.1:{self.orthanc.http}/dicom-web\"\n"
                       f"security = \"plain\"\n")
        self.sent, self.uid = self.study(5)
        stored = self.tool("kuva-send", "--config", self.config, "-t", "orthanc", self.directory / "study")
        self.assertEqual(stored.code, 0, stored.err)
        self.records = "".join(json.dumps(record) + "\n" for record in stored.instances)

    def fetch(self, *arguments, **more):
        return self.retrieve("--config", self.config, "-t", "orthanc", "--via", "wado", "--out", self.directory / "out",
                             *arguments, **more)

    def test_study(self):
        self.assert_same(self.sent, self.fetch("--study-uid", self.uid))
        self.assertEqual(dict(self.fetch("--study-uid", self.uid).outcomes()), {"already-there": 5})

    def test_instances(self):
        summary = json.dumps({"type": "summary", "exitCode": 0}) + "\n"
        result = self.fetch("--jobs", 3, stdin=(self.records + summary).encode())
        self.assert_same(self.sent, result)
        self.assertEqual([record["requests"] for record in result.of_type("retrieval")], [5])

    def test_not_there(self):
        none = self.fetch("--study-uid", "1.2.3.4", code=3)
        self.assertEqual(none.of_type("retrieval")[0]["error"]["code"], "http.not-found")


@harness.needs("dcmqrscp", "storescu")
class FromDcmqrscp(RetrieveCase):
    def test_move(self):
        port, listen = harness.free_ports(2)
        storage = self.make_directory("storage")
        configuration = self.directory / "dcmqrscp.cfg"
        configuration.write_text(f"""
NetworkTCPPort = {port}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
us = (KUVASCU, 127.0.0.1, {listen})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
DCMQRSCP {storage} RW (200, 1024mb) ANY
AETable END
""")
        self.start("dcmqrscp", ["dcmqrscp", "-c", configuration]).wait_for_port(port)
        sent, study = self.study(5)
        code, output = self.run_program("storescu", "-aet", "KUVASCU", "-aec", "DCMQRSCP", "127.0.0.1", port, *sent.values())
        self.assertEqual(code, 0, output)
        config = self.directory / "kuva.toml"
        peers.write_target(config, "dcmqrscp", port, "DCMQRSCP", listen=listen)
        result = self.retrieve("--config", config, "-t", "dcmqrscp", "--via", "cmove", "--out", self.directory / "out",
                               "--study-uid", study)
        self.assert_same(sent, result)
        unknown = self.retrieve("--config", config, "-t", "dcmqrscp", "--via", "cmove", "--out", self.directory / "other",
                                "--study-uid", study, "--destination", "STRANGER", code=7)
        self.assertEqual(unknown.of_type("retrieval")[0]["error"]["code"], "retrieve.destination-unknown")
        none = self.retrieve("--config", config, "-t", "dcmqrscp", "--via", "cmove", "--out", self.directory / "other",
                             "--study-uid", "1.2.3.4", code=3)
        self.assertEqual(none.of_type("retrieval")[0]["error"]["code"], "retrieve.no-match")


def element(group, number, value):
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", group, number, len(value)) + value


def short(number):
    return struct.pack("<H", number)


class ScriptedArchive:
    """An archive that takes C-MOVE alone (no C-FIND), and answers as `script` says: a function of the connection's
    `respond(status, remaining, completed, failed)` and of a C-STORE user for the destination."""

    MOVE = b"1.2.840.10008.5.1.4.1.2.2.2"

    def __init__(self, case, script):
        self.script = script
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.requests = 0
        case.addCleanup(self.listener.close)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def read_pdu(self):
        head = self.exactly(6)
        return head[0], self.exactly(struct.unpack(">I", head[2:])[0])

    def exactly(self, count):
        data = b""
        while len(data) < count:
            piece = self.connection.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def serve(self, connection):
        self.connection = connection
        with connection:
            try:
                _, request = self.read_pdu()
                connection.sendall(self.acceptance(request))
                while True:
                    kind, body = self.read_pdu()
                    if kind == 5:
                        connection.sendall(struct.pack(">BBII", 6, 0, 4, 0))
                        return
                    if kind == 4 and body[5] & 1:
                        message_id = re.search(b"\0\0\x10\x01\x02\0\0\0(..)", body, re.S)
                        if message_id is None:
                            continue  # C-CANCEL
                        self.message_id = struct.unpack("<H", message_id.group(1))[0]
                        if b"\0\0\0\x01\x02\0\0\0\x21\0" in body:
                            self.context = body[4]
                            self.read_pdu()
                            self.requests += 1
                            self.script(self)
            except (EOFError, OSError):
                return

    def acceptance(self, request):
        items, at, contexts = b"", 68, []
        while at < len(request):
            kind, length = request[at], struct.unpack(">H", request[at + 2:at + 4])[0]
            if kind == 0x20:
                contexts.append((request[at + 4], self.MOVE in request[at:at + 4 + length]))
            at += 4 + length
        for identifier, is_move in contexts:
            syntax = b"1.2.840.10008.1.2"
            body = bytes([identifier, 0, 0 if is_move else 3, 0]) + struct.pack(">BBH", 0x40, 0, len(syntax)) + syntax
            items += struct.pack(">BBH", 0x21, 0, len(body)) + body
        user = struct.pack(">BBHI", 0x51, 0, 4, 16384) + struct.pack(">BBH", 0x52, 0, 5) + b"1.2.3"
        name = b"1.2.840.10008.3.1.1.1"
        body = (request[:68] + struct.pack(">BBH", 0x10, 0, len(name)) + name + items +
                struct.pack(">BBH", 0x50, 0, len(user)) + user)
        return struct.pack(">BBI", 2, 0, len(body)) + body

    def respond(self, status, remaining, completed, failed, failed_uids=()):
        command = (element(0, 2, self.MOVE) + element(0, 0x100, short(0x8021)) + element(0, 0x120, short(self.message_id)) +
                   element(0, 0x800, short(1 if failed_uids else 0x101)) + element(0, 0x900, short(status)))
        for number, count in ((0x1020, remaining), (0x1021, completed), (0x1022, failed), (0x1023, 0)):
            if count is not None:
                command += element(0, number, short(count))
        command = element(0, 0, struct.pack("<I", len(command))) + command
        self.send(3, command)
        if failed_uids:
            self.send(2, element(8, 0x58, "\\".join(failed_uids).encode()))

    def send(self, flags, data):
        pdv = struct.pack(">IBB", len(data) + 2, self.context, flags) + data
        self.connection.sendall(struct.pack(">BBI", 4, 0, len(pdv)) + pdv)


class FromScript(RetrieveCase):
    def fetch(self, script, *arguments, code, study="1.2.3.4"):
        archive = ScriptedArchive(self, script)
        listen, = harness.free_ports(1)
        self.listen = listen
        config = self.directory / "kuva.toml"
        peers.write_target(config, "scripted", archive.port, "SCRIPTED", listen=listen)
        result = self.retrieve("--config", config, "-t", "scripted", "--via", "cmove", "--out", self.directory / "out",
                               "--study-uid", study, "--retry-delay", "10ms", "--grace", "200ms", *arguments, code=code)
        self.result = result
        return archive, result.of_type("retrieval")[0]

    def test_success_with_nothing_received(self):
        archive, record = self.fetch(lambda peer: peer.respond(0, None, 5, 0), "--retries", 1, code=5)
        self.assertEqual(record["error"]["code"], "retrieve.nothing-received")
        self.assertEqual((record["unnamed"], record["claimed"]["completed"]), (10, 10))
        self.assertEqual(archive.requests, 2)

    def test_nothing_to_send(self):
        archive, record = self.fetch(lambda peer: peer.respond(0, None, 0, 0), code=3)
        self.assertEqual((record["error"]["code"], archive.requests), ("retrieve.no-match", 1))

    def test_no_sub_operations(self):
        _, record = self.fetch(lambda peer: peer.respond(0xA702, None, 0, 3), code=7)
        self.assertEqual((record["error"]["code"], record["error"]["status"]), ("retrieve.no-association", "A702"))

    @harness.needs("storescu")
    def test_half_failed(self):
        """Two of four come, by storescu; the archive lists the others as failed (B000)."""
        sent, study = self.study(4)
        uids = sorted(sent)

        def script(peer):
            peer.respond(0xFF00, 4, 0, 0)
            code, output = self.run_program("storescu", "-aec", "KUVASCU", "127.0.0.1", self.listen, *[sent[uid] for uid in uids[:2]])
            self.stored = (code, output)
            peer.respond(0xB000, None, 2, 2, uids[2:])
        archive, record = self.fetch(script, "--retries", 0, code=5, study=study)
        self.assertEqual(self.stored[0], 0, self.stored[1])
        self.assertEqual(dict(self.result.outcomes()), {"retrieved": 2, "failed": 2})
        failed = {uid: one["error"] for uid, one in self.result.by_uid().items() if not one["ok"]}
        self.assertEqual({uid: (error["code"], error["status"]) for uid, error in failed.items()},
                         {uid: ("retrieve.not-sent", "B000") for uid in uids[2:]})
        self.assertEqual((record["outcome"], record["received"], record["failed"], record["claimed"]),
                         ("incomplete", 2, 2, {"completed": 2, "failed": 2, "warning": 0}))

    def test_endless_pending(self):
        def script(peer):
            while True:
                peer.respond(0xFF00, 5, 0, 0)
                time.sleep(0.05)
        begun = time.monotonic()
        _, record = self.fetch(script, "--stall", "500ms", "--retries", 0, code=5)
        self.assertEqual(record["error"]["code"], "retrieve.stalled")
        self.assertLess(time.monotonic() - begun, 30)

    def test_silent(self):
        _, record = self.fetch(lambda peer: time.sleep(20), "--stall", "500ms", "--retries", 0, code=5)
        self.assertEqual(record["error"]["code"], "retrieve.stalled")

    def test_association_lost(self):
        def script(peer):
            peer.respond(0xFF00, 5, 0, 0)
            peer.connection.shutdown(socket.SHUT_RDWR)
        archive, record = self.fetch(script, "--retries", 1, code=5)
        self.assertIn("no connection has come to port", record["error"]["message"])
        self.assertTrue(record["error"]["code"].startswith(("connection.", "association.")), record)
        self.assertEqual(archive.requests, 2)
