//! JSON as logs need it: a reader that works on borrowed text, never recurses, keeps numbers as their digits, and
//! accepts any string that JSON can carry; and the writer that goes with it.
//!
//! Own code, because the general parsers refuse a whole document for one lone surrogate, one value nested too
//! deep, or one `NaN`, and here one bad record must not cost another.

mod object;
mod reader;
mod writer;

pub use object::{Object, ObjectBuilder, Scalar};
pub use reader::{Copied, Reader, SyntaxError};
pub use writer::{write_f64, write_i64, write_string, write_u64};
