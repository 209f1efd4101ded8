//! Counts records in groups.
//!
//! Each worker folds units into a [`Partial`]; these are merged, sorted and written as columns. Within a unit a group
//! is a small number, made of the codes that its columns have anyway; only across units groups are told apart by the
//! hashes of their values.

mod group;
mod memory;
mod numbers;
mod state;
mod table;

use std::sync::Arc;

use arrow::array::Array;
use millpond_query::{Field, Function, Group};

pub(crate) use self::memory::Memory;
use self::{
    group::Groups,
    memory::Reserved,
    state::{Partial, States},
};
use crate::{
    Aggregate, Answer, QueryError,
    bitmap::places,
    cache::Cache,
    columns::{Column, hash},
    engine::Snapshot,
    limits::{PASSES_FACTOR, PASSES_MAX},
    matches::Node,
    parallel::{self, Cancelled},
    rows::within,
    schema::place,
    select::Selector,
    unit::{Reading, Unit, Units, add},
    values::{Number, Part, RowList, Values, tags},
};

/// Counts what a request asks for. Different values that are too many for the memory are counted in several passes, each
/// a share of them.
pub(crate) fn aggregate(
    snapshot: &Snapshot,
    cache: &Arc<Cache>,
    memory: &Memory,
    request: &Aggregate,
    cancelled: &Cancelled,
) -> Result<Answer, QueryError> {
    let node = Node::new(&request.filter)?;
    let seconds = table::seconds(request)?;
    let units = Units::of(snapshot, cache, request.range, None)?;
    let reading = Reading::default();
    let functions = &request.stats.functions;
    let is_distinct = |function: &Function| matches!(function, Function::CountDistinct(_));
    let can_be_shared = functions.iter().any(|column| is_distinct(&column.function));
    let mut passes = 1;
    let (whole, _reserved) = loop {
        let count = |pass| Counting { node: &node, request, reading: &reading, pass, passes };
        match in_passes(&units, memory, cancelled, passes, count) {
            Err(QueryError::OutOfMemory { .. }) if can_be_shared && passes < PASSES_MAX => {
                passes *= PASSES_FACTOR;
            }
            counted => break counted?,
        }
    };
    let rows = table::table(whole, request, seconds)?;
    Ok(Answer { rows, explain: reading.explain(&units), damaged: units.damaged, cut: false })
}

/// Counts all units as often as there are passes, and puts together what these found.
fn in_passes<'a, 'm>(
    units: &Units,
    memory: &'m Memory,
    cancelled: &Cancelled,
    passes: u32,
    count: impl Fn(u32) -> Counting<'a>,
) -> Result<(Partial, Reserved<'m>), QueryError> {
    let mut reserved = memory.reserved();
    let mut whole = Partial::new(&count(0).request.stats);
    for pass in 0..passes {
        let count = count(pass);
        let start = || (Partial::new(&count.request.stats), memory.reserved());
        let fold = |(partial, reserved): &mut (Partial, Reserved<'_>), _, unit: &Unit| {
            count.unit(partial, unit)?;
            reserved.set(partial.bytes())
        };
        for (part, of_part) in parallel::fold(cancelled, &units.units, start, fold)? {
            whole.merge(part);
            drop(of_part);
            reserved.set(whole.bytes())?;
        }
        whole.end_pass();
        reserved.set(whole.bytes())?;
    }
    Ok((whole, reserved))
}

struct Counting<'a> {
    node: &'a Node,
    request: &'a Aggregate,
    reading: &'a Reading,
    /// Of how many passes which one this is. The first one counts all but different values.
    pass: u32,
    passes: u32,
}

