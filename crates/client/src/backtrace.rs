//! A captured backtrace as the frames of a `stacktrace`.
//!
//! The standard library tells what it captured only by printing it, so that is what is read here. What is not
//! understood is left out.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    fmt::{self, Write as _},
};

use crate::{
    Value, ValueWriter,
    limits::{BACKTRACE_BYTES_MAX, FRAMES_MAX},
};

/// Functions between the place that is of interest and the one that captured.
const MACHINERY: [&str; 9] = [
    "millpond::",
    "<millpond::",
    "std::backtrace",
    "<std::backtrace",
    "std::panicking::",
    "core::panicking::",
    "core::option::",
    "core::result::",
    "__rustc::rust_begin_unwind",
];

/// Between these two lies the program: what is above is the panic, what is below is the runtime.
const END_MARK: &str = "__rust_end_short_backtrace";
const BEGIN_MARK: &str = "__rust_begin_short_backtrace";

/// The frames of a backtrace, the outermost first, as Python has them.
#[derive(Debug, PartialEq)]
pub(crate) struct Frames(Vec<Frame>);

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Frame {
    pub(crate) function: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
}

impl Frames {
    /// The frames, if there is a backtrace. Looks up the names of all functions, which takes milliseconds.
    pub(crate) fn of(backtrace: &Backtrace) -> Option<Self> {
        if backtrace.status() != BacktraceStatus::Captured {
            return None;
        }
        let mut text = Bounded(String::new());
        // It fails at the limit, with what was printed so far.
        let _ = write!(text, "{backtrace}");
        Some(Self::read(&text.0)).filter(|frames| !frames.0.is_empty())
    }

    /// One frame that is known otherwise.
    pub(crate) fn one(frame: Frame) -> Self {
        Self(vec![frame])
    }

    /// Reads lines such as `  12: function` or, for a function inlined there, `      function`, each with a line
    /// `             at file:line:column` behind it if the place is known.
    fn read(text: &str) -> Self {
        let mut frames: Vec<Frame> = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match (line.strip_prefix("at "), frames.last_mut()) {
                (Some(place), Some(frame)) => frame.place(place),
                (Some(_), None) => {}
                (None, _) => frames.push(Frame::named(line)),
            }
        }
        let is = |frame: &Frame, mark: &str| frame.function().contains(mark);
        let begin = frames.iter().position(|frame| is(frame, BEGIN_MARK)).unwrap_or(frames.len());
        frames.truncate(begin);
        let end = frames.iter().rposition(|frame| is(frame, END_MARK)).map_or(0, |end| end + 1);
        frames.drain(..end);
        let ours = |frame: &Frame| MACHINERY.iter().any(|ours| frame.function().starts_with(ours));
        let start = frames.iter().position(|frame| !ours(frame)).unwrap_or(0);
        frames.drain(..start);
        frames.reverse();
        Self(frames)
    }

    /// Writes the members `stacktrace` and, if some were left out, `frames_omitted`.
    pub(crate) fn write(&self, object: &mut crate::ObjectWriter<'_>) {
        let omitted = self.0.len().saturating_sub(FRAMES_MAX);
        // Where it began says less than where it failed.
        let outermost = FRAMES_MAX / 4;
        object.member_with("stacktrace", |out| {
            out.array(|array| {
                for (place, frame) in self.0.iter().enumerate() {
                    if place < outermost || place >= outermost + omitted {
                        array.element(frame);
                    }
                }
            });
        });
        if omitted > 0 {
            object.member("frames_omitted", &omitted);
        }
    }
}

impl Frame {
    fn named(line: &str) -> Self {
        let name = match line.split_once(": ") {
            Some((number, name)) if number.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => line,
        };
        // Names in the older mangling end in a hash: `::h` and 16 hex digits.
        let name = match name.rsplit_once("::h") {
            Some((name, hash))
                if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
            {
                name
            }
            _ => name,
        };
        Self { function: (name != "<unknown>").then(|| name.to_owned()), ..Self::default() }
    }

    /// Reads `file:line:column` or `file:line`; a file may have colons of its own.
    fn place(&mut self, place: &str) {
        let number = |text: &str| text.parse::<u32>().ok();
        let (file, last) = place.rsplit_once(':').unwrap_or((place, ""));
        let Some(last) = number(last) else {
            self.file = Some(place.to_owned());
            return;
        };
        match file.rsplit_once(':').and_then(|(file, line)| Some((file, number(line)?))) {
            Some((file, line)) => {
                (self.file, self.line, self.column) =
                    (Some(file.to_owned()), Some(line), Some(last));
            }
            None => (self.file, self.line) = (Some(file.to_owned()), Some(last)),
        }
    }

