//! The numbers of a percentile, all of them: as they come while they are few, and each different one once, with how often
//! it came, when they are many.

use std::{cmp::Ordering, iter::Peekable, mem};

use crate::limits::NUMBERS_UNSORTED;

/// A number and how often it came.
type Counted = (f64, u64);

#[derive(Debug, Default)]
pub(crate) struct Numbers {
    unsorted: Vec<f64>,
    /// Different ones, ascending.
    sorted: Vec<Counted>,
}

impl Numbers {
    pub(crate) fn add(&mut self, number: f64) {
        self.unsorted.push(number);
        // As many as are sorted already: then each is moved a few times in all.
        if self.unsorted.len() >= NUMBERS_UNSORTED.max(self.sorted.len()) {
            self.sort();
        }
    }

    pub(crate) fn merge(&mut self, more: Self) {
        self.sorted = merged(mem::take(&mut self.sorted), more.sorted);
        for number in more.unsorted {
            self.add(number);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        let sorted = size_of::<Counted>() * self.sorted.capacity();
        size_of::<Self>() + sorted + size_of::<f64>() * self.unsorted.capacity()
    }

    fn sort(&mut self) {
        self.unsorted.sort_unstable_by(f64::total_cmp);
        let same = self.unsorted.chunk_by(|a, b| a.total_cmp(b).is_eq());
        let counted = same.filter_map(|same| Some((*same.first()?, same.len() as u64)));
        self.sorted = merged(mem::take(&mut self.sorted), counted.collect());
        self.unsorted.clear();
    }

    /// The percentile, interpolated between the two nearest numbers.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place among fewer numbers than floats are exact for"
    )]
    pub(crate) fn percentile(mut self, hundredths: u16) -> Option<f64> {
        let counted: u64 = self.sorted.iter().map(|(_, count)| count).sum();
        let last = (counted + self.unsorted.len() as u64).checked_sub(1)?;
        let place = f64::from(hundredths) / 10_000.0 * last as f64;
        let (first, rest) = (place.floor() as u64, place.fract());
        let (low, high) = if self.sorted.is_empty() {
            let (_, &mut low, above) =
                self.unsorted.select_nth_unstable_by(first as usize, f64::total_cmp);
            (low, above.iter().copied().min_by(f64::total_cmp))
        } else {
            self.sort();
            (self.at(first)?, self.at(first + 1))
        };
        let high = high.filter(|_| rest > 0.0).unwrap_or(low);
        Some((high - low).mul_add(rest, low))
    }

    /// The number at a place among all, counted from 0, where all are sorted.
    fn at(&self, place: u64) -> Option<f64> {
        let mut before = 0;
        let found = self.sorted.iter().find(|(_, count)| {
            before += count;
            before > place
        });
        found.map(|(number, _)| *number)
    }
}

/// Two ascending lists as one.
fn merged(left: Vec<Counted>, right: Vec<Counted>) -> Vec<Counted> {
    if left.is_empty() {
        return right;
    }
    let mut all = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let Some(next) = least(&mut left, &mut right) {
        all.push(next);
    }
    // Most numbers are in both.
    all.shrink_to_fit();
    all
}

/// The next of two ascending lists; of equal numbers one, with both counts.
fn least(
    left: &mut Peekable<impl Iterator<Item = Counted>>,
    right: &mut Peekable<impl Iterator<Item = Counted>>,
) -> Option<Counted> {
    let (Some((a, _)), Some((b, _))) = (left.peek(), right.peek()) else {
        return left.next().or_else(|| right.next());
    };
    match a.total_cmp(b) {
        Ordering::Less => left.next(),
        Ordering::Greater => right.next(),
        Ordering::Equal => {
            let (number, count) = left.next()?;
            Some((number, count + right.next()?.1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some numbers, of which many are the same.
    fn some(count: u64, different: u64) -> impl Iterator<Item = f64> {
        let number = move |n: u64| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % different;
        (0..count).map(number).map(|n| f64::from(u32::try_from(n).unwrap()) / 8.0 - 100.0)
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place")]
    fn expected(all: &[f64], hundredths: u16) -> f64 {
        let mut numbers = all.to_vec();
        numbers.sort_by(f64::total_cmp);
        let last = numbers.len() - 1;
        let place = f64::from(hundredths) / 10_000.0 * f64::from(u32::try_from(last).unwrap());
        let first = place.floor() as usize;
        let (low, high) = (numbers[first], numbers[(first + 1).min(last)]);
        (high - low).mul_add(place.fract(), low)
    }

    #[test]
    fn a_percentile_is_that_of_all_numbers_however_they_came() {
        for (count, different) in [(1, 1), (1000, 300), (200_000, 1000), (200_000, 1 << 32)] {
            let all: Vec<f64> = some(count, different).collect();
            for hundredths in [0, 1, 5000, 9500, 9999, 10_000] {
                let mut whole = Numbers::default();
                all.iter().for_each(|&number| whole.add(number));
                let mut parts = Numbers::default();
                for part in all.chunks(70_000) {
                    let mut more = Numbers::default();
                    part.iter().for_each(|&number| more.add(number));
                    parts.merge(more);
                }
                let expected = Some(expected(&all, hundredths));
                assert_eq!(whole.percentile(hundredths), expected, "{count} {hundredths}");
                assert_eq!(parts.percentile(hundredths), expected, "{count} {hundredths}");
            }
        }
        assert_eq!(Numbers::default().percentile(5000), None);
    }

    #[test]
    fn many_numbers_that_repeat_take_little_memory() {
        let mut numbers = Numbers::default();
        some(2_000_000, 1000).for_each(|number| numbers.add(number));
        assert!(numbers.bytes() < 2_000_000, "{}", numbers.bytes());
    }
}
