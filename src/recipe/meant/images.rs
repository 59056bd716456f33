//! Images: what each must prove to be, alone.

use std::{collections::BTreeSet, ops::Range};

use super::{Keys, Reading, at};
use crate::{
    fault::{Exit, Problem},
    file::Read,
    ident::Digest,
    image::{
        self, Map,
        dfu::{Validation, patch::Patch, settings},
        mcuboot,
        nsib::Provision,
        scan, vectors,
    },
    keys::{AnyKey, refuse::RefuseList},
    page::{Placed, choice},
    recipe::{
        Image, Inside, Is, Made, ReadBy, nsib,
        written::{DEVICE, Written, WrittenCounter, WrittenDfuSettings, WrittenImage},
    },
};

/// More images than any product has, each up to [`image::MEMORY_MAX`] of memory that is searched for keys.
const IMAGES: usize = 64;

/// So many places beside an image are told one by one.
const BESIDE: usize = 16;

impl Reading<'_> {
    pub(super) fn images(&mut self, written: &Written, keys: &Keys, list: Option<&RefuseList>) -> Vec<Image> {
        if let Some(surplus) = written.image.get(IMAGES) {
            let what = format!("a product has at most {IMAGES} [[image]]; this is one more, and none of them was read");
            self.note(surplus.place.problem(what));
            return Vec::new();
        }
        let mut names = BTreeSet::new();
        for image in &written.image {
            if let Some(name) = image.name.as_ref().filter(|name| !names.insert(name.value.as_str())) {
                self.note(name.problem(format!("a second image is called `{}`", name.shown())));
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
        let told = self.problems.len();
        let image = self.image_of(written, file_name, &file, keys, list, counter);
        if self.problems.iter().skip(told).all(|problem| problem.exit != Exit::KeyRefused) {
            self.as_a_file(written, file_name, &file);
        }
        image
    }

    fn image_of(
        &mut self,
        written: &WrittenImage,
        file_name: &Placed<String>,
        file: &Read,
        keys: &Keys,
        list: Option<&RefuseList>,
        counter: Option<&WrittenCounter>,
    ) -> Option<Image> {
        if let Some(pin) = written.sha256.as_ref().filter(|pin| pin.value != file.digest) {
            self.note(
                pin.problem(format!("`{}` has the SHA-256 {}, not the pinned one", file_name.value, file.digest)),
            );
        }
        let map = self.map(written, file_name, file)?;
        self.not_loaded(written, file, list);
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
        if let Some(list) = list {
            self.secrets(written, &map, is, about.as_ref(), list);
        }
        let stowed = self.stowaways(written, &map, is);
        if let Some(about) = &about {
            self.beside(written, &map, about, &stowed);
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
            made: None,
            place: written.place.clone(),
        })
    }

    /// No image holds a private half or a refused key, whatever it is. Bootloaders are looked into by themselves: theirs
    /// may hold the declared decryption key.
    fn secrets(
        &mut self,
        written: &WrittenImage,
        map: &Map,
        is: Is,
        about: Option<&mcuboot::Image>,
        list: &RefuseList,
    ) {
        if matches!(is, Is::Mcuboot | Is::Nsib) {
            return;
        }
        let replaced = written.patch.as_ref().and_then(|patch| patch.at.as_ref()).map(|at| at.value);
        // By whom an image is signed, and which hashes provision data holds, is told with more words.
        let in_tlvs = |about: &mcuboot::Image, at: u32| (about.program_end()..about.end).contains(&at);
        let told = |at: u32| is == Is::NsibProvision || about.is_some_and(|about| in_tlvs(about, at));
        for found in scan::keys(map, list).iter().filter(|found| Some(found.at) != replaced) {
            let what = format!(
                "{} is inside image `{}`",
                found.describe(),
                written.name.as_ref().map_or("", |name| &name.value)
            );
            match (&found.kind, &found.refused) {
                (scan::Kind::Private(_), _) => {
                    let what = format!("{what}: no private key goes on a board but one that decrypts its images");
                    self.note(found.problem(map, what).exit(Exit::KeyRefused));
                }
                (_, Some(_)) if !told(found.at) => self.refuse(found.problem(map, what)),
                (scan::Kind::P256(_) | scan::Kind::Other(_) | scan::Kind::Raw(_), _) => {}
            }
        }
    }

    /// An image for MCUboot inside something else, as in a build's merged file, would be flashed without anybody having
    /// looked at its signature. Whether its own hash fits is not asked: that of an encrypted one never does here, a pure one
    /// has none, and one that is damaged could hide another. One that stands at the begin was told, or is what the recipe
    /// says. Returns where they stand.
    fn stowaways(&mut self, written: &WrittenImage, map: &Map, is: Is) -> Vec<Range<u32>> {
        let mut stowed = Vec::new();
        let known = (is == Is::McubootImage || is == Is::Mcuboot).then_some(map.first());
        for (index, (at, found)) in mcuboot::all(map).into_iter().enumerate() {
            match found {
                Ok(found) if Some(at) != known => {
                    stowed.push(at..found.end);
                    let what = format!(
                        "image `{}` (is = \"{}\") holds an image for MCUboot at 0x{at:08X}, whose signature nobody would \
                         check: give it a file and an [[image]] of its own, with is = \"mcuboot-image\"",
                        written.name.as_ref().map_or("", |name| &name.value),
                        is.word()
                    );
                    self.note(map.problem_at(at, what));
                }
                // What stands behind so many was not looked at.
                Err(problem) if index >= mcuboot::IMAGES => self.note(problem),
                // Inside a program the magic is a constant like any other.
                Ok(_) | Err(_) => {}
            }
        }
        stowed
    }

    /// What stands beside a signed image in its file would be flashed as if it were signed with it. Other images in it
    /// are told by themselves.
    fn beside(&mut self, written: &WrittenImage, map: &Map, about: &mcuboot::Image, others: &[Range<u32>]) {
        let runs = about.beside(map, others);
        let name = written.name.as_ref().map_or("", |name| &name.value);
        for run in runs.iter().take(BESIDE) {
            let what = nsib::unsigned_run(run, name, about.at..about.end);
            self.note(map.problem_at(u32::try_from(run.start).unwrap_or(about.at), what));
        }
        if let Some(more) = runs.len().checked_sub(BESIDE).filter(|more| *more > 0) {
            let what = format!("image `{name}`: {more} more places hold what nobody signed; {BESIDE} are told");
            self.note(Problem::new(map.name(), what));
        }
    }

    /// Each kind of image has words of its own.
    fn words_that_fit(&mut self, written: &WrittenImage, keys: &Keys) {
        let names = keys.names();
        for name in written.trusts.iter().chain(&written.signed).filter(|name| !keys.knows(&name.value)) {
            self.note(name.problem(format!("no key is called `{}`{}", name.shown(), choice(&name.value, &names))));
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
        if let Some(number) = written.number.as_ref().filter(|_| is.value != Is::McubootImage) {
            found.push(number.problem("`number` is said of an image that MCUboot starts (is = \"mcuboot-image\")"));
        }
        self.problems.extend(found);
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
        for found in found.iter().filter(|found| found.is_public_key()) {
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
        // That a refused key is allowed, as in engineering mode, does not make it one that the recipe trusts.
        let others = found.iter().filter(|found| found.is_public_key());
        for found in others.filter(|found| !trusted.iter().any(|(_, key)| found.is(key))) {
            let what = format!("{} is inside, but not in `trusts` ({})", found.describe(), at(&written.place));
            self.note(found.problem(map, what));
        }
        let is_inside = |key: &AnyKey| found.iter().any(|found| found.is(key));
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
        if let Some(trailer) = image.trailer.filter(|trailer| u64::from(image.end) > trailer.notes_begin()) {
            let what = format!(
                "it ends at 0x{:08X}, behind 0x{:08X} where MCUboot notes at the end of the slot that it may stay",
                image.end,
                trailer.notes_begin()
            );
            self.note(map.problem_at(image.at, what));
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
            let what = format!("`version` is {}, but `{}` holds version {version}", wanted.shown(), map.name());
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
    pub(super) fn dfu_settings(
        &mut self,
        page: &WrittenDfuSettings,
        recipe: &Written,
        images: &[Image],
    ) -> Option<Image> {
        let names: Vec<&str> =
            recipe.image.iter().filter_map(|image| Some(image.name.as_ref()?.value.as_str())).collect();
        let (version, name) = (page.version.as_ref()?, page.application.as_ref()?);
        if !names.contains(&name.value.as_str()) {
            self.note(name.problem(format!("no image is called `{}`{}", name.shown(), choice(&name.value, &names))));
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
            self.note(page.place.problem(format!("the nRF5 SDK has no settings page on {}", chip.shown())));
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
            made: Some(Made::DfuSettings),
            place: page.place.clone(),
        })
    }

    pub(super) fn overlaps(&mut self, images: &[Image]) {
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
}
