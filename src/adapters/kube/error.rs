//! What a request to the cluster failed with.

use std::{path::PathBuf, time::Duration};

use super::CertificateFault;
use crate::domain::{ExitClass, Failure};

/// Why a request to the cluster failed. `doing` is what was attempted, such as `list what is there`.
#[derive(Debug, thiserror::Error)]
pub enum KubeError {
    /// The kubeconfig cannot be read or used.
    #[error("cannot read the kubeconfig {}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Nothing answers at the API's address.
    #[error("cannot {doing}: the cluster's API does not answer")]
    Unreachable {
        /// What was attempted.
        doing: String,
        /// Why.
        why: String,
    },
    /// Its certificate is not accepted.
    #[error("cannot {doing}: the certificate of the cluster's API {fault}")]
    Certificate {
        /// What was attempted.
        doing: String,
        /// Why.
        fault: CertificateFault,
    },
    /// It took too long.
    #[error("cannot {doing}: not done within {} s", after.as_secs_f32())]
    Timeout {
        /// What was attempted.
        doing: String,
        /// The deadline.
        after: Duration,
        /// What was in the way last, if it is known.
        last: Option<String>,
    },
    /// The API server refuses the credentials or the action.
    #[error("cannot {doing}: the cluster does not allow it")]
    Forbidden {
        /// What was attempted.
        doing: String,
        /// The API server's words.
        message: String,
    },
    /// There is no such object.
    #[error("cannot {doing}: it is not there")]
    NotFound {
        /// What was attempted.
        doing: String,
        /// The API server's words.
        message: String,
    },
    /// The API server refuses the request as it is.
    #[error("cannot {doing}: the cluster refuses it")]
    Rejected {
        /// What was attempted.
        doing: String,
        /// The API server's words.
        message: String,
    },
    /// A command in a container could not be started.
    #[error("cannot run `{command}` in {pod}")]
    ExecNotStarted {
        /// The program.
        command: String,
        /// The pod.
        pod: String,
        /// The container runtime's words.
        message: String,
    },
    /// The connection to a command or a log broke off.
    #[error("cannot {doing}: the connection broke off")]
    BrokenOff {
        /// What was attempted.
        doing: String,
        /// Why.
        why: String,
    },
}

impl KubeError {
    /// Classifies an error of the client.
    pub(super) fn of(doing: &str, error: kube::Error) -> Self {
        let doing = doing.to_owned();
        if let Some(fault) = CertificateFault::behind(&error) {
            return Self::Certificate { doing, fault };
        }
        match error {
            kube::Error::Api(status) => {
                let message = status.message.clone();
                match status.code {
                    401 | 403 => Self::Forbidden { doing, message },
                    404 => Self::NotFound { doing, message },
                    _ => Self::Rejected { doing, message },
                }
            }
            kube::Error::HyperError(source) => Self::Unreachable {
                doing,
                why: chain(&source),
            },
            kube::Error::Service(source) => Self::Unreachable {
                doing,
                why: chain(source.as_ref()),
            },
            kube::Error::ReadEvents(source) => Self::BrokenOff {
                doing,
                why: chain(&source),
            },
            other => Self::Rejected {
                doing,
                message: chain(&other),
            },
        }
    }

    /// The exit code that a shell would give where a command could not be started: 126 if it may not be
    /// executed, 127 if it is not there.
    pub fn shell_code(&self) -> Option<u8> {
        match self {
            Self::ExecNotStarted { message, .. } => Some(shell_code_of(message)),
            _ => None,
        }
    }

    /// Whether a command was not begun because the container runtime's own first process in the container ended early:
    /// it is seldom so, and nothing of the command has run.
    pub fn is_passing(&self) -> bool {
        let words = "waiting for init preliminary setup";
        matches!(self, Self::ExecNotStarted { message, .. } if message.contains(words))
    }

    /// Whether there is no such object.
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether nothing answers, so that asking again later may help.
    pub const fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::BrokenOff { .. }
        )
    }

    /// The failure to show.
    pub fn failure(&self) -> Failure {
        let new = |code| Failure::new(code, ExitClass::Cluster, self.to_string());
        match self {
            Self::Kubeconfig { why, .. } => new("kube.kubeconfig")
                .because(why)
                .help("make it anew: devenv up"),
            Self::Unreachable { why, .. } => new("kube.unreachable")
                .because(why)
                .help("see whether the cluster runs: devenv status")
                .help("start it: devenv up"),
            Self::Certificate { fault, .. } => certificate(new("kube.certificate"), *fault),
            Self::Timeout { last, .. } => {
                let failure = new("kube.timeout");
                match last {
                    Some(last) => failure.because(last),
                    None => failure.because("the cluster's API was too slow"),
                }
                .help(
                    "see what keeps the cluster busy, then run it again: devenv status --resources",
                )
            }
            Self::Forbidden { message, .. } => new("kube.forbidden")
                .because(message)
                .help("the kubeconfig may be of an earlier cluster; make it anew: devenv up"),
            Self::NotFound { message, .. } => new("kube.not-found")
                .because(message)
                .help("see what is there: devenv status"),
            Self::Rejected { message, .. } => new("kube.rejected").because(message),
            Self::ExecNotStarted { message, .. } => new("kube.exec-not-started")
                .because(runtime_words(message))
                .help("name a program that is in the container's image"),
            Self::BrokenOff { why, .. } => new("kube.broken-off")
                .because(why)
                .help("the pod may have been replaced: devenv status"),
        }
    }
}

