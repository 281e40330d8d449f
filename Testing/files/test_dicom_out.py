"""DICOM out: valid by the standard's rules, every voxel in its place for four readers, nothing lost of whose it is."""

import subprocess
import sys
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from MMIFAminLib.errors import InputError
from MMIFAminLib.files import About, read_volume_file
from MMIFAminLib.files.dicom_out import SCALE, study_notice, write_dicom
from support.dicom import Written, dciodvfy_errors, write_series
from support.phantoms import Grid, rotation

UIDS = {"CT": "1.2.3.41", "MR": "1.2.3.42", "PT": "1.2.3.43"}
CLASSES = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4", "SC": "1.2.840.10008.5.1.4.1.1.7"}
AXES = {
    "axial": np.eye(3),
    "oblique": rotation((12, -20, 31)),
    "sagittal": np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]], float),  # rows run to the back, columns to the feet
    "coronal, left-handed": np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], float) * [1, 1, -1],
}
PATIENT = {
    "PatientName": "Müller^Zoë",
    "SpecificCharacterSet": "ISO_IR 192",
    "PatientID": "4711",
    "PatientBirthDate": "19600229",
    "PatientSex": "F",
    "PatientAge": "066Y",
    "PatientWeight": "61.5",
    "StudyDate": "20260102",
    "StudyTime": "101112",
    "StudyID": "S1",
    "StudyDescription": "Whole body",
    "ReferringPhysicianName": "Doe^Jane",
    "AccessionNumber": "A99",
    "InstitutionName": "Hospital",
    "PatientPosition": "HFS",
}


def source(folder, modality, **tags):
    stored = np.random.default_rng(1).integers(0, 1000, (5, 10, 12)).astype(np.int16)
    places = np.array([[-10.0, -20.0, 3.0 * k] for k in range(5)])
    tags = PATIENT | {"SeriesInstanceUID": UIDS[modality]} | tags
    write_series(folder / modality, Written(stored, places, modality=modality, tags=tags))
    return read_volume_file(folder / modality)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    return {modality: source(folder, modality) for modality in UIDS}


def fused(axes=AXES["axial"], colours=False):
    """Noise with one value above all others, on the patient's left."""
    rng = np.random.default_rng(2)
    grid = Grid(size=(7, 6, 5), spacing=(2.0, 3.0, 4.0), direction=tuple(axes.ravel())).centred_at((5, -40, 60))
    values = rng.uniform(0, 0.8, (5, 6, 7)).astype(np.float32)
    left = np.unravel_index(np.argmax(grid.points()[..., 0]), values.shape)
    values[left] = 1
    if not colours:
        return grid.image(values)
    rgb = sitk.GetImageFromArray(np.stack([values * 255, values * 100, 255 - values * 255], -1).astype(np.uint8), True)
    rgb.CopyInformation(grid.image(values))
    return rgb


def by_simpleitk(folder):
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    return sitk.GetArrayFromImage(image).swapaxes(0, 2).astype(float), affine_of(image)


def by_ourselves(folder):
    image = read_volume_file(f"{folder}::#1").image
    return sitk.GetArrayFromImage(image).swapaxes(0, 2).astype(float), affine_of(image)


def by_highdicom(folder):
    volume = highdicom.get_volume_from_series([pydicom.dcmread(path) for path in sorted(folder.iterdir())])
    return volume.array.astype(float), volume.affine


def by_pydicom(folder):
    slices = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
    arrays = [pydicom.pixels.apply_rescale(ds.pixel_array, ds).astype(float) for ds in slices]
    first, last = (np.array(ds.ImagePositionPatient, float) for ds in (slices[0], slices[-1]))
    rows, columns = np.reshape(np.array(slices[0].ImageOrientationPatient, float), (2, 3))
    down, across = slices[0].PixelSpacing
    affine = np.eye(4)
    affine[:3] = np.stack([rows * across, columns * down, (last - first) / (len(slices) - 1), first], 1)
    return np.stack(arrays).swapaxes(0, 2), affine


