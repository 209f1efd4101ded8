//! What a person sees: colours on a terminal and none elsewhere, headings, durations, bars.

use std::{
    io::{IsTerminal, Write, stdout},
    sync::LazyLock,
    time::Duration,
};

static COLOURED: LazyLock<bool> =
    LazyLock::new(|| stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none());

fn painted(code: &str, text: &str) -> String {
    if *COLOURED { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

pub(crate) fn bold(text: &str) -> String {
    painted("1", text)
}

pub(crate) fn dim(text: &str) -> String {
    painted("2", text)
}

pub(crate) fn red(text: &str) -> String {
    painted("31", text)
}

pub(crate) fn green(text: &str) -> String {
    painted("32", text)
}

pub(crate) fn coloured() -> bool {
    *COLOURED
}

/// A line that opens a section.
pub(crate) fn heading(text: &str) {
    println!("\n{} {}", painted("1;36", "▸"), bold(text));
}

/// A line that a later one replaces on a terminal; nothing elsewhere.
pub(crate) fn passing(text: &str) {
    if stdout().is_terminal() {
        print!("\r\x1b[2K{text}");
        // A progress line that can't be shown is no reason to stop.
        let _ = stdout().flush();
    }
}

/// `1 m 05 s`, `4.2 s`, `310 ms`.
pub(crate) fn duration(duration: Duration) -> String {
    match duration.as_millis() {
        ms @ 0..1_000 => format!("{ms} ms"),
        ms @ 1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        ms => format!("{} m {:02} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

/// `done` of `all` as a bar of `width` cells.
pub(crate) fn bar(done: usize, all: usize, width: usize) -> String {
    let filled = (width * done).checked_div(all).unwrap_or(0).min(width);
    format!("{}{}", "━".repeat(filled), dim(&"─".repeat(width - filled)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let shown: Vec<_> =
            [310, 4_290, 65_000].map(|ms| duration(Duration::from_millis(ms))).into();
        assert_eq!(shown, ["310 ms", "4.2 s", "1 m 05 s"]);
    }
}
