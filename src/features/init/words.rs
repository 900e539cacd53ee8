//! A command written as one text, split into its words as compose splits it.

/// The words of `text`: quotes and backslashes as in a shell, nothing expanded; `None` if a quote is open.
pub(super) fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('"'), '\\') => {
                let word = word.get_or_insert_default();
                match chars.next()? {
                    next @ ('"' | '\\' | '$' | '`') => word.push(next),
                    next => word.extend(['\\', next]),
                }
            }
            (None, '\\') => word.get_or_insert_default().push(chars.next()?),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_keep_words_together() {
        let words = split(r#"sh -c 'a "b"' "c\"d" e\ f '' g"#).unwrap();
        assert_eq!(words, ["sh", "-c", "a \"b\"", "c\"d", "e f", "", "g"]);
        assert_eq!(split("  "), Some(Vec::new()));
        assert_eq!(split("a 'b"), None);
    }
}
