//! Nordic's immutable bootloader: its storage is read out of the planned memory, and asked what the bootloader asks it.

use super::{Boots, Planned, missing, stopped};
use crate::{
    fault::Problem,
    image::{
        Map, mcuboot,
        nsib::{self, CounterOf, Firmware, Layout, Rules, SignedBy, Storage},
        vectors,
    },
    recipe::{Image, Is, NsibStorage},
};

/// How far behind the begin of `fw_info` it says where the vector table is: three words of magic, `total_size`, `size`,
/// `version`, `address`. [sdk-nrf include/fw_info.h]
const BOOT_ADDRESS: u32 = 4 * 7;

pub(super) fn ask(planned: &Planned<'_>) -> Option<Boots> {
    let bootloader = planned.images(Is::Nsib).next();
    let said = planned.product.nsib.as_ref();
    if bootloader.is_none() && said.is_none() {
        return None;
    }
    let mut boots = Boots::default();
    boots.no.extend(bootloader.into_iter().flat_map(|bootloader| planned.starts(bootloader)));
    boots.undecided.extend(bootloader.and_then(|bootloader| planned.starter(bootloader)));
    match (said, bootloader) {
        (Some(said), _) => match storage(planned, said) {
            Ok(storage) => boots.extend(Chain { planned, said, storage }.ask(bootloader)),
            Err(what) => boots.undecided.push(what),
        },
        (None, Some(bootloader)) => {
            let what = "nothing is in its storage, and so it starts nothing; [stamp.nsib] says what belongs there";
            boots.no.push(stopped(bootloader, what));
        }
        (None, None) => {}
    }
    // MCUboot with a counter here and no NSIB is asked for by itself.
    (bootloader.is_some() || boots != Boots::default()).then_some(boots)
}

/// Whether NSIB looks for this image: at a slot that its storage names.
pub(super) fn starts(planned: &Planned<'_>, image: &Image) -> bool {
    let stored = planned.product.nsib.as_ref().and_then(|said| storage(planned, said).ok());
    let named = |storage: Storage| [storage.s0(), storage.s1()].contains(&image.map.first());
    planned.images(Is::Nsib).next().is_some() && stored.is_some_and(named)
}

/// The storage as the finished unit holds it.
fn storage(planned: &Planned<'_>, said: &NsibStorage) -> Result<Storage, String> {
    let unknown = || "where NSIB's storage begins is not known: what it starts was not asked".to_owned();
    let base = said.base.ok_or_else(unknown)?;
    let layout = Layout::new(said.generation, said.width)?;
    Storage::new(layout, base, planned.bytes(base..base.saturating_add(said.size)))
}

struct Chain<'p> {
    planned: &'p Planned<'p>,
    said: &'p NsibStorage,
    storage: Storage,
}

impl Chain<'_> {
    fn ask(&self, bootloader: Option<&Image>) -> Boots {
        let mut boots = Boots { no: self.counted(), undecided: Vec::new() };
        let Some(bootloader) = bootloader else {
            if !self.said.mcuboot_only {
                let what =
                    "no image is NSIB (is = \"nsib\"): whether something starts out of its storage was not asked";
                boots.undecided.push(what.to_owned());
            }
            return boots;
        };
        boots.undecided.extend(self.unshown(bootloader));
        let slots = [self.storage.s0(), self.storage.s1()];
        let other = |image: &&Image| image.is != Is::Nsib && image.is != Is::NsibProvision;
        let images = self.planned.product.images.iter().filter(other);
        let firmware: Vec<&Image> = images.filter(|image| slots.contains(&image.map.first())).collect();
        if firmware.is_empty() {
            let [s0, s1] = slots;
            let what = format!("no image stands where its storage says, at 0x{s0:08X} or 0x{s1:08X}");
            boots.no.push(stopped(bootloader, what));
        }
        for image in firmware {
            boots.no.extend(self.started(image));
            if self.said.kmu {
                boots.undecided.push(format!(
                    "image `{}` ({}) is verified with keys in key slots: whether they hold the right ones, no plan can tell",
                    image.name, image.file
                ));
            }
        }
        boots
    }

    /// In flash its storage is wherever its build has it; in OTP and UICR every build looks at one place. [nordic-facts B1]
    fn unshown(&self, bootloader: &Image) -> Option<String> {
        let base = self.said.base.filter(|base| self.planned.flash.contains(base))?;
        let (name, file) = (&bootloader.name, &bootloader.file);
        Some(format!(
            "image `{name}` ({file}) does not show where it looks for its storage: whether that is 0x{base:08X}, only its \
             build says"
        ))
    }

    fn started(&self, image: &Image) -> Vec<Problem> {
        let Some(memory) = self.planned.memory(image) else { return vec![missing(image)] };
        self.refused(image, &memory).into_iter().map(|why| stopped(image, why)).collect()
    }

    fn refused(&self, image: &Image, memory: &Map) -> Vec<String> {
        let Some(info) = nsib::firmware_at(memory, image.map.first()) else {
            return vec![format!("it has no firmware info where NSIB looks, {}", nsib::looked_at())];
        };
        let Some(key) = image.signed.as_ref().and_then(|name| self.planned.product.keys.get(name)) else {
            return vec!["nothing says which key signed it".to_owned()];
        };
        let mut no: Vec<String> = nsib::unsigned(memory, &info, key).into_iter().collect();
        let boot = info.at.checked_add(BOOT_ADDRESS).and_then(|at| memory.word(at)).unwrap_or(info.address);
        let wrong = vectors::read(memory, boot, &self.planned.ram).err().into_iter().flatten();
        no.extend(wrong.map(|problem| problem.what));
        let signed = match (self.said.kmu, self.said.generation.hash(key)) {
            (true, _) => SignedBy::Kmu,
            (false, Some(hash)) => SignedBy::Provisioned(hash),
            (false, None) => return no,
        };
        let firmware = Firmware { at: info.address, version: info.version, signed };
        let counts_versions = self.counts(CounterOf::Nsib);
        no.extend(self.storage.would_boot(&firmware, Rules { counts_versions, heeds_life_cycle: false }).no);
        no
    }

    fn counts(&self, of: CounterOf) -> bool {
        self.storage.counter_slots(of.description()).is_ok()
    }

    /// MCUboot counts in the same storage.
    fn counted(&self) -> Vec<Problem> {
        if !self.counts(CounterOf::Mcuboot) {
            return self.uncounted().into_iter().collect();
        }
        let images = self.planned.images(Is::McubootImage);
        images.filter_map(|image| Some(stopped(image, self.outcounted(image)?))).collect()
    }

    /// Why an MCUboot that counts here would not take this image, as it is planned. One that is not in the plan, or none, is
    /// told by whoever starts it.
    fn outcounted(&self, image: &Image) -> Option<String> {
        let read = mcuboot::read(&self.planned.memory(image)?, image.map.first()).ok()?;
        match read.security_counter() {
            Some(counter) => self.storage.would_take(counter).err(),
            None => Some("it has no security counter that MCUboot reads, and its storage counts".to_owned()),
        }
    }

    /// For MCUboot alone its counter is all there is.
    fn uncounted(&self) -> Option<Problem> {
        let what = "the planned unit would not boot: its storage has no counter for MCUboot";
        self.said.mcuboot_only.then(|| self.said.place.problem(what))
    }
}
