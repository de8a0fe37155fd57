"""Pod networks of the real clusters: one file for each, with how a cluster is brought up with it."""
