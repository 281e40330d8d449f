"""SUV factors of five vendors' headers, and what gives none."""

import csv
import json

import pytest
from pydicom.dataset import Dataset

from MMIFAminLib.errors import InputError
from MMIFAminLib.files.suv import KINDS, corrections_of, suv_factor

IN_SEQUENCE = (
    "RadionuclideTotalDose",
    "RadionuclideHalfLife",
    "RadiopharmaceuticalStartTime",
    "RadiopharmaceuticalStartDateTime",
)
BASE = {
    "Modality": "PT", "Units": "BQML", "PatientWeight": 70, "PatientSize": 1.75, "PatientSex": "M",
    "CorrectedImage": ["ATTN", "DECY"], "DecayCorrection": "START", "SeriesDate": "20240102", "SeriesTime": "110000",
    "AcquisitionDate": "20240102", "AcquisitionTime": "110000", "RadionuclideTotalDose": 370e6,
    "RadionuclideHalfLife": 6586.2, "RadiopharmaceuticalStartTime": "100000",
}  # fmt: skip
DECAYED = 370e6 * 0.5 ** (3600 / 6586.2)


def header(**changes):
    ds, item = Dataset(), Dataset()
    for name, value in (BASE | changes).items():
        if name == "PhilipsPETPrivateGroup":
            block = ds.private_block(0x7053, "Philips PET Private Group", create=True)
            for key, element in (("SUVScaleFactor", 0x00), ("ActivityConcentrationScaleFactor", 0x09)):
                if key in value:
                    block.add_new(element, "DS", value[key].strip())
        elif value is not None:
            setattr(item if name in IN_SEQUENCE else ds, name, value)
    ds.RadiopharmaceuticalInformationSequence = [item]
    return ds


def test_five_vendors_to_a_millionth(shared):
    rows = list(csv.DictReader((shared / "data" / "suv" / "expected.csv").open()))
    assert len(rows) == 5
    nothing = dict.fromkeys(BASE)
    for row in rows:
        series = json.loads((shared / "data" / "suv" / row["file"]).read_text())
        found = suv_factor([header(**(nothing | item)) for item in series])
        assert found.factor == pytest.approx(float(row["suvbw_factor"]), rel=1e-6), row["file"]


def test_decay_correction():
    assert suv_factor([header()]).factor == pytest.approx(70e3 / DECAYED, rel=1e-9)
    assert suv_factor([header(DecayCorrection="ADMIN")]).factor == pytest.approx(70e3 / 370e6, rel=1e-9)
    plain = header(DecayCorrection="NONE", CorrectedImage=["ATTN"])
    assert suv_factor([plain]).factor == pytest.approx(70e3 / DECAYED, rel=1e-9)
    with pytest.raises(InputError, match="one acquisition time"):
        suv_factor([plain, header(DecayCorrection="NONE", CorrectedImage=["ATTN"], AcquisitionTime="110300")])


def test_a_series_time_of_later_processing_is_not_the_scan():
    late = {"SeriesTime": "150000"}
    assert suv_factor([header(**late)]).factor == pytest.approx(70e3 / DECAYED, rel=1e-9)
    ge = header(**late, AcquisitionTime="110500")
    ge.private_block(0x0009, "GEMS_PETD_01", create=True).add_new(0x0D, "DT", "20240102110000.00")
    assert suv_factor([ge]).factor == pytest.approx(70e3 / DECAYED, rel=1e-9)
    second_bed = header(**late, AcquisitionTime="110300", FrameReferenceTime=269857.92, ActualFrameDuration=180000)
    assert suv_factor([second_bed]).factor == pytest.approx(70e3 / DECAYED, rel=1e-5)


