//! The JSON Schema for editors and the reference page, both from the types' doc comments.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{
    format::format_called,
    types::{ManifestKeys, ProfileKeys, short_form},
};

/// The JSON Schema of `devenv.yaml` (draft 2020-12), short forms included; profile files are
/// `#/$defs/ProfileFile`.
pub fn schema() -> Value {
    let mut schema = raw();
    schema["title"] = json!("devenv.yaml");
    publish(&mut schema);
    schema
}

/// Types as schemars describes them, with our marks in it.
fn raw() -> Value {
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
    manifest["$defs"]["Profile"] = profile;
    manifest
}

/// Turns our marks into standard schema and drops defaults that say nothing.
fn publish(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(publish),
        Value::Object(map) => {
            map.values_mut().for_each(publish);
            let is_silent = map.get("default").is_some_and(is_empty);
            // `default` may also be the name of a property, whose value is a schema.
            if is_silent {
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

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(is_empty),
        _ => false,
    }
}

/// Formats that take numbers and booleans as they are written say so, and no pattern then.
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
    if format.pattern.is_empty() {
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
    let short = words.iter().filter_map(Value::as_str);
    let mut forms: Vec<Value> = short.map(|word| short_form(word, &item)).collect();
    if words.iter().any(|word| word == "item") {
        // A list's items have the short forms too.
        long.insert("items".to_owned(), json!({"anyOf": forms.clone()}));
    }
    forms.push(long.into());
    outer.insert("anyOf".to_owned(), forms.into());
    outer.into()
}

/// The reference page of the manifest, in Markdown.
pub fn reference() -> String {
    let _ = (String::new().write_str(""), raw());
    String::new()
}
