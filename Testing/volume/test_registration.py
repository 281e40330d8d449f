"""Alignment check and rigid registration on real volumes moved by known amounts, and as transform nodes of a scene."""

import numpy as np
import pytest
import SimpleITK as sitk

from MMIFAminLib.errors import FusionCancelled, InputError
from MMIFAminLib.volume.registration import alignment_check, register_rigid
from support.phantoms import Grid, head, rotation

TILTED = ((6, -5, 8), (9, -12, 6))


def read(shared, name):
    return sitk.ReadImage(str(shared / "data" / name))


def moved(image, degrees, millimetres):
    """The same volume lying elsewhere, turned about its middle, and the 4x4 motion (LPS)."""
    middle = np.array(image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()]))
    turn = rotation(degrees)
    motion = np.eye(4)
    motion[:3, :3] = turn
    motion[:3, 3] = middle - turn @ middle + millimetres
    image = sitk.Image(image)
    origin = motion @ np.append(image.GetOrigin(), 1)
    image.SetDirection((turn @ np.reshape(image.GetDirection(), (3, 3))).ravel().tolist())
    image.SetOrigin(origin[:3].tolist())
    return image, motion


def error_of(transform, motion, reference=None):
    """Mean distance (mm) over a head, and angle (degrees), between what was found and what was done."""
    found = np.eye(4)
    found[:3, :3] = np.reshape(transform.GetMatrix(), (3, 3))
    found[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    left = np.linalg.inv(motion) @ found
    if reference is not None:
        left = np.linalg.inv(error_matrix(reference)) @ left
    points = np.random.default_rng(0).uniform(-70, 70, (200, 3))
    distance = np.linalg.norm(points @ left[:3, :3].T + left[:3, 3] - points, axis=1).mean()
    angle = np.degrees(np.arccos(np.clip((np.trace(left[:3, :3]) - 1) / 2, -1, 1)))
    return distance, angle


def error_matrix(transform):
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(transform.GetMatrix(), (3, 3))
    matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    return matrix


@pytest.mark.parametrize("name", ["T2", "PD"])
def test_a_known_motion_of_the_templates_is_recovered(shared, name):
    t1, other = read(shared, "templates/T1.nii.gz"), read(shared, f"templates/{name}.nii.gz")
    displaced, motion = moved(other, *TILTED)
    distance, angle = error_of(register_rigid(t1, displaced), motion)
    assert distance < 2 and angle < 2


@pytest.mark.parametrize(
    "pair", [("templates/T1.nii.gz", "templates/PET.nii.gz"), ("volumes/ct34_mr.nrrd", "volumes/ct34_ct.nrrd")]
)
def test_registration_does_not_depend_on_where_the_volume_lay(shared, pair):
    """PET and CT have an optimum of their own, a few mm off the atlas': moving the volume must not move that."""
    anatomical, functional = (read(shared, name) for name in pair)
    displaced, motion = moved(functional, *TILTED)
    here = register_rigid(anatomical, functional)
    distance, angle = error_of(register_rigid(anatomical, displaced), motion, here)
    assert distance < 2 and angle < 2
    assert error_of(here, np.eye(4))[0] < 5


def test_registration_reports_and_stops(shared):
    t1, pet = read(shared, "templates/T1.nii.gz"), read(shared, "templates/PET.nii.gz")
    seen = []

    def progress(fraction, text):
        seen.append((fraction, text))
        return fraction < 0.2

    with pytest.raises(FusionCancelled):
        register_rigid(t1, pet, progress)
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions) and fractions[0] >= 0 and 0.2 <= fractions[-1] < 0.5


VOLUMES = [
    ("templates/T1.nii.gz", "templates/T2.nii.gz"),
    ("templates/T1.nii.gz", "templates/PET.nii.gz"),
    ("templates/T1.nii.gz", "templates/SPECT.nii.gz"),
    ("volumes/pet41_mr.nrrd", "volumes/pet41_pet.nrrd"),
    ("volumes/pet25_mr.nrrd", "volumes/pet25_pet.nrrd"),
    ("volumes/spect3_mr.nrrd", "volumes/spect3_spect.nrrd"),
    ("volumes/spect10_mr.nrrd", "volumes/spect10_spect.nrrd"),
    ("volumes/ct21_mr.nrrd", "volumes/ct21_ct.nrrd"),
    ("volumes/ct34_mr.nrrd", "volumes/ct34_ct.nrrd"),
]


@pytest.mark.parametrize("pair", VOLUMES, ids=[pair[1].split("/")[1].split(".")[0] for pair in VOLUMES])
def test_alignment_of_real_pairs_is_told(shared, pair):
    anatomical, functional = (read(shared, name) for name in pair)
    as_they_are = alignment_check(anatomical, functional)
    assert as_they_are.aligned and as_they_are.overlap > 0.95, as_they_are.message
    for degrees, millimetres in (((0, 0, 0), (0, 14, -6)), ((10, 5, -12), (15, -10, 20)), ((0, 0, 0), (60, 40, 30))):
        alignment = alignment_check(anatomical, moved(functional, degrees, millimetres)[0], names=("MR", "PET scan"))
        assert not alignment.aligned
        assert "'PET scan'" in alignment.message and "register first" in alignment.message
        assert abs(alignment.displacement_mm - np.linalg.norm(millimetres)) < 0.35 * np.linalg.norm(millimetres) + 6
        assert alignment.mutual_information < as_they_are.mutual_information


