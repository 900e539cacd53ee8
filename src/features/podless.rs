//! Services that are deployed and have no pods, as they should.

use crate::domain::{ExitClass, Failure, Observed, ObservedPod, ReleaseStatus, ServiceName};

/// Why a deployed service has no pods on purpose; `None` if it has some or should have.
pub(super) fn podless(observed: &Observed, service: &ServiceName) -> Option<Failure> {
    let release = observed.releases.get(service)?;
    let has_pod = |pod: &ObservedPod| &pod.service == service && !pod.deleting;
    if observed.pods.iter().any(has_pod) || release.status != ReleaseStatus::Deployed {
        return None;
    }
    if observed.is_scaled_to_nothing(service) {
        let help = format!("devenv scale {service}=1");
        return Some(failure(service).because("it is scaled to 0").help(help));
    }
    if observed.workloads.iter().any(|w| &w.service == service) {
        return None;
    }
    Some(
        failure(service)
            .because("its chart or manifests make other objects alone")
            .help("kubectl --kubeconfig \"$(devenv kubeconfig)\" get all"),
    )
}

fn failure(service: &ServiceName) -> Failure {
    Failure::new(
        "service.no-pod",
        ExitClass::NotReady,
        format!("{service} has no pods"),
    )
    .of(service)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::testing::{achieved, desired, name},
        features::project::testing::project,
    };

    #[test]
    fn what_has_no_pods_on_purpose_is_told_from_what_lacks_them() {
        let mut observed = achieved(&desired(&project(&[("order", &[])]).environment, "1"));
        let why = |observed: &Observed| podless(observed, &name("order")).map(|f| f.why);
        assert_eq!(why(&observed), None);
        observed.pods.clear();
        assert_eq!(why(&observed), None, "its pod is being made");
        observed.workloads[0].desired = 0;
        assert_eq!(why(&observed), Some(vec!["it is scaled to 0".to_owned()]));
        observed.workloads.clear();
        assert!(why(&observed).unwrap()[0].contains("other objects"));
        observed.releases.clear();
        assert_eq!(why(&observed), None, "it is not deployed");
    }
}
