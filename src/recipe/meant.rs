//! From a product as written to a product as meant: reads what it names, and checks all of it against all of it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    Boot, Counter, DeviceKeys, Image, Inside, Is, KEY_HASH_WORDS, KeyHash, Lock, Placed, Product, ReadBy, SerialRule,
    SerialStamp, Setting, Silicon, Slots, Spot, Word, decryption, devices,
    keyring::Keyring,
    nsib, release,
    shelf::Shelf,
    slots,
    symbols::symbols,
    written::{
        DEVICE, Purpose, Written, WrittenCounter, WrittenDfuSettings, WrittenImage, WrittenKey, WrittenKeyHash,
        WrittenKmu, WrittenRelease, WrittenUicr,
    },
};
use crate::{
    fault::{Exit, Problem},
    file::Read,
    ident::{Digest, Mode},
    image::{
        self, Map,
        dfu::{Validation, patch::Patch, settings},
        kmu::{self, KeyFile},
        mcuboot,
        nsib::{CounterOf, Provision},
        scan, vectors,
    },
    keys::{
        self, Algorithm, AnyKey, PublicKey,
        refuse::{COMPANY_FILE, RefuseList},
    },
    manifest::{self, Release},
    page::{Place, choice},
};

/// Longest title, code, and text of a console that is expected, in characters.
const TEXT_MAX: usize = 120;

/// Longest wait for a boot, in milliseconds.
const BOOT_MAX: u32 = 60_000;

pub(super) fn read(
    written: &Written,
    source: Read,
    shelf: &dyn Shelf,
    mode: Option<Mode>,
) -> (Option<Product>, Vec<Problem>) {
    let wrong_schema = written.schema.as_ref().filter(|schema| schema.value != 1);
    let wrong_schema =
        wrong_schema.map(|schema| schema.problem("`schema` must be 1: this release reads no other vocabulary"));
    let folder = source.path.parent().map(Path::to_owned).unwrap_or_default();
    let mut reading = Reading {
        shelf,
        folder,
        mode,
        problems: wrong_schema.into_iter().collect(),
        remarks: Vec::new(),
        decryption: decryption::Declared::of(written),
        has_nsib: written.stamp.as_ref().is_some_and(|stamp| stamp.nsib.is_some()),
    };
    let list = reading.refuse_list(written);
    let keys = reading.keys(written, list.as_ref());
    let devices = reading.devices(written, &keys, list.as_ref());
    let mut images = reading.images(written, &keys, list.as_ref());
    reading.roots(written, &images, &keys);
    reading.chain(&images, &keys);
    reading.nsib(written, &images, &keys, list.as_ref());
    let slots = reading.slots(written, &images, &keys, list.as_ref());
    reading.decryption(written, &images, list.as_ref());
    reading.own_key(written);
    let release = written.release.as_ref().and_then(|release| reading.release(release, written, &images, &keys));
    // Made here, not released: nobody vouches for a page that follows from the application and three numbers.
    let page = written.stamp.as_ref().and_then(|stamp| stamp.dfu_settings.as_ref());
    let page = page.and_then(|page| reading.dfu_settings(page, written, &images));
    images.extend(page);
    reading.overlaps(&images);
    let vouched = Vouched { devices, release, slots };
    let product = reading.product(written, source, keys, images, vouched);
    let mut problems = reading.problems;
    problems.dedup();
    (product, problems)
}

/// What stands beside keys and images and is read with them.
struct Vouched {
    devices: Option<DeviceKeys>,
    release: Option<Release>,
    slots: Vec<Slots>,
}

struct Reading<'s> {
    shelf: &'s dyn Shelf,
    folder: PathBuf,
    mode: Option<Mode>,
    problems: Vec<Problem>,
    remarks: Vec<String>,
    /// The private keys that bootloaders carry to decrypt images, and the one that may be.
    decryption: decryption::Declared,
    /// Whether Nordic's immutable bootloader starts what is flashed.
    has_nsib: bool,
}

type Keys = Keyring;

