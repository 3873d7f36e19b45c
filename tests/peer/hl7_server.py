#!/usr/bin/python3
"""An MLLP server of python-hl7 (Debian's python3-hl7) that plays an archive: it notes each message, keeps which patients were
merged, and answers AA, or AR 204 "merged with" for a patient that has gone.

usage: hl7_server.py PORT LOG [--tls CERTIFICATE KEY CA] [--delay SECONDS] [--silent-after N]

--silent-after: the N-th message is applied and not answered, and neither are those after it.
"""
import argparse
import asyncio
import json
import ssl

import hl7
import hl7.mllp


class Archive:
    def __init__(self, options):
        self.options = options
        self.log = open(options.log, "a", buffering=1, encoding="utf-8")
        self.merged = {}
        self.count = 0

    def apply(self, message):
        """The texts of an ERR, or None."""
        trigger = str(message["MSH"][0][9][0][1])
        if trigger not in ("A40", "A47"):
            return None
        into, gone = str(message["PID"][0][3]), str(message["MRG"][0][1])
        if gone in self.merged:
            return "MRG^1^1", f"Patient[id={gone}] merged with Patient[id={self.merged[gone]}]"
        if into in self.merged:
            return "PID^1^3", f"Patient[id={into}] merged with Patient[id={self.merged[into]}]"
        self.merged[gone] = into
        self.log.write(json.dumps({"applied": gone, "into": into}) + "\n")
        return None

    async def serve(self, reader, writer):
        try:
            while True:
                message = await reader.readmessage()
                self.count += 1
                self.log.write(json.dumps({"id": str(message["MSH"][0][10]), "pid5": str(message["PID"][0][5])}) + "\n")
                refused = self.apply(message)
                if self.options.silent_after and self.count >= self.options.silent_after:
                    continue
                await asyncio.sleep(self.options.delay)
                answer = message.create_ack("AR" if refused else "AA")
                if refused:
                    place, text = refused
                    answer.append(hl7.Segment("|", [hl7.Field("", ["ERR"]), hl7.Field("", [""]), hl7.Field("", [place]),
                                                    hl7.Field("", ["204^Unknown key identifier^HL70357"]),
                                                    hl7.Field("", ["E"]), hl7.Field("", [""]), hl7.Field("", [""]),
                                                    hl7.Field("", [""]), hl7.Field("", [text])]))
                writer.writemessage(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("log")
    parser.add_argument("--tls", nargs=3)
    parser.add_argument("--delay", type=float, default=0)
    parser.add_argument("--silent-after", type=int, default=0)
    options = parser.parse_args()
    context = None
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.tls[0], options.tls[1])
        context.load_verify_locations(options.tls[2])
        context.verify_mode = ssl.CERT_REQUIRED
    archive = Archive(options)
    server = await hl7.mllp.start_hl7_server(archive.serve, "127.0.0.1", options.port, encoding="utf-8", ssl=context)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
