#![doc = include_str!("docs/front.md")]
#![forbid(unsafe_code)]

mod layer;
#[cfg(feature = "log")]
pub mod log;

pub use layer::{Layer, layer};
use millpond::TextAttribute;

/// The fields that say where in the source a record was made, by OpenTelemetry's names.
const CODE_FILE: &str = "code.file.path";
const CODE_LINE: &str = "code.line.number";
const CODE_MODULE: &str = "code.namespace";

/// Whether what has this target is about our own work. What our sender's HTTP and TLS libraries log comes from its
/// thread, where the client takes nothing.
fn is_own(target: &str) -> bool {
    // Nearly every target is told by one comparison.
    let Some(rest) = target.strip_prefix("millpond") else { return false };
    let rest = rest.strip_prefix("_tracing").unwrap_or(rest);
    rest.is_empty() || rest.starts_with("::")
}

/// The attribute that a field of this name is.
fn attribute(name: &str) -> Option<TextAttribute> {
    TextAttribute::named(name).filter(|attribute| attribute.is_context())
}

#[cfg(test)]
mod tests {
    use super::is_own;

    #[test]
    fn only_targets_of_our_own_crates_are_ours() {
        for own in ["millpond", "millpond_tracing", "millpond::sender", "millpond_tracing::layer"] {
            assert!(is_own(own), "{own}");
        }
        for other in ["", "shop", "millpond_shop", "millpondery::x", "shop::millpond"] {
            assert!(!is_own(other), "{other}");
        }
    }
}
