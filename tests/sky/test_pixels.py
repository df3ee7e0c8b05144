from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS, Sip
from hypothesis import given
from hypothesis import strategies as st

from ezarchive.errors import InputError
from ezarchive.sky import (
    centre_radius,
    field_of_view,
    footprint,
    icrs_to_pixel,
    jacobian,
    native_jacobian,
    pa_to_theta,
    pixel_scale,
    pixel_to_icrs,
    polygon_contains,
    separation,
    theta_to_pa,
)

pytestmark = pytest.mark.pure

NX, NY = 300, 200


def make(ra=150.0, dec=2.0, scale=0.5, rotation=0.0, mirrored=False, ctype=("RA---TAN", "DEC--TAN"), **cards):
    """A WCS whose +y points `rotation` degrees east of north."""
    t = np.radians(rotation)
    flip = 1 if mirrored else -1
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = ctype
    header["CRVAL1"], header["CRVAL2"] = ra, dec
    header["CRPIX1"], header["CRPIX2"] = NX / 2 + 0.5, NY / 2 + 0.5
    header["CD1_1"], header["CD1_2"] = flip * scale / 3600 * np.cos(t), scale / 3600 * np.sin(t)
    header["CD2_1"], header["CD2_2"] = -flip * scale / 3600 * np.sin(t), scale / 3600 * np.cos(t)
    header.update(cards)
    return WCS(header)


PLACES = [(150.0, 2.0), (0.0, 0.0), (359.9999, -30.0), (10.0, 90.0), (77.0, -90.0), (200.0, 89.95)]


@pytest.mark.parametrize(("ra", "dec"), PLACES)
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("rotation", [0.0, 33.0, 180.0, 271.0])
def test_footprint_is_the_outer_edge_anticlockwise(ra, dec, mirrored, rotation):
    wcs = make(ra, dec, 3.0, rotation, mirrored)
    view = field_of_view(wcs, NX, NY)
    assert view.vertices.shape == (4, 2)
    assert view.pixel_scale == pytest.approx(3.0, rel=1e-6)
    # The reference pixel is the centre of the image.
    assert separation(view.ra, view.dec, ra, dec) < 1e-9
    assert view.radius * 3600 == pytest.approx(3 * np.hypot(NX, NY) / 2, rel=1e-5)
    corners = np.array([(-0.5, -0.5), (NX - 0.5, -0.5), (NX - 0.5, NY - 0.5), (-0.5, NY - 0.5)])
    world = np.stack(pixel_to_icrs(wcs, corners[:, 0], corners[:, 1]), axis=1)
    distance = separation(view.vertices[:, None, 0], view.vertices[:, None, 1], world[None, :, 0], world[None, :, 1])
    assert (distance.min(axis=1) < 1e-9).all()
    # Anti-clockwise with east left: the position angle of the corners, seen from the centre, grows.
    first = SkyCoord(view.ra * u.deg, view.dec * u.deg)
    angles = first.position_angle(SkyCoord(view.vertices * u.deg)).deg
    assert (np.diff(np.unwrap(angles, period=360)) > 0).all()
    assert (footprint(wcs, NX, NY) == view.vertices).all()
    assert centre_radius(wcs, NX, NY) == (view.ra, view.dec, view.radius)


@pytest.mark.parametrize(("ra", "dec"), PLACES)
@pytest.mark.parametrize("mirrored", [False, True])
def test_footprint_holds_the_pixels_and_no_others(ra, dec, mirrored):
    wcs = make(ra, dec, 20.0, 40.0, mirrored)
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-100, NX + 100, 4000), rng.uniform(-100, NY + 100, 4000)
    on = (x > -0.5) & (x < NX - 0.5) & (y > -0.5) & (y < NY - 0.5)
    assert np.array_equal(polygon_contains(footprint(wcs, NX, NY), *pixel_to_icrs(wcs, x, y)), on)


@pytest.mark.parametrize(("code", "dec"), [("CAR", 0.0), ("SIN", 50.0), ("ZEA", -70.0)])
def test_curved_sides_get_points_between(code, dec):
    wcs = make(20.0, dec, 300.0, 10.0, ctype=(f"RA---{code}", f"DEC--{code}"))
    vertices = footprint(wcs, NX, NY)
    assert len(vertices) > 4
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-50, NX + 50, 4000), rng.uniform(-50, NY + 50, 4000)
    off = np.maximum(np.abs(x - (NX - 1) / 2) - NX / 2, np.abs(y - (NY - 1) / 2) - NY / 2)
    clear = np.abs(off) > 0.6
    assert np.array_equal(polygon_contains(vertices, *pixel_to_icrs(wcs, x, y))[clear], off[clear] < 0)


