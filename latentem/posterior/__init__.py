"""Posteriors: values that know q and never see the parameters."""

from latentem.posterior.chain import ChainPosterior
from latentem.posterior.labels import LabelPosterior
from latentem.posterior.normal import NormalPosterior

__all__ = ["ChainPosterior", "LabelPosterior", "NormalPosterior"]
