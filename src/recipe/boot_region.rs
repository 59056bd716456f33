//! The boot region that becomes immutable: whether the chip has such a thing, and whether all of the bootloader and
//! nothing else is in it. [nordic-facts A5.4]

use super::{BootRegion, Image, Placed, written::WrittenBootconf};
use crate::{
    fault::Problem,
    image::{
        Segment,
        bootconf::{AT, BootConf, Chip},
    },
};

/// Where program memory ends and FICR, UICR and OTP begin. [nordic-facts A5.1]
const NOT_PROGRAM: u32 = 0x00FF_0000;

/// The word, and what is wrong with it.
pub(super) fn read(
    stamp: &WrittenBootconf,
    chip: Option<&Placed<String>>,
    images: &[Image],
) -> (Option<BootRegion>, Vec<Problem>) {
    let (Some(kib), Some(chip)) = (&stamp.protect_kib, chip) else { return (None, Vec::new()) };
    let of = match Chip::of(&chip.value) {
        Ok(chip) => chip,
        Err(what) => return (None, vec![stamp.place.problem(format!("[stamp.bootconf] {what}"))]),
    };
    let bytes = kib.value.saturating_mul(1024);
    match BootConf::immutable(of, bytes) {
        Ok(conf) => {
            let region = BootRegion { at: AT, word: conf.word, kib: kib.value, place: stamp.place.clone() };
            let mut wrong = in_region(kib, bytes, images);
            wrong.extend(images.iter().filter_map(|image| other_word(image, kib, conf)));
            (Some(region), wrong)
        }
        Err(what) => (None, vec![kib.problem(format!("`protect_kib`: {what}"))]),
    }
}

/// All of what begins at address 0, and nothing else.
fn in_region(kib: &Placed<u32>, bytes: u32, images: &[Image]) -> Vec<Problem> {
    let program = |image: &Image| -> Vec<(u32, u64)> {
        let segments = image.map.segments().iter().filter(|segment| segment.at < NOT_PROGRAM);
        segments.map(|segment| (segment.at, segment.end())).collect()
    };
    let mut wrong = Vec::new();
    let mut starts = false;
    for image in images {
        let pieces = program(image);
        let named = format!("image `{}` ({})", image.name, image.file);
        let first = pieces.first().map(|(at, _)| *at);
        if first == Some(0) {
            starts = true;
            let end = pieces.last().map(|(_, end)| *end).unwrap_or_default();
            if end > u64::from(bytes) {
                let what = format!(
                    "{named} ends at 0x{end:08X}, but only 0x{bytes:X} bytes become immutable: the rest of the \
                     bootloader would stay writable"
                );
                wrong.push(kib.problem(what));
            }
        } else if let Some(at) = pieces.iter().map(|(at, _)| *at).find(|at| *at < bytes) {
            let what = format!(
                "{named} begins at 0x{at:08X}, inside the 0x{bytes:X} bytes that become immutable: it could never be \
                 updated"
            );
            wrong.push(kib.problem(what));
        }
    }
    if !starts {
        wrong.push(kib.problem("no image begins at 0x00000000, where the region that becomes immutable does"));
    }
    wrong
}

/// A file that holds the word, or a part of it, says the same.
fn other_word(image: &Image, kib: &Placed<u32>, conf: BootConf) -> Option<Problem> {
    let touches = |segment: &Segment| segment.at < AT + 4 && u64::from(AT) < segment.end();
    let segment = image.map.segments().iter().find(|segment| touches(segment))?;
    let at = segment.at.max(AT);
    let said = image.map.word(AT);
    let held = said.map_or_else(|| "a part of it".to_owned(), |word| format!("0x{word:08X}"));
    (said != Some(conf.word)).then(|| {
        let place = super::meant::at(&kib.place);
        let what = format!("at 0x{AT:08X} it holds {held}, but `protect_kib` ({place}) makes 0x{:08X}", conf.word);
        image.map.problem_at(at, what)
    })
}
