//! What happens to a record between the call that wrote it and the queue: sampling, the fields that every record
//! has, and the application's last look.

use std::{
    cell::Cell,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use millpond_record::{Level, json::write_string};

use crate::{
    BuildError, Builder, Decision, Draft, LineWriter, Value, content::Policy, json::Json,
    line::Prefix, metrics::Tally, panics, random,
};

const SAMPLE_RATE: &str = "sample_rate";

/// What the builder was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    fields: Vec<(String, SharedValue)>,
    sample: Option<(Level, f64)>,
    before_send: Option<Hook>,
}

#[derive(Clone)]
struct SharedValue(Arc<dyn Value + Send + Sync>);

impl fmt::Debug for SharedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value")
    }
}

#[derive(Clone)]
struct Hook(Arc<dyn Fn(&mut Draft) -> Decision + Send + Sync>);

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

impl Builder {
    /// A field of every record. A record's own field of that key goes before it; of two values for one key the later
    /// one is used.
    pub fn field(
        mut self,
        key: impl Into<String>,
        value: impl Value + Send + Sync + 'static,
    ) -> Self {
        let key = key.into();
        self.pipeline.fields.retain(|(known, _)| *known != key);
        self.pipeline.fields.push((key, SharedValue(Arc::new(value))));
        self
    }

    /// Keeps a record up to this level only with this probability, from 0 to 1; it then says so in its field
    /// `sample_rate`, so that it can be counted as the `1 / sample_rate` that it stands for. The records of one trace
    /// are kept together, here and in every other service with the same rate: their trace id decides. The others are
    /// counted as filtered.
    pub fn sample(mut self, level_max: Level, rate: f64) -> Self {
        self.pipeline.sample = Some((level_max, rate));
        self
    }

    /// Looks at every record before it is printed and queued, in the thread that logs, and may change it or drop it;
    /// some microseconds for each. A record that is logged from inside of `hook` goes without it. If `hook` panics,
    /// the record stays as it was and the panic is counted ([`crate::Metrics::hook_failures`]).
    ///
    /// ```
    /// use millpond::{Client, Decision, Level};
    ///
    /// let builder = Client::builder().before_send(|draft| {
    ///     draft.fields_mut().remove("debug");
    ///     if draft.message().starts_with("healthz") { Decision::Drop } else { Decision::Keep }
    /// });
    /// let client = builder.build()?;
    /// assert_eq!(client.preview(Level::Info, "healthz: ok", |_| {}), None);
    /// # Ok::<(), millpond::BuildError>(())
    /// ```
    pub fn before_send(
        mut self,
        hook: impl Fn(&mut Draft) -> Decision + Send + Sync + 'static,
    ) -> Self {
        self.pipeline.before_send = Some(Hook(Arc::new(hook)));
        self
    }
}

/// What a record goes through.
#[derive(Debug)]
pub(crate) struct Pipeline {
    sampling: Option<Sampling>,
    /// Keys and values as JSON.
    fields: Vec<(String, String)>,
    before_send: Option<Hook>,
}

impl Pipeline {
    /// # Errors
    /// The rate is no probability.
    pub(crate) fn new(options: &Options, policy: &Policy) -> Result<Self, BuildError> {
        let sampling = options.sample.map(|(level_max, rate)| Sampling::new(level_max, rate));
        let fields = options.fields.iter().map(|(key, value)| {
            let (mut json_key, mut json) = (String::new(), Json::default());
            write_string(&mut json_key, key);
            json.member(key, policy, policy.depth_max, |out| value.0.write(out));
            (json_key, json.text)
        });
        Ok(Self {
            sampling: sampling.transpose()?,
            fields: fields.collect(),
            before_send: options.before_send.clone(),
        })
    }

    /// Whether the record is kept by sampling. If that was not certain, it says how likely it was.
    pub(crate) fn samples(&self, line: &mut LineWriter<'_>) -> bool {
        let Some(sampling) = &self.sampling else { return true };
        if line.current_severity().level() > sampling.level_max {
            return true;
        }
        let kept = sampling.keeps(line);
        if kept {
            line.field(SAMPLE_RATE, &sampling.rate);
        }
        kept
    }

