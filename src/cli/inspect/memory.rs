//! What `inspect` tells of memory: images, programs, bootloaders, and what is provisioned beside them.

use std::fmt::{self, Display};

use serde::Serialize;

use super::{
    look::Asked,
    nsib_firmware::NsibFirmwareReport,
    report::RefusedReport,
    signed::McubootReport,
    storage::{self, DumpReport},
};
pub(super) use crate::cli::paper::address;
use crate::{
    fault::Problem,
    ident::Digest,
    image::{
        Map,
        bootconf::{self, BootConf, Chip},
        bootloader::{self, Survey},
        dfu::{
            Validation, patch,
            settings::{self, Backup, Settings},
        },
        elf,
        flash_map::{self, FlashMap},
        mcuboot::{self, Carrier, Signs},
        nsib::{self, Counter, Dump, Generation, Head, LifeCycle, Provision, Storage},
        scan::{self, Kind},
        softdevice::{self, Connectivity, Mbr, SoftDevice},
        tree::Branch,
        vectors,
    },
    keys::refuse::RefuseList,
};

mod words;

#[derive(Serialize)]
pub(super) struct ImageReport {
    digest: Digest,
    length: usize,
    entry: Option<String>,
    segments: Vec<SegmentReport>,
    vector_tables: Vec<VectorReport>,
    /// Of raw memory that begins like a program for another address: which one that may be.
    perhaps_at: Option<String>,
    mcuboot_images: Vec<McubootReport>,
    /// What begins like an image for MCUboot and is none, and why.
    broken_images: Vec<Problem>,
    /// What the programs take for the layout of flash.
    flash_maps: Vec<FlashMap>,
    mcuboot: SignsReport,
    bootloader: Survey,
    keys: Vec<FoundReport>,
    /// Private halves and refused keys in an ELF file, where nothing loads them; `at` is an offset.
    keys_not_loaded: Vec<FoundReport>,
    /// What of it could not be searched, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_searched: Vec<String>,
    looked_for: &'static str,
    container: Container,
    /// Provision data for NSIB or for MCUboot's counters.
    provision: Vec<ProvisionReport>,
    /// Firmware that NSIB would start: who signed it.
    nsib_firmware: Vec<NsibFirmwareReport>,
    /// NSIB's storage as it was read from a board: that data, and what has become of it.
    nsib_storage: Vec<DumpReport>,
    /// What stands where provision data must, and is none; a settings page that cannot be; a word that protects nothing.
    broken: Vec<Problem>,
    boot_conf: Option<BootConfReport>,
    dfu_settings: Option<DfuSettingsReport>,
    /// Nordic's protocol stack, what stands below it, and firmware of Nordic's that uses it.
    softdevice: Option<SoftDevice>,
    mbr: Option<Mbr>,
    connectivity: Option<Connectivity>,
    /// P-256 keys without a head, as the nRF5 SDK's bootloader holds its own: looked for only where there is a sign of it.
    bare_keys: Vec<BareReport>,
}

/// In what memory travelled.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Container {
    IntelHex,
    Elf,
    Raw,
}

#[derive(Serialize)]
struct ProvisionReport {
    at: String,
    #[serde(skip)]
    place: u32,
    /// Where the bootloader's storage begins, if the address of the data tells.
    base: Option<String>,
    counter_slot_bytes: u32,
    /// Whether it is for MCUboot without NSIB: then there are no slots and keys.
    mcuboot_only: bool,
    s0: Option<String>,
    s1: Option<String>,
    keys: Vec<ProvisionedKey>,
    counters: Vec<Counter>,
    reference: Option<String>,
    /// Generations of the format.
    may_be: Vec<Generation>,
    rests_on: Vec<String>,
    /// Once per generation that it may be of.
    storage: Vec<StorageReport>,
    #[serde(skip)]
    tree: Branch,
}

#[derive(Serialize)]
struct ProvisionedKey {
    hash: String,
    token: String,
    /// Offset of a halfword 0xFFFF, with which the bootloader starts nothing.
    unusable_at: Option<usize>,
    refused: Option<RefusedReport>,
}

