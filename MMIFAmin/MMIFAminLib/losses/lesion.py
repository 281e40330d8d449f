"""Lesions in training's uptake: small, hot or cold, anywhere.

Few training images show any. That a lesion is seen is no matter of training (``network.bounds`` has the proof), but the
network learns what to do with its reach on images that have them.
"""

import torch

_MARGIN = 0.125  # of the patch: lesions are centred inside it
_SIGMA = (2.5, 6.4)  # pixels; 6 to 15 pixels full width at half maximum
_CONTRAST = (0.2, 0.6)


def plant_lesions(b: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Plant one Gaussian lesion, hot or cold, in every image of ``b``, ``(N, 1, H, W)`` in [0, 1].

    ``draws`` ``(N, 5)`` in [0, 1) choose row, column, width (6 to 15 pixels), contrast (20 to 60 %) and sign. Returns
    the changed images.
    """
    height, width = b.shape[-2:]
    draws = draws.to(b).view(-1, 5, 1, 1)
    rows = torch.arange(height, device=b.device, dtype=b.dtype).view(1, -1, 1)
    columns = torch.arange(width, device=b.device, dtype=b.dtype).view(1, 1, -1)
    row = height * (_MARGIN + (1 - 2 * _MARGIN) * draws[:, 0])
    column = width * (_MARGIN + (1 - 2 * _MARGIN) * draws[:, 1])
    sigma = _SIGMA[0] + (_SIGMA[1] - _SIGMA[0]) * draws[:, 2]
    contrast = (_CONTRAST[0] + (_CONTRAST[1] - _CONTRAST[0]) * draws[:, 3]) * torch.where(draws[:, 4] < 0.5, -1.0, 1.0)
    profile = torch.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * sigma**2)).unsqueeze(1)
    return (b * (1 + contrast.unsqueeze(1) * profile)).clamp(0, 1)
