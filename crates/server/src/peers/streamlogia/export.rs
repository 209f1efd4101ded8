//! Many records at once, page by page as they are read: lines of JSON, or CSV. What fails after the first page ends the
//! body early.

use std::io;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderName},
    response::{IntoResponse, Response},
};
use futures::stream;
use millpond_protocols::streamlogia::{CSV_HEADER, csv_row, entry, id_of_project};
use millpond_query::Filter;
use millpond_store::records;

use super::{
    asked::{Asked, Pairs, count, of_project},
    reading::search,
};
use crate::{
    App,
    auth::Caller,
    error::ApiError,
    limits::{EXPORT_RECORDS_MAX, PAGE_RECORDS_MAX, QUERY_TIME_MAX},
    logs::{
        Parameters, Piece,
        reading::ask,
        search::{Found, Place, Search},
    },
};

pub(super) async fn export(
    State(app): State<App>,
    caller: Caller,
    Piece(id): Piece,
    Parameters(pairs): Pairs,
) -> Result<Response, ApiError> {
    let filter = of_project(&id, &caller);
    exported(app, caller, filter, &Asked(pairs)).await
}

pub(super) async fn export_of_key(
    State(app): State<App>,
    caller: Caller,
    Parameters(pairs): Pairs,
) -> Result<Response, ApiError> {
    let asked = Asked(pairs);
    let filter = asked.of_named_projects(&caller)?;
    exported(app, caller, filter, &asked).await
}

async fn exported(
    app: App,
    caller: Caller,
    of_project: Filter,
    asked: &Asked,
) -> Result<Response, ApiError> {
    let format = Format::named(asked.one("format"))?;
    let most = count("maxRows", asked.one("maxRows"), EXPORT_RECORDS_MAX, EXPORT_RECORDS_MAX)?;
    let wanted = Search { limit: PAGE_RECORDS_MAX, ..search(of_project, asked)? };
    let id = id_of_project(caller.project.as_str());
    let mut export = Export { app, caller, wanted, left: most, format, next: None };
    // So that what is wrong with the question is an error like any other.
    let first = export.page(None).await?;
    let first = Bytes::from([format.header().as_bytes(), &first].concat());
    let pieces = stream::try_unfold((export, Some(first)), |(mut export, page)| async move {
        let bytes = match (page, export.next.take()) {
            (Some(bytes), next) => {
                export.next = next;
                bytes
            }
            (None, Some(place)) => export
                .page(Some(place))
                .await
                .map_err(|error| io::Error::other(error.message().to_owned()))?,
            (None, None) => return Ok::<_, io::Error>(None),
        };
        Ok(Some((bytes, (export, None))))
    });
    let name = format!("attachment; filename=\"logs-{id}.{}\"", format.name());
    let headers = [
        (CONTENT_TYPE, format.content_type().to_owned()),
        (CONTENT_DISPOSITION, name),
        (HeaderName::from_static("x-export-row-limit"), most.to_string()),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// How records are written.
#[derive(Clone, Copy)]
enum Format {
    Lines,
    Csv,
}

impl Format {
    fn named(name: Option<&str>) -> Result<Self, ApiError> {
        match name.map(str::to_ascii_lowercase).as_deref() {
            None | Some("ndjson" | "jsonl" | "json") => Ok(Self::Lines),
            Some("csv") => Ok(Self::Csv),
            Some(other) => {
                Err(ApiError::parameter(format!("format: `{other}`, expected `ndjson` or `csv`")))
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Lines => "ndjson",
            Self::Csv => "csv",
        }
    }

    /// What stands in front of all records.
    fn header(self) -> &'static str {
        match self {
            Self::Lines => "",
            Self::Csv => CSV_HEADER,
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Lines => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }
}

/// An export that is under way.
struct Export {
    app: App,
    caller: Caller,
    wanted: Search,
    /// Records that may still be given.
    left: usize,
    format: Format,
    /// Where the next page begins.
    next: Option<Place>,
}

impl Export {
    /// The page behind a place, written; it notes where the next one begins.
    async fn page(&mut self, place: Option<Place>) -> Result<Bytes, ApiError> {
        let limit = self.wanted.limit.min(self.left);
        let (filter, order) = (self.wanted.filter.clone(), self.wanted.order.clone());
        let place = place.or(self.wanted.place);
        let first = self.left;
        let wanted = Search { filter, order, place, limit, ..self.wanted };
        let found =
            ask(&self.app, &self.caller, QUERY_TIME_MAX, |reading| wanted.run(reading)).await?;
        self.left -= found.answer.rows.num_rows().min(self.left);
        self.next = found.next_page().filter(|_| self.left > 0 && self.left < first);
        Ok(self.write(&found))
    }

    fn write(&self, found: &Found) -> Bytes {
        let project = self.caller.project.as_str();
        let mut page = Vec::new();
        for (cursor, record) in records(&found.answer.rows) {
            let id = cursor.to_string();
            match self.format {
                Format::Lines => {
                    page.extend_from_slice(entry(&id, project, &record).as_bytes());
                    page.push(b'\n');
                }
                Format::Csv => page.extend_from_slice(&csv_row(&id, project, &record)),
            }
        }
        page.into()
    }
}
