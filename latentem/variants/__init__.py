"""Other ways of running EM: over parts of the data, online, annealed, stochastic."""

from latentem.variants.annealing import Annealing
from latentem.variants.incremental import Incremental
from latentem.variants.online import Online, OnlineState
from latentem.variants.stochastic import Stochastic

__all__ = ["Annealing", "Incremental", "Online", "OnlineState", "Stochastic"]
