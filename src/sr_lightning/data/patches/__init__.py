"""From decoded pictures to batches: the store, the sampler, degradation and transforms."""
