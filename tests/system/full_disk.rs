//! A disk that is full: refused with 503 and `Retry-After`, reads go on, nothing that was acknowledged is lost.

use std::{path::Path, process::Command};

use anyhow::{Context, Result};
use millpond_system_tests::{Api, Reply};
use serde_json::Value;
use tempfile::TempDir;

use crate::fixture::{Fixture, event_ids, events, ids, output, serve_in, sorted};

/// More than any test may need to fill its few megabytes.
const BATCHES_MAX: usize = 2_000;

/// Sends until it is refused: the ids that were acknowledged, and the refusal.
fn fill(api: &Api) -> Result<(Vec<String>, Reply)> {
    let mut acknowledged = Vec::new();
    for sequence in 0..BATCHES_MAX {
        let batch = ids(&format!("batch-{sequence}"), 20);
        let reply = api.ingest(&incompressible(&batch), Some(&format!("client:{sequence}")))?;
        if reply.status != 200 {
            return Ok((acknowledged, reply));
        }
        acknowledged.extend(batch);
    }
    anyhow::bail!("{BATCHES_MAX} batches fitted where they should not have")
}

/// Events with 2 KiB each that no compression makes small.
fn incompressible(ids: &[String]) -> Vec<Value> {
    let mut state = ids
        .iter()
        .flat_map(|id| id.bytes())
        .fold(1_u64, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut records = events(ids);
    for record in &mut records {
        let noise = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            format!("{state:016x}")
        });
        record["fields"]["noise"] = noise.take(128).collect::<String>().into();
    }
    records
}

fn assert_refused_honestly(refusal: &Reply) {
    assert_eq!(refusal.status, 503, "{}", refusal.text);
    assert!(["storage_full", "storage_failed"].contains(&refusal.code()), "{}", refusal.text);
    assert!(refusal.retry_after.is_some_and(|seconds| seconds > 0), "no Retry-After");
}

#[test]
fn a_file_size_limit_is_answered_with_503_and_loses_nothing() -> Result<()> {
    let folder = TempDir::new()?;
    let mut serve = serve_in(&folder)?;
    serve.arguments = vec!["--disk-reserve".to_owned(), "0".to_owned()];
    serve.file_bytes_max = Some(2 << 20);
    let mut server = serve.start()?;
    let api = server.first_api()?;
    let (acknowledged, refusal) = fill(&api)?;
    assert_refused_honestly(&refusal);
    assert!(!acknowledged.is_empty());
    assert_eq!(sorted(&event_ids(&api.all(&[])?)), sorted(&acknowledged), "while it is full");

    let unlimited = millpond_system_tests::Serve { file_bytes_max: None, ..server.kill()? };
    let fixture = Fixture { folder, server: unlimited.start()?, api };
    assert_eq!(sorted(&event_ids(&fixture.api.all(&[])?)), sorted(&acknowledged), "afterwards");
    fixture.api.ingest(&events(&ids("room-again", 1)), None)?.succeeded()?;
    Ok(())
}

/// A file system of eight megabytes, taken away at the end.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` where mounting is not for us: only root may.
    fn mount() -> Result<Option<Self>> {
        let folder = TempDir::new()?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(folder.path());
        Ok(mount.output().is_ok_and(|mount| mount.status.success()).then_some(Self(folder)))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server that is just ending may still hold a file. What fails here shows in `mount`.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_disk_is_answered_with_503_until_there_is_room_again() -> Result<()> {
    let Some(disk) = SmallDisk::mount()? else {
        println!("not root: the file-size limit above stands for it");
        return Ok(());
    };
    // Logs are elsewhere: a full disk must not silence the server.
    let folder = TempDir::new()?;
    let mut serve = serve_in(&folder)?;
    serve.data_dir = disk.path().join("data");
    // Here the disk itself is to say no.
    serve.arguments = vec!["--disk-reserve".to_owned(), "0".to_owned()];
    // Room for the server's own files at its start, and some that the test can give back.
    let ballast = disk.path().join("ballast");
    output(Command::new("fallocate").args(["-l", "4M"]).arg(&ballast))?;
    let mut server = serve.start()?;
    let api = server.first_api()?;
    let (mut acknowledged, refusal) = fill(&api)?;
    assert_refused_honestly(&refusal);
    assert_eq!(sorted(&event_ids(&api.all(&[])?)), sorted(&acknowledged), "while it is full");

    std::fs::remove_file(&ballast)?;
    let patience = std::time::Duration::from_secs(60);
    let room_again = ids("room-again", 5);
    let taken = millpond_system_tests::wait_for(patience, || {
        let reply = api.ingest(&events(&room_again), Some("client:1000000"))?;
        Ok((reply.status == 200).then_some(()))
    })?;
    taken.context("never accepted again after there was room")?;
    acknowledged.extend(room_again);
    let server = server.kill()?.start()?;
    assert_eq!(sorted(&event_ids(&api.all(&[])?)), sorted(&acknowledged), "after a crash");
    drop(server);
    Ok(())
}

#[test]
fn a_disk_below_its_reserve_takes_no_more_and_says_so_until_there_is_room_again() -> Result<()> {
    let Some(disk) = SmallDisk::mount()? else {
        println!("not root: `a_disk_that_never_has_enough_room` stands for it");
        return Ok(());
    };
    let folder = TempDir::new()?;
    let mut serve = serve_in(&folder)?;
    serve.data_dir = disk.path().join("data");
    serve.arguments = vec!["--disk-reserve".to_owned(), "5MiB".to_owned()];
    let mut server = serve.start()?;
    let api = server.first_api()?;
    api.ingest(&events(&ids("before", 1)), None)?.succeeded()?;
    let ballast = disk.path().join("ballast");
    output(Command::new("fallocate").args(["-l", "4M"]).arg(&ballast))?;
    let patience = std::time::Duration::from_secs(60);
    let refusal = millpond_system_tests::wait_for(patience, || {
        let reply = api.ingest(&events(&ids("meanwhile", 1)), Some("client:1"))?;
        Ok((reply.status != 200).then_some(reply))
    })?;
    let refusal = refusal.context("never refused")?;
    assert_refused_honestly(&refusal);
    assert_eq!(refusal.code(), "storage_full");
    let health = api.bare("GET", "/health", &[])?;
    assert_eq!(health.body["status"], "degraded", "{}", health.text);
    assert!(!api.all(&[])?.is_empty(), "reads go on");
    std::fs::remove_file(&ballast)?;
    let taken = millpond_system_tests::wait_for(patience, || {
        let reply = api.ingest(&events(&ids("afterwards", 1)), Some("client:2"))?;
        Ok((reply.status == 200).then_some(()))
    })?;
    taken.context("never accepted again after there was room")
}

#[test]
fn a_disk_that_never_has_enough_room_takes_nothing() -> Result<()> {
    let folder = TempDir::new()?;
    let mut serve = serve_in(&folder)?;
    serve.arguments = vec!["--disk-reserve".to_owned(), "1000000TiB".to_owned()];
    let mut server = serve.start()?;
    let api = server.first_api()?;
    let reply = api.ingest(&events(&ids("refused", 1)), None)?;
    assert_refused_honestly(&reply);
    assert_eq!(reply.code(), "storage_full");
    assert!(api.all(&[])?.is_empty());
    Ok(())
}
