//! Key slots of a recipe: made from its keys, or read from a key file; and whether they hold the recipe's keys, where the
//! verifier of its boot chain looks, and those that signed what it verifies.

use super::{
    Image, Is,
    devices::Told,
    keyring::Keyring,
    meant::at,
    written::{Policy, Sdk, Verifier, WrittenKmu, WrittenKmuKey},
};
use crate::{
    fault::{Exit, Problem},
    image::kmu::{self, BootChain, KeyFile, KeySlot, Metadata, Persistence, Source, Standing, Value},
    keys::{Algorithm, AnyKey, refuse::RefuseList},
    page::choice,
};

/// What slots without a key file are called in messages.
pub(super) const NAME: &str = "[[stamp.kmu]]";

/// The key file that says what the recipe's keys say; `None` if what is wrong was told already.
///
/// # Errors
/// Every key that fills no slot, where the recipe names it.
pub(super) fn make(stamp: &WrittenKmu, keys: &Keyring) -> Result<Option<KeyFile>, Vec<Problem>> {
    let Some(chain) = chain(stamp) else { return Ok(None) };
    let (mut slots, mut wrong, mut whole) = (Vec::new(), unknown(stamp, keys), true);
    for (number, written) in chain.role().slots().into_iter().zip(&stamp.keys) {
        let named = written.key.as_ref().and_then(|name| Some((name, keys.get(&name.value)?)));
        let (Some((name, key)), Some(policy)) = (named, &written.policy) else {
            whole = false;
            continue;
        };
        match slot(number, key, kept(policy.value)) {
            Ok(slot) => slots.push(slot),
            Err(what) => wrong.push(name.problem(format!("key {} {what}", keys.called(&name.value)))),
        }
    }
    let made = KeyFile { slots };
    if let Some(twice) = made.taken_twice() {
        let what = format!(
            "slot {twice} would be taken by two keys: a P-256 key takes four slots, and the next begins two on"
        );
        wrong.push(stamp.place.problem(what));
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    if made.slots.is_empty() && whole {
        return Err(vec![stamp.place.problem("`keys` names no key: nothing would be in the slots")]);
    }
    Ok(whole.then_some(made))
}

/// Every name of no key.
fn unknown(stamp: &WrittenKmu, keys: &Keyring) -> Vec<Problem> {
    let names = keys.names();
    let written = stamp.keys.iter().filter_map(|key| key.key.as_ref()).filter(|name| !keys.knows(&name.value));
    written
        .map(|name| name.problem(format!("no key is called `{}`{}", name.shown(), choice(&name.value, &names))))
        .collect()
}

fn slot(number: u8, key: &AnyKey, persistence: Persistence) -> Result<KeySlot, String> {
    let unfit = || format!("is {}, which no slot holds", key.algorithm());
    let slot = match key.algorithm() {
        Algorithm::Ed25519 => KeySlot::ed25519(number, key.raw().try_into().map_err(|_| unfit())?, persistence),
        Algorithm::P256 => KeySlot::p256(number, key.raw().try_into().map_err(|_| unfit())?, persistence),
        Algorithm::P384 | Algorithm::X25519 | Algorithm::Rsa2048 | Algorithm::Rsa3072 => return Err(unfit()),
    };
    let kept = |slot: u16| Some((slot, kmu::reserved(u8::try_from(slot).ok()?)?));
    match slot.attributes.taken().find_map(kept) {
        Some((slot, what)) => Err(format!("would take slot {slot}, which holds {what}")),
        None => Ok(slot),
    }
}

/// What the key management unit takes for each slot.
///
/// # Errors
/// What it cannot take.
pub(super) fn sources(stamp: &WrittenKmu, made: &KeyFile) -> Result<Vec<(u8, Source)>, Vec<Problem>> {
    let all: Result<Vec<_>, String> = made.slots.iter().map(KeySlot::sources).collect();
    all.map(|all| all.into_iter().flatten().collect())
        .map_err(|what| vec![stamp.place.problem(format!("{NAME}: {what}"))])
}

/// For people: which slots would be filled, and with what.
pub(super) fn filled(stamp: &WrittenKmu, made: &KeyFile, keys: &Keyring) -> String {
    let names = stamp.keys.iter().filter_map(|key| key.key.as_ref());
    let each = made.slots.iter().zip(names).map(|(slot, name)| {
        let taken = slot.attributes.taken();
        let called = keys.called(&name.value);
        let kind = slot.attributes.kind.name();
        let stays = slot.attributes.persistence.name().split(':').next().unwrap_or_default();
        format!("{} to {}: {called}, {kind}, {stays}", taken.start, taken.end.saturating_sub(1))
    });
    let derived = made.slots.iter().any(|slot| match slot.sources() {
        Ok(sources) => sources
            .first()
            .and_then(|(_, source)| Metadata::decode(source.metadata))
            .is_none_or(|metadata| metadata.standing() == Standing::Derived),
        Err(_) => true,
    });
    let confirmed = if derived { "; a METADATA word among them is derived, not published" } else { "" };
    format!("key slots that would be filled: {}{confirmed}", each.collect::<Vec<_>>().join("; "))
}

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
        problem: in_file(stamp, file, format!("the key for slot {slot} is a {hit}")).exit(Exit::KeyRefused),
        refused: true,
    }));
    told
}

/// A problem of the key file, or, where there is none, of the words.
fn in_file(stamp: &WrittenKmu, file: &str, what: String) -> Problem {
    if stamp.file.is_some() { Problem::new(file, what) } else { stamp.place.problem(format!("{NAME}: {what}")) }
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
        wrong.extend(unknown(self.stamp, self.keys));
        if let Some(chain) = chain(self.stamp) {
            wrong.extend(self.slots(chain));
        }
        wrong.extend(self.signatures());
        wrong
    }

    /// Slot by slot: the recipe's first key is in the first slot.
    fn slots(&self, chain: BootChain) -> Vec<Problem> {
        let found = self.read.read_by(chain);
        let numbers = chain.role().slots();
        if let Some(surplus) = self.stamp.keys.get(numbers.len()) {
            let what = format!("no slot is left for it: this verifier reads {} keys", numbers.len());
            return vec![surplus.place.problem(what)];
        }
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

/// Which slots are read.
fn chain(stamp: &WrittenKmu) -> Option<BootChain> {
    let mapped = stamp.urot_mapping.as_ref().is_some_and(|mapped| mapped.value);
    Some(match (stamp.boot.as_ref()?.value, stamp.sdk.as_ref().map(|sdk| sdk.value)) {
        (Verifier::Nsib, _) => BootChain::Nsib,
        (Verifier::McubootUnderNsib, _) => BootChain::McubootUnderNsib,
        (Verifier::Mcuboot, Some(Sdk::Before3_2)) => BootChain::McubootAloneBefore3_2,
        (Verifier::Mcuboot, Some(Sdk::From3_2)) if mapped => BootChain::McubootAloneFrom3_2UrotMapping,
        (Verifier::Mcuboot, Some(Sdk::From3_2)) => BootChain::McubootAloneFrom3_2,
        (Verifier::Mcuboot, None) => return None,
    })
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
