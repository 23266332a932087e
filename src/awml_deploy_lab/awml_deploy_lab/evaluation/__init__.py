"""How good a bundle is on simulated and on real scenes."""