/// What the bootloader of one generation makes of the data.
#[derive(Serialize)]
struct StorageReport {
    generation: &'static str,
    keys: u32,
    /// Why it would start nothing with these keys.
    keys_refused: Option<String>,
    life_cycle: Option<LifeCycle>,
}

#[derive(Serialize)]
struct DfuSettingsReport {
    at: String,
    layout: u32,
    app_version: u32,
    bl_version: u32,
    app_size: u32,
    app_crc32: String,
    bank_code: u32,
    bank_1_code: u32,
    sd_size: u32,
    app_validation: Option<Validation>,
    sd_validation: Option<Validation>,
    backup: Backup,
    /// Why a bootloader would not start the application by it.
    contradictions: Vec<String>,
    #[serde(skip)]
    tree: Branch,
}

#[derive(Serialize)]
struct BootConfReport {
    word: String,
    /// One for each kind of chip, which the file does not name.
    chips: Vec<ChipReport>,
    #[serde(skip)]
    tree: Branch,
}

#[derive(Serialize)]
struct ChipReport {
    chip: Chip,
    kib: u32,
    wrong: Vec<String>,
}

#[derive(Serialize)]
struct BareReport {
    at: String,
    form: &'static str,
    spki_sha256: Digest,
    refused: Option<RefusedReport>,
}

#[derive(Serialize)]
struct SegmentReport {
    at: String,
    end: String,
    length: usize,
}

#[derive(Serialize)]
struct VectorReport {
    at: String,
    stack: String,
    reset: String,
}

#[derive(Serialize)]
struct SignsReport {
    likely: bool,
    rests_on: String,
    image_magic_at: Option<String>,
    image_magic_as: Option<&'static str>,
    trailer_magic_at: Option<String>,
}

#[derive(Serialize)]
struct FoundReport {
    at: String,
    what: String,
    spki_sha256: Option<Digest>,
    private: bool,
    refused: Option<RefusedReport>,
}

impl ImageReport {
    pub(super) fn new(map: &Map, container: Container, asked: &Asked) -> Self {
        Self::within(map, container, asked, &mut scan::Room::default())
    }

    /// As [`Self::new`], for one of several images that travel together.
    pub(super) fn within(map: &Map, container: Container, asked: &Asked, room: &mut scan::Room) -> Self {
        let (images, broken_images) = images(map);
        let starts = map.segments().iter().map(|segment| segment.at).chain(images.iter().map(mcuboot::Image::program));
        let tables = starts.filter_map(|at| vectors::read(map, at, &vectors::SRAM).ok());
        let found = scan::keys_within(map, &asked.list, room);
        let bootloader = bootloader::survey_with(map, &found, &images, &asked.list);
        let dumps = Dump::find(map, container != Container::Raw || asked.at.is_some());
        let (provision, mut broken) = provision(map, &dumps, &asked.list);
        broken.extend(dumps.iter().flat_map(|dump| storage::problems(map, dump)));
        let boot_conf = BootConf::read(map).map(BootConfReport::new);
        broken.extend(boot_conf_problem(map, boot_conf.as_ref()));
        let softdevice = softdevice::find(map);
        let firmware = bootloader.firmware.iter().map(|info| NsibFirmwareReport::new(map, info, asked)).collect();
        Self {
            mbr: softdevice::mbr(map, softdevice.as_ref()),
            connectivity: softdevice::connectivity(map),
            softdevice,
            digest: map.digest(),
            length: map.len(),
            entry: map.entry().map(address),
            segments: map.segments().iter().map(SegmentReport::new).collect(),
            vector_tables: tables.map(VectorReport::new).collect(),
            mcuboot_images: images.iter().map(|image| McubootReport::new(image, map, &found, asked)).collect(),
            perhaps_at: vectors::elsewhere(map).filter(|_| container == Container::Raw).map(address),
            broken_images,
            flash_maps: flash_map::all(map, &images.iter().map(|image| image.at..image.end).collect::<Vec<_>>()),
            mcuboot: SignsReport::new(map),
            bare_keys: bare_keys(&bootloader, &asked.list),
            bootloader,
            keys: found.iter().map(FoundReport::new).collect(),
            keys_not_loaded: Vec::new(),
            not_searched: Vec::new(),
            looked_for: scan::FORMS,
            container,
            provision,
            nsib_firmware: firmware,
            nsib_storage: dumps.iter().map(|dump| DumpReport::new(dump, &asked.list)).collect(),
            broken,
            boot_conf: boot_conf.ok(),
            dfu_settings: settings::find(map).as_ref().map(DfuSettingsReport::new),
        }
    }

