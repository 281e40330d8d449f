"""Of the folder of real data a part may be there: tests of the others skip and say how to get theirs."""

import pytest

from support.real_data import SharedFolder


def test_a_test_skips_only_for_a_part_that_is_not_there(tmp_path):
    (tmp_path / "data" / "harvard").mkdir(parents=True)
    shared = SharedFolder(tmp_path)
    assert str(shared / "data" / "harvard" / "val") == str(tmp_path / "data" / "harvard" / "val")
    assert not (shared / "data" / "harvard" / "a file that should be there.png").exists()
    for place, words in (
        ("data/volumes", "mmifamin data harvard CLONE"),
        ("data/templates/T1.nii.gz", "mmifamin data templates CLONE"),
        ("reference", "no public data set"),
        ("data/suv/x.json", "no public data set"),
    ):
        with pytest.raises(pytest.skip.Exception, match=words):
            shared / place
    with pytest.raises(pytest.skip.Exception, match=f"data roadscene CLONE --output {tmp_path / 'data'}"):
        shared / "data" / "roadscene" / "val"


def test_the_body_may_come_without_its_uptake(tmp_path):
    (tmp_path / "data" / "body").mkdir(parents=True)
    (tmp_path / "data" / "body" / "ct.nrrd").write_bytes(b"")
    shared = SharedFolder(tmp_path)
    assert (shared / "data" / "body" / "ct.nrrd").exists() and (shared / "data/body").exists()
    with pytest.raises(pytest.skip.Exception, match="no public data set"):
        shared / "data" / "body" / "fdg.nrrd"
