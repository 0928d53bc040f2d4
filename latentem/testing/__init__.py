"""The contract of a model, as a check that anyone who defines one can run.

Nine clauses, each of which catches defects that the others let pass: a log likelihood that never
falls is the weakest of them. `tests/contract/test_power.py` plants the defects.
"""

from latentem.testing.check import BrokenContract, Failure, check_model

__all__ = ["BrokenContract", "Failure", "check_model"]
