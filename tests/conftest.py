"""What all tests share."""

import os

# Small matrices gain nothing from BLAS threads, and tests run side by side: set before numpy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