    /// With what an ELF file holds beside its memory.
    pub(super) fn beside(mut self, beside: &elf::Beside) -> Self {
        self.keys_not_loaded = beside.keys.iter().map(FoundReport::new).collect();
        self.not_searched.clone_from(&beside.unsearched);
        self
    }

    /// In one sentence.
    pub(super) fn is(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        for found in self.bootloader.families.iter().filter(|found| found.certain) {
            parts.push(format!("{} by more than one sign", found.family));
        }
        parts.extend(self.nordic());
        parts.extend(self.mcuboot_images.iter().map(McubootReport::is));
        parts.extend(self.provision_alone().map(|_| "provision data".to_owned()));
        parts
            .extend(self.nsib_storage.iter().map(|_| "provision data as read from a board, NSIB's storage".to_owned()));
        parts.extend(self.boot_conf.iter().map(|_| "the word BOOTCONF of an nRF54L".to_owned()));
        parts.extend(self.dfu_settings.iter().map(|_| "a settings page of the nRF5 SDK's bootloader".to_owned()));
        parts.extend(self.bootloader.firmware.iter().map(|_| "firmware for NSIB".to_owned()));
        let perhaps = self.bootloader.families.iter().find(|found| !found.certain && !found.in_image);
        if let Some(found) = perhaps.filter(|_| parts.is_empty() && !self.vector_tables.is_empty()) {
            parts.push(format!("a program, perhaps {}", found.family));
        }
        if parts.is_empty() {
            let plain =
                if self.vector_tables.is_empty() { "memory in which nothing is recognised" } else { "a program" };
            let broken = [
                (&self.broken_images, "a broken image for MCUboot"),
                (&self.broken, "memory with something broken in it"),
            ];
            let broken = broken.into_iter().find(|(problems, _)| !problems.is_empty());
            parts.push(broken.map_or(plain, |(_, words)| words).to_owned());
        }
        format!("{}: {}{}", self.container, parts.join(", "), self.inside())
    }

    /// What makes a person stop, whatever the file is.
    fn inside(&self) -> String {
        let signers = self.mcuboot_images.iter().filter_map(McubootReport::refused_signer);
        let found = || self.keys.iter().chain(&self.keys_not_loaded);
        let keys = found().filter_map(|key| key.refused.as_ref());
        let provisioned = self.provision.iter().flat_map(|data| &data.keys).filter_map(|key| key.refused.as_ref());
        let stored = self.nsib_storage.iter().flat_map(DumpReport::refused_keys);
        let bare = self.bare_keys.iter().filter_map(|key| key.refused.as_ref());
        let mut told = String::new();
        if found().any(|key| key.private) {
            told.push_str(", private key inside");
        }
        if let Some(known) = RefusedReport::worst(keys.chain(signers).chain(provisioned).chain(stored).chain(bare)) {
            told = format!("{told}, {known} inside");
        }
        told
    }