    fn function(&self) -> &str {
        self.function.as_deref().unwrap_or_default()
    }
}

impl Value for Frame {
    fn write(&self, out: ValueWriter<'_>) {
        out.object(|object| {
            if let Some(function) = &self.function {
                object.member("function", function);
            }
            if let Some(file) = &self.file {
                object.member("file", file);
            }
            if let Some(line) = &self.line {
                object.member("line", line);
            }
            if let Some(column) = &self.column {
                object.member("column", column);
            }
        });
    }
}

/// Takes so much text and no more.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > BACKTRACE_BYTES_MAX {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{content::Policy, json::Json};

    fn frame(function: &str, file: &str, line: u32, column: u32) -> Frame {
        let file = Some(file.to_owned());
        Frame { function: Some(function.to_owned()), file, line: Some(line), column: Some(column) }
    }

    #[test]
    fn the_program_is_what_lies_between_the_panic_and_the_runtime() {
        let text = "   0: millpond::panics::record
             at /src/panics.rs:1:1
   1: std::panicking::panic_with_hook
   2: std::sys::backtrace::__rust_end_short_backtrace::<std::panicking::panic_handler::{closure#0}, !>
             at /rustc/5980/library/std/src/sys/backtrace.rs:182:18
   3: __rustc::rust_begin_unwind
   4: core::panicking::panic_fmt
   5: core::option::unwrap_failed
   6: shop::cart::total::h0123456789abcdef
             at ./src/cart.rs:10:5
      shop::inlined
             at C:\\shop\\src\\main.rs:20:7
   7: <unknown>
   8: <shop::Cart as core::ops::drop::Drop>::drop
             at ./src/cart.rs:30
   9: std::sys::backtrace::__rust_begin_short_backtrace
             at /rustc/5980/library/std/src/sys/backtrace.rs:166:18
  10: main
";
        let drop = Frame {
            function: Some("<shop::Cart as core::ops::drop::Drop>::drop".to_owned()),
            file: Some("./src/cart.rs".to_owned()),
            line: Some(30),
            column: None,
        };
        assert_eq!(
            Frames::read(text).0,
            [
                drop,
                Frame::default(),
                frame("shop::inlined", "C:\\shop\\src\\main.rs", 20, 7),
                frame("shop::cart::total", "./src/cart.rs", 10, 5),
            ]
        );
    }

    #[test]
    fn what_is_no_backtrace_is_no_panic() {
        for text in
            ["", "\n\n", "at nowhere", "  at :::", "1:2:3\nat 1:2", "::h\nat x:99999999999", "é: ü"]
        {
            Frames::read(text);
        }
        assert_eq!(Frames::of(&Backtrace::disabled()), None);
    }

    #[test]
    fn so_many_frames_are_written_and_no_more() {
        let text: String = (0..FRAMES_MAX + 7).map(|n| format!("{n}: f{n}\n")).collect();
        let policy = Policy::open();
        let mut json = Json::default();
        json.value(&policy, policy.depth_max, |out| {
            out.object(|object| Frames::read(&text).write(object));
        });
        let value: serde_json::Value = serde_json::from_str(&json.text).unwrap();
        let frames = value["stacktrace"].as_array().unwrap();
        assert_eq!((frames.len(), &value["frames_omitted"]), (FRAMES_MAX, &7.into()));
        assert_eq!(frames[0]["function"], "f106");
        assert_eq!([&frames[24]["function"], &frames[25]["function"]], ["f82", "f74"]);
        assert_eq!(frames[FRAMES_MAX - 1]["function"], "f0");
    }

    #[test]
    fn a_real_backtrace_has_this_function_and_its_place() {
        let frames = Frames::of(&Backtrace::force_capture()).unwrap();
        let here = |frame: &Frame| {
            frame.function().contains("a_real_backtrace")
                && frame.line.is_some()
                && frame.file.as_ref().is_some_and(|file| file.ends_with("backtrace.rs"))
        };
        // Tests are in the crate, whose functions are left out only at the very end.
        assert!(frames.0.iter().any(here), "{frames:#?}");
    }
}
