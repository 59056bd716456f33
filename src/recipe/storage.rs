//! Provision data made from a recipe's own words, as Nordic's script of that generation makes it.

use super::{Image, Is, Made, Placed, keyring::Keyring, written::WrittenNsib};
use crate::{
    fault::Problem,
    ident::Digest,
    image::{
        Map,
        nsib::{self, Area, Generation, Layout, NamedKey, Provision, Wish, WishedHead},
    },
};

/// What made data is called in messages.
pub(super) const NAME: &str = "[stamp.nsib]";

/// The words that say what is to be made, and what they speak of.
pub(super) struct Making<'r> {
    pub(super) stamp: &'r WrittenNsib,
    pub(super) generation: Generation,
    pub(super) chip: Option<&'r Placed<String>>,
    pub(super) keys: &'r Keyring,
}

impl Making<'_> {
    /// The data as one more image; `None` if nothing is to be made, or if what is wrong was told already.
    ///
    /// # Errors
    /// Every reason why no such data may be made, each where the recipe speaks of it.
    pub(super) fn image(&self) -> Result<Option<Image>, Vec<Problem>> {
        let (Some(at), Some(chip)) = (&self.stamp.at, self.chip) else { return Ok(None) };
        let area = nsib::area(&chip.value, at.value, self.stamp.size.as_ref().map(|size| size.value));
        let mut wrong: Vec<Problem> = Vec::new();
        let area = area.map_err(|what| wrong.push(self.stamp.size.as_ref().unwrap_or(at).problem(what))).ok();
        let layout = area.and_then(|area| self.layout(chip, area).map_err(|problem| wrong.push(problem)).ok());
        let head = self.head(&mut wrong);
        let counters = self.stamp.counters.as_ref();
        let mcuboot_slots = slots(counters.and_then(|counters| counters.mcuboot.as_ref()), &mut wrong);
        let (true, Some(area), Some(layout), Some(head)) = (wrong.is_empty(), area, layout, head) else {
            return if wrong.is_empty() { Ok(None) } else { Err(wrong) };
        };
        let reference = self.stamp.reference.as_ref().map(|reference| reference.value.clone());
        let wish = Wish { layout, base: at.value, size: area.size, head, mcuboot_slots, reference };
        let made = wish.make().map_err(|wrong| self.told(wrong))?;
        let map = made.image(NAME).ok_or_else(|| self.told(vec!["nothing is said that could be made".to_owned()]))?;
        let provision = Provision::read(&map).map_err(|problem| self.told(vec![problem.what]))?;
        if (&provision.content, provision.base) != (&made.content, Some(at.value)) {
            return Err(self.told(vec!["what is made reads as something else: report this".to_owned()]));
        }
        Ok(Some(self.one(map, provision, &made.bytes)))
    }

    fn told(&self, wrong: Vec<String>) -> Vec<Problem> {
        wrong.into_iter().map(|what| self.stamp.place.problem(format!("{NAME}: {what}"))).collect()
    }

    /// The chip has one width; a generation that knows none writes two bytes.
    fn layout(&self, chip: &Placed<String>, area: Area) -> Result<Layout, Problem> {
        let has = area.width.bytes();
        if let Some(said) = self.stamp.write_width.as_ref().filter(|said| said.value != has) {
            let what = format!("`write_width` is {}, but the storage of {} takes {has} bytes", said.value, chip.value);
            return Err(said.problem(what));
        }
        let place = self.stamp.format.as_ref().map_or(&self.stamp.place, |format| &format.place);
        Layout::new(self.generation, area.width).map_err(|why| place.problem(why))
    }

    fn head(&self, wrong: &mut Vec<Problem>) -> Option<WishedHead> {
        if is_set(self.stamp.mcuboot_only.as_ref()) {
            return Some(WishedHead::McubootOnly);
        }
        let counters = self.stamp.counters.as_ref();
        let slots = slots(counters.and_then(|counters| counters.nsib.as_ref()), wrong);
        let Some(s0) = &self.stamp.s0 else {
            wrong.push(self.stamp.place.problem("`s0`, the address of slot 0, is needed to make provision data"));
            return None;
        };
        let s1 = self.stamp.s1.as_ref().map(|s1| s1.value);
        let named = |name: &Placed<String>| {
            let hash = self.generation.hash(self.keys.get(&name.value)?)?;
            Some(NamedKey { name: format!("key {}", self.keys.called(&name.value)), hash })
        };
        let keys = self.stamp.keys.iter().map(named).collect::<Option<Vec<_>>>()?;
        Some(WishedHead::Nsib { s0: s0.value, s1, keys, slots })
    }

    fn one(&self, map: Map, provision: Provision, bytes: &[u8]) -> Image {
        Image {
            name: "nsib-storage".to_owned(),
            file: NAME.to_owned(),
            digest: Digest::of(bytes),
            is: Is::NsibProvision,
            map,
            trusts: Vec::new(),
            signed: None,
            inside: None,
            patch: None,
            about: None,
            provision: Some(provision),
            made: Some(Made::NsibStorage),
            place: self.stamp.place.clone(),
        }
    }
}

pub(super) fn is_set(flag: Option<&Placed<bool>>) -> bool {
    flag.is_some_and(|flag| flag.value)
}

fn slots(said: Option<&Placed<u32>>, wrong: &mut Vec<Problem>) -> u16 {
    let Some(said) = said else { return 0 };
    u16::try_from(said.value).unwrap_or_else(|_| {
        wrong.push(said.problem(format!("a counter of {} slots: no storage holds so many", said.value)));
        0
    })
}

/// Where a file and what the recipe makes differ first, as memory: what one of them leaves out is erased.
pub(super) fn difference(file: &Map, made: &Map) -> Option<(u32, String)> {
    let (Some(one), Some(other)) = (file.segments().first(), made.segments().first()) else { return None };
    if one.at != other.at {
        return Some((one.at, format!("it begins at 0x{:08X}, the words make data for 0x{:08X}", one.at, other.at)));
    }
    let byte = |bytes: &[u8], index: usize| bytes.get(index).copied().unwrap_or(u8::MAX);
    let longest = one.bytes.len().max(other.bytes.len());
    let index = (0..longest).find(|index| byte(&one.bytes, *index) != byte(&other.bytes, *index))?;
    let at = one.at.saturating_add(u32::try_from(index).unwrap_or_default());
    let (has, makes) = (byte(&one.bytes, index), byte(&other.bytes, index));
    Some((at, format!("at 0x{at:08X} it has 0x{has:02X}, the words make 0x{makes:02X}")))
}
