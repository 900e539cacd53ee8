//! The specification of a task's pod.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    domain::{Environment, Task},
    plan::resources,
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

/// A pod that runs `command` once, in `image`; its secret variables are in the Secret `secret`.
pub(super) fn specification(
    environment: &Environment,
    task: &Task,
    image: &str,
    command: &[String],
    secret: Option<&str>,
    stdin: Stdin,
) -> Value {
    let variables = task
        .env
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value }));
    let secrets = secret.map(|name| json!({ "secretRef": { "name": name } }));
    let is_open = stdin != Stdin::Closed;
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
            "containers": [{
                "name": task.name,
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "command": command.iter().map(|word| literal(word)).collect::<Vec<_>>(),
                "env": variables.collect::<Vec<_>>(),
                "envFrom": secrets.into_iter().collect::<Vec<_>>(),
                "resources": resources(&task.resources),
                "stdin": is_open,
                "stdinOnce": is_open,
                "tty": stdin == Stdin::Terminal,
            }],
        },
    })
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
        specification(&shop, &task(), "r/test:1", &command, secret, stdin)
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