def test_enhanced_pet_tells_its_corrections_and_the_time_they_are_for():
    plain = {"CorrectedImage": None, "DecayCorrection": None, "SeriesTime": "150000", "Units": None}
    assert corrections_of(header(CorrectedImage="", AttenuationCorrected="YES")) == ("ATTN",)  # empty, not nothing
    flags = {"AttenuationCorrected": "YES", "DecayCorrected": "YES", "DecayCorrectionDateTime": "20240102110000.0"}
    assert suv_factor([header(**plain, **flags)], "BQML").factor == pytest.approx(70e3 / DECAYED, rel=1e-9)
    for name, reason in (("AttenuationCorrected", "ATTN"), ("DecayCorrected", "DECY")):
        with pytest.raises(InputError, match=reason):
            suv_factor([header(**plain, **(flags | {name: "NO"}))], "BQML")
    with pytest.raises(InputError, match="decay correction is not told"):
        suv_factor([header(**plain, **(flags | {"DecayCorrectionDateTime": ""}))], "BQML")


def test_philips_counts_and_midnight():
    counts = header(Units="CNTS", PhilipsPETPrivateGroup={"ActivityConcentrationScaleFactor": "4.5"})
    assert suv_factor([counts]).factor == pytest.approx(4.5 * 70e3 / DECAYED, rel=1e-9)
    night = header(SeriesTime="003000", AcquisitionTime="003000", RadiopharmaceuticalStartTime="233000")
    assert suv_factor([night]).uptake_time == 3600


def test_kinds():
    """Worked by hand: 70 kg, 175 cm, male."""
    mass = {
        "suv": 70,
        "suv-lbm": 55.857,
        "suv-lbm-james": 56.52,
        "suv-lbm-james-120": 57.8,
        "suv-bsa": 18.481,
        "suv-ibw": 70,
    }
    assert set(mass) == set(KINDS)
    for kind, value in mass.items():
        assert suv_factor([header()], kind=kind).factor == pytest.approx(value * 1000 / DECAYED, rel=1e-4), kind
    assert suv_factor([header(PatientSex="F")], kind="suv-ibw").factor == pytest.approx(66.43e3 / DECAYED, rel=1e-4)
    assert suv_factor([header(Units="GML")]).factor == 1
    for type_, stored in {"LBM": 57.8, "LBMJAMES128": 56.52, "LBMJANMA": 55.857, "IBW": 70}.items():
        found = suv_factor([header(Units="GML", SUVType=type_)])
        assert found.factor == pytest.approx(70 / stored, rel=1e-4), "LBM alone is James with 120 (PS3.3 C.8.9.1)"


@pytest.mark.parametrize(
    "kind, changes, mass",
    [
        ("suv-lbm-james", {"PatientWeight": 170, "PatientSize": 1.5, "PatientSex": "F"}, "-8.2 kg.*ask for suv-lbm"),
        ("suv-lbm-james", {"PatientWeight": 160, "PatientSize": 1.55, "PatientSex": "F"}, "13.5 kg"),
        ("suv-ibw", {"PatientWeight": 14, "PatientSize": 1.0}, "-7.1 kg"),
    ],
)
def test_formulas_of_the_body_are_refused_where_they_do_not_hold(kind, changes, mass):
    with pytest.raises(InputError, match=f"does not hold.*{mass}"):
        suv_factor([header(**changes)], kind=kind)


@pytest.mark.parametrize(
    "kind, changes, words",
    [
        ("suv-lbm", {"PatientSize": None}, "suv-lbm cannot be given: the patient's height is missing;.* ask for suv$"),
        (
            "suv-lbm",
            {"PatientSex": "O"},
            r"suv-lbm cannot be given: the patient's sex \(M or F\) is missing;.* ask for suv$",
        ),
        (
            "suv-ibw",
            {"PatientSize": 0, "PatientSex": None},
            r"height is missing and the patient's sex \(M or F\) is missing;",
        ),
        ("suv-bsa", {"PatientSize": None, "PatientSex": None}, "the patient's height is missing;"),
        (
            "suv",
            {"Units": "GML", "SUVType": "LBM", "PatientSex": None},
            "SUV cannot be given.* ask for suv-lbm-james-120$",
        ),
    ],
)
def test_what_another_kind_needs_and_the_headers_lack_is_named(kind, changes, words):
    with pytest.raises(InputError, match=words):
        suv_factor([header(**changes)], kind=kind)


