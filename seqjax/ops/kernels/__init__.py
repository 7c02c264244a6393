"""Kernels for devices where array operations alone do not reach what the hardware can do."""
