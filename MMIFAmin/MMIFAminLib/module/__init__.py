"""The Slicer module without its panel: choices, steps, views, packages, sample data, self-test.

Of the engine only this room and ``mrml`` know Slicer; neither knows Qt. Nothing is imported here, so that the module loads at
once: the panel, ``MMIFAmin.py``, takes from each file what it needs, and no room does.
"""
