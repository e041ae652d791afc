"""`python -m openuni.cli`: the command line without the installed script."""

from openuni.cli import main

if __name__ == "__main__":
    main()
