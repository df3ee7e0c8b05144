"""Run by Alembic for every migration; the connection comes from `ezarchive.database.migrate.upgrade`."""

from alembic import context

from ezarchive.database.models import metadata
from ezarchive.errors import MigrationError


def run() -> None:
    """Run the steps on the connection that was handed in."""
    connection = context.config.attributes.get("connection")
    if connection is None:
        raise MigrationError("schema/env.py: has no connection; steps are run by `ezarchive migrate` or database.migrate.upgrade()")
    sqlite = connection.dialect.name == "sqlite"
    if sqlite and connection.exec_driver_sql("PRAGMA foreign_keys").scalar():
        # A batch step would delete the rows that point at the table it rebuilds.
        raise MigrationError("schema/env.py: foreign keys are on; steps are run by database.migrate.upgrade(), which switches them off")
    # One transaction for all steps is begun, and checked before its commit, by the caller.
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=sqlite, transactional_ddl=False)
    context.run_migrations()


run()