def test_times_of_injection_and_scan_are_kept():
    found = suv_factor([header()])
    assert (f"{found.injection:%H:%M}", f"{found.scan:%H:%M}", found.uptake_time) == ("10:00", "11:00", 3600)
    found = suv_factor([header(DecayCorrection="ADMIN", RadiopharmaceuticalStartTime=None)])
    assert (found.injection, found.scan, found.uptake_time) == (None, None, None)
    found = suv_factor([header(DecayCorrection="ADMIN")])
    assert found.factor == pytest.approx(70e3 / 370e6) and found.uptake_time == 3600, "the patient waited an hour"
    with pytest.raises(InputError, match="after the scan"):
        suv_factor([header(DecayCorrection="ADMIN", RadiopharmaceuticalStartTime="113000")])


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"PatientWeight": None}, "weight is missing"),
        ({"PatientWeight": 0}, "weight is missing"),
        ({"PatientWeight": 70000}, "not plausible in kg"),
        ({"RadionuclideTotalDose": None}, "dose is missing"),
        ({"RadionuclideTotalDose": 370}, "MBq"),
        ({"RadionuclideTotalDose": 350000}, "kBq"),
        ({"RadionuclideHalfLife": None}, "half-life is missing"),
        ({"RadiopharmaceuticalStartTime": None}, "time of the injection is missing"),
        ({"RadiopharmaceuticalStartTime": "113000"}, "after the scan"),
        ({"RadiopharmaceuticalStartDateTime": "20240103100000"}, "after the scan"),
        ({"RadiopharmaceuticalStartDateTime": "20240102093000"}, "contradict"),
        ({"RadiopharmaceuticalStartDateTime": "20230102100000"}, "half-lives"),
        ({"CorrectedImage": ["DECY"]}, "ATTN"),
        ({"CorrectedImage": ["ATTN"]}, "DECY"),
        ({"DecayCorrection": None}, "decay correction"),
        ({"DecayCorrection": "NONE"}, "contradicts itself"),
        ({"Units": "CNTS"}, "counts"),
        (
            {
                "Units": "CNTS",
                "PhilipsPETPrivateGroup": {"SUVScaleFactor": "-1", "ActivityConcentrationScaleFactor": "-2"},
            },
            "counts",
        ),
        ({"Units": "PROPCPS"}, "PROPCPS"),
        ({"Modality": "NM"}, "PET"),
    ],
)
def test_what_is_missing_or_contradictory_gives_no_suv(changes, reason):
    with pytest.raises(InputError, match=reason):
        suv_factor([header(**changes)])


@pytest.mark.parametrize(
    "name, other",
    [
        ("PatientWeight", 71),
        ("RadionuclideTotalDose", 400e6),
        ("RadionuclideHalfLife", 1223),
        ("RadiopharmaceuticalStartTime", "093000"),
        ("RadiopharmaceuticalStartDateTime", "20240102100000"),
    ],
)
def test_slices_that_contradict_each_other(name, other):
    with pytest.raises(InputError, match=f"the slices contradict each other in {name}"):
        suv_factor([header(), header(**{name: other})])


def test_an_injection_told_in_another_time_zone():
    told = {"RadiopharmaceuticalStartTime": None, "TimezoneOffsetFromUTC": "+0100"}
    for moment in ("20240102090000.00+0000", "20240102100000+0100", "20240102100000", "20240102043000-0430"):
        found = suv_factor([header(RadiopharmaceuticalStartDateTime=moment, **told)])
        assert found.factor == pytest.approx(70000 / DECAYED), moment


def test_slices_without_a_date_of_their_own_over_midnight():
    told = {"SeriesTime": "235500", "AcquisitionDate": None, "RadiopharmaceuticalStartTime": "225500"}
    slices = [header(AcquisitionTime=time, **told) for time in ("235500", "000300")]
    assert suv_factor(slices).factor == pytest.approx(70000 / DECAYED)
