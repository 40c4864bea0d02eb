//! The data memory: 2^27 words, flat and lazily zeroed by the operating system, with dirty-page tracking for cheap snapshots.

use crate::image::{ADDRESS_SPACE, ProgramImage};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Words of a page (4 KiB).
pub const PAGE_WORDS: usize = 1 << PAGE_SHIFT;
/// log2 of [`PAGE_WORDS`].
pub const PAGE_SHIFT: u32 = 10;
const WORDS: usize = (ADDRESS_SPACE / 4) as usize;
const PAGES: usize = WORDS >> PAGE_SHIFT;

/// A page's words.
pub type Page = [u32; PAGE_WORDS];
/// Pages by number (word index >> [`PAGE_SHIFT`]); a page that is missing is zero.
pub type Pages = BTreeMap<u32, Arc<Page>>;

/// The memory of a running machine.
pub struct Memory {
    words: Box<[u32; WORDS]>,
    /// Pages written since the last [`Memory::pages`].
    dirty: Box<[bool; PAGES]>,
    clean: Pages,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("pages", &self.clean.len()).finish_non_exhaustive()
    }
}

impl Memory {
    fn zeroed() -> Self {
        // `vec!` of zeros maps zero pages, so untouched memory costs nothing.
        let words = vec![0u32; WORDS]
            .into_boxed_slice()
            .try_into()
            .unwrap_or_else(|_| unreachable!("length is WORDS"));
        let dirty = vec![false; PAGES]
            .into_boxed_slice()
            .try_into()
            .unwrap_or_else(|_| unreachable!("length is PAGES"));
        Self { words, dirty, clean: Pages::new() }
    }

    /// The memory at the start of a program.
    #[must_use]
    pub fn initial(program: &ProgramImage) -> Self {
        let mut memory = Self::zeroed();
        for (addr, word) in program.initial_words() {
            memory.set(addr, word);
        }
        memory
    }

    /// The memory of a snapshot.
    #[must_use]
    pub fn from_pages(pages: &Pages) -> Self {
        let mut memory = Self::zeroed();
        for (&number, page) in pages {
            let start = (number as usize) << PAGE_SHIFT;
            if let Some(target) = memory.words.get_mut(start..start + PAGE_WORDS) {
                target.copy_from_slice(&page[..]);
            }
        }
        memory.clean = pages.clone();
        memory
    }

    /// The word at an address (rounded down to a word; the caller has checked that it is below 2^29, higher bits are ignored).
    #[inline(always)]
    #[must_use]
    pub fn get(&self, addr: u32) -> u32 {
        self.words[(addr >> 2) as usize % WORDS]
    }

    /// Sets the word at an address, as [`Memory::get`].
    #[inline(always)]
    pub fn set(&mut self, addr: u32, word: u32) {
        let i = (addr >> 2) as usize % WORDS;
        self.words[i] = word;
        self.dirty[i >> PAGE_SHIFT] = true;
    }

    /// All pages that were ever written. Pages not written since the last call are shared with its result.
    pub fn pages(&mut self) -> Pages {
        for (number, dirty) in self.dirty.iter_mut().enumerate().filter(|(_, d)| **d) {
            let start = number << PAGE_SHIFT;
            let mut page = [0; PAGE_WORDS];
            page.copy_from_slice(&self.words[start..start + PAGE_WORDS]);
            self.clean.insert(number as u32, Arc::new(page));
            *dirty = false;
        }
        self.clean.clone()
    }
}
