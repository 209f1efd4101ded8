//! The live stream: what breaks is taken up again, and what is stopped stops.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use millpond::read::{LogStream, ReadError};

#[path = "support/web.rs"]
mod web;

use web::{PATIENCE, Step, Web, answer, comment, event, ok, stream};

/// Longer than any test waits.
const HOUR: Duration = Duration::from_secs(3600);

fn ids(stream: LogStream) -> Vec<String> {
    stream.map(|log| log.unwrap().id().to_owned()).collect()
}

fn channel<T>() -> (SyncSender<T>, Receiver<T>) {
    sync_channel(100)
}

#[test]
fn a_stream_that_is_cut_anywhere_loses_nothing_and_repeats_nothing() {
    let pieces = [comment(1), event(2), comment(3), event(4)];
    let said = web::stream_bytes(&pieces);
    let ends = pieces.each_ref().map(|piece| {
        let text = String::from_utf8(said.clone()).unwrap();
        text.find(piece.as_str()).unwrap() + piece.len()
    });
    for place in 0..=said.len() {
        // The last id that was said in whole.
        let resumed =
            [1, 2, 3, 4].into_iter().zip(ends).rfind(|(_, end)| place >= *end).map(|(id, _)| id);
        let missed = [2, 4, 5].into_iter().filter(|id| Some(*id) > resumed);
        let missed: String = missed.map(event).collect();
        let web = Web::start([
            vec![Step::Send(said[..place].into()), Step::Cut],
            stream(&[&missed], Step::Hang),
        ]);
        let logs = web.reader().stream("level:error").take(3);
        let got: Vec<_> = logs.map(|log| log.unwrap().id().to_owned()).collect();
        assert_eq!(got, ["2", "4", "5"], "cut at {place}");
        let requests = web.requests();
        assert_eq!(requests[0].header("last-event-id"), None);
        let resumed = resumed.map(|id| id.to_string());
        assert_eq!(requests[1].header("last-event-id"), resumed.as_deref(), "cut at {place}");
        assert!(requests.iter().all(|request| request.parameter("q") == Some("level:error")));
    }
}

#[test]
fn a_stream_that_turns_into_something_else_is_taken_up_again() {
    let mut said = web::stream_bytes(&[""; 0]);
    said.extend(b"<html>Bad Gateway</html>\r\n\r\n");
    let web = Web::start([vec![Step::Send(said), Step::Hang], stream(&[&event(1)], Step::Hang)]);
    assert_eq!(web.reader().stream("").next().unwrap().unwrap().id(), "1");
}

#[test]
fn a_stream_that_ends_in_order_is_taken_up_again_too() {
    let ended = [event(1), comment(7)].concat();
    let mut first = stream(&[&ended], Step::Send(b"0\r\n\r\n".to_vec()));
    first.push(Step::Cut);
    let web = Web::start([first, stream(&[&event(8)], Step::Hang)]);
    let mut logs = web.reader().stream("");
    for id in ["1", "8"] {
        assert_eq!(logs.next().unwrap().unwrap().id(), id);
        assert_eq!(logs.position(), Some(id));
    }
    assert_eq!(web.requests()[1].header("last-event-id"), Some("7"));
}

#[test]
fn a_stream_resumes_where_an_earlier_program_stopped() {
    let web = Web::start([stream(&[&event(8)], Step::Hang)]);
    let mut logs = web.reader().stream("").resume_after("7");
    assert_eq!(logs.next().unwrap().unwrap().id(), "8");
    let request = &web.requests()[0];
    assert_eq!(request.header("last-event-id"), Some("7"));
    assert_eq!(request.header("accept"), Some("text/event-stream"));
    assert_eq!(request.header("x-api-key"), Some("mp_secret"));
}

#[test]
fn how_far_the_server_has_looked_is_told_while_there_is_no_log() {
    let web = Web::start([stream(&[&comment(1), &comment(2), &event(3)], Step::Hang)]);
    let (sender, positions) = channel();
    let logs = web.reader().stream("");
    let mut logs = logs.on_progress(move |position| sender.send(position.to_owned()).unwrap());
    assert_eq!(logs.next().unwrap().unwrap().id(), "3");
    assert_eq!(positions.try_iter().collect::<Vec<_>>(), ["1", "2"]);
}

