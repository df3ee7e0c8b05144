from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from ezarchive import simulate
from ezarchive.errors import InputError
from ezarchive.simulate.exposure import DROPPABLE

NAME = re.compile(r"calib_(?P<telname>[^_]+)_(?P<objname>[^_]+)_(?P<date>\d{8})_(?P<time>\d{6})_(?P<filter>[^_]+)_(?P<exptime>\d+)\.fits")
SMALL = {"shape": (64, 64), "n_epochs": 1, "telescopes": ["7DT01"], "filters": ["r"], "targets": [simulate.Target("A", 0.0, 1.0)]}


def hashes(folder):
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.pure
def test_every_target_telescope_filter_and_epoch_is_there(toy):
    files = sorted(toy.scidata.rglob("*.fits"))
    assert len(files) == 3 * 3 * (3 + 2)
    assert {p.name for p in toy.folder.iterdir()} == {"scidata", "refdata", "mcalibdata", "truth"}
    assert len(list(toy.refdata.rglob("*.fits"))) == 2 * 3
    assert len(list(toy.mcalibdata.rglob("*.fits"))) == 3 * (2 + 3)
    assert set(toy.roots) == {"scidata", "refdata", "mcalibdata"}
    listed = {(str(row["root"]), str(row["relpath"])) for row in toy.truth.frames}
    assert listed == {(root.name, p.relative_to(root).as_posix()) for root in (toy.scidata, toy.refdata) for p in root.rglob("*.fits")}


@pytest.mark.pure
def test_names_folders_and_headers_agree(toy):
    for path in [*toy.scidata.rglob("*.fits"), *toy.refdata.rglob("*.fits")]:
        fields = NAME.fullmatch(path.name).groupdict()
        observatory, telkey, objname, telname, filter_ = path.parts[-6:-1]
        header = fits.getheader(path)
        assert (observatory, telkey) == ("7DT", "7DT_C361K_HIGH_1x1")
        assert (objname, telname, filter_) == (fields["objname"], fields["telname"], fields["filter"])
        assert header["TELESCOP"] == telname
        assert header.get("OBJECT", objname) == objname
        assert header.get("FILTER", filter_) == filter_
        assert header["EXPTIME"] == float(fields["exptime"])
        stamp = header["DATE-OBS"][:19].replace("-", "").replace(":", "").replace("T", "_")
        assert stamp == f"{fields['date']}_{fields['time']}"


@pytest.mark.pure
def test_some_frames_lack_cards_as_the_truth_says(toy):
    lacking = 0
    for row in toy.truth.frames[toy.truth.frames["root"] == "scidata"]:
        header = fits.getheader(toy.scidata / row["relpath"])
        missing = [card for card in DROPPABLE if card not in header]
        assert sorted(missing) == sorted(filter(None, str(row["lacks"]).split(",")))
        assert ("ZPAPER" in header) == ("ZP" in header)
        lacking += bool(missing)
    assert 4 <= lacking <= 25


@pytest.mark.truth
def test_the_pixels_hold_the_sources_at_their_true_places(toy):
    for row in toy.truth.frames[::7]:
        data, header = fits.getdata(toy.roots[str(row["root"])] / row["relpath"], header=True)
        frame = toy.truth.frame(row["relpath"])
        assert data.shape == (240, 256)
        wcs, sources = WCS(header), frame.sources
        x, y = wcs.all_world2pix(sources["ra"], sources["dec"], 0, tolerance=1e-6)
        np.testing.assert_allclose((x, y), (sources["x"].value, sources["y"].value), atol=0.01)
        model = np.minimum(frame.scene() + frame.background(), frame.exposure.saturation)
        model[frame.exposure.hot_y, frame.exposure.hot_x] = data[frame.exposure.hot_y, frame.exposure.hot_x]
        quiet = frame.scene() < 1e3 * frame.exposure.ncombine
        variance = (model - frame.background()) / frame.exposure.gain + frame.exposure.sky_sigma**2
        residual = ((data - model) / np.sqrt(variance))[quiet]
        assert residual.mean() == pytest.approx(0, abs=0.03)
        assert 0.97 < residual.std() < 1.1


@pytest.mark.truth
def test_one_field_straddles_ra_0(toy):
    frames = toy.truth.frames
    path = frames["relpath"][(frames["objname"] == "T01462")][0]
    sources = toy.truth.frame(path).sources
    ra = sources["ra"].value[sources["on_frame"]]
    assert ra.min() < 0.1
    assert ra.max() > 359.9


@pytest.mark.truth
def test_orientations_differ(toy):
    parity, angle = {}, {}
    for row in toy.truth.frames:
        header = fits.getheader(toy.roots[str(row["root"])] / row["relpath"])
        parity[header["TELESCOP"]] = np.sign(header["CD1_1"] * header["CD2_2"] - header["CD1_2"] * header["CD2_1"])
        angle[header["TELESCOP"]] = abs(header["CD1_2"]) > 1e-6
        assert ("A_ORDER" in header) == (header["TELESCOP"] != "7DT01")
    assert parity == {"7DT01": -1, "7DT02": -1, "7DT14": 1}
    assert angle == {"7DT01": False, "7DT02": True, "7DT14": False}


@pytest.mark.truth
def test_hot_pixels_move_and_stars_saturate(toy):
    science = toy.truth.frames[toy.truth.frames["root"] == "scidata"]
    assert len(set(zip(science["hot_x"], science["hot_y"], strict=True))) > 1
    row = science[0]
    data = fits.getdata(toy.scidata / row["relpath"])
    assert data[row["hot_y"], row["hot_x"]] > 3000
    assert data.max() == row["saturation"].value
    assert toy.truth.frame(row["relpath"]).sources["saturated"].any()


