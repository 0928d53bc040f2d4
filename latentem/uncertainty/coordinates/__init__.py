"""Coordinates of parameters in which all that is near is allowed."""