def by_dcm2niix(folder):
    out = folder.with_name(f"{folder.name}_nifti")
    out.mkdir()
    program = Path(sys.executable).with_name("dcm2niix")
    subprocess.run([program, "-b", "n", "-z", "n", "-f", "out", "-o", out, folder], check=True, capture_output=True)
    image = nibabel.load(out / "out.nii")
    values = np.asarray(image.dataobj)
    if values.dtype.names:
        values = np.stack([values[name] for name in values.dtype.names], -1)
    return values.astype(float), np.diag([-1, -1, 1, 1]) @ image.affine  # RAS to LPS


READERS = (by_simpleitk, by_ourselves, by_highdicom, by_pydicom, by_dcm2niix)


def affine_of(image):
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return affine


def points_of(shape, affine):
    return np.stack(np.indices(shape[:3]), -1) @ affine[:3, :3].T + affine[:3, 3]


@pytest.mark.parametrize("colours", [False, True], ids=["grey", "rgb"])
@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_every_reader_finds_every_voxel_in_its_place(sources, tmp_path, modality, axes, colours):
    image = fused(AXES[axes], colours)
    folder = tmp_path / "out"
    write_dicom(image, folder, anatomical=sources[modality].about, functional=sources["PT"].about)
    expected = sitk.GetArrayFromImage(image).swapaxes(0, 2).astype(float) * (1 if colours else SCALE)
    for reader in READERS:
        values, affine = reader(folder)
        places = points_of(values.shape, affine)
        index = (places - image.GetOrigin()) @ np.linalg.inv(affine_of(image)[:3, :3]).T
        whole = np.rint(index).astype(int)
        assert np.abs(index - whole).max() < 1e-3, reader
        assert len(np.unique(whole.reshape(-1, 3), axis=0)) == image.GetNumberOfPixels(), reader
        np.testing.assert_allclose(values, expected[tuple(np.moveaxis(whole, -1, 0))], atol=0.011, err_msg=str(reader))
        hottest = np.unravel_index(np.argmax(values[..., 0] if colours else values), values.shape[:3])
        assert places[hottest][0] == pytest.approx(places[..., 0].max(), abs=1e-3), reader  # left is left


@pytest.mark.parametrize("colours", [False, True], ids=["grey", "rgb"])
@pytest.mark.parametrize("anonymous", [False, True], ids=["named", "anonymous"])
@pytest.mark.parametrize("kind", ["CT", "MR", "lossy CT", "file", "file and PET"])
def test_dciodvfy_reports_no_error(sources, tmp_path, kind, anonymous, colours):
    lossy = {
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": "12.5",
        "LossyImageCompressionMethod": "ISO_10918_1",
    }
    anatomical = {
        "file": About(),
        "file and PET": About(),
        "lossy CT": source(tmp_path, "CT", **lossy).about,
    }.get(kind) or sources[kind].about
    functional = About() if kind == "file" else sources["PT"].about
    folder = tmp_path / "out"
    write_dicom(fused(colours=colours), folder, anatomical=anatomical, functional=functional, anonymous=anonymous)
    for path in folder.iterdir():
        assert dciodvfy_errors(path) == []