def test_small_images_have_four_corners_whatever_the_projection():
    assert footprint(make(ctype=("RA---ZEA", "DEC--ZEA")), NX, NY).shape == (4, 2)


def test_latitude_first():
    plain = field_of_view(make(), NX, NY)
    header = make().to_header()
    for key in ("CTYPE", "CRVAL", "CUNIT", "CDELT"):
        header[f"{key}1"], header[f"{key}2"] = header[f"{key}2"], header[f"{key}1"]
    cd = make().wcs.cd
    for i in (1, 2):
        header[f"CDELT{i}"] = 1.0
        for j in (1, 2):
            header[f"PC{i}_{j}"] = cd[2 - i, j - 1]
    other = field_of_view(WCS(header), NX, NY)
    assert other.vertices == pytest.approx(plain.vertices, abs=1e-9)


@pytest.mark.parametrize(
    ("ctype", "cards", "frame"),
    [
        (("GLON-TAN", "GLAT-TAN"), {}, "galactic"),
        (("RA---TAN", "DEC--TAN"), {"RADESYS": "FK5", "EQUINOX": 2000.0}, "fk5"),
        (("RA---TAN", "DEC--TAN"), {"RADESYS": "FK5", "EQUINOX": 2015.5}, "fk5 2015.5"),
        (("RA---TAN", "DEC--TAN"), {"EQUINOX": 2000.0}, "fk5"),
        (("RA---TAN", "DEC--TAN"), {"RADESYS": "FK4", "EQUINOX": 1950.0}, "fk4"),
        (("RA---TAN", "DEC--TAN"), {"RADESYS": "FK4-NO-E", "EQUINOX": 1950.0}, "fk4noeterms"),
        (("SLON-TAN", "SLAT-TAN"), {}, "supergalactic"),
        (("ELON-TAN", "ELAT-TAN"), {}, "barycentricmeanecliptic"),
    ],
)
def test_systems_agree_with_astropy(ctype, cards, frame):
    wcs = make(40.0, 20.0, ctype=ctype, **cards)
    x, y = np.array([0, 100, 299.0]), np.array([0, 50, 199.0])
    world = wcs.all_pix2world(np.stack([x, y], 1), 0)
    name, _, equinox = frame.partition(" ")
    wanted = SkyCoord(world * u.deg, frame=name, **({"equinox": f"J{equinox}"} if equinox else {})).icrs
    ra, dec = pixel_to_icrs(wcs, x, y)
    assert separation(ra, dec, wanted.ra.deg, wanted.dec.deg).max() * 3600e3 < 1e-3
    back = icrs_to_pixel(wcs, ra, dec)
    assert np.abs(np.array(back) - [x, y]).max() < 1e-4


def with_sip(mirrored=False):
    wcs = make(10.0, -77.0, 0.5, 25.0, mirrored, ctype=("RA---TAN-SIP", "DEC--TAN-SIP"))
    a, b = np.zeros((4, 4)), np.zeros((4, 4))
    a[2, 0], a[0, 2], b[1, 1], b[0, 3] = 3e-5, -1e-5, 2e-5, 1e-8
    wcs.sip = Sip(a, b, None, None, wcs.wcs.crpix)
    return wcs


@pytest.mark.parametrize("mirrored", [False, True])
def test_distorted_images(mirrored):
    wcs = with_sip(mirrored)
    x, y = np.meshgrid(np.linspace(0, NX - 1, 7), np.linspace(0, NY - 1, 5))
    ra, dec = pixel_to_icrs(wcs, x, y)
    assert ra.shape == (5, 7)
    assert np.abs(np.array(icrs_to_pixel(wcs, ra, dec)) - [x, y]).max() < 1e-4
    vertices = footprint(wcs, NX, NY)
    assert polygon_contains(vertices, ra.ravel(), dec.ravel()).all()
    assert np.sign(np.linalg.det(jacobian(wcs, 0, 0))) == (1 if mirrored else -1)


@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_jacobian_predicts_small_steps(ra, dec):
    wcs = make(ra, dec, 0.5, 33.0)
    x, y = np.array([3.0, 150, 290]), np.array([190.0, 100, 4])
    local = jacobian(wcs, x, y)
    here = SkyCoord(*pixel_to_icrs(wcs, x, y), unit="deg")
    for dx, dy in ((1.0, 0.0), (0.0, 1.0), (-0.3, 0.7)):
        there = SkyCoord(*pixel_to_icrs(wcs, x + dx, y + dy), unit="deg")
        distance, angle = here.separation(there).arcsec, here.position_angle(there).rad
        step = local @ np.array([dx, dy])
        assert step[:, 0] == pytest.approx(distance * np.sin(angle), abs=2e-5)
        assert step[:, 1] == pytest.approx(distance * np.cos(angle), abs=2e-5)


