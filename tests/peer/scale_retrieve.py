#!/usr/bin/python3
"""kuva-retrieve at full size: 2000 CT slices, then one encapsulated object of 5 GiB in fragments of 64 MiB, by C-MOVE, by
RAD-69 and by WADO-RS from kuva-sandbox. Prints seconds, rate and peak memory (of the sandbox: of its life so far), and
fails where memory grows with what comes. Needs 16 GiB of disk.

usage: tests/peer/scale_retrieve.py [--tools DIR] [--gigabytes N] [--instances N] [--via WAY]...
"""
import argparse
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import objects  # noqa: E402

FRAGMENT = 64 << 20
MOST_MEMORY = 64  # MiB, whatever the size
STUDY = "2.25.5368709120"


def write_big(path, gigabytes):
    """A video in MPEG2, one frame a fragment; the fragments are holes in the file, but for their first bytes."""
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.77.1.1.1", STUDY + ".3"
    data.StudyInstanceUID, data.SeriesInstanceUID = STUDY, STUDY + ".2"
    data.PatientID, data.PatientName, data.StudyDate, data.StudyTime = "BIG", "Big^One", "20240101", "120000"
    data.StudyDescription, data.AccessionNumber, data.Modality = "AA1AD Iso", "BIG1", "ES"
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "YBR_PARTIAL_420", 0
    data.Rows, data.Columns, data.BitsAllocated, data.BitsStored, data.HighBit = 1080, 1920, 8, 8, 7
    data.PixelRepresentation, data.NumberOfFrames = 0, gigabytes * (1 << 30) // FRAGMENT
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID, data.file_meta.MediaStorageSOPInstanceUID = data.SOPClassUID, data.SOPInstanceUID
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
    data.is_little_endian, data.is_implicit_VR = True, False
    pydicom.dcmwrite(path, data, write_like_original=False)
    with open(path, "r+b") as file:  # not "ab", which would write at the end whatever was sought
        file.seek(0, os.SEEK_END)
        file.write(struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0))
        for number in range(data.NumberOfFrames):
            file.write(struct.pack("<HHI", 0xFFFE, 0xE000, FRAGMENT) + struct.pack("<I", number))
            file.seek(FRAGMENT - 4, os.SEEK_CUR)
        file.write(struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))


def digest(path):
    """SHA-256 of the data set."""
    with open(path, "rb") as file:
        head = file.read(144)
        file.seek(132 + 12 + struct.unpack("<I", head[140:144])[0])
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else sha256(file)


def sha256(file):
    hashing = hashlib.sha256()
    while piece := file.read(1 << 20):
        hashing.update(piece)
    return hashing.hexdigest()


def peak_memory(pid):
    """Of a process that lives, in MiB."""
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1)) / 1024


def run(arguments, output):
    """(seconds, peak memory in MiB). The memory is read while it runs: wait4 would tell of this script's own, before exec."""
    begun = time.monotonic()
    memory = 0
    with open(output, "wb") as file:
        process = subprocess.Popen([str(a) for a in arguments], stdout=file, stdin=subprocess.DEVNULL)
        while process.poll() is None:
            try:
                memory = max(memory, peak_memory(process.pid))
            except (OSError, AttributeError):  # between its end and our seeing it
                pass
            time.sleep(0.01)
    if process.returncode != 0:
        sys.exit(f"{arguments[0]} ended with {process.returncode}: {pathlib.Path(output).read_text()[-2000:]}")
    return time.monotonic() - begun, memory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", type=pathlib.Path, default=HERE.parent.parent / "build/dev/tools")
    parser.add_argument("--gigabytes", type=int, default=5)
    parser.add_argument("--instances", type=int, default=2000)
    parser.add_argument("--via", action="append", choices=["cmove", "rad69", "wado"])
    options = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="kuva-scale-"))
    sandbox = None
    try:
        subprocess.run([options.tools / "kuva-sandbox", "--init", work / "sandbox"], check=True, stdout=subprocess.DEVNULL)
        sandbox = subprocess.Popen([options.tools / "kuva-sandbox", "--format", "json", work / "sandbox"],
                                   stdout=subprocess.PIPE)
        port = json.loads(sandbox.stdout.readline())["plainPort"]
        socket.create_connection(("127.0.0.1", port), 20).close()
        config = ["--config", work / "sandbox" / "kuva.toml", "-t", "sandbox-plain", "--format", "json"]
        target = tomllib.loads((work / "sandbox" / "kuva.toml").read_text())["target"]["sandbox-plain"]
        source, = target["xds"]["imaging_sources"]
        (work / "ct").mkdir()
        (work / "big").mkdir()
        files = objects.write_ct_study(work / "ct", options.instances, 512)
        write_big(work / "big" / "big.dcm", options.gigabytes)
        import pydicom
        studies = {"ct": pydicom.dcmread(files[0], stop_before_pixels=True).StudyInstanceUID, "big": STUDY}
        for name, study in studies.items():
            sent = {digest(file) for file in (work / name).iterdir()}
            size = sum(file.stat().st_size for file in (work / name).iterdir())
            run([options.tools / "kuva-send", *config, work / name], work / "records")
            run([options.tools / "kuva-kos", "manifest", "--location", source, "--out", work, work / name], work / "records")
            manifest, = work.glob("*.dcm")
            shutil.rmtree(work / name)
            for via in options.via or ["cmove", "rad69", "wado"]:
                what = [manifest] if via == "rad69" else ["--study-uid", study]
                seconds, memory = run([options.tools / "kuva-retrieve", *config, "--via", via, *what, "--out", work / "out"],
                                      work / "records")
                came = [digest(file) for file in (work / "out").rglob("*.dcm")]
                shutil.rmtree(work / "out")
                print(f"{via} {name}: {len(came)} objects, {size / 1e6:.0f} MB in {seconds:.1f} s, {size / seconds / 1e6:.0f} MB/s, "
                      f"peak memory {memory:.0f} MiB (sandbox {peak_memory(sandbox.pid):.0f} MiB)", flush=True)
                if sent != set(came) or len(sent) != len(came):
                    sys.exit(f"{via} {name}: what came is not what was sent")
                if memory > MOST_MEMORY:
                    sys.exit(f"{via} {name}: more than {MOST_MEMORY} MiB of memory")
            manifest.unlink()
    finally:
        if sandbox is not None:
            sandbox.send_signal(signal.SIGTERM)
            sandbox.wait(20)
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
