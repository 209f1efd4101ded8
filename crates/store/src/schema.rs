//! The columns of a stored record: in memory, in Parquet, and in answers. Derived from the record's attributes.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use millpond_record::TextAttribute;

/// Names of the columns that are no text attributes.
pub mod column {
    /// Place in the order of storing, unique in the store.
    pub const SEQUENCE: &str = "sequence";
    /// Event time.
    pub const TIME: &str = "time";
    /// Time of arrival.
    pub const OBSERVED_TIME: &str = "observed_time";
    /// OpenTelemetry severity number.
    pub const SEVERITY_NUMBER: &str = "severity_number";
    /// Name of the level; follows from the severity number, there for people who open the files.
    pub const LEVEL: &str = "level";
    /// Step of a flow.
    pub const STEP_INDEX: &str = "step_index";
    /// Tags.
    pub const TAGS: &str = "tags";
    /// Exception as JSON.
    pub const EXCEPTION: &str = "exception";
    /// Fields as JSON; in a file, those of them that have no column of their own.
    pub const FIELDS: &str = "fields";
    /// Template of the message; only in files.
    pub const TEMPLATE: &str = "template";
}

/// Places of the columns in [`schema`]; the text attributes start at [`place::TEXTS`].
pub(crate) mod place {
    pub(crate) const SEQUENCE: usize = 0;
    pub(crate) const TIME: usize = 1;
    pub(crate) const OBSERVED_TIME: usize = 2;
    pub(crate) const SEVERITY_NUMBER: usize = 3;
    // 4 is the level, which is never read back: it follows from the severity number.
    pub(crate) const TEXTS: usize = 5;
    pub(crate) const MESSAGE: usize = TEXTS + super::TextAttribute::Message as usize;
    pub(crate) const STEP_INDEX: usize = TEXTS + super::TextAttribute::ALL.len();
    pub(crate) const TAGS: usize = STEP_INDEX + 1;
    pub(crate) const EXCEPTION: usize = STEP_INDEX + 2;
    pub(crate) const FIELDS: usize = STEP_INDEX + 3;
    /// In files and layouts only, and behind it the columns of members of `fields`.
    pub(crate) const TEMPLATE: usize = FIELDS + 1;
}

/// Nanoseconds in UTC.
pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

/// The item field of the tags list.
pub(crate) fn tag_field() -> Field {
    Field::new("item", DataType::Utf8, false)
}

/// The columns of a stored record, in their order.
pub fn schema() -> &'static SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let mut fields = vec![
            Field::new(column::SEQUENCE, DataType::UInt64, false),
            Field::new(column::TIME, time_type(), false),
            Field::new(column::OBSERVED_TIME, time_type(), false),
            Field::new(column::SEVERITY_NUMBER, DataType::UInt8, false),
            Field::new(column::LEVEL, DataType::Utf8, false),
        ];
        fields.extend(TextAttribute::ALL.map(|attribute| {
            let always = matches!(attribute, TextAttribute::Service | TextAttribute::Message);
            Field::new(attribute.name(), DataType::Utf8, !always)
        }));
        fields.extend([
            Field::new(column::STEP_INDEX, DataType::UInt32, true),
            Field::new(column::TAGS, DataType::List(Arc::new(tag_field())), true),
            Field::new(column::EXCEPTION, DataType::Utf8, true),
            Field::new(column::FIELDS, DataType::Utf8, true),
        ]);
        Arc::new(Schema::new(fields))
    });
    &SCHEMA
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_names_its_column() {
        for (place, name) in [
            (place::SEQUENCE, column::SEQUENCE),
            (place::TIME, column::TIME),
            (place::OBSERVED_TIME, column::OBSERVED_TIME),
            (place::SEVERITY_NUMBER, column::SEVERITY_NUMBER),
            (place::TEXTS, "service"),
            (place::TEXTS + 1, "message"),
            (place::STEP_INDEX, column::STEP_INDEX),
            (place::TAGS, column::TAGS),
            (place::EXCEPTION, column::EXCEPTION),
            (place::FIELDS, column::FIELDS),
        ] {
            assert_eq!(schema().field(place).name(), name);
        }
        assert_eq!(schema().fields().len(), place::FIELDS + 1);
    }
}
