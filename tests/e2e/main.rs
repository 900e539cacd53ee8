//! End-to-end tests: the real program against a real cluster.
