"""What `mmifamin --help` and the commands' own help tell."""

import re

import pytest

from MMIFAminLib.commandline import main


def test_help_tells_commands_for_users_from_those_for_work_on_the_method(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert out.startswith("usage: mmifamin [-h] [--version] COMMAND ...\n")
    users, developers = out.split("to fuse and to score:")[1].split("to work on the method:")
    assert re.findall(r"^    (\w+)", users, re.MULTILINE) == [
        "fuse",
        "cohort",
        "pairs",
        "metrics",
        "series",
        "info",
        "demo",
        "mip",
        "hottest",
    ]
    assert re.findall(r"^    (\w+)", developers, re.MULTILINE) == [
        "data",
        "train",
        "ablate",
        "bundle",
        "lesions",
        "truth",
    ]


@pytest.mark.parametrize(
    "command, name",
    [
        ("fuse", "harvard-spect"),
        ("fuse", "pet-mr-brain"),
        ("cohort", "ct-mr-planning"),
        ("fuse", "mmif-amin-roadscene"),
        ("train", "roadscene"),
        ("ablate", "ablation"),
    ]
    + [("lesions", "laplacian_pyramid"), ("lesions", "inferno"), ("bundle", "mmif-amin-roadscene")],
)
def test_help_names_what_there_is_to_choose_from(command, name, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    out = capsys.readouterr().out
    assert out.startswith(f"usage: mmifamin {command} ")
    assert re.search(rf"[ ,]{name}(,|$)", out.split("to choose from:")[1], re.MULTILINE)
