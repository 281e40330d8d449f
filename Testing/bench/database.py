"""`slicer.dicomDatabase` as far as a module uses it, and a PET as Slicer's DICOM module loads it from there."""

import numpy as np
import pydicom
import slicer
from pydicom.dataset import Dataset

from support.dicom import Written, write_series

DOSE, HALF_LIFE = 370e6, 6586.2  # Bq, s
FACTOR = 70e3 / (DOSE * 0.5 ** (3600 / HALF_LIFE))  # 70 kg, one hour after the injection


class DICOMDatabase:
    """ctkDICOMDatabase: `isOpen` is a property, an unknown instance has the file ""."""

    isOpen = True

    def __init__(self, folder):
        read = ((pydicom.dcmread(path, stop_before_pixels=True), path) for path in sorted(folder.iterdir()))
        self.files = {str(header.SOPInstanceUID): str(path) for header, path in read}

    def fileForInstance(self, uid):
        return self.files.get(uid, "")


def write_pet(folder, **changes):
    """A PET series in Bq/ml with all that SUV needs, but for `changes` of its header; returns what was written."""
    injection = Dataset()
    injection.RadionuclideTotalDose, injection.RadionuclideHalfLife = DOSE, HALF_LIFE
    injection.RadiopharmaceuticalStartTime = "100000"
    tags = {
        "Units": "BQML", "PatientWeight": 70, "CorrectedImage": ["ATTN", "DECY"], "DecayCorrection": "START",
        "SeriesDate": "20240102", "SeriesTime": "110000", "AcquisitionDate": "20240102", "AcquisitionTime": "110000",
        "RadiopharmaceuticalInformationSequence": [injection],
    }  # fmt: skip
    stored = np.arange(4 * 6 * 5, dtype=np.int16).reshape(4, 6, 5) * 200
    positions = np.array([[0.0, 0.0, 3.0 * k] for k in range(4)])
    written = Written(stored, positions, slopes=(2.5,) * 4, modality="PT", tags=tags | changes)
    write_series(folder, written)
    return written


def load_pet(folder, name="PET", **changes):
    """Write the series, open a database on it, and load it as Slicer does: values rescaled, instances as attribute."""
    written = write_pet(folder, **changes)
    slicer.dicomDatabase = DICOMDatabase(folder)
    node = slicer.util.addVolumeFromArray(written.values.astype(np.float32), None, name)
    node.CreateDefaultDisplayNodes()
    node.SetAttribute("DICOM.instanceUIDs", " ".join(slicer.dicomDatabase.files))
    return node
