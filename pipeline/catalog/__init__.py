"""The catalog: what is known about every picture, run and dream. The only home of SQLAlchemy."""
