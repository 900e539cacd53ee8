//! What a team allows, of the objects that charts and plain Kubernetes files come to.

use crate::{
    adapters::{helm::HelmError, kube::objects_in},
    domain::{Environment, ExitClass, Failure, ServiceName},
};

/// Refuses what a service comes to if it breaks a rule, or if that cannot be known.
pub(super) fn enforce(
    environment: &Environment,
    service: &ServiceName,
    rendered: &Result<String, HelmError>,
) -> Result<(), Failure> {
    let policy = &environment.policy;
    // What Helm cannot render it will not install, and says why.
    let (Ok(rendered), true) = (rendered, policy.judges_objects()) else {
        return Ok(());
    };
    let provenance = &environment.provenance;
    let objects = objects_in(rendered).map_err(|unreadable| {
        let key = format!("services.{service}");
        let what = format!("{service} cannot be judged by the policy");
        Failure::new("policy.not-judged", ExitClass::Manifest, what)
            .of(service)
            .because(unreadable.to_string())
            .at(provenance.place(&key).cloned())
            .help(format!(
                "helm template {service} CHART   # look at what it renders"
            ))
    })?;
    let broken = policy.broken_by_objects(service, &objects);
    let Some((first, others)) = broken.split_first() else {
        return Ok(());
    };
    let failure = policy.failure(first, provenance);
    if others.is_empty() {
        return Err(failure);
    }
    let others = others.iter().map(|it| format!("{}: {}", it.rule, it.what));
    Err(failure.with_evidence("what else it breaks", others.collect()))
}
