"""DCMTK's programs against kuva-sandbox: echoscu and storescu, plain and over mutual TLS, and dcmsend."""

import compare_datasets
import harness
import objects
import peers


@harness.needs("echoscu", "storescu", "dcmsend", "openssl")
class Cases(harness.PeerCase):
    def setUp(self):
        super().setUp()
        self.sandbox = peers.Sandbox(self)
        self.sandbox.start()

    def tls_options(self):
        """Of DCMTK, from what --init made."""
        return ["+tls", self.sandbox.tls / "client.key", self.sandbox.tls / "client.pem", "+cf",
                self.sandbox.tls / "ca.pem"]

    def dcmtk(self, program, *options, tls=False, calling=None, called=None, files=()):
        """One of DCMTK's programs to the sandbox; (exit code, output)."""
        where = ("localhost", self.sandbox.tls_port) if tls else ("127.0.0.1", self.sandbox.port)
        return self.run_program(program, "-v", *options, *(self.tls_options() if tls is True else ()), "-aet",
                                calling or self.sandbox.CALLING_AE, "-aec", called or self.sandbox.AE, *where, *files)

    def assert_arrived(self, files, verdicts=("identical",)):
        received = self.sandbox.received()
        self.assertEqual(len(received), len(files))
        for file in files:
            verdict, why = compare_datasets.compare(file, received[objects.uid_of(file)], "same elements" in verdicts)
            self.assertIn(verdict, verdicts, why)

    def test_echo_plain(self):
        code, output = self.dcmtk("echoscu")
        self.assertEqual(code, 0, output)
        self.assertIn("Success", output)

    def test_echo_mutual_tls(self):
        code, output = self.dcmtk("echoscu", tls=True)
        self.assertEqual(code, 0, output)
        self.assertIn("Success", output)

    def test_tls_without_a_certificate_is_refused(self):
        code, output = self.dcmtk("echoscu", "+tla", "+cf", self.sandbox.tls / "ca.pem", tls="anonymous")
        self.assertNotEqual(code, 0, output)

    def test_unknown_ae_title_is_rejected(self):
        code, output = self.dcmtk("echoscu", calling="STRANGER")
        self.assertNotEqual(code, 0, output)
        self.assertIn("Calling AE Title Not Recognized", output)

    def test_wrong_called_ae_title_is_rejected(self):
        code, output = self.dcmtk("echoscu", called="ELSEWHERE")
        self.assertNotEqual(code, 0, output)
        self.assertIn("Called AE Title Not Recognized", output)

    def test_storescu_plain(self):
        files = objects.write_ct_study(self.make_directory("study"), 6)
        code, output = self.dcmtk("storescu", "-R", files=files)
        self.assertEqual(code, 0, output)
        self.assert_arrived(files)

    def test_storescu_mutual_tls(self):
        files = objects.write_ct_study(self.make_directory("study"), 6, implicit=True)
        code, output = self.dcmtk("storescu", "-R", "-xi", tls=True, files=files)
        self.assertEqual(code, 0, output)
        self.assert_arrived(files)

    def test_storescu_with_every_context_it_has(self):
        """Without -R it proposes 128 presentation contexts."""
        files = objects.write_ct_study(self.make_directory("study"), 2)
        code, output = self.dcmtk("storescu", "-pdu", "4096", files=files)
        self.assertEqual(code, 0, output)
        self.assert_arrived(files)

    def test_dcmsend(self):
        files = objects.write_ct_study(self.make_directory("study"), 6)
        code, output = self.dcmtk("dcmsend", "-dn", files=files)
        self.assertEqual(code, 0, output)
        self.assert_arrived(files)

    def test_peer_that_aborts_leaves_no_trace(self):
        files = objects.write_ct_study(self.make_directory("study"), 1)
        self.dcmtk("storescu", "-R", "--abort", files=files)
        code, output = self.dcmtk("echoscu")
        self.assertEqual(code, 0, output)
        self.assert_arrived(files)

    @harness.needs_shared("corpus/transfer-syntaxes")
    def test_dcmsend_of_compressed_objects(self):
        files = [file for file in sorted((objects.CORPUS / "transfer-syntaxes").glob("*MR_small_*.dcm"))
                 if compare_datasets.File(file).transfer_syntax.startswith("1.2.840.10008.1.2.4.")]
        self.assertGreaterEqual(len(files), 2)
        file = files[0]
        code, output = self.dcmtk("dcmsend", "-dn", files=[file])
        self.assertEqual(code, 0, output)
        # DCMTK writes what it sends anew: lengths of sequences are its own.
        self.assert_arrived([file], ("identical", "same elements"))

    def test_stops_on_sigterm(self):
        self.assertEqual(self.sandbox.stop(), 0)
        transcript = self.sandbox.transcript.read_text().splitlines()
        self.assertTrue(transcript)
