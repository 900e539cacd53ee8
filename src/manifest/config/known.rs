//! What the types of keys say of one: what it is for, and what holds where nothing is written.

use std::sync::LazyLock;

use serde_json::Value as Json;

use super::key::{KeyPath, Step};
use crate::{
    domain::ExitClass,
    manifest::{
        conform::anything,
        problem::{Problem, suggestions},
        schema,
        tree::{Node, Value},
    },
};

/// The types of all keys of a manifest.
static SCHEMA: LazyLock<Json> = LazyLock::new(schema::described);

/// A key that a manifest may have.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Known {
    /// What it is for.
    pub(super) meaning: String,
    /// What holds where nothing is written.
    pub(super) builtin: Option<Json>,
}

/// A key that no manifest has.
#[derive(Debug, thiserror::Error)]
#[error("there is no key `{key}`")]
pub(super) struct UnknownKey {
    key: String,
    /// The part of it that is not known.
    part: String,
    allowed: Vec<String>,
}

impl Problem for UnknownKey {
    fn code(&self) -> &'static str {
        "config.unknown-key"
    }

    fn class(&self) -> ExitClass {
        ExitClass::Usage
    }

    fn help(&self) -> Vec<String> {
        suggestions(
            &self.part,
            self.allowed.iter().map(String::as_str),
            "allowed here",
        )
    }
}

/// What is known of a key.
pub(super) fn known(key: &KeyPath) -> Result<Known, UnknownKey> {
    let mut schema = &*SCHEMA;
    let mut meaning = String::new();
    for step in key.steps() {
        let Some(inner) = enter(resolved(schema), step) else {
            // Whatever is below values of a chart is the chart's.
            let properties = resolved(schema)["properties"].as_object();
            let (Some(properties), Step::Key(part)) = (properties, step) else {
                break;
            };
            return Err(UnknownKey {
                key: key.to_string(),
                part: part.clone(),
                allowed: properties.keys().cloned().collect(),
            });
        };
        schema = inner;
        meaning = described(schema);
    }
    let builtin = schema["default"].clone();
    Ok(Known {
        meaning,
        builtin: (!schema::is_empty(&builtin)).then_some(builtin),
    })
}

/// The value of a key as its type reads it: the text `1.10` is no number where a text is wanted.
pub(super) fn typed(node: &Node, key: &KeyPath) -> Json {
    let mut schema = Some(&*SCHEMA);
    for step in key.steps() {
        schema = schema.and_then(|schema| enter(resolved(schema), step));
    }
    value(node, schema)
}

fn value(node: &Node, schema: Option<&Json>) -> Json {
    let Some(schema) = schema.map(resolved) else {
        return anything(node);
    };
    let inner = |step: &Step| enter(schema, step);
    match &node.value {
        Value::Scalar(scalar) if is_text(schema) => scalar.text.clone().into(),
        Value::Null | Value::Scalar(_) => anything(node),
        Value::List(items) => {
            let items = items.iter().enumerate();
            let items = items.map(|(index, item)| value(item, inner(&Step::Item(index))));
            items.collect()
        }
        Value::Map(map) => {
            let entries = map.entries.iter().map(|entry| {
                let value = value(&entry.node, inner(&Step::Key(entry.key.clone())));
                (entry.key.clone(), value)
            });
            Json::Object(entries.collect())
        }
    }
}

/// Whether a type takes texts; words to choose from are texts.
fn is_text(schema: &Json) -> bool {
    let is_string = |kind: &Json| kind == "string";
    let kinds = schema["type"].as_array();
    let words = ["enum", "oneOf", "const"];
    is_string(&schema["type"])
        || kinds.is_some_and(|kinds| kinds.iter().any(is_string))
        || words.iter().any(|key| schema.get(key).is_some())
}

/// The type behind a reference, or behind that which is a type or nothing.
fn resolved(schema: &Json) -> &Json {
    if let Some(target) = schema["$ref"].as_str() {
        let name = target.rsplit('/').next().unwrap_or_default();
        return resolved(&SCHEMA["$defs"][name]);
    }
    let choices = schema["anyOf"].as_array().into_iter().flatten();
    let mut some = choices.filter(|choice| choice["type"] != "null");
    some.next().map_or(schema, resolved)
}

fn enter<'s>(schema: &'s Json, step: &Step) -> Option<&'s Json> {
    let inner = match step {
        Step::Key(key) => match schema["properties"].get(key) {
            Some(inner) => inner,
            None if schema["properties"].is_object() => return None,
            None => schema.get("additionalProperties")?,
        },
        Step::Item(_) => schema.get("items")?,
    };
    inner.is_object().then_some(inner)
}

fn described(schema: &Json) -> String {
    let own = schema["description"].as_str();
    let text = own.or_else(|| resolved(schema)["description"].as_str());
    text.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(key: &str) -> Result<Known, String> {
        known(&key.parse().unwrap()).map_err(|unknown| unknown.help().join("; "))
    }

    #[test]
    fn a_key_is_known_with_its_meaning_and_what_holds_without_it() {
        let replicas = of("services.order.replicas").unwrap();
        assert_eq!(replicas.builtin, Some(Json::from(1)));
        assert!(!replicas.meaning.is_empty());
        assert_eq!(
            of("kubernetes.version").unwrap().builtin,
            Some(Json::from("1.35"))
        );
        assert!(of("services.order.env.DATABASE_URL").is_ok());
        assert!(of("services.search.chart.values.a.b[0].c").is_ok());
        assert!(of("services.order.ports[0].port").is_ok());
    }

    #[test]
    fn a_key_that_no_manifest_has_is_told_with_what_was_meant() {
        let told = of("services.order.replica").unwrap_err();
        assert!(told.starts_with("did you mean `replicas`?"), "{told}");
        assert!(of("clusters").unwrap_err().contains("cluster"));
    }
}
