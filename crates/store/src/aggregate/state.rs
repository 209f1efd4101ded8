//! What is known of the groups so far.

use std::hash::{BuildHasherDefault, Hasher};

use hashbrown::{HashMap, HashSet};
use millpond_query::{Field, Function, Stats};

use super::group::Groups;
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

/// What a function knows of one group.
#[derive(Debug)]
pub(crate) enum State {
    Count(u64),
    Distinct(Hashes),
    /// Sum of the whole numbers, of the others, and how many there were.
    Sum {
        whole: i128,
        float: f64,
        floats: u64,
        count: u64,
    },
    Least(Option<Number>),
    Greatest(Option<Number>),
    Numbers(Vec<f64>),
}

impl State {
    fn new(function: &Function) -> Self {
        match function {
            Function::Count | Function::CountOf(_) | Function::Rate => Self::Count(0),
            Function::CountDistinct(_) => Self::Distinct(Hashes::default()),
            Function::Sum(_) | Function::Avg(_) => {
                Self::Sum { whole: 0, float: 0.0, floats: 0, count: 0 }
            }
            Function::Min(_) => Self::Least(None),
            Function::Max(_) => Self::Greatest(None),
            Function::Percentile(..) => Self::Numbers(Vec::new()),
        }
    }

    pub(crate) fn add_count(&mut self, more: u64) {
        if let Self::Count(count) = self {
            *count += more;
        }
    }

    pub(crate) fn add_hash(&mut self, hash: u128) {
        if let Self::Distinct(hashes) = self {
            hashes.insert(hash);
        }
    }

    pub(crate) fn add_number(&mut self, number: Number) {
        match self {
            Self::Sum { whole, float, floats, count } => {
                *count += 1;
                match number {
                    Number::Int(number) => *whole += i128::from(number),
                    Number::Float(number) => {
                        *float += number;
                        *floats += 1;
                    }
                }
            }
            Self::Least(least) => {
                if least.is_none_or(|least| number.cmp(&least).is_lt()) {
                    *least = Some(number);
                }
            }
            Self::Greatest(greatest) => {
                if greatest.is_none_or(|greatest| number.cmp(&greatest).is_gt()) {
                    *greatest = Some(number);
                }
            }
            Self::Numbers(numbers) => numbers.push(number.float()),
            Self::Count(_) | Self::Distinct(_) => {}
        }
    }

    fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Count(count), Self::Count(more)) => *count += more,
            (Self::Distinct(hashes), Self::Distinct(mut more)) => {
                if more.len() > hashes.len() {
                    std::mem::swap(hashes, &mut more);
                }
                hashes.extend(more);
            }
            (
                Self::Sum { whole, float, floats, count },
                Self::Sum {
                    whole: more_whole,
                    float: more_float,
                    floats: more_floats,
                    count: more,
                },
            ) => {
                *whole += more_whole;
                *float += more_float;
                *floats += more_floats;
                *count += more;
            }
            (Self::Numbers(numbers), Self::Numbers(more)) => numbers.extend(more),
            (
                state @ (Self::Least(_) | Self::Greatest(_)),
                Self::Least(Some(number)) | Self::Greatest(Some(number)),
            ) => {
                state.add_number(number);
            }
            _ => {}
        }
    }

    /// What it holds beside itself, in bytes.
    fn bytes(&self) -> usize {
        match self {
            Self::Distinct(hashes) => 17 * hashes.capacity(),
            Self::Numbers(numbers) => 8 * numbers.capacity(),
            _ => 0,
        }
    }

    /// The answer of the function; `seconds` for a rate.
    #[allow(clippy::cast_precision_loss, reason = "means are floats")]
    pub(crate) fn value(&mut self, function: &Function, seconds: f64) -> Option<Value> {
        let number = |number: Number| match (function, number) {
            (Function::Min(Field::Time) | Function::Max(Field::Time), Number::Int(nanos)) => {
                Value::Time(nanos)
            }
            (_, Number::Int(whole)) => Value::Int(whole),
            (_, Number::Float(float)) => Value::Float(float),
        };
        match self {
            Self::Count(count) if *function == Function::Rate => {
                Some(Value::Float(*count as f64 / seconds))
            }
            Self::Count(count) => Some(whole(*count)),
            Self::Distinct(hashes) => Some(whole(hashes.len() as u64)),
            Self::Sum { count: 0, .. } => None,
            Self::Sum { whole, float, floats, count } => {
                if matches!(function, Function::Avg(_)) {
                    return Some(Value::Float((*whole as f64 + *float) / *count as f64));
                }
                let exact = i64::try_from(*whole).ok().filter(|_| *floats == 0);
                Some(exact.map_or_else(|| Value::Float(*whole as f64 + *float), Value::Int))
            }
            Self::Least(found) | Self::Greatest(found) => found.map(number),
            Self::Numbers(numbers) => {
                let Function::Percentile(hundredths, _) = function else { return None };
                percentile(numbers, *hundredths).map(Value::Float)
            }
        }
    }
}

