"""Gaussian E-steps without tables of densities, each as far as its rounding allows."""
