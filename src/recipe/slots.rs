//! Whether a key file for the key management unit holds the recipe's keys, where the verifier of its boot chain looks,
//! and those that signed what it verifies.

use super::{
    Image, Is,
    devices::Told,
    keyring::Keyring,
    meant::at,
    written::{Policy, Sdk, Verifier, WrittenKmu, WrittenKmuKey},
};
use crate::{
    fault::{Exit, Problem},
    image::kmu::{BootChain, KeyFile, KeySlot, Persistence, Value},
    keys::{Algorithm, AnyKey, refuse::RefuseList},
    page::choice,
};

pub(super) fn check(
    stamp: &WrittenKmu,
    file: &str,
    read: &KeyFile,
    images: &[Image],
    keys: &Keyring,
    list: Option<&RefuseList>,
) -> Vec<Told> {
    let checked = Checked { stamp, file, read, images, keys };
    let mut told: Vec<Told> = checked.wrong().into_iter().map(|problem| Told { problem, refused: false }).collect();
    let refused = list.map(|list| read.refused(list)).unwrap_or_default();
    told.extend(refused.into_iter().map(|(slot, hit)| Told {
        problem: Problem::new(file, format!("the key for slot {slot} is a {hit}")).exit(Exit::KeyRefused),
        refused: true,
    }));
    told
}

struct Checked<'r> {
    stamp: &'r WrittenKmu,
    file: &'r str,
    read: &'r KeyFile,
    images: &'r [Image],
    keys: &'r Keyring,
}

impl Checked<'_> {
    fn wrong(&self) -> Vec<Problem> {
        let mut wrong: Vec<Problem> = self.read.wrong().into_iter().map(|what| Problem::new(self.file, what)).collect();
        let names = self.keys.names();
        let written = self.stamp.keys.iter().filter_map(|key| key.key.as_ref());
        for name in written.filter(|name| !self.keys.knows(&name.value)) {
            wrong.push(name.problem(format!("no key is called `{}`{}", name.value, choice(&name.value, &names))));
        }
        if let Some(chain) = self.chain() {
            wrong.extend(self.slots(chain));
        }
        wrong.extend(self.signatures());
        wrong
    }

    /// Which slots are read.
    fn chain(&self) -> Option<BootChain> {
        let mapped = self.stamp.urot_mapping.as_ref().is_some_and(|mapped| mapped.value);
        Some(match (self.stamp.boot.as_ref()?.value, self.stamp.sdk.as_ref().map(|sdk| sdk.value)) {
            (Verifier::Nsib, _) => BootChain::Nsib,
            (Verifier::McubootUnderNsib, _) => BootChain::McubootUnderNsib,
            (Verifier::Mcuboot, Some(Sdk::Before3_2)) => BootChain::McubootAloneBefore3_2,
            (Verifier::Mcuboot, Some(Sdk::From3_2)) if mapped => BootChain::McubootAloneFrom3_2UrotMapping,
            (Verifier::Mcuboot, Some(Sdk::From3_2)) => BootChain::McubootAloneFrom3_2,
            (Verifier::Mcuboot, None) => return None,
        })
    }

    /// Slot by slot: the recipe's first key is in the first slot.
    fn slots(&self, chain: BootChain) -> Vec<Problem> {
        let found = self.read.read_by(chain);
        let numbers = chain.role().slots();
        if found.is_empty() {
            let what = format!(
                "`{}` holds no key where this verifier looks, in slots {}",
                self.file,
                numbers.map(|slot| slot.to_string()).join(", ")
            );
            return vec![self.stamp.place.problem(what)];
        }
        let mut wrong = Vec::new();
        for (number, key) in numbers.iter().zip(&self.stamp.keys) {
            match found.iter().find(|slot| slot.attributes.slot == *number) {
                Some(slot) => wrong.extend(self.slot(slot, key)),
                None => wrong.push(key.place.problem(format!("`{}` holds no key for slot {number}", self.file))),
            }
        }
        let said = numbers.get(..self.stamp.keys.len()).unwrap_or(&numbers);
        for slot in found.iter().filter(|slot| !said.contains(&slot.attributes.slot)) {
            let what =
                format!("the key for slot {} is not among `keys` of {}", slot.attributes.slot, at(&self.stamp.place));
            wrong.push(Problem::new(self.file, what));
        }
        wrong
    }

    fn slot(&self, slot: &KeySlot, written: &WrittenKmuKey) -> Vec<Problem> {
        let number = slot.attributes.slot;
        let mut wrong = Vec::new();
        if let Some((name, key)) = written.key.as_ref().and_then(|name| Some((name, self.keys.get(&name.value)?))) {
            let called = self.keys.called(&name.value);
            match in_slot(key) {
                None => wrong.push(name.problem(format!("key {called} is {}, which no slot holds", key.algorithm()))),
                Some(bytes) if !holds(&slot.value, &bytes) => {
                    wrong.push(
                        name.problem(format!("`{}` holds another key in slot {number} than {called}", self.file)),
                    );
                }
                Some(_) => {}
            }
        }
        if let Some(policy) = written.policy.as_ref().filter(|policy| kept(policy.value) != slot.attributes.persistence)
        {
            wrong.push(policy.problem(format!(
                "`{}` says of slot {number}: {}",
                self.file,
                slot.attributes.persistence.name()
            )));
        }
        wrong
    }

    /// What the verifier starts was signed with one of these keys.
    fn signatures(&self) -> Vec<Problem> {
        let starts = |image: &&Image| match self.stamp.boot.as_ref().map(|boot| boot.value) {
            Some(Verifier::Nsib) => image.is != Is::McubootImage,
            Some(Verifier::Mcuboot | Verifier::McubootUnderNsib) => image.is == Is::McubootImage,
            None => false,
        };
        let among = |name: &str| self.stamp.keys.iter().any(|key| key.key.as_ref().is_none_or(|key| key.value == name));
        let signed = self.images.iter().filter(starts).filter_map(|image| Some((image, image.signed.as_ref()?)));
        let others = signed.filter(|(_, name)| self.keys.knows(name) && !among(name));
        others
            .map(|(image, name)| {
                image.place.problem(format!(
                    "image `{}` ({}) is signed by {}, which is not among the keys of `{}`: it would not boot",
                    image.name,
                    image.file,
                    self.keys.called(name),
                    self.file
                ))
            })
            .collect()
    }
}

fn holds(value: &Value, key: &[u8]) -> bool {
    matches!(value, Value::Public(held) if held == key)
}

/// The bytes that a slot holds of a key.
fn in_slot(key: &AnyKey) -> Option<Vec<u8>> {
    match key.algorithm() {
        Algorithm::Ed25519 => Some(key.raw().to_vec()),
        Algorithm::P256 => Some([&[4], key.raw()].concat()),
        Algorithm::P384 | Algorithm::X25519 | Algorithm::Rsa2048 | Algorithm::Rsa3072 => None,
    }
}

const fn kept(policy: Policy) -> Persistence {
    match policy {
        Policy::Rotating => Persistence::Default,
        Policy::Revokable => Persistence::Revokable,
        Policy::Locked => Persistence::ReadOnly,
    }
}
