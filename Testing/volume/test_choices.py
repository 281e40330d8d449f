"""What a pair is taken for: what is told of it counts, then what is asked for; the windows and the report follow."""

import numpy as np
import pytest

from MMIFAminLib.errors import InputError
from MMIFAminLib.volume.choices import Kind, check_kind, choose, window_in_suv
from MMIFAminLib.volume.recognition import Hints

SPACINGS = ((10.0, 10.0, 10.0), (12.0, 12.0, 12.0))
RAMP = np.arange(1000, dtype=np.float32).reshape(10, 10, 10) / 10  # 0 to 99.9
CT = np.where(np.arange(1000).reshape(10, 10, 10) % 5 > 2, 40.0, -1000.0)


def chosen(first, second, arrays=(RAMP, RAMP), specs=("auto", "auto"), **options):
    """The choices for two volumes of the DICOM modalities ``first`` and ``second``."""
    return choose(*arrays, SPACINGS, specs, (Hints(modality=first), Hints(modality=second)), **options)


@pytest.mark.parametrize(
    "second, options, kind, shows, told_by",
    [
        ("PT", {}, Kind.UPTAKE, "uptake", "modality"),
        ("PT", {"luma": True}, Kind.LUMA, "uptake", "modality"),
        ("MR", {}, Kind.ANATOMICAL, "mr", "modality"),
        ("MR", {"luma": True}, Kind.ANATOMICAL, "mr", "modality"),
        ("MR", {"kind": "uptake"}, Kind.UPTAKE, "uptake", "kind"),
        ("PT", {"kind": "anatomical"}, Kind.ANATOMICAL, "mr", "kind"),
        ("CT", {"kind": "anatomical"}, Kind.ANATOMICAL, "ct", "modality"),
        ("CT", {"kind": "uptake"}, Kind.UPTAKE, "uptake", "kind"),
        (None, {}, Kind.UPTAKE, "uptake", "role"),
    ],
)
def test_the_kind_is_what_is_asked_for_or_else_told(second, options, kind, shows, told_by):
    found = chosen("MR", second, arrays=(RAMP, CT if second == "CT" else RAMP), **options)
    assert found.kind is kind and found.taken_for["pair"] == kind.value
    told = found.taken_for["functional"]
    assert (told["shows"], told["told_by"]) == (shows, told_by)
    assert (found.taken_for["anatomical"]["shows"], found.taken_for["anatomical"]["told_by"]) == ("mr", "modality")


@pytest.mark.parametrize(
    "first, options, warns",
    [("MR", {}, True), ("CT", {}, False), ("MR", {"kind": "anatomical"}, False), ("MR", {"kind": "uptake"}, False)],
)
def test_a_ct_in_second_place_of_another_volume_is_doubted_unless_asked_for(first, options, warns):
    found = chosen(first, "CT", arrays=(CT if first == "CT" else RAMP, CT), **options)
    assert [("swap the two" in text) for text in found.warnings] == [True] * warns
    assert chosen(first, "CT", arrays=(RAMP, CT), specs=("auto", "ct-bone"), **options).warnings == ()


def test_windows_are_those_of_each_volume_and_the_report_tells_how_much_lies_at_their_upper_end():
    found = chosen("MR", "PT", specs=((20.0, 89.9), (0.0, 50.0)))
    assert [(window.low, window.high) for window in found.windows] == [(20.0, 89.9), (0.0, 50.0)]
    assert found.taken_for["anatomical"]["at_upper_end"] == pytest.approx(0.101)
    assert found.taken_for["functional"]["at_upper_end"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    "hints, array, unit",
    [
        (Hints(modality="PT", unit="BQML"), RAMP, "BQML"),
        (Hints(modality="PT", name="pet_suv"), RAMP, "SUV"),
        (Hints(modality="PT", name="pet"), RAMP, None),
        (Hints(modality="CT"), CT, "HU"),
        (Hints(modality="CT"), CT + 1024, None),
    ],
)
def test_the_report_tells_the_unit_where_it_is_known(hints, array, unit):
    found = choose(RAMP, array, SPACINGS, ("auto", "auto"), (Hints(modality="MR"), hints))
    assert found.taken_for["functional"]["unit"] == unit


def test_a_picture_asked_for_as_uptake_has_the_unit_of_its_name():
    hints = (Hints(modality="MR"), Hints(modality="MR", name="suv"))
    for kind, unit in (("uptake", "SUV"), ("anatomical", None)):
        found = choose(RAMP, RAMP, SPACINGS, ("auto", "auto"), hints, kind)
        assert found.taken_for["functional"]["unit"] == unit


def test_the_ct_tells_the_region_of_the_pet():
    """A PET of a trunk that is cut to the size of a head: SUV 0 to 10 as for the trunk that its CT shows."""
    body = np.full((30, 30, 30), -1000.0)
    body[:, 5:25, 4:26] = np.linspace(-80, 80, 22)  # 40 by 44 cm, all along
    suv = np.linspace(0, 12, 1000, dtype=np.float32).reshape(10, 10, 10)
    spacings = ((20.0, 20.0, 20.0), (15.0, 15.0, 15.0))
    pet = Hints(modality="PT", unit="GML")
    of_ct = choose(body, suv, spacings, ("auto", "auto"), (Hints(modality="CT"), pet))
    assert of_ct.taken_for["anatomical"]["region"] == of_ct.taken_for["functional"]["region"] == "trunk"
    assert (of_ct.windows[1].low, of_ct.windows[1].high) == (0.0, 10.0)
    of_mr = choose(body, suv, spacings, ("auto", "auto"), (Hints(modality="MR"), pet))
    assert of_mr.taken_for["functional"]["region"] == "head"
    assert of_mr.windows[1].high == pytest.approx(12.0)


def test_kinds_of_pairs_are_listed_where_another_is_asked_for():
    for kind in ("auto", "uptake", "anatomical"):
        check_kind(kind)
    with pytest.raises(InputError, match="'pet'; choose one of auto, uptake, anatomical"):
        check_kind("pet")


def test_a_window_in_suv_is_for_values_in_suv():
    in_suv, in_bqml = Hints(modality="PT", unit="GML"), Hints(modality="PT", unit="BQML")
    assert window_in_suv(" SUV:2:8", in_suv) == "2:8"
    for other in ("2:8", "uptake", (2.0, 8.0)):
        assert window_in_suv(other, in_bqml) == other
    with pytest.raises(InputError, match="suv:2:8 is in SUV, the functional volume in BQML"):
        window_in_suv("suv:2:8", in_bqml)
    with pytest.raises(InputError, match="in an unknown unit"):
        window_in_suv("suv:2:8", Hints())
