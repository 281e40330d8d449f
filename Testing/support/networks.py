"""Networks for tests of what is around them."""

import torch


def stirred(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Give every convolution weights of a trained size, also those that start at zero."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, torch.nn.Conv2d):
            fan_in = part.weight[0].numel()
            part.weight.data = torch.randn(part.weight.shape, generator=generator) / fan_in**0.5
    return module.eval()
