"""DICOM series written by pydicom for tests, one attribute at a time, so that a test knows what each frame must become."""

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

SOP = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
    "NM": "1.2.840.10008.5.1.4.1.1.20",
    "OT": "1.2.840.10008.5.1.4.1.1.7",
}
ENHANCED = {
    "CT": "1.2.840.10008.5.1.4.1.1.2.1",
    "MR": "1.2.840.10008.5.1.4.1.1.4.1",
    "PT": "1.2.840.10008.5.1.4.1.1.130",
}


def suv_tags(**changes):
    """What a PET's headers must tell for SUV: 350 MBq for 70 kg, corrected to the injection: 5000 Bq/ml are SUV 1."""
    item = Dataset()
    item.RadionuclideTotalDose, item.RadionuclideHalfLife = 350e6, 6586.2
    item.RadiopharmaceuticalStartTime = "100000"
    return {
        "RadiopharmaceuticalInformationSequence": [item],
        "Units": "BQML",
        "PatientWeight": 70,
        "DecayCorrection": "ADMIN",
        "CorrectedImage": ["ATTN", "DECY"],
        "SeriesDate": "20240101",
        "AcquisitionDate": "20240101",
        "SeriesTime": "110000",
        "AcquisitionTime": "110000",
    } | changes


@dataclass
class Written:
    """A series as it is to be written: ``stored`` (K, J, I) integers, one place, slope and intercept for each slice."""

    stored: np.ndarray
    positions: np.ndarray
    axes: np.ndarray = field(default_factory=lambda: np.array([[1.0, 0, 0], [0, 1.0, 0]]))
    spacing: tuple = (2.0, 3.0)  # between columns, between rows
    slopes: tuple = ()
    intercepts: tuple = ()
    modality: str = "CT"
    tags: dict = field(default_factory=dict)  # of every slice; a function of k, or a value
    thickness: float = 3.0

    @property
    def values(self):
        """The real values (K, J, I)."""
        return np.stack([s * self.slope(k) + self.intercept(k) for k, s in enumerate(self.stored.astype(float))])

    def slope(self, k):
        return float(f"{self.slopes[k]:.12g}") if len(self.slopes) else 1.0

    def intercept(self, k):
        return float(self.intercepts[k]) if len(self.intercepts) else 0.0

    def points(self):
        """LPS positions (K, J, I, 3) of the voxel centres."""
        _, rows, columns = self.stored.shape
        right = np.arange(columns)[:, None] * self.spacing[0] * self.axes[0]
        down = np.arange(rows)[:, None] * self.spacing[1] * self.axes[1]
        return self.positions[:, None, None] + down[None, :, None] + right[None, None]


def header(modality, sop, rows, columns, dtype, **tags):
    """A dataset with all that any image has."""
    ds = FileDataset("", {}, file_meta=FileMetaDataset(), preamble=b"\0" * 128)
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.Modality, ds.PatientID, ds.PatientName = modality, "P1", "Phantom^Head"
    ds.StudyInstanceUID, ds.FrameOfReferenceUID = "1.2.3.1", "1.2.3.2"
    ds.SeriesInstanceUID, ds.SeriesNumber = "1.2.3.3", 1
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = rows, columns, 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = np.dtype(dtype).itemsize * 8
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, int(np.dtype(dtype).kind == "i")
    for name, value in tags.items():
        setattr(ds, name, value)
    return ds


def _decimal(numbers):
    return [f"{number:.10f}"[:16] for number in np.ravel(numbers)]


def _put(ds, tags, k):
    for name, value in tags.items():
        setattr(ds, name, value(k) if callable(value) else value)


