"""The published names, with their arguments, order and defaults."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import astropy.units as u
import pytest

from ezarchive import compare
from ezarchive.errors import InputError

pytestmark = pytest.mark.pure

PUBLISHED = """
fit_photometry_main(argv=None)
regrid_hst_to_muse_main(argv=None)
make_wideband_image_main(argv=None)
FittedValue(param=None, value=None, stdev=None, fixed=None)
UserError(message)
WorkerError(message, traceback)
ImphotArgumentParser(functions, *args, **kwargs)
extract_function_args(options, function)
FittedPhotometry(method, muse, fit_report, scale, bg, dx, dy, fwhm, beta, rms_error)
HstFilterInfo(hst)
rescale_hst_like_muse(hst, muse, inplace=True)
regrid_hst_like_muse(hst, muse, inplace=True)
image_grids_aligned(im1, im2, tolerance=0.01)
apply_corrections(im, imfit, corrections='xy,scale,zero', resample=False, inplace=False)
fit_image_photometry(hst, muse, regions=None, fix_scale=None, fix_bg=None, fix_dx=None, fix_dy=None, fix_fwhm=None, fix_beta=None, \
min_scale=0, hst_fwhm=0.085, hst_beta=1.6, margin=2.0, segment=False, display=False, nowait=False, hardcopy=None, title=None, star=None, \
save=False, fig=None, taper=9, apply=False, resample=False, extramask=None, init_dx=None, init_dy=None)
FittedImagePhotometry(muse, results, rms_error)
FitImagePhotometryMP(hst_filename, muse_filenames, kwargs={}, nworker=0)
fit_star_photometry(hst, muse, star, fix_fwhm=None, fix_beta=None, display=False, nowait=False, hardcopy=None, title=None, fig=None, \
apply=False, resample=False)
FittedStarPhotometry(muse, muse_results, hst_results, rms_error, ra, dec)
FitStarPhotometryMP(hst_filename, muse_filenames, kwargs, nworker=0)
fit_image_and_star_photometry(hst, muse, star, regions='star', fix_scale=None, fix_bg=None, fix_dx=None, fix_dy=None, fix_fwhm=None, \
fix_beta=None, hst_fwhm=0.085, hst_beta=1.6, margin=2.0, segment=False, display=False, nowait=False, hardcopy=None, title=None, \
save=False, fig=None)
FitImageAndStarPhotometryMP(hst_filename, muse_filenames, kwargs, nworker=0)
bandpass_image(cube, wavelengths, sensitivities, unit_wave=Unit('Angstrom'), interpolation='linear', truncation_warning=True, nprocess=0)
ds9regions.Ds9Regions(regions)
ds9regions.Ds9Region(shape, exclude, system, x, y)
ds9regions.Ds9Circle(exclude, system, x, y, radius)
ds9regions.Ds9Ellipse(exclude, system, x, y, width, height, pa)
ds9regions.Ds9Box(exclude, system, x, y, width, height, pa)
AnchoringStep(target, bands, in_dir, ref_dir, procs, in_step_ext, out_step_ext='i2d_anchor', in_subdir=None, out_subdir=None, \
kernel_dir=None, ref_band=None, external_bands=None, internal_conv_band=None, reproject_func='interp', simplify_labels=True, \
overwrite=False, galaxy_table=None, reff_factor=2.0, percentile_range=None)
AnchoringStep.do_step(self)
AnchoringStep.parallel_anchoring(self, file, external=True, internal_reference=None)
AnchoringStep.run_step(self, files)
"""
README = Path(__file__).resolve().parents[2] / "README.md"
ERRORS = {"UserError", "WorkerError"}
"""Exceptions take what is published, in that order; how they do is their own."""


def published(line):
    """Name and arguments of a line: (name, default or its absence) each, stars kept."""
    call = ast.parse(line, mode="eval").body
    arguments = [f"*{arg.value.id}" if isinstance(arg, ast.Starred) else arg.id for arg in call.args]
    found = [(name, inspect.Parameter.empty) for name in arguments]
    for keyword in call.keywords:
        if keyword.arg is None:
            found.append((f"**{keyword.value.id}", inspect.Parameter.empty))
        else:
            found.append((keyword.arg, eval(compile(ast.Expression(keyword.value), "", "eval"), {"Unit": u.Unit})))
    return ast.unparse(call.func), found


def find(name):
    first, *rest = name.split(".")
    found = getattr(compare, first)
    for part in rest:
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("line", PUBLISHED.strip().splitlines(), ids=lambda line: line.split("(")[0])
def test_signature(line):
    name, wanted = published(line)
    found = find(name)
    if name in ERRORS:
        assert "told" in str(found(*["told"] * len(wanted)))
        return
    parameters = list(inspect.signature(found).parameters.values())
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    given = [(stars.get(one.kind, "") + one.name, one.default) for one in parameters if one.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert [argument for argument, _ in given] == [argument for argument, _ in wanted]
    for (argument, default), (_, expected) in zip(given, wanted, strict=True):
        # What had to be given may have a default now.
        assert expected is inspect.Parameter.empty or default == expected, argument
    for extra in parameters:
        if extra.kind is inspect.Parameter.KEYWORD_ONLY:
            assert extra.default is not inspect.Parameter.empty, f"{name}: {extra.name} must have a default"


@pytest.mark.parametrize("line", PUBLISHED.strip().splitlines(), ids=lambda line: line.split("(")[0])
def test_the_readme_tells_what_it_has_become(line):
    name = published(line)[0].split(".")[-1]
    rows = [row for row in README.read_text(encoding="utf-8").splitlines() if row.startswith(("| `imphot.", "| `pjpipe."))]
    assert any(f"{name}`" in row.split("|")[1] for row in rows), f"{name}: must be in the table of names"


def test_the_names_are_listed():
    assert sorted(compare.__all__) == sorted(compare._HOMES)
    for name in compare.__all__:
        assert getattr(compare, name) is not None
        assert name in dir(compare)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'ezarchive.compare' has no attribute 'fit'"):
        compare.fit  # noqa: B018


def test_a_user_error_is_an_input_error():
    assert compare.UserError is InputError


@pytest.mark.parametrize("line", PUBLISHED.strip().splitlines(), ids=lambda line: line.split("(")[0])
def test_every_one_is_documented(line):
    assert len(inspect.getdoc(find(published(line)[0])) or "") > 20
