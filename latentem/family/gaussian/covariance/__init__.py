"""Covariance structures, one a file, and the forms of one covariance."""
