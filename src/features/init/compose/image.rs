//! `image` and `build` of a service.

use std::path::Path;

use super::service::Converter;
use crate::{
    domain::names_a_secret,
    features::init::{dockerfile, yaml::Value},
};

/// Keys of `build` that are converted, or that change nothing.
const READ: [&str; 9] = [
    "context",
    "dockerfile",
    "target",
    "args",
    "cache_from",
    "cache_to",
    "tags",
    "labels",
    "pull",
];

pub(super) fn convert(converter: &mut Converter<'_>) {
    let image = converter.get("image").cloned();
    let built = match converter.get("build").cloned() {
        Some(build) => match build_value(&build, converter) {
            Ok(value) => Some(("build", value)),
            Err(why) if image.is_some() => {
                converter.tell("build", why, "the image is taken as it is");
                None
            }
            Err(why) => {
                converter.part.left_out = Some(why.to_owned());
                return;
            }
        },
        None => None,
    };
    match built.or(image.map(|image| ("image", image))) {
        Some((key, value)) => converter.part.key(key, value),
        None => converter.part.left_out = Some("it has neither `image` nor `build`".to_owned()),
    }
}

/// The value of `build`, or why there is none.
fn build_value(build: &Value, converter: &mut Converter<'_>) -> Result<Value, &'static str> {
    let text = |key: &str| build.get(key).and_then(Value::text);
    if build.get("dockerfile_inline").is_some() {
        return Err("its Dockerfile is written in the compose file: write it to a file");
    }
    let context = build.text().or(text("context")).unwrap_or(".");
    if context.contains("://") || context.starts_with("git@") {
        return Err("its build context is a repository: clone it into the project");
    }
    let context = converter
        .shared
        .inner(context)
        .ok_or("its build context is outside of the project: move it into it")?;
    let dockerfile = text("dockerfile").unwrap_or("Dockerfile");
    if Path::new(dockerfile).is_absolute() || dockerfile.split('/').any(|part| part == "..") {
        return Err("its Dockerfile is outside of the build context: move it there");
    }
    if !converter.shared.files.is_file(&context.join(dockerfile)) {
        return Err("there is no Dockerfile in its build context: write one");
    }
    let mut entries = vec![(
        "context".to_owned(),
        Value::of(context.display().to_string()),
    )];
    if dockerfile != "Dockerfile" {
        entries.push(("dockerfile".to_owned(), Value::of(dockerfile)));
    }
    if let Some(target) = text("target").filter(|target| !target.is_empty()) {
        entries.push(("target".to_owned(), Value::of(target)));
    }
    let args = arguments(build, converter);
    if !args.is_empty() {
        entries.push(("args".to_owned(), Value::Map(args)));
    }
    for (key, _) in build
        .entries()
        .iter()
        .filter(|(key, _)| !READ.contains(&key.as_str()))
    {
        converter.tell(
            &format!("build.{key}"),
            "it is ignored",
            "do it in the Dockerfile; files for a build go to `build.secrets`",
        );
    }
    match entries.as_slice() {
        [(_, context)] => Ok(context.clone()),
        _ => Ok(Value::Map(entries)),
    }
}

fn arguments(build: &Value, converter: &mut Converter<'_>) -> Vec<(String, Value)> {
    let mut args = Vec::new();
    for (name, value) in super::environment::pairs(build.get("args")) {
        let value = value.or_else(|| converter.shared.known.get(&name).cloned());
        match value {
            Some(_) if names_a_secret(&name) => {
                let help =
                    "it would be readable in the image: give it as a file with `build.secrets`";
                converter.tell("build.args", &format!("`{name}` is a secret"), help);
            }
            Some(value) => args.push((name, Value::of(value))),
            None => {
                let what = format!("`{name}` comes from the shell");
                converter.tell(
                    "build.args",
                    &what,
                    "write its value, or let the Dockerfile have a default",
                );
            }
        }
    }
    args
}

/// What the Dockerfile of a converted build says.
pub(super) fn dockerfile_of(converter: &Converter<'_>) -> Option<dockerfile::Image> {
    let build = converter.part.get("build")?;
    let text = |key: &str| build.get(key).and_then(Value::text);
    let context = build.text().or(text("context"))?;
    let file = Path::new(context).join(text("dockerfile").unwrap_or("Dockerfile"));
    let content = converter.shared.files.read(&file).ok()?;
    Some(dockerfile::read(&content, text("target")))
}
