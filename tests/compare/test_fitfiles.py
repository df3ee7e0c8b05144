"""Names and checks of the files that a fit leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ezarchive.compare.fitfiles import beside, check_outputs, output_prefix
from ezarchive.compare.fluximage import FluxImage
from ezarchive.errors import InputError

pytestmark = pytest.mark.pure


def test_the_prefix_is_the_path_without_suffix(tmp_path):
    image = FluxImage(np.ones((3, 3)), path=tmp_path / "a.b.fits.gz", name="a.b")
    assert output_prefix(image) == tmp_path / "a.b"
    assert output_prefix(image, "out") == Path("out/a.b")
    assert output_prefix(FluxImage(np.ones((3, 3)), name="mine")) == Path("mine")
    assert beside(tmp_path / "a.b", "_aligned.fits") == tmp_path / "a.b_aligned.fits"


@pytest.mark.parametrize(
    ("hardcopy", "suffix"), [(None, None), ("none", None), ("", None), ("PNG", "png"), (".pdf", "pdf"), ("svg", "svg")]
)
def test_formats(tmp_path, hardcopy, suffix):
    assert check_outputs(tmp_path / "a", hardcopy, writes=False) == suffix


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="hardcopy 'gif': must be one of png, pdf, svg, or none"):
        check_outputs(tmp_path / "a", "gif", writes=False)
    check_outputs(tmp_path / "none" / "a", None, writes=False)
    for hardcopy, writes in ((None, True), ("png", False)):
        with pytest.raises(InputError, match=r"outdir '.*none', for a_\*: must be a folder that can be written"):
            check_outputs(tmp_path / "none" / "a", hardcopy, writes=writes)
