"""SIGKILL at random moments over a small batch; kill_batch.py says what is checked, and does it at full size by hand."""

import kill_batch
import harness


class Cases(harness.PeerCase):
    def test_kills(self):
        test = kill_batch.KillBatch(self.directory, instances=160, kills=10, seed=20261122, pace=0.15)
        try:
            test.run()
        except kill_batch.Fault as fault:
            logs = "\n".join(f"--- {file.name}\n{file.read_text(errors='replace')[-1000:]}"
                             for file in sorted(self.directory.glob("*.err")))
            self.fail(f"round {test.rounds}: {fault}\n{logs}")
