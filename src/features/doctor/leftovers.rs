//! What is left of environments whose project is no longer where it was.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    path::{Path, PathBuf},
};

use futures::future::Shared;

use super::{Engine, Scope};
use crate::{
    adapters::{
        docker::{ClusterContainer, Docker, ENVIRONMENT, Endpoint, EngineVolume, LocalImage},
        files, volume_image,
    },
    domain::{
        ClusterName, EnvironmentId, Finding, Mend, Severity,
        words::{count, list},
    },
    state::{EnvironmentPaths, UserPaths, owner_of},
};

/// What there is of an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Remains {
    /// Its containers that carry its label, by name.
    pub(super) containers: Vec<String>,
    /// Docker volumes in which its nodes kept images, by name.
    pub(super) image_stores: Vec<String>,
    /// How many images were built for it.
    pub(super) images: usize,
    /// Services whose volumes hold data; `an image of volumes` where they cannot be seen into.
    pub(super) volumes: Vec<String>,
    /// How many snapshots there are.
    pub(super) snapshots: usize,
}

impl Remains {
    /// Whether the user would miss it.
    pub(super) const fn has_data(&self) -> bool {
        !self.volumes.is_empty() || self.snapshots > 0
    }

    fn words(&self) -> String {
        let mut words = Vec::new();
        if !self.volumes.is_empty() {
            words.push(format!("the data of {}", list(&self.volumes)));
        }
        if self.snapshots > 0 {
            words.push(count(self.snapshots, "snapshot"));
        }
        if !self.containers.is_empty() {
            words.push(count(self.containers.len(), "container"));
        }
        if !self.image_stores.is_empty() {
            words.push(count(self.image_stores.len(), "volume") + " of images");
        }
        if self.images > 0 {
            words.push(count(self.images, "image"));
        }
        if words.is_empty() {
            words.push("devenv's own state of it".to_owned());
        }
        list(&words)
    }
}

/// What docker has of environments.
#[derive(Debug, Default)]
struct InDocker {
    containers: Vec<ClusterContainer>,
    volumes: Vec<EngineVolume>,
    images: Vec<LocalImage>,
}

impl InDocker {
    async fn of(docker: &Docker) -> Result<Self, Finding> {
        let (containers, volumes, images) = futures::join!(
            docker.containers_of_environments(),
            docker.volumes_with(ENVIRONMENT),
            docker.images_of_environments(),
        );
        let failed = |error: crate::adapters::docker::DockerError| {
            Finding::of(Severity::Problem, error.failure())
        };
        Ok(Self {
            containers: containers.map_err(failed)?,
            volumes: volumes.map_err(failed)?,
            images: images.map_err(failed)?,
        })
    }

    fn containers_of(&self, id: &str) -> Vec<String> {
        let mut containers = self.containers.clone();
        containers.retain(|container| container.environment.as_deref() == Some(id));
        containers
            .into_iter()
            .map(|container| container.name)
            .collect()
    }

    fn volumes_of(&self, id: &str) -> Vec<String> {
        let mut volumes = self.volumes.clone();
        volumes.retain(|volume| volume.labels.get(ENVIRONMENT).is_some_and(|it| it == id));
        volumes.into_iter().map(|volume| volume.name).collect()
    }

    fn images_of(&self, id: &str) -> usize {
        let ours = self.images.iter();
        let ours = ours.filter(|image| image.environment.as_deref() == Some(id));
        ours.count()
    }
}

/// What is to be said of environments that nobody works on any more.
pub(super) async fn look(
    scope: &Scope<'_>,
    engine: &Shared<impl Future<Output = Engine>>,
) -> Vec<Finding> {
    let (Some(users), Ok(docker)) = (scope.users, engine.clone().await) else {
        return Vec::new();
    };
    let in_docker = match InDocker::of(&docker).await {
        Ok(in_docker) => in_docker,
        Err(finding) => return vec![finding],
    };
    let own = match users.environments() {
        Ok(own) => own,
        Err(error) => return vec![Finding::of(Severity::Warning, error.failure())],
    };
    let mut found = Vec::new();
    for id in &own {
        let paths = users.environment(id);
        if let Some(directory) = owner_of(&paths).filter(|directory| is_gone(directory)) {
            found.push(judge(
                id,
                &paths,
                &directory,
                &remains(id, &paths, &in_docker),
            ));
        }
    }
    // The directories that an engine elsewhere mounts are not this machine's.
    if let Endpoint::Unix(_) = docker.endpoint() {
        found.extend(orphans(&in_docker, &own));
    }
    if found.is_empty() {
        let text = match own.len() {
            0 => "there are no environments of this user".to_owned(),
            number => format!(
                "{} of this user, none without its project",
                count(number, "environment")
            ),
        };
        found.push(Finding::ok("leftovers", text));
    }
    let here = scope.project.map(|project| &project.environment.id);
    found.extend(nobodys_images(&in_docker.images, own.iter().chain(here)));
    found
}

