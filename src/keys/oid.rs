//! Object identifiers of keys, as their contents stand in DER: what says which kind of key follows.

/// A key on an elliptic curve, which its parameter names. [RFC 5480 2.1.1]
pub(super) const EC_PUBLIC_KEY: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";
/// The curve P-256. [RFC 5480 2.1.1.1]
pub(super) const P256: &[u8] = b"\x2a\x86\x48\xce\x3d\x03\x01\x07";
/// [RFC 8410 3]
pub(super) const ED25519: &[u8] = b"\x2b\x65\x70";
/// [RFC 8410 3]
pub(super) const X25519: &[u8] = b"\x2b\x65\x6e";
/// [RFC 8017 A.1]
pub(super) const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
/// How those of data, signed or encrypted, begin. [RFC 2315 14]
pub(super) const PKCS7: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07";
/// How those that encrypt a private key begin: PKCS#5, and PKCS#12. [RFC 8018 A; RFC 7292 C]
pub(super) const ENCRYPTIONS: [&[u8]; 2] = [b"\x2a\x86\x48\x86\xf7\x0d\x01\x05", b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c"];
