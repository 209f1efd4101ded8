//! What a server, or anything that stands in its place, may answer; and the key that anybody may send to one.

#![no_main]

use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use millpond_wire::{Answer, IDEMPOTENCY_KEY_BYTES_MAX, IdempotencyKey, Verdict};

fuzz_target!(|input: (u16, Option<&str>, &str)| {
    let (status, retry_after, body) = input;
    let verdict = Verdict::of(&Answer { status, retry_after, body }, SystemTime::UNIX_EPOCH);
    if let Verdict::Delivered { .. } = verdict {
        assert!((200..300).contains(&status));
    }
    if let Ok(key) = body.parse::<IdempotencyKey>()
        // One without a sequence is written with one.
        && key.to_string().len() <= IDEMPOTENCY_KEY_BYTES_MAX
    {
        assert_eq!(key.to_string().parse::<IdempotencyKey>(), Ok(key));
    }
});
