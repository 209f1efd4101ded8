//! SIGKILL of the client and of the server, at random, in many rounds: with the spool every record that was safe is
//! stored, and none is stored twice.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, OpenOptions},
    hash::{BuildHasher, RandomState},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use millpond::{Client, Overflow};
use millpond_system_tests::{pause, wait_for};
use serde_json::Value;

use crate::{crash::Random, fixture::Fixture};

const ROUNDS: u64 = 40;
const PATIENCE: Duration = Duration::from_secs(60);
const NAME: &str = "exactly_once::a_client_and_a_server_that_are_killed_again_and_again_lose_nothing_and_double_nothing";

/// Makes this program a writer: the number of its run. The rest is in variables of the client and in [`PROGRESS`].
const RUN: &str = "MILLPOND_TEST_RUN";
/// The file in which a writer notes what is safe.
const PROGRESS: &str = "MILLPOND_TEST_PROGRESS";

/// A client as impatient as the test.
fn client(url: &str, key: &str, spool: &Path) -> Result<Client> {
    let builder = Client::builder()
        .endpoint(url)
        .api_key(key)
        .service("writer")
        .spool(spool)
        .batch_age(Duration::from_millis(30))
        .retry_delay(Duration::from_millis(1), Duration::from_millis(20))
        .breaker(5, Duration::from_millis(30))
        .overflow(Overflow::Block(PATIENCE));
    Ok(builder.build()?)
}

/// Logs until it is killed, and notes how far it was when everything was safe.
fn write_until_killed(run: &str) -> Result<()> {
    let variable = |name: &str| env::var(name).with_context(|| name.to_owned());
    let client = client(
        &variable("MILLPOND_ENDPOINT")?,
        &variable("MILLPOND_API_KEY")?,
        &PathBuf::from(variable("MILLPOND_SPOOL_DIR")?),
    )?;
    let mut progress = OpenOptions::new().append(true).open(variable(PROGRESS)?)?;
    for number in 0_u64.. {
        client.info("event").field("run", run).field("number", number).send();
        if number % 50 == 49 && client.persist(PATIENCE).is_complete() {
            progress.write_all(format!("{run} {number}\n").as_bytes())?;
            // Else there are more records in the end than can be read back in a reasonable time.
            pause(Duration::from_millis(5));
        }
    }
    Ok(())
}

/// A writer as a process of its own, killed when it is dropped.
struct Writer(Child);

impl Writer {
    fn start(fixture: &Fixture, run: u64) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        let command = command
            .args(["--exact", NAME, "--test-threads=1"])
            .env(RUN, run.to_string())
            .env(PROGRESS, progress(fixture))
            .env("MILLPOND_ENDPOINT", fixture.api.url())
            .env("MILLPOND_API_KEY", fixture.api.key())
            .env("MILLPOND_SPOOL_DIR", spool(fixture))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(Self(command.spawn()?))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spool(fixture: &Fixture) -> PathBuf {
    fixture.folder.path().join("spool")
}

fn progress(fixture: &Fixture) -> PathBuf {
    fixture.folder.path().join("progress")
}

#[test]
fn a_client_and_a_server_that_are_killed_again_and_again_lose_nothing_and_double_nothing()
-> Result<()> {
    if let Ok(run) = env::var(RUN) {
        return write_until_killed(&run);
    }
    let seed = RandomState::new().hash_one("seed") | 1;
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut fixture = Fixture::start()?;
    fs::File::create(progress(&fixture))?;
    let mut writer = Writer::start(&fixture, 0)?;
    for round in 1..=ROUNDS {
        pause(Duration::from_millis(50 + random.below(300)));
        let what = random.below(3);
        if what != 0 {
            drop(writer);
            writer = Writer::start(&fixture, round)?;
        }
        if what != 1 {
            fixture = fixture.crash(|| {
                pause(Duration::from_millis(random.below(100)));
                Ok(())
            })?;
        }
    }
    drop(writer);
    deliver_the_rest(&fixture)?;
    check(&fixture)
}

/// Has one more client deliver what the others left.
fn deliver_the_rest(fixture: &Fixture) -> Result<()> {
    let client = client(fixture.api.url(), fixture.api.key(), &spool(fixture))?;
    client.info("last").send();
    ensure!(client.flush(PATIENCE).is_complete(), "{:?}", client.metrics());
    let emptied = wait_for(PATIENCE, || Ok((client.metrics().spooled == 0).then_some(())))?;
    ensure!(emptied.is_some(), "{:?}", client.metrics());
    ensure!(client.close(PATIENCE).is_complete(), "{:?}", client.metrics());
    drop(client);
    let gone =
        wait_for(PATIENCE, || Ok(fs::read_dir(spool(fixture))?.next().is_none().then_some(())))?;
    gone.context("the spool is not empty")
}

fn check(fixture: &Fixture) -> Result<()> {
    let mut stored: BTreeMap<(String, u64), u64> = BTreeMap::new();
    let mut recovered = 0;
    for record in fixture.api.all(&[])? {
        let fields = &record["fields"];
        if let (Some(run), Some(number)) = (fields["run"].as_str(), fields["number"].as_u64()) {
            *stored.entry((run.to_owned(), number)).or_default() += 1;
            recovered += u64::from(fields["recovered"] == Value::Bool(true));
        }
    }
    let twice: Vec<_> = stored.iter().filter(|(_, times)| **times > 1).take(10).collect();
    ensure!(twice.is_empty(), "stored more than once: {twice:?}");
    let mut safe = 0;
    for line in fs::read_to_string(progress(fixture))?.lines() {
        let (run, number) = line.split_once(' ').context("a line of progress")?;
        let number: u64 = number.parse()?;
        safe = safe.max(number);
        let lost: Vec<_> = (0..=number)
            .filter(|number| !stored.contains_key(&(run.to_owned(), *number)))
            .collect();
        ensure!(lost.is_empty(), "run {run} lost {lost:?} of {number}");
    }
    println!("{} records stored, {recovered} of them recovered", stored.len());
    ensure!(safe > 0 && recovered > 0, "nothing was tried");
    Ok(())
}
