"""How a dream was made: the manifest, the record inside the picture, verification and replay."""
