use proptest::prelude::*;

use super::*;

fn redacted(text: &str) -> String {
    redact(text).map_or_else(|| text.to_owned(), |(text, _)| text)
}

/// The examples are put together here, so that no tool takes this file for a leak.
fn key(prefix: &str, length: usize) -> String {
    let body: String = "a7Bq9ZkX2mWp4LrT".chars().cycle().take(length).collect();
    format!("{prefix}{body}")
}

const JWT: &str =
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";

#[test]
fn each_kind_is_replaced_where_it_stands_and_nothing_else_is() {
    for (secret, kind) in [
        (JWT.to_owned(), "jwt"),
        ("AKIAIOSFODNN7EXAMPLE".to_owned(), "key"),
        (key("ghp_", 36), "key"),
        (key("github_pat_", 40), "key"),
        (key("glpat-", 20), "key"),
        (key("sk-proj-", 40), "key"),
        (key("sk_live_", 24), "key"),
        (key("xoxb-", 30), "key"),
        (key("AIza", 35), "key"),
        (key("npm_", 36), "key"),
        (key("hf_", 34), "key"),
        (key("mp_", 43), "key"),
        ("4111 1111 1111 1111".to_owned(), "card"),
        ("a.b+c@mail.shop.example".to_owned(), "email"),
    ] {
        for (before, behind) in
            [("", ""), ("used ", " twice"), ("<", ">"), ("key=", ", then"), ("ü", ".")]
        {
            // A letter in front makes a word of it, but of an address only a longer one.
            if before == "ü" && kind != "email" {
                continue;
            }
            let text = format!("{before}{secret}{behind}");
            assert_eq!(redacted(&text), format!("{before}[REDACTED:{kind}]{behind}"), "{text}");
        }
    }
}

#[test]
fn credentials_lose_the_secret_and_keep_the_rest() {
    for (text, expected) in [
        ("Authorization: Bearer 7d1f0a3e9c2b4856", "Authorization: Bearer [REDACTED:credentials]"),
        (
            "authorization: basic YWxpY2U6aHVudGVyMg==",
            "authorization: basic [REDACTED:credentials]",
        ),
        (
            "postgres://app:p@ss:w0rd@db.example:5432/shop",
            "postgres://[REDACTED:credentials]@db.example:5432/shop",
        ),
        ("redis://:hunter2@cache/0", "redis://[REDACTED:credentials]@cache/0"),
        (
            "GET https://a:b@x/ then https://c:d@y/",
            "GET https://[REDACTED:credentials]@x/ then https://[REDACTED:credentials]@y/",
        ),
    ] {
        assert_eq!(redacted(text), expected);
    }
    assert_eq!(redacted(&format!("Bearer {JWT}")), "Bearer [REDACTED:jwt]");
}

#[test]
fn a_private_key_is_redacted_to_its_end_or_that_of_the_text() {
    let begin = ["-----BEGIN RSA PRIVATE", " KEY-----"].concat();
    let end = "-----END RSA PRIVATE KEY-----";
    for line_break in ["\n", "\\n"] {
        let text = format!("a {begin}{line_break}MIIE{line_break}{end} b");
        assert_eq!(redacted(&text), "a [REDACTED:private_key] b");
    }
    assert_eq!(redacted(&format!("a {begin}\nMIIE…")), "a [REDACTED:private_key]");
    let public = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----";
    assert_eq!(redact(public), None);
}

#[test]
fn all_of_them_are_counted() {
    let text = format!("a@b.example, c@d.example and {JWT}");
    assert_eq!(
        redact(&text),
        Some(("[REDACTED:email], [REDACTED:email] and [REDACTED:jwt]".to_owned(), 3))
    );
}

#[test]
fn ordinary_texts_stay_as_they_are() {
    for text in [
        "",
        "order 4711 placed in 12 ms",
        "bearer authentication is required",
        "the bearer of bad news",
        "basic settings are missing",
        "Basic authentication failed for user alice",
        "task-scheduler-worker-restarted-again-and-again",
        "sk-learn-is-a-library-for-machine-learning",
        "user@host",
        "git@github",
        "@mention and npm i @scope/package",
        "ssh://host:22/path",
        "http://[::1]:4480/api?at=12:30@noon",
        "2026-01-31T12:00:00.123456789Z",
        "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
        "trace 4bf92f3577b34da6a3ce929d0e0e4736",
        "eyJust a word",
        "temp_file mp_count=3 jump_table",
        "AKIA is a prefix",
        "1763692800000000000",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ] {
        assert_eq!(redact(text), None, "{text}");
    }
}

#[test]
fn no_pattern_matches_without_its_sign() {
    prepare();
    assert_eq!(PATTERNS.len(), SOURCES.len());
    for (pattern, text) in PATTERNS.iter().zip([
        ["-----BEGIN PRIVATE", " KEY-----"].concat(),
        JWT.to_owned(),
        "BEARER 7d1f0a3e9c2b4856".to_owned(),
        "BASIC YWxpY2U6aHVudGVyMg==".to_owned(),
        key("ghs_", 36),
        "//a:b@".to_owned(),
        "a@b.example".to_owned(),
    ]) {
        assert!(pattern.find(&text, 0).is_some(), "{text}");
        match pattern.sign {
            Sign::Trigger => assert!(TRIGGER.is_match(&text), "{text}"),
            Sign::At => assert!(text.contains('@'), "{text}"),
        }
    }
}

proptest! {
    #[test]
    fn no_marker_holds_what_it_stands_for(user in "[a-z]{5,12}", before in "[a-z ]{0,20}") {
        let text = format!("{before} {user}@{user}.example");
        let (redacted, count) = redact(&text).unwrap();
        prop_assert_eq!((redacted, count), (format!("{before} [REDACTED:email]"), 1));
    }

    #[test]
    fn what_was_redacted_holds_no_secret_any_more(text in "(a@b\\.de|//u:p@h|[0-9 -]|4111111111111111|Bearer |eyJ|[a-z.]){0,12}") {
        if let Some((redacted, _)) = redact(&text) {
            prop_assert_eq!(redact(&redacted), None);
        }
    }
}
