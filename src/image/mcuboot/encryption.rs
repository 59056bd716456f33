//! Encrypted images: which key the device must hold, and what that means for the device. [nordic-facts C3]

use serde::Serialize;

use super::{Image, Tlv, flags, tlv};

/// How the key of the image is wrapped for the device.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// RSA-2048 with OAEP and SHA-256.
    Rsa2048,
    /// A symmetric key that the device shares with whoever encrypts.
    AesKeyWrap,
    /// Key agreement on P-256.
    EciesP256,
    /// Key agreement on X25519, HMAC with SHA-256.
    EciesX25519,
    /// Key agreement on X25519, HMAC with SHA-512.
    EciesX25519Sha512,
}

impl Scheme {
    const ALL: [Self; 5] =
        [Self::Rsa2048, Self::AesKeyWrap, Self::EciesP256, Self::EciesX25519, Self::EciesX25519Sha512];

    const fn tlv(self) -> u16 {
        match self {
            Self::Rsa2048 => tlv::ENC_RSA2048,
            Self::AesKeyWrap => tlv::ENC_KW,
            Self::EciesP256 => tlv::ENC_EC256,
            Self::EciesX25519 => tlv::ENC_X25519,
            Self::EciesX25519Sha512 => tlv::ENC_X25519_SHA512,
        }
    }

    /// Lengths of the entry for image keys of 128 and 256 bits.
    const fn lengths(self) -> [usize; 2] {
        match self {
            Self::Rsa2048 => [256, 256],
            Self::AesKeyWrap => [24, 40],
            Self::EciesP256 => [113, 129],
            Self::EciesX25519 => [80, 96],
            Self::EciesX25519Sha512 => [112, 128],
        }
    }

    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "RSA-2048",
            Self::AesKeyWrap => "AES key wrap",
            Self::EciesP256 => "ECIES-P256",
            Self::EciesX25519 => "ECIES-X25519",
            Self::EciesX25519Sha512 => "ECIES-X25519-SHA512",
        }
    }

    /// The key that the device must hold.
    #[must_use]
    pub const fn device_key(self) -> &'static str {
        match self {
            Self::Rsa2048 => "an RSA-2048 private key",
            Self::AesKeyWrap => "a symmetric key-encryption key",
            Self::EciesP256 => "a P-256 private key",
            Self::EciesX25519 | Self::EciesX25519Sha512 => "an X25519 private key",
        }
    }

    /// What the image says about which key of that kind it is.
    #[must_use]
    pub const fn says_of_the_key(self) -> &'static str {
        match self {
            Self::Rsa2048 | Self::AesKeyWrap => "the image does not say which; only decrypting shows it",
            Self::EciesP256 | Self::EciesX25519 | Self::EciesX25519Sha512 => {
                "the image does not say which: the public key in it was made for this one image and is not the \
                 device's; only decrypting shows it"
            }
        }
    }
}

/// What has to be true of the device, said once for every screen and file.
pub const READ_BACK: &str = "MCUboot holds the private half in plain flash, the same in every device: whoever reads one \
                             device can read every image. Read-back protection of the chip is mandatory";

/// What an image says about its encryption.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Encryption {
    /// How its key is wrapped; `None` if no entry says so.
    pub scheme: Option<Scheme>,
    /// Length of the key of the image in bits, as the flags say; `None` if they say nothing or both.
    pub key_bits: Option<u16>,
    /// Whether the program in this file is not encrypted, as `imgtool sign --clear` leaves it.
    pub clear: bool,
    /// Everything that contradicts itself, one sentence each.
    pub contradictions: Vec<String>,
}

impl Encryption {
    /// Of an image; `None` if neither its flags nor its entries speak of encryption.
    #[must_use]
    pub fn of(image: &Image) -> Option<Self> {
        let short = image.header.has(flags::ENCRYPTED_AES128);
        let long = image.header.has(flags::ENCRYPTED_AES256);
        let found: Vec<(Scheme, &Tlv)> = Scheme::ALL
            .into_iter()
            .flat_map(|scheme| {
                image.tlvs.iter().filter(move |tlv| tlv.kind == scheme.tlv()).map(move |tlv| (scheme, tlv))
            })
            .collect();
        if !short && !long && found.is_empty() {
            return None;
        }
        let key_bits = match (short, long) {
            (true, false) => Some(128),
            (false, true) => Some(256),
            _ => None,
        };
        let contradictions = contradictions(short, long, &found);
        let scheme = found.first().map(|(scheme, _)| *scheme);
        Some(Self { scheme, key_bits, clear: image.is_intact(), contradictions })
    }
}

fn contradictions(short: bool, long: bool, found: &[(Scheme, &Tlv)]) -> Vec<String> {
    let mut wrong = Vec::new();
    if short && long {
        wrong.push("its flags say AES-128 and AES-256".to_owned());
    }
    if (short || long) && found.is_empty() {
        wrong.push("its flags say that it is encrypted, but no TLV carries the key".to_owned());
    }
    if !short && !long {
        wrong.push("a TLV carries an encryption key, but the flags say that it is not encrypted".to_owned());
    }
    if found.len() > 1 {
        wrong.push(format!("it carries {} wrapped keys; one is expected", found.len()));
    }
    for (scheme, tlv) in found.iter().filter(|_| short != long) {
        let [for_short, for_long] = scheme.lengths();
        let expected = if short { for_short } else { for_long };
        if tlv.data.len() != expected {
            let (bits, name, length) = (if short { 128 } else { 256 }, tlv.name(), tlv.data.len());
            wrong.push(format!("its flags say AES-{bits}, for which {name} is {expected} bytes long, not {length}"));
        }
    }
    wrong
}
