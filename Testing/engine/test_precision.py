"""What the shipped weights lose in bf16, which processors with such instructions use by themselves."""

import numpy as np
import pytest

from MMIFAminLib.engine.fusion import VolumeFuser
from MMIFAminLib.evaluation import metrics
from MMIFAminLib.files import images


@pytest.mark.parametrize("task, functional", [("CT-MRI", "CT"), ("PET-MRI", "PET"), ("SPECT-MRI", "SPECT")])
def test_bf16_keeps_the_structural_similarity_of_fp32(shared, task, functional):
    folder = shared / "data" / "harvard" / "val" / task
    sources = [[], []]
    for match in images.match_folders(folder / "MRI", folder / functional)[0][::20]:
        for kept, path in zip(sources, match.paths):
            kept.append(images.grey_levels(images.read_image(path)))
    a, b = (np.stack(kept) for kept in sources)
    ssim = {}
    for precision in ("fp32", "bf16"):
        units = (a / np.float32(255), b / np.float32(255))
        fused = VolumeFuser.load("cpu", precision).fuse_arrays(*units, uptake=False)
        ssim[precision] = np.mean([metrics.score(*case)["SSIM"] for case in zip(a, b, np.rint(255 * fused))])
    assert ssim["bf16"] != ssim["fp32"]
    assert abs(ssim["bf16"] - ssim["fp32"]) <= 0.002
