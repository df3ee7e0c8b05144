"""Save what was measured on one image of an archive, beside other processes that do the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ezarchive import columns, driver
from ezarchive import maps as stored_maps
from ezarchive.catalogs import parquet, paths
from ezarchive.database import queries, runs
from ezarchive.database.queries import CatalogRow
from ezarchive.images.background import MeshBackground
from ezarchive.images.image import Image
from ezarchive.images.mapfile import digest
from ezarchive.measure import Measured
from ezarchive.measureoptions import MeasureOptions
from ezarchive.positions import Axes, PositionOptions, list_digest
from ezarchive.targets import Targets


def origin_of(image: Image, field: str) -> str | None:
    """Return where a field of an image's frame comes from (``Frame.origin``); None where nobody knows."""
    frame, handle = image.frame, getattr(image, "_handle", None)
    if frame is None or handle is None or frame.frame_id is None:
        return None
    with handle.database.connect() as conn:
        return queries.origin(conn, frame.frame_id).get(field)


def save_catalog(
    image: Image,
    method: str,
    found: Measured,
    options: MeasureOptions | PositionOptions,
    given: Mapping[str, Any],
    *,
    targets: Targets | None = None,
    axes: Axes | None = None,
) -> CatalogRow:
    """Write the catalog of one image, and the mesh that was made for it, and record both.

    Parameters
    ----------
    image : ArchiveImage
        Of an archive.
    method : str
        ``sex``, ``photutils``, ``circular`` or ``elliptical``.
    found : Measured
    options : MeasureOptions or PositionOptions
    given : mapping
        The maps that were given, by the names of their arguments. Which ones makes the recipe; what they are is kept with the catalog.
    targets, axes : Targets, Axes, optional
        The positions, and semi-axes and angles.

    Returns
    -------
    CatalogRow
        Its row in the database, in a run that holds no other catalog of the frame.
    """
    frame, handle = image.frame, image._handle
    there = sorted(name for name, value in given.items() if value is not None)
    parameters = {**options.parameters(), **({"given": there} if there else {})}
    key = "" if targets is None else list_digest(targets, axes)
    if targets is not None:
        parameters["targets"] = key
    apertures = [] if method == "elliptical" else options.apertures()
    with handle.writing() as database:
        with database.begin() as conn:
            recipe_id = runs.get_recipe(conn, method, parameters, apertures)
            run_id = runs.run_without(conn, recipe_id, driver.versions(), frame.frame_id)
        names = {column.name: getattr(frame, column.name) for column in columns.NAMES}
        relative = str(paths.catalog_path(run_id, frame.frame_id, names=names, relpath=frame.relpath))
        provenance = {
            "method": method, "recipe_id": recipe_id, "parameters": parameters, "versions": driver.versions(),
            "header_hash": frame.header_hash, "data_sample": frame.data_sample, "apertures": list(found.apertures), "seeing": found.seeing,
            "depth": found.depth, "depth_aperture": found.depth_aperture, "inputs": {name: _named(given[name]) for name in there},
        }  # fmt: skip
        mesh = None
        if found.mesh is not None and getattr(options, "maps", False):
            mesh = stored_maps.write_map(handle.home, run_id, frame, "background", found.mesh, {"parameters": parameters})
        link = {column.name: getattr(frame, column.name, None) for column in columns.CATALOG_LINK} | {"run_id": run_id}
        written = parquet.write_catalog(handle.home / relative, found.table, link=link, provenance=provenance)
        row = runs.NewCatalog(
            frame_id=frame.frame_id, run_id=run_id, method=method, path=relative, n_rows=written.rows, sha256=written.sha256,
            seeing=found.seeing, depth=found.depth, depth_aperture=found.depth_aperture, apertures=found.apertures, targets=key,
        )  # fmt: skip
        with database.begin() as conn:
            stored_maps.record_maps(conn, [] if mesh is None else [mesh])
            runs.add_catalogs(conn, [row])
            runs.close_run(conn, run_id)
            (made,) = queries.catalogs(conn, frame_ids=[frame.frame_id], run_id=run_id)
    return made


def _named(value: Any) -> Any:
    """Return what tells a map apart: the number itself, a path, or a hash of its content."""
    if isinstance(value, (int, float, str)):
        return value
    if isinstance(value, MeshBackground) or hasattr(value, "cut") or hasattr(value, "shape"):
        path = getattr(value, "path", None)
        return {"path": str(path)} if path is not None else digest(value)
    return str(value)
