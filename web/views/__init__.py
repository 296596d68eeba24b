"""What pages show, assembled from rows. Pure."""
