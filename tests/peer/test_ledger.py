"""A batch with a ledger, small: the scripts of the same names do it at full size."""

import argparse
import random
import unittest

import harness
import ledger_batch
import ledger_kills
import ledger_scale


def options(engine, instances):
    return argparse.Namespace(instances=instances, per_study=50, engine=engine, workers=3, kills=3, seed=random.randrange(10**6),
                              tools=harness.TOOLS)


class Scale(harness.PeerCase):
    def test_sqlite(self):
        ledger_scale.run(self.directory, options("sqlite", 2000))

    @unittest.skipUnless(ledger_batch.has_postgres(), "PostgreSQL 15 is not installed")
    def test_postgresql(self):
        ledger_scale.run(self.directory, options("postgresql", 500))


class Kills(harness.PeerCase):
    def kill(self, engine):
        seed = random.randrange(10**6)
        with self.subTest(seed=seed):
            ledger_kills.LedgerKills(self.directory, 150, 6, seed, 0.4, engine).run()

    def test_sqlite(self):
        self.kill("sqlite")

    @unittest.skipUnless(ledger_batch.has_postgres(), "PostgreSQL 15 is not installed")
    def test_postgresql(self):
        self.kill("postgresql")
