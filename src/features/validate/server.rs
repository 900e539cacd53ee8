//! What the cluster says to the objects: each is tried without being made.

use serde_json::Value;

use super::{Rendered, apis::is_removed};
use crate::{
    adapters::kube::{Cluster, Objection},
    domain::{
        Failure, Finding, ServiceName,
        objects::{kind_of, name_of},
    },
};

/// What the API server has against the objects of services.
pub(super) async fn objections(
    cluster: &Cluster,
    rendered: &Rendered,
    kubernetes: &str,
) -> Result<Vec<Finding>, Failure> {
    // Of what its version does not have it is known already.
    let left = rendered
        .judged()
        .filter(|(_, object)| !is_removed(object, kubernetes));
    let all: Vec<(&ServiceName, &Value)> = left.collect();
    let objects: Vec<&Value> = all.iter().map(|(_, object)| *object).collect();
    let said = cluster.objections(&objects).await;
    let said = said.map_err(|error| error.failure())?;
    let found = all
        .into_iter()
        .zip(said)
        .filter_map(|((service, object), said)| {
            let finding = told(service, object, said?, rendered)?;
            Some(rendered.about(service, finding))
        });
    Ok(found.collect())
}

fn told(
    service: &ServiceName,
    object: &Value,
    said: Objection,
    rendered: &Rendered,
) -> Option<Finding> {
    let (kind, api) = (
        kind_of(object),
        object["apiVersion"].as_str().unwrap_or_default(),
    );
    let whose = format!("{service}: {kind} {}", name_of(object));
    match said {
        Objection::UnknownKind if is_defined(kind, rendered) => None,
        Objection::UnknownKind => {
            let what = format!("{whose}: the cluster knows no {kind} of {api}");
            Some(
                Finding::problem("validate.unknown-kind", what)
                    .fix("install what defines it first, as a service that this one depends on")
                    .fix("kubectl --kubeconfig \"$(devenv kubeconfig)\" api-resources"),
            )
        }
        Objection::Refused(words) => {
            let what = format!("{whose} would be refused by the cluster");
            Some(
                Finding::problem("validate.refused", what)
                    .because(words)
                    .fix(format!("mend it in what {service} is made of")),
            )
        }
    }
}

/// Whether one of the objects defines a kind: it is there by the time it is needed.
fn is_defined(kind: &str, rendered: &Rendered) -> bool {
    rendered.objects().any(|(_, object)| {
        kind_of(object) == "CustomResourceDefinition" && object["spec"]["names"]["kind"] == kind
    })
}
