//! A cluster of the environment's name that somebody else made.

use super::{SERVE, project};
use crate::program::Project;

/// Every command that changes a cluster.
const CHANGES: [&[&str]; 7] = [
    &["up"],
    &["scale", "web=2"],
    &["restart", "web"],
    &["stop"],
    &["start"],
    &["down"],
    &["down", "--volumes", "--yes"],
];

#[test]
fn a_cluster_that_somebody_else_made_under_the_same_name_is_not_touched() {
    let project = project(
        "identity",
        &format!("services: {{ web: {{ build: image, command: [sh, -c, {SERVE:?}] }} }}\n"),
    );
    project.devenv(&["up"]).assert_code(0);
    let foreign = Foreign::instead_of_ours(&project, &["--no-lb"]);
    foreign.assert_without_agent();
    let before = foreign.looks();
    for words in CHANGES {
        let refused = project.devenv(words).assert_code(5);
        refused.assert_says(&["cluster.not-ours", &foreign.server(), "k3d cluster list"]);
        assert_eq!(foreign.looks(), before, "{words:?}");
    }
    project
        .run("docker", &["stop", "--time", "1", &foreign.server()])
        .assert_code(0);
    let before = foreign.looks();
    for words in CHANGES {
        project
            .devenv(words)
            .assert_code(5)
            .assert_says(&["cluster.not-ours"]);
        assert_eq!(foreign.looks(), before, "{words:?}");
    }
    // Even one that carries our label has another identity.
    let label = format!("devenv.environment={}@all", project.cluster_name());
    let api = format!("127.0.0.1:{}", project.ports.https);
    let flags = ["--api-port", &api, "--runtime-label", &label];
    let foreign = Foreign::instead_of_ours(&project, &flags);
    let before = foreign.contents();
    for words in &CHANGES[..3] {
        project
            .devenv(words)
            .assert_code(5)
            .assert_says(&["cluster.not-ours"]);
        assert_eq!(foreign.contents(), before, "{words:?}");
    }
    foreign.delete();
    project.devenv(&["up"]).assert_code(0);
    project.end();
}

struct Foreign<'a> {
    project: &'a Project,
    name: String,
}

impl<'a> Foreign<'a> {
    /// Deletes the cluster of that name, whoever made it, and makes one by hand.
    fn instead_of_ours(project: &'a Project, flags: &[&str]) -> Self {
        let name = project.cluster_name();
        let foreign = Self { project, name };
        foreign.delete();
        let image = variable("DEVENV_NODE_IMAGE");
        let image = image.as_ref().map(|image| ["--image", image.as_str()]);
        let words = ["cluster", "create", &foreign.name, "--timeout", "120s"];
        let kubeconfig = ["--kubeconfig-update-default=false"];
        let image = image.as_ref().map_or(&[][..], |words| &words[..]);
        foreign.k3d(&[&words[..], &kubeconfig, image, flags].concat());
        foreign
    }

    fn delete(&self) {
        self.k3d(&["cluster", "delete", &self.name]);
    }

    /// k3d as somebody else has it: with a kubeconfig and settings of their own.
    fn k3d(&self, arguments: &[&str]) -> String {
        let elsewhere = self.project.directory().join("elsewhere");
        let scratch = self.project.directory();
        let mut words = vec![
            format!("KUBECONFIG={}", elsewhere.display()),
            format!("TMPDIR={}", scratch.display()),
        ];
        for name in ["K3D_IMAGE_LOADBALANCER", "K3D_IMAGE_TOOLS"] {
            words.extend(variable(name).map(|value| format!("{name}={value}")));
        }
        words.push("k3d".to_owned());
        let words: Vec<&str> = words
            .iter()
            .map(String::as_str)
            .chain(arguments.iter().copied())
            .collect();
        self.project.run("env", &words).assert_code(0).stdout
    }

    fn server(&self) -> String {
        format!("k3d-{}-server-0", self.name)
    }

    /// What docker knows of it: who it is, what it does and since when.
    fn looks(&self) -> String {
        let format =
            "{{.Id}} {{.State.Status}} {{.State.StartedAt}} {{json .NetworkSettings.Networks}}";
        let server = self.server();
        let seen = self
            .project
            .run("docker", &["inspect", "--format", format, &server]);
        seen.assert_code(0).stdout
    }

    /// The session that kept the logs of ours has left it alone.
    fn assert_without_agent(&self) {
        let server = self.server();
        let look = ["exec", &server, "ls", "/var/lib/devenv"];
        let there = self.project.run("docker", &look);
        assert_ne!(there.code, Some(0), "{there}");
    }

    /// What is in it.
    fn contents(&self) -> String {
        let kubeconfig = self.project.directory().join("foreign.kubeconfig");
        self.project.write(
            "foreign.kubeconfig",
            &self.k3d(&["kubeconfig", "get", &self.name]),
        );
        let words = [
            "--kubeconfig",
            kubeconfig.to_str().unwrap(),
            "get",
            "deployments,secrets,configmaps,services",
            "--namespace",
            "default",
            "--output",
            "name",
        ];
        self.project.run("kubectl", &words).assert_code(0).stdout
    }
}

#[expect(clippy::disallowed_methods, reason = "the test's own settings")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
