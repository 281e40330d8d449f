"""The unit in which a PET is fused: SUV where it can be had, said where it cannot, and windows that name it."""

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset

from MMIFAminLib.errors import InputError
from MMIFAminLib.files import About, VolumeFile
from MMIFAminLib.files.units import in_unit, window_in_unit


def pet(**changes):
    item, ds = Dataset(), Dataset()
    item.RadionuclideTotalDose, item.RadionuclideHalfLife = 350e6, 6586.2
    item.RadiopharmaceuticalStartTime = "100000"
    ds.RadiopharmaceuticalInformationSequence = [item]
    ds.Modality, ds.Units, ds.PatientWeight, ds.DecayCorrection = "PT", "BQML", 70, "ADMIN"
    ds.CorrectedImage, ds.PatientID, ds.PatientName = ["ATTN", "DECY"], "secret-id", "Secret^Name"
    ds.SeriesDate = ds.AcquisitionDate = "20240101"
    ds.SeriesTime = ds.AcquisitionTime = "110000"
    for name, value in changes.items():
        setattr(ds, name, value)
    image = sitk.GetImageFromArray(np.full((2, 3, 4), 5000, np.int16))
    image.SetSpacing((2, 3, 4))
    image.SetMetaData("0008|0060", "PT")
    return VolumeFile(image, About(modality="PT", unit=str(ds.Units), patient_id="secret-id", datasets=(ds,)))


def test_a_pet_is_fused_in_suv_by_default_and_the_report_tells_how():
    file, facts, warnings = in_unit(pet())
    assert sitk.GetArrayFromImage(file.image).ravel() == pytest.approx(1.0, rel=1e-6)  # 5000 x 70,000 g / 350 MBq
    assert file.image.GetSpacing() == (2, 3, 4)
    assert file.image.GetMetaData("0008|0060") == "PT"
    assert (facts["unit"], facts["weight_kg"], facts["dose_bq"]) == ("SUV", 70, 350e6)
    assert facts["suv_factor"] == pytest.approx(2e-4)
    assert "ecret" not in str(facts)
    assert warnings == []


def test_where_suv_cannot_be_had_it_is_said_and_the_values_stay():
    file, facts, warnings = in_unit(pet(PatientWeight=None))
    assert sitk.GetArrayFromImage(file.image).max() == 5000
    assert facts == {"unit": "BQML"}
    assert "weight is missing" in warnings[0]
    with pytest.raises(InputError, match="weight is missing"):
        in_unit(pet(PatientWeight=None), "suv")


def test_a_unit_that_is_asked_for():
    file, facts, _ = in_unit(pet(), "bqml")
    assert (sitk.GetArrayFromImage(file.image).max(), facts["unit"]) == (5000, "BQML")
    with pytest.raises(InputError, match="counts"):
        in_unit(pet(), "counts")
    with pytest.raises(InputError, match="no unit"):
        in_unit(pet(), "sv")
    plain = VolumeFile(pet().image)
    assert in_unit(plain)[1] == {"unit": None}
    with pytest.raises(InputError, match="DICOM headers"):
        in_unit(plain, "suv-lbm")


def test_a_window_in_suv_is_refused_on_other_units():
    assert window_in_unit("suv:0:10", "SUV") == "0:10"
    assert window_in_unit("SUV:0:10", "SUV-lbm") == "0:10"
    assert window_in_unit("0:30000", "BQML") == "0:30000"
    for unit in ("BQML", None):
        with pytest.raises(InputError, match="is in SUV"):
            window_in_unit("suv:0:10", unit)
