"""`python -m flexdash COMMAND`: the command line of FlexDash."""

from flexdash.cli import main

if __name__ == "__main__":
    main()
