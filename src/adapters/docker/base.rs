//! Base images, made known to the build cache before builds that share one run side by side.
//!
//! BuildKit gives a base that its cache does not know yet a key for each of the builds that ask for it at the
//! same time. What is done on top of it is then found again under one of the keys only: later builds repeat the
//! instructions that they have in common with earlier ones, and their images share no layers.
//! See docs/decisions/0006.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::stream;
use tokio::sync::OnceCell;

use super::{
    BuildProgress, Docker,
    build::{follow, post},
    dockerfile,
    session::Session,
    transport::{self, Connection},
};

/// The bases that were made known by this program.
#[derive(Default)]
pub(super) struct Bases(Mutex<BTreeMap<String, Arc<OnceCell<()>>>>);

impl Bases {
    fn cell(&self, base: &str) -> Arc<OnceCell<()>> {
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cells.entry(base.to_owned()).or_default())
    }
}

impl Docker {
    /// Has the build cache know the base images of a build, from the text of its Dockerfile and its target. What
    /// fails here is left to the build to explain.
    pub(super) async fn know_bases(
        &self,
        (text, target): (&str, Option<&str>),
        on_progress: &(dyn Fn(BuildProgress) + Sync),
    ) {
        for base in dockerfile::bases(text, target) {
            let cell = self.bases().cell(&base);
            cell.get_or_init(|| async {
                let _ = self.know_base(&base, on_progress).await;
            })
            .await;
        }
    }

    /// A build of nothing but the base, without a result.
    async fn know_base(
        &self,
        base: &str,
        on_progress: &(dyn Fn(BuildProgress) + Sync),
    ) -> Option<()> {
        let archive = archive(&format!("FROM {base}\n")).ok()?.into();
        let session = Session::open(self, BTreeMap::new()).await.ok()?;
        let parameters = [
            ("version", "2"),
            ("session", session.id()),
            ("dockerfile", "Dockerfile"),
            ("outputs", r#"[{"Type":"cacheonly"}]"#),
        ];
        let path = transport::path_and_query(&self.api_path("/build"), &parameters);
        let body = transport::streamed(stream::iter([Ok(archive)]));
        let mut connection = Connection::open(self.endpoint()).await.ok()?;
        let answer = post(&mut connection, &path, body).await.ok()?;
        follow(answer, on_progress).await.ok()?;
        Some(())
    }
}

/// A build context of a Dockerfile alone.
fn archive(dockerfile: &str) -> std::io::Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    header.set_size(dockerfile.len() as u64);
    header.set_mode(0o644);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, "Dockerfile", dockerfile.as_bytes())?;
    archive.into_inner()
}
