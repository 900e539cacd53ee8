//! The JSON Schema for editors, from the key types.

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::{
    format::{Formatted, Written, format_called},
    types::{ManifestKeys, ProfileKeys},
};

/// The JSON Schema of `devenv.yaml` (draft 2020-12), short forms included.
///
/// Profile files are `#/$defs/Profile`.
pub fn schema() -> Value {
    let mut schema = described();
    publish(&mut schema);
    schema
}

/// The JSON Schema of another kind of file, from the type of its keys, short forms included.
pub(super) fn of_file<T: JsonSchema>(title: &str) -> Value {
    let mut schema = described_file::<T>(title);
    publish(&mut schema);
    schema
}

/// The type of another kind of file's keys as schemars describes it.
pub(super) fn described_file<T: JsonSchema>(title: &str) -> Value {
    let mut schema = schemars::schema_for!(T).to_value();
    schema["title"] = json!(title);
    schema
}

/// The types as schemars describes them, with the marks of `types` in it.
pub(super) fn described() -> Value {
    let mut manifest = schemars::schema_for!(ManifestKeys).to_value();
    let mut profile = schemars::schema_for!(ProfileKeys).to_value();
    let keys = manifest["properties"].as_object().cloned();
    if let (Some(keys), Some(own)) = (keys, profile["properties"].as_object_mut()) {
        own.extend(keys);
    }
    if let Some(profile) = profile.as_object_mut() {
        profile.remove("$schema");
        profile.remove("title");
    }
    manifest["title"] = json!("devenv.yaml");
    manifest["$defs"]["Profile"] = profile;
    manifest
}

/// Turns our marks into standard schema and drops defaults that say nothing.
fn publish(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(publish),
        Value::Object(map) => {
            map.values_mut().for_each(publish);
            // A key of a manifest may be called `default` too; its schema is never empty.
            if map.get("default").is_some_and(is_empty) {
                map.remove("default");
            }
            widen(map);
            if let Some(words) = map.remove("x-short") {
                *schema = with_short_forms(map, &words);
            }
        }
        _ => {}
    }
}

/// Whether a default is what leaving the key out means anyway.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(is_empty),
        _ => false,
    }
}

/// Formats that take numbers as they are written say so.
fn widen(map: &mut Map<String, Value>) {
    let Some(format) = map
        .get("format")
        .and_then(Value::as_str)
        .and_then(format_called)
        .filter(|format| format.takes_numbers)
    else {
        return;
    };
    let mut types = vec!["string", "number"];
    if format.name == Written::FORMAT.name {
        types.push("boolean");
    }
    if map.get("type").is_some_and(Value::is_array) {
        types.push("null");
    }
    map.insert("type".to_owned(), json!(types));
}

fn with_short_forms(map: &Map<String, Value>, words: &Value) -> Value {
    let mut long = map.clone();
    let mut outer = Map::new();
    for key in ["title", "description", "default"] {
        if let Some(value) = long.remove(key) {
            outer.insert(key.to_owned(), value);
        }
    }
    let item = long.get("items").cloned().unwrap_or_default();
    let words = words.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut forms: Vec<Value> = words
        .iter()
        .filter_map(|word| Some(short_form(word.as_str()?, &item)))
        .collect();
    if words.iter().any(|word| word == "item") {
        // What may stand for the list may stand for each item of it.
        long.insert("items".to_owned(), json!({"anyOf": forms.clone()}));
    }
    forms.push(long.into());
    outer.insert("anyOf".to_owned(), forms.into());
    outer.into()
}

/// The schema of a short form, by a word of `x-short`.
fn short_form(word: &str, item: &Value) -> Value {
    match word {
        "string" => json!({"type": "string"}),
        "strings" => json!({"type": "array", "items": {"type": "string"}}),
        "integer" => json!({"type": "integer", "minimum": 1, "maximum": 65535}),
        _ => item.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::testing::keep_up_to_date;

    #[test]
    fn the_published_schema_is_up_to_date() {
        let text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        keep_up_to_date("docs/schema/devenv.schema.json", &text);
    }

    #[test]
    fn every_key_is_described() {
        fn check(path: &str, schema: &Value) {
            for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
                let text = schema["description"].as_str().unwrap_or_default();
                assert!(text.ends_with('.'), "{path}.{key}");
            }
        }
        let schema = schema();
        check("", &schema);
        for (name, schema) in schema["$defs"].as_object().unwrap() {
            check(name, schema);
            for form in schema["anyOf"].as_array().into_iter().flatten() {
                check(name, form);
            }
        }
    }

    #[test]
    fn the_schema_takes_what_the_loader_takes() {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        for text in [
            include_str!("../../tests/fixtures/manifests/good/everything.yaml"),
            include_str!("../../devenv.example.yaml"),
        ] {
            let json: Value = serde_saphyr::from_str(text).unwrap();
            let errors: Vec<String> = validator
                .iter_errors(&json)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert_eq!(errors, [""; 0]);
        }
        let bad = json!({"apiVersion": "devenv/v1", "name": "x", "services": {"a": {"port": 1}}});
        assert!(!validator.is_valid(&bad));
    }
}
