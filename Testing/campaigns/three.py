"""Search for three images of which two anatomical ones and uptake, fused at once, hide or invert what they show.

    python Testing/campaigns/three.py [--triples 2000] [--output FILE]

Random triples like the pairs of ``bounds.py``, with the weights that ship and with random ones ten times as strong. Of each:
how far is the fused value below what all three show (``below``), how bright is anatomy without uptake (``headroom``), and
what part of a rise of uptake does it rise by on the mean over a lesion's core (``gain``)? And what part of a dark spot that
the darker of the two anatomical images alone has does their fusion show (``dark``: the tenth percentile and the median), and
of a bright spot that the brighter one alone has (``bright``)? Exit code 1 where a bound of docs/method.md is broken; for
``dark`` and ``bright`` there is none.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from campaigns.bounds import BATCH, LEAST, LEVEL, draw, images, lesions
from MMIFAminLib.engine.weights import load_weights
from MMIFAminLib.files import write_csv
from MMIFAminLib.network import MMIFAMIN
from MMIFAminLib.network.bounds import HEADROOM, LEAST_RISE
from support.networks import stirred

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results" / "three.csv"


def mean(image, core):
    """The mean of ``image`` ``(N, 1, H, W)`` over ``core``, ``(N,)``."""
    return (image * core).sum(dim=(1, 2, 3)) / core.sum(dim=(1, 2, 3))


def search(uptake, anatomical, triples, random):
    """The worst of ``triples`` random triples for the networks of ``uptake`` and of two ``anatomical`` images."""
    none, full = torch.zeros(BATCH), torch.ones(BATCH)
    below, headroom, gain, dark, bright = -np.inf, -np.inf, np.inf, [], []
    for _ in range(-(-triples // BATCH)):
        a, b, under = (images(random, BATCH) for _ in range(3))
        center, fwhm, height, grain = draw(random, BATCH)
        bump, core = lesions(center, fwhm)
        plain, hot = ((u + grain).clamp(0, 1) for u in (under * (1 - height), under * (1 - height) + height * bump))
        anatomy = anatomical(a, b, none)
        without, with_lesion = (uptake(anatomy, u, full) for u in (plain, hot))
        darker = torch.minimum(a, b)
        shown = torch.maximum(HEADROOM * darker, torch.minimum(darker, hot))
        below = max(below, (shown - with_lesion).max().item())
        headroom = max(headroom, without[plain == 0].max().item())
        rise = mean(hot - plain, core)
        gain = min(gain, (mean(with_lesion - without, core) / rise)[rise >= LEAST_RISE].min().item())
        # only where b is the darker one, or the brighter one
        dimmed = torch.where(b <= a, b * (1 - height * bump), b)
        lit = torch.where(b >= a, b + height * bump * (1 - b), b)
        for spotted, shares in ((dimmed, dark), (lit, bright)):
            change = mean(spotted - b, core)
            asked = change.abs() >= LEAST_RISE
            shares += (mean(anatomical(a, spotted, none) - anatomy, core) / change)[asked].tolist()
    spots = {
        f"{name}_{part}": np.percentile(shares, part)
        for name, shares in (("dark", dark), ("bright", bright))
        for part in (10, 50)
    }
    return {"triples": triples, "below": below, "headroom": headroom, "gain": gain} | spots


def main() -> int:
    """Run the campaign with both kinds of weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--triples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.manual_seed(options.seed)  # of what `stirred` leaves as it was made
    wild = [stirred(MMIFAMIN(), seed=seed) for seed in (3, 4)]
    for network in wild:
        for parameter in network.parameters():
            parameter.data *= 10
    shipped = load_weights()[0]
    with torch.inference_mode():
        rows = [
            {"weights": name} | search(*networks, options.triples, np.random.default_rng(options.seed))
            for name, networks in (("shipped", (shipped, shipped)), ("random", wild))
        ]
    write_csv(rows, options.output)
    for row in rows:
        print(
            ", ".join(
                f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()
            )
        )
    return int(any(row["gain"] < LEAST or row["below"] > LEVEL or row["headroom"] > 0.61 for row in rows))


if __name__ == "__main__":
    sys.exit(main())
