"""`python -m busbar_fast`."""

from busbar_fast.cli import main

if __name__ == "__main__":
    main()
