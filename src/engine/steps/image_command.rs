//! What an image starts that was not built here, as the container runtime of the node knows it.

use std::time::Duration;

use crate::{
    adapters::registry::{ImageCommand, LeadsTo, leads_to, starts},
    engine::{
        Progress, World,
        steps::prefetch::{PULL, PULL_WITHIN},
    },
};

const READ_WITHIN: Duration = Duration::from_secs(10);
/// Prints what has the digest `$1`, or what is at the head of the image of that name.
const READ: &str = r#"in_runtime() { ctr --address /run/k3s/containerd/containerd.sock --namespace k8s.io "$@"; }
digest=$1
case $digest in
  sha256:*) ;;
  *) digest=$(in_runtime images ls "name==$1" | grep -o -m 1 'sha256:[0-9a-f]*' | head -n 1) ;;
esac
in_runtime content get "$digest""#;

/// What an image starts; has the node pull it first, as the pod would have it do. `None` where that cannot be learned:
/// why the image cannot be had is for the pod to tell.
pub(super) async fn image_command(
    world: &World,
    reference: &str,
    progress: &Progress,
) -> Option<ImageCommand> {
    let reference = full(reference);
    progress.note(format!("pull {reference}"));
    run(world, PULL, &reference, PULL_WITHIN).await?;
    let mut next = leads_to(&run(world, READ, &reference, READ_WITHIN).await?)?;
    if let LeadsTo::Manifest(digest) = &next {
        next = leads_to(&run(world, READ, digest, READ_WITHIN).await?)?;
    }
    match next {
        LeadsTo::Configuration(digest) => starts(&run(world, READ, &digest, READ_WITHIN).await?),
        LeadsTo::Manifest(_) => None,
    }
}

/// What a script says on standard output, given a word; `None` unless it ends well.
async fn run(world: &World, script: &str, word: &str, within: Duration) -> Option<Vec<u8>> {
    let node = world.environment.id.cluster().server_container();
    let command = ["sh", "-c", script, "sh", word];
    let ran = world.tools.docker.exec(&node, &command, None, within).await;
    let ran = ran.ok().filter(|ran| ran.code == 0)?;
    Some(ran.stdout)
}

/// The reference as the runtime keeps it: with its registry and its tag.
fn full(reference: &str) -> String {
    let registry = match reference.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => "",
        Some(_) => "docker.io/",
        None => "docker.io/library/",
    };
    let name = reference.rsplit('/').next().unwrap_or(reference);
    let tag = if name.contains([':', '@']) {
        ""
    } else {
        ":latest"
    };
    format!("{registry}{reference}{tag}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_reference_has_a_registry_and_a_tag() {
        for (short, long) in [
            ("redis", "docker.io/library/redis:latest"),
            ("redis:7", "docker.io/library/redis:7"),
            ("bitnami/redis", "docker.io/bitnami/redis:latest"),
            ("localhost/redis", "localhost/redis:latest"),
            ("localhost:5000/a/redis:7", "localhost:5000/a/redis:7"),
            ("ghcr.io/a/b", "ghcr.io/a/b:latest"),
            ("redis@sha256:ab", "docker.io/library/redis@sha256:ab"),
        ] {
            assert_eq!(full(short), long);
        }
    }
}
