//! A column of a unit in the form in which queries read it.

use std::sync::{Arc, OnceLock};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray,
        StringBuilder,
    },
    buffer::BooleanBuffer,
    datatypes::{DataType, Float64Type, Int32Type, Int64Type},
};
use hashbrown::HashMap;
use twox_hash::XxHash3_128;

use crate::bitmap::{is_few, rows_where};

/// A column.
#[derive(Debug)]
pub(crate) enum Column {
    Dictionary(Dictionary),
    Text(StringArray),
    Int(Int64Array),
    Float(Float64Array),
    Bool(BooleanArray),
    /// A column that is no text, number or boolean: times, sequences, severities, steps, tags.
    Other(ArrayRef),
}

/// Strings of which many are the same.
#[derive(Debug)]
pub(crate) struct Dictionary {
    /// The value of each row, by its place; one behind the last value for a row without.
    pub(crate) codes: Vec<u32>,
    pub(crate) values: StringArray,
    hashes: OnceLock<Vec<u128>>,
}

/// The hash by which two values are told to be the same: of 128 bits, so that among a billion values the chance of
/// one mistake is below one in 10^20.
pub(crate) fn hash(text: &str) -> u128 {
    XxHash3_128::oneshot(text.as_bytes())
}

impl Dictionary {
    fn new(codes: Vec<u32>, values: StringArray) -> Self {
        Self { codes, values, hashes: OnceLock::new() }
    }

    /// The code of rows without a value.
    pub(crate) fn missing(&self) -> u32 {
        u32::try_from(self.values.len()).unwrap_or(u32::MAX)
    }

    /// The hashes of the values.
    pub(crate) fn hashes(&self) -> &[u128] {
        self.hashes.get_or_init(|| {
            self.values.iter().map(|value| hash(value.unwrap_or_default())).collect()
        })
    }

    /// The rows of `within` whose value passes.
    pub(crate) fn rows(
        &self,
        mut passes: impl FnMut(&str) -> bool,
        within: &BooleanBuffer,
    ) -> BooleanBuffer {
        let mut table: Vec<bool> =
            self.values.iter().map(|value| passes(value.unwrap_or_default())).collect();
        table.push(false);
        self.rows_of(&table, within)
    }

    /// The rows of `within` whose code is marked.
    pub(crate) fn rows_of(&self, table: &[bool], within: &BooleanBuffer) -> BooleanBuffer {
        if table.iter().all(|&passes| !passes) {
            return BooleanBuffer::new_unset(within.len());
        }
        let is_marked = |code: u32| table.get(code as usize).copied().unwrap_or_default();
        if is_few(within.count_set_bits(), within.len()) {
            return rows_where(within, |row| {
                self.codes.get(row).is_some_and(|&code| is_marked(code))
            });
        }
        let marks = |codes: &[u32]| {
            let mut marks = [0; 64];
            for (mark, &code) in marks.iter_mut().zip(codes) {
                *mark = u8::from(is_marked(code));
            }
            pack(&marks)
        };
        let bits: Vec<u64> = self.codes.chunks(64).map(marks).collect();
        &BooleanBuffer::new(bits.into(), 0, self.codes.len()) & within
    }
}

