"""kuva-retrieve --key-images: of a study its key object selections and the images that they name, and no others."""

import json

import compare_datasets
import peers
from test_retrieve import RetrieveCase
from test_retrieve_xds import write_manifest

OF_INTEREST = "113000"


class KeyImages(RetrieveCase):
    answers_are_ours = True

    def setUp(self):
        super().setUp()
        self.sandbox = peers.Sandbox(self, durable=False)
        self.sandbox.start()
        self.sent, self.study_uid = self.study(5)

    def archive(self, *more):
        config = ("--config", self.sandbox.config, "-t", "sandbox")
        stages = self.pipeline(("kuva-send", *config, self.directory / "study", *more),
                               ("kuva-commit", *config, "--wait", "20s", "--state", self.directory / "state"))
        self.assertEqual([stage.code for stage in stages], [0, 0], [record for record in stages[0].records if not record["ok"]])
        return "".join(json.dumps(record) + "\n" for record in stages[0].records)

    def fetch(self, *arguments, name="out", **more):
        self.out = self.directory / name
        return self.retrieve("--config", self.sandbox.config, "-t", "sandbox", "--out", self.out, "--key-images", *arguments,
                             **more)

    def select(self, *uids):
        selection = self.directory / "selection.dcm"
        return write_manifest(selection, [self.sent[uid] for uid in uids], location=None, code=OF_INTEREST), selection

    def test_chosen(self):
        chosen = sorted(self.sent)[1:3]
        uid, selection = self.select(*chosen)
        records = self.archive(selection)
        wanted = {uid, *chosen}
        found = self.tool("kuva-query", "--config", self.sandbox.config, "-t", "sandbox", "--patient",
                          "010101-0101^^^&1.2.246.21&ISO", "--no-id-check")
        self.assertEqual(found.code, 0, found.err)
        ways = {"cmove": ("--via", "cmove", "--study-uid", self.study_uid), "rad69": ("--via", "rad69")}
        for way, arguments in ways.items():
            with self.subTest(way):
                result = self.fetch(*arguments, name=way, stdin=found.out if way == "rad69" else None)
                self.assertEqual({one: record["outcome"] for one, record in result.by_uid().items()},
                                 dict.fromkeys(wanted, "retrieved"))
                for one in chosen:
                    verdict, why = compare_datasets.compare(self.sent[one], result.by_uid()[one]["path"])
                    self.assertIn(verdict, ("identical", "padded"), why)
                study, = result.of_type("retrieval")
                self.assertEqual((study["via"], study["expected"], study["received"]), (way, 3, 3))
                again = self.fetch(*arguments, name=way, stdin=found.out if way == "rad69" else None)
                self.assertEqual(dict(again.outcomes()), {"already-there": 3})
        with self.subTest("records"):
            result = self.fetch("--via", "wado", name="wado", stdin=records.encode())
            self.assertEqual({one for one, record in result.by_uid().items() if record["outcome"] == "retrieved"}, wanted)
            self.assertEqual(dict(result.outcomes()), {"retrieved": 3, "skipped": 3})

    def test_none_chosen(self):
        self.archive()
        result = self.fetch("--via", "cmove", "--study-uid", self.study_uid, code=3)
        study, = result.of_type("retrieval")
        self.assertEqual((study["outcome"], study["error"]["code"]), ("failed", "retrieve.no-match"))
        self.assertEqual(result.instances, [])
        self.assertIn("no key object selection", result.err)

    def test_what_it_goes_with(self):
        refused = self.tool("kuva-retrieve", "-t", "x", "--key-images", "--kos-only", "--study-uid", "1.2.3")
        self.assertEqual(refused.code, 2)
        self.assertIn("--key-images", refused.err)
