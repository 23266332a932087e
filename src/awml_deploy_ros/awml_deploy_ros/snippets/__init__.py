"""Small bags of what happened around a frame that is worth a look."""
