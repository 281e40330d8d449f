"""The fusion loss: its terms and the adaptive weights between them."""

from .adaptive import AdaptiveLoss, Standing
from .goals import GoalLoss
from .lesion import plant_lesions
from .terms import TERMS

__all__ = ["TERMS", "AdaptiveLoss", "GoalLoss", "Standing", "plant_lesions"]