    /// What Nordic released as it is, and the program behind it.
    fn nordic(&self) -> Vec<String> {
        let below = if self.mbr.is_some() { " above Nordic's master boot record" } else { "" };
        let mut parts: Vec<String> = self.softdevice.iter().map(|known| format!("{}{below}", known.words())).collect();
        if parts.is_empty() && self.mbr.is_some() {
            parts.push("Nordic's master boot record".to_owned());
        }
        let program = self.softdevice.as_ref().and_then(|known| known.application);
        match (&self.connectivity, program) {
            (Some(known), _) => parts.push(format!("Nordic's connectivity firmware {}", known.version)),
            (None, Some(at)) => parts.push(format!("a program at {}", address(at))),
            (None, None) => {}
        }
        parts
    }

    /// Whether what was recognised is no program, so that signs and keys of one need no line.
    fn is_data_alone(&self) -> bool {
        let provisioned = !self.provision.is_empty() || !self.nsib_storage.is_empty();
        let data = provisioned || self.boot_conf.is_some() || self.dfu_settings.is_some();
        let program = !self.mcuboot_images.is_empty() || !self.vector_tables.is_empty();
        data && !program
            && self.keys.is_empty()
            && self.keys_not_loaded.is_empty()
            && self.bootloader.families.iter().all(|found| !found.certain)
    }

    /// Provision data that is not told as part of a storage.
    fn provision_alone(&self) -> impl Iterator<Item = &ProvisionReport> {
        self.provision
            .iter()
            .filter(|provision| !self.nsib_storage.iter().any(|storage| storage.holds(provision.place)))
    }

    /// What could not be understood, or would not do what it is for.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let images = self.mcuboot_images.iter().flat_map(McubootReport::problems);
        let firmware = self.nsib_firmware.iter().filter_map(NsibFirmwareReport::damaged);
        self.broken_images.iter().chain(&self.broken).chain(firmware).cloned().chain(images).collect()
    }

    /// Why the images are not shown to be of a key of the command line.
    pub(super) fn unauthentic(&self) -> Vec<String> {
        let alone = self.mcuboot_images.is_empty() && self.broken_images.is_empty();
        if alone && self.nsib_firmware.is_empty() {
            return vec!["holds no image that a key could have signed".to_owned()];
        }
        let firmware = self.nsib_firmware.iter().filter_map(|firmware| firmware.unauthentic(alone));
        self.mcuboot_images.iter().filter_map(McubootReport::unauthentic).chain(firmware).collect()
    }

    /// Keys that may not be used.
    pub(super) fn refused(&self, engineering: bool) -> Vec<String> {
        let refused = |found: &&FoundReport| found.private || found.refused.is_some() && !engineering;
        let mut all: Vec<String> =
            self.keys.iter().filter(refused).map(|found| format!("{} at {}", found.what, found.at)).collect();
        all.extend(self.keys_not_loaded.iter().filter(refused).map(FoundReport::not_loaded));
        if engineering {
            return all;
        }
        all.extend(self.mcuboot_images.iter().filter_map(McubootReport::refused));
        all.extend(self.provision_alone().flat_map(ProvisionReport::refused));
        all.extend(self.nsib_storage.iter().flat_map(DumpReport::refused));
        for key in &self.bare_keys {
            all.extend(key.refused.iter().map(|refused| format!("{} at {}", refused.why, key.at)));
        }
        all
    }
}

/// Every image in the file, and what begins one like an image and is none.
fn images(map: &Map) -> (Vec<mcuboot::Image>, Vec<Problem>) {
    let (mut images, mut broken) = (Vec::new(), Vec::new());
    for (at, found) in mcuboot::all(map) {
        match found {
            Ok(image) => images.push(image),
            // Inside a program the magic is a constant like any other.
            Err(problem) if map.segments().iter().any(|segment| segment.at == at) => broken.push(problem),
            Err(_) => {}
        }
    }
    (images, broken)
}

