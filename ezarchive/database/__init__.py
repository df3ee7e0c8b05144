"""The SQL database: the only room that imports SQLAlchemy."""
