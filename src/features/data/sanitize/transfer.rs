//! What is left of a database goes into an empty one, and is compared there.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::{
    database::{Login, refused},
    scratch::Scratch,
};
use crate::{
    adapters::kube::{ExecEnd, KubeError},
    domain::{ExitClass, Failure},
    engine::Progress,
};

/// The room between the two databases, in bytes.
const PIPE: usize = 1 << 20;
/// How much is passed on at a time, in bytes.
const PIECE: usize = 64 * 1024;
/// What a dump that is complete says near its end.
const COMPLETE: &str = "PostgreSQL database dump complete";
/// How near, in bytes: newer versions have a line of some letters behind it.
const NEAR: usize = 400;
/// What the new database says when it has read all of it.
const LOADED: &str = "devenv-loaded";
/// How much of what a program complains about is shown, in lines.
const LINES_SHOWN: usize = 20;
/// How many things there are of each kind that a dump makes besides rows.
const SHAPE: &str = "SELECT json_build_array(
    (SELECT count(*) FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace WHERE n.nspname !~ '^pg_'),
    (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_'),
    (SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname !~ '^pg_'),
    (SELECT count(*) FROM pg_trigger))";

/// Has `to`, which has made itself anew, hold what `from` holds in the database of `login`. `rows` is the query that
/// tells how many rows each table has.
pub(super) async fn transfer(
    from: &Scratch<'_>,
    to: &Scratch<'_>,
    login: &Login<'_>,
    rows: &str,
    (within, progress): (Duration, &Progress),
) -> Result<(), Failure> {
    progress.note("the roles");
    let roles = login.ask(from, login.roles(), None, within).await?;
    login.roles_into(to, roles.out, within).await?;
    progress.note("the rows");
    let loading = pour(from, to, login, progress);
    let Ok(poured) = tokio::time::timeout(within, loading).await else {
        return Err(refused("it took too long", &[]));
    };
    poured?;
    progress.note("compare");
    for query in [rows, SHAPE] {
        let is = login.query(to, query, within).await?;
        let wanted = login.query(from, query, within).await?;
        if is != wanted {
            return Err(incomplete());
        }
    }
    let finish = b"ANALYZE;\nCHECKPOINT;\n".to_vec();
    login.ask(to, login.script(), Some(finish), within).await?;
    Ok(())
}

/// Has one write a dump, and the other read it.
async fn pour(
    from: &Scratch<'_>,
    to: &Scratch<'_>,
    login: &Login<'_>,
    progress: &Progress,
) -> Result<(), Failure> {
    let (mut dumped, dump) = duplex(PIPE);
    let (load, loaded) = duplex(PIPE);
    let (mut said_by_dump, mut said_by_load) = (Vec::new(), (Vec::new(), Vec::new()));
    let dump_request = from.request(login.dump());
    let dumping = async {
        let none = None::<tokio::io::Empty>;
        let ended = from
            .cluster()
            .exec(&dump_request, none, &mut dumped, &mut said_by_dump, None)
            .await;
        drop(dumped);
        ended
    };
    let load_request = to.request(login.load());
    let (out, err) = (&mut said_by_load.0, &mut said_by_load.1);
    let loading = to
        .cluster()
        .exec(&load_request, Some(loaded), out, err, None);
    let (dumped, passed, loaded) = tokio::join!(dumping, pass_on(dump, load, progress), loading);
    // Who reads knows best what is wrong with it.
    ended(loaded, "the new database does not take it", &said_by_load.1)?;
    ended(
        dumped,
        "the database could not be written out",
        &said_by_dump,
    )?;
    let is_whole = passed && String::from_utf8_lossy(&said_by_load.0).contains(LOADED);
    is_whole.then_some(()).ok_or_else(incomplete)
}

/// Passes a dump on to its end; says whether it came to that.
async fn pass_on(mut from: DuplexStream, mut to: DuplexStream, progress: &Progress) -> bool {
    let mut piece = vec![0; PIECE];
    let (mut last, mut passed): (Vec<u8>, usize) = (Vec::new(), 0);
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        if to.write_all(&piece[..count]).await.is_err() {
            return false;
        }
        last.extend_from_slice(&piece[..count]);
        last.drain(..last.len().saturating_sub(NEAR));
        if (passed + count) >> 20 != passed >> 20 {
            progress.note(format!("{} MiB", (passed + count) >> 20));
        }
        passed += count;
    }
    if !String::from_utf8_lossy(&last).contains(COMPLETE) {
        return false;
    }
    let end = format!("\\echo {LOADED}\n");
    to.write_all(end.as_bytes()).await.is_ok() && to.shutdown().await.is_ok()
}

fn ended(end: Result<ExecEnd, KubeError>, what: &str, said: &[u8]) -> Result<(), Failure> {
    let said = String::from_utf8_lossy(said);
    let lines: Vec<String> = said.lines().map(str::to_owned).collect();
    let lines = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
    match end {
        Ok(ExecEnd { code: 0 }) => Ok(()),
        Ok(ExecEnd { code }) => Err(refused(&format!("{what}: exit code {code}"), lines)),
        Err(error) if lines.is_empty() => Err(error.failure()),
        Err(_) => Err(refused(what, lines)),
    }
}

fn incomplete() -> Failure {
    let what = "the sanitised database is not whole; nothing was written".to_owned();
    Failure::new("sanitize.incomplete", ExitClass::Data, what)
        .because("it does not hold what the copy held that it was made of")
        .help("run the same command again")
}
