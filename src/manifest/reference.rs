//! The reference page of the manifest, from the key types.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde_json::Value;

use super::{
    format::format_called,
    schema::{described, described_file, is_empty},
};

const INTRODUCTION: &str = "\
# The manifest

A project is a directory with a `devenv.yaml`. This page lists its keys; it is generated from the types that read
them. The same as a JSON Schema, for editors: `devenv init` writes it to `.devenv/devenv.schema.json` and names it on
the first line of the manifest.

Unknown keys are errors. All mistakes of a manifest are reported at once; [errors.md](errors.md) explains each kind.

## Layers

Later layers win: built-in defaults, `devenv.yaml`, the profiles in the order given (each after those it `extends`),
`.devenv/branches/BRANCH.yaml` of the branch of git that is checked out (committed; of `feature/cart` it is
`.devenv/branches/feature/cart.yaml`), `devenv.local.yaml` beside the manifest (not committed), `--set key=value`. With `-f other.yaml` the local file is
`other.local.yaml`.

- Maps merge. Lists replace, except lists whose items all have a `name`: they merge by it.
- `null` removes what lower layers say. Inside `chart.values` it is passed on to Helm.
- `defaults` goes under every service after the layers are merged.
- `--set services.order.replicas=3` takes YAML after the `=`; nothing after it removes the key. A list item is
  `ports[0]`, a dot inside a key is `\\.`.

YAML anchors, aliases and merge keys (`<<`) work. Where a text is wanted, numbers and words such as `no` are taken as
they are written: `1.10` stays `1.10`. Paths are relative to the project directory, those below `live` to the service's build context; all stay
inside the project.
";

/// The reference page of the manifest, in Markdown.
pub fn reference() -> String {
    let schema = described();
    let mut page = INTRODUCTION.to_owned();
    sections(&mut page, "devenv.yaml", &schema);
    let mut profile = schema["$defs"]["Profile"].clone();
    if let (Some(keys), Some(manifest)) = (
        profile["properties"].as_object_mut(),
        schema["properties"].as_object(),
    ) {
        keys.retain(|key, _| !manifest.contains_key(key));
    }
    section(&mut page, "Profile", &profile, &schema);
    page
}

/// The page of another kind of file, in Markdown: an introduction, then the keys by their type.
pub(super) fn of_file<T: JsonSchema>(file: &str, introduction: &str) -> String {
    let mut page = introduction.to_owned();
    sections(&mut page, file, &described_file::<T>(file));
    page
}

/// A section for a file, and one for each definition that its keys lead to.
fn sections(page: &mut String, file: &str, schema: &Value) {
    section(page, file, schema, schema);
    let mut names = Vec::new();
    collect(&schema["properties"], schema, &mut names);
    for name in names {
        section(page, &name, &schema["$defs"][&name], schema);
    }
}

/// The definitions that `schema` leads to, in the order in which a reader meets them.
fn collect(schema: &Value, root: &Value, names: &mut Vec<String>) {
    match schema {
        Value::Array(items) => items.iter().for_each(|item| collect(item, root, names)),
        Value::Object(map) => {
            for (key, value) in map {
                if let (true, Some(target)) = (key == "$ref", value.as_str()) {
                    let name = definition(target).to_owned();
                    if !names.contains(&name) {
                        names.push(name.clone());
                        collect(&root["$defs"][&name], root, names);
                    }
                } else {
                    collect(value, root, names);
                }
            }
        }
        _ => {}
    }
}

fn definition(target: &str) -> &str {
    target.rsplit('/').next().unwrap_or_default()
}

// Writing to a String cannot fail.
fn section(page: &mut String, title: &str, schema: &Value, root: &Value) {
    let text = schema["description"].as_str().unwrap_or_default();
    let _ = writeln!(page, "\n## {title}\n\n{text}\n");
    let _ = writeln!(page, "| Key | Value | Default | Meaning |");
    let _ = writeln!(page, "|---|---|---|---|");
    let is_required = |key: &str| {
        let required = schema["required"].as_array();
        required.is_some_and(|keys| keys.iter().any(|required| required == key))
    };
    for (key, value) in schema["properties"].as_object().into_iter().flatten() {
        let default = match &value["default"] {
            _ if is_required(key) => "required".to_owned(),
            default if is_empty(default) || default.is_object() => String::new(),
            Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        let kind = with_short(value, kind(value, root));
        let text = value["description"].as_str().unwrap_or_default();
        let _ = writeln!(page, "| `{key}` | {kind} | {default} | {text} |");
    }
}

/// A type in words.
fn kind(schema: &Value, root: &Value) -> String {
    if let Some(target) = schema["$ref"].as_str() {
        let name = definition(target);
        let link = format!("[{name}](#{})", name.to_lowercase());
        return with_short(&root["$defs"][name], link);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let some = choices.iter().find(|choice| choice["type"] != "null");
        return some.map_or_else(String::new, |schema| kind(schema, root));
    }
    let words = words(schema);
    if !words.is_empty() {
        return words.join(" or ");
    }
    let kinds = schema["type"].as_array().map(Vec::as_slice);
    let kind_name = kinds
        .and_then(|kinds| kinds.iter().find(|kind| *kind != "null"))
        .unwrap_or(&schema["type"]);
    match kind_name.as_str().unwrap_or_default() {
        "array" => format!("list: {}", kind(&schema["items"], root)),
        "object" => match &schema["additionalProperties"] {
            values @ Value::Object(_) => format!("map: {}", kind(values, root)),
            _ => "map".to_owned(),
        },
        "integer" => {
            let bound = |key: &str| schema[key].as_u64().unwrap_or_default();
            format!("{} to {}", bound("minimum"), bound("maximum"))
        }
        "boolean" => "`true` or `false`".to_owned(),
        "string" => {
            let format = schema["format"].as_str().and_then(format_called);
            format.map_or("a text", |format| format.wanted).to_owned()
        }
        _ => "anything".to_owned(),
    }
}

fn with_short(schema: &Value, long: String) -> String {
    let words = schema["x-short"].as_array();
    let short = words.and_then(|words| words.last()?.as_str());
    match short {
        Some("string") => format!("{long} or a text"),
        Some("strings") => format!("{long} or a list of texts"),
        Some(_) => format!("{long} or a number"),
        None => long,
    }
}

fn words(schema: &Value) -> Vec<String> {
    let of = |value: &Value| Some(format!("`{}`", value.as_str()?));
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().filter_map(of).collect();
    }
    let cases = schema["oneOf"].as_array();
    let cases = cases.map(Vec::as_slice).unwrap_or_default();
    cases.iter().filter_map(|case| of(&case["const"])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::testing::keep_up_to_date;

    #[test]
    fn the_reference_page_is_up_to_date() {
        keep_up_to_date("docs/manifest.md", &reference());
    }
}
