"""Search for a pair of images on which the weights that ship hide, invert or bleach uptake.

    python Testing/campaigns/bounds.py [--pairs 20000] [--starts 50] [--steps 200] [--output FILE]

Random pairs (white, black, striped, noisy and smooth anatomy and uptake, noise of 0 to 15 %) and an adversary that climbs
the gradient over anatomy, uptake and lesion. Two questions of every pair: how far is the fused value below the
darker of uptake and anatomy as it is shown (``below``; in [0, 1]), and what part of a rise of uptake (FWHM 4 to 20
pixels, height 0.1 and more) does the fused value rise by on the mean over the lesion's core (``gain``)? Writes the worst
of each campaign; exit code 1 if one is below 1/255 or under a quarter.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from MMIFAminLib.engine.weights import load_weights
from MMIFAminLib.files import write_csv
from MMIFAminLib.network.bounds import HEADROOM

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results" / "bounds.csv"
SIZE, BATCH = 48, 50
LEAST, LEVEL = 0.25, 1 / 255


def lesions(center, fwhm):
    """Gaussian bumps of peak 1 ``(N, 1, SIZE, SIZE)`` and their cores: centres ``(N, 2)`` and ``fwhm`` ``(N,)`` in pixels."""
    place = torch.arange(SIZE, dtype=torch.float32)
    rows = (place[None, :, None] - center[:, 0, None, None]).square()
    columns = (place[None, None, :] - center[:, 1, None, None]).square()
    squared = (rows + columns)[:, None]
    width = fwhm[:, None, None, None]
    return torch.exp(-4 * np.log(2) * squared / width.square()), (
        squared.detach() <= (width.detach() / 2).square()
    ).float()


def judge(network, a, below, height, center, fwhm, grain):
    """``(below, gain)``, ``(N,)`` each, of anatomy and uptake ``(N, 1, SIZE, SIZE)``."""
    bump, core = lesions(center, fwhm)
    without, with_lesion = (
        (u + grain).clamp(0, 1) for u in (below * (1 - height), below * (1 - height) + height * bump)
    )
    flags = torch.ones(len(a))
    plain, hot = network(a, without, flags), network(a, with_lesion, flags)

    def mean(image):
        return (image * core).sum(dim=(1, 2, 3)) / core.sum(dim=(1, 2, 3))

    rise = mean(with_lesion - without)
    depth = (torch.minimum(HEADROOM * a, with_lesion) - hot).amax(dim=(1, 2, 3))
    return depth, mean(hot - plain) / rise.clamp(min=1e-6), rise


def images(random, count):
    """Images ``(count, 1, SIZE, SIZE)`` in [0, 1] of five kinds."""
    made = np.empty((count, 1, SIZE, SIZE), np.float32)
    rows, columns = np.indices((SIZE, SIZE))
    for image in made:
        kind = random.integers(5)
        if kind < 2:
            image[:] = kind
        elif kind == 2:
            image[:] = columns // random.integers(1, 7) % 2
        elif kind == 3:
            image[:] = random.random((SIZE, SIZE))
        else:
            angle, length = random.uniform(0, np.pi), random.uniform(4, 60)
            image[:] = 0.5 + 0.5 * np.sin((rows * np.sin(angle) + columns * np.cos(angle)) / length * 2 * np.pi)
        if random.random() < 0.5:
            image *= random.random()
    return torch.from_numpy(made)


def draw(random, count):
    """Centres, widths, heights ``(count, 1, 1, 1)`` and noise of lesions."""
    center = torch.from_numpy(random.uniform(10, SIZE - 10, (count, 2)).astype(np.float32))
    fwhm = torch.from_numpy(random.uniform(4, 20, count).astype(np.float32))
    height = torch.from_numpy(random.uniform(0.1, 1, (count, 1, 1, 1)).astype(np.float32))
    deviation = random.uniform(0, 0.15, (count, 1, 1, 1))
    grain = torch.from_numpy((deviation * random.standard_normal((count, 1, SIZE, SIZE))).astype(np.float32))
    return center, fwhm, height, grain


class Worst:
    """The worst seen of each question."""

    def __init__(self, campaign):
        self.row = {"campaign": campaign, "pairs": 0, "below": -np.inf, "gain": np.inf}

    def add(self, depth, gain, rise):
        """Take the answers to a batch; lesions that the window's ends swallow rise by nothing and are not asked."""
        self.row["pairs"] += len(depth)
        self.row["below"] = max(self.row["below"], depth.max().item())
        asked = gain[rise > 0.01]
        if len(asked):
            self.row["gain"] = min(self.row["gain"], asked.min().item())


def at_random(network, pairs, random):
    """The campaign of random pairs."""
    worst = Worst("random pairs")
    with torch.inference_mode():
        for _ in range(-(-pairs // BATCH)):
            a, below = images(random, BATCH), images(random, BATCH)
            center, fwhm, height, grain = draw(random, BATCH)
            worst.add(*judge(network, a, below, height, center, fwhm, grain))
    return worst.row


def adversary(network, starts, steps, random):
    """Gradient ascent from random starts: half of them towards the least gain, half towards the deepest hole."""
    worst = Worst(f"gradient ascent, {steps} steps")
    for start in range(0, starts, BATCH):
        count = min(BATCH, starts - start)
        center, fwhm, height, grain = draw(random, count)
        free = [torch.logit(image.clamp(0.02, 0.98)) for image in (images(random, count), images(random, count))]
        free += [center, torch.logit((fwhm - 4) / 16, 1e-3), torch.logit((height - 0.1) / 0.9, 1e-3)]
        free = [value.requires_grad_() for value in free]
        optimizer = torch.optim.Adam(free, lr=0.1)
        target = torch.arange(count) % 2 == 0
        for _ in range(steps):
            a, below, place, width, peak = free
            answers = judge(
                network,
                a.sigmoid(),
                below.sigmoid(),
                0.1 + 0.9 * peak.sigmoid(),
                place.clamp(8, SIZE - 8),
                4 + 16 * width.sigmoid(),
                grain,
            )
            depth, gain, _ = answers
            loss = torch.where(target, gain, -10 * depth).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            worst.add(*(answer.detach() for answer in answers))
    worst.row["pairs"] = starts
    return worst.row


def main() -> int:
    """Run both campaigns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=20000)
    parser.add_argument("--starts", type=int, default=50)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    network, weights = load_weights()
    network.requires_grad_(False)
    random = np.random.default_rng(options.seed)
    rows = [
        at_random(network, options.pairs, random),
        adversary(network, options.starts, options.steps, random),
    ]
    write_csv([row | {"weights": weights.sha256[:12]} for row in rows], options.output)
    for row in rows:
        print(
            f"{row['campaign']}: {row['pairs']} pairs, worst gain {row['gain']:.3f}, deepest {row['below']:.4f} below"
        )
    return int(any(row["gain"] < LEAST or row["below"] > LEVEL for row in rows))


if __name__ == "__main__":
    sys.exit(main())