@pytest.mark.parametrize("colours", [False, True], ids=["grey", "rgb"])
def test_the_series_lies_in_the_study_and_refers_to_its_sources(sources, tmp_path, colours):
    anatomical, functional = sources["CT"].about, sources["PT"].about
    images = (sources["CT"].image, fused(colours=True))
    image = images[1] if colours else sitk.Cast(images[0], sitk.sitkFloat32) / 1000
    write_dicom(image, tmp_path / "out", anatomical=anatomical, functional=functional, root="1.2.840.99")
    slices = [pydicom.dcmread(path) for path in sorted((tmp_path / "out").iterdir())]
    first = slices[0]
    for name, value in PATIENT.items():
        if name == "InstitutionName":  # the scanner's, not ours
            assert name not in first
        elif name != "SpecificCharacterSet":
            assert str(first.get(name)) == value, name
    assert first.SOPClassUID == CLASSES["SC" if colours else "CT"]
    assert (first.StudyInstanceUID, first.FrameOfReferenceUID) == ("1.2.3.1", "1.2.3.2")
    assert first.SeriesDescription == "MMIFAmin fused, research only" and first.BurnedInAnnotation == "NO"
    assert list(first.ImageType)[:2] == ["DERIVED", "SECONDARY"] and "MMIF-AMIN" in first.DerivationDescription
    uids = {ds.SOPInstanceUID for ds in slices}
    assert len(uids) == len(slices) and {ds.SeriesInstanceUID for ds in slices} == {first.SeriesInstanceUID}
    assert all(uid.startswith("1.2.840.99.") for uid in uids | {first.SeriesInstanceUID})
    assert {item.SeriesInstanceUID for item in first.ReferencedSeriesSequence} == {UIDS["CT"], UIDS["PT"]}
    if not colours:  # the grids are one: each slice was made of one image of each source
        for k, ds in enumerate(slices):
            wanted = [anatomical.references[k][1], functional.references[k][1]]
            assert [item.ReferencedSOPInstanceUID for item in ds.SourceImageSequence] == wanted


def test_uids_are_under_2_25_unless_a_root_is_given(sources, tmp_path):
    write_dicom(fused(), tmp_path / "out", anatomical=sources["CT"].about, functional=About())
    first = pydicom.dcmread(tmp_path / "out" / "IM0001.dcm")
    assert first.SOPInstanceUID.startswith("2.25.") and first.SeriesInstanceUID.startswith("2.25.")
    for root in ("a.b", "1." * 40):
        with pytest.raises(InputError, match="no root of UIDs"):
            write_dicom(fused(), tmp_path / "no", anatomical=About(), functional=About(), root=root)
    assert not (tmp_path / "no").exists()


def test_a_lossy_source_makes_the_result_lossy(sources, tmp_path):
    lossy = source(tmp_path, "PT", LossyImageCompression="01", LossyImageCompressionRatio="9.5")
    write_dicom(fused(), tmp_path / "out", anatomical=sources["MR"].about, functional=lossy.about)
    first = pydicom.dcmread(tmp_path / "out" / "IM0001.dcm")
    assert first.LossyImageCompression == "01" and first.LossyImageCompressionRatio == 9.5
    write_dicom(fused(), tmp_path / "plain", anatomical=sources["MR"].about, functional=sources["PT"].about)
    assert "LossyImageCompression" not in pydicom.dcmread(tmp_path / "plain" / "IM0001.dcm")  # nobody said


@pytest.mark.parametrize("syntax, method", [(50, "ISO_10918_1"), (81, "ISO_14495_1"), (80, None)])
def test_a_lossy_syntax_makes_the_result_lossy(sources, tmp_path, syntax, method):
    """Compressed by a program that does not write the flag."""
    about = source(tmp_path, "CT").about
    about.datasets[2].file_meta.TransferSyntaxUID = f"1.2.840.10008.1.2.4.{syntax}"
    write_dicom(fused(), tmp_path / "out", anatomical=about, functional=sources["PT"].about)
    first = pydicom.dcmread(tmp_path / "out" / "IM0001.dcm")
    assert first.get("LossyImageCompression") == ("01" if method else None)
    assert first.get("LossyImageCompressionMethod") == method
    assert dciodvfy_errors(tmp_path / "out" / "IM0001.dcm") == []