impl Counting<'_> {
    /// Adds the records of a unit.
    fn unit(&self, partial: &mut Partial, unit: &Unit) -> Result<(), QueryError> {
        let stats = &self.request.stats;
        let only_counts = stats.by.is_empty()
            && stats
                .functions
                .iter()
                .all(|column| matches!(column.function, Function::Count | Function::Rate));
        let whole = self.request.range.contains(unit.time_min)
            && self.request.range.contains(unit.time_max);
        if only_counts && whole && matches!(self.node, Node::All) {
            partial.add_count(unit.rows);
            return Ok(());
        }
        add(&self.reading.units, 1);
        let within = within(unit, self.request.range)?;
        let selected = Selector { unit, reading: self.reading }.select(self.node, within)?;
        let count = selected.count_set_bits();
        if count == 0 {
            return Ok(());
        }
        if only_counts {
            partial.add_count(count);
            return Ok(());
        }
        let rows =
            if count == unit.rows { RowList::All(count) } else { RowList::Some(places(&selected)) };
        let groups = Groups::new(unit, &stats.by, rows, stats.without_missing)?;
        let globals = partial.find(&groups);
        for (function, column) in stats.functions.iter().enumerate() {
            if let Some(states) = partial.states.get_mut(function) {
                self.apply(&column.function, unit, &groups, states, &globals)?;
            }
        }
        Ok(())
    }

    /// Adds the rows of a unit to the states of one function.
    fn apply(
        &self,
        function: &Function,
        unit: &Unit,
        groups: &Groups,
        states: &mut States,
        globals: &[usize],
    ) -> Result<(), QueryError> {
        // A group of this unit that is left out has no place among the states.
        let place = |group: u32| globals.get(group as usize).copied().unwrap_or(usize::MAX);
        if self.pass > 0 && !matches!(function, Function::CountDistinct(_)) {
            return Ok(());
        }
        match function {
            Function::Count | Function::Rate => {
                for (&place, &count) in globals.iter().zip(&groups.counts) {
                    states.add_count(place, count);
                }
            }
            Function::CountOf(Field::Tags) => {
                let tagged = unit.column(place::TAGS)?.valid();
                for (at, &group) in groups.of_row.iter().enumerate() {
                    if tagged.value(groups.rows.row(at)) {
                        states.add_count(place(group), 1);
                    }
                }
            }
            Function::CountOf(field) => {
                let values = Values::new(unit, field, &groups.rows)?;
                for (at, &group) in groups.of_row.iter().enumerate() {
                    if values.hash(at).is_some() {
                        states.add_count(place(group), 1);
                    }
                }
            }
            Function::CountDistinct(field) => {
                distinct(unit, field, groups, &mut |group, hash| {
                    if self.has(hash) {
                        states.add_hash(place(group), hash);
                    }
                })?;
            }
            Function::Sum(field)
            | Function::Avg(field)
            | Function::Min(field)
            | Function::Max(field)
            | Function::Percentile(_, field) => {
                numbers(unit, field, groups, &mut |group, number| {
                    states.add_number(place(group), number);
                })?;
            }
        }
        Ok(())
    }

    /// Whether a value is of this pass's share.
    #[allow(clippy::cast_possible_truncation, reason = "any part of a hash is a hash")]
    fn has(&self, hash: u128) -> bool {
        (hash >> 96) as u32 % self.passes == self.pass
    }
}

fn numbers(
    unit: &Unit,
    field: &Field,
    groups: &Groups,
    visit: &mut impl FnMut(u32, Number),
) -> Result<(), QueryError> {
    let values = Values::new(unit, field, &groups.rows)?;
    if let (Some(Part::Column(column)), RowList::All(_)) = (values.single(), &groups.rows)
        && let Column::Int(array) = &**column
    {
        let valid = column.valid();
        let numbers = array.values();
        for row in valid.set_indices() {
            if let (Some(&number), Some(&group)) = (numbers.get(row), groups.of_row.get(row)) {
                visit(group, Number::Int(number));
            }
        }
        return Ok(());
    }
    for (at, &group) in groups.of_row.iter().enumerate() {
        if let Some(number) = values.number(at) {
            visit(group, number);
        }
    }
    Ok(())
}

fn distinct(
    unit: &Unit,
    field: &Field,
    groups: &Groups,
    visit: &mut impl FnMut(u32, u128),
) -> Result<(), QueryError> {
    if *field == Field::Tags {
        for (at, tag) in tags(unit, &groups.rows)? {
            if let (Some(tag), Some(&group)) = (tag, groups.of_row.get(at)) {
                visit(group, hash(&tag));
            }
        }
        return Ok(());
    }
    let rows = &groups.rows;
    let values = Values::new(unit, field, rows)?;
    let dictionary = match values.single() {
        Some(Part::Column(column)) => match &**column {
            Column::Dictionary(dictionary) => Some(dictionary),
            _ => None,
        },
        _ => None,
    };
    let combinations = dictionary.map_or(usize::MAX, |dictionary| {
        dictionary.values.len().saturating_mul(groups.counts.len())
    });
    if let Some(dictionary) = dictionary.filter(|_| combinations < 1 << 22) {
        let mut seen = vec![false; combinations];
        let hashes = dictionary.hashes();
        for (at, &group) in groups.of_row.iter().enumerate() {
            let Some(&code) = dictionary.codes.get(rows.row(at)) else { continue };
            let Some(&hash) = hashes.get(code as usize) else { continue };
            let place = group as usize * hashes.len() + code as usize;
            if let Some(seen) = seen.get_mut(place).filter(|seen| !**seen) {
                *seen = true;
                visit(group, hash);
            }
        }
        return Ok(());
    }
    for (at, &group) in groups.of_row.iter().enumerate() {
        if let Some(hash) = values.hash(at) {
            visit(group, hash);
        }
    }
    Ok(())
}

/// Whether a group is one of times.
pub(crate) fn width_nanos(by: &[Group]) -> Option<i64> {
    by.iter().find_map(|group| match group {
        Group::Bin(interval) => Some(interval.nanos()),
        Group::Field(_) => None,
    })
}
