//! Queries, statistics and raw bodies, against a server that answers in every possible way.

use std::{error::Error as _, time::Duration};

use millpond::{
    Client, Level, Timestamp,
    read::{Aggregation, Query, RawFormat, RawOptions, ReadError, Stopper},
};

#[path = "support/web.rs"]
mod web;

use web::{Step, Web, answer, ok, page, raw};

const RECEIPT: &str = r#"{"accepted":2,"rejected":[{"index":1,"line":3,"reason":"no message"}],"rejected_count":1,"duplicate":false}"#;

#[test]
fn a_query_asks_for_what_it_describes_with_the_key_of_the_client() {
    let web = Web::start([page(&[2, 1], Some("c/1"))]);
    let query = Query::new("\"a+b\" & c:ü #1%")
        .service("api")
        .level(Level::Error)
        .trace_id("4bf9")
        .from(std::time::UNIX_EPOCH)
        .to(Timestamp::from_nanos(1))
        .limit(2)
        .cursor("c/2");
    let found = web.reader().query(&query).unwrap();
    let ids: Vec<_> = found.logs.iter().map(|log| log.id()).collect();
    assert_eq!((ids, found.next_cursor.as_deref()), (vec!["2", "1"], Some("c/1")));
    let request = &web.requests()[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/api/v1/logs"));
    assert_eq!(request.header("x-api-key"), Some("mp_secret"));
    for (name, value) in [
        ("q", "\"a+b\" & c:ü #1%"),
        ("service", "api"),
        ("level", "error"),
        ("trace_id", "4bf9"),
        ("from", "1970-01-01T00:00:00.000000000Z"),
        ("to", "1970-01-01T00:00:00.000000001Z"),
        ("limit", "2"),
        ("cursor", "c/2"),
    ] {
        assert_eq!(request.parameter(name), Some(value), "{name}");
    }
}

#[test]
fn all_pages_of_a_query_are_one_sequence_over_one_connection() {
    let last = ok(r#"{"logs":[],"has_more":false,"damaged":["a.parquet: torn"]}"#);
    let web = Web::start([page(&[5, 4], Some("4")), page(&[3], Some("3")), last]);
    let mut logs = web.reader().logs("level:error");
    let ids: Vec<_> = logs.by_ref().map(|log| log.unwrap().id().to_owned()).collect();
    assert_eq!(ids, ["5", "4", "3"]);
    assert_eq!(logs.damaged(), ["a.parquet: torn"]);
    let requests = web.requests();
    let cursors: Vec<_> = requests.iter().map(|request| request.parameter("cursor")).collect();
    assert_eq!(cursors, [None, Some("4"), Some("3")]);
    assert!(requests.iter().all(|request| request.parameter("limit") == Some("1000")));
    assert!(requests.iter().all(|request| request.connection == 0));
}

#[test]
fn a_request_is_stopped_from_another_thread_and_no_other_one_is_made() {
    let web = Web::start([vec![Step::Hang]]);
    let stopper = Stopper::default();
    let reader = web.reader().stopped_by(&stopper);
    let query = Query::default();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| reader.query(&query));
        web.wait_for(1);
        stopper.stop();
        assert!(asked.join().unwrap().is_err());
    });
    assert!(reader.query(&query).is_err());
    assert_eq!(web.requests().len(), 1);
}

#[test]
fn a_sequence_of_pages_ends_after_an_error() {
    let web = Web::start([page(&[2], Some("2")), answer(500, "", "")]);
    let mut logs = web.reader().logs(Query::default());
    assert!(logs.next().unwrap().is_ok());
    assert_eq!(logs.next().unwrap().unwrap_err().status(), Some(500));
    assert!(logs.next().is_none());
}

#[test]
fn pages_that_go_round_in_a_circle_are_an_error() {
    let web = Web::start([page(&[2], Some("2")), page(&[2], Some("2"))]);
    let mut logs = web.reader().logs("");
    assert!(logs.next().unwrap().is_ok());
    assert!(matches!(logs.next().unwrap(), Err(ReadError::Malformed { .. })));
    assert!(logs.next().is_none());
}

