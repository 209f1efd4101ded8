//! Finding secrets and personal data inside of texts.
//!
//! Two looks at a text tell whether any of the patterns can match: one at its bytes (an `@`? thirteen digits?), one
//! for the literals that the other patterns begin with. Nearly every text has none of it and costs nothing more.

use std::{borrow::Cow, ops::Range, sync::LazyLock};

use regex::Regex;

mod card;

pub use card::is_card_number;

/// The text with a marker such as `[REDACTED:email]` in place of each secret, and how many there were; `None` if
/// there is none. The marker names the kind and holds nothing of what it stands for.
///
/// | kind | what |
/// |---|---|
/// | `private_key` | a PEM block, up to its end or the end of the text |
/// | `credentials` | what follows `Bearer` or `Basic`; `user:password` in an address |
/// | `jwt` | a JSON web token |
/// | `key` | keys that say by their prefix whose they are: AWS, GitHub, GitLab, Slack, Stripe, Google, npm, PyPI, …, and ours |
/// | `card` | a payment card's number: 13 to 19 digits, with spaces or dashes or without, of a known issuer and with the right check digit |
/// | `email` | an e-mail address |
///
/// ```
/// let (text, count) = millpond_record::content::redact("mail to a.b@shop.example failed").unwrap();
/// assert_eq!((text.as_str(), count), ("mail to [REDACTED:email] failed", 1));
/// ```
#[must_use]
pub fn redact(text: &str) -> Option<(String, u32)> {
    let (mut has_at, mut digits) = (false, 0_usize);
    for byte in text.bytes() {
        has_at |= byte == b'@';
        digits += usize::from(byte.is_ascii_digit());
    }
    let has_trigger = TRIGGER.is_match(text);
    if !has_at && digits < card::DIGITS_MIN && !has_trigger {
        return None;
    }
    let (mut redacted, mut count) = (Cow::Borrowed(text), 0);
    for pattern in PATTERNS.iter() {
        let possible = match pattern.sign {
            Sign::Trigger => has_trigger,
            Sign::At => has_at,
        };
        if possible {
            replace(&mut redacted, &mut count, pattern.kind, |text, from| pattern.find(text, from));
        }
    }
    if digits >= card::DIGITS_MIN {
        replace(&mut redacted, &mut count, "card", card::find);
    }
    (count > 0).then(|| (redacted.into_owned(), count))
}

/// Compiles the patterns, so that the first text does not pay for it: some milliseconds.
pub fn prepare() {
    LazyLock::force(&TRIGGER);
    LazyLock::force(&PATTERNS);
}

/// Replaces all that `find` finds.
fn replace(
    text: &mut Cow<'_, str>,
    count: &mut u32,
    kind: &str,
    find: impl Fn(&str, usize) -> Option<Range<usize>>,
) {
    let (mut kept, mut kept_to) = (String::new(), 0);
    while let Some(found) = find(text, kept_to) {
        kept.push_str(text.get(kept_to..found.start).unwrap_or_default());
        kept.push_str("[REDACTED:");
        kept.push_str(kind);
        kept.push(']');
        kept_to = found.end;
        *count += 1;
    }
    if kept_to > 0 {
        kept.push_str(text.get(kept_to..).unwrap_or_default());
        *text = Cow::Owned(kept);
    }
}

/// What must be in a text for a pattern to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Trigger,
    At,
}

type Check = fn(&str) -> bool;

#[derive(Debug)]
struct Pattern {
    kind: &'static str,
    sign: Sign,
    /// What is redacted is its group 1.
    regex: Regex,
    /// What else must hold for the redacted text.
    check: Check,
}

impl Pattern {
    fn find(&self, text: &str, from: usize) -> Option<Range<usize>> {
        let mut at = from;
        loop {
            let found = self.regex.captures_at(text, at)?.get(1)?;
            if (self.check)(found.as_str()) {
                return Some(found.range());
            }
            at = found.end();
        }
    }
}

/// The literals without one of which no pattern of [`Sign::Trigger`] matches.
const TRIGGERS: &str = r"-----BEGIN|eyJ|[Bb]earer|BEARER|[Bb]asic|BASIC|AKIA|ASIA|gh[opsur]_|github_pat_|glpat-|sk-|[rs]k_live_|[rs]k_test_|xox[abeoprs]-|xapp-|AIza|npm_|pypi-|hf_|SG\.|dop_v1_|mp_";

/// In the order in which they are applied: what holds others comes first.
const SOURCES: [(&str, Sign, &str, Check); 7] = [
    (
        "private_key",
        Sign::Trigger,
        r"(?s)(-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\z))",
        always,
    ),
    (
        "jwt",
        Sign::Trigger,
        r"(?-u:\b)(eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,3})",
        always,
    ),
    (
        "credentials",
        Sign::Trigger,
        r"(?-u:\b)(?:[Bb]earer|BEARER)[ \t]+([A-Za-z0-9._~+/-]{12,}=*)",
        is_token,
    ),
    (
        "credentials",
        Sign::Trigger,
        r"(?-u:\b)(?:[Bb]asic|BASIC)[ \t]+([A-Za-z0-9+/]{4,}={0,2})",
        is_user_and_password,
    ),
    (
        "key",
        Sign::Trigger,
        concat!(
            r"(?-u:\b)((?:AKIA|ASIA)[A-Z0-9]{16}",
            r"|gh[opsur]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}|glpat-[A-Za-z0-9_-]{20,}",
            r"|sk-[A-Za-z0-9_-]{20,}|[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
            r"|xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{20,}",
            r"|AIza[A-Za-z0-9_-]{35}|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,}|hf_[A-Za-z0-9]{30,}",
            r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|dop_v1_[a-f0-9]{64}|mp_[A-Za-z0-9_-]{20,})",
        ),
        has_digit,
    ),
    // Up to the last `@` in front of the path: passwords have some too.
    ("credentials", Sign::At, r"//([^\s/?#:@]*:[^\s/?#]*)@", is_readable),
    (
        "email",
        Sign::At,
        r"([A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63})(?-u:\b)",
        always,
    ),
];

static TRIGGER: LazyLock<Regex> = LazyLock::new(|| compile(TRIGGERS));

static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    let patterns = SOURCES.into_iter();
    patterns
        .map(|(kind, sign, source, check)| Pattern { kind, sign, regex: compile(source), check })
        .collect()
});

#[expect(clippy::expect_used, reason = "constants; the tests compile them all")]
fn compile(source: &str) -> Regex {
    Regex::new(source).expect("a pattern of ours")
}

fn always(_: &str) -> bool {
    true
}

/// Not a marker of ours: what was redacted may come by again.
fn is_readable(text: &str) -> bool {
    text != "[REDACTED:credentials]"
}

/// Long names have the same prefixes; keys are random and have digits.
fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

/// Not the next word of a sentence, such as in `bearer authentication`.
fn is_token(text: &str) -> bool {
    has_digit(text) || text.len() >= 32
}

/// Whether it is `user:password` in base64, and not the next word of a sentence such as in `basic settings`.
fn is_user_and_password(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let (mut bits, mut count, mut colon) = (0_u32, 0, false);
    for byte in digits.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            let decoded = (bits >> count) as u8;
            if decoded < 0x20 {
                return false;
            }
            colon |= decoded == b':';
        }
    }
    colon
}

#[cfg(test)]
mod tests;
