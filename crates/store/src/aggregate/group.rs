//! The groups of the selected rows of one unit.

use hashbrown::HashMap;
use millpond_query::{Field, Group, Interval};
use twox_hash::XxHash3_128;

use super::state::HashesMap;
use crate::{
    QueryError,
    columns::{Column, hash},
    schema::place,
    template::shown,
    unit::Unit,
    values::{Part, RowList, Value, Values, level, tags, time_at},
};

/// Combinations of codes up to this number are told apart by a table, others by a map.
const TABLE_MAX: usize = 1 << 18;

/// The groups of some rows of a unit, numbered from 0.
pub(crate) struct Groups {
    pub(crate) rows: RowList,
    /// The group of each place of the list.
    pub(crate) of_row: Vec<u32>,
    /// How many rows each group has.
    pub(crate) counts: Vec<u64>,
    dimensions: Vec<Dimension>,
    /// For each group its codes, one a dimension.
    codes: Vec<Vec<u32>>,
    without_missing: bool,
}

/// One group-by of a unit.
struct Dimension {
    /// The code of each place of the list.
    codes: Vec<u32>,
    /// The values of the codes: hash and value.
    values: Vec<(u128, Option<Value>)>,
}

/// The hash of what is missing.
const MISSING: u128 = 1;

impl Groups {
    pub(crate) fn new(
        unit: &Unit,
        by: &[Group],
        rows: RowList,
        without_missing: bool,
    ) -> Result<Self, QueryError> {
        let mut rows = rows;
        let mut tag = None;
        if by.contains(&Group::Field(Field::Tags)) {
            let (listed, tags) = tags(unit, &rows)?;
            rows = listed;
            tag = Some(Dimension::of_tags(&tags));
        }
        let mut dimensions = Vec::new();
        for group in by {
            dimensions.push(match group {
                Group::Bin(interval) => Dimension::of_times(unit, &rows, *interval)?,
                Group::Field(Field::Tags) => match tag.take() {
                    Some(dimension) => dimension,
                    None => continue,
                },
                Group::Field(field) => Dimension::of_field(unit, &rows, field)?,
            });
        }
        let mut groups = Self {
            of_row: Vec::new(),
            counts: Vec::new(),
            codes: Vec::new(),
            without_missing,
            rows,
            dimensions,
        };
        groups.number();
        Ok(groups)
    }

    /// Numbers the groups.
    fn number(&mut self) {
        match self.dimensions.as_mut_slice() {
            [] => {
                self.of_row = vec![0; self.rows.len()];
                self.counts = vec![self.rows.len() as u64];
                self.codes.push(Vec::new());
            }
            [only] => {
                let mut counts = vec![0; only.values.len()];
                for &code in &only.codes {
                    if let Some(count) = counts.get_mut(code as usize) {
                        *count += 1;
                    }
                }
                self.of_row = std::mem::take(&mut only.codes);
                self.codes = (0..).take(counts.len()).map(|code| vec![code]).collect();
                self.counts = counts;
            }
            _ => self.number_combinations(),
        }
    }

    fn number_combinations(&mut self) {
        let sizes: Vec<usize> =
            self.dimensions.iter().map(|dimension| dimension.values.len()).collect();
        let product = sizes.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
        let mut table =
            vec![u32::MAX; product.filter(|&product| product <= TABLE_MAX).unwrap_or_default()];
        let mut map: HashMap<Vec<u32>, u32> = HashMap::new();
        let mut codes = vec![0; sizes.len()];
        for at in 0..self.rows.len() {
            let mut place = 0;
            for ((code, dimension), size) in codes.iter_mut().zip(&self.dimensions).zip(&sizes) {
                *code = dimension.codes.get(at).copied().unwrap_or_default();
                place = place * size + *code as usize;
            }
            let next = u32::try_from(self.counts.len()).unwrap_or(u32::MAX);
            let group = match table.get_mut(place) {
                Some(slot) if *slot != u32::MAX => *slot,
                Some(slot) => {
                    *slot = next;
                    next
                }
                None => *map.entry_ref(codes.as_slice()).or_insert(next),
            };
            if group == next {
                self.counts.push(0);
                self.codes.push(codes.clone());
            }
            if let Some(count) = self.counts.get_mut(group as usize) {
                *count += 1;
            }
            self.of_row.push(group);
        }
    }

    fn values(&self, group: u32) -> impl Iterator<Item = &(u128, Option<Value>)> {
        let codes = self.codes.get(group as usize).map_or(&[] as &[u32], Vec::as_slice);
        self.dimensions
            .iter()
            .zip(codes)
            .filter_map(|(dimension, &code)| dimension.values.get(code as usize))
    }

    pub(crate) fn is_left_out(&self, group: u32) -> bool {
        self.without_missing && self.values(group).any(|(_, value)| value.is_none())
    }

    /// The hash of a group's values.
    pub(crate) fn hash(&self, group: u32) -> u128 {
        if self.dimensions.len() == 1 {
            return self.values(group).next().map_or(MISSING, |(hash, _)| *hash);
        }
        let bytes: Vec<u8> = self.values(group).flat_map(|(hash, _)| hash.to_le_bytes()).collect();
        XxHash3_128::oneshot(&bytes)
    }

