"""Defects of deployments, planted one at a time to prove that verification catches and names them."""
