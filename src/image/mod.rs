//! A file becomes a checked image: strict Intel HEX map, MCUboot header and TLVs, key scan.