/// Provision data at its fixed places, or if the file holds nothing else.
fn provision(map: &Map, dumps: &[Dump], list: &RefuseList) -> (Vec<ProvisionReport>, Vec<Problem>) {
    let mut found = Provision::find_beside(map, dumps);
    let alone = map.segments().len() == 1 && map.len() <= nsib::MAX_AREA as usize;
    if found.is_empty() && alone {
        found.extend(Provision::read(map).ok().map(Ok));
    }
    let (mut reports, mut broken) = (Vec::new(), Vec::new());
    for found in found {
        match found {
            Ok(provision) => {
                if !dumps.iter().any(|dump| dump.holds(provision.at)) {
                    broken.extend(unusable_keys(map, &provision));
                }
                reports.push(ProvisionReport::new(&provision, list));
            }
            Err(problem) => broken.push(problem),
        }
    }
    (reports, broken)
}

/// A file that stands where the word does, and would protect nothing on any chip.
fn boot_conf_problem(map: &Map, found: Result<&BootConfReport, &Problem>) -> Option<Problem> {
    match found {
        Err(problem) => (map.first() == bootconf::AT).then(|| problem.clone()),
        Ok(found) if found.chips.iter().all(|chip| !chip.wrong.is_empty()) => {
            let why = found.chips.first().map(|chip| chip.wrong.join("; ")).unwrap_or_default();
            Some(map.problem_at(bootconf::AT, format!("BOOTCONF {}: {why}", found.word)))
        }
        Ok(_) => None,
    }
}

fn bare_keys(survey: &Survey, list: &RefuseList) -> Vec<BareReport> {
    let report = |bare: &patch::Bare| BareReport {
        at: address(bare.at),
        form: patch::Form::WORDS.iter().find(|(_, form)| *form == bare.form).map_or("raw", |(word, _)| word),
        spki_sha256: bare.key.spki_sha256(),
        refused: list.refuses(&bare.key).map(RefusedReport::new),
    };
    survey.bare.iter().map(report).collect()
}

impl ProvisionReport {
    fn new(provision: &Provision, list: &RefuseList) -> Self {
        let (slots, mcuboot_only) = match &provision.content.head {
            Head::Nsib { s0, s1, .. } => (Some((*s0, *s1)), false),
            Head::McubootOnly => (None, true),
        };
        let key = |known: &nsib::Key| ProvisionedKey {
            hash: known.hash.to_string(),
            token: address(known.token),
            unusable_at: known.hash.unusable(),
            refused: list.refuses_nsib(known.hash).map(|hit| RefusedReport::hit("in provision data", &hit)),
        };
        let generations = provision.told.may_be.iter();
        Self {
            at: address(provision.at),
            place: provision.at,
            base: provision.base.map(address),
            counter_slot_bytes: provision.width.bytes(),
            mcuboot_only,
            s0: slots.map(|(s0, _)| address(s0)),
            s1: slots.map(|(_, s1)| address(s1)),
            keys: provision.content.keys().iter().map(key).collect(),
            counters: provision.content.counters.clone(),
            reference: provision.content.reference.clone(),
            storage: generations.filter_map(|generation| StorageReport::new(provision, *generation)).collect(),
            may_be: provision.told.may_be.clone(),
            rests_on: provision.told.rests_on.clone(),
            tree: provision.explain(list),
        }
    }

    fn refused(&self) -> Vec<String> {
        let keys = self.keys.iter().enumerate();
        let told = keys.filter_map(|(index, key)| Some((index, key.refused.as_ref()?)));
        told.map(|(index, refused)| format!("{}, as key {index} at {}", refused.why, self.at)).collect()
    }
}

/// Keys with which the bootloader starts nothing.
fn unusable_keys(map: &Map, provision: &Provision) -> Vec<Problem> {
    let keys = provision.content.keys().iter().enumerate();
    let problem = |(key, offset): (usize, usize)| {
        // A token stands before each hash.
        let behind = u32::try_from(4 + offset).unwrap_or_default();
        let at = provision.key_at(key).saturating_add(behind);
        let what = format!("key {key} of the provision data holds 0xFFFF at offset {offset} of its hash");
        map.problem_at(at, format!("{what}: NSIB starts nothing (at {})", address(at)))
    };
    keys.filter_map(|(index, key)| Some((index, key.hash.unusable()?))).map(problem).collect()
}

