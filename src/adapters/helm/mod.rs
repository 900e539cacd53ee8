//! Releases, by the program Helm; and the charts that devenv brings along.
//!
//! Called by the engine's release steps and by `validate`. Helm never waits for readiness here: one
//! shared watch does (`adapters::kube`). The private kubeconfig and a context are always named, so that
//! no other cluster can be reached; values go in by standard input, since they may hold secrets.

mod chart;
mod error;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

pub use self::{
    chart::{service_chart, service_chart_hash, wrap_manifests},
    error::{HelmCause, HelmError},
};
use super::process::{ChildEnvironment, Finished, Invocation, run};
use crate::domain::{InputsHash, ServiceName};

/// The label on a release's record that says what it was made from.
pub const INPUTS_LABEL: &str = "devenv.inputs";
/// How long a question to Helm may take.
const QUESTION: Duration = Duration::from_secs(20);
/// How many revisions of a release are kept: enough for a rollback, few enough to list fast.
const REVISIONS_KEPT: &str = "3";
/// How much rendered YAML is taken, in bytes.
const RENDERED_KEPT: usize = 64 * 1024 * 1024;

/// A chart as Helm is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChartReference {
    /// The embedded chart, written to this directory. It is known to be right: Helm need not check it.
    Embedded(PathBuf),
    /// Another chart in a directory.
    Directory(PathBuf),
    /// A chart of a repository.
    Repository {
        /// Its URL (`https://` or `oci://`).
        repo: String,
        /// The chart's name.
        name: String,
        /// The chart's version.
        version: String,
    },
}

/// A release to install or upgrade.
#[derive(Clone, PartialEq)]
pub struct ReleaseRequest {
    /// The service, whose name is the release's.
    pub service: ServiceName,
    /// The namespace.
    pub namespace: String,
    /// The chart.
    pub chart: ChartReference,
    /// The values, over those of the files. They may hold secrets: never shown.
    pub values: serde_json::Value,
    /// Values files, later over earlier.
    pub values_files: Vec<PathBuf>,
    /// The hash that is stored on the release.
    pub inputs: InputsHash,
}

/// The program Helm, bound to one cluster. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Helm {
    binary: PathBuf,
    environment: ChildEnvironment,
    kubeconfig: PathBuf,
    context: String,
}

impl Helm {
    /// Helm at `binary` (a name or a path) for `context` of `kubeconfig`, with its own files under `home`.
    pub fn new(
        binary: impl Into<PathBuf>,
        environment: ChildEnvironment,
        kubeconfig: &Path,
        context: impl Into<String>,
        home: &Path,
    ) -> Self {
        let environment = environment
            .with("KUBECONFIG", kubeconfig)
            // What the API server offers is asked once and shared by all runs.
            .with("KUBECACHEDIR", home.join("kube"))
            .with("HELM_CACHE_HOME", home.join("cache"))
            .with("HELM_CONFIG_HOME", home.join("config"))
            .with("HELM_DATA_HOME", home.join("data"))
            .with("HELM_DRIVER", "secret");
        Self {
            binary: binary.into(),
            environment,
            kubeconfig: kubeconfig.to_owned(),
            context: context.into(),
        }
    }

    /// Its version.
    pub async fn version(&self, cancel: &CancellationToken) -> Result<semver::Version, HelmError> {
        let invocation = Invocation::new(&self.binary, self.environment.clone(), QUESTION).args([
            "version",
            "--template",
            "{{.Version}}",
        ]);
        let answer = run_helm("ask helm for its version", None, &invocation, cancel).await?;
        let answer = answer.stdout_text();
        parse_version(&answer).ok_or_else(|| HelmError::Unexpected {
            command: "version",
            answer: answer.lines().next().unwrap_or_default().to_owned(),
        })
    }

    /// Installs a release or upgrades it, and returns without waiting for its pods.
    pub async fn upgrade_install(
        &self,
        request: &ReleaseRequest,
        cancel: &CancellationToken,
        deadline: Duration,
    ) -> Result<(), HelmError> {
        let inputs = format!("{INPUTS_LABEL}={}", request.inputs.as_str());
        let mut invocation = self
            .invocation(deadline)
            .args(["upgrade", request.service.as_str(), "--install"])
            .args(["--history-max", REVISIONS_KEPT, "--labels", &inputs])
            .args(["--timeout", &format!("{}s", deadline.as_secs())])
            .arg("--hide-notes");
        if matches!(request.chart, ChartReference::Embedded(_)) {
            // Half of Helm's time goes into a check of objects that the API server repeats.
            invocation = invocation.arg("--disable-openapi-validation");
        }
        let invocation = with_chart(invocation, request);
        let doing = format!("install {}", request.service);
        run_helm(&doing, Some(&request.service), &invocation, cancel)
            .await
            .map(|_| ())
    }

