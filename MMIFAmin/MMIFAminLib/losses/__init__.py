"""The fusion loss: its terms and the adaptive weights between them."""
