//! The specification of a task's pod.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    domain::{Environment, Task},
    plan::{INIT_IN_CONTAINER, Init, resources},
};

/// Seconds that a task's process has to end once its pod is deleted.
const GRACE: u32 = 3;

/// How the input of a task's process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stdin {
    /// Closed from the start.
    Closed,
    /// Open until the one who sends it is done.
    Open,
    /// A terminal.
    Terminal,
}

/// The labels of all objects of a task's run.
pub(super) fn labels(environment: &Environment, task: &Task) -> BTreeMap<String, String> {
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    BTreeMap::from([
        label("app.kubernetes.io/managed-by", "devenv"),
        label("app.kubernetes.io/name", task.name.as_str()),
        label("devenv.project", environment.project.as_str()),
        label("devenv.task", task.name.as_str()),
    ])
}

/// What becomes of a task's container when its command has ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum AfterEnd<'a> {
    /// It ends.
    End,
    /// It stays until this init is told to let it go: its files can be read until then.
    Keep(Init<'a>),
}

/// What the volumes of an init are called.
const INIT_VOLUME: &str = "devenv-init";
const RUN_VOLUME: &str = "devenv-run";
/// How long a container stays whose command has ended, in seconds. Whoever copies takes less, and lets it go at once.
const KEEP_SECONDS: &str = "600";

/// One run of a task's container.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start<'a> {
    pub(super) image: &'a str,
    pub(super) command: &'a [String],
    /// The Secret with its secret variables.
    pub(super) secret: Option<&'a str>,
    pub(super) stdin: Stdin,
    pub(super) after_end: AfterEnd<'a>,
}

/// A pod that runs a command once.
pub(super) fn specification(environment: &Environment, task: &Task, start: &Start<'_>) -> Value {
    let Start {
        image,
        command,
        secret,
        stdin,
        after_end,
    } = *start;
    let variables = task
        .env
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value }));
    let secrets = secret.map(|name| json!({ "secretRef": { "name": name } }));
    let is_open = stdin != Stdin::Closed;
    let init = match after_end {
        AfterEnd::End => Vec::new(),
        AfterEnd::Keep(init) => init.command(Some(("--keep", KEEP_SECONDS))),
    };
    let (mounts, volumes) = match after_end {
        AfterEnd::End => (Vec::new(), Vec::new()),
        AfterEnd::Keep(init) => init_volumes(init),
    };
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": format!("{}-", task.name),
            "labels": labels(environment, task),
        },
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": GRACE,
            "volumes": volumes,
            "containers": [{
                "name": task.name,
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "command": init.iter().chain(command).map(|word| literal(word)).collect::<Vec<_>>(),
                "env": variables.collect::<Vec<_>>(),
                "envFrom": secrets.into_iter().collect::<Vec<_>>(),
                "resources": resources(&task.resources),
                "volumeMounts": mounts,
                "stdin": is_open,
                "stdinOnce": is_open,
                "tty": stdin == Stdin::Terminal,
            }],
        },
    })
}

/// The mounts of an init and what is mounted there.
fn init_volumes(init: Init<'_>) -> (Vec<Value>, Vec<Value>) {
    let mounts = vec![
        json!({ "name": INIT_VOLUME, "mountPath": INIT_IN_CONTAINER, "readOnly": true }),
        json!({ "name": RUN_VOLUME, "mountPath": init.run_directory() }),
    ];
    let program = json!({ "path": init.directory(), "type": "Directory" });
    let volumes = vec![
        json!({ "name": INIT_VOLUME, "hostPath": program }),
        json!({ "name": RUN_VOLUME, "emptyDir": {} }),
    ];
    (mounts, volumes)
}

/// Kubernetes would put variables in place of `$(NAME)`, and `$` in place of `$$`.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ImageName, Resources, testing::environment};

    fn task() -> Task {
        Task {
            name: "test".parse().unwrap(),
            image: ImageName::Reference("r/test:1".to_owned()),
            command: vec!["npm".to_owned()],
            env: BTreeMap::from([("PLACE".to_owned(), "$(HOME)/x".to_owned())]),
            secrets: Vec::new(),
            depends_on: Vec::new(),
            resources: Resources {
                limit_memory: "64Mi".parse().ok(),
                ..Resources::default()
            },
        }
    }

    fn pod(command: &[&str], secret: Option<&str>, stdin: Stdin) -> Value {
        let shop = environment(&[]);
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let start = Start {
            image: "r/test:1",
            command: &command,
            secret,
            stdin,
            after_end: AfterEnd::End,
        };
        specification(&shop, &task(), &start)
    }

    #[test]
    fn two_runs_of_a_task_have_pods_of_their_own_and_labels_in_common() {
        let pod = pod(&["npm"], None, Stdin::Closed);
        assert_eq!(pod["metadata"]["generateName"], "test-");
        assert!(pod["metadata"].get("name").is_none());
        assert_eq!(pod["metadata"]["labels"]["devenv.task"], "test");
        assert_eq!(pod["spec"]["restartPolicy"], "Never");
    }

    #[test]
    fn the_command_reaches_the_container_as_it_was_typed() {
        let pod = pod(&["sh", "-c", "echo $(date) $$"], None, Stdin::Closed);
        let container = &pod["spec"]["containers"][0];
        assert_eq!(container["command"][2], "echo $$(date) $$$$");
        assert_eq!(container["env"][0]["value"], "$(HOME)/x", "as in a service");
        assert_eq!(container["resources"]["limits"]["memory"], "64Mi");
    }

    #[test]
    fn a_container_that_stays_after_its_end_is_run_by_the_init() {
        let command = ["npm".to_owned()];
        let start = Start {
            image: "r/test:1",
            command: &command,
            secret: None,
            stdin: Stdin::Closed,
            after_end: AfterEnd::Keep(Init {
                program: "/node/agent/devenv-agent-1",
                socket: "/.devenv/run/init",
            }),
        };
        let pod = specification(&environment(&[]), &task(), &start);
        let container = &pod["spec"]["containers"][0];
        let words = "/.devenv/bin/devenv-agent-1 init --socket /.devenv/run/init --keep 600 -- npm";
        let words: Vec<&str> = words.split(' ').collect();
        assert_eq!(container["command"], json!(words));
        let mounted = |index: usize| &container["volumeMounts"][index]["mountPath"];
        assert_eq!(mounted(0), "/.devenv/bin");
        assert_eq!(mounted(1), "/.devenv/run");
        let volumes = &pod["spec"]["volumes"];
        assert_eq!(volumes[0]["hostPath"]["path"], "/node/agent");
        assert_eq!(volumes[1]["name"], container["volumeMounts"][1]["name"]);
    }

    #[test]
    fn secrets_are_named_and_not_written_and_input_is_open_only_for_a_sender() {
        let pod = pod(&[], Some("test-x"), Stdin::Open);
        let container = &pod["spec"]["containers"][0];
        assert_eq!(container["envFrom"][0]["secretRef"]["name"], "test-x");
        assert_eq!(
            (&container["stdin"], &container["stdinOnce"]),
            (&json!(true), &json!(true))
        );
        assert_eq!(container["tty"], false);
    }
}
