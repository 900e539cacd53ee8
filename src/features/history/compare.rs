//! What is different between what two runs applied.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::changes::made;
use crate::{
    domain::{Applying, Desired, ServiceName, ServiceShape},
    features::Project,
    report::{KeyDifference, ServiceDifference},
};

/// One of two states that are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    /// The manifest with all its layers, without secrets.
    manifest: Value,
    /// What its services are made of.
    services: BTreeMap<ServiceName, ServiceShape>,
}

impl From<Applying> for Side {
    fn from(applying: Applying) -> Self {
        Self {
            manifest: applying.manifest,
            services: applying.services,
        }
    }
}

impl Side {
    /// What an `up` of `project` would apply.
    pub fn of(project: &Project, desired: &Desired) -> Self {
        let services = desired.releases.keys().filter_map(|service| {
            let shape = ServiceShape::wanted(&project.environment, desired, service)?;
            Some((service.clone(), shape))
        });
        Self {
            manifest: project.manifest.clone(),
            services: services.collect(),
        }
    }
}

/// The keys and the services that differ. A run that is about some services says nothing of the others.
pub fn differences(before: &Side, after: &Side) -> (Vec<KeyDifference>, Vec<ServiceDifference>) {
    let mut keys = Vec::new();
    compare("", Some(&before.manifest), Some(&after.manifest), &mut keys);
    let services = before.services.iter().filter_map(|(service, shape)| {
        let other = after.services.get(service)?;
        let (before, after) = (made(shape), made(other));
        let shown = (&before.images, &before.chart) != (&after.images, &after.chart);
        let is_told = shown || is_explained(&keys, service);
        let is_hidden = before.inputs != after.inputs && !is_told;
        (shown || is_hidden).then(|| ServiceDifference {
            service: service.to_string(),
            before,
            after,
            is_hidden,
        })
    });
    let services = services.collect();
    (keys, services)
}

/// Whether a key that differs may be why a service is made from something else: one of its own, or what all share.
fn is_explained(keys: &[KeyDifference], service: &ServiceName) -> bool {
    let own = format!("services.{service}.");
    let of_all = |key: &str| key == "name" || key.starts_with("cluster");
    keys.iter()
        .any(|other| other.key.starts_with(&own) || of_all(&other.key))
}

fn compare(
    key: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<KeyDifference>,
) {
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for name in names {
                compare(&below(key, name), before.get(name), after.get(name), found);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) if before.len() == after.len() => {
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                compare(&format!("{key}[{index}]"), Some(before), Some(after), found);
            }
        }
        (before, after) => found.push(KeyDifference {
            key: key.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

/// As keys are written: a name with a dot in it in quotes.
fn below(key: &str, name: &str) -> String {
    let is_plain = !name.is_empty() && !name.contains(['.', '[', ']', '"']);
    let name = if is_plain {
        name.to_owned()
    } else {
        format!("{name:?}")
    };
    if key.is_empty() {
        name
    } else {
        format!("{key}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::InputsHash;

    fn side(manifest: Value, image: &str, inputs: &[u8]) -> Side {
        let shape = ServiceShape {
            images: vec![image.to_owned()],
            chart: None,
            replicas: Some(1),
            inputs: Some(InputsHash::of(inputs)),
        };
        Side {
            manifest,
            services: [("order".parse().unwrap(), shape)].into(),
        }
    }

    #[test]
    fn keys_are_told_where_they_differ_and_whole_where_one_side_has_none() {
        let before = json!({ "services": {
            "order": { "replicas": 1, "env": { "A": "x", "a.b": 1 }, "ports": [{ "port": 80 }] },
        } });
        let after = json!({ "services": {
            "order": { "replicas": 2, "env": { "A": "x", "a.b": 2 }, "ports": [{ "port": 81 }] },
            "web": { "image": "nginx" },
        } });
        let (keys, services) = differences(&side(before, "a", b"1"), &side(after, "a", b"2"));
        let keys: Vec<&str> = keys.iter().map(|key| &*key.key).collect();
        assert_eq!(
            keys,
            [
                "services.order.env.\"a.b\"",
                "services.order.ports[0].port",
                "services.order.replicas",
                "services.web",
            ]
        );
        assert_eq!(services, []);
    }

    #[test]
    fn images_are_told_and_what_cannot_be_shown_is_told_to_be_there() {
        let one = side(json!({}), "a:1", b"1");
        let (_, services) = differences(&one, &side(json!({}), "a:2", b"2"));
        assert_eq!((services.len(), services[0].is_hidden), (1, false));
        let (_, services) = differences(&one, &side(json!({}), "a:1", b"2"));
        assert_eq!((services.len(), services[0].is_hidden), (1, true));
        let none = Side {
            manifest: json!({}),
            services: BTreeMap::new(),
        };
        assert_eq!(differences(&one, &none), (Vec::new(), Vec::new()));
    }

    fn manifests() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..9).prop_map(Value::from),
            "[a-c.\\[\"]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::btree_map("[a-c.\\[]{0,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn keys_between(before: &Value, after: &Value) -> Vec<KeyDifference> {
        let mut found = Vec::new();
        compare("", Some(before), Some(after), &mut found);
        found
    }

    proptest! {
        #[test]
        fn a_difference_is_found_if_and_only_if_there_is_one(a in manifests(), b in manifests()) {
            prop_assert!(keys_between(&a, &a).is_empty());
            prop_assert_eq!(keys_between(&a, &b).is_empty(), a == b);
        }

        #[test]
        fn no_key_is_told_twice_and_the_other_way_round_is_the_same_turned(
            a in manifests(),
            b in manifests(),
        ) {
            let forth = keys_between(&a, &b);
            let names: BTreeSet<&String> = forth.iter().map(|found| &found.key).collect();
            prop_assert_eq!(names.len(), forth.len());
            let back = keys_between(&b, &a).into_iter().map(|found| KeyDifference {
                before: found.after,
                after: found.before,
                key: found.key,
            });
            prop_assert_eq!(forth.clone(), back.collect::<Vec<_>>());
            prop_assert!(forth.iter().all(|found| found.before != found.after));
        }
    }
}
