"""Network weights on disk: find them, verify them, load them. Only safetensors; a pickle is never opened."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import WeightsError

if TYPE_CHECKING:
    from ..network import MMIFAMIN

_FOLDERS = (
    Path(__file__).resolve().parents[2] / "Resources" / "Models",  # a checkout, and the module as Slicer installs it
    Path(__file__).resolve().parents[1] / "Models",  # a wheel
)
DEFAULT = "mmif-amin"
_LARGEST = 100 * 2**20  # bytes; a hundred times our own weights


@dataclass(frozen=True)
class WeightsInfo:
    """Which weights are in use: ``name``, ``path``, ``sha256`` of the file, and the model ``card`` beside it."""

    name: str
    path: Path
    sha256: str
    card: dict[str, Any]


def find_weights(name: str | Path | None = None) -> Path:
    """The safetensors file called ``name``: a path, or the name of shipped weights (default: the medical ones).

    Raises WeightsError if there is none.
    """
    if name is not None and Path(name).suffix:
        path = Path(name)
        if not path.is_file():
            raise WeightsError(f"No weights at {path}: give the path of a .safetensors file made by `mmifamin train`.")
        return path
    for folder in _FOLDERS:
        path = folder / f"{name or DEFAULT}.safetensors"
        if path.is_file():
            return path
    shipped = sorted({path.stem for folder in _FOLDERS for path in folder.glob("*.safetensors")})
    raise WeightsError(
        f"No weights named {name or DEFAULT!r}; shipped with this version: {', '.join(shipped) or 'none'}."
    )


def load_weights(name: str | Path | None = None) -> "tuple[MMIFAMIN, WeightsInfo]":
    """Load verified weights: ``(network in eval mode, float32, on the CPU; WeightsInfo)``.

    Raises WeightsError if the file is missing, not safetensors, has no model card (the JSON file of the same name), does
    not have the card's SHA-256, or does not fit the architecture on the card.
    """
    path = find_weights(name)
    if path.suffix != ".safetensors":
        raise WeightsError(f"{path.name} is not a .safetensors file; other formats can run code and are not opened.")
    card = _read_card(path)
    if path.stat().st_size > _LARGEST:
        raise WeightsError(f"{path.name} is larger than any MMIF-AMIN network and was not read.")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != card.get("sha256"):
        raise WeightsError(
            f"{path.name} is not the file its model card describes (SHA-256 differs): copy both again, or reinstall MMIFAmin."
        )
    return _build(path, content, card), WeightsInfo(path.stem, path, digest, card)


def save_weights(network: "MMIFAMIN", path: Path, card: dict[str, Any]) -> str:
    """Write ``network`` to ``path`` (.safetensors) with its model card beside it, each atomically; return the SHA-256.

    The card gets the architecture, the number of parameters and the hash; the rest of ``card`` is kept as given.
    """
    import safetensors.torch

    from ..files.writing import atomic_path

    tensors = {key: value.detach().float().cpu().contiguous() for key, value in network.state_dict().items()}
    content = safetensors.torch.save(tensors)
    digest = hashlib.sha256(content).hexdigest()
    facts = {
        "sha256": digest,
        "parameters": sum(value.numel() for value in tensors.values()),
        "architecture": network.architecture.to_dict(),
    }
    with atomic_path(path) as temporary:
        Path(temporary).write_bytes(content)
    with atomic_path(path.with_suffix(".json")) as temporary:
        Path(temporary).write_text(json.dumps(card | facts, indent=2) + "\n", encoding="utf-8")
    return digest


def _read_card(path: Path) -> dict[str, Any]:
    card_path = path.with_suffix(".json")
    try:
        card = json.loads(card_path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(
            f"{path.name} has no model card {card_path.name} beside it, so it cannot be verified."
        ) from None
    except (OSError, ValueError) as error:
        raise WeightsError(f"The model card {card_path.name} cannot be read ({error}).") from None
    if not isinstance(card, dict):
        raise WeightsError(f"The model card {card_path.name} is not a JSON object.")
    return card


def _build(path: Path, content: bytes, card: dict[str, Any]):
    import safetensors
    import safetensors.torch

    from ..network import MMIFAMIN, Architecture

    try:
        network = MMIFAMIN(Architecture.from_dict(card["architecture"]))
        # In files older than version 0.2 the Transformers' convolutions lie one level deeper.
        state = {name.replace(".conv.", "."): value for name, value in safetensors.torch.load(content).items()}
        network.load_state_dict(state)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(f"{path.name} does not hold this version's MMIF-AMIN network ({reason}).") from None
    return network.eval()
