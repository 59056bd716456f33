//! Slots, and their ends, where MCUboot keeps its notes: nothing else stands there.

use super::Reading;
use crate::{
    image::{
        Segment,
        flash_map::{Area, FlashMap},
        mcuboot::{self, SLOT_ALIGNMENT, Trailer},
    },
    recipe::{Image, Is, meant::chain::layout},
};

/// At least so much of its end belongs to MCUboot in every build that keeps notes there: the magic, image_ok and copy_done,
/// where flash is written eight bytes at a time or fewer; more where in more. [MCUboot bootutil_public.c, boot_magic_off,
/// boot_image_ok_off, boot_copy_done_off; docs/design.md, "Image Trailer"]
const NOTES: u32 = 16 + 2 * 8;

/// A slot, the image in it, and which file says where it ends.
struct Slot<'i> {
    /// `None` of the slot that an update goes to.
    holds: Option<&'i Image>,
    area: Area,
    told_by: &'i str,
}

impl Reading<'_> {
    /// What lies over the end of a slot, as far as a flash map says where that is. Whoever stands in its last page may be
    /// in the way of an update: how much of that page holds its progress depends on the build of MCUboot.
    pub(super) fn trailers(&mut self, images: &[Image]) {
        let slots = slots(images);
        for slot in &slots {
            if let Some((image, about)) = slot.holds.and_then(|image| Some((image, image.about.as_ref()?))) {
                self.outgrown(slot, image, about);
            }
            let others = images.iter().filter(|image| !slot.holds.is_some_and(|holds| std::ptr::eq(*image, holds)));
            others.for_each(|image| self.covered(slot, image));
        }
    }

    /// The image that the slot is for.
    fn outgrown(&mut self, slot: &Slot<'_>, image: &Image, about: &mcuboot::Image) {
        let end = u64::from(about.end);
        // Both are told already.
        let padded = about.trailer.as_ref().is_some_and(|trailer| end > trailer.notes_begin());
        if about.end > slot.area.end() || padded {
            return;
        }
        if about.end > slot.notes() {
            let at = slot.notes();
            let what = format!(
                "0x{at:08X} belongs to MCUboot's notes at the end of the slot {} (flash map of `{}`)",
                slot.area, slot.told_by
            );
            self.note(image.map.problem_at(at, what));
        } else if about.end > slot.last_page() {
            self.in_the_way(slot, image, about.end);
        }
        if let Some(trailer) = &about.trailer {
            self.padded(slot, image, trailer);
        }
    }

    /// imgtool writes its notes where `--slot-size` says that the slot ends.
    fn padded(&mut self, slot: &Slot<'_>, image: &Image, trailer: &Trailer) {
        let (ends, area, told_by) = (trailer.slot_end, slot.area, slot.told_by);
        let instead = format!("sign with --slot-size 0x{:X}", area.size);
        if ends > u64::from(area.end()) {
            let magic = ends.saturating_sub(16);
            let what = format!(
                "it was padded to 0x{ends:08X}, behind its slot {area} (flash map of `{told_by}`): what imgtool wrote at \
                 0x{magic:08X} lands in somebody else's memory; {instead}"
            );
            self.note(image.map.problem_at(u32::try_from(magic).unwrap_or(area.at), what));
        } else if ends < u64::from(area.end()) {
            self.remarks.push(format!(
                "image `{}` ({}) was padded to 0x{ends:08X}, and its slot is {area} (flash map of `{told_by}`): MCUboot looks \
                 for its notes at the end of the slot, not there; {instead}",
                image.name, image.file
            ));
        }
    }

    /// Another image.
    fn covered(&mut self, slot: &Slot<'_>, image: &Image) {
        if let Some(at) = slot.written(image, slot.notes()) {
            let stands = match slot.holds {
                Some(holds) => format!("where image `{}` ({}) stands", holds.name, holds.file),
                None => "where an update goes".to_owned(),
            };
            let what = format!(
                "0x{at:08X} belongs to MCUboot's notes at the end of the slot {}, {stands} (flash map of `{}`)",
                slot.area, slot.told_by
            );
            self.note(image.map.problem_at(at, what));
        } else if let Some(at) = slot.written(image, slot.last_page()) {
            self.in_the_way(slot, image, at);
        } else if let Some(at) = slot.written(image, slot.area.at) {
            self.remarks.push(format!(
                "image `{}` ({}) stands at 0x{at:08X}, in the slot {} (flash map of `{}`): the first update there erases it",
                image.name, image.file, slot.area, slot.told_by
            ));
        }
    }

    fn in_the_way(&mut self, slot: &Slot<'_>, image: &Image, at: u32) {
        self.remarks.push(format!(
            "image `{}` ({}) reaches to 0x{at:08X}, into the last page of the slot {} (flash map of `{}`): an MCUboot that \
             swaps keeps the progress of an update there, how much of it depends on its build",
            image.name, image.file, slot.area, slot.told_by
        ));
    }
}

