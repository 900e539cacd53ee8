//! Clusters of other programs on the same docker.
//!
//! Neither kind nor minikube is on this machine: containers stand in for their nodes, with the labels by which they are known.

use super::{doctor, one};
use crate::program::{BASE, Project};

const NAME: &str = "elsewhere";
const MAKERS: [(&str, &str); 2] = [
    ("kind", "io.x-k8s.kind.cluster"),
    ("minikube", "name.minikube.sigs.k8s.io"),
];

/// A node of each.
pub(super) struct Neighbours<'a> {
    project: &'a Project,
}

impl<'a> Neighbours<'a> {
    pub(super) fn moved_in(project: &'a Project) -> Self {
        let neighbours = Self { project };
        for (maker, label) in MAKERS {
            let label = format!("{label}={NAME}");
            let container = container(maker);
            let words = [
                "run", "--detach", "--name", &container, "--label", &label, BASE,
            ];
            let words = [&words[..], &["sleep", "infinity"]].concat();
            project.run("docker", &words).assert_code(0);
        }
        neighbours
    }

    /// They are told with their memory, run on whatever was mended, and stop by what is shown.
    pub(super) fn are_told_and_left_alone(&self) {
        let finding = one(&doctor(self.project, &[]), "clusters.others");
        let clusters = finding["evidence"][0]["lines"].to_string();
        for (maker, _) in MAKERS {
            assert!(clusters.contains(&format!("{maker} {NAME}: ")), "{finding}");
            assert!(self.runs(maker), "{maker} was ended");
        }
        let fixes = finding["fix"].as_array().unwrap();
        let mut fixes = fixes.iter().map(|fix| fix.as_str().unwrap());
        let kind = fixes.find(|fix| fix.contains("io.x-k8s.kind")).unwrap();
        let stop = kind.replace("docker stop", "docker stop --time 1");
        self.project.run("sh", &["-c", &stop]).assert_code(0);
        assert!(!self.runs("kind") && self.runs("minikube"), "{kind}");
    }

    fn runs(&self, maker: &str) -> bool {
        let filter = format!("name=^{}$", container(maker));
        let words = ["ps", "--quiet", "--filter", &filter];
        !self.project.quietly("docker", &words).is_empty()
    }
}

impl Drop for Neighbours<'_> {
    fn drop(&mut self) {
        for (maker, _) in MAKERS {
            let words = ["rm", "--force", "--volumes", &container(maker)];
            self.project.quietly("docker", &words);
        }
    }
}

fn container(maker: &str) -> String {
    format!("e2e-neighbour-{maker}")
}
