"""The demonstration: a simulated archive, from frames to a light curve beside its truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import QTable

from ezarchive import plots, simulate
from ezarchive.archive import Archive
from ezarchive.config import FILE_NAME


def demo(folder: Path | str, *, say: Callable[[str], Any], **toy_options: Any) -> QTable:
    """Simulate a small archive, index it, measure it, make objects, and show the light curve of a variable star beside its truth.

    Parameters
    ----------
    folder : path
        What to make: ``sky/`` (the frames and their truth) and ``archive/`` (the home). A second call goes on from what is there.
    say : callable
        Called with each line of the story.
    **toy_options
        Passed to `ezarchive.simulate.toy_archive`.

    Returns
    -------
    QTable
        The light curve with the column ``mag_true``.
    """
    folder = Path(folder)
    say(f"1. a simulated sky in {folder / 'sky'}")
    toy = simulate.toy_archive(folder / "sky", **toy_options)
    home = folder / "archive"
    made = (home / FILE_NAME).exists()
    roots = {"scidata": toy.scidata, "refdata": toy.refdata, "mcalibdata": toy.mcalibdata}
    with Archive.open(home) if made else Archive.create(home, roots) as archive:
        say(f"2. index {home}")
        say(f"   {archive.index()}")
        say("3. measure every science frame")
        say(f"   {archive.measure()}")
        star = toy.truth.showcase()
        position = (float(star["ra"].value), float(star["dec"].value))
        say("4. join the measurements into objects")
        say(f"   {archive.associate()}")
        say(f"5. the light curve of variable star {star['star_id']} at {position[0]:.5f} {position[1]:+.5f}, beside its truth")
        curve = archive.light_curve(position, "2 arcsec")
        curve["mag_true"] = toy.truth.magnitudes(star["star_id"], curve["mjd_mid"], curve["filter"])
        say(_beside_truth(curve))
        figure = home / "figures" / f"star_{star['star_id']}.png"
        figure.parent.mkdir(exist_ok=True)
        plots.save(plots.light_curve(curve, title=f"variable star {star['star_id']}", truth=curve), figure)
        say(f"6. its plot: {figure}")
        say(f"   look for more: ezarchive variability {home} -o plane.png")
        say(f'   ask for more: ezarchive sql {home} "SELECT * FROM objects ORDER BY chi2_reduced DESC LIMIT 5"')
    return curve


def _beside_truth(curve: QTable) -> str:
    """Return the table of the light curve and its truth as text."""
    shown = QTable()
    for name, form in (("mjd_mid", ".5f"), ("filter", ""), ("telname", ""), ("mag", ".3f"), ("mag_err", ".3f"), ("mag_true", ".3f")):
        shown[name] = curve[name]
        if form:
            shown[name].info.format = form
    lines = "\n".join(shown.pformat(max_lines=-1, max_width=-1))
    mag, error, truth = (np.ma.filled(np.ma.asarray(_plain(curve[name])), np.nan) for name in ("mag", "mag_err", "mag_true"))
    pulls = ((mag - truth) / error)[np.isfinite(mag)]
    return f"{lines}\n   {len(pulls)} of {len(curve)} calibrated; (mag - true) / error: mean {pulls.mean():+.2f}, width {pulls.std():.2f}"


def _plain(column: Any) -> Any:
    return getattr(column, "value", column)
