//! The one private key that may be on a board: the one that MCUboot carries to decrypt its images, declared by its
//! fingerprint.

use super::{
    Image,
    devices::Told,
    keyring::Keyring,
    meant::at,
    written::{Purpose, Written},
};
use crate::{
    fault::{Exit, Problem},
    ident::Digest,
    image::{
        Map,
        mcuboot::{self, encryption::Scheme},
        scan,
    },
    keys::{Algorithm, refuse::RefuseList},
    page::{Place, Placed},
};

/// What the recipe declares, and what its bootloaders hold of it.
pub(super) struct Declared {
    said: Vec<Said>,
    carried: Vec<Carried>,
}

struct Said {
    name: String,
    place: Place,
    pin: Option<Placed<Digest>>,
}

/// A declared key, found inside a bootloader.
struct Carried {
    spki_sha256: Digest,
    algorithm: Algorithm,
    /// Says nothing yet; stands where the key does.
    place: Problem,
}

impl Declared {
    pub(super) fn of(written: &Written) -> Self {
        let decrypts = |purpose: &Placed<Purpose>| purpose.value == Purpose::DeviceDecryption;
        let keys = written.key.iter().filter(|(_, key)| key.purpose.as_ref().is_some_and(decrypts));
        let said = |(name, key): (&String, &super::written::WrittenKey)| Said {
            name: name.clone(),
            place: key.place.clone(),
            pin: key.spki_sha256.clone(),
        };
        Self { said: keys.map(said).collect(), carried: Vec::new() }
    }

    /// What the product declares; one at most.
    pub(super) fn spki_sha256(&self) -> Option<Digest> {
        self.said.first()?.pin.as_ref().map(|pin| pin.value)
    }

    /// A private key inside a bootloader is the declared one, or it is refused.
    pub(super) fn meets(&mut self, found: &scan::Found, map: &Map) -> Option<Problem> {
        let key = found.decryption_key(map);
        let declared = key.as_ref().filter(|key| self.said.iter().any(|said| said.is(key.spki_sha256())));
        if let Some(key) = declared {
            let place = found.problem(map, String::new());
            self.carried.push(Carried { spki_sha256: key.spki_sha256(), algorithm: key.algorithm(), place });
            return None;
        }
        let what = found.describe();
        let what = match (key, self.said.first()) {
            (Some(key), Some(said)) => format!(
                "{what} is inside, whose public half is {}, not the one that [key.{}] declares ({})",
                key.spki_sha256(),
                said.name,
                at(&said.place)
            ),
            (Some(key), None) => format!(
                "{what} is inside, whose public half is {}; a board may carry one only to decrypt its images, and \
                 declared: [key.decrypt] with purpose = \"device-decryption\" and `spki_sha256`",
                key.spki_sha256()
            ),
            (None, _) => format!("{what} is inside; no private key goes on a board but one that decrypts its images"),
        };
        Some(found.problem(map, what).exit(Exit::KeyRefused))
    }

    pub(super) fn check(
        &self,
        written: &Written,
        images: &[Image],
        keys: &Keyring,
        list: Option<&RefuseList>,
    ) -> Vec<Told> {
        let mut told = Vec::new();
        let hard = |problem: Problem| Told { problem: problem.exit(Exit::KeyRefused), refused: false };
        for second in self.said.iter().skip(1) {
            told.push(Told {
                problem: second.place.problem("a second decryption key; a board has one"),
                refused: false,
            });
        }
        if let Some(said) = self.said.first() {
            told.extend(said.published(list));
            told.extend(said.signs(keys, images).map(hard));
            told.extend(said.readable(written).map(hard));
            let carried = self.carried.iter().any(|carried| said.is(carried.spki_sha256));
            if said.pin.is_some() && !carried {
                let what = format!("[key.{}] is declared, but no bootloader here holds it", said.name);
                told.push(Told { problem: said.place.problem(what), refused: false });
            }
        }
        told.extend(images.iter().flat_map(|image| self.encrypted(image, written)).map(hard));
        told
    }

    /// An encrypted image needs a bootloader with a key of its kind.
    fn encrypted(&self, image: &Image, written: &Written) -> Vec<Problem> {
        let about = image.about.as_ref();
        let Some((about, encryption)) = about.and_then(|about| Some((about, about.encryption()?))) else {
            return Vec::new();
        };
        let Some(scheme) = encryption.scheme else { return Vec::new() };
        let problem = |what: String| image.map.problem_at(about.at, what);
        let needs = format!("it is an encrypted image and needs {} in its bootloader", scheme.device_key());
        if decrypts(scheme).is_none() {
            return vec![problem(format!("{needs}, which has no public half that a recipe could declare"))];
        }
        if self.said.is_empty() {
            let recipe = written.lock.as_ref().and_then(|lock| lock.approtect.as_ref());
            let recipe = recipe.map(|flag| flag.place.file.to_string()).unwrap_or_default();
            return vec![problem(format!(
                "{needs}, which {recipe} does not declare: [key.decrypt] with purpose = \"device-decryption\" and \
                 `spki_sha256`"
            ))];
        }
        let other = |carried: &&Carried| decrypts(scheme).is_none_or(|algorithm| algorithm != carried.algorithm);
        let others = self.carried.iter().filter(other);
        others
            .map(|carried| problem(format!("{needs}, but {} holds an {} key", carried.place.file, carried.algorithm)))
            .collect()
    }
}

impl Said {
    fn is(&self, key: Digest) -> bool {
        self.pin.as_ref().is_some_and(|pin| pin.value == key)
    }

    /// A key that verifies anything here has its private half in a vault, and never on a board.
    fn signs(&self, keys: &Keyring, images: &[Image]) -> Option<Problem> {
        let pin = self.pin.as_ref()?;
        let public = keys.iter().find(|(_, key)| key.spki_sha256() == pin.value).map(|(name, _)| keys.called(name));
        let signer =
            || images.iter().find(|image| image.about.as_ref().and_then(mcuboot::Image::signer) == Some(pin.value));
        let named = public.map(|name| format!("key {name}"));
        let named = named.or_else(|| signer().map(|image| format!("the key that signed `{}`", image.file)))?;
        Some(pin.problem(format!(
            "[key.{}] declares the private half of {named} to be on every board: who reads one out signs for all; make a \
             key of its own for decryption",
            self.name
        )))
    }

    fn published(&self, list: Option<&RefuseList>) -> Option<Told> {
        let refused = list?.refuses_digest(&self.pin.as_ref()?.value)?;
        let problem = self.place.problem(format!("the decryption key [key.{}] is a {refused}", self.name));
        Some(Told { problem, refused: true })
    }

    /// The key stands in plain flash.
    fn readable(&self, written: &Written) -> Option<Problem> {
        let open = written.lock.as_ref()?.approtect.as_ref().filter(|approtect| !approtect.value)?;
        Some(open.problem(format!(
            "[key.{}] ({}) stands in plain flash, the same in every device: approtect = true is mandatory with it",
            self.name,
            at(&self.place)
        )))
    }
}

/// What the device decrypts with; `None` for a symmetric key, which has no public half to declare.
const fn decrypts(scheme: Scheme) -> Option<Algorithm> {
    match scheme {
        Scheme::Rsa2048 => Some(Algorithm::Rsa2048),
        Scheme::AesKeyWrap => None,
        Scheme::EciesP256 => Some(Algorithm::P256),
        Scheme::EciesX25519 | Scheme::EciesX25519Sha512 => Some(Algorithm::X25519),
    }
}
