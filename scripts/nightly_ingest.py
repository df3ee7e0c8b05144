#!/usr/bin/env python3
"""The nightly round of one archive, for cron or a systemd timer: index, measure what is new, log, sum up.

Exit code 0 when all went well, 1 when some file or frame failed, 2 when it could not run (another round is at work, a root has vanished).
"""

from __future__ import annotations

import argparse
import sys

from ezarchive import Archive
from ezarchive.errors import EzarchiveError
from ezarchive.nightly import COULD_NOT_RUN, nightly


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", help="the archive's folder")
    parser.add_argument("--workers", type=int, help="processes; the cores by default")
    arguments = parser.parse_args()
    try:
        with Archive.open(arguments.home) as archive:
            report = nightly(archive, workers=arguments.workers)
    except (EzarchiveError, OSError) as err:
        print(f"nightly: could not run: {err}", file=sys.stderr)
        return COULD_NOT_RUN
    print(report)
    return report.exit_code


if __name__ == "__main__":  # worker processes import this file again
    sys.exit(main())
