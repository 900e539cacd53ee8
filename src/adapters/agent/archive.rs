//! Volumes go into archives and come out of them: programs of their own in the node, whose streams carry nothing else.

use std::path::Path;

use devenv_agent::archive::{Failure, Unpacked, VolumeId};
use futures::TryStreamExt as _;
use tokio::{
    io::AsyncWriteExt as _,
    sync::mpsc::{Receiver, Sender},
};

use super::{AgentFailure, install::program};
use crate::adapters::{
    archive::Piece,
    docker::{Attached, Docker, Said},
};

/// Packs a volume, which lies at `path` below `root` in a node that has the agent.
pub async fn pack(
    docker: &Docker,
    node: &str,
    (root, path): (&Path, &Path),
    volume: &VolumeId,
    to: Sender<Piece>,
) -> Result<(), AgentFailure> {
    let (root, path) = (root.to_string_lossy(), path.to_string_lossy());
    let program = program();
    let words = [
        &program,
        "pack",
        &root,
        &path,
        volume.service(),
        volume.volume(),
    ];
    let Attached {
        id,
        input,
        mut output,
    } = docker.attach(node, &words).await?;
    let mut complaint = Vec::new();
    while let Some(said) = output.try_next().await? {
        match said {
            Said::Out(bytes) => {
                if to.send(Piece::Bytes(bytes)).await.is_err() {
                    // Whoever does not listen any more says why.
                    return Ok(());
                }
            }
            Said::Error(bytes) => complaint.extend_from_slice(&bytes),
        }
    }
    drop(input);
    ended(node, docker.exit_code(&id).await?, &complaint)?;
    let _ = to.send(Piece::End).await;
    Ok(())
}

/// Unpacks an archive to `path` below `root` in a node that has the agent, where nothing is: all of it, or nothing.
pub async fn unpack(
    docker: &Docker,
    node: &str,
    (root, path): (&Path, &Path),
    mut from: Receiver<Piece>,
) -> Result<Vec<Unpacked>, AgentFailure> {
    let (root, path) = (root.to_string_lossy(), path.to_string_lossy());
    let program = program();
    let words = [&program, "unpack", &root, &path];
    let Attached {
        id,
        mut input,
        mut output,
    } = docker.attach(node, &words).await?;
    let feed = async {
        while let Some(Piece::Bytes(bytes)) = from.recv().await {
            // One that refuses it closes its input, and says why.
            if input.write_all(&bytes).await.is_err() {
                break;
            }
        }
        let _ = input.shutdown().await;
    };
    let (mut told, mut complaint) = (Vec::new(), Vec::new());
    let collect = async {
        while let Some(said) = output.try_next().await? {
            match said {
                Said::Out(bytes) => told.extend_from_slice(&bytes),
                Said::Error(bytes) => complaint.extend_from_slice(&bytes),
            }
        }
        Ok::<_, AgentFailure>(())
    };
    let ((), collected) = tokio::join!(feed, collect);
    collected?;
    ended(node, docker.exit_code(&id).await?, &complaint)?;
    serde_json::from_slice(&told).map_err(|error| AgentFailure::NotUnderstood {
        node: node.to_owned(),
        problem: error.to_string(),
    })
}

fn ended(node: &str, code: Option<i64>, complaint: &[u8]) -> Result<(), AgentFailure> {
    if code == Some(0) {
        return Ok(());
    }
    Err(match serde_json::from_slice(complaint) {
        Ok(Failure::Archive(error)) => AgentFailure::Archive(error),
        Ok(Failure::Node(error)) => AgentFailure::Volume(error),
        Err(_) => AgentFailure::Gone {
            node: node.to_owned(),
            said: String::from_utf8_lossy(complaint)
                .lines()
                .map(str::to_owned)
                .collect(),
        },
    })
}