#[test]
fn a_server_in_trouble_is_asked_again_and_each_outage_is_told() {
    let web = Web::start([
        answer(503, "Retry-After: 0\r\n", ""),
        vec![Step::Cut],
        answer(429, "", ""),
        stream(&[&event(1)], Step::Hang),
    ]);
    let (sender, outages) = channel();
    let logs = web.reader().stream("");
    let mut logs = logs.on_outage(move |error| sender.send(error.status()).unwrap());
    assert_eq!(logs.next().unwrap().unwrap().id(), "1");
    assert_eq!(outages.try_iter().collect::<Vec<_>>(), [Some(503), None, Some(429)]);
}

#[test]
fn a_stream_that_has_gone_silent_is_connected_again() {
    let web = Web::start([
        stream(&[&event(1)], Step::Hang),
        vec![Step::Hang],
        stream(&[&event(2)], Step::Hang),
    ]);
    let logs = web.reader().stream("").silence_max(Duration::from_millis(200));
    let got: Vec<_> = logs.take(2).map(|log| log.unwrap().id().to_owned()).collect();
    assert_eq!(got, ["1", "2"]);
    assert_eq!(web.requests()[2].header("last-event-id"), Some("1"));
}

#[test]
fn what_time_will_not_heal_ends_a_stream_with_an_error() {
    for status in [400, 401, 403, 404, 307] {
        let web = Web::start([answer(status, "", r#"{"code":"c","message":"m"}"#)]);
        let mut logs = web.reader().stream("");
        assert_eq!(logs.next().unwrap().unwrap_err().status(), Some(status));
        assert!(logs.next().is_none());
        assert_eq!(web.requests().len(), 1);
    }
    let large = format!("data: {}", "x".repeat(9 << 20));
    for (reply, complaint) in [
        (ok("<html>Welcome</html>"), "begins with `<html>Welcome"),
        (answer(204, "", ""), "empty, expected a stream"),
        (stream(&["id: 1\ndata: {}\n\n"], Step::Hang), "is no log: a log has no text `id`"),
        (stream(&["id: 1\ndata: {\"id\n\n"], Step::Hang), "is no log: EOF"),
        (stream(&[&large], Step::Hang), "larger than"),
    ] {
        let web = Web::start([reply]);
        let mut logs = web.reader().stream("");
        let error = logs.next().unwrap().unwrap_err();
        assert!(matches!(error, ReadError::Malformed { .. }), "{error}");
        assert!(error.to_string().contains(complaint), "{error}, expected {complaint}");
        assert!(logs.next().is_none());
    }
}

#[test]
fn a_place_that_no_header_can_carry_is_an_error() {
    let web = Web::start([]);
    let mut logs = web.reader().stream("").resume_after("1\n2");
    let error = logs.next().unwrap().unwrap_err();
    assert!(matches!(error, ReadError::Request { .. }), "{error}");
    assert!(logs.next().is_none());
}

#[test]
fn a_key_that_is_revoked_ends_a_stream_that_ran() {
    let web = Web::start([stream(&[&event(1)], Step::Cut), answer(401, "", "")]);
    let mut logs = web.reader().stream("");
    assert!(logs.next().unwrap().is_ok());
    assert_eq!(logs.next().unwrap().unwrap_err().status(), Some(401));
    assert!(logs.next().is_none());
}

/// Each way in which a server can keep a client waiting.
fn waits() -> Vec<(&'static str, Vec<Step>)> {
    vec![
        ("hangs", vec![Step::Hang]),
        ("is silent", stream(&[&comment(1)], Step::Hang)),
        ("hangs in the middle of an event", stream(&["id: 1\ndata: {"], Step::Hang)),
        ("hangs in the middle of a refusal", {
            let head = "HTTP/1.1 503 X\r\nContent-Length: 9\r\n\r\n".into();
            vec![Step::Send(head), Step::Hang]
        }),
        ("refuses", answer(503, "", "")),
        ("cuts", vec![Step::Cut]),
    ]
}

#[test]
fn a_stream_stops_whatever_the_server_makes_it_wait_for() {
    for (server, reply) in waits() {
        let web = Web::start([reply]);
        let logs = web.reader_with_delay(HOUR).stream("").silence_max(HOUR);
        let stopper = logs.stopper();
        let (sender, ended) = channel();
        thread::spawn(move || sender.send(ids(logs)).unwrap());
        web.wait_for(1);
        stopper.stop();
        assert_eq!(ended.recv_timeout(PATIENCE).expect(server), [""; 0], "{server}");
    }
}

#[test]
fn a_stream_that_was_stopped_before_it_began_asks_nothing() {
    let web = Web::start([]);
    let logs = web.reader().stream("");
    logs.stopper().stop();
    assert_eq!(ids(logs), [""; 0]);
    assert!(web.requests().is_empty());
}

#[test]
fn a_tail_calls_for_each_log_until_it_is_stopped() {
    let said = [event(1), event(2)].concat();
    let web = Web::start([stream(&[&said], Step::Hang)]);
    let (sender, logs) = channel();
    let tail = web.reader().tail("").spawn(move |log| sender.send(log).unwrap()).unwrap();
    for id in ["1", "2"] {
        assert_eq!(logs.recv_timeout(PATIENCE).unwrap().id(), id);
    }
    assert!(tail.is_running());
    tail.stop();
    assert!(tail.wait(PATIENCE));
    assert!(!tail.is_running());
    assert!(logs.recv_timeout(PATIENCE).is_err(), "what it called is gone");
    web.wait_for_closed(1);
}

#[test]
fn a_tail_stops_whatever_the_server_makes_it_wait_for() {
    for (server, reply) in waits() {
        let web = Web::start([reply]);
        let tail = web.reader_with_delay(HOUR).tail("").silence_max(HOUR).spawn(|_| ()).unwrap();
        web.wait_for(1);
        tail.stop();
        assert!(tail.wait(PATIENCE), "{server}");
    }
}

#[test]
fn a_tail_ends_with_its_handle() {
    let web = Web::start([stream(&[&comment(1)], Step::Hang)]);
    let tail = web.reader().tail("").spawn(|_| ()).unwrap();
    web.wait_for(1);
    drop(tail);
    web.wait_for_closed(1);
}

#[test]
fn a_tail_whose_handle_is_let_go_of_runs_on() {
    let web = Web::start([vec![Step::Cut], stream(&[&event(1)], Step::Hang)]);
    let (sender, logs) = channel();
    web.reader().tail("").spawn(move |log| sender.send(log).unwrap()).unwrap().detach();
    assert_eq!(logs.recv_timeout(PATIENCE).unwrap().id(), "1");
}

#[test]
fn a_tail_can_be_stopped_from_its_own_function() {
    let said = [event(1), event(2)].concat();
    let web = Web::start([stream(&[&said], Step::Hang)]);
    let (handle_sender, handle) = channel::<millpond::read::StopHandle>();
    let (sender, logs) = channel();
    let tail = web.reader().tail("").spawn(move |log| {
        let tail = handle.recv().unwrap();
        assert!(!tail.stop(), "it can't wait for itself");
        sender.send(log.id().to_owned()).unwrap();
    });
    handle_sender.send(tail.unwrap()).unwrap();
    let mut got = Vec::new();
    while let Ok(id) = logs.recv_timeout(PATIENCE) {
        got.push(id);
    }
    assert_eq!(got, ["1"]);
}

#[test]
fn a_function_that_panics_ends_its_tail_with_an_error() {
    let web = Web::start([stream(&[&event(1), &event(2)], Step::Hang)]);
    let (sender, errors) = channel();
    let tail = web.reader().tail("").on_error(move |error| sender.send(error).unwrap());
    let tail = tail.spawn(|log| panic!("no use for {}", log.id())).unwrap();
    let error = errors.recv_timeout(PATIENCE).unwrap();
    let ReadError::Panicked { message } = error else { panic!("{error}") };
    assert_eq!(message, "no use for 1");
    assert!(tail.wait(PATIENCE));
}

#[test]
fn a_tail_tells_the_error_that_ends_it() {
    let web = Web::start([answer(401, "", r#"{"code":"invalid_key","message":"no such key"}"#)]);
    let (sender, errors) = channel();
    let tail = web.reader().tail("").on_error(move |error| {
        sender.send(error.to_string()).unwrap();
        panic!("also here it does no harm");
    });
    let tail = tail.spawn(|_| ()).unwrap();
    let error = errors.recv_timeout(PATIENCE).unwrap();
    assert_eq!(error, "the server refused (401 invalid_key): no such key");
    assert!(tail.wait(PATIENCE));
}
