"""Runs gathered into `results/`, and figures drawn from what lies there alone."""