/// Images that were built for environments of which this user has no state. They may be wanted all the same: `down` keeps them.
fn nobodys_images<'a>(
    images: &[LocalImage],
    known: impl Iterator<Item = &'a EnvironmentId>,
) -> Option<Finding> {
    let known: BTreeSet<&str> = known.map(EnvironmentId::as_str).collect();
    let ids = images
        .iter()
        .filter_map(|image| image.environment.as_deref());
    let theirs: Vec<&str> = ids.filter(|id| !known.contains(id)).collect();
    if theirs.is_empty() {
        return None;
    }
    let environments: BTreeSet<&str> = theirs.iter().copied().collect();
    let what = format!(
        "{} of {} that this user has no state of",
        count(theirs.len(), "image"),
        count(environments.len(), "environment")
    );
    let finding = Finding::note("leftover.images", what)
        .because("they make the next `devenv up` of their project fast, if there is one")
        .seen(
            "environments",
            environments.iter().map(ToString::to_string).collect(),
        );
    let remove = |id: &&str| {
        format!("docker rmi $(docker images --quiet --filter label={ENVIRONMENT}={id})")
    };
    Some(environments.iter().map(remove).fold(finding, Finding::fix))
}

/// Whether nothing is there; what cannot be looked at counts as there.
fn is_gone(path: &Path) -> bool {
    matches!(files::inode(path), Ok(None))
}

fn remains(id: &EnvironmentId, paths: &EnvironmentPaths, in_docker: &InDocker) -> Remains {
    Remains {
        containers: in_docker.containers_of(id.as_str()),
        image_stores: in_docker.volumes_of(id.as_str()),
        images: in_docker.images_of(id.as_str()),
        ..data_of(paths)
    }
}

/// What data there is of an environment on this machine's disk.
pub(super) fn data_of(paths: &EnvironmentPaths) -> Remains {
    let mut volumes = names_in(&paths.volumes());
    volumes.retain(|name| !name.starts_with('.'));
    let image = paths.volume_image();
    // One that was never mounted holds nothing.
    if files::exists(&image) && !volume_image::is_new(&image).unwrap_or(false) {
        volumes.push("an image of volumes".to_owned());
    }
    Remains {
        volumes,
        snapshots: names_in(&paths.snapshots()).len(),
        ..Remains::default()
    }
}

