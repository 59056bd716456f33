//! A bench as written, then as meant: sites, probes, consoles, scanner.
