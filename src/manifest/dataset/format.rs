//! Texts with a meaning that only datasets have.

use std::{borrow::Cow, path::PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::{
    domain::{DatasetName, Delimiter, FileMode, Owner, Pattern, SnapshotName},
    manifest::format::{
        Formatted, Refusal, TextFormat, Whole, formatted, named, schema_of, stays, texts, when,
    },
};

/// What the paths of a dataset's files are relative to.
const DATASET: &str = "the dataset's directory";

/// Every format of datasets.
pub(in crate::manifest) static FORMATS: [TextFormat; 11] = [
    DataPath::FORMAT,
    DatasetName::FORMAT,
    DelimiterText::FORMAT,
    HeaderName::FORMAT,
    HeaderValue::FORMAT,
    ModeText::FORMAT,
    OneLine::FORMAT,
    OwnerText::FORMAT,
    PatternText::FORMAT,
    SnapshotName::FORMAT,
    VariableName::FORMAT,
];

const LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

formatted!(
    DatasetName,
    "dataset-name",
    "the name of a dataset",
    false,
    LABEL,
    named::<DatasetName>
);
formatted!(
    SnapshotName,
    "snapshot-name",
    "the name of a snapshot",
    false,
    LABEL,
    named::<SnapshotName>
);

/// A path relative to the dataset's directory that stays inside it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in crate::manifest) struct DataPath(pub(in crate::manifest) PathBuf);
formatted!(
    DataPath,
    "data-path",
    "a path inside the dataset, relative to its directory",
    false,
    "",
    |text| stays(text, DATASET, Whole::Dataset)
);

texts! {
    /// The name of a variable.
    VariableName, "variable-name", "the name of a variable: letters, digits and `_`, no digit first", false,
        "^[A-Za-z_][A-Za-z0-9_]*$", |text| when(is_variable_name(text));
    /// A text of one line, such as the name of a table.
    OneLine, "line", "a text of one line that is not empty", true, r"^[^\r\n]+$",
        |text| when(!text.trim().is_empty() && !text.contains(char::is_control));
    /// The name of a header.
    HeaderName, "header-name", "the name of a header such as `Content-Type`", false,
        "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", |text| when(is_header_name(text));
    /// The value of a header.
    HeaderValue, "header-value", "the value of a header, on one line", true, r"^[^\r\n]*$",
        |text| when(!text.contains(|c: char| c.is_control() && c != '\t'));
    /// A [`Delimiter`] as it is written.
    DelimiterText, "delimiter", r#"one ASCII character such as `;` or `"\t"`, and not `"`"#, false, "",
        |text| when(text.parse::<Delimiter>().is_ok());
    /// An [`Owner`] as it is written.
    OwnerText, "owner", "a user and a group, by numbers such as `1000:1000` or by names such as `postgres:postgres`", false,
        r"^(\d+|[A-Za-z_][\w.-]*):(\d+|[A-Za-z_][\w.-]*)$",
        |text| when(text.parse::<Owner>().is_ok());
    /// A [`FileMode`] as it is written.
    ModeText, "mode", "the permissions of a file such as `\"0644\"`", true, "^0?[0-7]{3}$",
        |text| when(text.parse::<FileMode>().is_ok());
    /// A [`Pattern`] as it is written.
    PatternText, "pattern", "a regular expression", true, "",
        |text| text.parse::<Pattern>().map(|_| ()).map_err(|error| Refusal::Invalid(reason(&error)));
}

/// The last line of what is said of an expression; those above draw it.
fn reason(error: &regex::Error) -> String {
    let said = error.to_string();
    let line = said.lines().last().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

fn is_variable_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_header_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_of_datasets_know_good_from_bad() {
        let takes = |format: &TextFormat, text: &str| (format.check)(text).is_ok();
        assert!(takes(&HeaderName::FORMAT, "X-Trace-Id"));
        assert!(!takes(&HeaderName::FORMAT, "X Trace") && !takes(&HeaderName::FORMAT, "a:"));
        assert!(takes(&HeaderValue::FORMAT, "") && !takes(&HeaderValue::FORMAT, "a\r\nHost: b"));
        assert!(takes(&OneLine::FORMAT, "Order Items") && !takes(&OneLine::FORMAT, " "));
        assert!(takes(&PatternText::FORMAT, "^a.*b$"));
        let refusal = (PatternText::FORMAT.check)("a(b").unwrap_err();
        assert_eq!(refusal, Refusal::Invalid("unclosed group".to_owned()));
    }

    #[test]
    fn a_path_that_leaves_the_dataset_is_refused() {
        for bad in [
            "../base/orders.sql",
            "/etc/passwd",
            "~/orders.sql",
            "a/../../b",
        ] {
            let refusal = (DataPath::FORMAT.check)(bad).unwrap_err();
            let whole = Whole::Dataset;
            let base = DATASET;
            assert_eq!(refusal, Refusal::Outside { base, whole }, "{bad}");
        }
    }
}
