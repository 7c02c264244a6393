"""What recipes of all kinds share: options, training, the folder of a run; and the notebooks' list."""
