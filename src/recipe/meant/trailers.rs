//! The end of a slot, where MCUboot keeps its notes: nothing else stands there.

use super::Reading;
use crate::{
    image::{
        Segment,
        flash_map::{Area, FlashMap},
        mcuboot::{self, SLOT_ALIGNMENT},
    },
    recipe::{Image, Is, meant::chain::layout},
};

/// At least so much of its end belongs to MCUboot in every build that keeps notes there: the magic, image_ok and copy_done,
/// where flash is written eight bytes at a time or fewer; more where in more. [MCUboot bootutil_public.c, boot_magic_off,
/// boot_image_ok_off, boot_copy_done_off; docs/design.md, "Image Trailer"]
const NOTES: u32 = 16 + 2 * 8;

/// A slot with an image in it, and which file says where it ends.
struct Slot<'i> {
    holds: &'i Image,
    about: &'i mcuboot::Image,
    area: Area,
    told_by: &'i str,
}

impl Reading<'_> {
    /// What lies over the end of a slot, as far as a flash map says where that is. Whoever stands in its last page may be
    /// in the way of an update: how much of that page holds its progress depends on the build of MCUboot.
    pub(super) fn trailers(&mut self, images: &[Image]) {
        let slots: Vec<Slot<'_>> = images.iter().filter_map(|image| Slot::of(image, images)).collect();
        for slot in &slots {
            self.outgrown(slot);
            for image in images.iter().filter(|image| !std::ptr::eq(*image, slot.holds)) {
                self.covered(slot, image);
            }
        }
    }

    /// The image that the slot is for.
    fn outgrown(&mut self, slot: &Slot<'_>) {
        let (about, image, end) = (slot.about, slot.holds, u64::from(slot.about.end));
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
    }

    /// Another image.
    fn covered(&mut self, slot: &Slot<'_>, image: &Image) {
        if let Some(at) = slot.written(image, slot.notes()) {
            let what = format!(
                "0x{at:08X} belongs to MCUboot's notes at the end of the slot {}, where image `{}` ({}) stands (flash map of \
                 `{}`)",
                slot.area, slot.holds.name, slot.holds.file, slot.told_by
            );
            self.note(image.map.problem_at(at, what));
        } else if let Some(at) = slot.written(image, slot.last_page()) {
            self.in_the_way(slot, image, at);
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

impl<'i> Slot<'i> {
    /// The slot of this image by the flash map of its bootloader, or else by its own.
    fn of(image: &'i Image, images: &'i [Image]) -> Option<Self> {
        let about = image.about.as_ref()?;
        let bootloaders = images.iter().filter(|image| image.is == Is::Mcuboot);
        let mut told = bootloaders.filter_map(|bootloader| Some((layout(bootloader)?, &*bootloader.file)));
        let own = || Some((FlashMap::of(&image.map, about.at..about.end)?, &*image.file));
        let (map, told_by) = told.next().or_else(own)?;
        Some(Self { holds: image, about, area: *map.slot(about.at)?, told_by })
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
