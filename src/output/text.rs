//! Text from outside made safe, and measured and cut by the columns it takes on a terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns between tab stops, where a source line is shown.
const TAB: usize = 4;

/// `text` with every character made visible that could move the cursor, change colours, hide or
/// reorder text: control characters (ESC, `\r`, C1), bidirectional overrides, line separators.
///
/// Tabs become spaces. Line ends are made visible too: split into lines first.
pub fn safe_text(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => safe.push_str(&" ".repeat(TAB)),
            // C0 as control pictures in caret form: ESC is ^[.
            '\0'..='\x1f' => {
                safe.push('^');
                safe.push(char::from(b'@' + c as u8));
            }
            '\x7f' => safe.push_str("^?"),
            c if is_hidden(c) => safe.push_str(&format!("<U+{:04X}>", u32::from(c))),
            c => safe.push(c),
        }
    }
    safe
}

/// Whether a character shows nothing and changes how others are shown: C1, bidirectional marks,
/// separators of lines, the byte order mark, tags.
pub(super) fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}'
        | '\u{61c}'
        | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}')
}

/// The columns that `text` takes; it holds no escape sequences.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// `text` cut to `room` columns, with `…` (or `~`) where something was cut.
pub(super) fn truncate(text: &str, room: usize, ellipsis: &str) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let Some(room) = room.checked_sub(width(ellipsis)) else {
        return String::new();
    };
    let mut used = 0;
    let end = text
        .char_indices()
        .find(|(_, c)| {
            used += c.width().unwrap_or(0);
            used > room
        })
        .map_or(text.len(), |(at, _)| at);
    format!("{}{ellipsis}", &text[..end])
}

/// `text` with spaces to `columns`.
pub(super) fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// `text` in lines of at most `room` columns, broken at spaces; a longer word stays whole, so that
/// a path or a URL can be copied.
pub(super) fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && width(&line) + 1 + width(word) > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// A source line as it is shown, and the columns of a mark under it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Underline {
    /// The line, made safe.
    pub line: String,
    /// Columns before the mark.
    pub before: usize,
    /// Columns of the mark, at least 1.
    pub length: usize,
}

impl Underline {
    /// The mark of `length` characters from character `column` (from 1), right under tabs and wide characters.
    pub(super) fn new(source: &str, column: usize, length: usize) -> Self {
        let start = column.saturating_sub(1);
        let part = |from: usize, count: usize| {
            width(&safe_text(
                &source.chars().skip(from).take(count).collect::<String>(),
            ))
        };
        Self {
            line: safe_text(source),
            before: part(0, start),
            length: part(start, length).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_could_drive_the_terminal_is_made_visible() {
        assert_eq!(safe_text("\x1b]52;c;aGk=\x07"), "^[]52;c;aGk=^G");
        assert_eq!(safe_text("ok\rFAILED"), "ok^MFAILED");
        assert_eq!(safe_text("a\u{9b}31mb"), "a<U+009B>31mb");
        assert_eq!(safe_text("user\u{202e}gpj.exe"), "user<U+202E>gpj.exe");
        assert_eq!(safe_text("größe ✓ 日本"), "größe ✓ 日本");
    }

    proptest! {
        #[test]
        fn no_text_keeps_a_control_character(text in any::<String>()) {
            prop_assert!(!safe_text(&text).chars().any(|c| c.is_control() || is_hidden(c)));
        }

        #[test]
        fn a_cut_text_fits(text in "[a-z日é ]{0,40}", room in 0_usize..30) {
            prop_assert!(width(&truncate(&text, room, "…")) <= room);
        }

        #[test]
        fn wrapping_loses_no_word(text in "[a-z]{1,9}( [a-z]{1,9}){0,12}", room in 4_usize..30) {
            prop_assert_eq!(wrap(&text, room).join(" "), text);
        }
    }

    #[test]
    fn a_mark_stands_under_its_characters_behind_tabs_and_wide_ones() {
        let mark = Underline::new("\tname: 日本語", 8, 3);
        assert_eq!((mark.before, mark.length), (TAB + 6, 6));
        let beyond = Underline::new("a", 9, 2);
        assert_eq!(beyond.length, 1);
    }

    #[test]
    fn a_long_word_stays_whole() {
        assert_eq!(
            wrap("see http://shop.localhost:8080/api now", 12),
            ["see", "http://shop.localhost:8080/api", "now"]
        );
    }
}
