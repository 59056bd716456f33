//! Memories: cells whose bits only clear until they are erased, and RAM that forgets.
//!
//! Pages are shared until one of the owners writes, so that a copy of a board costs next to nothing.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::chance::Chance;

/// Bytes of one page, the smallest piece that can be erased.
pub const PAGE: u32 = 4096;
const BYTES: usize = PAGE as usize;
const WORDS: usize = BYTES / 4;

#[derive(Clone)]
struct Page {
    bytes: [u8; BYTES],
    /// How often each word was written since the last erase.
    writes: [u8; WORDS],
}

/// Non-volatile cells; a page that is absent is erased.
#[derive(Clone)]
pub(super) struct Cells {
    pages: Vec<Option<Arc<Page>>>,
}

impl Cells {
    pub(super) fn erased(pages: usize) -> Self {
        Self { pages: vec![None; pages] }
    }

    pub(super) fn size(&self) -> u32 {
        u32::try_from(self.pages.len()).unwrap_or(0) * PAGE
    }

    pub(super) fn word(&self, offset: u32) -> u32 {
        let page = self.pages.get((offset / PAGE) as usize).and_then(Option::as_ref);
        page.map_or(u32::MAX, |page| word_in(&page.bytes, offset))
    }

    /// Clears the bits that are 0 in `value`, and says how often this word was now written since it was erased.
    pub(super) fn write(&mut self, offset: u32, value: u32) -> u8 {
        let merged = self.word(offset) & value;
        let Some(page) = self.page_mut(offset) else { return 0 };
        put_word(&mut page.bytes, offset, merged);
        let count = page.writes.get_mut((offset % PAGE / 4) as usize);
        count.map_or(0, |count| {
            *count = count.saturating_add(1);
            *count
        })
    }

    pub(super) fn erase_page(&mut self, number: u32) {
        if let Some(page) = self.pages.get_mut(number as usize) {
            *page = None;
        }
    }

    /// What an interrupted erase leaves of the pages it was about to clear: some bits are set again, others are not.
    pub(super) fn weaken(&mut self, before: &Self, chance: &mut Chance) {
        for (page, old) in self.pages.iter_mut().zip(&before.pages) {
            let (None, Some(old)) = (&page, old) else { continue };
            let mut weak = Page::clone(old);
            weak.bytes.iter_mut().for_each(|byte| *byte |= chance.word().to_le_bytes()[0]);
            *page = Some(Arc::new(weak));
        }
    }

    pub(super) fn page_count(&self) -> u32 {
        u32::try_from(self.pages.len()).unwrap_or(0)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let page = |page: &Option<Arc<Page>>| page.as_ref().map_or([0xFF; BYTES], |page| page.bytes);
        self.pages.iter().flat_map(page).collect()
    }

    /// Puts bytes into cells as no debugger could, for boards that arrive with something on them.
    pub(super) fn place(&mut self, offset: u32, bytes: &[u8]) {
        for (at, byte) in (offset..self.size()).zip(bytes) {
            if let Some(cell) = self.page_mut(at).and_then(|page| page.bytes.get_mut((at % PAGE) as usize)) {
                *cell = *byte;
            }
        }
    }

    /// Erased pages add only their absence, so that an almost blank chip is hashed fast.
    pub(super) fn hash_into(&self, hash: &mut Sha256) {
        for (number, page) in self.pages.iter().enumerate() {
            let Some(page) = page.as_ref().filter(|page| !page.is_blank()) else { continue };
            hash.update(number.to_le_bytes());
            hash.update(page.bytes);
            hash.update(page.writes);
        }
        hash.update(self.pages.len().to_le_bytes());
    }

    fn page_mut(&mut self, offset: u32) -> Option<&mut Page> {
        let page = self.pages.get_mut((offset / PAGE) as usize)?;
        Some(Arc::make_mut(page.get_or_insert_with(|| Arc::new(Page { bytes: [0xFF; BYTES], writes: [0; WORDS] }))))
    }
}

impl Page {
    fn is_blank(&self) -> bool {
        self.bytes.iter().all(|byte| *byte == 0xFF) && self.writes.iter().all(|count| *count == 0)
    }
}

/// RAM; a page that is absent reads as zeros.
#[derive(Clone)]
pub(super) struct Ram {
    pages: Vec<Option<Arc<[u8; BYTES]>>>,
}

impl Ram {
    pub(super) fn cleared(pages: usize) -> Self {
        Self { pages: vec![None; pages] }
    }

    pub(super) fn size(&self) -> u32 {
        u32::try_from(self.pages.len()).unwrap_or(0) * PAGE
    }

    pub(super) fn clear(&mut self) {
        self.pages.fill(None);
    }

    /// The aligned word that holds this offset.
    pub(super) fn word(&self, offset: u32) -> u32 {
        let page = self.pages.get((offset / PAGE) as usize).and_then(Option::as_ref);
        page.map_or(0, |page| word_in(page.as_slice(), offset))
    }

    /// Writes the aligned word that holds this offset.
    pub(super) fn write(&mut self, offset: u32, value: u32) {
        if let Some(page) = self.pages.get_mut((offset / PAGE) as usize) {
            let page = page.get_or_insert_with(|| Arc::new([0; BYTES]));
            put_word(Arc::make_mut(page).as_mut_slice(), offset, value);
        }
    }
}

fn word_in(bytes: &[u8], offset: u32) -> u32 {
    let at = ((offset % PAGE) & !3) as usize;
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(u32::MAX, u32::from_le_bytes)
}

fn put_word(bytes: &mut [u8], offset: u32, value: u32) {
    let at = ((offset % PAGE) & !3) as usize;
    if let Some(four) = bytes.get_mut(at..at + 4) {
        four.copy_from_slice(&value.to_le_bytes());
    }
}