impl DfuSettingsReport {
    fn new(found: &Settings) -> Self {
        Self {
            at: address(found.at),
            layout: found.version.number(),
            app_version: found.app_version,
            bl_version: found.bl_version,
            app_size: found.app_size,
            app_crc32: format!("{:08x}", found.app_crc),
            bank_code: found.bank_code,
            bank_1_code: found.bank_1_code,
            sd_size: found.sd_size,
            app_validation: found.app_validation,
            sd_validation: found.sd_validation,
            backup: found.backup,
            contradictions: found.contradictions(None),
            tree: found.explain(None),
        }
    }
}

impl StorageReport {
    fn new(provision: &Provision, generation: Generation) -> Option<Self> {
        let storage = Storage::planned(provision, generation, nsib::MAX_AREA).ok()?;
        Some(Self {
            generation: generation.name(),
            keys: storage.key_count(),
            keys_refused: storage.verify_keys().err().map(|no| format!("{no:?}")),
            life_cycle: storage.life_cycle().ok(),
        })
    }
}

impl BootConfReport {
    fn new(found: BootConf) -> Self {
        let all = [Chip::L05L10L15, Chip::Lm20Lv10, Chip::Ls05b];
        let chip = |chip: Chip| ChipReport { chip, kib: found.kib(chip), wrong: found.wrong(chip, 0) };
        let told = |tree: Branch, chip: Chip| match &found.wrong(chip, 0)[..] {
            [] => tree.with(Branch::new("fits", chip_name(chip))),
            wrong => tree.with(Branch::new("does not fit", chip_name(chip)).warn(wrong.join("; "))),
        };
        let tree = all.into_iter().fold(found.explain(Chip::L05L10L15), told);
        Self { word: format!("0x{:08X}", found.word), chips: all.map(chip).into(), tree }
    }
}

const fn chip_name(chip: Chip) -> &'static str {
    match chip {
        Chip::L05L10L15 => "an nRF54L05, L10 or L15",
        Chip::Lm20Lv10 => "an nRF54LM20 or LV10",
        Chip::Ls05b => "an nRF54LS05B",
    }
}

impl Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IntelHex => "Intel HEX",
            Self::Elf => "ELF",
            Self::Raw => "raw bytes",
        })
    }
}

impl SegmentReport {
    fn new(segment: &crate::image::Segment) -> Self {
        Self { at: address(segment.at), end: format!("0x{:08X}", segment.end()), length: segment.bytes.len() }
    }
}

impl VectorReport {
    fn new(vectors: vectors::Vectors) -> Self {
        Self { at: address(vectors.at), stack: address(vectors.stack), reset: address(vectors.reset) }
    }
}

impl SignsReport {
    fn new(map: &Map) -> Self {
        let signs = Signs::of(map);
        let carrier = |carrier: Carrier| match carrier {
            Carrier::Literal => "literal",
            Carrier::Instructions => "instructions",
        };
        Self {
            likely: signs.suffice(),
            rests_on: signs.to_string(),
            image_magic_at: signs.image_magic.map(|(at, _)| address(at)),
            image_magic_as: signs.image_magic.map(|(_, how)| carrier(how)),
            trailer_magic_at: signs.trailer_magic.map(address),
        }
    }
}

impl FoundReport {
    fn new(found: &scan::Found) -> Self {
        let key = if let Kind::P256(key) = &found.kind { Some(key.spki_sha256()) } else { None };
        Self {
            at: address(found.at),
            what: found.what(),
            spki_sha256: key.or_else(|| found.refused.as_ref().map(|refused| refused.spki_sha256)),
            private: matches!(found.kind, Kind::Private(_)),
            refused: found.refused.as_ref().map(RefusedReport::new),
        }
    }
}

impl FoundReport {
    /// What, and at which offset of the file.
    fn not_loaded(&self) -> String {
        format!("{} at byte {} of the file, where nothing loads it", self.what, self.at)
    }
}
