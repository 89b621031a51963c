"""`python -m flexdash COMMAND`: the command line of FlexDash."""

import os

from flexdash.cli import main

if __name__ == "__main__":
    os.umask(0o077)  # what FlexDash keeps on disk is for the user it runs as, and nobody else
    main()
