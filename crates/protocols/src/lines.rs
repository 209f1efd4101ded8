//! The lines of a body.

/// The lines that are not blank, each with its number from 1. Blank is what JSON calls white space.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    lines.filter(|(_, line)| !line.trim_matches([' ', '\t', '\r']).is_empty())
}
