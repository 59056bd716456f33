//! Keys, the table of each unit's own key, and the release that vouches for all of it.

use super::{Keys, Reading};
use crate::{
    fault::Exit,
    keys::{self, AnyKey, PublicKey, refuse::RefuseList},
    manifest::{self, Release},
    page::choice,
    recipe::{
        DeviceKeys, Image, SerialRule, devices,
        keyring::Keyring,
        release,
        written::{DEVICE, Purpose, Written, WrittenImage, WrittenKey, WrittenRelease},
    },
};

impl Reading<'_> {
    pub(super) fn keys(&mut self, written: &Written, list: Option<&RefuseList>) -> Keys {
        let mut keys = Keyring::default();
        for (name, key) in &written.key {
            if let Some(purpose) = key.purpose.as_ref().map(|purpose| purpose.value) {
                match purpose {
                    Purpose::DeviceDecryption => self.decrypts(name, key),
                }
                continue;
            }
            let read = self.key(name, key, list);
            keys.add(name, read, key.file.as_ref());
        }
        keys
    }

    /// A decryption key is known by its fingerprint; its file never comes near a station.
    fn decrypts(&mut self, name: &str, written: &WrittenKey) {
        if let Some(file) = &written.file {
            let what = format!(
                "[key.{name}] decrypts images: its private half stays inside the bootloader, and `spki_sha256` is all \
                 that is said of it; remove `file`"
            );
            self.note(file.problem(what).exit(Exit::KeyRefused));
        }
        if let Some(select) = written.select.as_ref().and_then(|select| select.table.as_ref()) {
            self.note(select.problem(format!("`select` belongs into [key.device], not into [key.{name}]")));
        }
    }

    fn key(&mut self, name: &str, written: &WrittenKey, list: Option<&RefuseList>) -> Option<AnyKey> {
        if !self.is_shared(name, written) {
            return None;
        }
        let file_name = written.file.as_ref()?;
        let file = self.take(file_name, keys::FILE_LIMIT)?;
        let key = match keys::read_any(&file) {
            Ok(given) => given.key,
            Err(problem) => {
                self.note(file_name.problem(format!("`{}` {}", file_name.value, problem.what)).exit(problem.exit));
                // Of kinds that nothing here signs with, some are published all the same.
                let known = list.map(|list| list.search_file(&file.bytes)).unwrap_or_default();
                if let Some(known) = known.first() {
                    self.refuse(file_name.problem(format!("`{}` holds a {}", file_name.value, known.refused)));
                }
                return None;
            }
        };
        if let Some(pin) = written.spki_sha256.as_ref().filter(|pin| pin.value != key.spki_sha256()) {
            self.note(pin.problem(format!(
                "key `{name}`: the file `{}` holds the key {}, not the pinned one",
                file_name.value,
                key.spki_sha256()
            )));
        }
        if !key.algorithm().signs() {
            let what = format!("`{}` holds an {} key, which signs nothing", file_name.value, key.algorithm());
            self.note(file_name.problem(what));
        }
        if let Some(refused) = list.and_then(|list| list.refuses_digest(&key.spki_sha256())) {
            self.refuse(written.place.problem(format!("key `{name}` (`{}`) is a {refused}", file_name.value)));
        }
        Some(key)
    }

    /// Whether it is a key of all units: [key.device] is another on each.
    fn is_shared(&mut self, name: &str, written: &WrittenKey) -> bool {
        if name == DEVICE {
            let surplus = written.file.as_ref().map(|file| &file.place);
            for place in surplus.into_iter().chain(written.spki_sha256.as_ref().map(|pin| &pin.place)) {
                self.note(place.problem("[key.device] is each unit's own key: `select` says which, no file for all"));
            }
            return false;
        }
        if written.select.is_some() {
            self.note(written.place.problem(format!("`select` belongs into [key.device], not into [key.{name}]")));
        }
        true
    }

    /// The table of each unit's own key.
    pub(super) fn devices(&mut self, written: &Written, keys: &Keys, list: Option<&RefuseList>) -> Option<DeviceKeys> {
        let select = written.key.get(DEVICE)?.select.as_ref()?;
        let (_, name) = select.by.as_ref().zip(select.table.as_ref())?;
        let file = self.take(name, devices::TABLE_LIMIT)?;
        if let Some(pin) = select.sha256.as_ref().filter(|pin| pin.value != file.digest) {
            self.note(pin.problem(format!("`{}` has the SHA-256 {}, not the pinned one", name.value, file.digest)));
        }
        let serial = written.serial.as_ref();
        let pattern = serial.and_then(|serial| serial.pattern.as_ref());
        let check = serial.and_then(|serial| serial.check.as_ref()).map(|check| check.value);
        let rule = pattern.and_then(|pattern| SerialRule::new(&pattern.value, check).ok());
        let shared: Vec<(&str, PublicKey)> = keys.iter().filter_map(|(name, key)| Some((name, key.p256()?))).collect();
        let shared = shared.iter().map(|(name, key)| (*name, key)).collect();
        let reader = devices::Reader { shelf: self.shelf, rule: rule.as_ref(), list, shared };
        let (table, told) = reader.read(&name.value, &file);
        self.told(told);
        Some(table)
    }

    /// A key of each unit's own has one place to go, and nothing that all units share is tied to it.
    pub(super) fn own_key(&mut self, written: &Written) {
        let device = written.key.get(DEVICE);
        let patched: Vec<&WrittenImage> = written.image.iter().filter(|image| image.patch.is_some()).collect();
        match (device, &patched[..]) {
            (Some(device), []) => {
                self.note(device.place.problem("no [[image]] has a `patch`: there is no place for a unit's own key"));
            }
            (None, [image, ..]) => {
                let what = "`patch` puts each unit's own key in place, but there is no [key.device]";
                self.note(image.place.problem(what));
            }
            (Some(_), [_, second, ..]) => self.note(second.place.problem("a second image with a `patch`")),
            (Some(_), [_]) | (None, []) => {}
        }
        let stamped =
            written.stamp.as_ref().and_then(|stamp| stamp.key_hash.as_ref()).and_then(|hash| hash.key.as_ref());
        let shared = written.image.iter().filter_map(|image| image.signed.as_ref()).chain(stamped);
        for name in shared.filter(|name| name.value == DEVICE && device.is_some()) {
            self.note(name.problem("`device` is another key on each unit; what all units share cannot be tied to it"));
        }
    }

    /// The release manifest, verified and compared with everything the recipe builds.
    pub(super) fn release(
        &mut self,
        written: &WrittenRelease,
        recipe: &Written,
        images: &[Image],
        keys: &Keys,
    ) -> Option<Release> {
        let name = written.manifest.as_ref()?;
        let file = self.take(name, manifest::FILE_LIMIT)?;
        if let Some(form) = keys::private::form_of_file(&file.bytes) {
            let what =
                format!("`{}` holds a private key ({form}); take it out, and treat the key as exposed", name.value);
            self.note(name.problem(what).exit(Exit::KeyRefused));
            return None;
        }
        let signers = self.signers(written, recipe, images, keys);
        let threshold = self.threshold(written)?;
        if signers.len() < written.keys.len() {
            // Every missing one was told.
            return None;
        }
        let release = match manifest::read(&file).and_then(|envelope| envelope.vouched(&signers, threshold)) {
            Ok(release) => Release { file: name.value.clone(), ..release },
            Err(problem) => {
                self.note(name.problem(format!("`{}` {}", name.value, problem.what)).exit(problem.exit));
                return None;
            }
        };
        let on_board = recipe.key.iter().filter(|(name, _)| on_board(name, recipe, images));
        let told = release::Told {
            product: recipe.board.as_ref().or(recipe.product.as_ref()),
            chip: recipe.chip.as_ref(),
            images,
            keys: on_board.filter_map(|(name, key)| Some((name.as_str(), &key.place, keys.get(name)?))).collect(),
        };
        self.problems.extend(release::contradictions(&told, &release));
        Some(release)
    }

    fn threshold(&mut self, written: &WrittenRelease) -> Option<usize> {
        let most = written.keys.len();
        let Some(threshold) = &written.threshold else { return Some(1) };
        let number = usize::try_from(threshold.value).ok().filter(|number| (1..=most).contains(number));
        if number.is_none() {
            self.note(threshold.problem(format!("`threshold` must be from 1 to {most}, the number of `keys`")));
        }
        number
    }

    /// The keys of [release] with their names; a name that is none is told.
    fn signers(
        &mut self,
        written: &WrittenRelease,
        recipe: &Written,
        images: &[Image],
        keys: &Keys,
    ) -> Vec<(String, AnyKey)> {
        let names: Vec<&str> = keys.names().into_iter().filter(|name| *name != DEVICE).collect();
        let mut found = Vec::new();
        for name in &written.keys {
            if !names.contains(&name.value.as_str()) {
                self.note(name.problem(format!("no key is called `{}`{}", name.shown(), choice(&name.value, &names))));
            }
            let Some(key) = keys.get(&name.value).cloned() else { continue };
            if !key.algorithm().signs() {
                let what = format!("key `{}` is {}, which signs nothing", name.value, key.algorithm());
                self.note(name.problem(what));
            }
            if on_board(&name.value, recipe, images) {
                self.remarks.push(format!("key `{}` signs releases and images: whoever has one has both", name.value));
            }
            found.push((name.value.clone(), key));
        }
        found
    }
}

/// Whether this key goes on a board, or signed what goes there.
fn on_board(key: &str, recipe: &Written, images: &[Image]) -> bool {
    let stamped = recipe.stamp.as_ref().and_then(|stamp| stamp.key_hash.as_ref()).and_then(|hash| hash.key.as_ref());
    let used = |image: &Image| image.trusts.iter().chain(&image.signed).any(|used| used == key);
    let stamp = recipe.stamp.as_ref();
    let provisioned = stamp.and_then(|stamp| stamp.nsib.as_ref()).into_iter().flat_map(|nsib| &nsib.keys);
    let slots = stamp.into_iter().flat_map(|stamp| &stamp.kmu).flat_map(|kmu| &kmu.keys);
    let mut placed = provisioned.chain(slots.filter_map(|slot| slot.key.as_ref()));
    images.iter().any(used)
        || placed.any(|name| name.value == key)
        || stamped.is_some_and(|stamped| stamped.value == key)
}
