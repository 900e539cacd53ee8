//! Takes an environment down: what `up` made goes, the data stays unless it is to go.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    Project,
    up::{completed, run},
};
use crate::{
    adapters::files,
    domain::{Desired, Failure, Failures, Footprint},
    engine::RunResult,
    plan::{self, Action, Extent, Plan, Spared},
    report::{Down, Kept, Outbox},
};

/// What would be removed with its data, as a question; `None` if there is nothing to remove.
pub async fn question(project: &Project, extent: Extent) -> Result<Option<String>, Failures> {
    let tools = project.tools().await?;
    let mut footprint = project.footprint(&tools).await?;
    if extent < Extent::Everything {
        footprint.snapshots = 0;
    }
    Ok(words(&footprint).map(|what| {
        format!(
            "Remove {what} of {}? This cannot be undone.",
            project.environment.project
        )
    }))
}

fn words(footprint: &Footprint) -> Option<String> {
    let mut parts = Vec::new();
    if !footprint.is_down() {
        parts.push("the cluster".to_owned());
    }
    if footprint.has_images() {
        parts.push(images(footprint));
    }
    if !footprint.volumes.is_empty() {
        parts.push(format!("all data ({})", footprint.volumes.join(", ")));
    }
    if footprint.snapshots > 0 {
        parts.push(snapshots(footprint));
    }
    let last = parts.pop()?;
    Some(if parts.is_empty() {
        last
    } else {
        format!("{} and {last}", parts.join(", "))
    })
}

fn images(footprint: &Footprint) -> String {
    match footprint.images.len() {
        0 => "the images that its registry and its nodes keep".to_owned(),
        1 => "1 image".to_owned(),
        count => format!("{count} images"),
    }
}

fn snapshots(footprint: &Footprint) -> String {
    match footprint.snapshots {
        1 => "1 snapshot".to_owned(),
        count => format!("{count} snapshots"),
    }
}

/// Takes the environment down. The caller holds its lock.
///
/// Where the data goes the directory of its state is left to the caller, who holds the lock in it.
pub async fn down(
    project: &Project,
    extent: Extent,
    outbox: &Outbox,
    cancel: &CancellationToken,
    deadline: Duration,
) -> Result<Down, Failures> {
    let tools = project.tools().await?;
    let record = project.record(outbox).await?;
    let footprint = project.footprint(&tools).await?;
    let plan = plan::down(&project.environment, &footprint, extent);
    let world = project.world(Desired::default(), tools, record.as_ref());
    let result = if plan.is_empty() {
        RunResult::default()
    } else {
        completed(run(&plan, &world, outbox, cancel, deadline).await)?
    };
    Ok(Down {
        environment: project.environment.id.to_string(),
        removed: removed(project, &plan, &result, &footprint),
        kept: kept(project, &footprint, extent),
    })
}

/// Whether there is nothing of the environment anywhere, so that not even its directories need to be made.
pub async fn is_untouched(project: &Project) -> Result<bool, Failure> {
    if files::exists(project.paths.state()) || files::exists(project.paths.data()) {
        return Ok(false);
    }
    let tools = project.tools().await?;
    let footprint = project.footprint(&tools).await?;
    Ok(footprint == Footprint::default())
}

/// What is gone, in the order of the plan.
fn removed(
    project: &Project,
    plan: &Plan,
    result: &RunResult,
    footprint: &Footprint,
) -> Vec<String> {
    let cluster = project.environment.id.cluster();
    let is_done = |step: &&plan::Step| result.outcomes.contains_key(step.id());
    let what = |step: &plan::Step| {
        Some(match &step.action {
            Action::DeleteCluster => format!("cluster {cluster}"),
            Action::DeleteRegistry => format!("image registry {}", cluster.registry_container()),
            Action::RemoveImages(_) => images(footprint),
            Action::RemoveData(Spared::Nothing) => data(footprint)?,
            Action::RemoveData(Spared::Snapshots) => volumes(footprint)?,
            _ => return None,
        })
    };
    plan.steps.iter().filter(is_done).filter_map(what).collect()
}

/// The data as it is and as it was, if there is any.
fn data(footprint: &Footprint) -> Option<String> {
    let snapshots = (footprint.snapshots > 0).then(|| snapshots(footprint));
    match (volumes(footprint), snapshots) {
        (Some(volumes), Some(snapshots)) => Some(format!("{volumes} and {snapshots}")),
        (volumes, snapshots) => volumes.or(snapshots),
    }
}

fn volumes(footprint: &Footprint) -> Option<String> {
    let services = footprint.volumes.join(", ");
    (!services.is_empty()).then(|| format!("data of {services}"))
}

fn kept(project: &Project, footprint: &Footprint, extent: Extent) -> Vec<Kept> {
    let mut kept = Vec::new();
    let what = match extent {
        Extent::Cluster | Extent::Images => data(footprint),
        Extent::AllButSnapshots => (footprint.snapshots > 0).then(|| snapshots(footprint)),
        Extent::Everything => None,
    };
    if let Some(what) = what {
        kept.push(Kept {
            what,
            path: Some(project.paths.data().display().to_string()),
            remove_with: Some("devenv down --volumes".to_owned()),
        });
    }
    if extent < Extent::Images && footprint.has_images() {
        kept.push(Kept {
            what: "images, so that the next `devenv up` is fast".to_owned(),
            path: None,
            remove_with: Some("devenv down --images".to_owned()),
        });
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::Presence, features::project::testing::project};

    fn footprint() -> Footprint {
        Footprint {
            cluster: Presence::Running,
            registry: Presence::Running,
            images: vec!["a".to_owned(), "b".to_owned()],
            image_stores: vec!["k3d-shop-1-server-0-images".to_owned()],
            registry_has_images: true,
            volumes: vec!["postgres".to_owned(), "redis".to_owned()],
            snapshots: 2,
        }
    }

    #[test]
    fn the_question_names_what_is_there_and_nothing_else() {
        assert_eq!(
            words(&footprint()).unwrap(),
            "the cluster, 2 images, all data (postgres, redis) and 2 snapshots"
        );
        let images = Footprint {
            images: vec!["a".to_owned()],
            ..Footprint::default()
        };
        assert_eq!(words(&images).unwrap(), "1 image");
        let registry = Footprint {
            registry_has_images: true,
            ..Footprint::default()
        };
        assert!(words(&registry).unwrap().starts_with("the images that"));
        assert_eq!(words(&Footprint::default()), None);
    }

    #[test]
    fn the_data_is_named_by_what_there_is_of_it() {
        let all = footprint();
        let said = "data of postgres, redis and 2 snapshots";
        assert_eq!(data(&all).unwrap(), said);
        let snapshots_alone = Footprint {
            snapshots: 1,
            ..Footprint::default()
        };
        assert_eq!(data(&snapshots_alone).unwrap(), "1 snapshot");
        assert_eq!(data(&Footprint::default()), None);
    }

    #[test]
    fn what_is_kept_says_how_it_goes_and_what_is_gone_is_not_kept() {
        let kept = |extent| {
            let kept = kept(&project(&[]), &footprint(), extent).into_iter();
            kept.filter_map(|kept| kept.remove_with).collect::<Vec<_>>()
        };
        let (data, images) = ("devenv down --volumes", "devenv down --images");
        assert_eq!(kept(Extent::Cluster), [data, images]);
        assert_eq!(kept(Extent::Images), [data]);
        assert_eq!(kept(Extent::AllButSnapshots), [data]);
        assert!(kept(Extent::Everything).is_empty());
    }
}
