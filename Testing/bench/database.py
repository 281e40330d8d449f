"""`slicer.dicomDatabase` as far as a module uses it, and a PET as Slicer's DICOM module loads it from there."""

import numpy as np
import pydicom
import slicer
from pydicom.dataset import Dataset

from support.dicom import Written, write_enhanced, write_series

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


def pet(slopes=(2.5,) * 4, **changes):
    """A PET in Bq/ml with all that SUV needs, but for `changes` of its header, to be written."""
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
    return Written(stored, positions, slopes=slopes, modality="PT", tags=tags | changes)


def write_pet(folder, **changes):
    """Write that PET as a series; returns what was written."""
    written = pet(**changes)
    write_series(folder, written)
    return written


def load_pet(folder, name="PET", **changes):
    """Write the series, open a database on it, and load it as Slicer does: values rescaled, instances as attribute."""
    return _load(folder, write_pet(folder, **changes).values, name)


def load_enhanced_pet(folder, slopes, told):
    """Write it as one object of frames with `slopes` and a real world value mapping to Bq/ml of slope `told`, and load it
    as Slicer does: all frames by the first slope."""
    item, unit = Dataset(), Dataset()
    item.RealWorldValueSlope, item.RealWorldValueIntercept = told, 0
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "Bq/ml", "UCUM", "Becquerels/ml"
    item.MeasurementUnitsCodeSequence = [unit]
    enhanced = {"AttenuationCorrected": "YES", "DecayCorrected": "YES", "DecayCorrectionDateTime": "20240102110000"}
    enhanced |= {
        "Units": None,
        "CorrectedImage": None,
        "DecayCorrection": None,
        "RealWorldValueMappingSequence": [item],
    }
    written = pet(slopes, **enhanced)
    write_enhanced(folder / "enhanced.dcm", written)
    return _load(folder, written.stored * slopes[0], "PET")


def _load(folder, values, name):
    slicer.dicomDatabase = DICOMDatabase(folder)
    node = slicer.util.addVolumeFromArray(values.astype(np.float32), None, name)
    node.CreateDefaultDisplayNodes()
    node.SetAttribute("DICOM.instanceUIDs", " ".join(slicer.dicomDatabase.files))
    return node
