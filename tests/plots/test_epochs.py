"""Stamps through time as a figure."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from ezarchive import plots
from ezarchive.errors import InputError
from ezarchive.plots.epochs import STATUSES, Stamp, in_noise


def stamp(status="detected", seed=0, **fields):
    return Stamp(np.random.default_rng(seed).normal(100, 5, (31, 31)), status, **fields)


@pytest.mark.pure
def test_every_stamp_is_drawn_with_a_frame_of_its_own_colour():
    stamps = [stamp(status, title=f"{at} r\n15.0") for at, status in enumerate(STATUSES)]
    figure = plots.epoch_stamps(stamps, radius=0.2, columns=4, title="a place")
    drawn = [axes for axes in figure.axes if axes.get_images()]
    assert [axes.get_title() for axes in drawn] == [item.title for item in stamps]
    assert len({to_hex(axes.spines["top"].get_edgecolor()) for axes in drawn}) == len(STATUSES)
    assert {axes.spines["top"].get_linestyle() for axes in drawn} == {"-", "--"}
    assert all(axes.patches[-1].get_radius() == 0.2 for axes in drawn)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [f"{name} (1)" for name in STATUSES]
    assert figure._suptitle.get_text() == "a place"
    assert len(figure.axes) == 8


@pytest.mark.pure
def test_stamps_without_pixels_say_why():
    empty = np.full((5, 5), np.nan)
    figure = plots.epoch_stamps([Stamp(None, "detected", note="not readable"), Stamp(empty, "outside"), Stamp(None, "not measured")])
    assert [axes.texts[0].get_text() for axes in figure.axes] == ["not readable", "outside", "not measured"]


@pytest.mark.pure
def test_no_stamps():
    assert plots.epoch_stamps([]).axes[0].texts[0].get_text() == "nothing to draw"


@pytest.mark.pure
def test_noise_is_of_the_sky_and_not_of_the_star():
    pixels = np.random.default_rng(1).normal(1000, 7, (61, 61))
    pixels[25:36, 25:36] += 5000
    pixels[0, 0] = np.nan
    found = in_noise(pixels)
    assert np.nanstd(found[:20]) == pytest.approx(1, abs=0.1)
    assert np.nanmedian(found[:20]) == pytest.approx(0, abs=0.1)
    assert np.isnan(found[0, 0])
    assert in_noise(np.full((3, 3), 4.0)).tolist() == [[0.0] * 3] * 3
    assert np.isnan(in_noise(np.full((3, 3), np.nan))).all()


@pytest.mark.pure
@pytest.mark.parametrize(
    ("stamps", "options", "message"),
    [
        ([stamp("seen")], {}, "stamps: holds the status 'seen'; must be one of detected, forced"),
        ([Stamp(np.zeros(4), "detected")], {}, r"stamps: holds pixels of shape \(4,\); must be \(ny, nx\)"),
        ([stamp()], {"columns": 0}, "columns 0: must be a whole number from 1"),
        ([stamp()] * 121, {}, "stamps: must be at most 120, found 121"),
    ],
)  # fmt: skip
def test_wrong_stamps(stamps, options, message):
    with pytest.raises(InputError, match=message):
        plots.epoch_stamps(stamps, **options)


@pytest.mark.pure
@pytest.mark.parametrize("form", plots.FORMATS)
def test_every_format_is_written(tmp_path, form):
    assert plots.save(plots.epoch_stamps([stamp(), stamp("outside")]), tmp_path / f"epochs.{form}").stat().st_size > 2000
