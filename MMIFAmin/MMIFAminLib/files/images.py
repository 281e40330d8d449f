"""Folders of 2D image pairs: partners by equal names, reading, the three colour protocols, writing.

Protocols for a functional image that is coded in colours:

- ``ycbcr``: fuse its luma and keep its Cb and Cr, as the literature does;
- ``palette``: recover the uptake through the known palette, fuse that, colour the fused image by uptake;
- ``scalar``: the same fusion of uptake, written grey.

Grey pairs give grey images under each of them. Grey levels are divided by the full scale (255 for 8 bits): no image is
stretched on its own, so that a folder stays comparable with itself and with other methods.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from PIL import Image

from ..display import color
from ..errors import FusionCancelled, InputError
from .writing import atomic_path, make_folder

PROTOCOLS = ("ycbcr", "palette", "scalar")
EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


class Fuser(Protocol):
    """What fusing a pair takes of a ``VolumeFuser``."""

    def fuse_arrays(self, a: np.ndarray, b: np.ndarray, *, uptake: bool = True) -> np.ndarray: ...


class Match(NamedTuple):
    """Files of one name (without extension), one from each folder asked for."""

    name: str
    paths: tuple[Path, ...]


def match_folders(*folders: str | Path) -> tuple[list[Match], list[Path]]:
    """Images whose name without extension occurs in all `folders`, sorted, and the files that lack a partner.

    Raises InputError where a folder does not exist, holds two images of one name, or no name is common to all.
    """
    listings = [_listing(Path(folder)) for folder in folders]
    common = sorted(set.intersection(*(set(listing) for listing in listings)))
    if not common:
        raise InputError(f"No image name occurs in all of {', '.join(map(str, folders))}: partners need equal names.")
    lonely = [listing[name] for listing in listings for name in sorted(set(listing) - set(common))]
    return [Match(name, tuple(listing[name] for listing in listings)) for name in common], lonely


def _listing(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder.")
    listing: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        # Hidden files are no images of the user: what a killed run left half-written, or macOS's "._" companions.
        if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") and path.is_file():
            if path.stem in listing:
                raise InputError(f"{listing[path.stem]} and {path} have one name: keep one of them.")
            listing[path.stem] = path
    if not listing:
        raise InputError(f"{folder} holds no PNG, JPG or TIFF images.")
    return listing


def read_image(path: str | Path) -> np.ndarray:
    """Read a 2D image: (H, W) grey as uint8 or uint16, or (H, W, 3) RGB as uint8.

    RGB files whose channels are equal are grey; transparency is dropped. Raises InputError where the file cannot be
    read, has several pages or holds other numbers (floats, signed or 32-bit integers).
    """
    with _opened(path) as image:
        if _sixteen_bits(image):
            return np.asarray(image).astype(np.uint16)
        if image.mode in ("1", "L", "LA"):
            return np.array(image.convert("L"))
        rgb = np.array(image.convert("RGB"))
    grey = (rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 1] == rgb[..., 2]).all()
    return rgb[..., 0] if grey else rgb


@contextmanager
def _opened(path: str | Path) -> Iterator[Image.Image]:
    """The image file, its pixels not yet decoded; whatever Pillow raises becomes one InputError."""
    try:
        with Image.open(path) as image:
            if getattr(image, "n_frames", 1) > 1:
                raise InputError(f"{path} holds {image.n_frames} images: split it, or convert it to a volume.")
            if image.mode in ("I", "F") and not _sixteen_bits(image):
                raise InputError(f"{path} holds float or 32-bit grey values: save it with 8 or 16 bits.")
            yield image
    except InputError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} cannot be read as an image ({error}).") from error


def _sixteen_bits(image: Image.Image) -> bool:
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")


def write_image(image: np.ndarray, path: str | Path) -> None:
    """Write a uint8 (H, W) or (H, W, 3) image as PNG, complete or not at all."""
    with atomic_path(path) as temporary:
        Image.fromarray(image).save(temporary, format="PNG")


def grey_levels(image: np.ndarray, white: float = 65535.0) -> np.ndarray:
    """The image as 8-bit grey (H, W), as evaluators see it: luma of RGB; 16 bits scaled so that `white` becomes 255."""
    if image.ndim == 3:
        return color.luma(image)
    return image if image.dtype == np.uint8 else _levels(image.astype(np.float32) / np.float32(white))


def with_luma(rgb: np.ndarray, luma: np.ndarray) -> np.ndarray:
    """Replace the luma of `rgb`, keeping Cb and Cr as far as the RGB range allows.

    `rgb` (..., 3) and `luma` (...) are uint8; so is the result (..., 3). Where the colour would leave 0..255 its chroma
    is reduced, because clipping would change the luma; green, which weighs most, takes up the rounding of red and blue.
    The luma of the result, round(0.299 R + 0.587 G + 0.114 B), is then exactly `luma`.
    """
    target = luma.astype(np.float32)[..., None]
    rgb = rgb.astype(np.float32)
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    chroma = rgb - (rgb @ weights)[..., None]  # R-Y, G-Y, B-Y: the same information as Cb and Cr.
    room = np.where(chroma > 0, 255 - target, target)
    scale = np.min(np.minimum(room / np.maximum(np.abs(chroma), 1e-6), 1.0), axis=-1, keepdims=True)
    result = np.rint(target + scale * chroma)
    green = (target[..., 0] - 0.299 * result[..., 0] - 0.114 * result[..., 2]) / 0.587
    result[..., 1] = np.rint(green)
    return np.clip(result, 0, 255).astype(np.uint8)


def full_scale(paths: Iterable[Path]) -> float:
    """White of the 16-bit grey images among `paths`: 2^n - 1 for the fewest bits n in 8..16 that hold all their values.

    Cameras and scanners store 10 or 12 bits in 16-bit files; one scale for the folder keeps its images comparable.
    """
    peak = 0
    for path in paths:
        with _opened(path) as image:
            if _sixteen_bits(image):
                peak = max(peak, int(np.asarray(image).max()))
    return float(2 ** max(8, peak.bit_length()) - 1)


def fuse_folders(
    fuser: Fuser,
    anatomical: str | Path,
    functional: str | Path,
    output: str | Path,
    *,
    protocol: str = "ycbcr",
    progress: Callable[[float, str], object] | None = None,
) -> tuple[list[Path], list[Path]]:
    """Fuse the images of equal names in two folders; write each as 8-bit PNG of that name into `output`.

    `fuser` is a ``VolumeFuser``; `progress` is called with the fraction done and a text and may return False to stop.
    Returns the files written and those left out for want of a partner. Raises InputError for unknown protocols, pairs
    of unequal size and colours that belong to no known palette.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"Unknown protocol '{protocol}': choose {', '.join(PROTOCOLS)}.")
    matches, lonely = match_folders(anatomical, functional)
    output = Path(output)
    if output.resolve() in (Path(anatomical).resolve(), Path(functional).resolve()):
        raise InputError(f"{output} holds the sources: choose another folder for the fused images.")
    whites = [full_scale(paths) for paths in zip(*(match.paths for match in matches))]
    written = []
    for count, match in enumerate(matches):
        if progress and progress(count / len(matches), f"Fusing {match.name}") is False:
            raise FusionCancelled(f"Stopped after {count} of {len(matches)} images.")
        fused = _fuse_pair(fuser, match.paths, whites, protocol)
        written.append(make_folder(output) / f"{match.name}.png")  # not before there is something to put into it
        write_image(fused, written[-1])
    if progress:
        progress(1.0, f"Fused {len(matches)} images")
    return written, lonely


