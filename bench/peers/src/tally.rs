//! Counts the records in the bodies that a sink took: ours, OTLP's and Sentry's. After the measurement, so that
//! reading them takes no processor from who sends them.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// A request that was answered with a success.
pub(crate) struct Taken {
    pub(crate) path: String,
    pub(crate) encoding: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// What is in a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) records: u64,
    /// Records that the client says it has lost.
    pub(crate) told_lost: u64,
}

pub(crate) fn tally(taken: &Taken) -> Result<Tally> {
    match taken.path.as_str() {
        "/api/v1/ingest" => lines(taken),
        "/v1/logs" => {
            ensure!(taken.encoding.is_none(), "OTLP in an encoding that was not asked for");
            Ok(Tally { records: export_logs_request(&taken.body)?, told_lost: 0 })
        }
        path if path.ends_with("/envelope/") => envelope(&taken.body),
        path => bail!("nobody was told to send to {path}"),
    }
}

fn lines(taken: &Taken) -> Result<Tally> {
    let plain = match taken.encoding.as_deref() {
        Some("zstd") => zstd::decode_all(taken.body.as_slice())?,
        None => taken.body.clone(),
        Some(other) => bail!("a batch in {other}"),
    };
    // What the client says of its own losses is no record of the application.
    let reports = plain
        .split(|&byte| byte == b'\n')
        .filter(|line| contains(line, br#""logger":"millpond""#))
        .map(|line| Ok(serde_json::from_slice::<Value>(line)?))
        .collect::<Result<Vec<_>>>()?;
    let told_lost = reports.iter().filter_map(|report| report["fields"]["lost"].as_u64()).sum();
    let lines = plain.iter().filter(|&&byte| byte == b'\n').count();
    Ok(Tally { records: (lines - reports.len()) as u64, told_lost })
}

fn contains(line: &[u8], part: &[u8]) -> bool {
    line.windows(part.len()).any(|window| window == part)
}

/// `ExportLogsServiceRequest { 1: ResourceLogs { 2: ScopeLogs { 2: LogRecord } } }`.
fn export_logs_request(body: &[u8]) -> Result<u64> {
    let mut records = 0;
    for resource_logs in fields(body, 1)? {
        for scope_logs in fields(resource_logs, 2)? {
            records += fields(scope_logs, 2)?.len() as u64;
        }
    }
    Ok(records)
}

/// The length-delimited fields of a protobuf message that have this number.
fn fields(mut message: &[u8], wanted: u64) -> Result<Vec<&[u8]>> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message)?;
        match key & 7 {
            0 => {
                varint(&mut message)?;
            }
            1 => {
                split(&mut message, 8)?;
            }
            2 => {
                let length = usize::try_from(varint(&mut message)?)?;
                let field = split(&mut message, length)?;
                if key >> 3 == wanted {
                    found.push(field);
                }
            }
            5 => {
                split(&mut message, 4)?;
            }
            kind => bail!("protobuf of wire type {kind}"),
        }
    }
    Ok(found)
}

fn varint(message: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *split(message, 1)?.first().context("a varint without an end")?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    bail!("a varint of more than ten bytes")
}

fn split<'a>(message: &mut &'a [u8], length: usize) -> Result<&'a [u8]> {
    let (field, rest) = message.split_at_checked(length).context("protobuf that is cut off")?;
    *message = rest;
    Ok(field)
}

/// A line of headers; then items, each a line of headers and a line of JSON.
fn envelope(body: &[u8]) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut lines = body.split(|&byte| byte == b'\n').skip(1);
    while let Some(header) = lines.next().filter(|header| !header.is_empty()) {
        let header: Value = serde_json::from_slice(header)?;
        let item = lines.next().context("an item without its body")?;
        match header["type"].as_str() {
            Some("log") => tally.records += header["item_count"].as_u64().context("no count")?,
            Some("client_report") => {
                tally.told_lost += discarded_logs(&serde_json::from_slice(item)?);
            }
            _ => {}
        }
    }
    Ok(tally)
}

fn discarded_logs(report: &Value) -> u64 {
    let discarded = report["discarded_events"].as_array().into_iter().flatten();
    let logs = discarded.filter(|event| event["category"] == "log_item");
    logs.filter_map(|event| event["quantity"].as_u64()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(path: &str, body: &[u8]) -> Taken {
        Taken { path: path.to_owned(), encoding: None, body: body.to_owned() }
    }

    #[test]
    fn lines_are_records_and_the_report_of_a_loss_is_none() {
        let lines = "{\"message\":\"a\"}\n{\"logger\":\"millpond\",\"fields\":{\"lost\":7}}\n{}\n";
        let mut taken = taken("/api/v1/ingest", lines.as_bytes());
        assert_eq!(tally(&taken).unwrap(), Tally { records: 2, told_lost: 7 });
        taken.body = zstd::encode_all(lines.as_bytes(), 1).unwrap();
        taken.encoding = Some("zstd".to_owned());
        assert_eq!(tally(&taken).unwrap(), Tally { records: 2, told_lost: 7 });
    }

    #[test]
    fn log_records_of_otlp_are_counted_below_resource_and_scope() {
        // Two records in one scope, one in another; a resource (field 1) and a fixed64 beside them.
        let scope_of_two = [0x12, 2, 0x10, 9, 0x12, 0];
        let scope_of_one = [0x12, 9, 0x09, 1, 2, 3, 4, 5, 6, 7, 8];
        let mut resource = vec![0x0a, 1, 0xff];
        for scope in [scope_of_two.as_slice(), &scope_of_one] {
            resource.extend([0x12, scope.len() as u8]);
            resource.extend(scope);
        }
        let mut request = vec![0x0a, resource.len() as u8];
        request.extend(resource);
        assert_eq!(tally(&taken("/v1/logs", &request)).unwrap().records, 3);
        assert!(tally(&taken("/v1/logs", &request[..request.len() - 1])).is_err());
    }

    #[test]
    fn envelopes_say_how_many_logs_they_hold_and_how_many_were_lost() {
        let envelope = concat!(
            "{}\n{\"type\":\"log\",\"item_count\":100,\"content_type\":\"x\"}\n{\"items\":[]}\n",
            "{\"type\":\"client_report\",\"length\":3}\n{\"discarded_events\":[",
            "{\"reason\":\"queue_overflow\",\"category\":\"log_item\",\"quantity\":300},",
            "{\"reason\":\"queue_overflow\",\"category\":\"log_byte\",\"quantity\":9}]}\n"
        );
        let tally = tally(&taken("/api/1/envelope/", envelope.as_bytes())).unwrap();
        assert_eq!(tally, Tally { records: 100, told_lost: 300 });
    }
}
