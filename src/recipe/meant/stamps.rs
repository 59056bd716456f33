//! What is stamped: hash, counter, serial number and settings.

use super::{Keys, Reading};
use crate::{
    image::{self, dfu::settings, mcuboot, nsib::CounterOf},
    page::{Placed, choice},
    recipe::{
        BootRegion, Counter, Image, KEY_HASH_WORDS, KeyHash, ReadBy, SerialStamp, Setting, Spot, Word, boot_region,
        written::{Written, WrittenCounter, WrittenKeyHash, WrittenUicr},
    },
};

impl Reading<'_> {
    pub(super) fn key_hash(&mut self, written: &WrittenKeyHash, keys: &Keys) -> Option<KeyHash> {
        let key = written.key.as_ref()?;
        if !keys.knows(&key.value) {
            let names = keys.names();
            self.note(key.problem(format!("no key is called `{}`{}", key.shown(), choice(&key.value, &names))));
        }
        Some(KeyHash {
            key: key.value.clone(),
            form: written.form.as_ref()?.value,
            at: spot(written.at.as_ref())?,
            read_by: written.read_by.as_ref()?.value,
        })
    }

    pub(super) fn counter(&mut self, written: &WrittenCounter) -> Option<Counter> {
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

    pub(super) fn stamps_apart(
        &mut self,
        hash: Option<&KeyHash>,
        counter: Option<&Counter>,
        serial: Option<&SerialStamp>,
    ) {
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

    pub(super) fn boot_region(&mut self, written: &Written, images: &[Image]) -> Option<BootRegion> {
        let stamp = written.stamp.as_ref()?.bootconf.as_ref()?;
        let (region, wrong) = boot_region::read(stamp, written.chip.as_ref(), images);
        self.problems.extend(wrong);
        if let Some(region) = &region {
            self.remarks.push(format!(
                "BOOTCONF 0x{:08X}: the first {} KiB become immutable with the next reset, and only ERASEALL takes that \
                 back",
                region.word, region.kib
            ));
        }
        region
    }

    /// ERASEALL wipes the board's electrical set-up: what the recipe does not say is told.
    pub(super) fn settings(&mut self, written: Option<&WrittenUicr>) -> Vec<Setting> {
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
        let bootloader = written.and_then(|uicr| uicr.bootloader.as_ref());
        let parameters = written.and_then(|uicr| uicr.mbr_params.as_ref());
        let settings = [
            regout0.map(|volts| Setting { word: Word::Regout0(volts.value), place: volts.place.clone() }),
            pselreset.map(|pin| Setting { word: Word::PselReset(pin.value), place: pin.place.clone() }),
            nfcpins.map(|pins| Setting { word: Word::NfcPins(pins.value), place: pins.place.clone() }),
            bootloader.map(|at| Setting { word: Word::Bootloader(at.value), place: at.place.clone() }),
            parameters.map(|at| Setting { word: Word::MbrParams(at.value), place: at.place.clone() }),
        ];
        settings.into_iter().flatten().collect()
    }

    /// The master boot record erases and writes that page during an update: nothing but the backup of the settings page may
    /// stand there. [nRF5 SDK nrf_mbr.h, MBR_PARAM_PAGE_ADDR]
    pub(super) fn parameters(&mut self, written: Option<&WrittenUicr>, images: &[Image]) {
        let Some(page) = written.and_then(|uicr| uicr.mbr_params.as_ref()) else { return };
        let size = u64::from(settings::PAGE);
        let range = u64::from(page.value)..u64::from(page.value) + size;
        let touches = |one: &image::Segment| u64::from(one.at) < range.end && one.end() > range.start;
        for image in images {
            let segments = image.map.segments();
            let twin = |one: &image::Segment| {
                segments.iter().any(|other| u64::from(other.at) == u64::from(one.at) + size && other.bytes == one.bytes)
            };
            let backup = |one: &image::Segment| one.at == page.value && twin(one);
            let inside = segments.iter().find(|one| touches(one) && !backup(one));
            if let Some(at) = inside.map(|one| one.at.max(page.value)) {
                self.note(page.problem(format!(
                    "the master boot record erases its page 0x{:08X} during an update, and image `{}` ({}) stands there, \
                     at 0x{at:08X}",
                    page.value, image.name, image.file
                )));
            }
        }
    }

    /// A counter that was never set up counts nothing, and an MCUboot that was built to count does not start without one.
    /// [MCUboot security_cnt.h, boot_nv_security_counter_get]
    pub(super) fn uncounted(&mut self, counter: Option<&Counter>, images: &[Image]) {
        let provisioned = images.iter().filter_map(|image| image.provision.as_ref());
        let stored =
            provisioned.flat_map(|provision| &provision.content.counters).any(|one| one.of == CounterOf::Mcuboot);
        if counter.is_some() || stored {
            return;
        }
        for image in images {
            if let Some(counted) = image.about.as_ref().and_then(mcuboot::Image::security_counter) {
                self.open.push(format!(
                    "`{}` has the security counter {counted}, and nothing on the chip is set up to count it: whether \
                     MCUboot was built to count, and then starts nothing, only its build says",
                    image.file
                ));
            }
        }
    }

    pub(super) fn unread(&mut self, hash: Option<&KeyHash>, counter: Option<&Counter>) {
        let hash = hash.filter(|hash| hash.read_by == ReadBy::Nobody).map(|_| "key_hash");
        let counter = counter.filter(|counter| counter.read_by == ReadBy::Nobody).map(|_| "counter");
        for name in hash.into_iter().chain(counter) {
            self.remarks.push(format!("stamp.{name} is read by nobody: it marks the unit and protects nothing"));
        }
    }
}

pub(super) fn spot(written: Option<&Placed<(String, u32)>>) -> Option<Spot> {
    let Placed { value: (area, index), place } = written?;
    Some(Spot { area: area.clone(), index: *index, place: place.clone() })
}