/// Every slot with an image in it, and those that their updates go to.
fn slots(images: &[Image]) -> Vec<Slot<'_>> {
    let held: Vec<(Slot<'_>, FlashMap)> = images.iter().filter_map(|image| Slot::of(image, images)).collect();
    let mut slots: Vec<Slot<'_>> = Vec::new();
    let taken = |area: &Area| images.iter().any(|image| image.is_first_in(area));
    for (slot, map) in &held {
        let alike = |area: &&Area| area.size.abs_diff(slot.area.size) <= SLOT_ALIGNMENT && !taken(area);
        for area in map.longest().filter(alike) {
            if slots.iter().all(|known| known.area != *area) {
                slots.push(Slot { holds: None, area: *area, told_by: slot.told_by });
            }
        }
    }
    held.into_iter().map(|(slot, _)| slot).chain(slots).collect()
}

impl Image {
    /// Whether it makes this area something else than the slot of an update: one begins there that is started, or a
    /// bootloader is in it.
    fn is_first_in(&self, area: &Area) -> bool {
        let first = self.map.first();
        match self.is {
            Is::McubootImage => first == area.at,
            Is::Mcuboot | Is::Nsib | Is::NsibProvision => (area.at..area.end()).contains(&first),
            Is::Raw => self.signed.is_some() && first == area.at,
        }
    }
}

impl<'i> Slot<'i> {
    /// The slot of this image by the flash map of its bootloader, or else by its own.
    fn of(image: &'i Image, images: &'i [Image]) -> Option<(Self, FlashMap)> {
        let about = image.about.as_ref()?;
        let bootloaders = images.iter().filter(|image| image.is == Is::Mcuboot);
        let mut told = bootloaders.filter_map(|bootloader| Some((layout(bootloader)?, &*bootloader.file)));
        let own = || Some((FlashMap::of(&image.map, about.at..about.end)?, &*image.file));
        let (map, told_by) = told.next().or_else(own)?;
        let area = *map.slot(about.at)?;
        Some((Self { holds: Some(image), area, told_by }, map))
    }

    fn notes(&self) -> u32 {
        self.area.end().saturating_sub(NOTES).max(self.area.at)
    }

    fn last_page(&self) -> u32 {
        self.area.end().saturating_sub(SLOT_ALIGNMENT).max(self.area.at)
    }

    /// The first byte of an image from here to the end of the slot that is not as erased flash is.
    fn written(&self, image: &Image, from: u32) -> Option<u32> {
        let inside = |segment: &Segment| {
            let skipped = from.saturating_sub(segment.at) as usize;
            let bytes = segment.bytes.get(skipped..)?;
            let at = segment.at.max(from);
            let length = self.area.end().saturating_sub(at) as usize;
            let behind = bytes.iter().take(length).position(|byte| *byte != 0xFF)?;
            at.checked_add(u32::try_from(behind).ok()?)
        };
        image.map.segments().iter().find_map(inside)
    }
}