def test_jacobian_of_a_plain_image_is_its_matrix():
    assert jacobian(make(), 149.5, 99.5) == pytest.approx(np.array([[-0.5, 0], [0, 0.5]]), abs=1e-7)
    assert jacobian(make(), np.zeros((3, 2)), 5).shape == (3, 2, 2, 2)
    assert pixel_scale(make(scale=0.5), [0, 299], [0, 199]) == pytest.approx([0.5, 0.5], rel=1e-6)


def test_native_jacobian_is_in_the_image_system():
    wcs = make(18.0, 0.1, ctype=("GLON-CAR", "GLAT-CAR"))
    assert native_jacobian(wcs, 10, 10) == pytest.approx(np.array([[-0.5, 0], [0, 0.5]]), abs=1e-5)
    # Galactic north is far from celestial north there.
    assert abs(jacobian(wcs, 10, 10)[1, 1]) < 0.45
    assert np.linalg.det(native_jacobian(wcs, 10, 10)) == pytest.approx(np.linalg.det(jacobian(wcs, 10, 10)), rel=1e-9)


@pytest.mark.parametrize(("mirrored", "expected"), [(False, [270.0, 0.0, 315.0]), (True, [90.0, 0.0, 45.0])])
def test_position_angles_of_plain_images(mirrored, expected):
    # theta 0 is +x: west in a normal image, east in a mirrored one; theta 90 is north.
    wcs = make(mirrored=mirrored)
    got = theta_to_pa(wcs, 149.5, 99.5, np.array([0.0, 90.0, 45.0]))
    assert np.abs((got - expected + 180) % 360 - 180).max() < 1e-6


@given(st.floats(0, 360), st.booleans(), st.floats(0, 360), st.sampled_from(PLACES))
def test_angles_round_trip(rotation, mirrored, theta, place):
    wcs = make(*place, 0.5, rotation, mirrored)
    pa = theta_to_pa(wcs, 20.0, 180.0, theta)
    back = pa_to_theta(wcs, 20.0, 180.0, pa)
    assert 0 <= pa < 360
    assert abs((back - theta + 180) % 360 - 180) < 1e-6


def test_rotation_is_the_position_angle_of_plus_y():
    wcs = make(rotation=33.0)
    assert theta_to_pa(wcs, 149.5, 99.5, 90.0) == pytest.approx(33.0, abs=1e-6)


def test_thousands_of_sources_take_milliseconds():
    x, y = np.random.default_rng(0).uniform(0, 200, (2, 5000))
    assert theta_to_pa(with_sip(), x, y, x).shape == (5000,)


def bare(cd=((-1.4e-4, 0), (0, 1.4e-4)), ctype=("RA---TAN", "DEC--TAN"), radesys="ICRS"):
    """A WCS that may be unusable: astropy looks at it only when it is used."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cd, wcs.wcs.radesys = ctype, np.array(cd, float), radesys
    wcs.wcs.crval, wcs.wcs.crpix = (150.0, 2.0), (NX / 2 + 0.5, NY / 2 + 0.5)
    return wcs


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"cd": ((0, 0), (0, 1e-4))}, "wcs: must"),
        ({"cd": ((1e-4, 1e-4), (1e-4, 1e-4))}, "wcs: must"),
        ({"cd": ((1e-15, 0), (0, 1e-4))}, "wcs: must invert"),
        ({"ctype": ("LINEAR", "LINEAR")}, "two celestial axes, found LINEAR, LINEAR"),
        ({"ctype": ("HPLN-TAN", "HPLT-TAN")}, "CTYPE must be RA/DEC"),
        ({"radesys": "GAPPT"}, "RADESYS must be ICRS, FK5 or FK4, found GAPPT"),
        ({"cd": ((-0.5, 0), (0, 0.5)), "ctype": ("RA---SIN", "DEC--SIN")}, "must give finite positions"),
        ({"cd": ((-0.6, 0), (0, 0.6)), "ctype": ("RA---ZEA", "DEC--ZEA")}, "less than a hemisphere"),
        ({"cd": ((-2.0, 0), (0, 2.0)), "ctype": ("RA---CAR", "DEC--CAR")}, "wcs: "),
    ],
)
def test_unusable_wcs(changes, message):
    if message is None:
        assert len(footprint(bare(), NX, NY)) == 4
        return
    with pytest.raises(InputError, match=message):
        field_of_view(bare(**changes), NX, NY)


def test_folded_distortion_does_not_invert():
    wcs = with_sip()
    a = np.zeros((4, 4))
    a[2, 0] = -0.01
    wcs.sip = Sip(a, np.zeros((4, 4)), None, None, wcs.wcs.crpix)
    with pytest.raises(InputError, match="must invert"):
        field_of_view(wcs, NX, NY)