    pub(crate) fn key(&self, group: u32) -> Vec<Option<Value>> {
        self.values(group).map(|(_, value)| value.clone()).collect()
    }
}

impl Dimension {
    fn of_tags(tags: &[Option<String>]) -> Self {
        Self::of_values(tags.len(), |at| {
            tags.get(at).cloned().flatten().map(|tag| (hash(&tag), Value::Text(tag)))
        })
    }

    /// Codes for values that are told apart by their hash.
    fn of_values(len: usize, value: impl Fn(usize) -> Option<(u128, Value)>) -> Self {
        let mut known: HashesMap<u32> = HashesMap::default();
        let mut dimension = Self { codes: Vec::with_capacity(len), values: Vec::new() };
        for at in 0..len {
            let (hash, value) =
                value(at).map_or((MISSING, None), |(hash, value)| (hash, Some(value)));
            let next = u32::try_from(dimension.values.len()).unwrap_or(u32::MAX);
            let code = *known.entry(hash).or_insert(next);
            if code == next {
                dimension.values.push((hash, value));
            }
            dimension.codes.push(code);
        }
        dimension
    }

    fn of_times(unit: &Unit, rows: &RowList, interval: Interval) -> Result<Self, QueryError> {
        let times = unit.column(place::TIME)?;
        let mut known: HashMap<i64, u32> = HashMap::new();
        let mut dimension = Self { codes: Vec::with_capacity(rows.len()), values: Vec::new() };
        // Neighbours are mostly in one bucket.
        let (mut start, mut end, mut code) = (i64::MAX, i64::MIN, 0);
        for at in 0..rows.len() {
            let time = time_at(&times, rows.row(at)).unwrap_or_default();
            if time < start || time >= end {
                start = interval.floor(millpond_record::Timestamp::from_nanos(time)).nanos();
                end = start.saturating_add(interval.nanos());
                let next = u32::try_from(dimension.values.len()).unwrap_or(u32::MAX);
                code = *known.entry(start).or_insert(next);
                if code == next {
                    let hash = XxHash3_128::oneshot(&start.to_le_bytes());
                    dimension.values.push((hash, Some(Value::Time(start))));
                }
            }
            dimension.codes.push(code);
        }
        Ok(dimension)
    }

    fn of_field(unit: &Unit, rows: &RowList, field: &Field) -> Result<Self, QueryError> {
        if *field == Field::Level {
            return Self::of_levels(unit, rows);
        }
        let values = Values::new(unit, field, rows)?;
        let (column, templates) = match values.single() {
            Some(Part::Column(column)) => (Some(column), false),
            Some(Part::Templates(column)) => (Some(column), true),
            _ => (None, false),
        };
        if let Some(Column::Dictionary(dictionary)) = column.map(|column| &**column) {
            let codes = match rows {
                RowList::All(_) => dictionary.codes.clone(),
                RowList::Some(rows) => {
                    let missing = dictionary.missing();
                    rows.iter()
                        .map(|&row| dictionary.codes.get(row as usize).copied().unwrap_or(missing))
                        .collect()
                }
            };
            let texts = dictionary.values.iter().map(Option::unwrap_or_default);
            let mut known: Vec<(u128, Option<Value>)> = if templates {
                let shown = texts.map(shown);
                shown.map(|text| (hash(&text), Some(Value::Text(text)))).collect()
            } else {
                let hashes = dictionary.hashes().iter().copied();
                hashes
                    .zip(texts)
                    .map(|(hash, text)| (hash, Some(Value::Text(text.to_owned()))))
                    .collect()
            };
            known.push((MISSING, None));
            return Ok(Self { codes, values: known });
        }
        Ok(Self::of_read(&values, rows.len()))
    }

    /// Codes for values that are read row by row; only the first of each is kept.
    fn of_read(values: &Values<'_>, len: usize) -> Self {
        let mut known: HashesMap<u32> = HashesMap::default();
        let mut dimension = Self { codes: Vec::with_capacity(len), values: Vec::new() };
        for at in 0..len {
            let hash = values.hash(at).unwrap_or(MISSING);
            let next = u32::try_from(dimension.values.len()).unwrap_or(u32::MAX);
            let code = *known.entry(hash).or_insert(next);
            if code == next {
                dimension.values.push((hash, values.value(at)));
            }
            dimension.codes.push(code);
        }
        dimension
    }

    fn of_levels(unit: &Unit, rows: &RowList) -> Result<Self, QueryError> {
        let column = unit.column(place::SEVERITY_NUMBER)?;
        let Column::Other(array) = &*column else {
            return Ok(Self { codes: Vec::new(), values: Vec::new() });
        };
        let numbers =
            arrow::array::AsArray::as_primitive::<arrow::datatypes::UInt8Type>(array).values();
        let codes = (0..rows.len()).map(|at| {
            let number = numbers.get(rows.row(at)).copied().unwrap_or_default();
            level(number) as u32
        });
        let values = millpond_record::Level::ALL
            .into_iter()
            .map(|level| (hash(level.name()), Some(Value::Text(level.name().to_owned()))));
        Ok(Self { codes: codes.collect(), values: values.collect() })
    }
}
