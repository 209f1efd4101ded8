//! A list of steps, each with a heading, a duration and an outcome, and the table at the end.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::screen;

/// One step of a run.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    /// What `--only` calls it.
    pub(crate) name: &'static str,
    /// What it shows.
    pub(crate) title: &'static str,
    /// The steps without which it can't say anything.
    pub(crate) needs: &'static [&'static str],
    pub(crate) run: fn() -> Result<()>,
}

enum Outcome {
    Passed,
    Failed(String),
    /// A step that it needs failed.
    Blocked(&'static str),
}

/// Runs the steps in order, the later ones also when an earlier one fails; an error if any did.
pub(crate) fn run(steps: &[Step]) -> Result<()> {
    let start = Instant::now();
    let mut outcomes = BTreeMap::new();
    let mut rows = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        screen::heading(&format!("{}/{} {}", index + 1, steps.len(), step.title));
        let begun = Instant::now();
        let outcome = outcome(step, &outcomes);
        if let Outcome::Failed(error) = &outcome {
            println!("{} {error}", screen::red("failed:"));
        }
        println!(
            "{}",
            screen::dim(&format!("{}: {}", step.name, screen::duration(begun.elapsed())))
        );
        outcomes.insert(step.name, matches!(outcome, Outcome::Passed));
        rows.push((step, begun.elapsed(), outcome));
    }
    table(&rows, start.elapsed());
    let failed = outcomes.values().filter(|passed| !**passed).count();
    match failed {
        0 => Ok(()),
        failed => bail!("{failed} of {} steps failed", steps.len()),
    }
}

fn outcome(step: &Step, outcomes: &BTreeMap<&'static str, bool>) -> Outcome {
    let missing = step.needs.iter().find(|need| outcomes.get(*need) == Some(&false));
    if let Some(missing) = missing {
        return Outcome::Blocked(missing);
    }
    match (step.run)() {
        Ok(()) => Outcome::Passed,
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

fn table(rows: &[(&Step, Duration, Outcome)], total: Duration) {
    screen::heading("Summary");
    for (step, duration, outcome) in rows {
        let (mark, note) = match outcome {
            Outcome::Passed => (screen::green("✔"), String::new()),
            Outcome::Failed(_) => (screen::red("✘"), screen::red("failed")),
            Outcome::Blocked(by) => {
                (screen::red("–"), screen::red(&format!("not run, needs {by}")))
            }
        };
        println!("{mark} {:<38} {:>11}  {note}", step.title, screen::duration(*duration));
    }
    println!("  {:<38} {:>11}", "total", screen::duration(total));
}
