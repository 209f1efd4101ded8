//! The names of a record's attributes, in one table. JSON keys, store columns, query fields and documentation
//! derive from it.

/// An attribute whose value is a string. The discriminant is its place in [`crate::LogRecord`] and in the store's
/// schema, so new ones go to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum TextAttribute {
    /// The service that wrote the record (`service.name`).
    Service,
    /// The human readable message (`body`).
    Message,
    /// Deployment environment, such as `production` (`deployment.environment.name`).
    Environment,
    /// Host name (`host.name`).
    Host,
    /// Version of the service (`service.version`).
    Version,
    /// Name of the logger inside the service (`otel.scope.name`).
    Logger,
    /// W3C trace id: any string, normally 32 lower-case hex digits.
    TraceId,
    /// W3C span id: any string, normally 16 lower-case hex digits.
    SpanId,
    /// Correlation id of one request.
    RequestId,
    /// Session of the user (`session.id`).
    SessionId,
    /// The user (`user.id`).
    UserId,
    /// The flow, a named multi-step process, that the record is a step of.
    FlowId,
    /// Name of the dataset that the record belongs to.
    Dataset,
}

impl TextAttribute {
    /// All text attributes, in the order of their discriminants.
    pub const ALL: [Self; 13] = [
        Self::Service,
        Self::Message,
        Self::Environment,
        Self::Host,
        Self::Version,
        Self::Logger,
        Self::TraceId,
        Self::SpanId,
        Self::RequestId,
        Self::SessionId,
        Self::UserId,
        Self::FlowId,
        Self::Dataset,
    ];

    /// The one name of the attribute: JSON key, column, query field.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Message => "message",
            Self::Environment => "environment",
            Self::Host => "host",
            Self::Version => "version",
            Self::Logger => "logger",
            Self::TraceId => "trace_id",
            Self::SpanId => "span_id",
            Self::RequestId => "request_id",
            Self::SessionId => "session_id",
            Self::UserId => "user_id",
            Self::FlowId => "flow_id",
            Self::Dataset => "dataset",
        }
    }
}

impl TextAttribute {
    /// The attribute with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "service" => Self::Service,
            "message" => Self::Message,
            "environment" => Self::Environment,
            "host" => Self::Host,
            "version" => Self::Version,
            "logger" => Self::Logger,
            "trace_id" => Self::TraceId,
            "span_id" => Self::SpanId,
            "request_id" => Self::RequestId,
            "session_id" => Self::SessionId,
            "user_id" => Self::UserId,
            "flow_id" => Self::FlowId,
            "dataset" => Self::Dataset,
            _ => return None,
        })
    }

    /// Whether it says for whom or for what the service was at work. A field of its name that is given with a log call
    /// means the attribute.
    #[must_use]
    pub const fn is_context(self) -> bool {
        matches!(
            self,
            Self::TraceId
                | Self::SpanId
                | Self::RequestId
                | Self::SessionId
                | Self::UserId
                | Self::FlowId
        )
    }
}

/// What a top-level key of a record means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKey {
    /// Event time.
    Time,
    /// Time at which the record was first seen by a collector.
    ObservedTime,
    /// Level by name or number.
    Level,
    /// OpenTelemetry severity number, 1 to 24.
    SeverityNumber,
    /// A string attribute.
    Text(TextAttribute),
    /// Place of the record in its flow, from 0.
    StepIndex,
    /// List of strings.
    Tags,
    /// Structured exception.
    Exception,
    /// An object whose members are the record's fields.
    Fields,
}

impl RecordKey {
    /// The meaning of a top-level key, its synonyms included; `None` means that the key is a field of the record.
    #[must_use]
    pub fn of(key: &str) -> Option<Self> {
        use TextAttribute as T;
        Some(match key {
            "time" | "timestamp" | "@timestamp" => Self::Time,
            "observed_time" => Self::ObservedTime,
            "level" | "severity" | "severity_text" => Self::Level,
            "severity_number" => Self::SeverityNumber,
            "service.name" => Self::Text(T::Service),
            "msg" => Self::Text(T::Message),
            "env" => Self::Text(T::Environment),
            "hostname" => Self::Text(T::Host),
            "step_index" => Self::StepIndex,
            "tags" => Self::Tags,
            "exception" => Self::Exception,
            "fields" | "metadata" | "attributes" => Self::Fields,
            _ => return T::named(key).map(Self::Text),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_attribute_is_found_by_its_name_and_stands_at_its_place() {
        for (place, attribute) in TextAttribute::ALL.into_iter().enumerate() {
            assert_eq!(attribute as usize, place);
            assert_eq!(TextAttribute::named(attribute.name()), Some(attribute));
            assert_eq!(RecordKey::of(attribute.name()), Some(RecordKey::Text(attribute)));
        }
    }
}
