//! The members of `fields` as columns of their own where they are frequent, and back.
//!
//! A value is put into a column only if it reads back as the same text: whole numbers of 64 bits, floats as the
//! shortest text that gives them, booleans, strings. All else (null, lists, rare members, a string among numbers)
//! stays in `fields`, from which what is in columns is taken out. An object with a key that is there twice, which
//! columns could not tell apart, stays there as it is.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder, StringArray,
    StringBuilder,
};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use hashbrown::{HashMap, HashSet};
use millpond_record::json::{Reader, write_string};
use serde::{Deserialize, Serialize};

use crate::limits::{FIELD_COLUMN_ROWS_MIN, FIELD_COLUMN_SHARE, FIELD_COLUMNS_MAX, FIELD_KEYS_MAX};

/// Between the keys of a path; no key of a record has a NUL in it.
const SEPARATOR: char = '\0';

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Int,
    Float,
    Bool,
    String,
}

impl Kind {
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Bool => DataType::Boolean,
            Self::String => DataType::Utf8,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::String => "string",
        }
    }

    /// The type of a column that gives this JSON value back.
    fn of(value: &str) -> Option<Self> {
        match value.as_bytes().first()? {
            b'"' => Some(Self::String),
            b't' | b'f' => Some(Self::Bool),
            b'-' | b'0'..=b'9' => {
                if value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
                    return (value != "-0" && value.parse::<i64>().is_ok()).then_some(Self::Int);
                }
                let number = value.parse::<f64>().ok().filter(|number| number.is_finite())?;
                (zmij::Buffer::new().format(number) == value).then_some(Self::Float)
            }
            _ => None,
        }
    }
}

/// A column for one member of `fields`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct FieldColumn {
    /// Name in the file.
    pub(crate) name: String,
    /// The keys that lead to the member.
    pub(crate) path: Vec<String>,
    pub(crate) kind: Kind,
    /// Few different values: worth a dictionary.
    pub(crate) repeats: bool,
}

impl FieldColumn {
    /// The path as it is asked for.
    pub(crate) fn dotted(&self) -> String {
        self.path.join(".")
    }
}

/// `fields`, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Shredded {
    pub(crate) columns: Vec<(FieldColumn, ArrayRef)>,
    /// What is in no column.
    pub(crate) rest: StringArray,
    /// The first keys of all paths in `rest`; `None` if there are too many.
    pub(crate) rest_keys: Option<Vec<String>>,
}

/// One leaf of one row.
struct Leaf<'a> {
    row: u32,
    key: u32,
    kind: Option<Kind>,
    value: &'a str,
}

/// What is known of a path.
#[derive(Default)]
struct Key {
    path: String,
    /// One behind the last row that has it.
    seen: u32,
    counts: [u32; 4],
    /// For each kind its column, if it has one.
    columns: [Option<u32>; 4],
}

#[derive(Default)]
struct Leaves<'a> {
    keys: Vec<Key>,
    places: HashMap<String, u32>,
    leaves: Vec<Leaf<'a>>,
    /// The rows with a path that is there twice, ascending.
    doubled: Vec<u32>,
}

impl<'a> Leaves<'a> {
    fn collect(fields: &'a StringArray) -> Self {
        let mut leaves = Self::default();
        let mut path = String::new();
        for (row, text) in (0..).zip(fields) {
            if let Some(text) = text {
                leaves.object(row, text, &mut path);
            }
        }
        leaves
    }

    fn object(&mut self, row: u32, text: &'a str, path: &mut String) {
        let parent = path.len();
        for_each_member(text, |key, value| {
            path.push_str(key);
            let key = self.key(row, path);
            if is_inner(value) {
                path.push(SEPARATOR);
                self.object(row, value, path);
            } else {
                let kind = Kind::of(value);
                if let Some((kind, of_key)) = kind.zip(self.keys.get_mut(key as usize)) {
                    if let Some(count) = of_key.counts.get_mut(kind as usize) {
                        *count += 1;
                    }
                }
                self.leaves.push(Leaf { row, key, kind, value });
            }
            path.truncate(parent);
        });
    }

    fn is_doubled(&self, row: u32) -> bool {
        self.doubled.binary_search(&row).is_ok()
    }

