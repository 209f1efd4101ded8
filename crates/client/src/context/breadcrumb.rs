//! Breadcrumbs: what happened on the way to an error. They are not records; they go with the records of the current
//! [`Scope`] that are bad enough.

use std::{collections::VecDeque, sync::Arc};

use millpond_record::{Level, Timestamp};

use crate::{
    LineWriter, Scope, Value, ValueWriter, clock,
    context::kept::{Kept, members_of},
    fork::ForkMutex,
    json::Json,
    limits::{
        BREADCRUMB_BYTES_MAX, BREADCRUMB_TEXT_BYTES_MAX, BREADCRUMBS_BYTES_MAX, BREADCRUMBS_MAX,
    },
};

/// The field of a record in which its breadcrumbs are.
const FIELD: &str = "breadcrumbs";

/// Begins a breadcrumb of level `info`.
///
/// ```
/// use millpond::{Level, Scope, breadcrumb};
///
/// let _entered = Scope::current().request_id("r1").enter();
/// breadcrumb("asked the cache").category("cache").field("hit", false).leave();
/// ```
pub fn breadcrumb(message: impl Into<String>) -> Breadcrumb {
    Breadcrumb {
        time: clock::now(),
        level: Level::Info,
        category: None,
        message: cut(message.into()),
        fields: Vec::new(),
        bytes: 0,
    }
}

/// One step on the way, from [`breadcrumb`] to [`Breadcrumb::leave`].
///
/// A record has it as `{"time", "level", "category", "message", "fields"}`.
#[derive(Clone, Debug)]
#[must_use = "a breadcrumb is kept by `leave`"]
pub struct Breadcrumb {
    time: Timestamp,
    level: Level,
    category: Option<String>,
    message: String,
    fields: Vec<(String, Kept)>,
    /// Its size as JSON.
    bytes: usize,
}

impl Breadcrumb {
    /// How bad it is.
    pub fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// What kind of step it is, such as `http` or `db`.
    pub fn category(mut self, category: impl Into<String>) -> Self {
        self.category = Some(cut(category.into()));
        self
    }

    /// A field. The first value of a key stays. One that panics is left out, and one that is larger than
    /// [`BREADCRUMB_BYTES_MAX`].
    pub fn field(mut self, key: &str, value: impl Value) -> Self {
        if self.fields.iter().all(|(name, _)| name != key)
            && let Some(value) = Kept::of(&value, BREADCRUMB_BYTES_MAX)
        {
            self.fields.push((key.to_owned(), value));
        }
        self
    }

    /// Keeps it in the current scope; without one it is gone. A scope keeps the last [`BREADCRUMBS_MAX`].
    pub fn leave(mut self) {
        let Some(scope) = Scope::entered() else { return };
        self.bytes = self.size();
        if self.bytes > BREADCRUMB_BYTES_MAX {
            self.fields.clear();
            self.bytes = self.size();
        }
        scope.breadcrumbs().push(self);
    }

    fn size(&self) -> usize {
        Json::of(self).len()
    }
}

impl Value for Breadcrumb {
    fn write(&self, out: ValueWriter<'_>) {
        out.object(|object| {
            object.member_with("time", |out| out.display(&self.time));
            object.member("level", self.level.name());
            if let Some(category) = &self.category {
                object.member("category", category);
            }
            object.member("message", &self.message);
            if !self.fields.is_empty() {
                object.member_with("fields", |out| members_of(&self.fields, out));
            }
        });
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(BREADCRUMB_TEXT_BYTES_MAX));
    text
}

/// The last breadcrumbs of a scope, oldest first. A copy begins with the same ones and goes its own way.
///
/// Threads share them. A forked child whose parent was leaving one at that moment does without.
#[derive(Debug)]
pub(crate) struct Breadcrumbs(ForkMutex<VecDeque<Arc<Breadcrumb>>>);

impl Default for Breadcrumbs {
    fn default() -> Self {
        Self(ForkMutex::new(VecDeque::new()))
    }
}

impl Clone for Breadcrumbs {
    fn clone(&self) -> Self {
        Self(ForkMutex::new(self.all()))
    }
}

impl Breadcrumbs {
    fn all(&self) -> VecDeque<Arc<Breadcrumb>> {
        self.0.lock().map(|breadcrumbs| breadcrumbs.clone()).unwrap_or_default()
    }

    fn push(&self, breadcrumb: Breadcrumb) {
        let Some(mut breadcrumbs) = self.0.lock() else { return };
        if breadcrumbs.len() >= BREADCRUMBS_MAX {
            breadcrumbs.pop_front();
        }
        breadcrumbs.push_back(Arc::new(breadcrumb));
    }

    /// Writes the latest of them, as many as the record has room for.
    pub(crate) fn write(&self, line: &mut LineWriter<'_>) {
        let all = self.all();
        // Half of what is left: something else may still come.
        let room = BREADCRUMBS_BYTES_MAX.min(line.room_bytes() / 2);
        let mut bytes = 0;
        let fitting = all.iter().rev().take_while(|breadcrumb| {
            bytes += breadcrumb.bytes + 1;
            bytes <= room
        });
        let skipped = all.len() - fitting.count();
        if skipped < all.len() {
            line.field_with(FIELD, |out| {
                out.array(|array| {
                    for breadcrumb in all.iter().skip(skipped) {
                        array.element(&**breadcrumb);
                    }
                });
            });
        }
    }
}
