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
    plan::{self, Action, Data, Plan},
    report::{Down, Kept, Outbox},
};

/// What would be removed, as a question; `None` if there is nothing to remove.
pub async fn question(project: &Project) -> Result<Option<String>, Failures> {
    let tools = project.tools().await?;
    let footprint = project.footprint(&tools).await?;
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
    match footprint.images.len() {
        0 => {}
        1 => parts.push("1 image".to_owned()),
        count => parts.push(format!("{count} images")),
    }
    if footprint.has_data && footprint.volumes.is_empty() {
        parts.push("what its registry holds".to_owned());
    } else if footprint.has_data {
        parts.push(format!("all data ({})", footprint.volumes.join(", ")));
    }
    let last = parts.pop()?;
    Some(if parts.is_empty() {
        last
    } else {
        format!("{} and {last}", parts.join(", "))
    })
}

/// Takes the environment down. The caller holds its lock.
///
/// With `Data::Remove` the directory of its state is left to the caller, who holds the lock in it.
pub async fn down(
    project: &Project,
    data: Data,
    outbox: &Outbox,
    cancel: &CancellationToken,
    deadline: Duration,
) -> Result<Down, Failures> {
    let tools = project.tools().await?;
    let record = project.record(outbox).await?;
    let footprint = project.footprint(&tools).await?;
    let plan = plan::down(&project.environment, &footprint, data);
    let world = project.world(Desired::default(), tools, record.as_ref());
    let result = if plan.is_empty() {
        RunResult::default()
    } else {
        completed(run(&plan, &world, outbox, cancel, deadline).await)?
    };
    Ok(Down {
        environment: project.environment.id.to_string(),
        removed: removed(project, &plan, &result, &footprint),
        kept: match data {
            Data::Keep => kept(project, &footprint),
            Data::Remove => Vec::new(),
        },
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
            Action::RemoveData if footprint.volumes.is_empty() => {
                "what the registry held".to_owned()
            }
            Action::RemoveData => format!(
                "data of {}, and what the registry held",
                footprint.volumes.join(", ")
            ),
            Action::RemoveImages(images) if images.len() == 1 => "1 image".to_owned(),
            Action::RemoveImages(images) => format!("{} images", images.len()),
            _ => return None,
        })
    };
    plan.steps.iter().filter(is_done).filter_map(what).collect()
}

fn kept(project: &Project, footprint: &Footprint) -> Vec<Kept> {
    let mut kept = Vec::new();
    if !footprint.volumes.is_empty() {
        kept.push(Kept {
            what: format!("data of {}", footprint.volumes.join(", ")),
            path: Some(project.paths.volumes().display().to_string()),
            remove_with: None,
        });
    }
    if footprint.has_data {
        kept.push(Kept {
            what: "built images, so that the next `devenv up` is fast".to_owned(),
            path: Some(project.paths.registry().display().to_string()),
            remove_with: Some("devenv down --volumes".to_owned()),
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
            volumes: vec!["postgres".to_owned(), "redis".to_owned()],
            has_data: true,
        }
    }

    #[test]
    fn the_question_names_what_is_there_and_nothing_else() {
        assert_eq!(
            words(&footprint()).unwrap(),
            "the cluster, 2 images and all data (postgres, redis)"
        );
        let images = Footprint {
            images: vec!["a".to_owned()],
            ..Footprint::default()
        };
        assert_eq!(words(&images).unwrap(), "1 image");
        assert_eq!(words(&Footprint::default()), None);
    }

    #[test]
    fn what_is_kept_says_where_it_is_and_how_it_goes() {
        let kept = kept(&project(&[]), &footprint());
        assert_eq!(kept[0].what, "data of postgres, redis");
        assert!(kept[0].path.as_ref().unwrap().ends_with("/volumes"));
        assert_eq!(
            kept[1].remove_with.as_deref(),
            Some("devenv down --volumes")
        );
    }
}
