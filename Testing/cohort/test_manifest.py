"""Tables of studies: what is a row, and what is told of a misprint."""

import subprocess
import sys

import pytest

from MMIFAminLib.cohort import Row, read_manifest
from MMIFAminLib.errors import InputError


def table(folder, text, name="studies.csv", encoding="utf-8"):
    path = folder / name
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize(
    "name,text,encoding",
    [
        ("studies.csv", "id,anatomical,functional,options\na,t1.nrrd,pet.nrrd,--rgb\nb,/data/cd,,\n", "utf-8"),
        (
            "studies.tsv",
            "functional\tid\tanatomical\tsex\toptions\npet.nrrd\ta\tt1.nrrd\tF\t--rgb\n\tb\t/data/cd\tM\t\n",
            "utf-8",
        ),
        (
            "studies.csv",
            'Id;Anatomical;Functional;Options\r\na;t1.nrrd;pet.nrrd;"--rgb"\r\n\r\nb;/data/cd\r\n',
            "utf-8-sig",
        ),
    ],
    ids=["commas", "tabs, other columns", "a spreadsheet's semicolons and mark"],
)
def test_rows_of_a_table(tmp_path, name, text, encoding):
    studies = read_manifest(table(tmp_path, text, name, encoding))
    first, second = studies.rows
    assert first == Row("a", tmp_path / "t1.nrrd", tmp_path / "pet.nrrd", None, "--rgb")
    assert (second.id, str(second.anatomical), second.functional, second.options) == ("b", "/data/cd", None, "")


@pytest.mark.parametrize(
    "text,message",
    [
        ("", "has no column 'id'"),
        ("id,functional\na,b\n", "has no column 'anatomical'"),
        ("id,anatomical\n", "holds no study to fuse"),
        ("id,anatomical\na,x\nb,\n", "line 3: there is no anatomical volume"),
        ("id,anatomical\na,x\nA,y\n", "the id 'a' occurs 2 times"),
        ("id,anatomical\n../a,x\n", "'../a' cannot name a folder"),
        ("id,anatomical\n.cohort,x\n", "'.cohort' cannot name a folder"),
        ("id,anatomical\na.,x\n", "'a.' cannot name a folder"),
        ("id,anatomical\n,x\n", "line 2: there is no id"),
        ("anatomical,functional,id\na,x,1\nb,y\n", "line 3: there is no id"),
        ("id,anatomical,options\na,x,--plain coronal\n", "line 2: unrecognized arguments: --plain coronal"),
        ("id,anatomical,options\na,x,--device cuda\n", "line 2: unrecognized arguments: --device cuda"),
        ("id,anatomical,options\na,x,--functional-window suv:9:3\n", "line 2: intensity window 9.0:3.0 is empty"),
        ("id,anatomical,options\na,x,--frame two\n", "line 2: argument --frame: invalid int value"),
        ("id,anatomical,options\na,x,'--rgb\n", "No closing quotation"),
        ("id,anatomical\na,\xe9\n", "no table of text in UTF-8"),
    ],
)
def test_a_misprint_is_told_with_its_line(tmp_path, text, message):
    with pytest.raises(InputError) as caught:
        read_manifest(table(tmp_path, text, encoding="latin-1"))
    assert message in str(caught.value)


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="cannot be read: no such file"):
        read_manifest(tmp_path / "none.csv")


def test_rows_are_read_and_fused_without_dask_pybids_and_pytorch():
    """Slicer's panel uses both, and Slicer has neither dask nor pybids."""
    code = (
        "import sys; import MMIFAminLib.cohort.manifest, MMIFAminLib.cohort.work;"
        "print([name for name in ('dask', 'distributed', 'bids', 'torch', 'SimpleITK') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
