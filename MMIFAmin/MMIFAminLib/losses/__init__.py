"""The fusion loss: its terms and the adaptive weights between them."""

from .adaptive import AdaptiveLoss, Standing
from .lesion import plant_lesions
from .terms import TERMS

__all__ = ["TERMS", "AdaptiveLoss", "Standing", "plant_lesions"]
