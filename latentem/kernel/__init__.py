"""The machine of fast passes: densities as matrix products, and the E-step in one go; docs/kernels.md."""

from latentem.buffers import Buffers
from latentem.kernel.base import NEVER, FeatureKernel, Kernel
from latentem.kernel.passes import densities, fused, weighted_statistics
from latentem.kernel.side_by_side import SideBySide

__all__ = ["NEVER", "Buffers", "FeatureKernel", "Kernel", "SideBySide", "densities", "fused", "weighted_statistics"]
