//! Sets of a unit's rows, one bit a row.

use std::ops::Range;

use arrow::{
    array::{Array, BooleanBufferBuilder, StringArray},
    buffer::BooleanBuffer,
};
use memchr::memmem::Finder;

use crate::matches::Words;

/// Rows are looked at one by one, rather than all of a unit, if they are fewer than one in so many.
const FEW: usize = 6;

/// Whether so many of all rows are so few that they are better looked at one by one.
pub(crate) fn is_few(rows: usize, of: usize) -> bool {
    rows * FEW <= of
}

pub(crate) fn none(of: &BooleanBuffer) -> BooleanBuffer {
    BooleanBuffer::new_unset(of.len())
}

/// The places of the rows, ascending.
pub(crate) fn places(rows: &BooleanBuffer) -> Vec<u32> {
    rows.set_indices().filter_map(|row| u32::try_from(row).ok()).collect()
}

/// The rows of `within` for which something holds.
pub(crate) fn rows_where(
    within: &BooleanBuffer,
    mut holds: impl FnMut(usize) -> bool,
) -> BooleanBuffer {
    let mut rows = BooleanBufferBuilder::new(within.len());
    rows.append_n(within.len(), false);
    for row in within.set_indices() {
        if holds(row) {
            rows.set_bit(row, true);
        }
    }
    rows.finish()
}

/// Of all rows, those at the places of `rows` that pass.
pub(crate) fn scatter(len: usize, rows: &[u32], passing: &BooleanBuffer) -> BooleanBuffer {
    let mut all = BooleanBufferBuilder::new(len);
    all.append_n(len, false);
    for place in passing.set_indices() {
        if let Some(&row) = rows.get(place) {
            all.set_bit(row as usize, true);
        }
    }
    all.finish()
}

/// Something that is looked for in texts.
pub(crate) trait Needle {
    /// The next place from `from` on where it may be, in many rows one behind the other.
    fn find(&self, text: &[u8], from: usize) -> Option<Range<usize>>;

    /// Whether it is there, in the text of one row.
    fn is_at(&self, row: &str, place: Range<usize>) -> bool;
}

impl Needle for Finder<'_> {
    fn find(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        let start = from + Finder::find(self, text.get(from..)?)?;
        Some(start..start + self.needle().len())
    }

    fn is_at(&self, _: &str, _: Range<usize>) -> bool {
        true
    }
}

impl Needle for Words {
    fn find(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        self.find_letters(text, from)
    }

    fn is_at(&self, row: &str, place: Range<usize>) -> bool {
        self.are_whole(row, place)
    }
}

/// The rows that contain something: looked for in all strings at once, which lie one behind the other.
pub(crate) fn containing(strings: &StringArray, needle: &impl Needle) -> BooleanBuffer {
    let mut rows = BooleanBufferBuilder::new(strings.len());
    rows.append_n(strings.len(), false);
    let offsets = strings.value_offsets();
    let at = |row: usize| {
        offsets.get(row).map_or(usize::MAX, |&offset| usize::try_from(offset).unwrap_or_default())
    };
    let text = strings.value_data().get(..at(strings.len())).unwrap_or_default();
    let (mut row, mut from) = (0, at(0));
    while let Some(found) = needle.find(text, from) {
        // Rows ahead of the place hold nothing; there are few jumps where there are few places.
        row = row_of(offsets, row, found.start);
        if row >= strings.len() {
            break;
        }
        let (start, end) = (at(row), at(row + 1));
        let is_there = found.end <= end
            && needle.is_at(strings.value(row), found.start - start..found.end - start);
        if is_there && strings.is_valid(row) {
            rows.set_bit(row, true);
        }
        from = if is_there { end } else { found.start + 1 };
    }
    rows.finish()
}

/// The row, from `row` on, in which the byte at `at` is.
fn row_of(offsets: &[i32], row: usize, at: usize) -> usize {
    let behind = offsets.get(row + 1..).unwrap_or_default();
    row + behind.partition_point(|&end| usize::try_from(end).unwrap_or_default() <= at)
}

#[cfg(test)]
mod tests {
    use memchr::memmem;

    use super::*;

    fn found(strings: &[Option<&str>], needle: &impl Needle) -> Vec<usize> {
        let all: StringArray = strings.iter().collect();
        // A slice begins behind the first byte, and ends before the last.
        let sliced = all.slice(1, all.len() - 2);
        containing(&sliced, needle).set_indices().map(|row| row + 1).collect()
    }

    #[test]
    fn what_goes_on_in_the_next_row_is_in_none() {
        let rows =
            [Some("abc"), Some("ab"), Some("c abc"), None, Some(""), Some("xabcabc"), Some("abc")];
        assert_eq!(found(&rows, &memmem::Finder::new("abc")), [2, 5]);
        assert_eq!(found(&rows, &Words::new("abc", false).unwrap()), [2]);
        assert_eq!(found(&rows, &Words::new("c abc", false).unwrap()), [2]);
        let rows =
            [Some("a"), Some("did not"), Some("respond"), Some("ä did  NOT respond"), Some("b")];
        assert_eq!(found(&rows, &Words::new("did not respond", false).unwrap()), [3]);
        assert_eq!(found(&rows, &Words::new("resp", true).unwrap()), [2, 3]);
        assert_eq!(found(&rows, &Words::new("resp", false).unwrap()), [0; 0]);
    }

    #[test]
    fn the_start_of_a_row_is_the_start_of_a_word() {
        let rows = [Some("x"), Some("x1"), Some("1 one"), Some("1"), Some("x")];
        assert_eq!(found(&rows, &Words::new("1", false).unwrap()), [2, 3]);
    }
}
