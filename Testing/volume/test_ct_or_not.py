"""What is taken for a CT: the shares of air and tissue and the range of its values, to the number."""

import numpy as np
import pytest

from MMIFAminLib.volume.hounsfield import hounsfield_scale
from MMIFAminLib.volume.intensity import background_value, looks_like_ct


def test_background_is_zero_where_something_is_above_it_and_else_the_minimum():
    assert background_value(np.array([-3.0, 0.0, 7.0])) == 0
    assert background_value(np.array([-5.0, -3.0])) == -5
    assert background_value(np.array([-5.0, 0.0])) == -5


def test_a_little_that_is_as_low_as_air_makes_no_ct():
    values = np.linspace(-150, 250, 10_000)
    for share, ct in ((0.01, False), (0.04, False), (0.06, True)):
        values[: round(share * values.size)] = -900
        assert looks_like_ct(values) == ct, share


def test_air_and_bone_without_tissue_and_values_of_no_scanner_make_no_ct():
    values = np.full(1000, -1000.0)
    values[:300] = 30
    assert looks_like_ct(values)
    for change in (700, 300, -200):  # as bright as bone, and at the ends of what counts as tissue
        assert not looks_like_ct(np.where(values == 30, change, values))
    for low, high, ct in ((-10000, 30, True), (-32768, 30, True), (-1000, 40000, True), (-1000, 40001, False)):
        changed = values.copy()
        changed[-1], changed[0] = low, high
        assert looks_like_ct(changed) == ct, (low, high)
    assert looks_like_ct(np.where(values == -1000, -500, values)), "-500 is still air"
    assert looks_like_ct(np.where(values == -1000, -499, values)), "air was clipped: the rest is soft tissue"
    assert not looks_like_ct(np.where(values == -1000, -99, values))
    assert not looks_like_ct(np.where(values == -1000, -499, np.where(values == 30, 200, values)))
    for share, ct in ((0.02, True), (0.019, False)):
        few = np.full(1000, -1000.0)
        few[: round(share * 1000)] = 30
        assert looks_like_ct(few) == ct


def test_background_of_a_ct_is_air_also_where_its_padding_is_lower():
    values = np.full(1000, -1000.0)
    values[:300], values[-5:] = 30, -2048
    assert background_value(values) == -1000
    assert background_value(np.maximum(values, -900)) == -900


@pytest.mark.parametrize("tissue", [0.4004, 0.4043], ids=["even bin", "odd bin"])
def test_the_units_of_a_ct_in_0_to_1_are_found_from_its_air_and_soft_tissue(tissue):
    """Air at 0 is -1000 HU and the middle of soft tissue 40: a hundredth of the way between them is 10.4 HU."""
    around = np.random.default_rng(0).normal(tissue, 0.004, 60_000)
    bone = np.linspace(tissue + 0.12, 1, 6_000)
    scale, offset = hounsfield_scale(np.concatenate([np.zeros(30_000), around, bone]).astype(np.float32))
    air, middle = (np.array([0, tissue]) - offset) / scale
    assert air == pytest.approx(-1000, abs=0.1) and middle == pytest.approx(40, abs=3.5)


def test_a_ct_of_other_numbers_than_0_to_1_is_not_guessed_at():
    values = np.concatenate(
        [np.zeros(3000), np.random.default_rng(0).normal(0.4, 0.004, 6000), np.linspace(0.5, 1.2, 600)]
    )
    assert hounsfield_scale(values.astype(np.float32)) is None


@pytest.mark.parametrize("share, ct", [(0.04, False), (0.06, True)])
def test_air_that_was_clipped_is_a_twentieth_of_the_voxels_or_more(share, ct):
    values = np.linspace(0, 60, 10_000)
    values[: round(share * values.size)] = -200
    assert looks_like_ct(values) == ct