    /// The number of a path that a row has.
    fn key(&mut self, row: u32, path: &str) -> u32 {
        if let Some(&key) = self.places.get(path) {
            if let Some(known) = self.keys.get_mut(key as usize) {
                let before = std::mem::replace(&mut known.seen, row + 1);
                if before == row + 1 && self.doubled.last() != Some(&row) {
                    self.doubled.push(row);
                }
            }
            return key;
        }
        let key = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        self.keys.push(Key { path: path.to_owned(), seen: row + 1, ..Key::default() });
        self.places.insert(path.to_owned(), key);
        key
    }

    /// Gives the most frequent paths a column each, in the order in which they first stood.
    fn choose(&mut self, rows: usize) -> Vec<FieldColumn> {
        let least = FIELD_COLUMN_ROWS_MIN.max(rows / FIELD_COLUMN_SHARE);
        let kinds = [Kind::Int, Kind::Float, Kind::Bool, Kind::String];
        let mut frequent: Vec<(u32, usize, Kind)> = Vec::new();
        for (place, key) in self.keys.iter().enumerate() {
            for (kind, &count) in kinds.into_iter().zip(&key.counts) {
                if count as usize >= least {
                    frequent.push((count, place, kind));
                }
            }
        }
        frequent
            .sort_unstable_by_key(|&(count, place, kind)| (std::cmp::Reverse(count), place, kind));
        frequent.truncate(FIELD_COLUMNS_MAX);
        let mut names: HashSet<String> = HashSet::new();
        let named: Vec<(usize, Kind, FieldColumn)> = frequent
            .into_iter()
            .filter_map(|(_, place, kind)| {
                let path: Vec<String> =
                    self.keys.get(place)?.path.split(SEPARATOR).map(str::to_owned).collect();
                let mut name = format!("fields.{}", path.join("."));
                while !names.insert(name.clone()) {
                    name = format!("{name}#{}", kind.name());
                }
                Some((place, kind, FieldColumn { name, path, kind, repeats: false }))
            })
            .collect();
        let mut columns = named;
        columns.sort_unstable_by_key(|&(place, kind, _)| (place, kind));
        let mut chosen = Vec::new();
        for (place, kind, column) in columns {
            if let Some(key) = self.keys.get_mut(place) {
                if let Some(of_kind) = key.columns.get_mut(kind as usize) {
                    *of_kind = u32::try_from(chosen.len()).ok();
                }
                chosen.push(column);
            }
        }
        chosen
    }
}

/// Whether a value is an object with members, which are leaves of their own.
fn is_inner(value: &str) -> bool {
    value.len() > 2 && value.starts_with('{')
}

fn for_each_member<'a>(text: &'a str, mut visit: impl FnMut(&str, &'a str)) {
    let mut reader = Reader::new(text);
    let mut more = reader.take(b'{') && reader.peek() != Some(b'}');
    while more {
        let Ok(key) = reader.string() else { return };
        if reader.require(b':', "`:`").is_err() {
            return;
        }
        let start = reader.offset();
        if reader.skip_value().is_err() {
            return;
        }
        visit(&key, text.get(start..reader.offset()).unwrap_or_default());
        more = reader.take(b',');
    }
}

enum Builder {
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
    String(StringBuilder, HashSet<u64>),
}

impl Builder {
    fn new(kind: Kind, rows: usize) -> Self {
        match kind {
            Kind::Int => Self::Int(Int64Builder::with_capacity(rows)),
            Kind::Float => Self::Float(Float64Builder::with_capacity(rows)),
            Kind::Bool => Self::Bool(BooleanBuilder::with_capacity(rows)),
            Kind::String => Self::String(StringBuilder::new(), HashSet::new()),
        }
    }

    fn len(&self) -> usize {
        use arrow::array::ArrayBuilder;
        match self {
            Self::Int(builder) => builder.len(),
            Self::Float(builder) => builder.len(),
            Self::Bool(builder) => builder.len(),
            Self::String(builder, _) => builder.len(),
        }
    }

    fn fill(&mut self, rows: usize) {
        let count = rows.saturating_sub(self.len());
        match self {
            Self::Int(builder) => builder.append_nulls(count),
            Self::Float(builder) => builder.append_nulls(count),
            Self::Bool(builder) => builder.append_nulls(count),
            Self::String(builder, _) => builder.append_nulls(count),
        }
    }

