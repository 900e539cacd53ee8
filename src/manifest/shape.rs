//! The schema of the key types in the form in which trees are checked against it.

use std::{collections::BTreeMap, sync::LazyLock};

use serde_json::Value;

use super::{
    format::{TextFormat, format_called},
    types::{ManifestKeys, ProfileKeys},
};

/// What a node must look like, once its short forms are written out.
#[derive(Clone)]
pub(super) enum Shape {
    /// A map with known keys.
    Object(ObjectShape),
    /// A map whose keys are the user's.
    Map {
        keys: Option<&'static TextFormat>,
        values: Box<Shape>,
    },
    /// A list of at least `least` items.
    List { items: Box<Shape>, least: u64 },
    /// A text, perhaps of a format.
    Text(Option<&'static TextFormat>),
    /// One of some words.
    Choice(Vec<String>),
    /// A whole number within bounds, both included.
    Integer { least: u64, most: u64 },
    /// `true` or `false`.
    Flag,
    /// Whatever YAML can say.
    Anything,
}

/// The keys of an object.
#[derive(Clone, Default)]
pub(super) struct ObjectShape {
    pub(super) keys: BTreeMap<String, Shape>,
    pub(super) required: Vec<String>,
}

/// The shape of `devenv.yaml`.
pub(super) static MANIFEST: LazyLock<Shape> =
    LazyLock::new(|| compile_root(schemars::schema_for!(ManifestKeys).as_value()));
/// The shape of what a profile has beside the manifest's keys.
pub(super) static PROFILE: LazyLock<Shape> =
    LazyLock::new(|| compile_root(schemars::schema_for!(ProfileKeys).as_value()));

/// The shape of a whole schema.
pub(super) fn compile_root(schema: &Value) -> Shape {
    compile(schema, &schema["$defs"])
}

fn compile(schema: &Value, defs: &Value) -> Shape {
    if let Some(target) = schema["$ref"].as_str() {
        let name = target.rsplit('/').next().unwrap_or_default();
        return compile(&defs[name], defs);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        // `Option<T>`: T or null. Nulls are gone before a tree is checked.
        let some = choices.iter().find(|choice| choice["type"] != "null");
        return some.map_or(Shape::Anything, |schema| compile(schema, defs));
    }
    if let Some(words) = choice(schema) {
        return Shape::Choice(words);
    }
    match type_of(schema) {
        "object" => compile_object(schema, defs),
        "array" => Shape::List {
            items: Box::new(compile(&schema["items"], defs)),
            least: schema["minItems"].as_u64().unwrap_or(0),
        },
        "integer" => Shape::Integer {
            least: schema["minimum"].as_u64().unwrap_or(0),
            most: schema["maximum"].as_u64().unwrap_or(u64::from(u32::MAX)),
        },
        "boolean" => Shape::Flag,
        "string" => Shape::Text(schema["format"].as_str().and_then(format_called)),
        _ => Shape::Anything,
    }
}

fn compile_object(schema: &Value, defs: &Value) -> Shape {
    let Some(properties) = schema["properties"].as_object() else {
        return Shape::Map {
            keys: schema["propertyNames"]["format"]
                .as_str()
                .and_then(format_called),
            values: Box::new(compile(&schema["additionalProperties"], defs)),
        };
    };
    let words = |value: &Value| -> Vec<String> {
        let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter()
            .filter_map(|word| word.as_str().map(str::to_owned))
            .collect()
    };
    Shape::Object(ObjectShape {
        keys: properties
            .iter()
            .map(|(key, schema)| (key.clone(), compile(schema, defs)))
            .collect(),
        required: words(&schema["required"]),
    })
}

/// The words of an enumeration, in either form schemars writes it.
fn choice(schema: &Value) -> Option<Vec<String>> {
    if let Some(words) = schema["enum"].as_array() {
        return Some(
            words
                .iter()
                .filter_map(|word| word.as_str().map(str::to_owned))
                .collect(),
        );
    }
    if let Some(word) = schema["const"].as_str() {
        return Some(vec![word.to_owned()]);
    }
    let cases = schema["oneOf"].as_array()?;
    Some(cases.iter().filter_map(choice).flatten().collect())
}

/// The type, `null` aside.
fn type_of(schema: &Value) -> &str {
    let types = &schema["type"];
    types
        .as_array()
        .and_then(|list| list.iter().find(|name| *name != "null"))
        .unwrap_or(types)
        .as_str()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_compile_to_shapes_with_their_formats_and_bounds() {
        let Shape::Object(manifest) = &*MANIFEST else {
            panic!("an object")
        };
        assert_eq!(manifest.required, ["apiVersion", "name"]);
        let Shape::Map { keys, values } = &manifest.keys["services"] else {
            panic!("a map")
        };
        assert_eq!(keys.unwrap().name, "service-name");
        let Shape::Object(service) = &**values else {
            panic!("an object")
        };
        assert!(matches!(
            service.keys["replicas"],
            Shape::Integer {
                least: 0,
                most: 1000
            }
        ));
        assert!(matches!(&service.keys["image"], Shape::Text(Some(f)) if f.name == "image"));
        assert!(matches!(&service.keys["build"], Shape::Object(b) if b.required == ["context"]));
        assert!(matches!(&manifest.keys["apiVersion"], Shape::Choice(w) if w == &["devenv/v1"]));
        let Shape::Object(cluster) = &manifest.keys["cluster"] else {
            panic!("an object")
        };
        assert!(matches!(&cluster.keys["provider"], Shape::Choice(w) if w == &["k3d"]));
        let Shape::Object(ports) = &cluster.keys["ports"] else {
            panic!("an object")
        };
        assert!(matches!(
            ports.keys["http"],
            Shape::Integer {
                least: 1,
                most: 65535
            }
        ));
    }
}
