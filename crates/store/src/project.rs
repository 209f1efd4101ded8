//! The name of a project, the tenant that owns records.

use std::{fmt, str::FromStr, sync::Arc};

/// Longest name, in bytes; it is a directory name.
const NAME_BYTES_MAX: usize = 63;

/// A project's name: 1 to 63 of `a-z`, `0-9`, `-` and `_`, the first a letter or digit.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Project(Arc<str>);

/// The text is no project name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no project name, expected 1 to 63 of a-z, 0-9, - and _, the first a letter or digit"
)]
pub struct ProjectError(String);

impl Project {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Project {
    type Err = ProjectError;

    fn from_str(name: &str) -> Result<Self, ProjectError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let valid = name.len() <= NAME_BYTES_MAX
            && name.bytes().next().is_some_and(plain)
            && name.bytes().all(|byte| plain(byte) || matches!(byte, b'-' | b'_'));
        if valid {
            Ok(Self(name.into()))
        } else {
            Err(ProjectError(name.chars().take(64).collect()))
        }
    }
}

impl TryFrom<String> for Project {
    type Error = ProjectError;

    fn try_from(name: String) -> Result<Self, ProjectError> {
        name.parse()
    }
}

impl From<Project> for String {
    fn from(project: Project) -> Self {
        project.as_str().to_owned()
    }
}

impl fmt::Display for Project {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Project {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_name_can_only_be_a_plain_directory_name() {
        for name in ["default", "a", "0-x_y", &"x".repeat(63)] {
            assert!(name.parse::<Project>().is_ok(), "{name}");
        }
        for name in ["", "..", "a/b", "A", "-a", "_a", "a.b", "ä", &"x".repeat(64)] {
            assert!(name.parse::<Project>().is_err(), "{name}");
        }
    }
}
