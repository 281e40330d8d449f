"""What there is to choose from, for the help of a command: found when that help is asked for, so that nothing is loaded
before.
"""

from pathlib import Path

_LIBRARY = Path(__file__).resolve().parents[1]


def color_tables() -> str:
    """The names of the built-in colour tables."""
    from ..display.color import TABLES

    return ", ".join(TABLES)


def presets() -> str:
    """The kinds of study that there are presets for."""
    from ..study import PRESETS

    return ", ".join(PRESETS)


def methods() -> str:
    """Our method and the classical baselines."""
    from ..evaluation.baselines import BASELINES

    return ", ".join(("mmif-amin", *BASELINES))


def configurations() -> str:
    """The configurations of trainings that ship."""
    return _configurations(of_ablations=False)


def ablations() -> str:
    """The configurations of ablations that ship."""
    return _configurations(of_ablations=True)


def _configurations(of_ablations: bool) -> str:
    names = sorted(path.stem for path in (_LIBRARY / "training" / "configs").glob("*.yaml"))
    return ", ".join(name for name in names if name.startswith("ablation") == of_ablations)


def weights() -> str:
    """The weights that ship: looked for where ``engine.weights`` does, which needs PyTorch to load them."""
    folders = (_LIBRARY.parent / "Resources" / "Models", _LIBRARY / "Models")
    return ", ".join(sorted({path.stem for folder in folders for path in folder.glob("*.safetensors")}))
