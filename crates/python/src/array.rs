//! Arrays, columns and tables of numpy, pandas and polars, by their methods alone.
//!
//! One that is small is written as lists. Of one that is large, the first elements are written, with its shape; no
//! more than these is ever copied. Nothing is fetched from a file or another device.

use pyo3::{intern, prelude::*, types::PySlice};

use crate::{
    kind::Kind,
    limits::ARRAY_ELEMENTS_MAX,
    object::list,
    value::{Writer, text},
};

/// Writes such a value.
pub(crate) fn write(writer: &mut Writer<'_>, value: &Bound<'_, PyAny>, kind: Kind) -> PyResult<()> {
    match kind {
        Kind::Array => array(writer, value),
        Kind::Column => column(writer, value),
        Kind::Table => table(writer, value),
        _ => object(writer, value, None),
    }
}

fn array(writer: &mut Writer<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = value.py();
    let size: usize = value.getattr(intern!(py, "size"))?.extract()?;
    if size <= ARRAY_ELEMENTS_MAX {
        return writer.value(&elements(value)?);
    }
    // The iterator copies what is taken from it; a reshaped array might be copied as a whole.
    let head = value.getattr(intern!(py, "flat"))?.get_item(first(py, ARRAY_ELEMENTS_MAX))?;
    object(writer, value, Some(&elements(&head)?))
}

/// As lists. Times would be numbers.
fn elements<'py>(array: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = array.py();
    let dtype = array.getattr(intern!(py, "dtype"))?;
    let kind: String = dtype.getattr(intern!(py, "kind"))?.extract()?;
    if matches!(kind.as_str(), "M" | "m") {
        let texts = array.call_method1(intern!(py, "astype"), ("U",))?;
        return texts.call_method0(intern!(py, "tolist"));
    }
    array.call_method0(intern!(py, "tolist"))
}

fn column(writer: &mut Writer<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = value.py();
    let size = value.len()?;
    // The brackets of a pandas series take labels.
    let places = value.getattr_opt(intern!(py, "iloc"))?.unwrap_or_else(|| value.clone());
    let head = places.get_item(first(py, size.min(ARRAY_ELEMENTS_MAX)))?;
    let elements = match head.getattr_opt(intern!(py, "to_list"))? {
        Some(to_list) => to_list.call0()?,
        None => head.call_method0(intern!(py, "tolist"))?,
    };
    if size <= ARRAY_ELEMENTS_MAX {
        return writer.value(&elements);
    }
    object(writer, value, Some(&elements))
}

/// `{"shape": …, "columns": […], "rows": [[…], …]}`
fn table(writer: &mut Writer<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = value.py();
    let shape = value.getattr(intern!(py, "shape"))?;
    let (rows, columns): (usize, usize) = shape.extract()?;
    let columns = columns.min(ARRAY_ELEMENTS_MAX);
    let rows = rows.min(ARRAY_ELEMENTS_MAX / columns.max(1));
    let part = (first(py, rows), first(py, columns));
    let (head, rows) = match value.getattr_opt(intern!(py, "iloc"))? {
        Some(places) => {
            let head = places.get_item(part)?;
            // `to_dict` warns of columns of the same name.
            let rows = head.call_method1(intern!(py, "itertuples"), (false, py.None()))?;
            let rows = list(&rows)?.into_any();
            (head, rows)
        }
        None => {
            let head = value.get_item(part)?;
            let rows = head.call_method0(intern!(py, "rows"))?;
            (head, rows)
        }
    };
    writer.out.push_str("{\"shape\":");
    writer.value(&shape)?;
    writer.out.push_str(",\"columns\":");
    let names = list(&head.getattr(intern!(py, "columns"))?)?;
    writer.value(&names)?;
    writer.out.push_str(",\"rows\":");
    writer.value(&rows)?;
    writer.out.push('}');
    Ok(())
}

/// `{"shape": […], "dtype": "…", "first": […]}`
fn object(
    writer: &mut Writer<'_>,
    value: &Bound<'_, PyAny>,
    head: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let py = value.py();
    writer.out.push_str("{\"shape\":");
    match value.getattr_opt(intern!(py, "shape"))? {
        Some(shape) => writer.value(&shape)?,
        None => writer.value(&[value.len()?].into_pyobject(py)?)?,
    }
    writer.out.push_str(",\"dtype\":");
    let dtype = text(&value.getattr(intern!(py, "dtype"))?)?;
    writer.text(&dtype);
    if let Some(head) = head {
        writer.out.push_str(",\"first\":");
        writer.value(head)?;
    }
    writer.out.push('}');
    Ok(())
}

fn first(py: Python<'_>, count: usize) -> Bound<'_, PySlice> {
    PySlice::new(py, 0, isize::try_from(count).unwrap_or(isize::MAX), 1)
}
