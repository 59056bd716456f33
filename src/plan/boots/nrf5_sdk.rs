//! The nRF5 SDK: the master boot record starts the bootloader whose address it finds, and that starts what its settings
//! page vouches for.

use super::{Boots, Planned, missing, stopped};
use crate::{
    fault::Problem,
    image::{
        self,
        dfu::{
            Validation,
            settings::{self, Backup, Flat, Settings},
            start,
        },
        vectors,
    },
    recipe::{Image, Made},
};

/// What erased memory reads.
const ERASED: u32 = u32::MAX;

pub(super) fn ask(planned: &Planned<'_>) -> Option<Boots> {
    let made = planned.product.images.iter().find(|image| image.made == Some(Made::DfuSettings));
    if made.is_none() && !in_file(planned) {
        return None;
    }
    let chain = Chain { planned, made };
    let mut no = chain.bootloader();
    no.extend(chain.application());
    let mut undecided = chain.without_parameters();
    undecided.extend(page(planned).and_then(Result::ok).iter().flat_map(unasked));
    Some(Boots { no, undecided })
}

/// Whether an image holds a settings page of this chip, as its own CRC32 says.
fn in_file(planned: &Planned<'_>) -> bool {
    page(planned).and_then(Result::ok).is_some_and(|page| page.crc.0 == page.crc.1)
}

/// The settings page where this chip has it; `None` if no place is known.
fn page(planned: &Planned<'_>) -> Option<Result<Settings, Problem>> {
    let (at, whole) = settings::page_of(&planned.golden.chip).zip(planned.whole())?;
    Some(settings::read(&whole, at))
}

/// What the page lets the bootloader check at boot that is not checked here.
fn unasked(page: &Settings) -> Vec<String> {
    let signed = page.app_validation == Some(Validation::EcdsaP256Sha256);
    let softdevice = page.sd_validation.is_some_and(|validation| validation != Validation::None);
    let what = [(signed, "the application's signature"), (softdevice, "the SoftDevice")];
    let asked = what.into_iter().filter(|(asked, _)| *asked);
    let checks =
        asked.map(|(_, what)| format!("the settings page lets the bootloader check {what}; that was not asked"));
    // Validation at boot came with layout 2. [docs/dfu.md]
    let unsigned = page.version == settings::Version::V2 && !signed;
    let required = unsigned.then(|| {
        "a bootloader that was built with NRF_BL_APP_SIGNATURE_CHECK_REQUIRED starts no application without a signature in \
         the settings page, and no file shows how this one was built"
            .to_owned()
    });
    let beside = page.beside().into_iter().map(|what| format!("the settings page says {what}; that was not asked"));
    checks.chain(beside).chain(required).collect()
}

struct Chain<'p> {
    planned: &'p Planned<'p>,
    /// The settings page, if the recipe makes it.
    made: Option<&'p Image>,
}

impl Chain<'_> {
    /// A problem of the settings page.
    fn problem(&self, what: &str) -> Problem {
        match self.made {
            Some(page) => stopped(page, what),
            None => {
                Problem::new(self.planned.product.source.name(), format!("the planned unit would not boot: {what}"))
            }
        }
    }

    /// The image that holds this address.
    fn image_at(&self, at: u32) -> Option<&Image> {
        let images = &self.planned.product.images;
        images.iter().find(|image| image.map.bytes(at..at.saturating_add(1)).is_some())
    }

    /// The word in the master boot record, or else the one in UICR.
    fn found(&self, in_flash: u32, in_uicr: u32) -> Option<u32> {
        [in_flash, in_uicr].into_iter().map(|at| self.planned.word(at)).find(|word| *word != ERASED)
    }

    fn bootloader(&self) -> Vec<Problem> {
        let mut no = self.starts(0, "the master boot record");
        match self.found(start::BOOTLOADER_IN_FLASH, start::BOOTLOADER_IN_UICR) {
            Some(at) => no.extend(self.starts(at, "its bootloader")),
            None => no.push(self.problem(&format!(
                "nothing tells the master boot record where its bootloader is: the words at 0x{:08X} and 0x{:08X} \
                 (UICR.NRFFW[0]) stay erased; say `bootloader` under [uicr]",
                start::BOOTLOADER_IN_FLASH,
                start::BOOTLOADER_IN_UICR
            ))),
        }
        no
    }

    /// Whether something can be started here.
    fn starts(&self, at: u32, what: &str) -> Vec<Problem> {
        let Some(image) = self.image_at(at) else {
            return vec![self.problem(&format!("no image stands at 0x{at:08X}, where {what} is looked for"))];
        };
        let Some(memory) = self.planned.memory(image) else { return vec![missing(image)] };
        vectors::read(&memory, at, &self.planned.ram).err().unwrap_or_default()
    }

    fn application(&self) -> Vec<Problem> {
        let at = start::application_at(|at| self.planned.word(at));
        let Some(image) = self.image_at(at) else {
            return vec![self.problem(&format!("no image stands at 0x{at:08X}, where the bootloader starts one"))];
        };
        let mut no = self.starts(at, "the application");
        match page(self.planned) {
            Some(Ok(page)) => no.extend(self.vouched(&page, at, image).iter().map(|what| self.problem(what))),
            Some(Err(problem)) => no.push(self.problem(&problem.what)),
            None => no.push(self.problem("the chip has no settings page that is known")),
        }
        no
    }

    /// What the page says of the memory that the bootloader checks, as that memory will be.
    fn vouched(&self, page: &Settings, at: u32, image: &Image) -> Vec<String> {
        let end = self.application_end(at, image);
        let application = Flat { bytes: self.planned.bytes(at..end) };
        let mut no = page.contradictions(Some(&application));
        if page.backup == Backup::Absent {
            let below = page.at.saturating_sub(settings::PAGE);
            no.push(format!("the backup of the settings page is not at 0x{below:08X}"));
        }
        no.iter().map(|what| format!("image `{}` ({}): {what}", image.name, image.file)).collect()
    }

    /// Where the application ends: with its file, or in a merged one before what is known to be no part of it.
    fn application_end(&self, at: u32, image: &Image) -> u32 {
        let bootloader = self.found(start::BOOTLOADER_IN_FLASH, start::BOOTLOADER_IN_UICR);
        let parameters = self.found(start::PARAMETERS_IN_FLASH, start::PARAMETERS_IN_UICR);
        let page = settings::page_of(&self.planned.golden.chip);
        let backup = page.map(|page| page.saturating_sub(settings::PAGE));
        let others = [bootloader, parameters, page, backup, Some(self.planned.flash.end)];
        let limit = others.into_iter().flatten().filter(|other| *other > at).min().unwrap_or(at);
        let own = image.map.segments().iter().filter(|one| one.at < limit && one.end() > u64::from(at));
        let end = own.map(image::Segment::end).max().unwrap_or_default().next_multiple_of(4);
        u32::try_from(end).map_or(limit, |end| end.min(limit))
    }

    /// It starts without them, and can then replace neither SoftDevice nor itself.
    fn without_parameters(&self) -> Vec<String> {
        if self.found(start::PARAMETERS_IN_FLASH, start::PARAMETERS_IN_UICR).is_some() {
            return Vec::new();
        }
        vec![format!(
            "nothing tells the master boot record where its parameters are (0x{:08X}, UICR.NRFFW[1]): whether an update can \
             replace SoftDevice or bootloader was not asked; `mbr_params` under [uicr] says it",
            start::PARAMETERS_IN_UICR
        )]
    }
}
