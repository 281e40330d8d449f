"""Lesion response: a fused image must change where uptake changes, and in the same direction.

Metrics that compare images as wholes hardly notice a small hot or cold lesion. So synthetic lesions are planted in the
functional image during training, the pair is fused a second time, and the shortfall of the response is penalised.
"""

import torch

_MARGIN = 0.125  # of the patch: lesions are centred inside it
_SIGMA = (2.5, 6.4)  # pixels; 6 to 15 pixels full width at half maximum
_CONTRAST = (0.2, 0.6)
_VISIBLE = 0.02  # of the grey range: a mean change that can be seen


def plant_lesions(b: torch.Tensor, draws: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Plant one Gaussian lesion, hot or cold, in every image of ``b``, ``(N, 1, H, W)`` in [0, 1].

    ``draws`` ``(N, 5)`` in [0, 1) choose row, column, width (6 to 15 pixels), contrast (20 to 60 %) and sign. Returns
    the changed images and the lesions' profiles in [0, 1], both of the shape of ``b``.
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
    return (b * (1 + contrast.unsqueeze(1) * profile)).clamp(0, 1), profile


def lesion_shortfall(
    change_b: torch.Tensor, change_f: torch.Tensor, profile: torch.Tensor, recovery: float
) -> torch.Tensor:
    """How far the fused image's response falls short of ``recovery`` times the change of the functional image.

    ``change_b`` and ``change_f`` ``(N, 1, H, W)`` are with minus without lesion. A scalar: 0 where every lesion shows
    with at least ``recovery`` of its contrast, ``recovery`` where none shows, more where they show inverted. Lesions
    that hardly change the uptake themselves (outside the head) count for little.
    """
    missing = torch.relu(recovery * change_b.abs() - change_f * change_b.sign()) * profile
    return missing.sum() / torch.maximum((change_b.abs() * profile).sum(), _VISIBLE * profile.sum()).clamp(min=1e-6)
