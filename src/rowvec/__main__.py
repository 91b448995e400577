"""`python -m rowvec` is the `rowvec` command."""

from rowvec.cli import main

if __name__ == "__main__":
    main(prog_name="rowvec")
