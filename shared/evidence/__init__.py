"""Evidence: records that are written once, sealed into one growing Merkle tree, and provable offline."""
