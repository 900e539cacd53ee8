//! Hermetic tests: the real program against a temporary home and fake tools.
