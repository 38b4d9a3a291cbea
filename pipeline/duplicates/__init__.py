"""DUPLICATES: which pictures are the same one - bytes, pixels, looks - and what a person decided about them."""
