//! Who signed an init packet: a key at hand is asked, and without one the signature itself says who could have.

use p256::ecdsa::{RecoveryId, Signature as Ecdsa, VerifyingKey};

use super::Signature;
use crate::{
    ident::Digest,
    keys::{
        PublicKey,
        refuse::{RefuseList, Refused},
    },
};

impl Signature {
    /// From r and s with their last bytes first; `None` if one of them is no number a signature can have.
    fn whole(&self) -> Option<Ecdsa> {
        let (r, s) = self.little_endian.split_at(32);
        let turned: Vec<u8> = r.iter().rev().chain(s.iter().rev()).copied().collect();
        Ecdsa::from_slice(&turned).ok()
    }

    /// Whether this key made it over these bytes.
    #[must_use]
    pub fn is_by(&self, key: &PublicKey, signed: &[u8]) -> bool {
        self.whole().is_some_and(|signature| key.verifies(&Digest::of(signed), signature.to_der().as_bytes()))
    }

    /// The keys that could have made it over these bytes: two as a rule. One of them did; a signature does not say
    /// which. [SEC 1, 4.1.6]
    #[must_use]
    pub fn makers(&self, signed: &[u8]) -> Vec<PublicKey> {
        let Some(signature) = self.whole() else { return Vec::new() };
        let digest = Digest::of(signed);
        let maker = |id: u8| {
            let key = VerifyingKey::recover_from_prehash(&digest.0, &signature, RecoveryId::from_byte(id)?).ok()?;
            let point = key.to_sec1_point(false);
            let point = <&[u8; 64]>::try_from(point.as_bytes().get(1..)?).ok()?;
            PublicKey::from_xy(point).ok().filter(|key| self.is_by(key, signed))
        };
        (0..4).filter_map(maker).collect()
    }

    /// The refused key that made it, if one did. Of the two keys that verify it, the other is nobody's: a known key among
    /// them is the one that signed.
    #[must_use]
    pub fn refused<'l>(&self, signed: &[u8], list: &'l RefuseList) -> Option<&'l Refused> {
        self.makers(signed).iter().find_map(|key| list.refuses(key))
    }
}
