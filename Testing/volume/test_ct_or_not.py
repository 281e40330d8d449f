"""What is taken for a CT: the shares of air and tissue and the range of its values, to the number."""

import numpy as np

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
