"""The faults of the sandbox's services over HTTPS (kuva-faults(5)), each seen by a client that is not ours."""

import email.utils
import http.client
import ssl
import time

import harness
import test_web
import web

HEAD = "[[fault]]\n"


def rules(point, *faults):
    """One after the other, each for the next occasion at that point."""
    text = ""
    for number, fault in enumerate(faults, 1):
        text += f'{HEAD}on = "{point}"\nnth = {number}\n' + "".join(f"{key} = {value}\n" for key, value in fault.items())
    return text


@harness.needs("openssl")
class Faults(test_web.WebCase):
    def begin(self, faults):
        directory = self.write_sample()
        (self.sandbox.root / "faults.toml").write_text(faults)
        self.sandbox.configure(faults="faults.toml")
        self.sandbox.start()
        self.archive(directory)

    def ask(self):
        return self.find()

    def fired(self):
        return [line["fault"] for line in self.transcript() if line["event"] == "fault"]

    def test_queries(self):
        self.begin(rules("query",
                         {"action": '"soap-fault"', "code": '"Sender"', "subcode": '"FailedAuthentication"', "reason": '"no"'},
                         {"action": '"http-status"'},
                         {"action": '"registry-error"', "code": '"XDSRegistryBusy"'},
                         {"action": '"registry-error"', "code": '"XDSExtraMetadataNotSaved"', "severity": '"warning"'},
                         {"action": '"partial"'},
                         {"action": '"bare-response"'},
                         {"action": '"wrong-relates-to"'},
                         {"action": '"wrong-action"'},
                         {"action": '"clock"', "for": '"10m"', "clock": '"behind"'},
                         {"action": '"cut"', "after_bytes": "500"},
                         {"action": '"drip"', "for": '"10ms"'},
                         {"action": '"close"'},
                         {"action": '"delay"', "for": '"700ms"'},
                         {"action": '"silent"', "for": '"1s"'}))
        answer = self.ask()
        self.assertEqual((answer.status, answer.fault), (400, ("Sender", "FailedAuthentication")))
        answer = self.ask()
        self.assertEqual((answer.status, answer.fields.get_content_type()), (503, "text/html"))
        answer = self.ask()
        self.assertEqual((answer.status, answer.state, answer.codes, len(answer.entries)), (200, "Failure", ["XDSRegistryBusy"], 0))
        answer = self.ask()
        self.assertEqual((answer.state, answer.codes, len(answer.entries)), ("Success", ["XDSExtraMetadataNotSaved"], 1))
        answer = self.ask()
        self.assertEqual((answer.state, answer.codes), ("PartialSuccess", ["XDSUnavailableCommunity"]))
        answer = self.ask()
        self.assertIsNotNone(answer.find("soap:Body/rs:RegistryResponse"))
        self.assertEqual(self.ask().state, "Success")
        answer = self.ask()
        self.assertNotEqual(answer.find("soap:Header/wsa:Action").text, web.ACTIONS["ITI-18"] + "Response")
        answer = self.ask()
        told = email.utils.parsedate_to_datetime(answer.fields["Date"]).timestamp()
        self.assertTrue(590 < time.time() - told < 620, answer.fields["Date"])
        with self.assertRaises(http.client.IncompleteRead):
            self.ask()
        began = time.monotonic()
        self.assertEqual(self.ask().state, "Success")
        self.assertGreater(time.monotonic() - began, 0.05)
        with self.assertRaises((http.client.RemoteDisconnected, ConnectionError, ssl.SSLError)):
            self.ask()
        began = time.monotonic()
        self.assertEqual(self.ask().state, "Success")
        self.assertGreater(time.monotonic() - began, 0.7)
        with self.assertRaises((http.client.RemoteDisconnected, ConnectionError, ssl.SSLError)):
            self.ask()
        self.assertEqual(self.ask().state, "Success")
        self.assertEqual(len(self.fired()), 14)

    def test_images(self):
        self.begin(rules("images", {"action": '"partial"'}, {"action": '"missing-part"'}, {"action": '"wrong-cid"'},
                         {"action": '"wrong-digest"'}, {"action": '"cut"', "after_bytes": "20000"},
                         {"action": '"bare-response"'}))
        body = web.images_body(self.instances(), self.client.imaging_source)
        stored = {uid: path.read_bytes() for uid, path in self.sandbox.received().items()}
        answer = self.client.call("RAD-69", body)
        self.assertEqual(answer.state, "PartialSuccess")
        self.assertEqual(len(answer.documents()) + len(answer.codes), len(self.files))
        for _ in range(2):
            answer = self.client.call("RAD-69", body)
            self.assertEqual(answer.state, "Success")
            self.assertEqual(list(answer.documents().values()).count(None), 1)
        answer = self.client.call("RAD-69", body)
        for uid, document in answer.documents().items():
            self.assertEqual(len(document), len(stored[uid]))
            self.assertEqual(sum(a != b for a, b in zip(document, stored[uid])), 1)
        with self.assertRaises(http.client.IncompleteRead):
            self.client.call("RAD-69", body)
        answer = self.client.call("RAD-69", body)
        self.assertIsNotNone(answer.find("soap:Body/rs:RegistryResponse"))
        self.assert_same_objects(self.client.call("RAD-69", body).documents())

    def test_wado(self):
        self.begin(rules("wado", {"action": '"http-status"', "http_status": "502"}, {"action": '"partial"'},
                         {"action": '"cut"'}))
        path = f"/dicom-web/studies/{self.study}"
        fields = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
        self.assertEqual(self.client.request("GET", path, fields=fields).status, 502)
        answer = self.client.request("GET", path, fields=fields)
        self.assertEqual((answer.status, len(answer.parts)), (206, len(self.files) - 1))
        with self.assertRaises(http.client.IncompleteRead):
            self.client.request("GET", path, fields=fields)
        answer = self.client.request("GET", path, fields=fields)
        self.assertEqual((answer.status, len(answer.parts)), (200, len(self.files)))

    def test_tls(self):
        # The harness looks whether the port is open: that is a connection too.
        self.begin(HEAD + 'on = "web-connect"\naction = "tls"\ntls = "expired"\nnth = 2\n')
        with self.assertRaisesRegex(ssl.SSLError, "expired"):
            self.ask()
        self.assertEqual(self.ask().state, "Success")