/// The bits of 64 bytes that are 0 or 1, the first one lowest.
fn pack(marks: &[u8; 64]) -> u64 {
    let (eights, _) = marks.as_chunks();
    eights.iter().rev().fold(0, |bits, &eight| {
        // The bit of byte n moves to 56 + n, by way of the factor 2^(56 - 7 n); no two terms of the product meet.
        let gathered = u64::from_le_bytes(eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits << 8 | gathered
    })
}

impl Column {
    /// A column as a file has it.
    pub(crate) fn new(array: ArrayRef) -> Self {
        match array.data_type() {
            DataType::Dictionary(..) => Self::from_dictionary(&array),
            DataType::Utf8 => Self::Text(array.as_string::<i32>().clone()),
            DataType::Int64 => Self::Int(array.as_primitive::<Int64Type>().clone()),
            DataType::Float64 => Self::Float(array.as_primitive::<Float64Type>().clone()),
            DataType::Boolean => Self::Bool(array.as_boolean().clone()),
            _ => Self::Other(array),
        }
    }

    fn from_dictionary(array: &ArrayRef) -> Self {
        let array = array.as_dictionary::<Int32Type>();
        let values = array.values().as_string::<i32>().clone();
        let missing = u32::try_from(values.len()).unwrap_or(u32::MAX);
        let keys = array.keys();
        let codes = match keys.nulls() {
            None => keys.values().iter().map(|key| key.cast_unsigned()).collect(),
            Some(_) => keys.iter().map(|key| key.map_or(missing, i32::cast_unsigned)).collect(),
        };
        Self::Dictionary(Dictionary::new(codes, values))
    }

    /// Hot strings, with a dictionary if many are the same.
    pub(crate) fn of_strings(strings: &StringArray) -> Self {
        let mut places: HashMap<&str, u32> = HashMap::new();
        let mut values = StringBuilder::new();
        let mut codes = Vec::with_capacity(strings.len());
        for (row, text) in strings.iter().enumerate() {
            let Some(text) = text else {
                codes.push(u32::MAX);
                continue;
            };
            let next = u32::try_from(places.len()).unwrap_or(u32::MAX);
            let code = *places.entry(text).or_insert_with(|| {
                values.append_value(text);
                next
            });
            codes.push(code);
            if row % 1024 == 1023 && places.len() > row / 2 {
                return Self::Text(strings.clone());
            }
        }
        let missing = u32::try_from(places.len()).unwrap_or(u32::MAX);
        for code in &mut codes {
            *code = (*code).min(missing);
        }
        Self::Dictionary(Dictionary::new(codes, values.finish()))
    }

    /// What it takes in memory, about, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Dictionary(dictionary) => {
                4 * dictionary.codes.len()
                    + dictionary.values.get_array_memory_size()
                    + 16 * dictionary.values.len()
            }
            Self::Text(array) => array.get_array_memory_size(),
            Self::Int(array) => array.get_array_memory_size(),
            Self::Float(array) => array.get_array_memory_size(),
            Self::Bool(array) => array.get_array_memory_size(),
            Self::Other(array) => array.get_array_memory_size(),
        }
    }

    /// The rows that have a value.
    pub(crate) fn valid(&self) -> BooleanBuffer {
        let of = |array: &dyn Array| match array.nulls() {
            Some(nulls) => nulls.inner().clone(),
            None => BooleanBuffer::new_set(array.len()),
        };
        match self {
            Self::Dictionary(dictionary) => {
                let missing = dictionary.missing();
                BooleanBuffer::collect_bool(dictionary.codes.len(), |row| {
                    dictionary.codes.get(row) != Some(&missing)
                })
            }
            Self::Text(array) => of(array),
            Self::Int(array) => of(array),
            Self::Float(array) => of(array),
            Self::Bool(array) => of(array),
            Self::Other(array) => of(array),
        }
    }

    /// The text of a row, if the column is one of texts and the row has a value.
    pub(crate) fn text(&self, row: usize) -> Option<&str> {
        match self {
            Self::Dictionary(dictionary) => {
                let code = *dictionary.codes.get(row)? as usize;
                (code < dictionary.values.len()).then(|| dictionary.values.value(code))
            }
            Self::Text(array) => array.is_valid(row).then(|| array.value(row)),
            _ => None,
        }
    }
}

/// A column that many queries may hold.
pub(crate) type Shared = Arc<Column>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_the_bits_of_their_places() {
        let marks: [u8; 64] = std::array::from_fn(|place| u8::from(place % 3 == 0 || place == 40));
        let bits = pack(&marks);
        assert!(marks.iter().zip(0..).all(|(&mark, place)| bits >> place & 1 == u64::from(mark)));
        assert_eq!(pack(&[1; 64]), u64::MAX);
    }

    #[test]
    fn rows_with_marked_values_are_found_among_few_rows_and_among_many() {
        let strings: StringArray =
            (0..1000).map(|row| (row % 7 != 0).then(|| ["a", "b", "c"][row % 3])).collect();
        let Column::Dictionary(dictionary) = Column::of_strings(&strings) else { panic!() };
        let expected: Vec<usize> =
            (0..1000).filter(|&row| strings.is_valid(row) && strings.value(row) == "b").collect();
        for step in [1, 2, 50] {
            let within = BooleanBuffer::collect_bool(1000, |row| row % step == 0);
            let found: Vec<usize> =
                dictionary.rows(|value| value == "b", &within).set_indices().collect();
            let expected: Vec<usize> =
                expected.iter().copied().filter(|row| row % step == 0).collect();
            assert_eq!(found, expected);
        }
    }
}
