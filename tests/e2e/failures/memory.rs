//! A node that has less memory than its pods want.

use std::time::Duration;

use super::scene::Scene;

/// More than Kubernetes and the other services take, and less than what is too much.
const LITTLE: &str = "1536m";
/// As much as nobody here takes: docker cannot take a limit away again.
const PLENTY: &str = "1024g";

pub(super) fn a_node_that_runs_out_of_memory_is_told_and_the_others_go_on(scene: &Scene) {
    let before = scene.read("devenv.yaml");
    let greedy = "build: app\n    command: [perl, -e, \"my $all = 'x' x (3 << 30); sleep\"]";
    scene.write("devenv.yaml", &format!("{before}  greedy:\n    {greedy}\n"));
    let node = Limited::to(scene, LITTLE);
    let up = scene.devenv(&["up"]).assert_code(6);
    up.assert_within(Duration::from_mins(1)).assert_says(&[
        "error[service.out-of-memory]: greedy was killed for its memory use",
        "the node ran out of memory",
        "devenv status --resources",
    ]);
    scene.assert_serves("healthy", "alive");
    drop(node);
    scene.write("devenv.yaml", &before);
    scene.devenv(&["up"]).assert_code(0);
}

/// A node with a limit, until this is dropped.
struct Limited<'a>(&'a Scene);

impl<'a> Limited<'a> {
    fn to(scene: &'a Scene, memory: &str) -> Self {
        let node = format!("k3d-{}-server-0", scene.cluster_name());
        let words = ["update", "--memory", memory, "--memory-swap", memory, &node];
        scene.run("docker", &words).assert_code(0);
        Self(scene)
    }
}

impl Drop for Limited<'_> {
    fn drop(&mut self) {
        let node = format!("k3d-{}-server-0", self.0.cluster_name());
        let words = ["update", "--memory", PLENTY, "--memory-swap", PLENTY, &node];
        self.0.quietly("docker", &words);
    }
}
