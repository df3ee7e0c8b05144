"""Options of the fits, for scripts of one's own."""

from __future__ import annotations

import inspect

import pytest

from ezarchive.compare import (
    FIT_BOTH,
    FIT_IMAGE,
    FIT_STAR,
    ImphotArgumentParser,
    extract_function_args,
    fit_image_and_star_photometry,
    fit_image_photometry,
    fit_star_photometry,
)
from ezarchive.compare.arguments import OPTIONS
from ezarchive.errors import InputError

pytestmark = pytest.mark.pure

FITS = {FIT_IMAGE: fit_image_photometry, FIT_STAR: fit_star_photometry, FIT_BOTH: fit_image_and_star_photometry}


def test_every_option_is_an_argument_of_its_fits():
    for option in OPTIONS:
        for fits, function in FITS.items():
            if option.fits & fits:
                assert option.name in inspect.signature(function).parameters, (option.name, function.__name__)


def test_every_argument_has_an_option_but_those_of_a_program():
    parameters = inspect.signature(fit_image_photometry).parameters
    published = {name for name, one in parameters.items() if one.kind is not inspect.Parameter.KEYWORD_ONLY}
    assert published - {option.name for option in OPTIONS} == {"hst", "muse", "fig"}


def test_a_script_of_ones_own():
    parser = ImphotArgumentParser(FIT_BOTH, prog="mine")
    parser.add_argument("files", nargs="+")
    words = "--star 53.1 -27.7 3 --fix_beta none --fix_dx -0.25 --taper 5 --apply --hardcopy none --regions none a.fits b.fits"
    options = parser.parse_args(words.split())
    assert options.files == ["a.fits", "b.fits"]
    found = extract_function_args(options, fit_star_photometry)
    assert found["star"] == [53.1, -27.7, 3.0]
    assert (found["fix_beta"], found["hardcopy"], found["apply"]) == (None, None, True)
    assert "fix_dx" not in found and "files" not in found
    found = extract_function_args(options, fit_image_and_star_photometry)
    assert (found["fix_dx"], found["taper"], found["regions"]) == (-0.25, 5, None)


def test_defaults_of_the_command_line():
    options = ImphotArgumentParser(FIT_BOTH, prog="mine").parse_args([])
    assert (options.fix_beta, options.regions, options.hst_fwhm, options.hst_beta) == (2.5, "star", 0.085, 1.6)
    assert (options.margin, options.taper, options.hardcopy, options.star) == (2.0, 9, None, None)


def test_only_the_options_of_a_fit():
    options = ImphotArgumentParser(FIT_STAR, prog="mine").parse_args([])
    assert "fix_beta" in options and "taper" not in options
    assert options.antialias
    assert not ImphotArgumentParser(FIT_STAR, prog="mine").parse_args(["--no-antialias"]).antialias


def test_options_may_be_a_mapping():
    assert extract_function_args({"fix_fwhm": 0.7, "other": 1}, fit_star_photometry) == {"fix_fwhm": 0.7}


def test_unknown_fits():
    with pytest.raises(InputError, match="functions 4: must be FIT_IMAGE, FIT_STAR or FIT_BOTH"):
        ImphotArgumentParser(4)


def test_a_number_that_is_none_of_these(capsys):
    with pytest.raises(SystemExit, match="2"):
        ImphotArgumentParser(FIT_STAR, prog="mine").parse_args(["--fix_fwhm", "wide"])
    assert "--fix_fwhm: invalid number value: 'wide'" in capsys.readouterr().err
