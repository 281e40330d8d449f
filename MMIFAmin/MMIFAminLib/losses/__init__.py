"""The fusion loss: its terms and the adaptive weights between them."""

from .adaptive import STEP, AdaptiveLoss, Standing
from .lesion import plant_lesions
from .terms import TERMS

__all__ = [
    "AdaptiveLoss",
    "STEP",
    "Standing",
    "TERMS",
    "plant_lesions",
]
