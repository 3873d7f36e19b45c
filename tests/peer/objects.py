"""Objects to send: plain CT studies of any size, and the corpus in batches that clash with nobody."""

import collections
import os
import pathlib
import warnings
import zlib

import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

import compare_datasets
import harness

CORPUS = harness.SHARED / "corpus"


def write_ct_study(directory, count, rows=64, implicit=False):
    """`count` CT slices of rows x rows 16-bit pixels, one series; the files, in the order of their names."""
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    files = []
    for number in range(1, count + 1):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        image = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        image.is_little_endian, image.is_implicit_VR = True, implicit
        image.SpecificCharacterSet = "ISO_IR 192"
        image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = study, series, frame
        image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        image.StudyDate = image.SeriesDate = "20240229"
        image.StudyTime = "120000"
        image.StudyDescription = "AA1AD Pään TT"
        image.AccessionNumber, image.StudyID = "PEER1", "1"
        image.Modality, image.Manufacturer = "CT", "kuva tests"
        image.PatientName, image.PatientID = "Koe^Äänikki", "010101-0101"
        image.PatientBirthDate, image.PatientSex = "19010101", "F"
        image.SeriesNumber, image.InstanceNumber = 1, number
        image.ImagePositionPatient, image.ImageOrientationPatient = [0, 0, number], [1, 0, 0, 0, 1, 0]
        image.PixelSpacing, image.SliceThickness = [1, 1], 1
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.Rows = image.Columns = rows
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
        image.RescaleIntercept, image.RescaleSlope, image.KVP, image.AcquisitionNumber = 0, 1, 120, 1
        # Noise that is the same in every run.
        seed = zlib.crc32(str(number).encode())
        image.PixelData = (seed.to_bytes(4, "little") * (rows * rows // 2 + 1))[:rows * rows * 2]
        file = directory / f"{number:04}.dcm"
        image.save_as(file, write_like_original=False)
        files.append(file)
    return files


def uid_of(file):
    return compare_datasets.File(file).sop_instance


def corpus_files():
    """Every file of the corpus but the malformed ones, sorted."""
    found = []
    for directory, _, names in os.walk(CORPUS):
        below = pathlib.Path(directory).relative_to(CORPUS)
        if below.parts[:1] != ("malformed",):
            found += [pathlib.Path(directory) / name for name in names if name != "MANIFEST.tsv"]
    return sorted(found)


def sop_instance_uid(file):
    """Of the data set, as pydicom reads it; None for what is no object."""
    try:
        with warnings.catch_warnings(), pydicom.config.disable_value_validation():
            warnings.simplefilter("ignore")
            image = pydicom.dcmread(file, force=True, specific_tags=["SOPInstanceUID"], stop_before_pixels=True)
            return str(image.get("SOPInstanceUID", "")) or None
    except Exception:  # pydicom raises many kinds on what it cannot read
        return None


def batches(files):
    """Lists of files in which each SOP Instance UID stands once: the corpus holds one object in many encodings."""
    rounds = []
    seen = collections.Counter()
    for file in files:
        uid = sop_instance_uid(file) or str(file)
        if seen[uid] == len(rounds):
            rounds.append([])
        rounds[seen[uid]].append(file)
        seen[uid] += 1
    return rounds


def link(files, directory):
    """Symbolic links to the files, in a directory of their own; {link: file}. Tools walk it like any directory."""
    linked = {}
    for number, file in enumerate(files):
        name = directory / f"{number:04}-{file.name}"
        name.symlink_to(file)
        linked[str(name)] = file
    return linked
