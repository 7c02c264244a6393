"""Models, and parts of them, that recipes share or that would hide what a recipe is about."""
