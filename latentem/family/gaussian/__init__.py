"""Gaussian components: covariance structures, their moments, priors and missing cells; the t distribution."""
