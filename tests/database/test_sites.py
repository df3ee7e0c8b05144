"""Where observatories stand."""

from __future__ import annotations

from ezarchive.database import names
from ezarchive.database.sites import known_sites


def test_only_observatories_with_a_place(database):
    with database.begin() as conn:
        names.get_or_create(conn, "observatory", ["7DT", "LSGT"])
        names.set_site(conn, "El Sauce", longitude=-70.763, latitude=-30.4725, elevation=1570)
    with database.connect() as conn:
        assert known_sites(conn) == {"El Sauce": (-70.763, -30.4725, 1570.0)}
