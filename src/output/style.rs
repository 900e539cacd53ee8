//! Colours and signs, as far as the terminal can show them.

use std::fmt::Display;

/// A meaning that is shown in colour. Nothing is told by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// It worked.
    Good,
    /// It did not.
    Bad,
    /// Look at it.
    Warn,
    /// Less important than its neighbours.
    Dim,
    /// A heading.
    Strong,
    /// Something to type or to open.
    Link,
    /// One of the colours that tell services apart.
    Service(usize),
}

/// Colours that tell services apart: none that means good, bad or warning.
const SERVICE_COLOURS: [&str; 6] = ["36", "35", "34", "96", "95", "94"];

/// Whether colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// ANSI colours.
    Ansi,
    /// None.
    Plain,
}

/// Which characters are used for signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glyphs {
    /// UTF-8.
    Unicode,
    /// ASCII.
    Ascii,
}

/// How something is shown: colours, signs and room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Colours.
    pub colour: Colour,
    /// Signs.
    pub glyphs: Glyphs,
    /// Columns of the terminal.
    pub width: usize,
}

impl Style {
    /// `text` in the colour of `tone`.
    pub(super) fn paint(&self, tone: Tone, text: impl Display) -> String {
        if self.colour == Colour::Plain {
            return text.to_string();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "1;31",
            Tone::Warn => "33",
            Tone::Dim => "2",
            Tone::Strong => "1",
            Tone::Link => "36",
            Tone::Service(index) => SERVICE_COLOURS[index % SERVICE_COLOURS.len()],
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// `unicode`, or `ascii` where the terminal cannot show it.
    pub(super) const fn glyph<'a>(&self, unicode: &'a str, ascii: &'a str) -> &'a str {
        match self.glyphs {
            Glyphs::Unicode => unicode,
            Glyphs::Ascii => ascii,
        }
    }

    /// The sign for something cut.
    pub(super) const fn ellipsis(&self) -> &'static str {
        self.glyph("…", "~")
    }

    /// The sign between items of a line.
    pub(super) const fn dot(&self) -> &'static str {
        self.glyph("·", "-")
    }
}

/// The colour of a service: the same in every run.
pub(super) fn service_tone(service: &str) -> Tone {
    // FNV-1a: tiny, and stable across versions, which the standard hasher is not.
    let hash = service.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    Tone::Service(hash as usize % SERVICE_COLOURS.len())
}

/// Styles for tests.
#[cfg(test)]
pub(super) mod samples {
    use super::*;

    pub(in crate::output) const PLAIN: Style = Style {
        colour: Colour::Plain,
        glyphs: Glyphs::Unicode,
        width: 80,
    };
    pub(in crate::output) const ANSI: Style = Style {
        colour: Colour::Ansi,
        glyphs: Glyphs::Unicode,
        width: 80,
    };
    pub(in crate::output) const ASCII: Style = Style {
        colour: Colour::Plain,
        glyphs: Glyphs::Ascii,
        width: 80,
    };
}

#[cfg(test)]
mod tests {
    use super::{samples::*, *};

    #[test]
    fn without_colour_the_text_is_bare() {
        assert_eq!(PLAIN.paint(Tone::Bad, "x"), "x");
        assert_eq!(ANSI.paint(Tone::Bad, "x"), "\x1b[1;31mx\x1b[0m");
        assert_eq!(ASCII.glyph("✓", "ok"), "ok");
    }

    #[test]
    fn a_service_keeps_its_colour() {
        assert_eq!(service_tone("payment"), service_tone("payment"));
    }
}