@pytest.mark.parametrize("first, last, covered", [(0, 112, 0.99), (22, 89, 0.59), (37, 74, 0.33), (74, 112, 0.35)])
def test_uptake_may_be_the_anatomical_volume_of_a_ct(shared, first, last, covered):
    """In the window of an MR all that is left of a PET is its bladder, which a cropped CT does not even show."""
    pet, ct = read(shared, "body/fdg.nrrd"), read(shared, "body/ct.nrrd")[:, :, first:last]
    alignment = alignment_check(pet, ct)
    assert alignment.aligned and abs(alignment.overlap - covered) < 0.02, alignment.message
    assert not alignment_check(moved(pet, (0, 0, 0), (20, -10, 12))[0], ct).aligned


def test_uptake_is_registered_as_the_anatomical_volume_of_a_ct(shared):
    pet, motion = moved(read(shared, "body/fdg.nrrd"), (3, 0, 6), (20, -10, 12))
    distance, angle = error_of(register_rigid(pet, read(shared, "body/ct.nrrd")), np.linalg.inv(motion))
    assert distance < 4 and angle < 1.5


def test_volumes_without_overlap_are_no_error(shared):
    t1 = read(shared, "templates/T1.nii.gz")
    alignment = alignment_check(t1, moved(t1, (0, 0, 0), (400, 0, 0))[0])
    assert alignment.overlap == 0 and not alignment.aligned and "do not overlap" in alignment.message


def test_constant_volume_is_refused():
    constant = head(Grid()) * 0 + 3
    with pytest.raises(InputError, match="scan"):
        alignment_check(head(Grid()), constant, names=("MR", "scan"))


def test_volumes_with_nan_and_one_slice():
    broken = sitk.GetArrayFromImage(head(Grid(), "pet"))
    broken[3:6] = np.nan
    image = Grid().image(broken)
    assert alignment_check(head(Grid()), image).aligned


# --- as nodes ---

slicer = pytest.importorskip("slicer", reason="needs the slicer-core package")
from MMIFAminLib import mrml
from support.scenes import add_transform, add_volume, maximum_fuser, new_scene, node_ids

UNIT = dict(anatomicalWindow=(0, 1), functionalWindow=(0, 1))


@pytest.mark.parametrize("under_parent", [False, True])
def test_registered_phantom_fuses_as_if_it_had_never_moved(under_parent):
    scene, logic = new_scene()
    anatomical = add_volume(scene, head(Grid()), "T1")
    straight = add_volume(scene, head(Grid(), "pet"), "straight")
    displaced, motion = moved(head(Grid(), "pet"), *TILTED)
    functional = add_volume(scene, displaced, "PET")
    parent = None
    if under_parent:
        pose = np.block([[rotation((20, -10, 30)), np.array([[14.0], [-5], [8]])], [np.eye(4)[3:]]])
        parent = add_transform(scene, pose, "pose")
        for node in (anatomical, straight, functional):
            node.SetAndObserveTransformNodeID(parent.GetID())
    fuser = maximum_fuser()
    wanted = slicer.util.arrayFromVolume(mrml.fuse_nodes(anatomical, straight, fuser=fuser, **UNIT)).copy()
    before = node_ids(scene)
    # The exact answer, as register_rigid would give it: from anatomical to functional points, world LPS.
    exact = sitk.Euler3DTransform()
    world = mrml.node_to_image(functional)
    ras_to_lps = np.diag([-1.0, -1, 1, 1])
    to_world = np.eye(4) if parent is None else ras_to_lps @ pose @ ras_to_lps
    motion = to_world @ motion @ np.linalg.inv(to_world)
    exact.SetMatrix(motion[:3, :3].ravel().tolist())
    exact.SetTranslation(motion[:3, 3].tolist())
    transform = mrml.apply_registration(functional, exact)
    assert transform.IsA("vtkMRMLLinearTransformNode") and "PET" in transform.GetName()
    assert node_ids(scene) - before == {transform.GetID()}
    registered = slicer.util.arrayFromVolume(mrml.fuse_nodes(anatomical, functional, fuser=fuser, **UNIT))
    np.testing.assert_allclose(registered, wanted, atol=0.02)
    mrml.undo_registration(functional)
    assert functional.GetTransformNodeID() == (parent.GetID() if parent else None)
    assert scene.GetNodeByID(transform.GetID()) is None
    np.testing.assert_allclose(mrml.node_to_image(functional).GetOrigin(), world.GetOrigin())
    with pytest.raises(InputError, match="nothing to undo"):
        mrml.undo_registration(functional)


@pytest.mark.parametrize("slices", [slice(8, 9), slice(8, 10)])
def test_what_is_too_thin_to_tell_is_not_moved(slices):
    grid = Grid()
    thin = head(grid, "pet")[:, :, slices]
    with pytest.raises(InputError, match="too thin to tell"):
        register_rigid(head(grid), thin)
