"""TensorRT: the library behind one interface, keys and the cache of engines, profiles, sessions."""
