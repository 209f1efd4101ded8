//! Projects with a store that does what it is told, or fails.

use std::sync::Mutex;

use arrow::datatypes::SchemaRef;
use millpond_store::{
    Aggregate, Answer, AppendError, Appended, Batch, QueryError, Rows, Scan, Scanned,
};
use millpond_wire::IdempotencyKey;
use tokio::sync::watch;

use super::*;

/// Holds one project, `stored`, and remembers what was asked of it.
#[derive(Debug, Default)]
struct FakeStore {
    fails: bool,
    asked: Mutex<Vec<String>>,
}

impl FakeStore {
    fn ask(&self, what: String) -> io::Result<()> {
        self.asked.lock().unwrap().push(what);
        if self.fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

fn unasked() -> QueryError {
    QueryError::Invalid("this store holds no records".into())
}

#[async_trait::async_trait]
impl Store for FakeStore {
    async fn append(
        &self,
        _: &Project,
        _: Option<IdempotencyKey>,
        _: Batch,
    ) -> Result<Appended, AppendError> {
        Err(AppendError::Closed)
    }

    async fn rows(&self, _: &Project, _: &Rows) -> Result<Answer, QueryError> {
        Err(unasked())
    }

    async fn aggregate(&self, _: &Project, _: &Aggregate) -> Result<Answer, QueryError> {
        Err(unasked())
    }

    fn columns(&self, _: &Project) -> SchemaRef {
        millpond_store::schema().clone()
    }

    async fn scan(&self, _: &Project, _: &Scan) -> Result<Scanned, QueryError> {
        Err(unasked())
    }

    fn stored(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }

    fn projects(&self) -> Vec<ProjectInfo> {
        let times = Some((Timestamp::from_nanos(1), Timestamp::from_nanos(2)));
        let (project, retention) = (project("stored"), Retention::default());
        vec![ProjectInfo { project, records: 3, segments: 1, bytes: 4, times, retention }]
    }

    async fn set_retention(&self, project: &Project, retention: Retention) -> io::Result<()> {
        self.ask(format!("keep {project} {:?} {:?}", retention.age_seconds, retention.bytes))
    }

    async fn delete_project(&self, project: &Project) -> io::Result<()> {
        self.ask(format!("delete {project}"))
    }

    fn complaints(&self) -> Vec<String> {
        Vec::new()
    }
}

fn project(name: &str) -> Project {
    name.parse().unwrap()
}

fn actor(name: &str) -> Actor {
    Actor { name: name.to_owned(), now: Timestamp::from_nanos(7) }
}

/// The newest acts with their objects and the beginning of their outcomes.
fn acts(administration: &Administration, limit: usize) -> Vec<(Act, String, bool)> {
    let entries = administration.audit().newest(None, limit).unwrap();
    entries.into_iter().map(|act| (act.act, act.object, act.outcome == "done")).collect()
}

#[tokio::test]
async fn a_retention_is_set_and_written_down_with_what_came_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let administration = Administration::new(directory.path());
    let retention = Retention { age_seconds: Some(60), bytes: None };
    let orders = project("orders");
    for fails in [false, true] {
        let store = FakeStore { fails, ..FakeStore::default() };
        let set = administration.set_retention(&actor("cli"), &store, &orders, retention).await;
        assert_eq!(set.is_err(), fails);
        assert_eq!(*store.asked.lock().unwrap(), ["keep orders Some(60) None"]);
        assert_eq!(
            acts(&administration, 1),
            [(Act::ProjectRetention, "orders".to_owned(), !fails)]
        );
    }
}

#[tokio::test]
async fn a_deletion_that_fails_leaves_its_actor_a_key_to_try_again() {
    let directory = tempfile::tempdir().unwrap();
    let administration = Administration::new(directory.path());
    let orders = project("orders");
    let (_, own) = administration.create_project(&actor("cli"), orders.clone()).unwrap();
    let new = NewKey::first(orders.clone());
    administration.create_key(&actor("cli"), new.clone()).unwrap();
    administration.create_key(&actor("cli"), NewKey { server: true, ..new }).unwrap();
    let alive = || {
        let keys = administration.keys().list().unwrap().into_iter();
        keys.filter(|key| key.revoked.is_none()).map(|key| (key.id == own.id, key.server)).collect()
    };
    let (own_key, server_key) = ((true, false), (false, true));

    let full = FakeStore { fails: true, ..FakeStore::default() };
    let failed = administration.delete_project(&actor(&own.id), &full, &orders).await;
    assert!(matches!(failed, Err(AdministrationError::Store(_))));
    assert_eq!(acts(&administration, 1), [(Act::ProjectDelete, "orders".to_owned(), false)]);
    let left: Vec<(bool, bool)> = alive();
    assert_eq!(left, [own_key, server_key]);

    let store = FakeStore::default();
    let deleted = administration.delete_project(&actor(&own.id), &store, &orders).await;
    assert_eq!(deleted.unwrap(), 1);
    assert_eq!(*store.asked.lock().unwrap(), ["delete orders"]);
    let left: Vec<(bool, bool)> = alive();
    assert_eq!(left, [server_key]);
}

#[test]
fn a_project_exists_when_a_key_or_records_name_it() {
    let directory = tempfile::tempdir().unwrap();
    let administration = Administration::new(directory.path());
    let cli = actor("cli");
    administration.create_project(&cli, project("named")).unwrap();
    let (_, gone) = administration.create_project(&cli, project("gone")).unwrap();
    administration.revoke_key(&cli, &gone.id).unwrap();
    let projects = administration.projects(&FakeStore::default(), cli.now).unwrap();
    let shown: Vec<_> =
        projects.iter().map(|status| (status.name.as_str(), status.records, status.keys)).collect();
    assert_eq!(shown, [("named", 0, 1), ("stored", 3, 0)]);
}
