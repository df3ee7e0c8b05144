"""A set of frames: order, selection, tables."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from astropy import units as u
from hypothesis import given
from hypothesis import strategies as st

from ezarchive.browse.archive_image import ArchiveImage
from ezarchive.browse.frameset import FrameSet
from ezarchive.errors import InputError, UnknownNameError
from ezarchive.frames.record import Frame
from ezarchive.times import parse_time

pytestmark = pytest.mark.pure

TELESCOPES = ("7DT01", "7DT02", "7DT03")
FILTERS = ("m600", "m625")


def make_frame(i: int, **changes) -> Frame:
    day = f"2025-09-{1 + i % 28:02d}T02:00:00"
    start = parse_time("day", day)
    values = {
        "frame_id": i + 1,
        "path": f"/data/7DT/{FILTERS[i % 2]}/calib_{TELESCOPES[i % 3]}_T00528_{i:03d}_100.fits",
        "objname": "T00528",
        "observatory": "7DT",
        "telname": TELESCOPES[i % 3],
        "filter": FILTERS[i % 2],
        "exptime": 100.0 if i % 4 else 60.0,
        "seeing": 2.0 + 0.1 * i if i % 5 else None,
        "depth": 17.0 + 0.1 * i if i % 7 else None,
        "date_obs": day,
        "mjd_start": start,
        "mjd_mid": start + 50 / 86400,
        "naxis1": 100,
        "naxis2": 50,
        "pixel_scale": 0.5,
        **changes,
    }
    return Frame(**values)


@pytest.fixture
def frames():
    return FrameSet([make_frame(i) for i in range(12)])


def ids(frame_set):
    return [image.frame_id for image in frame_set]


def test_it_begins_with_everything_selected(frames):
    assert len(frames) == 12
    assert len(frames.images) == len(frames.target_images) == 12
    assert frames.frame_ids == list(range(1, 13)) == ids(frames)
    assert all(isinstance(image, ArchiveImage) for image in frames)
    assert frames.images[3] is frames.target_images[3] is frames[3]
    assert frames.paths()[0] == str(frames[0].path)


def test_select_and_exclude_work_in_place_and_return_the_selection(frames):
    chosen = frames.select_images(telname="7DT02")
    assert ids(frames) == ids(chosen) == [2, 5, 8, 11]
    assert len(frames.images) == 12
    assert len(chosen.images) == 4
    assert chosen[0] is frames[0]
    frames.clear()
    others = frames.exclude_images(telname="7DT02")
    assert ids(others) == ids(frames) == [i for i in range(1, 13) if i not in (2, 5, 8, 11)]
    assert frames.clear() is frames
    assert len(frames) == 12


def test_every_selection_restarts_and_a_returned_one_adds_up(frames):
    frames.select_images(filter="m600")
    frames.select_images(telname="7DT01")
    assert ids(frames) == [1, 4, 7, 10]
    assert ids(frames.select_images(filter="m600").select_images(telname="7DT01")) == [1, 7]


def test_limits_are_strict_and_unknown_values_do_not_pass(frames):
    assert ids(frames.select_images(seeing=2.3)) == [2, 3]
    assert ids(frames.select_images(depth=17.9)) == [11, 12]
    assert 1 not in ids(frames.select_images(seeing=99))
    assert ids(frames.clear().exclude_images(seeing=99)) == [1, 6, 11]


def test_scalars_lists_and_globs(frames):
    assert ids(frames.select_images(telname=["7DT01", "7DT03"])) == ids(frames.clear().exclude_images(telname="7DT02"))
    assert len(frames.select_images(objname="T005*")) == 12
    assert len(frames.select_images(filter=("m600", "m625"), exptime=[60, 100])) == 12
    assert ids(frames.select_images(exptime=60)) == [1, 5, 9]
    assert len(frames.select_images(filter="g")) == 0


def test_file_key_is_a_regular_expression_and_several_must_all_be_found(frames):
    assert ids(frames.select_images(file_key="*_00[12]_*")) == [2, 3]
    assert ids(frames.select_images(file_key=["m625", "7DT02"])) == [2, 8]
    with pytest.raises(InputError, match=r"file_key='\(': must be a regular expression"):
        frames.select_images(file_key="(")


def test_times_include_their_ends(frames):
    assert ids(frames.select_images(obs_start="20250902", obs_end="2025-09-04T02:00:00")) == [2, 3, 4]
    assert ids(frames.select_images(obs_start="250911")) == [11, 12]
    assert ids(frames.clear().exclude_images(obs_start="20250902", obs_end="20250911")) == [1, 11, 12]
    timeless = FrameSet([make_frame(0, mjd_start=None, mjd_mid=None)])
    assert len(timeless.select_images(obs_start="19000101")) == 0


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "telname": st.sampled_from([*TELESCOPES, list(TELESCOPES[:2]), "7DT*"]),
            "observatory": st.sampled_from(["7DT", "LCO"]),
            "filter": st.sampled_from(FILTERS),
            "exptime": st.sampled_from([60, 100.0]),
            "seeing": st.floats(1.5, 4),
            "depth": st.floats(16, 19),
            "obs_start": st.sampled_from(["20250903", "250905"]),
            "obs_end": st.sampled_from(["20250907", 60930.0]),
            "file_key": st.sampled_from(["7DT01", ["m600", "00"]]),
        },
    ).filter(bool)
)
def test_exclude_takes_out_what_any_condition_selects(conditions):
    frames = FrameSet([make_frame(i) for i in range(12)])
    times = {name: conditions.pop(name) for name in ("obs_start", "obs_end") if name in conditions}
    selected = [set(ids(frames.select_images(**{name: value}))) for name, value in conditions.items()]
    selected += [set(ids(frames.select_images(**times)))] if times else []
    rest = ids(frames.clear().exclude_images(**conditions, **times))
    assert rest == [i for i in range(1, 13) if not any(i in chosen for chosen in selected)]


def test_exclude_goes_on_from_the_selection(frames):
    frames.select_images(filter="m600")
    frames.exclude_images(telname="7DT02")
    assert ids(frames) == ids(frames.select_images(filter="m600").select_images(telname=["7DT01", "7DT03"]))


def test_a_misspelt_argument_is_named_with_what_is_near(frames):
    with pytest.raises(UnknownNameError, match="argument 'telnam': did you mean 'telname'"):
        frames.select_images(telnam="7DT01")
    with pytest.raises(UnknownNameError, match="argument 'seing': did you mean 'seeing'"):
        frames.exclude_images(seing=3)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("seeing", "3", "seeing='3': must be a number"),
        ("depth", [17], r"depth=\[17\]: must be a number"),
        ("exptime", "100", "exptime='100': must be a number"),
        ("filter", 600, "filter=600: must be a name"),
        ("obs_start", "yesterday", "obs_start='yesterday': must be a date"),
        ("file_key", 3, "file_key=3: must be a text"),
    ],
)
def test_values_of_the_wrong_kind(frames, name, value, message):
    with pytest.raises(InputError, match=message):
        frames.select_images(**{name: value})
    assert len(frames) == 12


def test_tables_follow_the_selection(frames):
    frames.select_images(filter="m600")
    df = frames.df
    assert df["frame_id"].tolist() == frames.frame_ids == frames.table()["frame_id"].tolist()
    assert df["image"].tolist() == frames.target_images
    assert df["path"].tolist() == frames.paths()


def test_indexing(frames):
    assert ids(frames[2:4]) == [3, 4]
    assert frames[-1].frame_id == 12
    assert ids(frames[[0, 5]]) == [1, 6]
    assert ids(frames[frames.df.seeing < 2.3]) == [2, 3]
    assert ids(frames[np.array([], dtype=int)]) == []
    assert len(FrameSet()[[]]) == 0
    with pytest.raises(InputError, match="or 12 truth values"):
        frames[[True, False]]
    with pytest.raises(InputError, match="must be a number, a slice"):
        frames["m600"]
    with pytest.raises(IndexError, match="out of range"):
        frames[99]


def test_maps_follow_the_selection_and_are_shared(frames):
    assert frames.bkgmap == [None] * 12
    frames.images[1].bkgmap = "map"
    chosen = frames.select_images(telname="7DT02")
    assert frames.bkgmap == chosen.bkgmap == ["map", None, None, None]
    assert frames.bkgrms == frames.sourcemask == frames.catalog == [None] * 4


def test_how_it_reads(frames):
    text = repr(frames)
    assert text.startswith("<FrameSet: 12 frames>")
    assert text.endswith("... 2 more")
    frames.select_images(telname="7DT02")
    assert repr(frames).startswith("<FrameSet: 4 of 12 frames>")
    odd = FrameSet([make_frame(0, objname="<b>&")])
    assert "&lt;b&gt;&amp;" in odd._repr_html_()
    assert repr(FrameSet()) == "<FrameSet: 0 frames>"
    assert FrameSet().df.empty
    assert len(FrameSet().table()) == 0


def test_help_prints_the_methods(frames, capsys):
    frames.help()
    out = capsys.readouterr().out
    assert ".select_images(file_key=None, filter=None" in out
    assert ".target_images: The selected images." in out


def test_it_travels(frames):
    frames.select_images(telname="7DT02")
    again = pickle.loads(pickle.dumps(frames))
    assert ids(again) == ids(frames)
    assert len(again.images) == 12


def test_conditions_take_quantities_and_columns_of_tables(frames):
    assert ids(frames.select_images(exptime=1 * u.min)) == ids(frames.select_images(exptime=60))
    assert ids(frames.select_images(exptime=[60, 100] * u.s)) == ids(frames.clear())
    assert ids(frames.select_images(seeing=(2.55 / 60) * u.arcmin)) == ids(frames.select_images(seeing=2.55))
    assert ids(frames.select_images(depth=17.55 * u.ABmag)) == ids(frames.select_images(depth=17.55))
    assert ids(frames.select_images(telname=frames.df["telname"].unique())) == ids(frames.clear())
    for wrong in ({"seeing": 3 * u.s}, {"exptime": 60 * u.arcsec}, {"depth": 18 * u.s}):
        with pytest.raises(InputError, match=rf"{next(iter(wrong))}=.*: must be in (arcsec|s|mag), found"):
            frames.select_images(**wrong)


def test_it_reads_as_a_table_with_a_head(frames):
    head, first, *_ = repr(frames).splitlines()[1:]
    assert head.split() == ["frame_id", "objname", "filter", "telname", "date_obs", "exptime", "seeing", "depth", "path"]
    assert head.index("path") == first.index("/data/")


def test_images_are_divided_by_what_they_have_in_common(frames):
    parts = frames.divide_images(by_filter=True)
    assert [{image.filter for image in part} for part in parts] == [{"m600"}, {"m625"}]
    assert sorted(i for part in parts for i in ids(part)) == ids(frames)
    assert parts[0][0] is frames[0]
    parts = frames.divide_images(by_telname=True, by_exptime=True)
    assert [(part[0].telname, part[0].exptime) for part in parts] == [(name, time) for name in TELESCOPES for time in (60.0, 100.0)]
    assert [len(part) for part in frames.divide_images(by_obsdate=True)] == [1] * 12
    assert [len(part) for part in frames.divide_images(by_obsdate=True, obsdate_delta=1 * u.day)] == [12]
    assert [ids(part) for part in frames.divide_images()] == [ids(frames)]
    frames.select_images(filter="m625")
    assert [ids(part) for part in frames.divide_images(by_objname=True, by_observatory=True)] == [ids(frames)]
    assert len(frames) == 6


def test_the_best_images_of_the_selection(frames):
    frames.select_images(filter="m600")
    before = ids(frames)
    best = frames.select_quality_images(seeing=2.9, depth=17.1, ellipticity=None)
    assert ids(best) == ids(frames) == [i for i in before if (i - 1) % 5 and (i - 1) % 7 and 2.0 + 0.1 * (i - 1) <= 2.9]
    assert len(frames.select_quality_images(seeing=None, depth=None, ellipticity=None, max_images=2)) == 2
    with pytest.raises(InputError, match="of none of these 2 images the ellipticity is known"):
        frames.select_quality_images()
    assert frames.target_df.equals(frames.df)
