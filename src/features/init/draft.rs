//! A manifest before it is written: its parts with their comments, and how they become text.

use super::yaml::{Value, comment, scalar};

/// Longer lines are written over several.
const WIDTH: usize = 100;
const INDENT: &str = "  ";

/// A manifest to be written.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    /// The project's name.
    pub(super) name: String,
    /// Comments at the head of the file.
    pub(super) head: Vec<String>,
    /// The services, in order.
    pub(super) services: Vec<Part>,
    /// The tasks, in order.
    pub(super) tasks: Vec<Part>,
    /// Comments at the end of the file.
    pub(super) tail: Vec<String>,
}

/// A service or a task.
#[derive(Debug, Clone, Default)]
pub(super) struct Part {
    /// Its name in the manifest.
    pub(super) name: String,
    /// Comments above it.
    pub(super) above: Vec<String>,
    /// Its keys and comments, in order.
    pub(super) lines: Vec<Line>,
    /// Why it is written as a comment only.
    pub(super) left_out: Option<String>,
}

/// A key with its value, or a comment.
#[derive(Debug, Clone)]
pub(super) enum Line {
    Key(&'static str, Value),
    Comment(String),
}

impl Part {
    pub(super) fn key(&mut self, key: &'static str, value: Value) {
        self.lines.push(Line::Key(key, value));
    }

    pub(super) fn comment(&mut self, text: impl Into<String>) {
        self.lines.push(Line::Comment(text.into()));
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.lines.iter().find_map(|line| match line {
            Line::Key(name, value) if *name == key => Some(value),
            _ => None,
        })
    }

    /// Removes `name` from the services it depends on.
    pub(super) fn forget(&mut self, name: &str) {
        for line in &mut self.lines {
            if let Line::Key("dependsOn", Value::List(items)) = line {
                items.retain(|item| item.text() != Some(name));
            }
        }
        self.lines.retain(
            |line| !matches!(line, Line::Key("dependsOn", Value::List(items)) if items.is_empty()),
        );
    }

    fn write(&self, out: &mut Vec<String>) {
        out.extend(
            self.above
                .iter()
                .map(|text| format!("{INDENT}{}", comment(text))),
        );
        let mut lines = vec![format!("{}:", scalar(&self.name))];
        for line in &self.lines {
            match line {
                Line::Key(key, value) => entry(key, value, 2, &mut lines),
                Line::Comment(text) => lines.push(format!("{INDENT}{}", comment(text))),
            }
        }
        // What begins deeper than it is written: `entry` counts from the margin.
        let lines = lines.into_iter();
        match &self.left_out {
            None => out.extend(lines.map(|line| format!("{INDENT}{line}"))),
            Some(why) => {
                out.push(format!("{INDENT}{}", comment(&format!("left out: {why}"))));
                out.extend(lines.map(|line| format!("{INDENT}# {line}")));
            }
        }
    }
}

/// `key: value` at `indent` spaces: in one line if it fits, else over several.
fn entry(key: &str, value: &Value, indent: usize, out: &mut Vec<String>) {
    let margin = " ".repeat(indent);
    let key = scalar(key);
    let line = format!("{margin}{key}: {value}");
    let is_long = line.chars().count() + INDENT.len() > WIDTH;
    match value {
        Value::Map(entries) if is_long => {
            out.push(format!("{margin}{key}:"));
            for (key, value) in entries {
                entry(key, value, indent + 2, out);
            }
        }
        Value::List(items) if is_long => {
            out.push(format!("{margin}{key}:"));
            out.extend(items.iter().map(|item| format!("{margin}{INDENT}- {item}")));
        }
        _ => out.push(line),
    }
}

impl Draft {
    /// The services that are not left out.
    pub(super) fn service_names(&self) -> Vec<String> {
        let parts = self.services.iter().filter(|part| part.left_out.is_none());
        parts.map(|part| part.name.clone()).collect()
    }

    /// The text of the file; `schema` is the path of the JSON Schema beside it.
    pub(super) fn text(&self, schema: &str) -> String {
        let mut out = vec![format!("# yaml-language-server: $schema={schema}")];
        out.extend(self.head.iter().map(|text| comment(text)));
        out.extend([
            String::new(),
            "apiVersion: devenv/v1".to_owned(),
            format!("name: {}", scalar(&self.name)),
        ]);
        for (group, parts) in [("services", &self.services), ("tasks", &self.tasks)] {
            group_lines(group, parts, &mut out);
        }
        if !self.tail.is_empty() {
            out.push(String::new());
            out.extend(self.tail.iter().map(|text| comment(text)));
        }
        out.join("\n") + "\n"
    }
}

fn group_lines(group: &str, parts: &[Part], out: &mut Vec<String>) {
    if parts.is_empty() && group == "tasks" {
        return;
    }
    out.push(String::new());
    let is_empty = parts.iter().all(|part| part.left_out.is_some());
    let end = if is_empty { " {}" } else { "" };
    out.push(format!("{group}:{end}"));
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            out.push(String::new());
        }
        part.write(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_left_out_is_a_comment_and_the_rest_is_yaml() {
        let mut part = Part {
            name: "a".into(),
            ..Part::default()
        };
        part.key("image", Value::of("redis:7"));
        part.key("dependsOn", Value::list(["b"]));
        let mut gone = Part {
            name: "b".into(),
            left_out: Some("no image".into()),
            ..Part::default()
        };
        gone.key(
            "env",
            Value::Map(
                (0..20)
                    .map(|n| (format!("NAME_{n}"), Value::of("x")))
                    .collect(),
            ),
        );
        part.forget("b");
        let draft = Draft {
            name: "shop".into(),
            services: vec![part, gone],
            ..Draft::default()
        };
        let text = draft.text("s.json");
        assert!(
            text.contains("  # left out: no image\n  # b:\n  #   env:\n  #     NAME_0: x\n"),
            "{text}"
        );
        let read = super::super::yaml::read(&text).unwrap();
        let services = read.get("services").unwrap();
        assert_eq!(services.entries().len(), 1);
        assert_eq!(services.get("a").unwrap().entries().len(), 1);
        assert_eq!(draft.service_names(), ["a"]);
    }
}
