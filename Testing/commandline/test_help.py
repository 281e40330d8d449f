"""What `mmifamin --help` and the commands' own help tell."""

import re

import pytest

from MMIFAminLib.commandline import main

USERS = ["fuse", "cohort", "pairs", "metrics", "series", "info", "demo", "mip", "hottest"]
DEVELOPERS = ["data", "train", "ablate", "bundle", "lesions", "truth"]


def test_help_tells_commands_for_users_from_those_for_work_on_the_method(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert out.startswith("usage: mmifamin [-h] [--version] COMMAND ...\n")
    users, developers = out.split("to fuse and to score:")[1].split("to work on the method:")
    for group, commands in ((users, USERS), (developers, DEVELOPERS)):
        assert re.findall(r"^    (\w+) +\w", group, re.MULTILINE) == commands


@pytest.mark.parametrize("command", USERS + DEVELOPERS)
def test_help_of_a_command_explains_every_option(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    out = capsys.readouterr().out
    assert end.value.code == 0 and not re.search(r"^    \w", out.split("\n\n")[1], re.MULTILINE)
    options = re.split(r"\n  (?=-|[A-Z])", out.split("options:")[1])
    assert all(len(re.sub(r"\s+", " ", option).split(" ")) > 2 for option in options if option.strip())


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
    kinds = {"train": "ablation", "ablate": "medical"}  # those of the other command are no use here
    assert command not in kinds or kinds[command] not in out.split("to choose from:")[1]
