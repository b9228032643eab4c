"""Ready-made tasks: a model, its data, its step and its metrics."""
