"""Posteriors: values that know q and never see the parameters."""

from latentem.posterior.labels import LabelPosterior

__all__ = ["LabelPosterior"]
