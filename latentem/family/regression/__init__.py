"""Families of a response given covariates."""
