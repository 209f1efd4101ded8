//! What is known of the groups so far.

use std::hash::{BuildHasherDefault, Hasher};

use hashbrown::{HashMap, HashSet, HashTable, hash_table::Entry};
use millpond_query::{Field, Function, Stats};

use super::{group::Groups, numbers::Numbers};
use crate::values::{Number, Value};

/// For keys that are hashes themselves.
#[derive(Default)]
pub(crate) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    #[allow(clippy::cast_possible_truncation, reason = "any part of a hash is a hash")]
    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

pub(crate) type HashesMap<V> = HashMap<u128, V, BuildHasherDefault<AsIs>>;
type Hashes = HashSet<u128, BuildHasherDefault<AsIs>>;

/// What a function knows of all groups, by their places.
#[derive(Debug)]
pub(crate) enum States {
    Counts(Vec<u64>),
    Distinct(Vec<Distinct>),
    Sums(Vec<Sum>),
    Least(Vec<Option<Number>>),
    Greatest(Vec<Option<Number>>),
    Numbers(Vec<Numbers>),
}

#[derive(Debug, Default)]
pub(crate) struct Distinct {
    hashes: Hashes,
    /// Those of earlier passes.
    counted: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Sum {
    /// Of the whole numbers.
    whole: i128,
    /// Of the others.
    float: f64,
    floats: u64,
    count: u64,
}

impl States {
    fn new(function: &Function) -> Self {
        match function {
            Function::Count | Function::CountOf(_) | Function::Rate => Self::Counts(Vec::new()),
            Function::CountDistinct(_) => Self::Distinct(Vec::new()),
            Function::Sum(_) | Function::Avg(_) => Self::Sums(Vec::new()),
            Function::Min(_) => Self::Least(Vec::new()),
            Function::Max(_) => Self::Greatest(Vec::new()),
            Function::Percentile(..) => Self::Numbers(Vec::new()),
        }
    }

    /// One group more.
    fn push(&mut self) {
        match self {
            Self::Counts(counts) => counts.push(0),
            Self::Distinct(values) => values.push(Distinct::default()),
            Self::Sums(sums) => sums.push(Sum::default()),
            Self::Least(found) | Self::Greatest(found) => found.push(None),
            Self::Numbers(numbers) => numbers.push(Numbers::default()),
        }
    }

    pub(crate) fn add_count(&mut self, group: usize, more: u64) {
        if let Self::Counts(counts) = self
            && let Some(count) = counts.get_mut(group)
        {
            *count += more;
        }
    }

    pub(crate) fn add_hash(&mut self, group: usize, hash: u128) {
        if let Self::Distinct(values) = self
            && let Some(values) = values.get_mut(group)
        {
            values.hashes.insert(hash);
        }
    }

    pub(crate) fn add_number(&mut self, group: usize, number: Number) {
        match self {
            Self::Sums(sums) => {
                if let Some(sum) = sums.get_mut(group) {
                    sum.add(number);
                }
            }
            Self::Least(found) => {
                if let Some(least) = found.get_mut(group) {
                    *least =
                        Some(least.filter(|least| number.cmp(least).is_ge()).unwrap_or(number));
                }
            }
            Self::Greatest(found) => {
                if let Some(most) = found.get_mut(group) {
                    *most = Some(most.filter(|most| number.cmp(most).is_le()).unwrap_or(number));
                }
            }
            Self::Numbers(numbers) => {
                if let Some(numbers) = numbers.get_mut(group) {
                    numbers.add(number.float());
                }
            }
            Self::Counts(_) | Self::Distinct(_) => {}
        }
    }

    /// Adds what another worker knows; `places` are those of its groups.
    fn merge(&mut self, other: Self, places: &[usize]) {
        match (self, other) {
            (Self::Counts(counts), Self::Counts(more)) => {
                merge(counts, more, places, |count, more| *count += more);
            }
            (Self::Distinct(values), Self::Distinct(more)) => {
                merge(values, more, places, Distinct::merge);
            }
            (Self::Sums(sums), Self::Sums(more)) => {
                merge(sums, more, places, |sum, more| sum.merge(&more));
            }
            (Self::Numbers(numbers), Self::Numbers(more)) => {
                merge(numbers, more, places, Numbers::merge);
            }
            (states, Self::Least(more) | Self::Greatest(more)) => {
                for (&place, number) in places.iter().zip(more) {
                    if let Some(number) = number {
                        states.add_number(place, number);
                    }
                }
            }
            _ => {}
        }
    }

