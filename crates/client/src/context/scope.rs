//! Scopes: what a piece of work knows about itself, and every record logged during it says.
//!
//! A scope is never changed, only built upon. Which one is current is a matter of the thread; a future carries its
//! own. Where none was entered, a log call looks at one thread-local variable and goes on.

use std::{
    cell::RefCell,
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use millpond_record::{TextAttribute, limits::RECORD_BYTES_MAX};
use pin_project_lite::pin_project;

use crate::{
    LineWriter, SpanId, TraceContext, TraceId, Value, context::breadcrumb::Breadcrumbs,
    context::kept::Kept,
};

/// What every record logged inside of it says, unless the record says something else itself.
///
/// ```
/// use millpond::Scope;
///
/// # let client = millpond::Client::builder().mode(millpond::Mode::Silent).build()?;
/// let scope = Scope::current().request_id("r1").user_id("u1").field("shard", 7);
/// {
///     let _entered = scope.enter();
///     client.info("taken").send(); // of request r1 and user u1, with the field
/// }
/// scope.run(|| client.info("packed").send());
/// let _future = scope.attach(async { /* and whatever is awaited in here */ });
/// # Ok::<(), millpond::BuildError>(())
/// ```
///
/// Cheap to clone. A clone is the same scope, in whatever thread it is entered: it has the same breadcrumbs. What is
/// built upon a scope is a new one, which begins with the breadcrumbs of the old one and does not change them.
#[derive(Clone, Debug, Default)]
#[must_use = "a scope does nothing until it is entered"]
pub struct Scope(Arc<Data>);

#[derive(Clone, Debug, Default)]
struct Data {
    texts: Vec<(TextAttribute, String)>,
    sampled: bool,
    tags: Vec<String>,
    fields: Vec<(String, Kept)>,
    breadcrumbs: Breadcrumbs,
}

impl Scope {
    /// An empty scope, which knows nothing of the current one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The scope that was entered last in this thread; an empty one if there is none. This is what to build upon,
    /// and what to take along into another thread.
    pub fn current() -> Self {
        Self::entered().unwrap_or_default()
    }

    /// A new scope that begins as this one: breadcrumbs that are left in the one are not in the other.
    pub fn fork(&self) -> Self {
        Self(Arc::new(Data::clone(&self.0)))
    }

    pub(crate) fn entered() -> Option<Self> {
        // Not while the thread ends, nor inside of `enter` itself.
        ENTERED.try_with(|stack| stack.try_borrow().ok()?.top()).ok().flatten()
    }

    fn with(mut self, change: impl FnOnce(&mut Data)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The trace, any string; normally a [`TraceId`]. A span of another trace is forgotten.
    pub fn trace_id(self, id: impl Into<String>) -> Self {
        let id = id.into();
        self.with(|data| {
            if data.text(TextAttribute::TraceId) != Some(&id) {
                data.texts.retain(|(attribute, _)| *attribute != TextAttribute::SpanId);
                data.sampled = true;
            }
            data.say(TextAttribute::TraceId, id);
        })
    }

    /// The span, any string; normally a [`SpanId`].
    pub fn span_id(self, id: impl Into<String>) -> Self {
        self.text(TextAttribute::SpanId, id)
    }

    /// Trace and span.
    pub fn trace(self, trace: TraceContext) -> Self {
        let TraceContext { trace_id, span_id, sampled } = trace;
        let scope = self.trace_id(trace_id.to_string()).span_id(span_id.to_string());
        scope.with(|data| data.sampled = sampled)
    }

    /// The user.
    pub fn user_id(self, id: impl Into<String>) -> Self {
        self.text(TextAttribute::UserId, id)
    }

    /// The user's session.
    pub fn session_id(self, id: impl Into<String>) -> Self {
        self.text(TextAttribute::SessionId, id)
    }

    /// The correlation id of the request.
    pub fn request_id(self, id: impl Into<String>) -> Self {
        self.text(TextAttribute::RequestId, id)
    }

    /// Any text attribute but the message, which belongs to a record alone.
    pub fn text(self, attribute: TextAttribute, text: impl Into<String>) -> Self {
        match attribute {
            TextAttribute::Message => self,
            _ => self.with(|data| data.say(attribute, text.into())),
        }
    }

    /// One more tag.
    pub fn tag(self, tag: impl Into<String>) -> Self {
        let tag = tag.into();
        self.with(|data| {
            if !data.tags.contains(&tag) {
                data.tags.push(tag);
            }
        })
    }

    /// A field, in place of one with the same key. The value is taken down here and now; one that panics is left out.
    pub fn field(self, key: impl Into<String>, value: impl Value) -> Self {
        let Some(value) = Kept::of(&value, RECORD_BYTES_MAX) else { return self };
        let key = key.into();
        self.with(|data| match data.fields.iter_mut().find(|(name, _)| *name == key) {
            Some((_, kept)) => *kept = value,
            None => data.fields.push((key, value)),
        })
    }

    /// The text of an attribute.
    #[must_use]
    pub fn get(&self, attribute: TextAttribute) -> Option<&str> {
        self.0.text(attribute)
    }

    /// Trace and span, if both are such as W3C Trace Context allows: what to tell another service, as
    /// [`TraceContext::traceparent`].
    #[must_use]
    pub fn trace_context(&self) -> Option<TraceContext> {
        Some(TraceContext {
            trace_id: TraceId::parse(self.get(TextAttribute::TraceId)?)?,
            span_id: SpanId::parse(self.get(TextAttribute::SpanId)?)?,
            sampled: self.0.sampled,
        })
    }

    /// Makes this the current scope of this thread until the guard is dropped. Guards may be dropped in any order:
    /// current is always the youngest one that is left.
    ///
    /// Not to be held across an `await`: the thread goes on with other work there. That is what [`Self::attach`] is
    /// for.
    pub fn enter(&self) -> Entered {
        let number = ENTERED
            .try_with(|stack| Some(stack.try_borrow_mut().ok()?.push(self.clone())))
            .ok()
            .flatten();
        Entered { number, thread: PhantomData }
    }

    /// Runs `work` inside of this scope.
    pub fn run<R>(&self, work: impl FnOnce() -> R) -> R {
        let _entered = self.enter();
        work()
    }

    /// The future, inside of this scope whenever it is polled, and when it is dropped.
    pub fn attach<F>(&self, future: F) -> Attached<F> {
        Attached { future: Some(future), scope: self.clone() }
    }

    pub(crate) fn breadcrumbs(&self) -> &Breadcrumbs {
        &self.0.breadcrumbs
    }

    /// Writes trace and span.
    pub(crate) fn write_trace(&self, line: &mut LineWriter<'_>) {
        for (attribute, text) in self.0.texts.iter().filter(|(attribute, _)| is_trace(*attribute)) {
            line.text(*attribute, text);
        }
    }

    /// Writes everything but trace, span and breadcrumbs.
    pub(crate) fn write(&self, line: &mut LineWriter<'_>) {
        let Data { texts, tags, fields, .. } = &*self.0;
        for (attribute, text) in texts.iter().filter(|(attribute, _)| !is_trace(*attribute)) {
            line.text(*attribute, text);
        }
        for tag in tags {
            line.tag(tag);
        }
        for (key, value) in fields {
            line.field(key, value);
        }
    }
}

impl Data {
    fn text(&self, attribute: TextAttribute) -> Option<&str> {
        let mut texts = self.texts.iter();
        texts.find(|(said, _)| *said == attribute).map(|(_, text)| text.as_str())
    }

    fn say(&mut self, attribute: TextAttribute, text: String) {
        match self.texts.iter_mut().find(|(said, _)| *said == attribute) {
            Some((_, said)) => *said = text,
            None => self.texts.push((attribute, text)),
        }
    }
}

fn is_trace(attribute: TextAttribute) -> bool {
    matches!(attribute, TextAttribute::TraceId | TextAttribute::SpanId)
}

/// The scopes that a thread is in, the youngest last, each with a number to find it by.
#[derive(Default)]
struct Stack {
    scopes: Vec<(u64, Scope)>,
    entries: u64,
}

thread_local! {
    static ENTERED: RefCell<Stack> = const { RefCell::new(Stack { scopes: Vec::new(), entries: 0 }) };
}

impl Stack {
    fn top(&self) -> Option<Scope> {
        self.scopes.last().map(|(_, scope)| scope.clone())
    }

    fn push(&mut self, scope: Scope) -> u64 {
        self.entries += 1;
        self.scopes.push((self.entries, scope));
        self.entries
    }

    fn remove(&mut self, number: u64) -> Option<Scope> {
        let place = self.scopes.iter().rposition(|(entry, _)| *entry == number)?;
        Some(self.scopes.remove(place).1)
    }
}

/// Leaves a scope when it is dropped. It stays in its thread.
#[must_use = "the scope is left at once if the guard is not kept"]
pub struct Entered {
    /// `None` if the thread was about to end.
    number: Option<u64>,
    thread: PhantomData<*const ()>,
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").finish_non_exhaustive()
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let _ = ENTERED.try_with(|stack| stack.try_borrow_mut().ok()?.remove(number));
    }
}

pin_project! {
    /// A future inside of a scope: see [`Scope::attach`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Attached<F> {
        // There until it is dropped.
        #[pin]
        future: Option<F>,
        scope: Scope,
    }

    impl<F> PinnedDrop for Attached<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = this.scope.enter();
            this.future.set(None);
        }
    }
}

impl<F: Future> Future for Attached<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.scope.enter();
        match this.future.as_pin_mut() {
            Some(future) => future.poll(context),
            None => Poll::Pending,
        }
    }
}
