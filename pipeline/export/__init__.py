"""Export: what was kept, as a dataset in the layout of img2dataset, with attribution and digests."""