    /// Adds the value of a row; `false` if the row has one.
    fn push(&mut self, row: usize, value: &str) -> bool {
        if self.len() > row {
            return false;
        }
        self.fill(row);
        match self {
            Self::Int(builder) => builder.append_value(value.parse().unwrap_or_default()),
            Self::Float(builder) => builder.append_value(value.parse().unwrap_or_default()),
            Self::Bool(builder) => builder.append_value(value == "true"),
            Self::String(builder, seen) => {
                let decoded = Reader::new(value).string().unwrap_or_default();
                // Enough different ones have been seen when the set is full.
                if seen.len() < DISTINCT_COUNTED_MAX {
                    seen.insert(hash(decoded.as_bytes()));
                }
                builder.append_value(decoded);
            }
        }
        true
    }

    fn finish(self) -> (ArrayRef, bool) {
        match self {
            Self::Int(mut builder) => (Arc::new(builder.finish()), true),
            Self::Float(mut builder) => (Arc::new(builder.finish()), true),
            Self::Bool(mut builder) => (Arc::new(builder.finish()), false),
            Self::String(mut builder, seen) => {
                let array = builder.finish();
                let values = array.len() - array.null_count();
                let repeats = seen.len() < DISTINCT_COUNTED_MAX && seen.len() * 3 <= values * 2;
                (Arc::new(array), repeats)
            }
        }
    }
}

/// More different values than this are not counted.
const DISTINCT_COUNTED_MAX: usize = 64 << 10;

/// The hash of a text, the same on all machines and in all versions: it is in files.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    twox_hash::XxHash3_64::oneshot(bytes)
}

/// Takes `fields` apart.
pub(crate) fn shred(fields: &StringArray) -> Shredded {
    let rows = fields.len();
    let mut leaves = Leaves::collect(fields);
    let mut chosen = leaves.choose(rows);
    let mut builders: Vec<Builder> =
        chosen.iter().map(|column| Builder::new(column.kind, rows)).collect();
    let mut left_over: Vec<(u32, u32)> = Vec::new();
    for (place, leaf) in leaves.leaves.iter().enumerate() {
        let column = leaf
            .kind
            .zip(leaves.keys.get(leaf.key as usize))
            .filter(|_| !leaves.is_doubled(leaf.row))
            .and_then(|(kind, key)| key.columns.get(kind as usize).copied().flatten());
        let builder = column.and_then(|column| builders.get_mut(column as usize));
        if !builder.is_some_and(|builder| builder.push(leaf.row as usize, leaf.value)) {
            left_over.push((leaf.row, u32::try_from(place).unwrap_or(u32::MAX)));
        }
    }
    let (rest, rest_keys) = rest(fields, &leaves, &left_over);
    let columns = builders.into_iter().zip(&mut chosen).map(|(mut builder, column)| {
        builder.fill(rows);
        let (array, repeats) = builder.finish();
        column.repeats = repeats;
        (column.clone(), array)
    });
    Shredded { columns: columns.collect(), rest, rest_keys }
}

/// What is in no column, as objects.
fn rest(
    fields: &StringArray,
    leaves: &Leaves<'_>,
    left_over: &[(u32, u32)],
) -> (StringArray, Option<Vec<String>>) {
    let mut keys: Vec<String> = Vec::new();
    let mut builder = StringBuilder::new();
    let mut row = 0;
    for of_row in left_over.chunk_by(|a, b| a.0 == b.0) {
        let Some(&(this, _)) = of_row.first() else { continue };
        builder.append_nulls((this - row) as usize);
        row = this + 1;
        let mut object = Tree::default();
        for &(_, place) in of_row {
            let Some(leaf) = leaves.leaves.get(place as usize) else { continue };
            let Some(key) = leaves.keys.get(leaf.key as usize) else { continue };
            object.insert(key.path.split(SEPARATOR), leaf.value);
            let first = key.path.split(SEPARATOR).next().unwrap_or_default();
            if keys.len() <= FIELD_KEYS_MAX && !keys.iter().any(|known| known == first) {
                keys.push(first.to_owned());
            }
        }
        if leaves.is_doubled(this) {
            builder.append_value(fields.value(this as usize));
            continue;
        }
        let mut text = String::new();
        object.write(&mut text);
        builder.append_value(text);
    }
    builder.append_nulls(fields.len() - row as usize);
    keys.sort_unstable();
    (builder.finish(), (keys.len() <= FIELD_KEYS_MAX).then_some(keys))
}