/// The names in a directory. One that is there and cannot be read holds something.
fn names_in(directory: &Path) -> Vec<String> {
    if is_gone(directory) {
        return Vec::new();
    }
    let Ok(found) = files::list(directory) else {
        return vec![directory.display().to_string()];
    };
    let names = found.iter().filter_map(|path| path.file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

fn judge(
    id: &EnvironmentId,
    paths: &EnvironmentPaths,
    directory: &Path,
    remains: &Remains,
) -> Finding {
    let moved = format!("{} is gone: it was moved or removed", directory.display());
    let left = remains.words();
    if !remains.has_data() {
        return Finding::warning(
            "leftover.environment",
            format!("of the environment {id} there is left: {left}"),
        )
        .because(moved)
        .fix("devenv doctor --fix   # asks before it removes it")
        .mended_by(Mend::RemoveEnvironment(id.clone()));
    }
    let finding = Finding::warning(
        "leftover.data",
        format!("the environment {id} has no project any more, and there is left: {left}"),
    )
    .because(moved)
    .fix("to have it back, put the project where it was");
    let finding = if remains.containers.is_empty() {
        finding
    } else {
        finding.fix(delete(&id.cluster()))
    };
    finding.fix(format!(
        "sudo rm -rf {} {}   # loses it for good: only you can do that",
        paths.data().display(),
        paths.state().display()
    ))
}

/// The command that removes the containers of a cluster.
fn delete(cluster: &ClusterName) -> String {
    let registry = cluster.registry_container();
    format!("k3d cluster delete {cluster} && k3d registry delete {registry}")
}

/// Containers and volumes of environments of which this user has nothing. They may be another user's: only those whose
/// data is gone from this machine are nobody's.
fn orphans(in_docker: &InDocker, own: &[EnvironmentId]) -> Vec<Finding> {
    let is_own = |id: &str| own.iter().any(|own| own.as_str() == id);
    let mut directories: BTreeMap<&str, Vec<&PathBuf>> = BTreeMap::new();
    for container in &in_docker.containers {
        if let Some(id) = container.environment.as_deref().filter(|id| !is_own(id)) {
            directories.entry(id).or_default().extend(
                container
                    .host_directories
                    .iter()
                    .filter(|path| is_data_of(path, id)),
            );
        }
    }
    let mut found = Vec::new();
    for (id, directories) in &directories {
        if !directories.is_empty() && directories.iter().all(|path| is_gone(path)) {
            let names = in_docker.containers_of(id);
            let what = format!("containers of the environment {id} are left, and its data is gone");
            let cluster = EnvironmentId::of_directory(id).map(|id| id.cluster());
            let remove = match cluster {
                Some(name) => delete(&name),
                None => format!("docker rm -f {}", names.join(" ")),
            };
            found.push(
                Finding::warning("leftover.containers", what)
                    .because("this user has no state of it: it may be another user's")
                    .seen("containers", names)
                    .fix(remove),
            );
        }
    }
    let with_containers: BTreeSet<&str> = directories.into_keys().collect();
    let nobodys = in_docker.volumes.iter().filter(|volume| {
        let id = volume.labels.get(ENVIRONMENT).map_or("", String::as_str);
        !is_own(id) && !with_containers.contains(id)
    });
    let names: Vec<String> = nobodys.map(|volume| volume.name.clone()).collect();
    if !names.is_empty() {
        let what = format!(
            "{} of images of environments that this user does not have",
            count(names.len(), "volume")
        );
        found.push(
            Finding::note("leftover.volumes", what)
                .because("they hold images alone, and may be another user's")
                .fix(format!("docker volume rm {}", names.join(" "))),
        );
    }
    found
}

/// Whether a directory is one of an environment's data: below a directory with its id.
fn is_data_of(path: &Path, id: &str) -> bool {
    path.iter().any(|part| part == id)
}

/// The environment of this user whose remains are to go, if it has still neither project nor data.
pub(super) fn is_dead(users: &UserPaths, id: &EnvironmentId) -> bool {
    let paths = users.environment(id);
    owner_of(&paths).is_some_and(|directory| is_gone(&directory)) && !data_of(&paths).has_data()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        adapters::{
            docker::{EngineState, NodeRole},
            host::HostEnvironment,
        },
        domain::testing::environment,
        state::save_owner,
    };

    fn home() -> (tempfile::TempDir, UserPaths, EnvironmentId) {
        let home = tempfile::tempdir().unwrap();
        let variables = [("HOME".to_owned(), home.path().display().to_string())];
        let users = UserPaths::of(&HostEnvironment::from_variables(variables)).unwrap();
        (home, users, environment(&[]).id)
    }

    fn container(environment: &str, directory: &Path) -> ClusterContainer {
        ClusterContainer {
            name: format!("k3d-{environment}-server-0"),
            role: NodeRole::Server,
            environment: Some(environment.to_owned()),
            state: EngineState::Exited,
            ports: Vec::new(),
            image: String::new(),
            host_directories: vec![directory.to_owned(), "/".into()],
        }
    }

    #[test]
    fn what_has_no_data_can_be_removed_and_data_is_left_to_the_user() {
        let (_home, users, id) = home();
        let paths = users.environment(&id);
        let gone = Path::new("/gone");
        let mut remains = Remains::default();
        let finding = judge(&id, &paths, gone, &remains);
        assert_eq!(finding.id.0, "leftover.environment");
        assert_eq!(finding.mend, Some(Mend::RemoveEnvironment(id.clone())));
        remains.containers.push("k3d-shop-server-0".to_owned());
        assert!(
            judge(&id, &paths, gone, &remains)
                .what
                .ends_with("left: 1 container")
        );
        for (volumes, snapshots) in [(vec!["db".to_owned()], 0), (vec![], 2)] {
            let remains = Remains {
                volumes,
                snapshots,
                ..remains.clone()
            };
            let finding = judge(&id, &paths, gone, &remains);
            assert_eq!((finding.id.0, &finding.mend), ("leftover.data", &None));
            assert!(
                finding.fix[1].starts_with("k3d cluster delete "),
                "{finding:?}"
            );
            assert!(finding.fix[2].contains("sudo rm -rf "), "{finding:?}");
        }
    }

    #[test]
    fn an_environment_is_dead_without_its_project_unless_there_is_data_in_any_form() {
        let (home, users, id) = home();
        let paths = users.environment(&id);
        assert!(!is_dead(&users, &id), "nobody knows whose it is");
        let project = home.path().join("project");
        files::create_dir(&project).unwrap();
        paths.create().unwrap();
        save_owner(&paths, &project).unwrap();
        assert!(!is_dead(&users, &id));
        files::remove_tree(&project).unwrap();
        assert!(is_dead(&users, &id));
        for data in [paths.volumes().join("db"), paths.snapshots().join("a.json")] {
            files::create_dir(&data).unwrap();
            assert!(!is_dead(&users, &id), "{}", data.display());
            files::remove_tree(&data).unwrap();
        }
        let image = paths.volume_image();
        volume_image::create(&image).unwrap();
        assert!(is_dead(&users, &id), "nothing was ever on it");
        files::write_private(&image, &vec![1; 1 << 20]).unwrap();
        assert!(!is_dead(&users, &id));
        files::remove_file(&image).unwrap();
        files::create_dir(&paths.volumes().join(".snapshots")).unwrap();
        assert!(is_dead(&users, &id));
    }

    #[test]
    fn containers_of_others_are_left_over_only_without_their_data() {
        let (home, _users, id) = home();
        let other = "shop-0a1b2c3d";
        let data = home.path().join(other).join("volumes");
        let in_docker = InDocker {
            containers: vec![container(other, &data), container(id.as_str(), &data)],
            ..InDocker::default()
        };
        let own = [id];
        let found = orphans(&in_docker, &own);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].id.0, "leftover.containers");
        assert_eq!(
            found[0].fix,
            ["k3d cluster delete shop-0a1b2c3d && k3d registry delete k3d-shop-0a1b2c3d-registry"]
        );
        files::create_dir(&data).unwrap();
        assert_eq!(orphans(&in_docker, &own), []);
    }

    #[test]
    fn images_of_environments_without_state_are_only_good_to_know() {
        let (_home, _users, id) = home();
        let image = |environment: &str, tag: &str| LocalImage {
            reference: format!("127.0.0.1:5000/shop:{tag}"),
            id: String::new(),
            size: 0,
            created: 0,
            environment: Some(environment.to_owned()),
        };
        let own = image(id.as_str(), "own");
        assert_eq!(
            nobodys_images(std::slice::from_ref(&own), [&id].into_iter()),
            None
        );
        let all = [image("a-0a1b2c3d", "1"), image("a-0a1b2c3d", "2"), own];
        let found = nobodys_images(&all, [&id].into_iter()).unwrap();
        assert_eq!(found.severity, Severity::Note);
        assert_eq!(
            found.what,
            "2 images of 1 environment that this user has no state of"
        );
        assert!(
            found.fix[0].ends_with("label=devenv.environment=a-0a1b2c3d)"),
            "{found:?}"
        );
    }

    #[test]
    fn volumes_of_others_are_only_good_to_know() {
        let volume = |id: &str| EngineVolume {
            name: format!("k3d-{id}-server-0-images"),
            labels: BTreeMap::from([(ENVIRONMENT.to_owned(), id.to_owned())]),
        };
        let (_home, _users, id) = home();
        let in_docker = InDocker {
            containers: vec![container("b-0a1b2c3d", Path::new("/"))],
            volumes: vec![
                volume("a-0a1b2c3d"),
                volume("b-0a1b2c3d"),
                volume(id.as_str()),
            ],
            ..InDocker::default()
        };
        let found = orphans(&in_docker, &[id]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].severity, Severity::Note);
        assert_eq!(
            found[0].fix,
            ["docker volume rm k3d-a-0a1b2c3d-server-0-images"]
        );
    }
}
