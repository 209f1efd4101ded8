//! A store that remembers what it was asked, and records to ask for.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::{
    io,
    sync::{Arc, Mutex},
};

use arrow::{
    array::RecordBatch,
    datatypes::SchemaRef,
    util::display::{ArrayFormatter, FormatOptions},
};
use async_trait::async_trait;
use futures::StreamExt;
use millpond_record::{Decoded, Timestamp, decode, json::Reader};
use millpond_sql::{Limits, Sql, SqlAnswer, SqlError};
use millpond_store::{
    Aggregate, Answer, AppendError, Appended, Batch, BatchBuilder, EmbeddedStore, Project,
    ProjectInfo, QueryError, Retention, Rows, Scan, Scanned, Store,
};
use millpond_wire::IdempotencyKey;
use tempfile::TempDir;
use tokio::sync::watch;

pub const MEMORY_BYTES: usize = 64 << 20;

/// An embedded store on a directory of its own, with everything that it is asked to scan.
#[derive(Debug)]
pub struct Watched {
    inner: EmbeddedStore,
    pub scans: Mutex<Vec<Scan>>,
    /// Whether a scan goes on for ever.
    pub endless: bool,
    /// As long as an endless scan goes on, someone else holds this.
    pub open: Arc<()>,
    _folder: TempDir,
}

impl Watched {
    pub fn new(endless: bool) -> Arc<Self> {
        let folder = TempDir::new().unwrap();
        let inner = EmbeddedStore::open(folder.path()).unwrap();
        Arc::new(Self {
            inner,
            scans: Mutex::default(),
            endless,
            open: Arc::new(()),
            _folder: folder,
        })
    }

    /// Writes what is hot to a segment, where frequent members of `fields` get columns.
    pub fn flush(&self) {
        self.inner.flush().unwrap();
    }

    /// The scans since the last call.
    pub fn asked(&self) -> Vec<Scan> {
        std::mem::take(&mut self.scans.lock().unwrap())
    }
}

#[async_trait]
impl Store for Watched {
    async fn append(
        &self,
        project: &Project,
        key: Option<IdempotencyKey>,
        batch: Batch,
    ) -> Result<Appended, AppendError> {
        self.inner.append(project, key, batch).await
    }

    async fn rows(&self, project: &Project, request: &Rows) -> Result<Answer, QueryError> {
        self.inner.rows(project, request).await
    }

    async fn aggregate(
        &self,
        project: &Project,
        request: &Aggregate,
    ) -> Result<Answer, QueryError> {
        self.inner.aggregate(project, request).await
    }

    fn columns(&self, project: &Project) -> SchemaRef {
        self.inner.columns(project)
    }

    async fn scan(&self, project: &Project, request: &Scan) -> Result<Scanned, QueryError> {
        self.scans.lock().unwrap().push(request.clone());
        let scanned = self.inner.scan(project, request).await?;
        if !self.endless {
            return Ok(scanned);
        }
        let rows: Vec<RecordBatch> = scanned.map(Result::unwrap).collect().await;
        let open = Arc::clone(&self.open);
        let again = futures::stream::iter(std::iter::repeat_with(move || {
            let _open = &open;
            Ok(rows[0].clone())
        }));
        Ok(again.boxed())
    }

    fn stored(&self) -> watch::Receiver<u64> {
        self.inner.stored()
    }

    fn projects(&self) -> Vec<ProjectInfo> {
        self.inner.projects()
    }

    async fn set_retention(&self, project: &Project, retention: Retention) -> io::Result<()> {
        self.inner.set_retention(project, retention).await
    }

    async fn delete_project(&self, project: &Project) -> io::Result<()> {
        self.inner.delete_project(project).await
    }

    fn complaints(&self) -> Vec<String> {
        Store::complaints(&self.inner)
    }
}

pub fn project() -> Project {
    "default".parse().unwrap()
}

pub async fn append<S: AsRef<str>>(store: &Watched, project: &Project, records: &[S]) {
    let observed = Timestamp::from_nanos(1_000_000_000_000_000_000);
    let mut builder = BatchBuilder::new(observed);
    for json in records {
        match decode(&mut Reader::new(json.as_ref()), observed).unwrap() {
            Decoded::Record(record) => builder.push(&record, json.as_ref()),
            Decoded::Rejected(rejection) => panic!("{rejection}: {}", json.as_ref()),
        }
    }
    store.append(project, None, builder.finish()).await.unwrap();
}

/// A store with these records, and SQL over it.
pub async fn over<S: AsRef<str>>(records: &[S]) -> (Arc<Watched>, Sql) {
    let store = Watched::new(false);
    append(&store, &project(), records).await;
    let sql = Sql::new(Arc::clone(&store) as Arc<dyn Store>, MEMORY_BYTES).unwrap();
    (store, sql)
}

pub async fn ask(sql: &Sql, statement: &str) -> Result<SqlAnswer, SqlError> {
    sql.query(&project(), statement, Limits::default()).await
}

/// The rows as text, their values between bars; nothing for what is missing.
pub async fn rows(sql: &Sql, statement: &str) -> Vec<String> {
    match ask(sql, statement).await {
        Ok(answer) => written(&answer),
        Err(error) => panic!("{statement}: {error:?}"),
    }
}

pub fn written(answer: &SqlAnswer) -> Vec<String> {
    let options = FormatOptions::default();
    let mut lines = Vec::new();
    for batch in &answer.batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            lines.push(
                columns
                    .iter()
                    .map(|column| column.value(row).to_string())
                    .collect::<Vec<_>>()
                    .join("|"),
            );
        }
    }
    lines
}

/// The error of a statement that has no answer.
pub async fn refused(sql: &Sql, statement: &str) -> SqlError {
    match ask(sql, statement).await {
        Ok(answer) => {
            let rows = written(&answer);
            let start: String = statement.chars().take(200).collect();
            panic!("{start} was answered by {} rows, first {:?}", rows.len(), rows.first());
        }
        Err(error) => error,
    }
}
