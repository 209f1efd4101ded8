//! The records of a batch, as the server reads them from whatever a client sends: in our own wire, in the raw formats,
//! and in the wires of other systems. Whatever is taken as a record is taken again from its own JSON, and is the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use millpond_protocols::{Defaults, Protocol, read};
use millpond_record::{Decoded, Timestamp, decode, json::Reader};

const OBSERVED: Timestamp = Timestamp::from_nanos(1_763_692_800_000_000_000);

fuzz_target!(|input: (u8, &[u8])| {
    let (choice, body) = input;
    let protocol = Protocol::ALL[usize::from(choice) % Protocol::ALL.len()];
    // A body that is refused whole is none of our business.
    let _ = read(protocol, body, &Defaults::default(), OBSERVED, &mut |entry| {
        let Decoded::Record(record) = &entry.decoded else { return };
        match decode(&mut Reader::new(entry.json), OBSERVED) {
            Ok(Decoded::Record(again)) => assert_eq!(&again, record),
            other => panic!("{other:?}"),
        }
    });
});
