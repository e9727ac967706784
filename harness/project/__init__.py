"""What a project declares: variants, expected failures, shards, a fixed epsilon."""
