"""The unit in which a PET is read: SUV where it can be had, said where it cannot."""

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset

from MMIFAminLib.errors import InputError
from MMIFAminLib.files import About, VolumeFile, read_volume, read_volume_file
from MMIFAminLib.files.units import in_unit, unit_facts
from support.dicom import Written, suv_tags, write_series


def pet(**changes):
    ds = Dataset()
    for name, value in suv_tags(Modality="PT", PatientID="secret-id", PatientName="Secret^Name", **changes).items():
        setattr(ds, name, value)
    image = sitk.GetImageFromArray(np.full((2, 3, 4), 5000, np.int16))
    image.SetSpacing((2, 3, 4))
    image.SetMetaData("0008|0060", "PT")
    return VolumeFile(image, About(modality="PT", unit=str(ds.Units), patient_id="secret-id", datasets=(ds,)))


def array_of(file):
    return sitk.GetArrayFromImage(file.image)


def test_a_pet_comes_in_suv_and_the_report_tells_how():
    file = in_unit(pet())
    facts = unit_facts(file.about)
    assert array_of(file).ravel() == pytest.approx(1.0, rel=1e-6)  # 5000 x 70,000 g / 350 MBq
    assert file.image.GetSpacing() == (2, 3, 4)
    assert file.image.GetMetaData("0008|0060") == "PT"
    assert (facts["unit"], facts["weight_kg"], facts["dose_bq"]) == ("SUV", 70, 350e6)
    assert (facts["injection_time"], facts["scan_time"]) == ("10:00:00", "11:00:00")
    assert facts["suv_factor"] == pytest.approx(2e-4)
    assert "ecret" not in str(facts) and "2024" not in str(facts)
    assert file.warnings == ()


def test_where_suv_cannot_be_had_it_is_said_and_the_values_stay():
    file = in_unit(pet(PatientWeight=None))
    assert array_of(file).max() == 5000
    assert unit_facts(file.about) == {"unit": "BQML"}
    assert "weight is missing" in file.warnings[0]
    with pytest.raises(InputError, match="weight is missing"):
        in_unit(pet(PatientWeight=None), "suv")


def test_a_unit_that_is_asked_for():
    file = in_unit(pet(), "bqml")
    assert (array_of(file).max(), file.about.unit) == (5000, "BQML")
    with pytest.raises(InputError, match="counts"):
        in_unit(pet(), "counts")
    with pytest.raises(InputError, match="no unit"):
        in_unit(pet(), "sv")
    plain = VolumeFile(pet().image)
    assert unit_facts(in_unit(plain).about) == {"unit": None}
    with pytest.raises(InputError, match="DICOM headers"):
        in_unit(plain, "suv-lbm")


@pytest.mark.parametrize(
    "unit, type_, name",
    [
        ("GML", "", "SUV"),
        ("{SUVbw}g/ml", "", "SUV"),
        ("g/ml{SUVlbm}", "", "SUV-lbm-james-120"),
        ("g/ml{SUVlbm(Janma)}", "", "SUV-lbm"),
        ("g/ml{SUVlbm(James128)}", "", "SUV-lbm-james"),
        ("g/ml Standardized Uptake Value ideal body weight", "", "SUV-ibw"),
        ("cm2/ml{SUVbsa}", "", "SUV-bsa"),
        ("GML", "LBM", "SUV-lbm-james-120"),
        ("GML", "LBMJANMA", "SUV-lbm"),
    ],
)
def test_values_stored_as_suv_keep_the_name_of_their_kind(unit, type_, name):
    """Without the patient's height none but body weight itself can become SUV by body weight."""
    stored = pet(SUVType=type_)
    stored = VolumeFile(stored.image, About(modality="PT", unit=unit, datasets=stored.about.datasets))
    file = in_unit(stored)
    assert (file.about.unit, file.about.suv.factor, array_of(file).max()) == (name, 1, 5000)
    assert bool(file.warnings) == (name != "SUV")


def test_reading_converts_and_can_be_asked_not_to(tmp_path):
    positions = np.array([[0.0, 0, 3 * k] for k in range(3)])
    written = Written(np.full((3, 8, 9), 5000, np.uint16), positions, modality="PT", tags=suv_tags())
    written.stored[1] = 2500
    write_series(tmp_path, written)
    assert sitk.GetArrayFromImage(read_volume(tmp_path)).max() == pytest.approx(1)
    assert sitk.GetArrayFromImage(read_volume(tmp_path, "bqml")).max() == 5000
    assert read_volume_file(tmp_path, unit="suv").about.unit == "SUV"
    with pytest.raises(InputError, match="patient's height is missing"):
        read_volume(tmp_path, "suv-lbm")
