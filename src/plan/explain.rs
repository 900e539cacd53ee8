//! A trouble -> the failure to show: its code, why, and what to do next.

use crate::domain::{ExitClass, Failure, Trouble, TroubleKind};

/// The failure that a trouble comes to. Log lines and places are for the caller to add.
pub fn explain(trouble: &Trouble) -> Failure {
    let (code, why, help) = words(trouble);
    let title = match &trouble.pod {
        Some(pod) => format!("what Kubernetes says of {pod}"),
        None => "what Kubernetes says".to_owned(),
    };
    let said = trouble.message.lines().map(str::to_owned).collect();
    Failure::new(
        code,
        ExitClass::NotReady,
        format!("{} is not ready", trouble.service),
    )
    .because(why)
    .with_evidence(title, said)
    .help(help)
    .of(&trouble.service)
}

/// Code, cause and advice.
fn words(trouble: &Trouble) -> (&'static str, String, String) {
    let service = &trouble.service;
    let logs = format!("see what it said last: devenv logs {service} --previous");
    match &trouble.kind {
        TroubleKind::ImageUnavailable { image } => (
            "service.image-unavailable",
            format!("the image {image} cannot be had"),
            format!("check `image:` or `build:` of {service} in devenv.yaml"),
        ),
        TroubleKind::CannotStart { reason } => (
            "service.cannot-start",
            format!("its container cannot be started ({reason})"),
            format!("check `command:`, `secrets:` and `volumes:` of {service} in devenv.yaml"),
        ),
        TroubleKind::CrashLoop {
            exit_code,
            signal,
            restarts,
        } => {
            let how = match signal {
                Some(signal) => format!("with exit code {exit_code} (signal {signal})"),
                None => format!("with exit code {exit_code}"),
            };
            (
                "service.crash-loop",
                format!(
                    "its process ends {how}; it was started again {}",
                    times(*restarts)
                ),
                logs,
            )
        }
        TroubleKind::OutOfMemory { restarts } => (
            "service.out-of-memory",
            format!(
                "its process used more memory than its limit and was killed; it was started again {}",
                times(*restarts)
            ),
            format!("raise resources.limits.memory of {service} in devenv.yaml"),
        ),
        TroubleKind::Unschedulable => (
            "service.unschedulable",
            "no node of the cluster can take its pod".to_owned(),
            format!(
                "lower resources.requests of {service}, or raise cluster.limits in devenv.yaml"
            ),
        ),
        TroubleKind::Evicted => (
            "service.evicted",
            "the node is short of disk or memory and takes no pods".to_owned(),
            "free some space on this machine: docker system df shows what docker holds".to_owned(),
        ),
        TroubleKind::ProbeFailing => (
            "service.probe-failing",
            "its process runs, but its readiness check fails".to_owned(),
            format!("check `ready:` of {service} in devenv.yaml, and devenv logs {service}"),
        ),
        TroubleKind::PodRefused => (
            "service.pod-refused",
            "the cluster refuses to make its pod".to_owned(),
            "mend what the message names".to_owned(),
        ),
    }
}

fn times(count: u32) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn explained(kind: TroubleKind) -> Failure {
        explain(&Trouble {
            service: "order".parse().unwrap(),
            pod: Some("order-1".to_owned()),
            container: None,
            kind,
            message: "words".to_owned(),
            is_final: true,
        })
    }

    #[test]
    fn every_kind_of_trouble_has_its_own_code_names_its_service_and_says_what_to_do() {
        let image = "r/order:1".to_owned();
        let reason = "RunContainerError".to_owned();
        let kinds = [
            TroubleKind::ImageUnavailable { image },
            TroubleKind::CannotStart { reason },
            TroubleKind::CrashLoop {
                exit_code: 139,
                signal: Some(11),
                restarts: 1,
            },
            TroubleKind::OutOfMemory { restarts: 2 },
            TroubleKind::Unschedulable,
            TroubleKind::Evicted,
            TroubleKind::ProbeFailing,
            TroubleKind::PodRefused,
        ];
        let failures = kinds.map(explained);
        let codes: BTreeSet<&str> = failures.iter().map(|failure| failure.code.0).collect();
        assert_eq!(codes.len(), failures.len());
        for failure in &failures {
            assert_eq!(failure.class.code(), 6);
            assert_eq!(failure.service.as_ref().map(AsRef::as_ref), Some("order"));
            assert_eq!(failure.evidence[0].lines, ["words"]);
            assert!(!failure.help.is_empty());
        }
        assert!(
            failures[2].why[0].contains("exit code 139 (signal 11); it was started again once")
        );
    }
}
