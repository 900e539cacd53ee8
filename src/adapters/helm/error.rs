//! What Helm failed with, told apart by what it said.

use super::super::{
    files::FileError,
    process::{Finished, ProcessError, last_lines},
};
use crate::domain::{ExitClass, Failure, ServiceName};

/// Why something with Helm failed.
#[derive(Debug, thiserror::Error)]
pub enum HelmError {
    /// It did not run to its end.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It ended with an error.
    #[error("cannot {doing}")]
    Refused {
        /// What was asked of it, such as `install order`.
        doing: String,
        /// The service whose release it is.
        service: Option<ServiceName>,
        /// What went wrong, as far as it can be told.
        cause: HelmCause,
        /// The end of what it said.
        said: Vec<String>,
    },
    /// A chart could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Helm answered something that is not understood.
    #[error("helm {command} answered something unexpected: {answer}")]
    Unexpected {
        /// The subcommand.
        command: &'static str,
        /// What it said, shortened.
        answer: String,
    },
}

/// What went wrong in Helm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HelmCause {
    /// A killed Helm left the release pending.
    Pending,
    /// A template cannot be rendered, or renders to something that is no YAML.
    Render {
        /// Template and line, such as `service/templates/deployment.yaml:12`, if it is named.
        place: Option<String>,
    },
    /// The values do not fit the chart's schema.
    Values,
    /// There is no such chart, or its repository cannot be reached.
    ChartMissing,
    /// The chart asks for charts that are not there.
    DependencyMissing,
    /// The API server refuses an object.
    Rejected {
        /// The object, such as `Service "order"`, if it is named.
        object: Option<String>,
    },
    /// The chart has an object of a kind that the cluster does not know.
    UnknownKind,
    /// Another release owns an object already.
    OwnedByOther,
    /// The cluster cannot be reached.
    Unreachable,
    /// Helm does not take the name for a release: more than 53 characters.
    BadName,
    /// Anything else.
    Other,
}

impl HelmError {
    /// The error for a Helm that ended with another code than 0.
    pub(super) fn refused(
        doing: impl Into<String>,
        service: Option<&ServiceName>,
        finished: &Finished,
    ) -> Self {
        Self::Refused {
            doing: doing.into(),
            service: service.cloned(),
            cause: classify(&finished.stderr_text()),
            said: last_lines(&finished.stderr),
        }
    }

    /// What went wrong, if Helm said it.
    pub const fn cause(&self) -> Option<&HelmCause> {
        match self {
            Self::Refused { cause, .. } => Some(cause),
            _ => None,
        }
    }

    /// The failure to show.
    pub fn failure(&self) -> Failure {
        let what = self.to_string();
        match self {
            Self::Process(error) => error.failure(),
            Self::Refused {
                service,
                cause,
                said,
                ..
            } => {
                let failure = cause.failure(&what).with_evidence("helm", said.clone());
                match service {
                    Some(service) => failure.of(service),
                    None => failure,
                }
            }
            Self::File(error) => error.failure(),
            Self::Unexpected { .. } => {
                Failure::new("helm.not-understood", ExitClass::Cluster, what)
                    .help("check the version with `helm version`: 3.14 or newer is known to work")
            }
        }
    }
}

impl HelmCause {
    fn failure(&self, what: &str) -> Failure {
        let new = |code, class| Failure::new(code, class, what);
        match self {
            Self::Pending => new("helm.pending", ExitClass::Cluster)
                .because("an earlier installation was killed and left the release half done")
                .help("repair it: devenv up"),
            Self::Render { place } => {
                let failure = new("helm.render-failed", ExitClass::Manifest);
                match place {
                    Some(place) => failure.because(format!("the template fails at {place}")),
                    None => failure.because("a template of the chart fails"),
                }
                .help("mend the template or the values given to it, then: devenv up")
            }
            Self::Values => new("helm.values-invalid", ExitClass::Manifest)
                .because("the values do not fit the chart's schema")
                .help("mend the values of the service in devenv.yaml, then: devenv up"),
            Self::ChartMissing => new("helm.chart-missing", ExitClass::Manifest)
                .because("there is no such chart, or its repository cannot be reached")
                .help("check `chart:` of the service in devenv.yaml, and the network"),
            Self::DependencyMissing => new("helm.dependency-missing", ExitClass::Manifest)
                .because("the chart asks for other charts that are not in its directory charts/")
                .help("fetch them: helm dependency build CHART"),
            Self::Rejected { object } => {
                let object = object.as_deref().unwrap_or("an object of the chart");
                new("helm.rejected", ExitClass::Cluster)
                    .because(format!("the cluster refuses {object}"))
                    .help("mend what the message names, then: devenv up")
            }
            Self::UnknownKind => new("helm.unknown-kind", ExitClass::Cluster)
                .because("the chart has an object of a kind that this cluster does not know")
                .help(
                    "install what defines the kind first, or use the API version of this cluster",
                ),
            Self::OwnedByOther => new("helm.owned-by-other", ExitClass::Cluster)
                .because("an object of that name is there already and belongs to something else")
                .help("rename it in one of the two, or delete the one that is in the cluster"),
            Self::Unreachable => new("kube.unreachable", ExitClass::Cluster)
                .because("the cluster's API does not answer")
                .help("see the state of the environment: devenv status"),
            Self::BadName => new("helm.name-too-long", ExitClass::Manifest)
                .because("Helm takes names of up to 53 characters")
                .help("shorten the service's name in devenv.yaml"),
            Self::Other => {
                new("helm.failed", ExitClass::Cluster).help("run it again with -v to follow helm")
            }
        }
    }
}

