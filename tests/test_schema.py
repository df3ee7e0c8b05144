"""The migrations: from nothing to head they make the tables of the models, on both engines, and they lose no row."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import engines
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from ezarchive.database import migrate, models, queries, runs, stores, withdrawals, zeropoints
from ezarchive.database.engine import make_engine, parse_url
from ezarchive.database.session import Database
from ezarchive.errors import MigrationError, SchemaTooOldError
from ezarchive.sky import CELL_ORDER

postgresql_server, empty_postgresql_url, empty_url = engines.postgresql_server, engines.empty_postgresql_url, engines.empty_url

REBUILD = '''
"""Rebuild the table of roots in batch mode."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table("parent") as batch:
        batch.add_column(sa.Column("more", sa.Text(), nullable=True))
        batch.alter_column("name", existing_type=sa.Text(), nullable=False)
'''

FAMILY = '''
"""A parent whose children go with it."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table("parent", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("name", sa.Text()))
    op.create_table(
        "child",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("parent_id", sa.Integer(), sa.ForeignKey("parent.id", name="fk", ondelete="CASCADE"), nullable=False),
    )
    for number in range(10):
        op.execute(f"INSERT INTO parent VALUES ({number}, 'p')")
        op.execute(f"INSERT INTO child VALUES ({number}, {number})")
'''


@pytest.fixture
def engine(empty_url):
    """An engine of a database without tables."""
    engine = make_engine(parse_url(empty_url))
    yield engine
    engine.dispose()


@pytest.fixture
def scripts(tmp_path) -> Path:
    """A folder of migrations with one step, `FAMILY`."""
    folder = tmp_path / "schema"
    (folder / "versions").mkdir(parents=True)
    shutil.copy(migrate.scripts() / "env.py", folder)
    (folder / "versions" / "0001_family.py").write_text(FAMILY)
    return folder


def add_step(folder: Path, text: str) -> None:
    (folder / "versions" / "0002_step.py").write_text(text)


def constraints(inspector: sa.Inspector) -> set[tuple]:
    found = set()
    for table in inspector.get_table_names():
        if table == "alembic_version":
            continue
        found.add((table, inspector.get_pk_constraint(table)["name"]))
        for get in (inspector.get_unique_constraints, inspector.get_check_constraints, inspector.get_foreign_keys):
            found |= {(table, constraint["name"]) for constraint in get(table)}
    return found


class TestFromNothingToHead:
    def test_makes_the_tables_of_the_models(self, engine):
        migrate.upgrade(engine)
        with engine.connect() as conn:
            context = MigrationContext.configure(conn, opts={"compare_type": True, "compare_server_default": True})
            assert compare_metadata(context, models.metadata) == []

    def test_every_constraint_is_that_of_the_models_and_has_a_name(self, engine):
        migrate.upgrade(engine)
        with engine.connect() as conn:
            found = constraints(sa.inspect(conn))
        wanted = {(table.name, constraint.name) for table in models.metadata.sorted_tables for constraint in table.constraints}
        assert found == wanted
        assert all(isinstance(name, str) and name for _, name in found)

    def test_says_its_version(self, engine):
        assert migrate.current(engine) is None
        migrate.upgrade(engine)
        assert migrate.current(engine) == migrate.head()
        with engine.connect() as conn:
            meta = dict(conn.execute(sa.select(models.archive_meta)).all())
        assert meta["schema_version"] == models.SCHEMA_VERSION
        assert meta["cell_order"] == str(CELL_ORDER)

    def test_twice_is_once(self, engine):
        migrate.upgrade(engine)
        migrate.upgrade(engine)
        assert migrate.current(engine) == migrate.head()

    def test_accepts_a_url_and_a_database(self, empty_url):
        migrate.upgrade(empty_url)
        assert migrate.current(empty_url) == migrate.head()
        with Database.open(empty_url) as database:
            assert migrate.current(database) == migrate.head()

    def test_the_view_has_the_mandatory_columns_of_obscore(self, engine):
        migrate.upgrade(engine)
        with engine.connect() as conn:
            names = [column["name"] for column in sa.inspect(conn).get_columns("ivoa_obscore")]
        # ObsCore 1.1, table 1.
        assert (
            names
            == (
                "dataproduct_type calib_level obs_collection obs_id obs_publisher_did access_url access_format access_estsize target_name "
                "s_ra s_dec s_fov s_region s_xel1 s_xel2 s_resolution t_min t_max t_exptime t_resolution t_xel em_min em_max em_res_power "
                "em_xel o_ucd pol_states pol_xel facility_name instrument_name"
            ).split()
        )


def test_steps_are_numbered_in_one_line():
    steps = [step.revision for step in ScriptDirectory(str(migrate.scripts())).walk_revisions()]
    assert steps == [f"{number:04d}" for number in range(len(steps), 0, -1)]


class TestRowsSurvive:
    def test_a_rebuilt_parent_keeps_its_children(self, engine, scripts):
        migrate.upgrade(engine, folder=scripts)
        add_step(scripts, REBUILD)
        migrate.upgrade(engine, folder=scripts)
        with engine.connect() as conn:
            assert conn.execute(sa.text("SELECT count(*) FROM child")).scalar() == 10
            assert conn.execute(sa.text("SELECT count(*) FROM parent WHERE more IS NULL")).scalar() == 10
        assert migrate.current(engine) == "0002"

    def test_foreign_keys_are_on_again_afterwards(self, tmp_path, scripts):
        engine = make_engine(parse_url(f"sqlite:///{tmp_path / 'a.db'}"))
        migrate.upgrade(engine, folder=scripts)
        with engine.connect() as conn:
            assert conn.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        engine.dispose()

    def test_the_trap_is_real_and_env_refuses_to_step_into_it(self, tmp_path, scripts):
        engine = make_engine(parse_url(f"sqlite:///{tmp_path / 'a.db'}"))
        migrate.upgrade(engine, folder=scripts)
        add_step(scripts, REBUILD)
        config = migrate._config(scripts)
        with engine.begin() as conn, pytest.raises(MigrationError, match="foreign keys are on"):
            config.attributes["connection"] = conn
            command.upgrade(config, "head")
        with engine.begin() as conn:
            # What a batch step does to the parent, with foreign keys on.
            conn.exec_driver_sql("CREATE TABLE other AS SELECT * FROM parent")
            conn.exec_driver_sql("DROP TABLE parent")
            assert conn.exec_driver_sql("SELECT count(*) FROM child").scalar() == 0
        engine.dispose()

    def test_env_wants_the_connection_of_upgrade(self, scripts):
        with pytest.raises(MigrationError, match="has no connection; steps are run by"):
            command.upgrade(migrate._config(scripts), "head")

    @pytest.mark.parametrize(
        ("statement", "message"),
        [
            ("DELETE FROM child WHERE id < 3", "table child: had 10 rows before the migration and 7 after it; nothing was changed"),
            ("no such statement", "syntax error"),
        ],
    )
    def test_a_step_that_loses_rows_or_fails_changes_nothing(self, engine, scripts, statement, message):
        migrate.upgrade(engine, folder=scripts)
        before = f"    op.execute('CREATE TABLE made (id INTEGER)')\n    op.execute({statement!r})\n"
        add_step(scripts, REBUILD.replace("    with op", before + "    with op"))
        with pytest.raises(MigrationError, match=message):
            migrate.upgrade(engine, folder=scripts)
        assert migrate.current(engine) == "0001"
        with engine.connect() as conn:
            assert sorted(sa.inspect(conn).get_table_names()) == ["alembic_version", "child", "parent"]
            assert conn.execute(sa.text("SELECT count(*) FROM child")).scalar() == 10

    def test_a_step_that_breaks_a_reference_changes_nothing(self, tmp_path, scripts):
        engine = make_engine(parse_url(f"sqlite:///{tmp_path / 'a.db'}"))
        migrate.upgrade(engine, folder=scripts)
        add_step(scripts, REBUILD.replace("    with op", "    op.execute('UPDATE child SET parent_id = 77 WHERE id = 3')\n    with op"))
        with pytest.raises(MigrationError, match=r"table child: 1 references \(to parent\) broke"):
            migrate.upgrade(engine, folder=scripts)
        assert migrate.current(engine) == "0001"
        engine.dispose()

    def test_a_copy_of_a_sqlite_database_is_kept(self, tmp_path, scripts):
        path = tmp_path / "a.db"
        migrate.upgrade(f"sqlite:///{path}", folder=scripts)
        assert not list(tmp_path.glob("*.bak"))
        add_step(scripts, REBUILD)
        migrate.upgrade(f"sqlite:///{path}", folder=scripts)
        copy = sqlite3.connect(tmp_path / "a.db.step-0001.bak")
        assert copy.execute("SELECT count(*) FROM child").fetchone() == (10,)
        copy.close()


@pytest.fixture
def first_schema(engine):
    """A database of the first step, with a catalog that light curves use."""
    migrate.upgrade(engine, to="0001")
    with engine.begin() as conn:
        for statement in (
            "INSERT INTO frame (frame_id, kind, naxis1, naxis2, wcs_ok, quality) VALUES (1, 'science', 8, 8, false, 0)",
            "INSERT INTO recipe (recipe_id, method, parameters, apertures, hash, created) VALUES (1, 'sex', '{}', '[]', 'ab', 60000)",
            "INSERT INTO run (run_id, recipe_id, versions, started) VALUES (1, 1, '{}', 60000)",
            "INSERT INTO catalog (catalog_id, frame_id, run_id, method, path, n_rows, sha256, apertures, created)"
            " VALUES (1, 1, 1, 'sex', 'catalogs/1/a.parquet', 5, 'cd', '[5.0]', 60000)",
            "INSERT INTO current_run (frame_id, method, catalog_id, run_id, pinned) VALUES (1, 'sex', 1, 1, true)",
        ):
            conn.execute(sa.text(statement))
    return engine


def test_catalogs_of_the_first_schema_stay_current(first_schema):
    migrate.upgrade(first_schema)
    with Database.open(first_schema.url.render_as_string(hide_password=False)) as database, database.begin() as conn:
        (row,) = queries.catalogs(conn)
        assert (row.catalog_id, row.path) == (1, "catalogs/1/a.parquet")
        assert conn.execute(sa.text("SELECT targets, pinned FROM current_run")).all() == [("", True)]
        assert runs.unpin(conn, "sex") == 1


@pytest.fixture
def third_schema(engine):
    """A database of the third step: two runs of one frame, the second one current, with a zero point each."""
    migrate.upgrade(engine, to="0003")
    zero = "INSERT INTO zero_point (frame_id, catalog_id, run_id, method, measure, value, n_stars, created) VALUES"
    catalog = "INSERT INTO catalog (catalog_id, frame_id, run_id, method, path, n_rows, sha256, apertures, created) VALUES"
    with engine.begin() as conn:
        for statement in (
            "INSERT INTO root (root_id, name, uri, kind, online) VALUES (1, 'sci', '/sci', 'science', true)",
            "INSERT INTO file (file_id, root_id, relpath, size, mtime_ns, inode, state, first_seen, last_seen)"
            " VALUES (1, 1, 'a.fits', 1, 1, 1, 'ok', 1, 1)",
            "INSERT INTO frame (frame_id, file_id, hdu, kind, naxis1, naxis2, wcs_ok, quality) VALUES (1, 1, 0, 'science', 8, 8, false, 0)",
            "INSERT INTO frame_file (file_id, hdu, frame_id) VALUES (1, 0, 1)",
            "INSERT INTO recipe (recipe_id, method, parameters, apertures, hash, created) VALUES (1, 'sex', '{}', '[]', 'ab', 60000)",
            "INSERT INTO run (run_id, recipe_id, versions, started, ended, counts) VALUES (1, 1, '{}', 60000, 60001, '{}')",
            "INSERT INTO run (run_id, recipe_id, versions, started) VALUES (2, 1, '{}', 60002)",
            f"{catalog} (1, 1, 1, 'sex', 'catalogs/1/a.parquet', 5, 'cd', '[5.0]', 60000)",
            f"{catalog} (2, 1, 2, 'sex', 'catalogs/2/a.parquet', 6, 'ef', '[5.0]', 60000)",
            "INSERT INTO current_run (frame_id, method, catalog_id, run_id, pinned, targets) VALUES (1, 'sex', 2, 2, false, '')",
            f"{zero} (1, 1, 1, 'sex', 'AUTO', 25.0, 9, 60000)",
            f"{zero} (1, 2, 2, 'sex', 'AUTO', 26.0, 9, 60000)",
        ):
            conn.execute(
                sa.text(statement.replace("'a.fits'", "CAST('a.fits' AS bytea)" if engine.dialect.name == "postgresql" else "x'61'"))
            )
    return engine


def test_runs_of_the_third_schema_count_and_can_be_withdrawn(third_schema):
    migrate.upgrade(third_schema)
    with Database.open(third_schema.url.render_as_string(hide_password=False)) as database:
        with database.begin() as conn:
            assert stores.changes(conn) == 0
            assert (stores.current(conn), stores.missing(conn), stores.stored(conn).num_rows) == (None, [2], 0)
            newest, oldest = runs.list_runs(conn)
            assert (newest["run_id"], newest["withdrawn"], newest["n_catalogs"], newest["ended"]) == (2, None, 1, None)
            assert (oldest["run_id"], oldest["withdrawn"], oldest["n_catalogs"], oldest["ended"]) == (1, None, 1, 60001.0)
            assert zeropoints.of_frames(conn, [1])[1][0].value == 26.0
            counts = {"n_light_curve": 6, "n_objects": 6, "n_orphans": 0}
            stores.publish(conn, 1, "associate", counts, {}, [(2, 6, "")])
        with database.begin() as conn:
            assert stores.changes(conn) == 1
            withdrawals.withdraw_run(conn, 2)
            assert (stores.current(conn), stores.missing(conn), stores.stale(conn)) == (1, [1], [2])
            assert zeropoints.of_frames(conn, [1])[1][0].value == 25.0


@pytest.mark.parametrize("step", ["0001", "0002", "0003", "0004"])
def test_an_older_database_is_refused_until_it_is_migrated(engine, step):
    migrate.upgrade(engine, to=step)
    url = engine.url.render_as_string(hide_password=False)
    with pytest.raises(SchemaTooOldError, match="`ezarchive migrate` brings it up to date"):
        Database.open(url)
    migrate.upgrade(engine)
    with Database.open(url) as database, database.connect() as conn:
        assert stores.changes(conn) == 0


def test_scripts_are_found_in_an_installed_package(tmp_path, monkeypatch):
    package = tmp_path / "ezarchive"
    monkeypatch.setattr(migrate, "_PACKAGE", package)
    with pytest.raises(MigrationError, match=r"holds no _schema/env.py; the installation is incomplete"):
        migrate.scripts()
    (package / "_schema").mkdir(parents=True)
    (package / "_schema" / "env.py").touch()
    assert migrate.scripts() == package / "_schema"
