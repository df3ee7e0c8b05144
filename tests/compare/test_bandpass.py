"""Images through a filter, out of cubes."""

from __future__ import annotations

import subprocess
import sys
import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from scipy.integrate import quad
from scipy.interpolate import CubicSpline, interp1d

from ezarchive.compare.bandpass import TruncationWarning, bandpass_image, channel_weights, filter_curve
from ezarchive.compare.cube import FluxCube
from ezarchive.errors import CompareError, FrameError, InputError
from ezarchive.simulate.pairs import tangent_wcs

SHAPE = (300, 12, 14)
AXES = {
    "linear": {"CTYPE3": "AWAV", "CUNIT3": "Angstrom", "CRVAL3": 4750.0, "CRPIX3": 1.0, "CDELT3": 1.25},
    "falling": {"CTYPE3": "AWAV", "CUNIT3": "Angstrom", "CRVAL3": 5123.75, "CRPIX3": 1.0, "CDELT3": -1.25},
    "log": {"CTYPE3": "WAVE-LOG", "CUNIT3": "m", "CRVAL3": 4.75e-7, "CRPIX3": 1.0, "CDELT3": 1.2e-10},
}
WAVES = np.array([4800.0, 4803.3, 4900.0, 4900.4, 5000.0, 5060.1])
CURVE = np.array([0.0, 0.4, 0.9, 0.7, 0.8, 0.1])


def voxels(seed=0):
    rng = np.random.default_rng(seed)
    data, variance = rng.normal(50, 5, SHAPE).astype(np.float32), rng.uniform(1, 4, SHAPE).astype(np.float32)
    data[rng.random(SHAPE) < 0.05] = np.nan
    quality = (rng.random(SHAPE) < 0.05).astype(np.uint8)
    data[:, 3, 4] = np.nan
    quality[:, 5, 6] = 1
    return data, variance, quality


def write(path, axis="linear", parts=None, **cards):
    header = tangent_wcs(SHAPE[1:], 0.2, 20.0, (53.16, -27.78)).to_header()
    header.update(AXES[axis] | {"BUNIT": "10**(-20)*erg/s/cm**2/Angstrom"} | cards)
    names = zip(voxels() if parts is None else parts, ("DATA", "STAT", "DQ"), strict=False)
    primary = fits.PrimaryHDU(header=fits.Header({"OBJECT": "UDF"}))
    fits.HDUList([primary, *(fits.ImageHDU(part, header, name) for part, name in names)]).writeto(path)
    return path


def limits(axis):
    k = np.arange(SHAPE[0] + 1) - 0.5
    if axis == "log":
        return 4750 * np.exp(1.2e-10 * k / 4.75e-7)
    return 4750 + 1.25 * k if axis == "linear" else 5123.75 - 1.25 * k


