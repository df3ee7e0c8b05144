"""Take back a run: what it measured, or the zero points that it found, count no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ezarchive.database import withdrawals
from ezarchive.database.withdrawals import Withdrawal

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
        If there is no such run.
    """
    with archive.database.begin() as conn:
        return withdrawals.restore_run(conn, run_id) if restore else withdrawals.withdraw_run(conn, run_id)
