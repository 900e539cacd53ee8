//! The moving part of the screen: drawn over itself, gone without a trace.

use super::style::Style;

/// How often the screen is drawn at most: 15 times a second.
pub(super) const TICK: std::time::Duration = std::time::Duration::from_millis(66);

const HIDE_CURSOR: &str = "\x1b[?25l";
/// What makes the cursor visible again.
pub(super) const SHOW_CURSOR: &str = "\x1b[?25h";
const CLEAR_BELOW: &str = "\x1b[0J";

/// The lines that are on the screen now and will be drawn over.
#[derive(Debug, Default)]
pub(super) struct Region {
    drawn: usize,
}

impl Region {
    /// What takes the region off the screen.
    pub(super) fn erase(&mut self) -> String {
        if self.drawn == 0 {
            return String::new();
        }
        let erase = format!("\x1b[{}F{CLEAR_BELOW}{SHOW_CURSOR}", self.drawn);
        self.drawn = 0;
        erase
    }

    /// What puts `above` on the screen to stay, with the region `frame` below it: one write, so that nothing flickers.
    pub(super) fn draw(&mut self, above: &str, frame: &[String]) -> String {
        if self.drawn == 0 && frame.is_empty() {
            return above.to_owned();
        }
        let mut out = String::new();
        if self.drawn > 0 {
            out.push_str(&format!("\x1b[{}F{CLEAR_BELOW}", self.drawn));
        }
        out.push_str(above);
        for line in frame {
            out.push_str(line);
            out.push('\n');
        }
        out.push_str(if frame.is_empty() {
            SHOW_CURSOR
        } else {
            HIDE_CURSOR
        });
        self.drawn = frame.len();
        out
    }
}

/// The size of the terminal on standard error: `style` with its columns, and its rows.
pub(super) fn size(mut style: Style) -> (Style, usize) {
    let (rows, columns) = console::Term::stderr().size_checked().unwrap_or((24, 80));
    if columns > 0 {
        style.width = columns.into();
    }
    (style, rows.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_picture_is_drawn_over_the_one_before() {
        let mut region = Region::default();
        let frame = ["a".to_owned(), "b".to_owned()];
        assert_eq!(region.draw("", &[]), "");
        assert_eq!(region.draw("done\n", &[]), "done\n");
        assert_eq!(region.draw("", &frame), "a\nb\n\x1b[?25l");
        assert_eq!(
            region.draw("x\n", &frame[..1]),
            "\x1b[2F\x1b[0Jx\na\n\x1b[?25l"
        );
        assert_eq!(region.erase(), "\x1b[1F\x1b[0J\x1b[?25h");
        assert_eq!(region.erase(), "");
    }
}