def _fuse_pair(fuser: Fuser, paths: Sequence[Path], whites: Sequence[float], protocol: str) -> np.ndarray:
    """The fused image, uint8 (H, W) or (H, W, 3). One pair a call, so that nothing else in the folder influences it."""
    anatomical, functional = (read_image(path) for path in paths)
    if anatomical.shape[:2] != functional.shape[:2]:
        sizes = " and ".join(f"{path} is {i.shape[1]}x{i.shape[0]}" for path, i in zip(paths, (anatomical, functional)))
        raise InputError(f"{sizes}: the two images of a pair must have equal sizes.")

    table = None
    if functional.ndim == 3 and protocol != "ycbcr":
        try:
            b, table = color.recover_uptake(functional)
        except InputError as error:
            raise InputError(f"{paths[1]}: {error}") from error
    else:
        b = _unit(functional, whites[1])
    # A grey functional image is taken for uptake only where that is asked for, else for a CT or MR.
    uptake = table is not None or protocol == "scalar"
    fused = fuser.fuse_arrays(_unit(anatomical, whites[0])[None], b[None], uptake=uptake)[0]
    if table and protocol == "palette":
        return color.colorize(fused, b, color.ColorTable.named(table))
    coloured = functional if functional.ndim == 3 else anatomical
    return with_luma(coloured, _levels(fused)) if protocol == "ycbcr" and coloured.ndim == 3 else _levels(fused)


def _unit(image: np.ndarray, white: float) -> np.ndarray:
    if image.dtype == np.uint16:
        return image.astype(np.float32) / np.float32(white)
    return grey_levels(image).astype(np.float32) / np.float32(255)


def _levels(fused: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(fused, 0, 1) * 255).astype(np.uint8)
