"""``python -m ezarchive``."""

from ezarchive.cli import main

if __name__ == "__main__":
    main()
