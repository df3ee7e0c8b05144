"""The options of the fits, once: for the command line, and for scripts that parse their own with `ImphotArgumentParser`."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ezarchive.errors import InputError

FIT_IMAGE = 1
FIT_STAR = 2
FIT_BOTH = FIT_IMAGE | FIT_STAR
"""Which fits the options of an `ImphotArgumentParser` are for."""


class Option(NamedTuple):
    """An option ``--name`` of the fits.

    ``kind`` turns its text into a value (None: a switch, ``--no-name`` if it is on by default); ``fits`` is which it is for; ``count`` how
    many values it takes.
    """

    name: str
    kind: Callable[[str], Any] | None
    default: Any
    fits: int
    help: str
    count: int = 1
    metavar: str | tuple[str, ...] | None = None


def number(text: Any) -> float | None:
    """Return a number, or None for ``none``."""
    if str(text).strip().lower() in ("none", ""):
        return None
    return float(text)


def word(text: Any) -> str | None:
    """Return a text, or None for ``none``."""
    return None if str(text).strip().lower() in ("none", "") else str(text)


OPTIONS = (
    Option("regions", word, "star", FIT_IMAGE, "DS9 region file; or star, notstar (of --star), or none.", metavar="FILE"),
    Option("star", float, None, FIT_BOTH, "ICRS degrees of a star, and the radius around it in arcsec.", 3, ("RA", "DEC", "RADIUS")),
    Option("segment", None, False, FIT_IMAGE, "Leave out the sky between the sources."),
    Option("fix_scale", number, None, FIT_IMAGE, "Hold image / reference at this value.", metavar="VALUE"),
    Option("fix_bg", number, None, FIT_IMAGE, "Hold image - reference at this value.", metavar="VALUE"),
    Option("fix_dx", number, None, FIT_IMAGE, "Hold the offset along x.", metavar="ARCSEC"),
    Option("fix_dy", number, None, FIT_IMAGE, "Hold the offset along y.", metavar="ARCSEC"),
    Option("fix_fwhm", number, None, FIT_BOTH, "Hold the width of the image's Moffat profile.", metavar="ARCSEC"),
    Option("fix_beta", number, 2.5, FIT_BOTH, "Hold the exponent of the image's Moffat profile; none frees it.", metavar="VALUE"),
    Option("hst_fwhm", float, 0.085, FIT_BOTH, "Width of the reference's Moffat profile.", metavar="ARCSEC"),
    Option("hst_beta", float, 1.6, FIT_BOTH, "Exponent of the reference's Moffat profile.", metavar="VALUE"),
    Option("antialias", None, True, FIT_BOTH, "Whether the reference was low-passed, as regridding does; images of a camera were not."),
    Option("min_scale", float, 0.0, FIT_IMAGE, "Lowest scale.", metavar="VALUE"),
    Option("init_dx", number, None, FIT_IMAGE, "First guess of the offset along x.", metavar="ARCSEC"),
    Option("init_dy", number, None, FIT_IMAGE, "First guess of the offset along y.", metavar="ARCSEC"),
    Option("margin", float, 2.0, FIT_IMAGE, "Room around the images in the fit, at least.", metavar="ARCSEC"),
    Option("taper", int, 9, FIT_IMAGE, "Width of the smooth edge of what is compared.", metavar="PIXELS"),
    Option("extramask", word, None, FIT_IMAGE, "Image whose pixels that are not 0 are left out too.", metavar="FILE"),
    Option("save", None, False, FIT_IMAGE, "Write image, model, difference and their spectra beside the image."),
    Option("apply", None, False, FIT_BOTH, "Write the corrected image, <image>_aligned.fits, beside the image."),
    Option("resample", None, False, FIT_BOTH, "With --apply: move the pixels, not the coordinates."),
    Option("hardcopy", word, None, FIT_BOTH, "Draw the fit beside the image, in this format: png, pdf or svg.", metavar="FORMAT"),
    Option("title", word, None, FIT_BOTH, "Of the figures.", metavar="TEXT"),
    Option("display", None, False, FIT_BOTH, "Show the figures on the screen."),
    Option("nowait", None, False, FIT_BOTH, "With --display: do not wait until they are closed."),
)


def options_for(functions: int) -> tuple[Option, ...]:
    """Return the options of some fits.

    Raises
    ------
    InputError
        If `functions` is none of `FIT_IMAGE`, `FIT_STAR` and `FIT_BOTH`.
    """
    if functions not in (FIT_IMAGE, FIT_STAR, FIT_BOTH):
        raise InputError(f"functions {functions!r}: must be FIT_IMAGE, FIT_STAR or FIT_BOTH")
    return tuple(option for option in OPTIONS if option.fits & functions)


class ImphotArgumentParser(argparse.ArgumentParser):
    """A parser with the options of the fits; a script adds its own to it.

    Parameters
    ----------
    functions : int
        `FIT_IMAGE`, `FIT_STAR` or `FIT_BOTH`: whose options.
    *args, **kwargs
        As of `argparse.ArgumentParser`.

    Raises
    ------
    InputError
        If `functions` is none of these.

    Examples
    --------
    >>> parser = ImphotArgumentParser(FIT_STAR, prog="mine")
    >>> parser.parse_args(["--star", "53.1", "-27.7", "3", "--fix_beta", "none"]).star
    [53.1, -27.7, 3.0]
    """

    def __init__(self, functions: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for option in options_for(functions):
            known: dict[str, Any] = {"dest": option.name, "help": option.help.replace("%", "%%"), "default": option.default}
            if option.kind is None:
                action = argparse.BooleanOptionalAction if option.default else "store_true"
                self.add_argument(f"--{option.name}", action=action, **known)
            else:
                many = {} if option.count == 1 else {"nargs": option.count}
                self.add_argument(f"--{option.name}", type=option.kind, metavar=option.metavar, **many, **known)


def extract_function_args(options: Any, function: Callable[..., Any]) -> dict[str, Any]:
    """Return those options that a function takes.

    Parameters
    ----------
    options : Namespace or mapping
        As of `ImphotArgumentParser.parse_args`.
    function : callable
        One of the fits, most often.

    Returns
    -------
    dict
        Name and value of each.

    Examples
    --------
    >>> from ezarchive.compare.skin import fit_star_photometry
    >>> options = ImphotArgumentParser(FIT_BOTH, prog="mine").parse_args(["--hst_fwhm", "0.1", "--segment"])
    >>> extract_function_args(options, fit_star_photometry)["hst_fwhm"]
    0.1
    """
    found = dict(options) if isinstance(options, Mapping) else vars(options)
    taken = inspect.signature(function).parameters
    return {name: value for name, value in found.items() if name in taken}