/// An object that is put together from leaves.
#[derive(Default)]
struct Tree<'a> {
    members: Vec<(&'a str, Node<'a>)>,
}

enum Node<'a> {
    Value(&'a str),
    Object(Tree<'a>),
}

impl<'a> Tree<'a> {
    fn insert(&mut self, mut path: impl Iterator<Item = &'a str>, value: &'a str) {
        let Some(first) = path.next() else { return };
        let mut path = path.peekable();
        if path.peek().is_none() {
            self.members.push((first, Node::Value(value)));
            return;
        }
        let inner = self.members.iter_mut().find_map(|(key, node)| match node {
            Node::Object(tree) if *key == first => Some(tree),
            _ => None,
        });
        match inner {
            Some(tree) => tree.insert_rest(path, value),
            None => {
                let mut tree = Tree::default();
                tree.insert_rest(path, value);
                self.members.push((first, Node::Object(tree)));
            }
        }
    }

    /// [`Tree::insert`] behind a pointer: the type of the path would grow with each level.
    fn insert_rest(&mut self, path: impl Iterator<Item = &'a str>, value: &'a str) {
        let path: Vec<&str> = path.collect();
        let mut boxed: Box<dyn Iterator<Item = &'a str>> = Box::new(path.into_iter());
        self.insert(&mut *boxed, value);
    }

    fn write(&self, out: &mut String) {
        out.push('{');
        for (place, (key, node)) in self.members.iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            write_string(out, key);
            out.push(':');
            match node {
                Node::Value(value) => out.push_str(value),
                Node::Object(tree) => tree.write(out),
            }
        }
        out.push('}');
    }
}

/// Puts `fields` together again.
pub(crate) fn rebuild(columns: &[(&FieldColumn, ArrayRef)], rest: &StringArray) -> StringArray {
    let mut builder = StringBuilder::new();
    let mut number = zmij::Buffer::new();
    let mut path = String::new();
    for row in 0..rest.len() {
        let mut texts: Vec<(usize, String)> = Vec::new();
        for (place, (_, array)) in columns.iter().enumerate() {
            if array.is_valid(row) {
                texts.push((place, value(array, row, &mut number)));
            }
        }
        let rest = rest.is_valid(row).then(|| rest.value(row));
        if texts.is_empty() {
            builder.append_option(rest);
            continue;
        }
        let mut paths: Vec<(String, &str)> = Vec::new();
        if let Some(rest) = rest {
            paths_of(rest, &mut path, &mut paths);
        }
        let mut object = Tree::default();
        for (place, text) in &texts {
            if let Some((column, _)) = columns.get(*place) {
                object.insert(column.path.iter().map(String::as_str), text);
            }
        }
        for (path, value) in &paths {
            object.insert(path.split(SEPARATOR), value);
        }
        let mut text = String::new();
        object.write(&mut text);
        builder.append_value(text);
    }
    builder.finish()
}

fn paths_of<'a>(text: &'a str, path: &mut String, paths: &mut Vec<(String, &'a str)>) {
    let parent = path.len();
    for_each_member(text, |key, value| {
        path.push_str(key);
        if is_inner(value) {
            path.push(SEPARATOR);
            paths_of(value, path, paths);
        } else {
            paths.push((path.clone(), value));
        }
        path.truncate(parent);
    });
}

/// A value of a column as JSON.
fn value(array: &ArrayRef, row: usize, number: &mut zmij::Buffer) -> String {
    match array.data_type() {
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float64 => {
            number.format(array.as_primitive::<Float64Type>().value(row)).to_owned()
        }
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        _ => {
            let mut text = String::new();
            write_string(&mut text, string_at(array, row));
            text
        }
    }
}

/// A string of an array of strings, which may have a dictionary.
pub(crate) fn string_at(array: &ArrayRef, row: usize) -> &str {
    if let Some(dictionary) = array.as_dictionary_opt::<arrow::datatypes::Int32Type>() {
        let key = usize::try_from(dictionary.keys().value(row)).unwrap_or_default();
        return dictionary.values().as_string::<i32>().value(key);
    }
    array.as_string::<i32>().value(row)
}
