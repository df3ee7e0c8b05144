"""Small scenes for the anchoring, and the step that fits them."""

from __future__ import annotations

import numpy as np
from astropy.io import fits

from ezarchive.compare import AnchoringStep
from ezarchive.simulate.nebulae import BANDS, SURVEYS, nebula_scene

MIRI = ("F770W", "F1000W", "F2100W")
NIRCAM = ("F300M", "F335M")


def small_scene(folder, bands=MIRI, surveys=("irac4_atgauss4",), **options):
    """Write a scene of 60 x 50 arcsec of a few bands."""
    options = {"width": 60.0, "height": 50.0, "seed": 7, **options}
    chosen = {name: BANDS[name] for name in bands}
    return nebula_scene(folder, bands=chosen, surveys={name: SURVEYS[name] for name in surveys}, **options)


def arguments(scene, **changes):
    """Return the arguments of a step for a scene."""
    made = {
        "target": scene.plan.target, "bands": list(scene.files), "in_dir": scene.data, "ref_dir": scene.references, "procs": 1,
        "in_step_ext": "i2d_align", "in_subdir": "lv3", "out_subdir": "anchoring", "kernel_dir": scene.kernels,
        "ref_band": {"miri": "F770W", "nircam": "F300M"},
        "external_bands": {"miri": ["irac4_atgauss4"], "nircam": ["irac1_atgauss4"]}, "internal_conv_band": "F2100W", "plots": False,
    }  # fmt: skip
    return made | changes


def step_of(scene, **changes):
    """Return a step for a scene, without plots."""
    return AnchoringStep(**arguments(scene, **changes))


def anchored(scene, band):
    """Return the anchored file of a band's only image."""
    return scene.files[band].with_name(scene.files[band].name.replace("i2d_align", "i2d_anchor"))


def applied(path, output):
    """Return what was added to an image: the median difference where it holds data."""
    with fits.open(path) as before, fits.open(output) as after:
        old, new = before["SCI"].data.astype(float), after["SCI"].data.astype(float)
    good = np.isfinite(old) & (old != 0)
    assert (new[old == 0] == 0).all()
    assert (np.isfinite(new) == np.isfinite(old)).all()
    return float(np.median((new - old)[good]))


def shift(path, value):
    """Add a constant to the data of an image, as if it had been made again."""
    with fits.open(path, mode="update") as units:
        data = units["SCI"].data
        data[np.isfinite(data) & (data != 0)] += np.float32(value)
