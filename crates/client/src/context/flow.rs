//! Flows: named processes of several steps, each of which is a record that says which step of which flow it is.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use millpond_record::{
    Level, Severity, flow_id, flow_name,
    json::{Object, Reader, Scalar, write_string},
};
use millpond_wire::FLOWS_PATH;

use crate::{
    Client, Event, LineWriter, TextAttribute, delivery::transport::Transport,
    diagnostics::as_own_thread, engine::Settings, random,
};

/// A process of several steps.
///
/// ```
/// # let client = millpond::Client::builder().mode(millpond::Mode::Silent).build()?;
/// let flow = client.flow("checkout");
/// flow.info("cart checked").field("items", 3).send(); // step 0
/// flow.step("payment taken").step("order placed"); // steps 1 and 2
/// # Ok::<(), millpond::BuildError>(())
/// ```
///
/// Clones are the same flow; it may be logged to from several threads. A record gets its step last of all: one that
/// is below the least level or filtered out takes none, so that **a gap in a flow is a record that was lost**.
#[derive(Clone, Debug)]
pub struct Flow {
    client: Client,
    id: Arc<str>,
    steps: Arc<AtomicU32>,
}

/// The server did not make a flow.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlowError {
    /// No answer came.
    #[error("ask the server for flow `{name}`: no answer")]
    Unreachable {
        /// The name that was asked for.
        name: String,
        /// Why not.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The server said no.
    #[error("ask the server for flow `{name}`: it answered {status} `{answer}`")]
    Refused {
        /// The name that was asked for.
        name: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        answer: String,
    },
    /// What came back is no flow.
    #[error("ask the server for flow `{name}`: no `flow_id` in its answer `{answer}`")]
    Answer {
        /// The name that was asked for.
        name: String,
        /// The beginning of what it said.
        answer: String,
    },
}

impl Flow {
    pub(crate) fn new(client: &Client, id: String, next_step: u32) -> Self {
        Self { client: client.clone(), id: id.into(), steps: Arc::new(AtomicU32::new(next_step)) }
    }

    pub(crate) fn begin(client: &Client, name: &str) -> Self {
        Self::new(client, flow_id(name, random::bytes()), 0)
    }

    pub(crate) fn ask(client: &Client, settings: &Settings, name: &str) -> Result<Self, FlowError> {
        let mut body = String::from("{\"name\":");
        write_string(&mut body, name);
        body.push('}');
        // What the HTTP library logs about it is about our work.
        let answered =
            as_own_thread(|| Transport::new(settings).post_json(settings, FLOWS_PATH, &body));
        let name = || name.to_owned();
        let (status, answer) = answered
            .map_err(|source| FlowError::Unreachable { name: name(), source: source.into() })?;
        let beginning = || answer.chars().take(200).collect();
        if !(200..300).contains(&status) {
            return Err(FlowError::Refused { name: name(), status, answer: beginning() });
        }
        match id_of(&answer) {
            Some(id) => Ok(Self::new(client, id, 0)),
            None => Err(FlowError::Answer { name: name(), answer: beginning() }),
        }
    }

    /// The id, to hand to whoever goes on with the flow: see [`Client::resume_flow`].
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The name, without the random part of the id.
    #[must_use]
    pub fn name(&self) -> &str {
        flow_name(&self.id)
    }

    /// The step that the next record will be.
    #[must_use]
    pub fn next_step(&self) -> u32 {
        self.steps.load(Ordering::Relaxed)
    }

    /// Makes a record the next step of this flow, unless it belongs to a flow already: for bindings, which write whole
    /// records.
    pub fn write(&self, line: &mut LineWriter<'_>) {
        if !line.has_text(TextAttribute::FlowId) {
            line.text(TextAttribute::FlowId, &self.id);
            line.step_of(&self.steps);
        }
    }

    /// Begins a record of this flow, of any level.
    pub fn log(&self, level: impl Into<Severity>, message: impl AsRef<str>) -> Event<'_> {
        self.client.log(level, message).step_of(&self.id, &self.steps)
    }

    /// Begins a record of level `trace`.
    pub fn trace(&self, message: impl AsRef<str>) -> Event<'_> {
        self.log(Level::Trace, message)
    }

    /// Begins a record of level `debug`.
    pub fn debug(&self, message: impl AsRef<str>) -> Event<'_> {
        self.log(Level::Debug, message)
    }

    /// Begins a record of level `info`.
    pub fn info(&self, message: impl AsRef<str>) -> Event<'_> {
        self.log(Level::Info, message)
    }

    /// Begins a record of level `warn`.
    pub fn warn(&self, message: impl AsRef<str>) -> Event<'_> {
        self.log(Level::Warn, message)
    }

    /// Begins a record of level `error`.
    pub fn error(&self, message: impl AsRef<str>) -> Event<'_> {
        self.log(Level::Error, message)
    }

    /// Begins a record of level `critical`.
    pub fn critical(&self, message: impl AsRef<str>) -> Event<'_> {
        self.log(Level::Critical, message)
    }

    /// Records a step that has a message and nothing else, at level `info`. Calls can be chained.
    pub fn step(&self, message: impl AsRef<str>) -> &Self {
        self.log_step(Level::Info, message)
    }

    /// Records a step that has a message and nothing else. Calls can be chained.
    pub fn log_step(&self, level: impl Into<Severity>, message: impl AsRef<str>) -> &Self {
        self.log(level, message).send();
        self
    }
}

/// The `flow_id` of the server's answer.
fn id_of(answer: &str) -> Option<String> {
    let mut normalised = String::new();
    let mut reader = Reader::new(answer);
    if reader.peek() != Some(b'{') {
        return None;
    }
    reader.copy_value(&mut normalised).ok()?;
    match Object::from_normalised(normalised).get("flow_id")? {
        Scalar::String(id) if !id.is_empty() => Some(id.into_owned()),
        _ => None,
    }
}