def twin(edges, curve, data, variance, quality):
    """The same by numerical quadrature, channel by channel, and over all voxels at once."""
    low, high = np.minimum(edges[:-1], edges[1:]), np.maximum(edges[:-1], edges[1:])
    low, high = np.clip(low, WAVES[0], WAVES[-1]), np.clip(high, WAVES[0], WAVES[-1])
    w = [
        quad(curve, a, b, points=[p for p in WAVES if a < p < b] or None, epsabs=1e-14, epsrel=1e-13)[0] if b > a else 0.0
        for a, b in zip(low, high, strict=True)
    ]
    w = np.array(w)[:, None, None] * (np.isfinite(data) & (quality == 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        d = np.where(w != 0, data, 0).astype(float)
        return (w * d).sum(0) / w.sum(0), (w**2 * variance).sum(0) / w.sum(0) ** 2


@pytest.mark.oracle
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
def test_against_the_sums_written_out(tmp_path, axis, interpolation):
    parts = voxels()
    made = bandpass_image(write(tmp_path / "DATACUBE.fits", axis), WAVES, CURVE, interpolation=interpolation, nprocess=1)
    curve = interp1d(WAVES, CURVE) if interpolation == "linear" else CubicSpline(WAVES, CURVE)
    data, variance = twin(limits(axis), curve, *parts)
    gone = np.isnan(data)
    assert gone[3, 4]
    assert gone[5, 6]
    assert (made.mask == gone).all()
    np.testing.assert_allclose(made.data[~gone], data[~gone], rtol=1e-10)
    np.testing.assert_allclose(made.variance[~gone], variance[~gone], rtol=1e-10)
    assert np.isnan(made.data[gone]).all()


@pytest.mark.pure
def test_threads_do_not_change_a_bit(tmp_path, monkeypatch):
    monkeypatch.setattr("ezarchive.compare.bandpass._PLANES", 17)
    path = write(tmp_path / "c.fits")
    one, three = (bandpass_image(path, WAVES, CURVE, nprocess=n) for n in (1, 3))
    np.testing.assert_array_equal(one.data, three.data)
    np.testing.assert_array_equal(one.variance, three.variance)


@pytest.mark.pure
def test_units_of_the_curve_and_channel_numbers(tmp_path):
    path = write(tmp_path / "c.fits")
    plain = bandpass_image(path, WAVES, CURVE)
    np.testing.assert_allclose(bandpass_image(path, WAVES / 10, CURVE * 7, unit_wave="nm").data, plain.data, rtol=1e-10)
    np.testing.assert_allclose(bandpass_image(path, WAVES / 1e4, CURVE, unit_wave=u.um).data, plain.data, rtol=1e-10)
    channels = (WAVES - 4750) / 1.25
    np.testing.assert_allclose(bandpass_image(path, channels, CURVE, unit_wave=None).data, plain.data, rtol=1e-10)
    np.testing.assert_allclose(bandpass_image(voxels()[0], channels, CURVE, unit_wave=None).data[0, 0], 50, atol=3)


@pytest.mark.pure
def test_the_image_is_on_the_pixels_of_the_cube(tmp_path):
    made = bandpass_image(write(tmp_path / "DATACUBE.fits"), WAVES, CURVE)
    assert made.unit == u.Unit("1e-20 erg s-1 cm-2 Angstrom-1")
    assert made.primary["OBJECT"] == "UDF"
    assert made.name == "DATACUBE"
    np.testing.assert_allclose(made.wcs.wcs.crval, (53.16, -27.78))
    assert not {"CTYPE3", "CDELT3", "CD3_3", "CRVAL3", "CUNIT3"} & set(made.header)
    with fits.open(made.write(tmp_path / "IMAGE.fits")) as units:
        assert [unit.name for unit in units] == ["PRIMARY", "DATA", "STAT", "DQ"]
        assert units[1].header["NAXIS"] == 2


@pytest.mark.pure
def test_a_cube_without_variance(tmp_path):
    assert bandpass_image(write(tmp_path / "c.fits", parts=voxels()[:1]), WAVES, CURVE).variance is None


@pytest.mark.pure
def test_a_curve_that_lies_partly_outside(tmp_path):
    path = write(tmp_path / "c.fits")
    waves, curve = [4700.0, 5200.0], [1.0, 1.0]
    with pytest.warns(TruncationWarning, match=r"c: 25.0 % of the filter curve lies outside of the cube"):
        made = bandpass_image(path, waves, curve)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quiet = bandpass_image(path, waves, curve, truncation_warning=False)
        bandpass_image(path, [4749.0, 5123.0], curve)
    np.testing.assert_array_equal(made.data, quiet.data)


@pytest.mark.pure
def test_one_channel_and_less():
    edges = np.arange(11.0)
    curve = filter_curve([2.2, 2.4], [1.0, 3.0])
    np.testing.assert_allclose(channel_weights(curve, edges), np.eye(10)[2] * 0.4)
    np.testing.assert_allclose(channel_weights(curve, edges[::-1]), np.eye(10)[7] * 0.4)
    assert channel_weights(curve, edges + 5).tolist() == [0.0] * 10


@pytest.mark.pure
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], [1.0]), "must have as many values, two or more, found 2 and 1"),
        (([5000.0], [1.0]), "must have as many values, two or more, found 1 and 1"),
        (([4800.0, 4900.0, 4900.0, 5000.0], [1.0, 1.0, 1.0, 1.0]), "wavelengths: must rise, found repeated ones: 4900, then 4900"),
        (([5000.0, 4900.0], [1.0, 1.0]), "wavelengths: must rise, found falling ones: 5000, then 4900"),
        (([4800.0, np.nan], [1.0, 1.0]), "wavelengths: must be one list of finite numbers"),
        (([4800.0, 4900.0], [[1.0, 1.0]]), "sensitivities: must be one list of finite numbers"),
        (([4800.0, 4900.0], ["a", "b"]), "sensitivities: must be numbers"),
        (([4800.0, 4900.0], [0.0, 0.0]), "sensitivities: must have a positive integral, found 0"),
        (([4800.0, 4900.0], [1.0, 1.0], "kg"), "unit_wave: must be a unit of wavelength, found kg"),
        (([4800.0, 4900.0], [1.0, 1.0], "parsnips"), "unit_wave: must be a unit of wavelength or None, found 'parsnips'"),
        (([4800.0, 4900.0], [1.0, 1.0], u.AA, "nearest"), "interpolation: must be linear or cubic, found 'nearest'"),
        (([4800.0, 4900.0], [1.0, 1.0], u.AA, "linear", True, 1.5), "nprocess: must be a whole number, found 1.5"),
    ],
)
def test_wrong_arguments(tmp_path, arguments, message):
    with pytest.raises(InputError, match=message):
        bandpass_image(write(tmp_path / "c.fits"), *arguments)


