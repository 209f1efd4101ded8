//! Where the columns of members of `fields`, read one by one, don't tell what a record has at a path.
//!
//! An object at the path may be spread over columns and what is in none; and in what is in none may be a longer key,
//! which goes before a nested member that has a column. These rows are asked with their `fields` put together again.

use arrow::{
    array::{ArrayRef, AsArray, StringArray},
    buffer::BooleanBuffer,
};

use crate::{
    QueryError, bitmap::places, schema::place, select::columns_of, shred::FieldColumn, unit::Unit,
};

/// Some rows of a unit with their whole `fields`.
pub(crate) struct Contested {
    pub(crate) rows: Vec<u32>,
    pub(crate) fields: ArrayRef,
}

impl Contested {
    /// The rows of `within` of which the columns don't tell; `None` if there are none, as is mostly so.
    pub(crate) fn of(
        unit: &Unit,
        path: &str,
        within: &BooleanBuffer,
    ) -> Result<Option<Self>, QueryError> {
        let mut contested = BooleanBuffer::new_unset(within.len());
        for (column, place) in &unit.layout().fields {
            if is_inside(column, path) && !unit.is_empty(*place) {
                contested = &contested | &unit.column(*place)?.valid();
            }
        }
        if rest_may_go_before(unit, path) {
            contested = &contested | &unit.column(place::FIELDS)?.valid();
        }
        let rows = places(&(&contested & within));
        if rows.is_empty() {
            return Ok(None);
        }
        let read = unit.read(&[place::FIELDS], Some(&rows))?;
        let fields = read.columns().first().cloned();
        Ok(fields.map(|fields| Self { rows, fields }))
    }

    pub(crate) fn texts(&self) -> &StringArray {
        self.fields.as_string::<i32>()
    }

    /// The `fields` at the places of their rows, among as many rows as the unit has.
    pub(crate) fn spread(&self, rows: usize) -> StringArray {
        let mut texts = self.rows.iter().zip(self.texts()).peekable();
        (0..rows)
            .map(|row| {
                texts.next_if(|(of_row, _)| **of_row as usize == row).and_then(|(_, text)| text)
            })
            .collect()
    }
}

/// Whether a column is of a member of an object at the path.
fn is_inside(column: &FieldColumn, path: &str) -> bool {
    let mut left = Some(path);
    for key in &column.path {
        let Some(path) = left else { return true };
        let Some(behind) = path.strip_prefix(key.as_str()) else { return false };
        left = behind.strip_prefix('.');
        if left.is_none() && !behind.is_empty() {
            return false;
        }
    }
    false
}

/// Whether what is in no column may have a longer key on the way to the path than one of the columns.
fn rest_may_go_before(unit: &Unit, path: &str) -> bool {
    if unit.is_empty(place::FIELDS) {
        return false;
    }
    let keys = unit.layout().rest_keys.as_deref();
    columns_of(unit, path).iter().any(|(column, place)| {
        let Some(first) = column.path.first().filter(|_| column.path.len() > 1) else {
            return false;
        };
        !unit.is_empty(*place)
            && keys.is_none_or(|keys| {
                keys.iter().any(|key| {
                    let longer = key.len() > first.len() && leads_to(key, path);
                    longer || (key == first && column.path.len() > 2)
                })
            })
    })
}

/// Whether a key is the path or the start of it.
pub(crate) fn leads_to(key: &str, path: &str) -> bool {
    path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
