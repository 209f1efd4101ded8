//! The lines that are ingested: always the same, made once and kept in `target/bench/`.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::workspace;

const SEED: &str = "42";
/// 2026-02-01T12:00:00Z. The lines cover the day before it, so two calendar days.
const END_EPOCH: &str = "1769947200";

/// One JSON object a line.
pub(crate) struct Lines {
    text: String,
    pub(crate) count: usize,
}

impl Lines {
    pub(crate) fn generate(count: usize) -> Result<Self> {
        let folder = workspace::target().join("bench");
        fs::create_dir_all(&folder)?;
        let file = folder.join(format!("lines-{count}.ndjson"));
        if !file.exists() {
            let unfinished = file.with_extension("unfinished");
            let mut python = workspace::command("python3");
            python.args(["bench/gen_logs.py", &count.to_string()]).arg(&unfinished);
            workspace::perform(python.args([SEED, END_EPOCH]))?;
            fs::rename(&unfinished, &file)?;
        }
        let text = fs::read_to_string(&file)?;
        ensure!(text.lines().count() == count, "{} is not {count} lines", file.display());
        Ok(Self { text, count })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Cut at line ends into bodies of about `bytes`.
    pub(crate) fn bodies(&self, bytes: usize) -> Vec<&str> {
        let mut bodies = Vec::new();
        let mut rest = self.text.as_str();
        while !rest.is_empty() {
            let end = rest.as_bytes().iter().skip(bytes).position(|byte| *byte == b'\n');
            let (body, behind) = rest.split_at(end.map_or(rest.len(), |end| bytes + end + 1));
            bodies.push(body);
            rest = behind;
        }
        bodies
    }

    /// A word that stands in one message of many: the id in the first failed request behind the middle.
    pub(crate) fn a_rare_word(&self) -> Result<String> {
        let mut messages = self
            .text
            .lines()
            .skip(self.count / 2)
            .filter_map(|line| line.split("(request id ").nth(1));
        let found = messages.next().context("no message has a request id")?;
        Ok(found.chars().take_while(char::is_ascii_hexdigit).collect())
    }

    /// The trace id of the line in the middle.
    pub(crate) fn a_trace_id(&self) -> Result<String> {
        let line = self.text.lines().nth(self.count / 2).context("there are no lines")?;
        let line: serde_json::Value = serde_json::from_str(line)?;
        let trace_id = line.get("trace_id").and_then(serde_json::Value::as_str);
        Ok(trace_id.context("the line has no trace_id")?.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_cut_at_line_ends_and_lose_nothing() {
        let lines = Lines { text: "aaaa\nbb\ncccc\nd\n".to_owned(), count: 4 };
        assert_eq!(lines.bodies(3), ["aaaa\n", "bb\ncccc\n", "d\n"]);
        assert_eq!(lines.bodies(100), ["aaaa\nbb\ncccc\nd\n"]);
    }
}
