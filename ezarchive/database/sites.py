"""Where observatories stand, as the database knows it."""

from __future__ import annotations

import sqlalchemy as sa

from ezarchive.database.models import site


def known_sites(conn: sa.Connection) -> dict[str, tuple[float, float, float]]:
    """Return the observatories whose place is recorded: name -> east longitude, latitude (degrees), elevation (metres; 0 if not known)."""
    query = sa.select(site.c.name, site.c.longitude, site.c.latitude, sa.func.coalesce(site.c.elevation, 0.0))
    query = query.where(site.c.longitude.is_not(None), site.c.latitude.is_not(None))
    return {name: (float(longitude), float(latitude), float(elevation)) for name, longitude, latitude, elevation in conn.execute(query)}
