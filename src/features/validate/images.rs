//! Whether the images are there that pods want and devenv does not build.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{StreamExt as _, stream};

use super::Rendered;
use crate::{
    adapters::docker::{Docker, RemoteImage},
    domain::{
        Finding,
        objects::{containers, pod_template},
    },
};

/// How many images are looked for at a time.
const AT_A_TIME: usize = 8;
/// How long a registry may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// The images of pods, with who wants each, but for those of devenv's own registry: they are built.
pub(super) fn wanted(rendered: &Rendered, registry: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (service, object) in rendered.judged() {
        let Some(pod) = pod_template(object) else {
            continue;
        };
        for image in containers(&pod["spec"]).filter_map(|one| one["image"].as_str()) {
            if !image.starts_with(registry) {
                let by = wanted.entry(image.to_owned()).or_default();
                by.insert(service.to_string());
            }
        }
    }
    wanted
}

/// Which of them are nowhere: not on this machine, and not in their registry.
pub(super) async fn missing(
    docker: &Docker,
    wanted: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<Finding> {
    let looking = wanted.iter().map(|(image, by)| async move {
        let by: Vec<&str> = by.iter().map(String::as_str).collect();
        let by = by.join(", ");
        if matches!(docker.image_id(image).await, Ok(Some(_))) {
            return None;
        }
        match docker.remote_image(image, ANSWERS_WITHIN).await {
            Ok(RemoteImage::There) => None,
            Ok(RemoteImage::Absent { said }) => {
                let what = format!("{by}: there is no image {image}");
                let found = Finding::problem("validate.no-image", what).because(said);
                Some(found.fix("mend its name or tag"))
            }
            Ok(RemoteImage::Denied { said }) => {
                let what = format!("{by}: the image {image} is private, or there is none");
                let found = Finding::warning("validate.image-denied", what).because(said);
                Some(found.fix(format!("docker login && docker pull {image}")))
            }
            Err(error) => {
                let what = format!("{by}: whether there is an image {image} could not be asked");
                let failure = error.failure();
                let why = failure.why.into_iter().next().unwrap_or(failure.what);
                let found = Finding::note("validate.image-not-asked", what).because(why);
                Some(found.fix(format!("docker pull {image}")))
            }
        }
    });
    let found = stream::iter(looking).buffered(AT_A_TIME);
    found.filter_map(std::future::ready).collect().await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::name;

    #[test]
    fn every_image_is_looked_for_once_but_for_those_that_are_built() {
        let pod = |images: &[&str]| {
            let containers: Vec<_> = images
                .iter()
                .map(|image| json!({ "image": image }))
                .collect();
            json!({ "kind": "Pod", "spec": { "containers": containers } })
        };
        let mut rendered = Rendered {
            judged: [name("order"), name("web")].into(),
            ..Rendered::default()
        };
        rendered.add(
            &name("order"),
            &[pod(&["redis:7", "k3d-x-registry:5050/shop/order:1"])],
        );
        rendered.add(&name("web"), &[pod(&["redis:7"])]);
        rendered.add(&name("not-judged"), &[pod(&["nginx:1"])]);
        let found = wanted(&rendered, "k3d-x-registry:");
        let by: BTreeSet<String> = ["order", "web"].map(str::to_owned).into();
        assert_eq!(found, BTreeMap::from([("redis:7".to_owned(), by)]));
    }
}