def write_series(folder: Path, written: Written, *, order=None, name="IM{:04d}", syntax=None):
    """Write ``written`` as single-frame files, numbered in ``order``; returns their paths by slice."""
    folder.mkdir(parents=True, exist_ok=True)
    count, rows, columns = written.stored.shape
    order = list(range(count)) if order is None else list(order)
    paths = []
    for k in range(count):
        ds = header(written.modality, SOP[written.modality], rows, columns, written.stored.dtype)
        ds.InstanceNumber = order.index(k) + 1
        ds.ImagePositionPatient, ds.ImageOrientationPatient = _decimal(written.positions[k]), _decimal(written.axes)
        ds.PixelSpacing, ds.SliceThickness = [written.spacing[1], written.spacing[0]], written.thickness
        if len(written.slopes) or len(written.intercepts):
            ds.RescaleSlope, ds.RescaleIntercept = f"{written.slope(k):.12g}", f"{written.intercept(k):g}"
        ds.PixelData = written.stored[k].tobytes() + b"\0" * (written.stored[k].nbytes % 2)
        ds["PixelData"].VR = "OW" if written.stored.dtype.itemsize > 1 else "OB"
        _put(ds, written.tags, k)
        if syntax:
            ds.compress(syntax, generate_instance_uid=False)
        paths.append(folder / name.format(order.index(k)))
        ds.save_as(paths[-1], enforce_file_format=True)
    return paths


def write_enhanced(path: Path, written: Written, *, order=None, shared=True, syntax=None):
    """Write ``written`` as one enhanced multi-frame object, frames in ``order``, what is ``shared`` in shared groups."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, rows, columns = written.stored.shape
    order = list(range(count)) if order is None else list(order)
    ds = header(written.modality, ENHANCED[written.modality], rows, columns, written.stored.dtype, NumberOfFrames=count)
    common, frames = Dataset(), [Dataset() for _ in order]
    for target in [common] if shared else frames:
        target.PixelMeasuresSequence = [Dataset()]
        target.PixelMeasuresSequence[0].PixelSpacing = [written.spacing[1], written.spacing[0]]
        target.PixelMeasuresSequence[0].SliceThickness = written.thickness
        target.PlaneOrientationSequence = [Dataset()]
        target.PlaneOrientationSequence[0].ImageOrientationPatient = _decimal(written.axes)
    for k, frame in zip(order, frames):
        frame.PlanePositionSequence = [Dataset()]
        frame.PlanePositionSequence[0].ImagePositionPatient = _decimal(written.positions[k])
        transform = Dataset()
        transform.RescaleSlope, transform.RescaleIntercept = f"{written.slope(k):.12g}", f"{written.intercept(k):g}"
        transform.RescaleType = "HU" if written.modality == "CT" else "US"
        frame.PixelValueTransformationSequence = [transform]
    ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = [common], frames
    ds.PixelData = written.stored[order].tobytes()
    ds["PixelData"].VR = "OW" if written.stored.dtype.itemsize > 1 else "OB"
    _put(ds, written.tags, 0)
    if syntax:
        ds.compress(syntax, generate_instance_uid=False)
    ds.save_as(path, enforce_file_format=True)


def points_of(image: sitk.Image) -> np.ndarray:
    """LPS positions (K, J, I, 3) of the voxel centres of an image."""
    matrix = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    k, j, i = np.meshgrid(*(np.arange(n) for n in image.GetSize()[::-1]), indexing="ij")
    return np.stack([i, j, k], -1) @ matrix.T + np.array(image.GetOrigin())


def assert_read_as(image: sitk.Image, written: Written):
    """Every voxel of ``image``, in its place, is the one that was written there."""
    assert image.GetNumberOfPixels() == written.stored.size
    matrix = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    index = (written.points().reshape(-1, 3) - np.array(image.GetOrigin())) @ np.linalg.inv(matrix).T
    whole = np.rint(index).astype(int)
    assert np.abs(index - whole).max() < 1e-3
    assert (whole >= 0).all() and (whole < np.array(image.GetSize())).all()
    assert len(np.unique(whole, axis=0)) == len(whole)
    values = sitk.GetArrayFromImage(image).astype(float)[tuple(whole.T[::-1])]
    scale = np.abs(written.values).max() + 1
    np.testing.assert_allclose(values, written.values.reshape(-1), rtol=0, atol=1e-6 * scale)


def dciodvfy_errors(path: Path) -> list[str]:
    """What the validator of dicom3tools calls an error in the image ``path``; the test is skipped where it is missing."""
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy (Debian: dicom3tools) is not installed")
    said = subprocess.run(["dciodvfy", path], capture_output=True, text=True, errors="replace")
    lines = (said.stdout + said.stderr).splitlines()
    assert any(line in ("CTImage", "MRImage", "SCImage") for line in lines)  # it did read the file
    return [line for line in lines if line.startswith("Error")]
