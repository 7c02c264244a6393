"""How good answers are, in figures and in pictures."""
