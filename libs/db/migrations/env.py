"""Runs migrations on the connection it is given (see `libs/db/migrate.py`)."""

from alembic import context

from libs.db.columns import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
