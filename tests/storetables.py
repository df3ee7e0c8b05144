"""Made-up rows of the light-curve store: objects at random places with epochs, in the columns of the store."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ezarchive.sky import cell_of
from ezarchive.store import files, ids
from ezarchive.store.build import Builder
from ezarchive.store.version import Version


def random_places(rng, n, *, ra=(10.0, 50.0), dec=(-30.0, 30.0)):
    """Places spread evenly over a box on the sky, degrees."""
    z = rng.uniform(*np.sin(np.radians(dec)), n)
    return rng.uniform(*ra, n), np.degrees(np.arcsin(z))


def light_curves(rng, ra, dec, epochs, *, first_catalog=1, forced=False):
    """Rows of `columns.STORE`: each object in every one of the catalogs from `first_catalog`, one a night."""
    object_id = ids.object_ids(cell_of(ra, dec, 29))
    n, k = len(object_id), epochs
    who = np.repeat(np.arange(n), k)
    epoch = np.tile(np.arange(first_catalog, first_catalog + k), n)
    place_ra, place_dec = ids.place(object_id)
    flux = rng.uniform(1, 100, n * k).astype(np.float32)
    values = {
        "object_id": object_id[who],
        "frame_id": epoch + 1000,
        "run_id": np.ones(n * k, np.int64),
        "catalog_id": epoch,
        "row": who,
        "telname": np.array(["7DT01", "7DT02", None], object)[epoch % 3],
        "filter": np.array(["r", "g"], object)[epoch % 2],
        "mjd_mid": 60000.0 + epoch,
        "exptime": np.full(n * k, 100.0),
        "ra": ra[who] + rng.normal(0, 2e-5, n * k),
        "dec": dec[who] + rng.normal(0, 2e-5, n * k),
        "flux": flux,
        "flux_err": flux / 20,
        "mag": 23.9 - 2.5 * np.log10(flux),
        "mag_err": np.full(n * k, 0.054),
        "flux_ujy": flux,
        "flux_ujy_err": flux / 20,
        "aperture_arcsec": np.full(n * k, 5.0),
        "mag_limit": np.full(n * k, 22.0),
        "flags": np.zeros(n * k, np.int32),
        "kind": np.full(n * k, "forced" if forced else "detection", object),
        "flags_aper": np.zeros(n * k, np.int32),
        "zero_point": np.full(n * k, 23.9),
        "zero_point_err": np.full(n * k, 0.01),
        "flux_limit": np.full(n * k, 5.0),
        "target_id": np.full(n * k, "t1" if forced else None, object),
        "night": np.array([f"2023-{1 + e // 28 % 12:02d}-{1 + e % 28:02d}" for e in range(first_catalog, first_catalog + k)], object)[
            epoch - first_catalog
        ],
        "object_ra": place_ra[who],
        "object_dec": place_dec[who],
        "_healpix_29": ids.healpix_29(object_id)[who],
    }
    return table_of("light_curve", values)


def objects(rng, ra, dec, object_id=None):
    """Rows of `columns.OBJECT` with means at these places."""
    object_id = ids.object_ids(cell_of(ra, dec, 29)) if object_id is None else object_id
    return table_of(
        "objects", {"object_id": object_id, "ra": ra, "dec": dec, "_healpix_29": cell_of(ra, dec, 29), "n_det": np.arange(len(ra))}
    )


def table_of(dataset, values):
    """A table of a dataset; columns that are not given are NULL."""
    length = len(next(iter(values.values())))
    arrays = []
    for field in files.schema(dataset):
        if field.name in values:
            arrays.append(pa.array(values[field.name]).cast(field.type))
        else:
            arrays.append(pa.nulls(length, field.type))
    return pa.Table.from_arrays(arrays, schema=files.schema(dataset))


def split(table, tree):
    """Tables by leaf."""
    place = tree.index_of(table["_healpix_29"].to_numpy())
    return {tree.leaves[index]: table.filter(pa.array(place == index)) for index in np.unique(place)}


def publish(home, number=1, *, curves=None, objs=None, tree=None, previous=None, parameters=None):
    """A version with these light curves (added to those before) and objects (in their place)."""
    previous = previous or Version.none(home)
    with Builder(home, previous, number, parameters or {}, tree=tree) as builder:
        for leaf, table in split(curves, builder.tree).items() if curves is not None else ():
            builder.add(leaf, table)
        for leaf, table in split(objs, builder.tree).items() if objs is not None else ():
            builder.replace(leaf, "objects", table)
        return builder.publish()


def all_rows(version, dataset="light_curve"):
    """Every row of a dataset, in one order."""
    table = pa.concat_tables([files.schema(dataset).empty_table(), *(version.read(dataset, leaf) for leaf in version.leaves(dataset))])
    return table.take(pa.array(files.sort_order(table, files.ORDERS[dataset])))


def contents(folder):
    """Every file below a folder with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def second_night(home):
    """The version after the first, always the same one."""
    rng = np.random.default_rng(1)
    sky = random_places(rng, 60, ra=(0, 100), dec=(-20, 20))
    curves, objs = light_curves(rng, *sky, 2, first_catalog=9), objects(rng, *sky)
    return publish(home, 2, curves=curves, objs=objs, previous=Version.open(home, 1))
