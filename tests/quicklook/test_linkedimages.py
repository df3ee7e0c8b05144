"""Labels of images and links between them."""

from __future__ import annotations

import numpy as np
import pytest
from lookscenes import A, B, C, session_of, star, tan, write

from ezarchive.errors import FrameError, InputError
from ezarchive.images.image import Image
from ezarchive.quicklook import QuickLook
from ezarchive.quicklook.regions.shapes import Circle


@pytest.fixture
def session(tmp_path):
    """See `lookscenes`."""
    return session_of(tmp_path)


@pytest.mark.pure
class TestImages:
    def test_labels(self, session, tmp_path):
        assert session.data_labels == [A, B, C]
        assert session.load(tmp_path / "a.fits") == ["a[SCI,1] (2)"]
        assert session.load([tmp_path / "a.fits", np.ones((2, 2))]) == ["a[SCI,1] (3)", "image"]
        assert session.load(np.ones((2, 2)), label="mine") == ["mine"]
        assert session.load(Image(tmp_path / "b.fits", 1), label=A) == ["a[SCI,1] (4)"]
        assert session.picture("a[SCI,1] (2)").label == "a[SCI,1] (2)"

    def test_nothing_is_loaded_if_one_fails(self, session, tmp_path):
        with pytest.raises(FrameError, match="none.fits: is not there"):
            session.load([tmp_path / "a.fits", tmp_path / "none.fits"])
        assert session.data_labels == [A, B, C]

    def test_an_unknown_label(self, session):
        with pytest.raises(InputError, match=r"data label 'a\[SCI,2\]': did you mean 'a\[SCI,1\]'"):
            session.metadata("a[SCI,2]")
        with pytest.raises(InputError, match="data label 3: must be one of"):
            session.link_type(3)
        with pytest.raises(InputError, match="data label 'x': there is none here"):
            QuickLook().picture("x")
        for name in ("metadata", "statistics", "display_limits", "preview", "pixel_area", "compass", "contours"):
            with pytest.raises(InputError, match="data label 'nowhere'"):
                getattr(session, name)("nowhere")

    def test_an_image_is_taken_out(self, session):
        session.link_data("wcs")
        session.remove(A)
        assert session.data_labels == [B, C]
        assert session.link_type(B) == "self"

    def test_what_it_prints(self, session):
        assert repr(session) == "QuickLook(3 images, 0 subsets, 0 rows of photometry)"


@pytest.mark.pure
class TestLinks:
    def test_by_default_pixels(self, session):
        assert [session.link_type(label) for label in session.data_labels] == ["self", "pixels", "pixels"]

    def test_by_wcs_with_the_fallback(self, session):
        made = session.link_data("wcs")
        assert list(made) == [A, B, C]
        assert [session.link_type(label) for label in session.data_labels] == ["self", "wcs", "pixels"]
        np.testing.assert_allclose(session.link(B).forward(40.0, 30.0), (43.0, 30.0), atol=1e-6)
        assert made[B].max_error < 0.05

    def test_images_that_come_later_are_linked_in_the_same_way(self, session, tmp_path):
        session.link_data("wcs", tolerance=0.01)
        session.load(write(tmp_path / "d.fits", star(40, 30), tan(-2.0)))
        assert session.link_type("d[SCI,1]") == "wcs"
        assert session.link("d[SCI,1]").tolerance == 0.01

    def test_the_links_stay_where_there_is_no_other_way(self, session):
        before = session.link_data("pixels")
        with pytest.warns(UserWarning, match="no link by WCS"):
            assert session.link_data("wcs", wcs_fallback_scheme=None) == before
        with pytest.raises(InputError, match="no link by WCS"):
            session.link_data("wcs", wcs_fallback_scheme=None, error_on_fail=True)
        assert session.link_type(B) == "pixels"

    def test_subsets_survive(self, session):
        session.add_subset(Circle(40, 30, 5))
        session.link_data("wcs")
        assert session.subsets.labels == ["Subset 1"]

    def test_one_image_or_none(self, tmp_path):
        alone = QuickLook()
        assert alone.link_data("wcs") == {}
        alone.load(np.ones((3, 3)))
        assert [way.link_type for way in alone.link_data("wcs").values()] == ["self"]

    def test_bad_input(self, session):
        with pytest.raises(InputError, match="link_type='sky': must be 'pixels' or 'wcs'"):
            session.link_data("sky")
        with pytest.raises(InputError, match="wcs_fallback_scheme='no': must be 'pixels' or None"):
            session.link_data("wcs", wcs_fallback_scheme="no")
        assert session.link_data("pixels", wcs_fallback_scheme="no")
        with pytest.raises(InputError, match="data label 'nowhere'"):
            session.link_type("nowhere")
