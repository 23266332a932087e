"""Shadow verification: sampled live frames also go through a reference backend, out of the way."""