def test_anonymous_keeps_nothing_of_the_patient(sources, tmp_path):
    write_dicom(
        fused(), tmp_path / "out", anatomical=sources["CT"].about, functional=sources["PT"].about, anonymous=True
    )
    for path in (tmp_path / "out").iterdir():
        raw, ds = path.read_bytes(), pydicom.dcmread(path)
        kept = [value for name, value in PATIENT.items() if name != "PatientPosition" and len(value) > 2]
        uids = [*UIDS.values(), *(uid for about in sources.values() for _, uid in about.about.references)]
        for secret in [value for value in kept if not value.startswith("ISO")] + uids:
            assert secret.encode() not in raw, secret
        assert not ds.PatientName and not ds.PatientID and ds.PatientIdentityRemoved == "YES"
        assert ds.StudyInstanceUID.startswith("2.25.") and ds.FrameOfReferenceUID.startswith("2.25.")
    assert "new study" in study_notice(sources["CT"].about, sources["PT"].about, anonymous=True)


def test_files_that_are_no_dicom_get_a_new_study_and_a_word(sources, tmp_path):
    write_dicom(fused(), tmp_path / "new", anatomical=About(), functional=About())
    first = pydicom.dcmread(tmp_path / "new" / "IM0001.dcm")
    assert first.SOPClassUID == CLASSES["SC"] and not first.PatientID and first.StudyInstanceUID.startswith("2.25.")
    assert "new study" in study_notice(About(), About())
    write_dicom(fused(), tmp_path / "pet", anatomical=About(), functional=sources["PT"].about)
    assert pydicom.dcmread(tmp_path / "pet" / "IM0001.dcm").PatientID == "4711"
    assert "functional volume's study" in study_notice(About(), sources["PT"].about)
    assert study_notice(sources["CT"].about, About()) == ""


def test_what_cannot_be_written_is_refused_and_leaves_nothing(sources, tmp_path):
    about = sources["CT"].about
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("mine")
    with pytest.raises(InputError, match="holds files already"):
        write_dicom(fused(), tmp_path / "full", anatomical=about, functional=About())
    with pytest.raises(InputError, match="no folder"):
        write_dicom(fused(), tmp_path / "none" / "out", anatomical=about, functional=About())
    other = source(tmp_path / "other", "PT", PatientID="other").about
    with pytest.raises(InputError, match="different patients"):
        write_dicom(fused(), tmp_path / "out", anatomical=about, functional=other)
    with pytest.raises(InputError, match="RGB in 8 bits"):
        write_dicom(
            sitk.Image((2, 2, 2), sitk.sitkVectorFloat32, 3), tmp_path / "out", anatomical=about, functional=other
        )
    sheared = fused()
    sheared.SetDirection((1, 0.3, 0, 0, 1, 0, 0, 0, 1))
    with pytest.raises(InputError, match="not at right angles"):
        write_dicom(sheared, tmp_path / "out", anatomical=about, functional=About())
    assert {path.name for path in tmp_path.iterdir()} == {"full", "other"}
    (tmp_path / "empty").mkdir()
    write_dicom(fused(), tmp_path / "empty", anatomical=about, functional=About())
    assert len(list((tmp_path / "empty").iterdir())) == 5


def test_a_volume_that_was_registered_holds_its_own_places_no_more(sources, tmp_path):
    anatomical, functional = sources["CT"].about, sources["PT"].about
    image = sitk.Cast(sources["CT"].image, sitk.sitkFloat32) / 1000
    write_dicom(image, tmp_path / "a", anatomical=anatomical, functional=functional, registered=True)
    first = pydicom.dcmread(tmp_path / "a" / "IM0001.dcm")
    wanted = [anatomical.references[0][1], *(uid for _, uid in functional.references)]
    assert [item.ReferencedSOPInstanceUID for item in first.SourceImageSequence] == wanted
    write_dicom(fused(), tmp_path / "b", anatomical=About(), functional=functional, registered=True)
    first = pydicom.dcmread(tmp_path / "b" / "IM0001.dcm")
    assert first.StudyInstanceUID == functional.study_uid and first.FrameOfReferenceUID.startswith("2.25.")
    assert "a frame of reference of its own" in study_notice(About(), functional, registered=True)
