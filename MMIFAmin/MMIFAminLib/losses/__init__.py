"""The fusion loss: its terms and the adaptive weights between them."""

from .adaptive import AdaptiveLoss
from .goals import GoalLoss
from .lesion import lesion_shortfall, plant_lesions
from .terms import TERMS

__all__ = ["TERMS", "AdaptiveLoss", "GoalLoss", "lesion_shortfall", "plant_lesions"]