@pytest.mark.truth
def test_references_are_deeper(toy):
    frames = toy.truth.frames
    one = frames[(frames["root"] == "scidata") & (frames["filter"] == "m600")]
    deep = frames[(frames["root"] == "refdata") & (frames["filter"] == "m600")]
    assert deep["depth"].value.min() > one["depth"].value.max() + 1.5
    header = fits.getheader(toy.refdata / deep["relpath"][0])
    assert header["NCOMBINE"] == 30
    assert header["EXPTIME"] == 3000


@pytest.mark.truth
def test_masters(toy):
    files = {p.relative_to(toy.mcalibdata).parts[:-1]: p for p in sorted(toy.mcalibdata.rglob("*.fits"))}
    base = ("7DT", "7DT_C361K_HIGH_1x1")
    assert set(files) == {(*base, kind, tel) for kind in ("BIAS", "DARK", "FLAT") for tel in ("7DT01", "7DT02", "7DT14")}
    bias, header = fits.getdata(files[*base, "BIAS", "7DT01"], header=True)
    assert bias.std() == pytest.approx(6 / 0.2561 / np.sqrt(header["NCOMBINE"]), rel=0.02)
    assert "NCOMBINE" not in fits.getheader(files[*base, "BIAS", "7DT14"])
    dark = fits.getheader(files[*base, "DARK", "7DT02"])
    assert (dark["IMAGETYP"], dark["EXPTIME"]) == ("DARK", 100.0)
    flats = sorted((toy.mcalibdata / "7DT" / "7DT_C361K_HIGH_1x1" / "FLAT" / "7DT01").glob("*.fits"))
    assert [fits.getheader(p)["FILTER"] for p in flats] == ["m600", "m625", "r"]
    flat = fits.getdata(flats[0])
    assert np.median(flat) == pytest.approx(1, abs=0.02)
    assert flat[:20, :20].mean() < 0.97


@pytest.mark.truth
def test_pulls_over_the_tree(toy):
    """Sums in the frames themselves, sky from the truth, against the noise-free flux in the same aperture."""
    pulls = []
    for row in toy.truth.frames:
        frame = toy.truth.frame(row["relpath"])
        data = fits.getdata(toy.roots[str(row["root"])] / row["relpath"]) - frame.background()
        sources, exposure = frame.sources, frame.exposure
        good = np.flatnonzero(sources["isolated"] & ~sources["saturated"] & (sources["snr"] > 20))
        true = frame.flux(7.0)[good]
        for i, flux in zip(good, true, strict=True):
            window, area = frame._light.aperture(i, exposure.radius(7.0))
            measured = np.sum(data[window.slices] * area)
            pulls.append((measured - flux) / np.sqrt(flux / exposure.gain + np.sum(area) * exposure.sky_sigma**2))
    assert len(pulls) > 150
    assert abs(np.mean(pulls)) < 0.15
    assert 0.85 < np.std(pulls) < 1.2


@pytest.mark.pure
def test_the_same_seed_gives_the_same_bytes(tmp_path):
    simulate.toy_archive(tmp_path / "a", **SMALL)
    simulate.toy_archive(tmp_path / "b", **SMALL)
    simulate.toy_archive(tmp_path / "c", **SMALL, seed=1)
    one, same, other = (hashes(tmp_path / name) for name in "abc")
    assert one == same
    frames = [name for name in one if name.startswith("scidata")]
    assert all(one[name] != other.get(name) for name in frames)


@pytest.mark.pure
def test_a_second_call_opens_or_finishes_the_first(tmp_path):
    first = simulate.toy_archive(tmp_path, **SMALL)
    before = hashes(tmp_path)
    times = [p.stat().st_mtime_ns for p in sorted(tmp_path.rglob("*.fits"))]
    again = simulate.toy_archive(tmp_path, **SMALL)
    assert [p.stat().st_mtime_ns for p in sorted(tmp_path.rglob("*.fits"))] == times
    assert len(again.truth.sources) == len(first.truth.sources)
    (tmp_path / "truth" / "sources.parquet").unlink()
    next(first.scidata.rglob("*.fits")).write_bytes(b"torn")
    simulate.toy_archive(tmp_path, **SMALL)
    assert hashes(tmp_path) == before
    with pytest.raises(InputError, match="made with other arguments"):
        simulate.toy_archive(tmp_path, **SMALL, seed=99)


@pytest.mark.pure
def test_a_folder_of_someone_elses_is_left_alone(tmp_path):
    (tmp_path / "scidata").mkdir()
    with pytest.raises(InputError, match="holds 'scidata' already, and no toy archive"):
        simulate.toy_archive(tmp_path, **SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["scidata"]


@pytest.mark.pure
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"shape": (10, 10)}, "shape .* from 32"),
        ({"filters": ["Q"]}, "filter 'Q': must be one of"),
        ({"filters": []}, "each must hold at least one"),
        ({"filters": ["r", "r"]}, "must not hold a name twice"),
        ({"n_epochs": 0}, "n_epochs 0 of target 'A': must be at least 1"),
        ({"lacking": 2}, "must be a fraction between 0 and 1"),
        ({"density": 0}, "density 0: must be a positive number"),
        ({"seed": -1}, "seed -1: must be a whole number"),
    ],
)
def test_wrong_arguments(tmp_path, changed, message):
    with pytest.raises(InputError, match=message):
        simulate.toy_archive(tmp_path, **{**SMALL, **changed})
    assert not list(tmp_path.iterdir())