impl Reading<'_> {
    fn note(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Published and refused keys stop a lot everywhere but in engineering mode.
    fn refuse(&mut self, problem: Problem) {
        if self.mode == Some(Mode::Engineering) {
            self.remarks.push(format!("accepted in engineering mode only: {problem}"));
        } else {
            self.problems.push(problem.exit(Exit::KeyRefused));
        }
    }

    /// Reads a file that the recipe names; what is wrong with all of it is told where the recipe names it.
    fn take(&mut self, name: &Placed<String>, limit: u64) -> Option<Read> {
        match self.shelf.take(&self.folder.join(&name.value), limit) {
            Ok(file) => Some(file),
            Err(problem) => {
                self.note(name.problem(format!("`{}` {}", name.value, problem.what)).exit(problem.exit));
                None
            }
        }
    }

    /// The built-in lists, and those in the folders of the keys that the recipe names.
    fn refuse_list(&mut self, written: &Written) -> Option<RefuseList> {
        let folder = |key: &WrittenKey| Some(self.folder.join(&key.file.as_ref()?.value).parent()?.join(COMPANY_FILE));
        let files: BTreeSet<PathBuf> = written.key.values().filter_map(folder).collect();
        let mut list = RefuseList::built_in();
        for path in files.iter().filter(|path| self.shelf.holds(path)) {
            let file = self.shelf.take(path, super::FILE_LIMIT).map_err(|problem| vec![problem]);
            let open = |path: &Path| self.shelf.take(path, keys::FILE_LIMIT);
            list = list.and_then(|list| list.with_company_from(&file?, open));
        }
        list.map_err(|problems| self.problems.extend(problems)).ok()
    }

    fn told(&mut self, told: Vec<devices::Told>) {
        for told in told {
            if told.refused { self.refuse(told.problem) } else { self.note(told.problem) }
        }
    }

    fn keys(&mut self, written: &Written, list: Option<&RefuseList>) -> Keys {
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
    fn devices(&mut self, written: &Written, keys: &Keys, list: Option<&RefuseList>) -> Option<DeviceKeys> {
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
    fn own_key(&mut self, written: &Written) {
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

    /// The place of a unit's own key, if it is one.
    fn patch(&mut self, written: &WrittenImage, map: &Map, list: Option<&RefuseList>) -> Option<Patch> {
        let patch = written.patch.as_ref()?;
        match written.is.as_ref().map(|is| is.value) {
            Some(Is::McubootImage) => {
                self.note(patch.place.problem("`patch` is said of a bootloader; this image's signature would break"));
                return None;
            }
            Some(Is::Mcuboot) if !written.trusts.iter().any(|name| name.value == DEVICE) => {
                self.note(patch.place.problem("a bootloader with a `patch` trusts \"device\": add it to `trusts`"));
            }
            Some(Is::NsibProvision) => {
                self.note(patch.place.problem("`patch` is said of a bootloader; these are hashes of keys, not keys"));
                return None;
            }
            Some(Is::Mcuboot | Is::Nsib | Is::Raw) | None => {}
        }
        if let Some(inside) = written.keys.as_ref().filter(|keys| keys.value == Inside::HwKey) {
            self.note(inside.problem("`keys` = \"hw-key\" says that no key is inside, but `patch` puts one there"));
        }
        let patch = Patch { at: patch.at.as_ref()?.value, form: patch.form.as_ref()?.value };
        if let Some(Err(problems)) = list.map(|list| patch.check(map, list)) {
            self.problems.extend(problems);
        }
        Some(patch)
    }

    /// The release manifest, verified and compared with everything the recipe builds.
    fn release(
        &mut self,
        written: &WrittenRelease,
        recipe: &Written,
        images: &[Image],
        keys: &Keys,
    ) -> Option<Release> {
        let name = written.manifest.as_ref()?;
        let file = self.take(name, manifest::FILE_LIMIT)?;
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
                self.note(name.problem(format!("no key is called `{}`{}", name.value, choice(&name.value, &names))));
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

    fn images(&mut self, written: &Written, keys: &Keys, list: Option<&RefuseList>) -> Vec<Image> {
        let mut names = BTreeSet::new();
        for image in &written.image {
            if let Some(name) = image.name.as_ref().filter(|name| !names.insert(name.value.as_str())) {
                self.note(name.problem(format!("a second image is called `{}`", name.value)));
            }
        }
        let counter = written.stamp.as_ref().and_then(|stamp| stamp.counter.as_ref());
        written.image.iter().filter_map(|image| self.image(image, keys, list, counter)).collect()
    }

    fn image(
        &mut self,
        written: &WrittenImage,
        keys: &Keys,
        list: Option<&RefuseList>,
        counter: Option<&WrittenCounter>,
    ) -> Option<Image> {
        self.words_that_fit(written, keys);
        let file_name = written.file.as_ref()?;
        let file = self.take(file_name, image::FILE_LIMIT)?;
        if let Some(pin) = written.sha256.as_ref().filter(|pin| pin.value != file.digest) {
            self.note(
                pin.problem(format!("`{}` has the SHA-256 {}, not the pinned one", file_name.value, file.digest)),
            );
        }
        let map = self.map(written, file_name, &file)?;
        let patch = self.patch(written, &map, list);
        let is = written.is.as_ref()?.value;
        let (mut about, mut provision) = (None, None);
        match is {
            Is::Mcuboot => self.bootloader(written, &map, keys, list),
            Is::McubootImage => about = self.signed_image(written, &map, keys, list, counter),
            Is::Nsib => self.told(list.map(|list| nsib::bootloader(&map, list)).unwrap_or_default()),
            Is::NsibProvision => {
                provision = Provision::read(&map).map_err(|problem| self.note(problem)).ok();
            }
            Is::Raw => {}
        }
        Some(Image {
            name: written.name.as_ref()?.value.clone(),
            file: file_name.value.clone(),
            digest: file.digest,
            is,
            map,
            trusts: written.trusts.iter().map(|name| name.value.clone()).collect(),
            signed: written.signed.as_ref().map(|name| name.value.clone()),
            inside: written.keys.as_ref().map(|inside| inside.value),
            patch,
            about,
            provision,
            place: written.place.clone(),
        })
    }

    /// Each kind of image has words of its own.
    fn words_that_fit(&mut self, written: &WrittenImage, keys: &Keys) {
        let names = keys.names();
        for name in written.trusts.iter().chain(&written.signed).filter(|name| !keys.knows(&name.value)) {
            self.note(name.problem(format!("no key is called `{}`{}", name.value, choice(&name.value, &names))));
        }
        let Some(is) = &written.is else { return };
        let mut found = Vec::new();
        if is.value != Is::Mcuboot {
            let inside = written.keys.as_ref().map(|inside| &inside.place);
            let trusts = written.trusts.first().map(|name| &name.place);
            let surplus = inside.into_iter().chain(trusts);
            found.extend(
                surplus.map(|place| place.problem("`keys` and `trusts` are said of a bootloader (is = \"mcuboot\")")),
            );
        }
        let may_be_signed = match is.value {
            Is::McubootImage => true,
            // What NSIB starts may be a bootloader, or a program of its own.
            Is::Mcuboot | Is::Raw => self.has_nsib,
            Is::Nsib | Is::NsibProvision => false,
        };
        if let Some(signed) = written.signed.as_ref().filter(|_| !may_be_signed) {
            found.push(signed.problem("`signed` is said of an image that MCUboot starts (is = \"mcuboot-image\")"));
        }
        if let Some(version) = written.version.as_ref().filter(|_| is.value != Is::McubootImage) {
            found.push(version.problem("`version` is said of an image that MCUboot starts (is = \"mcuboot-image\")"));
        }
        self.problems.extend(found);
    }

    fn map(&mut self, written: &WrittenImage, name: &Placed<String>, file: &Read) -> Option<Map> {
        let extension = Path::new(&name.value).extension().and_then(|extension| extension.to_str());
        let read = match (extension, &written.at) {
            (Some("hex" | "ihex" | "HEX"), None) => Map::from_hex(file),
            (Some("bin" | "BIN"), Some(at)) => Map::from_raw(file, at.value),
            (Some("hex" | "ihex" | "HEX"), Some(at)) => {
                Err(vec![at.problem("a hex file says itself where its bytes go; `at` is for .bin files")])
            }
            (Some("bin" | "BIN"), None) => {
                Err(vec![name.problem("a .bin file needs `at`, the address of its first byte")])
            }
            _ => Err(vec![name.problem("an image is a .hex (Intel HEX) or a .bin file")]),
        };
        read.map_err(|problems| self.problems.extend(problems)).ok()
    }

    fn bootloader(&mut self, written: &WrittenImage, map: &Map, keys: &Keys, list: Option<&RefuseList>) {
        if mcuboot::begins(map, map.first()) {
            self.note(map.problem_at(map.first(), "is an image that MCUboot starts, not MCUboot"));
            return;
        }
        let signs = mcuboot::Signs::of(map);
        if !signs.suffice() {
            self.note(Problem::new(map.name(), format!("cannot be shown to be MCUboot: {signs}")));
        }
        self.vectors(map, map.first());
        let Some(list) = list else { return };
        let mut found = scan::keys(map, list);
        // What stands where each unit's own key goes is replaced before it reaches a board.
        let replaced = written.patch.as_ref().and_then(|patch| patch.at.as_ref()).map(|at| at.value);
        found.retain(|found| Some(found.at) != replaced);
        self.keys_inside(written, map, &found, keys);
    }

    fn vectors(&mut self, map: &Map, at: u32) {
        if let Err(problems) = vectors::read(map, at, &vectors::SRAM) {
            self.problems.extend(problems);
        }
    }

    fn keys_inside(&mut self, written: &WrittenImage, map: &Map, found: &[scan::Found], keys: &Keys) {
        let Some(inside) = &written.keys else { return };
        for found in found {
            let what = found.describe();
            match (&found.kind, &found.refused) {
                (scan::Kind::Private(_), _) => {
                    if let Some(problem) = self.decryption.meets(found, map) {
                        self.note(problem);
                    }
                }
                (_, Some(_)) => self.refuse(found.problem(map, format!("{what} is inside"))),
                (scan::Kind::P256(_) | scan::Kind::Other(_) | scan::Kind::Raw(_), None) => {}
            }
        }
        match inside.value {
            Inside::HwKey | Inside::Kmu => self.none_inside(inside, map, found),
            Inside::Embedded => self.trusted_inside(written, inside, map, found, keys),
        }
    }

    fn none_inside(&mut self, inside: &Placed<Inside>, map: &Map, found: &[scan::Found]) {
        let word = if inside.value == Inside::Kmu { "kmu" } else { "hw-key" };
        let unrefused = found.iter().filter(|found| found.refused.is_none());
        for found in unrefused.filter(|found| !matches!(found.kind, scan::Kind::Private(_))) {
            let what = format!(
                "{} is inside, but `keys` = \"{word}\" says that none is ({})",
                found.describe(),
                at(&inside.place)
            );
            self.note(found.problem(map, what));
        }
    }

    fn trusted_inside(
        &mut self,
        written: &WrittenImage,
        inside: &Placed<Inside>,
        map: &Map,
        found: &[scan::Found],
        keys: &Keys,
    ) {
        let trusted: Vec<(&str, &AnyKey)> =
            written.trusts.iter().filter_map(|name| Some((name.value.as_str(), keys.get(&name.value)?))).collect();
        for found in found.iter().filter(|found| found.refused.is_none()) {
            let private = matches!(found.kind, scan::Kind::Private(_));
            if private || found.key.as_ref().is_some_and(|key| trusted.iter().any(|(_, trusted)| *trusted == key)) {
                continue;
            }
            let what = format!("{} is inside, but not in `trusts` ({})", found.describe(), at(&written.place));
            self.note(found.problem(map, what));
        }
        let is_inside = |key: &AnyKey| found.iter().any(|found| found.key.as_ref() == Some(key));
        for (name, _) in trusted.iter().filter(|(_, key)| !is_inside(key)) {
            let key = keys.called(name);
            self.note(inside.problem(format!("key {key} is in `trusts`, but not inside {}", map.name())));
        }
    }

    fn signed_image(
        &mut self,
        written: &WrittenImage,
        map: &Map,
        keys: &Keys,
        list: Option<&RefuseList>,
        counter: Option<&WrittenCounter>,
    ) -> Option<mcuboot::Image> {
        let image = match mcuboot::read(map, map.first()) {
            Ok(image) => image,
            Err(problem) => {
                self.note(problem);
                return None;
            }
        };
        self.vectors(map, image.program());
        if let Some(refused) = list.and_then(|list| image.refused_by(list)) {
            self.refuse(map.problem_at(image.at, format!("signed with a {refused}, as its TLVs at the end say")));
        }
        if let Some((name, key)) = written.signed.as_ref().and_then(|name| Some((name, keys.get(&name.value)?))) {
            let judged = image.judge(Some(key)).objections;
            let with = keys.called(&name.value);
            let problem = |why| map.problem_at(image.at, format!("would not boot: {why}; `signed` names key {with}"));
            self.problems.extend(judged.into_iter().map(|objection| problem(objection.why)));
        }
        self.versioned(written, map, &image);
        if let Some(counter) = counter {
            self.counted(map, &image, counter);
        }
        Some(image)
    }

    fn versioned(&mut self, written: &WrittenImage, map: &Map, image: &mcuboot::Image) {
        let Some(wanted) = &written.version else { return };
        let version = image.header.version.to_string();
        let without_build = version.split('+').next().unwrap_or_default();
        let fits = if wanted.value.contains('+') { version == wanted.value } else { without_build == wanted.value };
        if !fits {
            let what = format!("`version` is {}, but `{}` holds version {version}", wanted.value, map.name());
            self.note(wanted.problem(what));
        }
    }

    /// An image below the counter that its board leaves the line with never starts.
    fn counted(&mut self, map: &Map, image: &mcuboot::Image, counter: &WrittenCounter) {
        let Some(initial) = &counter.initial else { return };
        let read_by = counter.read_by.as_ref().map(|read_by| read_by.value);
        let used = u32::from(initial.value > 0);
        match image.security_counter() {
            Some(counted) if counted < initial.value => self.note(map.problem_at(
                image.at,
                format!(
                    "its security counter is {counted}, below the board's initial {} ({}): it would not boot",
                    initial.value,
                    at(&initial.place)
                ),
            )),
            Some(counted)
                if counted > initial.value && counter.slots.as_ref().is_some_and(|slots| slots.value <= used) =>
            {
                let what = format!(
                    "its security counter is {counted}, and the board's {} has no slot left to rise to it ({})",
                    initial.value,
                    at(&initial.place)
                );
                self.note(map.problem_at(image.at, what));
            }
            None if read_by == Some(ReadBy::McubootHwKey) => self.note(map.problem_at(
                image.at,
                "it has no security counter in its protected TLVs, and the bootloader asks for one: it would not boot",
            )),
            Some(_) | None => {}
        }
    }

    /// The settings page as one more image, made as nrfutil makes it.
    fn dfu_settings(&mut self, page: &WrittenDfuSettings, recipe: &Written, images: &[Image]) -> Option<Image> {
        let names: Vec<&str> =
            recipe.image.iter().filter_map(|image| Some(image.name.as_ref()?.value.as_str())).collect();
        let (version, name) = (page.version.as_ref()?, page.application.as_ref()?);
        if !names.contains(&name.value.as_str()) {
            self.note(name.problem(format!("no image is called `{}`{}", name.value, choice(&name.value, &names))));
        }
        let Some(layout) = settings::Version::from_number(version.value) else {
            self.note(version.problem("`version` is the layout of the page: 1 or 2"));
            return None;
        };
        if let Some(check) = page.boot_check.as_ref().filter(|_| layout == settings::Version::V1) {
            self.note(check.problem("layout 1 has no room for a `boot_check`; layout 2 has"));
        }
        let chip = recipe.chip.as_ref()?;
        let Some(at) = settings::page_of(&chip.value) else {
            self.note(page.place.problem(format!("the nRF5 SDK has no settings page on {}", chip.value)));
            return None;
        };
        let application = images.iter().find(|image| image.name == name.value)?;
        let validation = page.boot_check.as_ref().map_or(Validation::Crc, |check| check.value);
        let (app_version, bl_version) = (page.app_version.as_ref()?.value, page.bl_version.as_ref()?.value);
        let wanted = settings::Wanted { version: layout, app_version, bl_version, validation };
        let flat = settings::Flat::of(&application.map).map_err(|problem| self.note(problem)).ok()?;
        let made = settings::make(&wanted, &flat).map_err(|what| self.note(page.place.problem(what))).ok()?;
        Some(Image {
            name: "dfu-settings".to_owned(),
            file: application.file.clone(),
            digest: Digest::of(&made),
            is: Is::Raw,
            map: settings::image("[stamp.dfu_settings]", at, &made),
            trusts: Vec::new(),
            signed: None,
            inside: None,
            patch: None,
            about: None,
            provision: None,
            place: page.place.clone(),
        })
    }

    fn overlaps(&mut self, images: &[Image]) {
        for (index, image) in images.iter().enumerate() {
            for other in images.iter().skip(index + 1) {
                let touches =
                    |a: &image::Segment, b: &image::Segment| u64::from(a.at) < b.end() && u64::from(b.at) < a.end();
                let common = other.map.segments().iter().find_map(|one| {
                    let hit = image.map.segments().iter().find(|segment| touches(segment, one))?;
                    Some(one.at.max(hit.at))
                });
                if let Some(at) = common {
                    let what = format!("0x{at:08X} also belongs to image `{}` ({})", image.name, image.file);
                    self.note(other.map.problem_at(at, what));
                }
            }
        }
    }

    /// Bootloader, key on the chip and signature must speak of one key, or the chain does not boot.
    fn roots(&mut self, written: &Written, images: &[Image], keys: &Keys) {
        let stamp = written.stamp.as_ref().and_then(|stamp| stamp.key_hash.as_ref());
        let needy = written.image.iter().find(|image| matches!(&image.keys, Some(keys) if keys.value == Inside::HwKey));
        let read_by = stamp.and_then(|stamp| stamp.read_by.as_ref()).map(|read_by| read_by.value);
        let serves = read_by == Some(ReadBy::McubootHwKey);
        match (needy, stamp) {
            (Some(image), None) => self.note(image.place.problem(
                "this bootloader takes its key from the chip (`keys` = \"hw-key\"), but there is no [stamp.key_hash]",
            )),
            (Some(_), Some(stamp)) if !serves && read_by.is_some() => self.note(
                stamp
                    .place
                    .problem("a bootloader with `keys` = \"hw-key\" reads it: `read_by` must be \"mcuboot-hw-key\""),
            ),
            (None, Some(stamp)) if serves && written.image.iter().all(understood) => self.note(
                stamp
                    .place
                    .problem("`read_by` = \"mcuboot-hw-key\", but no image is a bootloader with `keys` = \"hw-key\""),
            ),
            (Some(_), Some(stamp)) => self.one_root(stamp, images, keys),
            (None, Some(_) | None) => {}
        }
    }

    /// A bootloader starts nothing that was signed by a key it does not trust.
    fn chain(&mut self, images: &[Image], keys: &Keys) {
        let (signed, bootloaders) = (Is::McubootImage, Is::Mcuboot);
        for bootloader in images.iter().filter(|image| image.is == bootloaders) {
            for image in images.iter().filter(|image| image.is == signed) {
                let Some(signed) = image.signed.as_ref().filter(|signed| keys.knows(signed)) else { continue };
                if !trusts(bootloader, signed, keys) {
                    self.note(image.place.problem(format!(
                        "image `{}` is signed by `{signed}`, which image `{}` does not trust: it would not boot \
                         ({} by {})",
                        image.name, bootloader.name, image.file, bootloader.file
                    )));
                }
            }
        }
    }

    fn one_root(&mut self, stamp: &WrittenKeyHash, images: &[Image], keys: &Keys) {
        let Some(key) = stamp.key.as_ref().filter(|key| keys.knows(&key.value)) else { return };
        self.hashable(key, keys);
        for image in images {
            let signed = image.signed.as_ref().filter(|signed| **signed != key.value && keys.knows(signed));
            if let Some(signed) = signed.filter(|_| image.is == Is::McubootImage) {
                self.note(key.problem(format!(
                    "the chip gets the hash of key {}, but image `{}` ({}) is signed by `{signed}`: it would not boot",
                    keys.called(&key.value),
                    image.name,
                    image.file
                )));
            }
            if image.about.as_ref().is_some_and(|about| about.public_key().is_none()) {
                self.note(image.place.problem(format!(
                    "image `{}` carries no whole public key, which a bootloader with a key hash on the chip needs; \
                     sign it with `imgtool sign --public-key-format full`",
                    image.name
                )));
            }
            if image.inside == Some(Inside::HwKey) && !trusts(image, &key.value, keys) {
                let what = format!("image `{}` ({}) does not trust key `{}`", image.name, image.file, key.value);
                self.note(key.problem(what));
            }
        }
    }

    /// MCUboot hashes the key as its images carry it, with the hash it was built for. [bootutil_find_key]
    fn hashable(&mut self, name: &Placed<String>, keys: &Keys) {
        let Some(key) = keys.get(&name.value) else { return };
        let why = match key.algorithm() {
            Algorithm::P256 | Algorithm::Ed25519 | Algorithm::X25519 => return,
            Algorithm::P384 => "hashes with SHA-384",
            Algorithm::Rsa2048 | Algorithm::Rsa3072 => "hashes the PKCS#1 form of",
        };
        self.note(name.problem(format!(
            "key {} is {}: a bootloader with such a key {why} what images carry, so that SHA-256 of the \
             SubjectPublicKeyInfo never fits",
            keys.called(&name.value),
            key.algorithm()
        )));
    }

    /// Provision data, its bootloader and what that starts.
    fn nsib(&mut self, written: &Written, images: &[Image], keys: &Keys, list: Option<&RefuseList>) {
        let stamp = written.stamp.as_ref().and_then(|stamp| stamp.nsib.as_ref());
        let mut chain = nsib::Chain { stamp, images, keys, told: Vec::new(), remarks: Vec::new() };
        chain.check(list);
        self.told(chain.told);
        self.remarks.extend(chain.remarks);
    }

    /// Key files, each held against the recipe and the images that its keys verify.
    fn slots(&mut self, written: &Written, images: &[Image], keys: &Keys, list: Option<&RefuseList>) -> Vec<Slots> {
        let stamps = written.stamp.as_ref().map(|stamp| &stamp.kmu[..]).unwrap_or_default();
        let needy = written.image.iter().find(|image| matches!(&image.keys, Some(keys) if keys.value == Inside::Kmu));
        if let Some(image) = needy.filter(|_| stamps.is_empty()) {
            let what = "this bootloader takes its keys from the chip's key slots (`keys` = \"kmu\"), but there is no \
                        [[stamp.kmu]]";
            self.note(image.place.problem(what));
        }
        stamps.iter().filter_map(|stamp| self.key_file(stamp, images, keys, list)).collect()
    }

    fn key_file(
        &mut self,
        stamp: &WrittenKmu,
        images: &[Image],
        keys: &Keys,
        list: Option<&RefuseList>,
    ) -> Option<Slots> {
        let name = stamp.file.as_ref()?;
        let file = self.take(name, kmu::FILE_LIMIT as u64)?;
        match KeyFile::read(&file) {
            Ok(read) => self.told(slots::check(stamp, &name.value, &read, images, keys, list)),
            Err(problem) => {
                self.note(name.problem(format!("`{}` {}", name.value, problem.what)).exit(problem.exit));
            }
        }
        Some(Slots { file: name.value.clone(), digest: file.digest, place: stamp.place.clone() })
    }

    /// The one private key that may be on a board.
    fn decryption(&mut self, written: &Written, images: &[Image], list: Option<&RefuseList>) {
        let told = self.decryption.check(written, images, list);
        self.told(told);
    }

    fn product(
        &mut self,
        written: &Written,
        source: Read,
        keys: Keys,
        images: Vec<Image>,
        vouched: Vouched,
    ) -> Option<Product> {
        if written.image.is_empty() && self.problems.is_empty() {
            self.note(Problem::new(source.name(), "a product needs at least one [[image]]"));
        }
        let serial = self.serial_rule(written);
        let stamp = written.stamp.as_ref();
        let key_hash = stamp.and_then(|stamp| stamp.key_hash.as_ref()).and_then(|hash| self.key_hash(hash, &keys));
        let counter = stamp.and_then(|stamp| stamp.counter.as_ref()).and_then(|counter| self.counter(counter));
        let serial_stamp =
            stamp.and_then(|stamp| stamp.serial.as_ref()).zip(serial.as_ref()).and_then(|(stamp, rule)| {
                let words = u32::try_from(rule.length().div_ceil(4)).ok()?;
                Some(SerialStamp { at: spot(stamp.at.as_ref())?, words })
            });
        self.stamps_apart(key_hash.as_ref(), counter.as_ref(), serial_stamp.as_ref());
        let boot = self.boot(written);
        let uicr = self.settings(written.uicr.as_ref());
        self.short(written.product.as_ref(), 16);
        self.short(written.title.as_ref(), TEXT_MAX);
        self.unread(key_hash.as_ref(), counter.as_ref());
        self.uncounted(counter.as_ref(), &images);
        let digest = digest(&source, &keys, &images, &vouched);
        let silicon = written.silicon.as_ref()?;
        Some(Product {
            code: written.product.as_ref()?.value.clone(),
            title: written.title.as_ref()?.value.clone(),
            digest,
            symbols: symbols(&digest),
            chip: written.chip.clone()?,
            silicon: Silicon { at_least: silicon.at_least.clone(), ships: silicon.ships.as_ref()?.value },
            arrives: written.arrives.as_ref()?.value,
            serial: serial?,
            keys: keys.into_map(),
            slots: vouched.slots,
            decryption: self.decryption.spki_sha256(),
            device_keys: vouched.devices,
            release: vouched.release,
            images,
            uicr,
            key_hash,
            counter,
            serial_stamp,
            lock: Lock { approtect: written.lock.as_ref()?.approtect.clone()? },
            boot,
            remarks: std::mem::take(&mut self.remarks),
            source,
        })
    }

    fn serial_rule(&mut self, written: &Written) -> Option<SerialRule> {
        let serial = written.serial.as_ref()?;
        let pattern = serial.pattern.as_ref()?;
        let check = serial.check.as_ref().map(|check| check.value);
        SerialRule::new(&pattern.value, check)
            .map_err(|bad| self.note(pattern.problem(format!("`pattern`: {bad}"))))
            .ok()
    }

    fn key_hash(&mut self, written: &WrittenKeyHash, keys: &Keys) -> Option<KeyHash> {
        let key = written.key.as_ref()?;
        if !keys.knows(&key.value) {
            let names = keys.names();
            self.note(key.problem(format!("no key is called `{}`{}", key.value, choice(&key.value, &names))));
        }
        Some(KeyHash {
            key: key.value.clone(),
            form: written.form.as_ref()?.value,
            at: spot(written.at.as_ref())?,
            read_by: written.read_by.as_ref()?.value,
        })
    }

    fn counter(&mut self, written: &WrittenCounter) -> Option<Counter> {
        let (slots, initial) = (written.slots.as_ref()?, written.initial.as_ref()?);
        if slots.value == 0 {
            self.note(slots.problem("`slots` must be at least 1"));
        } else if initial.value > slots.value {
            self.note(initial.problem(format!(
                "`initial` is {}, above the {} `slots`: one slot is used up with each security update",
                initial.value, slots.value
            )));
        }
        Some(Counter {
            at: spot(written.at.as_ref())?,
            slots: slots.value,
            initial: initial.value,
            read_by: written.read_by.as_ref()?.value,
        })
    }

    fn stamps_apart(&mut self, hash: Option<&KeyHash>, counter: Option<&Counter>, serial: Option<&SerialStamp>) {
        let stamps: Vec<(&str, &Spot, u32)> = [
            hash.map(|hash| ("key_hash", &hash.at, KEY_HASH_WORDS)),
            counter.map(|counter| ("counter", &counter.at, counter.slots)),
            serial.map(|serial| ("serial", &serial.at, serial.words)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let end = |at: &Spot, words: u32| u64::from(at.index) + u64::from(words);
        for (index, (name, at, words)) in stamps.iter().enumerate() {
            for (other, other_at, other_words) in stamps.iter().skip(index + 1) {
                let apart = at.area != other_at.area
                    || end(at, *words) <= u64::from(other_at.index)
                    || end(other_at, *other_words) <= u64::from(at.index);
                if !apart {
                    self.note(other_at.place.problem(format!(
                        "`stamp.{other}` ({other_words} words) and `stamp.{name}` ({words} words from {}[{}]) overlap",
                        at.area, at.index
                    )));
                }
            }
        }
    }

    fn boot(&mut self, written: &Written) -> Option<Boot> {
        let expect = written.boot.as_ref()?.expect.as_ref()?;
        self.short(expect.uart.as_ref(), TEXT_MAX);
        let within = expect.within_ms.as_ref()?;
        if !(1..=BOOT_MAX).contains(&within.value) {
            self.note(within.problem(format!("`within_ms` must be from 1 to {BOOT_MAX}, this is {}", within.value)));
        }
        Some(Boot { uart: expect.uart.as_ref()?.value.clone(), within_ms: u64::from(within.value) })
    }

    fn short(&mut self, text: Option<&Placed<String>>, most: usize) {
        if let Some(text) = text.filter(|text| text.value.chars().count() > most) {
            self.note(text.problem(format!("is longer than {most} characters")));
        }
    }

    /// ERASEALL wipes the board's electrical set-up: what the recipe does not say is told.
    fn settings(&mut self, written: Option<&WrittenUicr>) -> Vec<Setting> {
        let regout0 = written.and_then(|uicr| uicr.regout0.as_ref());
        let pselreset = written.and_then(|uicr| uicr.pselreset.as_ref());
        let nfcpins = written.and_then(|uicr| uicr.nfcpins.as_ref());
        for (name, said, erased) in [
            ("regout0", regout0.is_some(), "1.8 V in high-voltage mode"),
            ("pselreset", pselreset.is_some(), "no reset pin"),
            ("nfcpins", nfcpins.is_some(), "an antenna"),
        ] {
            if !said {
                self.remarks.push(format!("uicr.{name} is not said and stays erased, which means {erased}"));
            }
        }
        let settings = [
            regout0.map(|volts| Setting { word: Word::Regout0(volts.value), place: volts.place.clone() }),
            pselreset.map(|pin| Setting { word: Word::PselReset(pin.value), place: pin.place.clone() }),
            nfcpins.map(|pins| Setting { word: Word::NfcPins(pins.value), place: pins.place.clone() }),
        ];
        settings.into_iter().flatten().collect()
    }

    /// A counter that was never set up counts nothing.
    fn uncounted(&mut self, counter: Option<&Counter>, images: &[Image]) {
        let provisioned = images.iter().filter_map(|image| image.provision.as_ref());
        let stored =
            provisioned.flat_map(|provision| &provision.content.counters).any(|one| one.of == CounterOf::Mcuboot);
        if counter.is_some() || stored {
            return;
        }
        for image in images {
            if let Some(counted) = image.about.as_ref().and_then(mcuboot::Image::security_counter) {
                self.remarks.push(format!(
                    "`{}` has the security counter {counted}, and nothing on the chip is set up to count it",
                    image.file
                ));
            }
        }
    }

    fn unread(&mut self, hash: Option<&KeyHash>, counter: Option<&Counter>) {
        let hash = hash.filter(|hash| hash.read_by == ReadBy::Nobody).map(|_| "key_hash");
        let counter = counter.filter(|counter| counter.read_by == ReadBy::Nobody).map(|_| "counter");
        for name in hash.into_iter().chain(counter) {
            self.remarks.push(format!("stamp.{name} is read by nobody: it marks the unit and protects nothing"));
        }
    }
}

fn spot(written: Option<&Placed<(String, u32)>>) -> Option<Spot> {
    let Placed { value: (area, index), place } = written?;
    Some(Spot { area: area.clone(), index: *index, place: place.clone() })
}

/// Whether this bootloader trusts this key, or might: a name that no key has is told by itself.
fn trusts(bootloader: &Image, key: &str, keys: &Keys) -> bool {
    bootloader.trusts.iter().any(|name| name == key || !keys.knows(name))
}

/// For messages: the file and line.
pub(super) fn at(place: &Place) -> String {
    format!("{}:{}", place.file, place.line)
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

/// Whether it is known how this image knows its key.
fn understood(image: &WrittenImage) -> bool {
    image.is.as_ref().is_some_and(|is| is.value != Is::Mcuboot || image.keys.is_some())
}

/// SHA-256 over the recipe's own digest and those of everything it names, each on a line with its kind and name.
fn digest(source: &Read, keys: &Keys, images: &[Image], vouched: &Vouched) -> Digest {
    let keys = keys.iter().map(|(name, key)| format!("key {name} {}\n", key.spki_sha256()));
    let images = images.iter().map(|image| format!("image {} {}\n", image.name, image.digest));
    let devices = vouched.devices.iter().map(|devices| format!("devices {}\n", devices.digest));
    let release = vouched.release.iter().map(|release| format!("release {}\n", release.digest));
    let head = format!("rootstamp recipe 1\nrecipe {}\n", source.digest);
    let slots = vouched.slots.iter().map(|slots| format!("kmu {} {}\n", slots.file, slots.digest));
    let lines = std::iter::once(head).chain(keys).chain(images).chain(devices).chain(release).chain(slots);
    Digest::of(lines.collect::<String>().as_bytes())
}
