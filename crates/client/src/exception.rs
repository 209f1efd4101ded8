//! Errors and panics as the exception of a record.

use std::{backtrace::Backtrace, error::Error};

use crate::{LineWriter, ObjectWriter, backtrace::Frames, limits::CAUSES_MAX};

impl LineWriter<'_> {
    /// The exception, from an error and its causes.
    pub fn error(&mut self, error: &(impl Error + ?Sized)) {
        self.exception_with(|object| write_error(object, error, None));
    }

    /// The exception, from an error, its causes, and the stack on which it came up. A backtrace that was not
    /// captured, because `RUST_BACKTRACE` is not set, is left out; one that was takes milliseconds to read.
    pub fn error_with_backtrace(&mut self, error: &(impl Error + ?Sized), backtrace: &Backtrace) {
        if !self.has_exception() {
            let frames = Frames::of(backtrace);
            self.exception_with(|object| write_error(object, error, frames.as_ref()));
        }
    }
}

fn write_error(
    object: &mut ObjectWriter<'_>,
    error: &(impl Error + ?Sized),
    frames: Option<&Frames>,
) {
    if let Some(name) = type_name(error) {
        object.member("type", name);
    }
    object.member_with("message", |out| out.display(error));
    if let Some(frames) = frames {
        frames.write(object);
    }
    write_cause(object, error.source(), CAUSES_MAX);
}

/// The name of an error's type where the compiler still knows it.
fn type_name<E: Error + ?Sized>(_: &E) -> Option<&'static str> {
    let name = std::any::type_name::<E>();
    (!name.starts_with("dyn ") && !name.starts_with('&')).then_some(name)
}

/// Writes the causes one inside the other, as far as `left` of them and the depth of a record allow.
fn write_cause(object: &mut ObjectWriter<'_>, cause: Option<&(dyn Error + 'static)>, left: usize) {
    let (Some(cause), Some(left)) = (cause, left.checked_sub(1)) else { return };
    object.member_with("cause", |out| {
        out.object(|object| {
            object.member_with("message", |out| out.display(cause));
            write_cause(object, cause.source(), left);
        });
    });
}
