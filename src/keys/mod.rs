//! Public keys in every form a station meets, and their fingerprints; refuses private halves.
