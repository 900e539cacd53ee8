//! Words as they would be typed into a shell.

/// Words on one line, each in quotes where a shell would take it for something else.
pub fn shell_words(words: &[impl AsRef<str>]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word.as_ref())).collect();
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_split_or_read_them() {
        assert_eq!(shell_words(&["a-b", "c d", "", "$x"]), "a-b 'c d' '' '$x'");
        assert_eq!(shell_words(&["it's"]), r"'it'\''s'");
    }
}
