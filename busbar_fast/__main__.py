"""The start of the program: `python -m busbar_fast`, or faster `python -I -S .../busbar_fast/__main__.py`."""

import sys

if __name__ == "__main__":
    if not __package__:  # started by path: our own folder must not be searched, the one above it must
        folder = __file__.rpartition("/")[0] or "."
        if sys.path[:1] == [folder]:
            del sys.path[0]
        sys.path.insert(0, folder.rpartition("/")[0] or "/")

    from busbar_fast.boot import main

    if not __package__:  # the standard library comes first again
        sys.path.append(sys.path.pop(0))
    main()
