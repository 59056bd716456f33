//! An image in words.

use super::{Flag, HashState, Image, SignatureState, Tlv, Trailer, Verdict, encryption};
use crate::{image::tree::Branch, keys::AnyKey};

impl Image {
    /// As a tree that people read. With a key, what holds with it; without, what holds without one.
    #[must_use]
    pub fn explain(&self, key: Option<&AnyKey>) -> Branch {
        let verdict = self.judge(key);
        let name = format!("version {} at 0x{:08X}..0x{:08X}", self.header.version, self.at, self.end);
        let mut tree = Branch::new("MCUboot image", name).with(self.explain_header());
        let counter = self.security_counter();
        let words = counter.map_or_else(|| "none".to_owned(), |counter| counter.to_string());
        tree = tree.with(warned(Branch::new("security counter", words), self.counter_too_large()));
        if let Some(encryption) = self.encryption() {
            tree = tree.with(encryption.explain());
        }
        tree = self.tlvs.iter().fold(tree, |tree, tlv| tree.with(tlv.explain()));
        if let Some(trailer) = &self.trailer {
            tree = tree.with(trailer.explain());
        }
        tree.with(verdict.explain())
    }

    fn explain_header(&self) -> Branch {
        let header = &self.header;
        let sizes = format!("{} bytes before a program of {} bytes", header.header_size, header.image_size);
        let names = header.flag_names();
        let named = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let mut branch = Branch::new("header", sizes).with(Branch::new("flags", named));
        if header.load_address != 0 {
            branch = branch.with(Branch::new("load address", format!("0x{:08X}", header.load_address)));
        }
        branch
    }
}

impl Tlv {
    fn explain(&self) -> Branch {
        let protected = if self.protected { ", protected" } else { "" };
        let meaning = self.meaning();
        let colon = if meaning.is_empty() { "" } else { ": " };
        let name = format!("{} ({} bytes{protected}){colon}{meaning}", self.name(), self.data.len());
        Branch::new(format!("TLV 0x{:04X}", self.kind), name)
    }
}

impl encryption::Encryption {
    /// As a tree that people read.
    #[must_use]
    pub fn explain(&self) -> Branch {
        let key = self.scheme.map_or("no key", encryption::Scheme::device_key);
        let bits = self.key_bits.map_or_else(|| "of unclear length".to_owned(), |bits| format!("with AES-{bits}"));
        let state = if self.clear { "not encrypted in this file, but made for it," } else { "encrypted" };
        let mut branch = Branch::new("encryption", format!("{state} {bits}"));
        branch = branch.with(Branch::new("device holds", key));
        if let Some(scheme) = self.scheme {
            branch = branch.with(Branch::new("which key", scheme.says_of_the_key()));
        }
        branch = branch.with(Branch::new("read-back", encryption::READ_BACK));
        let contradictions = self.contradictions.iter();
        contradictions.fold(branch, |branch, why| branch.with(Branch::new("contradiction", "").warn(why)))
    }
}

impl Trailer {
    /// As a tree that people read.
    #[must_use]
    pub fn explain(&self) -> Branch {
        let flag = |flag: Flag| match flag {
            Flag::Set => "set",
            Flag::Unset => "not set",
            Flag::Bad => "damaged",
        };
        let name = format!(
            "slot ends at 0x{:08X}, alignment {}, image_ok {}, copy_done {}",
            self.slot_end,
            self.alignment,
            flag(self.image_ok),
            flag(self.copy_done)
        );
        warned(Branch::new("trailer", name), self.warning().map(str::to_owned))
    }
}

impl Verdict {
    /// As a tree that people read.
    #[must_use]
    pub fn explain(&self) -> Branch {
        let hash = match self.hash {
            HashState::Fits => "hash fits",
            HashState::DoesNotFit => "hash does not fit",
            HashState::Missing => "no hash",
            HashState::NotNeeded => "no hash, and the signature needs none",
            HashState::Ambiguous => "several hashes",
            HashState::OnlyAfterDecryption => "hash of the decrypted image, not checked",
        };
        let signature = match self.signature {
            SignatureState::Fits => "signature fits the key",
            SignatureState::FitsTheHash => "signature fits the key and the hash that the image names",
            SignatureState::DoesNotFit => "signature does not fit the key",
            SignatureState::Missing => "no signature for such a key",
            SignatureState::Ambiguous => "several signatures",
            SignatureState::NoKey => "signature not checked: no key was given",
            SignatureState::OnlyAfterDecryption => "signature over the decrypted image, not checked",
        };
        let branch = Branch::new("verdict", format!("{hash}; {signature}"));
        let objections = self.objections.iter();
        objections.fold(branch, |branch, objection| branch.with(Branch::new(objection.code, "").warn(&objection.why)))
    }
}

fn warned(branch: Branch, why: Option<String>) -> Branch {
    match why {
        Some(why) => branch.warn(why),
        None => branch,
    }
}
