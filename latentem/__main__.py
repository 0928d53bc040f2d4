"""`python -m latentem` is the command `latentem`."""

import sys

from latentem.command import main

if __name__ == "__main__":
    sys.exit(main())
