//! Texts with variables in them: `${name}`, and `$${` for a `${` that is meant as it is.

use std::collections::BTreeMap;

/// A part of a text with variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplatePart<'a> {
    /// What stays as it is.
    Text(&'a str),
    /// A variable.
    Variable {
        /// What is written between `${` and `}`; it need not be a name.
        name: &'a str,
        /// The byte of the text at which its `$` is.
        at: usize,
    },
    /// A `${` without a `}` on its line.
    Open {
        /// The byte of the text at which its `$` is.
        at: usize,
    },
}

/// The parts of a text, in order.
pub fn template_parts(text: &str) -> impl Iterator<Item = TemplatePart<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let start = at;
        if rest.starts_with("$${") {
            at += 3;
            return Some(TemplatePart::Text("${"));
        }
        if let Some(inner) = rest.strip_prefix("${") {
            let end = inner.find(['}', '\n']);
            let name = end.filter(|end| inner[*end..].starts_with('}'));
            let Some(name) = name.map(|end| &inner[..end]) else {
                at += 2;
                return Some(TemplatePart::Open { at: start });
            };
            at += name.len() + 3;
            return Some(TemplatePart::Variable { name, at: start });
        }
        let marks = rest.char_indices().skip(1);
        let mut ends = marks.filter(|(index, _)| {
            let rest = &rest[*index..];
            rest.starts_with("$${") || rest.starts_with("${")
        });
        let length = ends.next().map_or(rest.len(), |(index, _)| index);
        at += length;
        Some(TemplatePart::Text(&rest[..length]))
    })
}

/// A text that asks for a variable that there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`${{{name}}}` is not a variable")]
pub struct UnknownVariable {
    /// What is written between `${` and `}`, or behind a `${` without a `}`.
    pub name: String,
}

/// The text with every variable replaced by its value. Values are taken as they are.
pub fn fill_template(
    text: &str,
    variables: &BTreeMap<String, String>,
) -> Result<String, UnknownVariable> {
    let unknown = |name: &str| UnknownVariable {
        name: name.to_owned(),
    };
    template_parts(text)
        .map(|part| match part {
            TemplatePart::Text(text) => Ok(text),
            TemplatePart::Variable { name, .. } => variables
                .get(name)
                .map(String::as_str)
                .ok_or_else(|| unknown(name)),
            TemplatePart::Open { at } => {
                let line = text[at + 2..].lines().next();
                Err(unknown(line.unwrap_or_default()))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(text: &str) -> Result<String, UnknownVariable> {
        let variables = [("a", "1"), ("b_2", "${a}"), ("empty", "")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        fill_template(text, &variables.into())
    }

    #[test]
    fn variables_are_replaced_once_and_doubled_dollars_are_not() {
        for (text, expected) in [
            ("", ""),
            ("plain $ and } and $a", "plain $ and } and $a"),
            ("${a}${a}", "11"),
            ("<${b_2}>", "<${a}>"),
            ("x${empty}y", "xy"),
            ("$${a} ${a}", "${a} 1"),
            ("$$ select $$ $1", "$$ select $$ $1"),
            ("é${a}é", "é1é"),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_variable_is_named() {
        for (text, name) in [
            ("${c}", "c"),
            ("x ${}", ""),
            ("${HOME:-/root}", "HOME:-/root"),
            ("${a\n}", "a"),
            ("${", ""),
        ] {
            assert_eq!(filled(text).unwrap_err().name, name, "{text}");
        }
    }

    #[test]
    fn a_variable_knows_its_place() {
        let places: Vec<TemplatePart<'_>> = template_parts("é ${a}\n${").collect();
        assert_eq!(
            places,
            [
                TemplatePart::Text("é "),
                TemplatePart::Variable { name: "a", at: 3 },
                TemplatePart::Text("\n"),
                TemplatePart::Open { at: 8 },
            ]
        );
    }

    proptest! {
        #[test]
        fn a_text_without_variables_stays_as_it_is(text in "[^$]{0,40}|([$}a ]|\\PC){0,20}") {
            prop_assume!(!text.contains("${"));
            prop_assert_eq!(filled(&text), Ok(text));
        }

        #[test]
        fn a_text_whose_marks_are_doubled_comes_out_as_it_was(text in "([$}{a ]|\\PC){0,20}") {
            // A `$` before a mark would be taken for its first.
            prop_assume!(!text.contains("$$"));
            prop_assert_eq!(filled(&text.replace("${", "$${")), Ok(text));
        }
    }
}