fn certificate(failure: Failure, fault: CertificateFault) -> Failure {
    match fault {
        CertificateFault::Ended { now, .. } => failure
            .because(format!("by the clock of this machine it is {now}"))
            .help("devenv stop && devenv start   # makes a new one"),
        CertificateFault::NotYet { now, .. } => failure
            .because(format!(
                "by the clock of this machine it is {now}: it was set back, or was ahead before"
            ))
            .help("set the clock: sudo timedatectl set-ntp true")
            .help("or have a new cluster, with the same data: devenv down && devenv up"),
    }
}

/// What a container runtime says itself, without the words of everyone who passed it on.
pub fn runtime_words(message: &str) -> &str {
    let said = message.rsplit("unable to start container process: ").next();
    said.unwrap_or(message).trim_end_matches(": unknown")
}

/// What the words of a container runtime come to as a shell's exit code.
pub fn shell_code_of(message: &str) -> u8 {
    let message = message.to_lowercase();
    let refusals = ["permission denied", "exec format error", "is a directory"];
    if refusals.iter().any(|word| message.contains(word)) {
        126
    } else {
        127
    }
}

/// An error and its sources, each said once.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = words(error);
    let mut next = error.source();
    while let Some(source) = next {
        let said = words(source);
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = source.source();
    }
    text
}

/// What an error says, without the page of its library's manual: that is for who writes programs.
fn words(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    if let Some(at) = said.find(": https://docs.rs/") {
        said.truncate(at);
    }
    said
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::UnixTime;

    use super::*;

    fn api(code: u16) -> kube::Error {
        let status = kube::core::Status::failure("no", "Reason").with_code(code);
        kube::Error::Api(status.boxed())
    }

    #[test]
    fn the_code_of_an_answer_decides_what_went_wrong() {
        let code = |status| KubeError::of("list pods", api(status)).failure().code.0;
        assert_eq!(code(403), "kube.forbidden");
        assert_eq!(code(401), "kube.forbidden");
        assert_eq!(code(404), "kube.not-found");
        assert_eq!(code(422), "kube.rejected");
    }

    #[test]
    fn a_command_that_cannot_be_started_has_the_code_of_a_shell() {
        assert_eq!(
            shell_code_of("exec: \"x\": executable file not found in $PATH"),
            127
        );
        assert_eq!(shell_code_of("exec /etc/passwd: Permission denied"), 126);
        assert_eq!(KubeError::of("x", api(404)).shell_code(), None);
        let passed_on = "Internal error occurred: OCI runtime exec failed: unable to start \
                         container process: exec: \"x\": permission denied: unknown";
        assert_eq!(runtime_words(passed_on), "exec: \"x\": permission denied");
        assert_eq!(runtime_words("anything else"), "anything else");
    }

    #[test]
    fn a_command_that_was_not_begun_may_be_begun_again_but_not_one_that_is_not_there() {
        let is_passing = |said: &str| {
            let message =
                format!("OCI runtime exec failed: unable to start container process: {said}");
            let (command, pod) = ("x".to_owned(), "order-1".to_owned());
            KubeError::ExecNotStarted {
                command,
                pod,
                message,
            }
            .is_passing()
        };
        let ended = "waiting for init preliminary setup: read init-p: connection reset by peer";
        assert!(is_passing(ended));
        assert!(!is_passing(
            "exec: \"x\": executable file not found in $PATH"
        ));
    }

    #[test]
    fn a_page_of_a_manual_is_left_out() {
        let closed = std::io::Error::other("closed early: https://docs.rs/rustls/latest/#eof");
        let error = kube::Error::Service(Box::new(closed));
        let said = chain(&error);
        assert!(said.ends_with("closed early"), "{said}");
    }

    #[test]
    fn a_certificate_of_another_time_is_told_with_both_clocks() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let (time, not_before) = (at(100), at(200));
        let early = rustls::CertificateError::NotValidYetContext { time, not_before };
        let early = rustls::Error::InvalidCertificate(early);
        // As the connector passes it on.
        let early = std::io::Error::other(std::io::Error::other(early));
        let error = KubeError::of("list pods", kube::Error::Service(Box::new(early)));
        assert!(!error.is_unreachable());
        let failure = error.failure();
        assert_eq!(
            failure.what,
            "cannot list pods: the certificate of the cluster's API is not good yet, only from 1970-01-01T00:03:20Z on"
        );
        assert!(failure.why[0].contains("it is 1970-01-01T00:01:40Z"));
    }

    #[test]
    fn a_refused_connection_is_an_unreachable_cluster() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let error = KubeError::of("list pods", kube::Error::Service(Box::new(refused)));
        assert!(error.is_unreachable());
        let failure = error.failure();
        assert_eq!(failure.code.0, "kube.unreachable");
        assert!(failure.why[0].contains("refused"));
    }
}