#[test]
fn a_trace_is_looked_up_by_its_id_whatever_characters_it_has() {
    let web = Web::start([ok(&format!(r#"{{"logs":[{}]}}"#, web::log(1)))]);
    let trace = web.reader().by_trace_id("a/b ?ü").unwrap();
    assert_eq!(trace.into_iter().map(|log| log.id().to_owned()).collect::<Vec<_>>(), ["1"]);
    assert_eq!(web.requests()[0].path, "/api/v1/logs/trace/a%2Fb%20%3F%C3%BC");
}

#[test]
fn statistics_are_typed() {
    let web = Web::start([ok(r#"{"interval":"5m","total":3,"timeseries":[
        {"bucket":"2026-01-31T12:00:00.000000000Z","total":3,"by_level":{"info":2,"error":1}},
        {"bucket":"2026-01-31T12:05:00.000000000Z","total":0,"by_level":{}}],
        "top_services":[{"service":"api","count":3}],"top_errors":[{"message":"no","count":1}],
        "new":1}"#)]);
    let wanted = Aggregation::new().query("a").service("api").interval("5m");
    let statistics = web.reader().aggregated(&wanted).unwrap();
    assert_eq!((statistics.interval.as_str(), statistics.total), ("5m", 3));
    let first = &statistics.timeseries[0];
    assert_eq!(first.start.to_string(), "2026-01-31T12:00:00.000000000Z");
    assert_eq!((first.by_level[&Level::Info], first.by_level[&Level::Error]), (2, 1));
    assert!(statistics.timeseries[1].by_level.is_empty());
    assert_eq!(statistics.top_services[0].value, "api");
    assert_eq!(
        (statistics.top_errors[0].value.as_str(), statistics.top_errors[0].count),
        ("no", 1)
    );
    let request = &web.requests()[0];
    assert_eq!(request.path, "/api/v1/logs/aggregated");
    assert_eq!((request.parameter("q"), request.parameter("interval")), (Some("a"), Some("5m")));
}

#[test]
fn a_refusal_says_what_the_server_said() {
    let message = "at 7: expected a value behind `level:`";
    let body = format!(
        r#"{{"error":"Bad Request","code":"invalid_query","message":"{message}","details":[]}}"#
    );
    let web = Web::start([answer(400, "", &body)]);
    let error = web.reader().query(&Query::new("level:")).unwrap_err();
    assert_eq!(error.to_string(), format!("the server refused (400 invalid_query): {message}"));
    assert!(!error.is_passing());
    let ReadError::Refused { status: 400, code, message: said } = error else { panic!("{error}") };
    assert_eq!((code.as_str(), said.as_str()), ("invalid_query", message));
}

#[test]
fn every_answer_that_is_none_is_an_error_that_says_so() {
    let moved = answer(307, "Location: https://elsewhere/\r\n", "");
    for (reply, complaint) in [
        (ok(r#"{"logs":[{"id":"#), "malformed: it begins with `{\"logs\":[{\"id\":`"),
        (ok("<html>Welcome</html>"), "malformed: it begins with `<html>Welcome</html>`"),
        (ok(""), "malformed: it is empty, expected a page of logs"),
        (ok("{}"), "malformed: missing field `logs`"),
        (ok("[]"), "malformed: "),
        (ok("null"), "malformed: "),
        (ok(r#"{"logs":[{}]}"#), "a log has no text `id`"),
        (ok(r#"{"logs":[],"next_cursor":7}"#), "malformed: invalid type: integer `7`"),
        (answer(500, "", ""), "refused (500): Internal Server Error"),
        (answer(502, "", "<html>Bad Gateway"), "refused (502): <html>Bad Gateway"),
        (answer(400, "", r#"{"message":7}"#), r#"refused (400): {"message":7}"#),
        (answer(599, "", ""), "refused (599): no reason given"),
        (moved, "refused (307): redirected to https://elsewhere/"),
        (raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"logs\""), "can't reach http://"),
        (raw("HTTP/1.1 200"), "can't reach http://"),
        (raw("SSH-2.0-OpenSSH_9.6\r\n\r\n"), "malformed: "),
        (vec![Step::Cut], "can't reach http://"),
    ] {
        let web = Web::start([reply]);
        let error = web.reader().query(&Query::default()).unwrap_err();
        assert!(error.to_string().contains(complaint), "{error}, expected {complaint}");
    }
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let reader = Client::builder().endpoint(format!("http://{free}")).build_reader().unwrap();
    let error = reader.query(&Query::default()).unwrap_err();
    assert!(matches!(error, ReadError::Unreachable { .. }), "{error}");
    assert!(error.source().is_some() && error.is_passing());
}

#[test]
fn a_server_that_does_not_answer_is_too_slow() {
    let headers_alone =
        vec![Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_vec()), Step::Hang];
    let web = Web::start([vec![Step::Hang], headers_alone]);
    let reader = web.reader().timeout(Duration::from_millis(20));
    for _ in 0..2 {
        let error = reader.query(&Query::default()).unwrap_err();
        assert!(matches!(error, ReadError::Timeout { .. }), "{error}");
    }
}

#[test]
fn a_query_that_fits_into_no_url_is_refused_here() {
    let web = Web::start([]);
    let error = web.reader().query(&Query::new("x".repeat(70_000))).unwrap_err();
    assert!(matches!(error, ReadError::Request { .. }), "{error}");
}

#[test]
fn a_kept_connection_that_the_server_closes_is_replaced() {
    let web = Web::start([page(&[1], None), vec![Step::Cut], page(&[2], None)]);
    let reader = web.reader();
    for id in ["1", "2"] {
        assert_eq!(reader.query(&Query::default()).unwrap().logs[0].id(), id);
    }
    let connections: Vec<_> = web.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 1]);
}

#[test]
fn a_raw_body_goes_out_with_what_is_told_about_it() {
    let web = Web::start([ok(RECEIPT)]);
    let options = RawOptions::new()
        .service("gateway")
        .environment("production")
        .level(Level::Warn)
        .dataset("imports")
        .tag("a")
        .tags(["b", "c"])
        .user_id("u")
        .session_id("s")
        .request_id("r")
        .flow_id("f");
    let receipt = web.reader().ingest_raw(RawFormat::Syslog, "<34>1 - - x", &options).unwrap();
    assert_eq!((receipt.accepted, receipt.rejected_count, receipt.duplicate), (2, 1, false));
    let rejected = &receipt.rejected[0];
    assert_eq!((rejected.index, rejected.line), (1, Some(3)));
    assert_eq!(rejected.reason, "no message");
    let request = &web.requests()[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/api/v1/ingest"));
    assert_eq!(request.body, b"<34>1 - - x");
    assert_eq!(request.header("content-type"), Some("application/x-syslog"));
    assert_eq!(request.header("x-api-key"), Some("mp_secret"));
    let query: Vec<_> = request.query.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        query,
        [
            ("format", "syslog"),
            ("service", "gateway"),
            ("environment", "production"),
            ("level", "warn"),
            ("dataset", "imports"),
            ("user_id", "u"),
            ("session_id", "s"),
            ("request_id", "r"),
            ("flow_id", "f"),
            ("tags", "a,b,c"),
        ]
    );
}

#[test]
fn a_raw_body_is_sent_again_under_one_key_until_there_is_a_receipt() {
    let web = Web::start([
        vec![Step::Cut],
        answer(503, "Retry-After: 0\r\n", ""),
        answer(429, "", ""),
        ok("<html>Welcome</html>"),
        ok(RECEIPT),
        ok(RECEIPT),
    ]);
    let reader = web.reader();
    let options = RawOptions::new();
    assert_eq!(reader.ingest_raw(RawFormat::Text, "a\nb", &options).unwrap().accepted, 2);
    reader.ingest_raw(RawFormat::Text, "a\nb", &options).unwrap();
    let requests = web.requests();
    let keys: Vec<_> = requests.iter().map(|r| r.header("idempotency-key").unwrap()).collect();
    assert_eq!(keys.len(), 6);
    assert!(keys[..5].iter().all(|key| *key == keys[0]), "{keys:?}");
    assert_ne!(keys[5], keys[0]);
    assert!(requests.iter().all(|request| request.body == b"a\nb"));
}

#[test]
fn a_raw_body_that_is_refused_is_not_sent_again() {
    for status in [400, 401, 403, 404, 413] {
        let web = Web::start([answer(status, "", r#"{"code":"c","message":"m"}"#)]);
        let error = web.reader().ingest_raw(RawFormat::Csv, "a", &RawOptions::new()).unwrap_err();
        assert_eq!(error.status(), Some(status));
        assert_eq!(web.requests().len(), 1);
    }
}

#[test]
fn a_raw_body_is_given_up_when_its_time_is_over() {
    let wait_long = answer(503, "Retry-After: 3600\r\n", r#"{"code":"closing","message":"m"}"#);
    let web = Web::start([wait_long]);
    let error = web.reader().ingest_raw(RawFormat::Json, "{}", &RawOptions::new()).unwrap_err();
    assert_eq!((error.status(), web.requests().len()), (Some(503), 1));
    let web = Web::start([answer(500, "", "")]);
    let never_again = RawOptions::new().retry_for(Duration::ZERO);
    let error = web.reader().ingest_raw(RawFormat::Json, "{}", &never_again).unwrap_err();
    assert_eq!((error.status(), web.requests().len()), (Some(500), 1));
}