    /// Completes the record with what every record says, and shows it to the application. Whether it is kept.
    pub(crate) fn complete(
        &self,
        line: &mut LineWriter<'_>,
        prefix: &Prefix,
        tally: &Tally,
    ) -> bool {
        line.complete(prefix);
        for (key, value) in &self.fields {
            line.rendered_field(key, value);
        }
        match &self.before_send {
            // A panic in a panic hook ends the process.
            Some(hook) if !panics::in_hook() => hook.ask(line, tally) == Decision::Keep,
            _ => true,
        }
    }
}

#[derive(Debug)]
struct Sampling {
    level_max: Level,
    rate: f64,
    /// The share of all 64-bit numbers that the rate is.
    numbers: u64,
}

impl Sampling {
    fn new(level_max: Level, rate: f64) -> Result<Self, BuildError> {
        if !(0.0..=1.0).contains(&rate) {
            return Err(BuildError::SampleRate(rate.to_string()));
        }
        // 2^64, rounded to the next float and cut to the type.
        let numbers = (rate * 18_446_744_073_709_551_616.0) as u64;
        Ok(Self { level_max, rate, numbers })
    }

    fn keeps(&self, line: &LineWriter<'_>) -> bool {
        // No number is below none of them, and every one is below all.
        let is_below = |number: u64| number < self.numbers || self.numbers == u64::MAX;
        is_below(match line.trace_id() {
            Some(id) => of_trace(id),
            None => draw(line.current_time().nanos()),
        })
    }
}

/// The number of a trace: the same in every process and every version (FNV-1a, then mixed).
fn of_trace(id: &str) -> u64 {
    mix(id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    }))
}

/// A random number: SplitMix64 in each thread, which asks nobody. The time goes into it, since a forked child begins
/// with the state of its parent.
fn draw(nanos: i64) -> u64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(random::u64());
    }
    let step = |state: &Cell<u64>| {
        state.set(state.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        state.get()
    };
    mix(STATE.try_with(step).unwrap_or_default() ^ nanos.unsigned_abs())
}

/// The last step of SplitMix64: every bit of the result depends on every bit of the number.
fn mix(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

thread_local! {
    /// Whether this thread is inside of a hook.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

impl Hook {
    fn ask(&self, line: &mut LineWriter<'_>, tally: &Tally) -> Decision {
        // Inside already; or the thread is about to end, and it can't be told.
        if INSIDE.try_with(|inside| inside.replace(true)).unwrap_or(true) {
            return Decision::Keep;
        }
        let mut draft = Draft::of(line);
        let decision = catch_unwind(AssertUnwindSafe(|| self.0(&mut draft)));
        INSIDE.set(false);
        match decision {
            Ok(decision) => {
                draft.apply(line);
                decision
            }
            Err(_) => {
                Tally::add(&tally.hook_failures, 1);
                Decision::Keep
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_probability() {
        for rate in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(Sampling::new(Level::Info, rate).is_err(), "{rate}");
        }
        assert_eq!(Sampling::new(Level::Info, 0.0).unwrap().numbers, 0);
        assert_eq!(Sampling::new(Level::Info, 0.5).unwrap().numbers, 1 << 63);
        assert_eq!(Sampling::new(Level::Info, 1.0).unwrap().numbers, u64::MAX);
    }

    #[test]
    fn traces_and_random_numbers_are_spread_evenly() {
        let half = Sampling::new(Level::Info, 0.5).unwrap().numbers;
        let traces = (0..10_000).filter(|n| of_trace(&format!("{n:032x}")) < half).count();
        let randoms = (0..10_000).filter(|_| draw(7) < half).count();
        for kept in [traces, randoms] {
            // Ten standard deviations.
            assert!((4_500..5_500).contains(&kept), "{kept}");
        }
    }

    #[test]
    fn a_trace_has_the_same_number_for_ever() {
        assert_eq!(of_trace("4bf92f3577b34da6a3ce929d0e0e4736"), 0x8069bcc9868b03e2);
    }
}
