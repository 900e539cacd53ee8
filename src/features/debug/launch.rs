//! VS Code's `launch.json`, which is JSON with comments: one configuration is put into it, and the rest stays as it is.

use std::ops::Range;

use serde_json::{Value, json};

/// A text with a configuration in it; `None` where it cannot be told where that belongs.
///
/// `before` is what the file holds, if there is one. A configuration of the same name is replaced.
pub(super) fn with(before: Option<&str>, configuration: &Value) -> Option<String> {
    let Some(before) = before.filter(|text| !text.trim().is_empty()) else {
        let whole = json!({ "version": "0.2.0", "configurations": [configuration] });
        return Some(format!("{whole:#}\n"));
    };
    let old = parsed(before)?;
    let plain = plain(before);
    let list = list_of_configurations(&plain)?;
    let entries = entries(&plain[list.clone()], list.start);
    let same = entries.iter().find(|range| {
        let entry: Option<Value> =
            serde_json::from_slice(&without_last_commas(&plain[(*range).clone()])).ok();
        entry.is_some_and(|entry| entry["name"] == configuration["name"])
    });
    let text = indented(configuration);
    let after = if let Some(range) = same {
        format!("{}{text}{}", &before[..range.start], &before[range.end..])
    } else {
        let comma = if entries.is_empty() { "" } else { "," };
        let (head, tail) = before.split_at(list.start);
        format!("{head}\n    {text}{comma}{tail}")
    };
    is_as_wanted(&old, &parsed(&after)?, configuration).then_some(after)
}

/// Whether nothing has changed but the one configuration.
fn is_as_wanted(old: &Value, new: &Value, configuration: &Value) -> bool {
    let without = |value: &Value| {
        let mut value = value.clone();
        if let Some(list) = value["configurations"].as_array_mut() {
            list.retain(|entry| entry["name"] != configuration["name"]);
        }
        value
    };
    let has = |entry: &Value| entry == configuration;
    let list = new["configurations"].as_array();
    without(old) == without(new) && list.is_some_and(|list| list.iter().any(has))
}

fn parsed(text: &str) -> Option<Value> {
    let value: Value = serde_json::from_slice(&without_last_commas(&plain(text))).ok()?;
    value["configurations"].is_array().then_some(value)
}

fn indented(configuration: &Value) -> String {
    format!("{configuration:#}").replace('\n', "\n    ")
}

/// The text with blanks in place of its comments: every byte keeps its place.
fn plain(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match (bytes[at], bytes.get(at + 1)) {
            (b'"', _) => {
                at = end_of_string(&bytes, at);
                continue;
            }
            (b'/', Some(b'/')) => end_of(&bytes, at, b"\n"),
            (b'/', Some(b'*')) => end_of(&bytes, at + 2, b"*/") + 2,
            _ => {
                at += 1;
                continue;
            }
        };
        let end = end.min(bytes.len());
        bytes[at..end].fill(b' ');
        at = end;
    }
    bytes
}

fn end_of(bytes: &[u8], from: usize, mark: &[u8]) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    let found = rest.windows(mark.len()).position(|window| window == mark);
    found.map_or(bytes.len(), |at| from + at)
}

/// Where a string ends that begins at `from`: the place behind its quote.
fn end_of_string(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// The text with blanks in place of commas behind which a list or an object ends.
fn without_last_commas(plain: &[u8]) -> Vec<u8> {
    let mut bytes = plain.to_vec();
    let mut comma = None;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                comma = None;
                at = end_of_string(&bytes, at);
                continue;
            }
            b',' => comma = Some(at),
            b']' | b'}' => {
                if let Some(comma) = comma.take() {
                    bytes[comma] = b' ';
                }
            }
            byte if byte.is_ascii_whitespace() => {}
            _ => comma = None,
        }
        at += 1;
    }
    bytes
}

/// What is between the brackets of `configurations`, a key of the outermost object.
fn list_of_configurations(plain: &[u8]) -> Option<Range<usize>> {
    let mut depth = 0_u32;
    let mut at = 0;
    while at < plain.len() {
        match plain[at] {
            b'"' => {
                let end = end_of_string(plain, at);
                if depth == 1 && &plain[at..end] == b"\"configurations\"" {
                    let open = end + plain[end..].iter().position(|byte| *byte == b'[')?;
                    return Some(open + 1..end_of_list(plain, open)?);
                }
                at = end;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        at += 1;
    }
    None
}

/// The place of the bracket that closes the one at `open`.
fn end_of_list(plain: &[u8], open: usize) -> Option<usize> {
    let mut depth = 0_u32;
    let mut at = open;
    while at < plain.len() {
        match plain[at] {
            b'"' => {
                at = end_of_string(plain, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The places of the objects in a list; `offset` is where the list begins.
fn entries(list: &[u8], offset: usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = list[at..].iter().position(|byte| *byte == b'{') {
        let open = at + open;
        let Some(end) = end_of_list(list, open) else {
            break;
        };
        found.push(offset + open..offset + end + 1);
        at = end + 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(port: u16) -> Value {
        json!({ "name": "devenv: web", "type": "node", "port": port })
    }

    #[test]
    fn a_project_without_the_file_gets_a_whole_one() {
        let text = with(None, &ours(1)).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["configurations"], json!([ours(1)]));
    }

    const THEIRS: &str = r#"// Mine.
{
  "version": "0.2.0", /* "configurations": [ */
  "inputs": [{ "configurations": [] }],
  "configurations": [
    // The tests.
    { "name": "tests // of all", "args": ["[", "\"{"], },
  ],
}
"#;

    #[test]
    fn comments_and_configurations_of_the_user_stay() {
        let once = with(Some(THEIRS), &ours(1)).unwrap();
        for kept in ["// Mine.", "// The tests.", "/* \"configurations\": [ */"] {
            assert!(once.contains(kept), "{once}");
        }
        let list = parsed(&once).unwrap()["configurations"].clone();
        assert_eq!(list[0], ours(1));
        assert_eq!(list[1]["name"], "tests // of all");
        let twice = with(Some(&once), &ours(2)).unwrap();
        let list = parsed(&twice).unwrap()["configurations"].clone();
        assert_eq!(list.as_array().unwrap().len(), 2);
        assert_eq!(list[0], ours(2));
    }

    #[test]
    fn an_empty_list_gets_its_first() {
        let text = with(Some("{\"configurations\": []}"), &ours(1)).unwrap();
        assert_eq!(parsed(&text).unwrap()["configurations"], json!([ours(1)]));
    }

    #[test]
    fn a_file_that_is_not_understood_is_left_alone() {
        for text in [
            "{",
            "[]",
            "{ \"configurations\": {} }",
            "{ \"a\": 1 }",
            "/*",
        ] {
            assert_eq!(with(Some(text), &ours(1)), None, "{text}");
        }
    }
}