/// Tells causes apart by Helm's words.
fn classify(said: &str) -> HelmCause {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["another operation (install/upgrade/rollback) is in progress"]) {
        HelmCause::Pending
    } else if has(&[
        "cluster unreachable",
        "connection refused\" ",
        "was refused - did you specify",
    ]) {
        HelmCause::Unreachable
    } else if has(&["values don't meet the specifications"]) {
        HelmCause::Values
    } else if has(&["missing in charts/ directory"]) {
        HelmCause::DependencyMissing
    } else if has(&[
        "not a valid chart repository",
        "Chart.yaml file is missing",
        "failed to download",
        "chart not found",
    ]) || (said.contains("path \"") && said.contains("not found"))
    {
        HelmCause::ChartMissing
    } else if has(&[
        "release name is invalid",
        "release name \"",
        "must match the regex",
    ]) {
        HelmCause::BadName
    } else if has(&[
        "invalid ownership metadata",
        "already exists and cannot be imported",
    ]) {
        HelmCause::OwnedByOther
    } else if has(&["no matches for kind"]) {
        HelmCause::UnknownKind
    } else if has(&[
        "template: ",
        "parse error at",
        "YAML parse error",
        "execution error at",
    ]) {
        HelmCause::Render {
            place: template_place(said),
        }
    } else if has(&[
        " is invalid: ",
        "is forbidden",
        "admission webhook",
        "cannot be handled as",
        "unable to decode",
    ]) {
        HelmCause::Rejected {
            object: rejected_object(said),
        }
    } else {
        HelmCause::Other
    }
}

/// `chart/templates/x.yaml:12` in any of the ways Helm writes it.
fn template_place(said: &str) -> Option<String> {
    let start = [
        "template: ",
        "parse error at (",
        "execution error at (",
        "YAML parse error on ",
    ]
    .iter()
    .find_map(|before| said.split_once(before).map(|(_, rest)| rest))?;
    let end = start.find([' ', ')', '\n']).unwrap_or(start.len());
    let place = start[..end].trim_end_matches(':');
    // `file:line:column`: the column is of no use to a reader.
    let parts: Vec<&str> = place.splitn(3, ':').collect();
    Some(parts[..parts.len().min(2)].join(":"))
}

/// `Service "order"` in `Service "order" is invalid: ...`.
fn rejected_object(said: &str) -> Option<String> {
    let (before, _) = said.split_once(" is invalid: ")?;
    let line = before.lines().last()?;
    let name_end = line.strip_suffix('"')?;
    let (head, name) = name_end.rsplit_once(" \"")?;
    let kind = head.rsplit([' ', '\t']).next()?;
    Some(format!("{kind} \"{name}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(place: &str) -> HelmCause {
        HelmCause::Render {
            place: Some(place.to_owned()),
        }
    }

    #[test]
    fn causes_are_told_apart_by_what_helm_says() {
        let cases = [
            (
                "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
                HelmCause::Pending,
            ),
            (
                "Error: values don't meet the specifications of the schema(s) in the following chart(s):\nservice:\n- at '/project': got number, want string",
                HelmCause::Values,
            ),
            (
                "Error: template: service/templates/z.yaml:1:10: executing \"service/templates/z.yaml\" at <.Values.foo>: nil pointer",
                render("service/templates/z.yaml:1"),
            ),
            (
                "Error: parse error at (service/templates/z.yaml:7): unexpected \"}\" in if",
                render("service/templates/z.yaml:7"),
            ),
            (
                "Error: YAML parse error on service/templates/z.yaml: error converting YAML to JSON: yaml: line 1: x",
                render("service/templates/z.yaml"),
            ),
            (
                "Error: 1 error occurred:\n\t* Service \"zz\" is invalid: [spec.ports[0].port: Invalid value: 99999]",
                HelmCause::Rejected {
                    object: Some("Service \"zz\"".to_owned()),
                },
            ),
            (
                "Error: UPGRADE FAILED: resource mapping not found for name: \"zz\" namespace: \"\" from \"\": no matches for kind \"Bar\" in version \"foo/v1\"",
                HelmCause::UnknownKind,
            ),
            (
                "Error: Kubernetes cluster unreachable: Get \"https://127.0.0.1:1/version\": dial tcp 127.0.0.1:1: connect: connection refused",
                HelmCause::Unreachable,
            ),
            (
                "Error: path \"./nochart\" not found",
                HelmCause::ChartMissing,
            ),
            (
                "Error: looks like \"https://127.0.0.1:1\" is not a valid chart repository or cannot be reached",
                HelmCause::ChartMissing,
            ),
            ("Error: release name is invalid: aaa", HelmCause::BadName),
            (
                "Error: Unable to continue with install: Service \"a\" in namespace \"default\" exists and cannot be imported into the current release: invalid ownership metadata",
                HelmCause::OwnedByOther,
            ),
            ("Error: something else", HelmCause::Other),
        ];
        for (said, cause) in cases {
            assert_eq!(classify(said), cause, "{said}");
        }
    }

    #[test]
    fn a_refused_release_names_its_service_and_shows_what_helm_said() {
        let finished = Finished {
            code: 1,
            stdout: Vec::new(),
            stderr: b"Error: parse error at (c/templates/z.yaml:7): unexpected".to_vec(),
        };
        let service: ServiceName = "order".parse().unwrap();
        let failure = HelmError::refused("install order", Some(&service), &finished).failure();
        assert_eq!(failure.code.0, "helm.render-failed");
        assert_eq!(failure.service, Some(service));
        assert!(failure.why[0].contains("c/templates/z.yaml:7"));
        assert_eq!(failure.evidence.len(), 1);
    }
}
