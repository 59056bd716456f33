//! Peek, poke and burn: places, bounded batches and deadlines.