    /// The values of this pass are counted; those of others are not among them.
    fn end_pass(&mut self) {
        if let Self::Distinct(values) = self {
            for Distinct { hashes, counted } in values {
                *counted += hashes.len() as u64;
                *hashes = Hashes::default();
            }
        }
    }

    /// What they take in memory, in bytes.
    fn bytes(&self) -> usize {
        match self {
            Self::Counts(counts) => 8 * counts.capacity(),
            Self::Distinct(values) => values
                .iter()
                .map(|values| size_of::<Distinct>() + 17 * values.hashes.capacity())
                .sum(),
            Self::Sums(sums) => size_of::<Sum>() * sums.capacity(),
            Self::Least(found) | Self::Greatest(found) => {
                size_of::<Option<Number>>() * found.capacity()
            }
            Self::Numbers(numbers) => numbers.iter().map(Numbers::bytes).sum(),
        }
    }

    /// The answers of the function, one for each group; `seconds` for a rate.
    #[allow(clippy::cast_precision_loss, reason = "a rate is a float")]
    pub(crate) fn values(self, function: &Function, seconds: f64) -> Vec<Option<Value>> {
        let number = |number: Number| match (function, number) {
            (Function::Min(Field::Time) | Function::Max(Field::Time), Number::Int(nanos)) => {
                Value::Time(nanos)
            }
            (_, Number::Int(whole)) => Value::Int(whole),
            (_, Number::Float(float)) => Value::Float(float),
        };
        match self {
            Self::Counts(counts) if *function == Function::Rate => {
                counts.into_iter().map(|count| Some(Value::Float(count as f64 / seconds))).collect()
            }
            Self::Counts(counts) => counts.into_iter().map(|count| Some(whole(count))).collect(),
            Self::Distinct(values) => {
                let count = |values: Distinct| values.counted + values.hashes.len() as u64;
                values.into_iter().map(|values| Some(whole(count(values)))).collect()
            }
            Self::Sums(sums) => {
                let mean = matches!(function, Function::Avg(_));
                sums.into_iter().map(|sum| sum.value(mean)).collect()
            }
            Self::Least(found) | Self::Greatest(found) => {
                found.into_iter().map(|found| found.map(number)).collect()
            }
            Self::Numbers(numbers) => {
                let Function::Percentile(hundredths, _) = function else { return Vec::new() };
                let percentile =
                    |numbers: Numbers| numbers.percentile(*hundredths).map(Value::Float);
                numbers.into_iter().map(percentile).collect()
            }
        }
    }
}

fn merge<S>(states: &mut [S], more: Vec<S>, places: &[usize], merge: impl Fn(&mut S, S)) {
    for (&place, more) in places.iter().zip(more) {
        if let Some(state) = states.get_mut(place) {
            merge(state, more);
        }
    }
}

impl Distinct {
    fn merge(&mut self, mut more: Self) {
        if more.hashes.len() > self.hashes.len() {
            std::mem::swap(&mut self.hashes, &mut more.hashes);
        }
        self.hashes.extend(more.hashes);
        self.counted += more.counted;
    }
}

impl Sum {
    fn add(&mut self, number: Number) {
        self.count += 1;
        match number {
            Number::Int(number) => self.whole += i128::from(number),
            Number::Float(number) => {
                self.float += number;
                self.floats += 1;
            }
        }
    }

    fn merge(&mut self, more: &Self) {
        self.whole += more.whole;
        self.float += more.float;
        self.floats += more.floats;
        self.count += more.count;
    }

