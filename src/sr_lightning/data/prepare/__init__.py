"""What ``prepare`` does: cut patches, write shards, verify pairs."""