    /// Removes a release with all its objects and waits until they are gone. None is no error.
    pub async fn uninstall(
        &self,
        service: &ServiceName,
        namespace: &str,
        cancel: &CancellationToken,
        deadline: Duration,
    ) -> Result<(), HelmError> {
        let invocation = self
            .invocation(deadline)
            .args(["uninstall", service.as_str(), "--ignore-not-found"])
            .args(["--namespace", namespace])
            // What is still on its way out would be taken for there by the next installation.
            .args(["--wait", "--timeout", &format!("{}s", deadline.as_secs())]);
        let doing = format!("remove {service}");
        run_helm(&doing, Some(service), &invocation, cancel)
            .await
            .map(|_| ())
    }

    /// The YAML that a release's chart comes to in a version of Kubernetes, such as `1.35`. Asks nothing of the cluster.
    /// It may hold secrets.
    pub async fn template(
        &self,
        request: &ReleaseRequest,
        kubernetes: &str,
        cancel: &CancellationToken,
        deadline: Duration,
    ) -> Result<String, HelmError> {
        let mut invocation = self
            .invocation(deadline)
            .args(["template", request.service.as_str()])
            .args(["--kube-version", kubernetes]);
        invocation.output_kept = RENDERED_KEPT;
        let invocation = with_chart(invocation, request);
        let doing = format!("render the chart of {}", request.service);
        let finished = run_helm(&doing, Some(&request.service), &invocation, cancel).await?;
        Ok(finished.stdout_text())
    }

    fn invocation(&self, deadline: Duration) -> Invocation {
        Invocation::new(&self.binary, self.environment.clone(), deadline)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(["--kube-context", &self.context])
    }
}

async fn run_helm(
    doing: &str,
    service: Option<&ServiceName>,
    invocation: &Invocation,
    cancel: &CancellationToken,
) -> Result<Finished, HelmError> {
    let finished = run(invocation, cancel, None).await?;
    if finished.succeeded() {
        Ok(finished)
    } else {
        Err(HelmError::refused(doing, service, &finished))
    }
}

/// Adds namespace, chart and values.
fn with_chart(invocation: Invocation, request: &ReleaseRequest) -> Invocation {
    let mut invocation = invocation.args(["--namespace", &request.namespace]);
    invocation = match &request.chart {
        ChartReference::Embedded(directory) | ChartReference::Directory(directory) => {
            invocation.arg(directory)
        }
        ChartReference::Repository {
            repo,
            name,
            version,
        } if repo.starts_with("oci://") => invocation
            .arg(format!("{}/{name}", repo.trim_end_matches('/')))
            .args(["--version", version]),
        ChartReference::Repository {
            repo,
            name,
            version,
        } => invocation
            .arg(name)
            .args(["--repo", repo, "--version", version]),
    };
    for file in &request.values_files {
        invocation = invocation.arg("--values").arg(file);
    }
    invocation = invocation.args(["--values", "-"]);
    invocation.stdin = Some(request.values.to_string().into_bytes());
    invocation
}

/// The version in `v3.21.4` or `v3.21.4+g1234`.
fn parse_version(answer: &str) -> Option<semver::Version> {
    answer.trim().strip_prefix('v')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(chart: ChartReference) -> ReleaseRequest {
        ReleaseRequest {
            service: "order".parse().unwrap(),
            namespace: "default".to_owned(),
            chart,
            values: serde_json::json!({ "secrets": { "A": "hunter2hunter2" } }),
            values_files: vec!["/p/values.yaml".into()],
            inputs: InputsHash::from_label("abc"),
        }
    }

    fn helm() -> Helm {
        let environment = ChildEnvironment::default();
        let (config, home) = (Path::new("/s/kubeconfig"), Path::new("/s/helm"));
        Helm::new("helm", environment, config, "k3d-shop", home)
    }

    #[test]
    fn values_go_in_by_standard_input_over_those_of_files_and_never_by_argument() {
        let invocation = with_chart(
            helm().invocation(QUESTION),
            &request(ChartReference::Directory("/p/chart".into())),
        );
        assert_eq!(
            invocation.command_line(),
            "helm --kubeconfig /s/kubeconfig --kube-context k3d-shop --namespace default \
             /p/chart --values /p/values.yaml --values -"
        );
        let stdin = String::from_utf8(invocation.stdin.unwrap()).unwrap();
        assert!(stdin.contains("hunter2hunter2"));
    }

    #[test]
    fn a_chart_of_a_registry_is_named_by_its_whole_address() {
        let chart = |repo: &str| {
            let chart = ChartReference::Repository {
                repo: repo.to_owned(),
                name: "redis".to_owned(),
                version: "1.2.3".to_owned(),
            };
            with_chart(helm().invocation(QUESTION), &request(chart)).command_line()
        };
        assert!(chart("oci://r/charts/").contains(" oci://r/charts/redis --version 1.2.3 "));
        assert!(chart("https://r").contains(" redis --repo https://r --version 1.2.3 "));
    }

    #[test]
    fn the_version_is_read_from_what_helm_prints() {
        assert_eq!(
            parse_version("v3.21.4\n"),
            Some(semver::Version::new(3, 21, 4))
        );
        assert_eq!(parse_version("dev"), None);
    }
}