fn whole(count: u64) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

/// The percentile, interpolated between the two nearest values.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place among fewer values than floats are exact for"
)]
pub(crate) fn percentile(numbers: &mut [f64], hundredths: u16) -> Option<f64> {
    let last = numbers.len().checked_sub(1)?;
    let place = f64::from(hundredths) / 10_000.0 * last as f64;
    let (_, &mut low, above) =
        numbers.select_nth_unstable_by(place.floor() as usize, f64::total_cmp);
    let high = if place.fract() > 0.0 {
        above.iter().copied().min_by(f64::total_cmp).unwrap_or(low)
    } else {
        low
    };
    Some((high - low).mul_add(place.fract(), low))
}

/// The groups that a worker has met.
#[derive(Debug)]
pub(crate) struct Partial {
    functions: Vec<Function>,
    grouped: bool,
    places: HashesMap<usize>,
    pub(crate) keys: Vec<Vec<Option<Value>>>,
    hashes: Vec<u128>,
    /// For each function the states of all groups.
    pub(crate) states: Vec<Vec<State>>,
    key_bytes: usize,
}

impl Partial {
    pub(crate) fn new(stats: &Stats) -> Self {
        let functions: Vec<Function> =
            stats.functions.iter().map(|column| column.function.clone()).collect();
        let states = functions.iter().map(|_| Vec::new()).collect();
        let mut partial = Self {
            functions,
            grouped: !stats.by.is_empty(),
            places: HashesMap::default(),
            keys: Vec::new(),
            hashes: Vec::new(),
            states,
            key_bytes: 0,
        };
        if !partial.grouped {
            // One group of all, also of nothing.
            partial.place(0, Vec::new);
        }
        partial
    }

    /// Adds to the count of the one group.
    pub(crate) fn add_count(&mut self, count: usize) {
        for states in &mut self.states {
            if let Some(state) = states.first_mut() {
                state.add_count(count as u64);
            }
        }
    }

    /// The place of a group, which is made if it is not known.
    fn place(&mut self, hash: u128, key: impl FnOnce() -> Vec<Option<Value>>) -> usize {
        if let Some(&place) = self.places.get(&hash) {
            return place;
        }
        let place = self.keys.len();
        let key = key();
        self.key_bytes += key.iter().flatten().map(|value| value.text().len()).sum::<usize>();
        self.keys.push(key);
        self.hashes.push(hash);
        self.places.insert(hash, place);
        for (states, function) in self.states.iter_mut().zip(&self.functions) {
            states.push(State::new(function));
        }
        place
    }

    /// The places of the groups of a unit; those that are left out have none.
    pub(crate) fn find(&mut self, groups: &Groups) -> Vec<usize> {
        if !self.grouped {
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

    /// The states of a function.
    pub(crate) fn of(&mut self, function: usize) -> &mut [State] {
        self.states.get_mut(function).map_or(&mut [], Vec::as_mut_slice)
    }

    pub(crate) fn merge(&mut self, other: Self) {
        let places: Vec<usize> = other
            .keys
            .into_iter()
            .zip(other.hashes)
            .map(|(key, hash)| self.place(hash, || key))
            .collect();
        for (states, more) in self.states.iter_mut().zip(other.states) {
            for (place, state) in places.iter().zip(more) {
                if let Some(known) = states.get_mut(*place) {
                    known.merge(state);
                }
            }
        }
    }

    /// What it takes in memory, about, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let fixed = 64 + self.functions.len() * size_of::<State>();
        let held: usize = self.states.iter().flatten().map(State::bytes).sum();
        self.keys.len() * fixed + self.key_bytes + held
    }
}
