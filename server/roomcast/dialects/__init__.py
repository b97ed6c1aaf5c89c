"""Other vocabularies for the same log: pure projections, one file each."""