    /// The sum, exact if all numbers are whole, or the mean; nothing of nothing.
    #[allow(clippy::cast_precision_loss, reason = "means are floats")]
    fn value(&self, mean: bool) -> Option<Value> {
        if self.count == 0 {
            return None;
        }
        let float = self.whole as f64 + self.float;
        if mean {
            return Some(Value::Float(float / self.count as f64));
        }
        let exact = i64::try_from(self.whole).ok().filter(|_| self.floats == 0);
        Some(exact.map_or(Value::Float(float), Value::Int))
    }
}

fn whole(count: u64) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

/// The groups that a worker has met, by their places: the first is 0.
#[derive(Debug)]
pub(crate) struct Partial {
    /// How many values the key of a group has.
    pub(crate) width: usize,
    places: HashTable<u32>,
    /// The hash of each group's key.
    hashes: Vec<u128>,
    /// The keys, one behind the other.
    pub(crate) keys: Vec<Option<Value>>,
    /// For each function the states of all groups.
    pub(crate) states: Vec<States>,
    /// What the keys take beside themselves.
    key_bytes: usize,
}

impl Partial {
    pub(crate) fn new(stats: &Stats) -> Self {
        let states = stats.functions.iter().map(|column| States::new(&column.function)).collect();
        let mut partial = Self {
            width: stats.by.len(),
            places: HashTable::new(),
            keys: Vec::new(),
            hashes: Vec::new(),
            states,
            key_bytes: 0,
        };
        if partial.width == 0 {
            // One group of all, also of nothing.
            partial.place(0, std::iter::empty);
        }
        partial
    }

    /// How many groups there are.
    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Adds to the count of the one group.
    pub(crate) fn add_count(&mut self, count: usize) {
        for states in &mut self.states {
            states.add_count(0, count as u64);
        }
    }

    /// The place of a group, which is made if it is not known.
    #[allow(clippy::cast_possible_truncation, reason = "any part of a hash is a hash")]
    fn place<K>(&mut self, hash: u128, key: impl FnOnce() -> K) -> usize
    where
        K: Iterator<Item = Option<Value>>,
    {
        let hashes = &self.hashes;
        let is_it = |&place: &u32| hashes.get(place as usize) == Some(&hash);
        let hash_of = |&place: &u32| hashes.get(place as usize).map_or(0, |&hash| hash as u64);
        let place = match self.places.entry(hash as u64, is_it, hash_of) {
            Entry::Occupied(known) => return *known.get() as usize,
            Entry::Vacant(slot) => {
                let place = hashes.len();
                slot.insert(u32::try_from(place).unwrap_or(u32::MAX));
                place
            }
        };
        let start = self.keys.len();
        self.keys.extend(key());
        let texts = self.keys.iter().skip(start).flatten();
        self.key_bytes += texts.map(Value::bytes_beside).sum::<usize>();
        self.hashes.push(hash);
        self.states.iter_mut().for_each(States::push);
        place
    }

    /// The places of the groups of a unit; those that are left out have none.
    pub(crate) fn find(&mut self, groups: &Groups) -> Vec<usize> {
        if self.width == 0 {
            return vec![0];
        }
        let groups = (0_u32..).zip(&groups.counts).map(|(group, &count)| {
            if count == 0 || groups.is_left_out(group) {
                return usize::MAX;
            }
            self.place(groups.hash(group), || groups.key(group))
        });
        groups.collect()
    }

    pub(crate) fn merge(&mut self, other: Self) {
        let width = self.width;
        let mut keys = other.keys.into_iter();
        let mut places = Vec::with_capacity(other.hashes.len());
        for hash in other.hashes {
            let known = self.len();
            places.push(self.place(hash, || keys.by_ref().take(width)));
            if self.len() == known {
                keys.by_ref().take(width).for_each(drop);
            }
        }
        for (states, more) in self.states.iter_mut().zip(other.states) {
            states.merge(more, &places);
        }
    }

    /// What was found in this pass is counted.
    pub(crate) fn end_pass(&mut self) {
        self.states.iter_mut().for_each(States::end_pass);
    }

    /// What it takes in memory, about, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let key = size_of::<Option<Value>>() * self.keys.capacity() + self.key_bytes;
        let places = 5 * self.places.capacity() + 16 * self.hashes.capacity();
        // What the table makes of each group in the end.
        let values = self.len() * self.states.len() * size_of::<Option<Value>>();
        key + places + values + self.states.iter().map(States::bytes).sum::<usize>()
    }
}
