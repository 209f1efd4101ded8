//! Records with few different values, so that queries hit, and with all that makes reading them hard: values of
//! different kinds under one key, keys with dots, keys that are there twice, ids that are attributes here and members
//! of `fields` there.

use std::fmt::Write;

use millpond_record::{Timestamp, json::write_string};

pub const DAY: i64 = 86_400_000_000_000;

/// Random numbers that follow from a seed (the mixing of `SplitMix64`).
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

const MESSAGES: [&str; 32] = [
    "connection refused",
    "Connection timeout",
    "connection # refused after #ms",
    "connection 10.0.0.# refused",
    "conn#x closed",
    "tx12# done",
    "tx12 done",
    "12 connections, # idle",
    "# conn",
    "größe 12 GRÖßE",
    "Straße7 gesperrt",
    "STRAẞE7 gesperrt",
    "STRASSE7 gesperrt",
    "k# and K#",
    "\u{212a}# is kelvin",
    "日本# 語",
    "①② circled",
    "\u{10000} a mark",
    "\u{10000}# a mark and 12",
    "user_# did not respond…",
    "did NOT  respond",
    "did not responded",
    "GET /api/v1/orders/# 200",
    "a",
    "aa",
    "aba",
    "a*b",
    "say \"hi\" \\ bye",
    "line\nbreak #",
    "",
    "12",
    "refused_by peer",
];

const VALUES: [&str; 40] = [
    "1",
    "10",
    "-7",
    "1",
    "10",
    "500",
    "9.5",
    "10.0",
    "0.1",
    "1e3",
    "1000",
    "1000.0",
    "-0",
    "-0.0",
    "0",
    "0.0",
    "9007199254740993",
    "9007199254740992",
    "9007199254740992.0",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551614",
    "1e400",
    "-1e400",
    "1e-7",
    "\"10\"",
    "\"10.0\"",
    "\"x\"",
    "\"X y\"",
    "\"\"",
    "\"Infinity\"",
    "\"nan\"",
    "true",
    "false",
    "null",
    "[1,\"x\"]",
    "{}",
    "{\"b\":2}",
    "{\"b\":{\"c\":\"z\"}}",
    "{\"b\":null}",
];

const LEVELS: [&str; 8] = ["trace", "debug", "info", "notice", "warn", "error", "fatal", "emerg"];

const IDS: [&str; 6] = ["trace_id", "span_id", "request_id", "session_id", "user_id", "flow_id"];

/// A record as JSON. `time`: its event time; the same dice give the same record.
pub fn record(dice: &mut Dice, time: i64) -> String {
    let mut json = format!("{{\"time\":\"{}\"", Timestamp::from_nanos(time));
    let mut message = dice.pick(&MESSAGES).replace('#', &dice.below(30).to_string());
    if dice.one_in(8) {
        let letter = |number: u64| char::from(b'a' + u8::try_from(number % 26).unwrap());
        let kind = dice.below(26 * 26);
        message = format!("kind {}{} of #{}", letter(kind), letter(kind / 26), dice.below(3));
    }
    text(&mut json, "message", &message);
    text(&mut json, "level", dice.pick(&LEVELS));
    text(&mut json, "service", dice.pick(&["s0", "s1", "s2", "S1"]));
    let mut fields = String::new();
    for id in IDS {
        let value = match (id, dice.below(4)) {
            (_, 0) => continue,
            ("trace_id", _) => format!("{:032x}", Dice(dice.below(40)).next()),
            ("user_id", 1) => dice.pick(&["10", "9", "9.0", "-"]).to_owned(),
            _ => format!("{}{}", &id[..1], dice.below(12)),
        };
        text(if dice.one_in(4) { &mut fields } else { &mut json }, id, &value);
    }
    for (key, share) in [("host", 3), ("environment", 3), ("dataset", 6)] {
        if dice.one_in(share) {
            text(&mut json, key, dice.pick(&["h1", "h2", ""]));
        }
    }
    if dice.one_in(2) {
        write!(json, ",\"step_index\":{}", dice.below(4)).unwrap();
    }
    if dice.one_in(3) {
        json += dice.pick(&[
            r#","tags":["t"]"#,
            r#","tags":["t","u","t"]"#,
            r#","tags":["7","u"]"#,
            r#","tags":["","日本"]"#,
        ]);
    }
    if dice.one_in(4) {
        json += dice.pick(&[
            r#","exception":{"type":"IoError","message":"disk full","stacktrace":[]}"#,
            r#","exception":{"type":"ValueError","cause":{"type":"IoError","code":5}}"#,
            r#","exception":"boom""#,
        ]);
    }
    members(dice, &mut fields);
    write!(json, ",\"fields\":{{{}}}}}", fields.trim_start_matches(',')).unwrap();
    json
}

/// Adds a member with a comma in front of it.
fn text(json: &mut String, key: &str, value: &str) {
    json.push(',');
    write_string(json, key);
    json.push(':');
    write_string(json, value);
}

fn members(dice: &mut Dice, json: &mut String) {
    let mut add = |key: &str, value: &str| write!(json, ",\"{key}\":{value}").unwrap();
    if !dice.one_in(3) {
        add("n", dice.pick(&VALUES));
    }
    if !dice.one_in(8) {
        add("i", &(i64::try_from(dice.below(400)).unwrap() - 100).to_string());
    }
    if dice.one_in(2) {
        add("f", dice.pick(&["0.5", "1.5", "2.0", "3", "-4.25", "1e21", "\"2.5\""]));
    }
    if dice.one_in(2) {
        add("ok", dice.pick(&["true", "false", "\"true\""]));
    }
    match dice.below(8) {
        0 => add("a.b", dice.pick(&["1", "\"flat\"", "null", "[2]"])),
        1 => add("a", &format!("{{\"b\":{}}}", dice.pick(&["1", "2", "\"nested\"", "{\"c\":3}"]))),
        2 => {
            add("a", &format!("{{\"b\":{}}}", dice.pick(&["1", "\"nested\"", "null"])));
            add("a.b", dice.pick(&["5", "\"flat\"", "null", "{}"]));
        }
        3 => add("a", dice.pick(&["{}", "1", "\"a\"", "{\"b.c\":4}", "{\"b\":{\"c\":5}}"])),
        4 => {
            add("a", dice.pick(&["{\"b\":{\"c\":6}}", "{\"b.c\":7}", "{\"x\":1}"]));
            add("a.b", dice.pick(&["{\"c\":8}", "{\"c\":null}"]));
        }
        _ => {}
    }
    match dice.below(24) {
        0 => add("", "{\"\":1}"),
        1 => add("with \\\"quote", "\"q\""),
        2 => {
            add("n", "1");
            add("n", "\"second\"");
        }
        3 => {
            add("a", "{\"b\":3}");
            add("a", "9");
        }
        4 => add(&format!("rare{}", dice.below(400)), "1"),
        _ => {}
    }
}
