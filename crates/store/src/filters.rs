//! For each page of [`FILTER_ROWS`](crate::limits::FILTER_ROWS) rows, what can't be in it: words with digits of the
//! message, and ids.
//!
//! A filter never denies what is there; of what is not there it lets one in some 256 through. Words without digits need
//! none, they are in the templates.
//!
//! # Format
//! One block a row group, behind its data in the Parquet file, where Parquet readers do not look. Integers are
//! little-endian.
//!
//! ```text
//! block  = pages u32 | page*
//! page   = bytes u32, of what follows; 0 if the page has nothing to find
//!        | seed u64 | segment_length u32 | segment_length_mask u32 | segment_count_length u32
//!        | fingerprints, 8 bits each
//! ```
//! A page is a binary fuse filter (Graf and Lemire, "Binary Fuse Filters", 2022) over 64-bit keys: [`word_key`] of each
//! word and [`value_key`] of each value.

use twox_hash::XxHash3_64;
use xorf::{BinaryFuse8, BinaryFuse8Ref, DmaSerializable, Filter, FilterRef};

/// Distinguishes values from words.
const VALUE_SEED: u64 = 1;

/// The key of a word, in whatever case.
pub(crate) fn word_key(word: &str) -> u64 {
    if word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        return XxHash3_64::oneshot(word.as_bytes());
    }
    // By way of the lower and the upper case, so that all letters that are one in some case are the same: the capital
    // ẞ has no upper case, its ß has one.
    XxHash3_64::oneshot(word.to_lowercase().to_uppercase().to_lowercase().as_bytes())
}

/// The key of a whole value.
pub(crate) fn value_key(value: &str) -> u64 {
    XxHash3_64::oneshot_with_seed(VALUE_SEED, value.as_bytes())
}

/// The block of a row group, of the keys of each page.
pub(crate) fn encode(pages: &mut [Vec<u64>]) -> Vec<u8> {
    let mut block = Vec::new();
    block.extend_from_slice(&u32::try_from(pages.len()).unwrap_or_default().to_le_bytes());
    for keys in pages {
        keys.sort_unstable();
        keys.dedup();
        // Without a filter a page is always read.
        let filter = if keys.is_empty() { None } else { BinaryFuse8::try_from(&*keys).ok() };
        let Some(filter) = filter else {
            block.extend_from_slice(&0_u32.to_le_bytes());
            continue;
        };
        let fingerprints = filter.dma_fingerprints();
        let bytes = BinaryFuse8::DESCRIPTOR_LEN + fingerprints.len();
        block.extend_from_slice(&u32::try_from(bytes).unwrap_or_default().to_le_bytes());
        let start = block.len();
        block.resize(start + BinaryFuse8::DESCRIPTOR_LEN, 0);
        filter.dma_copy_descriptor_to(block.get_mut(start..).unwrap_or_default());
        block.extend_from_slice(fingerprints);
    }
    block
}

/// The filters of a row group.
#[derive(Debug)]
pub(crate) struct PageFilters {
    /// How many rows share one; the last may have fewer.
    pub(crate) rows: usize,
    block: Vec<u8>,
    /// Where each page's filter begins and ends.
    pages: Vec<(usize, usize)>,
}

impl PageFilters {
    /// Reads a block with a filter for each so many rows; `None` if it is none.
    pub(crate) fn parse(block: Vec<u8>, rows: usize) -> Option<Self> {
        if rows == 0 {
            return None;
        }
        let number = |at: usize| {
            let bytes = block.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(u32::from_le_bytes(bytes)).ok()
        };
        let count = number(0)?;
        let mut at = 4;
        let mut pages = Vec::new();
        for _ in 0..count {
            let bytes = number(at)?;
            let end = (at + 4).checked_add(bytes).filter(|&end| end <= block.len())?;
            pages.push((at + 4, end));
            at = end;
        }
        Some(Self { rows, block, pages })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.block.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.pages.len()
    }

    /// Whether a page may hold all of these keys.
    pub(crate) fn may_hold(&self, page: usize, keys: &[u64]) -> bool {
        let filter = self.pages.get(page).and_then(|&(start, end)| self.block.get(start..end));
        let parts = filter.and_then(|filter| filter.split_at_checked(BinaryFuse8::DESCRIPTOR_LEN));
        let Some((descriptor, fingerprints)) = parts else { return true };
        let filter = BinaryFuse8Ref::from_dma(descriptor, fingerprints);
        keys.iter().all(|key| filter.contains(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_finds_what_is_there_and_little_else() {
        let mut pages = vec![
            (0..9000).map(|n| value_key(&format!("a{n}"))).collect::<Vec<_>>(),
            vec![],
            vec![word_key("one1")],
        ];
        let filters = PageFilters::parse(encode(&mut pages), 9000).unwrap();
        assert_eq!(filters.len(), 3);
        assert!((0..9000).all(|n| filters.may_hold(0, &[value_key(&format!("a{n}"))])));
        let wrong =
            (0..9000).filter(|n| filters.may_hold(0, &[value_key(&format!("b{n}"))])).count();
        assert!(wrong < 90, "{wrong}");
        assert!(filters.may_hold(2, &[word_key("ONE1")]));
        assert!(filters.may_hold(1, &[1]), "a page without a filter is read");
        assert!(PageFilters::parse(vec![9, 0, 0, 0, 1], 9000).is_none());
    }

    #[test]
    fn letters_that_are_one_in_some_case_have_one_key() {
        for (a, b) in [
            ("straße1", "STRASSE1"),
            ("K1", "\u{212a}1"),
            ("ς1", "σ1"),
            ("ÄÖ1", "äö1"),
            ("s1", "ſ1"),
        ] {
            assert_eq!(word_key(a), word_key(b), "{a} {b}");
        }
    }

    #[test]
    fn keys_are_the_same_in_all_versions() {
        // They are in files.
        assert_eq!(word_key("abc1"), 17_006_537_163_716_349_663);
        assert_eq!(value_key("abc1"), 7_372_848_204_247_625_766);
    }
}
