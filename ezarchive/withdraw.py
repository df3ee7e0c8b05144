"""Take back a run: what it measured, or the zero points that it found, count no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ezarchive.database import withdrawals
from ezarchive.database.withdrawals import Withdrawal
from ezarchive.errors import InputError

if TYPE_CHECKING:
    from ezarchive.archive import Archive


def withdraw(archive: Archive, run_id: int, *, restore: bool = False) -> Withdrawal:
    """Make a run count no more, or again. No file and no row is deleted.

    Light curves use the newest catalog of another run instead, where a frame has one. A run that calibrated is withdrawn likewise: the
    zero points of the run before it count. The rows leave the light-curve store with the next ``associate``; until then they are left
    out when it is read.

    Parameters
    ----------
    archive : Archive
    run_id : int
        As ``Archive.runs`` lists them.
    restore : bool
        Make a withdrawn run count again.

    Returns
    -------
    Withdrawal
        All 0 if the run was so already.

    Raises
    ------
    InputError
        If ``run_id`` is no whole number, or there is no such run.
    """
    if isinstance(run_id, bool) or not isinstance(run_id, (int, np.integer)):
        raise InputError(f"run_id={run_id!r}: must be the number of a run; `ezarchive runs` lists the runs")
    number = int(run_id)
    with archive.database.begin() as conn:
        return withdrawals.restore_run(conn, number) if restore else withdrawals.withdraw_run(conn, number)
