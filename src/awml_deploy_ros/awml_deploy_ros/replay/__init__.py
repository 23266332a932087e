"""Does this bag still pass? A recorded drive becomes a verdict."""
