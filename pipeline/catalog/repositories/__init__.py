"""One class for each kind of thing in the catalog; all take the session of a unit of work and give frozen values."""