@pytest.mark.pure
def test_a_curve_that_misses_the_cube(tmp_path):
    path = write(tmp_path / "c.fits")
    for waves in ([6000.0, 7000.0], [480.0, 490.0]):
        with pytest.raises(CompareError, match=r"must let light through within the cube c, 4749.37 to 5124.37 Angstrom") as err:
            bandpass_image(path, waves, [1.0, 1.0])
        assert err.value.code == "no_overlap"
    with pytest.raises(CompareError, match="must let light through"):
        bandpass_image(path, [4000.0, 6000.0, 6001.0, 7000.0], [0.0, 0.0, 1.0, 1.0])
    with pytest.raises(InputError, match="must have a spectral axis"):
        bandpass_image(write(tmp_path / "d.fits", CTYPE3="STOKES", CUNIT3=""), WAVES, CURVE)
    with pytest.raises(FrameError, match="is not there"):
        bandpass_image(tmp_path / "e.fits", WAVES, CURVE)


@pytest.mark.pure
def test_all_masked_planes_give_a_masked_image(tmp_path):
    parts = np.full(SHAPE, np.nan, np.float32), np.ones(SHAPE, np.float32)
    made = bandpass_image(write(tmp_path / "c.fits", parts=parts), WAVES, CURVE)
    assert made.mask.all()


@pytest.mark.pure
def test_a_cube_that_is_cut_off_half_way(tmp_path):
    path = write(tmp_path / "c.fits", parts=voxels()[:1])
    path.write_bytes(path.read_bytes()[: 2880 * 20])
    with pytest.raises(FrameError, match="cannot be read as FITS"):
        bandpass_image(path, WAVES, CURVE, nprocess=2)


LIMITED = """
import resource, sys
import numpy as np
from ezarchive.compare.bandpass import bandpass_image
bandpass_image(sys.argv[2], [10.0, 20.0], [1.0, 1.0], unit_wave=None, nprocess=1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open("/proc/self/statm") as stream:
    own = int(stream.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (own + int(sys.argv[3]), own + int(sys.argv[3])))
made = bandpass_image(sys.argv[1], [-0.5, 399.5], [1.0, 1.0], unit_wave=None, nprocess=1)
np.save(sys.argv[4], made.data)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are those of Linux")
def test_a_cube_larger_than_the_memory(tmp_path):
    """400 planes of 512 x 512 with variance, 840 MB, within 64 MB of address space more than the process has."""
    shape = (400, 512, 512)
    header = fits.Header({"SIMPLE": True, "BITPIX": 16, "NAXIS": 0, "EXTEND": True})
    path, small = tmp_path / "big.fits", write(tmp_path / "small.fits")
    plane = np.arange(512 * 512, dtype=">f4").reshape(512, 512)
    with path.open("wb") as stream:
        stream.write(fits.PrimaryHDU(header=header).header.tostring().encode())
        for name in ("DATA", "STAT"):
            cards = {"XTENSION": "IMAGE", "BITPIX": -32, "NAXIS": 3, "NAXIS1": 512, "NAXIS2": 512, "NAXIS3": 400, "PCOUNT": 0, "GCOUNT": 1}
            stream.write(fits.Header(cards | {"EXTNAME": name}).tostring().encode())
            for k in range(shape[0]):
                stream.write((plane + np.float32(k)).astype(">f4").tobytes())
            stream.write(bytes(-stream.tell() % 2880))
    allowed = 64_000_000
    command = [sys.executable, "-c", LIMITED, str(path), str(small), str(allowed), str(tmp_path / "out.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), plane + 199.5, rtol=1e-7)
    assert int(done.stdout) * 1024 < allowed < path.stat().st_size / 12


@pytest.mark.pure
def test_a_cube_object_is_as_good_as_its_file():
    data, variance, quality = voxels()
    cube = FluxCube(SHAPE, fits.Header(AXES["linear"]), fits.Header(), arrays={"data": data, "variance": variance, "mask": quality > 0})
    expected, _ = twin(limits("linear"), interp1d(WAVES, CURVE), data, variance, quality)
    np.testing.assert_allclose(bandpass_image(cube, WAVES, CURVE).data, expected, rtol=1e-10)
