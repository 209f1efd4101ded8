//! The text of names: keywords and logger names are the same few string objects again and again, and reading a
//! string under the stable ABI of Python 3.9 costs an allocation. Each thread remembers the last ones by address.

use std::cell::RefCell;

use pyo3::{prelude::*, types::PyString};

use crate::{
    limits::{NAME_BYTES_MAX, NAMES_REMEMBERED},
    value::with_text,
};

/// A name is kept alive, so that its address stays its own.
type Slot = Option<(Py<PyString>, Box<str>)>;

thread_local! {
    static NAMES: RefCell<Vec<Slot>> = const { RefCell::new(Vec::new()) };
}

/// Lends the text of `name` to `work`.
pub(crate) fn with_name<R>(
    name: &Bound<'_, PyString>,
    work: impl FnOnce(&str) -> PyResult<R>,
) -> PyResult<R> {
    // Objects are aligned to 16 bytes.
    let place = (name.as_ptr() as usize >> 4) % NAMES_REMEMBERED;
    NAMES.with(|names| {
        // `work` may run Python code that logs: that call finds the names lent and does without what it would add.
        if let Ok(names) = names.try_borrow()
            && let Some(Some((known, text))) = names.get(place)
            && known.is(name)
        {
            return work(text);
        }
        with_text(name, |text| {
            remember(names, place, name, text);
            work(text)
        })
    })
}

fn remember(names: &RefCell<Vec<Slot>>, place: usize, name: &Bound<'_, PyString>, text: &str) {
    let Ok(mut names) = names.try_borrow_mut() else { return };
    if text.len() > NAME_BYTES_MAX || !name.is_exact_instance_of::<PyString>() {
        return;
    }
    if names.is_empty() {
        names.resize_with(NAMES_REMEMBERED, || None);
    }
    if let Some(slot) = names.get_mut(place) {
        *slot = Some((name.clone().unbind(), text.into()));
    }
}
