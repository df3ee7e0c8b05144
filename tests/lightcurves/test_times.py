"""Where frames were taken from."""

from __future__ import annotations

from ezarchive import Archive
from ezarchive.database import names
from ezarchive.lightcurves.times import sites_of
from ezarchive.simulate import exposure
from ezarchive.timeseries.scales import Site

EMPTY = (326.25, -77.2622)


def test_header_then_database_then_settings(toy, tmp_path):
    with Archive.create(tmp_path / "home", roots={"scidata": toy.scidata}) as archive:
        archive.index(progress=False)
        assert sites_of(archive, [1, 2, 999]) == (
            ["7DT", "7DT", None],
            {"7DT": Site(exposure.LONGITUDE, exposure.LATITUDE, exposure.ELEVATION)},
        )
        with archive.database.begin() as conn:
            names.set_site(conn, "7DT", longitude=1.0, latitude=2.0, elevation=3.0)
        assert sites_of(archive, [1])[1] == {"7DT": Site(1.0, 2.0, 3.0)}
        assert sites_of(archive, []) == ([], {"7DT": Site(1.0, 2.0, 3.0)})
    sites = {"7dt": {"longitude": -70.0, "latitude": -30.0}}
    with Archive.create(tmp_path / "other", roots={"scidata": toy.scidata}, sites=sites) as archive:
        archive.index(progress=False)
        assert sites_of(archive, [1])[1] == {"7dt": Site(-70.0, -30.0, 0.0)}


def test_an_unknown_site_is_noted(toy, tmp_path):
    with Archive.create(tmp_path / "home", roots={"scidata": toy.scidata}, index={"store_headers": False}) as archive:
        archive.index(progress=False)
        archive.measure(workers=1, progress=False)
        table = archive.light_curve(EMPTY, limits=True, bjd=True)
        assert len(table) == 6
        (note,) = table.meta["notes"]
        assert "for observatory 7DT: [sites.NAME] in ezarchive.toml tells" in note
